//! Clients that judge servers: chains, authorities, names, and what is kept of an objection that is overruled.
//!
//! The codes are those that Node.js v20 gives for the same certificates.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use nodetls_proto::{
    AlertDescription, Certificate, DefaultAuthorities, Error, ProtocolVersion, SecureContextOptions, Side,
};
use nodetls_test::pair::{
    Pair, Variation, World, authority, client_identity, context, context_options, name, server_identity,
    with_identity,
};
use nodetls_test::pki::rcgen::{DistinguishedName, DnType};
use nodetls_test::pki::{Authority, Identity, Leaf};

/// A chain which a client that trusts only `authority()` refuses.
struct Refused {
    identity: Identity,
    code: &'static str,
    depth: u32,
    alert: AlertDescription,
    /// What the server makes of that alert.
    server_code: &'static str,
}

impl Refused {
    fn new(
        identity: Identity,
        (code, depth): (&'static str, u32),
        (alert, server_code): (AlertDescription, &'static str),
    ) -> Self {
        Self { identity, code, depth, alert, server_code }
    }
}

fn leaf() -> Leaf {
    Leaf::server("localhost")
}

/// The first certificate of a chain in PEM.
fn first(pem: &str) -> String {
    const END: &str = "-----END CERTIFICATE-----\n";
    pem[..pem.find(END).unwrap() + END.len()].to_owned()
}

fn refused_chains() -> Vec<Refused> {
    let unknown_ca = (AlertDescription::UNKNOWN_CA, "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA");
    let stranger = Authority::new("a stranger");
    let below = authority().intermediate("between").issue(&leaf());
    let alone = Identity { cert_pem: first(&below.cert_pem), ..below };
    let strange = stranger.intermediate("between").issue(&leaf());
    let with_root =
        Identity { cert_pem: format!("{}{}", strange.cert_pem, stranger.pem()), ..strange.clone() };
    vec![
        Refused::new(stranger.issue(&leaf()), ("UNABLE_TO_VERIFY_LEAF_SIGNATURE", 0), unknown_ca),
        Refused::new(alone, ("UNABLE_TO_VERIFY_LEAF_SIGNATURE", 0), unknown_ca),
        Refused::new(strange, ("UNABLE_TO_GET_ISSUER_CERT_LOCALLY", 1), unknown_ca),
        Refused::new(with_root, ("SELF_SIGNED_CERT_IN_CHAIN", 2), unknown_ca),
        Refused::new(Identity::self_signed(&leaf()), ("DEPTH_ZERO_SELF_SIGNED_CERT", 0), unknown_ca),
        Refused::new(
            authority().issue(&leaf().expired()),
            ("CERT_HAS_EXPIRED", 0),
            (AlertDescription::CERTIFICATE_EXPIRED, "ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED"),
        ),
        Refused::new(
            authority().issue(&Leaf { from_days: 1, to_days: 9, ..leaf() }),
            ("CERT_NOT_YET_VALID", 0),
            (AlertDescription::BAD_CERTIFICATE, "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE"),
        ),
        Refused::new(
            authority().issue(&Leaf { usages: Leaf::client("localhost").usages, ..leaf() }),
            ("INVALID_PURPOSE", 0),
            (AlertDescription::UNSUPPORTED_CERTIFICATE, "ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE"),
        ),
    ]
}

fn world_of(variation: Variation, identity: &Identity) -> World {
    let mut world = World::new(variation);
    world.identify_server(identity);
    world
}

/// A default server, and a client whose context has these options changed.
fn client_world(variation: Variation, change: impl FnOnce(&mut SecureContextOptions)) -> World {
    let mut options = context_options(variation.version);
    change(&mut options);
    World { client_context: context(&options), ..World::new(variation) }
}

fn objection(pair: &Pair) -> String {
    let error = pair.client.connection.authorization_error();
    error.map(|error| error.code().into_owned()).unwrap_or_default()
}

// ---- chains ----

#[test]
fn a_chain_that_is_not_trusted_is_refused_with_the_code_of_node() {
    for case in refused_chains() {
        for variation in Variation::all() {
            let pair = world_of(variation, &case.identity).driven();
            assert!(!pair.client.is_secure() && !pair.server.is_secure(), "{}: {variation:?}", case.code);
            assert_eq!(pair.client.code(), case.code, "{variation:?}");
            assert!(!pair.client.connection.is_authorized());
        }
    }
}

#[test]
fn the_server_gets_the_alert_that_fits_the_objection() {
    for case in refused_chains() {
        for variation in Variation::all() {
            let pair = world_of(variation, &case.identity).driven();
            assert_eq!(pair.client.failure().unwrap().alert(), Some(case.alert), "{}", case.code);
            let Some(Error::AlertReceived(received)) = pair.server.failure() else {
                panic!("{}: {variation:?}: {:?}", case.code, pair.server.failure())
            };
            assert_eq!((received.alert, received.side), (case.alert, Side::Server), "{variation:?}");
            assert_eq!(pair.server.code(), case.server_code, "{variation:?}");
        }
    }
}

#[test]
fn the_error_names_the_failing_certificate_and_its_depth() {
    for case in refused_chains() {
        for variation in Variation::versions() {
            let pair = world_of(variation, &case.identity).driven();
            let Some(Error::Verify(error)) = pair.client.failure() else { panic!("{:?}", pair.codes()) };
            assert_eq!((error.depth, error.side), (case.depth, Side::Client), "{}", case.code);
            let presented = pair.client.connection.peer_certificates();
            let expected = presented.get(case.depth as usize);
            assert_eq!(error.certificate.as_ref(), expected, "{}", case.code);
            assert!(error.certificate.is_some());
        }
    }
}

#[test]
fn an_overruled_objection_to_the_chain_is_kept() {
    for case in refused_chains() {
        for variation in Variation::all() {
            let mut world = world_of(variation, &case.identity);
            world.client.dangerous_accept_unauthorized = true;
            let mut pair = world.connected();
            assert!(!pair.client.connection.is_authorized());
            assert_eq!(objection(&pair), case.code, "{variation:?}");
            pair.send(Side::Server, b"read all the same");
        }
    }
}

#[test]
fn a_chain_over_intermediates_is_trusted_when_the_server_sends_them() {
    let inner = authority().intermediate("between").intermediate("farther").issue(&leaf());
    for variation in Variation::all() {
        let pair = world_of(variation, &inner).connected();
        assert!(pair.client.connection.is_authorized());
        assert_eq!(pair.client.connection.peer_certificates().len(), 3, "{variation:?}");
        assert_eq!(pair.client.connection.peer_certificates()[0].to_der(), inner.cert_der);
    }
}

#[test]
fn an_intermediate_that_the_server_left_out_may_come_from_the_clients_authorities() {
    let between = authority().intermediate("between");
    let identity = between.issue(&leaf());
    let alone = Identity { cert_pem: first(&identity.cert_pem), ..identity };
    for variation in Variation::versions() {
        let ca = vec![between.pem().into(), authority().pem().into()];
        let mut world = client_world(variation, |options| options.ca = Some(ca));
        world.identify_server(&alone);
        assert!(world.connected().client.connection.is_authorized());
    }
}

#[test]
fn an_intermediate_alone_is_no_anchor_of_trust() {
    let between = authority().intermediate("between");
    for variation in Variation::versions() {
        let mut world = client_world(variation, |options| options.ca = Some(vec![between.pem().into()]));
        world.identify_server(&between.issue(&leaf()));
        assert_eq!(world.driven().client.code(), "UNABLE_TO_GET_ISSUER_CERT");
    }
}

#[test]
fn a_self_signed_certificate_is_trusted_where_it_is_named_as_authority() {
    let identity = Identity::self_signed(&leaf());
    for variation in Variation::all() {
        let ca = vec![identity.cert_pem.clone().into_bytes()];
        let mut world = client_world(variation, |options| options.ca = Some(ca));
        world.identify_server(&identity);
        assert!(world.connected().client.connection.is_authorized(), "{variation:?}");
    }
}

#[test]
fn a_server_completes_its_chain_from_its_own_authorities_up_to_the_root() {
    let between = authority().intermediate("between");
    let farther = between.intermediate("farther");
    let identity = farther.issue(&leaf());
    let alone = Identity { cert_pem: first(&identity.cert_pem), ..identity };
    for variation in Variation::deliveries() {
        let mut options = with_identity(context_options(variation.version), &alone);
        options.ca = Some(vec![authority().pem().into(), between.pem().into(), farther.pem().into()]);
        let world = World { server_context: context(&options), ..World::new(variation) };
        let pair = world.connected();
        assert!(pair.client.connection.is_authorized());
        let names: Vec<_> = pair.client.connection.peer_certificates();
        let names: Vec<_> = names.iter().map(|each| each.subject().common_names().concat()).collect();
        assert_eq!(names, ["localhost", "farther", "between", "nodetls test root"], "{variation:?}");
    }
}

// ---- authorities ----

#[test]
fn explicit_authorities_replace_the_default_ones() {
    for variation in Variation::versions() {
        for default_ca in [DefaultAuthorities::Mozilla, DefaultAuthorities::System] {
            let world = client_world(variation, |options| options.default_ca = default_ca);
            assert!(world.connected().client.connection.is_authorized());
            let nobody = |options: &mut SecureContextOptions| {
                (options.ca, options.default_ca) = (Some(Vec::new()), default_ca);
            };
            let pair = client_world(variation, nobody).driven();
            assert_eq!(pair.client.code(), "SELF_SIGNED_CERT_IN_CHAIN");
        }
    }
}

/// An authority that calls itself by the name of one of Mozilla's roots, and that root.
fn namesake() -> (Authority, &'static str) {
    let kind = |key: &str| match key {
        "C" => Some(DnType::CountryName),
        "O" => Some(DnType::OrganizationName),
        "CN" => Some(DnType::CommonName),
        _ => None,
    };
    let roots = nodetls_proto::root_certificates().unwrap().iter();
    let named = |pem: &'static String| {
        let root = Certificate::all_from_pem(pem.as_bytes()).unwrap().remove(0);
        let attributes = root.subject();
        let attributes = attributes.attributes().map(|(key, value)| Some((kind(key)?, value.to_owned())));
        Some((pem.as_str(), attributes.collect::<Option<Vec<_>>>()?))
    };
    let (pem, attributes) = roots.filter_map(named).next().unwrap();
    let authority = Authority::edited("", |params| {
        params.distinguished_name = DistinguishedName::new();
        attributes.into_iter().for_each(|(kind, value)| params.distinguished_name.push(kind, value));
    });
    (authority, pem)
}

#[test]
fn explicit_authorities_leave_none_of_the_default_ones() {
    let (authority, root) = namesake();
    let identity = authority.issue_edited(&leaf(), |params| {
        params.use_authority_key_identifier_extension = false;
    });
    for variation in Variation::versions() {
        // The root is found by its name where it is trusted, and its signature is not the one.
        for (ca, code) in [
            (None, "CERT_SIGNATURE_FAILURE"),
            (Some(vec![root.into()]), "CERT_SIGNATURE_FAILURE"),
            (Some(vec![Authority::new("another").pem().into()]), "UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
        ] {
            let mut world = client_world(variation, |options| options.ca = ca);
            world.identify_server(&identity);
            assert_eq!(world.driven().client.code(), code, "{variation:?}");
        }
    }
}

#[test]
fn extra_authorities_are_trusted_besides_the_others() {
    let stranger = Authority::new("a stranger");
    let identities = [stranger.issue(&leaf()), server_identity().clone()];
    for variation in Variation::versions() {
        for identity in &identities {
            let mut world = client_world(variation, |options| options.extra_ca = vec![stranger.pem().into()]);
            world.identify_server(identity);
            assert!(world.connected().client.connection.is_authorized());
        }
        let extra_only = |options: &mut SecureContextOptions| {
            (options.ca, options.extra_ca) = (None, vec![stranger.pem().into()]);
        };
        let mut world = client_world(variation, extra_only);
        assert_eq!(world.driven().client.code(), "SELF_SIGNED_CERT_IN_CHAIN");
        world.identify_server(&identities[0]);
        assert!(world.connected().client.connection.is_authorized());
    }
}

#[test]
fn the_default_authorities_do_not_trust_a_throwaway_root() {
    for variation in Variation::all() {
        let pair = client_world(variation, |options| options.ca = None).driven();
        assert_eq!(pair.client.code(), "SELF_SIGNED_CERT_IN_CHAIN", "{variation:?}");
    }
}

#[test]
fn one_text_may_hold_several_authorities() {
    let stranger = Authority::new("a stranger");
    for variation in Variation::versions() {
        for ca in [
            vec![format!("{}{}", stranger.pem(), authority().pem()).into_bytes()],
            vec![stranger.pem().into(), authority().pem().into()],
            vec![format!("a comment\n{}\nanother\n", authority().pem()).into_bytes()],
        ] {
            client_world(variation, |options| options.ca = Some(ca)).connected();
        }
    }
}

// ---- names ----

/// A certificate whose common name is `nobody.test`, for these names.
fn with_names(dns: &[&str]) -> Identity {
    let mut leaf = Leaf::server("nobody.test");
    leaf.alternative_names = dns.iter().flat_map(|dns| Leaf::server(dns).alternative_names).collect();
    authority().issue(&leaf)
}

fn wanted_world(variation: Variation, identity: &Identity, wanted: &str) -> World {
    let mut world = world_of(variation, identity);
    world.client.server_name = name(wanted);
    world
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    for variation in Variation::all() {
        for wanted in ["other.test", "127.0.0.2", "::2", "sub.localhost"] {
            let pair = wanted_world(variation, server_identity(), wanted).driven();
            let failure = pair.client.failure().unwrap();
            assert!(matches!(failure, Error::Identity(_)), "{wanted}: {variation:?}");
            assert_eq!(failure.alert(), Some(AlertDescription::BAD_CERTIFICATE));
            assert_eq!(pair.client.code(), "ERR_TLS_CERT_ALTNAME_INVALID");
            assert!(!pair.client.is_secure());
            assert_eq!(pair.server.code(), "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", "{wanted}: {variation:?}");
        }
    }
}

#[test]
fn names_and_addresses_of_the_certificate_are_accepted() {
    for variation in Variation::all() {
        for wanted in ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "::1", "[::1]"] {
            let pair = wanted_world(variation, server_identity(), wanted).connected();
            assert!(pair.client.connection.is_authorized(), "{wanted}: {variation:?}");
        }
    }
}

#[test]
fn a_wildcard_covers_one_label() {
    let identity = with_names(&["*.a.test", "b.test"]);
    for (wanted, good) in [
        ("x.a.test", true),
        ("b.test", true),
        ("X.A.TEST", true),
        ("a.test", false),
        ("x.y.a.test", false),
        ("x.b.test", false),
        ("nobody.test", false),
    ] {
        for variation in Variation::versions() {
            let pair = wanted_world(variation, &identity, wanted).driven();
            let code = if good { "" } else { "ERR_TLS_CERT_ALTNAME_INVALID" };
            assert_eq!(pair.client.code(), code, "{wanted}");
            assert_eq!(pair.client.is_secure(), good, "{wanted}");
        }
    }
}

#[test]
fn the_chain_is_judged_before_the_name() {
    let stranger = Authority::new("a stranger").issue(&Leaf::server("other.test"));
    for variation in Variation::all() {
        let pair = world_of(variation, &stranger).driven();
        assert_eq!(pair.client.code(), "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "{variation:?}");
    }
}

#[test]
fn an_overruled_objection_to_the_name_is_kept() {
    for variation in Variation::all() {
        let mut world = wanted_world(variation, server_identity(), "other.test");
        world.client.dangerous_accept_unauthorized = true;
        let pair = world.connected();
        assert!(!pair.client.connection.is_authorized());
        assert_eq!(objection(&pair), "ERR_TLS_CERT_ALTNAME_INVALID", "{variation:?}");
    }
}

#[test]
fn leaving_out_the_name_leaves_the_chain_to_be_judged() {
    let stranger = Authority::new("a stranger").issue(&leaf());
    for variation in Variation::all() {
        let mut world = wanted_world(variation, server_identity(), "other.test");
        world.client.dangerous_skip_name_check = true;
        let pair = world.connected();
        assert!(pair.client.connection.is_authorized());
        assert_eq!(objection(&pair), "");
        world.identify_server(&stranger);
        assert_eq!(world.driven().client.code(), "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "{variation:?}");
    }
}

// ---- what a refused server learns ----

#[test]
fn a_refused_server_never_sees_the_clients_certificate() {
    let stranger = Authority::new("a stranger").issue(&leaf());
    for variation in Variation::all() {
        let mut world = world_of(variation, &stranger);
        world.identify_client(client_identity());
        world.server.client_authentication = nodetls_proto::ClientAuthentication::DangerousOptional;
        let pair = world.driven();
        assert_eq!(pair.client.code(), "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
        assert!(pair.server.connection.peer_certificates().is_empty(), "{variation:?}");
    }
}

#[test]
fn a_server_without_a_certificate_is_not_authorized_whatever_the_suite() {
    let anonymous = |options: SecureContextOptions| SecureContextOptions {
        ciphers: Some("AECDH-AES128-SHA:@SECLEVEL=0".to_owned()),
        ..options
    };
    let mut world = World::new(Variation::plain(ProtocolVersion::Tls1_2));
    world.client_context = context(&anonymous(context_options(ProtocolVersion::Tls1_2)));
    world.server_context = context(&anonymous(context_options(ProtocolVersion::Tls1_2)));
    let pair = world.driven();
    assert_eq!(pair.client.code(), "UNABLE_TO_GET_ISSUER_CERT");
    assert!(!pair.client.is_secure());
    world.client.dangerous_accept_unauthorized = true;
    let pair = world.connected();
    assert!(!pair.client.connection.is_authorized());
}
