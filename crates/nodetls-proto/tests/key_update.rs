//! What TLS 1.3 has after the handshake: new keys, and a late request for the client's certificate.

#![forbid(unsafe_code)]

use std::time::Duration;

use nodetls_proto::{
    ClientAuthentication, DEFAULT_HANDSHAKE_TIMEOUT, Event, KeyUpdateRequest, ProtocolVersion, QuestionKind,
    Questions, Side, VerifyPeerAnswer,
};
use nodetls_test::pair::{Pair, Variation, World, client_identity};
use nodetls_test::pki::{Identity, Leaf};

const SIDES: [Side; 2] = [Side::Client, Side::Server];
const REQUESTS: [KeyUpdateRequest; 2] = [KeyUpdateRequest::NotRequested, KeyUpdateRequest::Requested];

fn variations() -> impl Iterator<Item = Variation> {
    Variation::all().into_iter().filter(Variation::is_tls1_3)
}

fn plain() -> Variation {
    Variation::plain(ProtocolVersion::Tls1_3)
}

// ---- keys ----

#[test]
fn data_flows_over_new_keys_of_either_side() {
    for variation in variations() {
        for side in SIDES {
            for request in REQUESTS {
                let mut pair = World::new(variation).connected();
                for _ in 0..3 {
                    pair.peer(side).connection.update_keys(request).unwrap();
                    pair.send(Side::Client, b"with new keys");
                    pair.send(Side::Server, b"with new keys");
                }
                pair.close(side);
            }
        }
    }
}

#[test]
fn keys_may_change_between_records_that_are_under_way() {
    for variation in variations() {
        let mut pair = World::new(variation).connected();
        let mut expected = Vec::new();
        for number in 0..50_u8 {
            let connection = &mut pair.client.connection;
            expected.extend_from_slice(&[number; 100]);
            assert_eq!(connection.write_plaintext(&[number; 100]).unwrap(), 100);
            connection.update_keys(KeyUpdateRequest::Requested).unwrap();
        }
        pair.drive();
        assert!(pair.server.received == expected, "{variation:?}");
    }
}

#[test]
fn a_thousand_key_updates_are_answered_by_one() {
    let mut pair = World::new(plain()).connected();
    for number in 0..1_000 {
        pair.client.connection.update_keys(KeyUpdateRequest::Requested).unwrap();
        if number % 100 == 0 {
            pair.drive();
        }
    }
    pair.drive();
    let before = pair.server.sent;
    pair.send(Side::Server, b"x");
    // A record of one byte has 23, and the message before it 27.
    assert!(pair.server.sent - before <= 50, "{} bytes", pair.server.sent - before);
    pair.send(Side::Client, b"still here");
}

#[test]
fn keys_are_not_updated_without_bounds_while_nothing_is_sent() {
    let mut pair = World::new(plain()).connected();
    let connection = &mut pair.client.connection;
    let count = (0..100_000).take_while(|_| connection.update_keys(REQUESTS[0]).is_ok()).count();
    assert!(count < 10_000 && connection.is_backlogged(), "{count}");
    assert_eq!(connection.update_keys(REQUESTS[0]).unwrap_err().code(), "ERR_TLS_API_MISUSE");
    pair.drive();
    pair.send(Side::Client, b"goes on");
}

#[test]
fn tls_1_2_has_no_key_update() {
    for side in SIDES {
        let mut pair = World::new(Variation::plain(ProtocolVersion::Tls1_2)).connected();
        let error = pair.peer(side).connection.update_keys(KeyUpdateRequest::NotRequested).unwrap_err();
        assert_eq!(error.code(), "ERR_SSL_WRONG_SSL_VERSION");
        pair.send(side, b"goes on");
    }
}

#[test]
fn keys_are_not_updated_where_the_connection_is_not_open() {
    for side in SIDES {
        let mut pair = World::new(plain()).pair();
        let update = |pair: &mut Pair| pair.peer(side).connection.update_keys(REQUESTS[1]);
        assert_eq!(update(&mut pair).unwrap_err().code(), "ERR_TLS_API_MISUSE");
        pair.drive();
        pair.close(side);
        assert_eq!(update(&mut pair).unwrap_err().code(), "ERR_TLS_API_MISUSE");
    }
}

// ---- the client's certificate ----

fn authentications(pair: &Pair) -> usize {
    pair.server.events.iter().filter(|event| matches!(event, Event::ClientAuthenticated)).count()
}

/// A client with this certificate, which may be asked for it late.
fn world(variation: Variation, identity: Option<&Identity>) -> World {
    let mut world = World::new(variation);
    world.client.post_handshake_auth = true;
    identity.into_iter().for_each(|identity| world.identify_client(identity));
    world
}

const REQUIRED: ClientAuthentication = ClientAuthentication::Required;
const OPTIONAL: ClientAuthentication = ClientAuthentication::DangerousOptional;

#[test]
fn a_server_fetches_the_clients_certificate_after_the_handshake() {
    for variation in variations() {
        for authentication in [REQUIRED, OPTIONAL] {
            let mut pair = world(variation, Some(client_identity())).connected();
            assert!(pair.server.connection.peer_certificate().is_none());
            for round in 1..=3 {
                pair.server.connection.request_client_certificate(authentication).unwrap();
                assert!(pair.server.connection.is_renegotiating());
                pair.drive();
                assert_eq!(authentications(&pair), round, "{variation:?}: {:?}", pair.server.failure());
                assert!(pair.server.connection.is_authorized() && !pair.server.connection.is_renegotiating());
                let certificate = pair.server.connection.peer_certificate().unwrap();
                assert_eq!(certificate.to_der(), client_identity().cert_der);
                pair.send(Side::Client, b"known now");
                pair.send(Side::Server, b"known now");
            }
        }
    }
}

