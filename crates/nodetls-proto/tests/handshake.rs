//! Handshakes that end well or ill because of versions, cipher suites, groups, protocols and server names.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use nodetls_proto::{
    AlertDescription, CipherSuite, Error, ProtocolVersion, SecureContextOptions, ServerNames, Side,
};
use nodetls_test::pair::{
    Pair, Variation, World, authority, client_identity, context, context_options, name, server_identity,
    with_identity,
};
use nodetls_test::pki::{Identity, KeyKind, Leaf};

/// A server that has none of what the client wants, and the client that hears of it.
const NOTHING_IN_COMMON: (&str, &str) = ("ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", "ERR_SSL_NO_SHARED_CIPHER");
const NO_COMMON_VERSION: (&str, &str) =
    ("ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", "ERR_SSL_UNSUPPORTED_PROTOCOL");

fn assert_codes(pair: &Pair, (client, server): (&str, &str)) {
    assert_eq!(pair.codes(), (client.to_owned(), server.to_owned()), "{:?}", pair.variation);
}

fn protocols(names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// The default world, with the options of both contexts changed.
fn world(
    variation: Variation,
    client: impl FnOnce(&mut SecureContextOptions),
    server: impl FnOnce(&mut SecureContextOptions),
) -> World {
    let mut world = World::new(variation);
    let mut client_options = context_options(variation.version);
    let mut server_options = with_identity(context_options(variation.version), server_identity());
    client(&mut client_options);
    server(&mut server_options);
    world.client_context = context(&client_options);
    world.server_context = context(&server_options);
    world
}

fn versions(min: ProtocolVersion, max: ProtocolVersion) -> impl Fn(&mut SecureContextOptions) {
    move |options| (options.min_version, options.max_version) = (Some(min), Some(max))
}

fn untouched(_: &mut SecureContextOptions) {}

// ---- versions ----

#[test]
fn both_sides_report_the_version_they_were_restricted_to() {
    for variation in Variation::all() {
        let pair = World::new(variation).connected();
        for peer in [&pair.client, &pair.server] {
            assert_eq!(peer.connection.protocol_version(), Some(variation.version), "{variation:?}");
            assert!(peer.connection.is_open() && !peer.connection.is_handshaking());
        }
    }
}

#[test]
fn the_highest_common_version_is_chosen() {
    use ProtocolVersion::{Tls1_2, Tls1_3};
    for (client, server, expected) in [
        ((Tls1_2, Tls1_3), (Tls1_2, Tls1_3), Tls1_3),
        ((Tls1_2, Tls1_2), (Tls1_2, Tls1_3), Tls1_2),
        ((Tls1_2, Tls1_3), (Tls1_2, Tls1_2), Tls1_2),
    ] {
        for variation in Variation::versions() {
            let world = world(variation, versions(client.0, client.1), versions(server.0, server.1));
            assert_eq!(world.connected().client.connection.protocol_version(), Some(expected));
        }
    }
}

#[test]
fn sides_without_a_common_version_say_so() {
    use ProtocolVersion::{Tls1_1, Tls1_2, Tls1_3};
    for (client, server) in [
        ((Tls1_2, Tls1_2), (Tls1_3, Tls1_3)),
        ((Tls1_3, Tls1_3), (Tls1_2, Tls1_2)),
        ((Tls1_1, Tls1_1), (Tls1_2, Tls1_3)),
    ] {
        for variation in Variation::all() {
            let pair = world(variation, versions(client.0, client.1), versions(server.0, server.1)).driven();
            assert_codes(&pair, NO_COMMON_VERSION);
            for peer in [&pair.client, &pair.server] {
                assert_eq!(peer.failure().unwrap().alert(), Some(AlertDescription::PROTOCOL_VERSION));
            }
        }
    }
}

#[test]
fn tls_1_0_and_1_1_work_only_where_both_sides_ask_for_them() {
    use ProtocolVersion::{Tls1_0, Tls1_1, Tls1_3};
    for version in [Tls1_0, Tls1_1] {
        for variation in Variation::deliveries() {
            let pair = world(variation, versions(version, version), versions(Tls1_0, Tls1_3)).connected();
            assert_eq!(pair.server.connection.protocol_version(), Some(version), "{variation:?}");
        }
        let variation = Variation::plain(Tls1_3);
        let defaults = |options: &mut SecureContextOptions| {
            (options.min_version, options.max_version) = (None, None);
        };
        assert_codes(&world(variation, versions(version, version), defaults).driven(), NO_COMMON_VERSION);
        assert_codes(&world(variation, defaults, versions(version, version)).driven(), NO_COMMON_VERSION);
    }
}

#[test]
fn a_security_level_in_the_cipher_string_is_obeyed_for_old_versions_too() {
    use ProtocolVersion::Tls1_1;
    let strict = |options: &mut SecureContextOptions| {
        versions(Tls1_1, Tls1_1)(options);
        options.ciphers = Some("HIGH:@SECLEVEL=2".to_owned());
    };
    let pair = world(Variation::plain(Tls1_1), strict, versions(Tls1_1, Tls1_1)).driven();
    assert!(!pair.client.is_secure() && !pair.server.is_secure());
    // OpenSSL 3.0 only notices when the server signs.
    let codes = ["ERR_SSL_NO_PROTOCOLS_AVAILABLE", "ERR_SSL_LEGACY_SIGALG_DISALLOWED_OR_UNSUPPORTED"];
    assert!(codes.contains(&pair.client.code().as_str()), "{}", pair.client.code());
}

// ---- cipher suites and groups ----

fn ciphers(list: &str) -> impl Fn(&mut SecureContextOptions) {
    move |options| {
        (options.min_version, options.max_version) = (None, None);
        options.ciphers = Some(list.to_owned());
    }
}

#[test]
fn a_list_with_names_of_one_generation_switches_the_other_off() {
    use ProtocolVersion::{Tls1_2, Tls1_3};
    for variation in Variation::versions() {
        for (list, only) in [
            ("TLS_AES_128_GCM_SHA256", Tls1_3),
            ("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256", Tls1_2),
        ] {
            let pair = world(variation, untouched, ciphers(list)).driven();
            if variation.version == only {
                pair.assert_connected();
                assert!(pair.client.connection.cipher_suite().unwrap().standard_name.contains("AES_128_GCM"));
            } else {
                assert_codes(&pair, NO_COMMON_VERSION);
            }
        }
    }
}

#[test]
fn sides_without_a_common_cipher_suite_say_so() {
    for variation in Variation::all() {
        let one = "TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256";
        let other = "TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES256-GCM-SHA384";
        let set = |list: &'static str| {
            move |options: &mut SecureContextOptions| options.ciphers = Some(list.to_owned())
        };
        let pair = world(variation, set(one), set(other)).driven();
        assert_codes(&pair, NOTHING_IN_COMMON);
    }
}

