//! The defaults of the whole process. One test alone, because every context of the process sees them.

#![forbid(unsafe_code)]

use std::time::Instant;

use nodetls_proto::{
    ClientOptions, Connection, Defaults, Error, KeyPem, ProtocolVersion, SecureContext, SecureContextOptions,
    ServerOptions, defaults, set_defaults,
};
use nodetls_test::pair::{authority, name, server_identity};

/// Hands each side's bytes to the other one until nothing moves.
fn shake_hands(client_context: &SecureContext, server_context: &SecureContext) -> (Connection, Connection) {
    let now = Instant::now();
    let client = Connection::client(client_context, ClientOptions::new(name("localhost")), now);
    let server = Connection::server(server_context, ServerOptions::default(), now);
    let mut sides = [client.expect("a client"), server.expect("a server")];
    for turn in 0..20 {
        let [client, server] = &mut sides;
        let (from, to) = if turn % 2 == 0 { (client, server) } else { (server, client) };
        while from.poll_event().is_some() {}
        let bytes = from.poll_transmit().unwrap_or_default().to_vec();
        from.transmitted(bytes.len());
        to.handle_ciphertext(&bytes);
    }
    let [client, server] = sides;
    (client, server)
}

fn client_context() -> SecureContext {
    let ca = Some(vec![authority().pem().into()]);
    SecureContext::new(&SecureContextOptions { ca, ..Default::default() }).expect("a client's context")
}

fn server_options() -> SecureContextOptions {
    let identity = server_identity();
    SecureContextOptions {
        cert: vec![identity.cert_pem.clone().into()],
        key: vec![KeyPem { pem: identity.key_pem.as_str().into(), passphrase: None }],
        ..Default::default()
    }
}

#[test]
fn contexts_take_the_defaults_that_the_process_has_set_when_they_are_made() {
    use ProtocolVersion::{Tls1_1, Tls1_2, Tls1_3};
    assert_eq!(*defaults(), Defaults::default());
    let (old_client, old_server) = (client_context(), SecureContext::new(&server_options()).unwrap());

    // What cannot work is refused at once, and changes nothing.
    let mistakes = [
        (
            "ciphers",
            "ERR_SSL_NO_CIPHER_MATCH",
            Defaults { ciphers: "none-such".into(), ..Defaults::default() },
        ),
        (
            "ecdhCurve",
            "ERR_CRYPTO_OPERATION_FAILED",
            Defaults { ecdh_curve: "none-such".into(), ..Defaults::default() },
        ),
        (
            "minVersion",
            "ERR_TLS_PROTOCOL_VERSION_CONFLICT",
            Defaults { min_version: Tls1_3, max_version: Tls1_2, ..Defaults::default() },
        ),
    ];
    for (option, code, mistake) in mistakes {
        let error = set_defaults(mistake).unwrap_err();
        assert_eq!(error.code(), code);
        assert!(matches!(&error, Error::Config(config) if config.option == option), "{error}");
        assert_eq!(*defaults(), Defaults::default());
    }

    // The highest version, the groups and the suites.
    set_defaults(Defaults {
        ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384:TLS_AES_128_GCM_SHA256".into(),
        ecdh_curve: "P-384".into(),
        max_version: Tls1_2,
        ..Defaults::default()
    })
    .unwrap();
    let new_server = SecureContext::new(&server_options()).unwrap();
    let (client, _) = shake_hands(&old_client, &new_server);
    assert_eq!(client.protocol_version(), Some(Tls1_2));
    assert_eq!(client.cipher_suite().unwrap().name, "ECDHE-ECDSA-AES256-GCM-SHA384");
    assert_eq!(client.group_name().as_deref(), Some("secp384r1"));

    // Options go before defaults, and contexts that existed before stay as they were.
    let explicit = SecureContextOptions { min_version: Some(Tls1_3), ..server_options() };
    let explicit = SecureContext::new(&explicit).unwrap();
    let (client, _) = shake_hands(&old_client, &explicit);
    assert_eq!(client.protocol_version(), Some(Tls1_3));
    assert_eq!(client.cipher_suite().unwrap().name, "TLS_AES_128_GCM_SHA256");
    let (client, _) = shake_hands(&old_client, &old_server);
    assert_eq!(client.protocol_version(), Some(Tls1_3));
    assert_eq!(client.cipher_suite().unwrap().name, "TLS_AES_256_GCM_SHA384");

    // The lowest version.
    set_defaults(Defaults { min_version: Tls1_3, ..Defaults::default() }).unwrap();
    let new_client = client_context();
    let (client, server) = shake_hands(&new_client, &new_server);
    assert_eq!(client.protocol_version(), None);
    assert_eq!(server.error().unwrap().code(), "ERR_SSL_UNSUPPORTED_PROTOCOL");
    set_defaults(Defaults { min_version: Tls1_1, max_version: Tls1_1, ..Defaults::default() }).unwrap();
    let (client, _) = shake_hands(&client_context(), &SecureContext::new(&server_options()).unwrap());
    assert_eq!(client.protocol_version(), Some(Tls1_1));
}