#[test]
fn a_client_without_an_acceptable_certificate_is_refused_when_one_is_demanded() {
    let strange = Identity::self_signed(&Leaf::client("a stranger"));
    for variation in variations() {
        for (identity, code) in [
            (None, "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE"),
            (Some(&strange), "DEPTH_ZERO_SELF_SIGNED_CERT"),
        ] {
            let mut pair = world(variation, identity).connected();
            pair.server.connection.request_client_certificate(REQUIRED).unwrap();
            pair.drive();
            assert_eq!(pair.server.code(), code, "{variation:?}");
            assert!(!pair.server.connection.is_authorized() && authentications(&pair) == 0);
        }
    }
}

#[test]
fn an_optional_certificate_lets_the_client_go_on_and_says_what_is_wrong() {
    let strange = Identity::self_signed(&Leaf::client("a stranger"));
    for variation in variations() {
        for (identity, code) in
            [(None, "UNABLE_TO_GET_ISSUER_CERT"), (Some(&strange), "DEPTH_ZERO_SELF_SIGNED_CERT")]
        {
            let mut pair = world(variation, identity).connected();
            pair.server.connection.request_client_certificate(OPTIONAL).unwrap();
            pair.drive();
            assert_eq!(authentications(&pair), 1, "{variation:?}: {:?}", pair.server.failure());
            assert_eq!(pair.server.connection.authorization_error().unwrap().code(), code);
            pair.send(Side::Client, b"let in");
        }
    }
}

#[test]
fn nothing_that_follows_the_certificate_is_read_before_the_verdict() {
    for accept in [true, false] {
        let mut world = world(plain(), Some(client_identity()));
        world.server.questions = Questions::NONE.with(QuestionKind::VerifyPeer);
        let mut pair = world.connected();
        pair.server.connection.request_client_certificate(REQUIRED).unwrap();
        while pair.server.connection.poll_event().is_some() {}
        // All that the client has to say reaches the server at once: data, its certificate, and data again.
        pair.client.connection.write_plaintext(b"before").unwrap();
        let request = pair.server.connection.poll_transmit().unwrap().to_vec();
        pair.server.connection.transmitted(request.len());
        pair.client.connection.handle_ciphertext(&request);
        let mut nothing = [0; 10];
        pair.client.connection.read_plaintext(&mut nothing[..]).unwrap();
        pair.client.connection.write_plaintext(b"after").unwrap();
        pair.drive();
        assert_eq!(pair.server.received, b"before");
        let Some(Event::VerifyPeer(question)) = pair.server.take_question() else { panic!("no question") };
        let answer =
            if accept { VerifyPeerAnswer::Agree } else { VerifyPeerAnswer::Reject("not this one".into()) };
        question.answer(&mut pair.server.connection, answer).unwrap();
        pair.drive();
        let expected: &[u8] = if accept { b"beforeafter" } else { b"before" };
        assert_eq!(pair.server.received, expected);
        assert_eq!(pair.server.code(), if accept { "" } else { "ERR_TLS_PEER_REJECTED" });
        assert_eq!(authentications(&pair), usize::from(accept));
    }
}

#[test]
fn a_client_that_did_not_offer_it_is_not_asked() {
    for variation in variations() {
        let mut pair = World::new(variation).connected();
        let error = pair.server.connection.request_client_certificate(REQUIRED).unwrap_err();
        assert_eq!(error.code(), "ERR_SSL_EXTENSION_NOT_RECEIVED");
        assert!(!pair.server.connection.is_renegotiating());
        pair.send(Side::Client, b"goes on");
        pair.send(Side::Server, b"goes on");
    }
}

#[test]
fn a_certificate_is_asked_for_by_servers_of_tls_1_3_only() {
    let mut pair = World::new(Variation::plain(ProtocolVersion::Tls1_2)).connected();
    let error = pair.server.connection.request_client_certificate(REQUIRED).unwrap_err();
    assert_eq!(error.code(), "ERR_SSL_WRONG_SSL_VERSION");
    let mut pair = world(plain(), None).connected();
    for (side, authentication) in [(Side::Client, REQUIRED), (Side::Server, ClientAuthentication::None)] {
        let error = pair.peer(side).connection.request_client_certificate(authentication).unwrap_err();
        assert_eq!(error.code(), "ERR_TLS_API_MISUSE");
    }
    pair.server.connection.request_client_certificate(OPTIONAL).unwrap();
    let again = pair.server.connection.request_client_certificate(OPTIONAL).unwrap_err();
    assert_eq!(again.code(), "ERR_TLS_API_MISUSE");
    pair.drive();
    assert_eq!(authentications(&pair), 1);
}

#[test]
fn the_answer_to_a_late_request_has_a_time_limit() {
    let mut pair = world(plain(), None).connected();
    let connection = &mut pair.server.connection;
    connection.request_client_certificate(OPTIONAL).unwrap();
    assert!(connection.poll_timeout().unwrap() <= pair.now);
    connection.handle_timeout(pair.now);
    assert_eq!(connection.poll_timeout(), Some(pair.now + DEFAULT_HANDSHAKE_TIMEOUT));
    connection.handle_timeout(pair.now + DEFAULT_HANDSHAKE_TIMEOUT - Duration::from_nanos(1));
    assert!(connection.error().is_none());
    connection.handle_timeout(pair.now + DEFAULT_HANDSHAKE_TIMEOUT);
    assert_eq!(connection.error().unwrap().code(), "ERR_TLS_HANDSHAKE_TIMEOUT");
}
