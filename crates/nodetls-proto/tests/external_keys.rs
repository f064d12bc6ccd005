//! Private keys that are elsewhere: the handshake stops for each signature, wherever the key is needed.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::thread;

use nodetls_proto::{
    AskSign, ClientAuthentication, Connection, Event, KeyPem, Question, QuestionKind, Questions,
    SecureContext, SecureContextOptions, Side,
};
use nodetls_test::pair::{
    Pair, Variation, World, authority, client_identity, context, context_options, server_identity,
    with_identity,
};
use nodetls_test::pki::{Identity, KeyKind, Leaf};
use nodetls_test::signer::sign;

const KINDS: [KeyKind; 3] = [KeyKind::Ecdsa, KeyKind::Rsa, KeyKind::Ed25519];

/// Options with a certificate whose key is elsewhere.
fn without_key(variation: Variation, identity: &Identity) -> SecureContextOptions {
    let mut options = context_options(variation.version);
    options.cert.push(identity.cert_pem.clone().into());
    options.external_key = true;
    options
}

fn asks(world: &mut World, side: Side) {
    let questions = Questions::NONE.with(QuestionKind::Sign);
    match side {
        Side::Client => world.client.questions = questions,
        Side::Server => world.server.questions = questions,
    }
}

/// A world in which the server's key is elsewhere.
fn server_world(variation: Variation, identity: &Identity) -> World {
    let mut world = World::new(variation);
    world.server_context = context(&without_key(variation, identity));
    asks(&mut world, Side::Server);
    world
}

/// A world in which the client's key is elsewhere, and needed.
fn client_world(variation: Variation, identity: &Identity) -> World {
    let mut world = World::new(variation);
    world.client_context = context(&without_key(variation, identity));
    world.server.client_authentication = ClientAuthentication::Required;
    asks(&mut world, Side::Client);
    world
}

fn take(pair: &mut Pair, side: Side) -> Question<AskSign> {
    let codes = pair.codes();
    match pair.peer(side).take_question() {
        Some(Event::Sign(question)) => question,
        other => panic!("{other:?} instead of a request to sign: {codes:?}"),
    }
}

fn answer_with(identity: &Identity, question: Question<AskSign>, connection: &mut Connection) {
    let facts = question.facts();
    assert_eq!(facts.certificate.to_der(), identity.cert_der);
    let signature = sign(identity, facts.scheme, &facts.message);
    assert!(signature.is_some(), "{} is not one of the key's", facts.scheme.name());
    question.answer(connection, signature).unwrap();
}

#[test]
fn a_server_whose_key_is_elsewhere_asks_for_its_signature() {
    for kind in KINDS {
        let identity = authority().issue(&Leaf::server("localhost").with_key(kind));
        for variation in Variation::deliveries() {
            let mut pair = server_world(variation, &identity).driven();
            let question = take(&mut pair, Side::Server);
            assert!(pair.server.connection.waits_for_answer() && !pair.client.is_secure());
            answer_with(&identity, question, &mut pair.server.connection);
            pair.drive();
            pair.assert_connected();
            assert!(pair.server.take_question().is_none(), "one signature is enough");
        }
    }
}

#[test]
fn a_client_whose_key_is_elsewhere_asks_for_its_signature() {
    for kind in KINDS {
        let identity = authority().issue(&Leaf::client("a client").with_key(kind));
        for variation in Variation::deliveries() {
            let mut pair = client_world(variation, &identity).driven();
            let question = take(&mut pair, Side::Client);
            answer_with(&identity, question, &mut pair.client.connection);
            pair.drive();
            pair.assert_connected();
            assert!(pair.server.connection.is_authorized());
            assert_eq!(pair.server.connection.peer_certificate().unwrap().to_der(), identity.cert_der);
        }
    }
}

#[test]
fn a_handshake_that_waits_for_a_signature_goes_on_on_another_thread() {
    let identity = server_identity();
    for variation in Variation::versions() {
        let mut pair = server_world(variation, identity).driven();
        let question = take(&mut pair, Side::Server);
        let mut pair = thread::spawn(move || {
            answer_with(server_identity(), question, &mut pair.server.connection);
            pair.drive();
            pair
        })
        .join()
        .unwrap();
        pair.assert_connected();
        pair.client.connection.write_plaintext(b"from another thread").unwrap();
        pair.drive();
        assert_eq!(pair.server.received, b"from another thread");
    }
}

#[test]
fn keys_at_hand_and_elsewhere_work_side_by_side() {
    let rsa = authority().issue(&Leaf::server("localhost").with_key(KeyKind::Rsa));
    for variation in Variation::versions() {
        for (kind, is_elsewhere) in [("ECDSA", true), ("RSA", false)] {
            let mut options = without_key(variation, server_identity());
            options.cert.push(rsa.cert_pem.clone().into());
            options.key.push(KeyPem { pem: rsa.key_pem.as_str().into(), passphrase: None });
            // The suite decides in TLS 1.2, the signature algorithm in TLS 1.3.
            let suites = format!("TLS_AES_128_GCM_SHA256:ECDHE-{kind}-AES128-GCM-SHA256");
            options.ciphers = Some(suites);
            if variation.is_tls1_3() {
                options.sigalgs =
                    Some(if is_elsewhere { "ECDSA+SHA256" } else { "RSA-PSS+SHA256" }.to_owned());
            }
            let mut world = World::new(variation);
            world.server_context = context(&options);
            asks(&mut world, Side::Server);
            let mut pair = world.driven();
            if is_elsewhere {
                let question = take(&mut pair, Side::Server);
                answer_with(server_identity(), question, &mut pair.server.connection);
                pair.drive();
            }
            pair.assert_connected();
        }
    }
}

