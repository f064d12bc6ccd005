//! Connections that must not come about, and what each side says about them.

use std::io;

use nodetls::{
    ConnectError, Connector, Error, HandshakeError, ProtocolVersion, Server, ServerBuilder, ServerCallbacks,
};
use nodetls_test::peers::{Program, Report, Terms};
use nodetls_test::pki::KeyKind;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use crate::rustls_peer;
use crate::world::{CLIENTS, Case, SERVERS, VERSIONS, World, beside, plain, within};

/// Passes on the codes of failed handshakes.
struct Failures(mpsc::UnboundedSender<String>);

impl ServerCallbacks for Failures {
    fn client_error(&self, error: &HandshakeError, _peer: Option<std::net::SocketAddr>) {
        // Some clients break off more than once.
        let _ = self.0.send(error.code());
    }
}

/// With a client certificate, an application protocol and a server name.
fn full(version: ProtocolVersion) -> Case {
    Case { version, key: KeyKind::Ecdsa, full: true }
}

async fn listen(builder: ServerBuilder) -> (Server, mpsc::UnboundedReceiver<String>) {
    let (failures, failed) = mpsc::unbounded_channel();
    (builder.callbacks(Failures(failures)).bind("127.0.0.1:0").await.unwrap(), failed)
}

/// In the place of a code: the handshake succeeded, and then the client went away.
const AFTERWARDS: &str = "afterwards";

/// What a client that is refused, or refuses, says, and the server's code.
async fn refused(program: Program, builder: ServerBuilder, terms: Terms) -> (Report, String) {
    let (server, mut failed) = listen(builder).await;
    let port = server.local_addr().port();
    let report = beside(move || program.run_client(&terms, port)).await;
    let code = async {
        tokio::select! {
            code = failed.recv() => code.unwrap(),
            accepted = server.accept() => {
                let (mut socket, _) = accepted.unwrap();
                assert!(!matches!(socket.read(&mut [0; 1]).await, Ok(1)), "a client that refuses says nothing");
                AFTERWARDS.to_owned()
            }
        }
    };
    (report, within(code).await)
}

#[tokio::test]
async fn clients_that_do_not_trust_the_server_say_so() {
    let world = World::new();
    for program in CLIENTS.into_iter().filter(|program| !program.is_skipped()) {
        for version in VERSIONS {
            let protocol = program.alpn_protocol();
            let mut terms = world.client_terms(plain(version), protocol);
            terms.ca = Some(world.stranger_path());
            let (report, code) = refused(program, world.server(plain(version), protocol), terms).await;
            assert!(!report.is_content, "{program:?}, {version}: {}", report.output);
            let expected: &[_] = match program {
                Program::GnuTls => &["ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE"],
                // It looks at the certificate when its handshake is done, and closes without an alert.
                Program::Node => &[AFTERWARDS, "ECONNRESET"],
                _ => &["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA"],
            };
            assert!(expected.contains(&code.as_str()), "{program:?}, {version}: {code}, {}", report.output);
        }
    }
}

#[tokio::test]
async fn clients_without_the_certificate_that_is_required_are_refused() {
    let world = World::new();
    for program in CLIENTS.into_iter().filter(|program| !program.is_skipped()) {
        for version in VERSIONS {
            let protocol = program.alpn_protocol();
            let mut terms = world.client_terms(full(version), protocol);
            terms.identity = None;
            let (report, code) = refused(program, world.server(full(version), protocol), terms).await;
            assert_eq!(code, "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE", "{program:?}, {version}");
            assert!(!report.is_content, "{program:?}, {version}: {}", report.output);
        }
    }
}

/// The code that a client of this library gets, in the handshake or, with TLS 1.3, when it reads.
async fn code(connector: &Connector, port: u16) -> String {
    let reading = async {
        let mut socket = connector.connect("127.0.0.1", port).await?;
        socket.reject_truncated();
        socket.read_u8().await.map(drop).map_err(ConnectError::from)
    };
    within(reading).await.unwrap_err().code()
}

