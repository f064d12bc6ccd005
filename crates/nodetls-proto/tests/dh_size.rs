//! The smallest group for finite-field Diffie-Hellman that a client accepts.

#![forbid(unsafe_code)]

use nodetls_proto::{
    ClientOptions, DhParam, EphemeralKey, Error, ProtocolVersion, SecureContextOptions, Side,
};
use nodetls_test::pair::{Variation, World, authority, context, context_options, name, with_identity};
use nodetls_test::pki::{KeyKind, Leaf};

/// The Second Oakley Group of 1024 bits (RFC 2409 §6.2).
const OAKLEY_1024: &str = "-----BEGIN DH PARAMETERS-----
MIGHAoGBAP//////////yQ/aoiFowjTExmKLgNwc0SkCTgiKZ8x0Agu+pjsTmyJR
Sgh5jjQE3e+VGbPNOkMbMCsKbfJfFDdP4TVtbVHCReSFtXZiXn7G9ExC6aY37WsL
/1y29Aa37e44a/taiZ+lrp8kEXxLH+ZJKGZR7OZTgf//////////AgEC
-----END DH PARAMETERS-----
";

/// A server that agrees on keys by finite-field Diffie-Hellman alone.
fn world(variation: Variation, dhparam: DhParam) -> World {
    let rsa = authority().issue(&Leaf::server("localhost").with_key(KeyKind::Rsa));
    let weak = |options: SecureContextOptions| SecureContextOptions {
        ciphers: Some("DHE-RSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256:@SECLEVEL=0".into()),
        ecdh_curve: variation.is_tls1_3().then(|| "ffdhe2048".into()),
        ..options
    };
    let server = SecureContextOptions { dhparam: Some(dhparam), ..context_options(variation.version) };
    World {
        client_context: context(&weak(context_options(variation.version))),
        server_context: context(&weak(with_identity(server, &rsa))),
        ..World::new(variation)
    }
}

#[test]
fn a_server_with_a_smaller_group_is_refused_with_an_alert() {
    let tls1_2 = |variation: &Variation| variation.version == ProtocolVersion::Tls1_2;
    for variation in Variation::all().into_iter().filter(tls1_2) {
        let mut world = world(variation, DhParam::Pem(OAKLEY_1024.into()));
        // The default accepts just this size, as in Node.js.
        assert_eq!(ClientOptions::new(name("localhost")).min_dh_size, 1024);
        let pair = world.connected();
        assert_eq!(pair.client.connection.ephemeral_key(), Some(EphemeralKey::Dh { bits: 1024 }));
        for size in [1025, 2048, u32::MAX] {
            world.client.min_dh_size = size;
            let pair = world.driven();
            let codes = ("ERR_TLS_DH_PARAM_SIZE".into(), "ERR_SSL_TLSV1_ALERT_INSUFFICIENT_SECURITY".into());
            assert_eq!(pair.codes(), codes, "{variation:?}");
            assert!(
                matches!(pair.client.failure(), Some(Error::Protocol(error)) if error.side == Side::Client)
            );
        }
    }
}

#[test]
fn groups_of_tls_1_3_are_measured_as_well() {
    for variation in Variation::deliveries().into_iter().filter(Variation::is_tls1_3) {
        let mut world = world(variation, DhParam::Auto);
        world.client.min_dh_size = 2048;
        assert_eq!(
            world.connected().client.connection.ephemeral_key(),
            Some(EphemeralKey::Dh { bits: 2048 })
        );
        world.client.min_dh_size = 3072;
        let pair = world.driven();
        let codes = ("ERR_TLS_DH_PARAM_SIZE".into(), "ERR_SSL_TLSV1_ALERT_INSUFFICIENT_SECURITY".into());
        assert_eq!(pair.codes(), codes, "{variation:?}");
    }
}

#[test]
fn a_session_from_a_smaller_group_is_not_resumed_where_a_larger_one_is_asked_for() {
    let variation = Variation::plain(ProtocolVersion::Tls1_2);
    let mut world = world(variation, DhParam::Pem(OAKLEY_1024.into()));
    world.client.session = world.connected().client.sessions().pop();
    assert!(world.connected().client.connection.is_session_reused());
    world.client.min_dh_size = 2048;
    assert_eq!(world.driven().client.code(), "ERR_TLS_DH_PARAM_SIZE");
}

#[test]
fn the_size_does_not_concern_elliptic_curves() {
    for variation in Variation::versions() {
        let mut world = World::new(variation);
        world.client.min_dh_size = 4096;
        world.connected();
    }
}
