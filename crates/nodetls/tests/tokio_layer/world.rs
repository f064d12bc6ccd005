//! What these tests share: contexts, pairs of sockets, and a time limit for every wait.

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use nodetls::{
    Acceptor, Connector, KeyPem, ProtocolVersion, SecureContext, SecureContextOptions, Server, ServerBuilder,
    TlsSocket,
};
use nodetls_test::pki::{Authority, Identity, Leaf};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;

/// How long anything may take that has to happen.
const LIMIT: Duration = Duration::from_secs(20);

/// Both versions that are on by default.
pub(crate) const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::Tls1_2, ProtocolVersion::Tls1_3];

/// Waits for something that must happen.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("it happens in time")
}

struct Certificates {
    ca: String,
    server: Identity,
    client: Identity,
}

fn certificates() -> &'static Certificates {
    static CERTIFICATES: OnceLock<Certificates> = OnceLock::new();
    CERTIFICATES.get_or_init(|| {
        let authority = Authority::new("ca");
        Certificates {
            ca: authority.pem().to_owned(),
            server: authority.issue(&Leaf::server("localhost")),
            client: authority.issue(&Leaf::client("agent1")),
        }
    })
}

fn options(identity: &Identity) -> SecureContextOptions {
    SecureContextOptions {
        ca: Some(vec![certificates().ca.clone().into()]),
        cert: vec![identity.cert_pem.clone().into()],
        key: vec![KeyPem { pem: identity.key_pem.clone().into(), passphrase: None }],
        ..Default::default()
    }
}

/// A context for `localhost`.
pub(crate) fn server_options() -> SecureContextOptions {
    options(&certificates().server)
}

/// The certificate of that context, with its key.
pub(crate) fn server_identity() -> &'static Identity {
    &certificates().server
}

/// A context for `agent1`.
pub(crate) fn client_options() -> SecureContextOptions {
    options(&certificates().client)
}

pub(crate) fn context(options: &SecureContextOptions) -> SecureContext {
    SecureContext::new(options).unwrap()
}

pub(crate) fn server() -> ServerBuilder {
    Server::builder(&context(&server_options()))
}

pub(crate) fn acceptor() -> Acceptor {
    server().build().unwrap()
}

/// A connector for servers on this machine.
pub(crate) fn connector() -> Connector {
    Connector::new(&context(&client_options())).server_name("localhost")
}

pub(crate) fn connector_for(version: ProtocolVersion) -> Connector {
    let options = SecureContextOptions { max_version: Some(version), ..client_options() };
    Connector::new(&context(&options)).server_name("localhost")
}

/// The sockets of both sides over the two ends of a transport.
pub(crate) async fn secure<A, B>(
    connector: &Connector,
    acceptor: &Acceptor,
    (client, server): (A, B),
) -> (TlsSocket<A>, TlsSocket<B>)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let both = async { tokio::join!(connector.connect_over(client), acceptor.accept(server)) };
    let (client, server) = within(both).await;
    (client.unwrap(), server.unwrap())
}

/// A connection in memory whose transport holds so many bytes in each direction.
pub(crate) async fn pair(capacity: usize) -> (TlsSocket<DuplexStream>, TlsSocket<DuplexStream>) {
    secure(&connector(), &acceptor(), tokio::io::duplex(capacity)).await
}

/// Bytes without a pattern that a mistake could repeat.
pub(crate) fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Sends bytes from one side to the other, which sends them back, and returns what came. Both sides say goodbye.
pub(crate) async fn sent_and_back<A, B>(
    (client, server): (TlsSocket<A>, TlsSocket<B>),
    sent: Vec<u8>,
) -> Vec<u8>
where
    A: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let echoing = tokio::spawn(echo(server));
    let (mut reader, mut writer) = client.into_split();
    let writing = tokio::spawn(async move {
        writer.write_all(&sent).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let mut received = Vec::new();
    within(reader.read_to_end(&mut received)).await.unwrap();
    within(writing).await.unwrap();
    within(echoing).await.unwrap();
    received
}

/// Sends everything back until the peer says goodbye, and then says so too.
async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut socket: TlsSocket<S>) {
    socket.reject_truncated();
    let (mut reader, mut writer) = socket.into_split();
    tokio::io::copy(&mut reader, &mut writer).await.unwrap();
    writer.shutdown().await.unwrap();
}

/// Says a word to a client over TCP, which hears it; whatever the server tells after its handshake has come too then.
pub(crate) async fn greet(client: &mut TlsSocket<TcpStream>, server: &mut TlsSocket<TcpStream>) {
    let greeting = async {
        server.write_all(b"hi").await?;
        server.flush().await?;
        client.read_exact(&mut [0; 2]).await
    };
    within(greeting).await.unwrap();
}

/// A client of the server and the server's end of it.
pub(crate) async fn connected(
    server: &Server,
    connector: &Connector,
) -> (TlsSocket<TcpStream>, TlsSocket<TcpStream>) {
    let port = server.local_addr().port();
    let both = async { tokio::join!(connector.connect("127.0.0.1", port), server.accept()) };
    let (client, server) = within(both).await;
    (client.unwrap(), server.unwrap().0)
}
