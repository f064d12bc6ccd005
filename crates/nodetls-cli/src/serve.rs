//! `nodetls serve`: an echo server, or TLS in front of a plain TCP server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nodetls::{
    ClientAuthentication, HandshakeError, Questions, SecretBytes, SecureContext, SecureContextOptions,
    Server, ServerBuilder, ServerCallbacks, TlsSocket,
};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::address::Address;
use crate::args::{RequestCert, ServeArgs};
use crate::describe::Facts;
use crate::failure::Failure;
use crate::key_log::{KeyLog, Notice};
use crate::throwaway::Authority;
use crate::{context, files, output, reload};

/// How long a server that is stopped waits for its connections to end.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves until a signal comes.
pub(crate) async fn run(args: &ServeArgs) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let log = Log { json: args.json };
    let listen = Address::parse(&args.listen)?;
    let service = Arc::new(Service { log, to: args.to.as_deref().map(Address::parse).transpose()? });
    // First of all, so that an address that is taken is not found after the certificates have been made.
    let bound = TcpListener::bind((listen.host.as_str(), listen.port)).await;
    let listener = bound.map_err(|error| Failure::io(format_args!("listen on {listen}"), error))?;
    let server = builder(args, log)?.listen(listener).map_err(|error| Failure::bind(&listen, error))?;
    if let Some(seconds) = args.reload {
        let options = context::options(&args.protocol, &KeyLog::from_environment(Notice::None)?)?;
        reload::start(args, seconds, options, server.acceptor(), log).await?;
    }
    log.listening(server.local_addr())?;
    tokio::select! {
        () = accept(&server, &service) => {}
        () = signals.next() => {}
    }
    tokio::select! {
        () = drain(&server, &service) => {}
        () = tokio::time::sleep(DRAIN) => {}
        () = signals.next() => {}
    }
    Ok(())
}

/// Closes the server, and goes on serving those who had come before.
async fn drain(server: &Server, service: &Arc<Service>) {
    tokio::join!(server.close(), accept(server, service));
}

async fn accept(server: &Server, service: &Arc<Service>) {
    while let Ok((socket, peer)) = server.accept().await {
        let service = Arc::clone(service);
        tokio::spawn(async move { service.serve(socket, peer).await });
    }
}

// ---- options ----

fn builder(args: &ServeArgs, log: Log) -> Result<ServerBuilder, Failure> {
    let key_log = KeyLog::from_environment(Notice::new(args.json))?;
    let options = options(args, log, &key_log)?;
    let mut builder = Server::builder(&SecureContext::new(&options)?)
        .alpn_protocols(&args.protocol.alpn)
        .client_authentication(match args.request_cert {
            RequestCert::None => ClientAuthentication::None,
            RequestCert::Optional => ClientAuthentication::DangerousOptional,
            RequestCert::Required => ClientAuthentication::Required,
        })
        .callbacks(Observer { log, key_log });
    if let Some(seconds) = args.handshake_timeout {
        builder = builder.handshake_timeout(Duration::from_secs(seconds));
    }
    for identity in &args.sni {
        let options = context::with_identity(&options, identity)?;
        builder = builder.context(&identity.name, &SecureContext::new(&options)?);
    }
    Ok(builder)
}

fn options(args: &ServeArgs, log: Log, key_log: &KeyLog) -> Result<SecureContextOptions, Failure> {
    let mut options = context::options(&args.protocol, key_log)?;
    options.ca = context::authorities(&args.ca)?;
    context::add_identity(&mut options, &args.identity)?;
    let has_files = !options.cert.is_empty() || !options.pfx.is_empty();
    if args.reload.is_some() && !has_files {
        return Err(Failure::usage("--reload needs --cert and --key, or --pfx"));
    }
    if !has_files {
        add_throwaway(args, log, &mut options)?;
    } else if args.request_cert == RequestCert::Required && args.ca.is_empty() && options.pfx.is_empty() {
        // Otherwise whoever has a certificate of any public authority would come in.
        return Err(Failure::usage("--request-cert required needs --ca, to know whose clients may come in"));
    }
    Ok(options)
}