#[tokio::test]
async fn servers_that_are_not_trusted_are_refused() {
    let world = World::new();
    let strangers = World::new();
    for program in SERVERS.into_iter().filter(|program| !program.is_skipped()) {
        for version in VERSIONS {
            let terms = world.server_terms(plain(version));
            let mut serving = beside(move || program.start_server(&terms)).await;
            let code = code(&strangers.connector(plain(version)), serving.port).await;
            assert_eq!(code, "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "{program:?}, {version}");
            let heard = match program {
                // In TLS 1.3 it cannot read the alert: OpenSSL's client encrypts only after the server's last message.
                Program::GnuTls => "error in handshake",
                Program::OpenSsl => "alert unknown ca",
                _ => "alert_unknown_ca",
            };
            beside(move || serving.wait_for(heard)).await;
        }
    }
}

#[tokio::test]
async fn a_missing_client_certificate_has_a_code_of_its_own() {
    let world = World::new();
    for program in SERVERS.into_iter().filter(|program| !program.is_skipped()) {
        for version in VERSIONS {
            let terms = Terms { alpn_protocol: None, ..world.server_terms(full(version)) };
            let serving = beside(move || program.start_server(&terms)).await;
            let code = code(&world.connector(plain(version)), serving.port).await;
            let expected = match (program, version) {
                (Program::GnuTls, ProtocolVersion::Tls1_2) => "ERR_SSL_TLSV1_ALERT_DECODE_ERROR",
                (_, ProtocolVersion::Tls1_2) => "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE",
                _ => "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
            };
            assert_eq!(code, expected, "{program:?}, {version}");
            drop(serving);
        }
    }
}

fn is_about(error: &io::Error, text: &str) -> bool {
    format!("{error:?}").contains(text)
}

#[tokio::test]
async fn rustls_and_this_library_refuse_each_other_in_the_same_words() {
    let (world, strangers) = (World::new(), World::new());
    for version in VERSIONS {
        // It does not trust this server.
        let (server, mut failed) = listen(world.server(plain(version), "echo")).await;
        let client = rustls_peer::Client::new(&strangers.client_terms(plain(version), "echo"));
        let error = within(client.run(server.local_addr().port())).await.unwrap_err();
        assert!(is_about(&error, "UnknownIssuer") || is_about(&error, "BadSignature"), "{error:?}");
        let code_of_server = within(failed.recv()).await.unwrap();
        let expected = ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR"];
        assert!(expected.contains(&code_of_server.as_str()), "{code_of_server}");

        // It has no certificate for this server.
        let (server, mut failed) = listen(world.server(full(version), "echo")).await;
        let terms = Terms { identity: None, ..world.client_terms(full(version), "echo") };
        let error =
            within(rustls_peer::Client::new(&terms).run(server.local_addr().port())).await.unwrap_err();
        assert!(is_about(&error, "CertificateRequired") || is_about(&error, "HandshakeFailure"), "{error:?}");
        assert_eq!(within(failed.recv()).await.unwrap(), "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE");

        // This client does not trust it.
        let server = rustls_peer::Server::bind(&world.server_terms(plain(version))).await;
        let connector = strangers.connector(plain(version));
        let both = async { tokio::join!(server.serve(), code(&connector, server.port())) };
        let (served, code_of_client) = within(both).await;
        assert_eq!(code_of_client, "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
        assert!(is_about(&served.unwrap_err(), "UnknownCA"));

        // This client has no certificate for it.
        let terms = Terms { alpn_protocol: None, ..world.server_terms(full(version)) };
        let server = rustls_peer::Server::bind(&terms).await;
        let connector = world.connector(plain(version));
        let both = async { tokio::join!(server.serve(), code(&connector, server.port())) };
        let (served, code_of_client) = within(both).await;
        assert!(code_of_client.contains("CERTIFICATE_REQUIRED"), "{code_of_client}");
        assert!(is_about(&served.unwrap_err(), "NoCertificatesPresented"));
    }
}

#[tokio::test]
async fn a_server_name_that_the_certificate_lacks_is_refused_whoever_serves() {
    let world = World::new();
    for program in SERVERS.into_iter().filter(|program| !program.is_skipped()) {
        for version in VERSIONS {
            let terms = world.server_terms(plain(version));
            let serving = beside(move || program.start_server(&terms)).await;
            let connector = world.connector(plain(version)).server_name("other.test");
            let error = within(connector.connect("127.0.0.1", serving.port)).await.unwrap_err();
            assert_eq!(error.code(), "ERR_TLS_CERT_ALTNAME_INVALID", "{program:?}, {version}");
            assert!(matches!(error.tls(), Some(Error::Identity(_))));
            drop(serving);
        }
    }
}
