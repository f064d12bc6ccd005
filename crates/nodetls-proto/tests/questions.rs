//! Every question with every way of dealing with it: the handshake completes, or fails with a documented code.
//!
//! The questions about session ids (TLS 1.2) are asked in `session_ids.rs`.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use nodetls_proto::{
    AlertDescription, ClientAuthentication, ClientHelloAnswer, Connection, Error, Event, OcspStapling,
    PskAnswer, QuestionKind, Questions, Read, SelectAlpnAnswer, Side, VerifyPeerAnswer,
};
use nodetls_test::pair::{
    Delivery, Pair, Variation, World, authority, client_identity, context, context_options, decline, kind,
    name, server_identity, with_identity,
};
use nodetls_test::pki::{Authority, Leaf};

/// One place at which a connection stops.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stop {
    side: Side,
    kind: QuestionKind,
    /// The code of an error that the program gives instead of an answer.
    failure: &'static str,
}

const fn stop(side: Side, kind: QuestionKind, failure: &'static str) -> Stop {
    Stop { side, kind, failure }
}

const VERIFY_CLIENT: Stop = stop(Side::Server, QuestionKind::VerifyPeer, "ERR_TLS_VERIFY_PEER_FAILED");
const VERIFY_SERVER: Stop = stop(Side::Client, QuestionKind::VerifyPeer, "ERR_TLS_VERIFY_PEER_FAILED");
const NEW_SESSION: Stop = stop(Side::Server, QuestionKind::NewSession, "ERR_TLS_NEW_SESSION_FAILED");
/// Up to TLS 1.2 a key cannot be declined, so that `psk/questions.rs` has those questions.
const PSK_OF_CLIENT: Stop = stop(Side::Server, QuestionKind::Psk, "ERR_TLS_PSK_CALLBACK_FAILED");
const PSK_FOR_HELLO: Stop = stop(Side::Client, QuestionKind::Psk, "ERR_TLS_PSK_CALLBACK_FAILED");
const STOPS: [Stop; 9] = [
    stop(Side::Server, QuestionKind::ClientHello, "ERR_TLS_CLIENT_HELLO_REFUSED"),
    stop(Side::Server, QuestionKind::SelectContext, "ERR_TLS_SNI_CALLBACK_FAILED"),
    stop(Side::Server, QuestionKind::SelectAlpn, "ERR_TLS_ALPN_CALLBACK_FAILED"),
    stop(Side::Server, QuestionKind::OcspRequest, "ERR_TLS_OCSP_REQUEST_FAILED"),
    VERIFY_SERVER,
    VERIFY_CLIENT,
    NEW_SESSION,
    PSK_OF_CLIENT,
    PSK_FOR_HELLO,
];

impl Stop {
    fn exists_in(self, variation: Variation) -> bool {
        !matches!(self.kind, QuestionKind::NewSession | QuestionKind::Psk) || variation.is_tls1_3()
    }

    /// All stops under all ways of delivery and both versions.
    fn everywhere() -> impl Iterator<Item = (Self, Variation)> {
        let all = |stop: Self| Variation::deliveries().into_iter().map(move |variation| (stop, variation));
        STOPS.into_iter().flat_map(all).filter(|(stop, variation)| stop.exists_in(*variation))
    }

    /// A world in which this question alone is asked.
    fn world(self, variation: Variation) -> World {
        let mut world = World::new(variation);
        world.client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        world.server.alpn_protocols = vec![b"h2".to_vec()];
        world.client.ocsp = OcspStapling::Requested;
        let questions = Questions::NONE.with(self.kind);
        match self.side {
            Side::Client => world.client.questions = questions,
            Side::Server => world.server.questions = questions,
        }
        if self == PSK_OF_CLIENT {
            world.client.questions = questions;
        }
        if self == VERIFY_CLIENT {
            world.server.client_authentication = ClientAuthentication::Required;
            world.identify_client(client_identity());
        }
        world
    }

