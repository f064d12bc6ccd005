//! Protocol versions by the names of OpenSSL's methods.

#![forbid(unsafe_code)]

use nodetls_proto::ProtocolVersion::{self, Tls1_0, Tls1_1, Tls1_2, Tls1_3};
use nodetls_proto::{SecureContext, SecureContextOptions};
use nodetls_test::pair::{self, Variation, World};

fn options(method: &str) -> SecureContextOptions {
    let any = SecureContextOptions { min_version: None, max_version: None, ..pair::context_options(Tls1_3) };
    SecureContextOptions { secure_protocol: Some(method.to_owned()), ..any }
}

fn negotiated(client: &str, server: &str) -> Option<ProtocolVersion> {
    let mut world = World::new(Variation::plain(Tls1_3));
    world.client_context = pair::context(&options(client));
    world.server_context = pair::context(&pair::with_identity(options(server), pair::server_identity()));
    world.driven().client.connection.protocol_version()
}

#[test]
fn a_method_stands_for_its_versions() {
    for (method, expected) in [
        ("TLSv1_method", Tls1_0),
        ("TLSv1_client_method", Tls1_0),
        ("TLSv1_1_method", Tls1_1),
        ("TLSv1_2_method", Tls1_2),
        ("SSLv23_method", Tls1_2),
        ("TLS_method", Tls1_3),
    ] {
        assert_eq!(negotiated(method, "TLS_server_method"), Some(expected), "{method}");
    }
}

#[test]
fn a_method_of_one_version_takes_no_other_and_those_of_several_take_each() {
    let methods = [("TLSv1_method", Tls1_0), ("TLSv1_1_method", Tls1_1), ("TLSv1_2_method", Tls1_2)];
    for (client, version) in methods {
        for (server, other) in methods {
            let common = (version == other).then_some(version);
            assert_eq!(negotiated(client, server), common, "{client}, {server}");
        }
        for several in ["SSLv23_method", "TLS_method"] {
            assert_eq!(negotiated(client, several), Some(version), "{client}, {several}");
            assert_eq!(negotiated(several, client), Some(version), "{several}, {client}");
        }
    }
}

#[test]
fn methods_that_are_gone_or_unknown_and_conflicts_are_refused() {
    for method in ["SSLv2_method", "SSLv3_server_method", "TLSv1_3_method", "nonsense", ""] {
        let error = SecureContext::new(&options(method)).unwrap_err();
        assert_eq!(error.code(), "ERR_TLS_INVALID_PROTOCOL_METHOD", "{method}");
    }
    let both = SecureContextOptions { max_version: Some(Tls1_2), ..options("TLS_method") };
    assert_eq!(SecureContext::new(&both).unwrap_err().code(), "ERR_TLS_PROTOCOL_VERSION_CONFLICT");
}
