//! Options that are wrong are refused by name, with the code of Node.js v20; options that are right take effect.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use nodetls_proto::{
    ClientOptions, Connection, DhParam, Error, KeyPem, Pfx, ProtocolVersion, SecretBytes, SecureContext,
    SecureContextOptions, ServerName, ServerOptions, Side,
};
use nodetls_test::pair::{
    Variation, World, authority, client_identity, context, context_options, name, server_identity,
    with_identity,
};
use nodetls_test::pki::{Identity, KeyKind, Leaf};

type Change = Box<dyn Fn(&mut SecureContextOptions)>;

fn key(pem: impl Into<SecretBytes>, passphrase: Option<&str>) -> KeyPem {
    KeyPem { pem: pem.into(), passphrase: passphrase.map(Into::into) }
}

/// Asserts that a context with this change alone is refused for the option with the code.
fn assert_refused(what: &str, option: &str, code: &str, change: impl Fn(&mut SecureContextOptions)) {
    let mut options = SecureContextOptions::default();
    change(&mut options);
    let Err(error) = SecureContext::new(&options) else { panic!("{what} is accepted") };
    let Error::Config(config) = &error else { panic!("{what}: {error:?}") };
    assert_eq!((config.option, &*error.code()), (option, code), "{what}: {error}");
}

/// A PEM block around bytes that are no certificate or key.
fn pem(label: &str, body: &str) -> Vec<u8> {
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n").into()
}

// ---- certificates, keys, authorities ----

#[test]
fn texts_that_are_no_certificates_are_refused() {
    let whole = server_identity().cert_pem.as_bytes();
    for (what, bytes, code) in [
        ("garbage", b"nonsense".to_vec(), "ERR_OSSL_PEM_NO_START_LINE"),
        ("a key", server_identity().key_pem.clone().into(), "ERR_OSSL_PEM_NO_START_LINE"),
        ("no base64", pem("CERTIFICATE", "!!!!"), "ERR_OSSL_PEM_BAD_BASE64_DECODE"),
        ("no DER", pem("CERTIFICATE", "AAAA"), "ERR_OSSL_ASN1_WRONG_TAG"),
        ("half a text", whole[..200].to_vec(), "ERR_OSSL_PEM_BAD_END_LINE"),
        // Node takes an empty text for no certificate.
        ("nothing", Vec::new(), "ERR_OSSL_PEM_NO_START_LINE"),
    ] {
        assert_refused(what, "cert", code, |options| options.cert = vec![bytes.clone()]);
        // Node passes over what is wrong in `ca`; here nobody trusts less than was written.
        assert_refused(what, "ca", code, |options| options.ca = Some(vec![bytes.clone()]));
        assert_refused(what, "extra_ca", code, |options| options.extra_ca = vec![bytes.clone()]);
    }
}

#[test]
fn texts_that_are_no_keys_are_refused() {
    for (what, bytes) in [
        ("garbage", b"nonsense".to_vec()),
        ("no DER", pem("PRIVATE KEY", "AAAA")),
        ("a certificate", server_identity().cert_pem.clone().into()),
        ("nothing", Vec::new()),
    ] {
        assert_refused(what, "key", "ERR_OSSL_UNSUPPORTED", |options| {
            options.key = vec![key(bytes.clone(), None)];
        });
    }
}

#[test]
fn a_certificate_and_a_key_that_do_not_belong_together_are_refused() {
    let (server, client) = (server_identity(), client_identity());
    let mismatch = "ERR_OSSL_X509_KEY_VALUES_MISMATCH";
    assert_refused("another's key", "key", mismatch, |options| {
        options.cert = vec![server.cert_pem.clone().into()];
        options.key = vec![key(client.key_pem.as_str(), None)];
    });
    assert_refused("a certificate without its key", "cert", mismatch, |options| {
        options.cert = vec![server.cert_pem.clone().into(), client.cert_pem.clone().into()];
        options.key = vec![key(server.key_pem.as_str(), None)];
    });
}

