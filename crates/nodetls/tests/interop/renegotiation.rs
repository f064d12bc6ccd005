//! What comes after the first handshake, with peers on either side: renegotiation, new keys, late certificates.

use std::process::Command;
use std::time::Duration;

use nodetls::{
    ClientAuthentication, Error, HandshakeError, KeyUpdateRequest, ProtocolVersion, RenegotiateOptions,
    Server, TlsSocket,
};
use nodetls_test::peers::{Program, Running};
use nodetls_test::pki::{Identity, KeyKind, Leaf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{Case, World, beside, connected, plain, within};

const AS_BEFORE: RenegotiateOptions =
    RenegotiateOptions { client_authentication: None, dangerous_accept_unauthorized: None };

const DEMANDING: RenegotiateOptions = RenegotiateOptions {
    client_authentication: Some(ClientAuthentication::Required),
    dangerous_accept_unauthorized: None,
};

/// After how long something is said again.
const PATIENCE: Duration = Duration::from_millis(500);

const OLD: ProtocolVersion = ProtocolVersion::Tls1_2;
const NEW: ProtocolVersion = ProtocolVersion::Tls1_3;

/// A program that does line by line what it is told.
struct Peer(Option<Running>);

impl Peer {
    fn start(command: &mut Command) -> Self {
        Self(Some(Running::start(command)))
    }

    fn say(&mut self, line: &str) {
        self.0.as_mut().unwrap().send(format!("{line}\n").as_bytes());
    }

    /// Waits until the program has said this so many times.
    async fn until(&mut self, text: &'static str, count: usize) {
        let mut running = self.0.take().unwrap();
        let waiting = move || {
            running.wait_for(|output| (output.matches(text).count() >= count).then_some(()));
            running
        };
        self.0 = Some(beside(waiting).await);
    }

    /// The port that it says it listens on.
    async fn port(&mut self, start: &'static str) -> u16 {
        let mut running = self.0.take().unwrap();
        let waiting = move || {
            let port = running.wait_for(|output| {
                let line = output.split_once(start)?.1.split_once('\n')?.0;
                line.trim().parse().ok()
            });
            (running, port)
        };
        let (running, port) = beside(waiting).await;
        self.0 = Some(running);
        port
    }
}

/// With a certificate of this library's client.
fn full(version: ProtocolVersion) -> Case {
    Case { version, key: KeyKind::Ecdsa, full: true }
}

fn s_client(world: &World, version: &str, port: u16, arguments: &[&str]) -> Peer {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-verify_return_error"]);
    command.args([version, "-noservername", "-verify_ip", "127.0.0.1", "-CAfile"]).arg(world.ca_path());
    Peer::start(command.args(arguments))
}

async fn s_server(world: &World, version: &str, arguments: &[&str]) -> (Peer, u16) {
    let (cert, key) = &world.identities(KeyKind::Ecdsa).0.paths;
    let mut command = Command::new("openssl");
    command.args(["s_server", "-accept", "127.0.0.1:0", "-naccept", "1", version, "-cert"]).arg(cert);
    command.arg("-key").arg(key).arg("-CAfile").arg(world.ca_path());
    let mut peer = Peer::start(command.args(arguments));
    let port = peer.port("ACCEPT 127.0.0.1:").await;
    (peer, port)
}

fn node(
    source: &str,
    world: &World,
    identity: (&std::path::Path, &std::path::Path),
    more: &[String],
) -> Peer {
    let mut command = Command::new("node");
    command.args(["-e", source, "--", &format!("ca={}", world.ca_path().display())]);
    command.args([format!("cert={}", identity.0.display()), format!("key={}", identity.1.display())]);
    Peer::start(command.args(more))
}

fn python(
    source: &str,
    world: &World,
    identity: (&std::path::Path, &std::path::Path),
    more: &[String],
) -> Peer {
    let mut command = Command::new("python3");
    command.args(["-c", source, &format!("ca={}", world.ca_path().display())]);
    command.args([format!("cert={}", identity.0.display()), format!("key={}", identity.1.display())]);
    Peer::start(command.args(more))
}

async fn listen(world: &World, version: ProtocolVersion) -> Server {
    world.server(plain(version), "echo").bind("127.0.0.1:0").await.unwrap()
}

async fn accepted(server: &Server) -> TlsSocket<TcpStream> {
    within(server.accept()).await.unwrap().0
}

/// Sends everything back, until the end, whose code comes back.
fn echoing(mut socket: TlsSocket<TcpStream>) -> tokio::task::JoinHandle<Option<String>> {
    tokio::spawn(async move {
        let mut buffer = [0; 1000];
        loop {
            match socket.read(&mut buffer).await {
                Ok(0) => return None,
                Ok(count) => socket.write_all(&buffer[..count]).await.unwrap(),
                Err(error) => {
                    let error = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
                    return error.map(|error| error.code().into_owned());
                }
            }
        }
    })
}

/// The next line from the peer.
async fn line(socket: &mut TlsSocket<TcpStream>) -> Result<String, String> {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        match within(socket.read_u8()).await {
            Ok(byte) => line.push(byte),
            Err(error) => {
                let error = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
                return Err(error.map(|error| error.code().into_owned()).unwrap_or_default());
            }
        }
    }
    Ok(String::from_utf8(line).unwrap().trim().to_owned())
}

