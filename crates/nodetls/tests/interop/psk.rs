//! Pre-shared keys with `openssl`, Node.js and GnuTLS on either side. `gnutls-cli` is only there to be refused: some of
//! its versions crash when they describe a connection without certificates.

use std::path::Path;
use std::process::Command;

use nodetls::{
    AskPsk, BoxError, ClientCallbacks, Connector, ProtocolVersion, PskAnswer, SecureContext,
    SecureContextOptions, Server, ServerCallbacks,
};
use nodetls_test::peers::{Program, Running, start_gnutls_server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::world::{HELLO, VERSIONS, beside, connected, talk, within};

const IDENTITY: &str = "agent1";
const HINT: &str = "say agent1";
const HEX_KEY: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";
const KEY: [u8; 16] = [0x5A; 16];

/// A suite of TLS 1.2 that every peer has.
const SUITE: &str = "ECDHE-PSK-CHACHA20-POLY1305";
const SUITE_OF_TLS_1_3: &str = "TLS_AES_128_GCM_SHA256";

fn suite(version: ProtocolVersion) -> &'static str {
    if version == ProtocolVersion::Tls1_3 { SUITE_OF_TLS_1_3 } else { SUITE }
}

fn context(version: ProtocolVersion) -> SecureContext {
    let options = SecureContextOptions {
        ciphers: Some(suite(version).into()),
        min_version: Some(version),
        max_version: Some(version),
        ..Default::default()
    };
    SecureContext::new(&options).unwrap()
}

/// Knows one client, and tells the codes of failed handshakes.
struct Known(mpsc::UnboundedSender<String>);

impl ServerCallbacks for Known {
    async fn psk(&self, ask: &AskPsk) -> Result<Option<PskAnswer>, BoxError> {
        tokio::task::yield_now().await;
        let known = ask.identity.as_deref() == Some(IDENTITY.as_bytes());
        Ok(known.then(|| PskAnswer::new(KEY.as_slice())))
    }

    fn client_error(&self, error: &nodetls::HandshakeError, _peer: Option<std::net::SocketAddr>) {
        self.0.send(error.code()).expect("the test listens");
    }
}

struct Mine(&'static str);

impl ClientCallbacks for Mine {
    async fn psk(&self, ask: &AskPsk) -> Result<Option<PskAnswer>, BoxError> {
        tokio::task::yield_now().await;
        let hint = (ask.protocol_version < ProtocolVersion::Tls1_3).then_some(HINT.as_bytes());
        assert_eq!(ask.hint.as_deref(), hint);
        Ok(Some(PskAnswer::with_identity(self.0, KEY.as_slice())))
    }
}

fn version_option(version: ProtocolVersion) -> &'static str {
    if version == ProtocolVersion::Tls1_3 { "-tls1_3" } else { "-tls1_2" }
}

fn priority(version: ProtocolVersion) -> &'static str {
    if version == ProtocolVersion::Tls1_3 {
        "--priority=NORMAL:-VERS-ALL:+VERS-TLS1.3:+ECDHE-PSK:+PSK"
    } else {
        "--priority=NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-PSK"
    }
}

/// A client's program with this identity.
fn client(program: Program, version: ProtocolVersion, identity: &str, port: u16) -> Command {
    let port = port.to_string();
    let mut command = Command::new(program.names()[0]);
    match program {
        Program::OpenSsl => {
            command.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), version_option(version)]);
            let option = if version == ProtocolVersion::Tls1_3 { "-ciphersuites" } else { "-cipher" };
            command.args([option, suite(version), "-psk_identity", identity, "-psk", HEX_KEY]);
        }
        Program::Node => {
            command.args(["-e", include_str!("psk/client.js"), "--"]);
            command.args([version.as_str(), suite(version), identity, HEX_KEY, &port]);
        }
        _ => {
            command.args(["-p", &port, "127.0.0.1", priority(version)]);
            command.args([&format!("--pskusername={identity}"), &format!("--pskkey={HEX_KEY}")]);
        }
    }
    command
}

/// This library's server, and the codes of its failures.
async fn server(version: ProtocolVersion) -> (Server, mpsc::UnboundedReceiver<String>) {
    let (failures, failed) = mpsc::unbounded_channel();
    let builder = Server::builder(&context(version)).callbacks(Known(failures)).psk_identity_hint(HINT);
    (builder.bind("127.0.0.1:0").await.unwrap(), failed)
}

async fn is_served(program: Program, version: ProtocolVersion) {
    let (server, _failed) = server(version).await;
    let port = server.local_addr().port();
    let line = if program == Program::Node { "hello from node\n" } else { "hello\n" };
    let peer = beside(move || {
        let mut client = Running::start(&mut client(program, version, IDENTITY, port));
        if program != Program::Node {
            client.send(line.as_bytes());
        }
        client.wait_for_data(line.as_bytes());
        assert!(client.has_received(line.as_bytes()), "{program:?} {version}: {client:?}");
        let hint = (program == Program::Node).then(|| {
            client.wait_for(|output| Some(output.split_once("hint=")?.1.lines().next()?.to_owned()))
        });
        let sent = if version == ProtocolVersion::Tls1_3 { "null" } else { HINT };
        assert!(hint.is_none_or(|hint| hint == sent), "{program:?} {version}");
    });
    let serving = async {
        let (mut socket, _) = server.accept().await.unwrap();
        assert!(socket.connection().is_authorized());
        assert_eq!(socket.connection().psk_identity().as_deref(), Some(IDENTITY.as_bytes()));
        assert_eq!(socket.connection().cipher_suite().unwrap().name, suite(version));
        let mut received = vec![0; line.len()];
        socket.read_exact(&mut received).await.unwrap();
        socket.write_all(&received).await.unwrap();
        socket.flush().await.unwrap();
        // It ends as its program ends, with a goodbye or without.
        let _ = socket.read_to_end(&mut Vec::new()).await;
    };
    within(async { tokio::join!(peer, serving) }).await;
}