#[test]
fn a_certificate_or_a_key_alone_is_allowed() {
    let server = server_identity();
    let changes: [Change; 2] = [
        Box::new(|options| options.cert = vec![server_identity().cert_pem.clone().into()]),
        Box::new(|options| options.key = vec![key(server_identity().key_pem.as_str(), None)]),
    ];
    for change in changes {
        let mut options = SecureContextOptions::default();
        change(&mut options);
        assert!(SecureContext::new(&options).is_ok(), "{}", server.cert_der.len());
    }
}

#[test]
fn an_encrypted_key_needs_its_passphrase() {
    let identity = server_identity();
    let encrypted = identity.encrypted_key_pem("right");
    let with = |own: Option<&str>, shared: Option<&str>| SecureContextOptions {
        cert: vec![identity.cert_pem.clone().into()],
        key: vec![key(encrypted.as_str(), own)],
        passphrase: shared.map(Into::into),
        ..Default::default()
    };
    for (own, shared) in [
        (None, None),
        (Some("wrong"), None),
        (None, Some("wrong")),
        (Some("wrong"), Some("right")),
        (None, Some("")),
    ] {
        assert_refused("a wrong passphrase", "key", "ERR_OSSL_BAD_DECRYPT", |options| {
            *options = with(own, shared);
        });
    }
    for (own, shared) in [(Some("right"), None), (None, Some("right")), (Some("right"), Some("wrong"))] {
        assert!(SecureContext::new(&with(own, shared)).is_ok(), "{own:?} {shared:?}");
    }
}

#[test]
fn a_passphrase_is_never_cut() {
    // OpenSSL asks for this many bytes.
    let longest = "x".repeat(1024);
    let encrypted = server_identity().encrypted_key_pem(&longest);
    let with = |passphrase: &str| SecureContextOptions {
        key: vec![key(encrypted.as_str(), Some(passphrase))],
        ..Default::default()
    };
    assert!(SecureContext::new(&with(&longest)).is_ok());
    assert_refused("more than the passphrase", "key", "ERR_OSSL_BAD_DECRYPT", |options| {
        *options = with(&format!("{longest}y"));
    });
}

#[test]
fn of_certificates_of_one_kind_the_last_one_needs_a_key() {
    let [first, second] = [0, 1].map(|_| authority().issue(&Leaf::server("localhost")));
    let with = |certificates: [&Identity; 2]| SecureContextOptions {
        cert: certificates.map(|identity| identity.cert_pem.clone().into()).into(),
        key: vec![key(second.key_pem.as_str(), None)],
        ..Default::default()
    };
    assert!(SecureContext::new(&with([&first, &second])).is_ok());
    assert!(SecureContext::new(&with([&second, &second])).is_ok());
    assert_refused("a certificate without a key", "cert", "ERR_OSSL_X509_KEY_VALUES_MISMATCH", |options| {
        *options = with([&second, &first]);
    });
}

#[test]
fn a_passphrase_for_a_key_that_needs_none_is_no_error() {
    let mut options = with_identity(SecureContextOptions::default(), server_identity());
    options.passphrase = Some("not needed".into());
    assert!(SecureContext::new(&options).is_ok());
}

#[test]
fn certificates_and_keys_are_matched_in_any_order() {
    let rsa = authority().issue(&Leaf::server("localhost").with_key(KeyKind::Rsa));
    let ecdsa = server_identity();
    let certificates = [&rsa.cert_pem, &ecdsa.cert_pem];
    let keys = [&rsa.key_pem, &ecdsa.key_pem];
    for (first, second) in [(0, 1), (1, 0)] {
        for reversed in [false, true] {
            let mut options = context_options(ProtocolVersion::Tls1_2);
            options.cert = vec![certificates[first].clone().into(), certificates[second].clone().into()];
            options.key = vec![key(keys[0].as_str(), None), key(keys[1].as_str(), None)];
            if reversed {
                options.key.reverse();
            }
            for (suite, kind) in
                [("ECDHE-RSA-AES128-GCM-SHA256", "RSA"), ("ECDHE-ECDSA-AES128-GCM-SHA256", "EC")]
            {
                let mut client = context_options(ProtocolVersion::Tls1_2);
                client.ciphers = Some(suite.to_owned());
                let world = World {
                    client_context: context(&client),
                    server_context: context(&options),
                    ..World::new(Variation::versions()[0])
                };
                let certificate = world.connected().client.connection.peer_certificate().unwrap();
                assert_eq!(certificate.public_key().unwrap().0, kind);
            }
        }
    }
}