/// Has `s_server` obey a command and then say hello. It drops what it reads together with a command, and says nothing
/// about having read it, so hello is said until it comes.
async fn hello_after(
    command: &str,
    server: &mut Peer,
    socket: &mut TlsSocket<TcpStream>,
) -> Result<String, String> {
    server.say(command);
    for _ in 0..100 {
        server.say("hello");
        if let Ok(line) = tokio::time::timeout(PATIENCE, line(socket)).await {
            return line;
        }
    }
    panic!("the server never says hello");
}

fn code(result: Result<(), HandshakeError>) -> String {
    result.err().map(|error| error.code()).unwrap_or_default()
}

// ---- openssl ----

/// `s_client` renegotiates as often as it may, and once more.
async fn cut_at_the_fourth(world: &World, arguments: &[&str]) {
    let server = listen(world, OLD).await;
    let mut client = s_client(world, "-tls1_2", server.local_addr().port(), arguments);
    let echo = echoing(accepted(&server).await);
    for number in 1..=3 {
        client.say("R");
        client.until("RENEGOTIATING", number).await;
        client.say("hello again");
        client.until("hello again", number).await;
    }
    client.say("R");
    client.until("no renegotiation", 1).await;
    assert_eq!(within(echo).await.unwrap().as_deref(), Some("ERR_TLS_SESSION_ATTACK"));
}

#[tokio::test]
async fn openssl_renegotiates_three_times_and_is_cut_at_the_fourth() {
    if Program::OpenSsl.is_skipped() {
        return;
    }
    let world = World::new();
    cut_at_the_fourth(&world, &[]).await;
    // Status requests, which once piled up (CVE-2016-6304).
    cut_at_the_fourth(&world, &["-status"]).await;
}

#[tokio::test]
async fn openssl_is_asked_to_renegotiate_and_to_show_a_certificate() {
    if Program::OpenSsl.is_skipped() {
        return;
    }
    let world = World::new();
    let server = listen(&world, OLD).await;
    let (cert, key) = &world.identities(KeyKind::Ecdsa).1.paths;
    let identity = ["-cert", cert.to_str().unwrap(), "-key", key.to_str().unwrap()];
    let mut client = s_client(&world, "-tls1_2", server.local_addr().port(), &identity);
    let mut socket = accepted(&server).await;
    assert!(socket.connection().peer_certificate().is_none());
    for _ in 0..5 {
        within(socket.renegotiate(DEMANDING)).await.unwrap();
    }
    assert!(socket.connection().is_authorized());
    let echo = echoing(socket);
    client.say("hello");
    client.until("hello", 1).await;
    drop(client);
    within(echo).await.unwrap();
}

#[tokio::test]
async fn openssl_asks_to_renegotiate_and_for_a_certificate() {
    if Program::OpenSsl.is_skipped() {
        return;
    }
    let world = World::new();
    // Without this it resumes the session and asks for nothing.
    let (mut server, port) = s_server(&world, "-tls1_2", &["-no_resumption_on_reneg"]).await;
    let mut socket = connected(&world.connector(full(OLD)), port).await;
    for command in ["r", "R"] {
        assert_eq!(hello_after(command, &mut server, &mut socket).await.unwrap(), "hello");
        socket.write_all(b"reply\n").await.unwrap();
    }
    server.until("agent1", 1).await;
    server.until("reply", 2).await;
    assert!(socket.connection().is_authorized());
    // It renegotiates when it wants to, and not when a client does.
    assert_eq!(code(within(socket.renegotiate(AS_BEFORE)).await), "ERR_SSL_NO_RENEGOTIATION");
}

