//! Certificates on disk, the cases that every peer goes through, and this library's side of the dialogue.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::StreamExt;
use nodetls::{
    ClientAuthentication, Connector, KeyPem, ProtocolVersion, SecureContext, SecureContextOptions, Server,
    ServerBuilder, TlsSocket,
};
use nodetls_test::peers::{Program, Report, Terms};
use nodetls_test::pki::{Authority, Identity, KeyKind, Leaf};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long anything may take that has to happen.
const LIMIT: Duration = Duration::from_secs(60);

/// Cases of one test that run at the same time.
const AT_A_TIME: usize = 2;

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("it happens in time")
}

/// Runs a peer, which blocks, beside the test.
pub(crate) async fn beside<T: Send + 'static>(peer: impl FnOnce() -> T + Send + 'static) -> T {
    within(tokio::task::spawn_blocking(peer)).await.unwrap()
}

/// What a connection is to be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) version: ProtocolVersion,
    pub(crate) key: KeyKind,
    /// Whether there are a server name, an application protocol and a client certificate.
    pub(crate) full: bool,
}

pub(crate) const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::Tls1_2, ProtocolVersion::Tls1_3];

/// A case for tests that are not about negotiation.
pub(crate) fn plain(version: ProtocolVersion) -> Case {
    Case { version, key: KeyKind::Ecdsa, full: false }
}

/// Every combination.
pub(crate) async fn for_each_case(test: impl AsyncFn(&World, Case)) {
    let world = &World::new();
    let keys = [KeyKind::Ecdsa, KeyKind::Rsa];
    let cases = VERSIONS.into_iter().flat_map(|version| {
        keys.into_iter().flat_map(move |key| [false, true].map(|full| Case { version, key, full }))
    });
    futures_util::stream::iter(cases).for_each_concurrent(AT_A_TIME, |case| test(world, case)).await;
}

/// A certificate in memory and on disk.
pub(crate) struct Stored {
    pub(crate) identity: Identity,
    pub(crate) paths: (PathBuf, PathBuf),
}

/// An authority with a server and a client, for each kind of key.
pub(crate) struct World {
    directory: TempDir,
    ca: Authority,
    identities: [(Stored, Stored); 2],
}

impl World {
    pub(crate) fn new() -> Self {
        let (directory, ca) = (tempfile::tempdir().unwrap(), Authority::new("ca"));
        std::fs::write(directory.path().join("ca.pem"), ca.pem()).unwrap();
        std::fs::write(directory.path().join("stranger.pem"), Authority::new("stranger").pem()).unwrap();
        let store = |leaf: Leaf, name: &str, key: KeyKind| {
            let identity = ca.issue(&leaf.with_key(key));
            let paths = identity.write_to(directory.path(), &format!("{name}-{key:?}"));
            Stored { identity, paths }
        };
        let identities = [KeyKind::Ecdsa, KeyKind::Rsa].map(|key| {
            (store(Leaf::server("localhost"), "server", key), store(Leaf::client("agent1"), "client", key))
        });
        Self { directory, ca, identities }
    }

    /// The server's and the client's certificate.
    pub(crate) fn identities(&self, key: KeyKind) -> &(Stored, Stored) {
        &self.identities[usize::from(key == KeyKind::Rsa)]
    }

    pub(crate) fn ca_path(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// One certificate more of the authority.
    pub(crate) fn issue(&self, leaf: &Leaf) -> Identity {
        self.ca.issue(leaf)
    }

    /// An authority that has issued nothing.
    pub(crate) fn stranger_path(&self) -> PathBuf {
        self.directory.path().join("stranger.pem")
    }

    fn options(&self, case: Case, identity: Option<&Identity>) -> SecureContextOptions {
        let key = |identity: &Identity| KeyPem { pem: identity.key_pem.clone().into(), passphrase: None };
        SecureContextOptions {
            ca: Some(vec![self.ca.pem().into()]),
            cert: identity.map(|identity| identity.cert_pem.clone().into()).into_iter().collect(),
            key: identity.map(key).into_iter().collect(),
            min_version: Some(case.version),
            max_version: Some(case.version),
            ..Default::default()
        }
    }

    /// This library's server for a case.
    pub(crate) fn server(&self, case: Case, alpn_protocol: &str) -> ServerBuilder {
        let options = self.options(case, Some(&self.identities(case.key).0.identity));
        let builder = Server::builder(&SecureContext::new(&options).unwrap());
        if !case.full {
            return builder;
        }
        builder.alpn_protocols([alpn_protocol]).client_authentication(ClientAuthentication::Required)
    }

    /// This library's client for a case.
    pub(crate) fn connector(&self, case: Case) -> Connector {
        let identity = case.full.then_some(&self.identities(case.key).1.identity);
        let connector = Connector::new(&SecureContext::new(&self.options(case, identity)).unwrap());
        if case.full { connector.server_name("localhost").alpn_protocols(["echo"]) } else { connector }
    }

    /// What a peer is told as a client.
    pub(crate) fn client_terms(&self, case: Case, alpn_protocol: &str) -> Terms {
        Terms {
            version: case.version,
            ca: Some(self.ca_path()),
            identity: case.full.then(|| self.identities(case.key).1.paths.clone()),
            alpn_protocol: case.full.then(|| alpn_protocol.to_owned()),
            server_name: case.full.then(|| "localhost".to_owned()),
            connections: 1,
            bytes: 0,
        }
    }

    /// What a peer is told as a server.
    pub(crate) fn server_terms(&self, case: Case) -> Terms {
        Terms {
            version: case.version,
            ca: case.full.then(|| self.ca_path()),
            identity: Some(self.identities(case.key).0.paths.clone()),
            alpn_protocol: case.full.then(|| "echo".to_owned()),
            server_name: None,
            connections: 1,
            bytes: 0,
        }
    }
}

/// What this library's server saw of a client.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) version: Option<ProtocolVersion>,
    pub(crate) alpn_protocol: Option<String>,
    pub(crate) server_name: Option<String>,
    pub(crate) peer: Option<String>,
    pub(crate) is_authorized: bool,
    pub(crate) is_resumed: bool,
    pub(crate) bytes: usize,
}