#[test]
fn the_servers_order_of_cipher_suites_counts_unless_it_says_otherwise() {
    let (first, second) = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384");
    for (honor, expected) in [(None, first), (Some(true), first), (Some(false), second)] {
        let client = |options: &mut SecureContextOptions| options.ciphers = Some(format!("{second}:{first}"));
        let server = |options: &mut SecureContextOptions| {
            options.ciphers = Some(format!("{first}:{second}"));
            options.honor_cipher_order = honor;
        };
        let pair = world(Variation::plain(ProtocolVersion::Tls1_2), client, server).connected();
        assert_eq!(pair.client.connection.cipher_suite().unwrap().name, expected, "{honor:?}");
    }
}

fn groups(list: &'static str) -> impl Fn(&mut SecureContextOptions) {
    move |options| options.ecdh_curve = Some(list.to_owned())
}

#[test]
fn the_group_follows_the_options_also_by_way_of_a_hello_retry_request() {
    // TLS 1.2 lets the groups restrict the curves of certificates too, so the certificate has none.
    let rsa = authority().issue(&Leaf::server("localhost").with_key(KeyKind::Rsa));
    for variation in Variation::all() {
        for (client, server, expected) in [
            ("auto", "P-384", "secp384r1"),
            ("P-256:P-384", "P-384", "secp384r1"),
            ("X25519", "auto", "x25519"),
        ] {
            let mut world = world(variation, groups(client), untouched);
            let mut options = with_identity(context_options(variation.version), &rsa);
            groups(server)(&mut options);
            world.server_context = context(&options);
            let pair = world.connected();
            for peer in [&pair.client, &pair.server] {
                assert_eq!(peer.connection.group_name().as_deref(), Some(expected), "{variation:?}");
            }
        }
    }
}

#[test]
fn sides_without_a_common_group_say_so() {
    for variation in Variation::all() {
        let pair = world(variation, groups("P-384"), groups("P-256")).driven();
        assert!(!pair.client.is_secure() && !pair.server.is_secure());
        assert_eq!(pair.client.code(), "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", "{variation:?}");
        let expected =
            if variation.is_tls1_3() { "ERR_SSL_NO_SUITABLE_KEY_SHARE" } else { "ERR_SSL_NO_SHARED_CIPHER" };
        assert_eq!(pair.server.code(), expected, "{variation:?}");
    }
}

