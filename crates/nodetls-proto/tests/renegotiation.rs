//! Renegotiation (TLS 1.2): begun by either side, and judged like the first handshake.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use nodetls_proto::{
    ClientAuthentication, DEFAULT_HANDSHAKE_TIMEOUT, Event, OcspStapling, ProtocolVersion, QuestionKind,
    Questions, Read, RenegotiateOptions, Side, VerifyPeerAnswer,
};
use nodetls_test::pair::{Answers, Pair, Peer, Variation, World, client_identity, name, server_identity};
use nodetls_test::pki::{Identity, Leaf};

const SIDES: [Side; 2] = [Side::Client, Side::Server];

fn variations() -> impl Iterator<Item = Variation> {
    Variation::all().into_iter().filter(|variation| !variation.is_tls1_3())
}

fn plain() -> Variation {
    Variation::plain(ProtocolVersion::Tls1_2)
}

fn renegotiations(peer: &Peer) -> usize {
    peer.events.iter().filter(|event| matches!(event, Event::Renegotiated)).count()
}

fn other(side: Side) -> Side {
    if side == Side::Client { Side::Server } else { Side::Client }
}

/// Renegotiates, which must succeed.
fn renegotiate(pair: &mut Pair, side: Side, options: RenegotiateOptions) {
    let before = renegotiations(&pair.client);
    pair.peer(side).connection.renegotiate(options).unwrap();
    assert!(pair.peer(side).connection.is_renegotiating());
    pair.drive();
    for side in SIDES {
        let peer = pair.peer(side);
        assert_eq!(renegotiations(peer), before + 1, "{side:?}: {:?}", peer.failure());
        assert!(!peer.connection.is_renegotiating());
    }
}

fn asking(authentication: ClientAuthentication) -> RenegotiateOptions {
    RenegotiateOptions { client_authentication: Some(authentication), ..Default::default() }
}

#[test]
fn either_side_renegotiates_and_data_flows_before_and_after() {
    for variation in variations() {
        for side in SIDES {
            let mut pair = World::new(variation).connected();
            for round in 0..3 {
                let finished = pair.client.connection.finished();
                pair.send(Side::Client, b"before");
                renegotiate(&mut pair, side, RenegotiateOptions::default());
                assert_ne!(pair.client.connection.finished(), finished, "{round}: {variation:?}");
                pair.send(Side::Server, b"after");
                pair.send(Side::Client, b"after");
            }
            pair.close(side);
        }
    }
}

#[test]
fn what_was_known_stays_known() {
    for variation in variations() {
        for side in SIDES {
            let mut world = World::new(variation);
            world.client.alpn_protocols = vec![b"h2".to_vec()];
            world.server.alpn_protocols = vec![b"h2".to_vec()];
            world.client.ocsp = OcspStapling::Requested;
            world.identify_client(client_identity());
            world.server.client_authentication = ClientAuthentication::Required;
            let mut pair = world.connected();
            renegotiate(&mut pair, side, RenegotiateOptions::default());
            for side in SIDES {
                let connection = &pair.peer(side).connection;
                assert_eq!(connection.alpn_protocol(), Some(&b"h2"[..]), "{side:?}: {variation:?}");
                assert_eq!(connection.server_name(), Some("localhost"));
                assert_eq!(connection.protocol_version(), Some(ProtocolVersion::Tls1_2));
                assert!(connection.cipher_suite().is_some() && connection.session().is_some());
                assert!(connection.is_authorized() && connection.peer_certificate().is_some());
                assert!(connection.export_keying_material(32, "EXPORTER-test", None).is_ok());
            }
            let material = |side| {
                let connection = if side == Side::Client { &pair.client } else { &pair.server };
                connection.connection.export_keying_material(32, "EXPORTER-test", None).unwrap()
            };
            assert_eq!(material(Side::Client).expose(), material(Side::Server).expose());
        }
    }
}

#[test]
fn data_that_is_under_way_when_a_renegotiation_begins_arrives() {
    let bytes: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
    for variation in variations() {
        for side in SIDES {
            let mut pair = World::new(variation).connected();
            let mut written = [0, 0];
            for (index, writer) in SIDES.into_iter().enumerate() {
                written[index] = pair.peer(writer).connection.write_plaintext(&bytes).unwrap();
                assert!(written[index] > 0);
            }
            pair.peer(side).connection.renegotiate(RenegotiateOptions::default()).unwrap();
            pair.drive();
            for (index, writer) in SIDES.into_iter().enumerate() {
                let reader = pair.peer(other(writer));
                assert_eq!(renegotiations(reader), 1, "{side:?}: {variation:?}: {:?}", reader.failure());
                assert!(reader.received == bytes[..written[index]], "{side:?}, {writer:?}: {variation:?}");
            }
            pair.send(Side::Client, &bytes);
            pair.send(Side::Server, &bytes);
        }
    }
}

