//! Facts about an established connection: key agreement, channel bindings, key material, sessions, certificates.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use nodetls_proto::{
    Certificate, DhParam, EphemeralKey, Error, Event, GeneralName, KeyPem, ProtocolVersion, PublicKeyDetails,
    SecureContextOptions, Side,
};
use nodetls_test::pair::{self, Pair, Variation, World};
use nodetls_test::pki::{Identity, KeyKind, Leaf};

const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::Tls1_2, ProtocolVersion::Tls1_3];

fn connected(version: ProtocolVersion) -> Pair {
    World::new(Variation::plain(version)).connected()
}

fn server_options(version: ProtocolVersion, identity: &Identity) -> SecureContextOptions {
    pair::with_identity(pair::context_options(version), identity)
}

#[test]
fn both_sides_derive_the_same_key_material_and_other_labels_give_other_material() {
    for version in VERSIONS {
        let pair = connected(version);
        let material = |side: &nodetls_proto::Connection, label: &str, context: Option<&[u8]>| {
            side.export_keying_material(40, label, context).unwrap().expose().to_vec()
        };
        let (client, server) = (&pair.client.connection, &pair.server.connection);
        let common = material(client, "EXPORTER-test", None);
        assert_eq!(common.len(), 40);
        assert_eq!(common, material(server, "EXPORTER-test", None));
        assert_ne!(common, material(server, "EXPORTER-other", None));
        let bound = material(client, "EXPORTER-test", Some(b"context"));
        assert_ne!(bound, common);
        assert_eq!(bound, material(server, "EXPORTER-test", Some(b"context")));
        // RFC 5705 §4 tells no context from an empty one, RFC 8446 §7.5 does not.
        let empty = material(client, "EXPORTER-test", Some(b""));
        assert_eq!(empty == common, version == ProtocolVersion::Tls1_3);
    }
}

#[test]
fn key_material_is_refused_before_the_handshake_and_without_bound() {
    let pair = World::new(Variation::plain(ProtocolVersion::Tls1_3)).pair();
    let early = pair.client.connection.export_keying_material(16, "EXPORTER-test", None);
    assert!(matches!(early, Err(Error::ApiMisuse(_))));
    let pair = connected(ProtocolVersion::Tls1_3);
    let huge = pair.client.connection.export_keying_material(1 << 30, "EXPORTER-test", None);
    assert!(matches!(huge, Err(Error::ApiMisuse(_))));
}

#[test]
fn finished_messages_are_the_same_seen_from_either_side() {
    for version in VERSIONS {
        let fresh = World::new(Variation::plain(version)).pair();
        assert_eq!(fresh.client.connection.finished(), None);
        assert_eq!(fresh.client.connection.peer_finished(), None);
        let pair = connected(version);
        let (client, server) = (&pair.client.connection, &pair.server.connection);
        assert!(client.finished().unwrap().len() >= 12);
        assert_eq!(client.finished(), server.peer_finished());
        assert_eq!(server.finished(), client.peer_finished());
        assert_ne!(client.finished(), server.finished());
    }
}

#[test]
fn the_ephemeral_key_is_told_to_clients_only() {
    for (groups, expected) in [("P-256", ("prime256v1", 256)), ("X25519", ("X25519", 253))] {
        let mut world = World::new(Variation::plain(ProtocolVersion::Tls1_2));
        let options = server_options(ProtocolVersion::Tls1_2, pair::server_identity());
        world.server_context =
            pair::context(&SecureContextOptions { ecdh_curve: Some(groups.to_owned()), ..options });
        let pair = world.connected();
        let key = EphemeralKey::Ecdh { name: expected.0.to_owned(), bits: expected.1 };
        assert_eq!(pair.client.connection.ephemeral_key(), Some(key));
        assert_eq!(pair.server.connection.ephemeral_key(), None);
    }
}

#[test]
fn finite_field_diffie_hellman_needs_parameters() {
    let rsa = pair::authority().issue(&Leaf::server("localhost").with_key(KeyKind::Rsa));
    let suites = |dhparam| SecureContextOptions {
        ciphers: Some("DHE-RSA-AES128-GCM-SHA256".to_owned()),
        dhparam,
        ..server_options(ProtocolVersion::Tls1_2, &rsa)
    };
    let mut world = World::new(Variation::plain(ProtocolVersion::Tls1_2));
    world.server_context = pair::context(&suites(Some(DhParam::Auto)));
    let pair = world.connected();
    assert!(
        matches!(pair.client.connection.ephemeral_key(), Some(EphemeralKey::Dh { bits }) if bits >= 2048)
    );
    world.server_context = pair::context(&suites(None));
    assert_eq!(world.driven().server.code(), "ERR_SSL_NO_SHARED_CIPHER");
}