/// A certificate for localhost from an authority that is made now; clients may only come from that one, too.
fn add_throwaway(args: &ServeArgs, log: Log, options: &mut SecureContextOptions) -> Result<(), Failure> {
    let authority = Authority::new()?;
    authority.issue_localhost()?.add_to(options);
    if options.ca.is_none() {
        options.ca = Some(vec![authority.pem().into()]);
    }
    let what = "a throwaway certificate for localhost is used";
    if let Some(path) = &args.write_ca {
        files::write_private(path, authority.pem().as_bytes())?;
        let text = format!("{what}; its authority is in {}", path.display());
        log.event("throwaway", &text, json!({ "file": path.to_string_lossy() }));
    } else {
        let text = format!("{what}; this is its authority:\n{}", authority.pem().trim_end());
        log.event("throwaway", &text, json!({ "ca": authority.pem() }));
    }
    Ok(())
}

// ---- connections ----

/// What is done with each connection.
struct Service {
    log: Log,
    to: Option<Address>,
}

impl Service {
    async fn serve(&self, socket: TlsSocket<TcpStream>, peer: SocketAddr) {
        let facts = Facts::of(socket.connection());
        let mut object = facts.json();
        object["peer"] = peer.to_string().into();
        self.log.event("connection", &format!("{peer} connected {}", facts.line()), object);
        let served = match &self.to {
            None => echo(socket).await.map_err(|error| Failure::io("echo", error)),
            Some(address) => pass_on(socket, address).await,
        };
        if let Err(failure) = served {
            let (code, message) = failure.into_parts();
            self.log.error("connectionError", peer, &code, &message);
        }
    }
}

async fn echo(socket: TlsSocket<TcpStream>) -> std::io::Result<()> {
    let (mut reader, mut writer) = socket.into_split();
    tokio::io::copy(&mut reader, &mut writer).await?;
    writer.shutdown().await
}

/// Copies both ways. The end of one direction shuts down the writing side of the other peer, which may go on sending.
async fn pass_on(mut socket: TlsSocket<TcpStream>, to: &Address) -> Result<(), Failure> {
    let connected = TcpStream::connect((to.host.as_str(), to.port)).await;
    let mut plain = connected.map_err(|error| Failure::io(format_args!("connect to {to}"), error))?;
    // What one side sends at once goes out at once; an option that cannot be set is no reason to refuse.
    let _ = plain.set_nodelay(true);
    let copied = tokio::io::copy_bidirectional(&mut socket, &mut plain).await;
    copied.map(drop).map_err(|error| Failure::io(format_args!("pass on to {to}"), error))
}

/// Told of failed handshakes and of keys.
struct Observer {
    log: Log,
    key_log: KeyLog,
}

impl ServerCallbacks for Observer {
    fn questions(&self) -> Questions {
        Questions::NONE
    }

    fn key_log(&self, line: &SecretBytes) {
        self.key_log.append(line);
    }

    fn client_error(&self, error: &HandshakeError, peer: Option<SocketAddr>) {
        if let Some(peer) = peer {
            self.log.error("handshakeError", peer, &error.code(), &error.to_string());
        }
    }
}

// ---- telling ----

/// Lines for people or for programs.
#[derive(Clone, Copy)]
pub(crate) struct Log {
    json: bool,
}

impl Log {
    fn listening(self, address: SocketAddr) -> Result<(), Failure> {
        let object = json!({ "event": "listening", "address": address.to_string() });
        output::out(&if self.json { object.to_string() } else { format!("listening on {address}") })
    }

    pub(crate) fn event(self, name: &str, text: &str, mut object: Value) {
        if !self.json {
            return output::err(text);
        }
        object["event"] = name.into();
        output::err(&object.to_string());
    }

    fn error(self, name: &str, peer: SocketAddr, code: &str, message: &str) {
        let object = json!({ "peer": peer.to_string(), "code": code, "message": message });
        self.event(name, &format!("{peer} failed {code}: {}", output::printable(message)), object);
    }
}

/// SIGINT and SIGTERM, or what the system has in their place.
struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let failure = |error| Failure::io("listen for signals", error);
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(failure)?,
            terminate: signal(SignalKind::terminate()).map_err(failure)?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    fn new() -> Result<Self, Failure> {
        Ok(Self {})
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
