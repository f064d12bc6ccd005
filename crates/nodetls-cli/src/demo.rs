//! `nodetls demo`: the manual's echo example, and what TLS is for, on throwaway certificates and real TCP.
//!
//! Each step checks what it shows, so that the exit status says whether the library works on this machine.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;

use nodetls::{
    ClientAuthentication, Connector, HandshakeError, Questions, SecureContext, SecureContextOptions, Server,
    ServerCallbacks, Session, TlsSocket,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::args::DemoArgs;
use crate::describe::Facts;
use crate::failure::Failure;
use crate::output;
use crate::throwaway::Authority;

/// All of it takes milliseconds; a machine that needs longer than this has another problem.
const LIMIT: Duration = Duration::from_secs(30);

const WELCOME: &[u8] = b"welcome!\n";
const MESSAGE: &str = "How now, brown cow?";
const PROTOCOL: &str = "echo";
const CLIENT: &str = "agent1";

/// Runs the whole demonstration.
pub(crate) async fn run(args: &DemoArgs) -> Result<(), Failure> {
    match tokio::time::timeout(LIMIT, demonstrate(args.json)).await {
        Ok(done) => done,
        Err(_) => {
            Err(Failure::new("ETIMEDOUT", format_args!("the demo did not end within {} s", LIMIT.as_secs())))
        }
    }
}

async fn demonstrate(json: bool) -> Result<(), Failure> {
    let mut demo = Demo::start(Narrator { json, steps: Cell::new(0) }).await?;
    let session = demo.first_connection().await?;
    demo.resumption(session).await?;
    demo.client_without_certificate().await?;
    demo.client_that_trusts_somebody_else().await?;
    let text =
        "All of it went as it must.\nNext: nodetls serve, nodetls connect HOST:PORT, and --help for each.";
    demo.narrator.step("done", text, json!({}))
}

/// Tells what happens, to people or to programs.
struct Narrator {
    json: bool,
    steps: Cell<u32>,
}

impl Narrator {
    fn step(&self, name: &str, text: &str, mut facts: Value) -> Result<(), Failure> {
        let number = self.steps.get() + 1;
        self.steps.set(number);
        if !self.json {
            return output::out(&format!("{}{number}. {text}", if number > 1 { "\n" } else { "" }));
        }
        facts["step"] = name.into();
        output::out(&facts.to_string())
    }
}

/// A code and a text.
type Refusal = (String, String);

/// What the server is told of clients that failed.
struct Refusals(mpsc::UnboundedSender<Refusal>);

impl ServerCallbacks for Refusals {
    fn questions(&self) -> Questions {
        Questions::NONE
    }

    fn client_error(&self, error: &HandshakeError, _peer: Option<SocketAddr>) {
        // Nobody listens any more only when the demo has ended.
        let _ = self.0.send((error.code(), error.to_string()));
    }
}

/// The server's task, and all that the steps need.
struct Demo {
    narrator: Narrator,
    port: u16,
    authority: Authority,
    accepted: mpsc::UnboundedReceiver<Facts>,
    refused: mpsc::UnboundedReceiver<Refusal>,
}

impl Demo {
    async fn start(narrator: Narrator) -> Result<Self, Failure> {
        let authority = Authority::new()?;
        let text = "A throwaway certificate authority was made; it issues the certificates that follow.";
        narrator.step("authority", text, json!({ "ca": authority.pem() }))?;
        let mut options = trusting(&authority);
        authority.issue_localhost()?.add_to(&mut options);
        let context = SecureContext::new(&options)?;
        let (failed, refused) = mpsc::unbounded_channel();
        let address = "127.0.0.1:0";
        let server = Server::builder(&context)
            .client_authentication(ClientAuthentication::Required)
            .alpn_protocols([PROTOCOL])
            .callbacks(Refusals(failed))
            .bind(address)
            .await
            .map_err(|error| Failure::bind(address, error))?;
        let bound = server.local_addr();
        let (secure, accepted) = mpsc::unbounded_channel();
        tokio::spawn(serve(server, secure));
        let text = format!(
            "Server bound to {bound}. It is localhost, demands a certificate of its clients, and speaks the \
             application protocol {PROTOCOL:?}."
        );
        narrator.step("listening", &text, json!({ "address": bound.to_string() }))?;
        Ok(Self { narrator, port: bound.port(), authority, accepted, refused })
    }

    /// A client with everything right.
    fn client(&self) -> Result<Connector, Failure> {
        let mut options = trusting(&self.authority);
        self.authority.issue_client(CLIENT)?.add_to(&mut options);
        connector(&options)
    }

    async fn first_connection(&mut self) -> Result<(Connector, Session), Failure> {
        let client = self.client()?;
        let mut socket = self.connect(&client).await?;
        let seen = Facts::of(socket.connection());
        self.connected("connected", "A client connected. What it knows:", &seen)?;
        let by_server = self.next_accepted().await?;
        self.connected("accepted", "What the server knows of it:", &by_server)?;
        for facts in [&seen, &by_server] {
            check("both sides are authorized", facts.is_authorized())?;
            check("the protocol is TLS 1.3", facts.protocol == Some("TLSv1.3"))?;
            check("the application protocol is agreed", facts.alpn.as_deref() == Some(PROTOCOL))?;
            check("the server name is known", facts.server_name.as_deref() == Some("localhost"))?;
            check("the handshake was a full one", !facts.reused)?;
        }
        self.echo(&mut socket).await?;
        let session = socket.take_session();
        let session = session.ok_or_else(|| failed("the server gave a session to resume"))?;
        Ok((client, session))
    }

    async fn echo(&self, socket: &mut TlsSocket<TcpStream>) -> Result<(), Failure> {
        let received = exchange(socket).await.map_err(|error| Failure::io("echo", error))?;
        let expected = [WELCOME, MESSAGE.as_bytes()].concat();
        check("what was sent comes back", received == expected)?;
        let received = String::from_utf8_lossy(&received);
        let (welcome, echoed) = received.split_once('\n').unwrap_or((&received, ""));
        let text = format!(
            "The server said {welcome:?}, the client sent {MESSAGE:?}, and {echoed:?} came back. Both sides closed \
             with close_notify."
        );
        self.narrator.step("echo", &text, json!({ "sent": MESSAGE, "received": received }))
    }

    async fn resumption(&mut self, (client, session): (Connector, Session)) -> Result<(), Failure> {
        let client = client.session(session);
        let mut socket = self.connect(&client).await?;
        let seen = Facts::of(socket.connection());
        let text = "The client connected again, with the session of the first connection: no certificates are sent \
                    and checked, but the peers are still known.";
        self.connected("resumed", text, &seen)?;
        let by_server = self.next_accepted().await?;
        check("the session is resumed", seen.reused && by_server.reused)?;
        check("the peers are still authorized", seen.is_authorized() && by_server.is_authorized())?;
        check("the server still knows the client", by_server.certificates.len() == 1)?;
        self.echo(&mut socket).await
    }

    async fn client_without_certificate(&mut self) -> Result<(), Failure> {
        let client = connector(&trusting(&self.authority))?;
        let seen = self.refusal_seen_by(&client).await?;
        let by_server = self.next_refused().await?;
        check(
            "the server misses the certificate",
            by_server.0 == "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE",
        )?;
        check("the client is told so", seen.0 == "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED")?;
        self.refused(
            "no-certificate",
            "A client without a certificate was refused by the server.",
            seen,
            by_server,
        )
    }

    async fn client_that_trusts_somebody_else(&mut self) -> Result<(), Failure> {
        let mut options = SecureContextOptions::default();
        self.authority.issue_client(CLIENT)?.add_to(&mut options);
        let seen = self.refusal_seen_by(&connector(&options)?).await?;
        let by_server = self.next_refused().await?;
        check("the client does not know the authority", seen.0 == "SELF_SIGNED_CERT_IN_CHAIN")?;
        check("the server is told so", by_server.0 == "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA")?;
        let text =
            "A client that trusts the usual authorities, but not the throwaway one, refused the server.";
        self.refused("untrusted-authority", text, seen, by_server)
    }

    async fn connect(&self, client: &Connector) -> Result<TlsSocket<TcpStream>, Failure> {
        let connected = client.connect("127.0.0.1", self.port).await;
        connected.map_err(|error| Failure::connect("the demo's server", &error))
    }

    /// What a client learns that cannot come in. In TLS 1.3 its own part of the handshake may be over before the
    /// server has looked at its certificate; the first read then tells.
    async fn refusal_seen_by(&self, client: &Connector) -> Result<Refusal, Failure> {
        match client.connect("127.0.0.1", self.port).await {
            Err(error) => Ok((error.code(), error.to_string())),
            Ok(mut socket) => match socket.read(&mut [0; 64]).await {
                Err(error) => Ok(Failure::io("read", error).into_parts()),
                Ok(_) => Err(failed("the connection is refused")),
            },
        }
    }

    async fn next_accepted(&mut self) -> Result<Facts, Failure> {
        self.accepted.recv().await.ok_or_else(|| failed("the server accepts"))
    }

    async fn next_refused(&mut self) -> Result<Refusal, Failure> {
        self.refused.recv().await.ok_or_else(|| failed("the server refuses"))
    }

    fn connected(&self, name: &str, text: &str, facts: &Facts) -> Result<(), Failure> {
        self.narrator.step(name, &format!("{text}\n{}", facts.text("    ")), facts.json())
    }

    fn refused(&self, name: &str, text: &str, client: Refusal, server: Refusal) -> Result<(), Failure> {
        let side = |(code, message): &Refusal| json!({ "code": code, "message": message });
        let facts = json!({ "client": side(&client), "server": side(&server) });
        let lines = format!("    client: {}: {}\n    server: {}: {}", client.0, client.1, server.0, server.1);
        self.narrator.step(name, &format!("{text}\n{lines}"), facts)
    }
}

/// The manual's server: it welcomes, then sends back what it receives.
async fn serve(server: Server, secure: mpsc::UnboundedSender<Facts>) {
    while let Ok((mut socket, _)) = server.accept().await {
        // Nobody listens any more only when the demo has ended.
        let _ = secure.send(Facts::of(socket.connection()));
        tokio::spawn(async move {
            socket.write_all(WELCOME).await?;
            let (mut reader, mut writer) = socket.into_split();
            tokio::io::copy(&mut reader, &mut writer).await?;
            writer.shutdown().await
        });
    }
}

async fn exchange(socket: &mut TlsSocket<TcpStream>) -> std::io::Result<Vec<u8>> {
    socket.write_all(MESSAGE.as_bytes()).await?;
    socket.shutdown().await?;
    socket.reject_truncated();
    let mut received = Vec::new();
    socket.read_to_end(&mut received).await?;
    Ok(received)
}

fn trusting(authority: &Authority) -> SecureContextOptions {
    SecureContextOptions { ca: Some(vec![authority.pem().into()]), ..Default::default() }
}

fn connector(options: &SecureContextOptions) -> Result<Connector, Failure> {
    Ok(Connector::new(&SecureContext::new(options)?).server_name("localhost").alpn_protocols([PROTOCOL]))
}

fn check(what: &str, holds: bool) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(failed(what)) }
}

fn failed(what: &str) -> Failure {
    Failure::new("ERR_ASSERTION", format_args!("this did not happen: {what}"))
}
