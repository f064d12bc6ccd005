//! The decisions of a server: at once, later, failing, panicking, and never.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nodetls::{
    AskClientHello, AskNewSession, AskOcspRequest, AskResumeSession, AskSelectAlpn, AskSelectContext,
    AskSign, AskVerifyPeer, BoxError, ClientAuthentication, ClientHelloAnswer, Connector, HandshakeError,
    OcspStapling, ProtocolVersion, QuestionKind, SecureContext, SecureContextOptions, SelectAlpnAnswer,
    Server, ServerBuilder, ServerCallbacks, Session, VerifyPeerAnswer,
};
use nodetls_test::signer;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use crate::world::{
    VERSIONS, client_options, connected, context, greet, server_identity, server_options, within,
};

/// `SSL_OP_NO_TICKET`: sessions are asked for by their ids.
const NO_TICKET: u64 = 0x4000;

/// Every decision of a server, and the code of a connection that fails with it.
const DECISIONS: [(QuestionKind, &str); 8] = [
    (QuestionKind::ClientHello, "ERR_TLS_CLIENT_HELLO_REFUSED"),
    (QuestionKind::SelectContext, "ERR_TLS_SNI_CALLBACK_FAILED"),
    (QuestionKind::SelectAlpn, "ERR_TLS_ALPN_CALLBACK_FAILED"),
    (QuestionKind::ResumeSession, "ERR_TLS_RESUME_SESSION_FAILED"),
    (QuestionKind::OcspRequest, "ERR_TLS_OCSP_REQUEST_FAILED"),
    (QuestionKind::VerifyPeer, "ERR_TLS_VERIFY_PEER_FAILED"),
    (QuestionKind::NewSession, "ERR_TLS_NEW_SESSION_FAILED"),
    (QuestionKind::Sign, "ERR_TLS_SIGN_FAILED"),
];

/// What a decision does instead of being taken at once.
enum Conduct {
    Later { asked: oneshot::Sender<()>, released: oneshot::Receiver<()> },
    Fails,
    Panics,
}

/// What the callbacks and the test share.
struct Shared {
    armed: Mutex<Option<(QuestionKind, Conduct)>>,
    sessions: Mutex<HashMap<Vec<u8>, Session>>,
    failures: mpsc::UnboundedSender<String>,
}

struct Callbacks(Arc<Shared>);

impl Callbacks {
    /// Does what the test has prepared for this decision, once.
    async fn conduct(&self, kind: QuestionKind) -> Result<(), BoxError> {
        let armed = self.0.armed.lock().unwrap().take_if(|(armed, _)| *armed == kind);
        match armed.map(|(_, conduct)| conduct) {
            None => Ok(()),
            Some(Conduct::Fails) => Err("the database is gone".into()),
            Some(Conduct::Panics) => panic!("a mistake in a callback"),
            Some(Conduct::Later { asked, released }) => {
                asked.send(()).expect("the test waits");
                // A test that is not going to release it has dropped the sender or keeps it for ever.
                released.await.map_err(BoxError::from)
            }
        }
    }
}

impl ServerCallbacks for Callbacks {
    async fn client_hello(&self, ask: &AskClientHello) -> Result<ClientHelloAnswer, BoxError> {
        assert_eq!(ask.hello.server_name(), Some("localhost"));
        self.conduct(QuestionKind::ClientHello).await?;
        Ok(ClientHelloAnswer::Continue)
    }

    async fn select_context(&self, ask: &AskSelectContext) -> Result<Option<SecureContext>, BoxError> {
        assert_eq!(ask.server_name, "localhost");
        self.conduct(QuestionKind::SelectContext).await?;
        Ok(None)
    }

    async fn select_alpn(&self, ask: &AskSelectAlpn) -> Result<SelectAlpnAnswer, BoxError> {
        self.conduct(QuestionKind::SelectAlpn).await?;
        Ok(SelectAlpnAnswer::Protocol(ask.protocols[0].clone()))
    }

    async fn resume_session(&self, ask: &AskResumeSession) -> Result<Option<Session>, BoxError> {
        self.conduct(QuestionKind::ResumeSession).await?;
        Ok(self.0.sessions.lock().unwrap().get(&ask.session_id).cloned())
    }

    async fn verify_peer(&self, ask: &AskVerifyPeer) -> Result<VerifyPeerAnswer, BoxError> {
        assert!(ask.objection.is_none());
        self.conduct(QuestionKind::VerifyPeer).await?;
        Ok(VerifyPeerAnswer::Agree)
    }

    async fn ocsp_request(&self, _ask: &AskOcspRequest) -> Result<Option<Vec<u8>>, BoxError> {
        self.conduct(QuestionKind::OcspRequest).await?;
        Ok(None)
    }

