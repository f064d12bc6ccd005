//! The decisions of a client, and what it is told.

use std::sync::Mutex;

use nodetls::{
    AskVerifyPeer, BoxError, ClientCallbacks, ConnectError, Connector, SecretBytes, SecureContextOptions,
    Session, TlsSocket, VerifyPeerAnswer,
};
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, oneshot};

use crate::world::{VERSIONS, acceptor, client_options, connected, context, greet, server, within};

/// What the decision about the server does.
enum Conduct {
    Agrees,
    Accepts,
    Rejects,
    Fails,
    Panics,
    Waits { asked: oneshot::Sender<()>, released: oneshot::Receiver<()> },
}

/// Takes one decision.
struct Callbacks(Mutex<Option<Conduct>>);

impl ClientCallbacks for Callbacks {
    async fn verify_peer(&self, ask: &AskVerifyPeer) -> Result<VerifyPeerAnswer, BoxError> {
        // The server's own, and the root that its context trusts.
        assert_eq!(ask.certificates.len(), 2);
        let conduct = self.0.lock().unwrap().take().expect("one decision is asked for");
        match conduct {
            Conduct::Agrees => Ok(VerifyPeerAnswer::Agree),
            Conduct::Accepts => Ok(VerifyPeerAnswer::DangerousAccept),
            Conduct::Rejects => Ok(VerifyPeerAnswer::Reject("not this one".into())),
            Conduct::Fails => Err("the database is gone".into()),
            Conduct::Panics => panic!("a mistake in a callback"),
            Conduct::Waits { asked, released } => {
                asked.send(()).expect("the test waits");
                released.await?;
                Ok(VerifyPeerAnswer::Agree)
            }
        }
    }
}

/// A client that expects the server to have this name, and decides so.
async fn connect(
    version: nodetls::ProtocolVersion,
    name: &str,
    conduct: Conduct,
) -> Result<TlsSocket<DuplexStream>, ConnectError> {
    let options = SecureContextOptions { max_version: Some(version), ..client_options() };
    let callbacks = Callbacks(Mutex::new(Some(conduct)));
    let connector = Connector::new(&context(&options)).server_name(name).callbacks(callbacks);
    let (client, server) = tokio::io::duplex(65_536);
    let serving = tokio::spawn(async move { acceptor().accept(server).await });
    let connected = within(connector.connect_over(client)).await;
    let _ = within(serving).await.unwrap();
    connected
}

#[tokio::test]
async fn the_decision_about_a_server_counts_whatever_the_certificate_says() {
    for version in VERSIONS {
        assert!(connect(version, "localhost", Conduct::Agrees).await.unwrap().connection().is_authorized());
        assert!(connect(version, "other.test", Conduct::Accepts).await.unwrap().connection().is_authorized());
        let code = async |name, conduct| connect(version, name, conduct).await.unwrap_err().code();
        assert_eq!(code("other.test", Conduct::Agrees).await, "ERR_TLS_CERT_ALTNAME_INVALID");
        assert_eq!(code("localhost", Conduct::Rejects).await, "ERR_TLS_PEER_REJECTED");
        assert_eq!(code("localhost", Conduct::Fails).await, "ERR_TLS_VERIFY_PEER_FAILED");
        assert_eq!(code("localhost", Conduct::Panics).await, "ERR_TLS_VERIFY_PEER_FAILED");
    }
}