    /// Whether all messages of the peer's handshake are there when the question is asked.
    fn is_last(self) -> bool {
        self == VERIFY_CLIENT || self == NEW_SESSION
    }

    fn other(self) -> Side {
        if self.side == Side::Client { Side::Server } else { Side::Client }
    }

    /// A pair that stands still at this question.
    fn stopped(self, variation: Variation) -> (Pair, Event) {
        let mut pair = self.world(variation).driven();
        if self == PSK_OF_CLIENT {
            agree(pair.client.take_question().unwrap(), &mut pair.client.connection).unwrap();
            pair.drive();
        }
        let question = pair.peer(self.side).take_question();
        let question = question.unwrap_or_else(|| panic!("{self:?} is not asked: {:?}", pair.codes()));
        assert_eq!(kind(&question), Some(self.kind));
        assert!(pair.peer(self.side).connection.waits_for_answer());
        assert!(!pair.peer(self.side).is_secure(), "{self:?} is asked after the handshake");
        (pair, question)
    }

    /// Declines the same question as often as it comes again (a server has two sessions to store).
    fn decline_rest(self, pair: &mut Pair) {
        pair.drive();
        while let Some(question) = pair.peer(self.side).take_question() {
            decline(question, &mut pair.peer(self.side).connection);
            pair.drive();
        }
    }
}

/// Answers with a value that lets the handshake go on.
fn agree(question: Event, connection: &mut Connection) -> Result<(), Error> {
    match question {
        Event::ClientHello(question) => question.answer(connection, ClientHelloAnswer::Continue),
        Event::SelectContext(question) => {
            let version = question.facts().hello.supported_versions()[0];
            let version = nodetls_proto::ProtocolVersion::from_wire(version).unwrap();
            let other = with_identity(context_options(version), server_identity());
            question.answer(connection, Some(context(&other)))
        }
        Event::SelectAlpn(question) => {
            question.answer(connection, SelectAlpnAnswer::Protocol(b"http/1.1".to_vec()))
        }
        Event::VerifyPeer(question) => question.answer(connection, VerifyPeerAnswer::Agree),
        Event::NewSession(question) => question.answer(connection, ()),
        Event::OcspRequest(question) => question.answer(connection, None),
        Event::Psk(question) => {
            question.answer(connection, Some(PskAnswer::with_identity("Client_identity", [7; 32].as_slice())))
        }
        other => panic!("{other:?} is not in the table"),
    }
}

fn fail(question: Event, connection: &mut Connection) -> Result<(), Error> {
    match question {
        Event::ClientHello(question) => question.fail(connection, "no"),
        Event::SelectContext(question) => question.fail(connection, "no"),
        Event::SelectAlpn(question) => question.fail(connection, "no"),
        Event::VerifyPeer(question) => question.fail(connection, "no"),
        Event::NewSession(question) => question.fail(connection, "no"),
        Event::OcspRequest(question) => question.fail(connection, "no"),
        Event::Psk(question) => question.fail(connection, "no"),
        other => panic!("{other:?} is not in the table"),
    }
}

fn assert_misuse(result: Result<(), Error>) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::ApiMisuse(_)), "{error:?}");
    assert_eq!(error.code(), "ERR_TLS_API_MISUSE");
}

/// A way to deal with a question, short of answering it.
type Ending = fn(Event, &mut Connection);

/// The asking side has failed with the code, the other one has noticed, and neither was ever secure but a client
/// of TLS 1.3, which is done before the server.
fn assert_failed(stop: Stop, pair: &mut Pair, code: &str) {
    pair.drive();
    assert_eq!(pair.peer(stop.side).code(), code, "{stop:?}: {:?}", pair.variation);
    assert!(!pair.server.is_secure(), "{stop:?}: {:?}", pair.variation);
    assert!(!pair.peer(stop.side).connection.waits_for_answer());
    let other = pair.peer(stop.other());
    let noticed = other.failure().is_some() || other.ended == Some(Read::Truncated);
    assert!(noticed, "{stop:?}: {:?}: the other side waits for ever", pair.variation);
    if !pair.variation.is_tls1_3() {
        assert!(!pair.client.is_secure(), "{stop:?}: {:?}", pair.variation);
    }
}