#[test]
fn shared_signature_algorithms_are_named_as_node_names_them() {
    for version in VERSIONS {
        let pair = connected(version);
        let shared = pair.server.connection.shared_signature_algorithms();
        assert!(shared.iter().any(|name| name == "ECDSA+SHA256"), "{shared:?}");
        assert!(shared.iter().any(|name| name == "RSA-PSS+SHA384"), "{shared:?}");
    }
}

#[test]
fn signature_algorithms_can_be_chosen() {
    let mut world = World::new(Variation::plain(ProtocolVersion::Tls1_2));
    let options = server_options(ProtocolVersion::Tls1_2, pair::server_identity());
    let sigalgs = Some("ECDSA+SHA384".to_owned());
    world.server_context = pair::context(&SecureContextOptions { sigalgs, ..options });
    let pair = world.connected();
    assert_eq!(pair.server.connection.shared_signature_algorithms(), ["ECDSA+SHA384"]);
}

#[test]
fn a_client_tells_the_ticket_of_its_session_and_a_server_does_not() {
    let pair = connected(ProtocolVersion::Tls1_2);
    assert!(pair.client.connection.session_ticket().is_some());
    assert_eq!(pair.server.connection.session_ticket(), None);
    assert!(pair.client.connection.session().is_some());
}

#[test]
fn records_get_no_longer_than_was_asked_for() {
    for version in VERSIONS {
        let mut pair = connected(version);
        assert!(!pair.client.connection.set_max_send_fragment(511));
        assert!(!pair.client.connection.set_max_send_fragment(16_385));
        assert!(pair.client.connection.set_max_send_fragment(512));
        pair.client.connection.write_plaintext(&[7; 2048]).unwrap();
        let sent = pair.client.connection.poll_transmit().unwrap();
        let first = usize::from(u16::from_be_bytes([sent[3], sent[4]]));
        assert!(first < 600, "a record of {first} bytes");
        pair.drive();
        pair.send(Side::Client, &[8; 5000]);
    }
}

#[test]
fn certificates_tell_their_keys_usages_and_digests() {
    let ecdsa = Certificate::from_der(&pair::server_identity().cert_der).unwrap();
    let Some(PublicKeyDetails::Ec { bits: 256, point, curve, nist_curve }) = ecdsa.public_key_details()
    else {
        panic!("not an EC key on 256 bits");
    };
    assert_eq!(
        (point.len(), curve.as_deref(), nist_curve.as_deref()),
        (65, Some("prime256v1"), Some("P-256"))
    );
    assert_eq!(ecdsa.extended_key_usage().unwrap(), ["1.3.6.1.5.5.7.3.1"]);
    assert_eq!(ecdsa.fingerprint512().len(), 64 * 3 - 1);

    let rsa = Identity::self_signed(&Leaf::client("agent1").with_key(KeyKind::Rsa));
    let rsa = Certificate::from_der(&rsa.cert_der).unwrap();
    let Some(PublicKeyDetails::Rsa { bits: 2048, modulus, exponent, der }) = rsa.public_key_details() else {
        panic!("not an RSA key of 2048 bits");
    };
    assert_eq!((modulus.len(), exponent.as_str()), (512, "0x10001"));
    assert!(der.len() > 256);
    assert!(!ecdsa.is_issued_by(&rsa));
    assert_eq!(ecdsa.authority_info_access(), None);
}

#[test]
fn dh_parameters_under_1024_bits_are_refused() {
    // 512 bits, made by `openssl dhparam 512`: small enough to stand here, and too small to be used.
    let small = "-----BEGIN DH PARAMETERS-----\n\
        MEYCQQCUOKMRDTsuCPKYceFwWR5fc/r3sNhgv095JACm6OvnETVidAcAHbT1xCmX\n\
        566YtgnmXi51rlrHdYx9j2Y5t01fAgEC\n\
        -----END DH PARAMETERS-----\n";
    let refused = nodetls_proto::SecureContext::new(&SecureContextOptions {
        dhparam: Some(DhParam::Pem(small.into())),
        key: vec![KeyPem { pem: pair::server_identity().key_pem.clone().into(), passphrase: None }],
        ..SecureContextOptions::default()
    });
    let error = refused.unwrap_err();
    assert_eq!(error.code(), "ERR_INVALID_ARG_VALUE");
    assert!(matches!(&error, Error::Config(config) if config.option == "dhparam"));
}

