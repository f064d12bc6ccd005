//! No key, another key, and answers beyond the limits.

use std::time::Instant;

use nodetls_proto::{
    AlertDescription, AskPsk, ClientAuthentication, Connection, Error, OcspStapling, ProtocolVersion,
    PskAnswer, Questions,
};
use nodetls_test::pair::{Variation, context, with_identity};
use nodetls_test::pki::{Authority, Leaf};

use crate::world::{
    agreed, alert_of, answer, answered, assert_by_psk, options, world, world_with_certificate,
};

#[test]
fn an_unknown_identity_is_told_to_the_client_of_tls_1_2() {
    for variation in Variation::deliveries().into_iter().filter(|variation| !variation.is_tls1_3()) {
        let pair = answered(&world(variation), &|_| answer(), &|_| None);
        assert_eq!(pair.server.code(), "ERR_SSL_PSK_IDENTITY_NOT_FOUND");
        assert_eq!(pair.client.code(), "ERR_SSL_TLSV1_ALERT_UNKNOWN_PSK_IDENTITY");
        for peer in [&pair.client, &pair.server] {
            assert_eq!(alert_of(peer), Some(AlertDescription::UNKNOWN_PSK_IDENTITY));
        }
    }
}

#[test]
fn an_unknown_identity_of_tls_1_3_falls_back_to_the_certificate() {
    for mut variation in Variation::deliveries() {
        variation.version = ProtocolVersion::Tls1_3;
        let pair = answered(&world_with_certificate(variation), &|_| answer(), &|_| None);
        pair.assert_connected();
        assert!(pair.client.connection.is_authorized() && !pair.server.connection.is_authorized());
        assert!(pair.client.connection.peer_certificate().is_some());
        assert!(pair.client.connection.psk_identity().is_none());

        let pair = answered(&world(variation), &|_| answer(), &|_| None);
        assert_eq!(pair.server.code(), "ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM");
        assert_eq!(alert_of(&pair.client), Some(AlertDescription::HANDSHAKE_FAILURE));
    }
}

#[test]
fn another_key_fails_the_handshake_before_anything_is_delivered() {
    let other = || Some(PskAnswer::new([8; 32].as_slice()));
    for variation in Variation::deliveries() {
        for world in [world(variation), world_with_certificate(variation)] {
            let pair = answered(&world, &|_| answer(), &|_| other());
            assert!(!pair.client.is_secure() && !pair.server.is_secure());
            let expected = if variation.is_tls1_3() {
                (
                    "ERR_SSL_BINDER_DOES_NOT_VERIFY",
                    vec![AlertDescription::DECRYPT_ERROR, AlertDescription::ILLEGAL_PARAMETER],
                )
            } else {
                ("ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC", vec![AlertDescription::BAD_RECORD_MAC])
            };
            assert_eq!(pair.server.code(), expected.0, "{variation:?}");
            assert!(expected.1.contains(&alert_of(&pair.client).unwrap()), "{variation:?}");
        }
    }
}

#[test]
fn a_client_without_a_key_stops_in_tls_1_2_and_goes_on_without_in_tls_1_3() {
    for variation in Variation::deliveries() {
        let pair =
            answered(&world_with_certificate(variation), &|_| None, &|_| panic!("the server is asked"));
        if variation.is_tls1_3() {
            pair.assert_connected();
        } else {
            assert_eq!(pair.client.code(), "ERR_SSL_PSK_IDENTITY_NOT_FOUND");
            assert_eq!(alert_of(&pair.server), Some(AlertDescription::HANDSHAKE_FAILURE));
        }
    }
}

#[test]
fn a_server_that_is_not_asked_takes_no_key() {
    for variation in Variation::versions() {
        let mut world = world(variation);
        world.server.questions = Questions::NONE;
        let pair = answered(&world, &|_| answer(), &|_| panic!("the server is asked"));
        assert!(!pair.client.is_secure() && !pair.server.is_secure());
        world.server_context = world_with_certificate(variation).server_context;
        world.client_context = world_with_certificate(variation).client_context;
        let pair = answered(&world, &|_| answer(), &|_| panic!("the server is asked"));
        pair.assert_connected();
        assert!(pair.server.connection.psk_identity().is_none());
    }
}