// ---- the table ----

#[test]
fn answered_at_once_the_handshake_completes() {
    for (stop, variation) in Stop::everywhere() {
        let (mut pair, question) = stop.stopped(variation);
        agree(question, &mut pair.peer(stop.side).connection).unwrap();
        stop.decline_rest(&mut pair);
        pair.assert_connected();
        pair.send(Side::Client, b"hello");
        pair.send(Side::Server, b"hello");
    }
}

#[test]
fn declined_the_handshake_completes() {
    for (stop, variation) in Stop::everywhere() {
        let (mut pair, question) = stop.stopped(variation);
        decline(question, &mut pair.peer(stop.side).connection);
        stop.decline_rest(&mut pair);
        pair.assert_connected();
        assert_eq!(pair.client.connection.alpn_protocol(), Some(&b"h2"[..]), "{stop:?}");
    }
}

#[test]
fn answered_late_the_handshake_completes_and_nothing_happens_before() {
    for (stop, variation) in Stop::everywhere() {
        let (mut pair, question) = stop.stopped(variation);
        let sent = (pair.client.sent, pair.server.sent);
        for _ in 0..50 {
            let now = pair.now + Duration::from_secs(119);
            pair.peer(stop.side).connection.handle_timeout(now);
            pair.peer(stop.side).connection.advance();
            assert!(!pair.step(), "{stop:?}: {variation:?}");
        }
        assert_eq!(sent, (pair.client.sent, pair.server.sent));
        assert!(!pair.peer(stop.side).connection.has_work());
        agree(question, &mut pair.peer(stop.side).connection).unwrap();
        stop.decline_rest(&mut pair);
        pair.assert_connected();
    }
}

#[test]
fn failed_with_an_error_the_connection_ends_with_the_code_of_the_question() {
    for (stop, variation) in Stop::everywhere() {
        let (mut pair, question) = stop.stopped(variation);
        fail(question, &mut pair.peer(stop.side).connection).unwrap();
        assert_failed(stop, &mut pair, stop.failure);
    }
}

#[test]
fn dropped_the_connection_ends_instead_of_hanging() {
    for (stop, variation) in Stop::everywhere() {
        let (mut pair, question) = stop.stopped(variation);
        drop(question);
        assert_failed(stop, &mut pair, "ERR_TLS_QUESTION_DROPPED");
    }
}

#[test]
fn a_question_is_moot_when_the_transport_ends_in_the_middle_of_the_handshake() {
    for (stop, variation) in Stop::everywhere().filter(|(stop, _)| !stop.is_last()) {
        for answer in [agree, fail] {
            let (mut pair, question) = stop.stopped(variation);
            pair.cut(stop.other());
            pair.drive();
            assert_eq!(pair.peer(stop.side).code(), "ECONNRESET", "{stop:?}: {variation:?}");
            assert_misuse(answer(question, &mut pair.peer(stop.side).connection));
        }
    }
}

#[test]
fn a_question_after_the_peers_last_message_outlives_the_transport() {
    for (stop, variation) in Stop::everywhere().filter(|(stop, _)| stop.is_last()) {
        let (mut pair, question) = stop.stopped(variation);
        pair.cut(stop.other());
        pair.drive();
        assert!(pair.peer(stop.side).connection.waits_for_answer(), "{stop:?}: {variation:?}");
        agree(question, &mut pair.peer(stop.side).connection).unwrap();
        stop.decline_rest(&mut pair);
        assert!(pair.server.is_secure(), "{stop:?}: {variation:?}");
        assert_eq!(pair.server.ended, Some(Read::Truncated));
    }
}