// ---- ciphers, groups, versions ----

#[test]
fn cipher_lists_that_select_nothing_or_cannot_be_read_are_refused() {
    for (list, code) in [
        ("nonsense", "ERR_SSL_NO_CIPHER_MATCH"),
        ("TLS_NONSENSE", "ERR_SSL_NO_CIPHER_MATCH"),
        ("TLS_NONSENSE:HIGH", "ERR_SSL_NO_CIPHER_MATCH"),
        ("TLS_AES_128_GCM_SHA256:nonsense", "ERR_SSL_NO_CIPHER_MATCH"),
        ("tls_aes_128_gcm_sha256", "ERR_SSL_NO_CIPHER_MATCH"),
        ("!ALL", "ERR_SSL_NO_CIPHER_MATCH"),
        ("HIGH:@STRENGTHX", "ERR_SSL_INVALID_COMMAND"),
        ("HIGH:@SECLEVEL=9", "ERR_SSL_INVALID_COMMAND"),
        // Node cuts the list off at the NUL, as C does.
        ("HIGH\0x", "ERR_INVALID_ARG_VALUE"),
        ("TLS_AES_128_GCM_SHA256\0:HIGH", "ERR_INVALID_ARG_VALUE"),
    ] {
        assert_refused(list, "ciphers", code, |options| options.ciphers = Some(list.to_owned()));
    }
    let endless = "HIGH:".repeat(4000);
    assert_refused("a list without end", "ciphers", "ERR_OUT_OF_RANGE", |options| {
        options.ciphers = Some(endless.clone());
    });
}

#[test]
fn a_list_with_an_unknown_name_among_known_ones_is_accepted() {
    for list in
        ["NONSENSE:HIGH", "HIGH:!aNULL", "DEFAULT@SECLEVEL=1", "TLS_AES_128_GCM_SHA256", " HIGH : AES128 "]
    {
        let options = SecureContextOptions { ciphers: Some(list.to_owned()), ..Default::default() };
        assert!(SecureContext::new(&options).is_ok(), "{list}");
    }
}

#[test]
fn groups_that_do_not_exist_are_refused() {
    for (list, code) in [
        ("nonsense", "ERR_CRYPTO_OPERATION_FAILED"),
        ("P-256:nonsense", "ERR_CRYPTO_OPERATION_FAILED"),
        ("", "ERR_CRYPTO_OPERATION_FAILED"),
        // Node cuts the list off at the NUL, as C does.
        ("P-256\0x", "ERR_CRYPTO_OPERATION_FAILED"),
    ] {
        assert_refused(list, "ecdhCurve", code, |options| options.ecdh_curve = Some(list.to_owned()));
    }
    for list in ["auto", "P-256", "prime256v1", "x25519", "X25519:P-256:P-384"] {
        let options = SecureContextOptions { ecdh_curve: Some(list.to_owned()), ..Default::default() };
        assert!(SecureContext::new(&options).is_ok(), "{list}");
    }
}

#[test]
fn signature_algorithms_that_do_not_exist_are_refused() {
    for list in ["nonsense", "RSA+SHA256:nonsense", "", "RSA+SHA256\0x"] {
        let options = SecureContextOptions { sigalgs: Some(list.to_owned()), ..Default::default() };
        let error = SecureContext::new(&options).expect_err(list);
        assert!(matches!(&error, Error::Config(config) if config.option == "sigalgs"), "{error:?}");
    }
    let options = SecureContextOptions { sigalgs: Some("RSA+SHA256".to_owned()), ..Default::default() };
    assert!(SecureContext::new(&options).is_ok());
}

#[test]
fn revocation_lists_and_dh_parameters_that_are_none_are_refused() {
    for (bytes, code) in [
        (b"nonsense".to_vec(), "ERR_OSSL_PEM_NO_START_LINE"),
        (server_identity().cert_pem.clone().into(), "ERR_OSSL_PEM_NO_START_LINE"),
        (Vec::new(), "ERR_OSSL_PEM_NO_START_LINE"),
    ] {
        // Node: ERR_CRYPTO_OPERATION_FAILED whatever is wrong.
        assert_refused("no list", "crl", code, |options| options.crl = vec![bytes.clone()]);
        // Node passes over parameters that it cannot read, and goes on without.
        assert_refused("no parameters", "dhparam", code, |options| {
            options.dhparam = Some(DhParam::Pem(bytes.clone()));
        });
    }
}

