//! Pre-shared keys: decisions of both sides that come at once, later, failing, panicking, and never.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use nodetls::{
    AcceptError, AskPsk, BoxError, ClientCallbacks, Connector, HandshakeError, ProtocolVersion, PskAnswer,
    SecureContext, SecureContextOptions, Server, ServerCallbacks, Side,
};
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, oneshot};

use crate::world::{VERSIONS, connected, context, greet, within};

const KEY: [u8; 32] = [0x5A; 32];
const SIDES: [Side; 2] = [Side::Client, Side::Server];

/// What a decision does instead of being taken at once.
enum Conduct {
    Later { asked: oneshot::Sender<()>, released: oneshot::Receiver<()> },
    Declines,
    Fails,
    Panics,
}

type Armed = Arc<Mutex<Option<(Side, Conduct)>>>;

async fn conduct(armed: &Armed, side: Side) -> Result<Option<PskAnswer>, BoxError> {
    let taken = armed.lock().unwrap().take_if(|(armed, _)| *armed == side);
    match taken.map(|(_, conduct)| conduct) {
        None => {}
        Some(Conduct::Declines) => return Ok(None),
        Some(Conduct::Fails) => return Err("the database is gone".into()),
        Some(Conduct::Panics) => panic!("a mistake in a callback"),
        Some(Conduct::Later { asked, released }) => {
            asked.send(()).expect("the test waits");
            released.await?;
        }
    }
    Ok(Some(PskAnswer::with_identity("agent1", KEY.as_slice())))
}

struct OfServer(Armed, mpsc::UnboundedSender<String>);

impl ServerCallbacks for OfServer {
    async fn psk(&self, ask: &AskPsk) -> Result<Option<PskAnswer>, BoxError> {
        assert_eq!(ask.identity.as_deref(), Some(&b"agent1"[..]));
        // Really elsewhere for a while, as a database would be.
        tokio::task::yield_now().await;
        conduct(&self.0, Side::Server).await
    }

    fn client_error(&self, error: &HandshakeError, _peer: Option<SocketAddr>) {
        self.1.send(error.code()).expect("the test listens");
    }
}

struct OfClient(Armed);

impl ClientCallbacks for OfClient {
    async fn psk(&self, ask: &AskPsk) -> Result<Option<PskAnswer>, BoxError> {
        let hinted = ask.protocol_version != ProtocolVersion::Tls1_3;
        assert_eq!(ask.hint.as_deref(), hinted.then_some(&b"say agent1"[..]));
        tokio::task::yield_now().await;
        conduct(&self.0, Side::Client).await
    }
}

fn options(version: ProtocolVersion) -> SecureContext {
    context(&SecureContextOptions {
        ciphers: Some("TLS_AES_128_GCM_SHA256:PSK".into()),
        min_version: Some(version),
        max_version: Some(version),
        ..Default::default()
    })
}

struct World {
    server: Server,
    connector: Connector,
    armed: Armed,
    failures: mpsc::UnboundedReceiver<String>,
}

impl World {
    async fn new(version: ProtocolVersion) -> Self {
        let (armed, (sender, failures)) = (Armed::default(), mpsc::unbounded_channel());
        let server = Server::builder(&options(version))
            .callbacks(OfServer(Arc::clone(&armed), sender))
            .psk_identity_hint("say agent1");
        let server = server.bind("127.0.0.1:0").await.unwrap();
        let connector = Connector::new(&options(version)).callbacks(OfClient(Arc::clone(&armed)));
        Self { server, connector, armed, failures }
    }

    fn arm(&self, side: Side, conduct: Conduct) {
        *self.armed.lock().unwrap() = Some((side, conduct));
    }

    async fn works(&self) {
        let (mut client, mut server) = connected(&self.server, &self.connector).await;
        greet(&mut client, &mut server).await;
        assert!(client.connection().is_authorized() && server.connection().is_authorized());
        assert_eq!(server.connection().psk_identity().as_deref(), Some(&b"agent1"[..]));
        assert!(client.connection().peer_certificate().is_none());
    }