#[test]
fn failed_or_dropped_after_the_transport_has_ended_the_connection_ends() {
    for (stop, variation) in Stop::everywhere().filter(|(stop, _)| stop.is_last()) {
        let ways: [(Ending, &str); 2] = [
            (|question, connection| fail(question, connection).unwrap(), stop.failure),
            (|question, _| drop(question), "ERR_TLS_QUESTION_DROPPED"),
        ];
        for (way, code) in ways {
            let (mut pair, question) = stop.stopped(variation);
            pair.cut(stop.other());
            pair.drive();
            way(question, &mut pair.peer(stop.side).connection);
            pair.drive();
            assert_eq!(pair.peer(stop.side).code(), code, "{stop:?}: {variation:?}");
        }
    }
}

#[test]
fn answered_on_another_connection_it_is_a_misuse_that_harms_only_its_own() {
    for (stop, variation) in Stop::everywhere() {
        let (mut own, question) = stop.stopped(variation);
        let (mut foreign, theirs) = stop.stopped(variation);
        assert_misuse(agree(question, &mut foreign.peer(stop.side).connection));
        assert!(foreign.peer(stop.side).connection.waits_for_answer());
        agree(theirs, &mut foreign.peer(stop.side).connection).unwrap();
        stop.decline_rest(&mut foreign);
        foreign.assert_connected();
        assert_failed(stop, &mut own, "ERR_TLS_QUESTION_DROPPED");
    }
}

#[test]
fn answered_on_the_other_side_it_is_a_misuse() {
    for (stop, variation) in Stop::everywhere() {
        for answer in [agree, fail] {
            let (mut pair, question) = stop.stopped(variation);
            assert_misuse(answer(question, &mut pair.peer(stop.other()).connection));
            assert!(pair.peer(stop.other()).connection.error().is_none());
            assert_failed(stop, &mut pair, "ERR_TLS_QUESTION_DROPPED");
        }
    }
}

#[test]
fn answered_after_the_connection_has_failed_it_is_a_misuse() {
    for (stop, variation) in Stop::everywhere() {
        for answer in [agree, fail] {
            let (mut pair, question) = stop.stopped(variation);
            let now = pair.now + Duration::from_secs(120);
            pair.peer(stop.side).connection.handle_timeout(now);
            assert_failed(stop, &mut pair, "ERR_TLS_HANDSHAKE_TIMEOUT");
            assert_misuse(answer(question, &mut pair.peer(stop.side).connection));
            pair.drive();
            assert_eq!(pair.peer(stop.side).code(), "ERR_TLS_HANDSHAKE_TIMEOUT", "{stop:?}: {variation:?}");
        }
    }
}

#[test]
fn answered_after_the_connection_was_closed_it_is_a_misuse() {
    for (stop, variation) in Stop::everywhere() {
        for answer in [agree, fail] {
            let (mut pair, question) = stop.stopped(variation);
            let sent = pair.peer(stop.side).sent;
            pair.peer(stop.side).connection.send_close_notify();
            assert!(!pair.peer(stop.side).connection.waits_for_answer());
            assert_misuse(answer(question, &mut pair.peer(stop.side).connection));
            pair.drive();
            assert_eq!(pair.peer(stop.side).sent, sent, "{stop:?}: {variation:?}");
            assert!(!pair.peer(stop.side).is_secure());
        }
    }
}