#[test]
fn a_key_offered_in_vain_does_not_make_up_for_a_certificate_nobody_trusts() {
    let variation = Variation::plain(ProtocolVersion::Tls1_3);
    let mut world = world(variation);
    let stranger = Authority::new("stranger").issue(&Leaf::server("localhost"));
    world.server_context = context(&with_identity(options(variation, ""), &stranger));
    let pair = answered(&world, &|_| answer(), &|_| None);
    assert_eq!(pair.client.code(), "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    assert!(!pair.client.is_secure() && !pair.server.is_secure());
}

#[test]
fn a_server_that_demands_certificates_lets_in_clients_with_a_key() {
    for variation in Variation::versions() {
        let mut world = world_with_certificate(variation);
        world.server.client_authentication = ClientAuthentication::Required;
        assert_by_psk(&mut agreed(&world));
        if variation.is_tls1_3() {
            let pair = answered(&world, &|_| answer(), &|_| None);
            assert_eq!(pair.server.code(), "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE");
        }
    }
}

#[test]
fn a_server_without_a_certificate_need_not_prove_that_it_is_not_revoked() {
    for variation in Variation::deliveries() {
        let mut world = world(variation);
        world.client.ocsp = OcspStapling::Required;
        assert_by_psk(&mut agreed(&world));
    }
}

#[test]
fn identities_and_keys_have_limits() {
    let client = |identity: usize, key: usize| {
        move |_: &AskPsk| Some(PskAnswer::with_identity(vec![b'i'; identity], vec![7; key]))
    };
    let server = |key: usize| move |_: &AskPsk| Some(PskAnswer::new(vec![7; key]));
    for variation in Variation::versions() {
        for (identity, key) in [(1, 1), (128, 256), (256, 512)] {
            let pair = answered(&world(variation), &client(identity, key), &server(key));
            pair.assert_connected();
            assert_eq!(pair.server.connection.psk_identity(), Some(vec![b'i'; identity]));
        }
        for (identity, key) in [(0, 1), (257, 1), (1, 0), (1, 513)] {
            let pair = answered(&world(variation), &client(identity, key), &server(1));
            assert_eq!(pair.client.code(), "ERR_INVALID_ARG_VALUE", "{identity} {key}");
        }
        for key in [0, 513] {
            let pair = answered(&world(variation), &client(1, 1), &server(key));
            assert_eq!(pair.server.code(), "ERR_INVALID_ARG_VALUE", "{key}");
        }
        let with_nul = |_: &AskPsk| Some(PskAnswer::with_identity(*b"a\0b", vec![7]));
        let pair = answered(&world(variation), &with_nul, &server(1));
        assert_eq!(pair.client.code(), "ERR_INVALID_ARG_VALUE");
    }
}

#[test]
fn an_impossible_hint_is_refused_with_the_code_of_node() {
    let variation = Variation::plain(ProtocolVersion::Tls1_2);
    for (hint, good) in
        [("x".repeat(128), true), ("x".repeat(256), true), ("x".repeat(257), false), ("a\0b".into(), false)]
    {
        let mut world = world(variation);
        world.server.psk_identity_hint = Some(hint);
        let made = Connection::server(&world.server_context, world.server.clone(), Instant::now());
        assert_eq!(made.is_ok(), good);
        if good {
            assert_by_psk(&mut agreed(&world));
        } else {
            let error = made.unwrap_err();
            assert_eq!(error.code(), "ERR_TLS_PSK_SET_IDENTIY_HINT_FAILED");
            assert!(matches!(error, Error::Config(it) if it.option == "pskIdentityHint"));
        }
    }
}
