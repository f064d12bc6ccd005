//! Handshakes with keys, and what is asked on the way.

use std::cell::RefCell;

use nodetls_proto::{AskPsk, ProtocolVersion, QuestionKind, SecureContextOptions, Side};
use nodetls_test::pair::{Variation, World, authority, context, context_options, with_identity};
use nodetls_test::pki::{Authority, KeyKind, Leaf};

use crate::world::{
    ASKED, IDENTITY, SUITES, agreed, answer, answered, assert_by_psk, options, world, world_with,
    world_with_certificate,
};

#[test]
fn whoever_has_the_key_comes_in_and_is_authorized() {
    for variation in Variation::deliveries() {
        let mut pair = agreed(&world(variation));
        assert_by_psk(&mut pair);
        assert_eq!(pair.client.connection.psk_identity().as_deref(), Some(IDENTITY));
        assert!(pair.client.connection.peer_certificate().is_none());
        pair.close(Side::Client);
    }
}

#[test]
fn each_key_exchange_of_tls_1_2_works() {
    let identity = authority().issue(&Leaf::server("localhost").with_key(KeyKind::Rsa));
    for variation in Variation::deliveries().into_iter().filter(|variation| !variation.is_tls1_3()) {
        for suite in SUITES {
            let mut world = world_with(variation, suite);
            if suite.starts_with("RSA") {
                world.server_context = context(&with_identity(options(variation, suite), &identity));
            }
            let mut pair = agreed(&world);
            assert_by_psk(&mut pair);
            assert_eq!(pair.client.connection.cipher_suite().unwrap().name, suite);
            assert_eq!(pair.client.connection.peer_certificate().is_some(), suite.starts_with("RSA"));
        }
    }
}