#[test]
fn the_questions_of_a_server_come_in_their_order() {
    use QuestionKind::{ClientHello, NewSession, OcspRequest, Psk, SelectAlpn, SelectContext, VerifyPeer};
    for variation in Variation::all().into_iter().filter(Variation::asks) {
        let mut world = World::new(variation);
        world.client.alpn_protocols = vec![b"h2".to_vec()];
        world.server.client_authentication = ClientAuthentication::DangerousOptional;
        world.client.ocsp = OcspStapling::Requested;
        let pair = world.connected();
        let mut expected = vec![ClientHello, SelectContext, SelectAlpn, OcspRequest, VerifyPeer];
        if variation.is_tls1_3() {
            expected.extend([NewSession, NewSession]);
        }
        assert_eq!(pair.server.asked, expected, "{variation:?}");
        let of_client: &[_] = if variation.is_tls1_3() { &[Psk, VerifyPeer] } else { &[VerifyPeer] };
        assert_eq!(pair.client.asked, of_client, "{variation:?}");
    }
}

#[test]
fn a_question_without_occasion_is_not_asked() {
    for variation in Variation::all().into_iter().filter(Variation::asks) {
        let mut world = World::new(variation);
        world.client.server_name = name("127.0.0.1");
        let asked = world.connected().server.asked;
        use QuestionKind::{OcspRequest, Psk, ResumeSession, SelectAlpn, SelectContext, VerifyPeer};
        for absent in [SelectContext, SelectAlpn, ResumeSession, OcspRequest, VerifyPeer, Psk] {
            assert!(!asked.contains(&absent), "{absent:?}: {variation:?}");
        }
    }
}

// ---- what questions state, and answers with a choice ----

/// A pair at the question, whose world was changed.
fn stopped_with(stop: Stop, variation: Variation, change: impl FnOnce(&mut World)) -> (Pair, Event) {
    let mut world = stop.world(variation);
    change(&mut world);
    let mut pair = world.driven();
    let question = pair.peer(stop.side).take_question().expect("it is asked");
    (pair, question)
}

#[test]
fn a_refused_hello_gives_the_client_the_chosen_alert() {
    for variation in Variation::deliveries() {
        for alert in [AlertDescription::ACCESS_DENIED, AlertDescription::UNRECOGNIZED_NAME] {
            let (mut pair, question) = STOPS[0].stopped(variation);
            let Event::ClientHello(question) = question else { panic!("{question:?}") };
            assert_eq!(question.facts().hello.server_name(), Some("localhost"));
            assert_eq!(question.facts().hello.alpn_protocols(), [b"h2".to_vec(), b"http/1.1".to_vec()]);
            assert!(question.facts().hello.supports_version(variation.version.to_wire()));
            question.answer(&mut pair.server.connection, ClientHelloAnswer::Refuse(alert)).unwrap();
            pair.drive();
            assert_eq!(pair.server.code(), "ERR_TLS_CLIENT_HELLO_REFUSED");
            assert_eq!(pair.server.failure().unwrap().alert(), Some(alert));
            assert!(matches!(pair.client.failure(), Some(Error::AlertReceived(it)) if it.alert == alert));
        }
    }
}

#[test]
fn an_answered_context_serves_the_connection_with_its_certificate() {
    let identity = authority().issue(&Leaf::server("chosen.test"));
    for variation in Variation::deliveries() {
        let change = |world: &mut World| {
            world.client.server_name = name("Chosen.TEST");
        };
        let (mut pair, question) = stopped_with(STOPS[1], variation, change);
        let Event::SelectContext(question) = question else { panic!("{question:?}") };
        assert_eq!(question.facts().server_name, "chosen.test");
        let chosen = context(&with_identity(context_options(variation.version), &identity));
        question.answer(&mut pair.server.connection, Some(chosen)).unwrap();
        pair.drive();
        pair.assert_connected();
        assert_eq!(pair.client.connection.peer_certificate().unwrap().to_der(), identity.cert_der);
    }
}

#[test]
fn an_answered_context_may_demand_a_certificate() {
    for variation in Variation::deliveries() {
        let (mut pair, question) = STOPS[1].stopped(variation);
        let Event::SelectContext(question) = question else { panic!("{question:?}") };
        let mut options = with_identity(context_options(variation.version), server_identity());
        options.client_authentication = Some(ClientAuthentication::Required);
        question.answer(&mut pair.server.connection, Some(context(&options))).unwrap();
        pair.drive();
        assert_eq!(pair.server.code(), "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE", "{variation:?}");
    }
}

