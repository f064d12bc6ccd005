//! Contexts that are replaced while clients come and go: no handshake fails, and every client gets a certificate that
//! its name had at some time.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nodetls::{
    Connector, HandshakeError, KeyPem, ProtocolVersion, Questions, SecureContext, SecureContextOptions,
    Server, ServerCallbacks, ServerNames, Session, TlsSocket,
};
use nodetls_test::pki::{Authority, Identity, Leaf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CLIENTS: usize = 25;
const CONNECTIONS_PER_CLIENT: usize = 200;

/// Names that clients ask for: the first has the server's own context, the others have theirs.
const NAMES: [&str; 3] = ["localhost", "a.test", "b.wild.test"];

/// Certificates for each name that replace one another.
const GENERATIONS: usize = 4;

/// How long everything may take together.
const LIMIT: Duration = Duration::from_secs(120);

struct World {
    authority: Authority,
    identities: Vec<Vec<Identity>>,
}

impl World {
    fn new() -> Self {
        let authority = Authority::new("ca");
        let generations = |name| (0..GENERATIONS).map(|_| authority.issue(&Leaf::server(name))).collect();
        let identities = NAMES.into_iter().map(generations).collect();
        Self { authority, identities }
    }

    /// A new context each time, as a program makes it that reads its files again.
    fn context(&self, name: usize, generation: usize) -> SecureContext {
        let identity = &self.identities[name][generation % GENERATIONS];
        SecureContext::new(&SecureContextOptions {
            ca: Some(vec![self.authority.pem().into()]),
            cert: vec![identity.cert_pem.clone().into()],
            key: vec![KeyPem { pem: identity.key_pem.clone().into(), passphrase: None }],
            min_version: Some(ProtocolVersion::Tls1_3),
            ..Default::default()
        })
        .unwrap()
    }

    fn connector(&self, name: usize) -> Connector {
        let options = SecureContextOptions {
            ca: Some(vec![self.authority.pem().into()]),
            ..SecureContextOptions::default()
        };
        Connector::new(&SecureContext::new(&options).unwrap()).server_name(NAMES[name])
    }

    fn is_legitimate(&self, name: usize, certificate: &[u8]) -> bool {
        self.identities[name].iter().any(|identity| identity.cert_der == certificate)
    }

    async fn server(&self, failures: Failures) -> Server {
        let mut builder = Server::builder(&self.context(0, 0)).callbacks(failures);
        for (index, name) in NAMES.iter().enumerate().skip(1) {
            builder = builder.context(name, &self.context(index, 0));
        }
        builder.bind("127.0.0.1:0").await.unwrap()
    }

    /// Replaces one context after the other, in all the ways there are, until it is told to stop.
    async fn replace(&self, server: &Server, stop: &AtomicBool) -> usize {
        let acceptor = server.acceptor();
        let mut generation = 0;
        while !stop.load(Ordering::Relaxed) {
            generation += 1;
            acceptor.set_secure_context(&self.context(0, generation));
            acceptor.add_context(NAMES[1], &self.context(1, generation));
            let mut contexts = ServerNames::default();
            contexts.insert("A.test.", self.context(1, generation + 1));
            contexts.insert("*.wild.test", self.context(2, generation));
            acceptor.set_contexts(contexts);
            tokio::task::yield_now().await;
        }
        generation
    }
}

/// The handshakes that have failed on the server.
#[derive(Clone, Default)]
struct Failures(Arc<Mutex<Vec<String>>>);

impl ServerCallbacks for Failures {
    fn questions(&self) -> Questions {
        Questions::NONE
    }

    fn client_error(&self, error: &HandshakeError, _peer: Option<SocketAddr>) {
        self.0.lock().unwrap().push(format!("{}: {error}", error.code()));
    }
}

/// Says a word, and waits until the client has gone.
async fn greet(mut socket: TlsSocket<TcpStream>) {
    socket.write_all(b"x").await.unwrap();
    socket.flush().await.unwrap();
    assert_eq!(socket.read(&mut [0; 1]).await.unwrap(), 0);
}

async fn accept(server: &Server, accepted: &AtomicUsize) {
    while let Ok((socket, _)) = server.accept().await {
        accepted.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(greet(socket));
    }
}

/// The certificate that the server shows, whether an old session was resumed, and a new session.
async fn visit(connector: &Connector, port: u16) -> (Vec<u8>, bool, Option<Session>) {
    let mut socket = connector.connect("127.0.0.1", port).await.unwrap();
    assert_eq!(socket.read_u8().await.unwrap(), b'x');
    let certificate = socket.connection().peer_certificate().unwrap().to_der();
    let reused = socket.connection().is_session_reused();
    let session = socket.take_session();
    socket.shutdown().await.unwrap();
    (certificate, reused, session)
}

/// Visits the names in turn, each with the session of the visit before. Tells the certificates seen and how many
/// sessions were resumed.
async fn client(world: Arc<World>, port: u16, number: usize) -> (HashSet<Vec<u8>>, usize) {
    let (mut seen, mut resumed) = (HashSet::new(), 0);
    let mut sessions: [Option<Session>; NAMES.len()] = [const { None }; NAMES.len()];
    for round in 0..CONNECTIONS_PER_CLIENT {
        let name = (number + round) % NAMES.len();
        let mut connector = world.connector(name);
        if let Some(session) = sessions[name].take() {
            connector = connector.session(session);
        }
        let (certificate, reused, session) = visit(&connector, port).await;
        assert!(world.is_legitimate(name, &certificate), "a certificate for {} of nobody", NAMES[name]);
        resumed += usize::from(reused);
        sessions[name] = session;
        seen.insert(certificate);
    }
    (seen, resumed)
}

async fn clients(world: &Arc<World>, port: u16) -> (HashSet<Vec<u8>>, usize) {
    let tasks: Vec<_> =
        (0..CLIENTS).map(|number| tokio::spawn(client(Arc::clone(world), port, number))).collect();
    let (mut seen, mut resumed) = (HashSet::new(), 0);
    for task in tasks {
        let one = task.await.unwrap();
        seen.extend(one.0);
        resumed += one.1;
    }
    (seen, resumed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_handshakes_succeed_while_the_contexts_are_replaced() {
    let world = Arc::new(World::new());
    let failures = Failures::default();
    let server = world.server(failures.clone()).await;
    let (stop, accepted) = (AtomicBool::new(false), AtomicUsize::new(0));
    let visiting = async {
        let result = clients(&world, server.local_addr().port()).await;
        stop.store(true, Ordering::Relaxed);
        result
    };
    let together = async {
        tokio::select! {
            both = async { tokio::join!(visiting, world.replace(&server, &stop)) } => both,
            () = accept(&server, &accepted) => unreachable!("the server is open"),
        }
    };
    let ((seen, resumed), generations) =
        tokio::time::timeout(LIMIT, together).await.expect("it ends in time");
    assert_eq!(*failures.0.lock().unwrap(), Vec::<String>::new());
    assert_eq!(accepted.load(Ordering::Relaxed), CLIENTS * CONNECTIONS_PER_CLIENT);
    // Otherwise nothing was tested: contexts were replaced all the while, and sessions were offered across that.
    assert!(generations > 100, "only {generations} generations");
    assert!(seen.len() > NAMES.len(), "only {} certificates", seen.len());
    assert!(resumed > 0 && resumed < CLIENTS * CONNECTIONS_PER_CLIENT, "{resumed} resumed");
}

#[tokio::test]
async fn a_session_is_resumed_only_under_the_certificate_that_it_was_made_with() {
    let world = World::new();
    let server = world.server(Failures::default()).await;
    let (port, accepted) = (server.local_addr().port(), AtomicUsize::new(0));
    let visits = async {
        let (first, reused, session) = visit(&world.connector(0), port).await;
        assert!(!reused);
        server.acceptor().set_secure_context(&world.context(0, 1));
        let connector = world.connector(0).session(session.unwrap());
        let (second, reused, _) = visit(&connector, port).await;
        assert!(!reused && second != first);
        // The same files read again make another context, but not another server.
        server.acceptor().set_secure_context(&world.context(0, 0));
        let (third, reused, _) = visit(&connector, port).await;
        assert!(reused && third == first);
    };
    tokio::select! {
        () = visits => {}
        () = accept(&server, &accepted) => unreachable!("the server is open"),
    }
}