    async fn new_session(&self, ask: &AskNewSession) -> Result<(), BoxError> {
        self.conduct(QuestionKind::NewSession).await?;
        self.0.sessions.lock().unwrap().insert(ask.session_id.clone(), ask.session.clone());
        Ok(())
    }

    async fn sign(&self, ask: &AskSign) -> Result<Option<Vec<u8>>, BoxError> {
        self.conduct(QuestionKind::Sign).await?;
        Ok(signer::sign(server_identity(), ask.scheme, &ask.message))
    }

    fn client_error(&self, error: &HandshakeError, peer: Option<SocketAddr>) {
        assert!(peer.is_some());
        self.0.failures.send(error.code()).expect("the test listens");
    }
}

struct World {
    server: Server,
    connector: Connector,
    shared: Arc<Shared>,
    failures: mpsc::UnboundedReceiver<String>,
    version: ProtocolVersion,
}

impl World {
    async fn new(version: ProtocolVersion) -> Self {
        Self::with(version, |builder| builder).await
    }

    async fn with(version: ProtocolVersion, adapt: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        let mut options = SecureContextOptions { secure_options: NO_TICKET, ..server_options() };
        // The server's key is elsewhere.
        options.key.clear();
        options.external_key = true;
        let (sender, failures) = mpsc::unbounded_channel();
        let shared =
            Arc::new(Shared { armed: Mutex::default(), sessions: Mutex::default(), failures: sender });
        let builder = Server::builder(&context(&options))
            .client_authentication(ClientAuthentication::Required)
            .callbacks(Callbacks(Arc::clone(&shared)));
        let server = adapt(builder).bind("127.0.0.1:0").await.unwrap();
        let options = SecureContextOptions { max_version: Some(version), ..client_options() };
        let connector = Connector::new(&context(&options))
            .server_name("localhost")
            .alpn_protocols(["echo"])
            .ocsp(OcspStapling::Requested);
        Self { server, connector, shared, failures, version }
    }

    /// A connection that has to be made, and the session that it left.
    async fn session(&self) -> Session {
        let (mut client, mut server) = connected(&self.server, &self.connector).await;
        greet(&mut client, &mut server).await;
        assert_eq!(client.connection().alpn_protocol(), Some(&b"echo"[..]));
        client.take_session().expect("a session came before the greeting")
    }

    /// Connects when the next decision of this kind behaves as given. Only a resumption asks for a session.
    async fn connector_facing(&self, kind: QuestionKind, conduct: Conduct) -> Connector {
        let session = self.session().await;
        *self.shared.armed.lock().unwrap() = Some((kind, conduct));
        match kind {
            QuestionKind::ResumeSession => self.connector.clone().session(session),
            _ => self.connector.clone(),
        }
    }

    /// Connects to a server that is going to refuse this client, and waits for the client's end.
    async fn refused(&self, connector: &Connector) {
        let port = self.server.local_addr().port();
        let refused = async {
            // TLS 1.3 lets a client finish before the server has decided about it.
            if let Ok(mut socket) = connector.connect("127.0.0.1", port).await {
                socket.reject_truncated();
                socket.read_u8().await.unwrap_err();
            }
        };
        within(refused).await;
    }

    async fn failure(&mut self) -> String {
        within(self.failures.recv()).await.unwrap()
    }
}

#[tokio::test]
async fn decisions_taken_at_once_let_connections_through_and_resume_sessions() {
    for version in VERSIONS {
        let world = World::new(version).await;
        let connector = world.connector.clone().session(world.session().await);
        let (client, server) = connected(&world.server, &connector).await;
        assert!(client.connection().is_session_reused() && server.connection().is_session_reused());
        assert!(server.connection().is_authorized());
        assert!(world.shared.failures.is_closed() || world.failures.is_empty());
    }
}

#[tokio::test]
async fn decisions_that_come_late_hold_their_own_connection_only() {
    for version in VERSIONS {
        let mut world = World::new(version).await;
        for (kind, _) in DECISIONS {
            let ((asked, was_asked), (release, released)) = (oneshot::channel(), oneshot::channel());
            let late = world.connector_facing(kind, Conduct::Later { asked, released }).await;
            let port = world.server.local_addr().port();
            let connecting = tokio::spawn(async move { late.connect("127.0.0.1", port).await });
            within(was_asked).await.unwrap();
            // Another client comes and goes meanwhile; the server does not hand out the one that waits.
            let (mut client, mut server) = connected(&world.server, &world.connector).await;
            greet(&mut client, &mut server).await;

            release.send(()).unwrap();
            let (mut server, _) = within(world.server.accept()).await.unwrap();
            let mut client = within(connecting).await.unwrap().unwrap();
            greet(&mut client, &mut server).await;
            let resumed = kind == QuestionKind::ResumeSession;
            assert_eq!(client.connection().is_session_reused(), resumed, "{version}, {kind:?}");
        }
        assert!(world.failures.try_recv().is_err());
    }
}