#[test]
fn a_certificate_that_comes_with_a_key_is_judged_all_the_same() {
    let variation = Variation::plain(ProtocolVersion::Tls1_2);
    let stranger = Authority::new("stranger").issue(&Leaf::server("localhost").with_key(KeyKind::Rsa));
    let mut world = world_with(variation, "RSA-PSK-AES128-GCM-SHA256");
    let options = options(variation, "RSA-PSK-AES128-GCM-SHA256");
    world.server_context = context(&with_identity(options, &stranger));
    let pair = agreed(&world);
    assert_eq!(pair.client.code(), "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
}

#[test]
fn tls_1_3_takes_a_suite_with_sha_256_although_others_are_preferred() {
    let variation = Variation::plain(ProtocolVersion::Tls1_3);
    let mut pair = agreed(&world_with_certificate(variation));
    assert_by_psk(&mut pair);
    let suite = pair.client.connection.cipher_suite().unwrap().name;
    assert!(["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"].contains(&suite), "{suite}");
    let by_certificate = answered(&world_with_certificate(variation), &|_| None, &|_| None);
    by_certificate.assert_connected();
    assert_eq!(by_certificate.client.connection.cipher_suite().unwrap().name, "TLS_AES_256_GCM_SHA384");
}

#[test]
fn tls_1_3_without_a_suite_with_sha_256_falls_back_to_the_certificate() {
    let variation = Variation::plain(ProtocolVersion::Tls1_3);
    let mut world = world_with_certificate(variation);
    let client = SecureContextOptions {
        ciphers: Some("TLS_AES_256_GCM_SHA384".into()),
        ..context_options(variation.version)
    };
    world.client_context = context(&client);
    let pair = agreed(&world);
    pair.assert_connected();
    assert!(pair.server.connection.psk_identity().is_none() && pair.server.asked.is_empty());
    assert!(pair.client.connection.peer_certificate().is_some());
}

#[test]
fn a_second_hello_with_the_same_identity_gets_the_same_key() {
    for mut variation in Variation::deliveries() {
        variation.version = ProtocolVersion::Tls1_3;
        let mut world = world(variation);
        let groups = |groups: &str| {
            context(&SecureContextOptions { ecdh_curve: Some(groups.into()), ..options(variation, "") })
        };
        world.client_context = groups("X25519:P-256");
        world.server_context = groups("P-256");
        let mut pair = agreed(&world);
        assert_by_psk(&mut pair);
        assert_eq!(pair.server.asked.len(), 1);
    }
}

#[test]
fn a_client_of_both_versions_is_asked_for_each() {
    let variation = Variation::plain(ProtocolVersion::Tls1_2);
    let mut world = world(variation);
    world.client_context = context(&SecureContextOptions {
        ciphers: Some("TLS_AES_128_GCM_SHA256:PSK".into()),
        ca: Some(vec![authority().pem().into()]),
        ..Default::default()
    });
    let versions = RefCell::new(Vec::new());
    let client = |ask: &AskPsk| {
        versions.borrow_mut().push(ask.protocol_version);
        answer()
    };
    let mut pair = answered(&world, &client, &|_| answer());
    assert_by_psk(&mut pair);
    assert_eq!(*versions.borrow(), [ProtocolVersion::Tls1_3, ProtocolVersion::Tls1_2]);
}

#[test]
fn tls_1_0_takes_keys_too() {
    let variation = Variation::plain(ProtocolVersion::Tls1_0);
    let mut world = world(variation);
    world.client_context = context(&options(variation, "PSK-AES128-CBC-SHA"));
    world.server_context = world.client_context.clone();
    let client = |ask: &AskPsk| {
        assert_eq!(ask.protocol_version, ProtocolVersion::Tls1_0);
        answer()
    };
    assert_by_psk(&mut answered(&world, &client, &|_| answer()));
}

#[test]
fn a_server_is_told_the_identity_and_a_client_the_hint_of_tls_1_2() {
    for variation in Variation::deliveries() {
        for hint in [None, Some("the blue one ☂"), Some("")] {
            let mut world = world(variation);
            world.server.psk_identity_hint = hint.map(str::to_owned);
            let client = |ask: &AskPsk| {
                assert_eq!((ask.identity.as_ref(), ask.protocol_version), (None, variation.version));
                let sent = hint.filter(|hint| !hint.is_empty() && !variation.is_tls1_3());
                assert_eq!(ask.hint.as_deref(), sent.map(str::as_bytes), "{variation:?}");
                answer()
            };
            let server = |ask: &AskPsk| {
                assert_eq!(ask.identity.as_deref(), Some(IDENTITY));
                assert_eq!((ask.hint.as_ref(), ask.protocol_version), (None, variation.version));
                answer()
            };
            assert_by_psk(&mut answered(&world, &client, &server));
        }
    }
}

#[test]
fn all_key_exchanges_carry_the_hint() {
    let identity = authority().issue(&Leaf::server("localhost").with_key(KeyKind::Rsa));
    let variation = Variation::plain(ProtocolVersion::Tls1_2);
    for suite in SUITES {
        let mut world = world_with(variation, suite);
        world.server_context = context(&with_identity(options(variation, suite), &identity));
        world.server.psk_identity_hint = Some("hint".into());
        let client = |ask: &AskPsk| {
            assert_eq!(ask.hint.as_deref(), Some(&b"hint"[..]), "{suite}");
            answer()
        };
        assert_by_psk(&mut answered(&world, &client, &|_| answer()));
    }
}

#[test]
fn without_pre_shared_suites_only_the_hello_of_tls_1_3_is_asked_about() {
    for variation in Variation::deliveries() {
        let mut world = World::new(variation);
        world.client.questions = ASKED;
        world.server.questions = ASKED;
        let pair = answered(&world, &|_| None, &|_| panic!("the server is asked"));
        pair.assert_connected();
        let asked: &[_] = if variation.is_tls1_3() { &[QuestionKind::Psk] } else { &[] };
        assert_eq!(pair.client.asked, asked, "{variation:?}");
    }
}