#[test]
fn a_minimum_above_the_maximum_is_a_conflict() {
    use ProtocolVersion::{Tls1_0, Tls1_1, Tls1_2, Tls1_3};
    for (min, max) in [(Tls1_3, Tls1_2), (Tls1_2, Tls1_1), (Tls1_1, Tls1_0)] {
        // Node notices only in the handshake, and has this code for `secureProtocol` beside a version.
        assert_refused("a conflict", "minVersion", "ERR_TLS_PROTOCOL_VERSION_CONFLICT", |options| {
            (options.min_version, options.max_version) = (Some(min), Some(max));
        });
    }
    let options = SecureContextOptions { max_version: Some(Tls1_1), ..Default::default() };
    assert!(SecureContext::new(&options).is_ok(), "a maximum alone lowers the minimum");
}

#[test]
fn times_and_counts_have_their_range() {
    assert_refused("2^31 seconds", "sessionTimeout", "ERR_OUT_OF_RANGE", |options| {
        options.session_timeout = Duration::from_secs(1 << 31);
    });
    assert_refused("for ever", "sessionTimeout", "ERR_OUT_OF_RANGE", |options| {
        options.session_timeout = Duration::MAX;
    });
    assert_refused("too many tickets", "session_tickets", "ERR_OUT_OF_RANGE", |options| {
        options.session_tickets = 17;
    });
    let options = SecureContextOptions {
        session_timeout: Duration::from_secs((1 << 31) - 1),
        session_tickets: 16,
        ..Default::default()
    };
    assert!(SecureContext::new(&options).is_ok());
}

// ---- options of connections ----

#[test]
fn impossible_protocols_are_refused_on_both_sides() {
    let world = World::new(Variation::versions()[1]);
    for bad in [vec![Vec::new()], vec![vec![b'a'; 256]], vec![vec![b'a'; 255]; 257]] {
        let client = ClientOptions { alpn_protocols: bad.clone(), ..world.client.clone() };
        let server = ServerOptions { alpn_protocols: bad, ..world.server.clone() };
        let now = Instant::now();
        let errors = [
            Connection::client(&world.client_context, client, now).unwrap_err(),
            Connection::server(&world.server_context, server, now).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.code(), "ERR_OUT_OF_RANGE");
            assert!(matches!(error, Error::Config(config) if config.option == "ALPNProtocols"));
        }
    }
}

#[test]
fn the_longest_protocols_still_work() {
    for variation in Variation::versions() {
        let mut world = World::new(variation);
        world.client.alpn_protocols = vec![vec![0; 255], vec![0xFF; 255]];
        world.server.alpn_protocols = vec![vec![0xFF; 255]];
        let pair = world.connected();
        assert_eq!(pair.server.connection.alpn_protocol(), Some(&[0xFF; 255][..]));
    }
}

#[test]
fn a_server_name_with_a_nul_is_no_server_name() {
    for bad in ["a.test\0.b.test", "\0", "a\0"] {
        assert!(ServerName::parse(bad).is_err(), "{bad:?}");
    }
    // One that was made by hand does no harm.
    let world = World::new(Variation::versions()[1]);
    for text in ["a.test\0.b.test", "", &"a".repeat(300)] {
        let options = ClientOptions { server_name: ServerName::Dns(text.to_owned()), ..world.client.clone() };
        let Err(error) = Connection::client(&world.client_context, options, Instant::now()) else {
            assert!(text.is_empty(), "{text:?} is accepted");
            continue;
        };
        assert!(matches!(&error, Error::Config(config) if config.option == "servername"), "{error:?}");
    }
}

#[test]
fn a_session_id_context_may_have_any_length() {
    for variation in Variation::versions() {
        for length in [0, 1, 32, 33, 10_000] {
            let mut world = World::new(variation);
            world.server.session_id_context = vec![7; length];
            let session = world.connected().client.sessions().pop();
            world.client.session = session;
            assert!(world.connected().client.connection.is_session_reused(), "{length} bytes");
        }
    }
}

