//! Clients that speak something else, or break off.

use std::net::SocketAddr;

use nodetls::{HandshakeError, Server, ServerCallbacks};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::world::{connected, connector, greet, noise, server, within};

/// Passes on the codes of failed handshakes.
struct Failures(mpsc::UnboundedSender<(String, SocketAddr)>);

impl ServerCallbacks for Failures {
    fn client_error(&self, error: &HandshakeError, peer: Option<SocketAddr>) {
        self.0.send((error.code(), peer.expect("a client of TCP has an address"))).expect("the test listens");
    }
}

struct World {
    server: Server,
    failed: mpsc::UnboundedReceiver<(String, SocketAddr)>,
}

async fn world() -> World {
    let (failures, failed) = mpsc::unbounded_channel();
    let builder = server().alpn_protocols(["echo"]).callbacks(Failures(failures));
    World { server: builder.bind("127.0.0.1:0").await.unwrap(), failed }
}

impl World {
    /// What the server answers to these bytes before it ends the connection, and the code that it reports.
    async fn answer_to(&mut self, bytes: &[u8]) -> (Vec<u8>, String) {
        let mut client = TcpStream::connect(self.server.local_addr()).await.unwrap();
        let address = client.local_addr().unwrap();
        within(client.write_all(bytes)).await.unwrap();
        let mut answer = Vec::new();
        within(client.read_to_end(&mut answer)).await.expect("no reset destroys the answer");
        drop(client);
        let (code, peer) = within(self.failed.recv()).await.unwrap();
        assert_eq!(peer, address);
        (answer, code)
    }
}

/// A record of an alert: fatal, with this description.
fn alert(description: u8) -> [u8; 4] {
    [0, 2, 2, description]
}

fn assert_alert(answer: &[u8], description: u8) {
    assert_eq!((answer.len(), answer[0]), (7, 21), "{answer:?}");
    assert_eq!(answer[3..], alert(description), "{answer:?}");
}

/// A ClientHello of TLS 1.0 at most, with one cipher suite and no extensions.
fn old_hello() -> Vec<u8> {
    let mut body = vec![3, 1];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 2, 0, 0x2f, 1, 0]);
    handshake_record(&body)
}

fn handshake_record(body: &[u8]) -> Vec<u8> {
    let length = u8::try_from(body.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend_from_slice(body);
    record
}

#[tokio::test]
async fn a_plain_http_request_is_recognised() {
    let mut world = world().await;
    let (answer, code) = world.answer_to(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_eq!(code, "ERR_SSL_HTTP_REQUEST");
    assert_eq!(answer, b"", "an alert would mean nothing to such a client");
}

#[tokio::test]
async fn garbage_is_refused() {
    let mut world = world().await;
    for length in [5, 100, 5000, 100_000] {
        let (answer, code) = world.answer_to(&noise(length)).await;
        assert!(code.starts_with("ERR_SSL_"), "{code}");
        assert!(answer.is_empty() || answer[0] == 21, "{answer:?}");
    }
    let (_, code) = world.answer_to(&[0; 64]).await;
    assert!(code.starts_with("ERR_SSL_"), "{code}");
}

#[tokio::test]
async fn a_client_that_is_too_old_gets_the_alert_even_when_it_has_sent_more() {
    let mut world = world().await;
    let (answer, code) = world.answer_to(&old_hello()).await;
    assert_alert(&answer, 70);
    assert_eq!(code, "ERR_SSL_UNSUPPORTED_PROTOCOL");
    // Unread bytes would make the system reset the connection, and the alert would be lost.
    let (answer, _) = world.answer_to(&[old_hello(), noise(300_000)].concat()).await;
    assert_alert(&answer, 70);
}

#[tokio::test]
async fn a_malformed_hello_gets_an_alert() {
    let mut world = world().await;
    let (answer, code) = world.answer_to(&handshake_record(&[3, 3, 1, 2, 3])).await;
    assert_alert(&answer, 50);
    assert_eq!(code, "ERR_SSL_BAD_EXTENSION");
}

#[tokio::test]
async fn a_hello_that_is_cut_off_is_reported_as_a_reset() {
    let mut world = world().await;
    let hello = old_hello();
    for length in [0, 1, 5, 9, hello.len() - 1] {
        let mut client = TcpStream::connect(world.server.local_addr()).await.unwrap();
        within(client.write_all(&hello[..length])).await.unwrap();
        drop(client);
        assert_eq!(within(world.failed.recv()).await.unwrap().0, "ECONNRESET");
    }
}

#[tokio::test]
async fn a_client_without_a_common_protocol_gets_the_alert() {
    let mut world = world().await;
    let port = world.server.local_addr().port();
    let error = within(connector().alpn_protocols(["other"]).connect("127.0.0.1", port)).await.unwrap_err();
    assert_eq!(error.code(), "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL");
    assert_eq!(within(world.failed.recv()).await.unwrap().0, "ERR_SSL_NO_APPLICATION_PROTOCOL");
}

#[tokio::test]
async fn bad_clients_do_not_disturb_a_good_one() {
    let mut world = world().await;
    let (mut client, mut served) = connected(&world.server, &connector().alpn_protocols(["echo"])).await;
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &noise(1000), &old_hello()] {
        world.answer_to(bytes).await;
    }
    greet(&mut client, &mut served).await;
    assert_eq!(served.connection().alpn_protocol(), Some(&b"echo"[..]));
}
