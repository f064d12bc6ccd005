//! Facts about an established connection: key agreement, channel bindings, key material, sessions, certificates.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use nodetls_proto::{
    Certificate, DhParam, EphemeralKey, Error, Event, GeneralName, KeyPem, ProtocolVersion, PublicKeyDetails,
    SecureContext, SecureContextOptions, Session, Side,
};
use nodetls_test::pair::{self, Pair, Variation, World};
use nodetls_test::pki::rcgen::{DnType, ExtendedKeyUsagePurpose, SanType};
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
fn a_post_quantum_key_agreement_is_told_by_its_name() {
    let named = |name: &str| Some(EphemeralKey::Kem { name: name.to_owned() });
    for variation in Variation::deliveries().into_iter().filter(Variation::is_tls1_3) {
        let mut world = World::new(variation);
        let options =
            |options| SecureContextOptions { ecdh_curve: Some("X25519MLKEM768".to_owned()), ..options };
        let server = options(server_options(variation.version, pair::server_identity()));
        // Versions of OpenSSL before 3.5 do not have it.
        let Ok(server) = SecureContext::new(&server) else { return };
        world.server_context = server;
        world.client_context = pair::context(&options(pair::context_options(variation.version)));
        let first = world.connected();
        assert_eq!(first.client.connection.ephemeral_key(), named("X25519MLKEM768"), "{variation:?}");
        assert_eq!(first.server.connection.ephemeral_key(), None);
        assert_eq!(first.server.connection.group_name().as_deref(), Some("X25519MLKEM768"));
        world.client.session = first.client.sessions().pop();
        let resumed = world.connected();
        assert!(resumed.client.connection.is_session_reused());
        assert_eq!(resumed.client.connection.ephemeral_key(), named("X25519MLKEM768"), "{variation:?}");
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
        let mut world = World::new(Variation::plain(version));
        let options = server_options(version, pair::server_identity());
        let sigalgs = Some("ed25519:ECDSA+SHA384:RSA-PSS+SHA256:ECDSA+SHA256:RSA+SHA512".to_owned());
        world.server_context = pair::context(&SecureContextOptions { sigalgs, ..options });
        let shared = world.connected().server.connection.shared_signature_algorithms();
        // The server's order counts. Ed25519 takes no digest; PKCS #1 signatures are shared for certificates.
        let expected = ["Ed25519+UNDEF", "ECDSA+SHA384", "RSA-PSS+SHA256", "ECDSA+SHA256", "RSA+SHA512"];
        assert_eq!(shared, expected, "{version}");
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
    let mut world = World::new(Variation::plain(ProtocolVersion::Tls1_2));
    let first = world.connected();
    let ticket = first.client.connection.session_ticket().unwrap();
    assert_eq!(first.server.connection.session_ticket(), None);
    let [client, server] = [&first.client, &first.server].map(|peer| peer.connection.session().unwrap());
    assert!(!client.id().is_empty() && client.id() != server.id());

    // The next hello brings it, whole (RFC 5077 §3.2).
    world.client.session = Some(client);
    let mut pair = world.pair();
    pair.client.connection.advance();
    let hello = pair.client.connection.poll_transmit().unwrap();
    let length = u16::try_from(ticket.len()).unwrap().to_be_bytes();
    let extension = [&[0, 35], &length[..], &ticket].concat();
    assert!(hello.windows(extension.len()).any(|window| window == extension));
    let second = world.connected();
    assert!(second.server.connection.is_session_reused());
    assert_eq!(second.client.connection.session_ticket(), Some(ticket));
}

#[test]
fn a_server_tells_the_session_that_a_store_would_keep() {
    for version in VERSIONS {
        let fresh = World::new(Variation::plain(version)).pair();
        assert!(fresh.client.connection.session().is_none() && fresh.server.connection.session().is_none());
        let session = connected(version).server.connection.session().unwrap();
        assert!(Session::from_der(session.to_der().unwrap().expose()).is_ok());
    }
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

/// What the `openssl` command makes of this certificate.
fn openssl(arguments: &[&str], identity: &Identity) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let (path, _) = identity.write_to(directory.path(), "this");
    let output =
        std::process::Command::new("openssl").args(arguments).arg("-in").arg(&path).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The value that `openssl x509` prints about it.
fn printed(argument: &[&str], identity: &Identity) -> String {
    let text = openssl(&[&["x509", "-noout"], argument].concat(), identity);
    String::from_utf8(text).unwrap().trim().split_once('=').unwrap().1.trim().to_owned()
}

/// The public key in DER (`SubjectPublicKeyInfo`).
fn public_key(identity: &Identity) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    std::fs::write(&path, openssl(&["x509", "-noout", "-pubkey"], identity)).unwrap();
    let mut command = std::process::Command::new("openssl");
    command.args(["pkey", "-pubin", "-outform", "DER", "-in"]).arg(&path).output().unwrap().stdout
}

#[test]
fn certificates_tell_their_keys_usages_and_digests() {
    if nodetls_test::is_missing("openssl") {
        return;
    }
    let identity = pair::server_identity();
    let ecdsa = Certificate::from_der(&identity.cert_der).unwrap();
    let Some(PublicKeyDetails::Ec { bits: 256, point, curve, nist_curve }) = ecdsa.public_key_details()
    else {
        panic!("not an EC key on 256 bits");
    };
    assert_eq!((curve.as_deref(), nist_curve.as_deref()), (Some("prime256v1"), Some("P-256")));
    assert_eq!(point.len(), 65);
    assert!(public_key(identity).ends_with(&point));
    assert_eq!(ecdsa.authority_info_access(), None);

    let identity = rich_identity();
    let rsa = Certificate::from_der(&identity.cert_der).unwrap();
    let Some(PublicKeyDetails::Rsa { bits: 2048, modulus, exponent, der }) = rsa.public_key_details() else {
        panic!("not an RSA key of 2048 bits");
    };
    assert_eq!((modulus, exponent.as_str()), (printed(&["-modulus"], &identity), "0x10001"));
    assert_eq!(der, public_key(&identity));
    assert!(!ecdsa.is_issued_by(&rsa));
    let usages = ["1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1", "1.2.3.4"];
    assert_eq!(rsa.extended_key_usage().unwrap(), usages);
    assert_eq!(rsa.fingerprint(), printed(&["-fingerprint", "-sha1"], &identity));
    assert_eq!(rsa.fingerprint256(), printed(&["-fingerprint", "-sha256"], &identity));
    assert_eq!(rsa.fingerprint512(), printed(&["-fingerprint", "-sha512"], &identity));
}

/// A certificate with several of everything that there can be several of.
fn rich_identity() -> Identity {
    let leaf = Leaf::client("agent1").with_key(KeyKind::Rsa);
    pair::authority().intermediate("the issuer").issue_edited(&leaf, |params| {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::Other(vec![1, 2, 3, 4]));
        for (kind, value) in [(DnType::CountryName, "DE"), (DnType::OrganizationName, "Ä, B & Söhne")] {
            params.distinguished_name.push(kind, value);
        }
        params.subject_alt_names.push(SanType::URI("http://a.test/".try_into().unwrap()));
        params.subject_alt_names.push(SanType::Rfc822Name("a@a.test".try_into().unwrap()));
    })
}

