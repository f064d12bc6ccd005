//! The order of questions, what they state, and answers with a choice.

use nodetls_proto::{
    AlertDescription, ClientAuthentication, ClientHelloAnswer, Error, Event, OcspStapling, QuestionKind,
    SelectAlpnAnswer, VerifyPeerAnswer,
};
use nodetls_test::pair::{
    Variation, World, authority, client_identity, context, context_options, name, server_identity,
    with_identity,
};
use nodetls_test::pki::{Authority, Leaf};

use crate::stops::{STOPS, VERIFY_CLIENT, VERIFY_SERVER, assert_failed, assert_misuse, stopped_with};

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