#[test]
fn a_server_without_a_certificate_has_nothing_to_offer() {
    for variation in Variation::all() {
        let pair =
            world(variation, untouched, |options| (options.cert, options.key) = (vec![], vec![])).driven();
        let server = if variation.is_tls1_3() {
            "ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM"
        } else {
            "ERR_SSL_NO_SHARED_CIPHER"
        };
        assert_codes(&pair, ("ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", server));
    }
}

#[test]
fn a_server_with_certificates_of_both_kinds_uses_the_one_that_the_client_can_check() {
    let rsa = authority().issue(&Leaf::server("localhost").with_key(KeyKind::Rsa));
    let server = |options: &mut SecureContextOptions| *options = with_identity(options.clone(), &rsa);
    for variation in Variation::deliveries() {
        for (algorithms, expected) in
            [("RSA-PSS+SHA256", ("RSA", 2048)), ("ECDSA+SHA256:RSA-PSS+SHA384", ("EC", 256))]
        {
            let client = |options: &mut SecureContextOptions| {
                options.sigalgs = Some(algorithms.to_owned());
                options.ciphers = Some(match expected.0 {
                    "RSA" => "TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256".to_owned(),
                    _ => "TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256".to_owned(),
                });
            };
            let pair = world(variation, client, server).connected();
            let certificate = pair.client.connection.peer_certificate().unwrap();
            assert_eq!(certificate.public_key(), Some(expected), "{algorithms}: {variation:?}");
        }
    }
}

// ---- ALPN ----

#[test]
fn the_servers_preferred_protocol_among_those_offered_is_agreed_on() {
    for variation in Variation::all() {
        for (offered, supported, expected) in [
            (vec!["h2"], vec!["h2"], "h2"),
            (vec!["http/1.1", "h2"], vec!["h2", "http/1.1"], "h2"),
            (vec!["x", "http/1.1"], vec!["h2", "http/1.1"], "http/1.1"),
        ] {
            let mut world = World::new(variation);
            world.client.alpn_protocols = protocols(&offered);
            world.server.alpn_protocols = protocols(&supported);
            let pair = world.connected();
            for peer in [&pair.client, &pair.server] {
                assert_eq!(peer.connection.alpn_protocol(), Some(expected.as_bytes()), "{variation:?}");
            }
        }
    }
}

#[test]
fn without_a_common_protocol_the_client_gets_the_alert_of_rfc_7301() {
    for variation in Variation::all() {
        let mut world = World::new(variation);
        world.client.alpn_protocols = protocols(&["x"]);
        world.server.alpn_protocols = protocols(&["h2", "http/1.1"]);
        let pair = world.driven();
        let codes = ("ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL", "ERR_SSL_NO_APPLICATION_PROTOCOL");
        assert_codes(&pair, codes);
        let (client, server) = (pair.client.failure().unwrap(), pair.server.failure().unwrap());
        assert!(matches!(client, Error::AlertReceived(received)
            if received.alert == AlertDescription::NO_APPLICATION_PROTOCOL && received.side == Side::Client));
        assert!(matches!(server, Error::Protocol(error) if error.side == Side::Server));
        assert_eq!(server.alert(), Some(AlertDescription::NO_APPLICATION_PROTOCOL));
    }
}

#[test]
fn no_protocol_is_agreed_on_when_one_side_offers_none() {
    for variation in Variation::all() {
        for (offered, supported) in [(vec![], vec!["h2"]), (vec!["h2"], vec![]), (vec![], vec![])] {
            let mut world = World::new(variation);
            world.client.alpn_protocols = protocols(&offered);
            world.server.alpn_protocols = protocols(&supported);
            let pair = world.connected();
            assert_eq!(pair.client.connection.alpn_protocol(), None, "{variation:?}");
            assert_eq!(pair.server.connection.alpn_protocol(), None, "{variation:?}");
        }
    }
}

// ---- server names ----

/// A server with contexts by name, each with a certificate whose common name is the label given here.
fn named_world(variation: Variation, contexts: &[(&str, &str)], wanted: &str) -> World {
    let mut world = World::new(variation);
    let mut names = ServerNames::default();
    for (pattern, label) in contexts {
        let identity = labelled(label);
        names.insert(pattern, context(&with_identity(context_options(variation.version), &identity)));
    }
    world.server.contexts = Arc::new(names);
    world.identify_server(&labelled("default"));
    world.client.server_name = name(wanted);
    world.client.dangerous_skip_name_check = true;
    world
}

fn labelled(label: &str) -> Identity {
    authority().issue(&Leaf::server(label))
}