#[test]
fn data_of_a_program_that_does_not_read_is_kept_and_then_delivered() {
    let bytes: Vec<u8> = (0..48_000_u32).map(|number| (number % 253) as u8).collect();
    for side in SIDES {
        let mut pair = World::new(plain()).connected();
        pair.peer(side).reads = false;
        assert_eq!(pair.peer(other(side)).connection.write_plaintext(&bytes).unwrap(), bytes.len());
        pair.peer(side).connection.renegotiate(RenegotiateOptions::default()).unwrap();
        pair.drive();
        assert_eq!(renegotiations(pair.peer(side)), 1);
        assert!(pair.peer(side).received.is_empty() && pair.peer(side).connection.has_received());
        pair.peer(side).reads = true;
        pair.drive();
        assert!(pair.peer(side).received == bytes, "{side:?}");
        pair.send(other(side), b"more");
    }
}

#[test]
fn nothing_is_written_while_keys_are_renegotiated_and_no_key_material_is_given() {
    let mut pair = World::new(plain()).connected();
    pair.client.connection.renegotiate(RenegotiateOptions::default()).unwrap();
    while pair.client.connection.poll_event().is_some() {}
    assert_eq!(pair.client.connection.write_plaintext(b"later").unwrap(), 0);
    let refused = pair.client.connection.export_keying_material(32, "EXPORTER-test", None).unwrap_err();
    assert_eq!(refused.code(), "ERR_TLS_API_MISUSE");
    assert!(pair.client.connection.session().is_none());
    pair.drive();
    pair.send(Side::Client, b"later");
}

#[test]
fn a_server_that_waits_for_the_clients_answer_goes_on_writing() {
    let mut pair = World::new(plain()).connected();
    pair.server.connection.renegotiate(RenegotiateOptions::default()).unwrap();
    while pair.server.connection.poll_event().is_some() {}
    assert_eq!(pair.server.connection.write_plaintext(b"meanwhile").unwrap(), 9);
    pair.drive();
    assert_eq!(pair.client.received, b"meanwhile");
    assert_eq!(renegotiations(&pair.server), 1);
}

// ---- certificates ----

#[test]
fn a_server_fetches_the_clients_certificate() {
    for variation in variations() {
        for authentication in [ClientAuthentication::Required, ClientAuthentication::DangerousOptional] {
            let mut world = World::new(variation);
            world.identify_client(client_identity());
            let mut pair = world.connected();
            assert!(pair.server.connection.peer_certificate().is_none());
            renegotiate(&mut pair, Side::Server, asking(authentication));
            let server = &pair.server.connection;
            assert!(server.is_authorized(), "{variation:?}");
            assert_eq!(server.peer_certificate().unwrap().to_der(), client_identity().cert_der);
            assert_eq!(pair.server.asked.contains(&QuestionKind::VerifyPeer), variation.asks());
            pair.send(Side::Client, b"known now");
        }
    }
}

#[test]
fn a_server_fetches_the_certificate_also_when_the_session_was_resumed() {
    for variation in variations() {
        let mut world = World::new(variation);
        world.identify_client(client_identity());
        world.client.session = world.connected().client.sessions().pop();
        let mut pair = world.connected();
        assert!(pair.server.connection.is_session_reused(), "{variation:?}");
        renegotiate(&mut pair, Side::Server, asking(ClientAuthentication::Required));
        assert!(pair.server.connection.is_authorized() && !pair.server.connection.is_session_reused());
    }
}

#[test]
fn a_client_without_an_acceptable_certificate_is_refused_when_one_is_demanded() {
    let strange = Identity::self_signed(&Leaf::client("a stranger"));
    for variation in variations() {
        for (identity, server_code, alert_code) in [
            (None, "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE", "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE"),
            (Some(&strange), "DEPTH_ZERO_SELF_SIGNED_CERT", "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA"),
        ] {
            let mut world = World::new(variation);
            identity.into_iter().for_each(|identity| world.identify_client(identity));
            let mut pair = world.connected();
            let options = asking(ClientAuthentication::Required);
            pair.server.connection.renegotiate(options).unwrap();
            pair.drive();
            assert_eq!(pair.server.code(), server_code, "{variation:?}");
            assert!(!pair.server.connection.is_authorized());
            if identity.is_none() || !variation.asks() {
                assert_eq!(pair.client.code(), alert_code, "{variation:?}");
            }
        }
    }
}

#[test]
fn an_optional_certificate_lets_the_client_go_on_and_says_what_is_wrong() {
    for variation in variations() {
        let mut pair = World::new(variation).connected();
        renegotiate(&mut pair, Side::Server, asking(ClientAuthentication::DangerousOptional));
        let server = &pair.server.connection;
        assert_eq!(server.authorization_error().unwrap().code(), "UNABLE_TO_GET_ISSUER_CERT");
        assert!(!server.is_authorized() && server.peer_certificates().is_empty(), "{variation:?}");
        pair.send(Side::Client, b"let in");
    }
}