#[tokio::test]
async fn this_library_renegotiates_with_openssl() {
    if Program::OpenSsl.is_skipped() {
        return;
    }
    let world = World::new();
    let (mut server, port) = s_server(&world, "-tls1_2", &["-client_renegotiation"]).await;
    let mut socket = connected(&world.connector(plain(OLD)), port).await;
    for number in 1..=5 {
        within(socket.renegotiate(AS_BEFORE)).await.unwrap();
        assert!(socket.connection().is_authorized());
        socket.write_all(b"hello again\n").await.unwrap();
        server.until("hello again", number).await;
    }
    server.say("goodbye");
    assert_eq!(line(&mut socket).await.unwrap(), "goodbye");
}

#[tokio::test]
async fn openssl_that_asks_too_often_is_cut() {
    if Program::OpenSsl.is_skipped() {
        return;
    }
    let world = World::new();
    let (mut server, port) = s_server(&world, "-tls1_2", &[]).await;
    let mut socket = connected(&world.connector(plain(OLD)), port).await;
    let mut times = 0;
    let code = loop {
        match hello_after("r", &mut server, &mut socket).await {
            Ok(_) => times += 1,
            Err(code) => break code,
        }
    };
    assert_eq!(code, "ERR_TLS_SESSION_ATTACK");
    assert!((3..10).contains(&times), "{times}");
}

#[tokio::test]
async fn openssl_and_this_library_update_their_keys() {
    if Program::OpenSsl.is_skipped() {
        return;
    }
    let world = World::new();
    let server = listen(&world, NEW).await;
    let mut client = s_client(&world, "-tls1_3", server.local_addr().port(), &[]);
    let mut socket = accepted(&server).await;
    socket.update_keys(KeyUpdateRequest::Requested).await.unwrap();
    let echo = echoing(socket);
    for (number, command) in ["k", "K", "k", "K"].into_iter().enumerate() {
        client.say(command);
        client.until("KEYUPDATE", number + 1).await;
        client.say("with new keys");
        client.until("with new keys", number + 1).await;
    }
    drop(client);
    within(echo).await.unwrap();

    let (mut server, port) = s_server(&world, "-tls1_3", &[]).await;
    let mut socket = connected(&world.connector(plain(NEW)), port).await;
    for (number, command) in ["k", "K"].into_iter().enumerate() {
        assert_eq!(hello_after(command, &mut server, &mut socket).await.unwrap(), "hello");
        socket.update_keys(KeyUpdateRequest::Requested).await.unwrap();
        socket.write_all(b"reply\n").await.unwrap();
        server.until("reply", number + 1).await;
    }
}

// ---- Node.js ----

const NODE_CLIENT: &str = include_str!("scripts/renegotiating_client.js");
const NODE_SERVER: &str = include_str!("scripts/renegotiating_server.js");

#[tokio::test]
async fn node_renegotiates_three_times_and_is_cut_at_the_fourth() {
    if Program::Node.is_skipped() {
        return;
    }
    let world = World::new();
    let server = listen(&world, OLD).await;
    let (cert, key) = &world.identities(KeyKind::Ecdsa).1.paths;
    let port = format!("port={}", server.local_addr().port());
    let mut client = node(NODE_CLIENT, &world, (cert, key), &[port]);
    let mut socket = accepted(&server).await;
    let asking = async {
        // It has shown nothing so far.
        within(socket.renegotiate(DEMANDING)).await.unwrap();
        assert!(socket.connection().is_authorized());
        socket
    };
    let echo = echoing(asking.await);
    client.until("connected", 1).await;
    for number in 1..=3 {
        client.say("renegotiate");
        client.until("renegotiated well", number).await;
        client.say("hello");
        client.until("received hello", number).await;
    }
    client.say("renegotiate");
    client.until("error=ERR_SSL_NO_RENEGOTIATION", 1).await;
    assert_eq!(within(echo).await.unwrap().as_deref(), Some("ERR_TLS_SESSION_ATTACK"));
}