#[tokio::test]
async fn a_late_decision_about_a_server_is_waited_for() {
    for version in VERSIONS {
        let ((asked, was_asked), (release, released)) = (oneshot::channel(), oneshot::channel());
        let deciding = async {
            was_asked.await.unwrap();
            tokio::task::yield_now().await;
            release.send(()).unwrap();
        };
        let conduct = Conduct::Waits { asked, released };
        let (connected, ()) =
            within(async { tokio::join!(connect(version, "localhost", conduct), deciding) }).await;
        assert!(connected.unwrap().connection().is_authorized());
    }
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_is_never_taken_ends_with_the_handshakes_time_limit() {
    let ((asked, _was_asked), (_release, released)) = (oneshot::channel(), oneshot::channel());
    let connecting = Callbacks(Mutex::new(Some(Conduct::Waits { asked, released })));
    let limit = std::time::Duration::from_secs(3);
    let connector = crate::world::connector().callbacks(connecting).handshake_timeout(limit);
    let (client, server) = tokio::io::duplex(65_536);
    let serving = tokio::spawn(async move { acceptor().accept(server).await });
    let error = within(connector.connect_over(client)).await.unwrap_err();
    assert_eq!(error.code(), "ERR_TLS_HANDSHAKE_TIMEOUT");
    assert_eq!(within(serving).await.unwrap().unwrap_err().code(), "ECONNRESET");
}

/// Passes on what it is told.
struct Told(mpsc::UnboundedSender<String>);

impl ClientCallbacks for Told {
    fn session(&self, _session: &Session) {
        self.0.send("session".to_owned()).expect("the test listens");
    }

    fn key_log(&self, line: &SecretBytes) {
        let line = String::from_utf8(line.expose().to_vec()).expect("the format is text");
        self.0.send(line.split(' ').next().unwrap_or_default().to_owned()).expect("the test listens");
    }

    fn trace(&self, text: &str) {
        let messages = text.lines().filter_map(|line| line.trim().split_once(", Length="));
        messages.for_each(|(name, _)| self.0.send(name.to_owned()).expect("the test listens"));
    }
}

#[tokio::test]
async fn traces_are_told_from_the_beginning_or_from_later_on() {
    let (teller, mut told) = mpsc::unbounded_channel();
    let server = server().bind("127.0.0.1:0").await.unwrap();
    let connector = crate::world::connector().callbacks(Told(teller));
    for early in [true, false] {
        let connector = if early { connector.clone().enable_trace() } else { connector.clone() };
        let (mut client, mut served) = connected(&server, &connector).await;
        if !early {
            client.enable_trace().unwrap();
        }
        greet(&mut client, &mut served).await;
        drop((client, served));
        let all: Vec<String> = std::iter::from_fn(|| told.try_recv().ok()).collect();
        assert_eq!(all.contains(&"ClientHello".to_owned()), early, "{all:?}");
        assert!(all.contains(&"NewSessionTicket".to_owned()), "{all:?}");
    }
}

#[tokio::test]
async fn sessions_and_key_material_are_told_as_they_come() {
    let options = SecureContextOptions { dangerous_key_log: true, ..client_options() };
    let (teller, mut told) = mpsc::unbounded_channel();
    let connector = Connector::new(&context(&options)).server_name("localhost").callbacks(Told(teller));
    let server = server().bind("127.0.0.1:0").await.unwrap();
    let (mut client, mut served) = connected(&server, &connector).await;
    greet(&mut client, &mut served).await;
    drop((client, served, connector));
    let mut all = Vec::new();
    while let Some(what) = within(told.recv()).await {
        all.push(what);
    }
    assert_eq!(all.iter().filter(|what| *what == "session").count(), 2, "{all:?}");
    assert!(all.contains(&"CLIENT_TRAFFIC_SECRET_0".to_owned()), "{all:?}");
}

/// Panics when it is told something.
struct Careless;

impl ClientCallbacks for Careless {
    fn session(&self, _session: &Session) {
        panic!("a mistake in a callback");
    }

    fn key_log(&self, _line: &SecretBytes) {
        panic!("another mistake");
    }
}

#[tokio::test]
async fn a_panic_in_what_is_only_told_does_not_reach_the_program() {
    let options = SecureContextOptions { dangerous_key_log: true, ..client_options() };
    let connector = Connector::new(&context(&options)).server_name("localhost").callbacks(Careless);
    let server = server().bind("127.0.0.1:0").await.unwrap();
    let (mut client, mut served) = connected(&server, &connector).await;
    greet(&mut client, &mut served).await;
}
