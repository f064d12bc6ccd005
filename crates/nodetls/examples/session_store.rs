//! Sessions in a store that two servers share: a client that was on the first one resumes its session on the second.
//!
//! Session tickets do the same without a store, where the servers share their keys (`ServerBuilder::ticket_keys`).
//!
//! `cargo run -p nodetls --example session_store`

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the example shows what happens")]

use std::collections::HashMap;
use std::sync::Arc;

use nodetls::{
    AskNewSession, AskResumeSession, BoxError, Connector, KeyPem, QuestionKind, Questions, SecretBytes,
    SecureContext, SecureContextOptions, Server, ServerCallbacks, Session,
};
use nodetls_test::pki::{Authority, Identity, Leaf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Mutex;

/// OpenSSL's option that sessions live in the server's store instead of in tickets.
const SSL_OP_NO_TICKET: u64 = 1 << 14;

/// Sessions in DER by their ids. They are as secret as keys; a real store also forgets them after some time.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<HashMap<Vec<u8>, SecretBytes>>>);

impl ServerCallbacks for Store {
    fn questions(&self) -> Questions {
        Questions::NONE.with(QuestionKind::NewSession).with(QuestionKind::ResumeSession)
    }

    /// The client learns of its session only after this has ended, so it never comes back before the store has it.
    async fn new_session(&self, ask: &AskNewSession) -> Result<(), BoxError> {
        self.0.lock().await.insert(ask.session_id.clone(), ask.session.to_der()?);
        Ok(())
    }

    /// `None` is a full handshake. TLS 1.3 uses each session once, so it leaves the store.
    async fn resume_session(&self, ask: &AskResumeSession) -> Result<Option<Session>, BoxError> {
        let stored = self.0.lock().await.remove(&ask.session_id);
        Ok(stored.map(|der| Session::from_der(der.expose())).transpose()?)
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let authority = Authority::new("example authority");
    let identity = authority.issue(&Leaf::server("localhost"));
    let store = Store::default();
    let first = start(&identity, store.clone()).await?;
    let second = start(&identity, store.clone()).await?;

    let options =
        SecureContextOptions { ca: Some(vec![authority.pem().into()]), ..SecureContextOptions::default() };
    let connector = Connector::new(&SecureContext::new(&options)?);
    let session = visit("first server", &connector, first).await?.ok_or("the server gave no session")?;
    visit("second server", &connector.session(session), second).await?;
    Ok(())
}

/// A server on a free port.
async fn start(identity: &Identity, store: Store) -> Result<u16, BoxError> {
    let context = SecureContext::new(&SecureContextOptions {
        cert: vec![identity.cert_pem.clone().into()],
        key: vec![KeyPem { pem: identity.key_pem.clone().into(), passphrase: None }],
        secure_options: SSL_OP_NO_TICKET,
        ..Default::default()
    })?;
    // The same on all servers of one application.
    let builder = Server::builder(&context).session_id_context("example").callbacks(store);
    let server = builder.bind("127.0.0.1:0").await?;
    let port = server.local_addr().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = server.accept().await {
            tokio::spawn(async move {
                socket.write_all(b"hello").await?;
                socket.shutdown().await
            });
        }
    });
    Ok(port)
}

/// Connects, and gives the session for the next time. In TLS 1.3 it comes while data is read.
async fn visit(server: &str, connector: &Connector, port: u16) -> Result<Option<Session>, BoxError> {
    let mut socket = connector.connect("localhost", port).await?;
    let mut received = String::new();
    socket.read_to_string(&mut received).await?;
    let resumed = if socket.connection().is_session_reused() { "resumed" } else { "new" };
    println!("{server}: {received}, session {resumed}");
    Ok(socket.take_session())
}
