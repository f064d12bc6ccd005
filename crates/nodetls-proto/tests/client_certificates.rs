//! Servers that ask for a certificate: who comes in, what is reported, and what each side hears of a refusal.

#![forbid(unsafe_code)]

use std::sync::{Arc, OnceLock};

use nodetls_proto::{ClientAuthentication, Error, SecureContextOptions, ServerNames, Side};
use nodetls_test::pair::{
    Pair, Variation, World, authority, client_identity, context, context_options, name, server_identity,
    with_identity,
};
use nodetls_test::pki::{Authority, Identity, Leaf};

/// What a client shows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shown {
    Good,
    Nothing,
    Untrusted,
    SelfSigned,
    Expired,
    ForServers,
}

const ALL: [Shown; 6] =
    [Shown::Good, Shown::Nothing, Shown::Untrusted, Shown::SelfSigned, Shown::Expired, Shown::ForServers];

impl Shown {
    fn identity(self) -> Option<&'static Identity> {
        static STRANGER: OnceLock<Authority> = OnceLock::new();
        static MADE: [OnceLock<Identity>; 4] = [const { OnceLock::new() }; 4];
        let client = Leaf::client("a client");
        let stranger = || STRANGER.get_or_init(|| Authority::new("a stranger"));
        match self {
            Self::Good => Some(client_identity()),
            Self::Nothing => None,
            Self::Untrusted => Some(MADE[0].get_or_init(|| stranger().issue(&client))),
            Self::SelfSigned => Some(MADE[1].get_or_init(|| Identity::self_signed(&client))),
            Self::Expired => Some(MADE[2].get_or_init(|| authority().issue(&client.expired()))),
            Self::ForServers => Some(MADE[3].get_or_init(|| authority().issue(&Leaf::server("localhost")))),
        }
    }

    /// The objection, as Node.js reports it; empty for none.
    fn code(self) -> &'static str {
        match self {
            Self::Good => "",
            Self::Nothing => "UNABLE_TO_GET_ISSUER_CERT",
            Self::Untrusted => "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
            Self::SelfSigned => "DEPTH_ZERO_SELF_SIGNED_CERT",
            Self::Expired => "CERT_HAS_EXPIRED",
            Self::ForServers => "INVALID_PURPOSE",
        }
    }

    /// The code of the alert that a client with this certificate receives from OpenSSL.
    fn alert_code(self, is_tls1_3: bool) -> &'static str {
        match self {
            Self::Good => "",
            Self::Nothing if is_tls1_3 => "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
            Self::Nothing => "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE",
            Self::Untrusted | Self::SelfSigned => "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
            Self::Expired => "ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED",
            Self::ForServers => "ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        }
    }
}

fn world(variation: Variation, shown: Shown, authentication: ClientAuthentication) -> World {
    let mut world = World::new(variation);
    if let Some(identity) = shown.identity() {
        world.identify_client(identity);
    }
    world.server.client_authentication = authentication;
    world
}

fn authorization_code(pair: &Pair) -> String {
    let error = pair.server.connection.authorization_error();
    error.map(|error| error.code().into_owned()).unwrap_or_default()
}

#[test]
fn an_optional_certificate_lets_every_client_in_and_says_what_is_wrong() {
    for variation in Variation::all() {
        for shown in ALL {
            let mut pair = world(variation, shown, ClientAuthentication::DangerousOptional).connected();
            let server = &pair.server.connection;
            assert_eq!(server.is_authorized(), shown == Shown::Good, "{shown:?}: {variation:?}");
            assert_eq!(authorization_code(&pair), shown.code(), "{shown:?}: {variation:?}");
            let certificate = server.peer_certificate().map(|certificate| certificate.to_der());
            assert_eq!(certificate.as_deref(), shown.identity().map(|identity| identity.cert_der.as_slice()));
            pair.send(Side::Client, b"let in");
        }
    }
}

#[test]
fn a_server_that_asks_for_nothing_judges_nobody() {
    for variation in Variation::all() {
        for shown in ALL {
            let pair = world(variation, shown, ClientAuthentication::None).connected();
            assert!(!pair.server.connection.is_authorized());
            assert!(pair.server.connection.authorization_error().is_none());
            assert!(pair.server.connection.peer_certificates().is_empty(), "{shown:?}: {variation:?}");
        }
    }
}

#[test]
fn a_required_certificate_keeps_out_everybody_else() {
    for variation in Variation::all() {
        for shown in ALL {
            let pair = world(variation, shown, ClientAuthentication::Required).driven();
            if shown == Shown::Good {
                pair.assert_connected();
                assert!(pair.server.connection.is_authorized());
                continue;
            }
            assert!(!pair.server.is_secure(), "{shown:?}: {variation:?}");
            assert!(!pair.server.connection.is_authorized());
            assert_eq!(pair.server.code(), expected_server_code(shown), "{variation:?}");
            // In TLS 1.3 a client is done before the server has seen its certificate (RFC 8446 §4.4.4).
            assert_eq!(pair.client.is_secure(), variation.is_tls1_3(), "{shown:?}: {variation:?}");
        }
    }
}