/// A server of Node.js that can show another certificate.
async fn node_server(world: &World, other: &Identity) -> (Peer, u16) {
    let (cert, key) = &world.identities(KeyKind::Ecdsa).0.paths;
    let (other_cert, other_key) = other.write_to(world.ca_path().parent().unwrap(), "other");
    let more = [format!("othercert={}", other_cert.display()), format!("otherkey={}", other_key.display())];
    let mut server = node(NODE_SERVER, world, (cert, key), &more);
    let port = server.port("port=").await;
    (server, port)
}

#[tokio::test]
async fn node_renegotiates_with_this_library_in_all_ways() {
    if Program::Node.is_skipped() {
        return;
    }
    let world = World::new();
    let (_server, port) = node_server(&world, &world.identities(KeyKind::Ecdsa).0.identity).await;
    let mut socket = connected(&world.connector(full(OLD)), port).await;
    for (command, answer) in [("renegotiate\n", "done nobody"), ("certificate\n", "done agent1")] {
        socket.write_all(command.as_bytes()).await.unwrap();
        assert_eq!(line(&mut socket).await.unwrap(), answer);
        assert!(socket.connection().is_authorized());
    }
    socket.write_all(b"hello\n").await.unwrap();
    assert_eq!(line(&mut socket).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_certificate_that_changes_in_a_renegotiation_is_judged_like_the_first() {
    if Program::Node.is_skipped() {
        return;
    }
    let world = World::new();
    let good = world.issue(&Leaf::server("localhost"));
    let for_others = world.issue(&Leaf::server("other.test").with_key(KeyKind::Ecdsa));
    let strange = Identity::self_signed(&Leaf::server("localhost"));
    for (identity, expected) in [
        (&good, Ok("done nobody")),
        (&for_others, Err("ERR_TLS_CERT_ALTNAME_INVALID")),
        (&strange, Err("DEPTH_ZERO_SELF_SIGNED_CERT")),
    ] {
        let (_server, port) = node_server(&world, identity).await;
        let mut socket = connected(&world.connector(full(OLD)), port).await;
        let before = socket.connection().peer_certificate().unwrap().to_der();
        socket.write_all(b"change\n").await.unwrap();
        let answer = line(&mut socket).await;
        assert_eq!(answer.as_deref().map_err(String::as_str), expected);
        let after = socket.connection().peer_certificate().unwrap().to_der();
        if expected.is_ok() {
            assert!(after == identity.cert_der && after != before && socket.connection().is_authorized());
        }
    }
}

// ---- Python ----

#[tokio::test]
async fn python_asks_for_a_certificate_after_the_handshake() {
    if Program::Python.is_skipped() {
        return;
    }
    let world = World::new();
    let (cert, key) = &world.identities(KeyKind::Ecdsa).0.paths;
    let mut server = python(include_str!("scripts/late_server.py"), &world, (cert, key), &[]);
    let port = server.port("port=").await;
    let connector = world.connector(Case { full: true, ..plain(NEW) }).post_handshake_auth();
    let mut socket = connected(&connector, port).await;
    socket.write_all(b"hello\n").await.unwrap();
    assert_eq!(line(&mut socket).await.unwrap(), "asked");
    socket.write_all(b"here\n").await.unwrap();
    assert_eq!(line(&mut socket).await.unwrap(), "known");
    server.until("after=agent1", 1).await;
}

#[tokio::test]
async fn python_is_asked_for_a_certificate_after_the_handshake() {
    if Program::Python.is_skipped() {
        return;
    }
    let world = World::new();
    let server = listen(&world, NEW).await;
    let port = format!("port={}", server.local_addr().port());
    for (stored, expected) in
        [(&world.identities(KeyKind::Ecdsa).1, ""), (&world.identities(KeyKind::Ecdsa).0, "INVALID_PURPOSE")]
    {
        let (cert, key) = &stored.paths;
        let mut client =
            python(include_str!("scripts/late_client.py"), &world, (cert, key), std::slice::from_ref(&port));
        let mut socket = accepted(&server).await;
        assert_eq!(line(&mut socket).await.unwrap(), "hello");
        let asked = within(socket.request_client_certificate(ClientAuthentication::Required)).await;
        assert_eq!(code(asked), expected);
        if expected.is_empty() {
            assert!(socket.connection().is_authorized());
            socket.write_all(b"known\n").await.unwrap();
            client.until("received=known", 1).await;
        }
    }
}