/// What the `openssl` command prints about the default server's certificate.
fn openssl_x509(arguments: &[&str], pem: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cert.pem");
    std::fs::write(&path, pem).unwrap();
    let mut command = std::process::Command::new("openssl");
    let output = command.args(["x509", "-noout", "-in"]).arg(&path).args(arguments).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn certificates_tell_their_names_times_and_numbers() {
    if nodetls_test::is_missing("openssl") {
        return;
    }
    let identity = pair::server_identity();
    let certificate = Certificate::from_der(&identity.cert_der).unwrap();
    let openssl = |argument: &str| {
        let printed = openssl_x509(&[argument], &identity.cert_pem);
        printed.split_once('=').unwrap().1.trim().to_owned()
    };
    assert_eq!(certificate.valid_from(), openssl("-startdate"));
    assert_eq!(certificate.valid_to(), openssl("-enddate"));
    assert_eq!(certificate.serial_number(), openssl("-serial"));
    assert_eq!(
        certificate.fingerprint256(),
        openssl_x509(&["-fingerprint", "-sha256"], &identity.cert_pem)[19..]
    );
    let sha1 = openssl_x509(&["-fingerprint", "-sha1"], &identity.cert_pem);
    assert!(sha1.ends_with(&certificate.fingerprint()));
    assert_eq!(certificate.to_der(), identity.cert_der);
    assert_eq!(certificate.subject().common_names(), ["localhost"]);
    assert_ne!(certificate.issuer(), certificate.subject());
    let names = certificate.subject_alt_name().unwrap();
    assert_eq!(names, "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1");
}

#[test]
fn certificates_tell_where_to_learn_about_their_issuer() {
    if nodetls_test::is_missing("openssl") {
        return;
    }
    let access = "authorityInfoAccess=OCSP;URI:http://ocsp.test/,caIssuers;URI:http://ca.test/ca.crt";
    let arguments = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let mut command = std::process::Command::new("openssl");
    command.args(arguments).args(["-keyout", "/dev/null", "-subj", "/CN=a.test", "-outform", "DER"]);
    let made = command.args(["-addext", access]).output().unwrap();
    let certificate = Certificate::from_der(&made.stdout).unwrap();
    let uri = |text: &str| GeneralName::Uri(text.into());
    let expected = vec![
        ("OCSP".to_owned(), uri("http://ocsp.test/")),
        ("CA Issuers".to_owned(), uri("http://ca.test/ca.crt")),
    ];
    assert_eq!(certificate.authority_info_access(), Some(expected));
}

#[test]
fn a_name_with_a_value_that_is_no_text_is_not_read() {
    let identity = Identity::self_signed(&Leaf::server("a.test"));
    let mut der = identity.cert_der.clone();
    let common_name = [0x55, 4, 3, 12];
    let at = der.windows(4).rposition(|window| window == common_name).unwrap();
    der[at + 3] = 0x30;
    let certificate = Certificate::from_der(&der).unwrap();
    assert_eq!(certificate.subject().attributes().count(), 0);
    assert_ne!(certificate.issuer().attributes().count(), 0);
}

#[test]
fn key_material_is_logged_alike_on_both_sides_where_it_was_asked_for() {
    for (version, label) in VERSIONS.into_iter().zip(["CLIENT_RANDOM", "CLIENT_TRAFFIC_SECRET_0"]) {
        let mut world = World::new(Variation::plain(version));
        let silent = world.connected();
        assert!(lines(&silent.client.events).is_empty());
        let logging = |options| SecureContextOptions { dangerous_key_log: true, ..options };
        world.client_context = pair::context(&logging(pair::context_options(version)));
        world.server_context = pair::context(&logging(server_options(version, pair::server_identity())));
        let pair = world.connected();
        let mut logged = [lines(&pair.client.events), lines(&pair.server.events)];
        assert!(logged[0].iter().any(|line| line.starts_with(label)), "{label}");
        logged.iter_mut().for_each(|lines| lines.sort());
        assert_eq!(logged[0], logged[1]);
    }
}

fn lines<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<String> {
    let line = |event: &'a Event| match event {
        Event::KeyLog(line) => Some(String::from_utf8(line.expose().to_vec()).unwrap()),
        _ => None,
    };
    events.into_iter().filter_map(line).collect()
}