#[test]
fn dh_parameters_under_1024_bits_are_refused() {
    // An odd number of 1,023 bits, which nobody would take for a prime.
    let small = "-----BEGIN DH PARAMETERS-----\n\
        MIGGAoGAf///////////////////////////////////////////////////////\n\
        ////////////////////////////////////////////////////////////////\n\
        //////////////////////////////////////////////////sCAQI=\n\
        -----END DH PARAMETERS-----\n";
    let refused = SecureContext::new(&SecureContextOptions {
        dhparam: Some(DhParam::Pem(small.into())),
        key: vec![KeyPem { pem: pair::server_identity().key_pem.clone().into(), passphrase: None }],
        ..SecureContextOptions::default()
    });
    let error = refused.unwrap_err();
    assert_eq!(error.code(), "ERR_INVALID_ARG_VALUE");
    assert!(matches!(&error, Error::Config(config) if config.option == "dhparam"));
}

#[test]
fn certificates_tell_their_names_times_and_numbers() {
    if nodetls_test::is_missing("openssl") {
        return;
    }
    let rich = rich_identity();
    for identity in [pair::server_identity(), &rich] {
        let certificate = Certificate::from_der(&identity.cert_der).unwrap();
        assert_eq!(certificate.to_der(), identity.cert_der);
        assert_eq!(certificate.valid_from(), printed(&["-startdate"], identity));
        assert_eq!(certificate.valid_to(), printed(&["-enddate"], identity));
        assert_eq!(certificate.serial_number(), printed(&["-serial"], identity));
    }
    let [own, rich] = [pair::server_identity(), &rich].map(|it| Certificate::from_der(&it.cert_der).unwrap());
    assert_eq!(own.subject().common_names(), ["localhost"]);
    assert_eq!(own.issuer().attributes().collect::<Vec<_>>(), [("CN", "nodetls test root")]);
    assert_eq!(
        own.subject_alt_name().unwrap(),
        "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1"
    );
    assert_eq!(rich.subject_alt_name().unwrap(), "URI:http://a.test/, email:a@a.test");
    let subject: Vec<_> =
        rich.subject().attributes().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let pairs = [("CN", "agent1"), ("C", "DE"), ("O", "Ä, B & Söhne")];
    assert_eq!(subject, pairs.map(|(key, value)| (key.to_owned(), value.to_owned())));
    assert_eq!(rich.issuer().attributes().collect::<Vec<_>>(), [("CN", "the issuer")]);
}

#[test]
fn attributes_of_one_set_stay_together() {
    if nodetls_test::is_missing("openssl") {
        return;
    }
    let arguments = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let mut command = std::process::Command::new("openssl");
    command.args(arguments).args(["-keyout", "/dev/null", "-outform", "DER"]);
    let made = command.args(["-subj", "/O=one/CN=a.test+OU=two", "-multivalue-rdn"]).output().unwrap();
    let subject = Certificate::from_der(&made.stdout).unwrap().subject();
    let sets: Vec<usize> = subject.rdns().iter().map(Vec::len).collect();
    assert_eq!(sets, [1, 2], "{subject}");
    assert_eq!(subject.common_names(), ["a.test"]);
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