#[tokio::test]
async fn decisions_that_fail_end_their_own_connection_only() {
    for version in VERSIONS {
        let mut world = World::new(version).await;
        for (kind, code) in DECISIONS {
            let connector = world.connector_facing(kind, Conduct::Fails).await;
            world.refused(&connector).await;
            assert_eq!(world.failure().await, code, "{version}, {kind:?}");
            world.session().await;
        }
    }
}

#[tokio::test]
async fn decisions_that_panic_end_their_own_connection_only() {
    for version in VERSIONS {
        let mut world = World::new(version).await;
        for (kind, code) in DECISIONS {
            let connector = world.connector_facing(kind, Conduct::Panics).await;
            world.refused(&connector).await;
            assert_eq!(world.failure().await, code, "{version}, {kind:?}");
            world.session().await;
        }
    }
}

#[tokio::test]
async fn decisions_that_are_never_taken_end_with_the_handshakes_time_limit() {
    let limit = Duration::from_millis(300);
    for version in VERSIONS {
        let mut world = World::with(version, |builder| builder.handshake_timeout(limit)).await;
        for (kind, _) in DECISIONS {
            let ((asked, was_asked), (release, released)) = (oneshot::channel(), oneshot::channel());
            let connector = world.connector_facing(kind, Conduct::Later { asked, released }).await;
            world.refused(&connector).await;
            within(was_asked).await.unwrap();
            assert_eq!(world.failure().await, "ERR_TLS_HANDSHAKE_TIMEOUT", "{}, {kind:?}", world.version);
            assert!(release.send(()).is_err(), "the decision was given up");
        }
    }
}

#[tokio::test]
async fn nobody_decides_about_a_client_that_has_gone() {
    for version in VERSIONS {
        let mut world = World::new(version).await;
        for (kind, _) in DECISIONS {
            let ((asked, was_asked), (release, released)) = (oneshot::channel(), oneshot::channel());
            let connector = world.connector_facing(kind, Conduct::Later { asked, released }).await;
            let port = world.server.local_addr().port();
            let connecting = tokio::spawn(async move { connector.connect("127.0.0.1", port).await });
            within(was_asked).await.unwrap();
            connecting.abort();
            drop(within(connecting).await);
            if matches!(kind, QuestionKind::VerifyPeer | QuestionKind::NewSession) {
                // The client's part of the handshake is done, so that its going is no failure of it.
                release.send(()).unwrap();
                drop(within(world.server.accept()).await.unwrap());
            } else {
                assert_eq!(world.failure().await, "ECONNRESET", "{version}, {kind:?}");
                assert!(release.send(()).is_err(), "the decision was given up");
            }
        }
    }
}

/// What is only told, and panics.
struct Careless {
    armed: Arc<std::sync::atomic::AtomicBool>,
    failures: mpsc::UnboundedSender<String>,
}

impl ServerCallbacks for Careless {
    fn key_log(&self, _line: &nodetls::SecretBytes) {
        assert!(!self.armed.load(std::sync::atomic::Ordering::SeqCst), "a mistake in key_log");
    }

    fn client_error(&self, error: &HandshakeError, _peer: Option<SocketAddr>) {
        self.failures.send(error.code()).expect("the test listens");
        panic!("a mistake in client_error");
    }
}

#[tokio::test]
async fn callbacks_that_are_only_told_may_panic_too() {
    let (armed, (failures, mut failed)) = (Arc::default(), mpsc::unbounded_channel());
    let callbacks = Careless { armed: Arc::clone(&armed), failures };
    let options = SecureContextOptions { dangerous_key_log: true, ..server_options() };
    let builder = Server::builder(&context(&options)).callbacks(callbacks).max_concurrent_handshakes(1);
    let server = builder.bind("127.0.0.1:0").await.unwrap();
    let connector = crate::world::connector();
    let port = server.local_addr().port();

    armed.store(true, std::sync::atomic::Ordering::SeqCst);
    for _ in 0..3 {
        let (mut client, mut served) = connected(&server, &connector).await;
        greet(&mut client, &mut served).await;
    }
    armed.store(false, std::sync::atomic::Ordering::SeqCst);
    // A client that leaves at once makes the server report it.
    drop(within(TcpStream::connect(("127.0.0.1", port))).await.unwrap());
    assert_eq!(within(failed.recv()).await.unwrap(), "ECONNRESET");
    let (mut client, mut served) = connected(&server, &connector).await;
    greet(&mut client, &mut served).await;
    drop((client, served));
    within(server.close()).await;
}