#[test]
fn a_server_that_asks_no_more_knows_its_client_no_more() {
    for variation in variations() {
        let mut world = World::new(variation);
        world.identify_client(client_identity());
        world.server.client_authentication = ClientAuthentication::Required;
        let mut pair = world.connected();
        assert!(pair.server.connection.is_authorized());
        renegotiate(&mut pair, Side::Server, asking(ClientAuthentication::None));
        assert!(!pair.server.connection.is_authorized(), "{variation:?}");
        assert!(pair.server.connection.peer_certificates().is_empty(), "{variation:?}");
        // And the next one finds it again.
        renegotiate(&mut pair, Side::Server, asking(ClientAuthentication::Required));
        assert!(pair.server.connection.is_authorized(), "{variation:?}");
    }
}

#[test]
fn a_stricter_client_refuses_the_server_it_had_let_in() {
    let strict = RenegotiateOptions { dangerous_accept_unauthorized: Some(false), ..Default::default() };
    let strange = Identity::self_signed(&Leaf::server("localhost"));
    for variation in variations() {
        for (identity, wanted, code) in [
            (&strange, "localhost", "DEPTH_ZERO_SELF_SIGNED_CERT"),
            (server_identity(), "other.test", "ERR_TLS_CERT_ALTNAME_INVALID"),
        ] {
            let mut world = World::new(variation);
            world.identify_server(identity);
            world.client.server_name = name(wanted);
            world.client.dangerous_accept_unauthorized = true;
            let mut pair = world.connected();
            renegotiate(&mut pair, Side::Client, RenegotiateOptions::default());
            assert_eq!(pair.client.connection.authorization_error().unwrap().code(), code);
            pair.client.connection.renegotiate(strict).unwrap();
            pair.drive();
            assert_eq!(pair.client.code(), code, "{variation:?}");
            assert!(pair.server.failure().is_some(), "{variation:?}");
        }
    }
}

/// A connection, and the question whether the peer is acceptable, put by this side in a renegotiation.
fn ask_about_peer(side: Side) -> (Pair, Event) {
    let mut world = World::new(plain());
    world.identify_client(client_identity());
    let questions = Questions::NONE.with(QuestionKind::VerifyPeer);
    match side {
        Side::Client => world.client.questions = questions,
        Side::Server => world.server.questions = questions,
    }
    let mut pair = world.driven();
    if let Some(Event::VerifyPeer(question)) = pair.peer(side).take_question() {
        question.decline(&mut pair.peer(side).connection).unwrap();
        pair.drive();
    }
    pair.assert_connected();
    pair.server.connection.renegotiate(asking(ClientAuthentication::Required)).unwrap();
    pair.drive();
    let event = pair.peer(side).take_question().expect("the peer is asked about");
    (pair, event)
}

#[test]
fn the_program_judges_the_peer_again() {
    for side in SIDES {
        let (mut pair, event) = ask_about_peer(side);
        assert_eq!(renegotiations(pair.peer(side)), 0);
        let Event::VerifyPeer(question) = event else { panic!("{event:?}") };
        assert!(question.facts().objection.is_none() && question.facts().certificates.len() == 2);
        question.answer(&mut pair.peer(side).connection, VerifyPeerAnswer::Agree).unwrap();
        pair.drive();
        for side in SIDES {
            assert_eq!(renegotiations(pair.peer(side)), 1, "{side:?}: {:?}", pair.peer(side).failure());
        }
        pair.send(side, b"still here");
    }
}

#[test]
fn the_program_refuses_the_peer_the_second_time() {
    for side in SIDES {
        let (mut pair, event) = ask_about_peer(side);
        let Event::VerifyPeer(question) = event else { panic!("{event:?}") };
        let answer = VerifyPeerAnswer::Reject("not any more".into());
        question.answer(&mut pair.peer(side).connection, answer).unwrap();
        pair.drive();
        assert_eq!(pair.peer(side).code(), "ERR_TLS_PEER_REJECTED", "{side:?}");
        assert_eq!(renegotiations(pair.peer(other(side))), 0);
        assert!(!pair.peer(other(side)).connection.is_renegotiating());
    }
}