/// Serves the next client until it has said goodbye.
pub(crate) async fn serve(server: &Server, alpn_protocol: &str) -> Seen {
    let (socket, _) = server.accept().await.unwrap();
    let connection = socket.connection();
    let certificate = connection.peer_certificate();
    let seen = Seen {
        version: connection.protocol_version(),
        alpn_protocol: connection
            .alpn_protocol()
            .map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
        server_name: connection.server_name().map(str::to_owned),
        peer: certificate.map(|certificate| certificate.subject().common_names().concat()),
        is_authorized: connection.is_authorized(),
        is_resumed: connection.is_session_reused(),
        bytes: 0,
    };
    let bytes = if alpn_protocol == "http/1.1" { answer_http(socket).await } else { echo(socket).await };
    Seen { bytes, ..seen }
}

async fn echo(mut socket: TlsSocket<TcpStream>) -> usize {
    socket.reject_truncated();
    let (mut reader, mut writer) = socket.into_split();
    let count = tokio::io::copy(&mut reader, &mut writer).await.expect("the client says goodbye");
    // A client that has said goodbye need not wait for ours.
    let _ = writer.shutdown().await;
    usize::try_from(count).unwrap()
}

/// Sends the body of a request back; the response ends with the connection, so that a cut would be seen.
async fn answer_http(mut socket: TlsSocket<TcpStream>) -> usize {
    let mut request = Vec::new();
    let (head, length) = loop {
        assert!(socket.read_buf(&mut request).await.unwrap() > 0, "a request ends");
        let text = String::from_utf8_lossy(&request).to_lowercase();
        if let Some(end) = text.find("\r\n\r\n") {
            let length = text[..end].split("content-length: ").nth(1).unwrap();
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            break (end + 4, length);
        }
    };
    while request.len() < head + length {
        assert!(socket.read_buf(&mut request).await.unwrap() > 0, "a request ends");
    }
    socket.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await.unwrap();
    socket.write_all(&request[head..]).await.unwrap();
    socket.shutdown().await.unwrap();
    // The client closes, with or without a goodbye.
    let _ = socket.read_to_end(&mut Vec::new()).await;
    length
}

/// What the sides of one connection say about it must agree with what was asked for.
pub(crate) fn assert_negotiated(
    program: &str,
    case: Case,
    alpn_protocol: &str,
    seen: &Seen,
    report: &Report,
) {
    let wanted = |value: &str| case.full.then(|| value.to_owned());
    let context = format!("{program}, {case:?}: {seen:?}\n{}", report.output);
    assert_eq!(seen.version, Some(case.version), "{context}");
    assert_eq!(seen.alpn_protocol, wanted(alpn_protocol), "{context}");
    assert_eq!(seen.server_name, wanted("localhost"), "{context}");
    assert_eq!(seen.peer, wanted("agent1"), "{context}");
    assert_eq!(seen.is_authorized, case.full, "{context}");
    assert!(seen.bytes > 0, "{context}");
    assert_eq!(report.version, Some(case.version), "{context}");
    assert_eq!(report.alpn_protocol, wanted(alpn_protocol), "{context}");
    assert!(report.echoed && report.is_content, "{context}");
}

/// A connection of this library to a peer that serves, after its handshake.
pub(crate) async fn connected(connector: &Connector, port: u16) -> TlsSocket<TcpStream> {
    let mut socket = within(connector.connect("127.0.0.1", port)).await.unwrap();
    socket.reject_truncated();
    socket
}

/// This library's part of a dialogue with a peer that serves: line, reply, goodbye, goodbye.
pub(crate) async fn talk(socket: &mut TlsSocket<TcpStream>, reply: &[u8]) {
    let talk = async {
        socket.write_all(HELLO).await.unwrap();
        socket.flush().await.unwrap();
        let mut received = vec![0; reply.len()];
        socket.read_exact(&mut received).await.unwrap();
        assert_eq!(received, reply);
        socket.shutdown().await.unwrap();
        assert_eq!(socket.read(&mut received).await.expect("the server says goodbye"), 0);
    };
    within(talk).await;
}

/// What this library's clients say.
pub(crate) const HELLO: &[u8] = b"hello from nodetls\n";

/// Everyone who can be a client.
pub(crate) const CLIENTS: [Program; 5] =
    [Program::OpenSsl, Program::Curl, Program::Python, Program::GnuTls, Program::Node];

/// Everyone who can be a server.
pub(crate) const SERVERS: [Program; 4] = [Program::OpenSsl, Program::Python, Program::GnuTls, Program::Node];