fn label_of(pair: &Pair) -> String {
    let subject = pair.client.connection.peer_certificate().unwrap().subject();
    subject.common_names().concat()
}

#[test]
fn a_context_is_chosen_by_server_name() {
    let contexts =
        [("a.test", "exact"), ("*.b.test", "wildcard"), ("twice.test", "first"), ("twice.test", "second")];
    for variation in Variation::deliveries() {
        for (wanted, expected) in [
            ("a.test", "exact"),
            ("A.TEST", "exact"),
            ("a.test.", "exact"),
            ("x.b.test", "wildcard"),
            ("x.y.b.test", "default"),
            ("b.test", "default"),
            ("twice.test", "second"),
            ("unknown.test", "default"),
            ("127.0.0.1", "default"),
        ] {
            let pair = named_world(variation, &contexts, wanted).connected();
            assert_eq!(label_of(&pair), expected, "{wanted}: {variation:?}");
        }
    }
}

#[test]
fn a_later_wildcard_wins_over_an_earlier_exact_name() {
    for variation in Variation::versions() {
        let contexts = [("a.test", "exact"), ("*.test", "wildcard")];
        assert_eq!(label_of(&named_world(variation, &contexts, "a.test").connected()), "wildcard");
    }
}

#[test]
fn a_pattern_in_capitals_is_found_by_a_name_in_small_letters() {
    for variation in Variation::all() {
        let pair = named_world(variation, &[("*.B.Test", "capitals")], "x.b.test").connected();
        assert_eq!(label_of(&pair), "capitals", "{variation:?}");
    }
}

#[test]
fn a_context_chosen_by_name_applies_with_its_versions_and_cipher_suites() {
    for variation in Variation::versions() {
        let mut world = named_world(variation, &[], "a.test");
        let mut options = context_options(ProtocolVersion::Tls1_2);
        options.ciphers = Some("ECDHE-ECDSA-AES256-GCM-SHA384".to_owned());
        let mut names = ServerNames::default();
        names.insert("a.test", context(&with_identity(options, &labelled("a.test"))));
        world.server.contexts = Arc::new(names);
        let pair = world.driven();
        if variation.is_tls1_3() {
            assert_codes(&pair, NO_COMMON_VERSION);
        } else {
            pair.assert_connected();
            let suite = pair.server.connection.cipher_suite().unwrap();
            assert_eq!(suite.name, "ECDHE-ECDSA-AES256-GCM-SHA384");
        }
    }
}

#[test]
fn the_server_name_is_known_to_both_sides_and_absent_for_addresses() {
    for variation in Variation::all() {
        for (wanted, expected) in [("LOCALHOST", Some("localhost")), ("127.0.0.1", None), ("::1", None)] {
            let mut world = World::new(variation);
            world.client.server_name = name(wanted);
            let pair = world.connected();
            assert_eq!(pair.client.connection.server_name(), expected, "{wanted}: {variation:?}");
            assert_eq!(pair.server.connection.server_name(), expected, "{wanted}: {variation:?}");
        }
    }
}

// ---- what connections can tell ----

#[test]
fn getters_know_nothing_before_the_handshake_and_agree_after_it() {
    for variation in Variation::all() {
        let world = World::new(variation);
        let fresh = world.pair();
        for connection in [&fresh.client.connection, &fresh.server.connection] {
            assert_eq!(connection.protocol_version(), None);
            assert_eq!(connection.cipher_suite(), None);
            assert_eq!(connection.group_name(), None);
            assert_eq!(connection.alpn_protocol(), None);
            assert!(connection.peer_certificates().is_empty());
            assert!(!connection.is_session_reused() && !connection.is_authorized());
            assert!(connection.authorization_error().is_none() && connection.error().is_none());
        }
        let pair = world.connected();
        let (client, server) = (&pair.client.connection, &pair.server.connection);
        assert_eq!((client.side(), server.side()), (Side::Client, Side::Server));
        let suite = client.cipher_suite().unwrap();
        assert_eq!(Some(suite), server.cipher_suite());
        assert_suite_fits(suite, variation);
        assert_eq!(client.group_name(), server.group_name());
        assert!(client.group_name().is_some());
        assert!(!client.is_session_reused() && !server.is_session_reused());
    }
}