// ---- secrets ----

/// Asserts that the debug text has neither the bytes as text, nor as numbers, nor as hexadecimal digits.
fn assert_hidden(what: &str, debug: &str, secret: &[u8]) {
    let numbers = secret.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    let hexadecimal: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let texts = [String::from_utf8_lossy(secret).into_owned(), numbers, hexadecimal];
    for text in texts {
        assert!(!text.is_empty() && !debug.contains(&text), "{what} shows a secret: {debug}");
    }
}

/// Some characters in the middle of a key, without line ends.
fn middle(pem: &str) -> &[u8] {
    &pem.lines().nth(1).expect("a line of base64").as_bytes()[20..44]
}

#[test]
fn debug_output_shows_no_secret() {
    let identity = server_identity();
    let secret = middle(&identity.key_pem);
    assert_hidden("SecretBytes", &format!("{:?}", SecretBytes::from("open sesame")), b"open sesame");
    let pem = key(identity.key_pem.as_str(), Some("open sesame"));
    assert_hidden("KeyPem", &format!("{pem:?}"), secret);
    assert_hidden("KeyPem", &format!("{pem:#?}"), b"open sesame");
    let file = Pfx { buf: secret.into(), passphrase: Some("open sesame".into()) };
    assert_hidden("Pfx", &format!("{file:?}"), secret);
    assert_hidden("Pfx", &format!("{file:?}"), b"open sesame");
    let mut options = with_identity(SecureContextOptions::default(), identity);
    options.passphrase = Some("open sesame".into());
    assert_hidden("SecureContextOptions", &format!("{options:?}"), secret);
    assert_hidden("SecureContextOptions", &format!("{options:#?}"), b"open sesame");
    assert_hidden("SecureContext", &format!("{:?}", context(&options)), secret);
}

#[test]
fn debug_output_of_sessions_and_connections_shows_no_secret() {
    for variation in Variation::all() {
        let mut world = World::new(variation);
        world.identify_client(client_identity());
        world.server.client_authentication = nodetls_proto::ClientAuthentication::Required;
        let mut pair = world.connected();
        let session = pair.client.sessions().pop().unwrap();
        let der = session.to_der().unwrap();
        assert_hidden("Session", &format!("{session:?}"), &der.expose()[40..56]);
        world.client.session = Some(session);
        assert_hidden("ClientOptions", &format!("{:?}", world.client), &der.expose()[40..56]);
        pair.client.connection.write_plaintext(b"plain words").unwrap();
        for (side, identity) in [(Side::Client, client_identity()), (Side::Server, server_identity())] {
            let debug = format!("{:#?}", pair.peer(side).connection);
            assert_hidden("Connection", &debug, middle(&identity.key_pem));
            assert_hidden("Connection", &debug, b"plain words");
            assert_hidden("Connection", &debug, &der.expose()[40..56]);
            assert_hidden("events", &format!("{:?}", pair.peer(side).events), &der.expose()[40..56]);
        }
    }
}

#[test]
fn key_material_is_reported_only_where_it_is_asked_for_and_never_by_debug() {
    use nodetls_proto::Event;
    for variation in Variation::all() {
        for wanted in [false, true] {
            let mut options = context_options(variation.version);
            options.dangerous_key_log = wanted;
            let mut world = World { client_context: context(&options), ..World::new(variation) };
            world.client.server_name = name("localhost");
            let pair = world.connected();
            let lines: Vec<&SecretBytes> = pair
                .client
                .events
                .iter()
                .filter_map(|event| if let Event::KeyLog(line) = event { Some(line) } else { None })
                .collect();
            let label = if variation.is_tls1_3() { "CLIENT_TRAFFIC_SECRET_0 " } else { "CLIENT_RANDOM " };
            let found = lines.iter().any(|line| line.expose().starts_with(label.as_bytes()));
            assert_eq!(found, wanted, "{variation:?}");
            assert_eq!(lines.is_empty(), !wanted);
            let debug = format!("{:?}", pair.client.events);
            for line in lines {
                assert_hidden("KeyLog", &debug, line.expose().rsplit(|byte| *byte == b' ').next().unwrap());
            }
        }
    }
}