async fn is_served_in_both_versions(program: Program) {
    if !program.is_skipped() {
        for version in VERSIONS {
            is_served(program, version).await;
        }
    }
}

#[tokio::test]
async fn openssl_is_served() {
    is_served_in_both_versions(Program::OpenSsl).await;
}

#[tokio::test]
async fn node_is_served() {
    is_served_in_both_versions(Program::Node).await;
}

#[tokio::test]
async fn clients_without_a_known_identity_are_told_so() {
    for (program, said) in [
        (Program::OpenSsl, "unknown psk identity"),
        (Program::Node, "ERR_SSL_TLSV1_ALERT_UNKNOWN_PSK_IDENTITY"),
        (Program::GnuTls, "srp/psk username"),
    ] {
        if program.is_skipped() {
            continue;
        }
        let (server, mut failed) = server(ProtocolVersion::Tls1_2).await;
        let port = server.local_addr().port();
        beside(move || {
            let mut client = Running::start(&mut client(program, ProtocolVersion::Tls1_2, "stranger", port));
            client.wait_for(|output| output.to_lowercase().contains(&said.to_lowercase()).then_some(()));
        })
        .await;
        assert_eq!(within(failed.recv()).await.unwrap(), "ERR_SSL_PSK_IDENTITY_NOT_FOUND", "{program:?}");
    }
}

/// A program that serves, and its port.
fn serving(program: Program, version: ProtocolVersion, keys: &Path) -> (Running, u16) {
    let mut command = Command::new(program.names()[0]);
    let prefix = match program {
        Program::GnuTls => return serving_gnutls(version, keys),
        Program::OpenSsl => {
            command.args(["s_server", "-accept", "127.0.0.1:0", "-nocert", "-rev", version_option(version)]);
            let option = if version == ProtocolVersion::Tls1_3 { "-ciphersuites" } else { "-cipher" };
            command.args([option, suite(version), "-psk_identity", IDENTITY, "-psk", HEX_KEY]);
            command.args(["-psk_hint", HINT]);
            "ACCEPT 127.0.0.1:"
        }
        _ => {
            command.args(["-e", include_str!("psk/server.js"), "--"]);
            command.args([version.as_str(), suite(version), IDENTITY, HEX_KEY, HINT]);
            "port="
        }
    };
    let mut server = Running::start(&mut command);
    let port = server.wait_for(|output| {
        // Only a whole line is a whole number.
        output.split_once(prefix)?.1.split_once('\n')?.0.trim().parse().ok()
    });
    (server, port)
}

/// `keys` is a file for the one key, which the program reads for each client.
fn serving_gnutls(version: ProtocolVersion, keys: &Path) -> (Running, u16) {
    std::fs::write(keys, format!("{IDENTITY}:{HEX_KEY}\n")).unwrap();
    let options = [
        priority(version).to_owned(),
        format!("--pskpasswd={}", keys.display()),
        format!("--pskhint={HINT}"),
        "--disable-client-cert".to_owned(),
    ];
    start_gnutls_server(&options)
}

async fn serves_in_both_versions(program: Program) {
    if program.is_skipped() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for version in VERSIONS {
        let keys = directory.path().join("keys");
        let (server, port) = beside(move || serving(program, version, &keys)).await;
        let connector = Connector::new(&context(version)).callbacks(Mine(IDENTITY));
        let mut socket = connected(&connector, port).await;
        assert!(socket.connection().is_authorized());
        assert!(socket.connection().peer_certificate().is_none());
        assert_eq!(socket.connection().cipher_suite().unwrap().name, suite(version));
        let reversed: Vec<u8> = HELLO.trim_ascii_end().iter().rev().chain(b"\n").copied().collect();
        talk(&mut socket, if program == Program::OpenSsl { &reversed } else { HELLO }).await;
        drop(server);
    }
}

#[tokio::test]
async fn openssl_serves() {
    serves_in_both_versions(Program::OpenSsl).await;
}

#[tokio::test]
async fn node_serves() {
    serves_in_both_versions(Program::Node).await;
}

#[tokio::test]
async fn gnutls_serves() {
    serves_in_both_versions(Program::GnuTls).await;
}

#[tokio::test]
async fn a_stranger_is_told_so_by_node() {
    if Program::Node.is_skipped() {
        return;
    }
    for (version, code) in VERSIONS
        .into_iter()
        .zip(["ERR_SSL_TLSV1_ALERT_UNKNOWN_PSK_IDENTITY", "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE"])
    {
        let (mut server, port) = beside(move || serving(Program::Node, version, Path::new(""))).await;
        let connector = Connector::new(&context(version)).callbacks(Mine("stranger"));
        let error = within(connector.connect("127.0.0.1", port)).await.unwrap_err();
        assert_eq!(error.code(), code, "{version}");
        beside(move || server.wait_for(|output| output.contains("identity=stranger").then_some(()))).await;
    }
}