#[test]
fn a_signature_that_is_none_fails_the_connection_and_nothing_else() {
    for variation in Variation::deliveries() {
        for answer in [None, Some(Vec::new()), Some(vec![7; 64]), Some(vec![0; 100_000])] {
            let mut pair = server_world(variation, server_identity()).driven();
            let error =
                take(&mut pair, Side::Server).answer(&mut pair.server.connection, answer).unwrap_err();
            assert_eq!(error.code(), "ERR_TLS_SIGN_FAILED");
            pair.drive();
            assert_eq!(pair.server.code(), "ERR_TLS_SIGN_FAILED");
            assert_eq!(pair.client.code(), "ECONNRESET");
        }
    }
}

#[test]
fn another_keys_signature_is_refused() {
    let other = authority().issue(&Leaf::server("localhost"));
    for variation in Variation::versions() {
        let mut pair = server_world(variation, server_identity()).driven();
        let question = take(&mut pair, Side::Server);
        let signature = sign(&other, question.facts().scheme, &question.facts().message);
        let error = question.answer(&mut pair.server.connection, signature).unwrap_err();
        assert_eq!(error.code(), "ERR_TLS_SIGN_FAILED");
    }
}

#[test]
fn failing_dropping_and_leaving_the_question_end_the_connection() {
    for variation in Variation::deliveries() {
        let world = client_world(variation, client_identity());
        let mut pair = world.driven();
        take(&mut pair, Side::Client).fail(&mut pair.client.connection, "the HSM is on fire").unwrap();
        pair.drive();
        assert_eq!(pair.client.code(), "ERR_TLS_SIGN_FAILED");

        let mut pair = world.driven();
        drop(take(&mut pair, Side::Client));
        pair.drive();
        assert_eq!(pair.client.code(), "ERR_TLS_QUESTION_DROPPED");

        // The connection goes while OpenSSL is in the middle of a call.
        let mut pair = world.driven();
        let question = take(&mut pair, Side::Client);
        drop(pair);
        drop(question);
    }
}

#[test]
fn a_peer_that_leaves_while_the_signature_is_made_ends_the_connection() {
    for variation in Variation::deliveries() {
        let mut pair = server_world(variation, server_identity()).driven();
        let question = take(&mut pair, Side::Server);
        pair.server.connection.handle_eof();
        pair.drive();
        assert_eq!(pair.server.code(), "ECONNRESET");
        let error = question.answer(&mut pair.server.connection, Some(Vec::new())).unwrap_err();
        assert_eq!(error.code(), "ERR_TLS_API_MISUSE");
    }
}

#[test]
fn nobody_signs_where_the_program_does_not_want_to_be_asked() {
    for variation in Variation::versions() {
        let mut world = server_world(variation, server_identity());
        world.server.questions = Questions::NONE;
        assert_eq!(world.driven().server.code(), "ERR_TLS_SIGN_FAILED");
    }
}

#[test]
fn a_connection_that_waits_for_a_signature_bears_every_other_call() {
    for variation in Variation::versions() {
        let mut pair = server_world(variation, server_identity()).driven();
        let question = take(&mut pair, Side::Server);
        let connection = &mut pair.server.connection;
        assert!(connection.write_plaintext(b"too early").is_ok_and(|count| count == 0));
        assert!(connection.read_plaintext(&mut [0; 64][..]).is_ok());
        connection.release_buffers();
        connection.advance();
        assert!(connection.poll_event().is_none());
        let _ = (
            connection.cipher_suite(),
            connection.session(),
            connection.finished(),
            connection.peer_certificates(),
        );
        answer_with(server_identity(), question, connection);
        pair.drive();
        assert!(pair.client.is_secure() && pair.server.is_secure(), "{:?}", pair.codes());
    }
}

#[test]
fn the_digest_of_a_question_is_its_messages() {
    let mut pair = server_world(Variation::versions()[1], server_identity()).driven();
    let question = take(&mut pair, Side::Server);
    let facts = question.facts();
    assert_eq!((facts.scheme.name(), facts.scheme.hash()), ("ecdsa_secp256r1_sha256", Some("SHA256")));
    assert_eq!(facts.digest().unwrap().len(), 32);
    // RFC 8446 §4.4.3: 64 spaces, the context string, a zero byte, the transcript's hash.
    assert!(facts.message.starts_with(&[b' '; 64]));
    assert!(facts.message[64..].starts_with(b"TLS 1.3, server CertificateVerify\0"));
    question.answer(&mut pair.server.connection, None).unwrap_err();
}

#[test]
fn other_keys_are_not_taken_from_elsewhere() {
    // The provider that stands for keys elsewhere must not get in the way of those at hand.
    let external = context(&without_key(Variation::versions()[1], server_identity()));
    let rsa = authority().issue(&Leaf::server("localhost").with_key(KeyKind::Rsa));
    for variation in Variation::versions() {
        for identity in [server_identity(), &rsa] {
            let mut world = World::new(variation);
            world.identify_server(identity);
            world.connected();
        }
    }
    drop(external);
}

#[test]
fn a_key_elsewhere_needs_a_certificate_of_a_kind_that_tls_signs_with() {
    let mut options = with_identity(context_options(Variation::versions()[0].version), server_identity());
    options.external_key = true;
    assert!(SecureContext::new(&options).is_ok(), "no key is missing");
}
