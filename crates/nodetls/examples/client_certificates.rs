//! Clients that prove who they are: the server lets in only those with a certificate of its own authority, and asks a
//! list of names besides.
//!
//! `cargo run -p nodetls --example client_certificates`

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the example shows what happens")]

use std::net::SocketAddr;

use nodetls::{
    AskVerifyPeer, BoxError, ClientAuthentication, Connector, HandshakeError, KeyPem, QuestionKind,
    Questions, SecureContext, SecureContextOptions, Server, ServerCallbacks, TlsSocket, VerifyPeerAnswer,
};
use nodetls_test::pki::{Authority, Identity, Leaf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// The clients that may come in. A real server might ask a directory.
const MEMBERS: [&str; 2] = ["alice", "bob"];

struct MembersOnly {
    refusals: mpsc::UnboundedSender<String>,
}

impl ServerCallbacks for MembersOnly {
    fn questions(&self) -> Questions {
        Questions::NONE.with(QuestionKind::VerifyPeer)
    }

    async fn verify_peer(&self, ask: &AskVerifyPeer) -> Result<VerifyPeerAnswer, BoxError> {
        let subject = ask.certificates.first().map(nodetls::Certificate::subject);
        let names = subject.map(|subject| subject.common_names().join(", ")).unwrap_or_default();
        if MEMBERS.contains(&names.as_str()) {
            // The chain has been judged before; this agrees with whatever was found.
            return Ok(VerifyPeerAnswer::Agree);
        }
        Ok(VerifyPeerAnswer::Reject(format!("{names:?} is no member").into()))
    }

    fn client_error(&self, error: &HandshakeError, _peer: Option<SocketAddr>) {
        // Nobody listens any more when the program ends.
        let _ = self.refusals.send(error.code());
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let authority = Authority::new("example authority");
    let context = context(&authority, Some(&authority.issue(&Leaf::server("localhost"))))?;
    let (refusals, mut refused) = mpsc::unbounded_channel();
    let server = Server::builder(&context)
        .client_authentication(ClientAuthentication::Required)
        .callbacks(MembersOnly { refusals })
        .bind("127.0.0.1:0")
        .await?;
    let port = server.local_addr().port();
    tokio::spawn(serve(server));

    let member = authority.issue(&Leaf::client("alice"));
    let other = authority.issue(&Leaf::client("mallory"));
    let forged = Authority::new("another authority").issue(&Leaf::client("alice"));
    for (who, identity) in
        [("alice", Some(&member)), ("mallory", Some(&other)), ("a forger", Some(&forged)), ("nobody", None)]
    {
        let connector = Connector::new(&self::context(&authority, identity)?);
        match visit(&connector, port).await {
            Ok(greeting) => println!("{who} hears: {greeting}"),
            Err(_) => println!("{who} is refused: {}", refused.recv().await.ok_or("the server is gone")?),
        }
    }
    Ok(())
}

fn context(authority: &Authority, identity: Option<&Identity>) -> Result<SecureContext, nodetls::Error> {
    let key = |identity: &Identity| KeyPem { pem: identity.key_pem.clone().into(), passphrase: None };
    SecureContext::new(&SecureContextOptions {
        ca: Some(vec![authority.pem().into()]),
        cert: identity.iter().map(|identity| identity.cert_pem.clone().into()).collect(),
        key: identity.map(key).into_iter().collect(),
        ..Default::default()
    })
}

async fn serve(server: Server) {
    while let Ok((socket, _)) = server.accept().await {
        tokio::spawn(greet(socket));
    }
}

async fn greet(mut socket: TlsSocket<TcpStream>) -> std::io::Result<()> {
    let subject = socket.connection().peer_certificate().map(|certificate| certificate.subject());
    let names = subject.map(|subject| subject.common_names().join(", ")).unwrap_or_default();
    socket.write_all(format!("hello {names}").as_bytes()).await?;
    socket.shutdown().await
}

/// In TLS 1.3 a client's handshake is over before the server has judged its certificate: a refusal comes with the first
/// read, as an alert or as an end without `close_notify`.
async fn visit(connector: &Connector, port: u16) -> std::io::Result<String> {
    let mut socket = connector.connect("localhost", port).await?;
    socket.reject_truncated();
    let mut received = String::new();
    socket.read_to_string(&mut received).await?;
    Ok(received)
}