#[test]
fn the_version_of_a_suite_is_the_first_that_had_it() {
    for variation in Variation::deliveries().into_iter().filter(|variation| !variation.is_tls1_3()) {
        let mut world = World::new(variation);
        let mut options = context_options(variation.version);
        options.ciphers = Some("ECDHE-ECDSA-AES128-SHA".to_owned());
        world.client_context = context(&options);
        let pair = world.connected();
        for connection in [&pair.client.connection, &pair.server.connection] {
            let suite = connection.cipher_suite().unwrap();
            assert_eq!(suite.name, "ECDHE-ECDSA-AES128-SHA");
            assert_eq!(suite.standard_name, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA");
            assert_eq!(suite.version, "TLSv1.0");
            assert_eq!(connection.protocol_version(), Some(ProtocolVersion::Tls1_2));
        }
    }
}

fn assert_suite_fits(suite: CipherSuite, variation: Variation) {
    assert!(suite.standard_name.starts_with("TLS_"));
    assert_eq!(suite.version, if variation.is_tls1_3() { "TLSv1.3" } else { "TLSv1.2" });
    assert_eq!(suite.name == suite.standard_name, variation.is_tls1_3());
}

#[test]
fn certificates_are_known_on_both_sides() {
    for variation in Variation::all() {
        let mut world = World::new(variation);
        world.identify_client(client_identity());
        world.server.client_authentication = nodetls_proto::ClientAuthentication::Required;
        let pair = world.connected();
        let (client, server) = (&pair.client.connection, &pair.server.connection);
        assert_eq!(client.certificate().unwrap().to_der(), client_identity().cert_der);
        assert_eq!(server.certificate().unwrap().to_der(), server_identity().cert_der);
        assert_eq!(client.peer_certificate(), server.certificate(), "{variation:?}");
        assert_eq!(server.peer_certificate(), client.certificate(), "{variation:?}");
        // Its own, and the root that its context trusts.
        assert_eq!(server.peer_certificates().len(), 2);
        assert!(client.is_authorized() && server.is_authorized());
    }
}

#[test]
fn a_client_that_was_not_asked_is_not_authorized_and_sends_no_certificate() {
    for variation in Variation::all() {
        let mut world = World::new(variation);
        world.identify_client(client_identity());
        let pair = world.connected();
        assert!(pair.server.connection.peer_certificate().is_none());
        assert!(!pair.server.connection.is_authorized());
        assert!(pair.server.connection.authorization_error().is_none(), "{variation:?}");
    }
}

#[test]
fn ccm_suites_of_tls_1_3_work_where_they_are_named() {
    for suite in ["TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"] {
        let named = |options: &mut SecureContextOptions| {
            options.ciphers = Some(format!("{suite}:DEFAULT@SECLEVEL=0"))
        };
        let pair = world(Variation::plain(ProtocolVersion::Tls1_3), named, named).connected();
        assert_eq!(pair.client.connection.cipher_suite().map(|suite| suite.name), Some(suite));
        let unnamed = world(Variation::plain(ProtocolVersion::Tls1_3), named, untouched).driven();
        assert_eq!(unnamed.server.code(), "ERR_SSL_NO_SHARED_CIPHER");
    }
}

#[test]
fn a_name_that_is_not_sent_is_checked_all_the_same() {
    for variation in Variation::deliveries() {
        let mut world = World::new(variation);
        world.client.send_server_name = false;
        let pair = world.connected();
        assert_eq!(
            (pair.client.connection.server_name(), pair.server.connection.server_name()),
            (None, None)
        );
        world.client.server_name = name("other.test");
        assert_eq!(world.driven().client.code(), "ERR_TLS_CERT_ALTNAME_INVALID");
    }
}

#[test]
fn a_server_has_public_key_work_until_its_flight_is_made_and_a_client_until_it_is_done() {
    for variation in Variation::versions() {
        let mut pair = World::new(variation).pair();
        assert!(pair.client.connection.has_public_key_work());
        pair.client.connection.advance();
        assert!(!pair.client.connection.has_public_key_work());
        let hello = pair.client.connection.poll_transmit().unwrap().to_vec();
        pair.client.connection.transmitted(hello.len());
        pair.server.connection.handle_ciphertext(&hello);
        assert!(pair.server.connection.has_public_key_work());
        pair.server.connection.advance();
        let flight = pair.server.connection.poll_transmit().unwrap().to_vec();
        pair.server.connection.transmitted(flight.len());
        pair.client.connection.handle_ciphertext(&flight);
        assert!(pair.client.connection.has_public_key_work());
        pair.client.connection.advance();
        let finished = pair.client.connection.poll_transmit().unwrap().to_vec();
        pair.client.connection.transmitted(finished.len());
        pair.server.connection.handle_ciphertext(&finished);
        // In TLS 1.2 the key agreement is still to come; in TLS 1.3 only a hash is.
        assert!(pair.server.connection.has_work());
        assert_eq!(pair.server.connection.has_public_key_work(), !variation.is_tls1_3());
        pair.drive();
        pair.assert_connected();
    }
}