#[test]
fn a_selected_protocol_must_be_one_of_those_offered() {
    for variation in Variation::deliveries() {
        for (answer, code) in [
            (SelectAlpnAnswer::Protocol(b"http/1.1".to_vec()), ""),
            (SelectAlpnAnswer::Protocol(b"spdy".to_vec()), "ERR_TLS_ALPN_CALLBACK_INVALID_RESULT"),
            (SelectAlpnAnswer::Protocol(Vec::new()), "ERR_TLS_ALPN_CALLBACK_INVALID_RESULT"),
            (SelectAlpnAnswer::Refuse, "ERR_SSL_NO_APPLICATION_PROTOCOL"),
        ] {
            let (mut pair, question) = STOPS[2].stopped(variation);
            let Event::SelectAlpn(question) = question else { panic!("{question:?}") };
            assert_eq!(question.facts().protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
            assert_eq!(question.facts().server_name.as_deref(), Some("localhost"));
            // Whether an impossible answer is also an error of the call, the event says all there is to know.
            let _ = question.answer(&mut pair.server.connection, answer);
            pair.drive();
            assert_eq!(pair.server.code(), code, "{variation:?}");
            if code.is_empty() {
                assert_eq!(pair.client.connection.alpn_protocol(), Some(&b"http/1.1"[..]));
            } else {
                let alert = pair.client.failure().unwrap().alert();
                assert_eq!(alert, Some(AlertDescription::NO_APPLICATION_PROTOCOL), "{variation:?}");
            }
        }
    }
}

#[test]
fn another_context_can_be_given_until_the_handshake_begins() {
    let identity = authority().issue(&Leaf::server("localhost"));
    for variation in Variation::deliveries() {
        let (mut pair, question) = STOPS[2].stopped(variation);
        let Event::SelectAlpn(question) = question else { panic!("{question:?}") };
        let chosen = context(&with_identity(context_options(variation.version), &identity));
        pair.server.connection.set_context(&chosen).unwrap();
        assert_misuse(pair.client.connection.set_context(&chosen));
        question.answer(&mut pair.server.connection, SelectAlpnAnswer::ByPreference).unwrap();
        pair.drive();
        pair.assert_connected();
        assert_eq!(pair.client.connection.peer_certificate().unwrap().to_der(), identity.cert_der);
        assert_misuse(pair.server.connection.set_context(&chosen));
    }
}

#[test]
fn a_rejected_server_gets_an_alert_and_a_rejected_client_nothing() {
    for variation in Variation::deliveries() {
        let (mut pair, question) = VERIFY_SERVER.stopped(variation);
        let Event::VerifyPeer(question) = question else { panic!("{question:?}") };
        assert!(question.facts().objection.is_none());
        assert_eq!(question.facts().server_name, Some(name("localhost")));
        assert_eq!(question.facts().certificates[0].to_der(), server_identity().cert_der);
        question.answer(&mut pair.client.connection, VerifyPeerAnswer::Reject("no".into())).unwrap();
        assert_failed(VERIFY_SERVER, &mut pair, "ERR_TLS_PEER_REJECTED");
        assert!(matches!(pair.server.failure(), Some(Error::AlertReceived(_))), "{variation:?}");

        let (mut pair, question) = VERIFY_CLIENT.stopped(variation);
        let Event::VerifyPeer(question) = question else { panic!("{question:?}") };
        assert_eq!(question.facts().server_name, None);
        assert_eq!(question.facts().certificates[0].to_der(), client_identity().cert_der);
        let sent = pair.server.sent;
        question.answer(&mut pair.server.connection, VerifyPeerAnswer::Reject("no".into())).unwrap();
        assert_failed(VERIFY_CLIENT, &mut pair, "ERR_TLS_PEER_REJECTED");
        assert_eq!(pair.server.sent, sent, "something withheld was sent: {variation:?}");
        assert!(pair.client.sessions().is_empty());
    }
}

#[test]
fn an_objection_is_stated_and_may_be_agreed_with_or_overruled() {
    let stranger = Authority::new("a stranger").issue(&Leaf::server("localhost"));
    for variation in Variation::deliveries() {
        for (answer, code) in [
            (VerifyPeerAnswer::Agree, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
            (VerifyPeerAnswer::Reject("no".into()), "ERR_TLS_PEER_REJECTED"),
            (VerifyPeerAnswer::DangerousAccept, ""),
        ] {
            let (mut pair, question) =
                stopped_with(VERIFY_SERVER, variation, |world| world.identify_server(&stranger));
            let Event::VerifyPeer(question) = question else { panic!("{question:?}") };
            let objection = question.facts().objection.as_ref().unwrap();
            assert_eq!(objection.code(), "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
            question.answer(&mut pair.client.connection, answer).unwrap();
            pair.drive();
            assert_eq!(pair.client.code(), code, "{variation:?}");
            assert_eq!(pair.client.connection.is_authorized(), code.is_empty(), "{variation:?}");
            assert!(pair.client.connection.authorization_error().is_none() || !code.is_empty());
        }
    }
}

#[test]
fn an_objection_to_a_client_is_stated_and_may_be_overruled() {
    let stranger = Authority::new("a stranger").issue(&Leaf::client("a client"));
    for variation in Variation::deliveries() {
        for (answer, code) in [
            (VerifyPeerAnswer::Agree, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
            (VerifyPeerAnswer::DangerousAccept, ""),
        ] {
            let (mut pair, question) =
                stopped_with(VERIFY_CLIENT, variation, |world| world.identify_client(&stranger));
            let Event::VerifyPeer(question) = question else { panic!("{question:?}") };
            let objection = question.facts().objection.as_ref().unwrap();
            assert_eq!(objection.code(), "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
            question.answer(&mut pair.server.connection, answer).unwrap();
            pair.drive();
            assert_eq!(pair.server.code(), code, "{variation:?}");
            assert_eq!(pair.server.connection.is_authorized(), code.is_empty(), "{variation:?}");
        }
    }
}

// ---- what is withheld ----

#[test]
fn nothing_of_a_client_leaves_while_the_servers_certificate_is_being_judged() {
    for variation in Variation::deliveries() {
        let change = |world: &mut World| {
            world.identify_client(client_identity());
            world.server.client_authentication = ClientAuthentication::Required;
        };
        let (mut pair, question) = stopped_with(VERIFY_SERVER, variation, change);
        assert!(pair.client.connection.poll_transmit().is_none());
        assert!(!pair.client.has_undelivered());
        assert!(pair.server.connection.peer_certificates().is_empty(), "{variation:?}");
        let sent = pair.client.sent;
        assert_eq!(pair.client.connection.write_plaintext(b"early").unwrap(), 0);
        pair.drive();
        assert_eq!(pair.client.sent, sent);
        decline(question, &mut pair.client.connection);
        pair.drive();
        pair.assert_connected();
        assert!(pair.client.sent > sent);
    }
}

#[test]
fn server_waits_for_each_new_session_answer_before_a_byte_is_sent() {
    for variation in Variation::deliveries().into_iter().filter(Variation::is_tls1_3) {
        let (mut pair, question) = NEW_SESSION.stopped(variation);
        let sent = pair.server.sent;
        let mut next = Some(question);
        let mut count = 0;
        while let Some(question) = next {
            assert!(pair.server.connection.poll_transmit().is_none(), "{variation:?}");
            decline(question, &mut pair.server.connection);
            count += 1;
            if count == 1 {
                // One more session is to be stored: the first answer frees nothing.
                assert!(pair.server.connection.poll_transmit().is_none(), "{variation:?}");
            }
            next = pair.server.connection.poll_event().filter(|event| kind(event).is_some());
            assert_eq!(pair.server.sent, sent);
        }
        assert_eq!(count, 2);
        assert!(pair.client.sessions().is_empty());
        pair.drive();
        assert_eq!(pair.client.sessions().len(), 2, "{variation:?}");
    }
}

#[test]
fn an_answer_about_a_client_frees_nothing_that_a_session_still_holds() {
    for variation in Variation::deliveries().into_iter().filter(Variation::is_tls1_3) {
        let questions = Questions::NONE.with(QuestionKind::VerifyPeer).with(QuestionKind::NewSession);
        let (mut pair, question) =
            stopped_with(VERIFY_CLIENT, variation, |world| world.server.questions = questions);
        decline(question, &mut pair.server.connection);
        assert!(pair.server.connection.poll_transmit().is_none(), "{variation:?}");
    }
}

/// Ways in which a server can end while it holds something back.
fn endings() -> [fn(Event, &mut Pair); 4] {
    [
        |question, pair| fail(question, &mut pair.server.connection).unwrap(),
        |question, _| drop(question),
        |_question, pair| {
            let late = pair.now + Duration::from_secs(120);
            pair.server.connection.handle_timeout(late);
        },
        |_question, pair| pair.server.connection.send_close_notify(),
    ]
}

#[test]
fn what_a_server_holds_back_is_never_sent_after_it_has_failed() {
    for stop in [VERIFY_CLIENT, NEW_SESSION] {
        for variation in Variation::deliveries().into_iter().filter(|variation| stop.exists_in(*variation)) {
            for end in endings() {
                let (mut pair, question) = stop.stopped(variation);
                let sent = pair.server.sent;
                end(question, &mut pair);
                pair.drive();
                assert_eq!(pair.server.sent, sent, "{stop:?}: {variation:?}");
                assert!(pair.server.connection.poll_transmit().is_none());
                assert!(pair.client.sessions().is_empty());
                assert_eq!(pair.client.is_secure(), variation.is_tls1_3());
            }
        }
    }
}

#[test]
fn no_application_data_is_read_or_written_before_the_answer() {
    for stop in [VERIFY_CLIENT, NEW_SESSION] {
        // A client of TLS 1.2 cannot send data before the server is done (RFC 5246 §7.3).
        for variation in Variation::deliveries().into_iter().filter(Variation::is_tls1_3) {
            let (mut pair, question) = stop.stopped(variation);
            assert_eq!(pair.client.connection.write_plaintext(b"early").unwrap(), 5);
            pair.drive();
            assert!(pair.server.received.is_empty());
            let server = &mut pair.server.connection;
            assert_eq!(server.read_plaintext(&mut [0; 64][..]).unwrap(), Read::Blocked);
            assert_eq!(server.write_plaintext(b"early").unwrap(), 0);
            decline(question, server);
            stop.decline_rest(&mut pair);
            assert_eq!(pair.server.received, b"early", "{stop:?}: {variation:?}");
        }
    }
}

#[test]
fn data_that_came_with_the_finished_message_is_not_delivered_to_a_server_that_rejects() {
    for delivery in [Delivery::Whole, Delivery::OneByte, Delivery::Coalesced, Delivery::Odd] {
        let variation = Variation { delivery, ..Variation::versions()[1] };
        let (mut pair, question) = VERIFY_CLIENT.stopped(variation);
        assert_eq!(pair.client.connection.write_plaintext(b"early").unwrap(), 5);
        pair.drive();
        fail(question, &mut pair.server.connection).unwrap();
        pair.drive();
        assert!(pair.server.received.is_empty(), "{variation:?}");
        assert!(pair.server.connection.read_plaintext(&mut [0; 64][..]).is_err());
    }
}