#[test]
fn the_time_limit_of_a_renegotiation_holds_for_the_programs_verdict_too() {
    for side in SIDES {
        let (mut pair, event) = ask_about_peer(side);
        let connection = &mut pair.peer(side).connection;
        let begun = connection.poll_timeout().unwrap() + Duration::from_secs(1);
        connection.handle_timeout(begun);
        connection.handle_timeout(begun + DEFAULT_HANDSHAKE_TIMEOUT - Duration::from_nanos(1));
        assert!(connection.error().is_none());
        connection.handle_timeout(begun + DEFAULT_HANDSHAKE_TIMEOUT);
        assert_eq!(connection.error().unwrap().code(), "ERR_TLS_HANDSHAKE_TIMEOUT", "{side:?}");
        drop(event);
    }
}

#[test]
fn a_question_that_is_dropped_in_a_renegotiation_fails_the_connection() {
    for side in SIDES {
        let (mut pair, event) = ask_about_peer(side);
        drop(event);
        pair.drive();
        assert_eq!(pair.peer(side).code(), "ERR_TLS_QUESTION_DROPPED");
    }
}

// ---- ends ----

#[test]
fn a_peer_that_closes_instead_of_renegotiating_ends_the_wait() {
    for cut in [false, true] {
        let mut pair = World::new(plain()).connected();
        if cut {
            pair.cut(Side::Client);
        } else {
            pair.client.connection.send_close_notify();
        }
        pair.server.connection.renegotiate(RenegotiateOptions::default()).unwrap();
        pair.drive();
        let server = &pair.server;
        if !cut {
            assert!(!server.connection.is_renegotiating(), "{cut}");
            assert_eq!(server.ended, Some(Read::Closed));
        } else if server.connection.error().is_none() {
            assert!(server.ended == Some(Read::Truncated) || renegotiations(server) == 1);
        }
    }
}

#[test]
fn a_transport_that_ends_in_a_renegotiation_is_a_truncation() {
    let mut pair = World::new(plain()).connected();
    pair.client.connection.renegotiate(RenegotiateOptions::default()).unwrap();
    pair.cut(Side::Server);
    let mut record = [0; 100];
    pair.client.connection.handle_eof();
    assert_eq!(pair.client.connection.read_plaintext(&mut record[..]).unwrap(), Read::Truncated);
    assert!(!pair.client.connection.is_renegotiating());
    assert_eq!(pair.client.connection.read_plaintext(&mut record[..]).unwrap(), Read::Truncated);
}

#[test]
fn a_goodbye_amid_a_renegotiation_is_said_at_its_end() {
    for variation in variations() {
        for side in SIDES {
            let mut pair = World::new(variation).connected();
            pair.client.connection.renegotiate(RenegotiateOptions::default()).unwrap();
            while pair.client.connection.poll_event().is_some() {}
            if side == Side::Server {
                // It has answered the client's hello and waits for the rest.
                let hello = pair.client.connection.poll_transmit().unwrap().to_vec();
                pair.client.connection.transmitted(hello.len());
                assert_eq!(pair.server.connection.handle_ciphertext(&hello), hello.len());
                let read = pair.server.connection.read_plaintext(&mut [0; 10][..]).unwrap();
                assert_eq!(read, Read::Blocked);
            }
            pair.peer(side).connection.send_close_notify();
            assert!(pair.peer(side).connection.is_close_notify_pending(), "{side:?}: {variation:?}");
            pair.drive();
            assert!(!pair.peer(side).connection.is_close_notify_pending());
            for peer in [&pair.client, &pair.server] {
                assert_eq!((renegotiations(peer), peer.failure().is_none()), (1, true), "{variation:?}");
            }
            assert_eq!(pair.peer(other(side)).ended, Some(Read::Closed), "{side:?}: {variation:?}");
            pair.close(side);
        }
    }
}

#[test]
fn nothing_is_written_to_a_peer_that_went_away_amid_a_renegotiation() {
    let mut pair = World::new(plain()).connected();
    pair.client.connection.renegotiate(RenegotiateOptions::default()).unwrap();
    while pair.client.connection.poll_event().is_some() {}
    assert_eq!(pair.client.connection.write_plaintext(b"waits").unwrap(), 0);
    pair.client.connection.handle_eof();
    while pair.client.connection.poll_event().is_some() {}
    assert_eq!(pair.client.connection.write_plaintext(b"in vain").unwrap_err().code(), "ECONNRESET");
    pair.client.connection.send_close_notify();
    assert!(!pair.client.connection.is_close_notify_pending());
}

#[test]
fn both_sides_may_ask_at_the_same_time() {
    for variation in variations().filter(|variation| variation.answers == Answers::Unasked) {
        let mut pair = World::new(variation).connected();
        for side in SIDES {
            pair.peer(side).connection.renegotiate(RenegotiateOptions::default()).unwrap();
        }
        pair.drive();
        for side in SIDES {
            assert!(renegotiations(pair.peer(side)) >= 1, "{variation:?}: {:?}", pair.peer(side).failure());
        }
        pair.send(Side::Client, b"agreed");
        pair.send(Side::Server, b"agreed");
    }
}