    /// The code with which a client fails to connect.
    async fn refused(&self) -> String {
        let refused = async {
            match self.connector.connect("127.0.0.1", self.server.local_addr().port()).await {
                Ok(mut socket) => socket.read_u8().await.unwrap_err().to_string(),
                Err(error) => error.code(),
            }
        };
        within(refused).await
    }
}

#[tokio::test]
async fn keys_that_are_awaited_open_connections_without_certificates() {
    for version in VERSIONS {
        World::new(version).await.works().await;
    }
}

#[tokio::test]
async fn a_late_key_holds_its_own_connection_only() {
    for version in VERSIONS {
        for side in SIDES {
            let world = World::new(version).await;
            let ((asked, was_asked), (release, released)) = (oneshot::channel(), oneshot::channel());
            world.arm(side, Conduct::Later { asked, released });
            let (late, port) = (world.connector.clone(), world.server.local_addr().port());
            let connecting = tokio::spawn(async move { late.connect("127.0.0.1", port).await });
            within(was_asked).await.unwrap();
            world.works().await;

            release.send(()).unwrap();
            let (mut server, _) = within(world.server.accept()).await.unwrap();
            let mut client = within(connecting).await.unwrap().unwrap();
            greet(&mut client, &mut server).await;
        }
    }
}

#[tokio::test]
async fn a_decision_that_fails_or_panics_ends_its_own_connection_only() {
    for version in VERSIONS {
        let mut world = World::new(version).await;
        for side in SIDES {
            for conduct in [Conduct::Fails, Conduct::Panics] {
                world.arm(side, conduct);
                let of_client = world.refused().await;
                let of_server = within(world.failures.recv()).await.unwrap();
                let code = if side == Side::Client { of_client } else { of_server };
                assert_eq!(code, "ERR_TLS_PSK_CALLBACK_FAILED", "{version} {side:?}");
                world.works().await;
            }
        }
    }
}

#[tokio::test]
async fn an_unknown_identity_is_told_to_the_client_where_the_version_allows_it() {
    let mut world = World::new(ProtocolVersion::Tls1_2).await;
    world.arm(Side::Server, Conduct::Declines);
    assert_eq!(world.refused().await, "ERR_SSL_TLSV1_ALERT_UNKNOWN_PSK_IDENTITY");
    assert_eq!(within(world.failures.recv()).await.unwrap(), "ERR_SSL_PSK_IDENTITY_NOT_FOUND");
    world.works().await;
}

#[tokio::test]
async fn a_key_that_never_comes_is_given_up_with_the_server() {
    for version in VERSIONS {
        let world = World::new(version).await;
        let ((asked, was_asked), (release, released)) = (oneshot::channel(), oneshot::channel());
        world.arm(Side::Server, Conduct::Later { asked, released });
        let (connector, port) = (world.connector.clone(), world.server.local_addr().port());
        let connecting = tokio::spawn(async move { connector.connect("127.0.0.1", port).await });
        within(was_asked).await.unwrap();
        connecting.abort();
        drop(within(connecting).await);
        let World { server, mut failures, .. } = world;
        assert_eq!(within(failures.recv()).await.unwrap(), "ECONNRESET");
        assert!(release.send(()).is_err(), "the decision was given up");
        within(server.close()).await;
        assert!(matches!(server.accept().await, Err(AcceptError::Closed)));
    }
}

#[tokio::test]
async fn an_impossible_hint_is_found_before_anybody_connects() {
    let builder = Server::builder(&options(ProtocolVersion::Tls1_2)).psk_identity_hint("x".repeat(257));
    assert_eq!(builder.build().unwrap_err().code(), "ERR_TLS_PSK_SET_IDENTIY_HINT_FAILED");
}
