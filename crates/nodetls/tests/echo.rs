//! The manual's example, an echo over TCP with client certificates, and the socket's ways of reading and writing.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use nodetls::{
    ClientAuthentication, Connector, KeyPem, ProtocolVersion, SecureContext, SecureContextOptions, Server,
    TlsSocket,
};
use nodetls_test::pki::{Authority, Identity, Leaf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn context(authority: &Authority, identity: &Identity) -> SecureContext {
    SecureContext::new(&SecureContextOptions {
        ca: Some(vec![authority.pem().into()]),
        cert: vec![identity.cert_pem.clone().into()],
        key: vec![KeyPem { pem: identity.key_pem.clone().into(), passphrase: None }],
        ..Default::default()
    })
    .unwrap()
}

struct World {
    server: Server,
    client: Connector,
}

async fn world() -> World {
    let authority = Authority::new("ca");
    let server = context(&authority, &authority.issue(&Leaf::server("localhost")));
    let client = context(&authority, &authority.issue(&Leaf::client("agent1")));
    let builder = Server::builder(&server).client_authentication(ClientAuthentication::Required);
    let server = builder.alpn_protocols(["echo"]).bind("127.0.0.1:0").await.unwrap();
    World { server, client: Connector::new(&client).server_name("localhost").alpn_protocols(["echo"]) }
}

impl World {
    async fn pair(&self) -> (TlsSocket<TcpStream>, TlsSocket<TcpStream>) {
        let port = self.server.local_addr().port();
        let (client, server) = tokio::join!(self.client.connect("127.0.0.1", port), self.server.accept());
        (client.unwrap(), server.unwrap().0)
    }
}

async fn echo(mut socket: TlsSocket<TcpStream>) {
    socket.write_all(b"welcome!\n").await.unwrap();
    let (mut reader, mut writer) = socket.into_split();
    tokio::io::copy(&mut reader, &mut writer).await.unwrap();
    writer.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_manuals_echo_runs_over_tcp_with_client_certificates() {
    let world = world().await;
    let (client, server) = world.pair().await;
    assert!(client.connection().is_authorized());
    assert!(server.connection().is_authorized());
    assert_eq!(server.connection().protocol_version(), Some(ProtocolVersion::Tls1_3));
    assert_eq!(server.connection().alpn_protocol(), Some(&b"echo"[..]));
    assert_eq!(server.connection().server_name(), Some("localhost"));
    let peer = server.connection().peer_certificate().unwrap();
    assert_eq!(peer.subject().common_names(), ["agent1"]);

    let serving = tokio::spawn(echo(server));
    let (mut reader, mut writer) = client.into_split();
    writer.write_all(b"hello").await.unwrap();
    writer.shutdown().await.unwrap();
    let mut received = String::new();
    reader.read_to_string(&mut received).await.unwrap();
    assert_eq!(received, "welcome!\nhello");
    serving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_mebibytes_come_back_unchanged() {
    let world = world().await;
    let (client, server) = world.pair().await;
    tokio::spawn(echo(server));
    let (mut reader, mut writer) = client.into_split();
    let piece: Vec<u8> = (0..1 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let sent = piece.clone();
    let writing = tokio::spawn(async move {
        for _ in 0..100 {
            writer.write_all(&sent).await.unwrap();
        }
        writer.shutdown().await.unwrap();
    });
    let mut welcome = [0; 9];
    reader.read_exact(&mut welcome).await.unwrap();
    let mut received = vec![0; piece.len()];
    for _ in 0..100 {
        reader.read_exact(&mut received).await.unwrap();
        assert!(received == piece);
    }
    assert_eq!(reader.read(&mut received).await.unwrap(), 0);
    writing.await.unwrap();
}

#[tokio::test]
async fn a_session_taken_from_a_connection_is_resumed_by_the_next() {
    let world = world().await;
    let (mut client, server) = world.pair().await;
    tokio::spawn(echo(server));
    let mut welcome = [0; 9];
    client.read_exact(&mut welcome).await.unwrap();
    let session = client.take_session().expect("the tickets came before the data");
    let port = world.server.local_addr().port();
    let connector = world.client.clone().session(session);
    let (client, server) = tokio::join!(connector.connect("127.0.0.1", port), world.server.accept());
    assert!(client.unwrap().connection().is_session_reused());
    let server = server.unwrap().0;
    assert!(server.connection().is_session_reused());
    assert!(server.connection().is_authorized());
}

#[tokio::test]
async fn close_waits_for_the_last_connection() {
    let world = world().await;
    let (first, last) = (world.pair().await, world.pair().await);
    assert_eq!(world.server.acceptor().connections(), 2);
    let closing = world.server.close();
    tokio::pin!(closing);
    while TcpStream::connect(world.server.local_addr()).await.is_ok() {
        assert!(futures_util::poll!(&mut closing).is_pending());
    }
    // Nothing is listened to any more, so that only the connections are left to be waited for.
    for _ in 0..10 {
        assert!(futures_util::poll!(&mut closing).is_pending());
        tokio::task::yield_now().await;
    }
    drop(first);
    assert_eq!(world.server.acceptor().connections(), 1);
    assert!(futures_util::poll!(&mut closing).is_pending());
    drop(last);
    closing.await;
    assert_eq!(world.server.acceptor().connections(), 0);
    assert!(world.server.accept().await.is_err());
}

#[tokio::test]
async fn new_ticket_keys_count_for_future_connections_and_old_ones_go_on_opening_tickets() {
    let world = world().await;
    let session = async |world: &World| {
        let (mut client, server) = world.pair().await;
        tokio::spawn(echo(server));
        client.read_exact(&mut [0; 9]).await.unwrap();
        client.take_session().expect("the tickets came before the data")
    };
    let is_reused = async |session: nodetls::Session| {
        let port = world.server.local_addr().port();
        let connector = world.client.clone().session(session);
        let (client, server) = tokio::join!(connector.connect("127.0.0.1", port), world.server.accept());
        drop(server.unwrap());
        client.unwrap().connection().is_session_reused()
    };
    let acceptor = world.server.acceptor();
    let (first, second) = (session(&world).await, session(&world).await);
    let new = nodetls::TicketKeys::random().unwrap();
    acceptor.set_ticket_keys(acceptor.ticket_keys().unwrap().rotated(&new, 1));
    assert!(is_reused(first).await);
    acceptor.set_ticket_keys(new);
    assert!(!is_reused(second).await);
}

#[tokio::test]
async fn a_socket_gives_the_addresses_of_its_transport() {
    let world = world().await;
    let (client, server) = world.pair().await;
    assert_eq!(server.get_ref().local_addr().unwrap(), world.server.local_addr());
    assert_eq!(client.get_ref().peer_addr().unwrap(), world.server.local_addr());
    assert_eq!(client.get_ref().local_addr().unwrap(), server.get_ref().peer_addr().unwrap());
}

#[tokio::test]
async fn a_replaced_context_serves_new_connections_and_leaves_old_ones_alone() {
    let world = world().await;
    let (mut old_client, mut old_server) = world.pair().await;
    let authority = Authority::new("another ca");
    let replacement = context(&authority, &authority.issue(&Leaf::server("localhost")));
    world.server.acceptor().set_secure_context(&replacement);
    let port = world.server.local_addr().port();
    let refused = world.client.connect("127.0.0.1", port).await.unwrap_err();
    assert_eq!(refused.code(), "SELF_SIGNED_CERT_IN_CHAIN");
    let trusting = context(&authority, &authority.issue(&Leaf::client("agent1")));
    let connector = Connector::new(&trusting).server_name("localhost").alpn_protocols(["echo"]);
    let (client, server) = tokio::join!(connector.connect("127.0.0.1", port), world.server.accept());
    assert!(client.is_ok() && server.is_ok());
    old_server.write_all(b"x").await.unwrap();
    assert_eq!(old_client.read_u8().await.unwrap(), b'x');
}