/// Node: OpenSSL's own code where there is no certificate to object to.
fn expected_server_code(shown: Shown) -> &'static str {
    if shown == Shown::Nothing { "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE" } else { shown.code() }
}

#[test]
fn a_refused_client_gets_the_fitting_alert() {
    for variation in Variation::deliveries() {
        for shown in ALL.into_iter().filter(|shown| *shown != Shown::Good) {
            let pair = world(variation, shown, ClientAuthentication::Required).driven();
            let expected = shown.alert_code(variation.is_tls1_3());
            assert_eq!(pair.client.code(), expected, "{shown:?}: {variation:?}");
            let (client, server) = (pair.client.failure().unwrap(), pair.server.failure().unwrap());
            assert!(matches!(client, Error::AlertReceived(received) if received.side == Side::Client));
            assert_eq!(client.alert(), server.alert(), "{shown:?}: {variation:?}");
        }
    }
}

#[test]
fn the_error_of_a_refused_certificate_names_it() {
    for variation in Variation::all() {
        let pair = world(variation, Shown::Expired, ClientAuthentication::Required).driven();
        let Some(Error::Verify(error)) = pair.server.failure() else { panic!("{:?}", pair.server.failure()) };
        assert_eq!((error.depth, error.side), (0, Side::Server));
        let expected = &Shown::Expired.identity().unwrap().cert_der;
        assert_eq!(&error.certificate.as_ref().unwrap().to_der(), expected, "{variation:?}");
    }
}

#[test]
fn the_clients_whole_chain_is_known_also_when_it_is_not_trusted() {
    let between = authority().intermediate("between");
    let identity = between.issue(&Leaf::client("a client").expired());
    for variation in Variation::versions() {
        let mut world = World::new(variation);
        world.identify_client(&identity);
        world.server.client_authentication = ClientAuthentication::DangerousOptional;
        let pair = world.connected();
        assert_eq!(authorization_code(&pair), "CERT_HAS_EXPIRED");
        assert_eq!(pair.server.connection.peer_certificates().len(), 2);
    }
}

/// A server that asks for nothing, but whose context for one name demands a certificate.
fn demanding_world(variation: Variation, pattern: &str, wanted: &str, shown: Shown) -> World {
    let mut world = world(variation, shown, ClientAuthentication::None);
    let options = SecureContextOptions {
        client_authentication: Some(ClientAuthentication::Required),
        ..with_identity(context_options(variation.version), server_identity())
    };
    let mut names = ServerNames::default();
    names.insert(pattern, context(&options));
    world.server.contexts = Arc::new(names);
    world.client.server_name = name(wanted);
    world.client.dangerous_skip_name_check = true;
    world
}

#[test]
fn a_context_chosen_by_name_may_demand_a_certificate() {
    for variation in Variation::all() {
        for (pattern, wanted) in
            [("closed.test", "closed.test"), ("closed.test", "CLOSED.TEST"), ("CLOSED.test", "closed.test")]
        {
            let pair = demanding_world(variation, pattern, wanted, Shown::Nothing).driven();
            assert!(!pair.server.is_secure(), "{wanted}: {variation:?}");
            assert_eq!(pair.server.code(), "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE");
            let pair = demanding_world(variation, pattern, wanted, Shown::Good).connected();
            assert!(pair.server.connection.is_authorized(), "{wanted}: {variation:?}");
        }
        let pair = demanding_world(variation, "closed.test", "open.test", Shown::Nothing).connected();
        assert!(!pair.server.connection.is_authorized());
    }
}

#[test]
fn a_context_chosen_by_name_may_ask_for_less_than_the_server() {
    for variation in Variation::versions() {
        let mut world = demanding_world(variation, "open.test", "open.test", Shown::Nothing);
        let options = SecureContextOptions {
            client_authentication: Some(ClientAuthentication::None),
            ..with_identity(context_options(variation.version), server_identity())
        };
        let mut names = ServerNames::default();
        names.insert("open.test", context(&options));
        world.server.contexts = Arc::new(names);
        world.server.client_authentication = ClientAuthentication::Required;
        world.connected();
    }
}

#[test]
fn a_context_chosen_by_name_judges_clients_by_its_own_authorities() {
    let stranger = Authority::new("a stranger");
    let of_stranger = stranger.issue(&Leaf::client("a client"));
    for variation in Variation::versions() {
        let mut world = demanding_world(variation, "closed.test", "closed.test", Shown::Good);
        let options = SecureContextOptions {
            ca: Some(vec![stranger.pem().into()]),
            client_authentication: Some(ClientAuthentication::Required),
            ..with_identity(context_options(variation.version), server_identity())
        };
        let mut names = ServerNames::default();
        names.insert("closed.test", context(&options));
        world.server.contexts = Arc::new(names);
        // The client shows the root that it knows with its certificate.
        assert_eq!(world.driven().server.code(), "SELF_SIGNED_CERT_IN_CHAIN");
        world.identify_client(&of_stranger);
        world.connected();
    }
}
