//! `nodetls connect`: a client for people and pipes.
//!
//! Standard output holds the server's data and nothing else.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nodetls::{
    ClientCallbacks, Connector, DefaultAuthorities, Questions, SecretBytes, SecureContext, Session, TlsSocket,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::address::Address;
use crate::args::ConnectArgs;
use crate::describe::Facts;
use crate::failure::Failure;
use crate::key_log::{KeyLog, Notice};
use crate::{context, files, output};

/// How much is moved at once: a few records.
const CHUNK: usize = 64 * 1024;

/// How long `--no-stdin` waits for the server to close.
const PATIENCE: Duration = Duration::from_secs(2);

/// Connects, tells what was negotiated, and moves data until the server closes.
pub(crate) async fn run(args: &ConnectArgs) -> Result<(), Failure> {
    let target = args.target.as_deref().map(Address::parse).transpose()?;
    let key_log = KeyLog::from_environment(Notice::new(args.json))?;
    let observer = Observer { key_log, session: Arc::default() };
    let connector = connector(args, target.as_ref(), &observer)?;
    let done = match (&args.unix, target) {
        (Some(path), _) => connect_unix(args, &connector, path).await,
        (None, Some(target)) => connect_tcp(args, &connector, &target).await,
        (None, None) => Err(Failure::usage("connect needs HOST:PORT or --unix PATH")),
    };
    // The session is good even where the conversation went wrong later.
    let kept = args.session_out.as_deref().map_or(Ok(()), |path| observer.keep_session(path));
    done.and(kept)
}

/// Keeps the newest session, and logs keys.
#[derive(Clone, Debug)]
struct Observer {
    key_log: KeyLog,
    session: Arc<Mutex<Option<Session>>>,
}

impl ClientCallbacks for Observer {
    fn questions(&self) -> Questions {
        Questions::NONE
    }

    fn session(&self, session: &Session) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session.clone());
    }

    fn key_log(&self, line: &SecretBytes) {
        self.key_log.append(line);
    }
}

impl Observer {
    fn keep_session(&self, path: &std::path::Path) -> Result<(), Failure> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner).take();
        match session {
            Some(session) => files::write_private(path, session.to_der()?.expose()),
            None => {
                output::err(&format!("no session was received; {} is as it was", path.display()));
                Ok(())
            }
        }
    }
}

fn connector(
    args: &ConnectArgs,
    target: Option<&Address>,
    observer: &Observer,
) -> Result<Connector, Failure> {
    let mut options = context::options(&args.protocol, &observer.key_log)?;
    options.ca = context::authorities(&args.ca)?;
    if args.system_ca {
        options.default_ca = DefaultAuthorities::System;
    }
    context::add_identity(&mut options, &args.identity)?;
    let mut connector = Connector::new(&SecureContext::new(&options)?)
        .alpn_protocols(&args.protocol.alpn)
        .callbacks(observer.clone());
    if let Some(name) = args.servername.as_ref().or_else(|| target.map(|target| &target.host)) {
        connector = connector.server_name(name);
    }
    if let Some(path) = &args.session_in {
        connector = connector.session(Session::from_der(&files::read(path)?)?);
    }
    if args.dangerous_accept_unauthorized {
        connector = connector.dangerous_accept_unauthorized();
    }
    Ok(connector)
}

async fn connect_tcp(args: &ConnectArgs, connector: &Connector, target: &Address) -> Result<(), Failure> {
    let connected = connector.connect(&target.host, target.port).await;
    let socket = connected.map_err(|error| Failure::connect(target, &error))?;
    let peer = socket.get_ref().peer_addr().map_or_else(|_| target.to_string(), |peer| peer.to_string());
    talk(args, &peer, socket).await
}

#[cfg(unix)]
async fn connect_unix(
    args: &ConnectArgs,
    connector: &Connector,
    path: &std::path::Path,
) -> Result<(), Failure> {
    let connected = connector.connect_unix(path).await;
    let socket = connected.map_err(|error| Failure::connect(path.display(), &error))?;
    talk(args, &path.display().to_string(), socket).await
}

#[cfg(not(unix))]
async fn connect_unix(_: &ConnectArgs, _: &Connector, _: &std::path::Path) -> Result<(), Failure> {
    Err(Failure::usage("there are no Unix sockets on this system"))
}

async fn talk<S>(args: &ConnectArgs, peer: &str, mut socket: TlsSocket<S>) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let facts = Facts::of(socket.connection());
    if args.json {
        output::err(&facts.json().to_string());
    } else {
        output::err(&format!("Connected to {peer}\n{}", facts.text("")));
    }
    if args.no_stdin {
        return match tokio::time::timeout(PATIENCE, close(&mut socket)).await {
            Ok(Err(error)) if is_tls(&error) => Err(Failure::io("receive from the server", error)),
            // A transport that ends otherwise ends what was to end.
            _ => Ok(()),
        };
    }
    socket.reject_truncated();
    converse(socket).await
}

/// Whether it is TLS that has failed, and not the transport.
fn is_tls(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<nodetls::Error>())
}

/// Says goodbye, and reads until the server has done so: sessions come only then, and in TLS 1.3 so does the server's
/// opinion of the client's certificate.
async fn close<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut TlsSocket<S>) -> std::io::Result<()> {
    socket.shutdown().await?;
    tokio::io::copy(socket, &mut tokio::io::sink()).await.map(drop)
}

/// Moves data both ways until the server closes.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(socket: TlsSocket<S>) -> Result<(), Failure> {
    let (reader, mut writer) = socket.into_split();
    let received = {
        let mut sending = pin!(send(&mut writer));
        let mut receiving = pin!(receive(reader));
        tokio::select! {
            received = &mut receiving => received,
            // What the server has said before it stopped listening is worth reading, and its reason is more so.
            sent = &mut sending => receiving.await.and(sent),
        }
    };
    // The server has gone already, or is on its way: a goodbye that does not reach it is no failure.
    let _ = tokio::time::timeout(PATIENCE, writer.shutdown()).await;
    received
}

/// Standard input to the server, then close_notify.
async fn send(writer: &mut (impl AsyncWrite + Unpin)) -> Result<(), Failure> {
    let (mut stdin, mut chunk) = (tokio::io::stdin(), vec![0; CHUNK]);
    let to_server = |error| Failure::io("send to the server", error);
    loop {
        let count =
            stdin.read(&mut chunk).await.map_err(|error| Failure::io("read standard input", error))?;
        if count == 0 {
            return writer.shutdown().await.map_err(to_server);
        }
        writer.write_all(&chunk[..count]).await.map_err(to_server)?;
        writer.flush().await.map_err(to_server)?;
    }
}

/// The server's data to standard output, until it closes.
async fn receive(mut reader: impl AsyncRead + Unpin) -> Result<(), Failure> {
    let (mut stdout, mut chunk) = (tokio::io::stdout(), vec![0; CHUNK]);
    loop {
        let count =
            reader.read(&mut chunk).await.map_err(|error| Failure::io("receive from the server", error))?;
        if count == 0 {
            return Ok(());
        }
        stdout.write_all(&chunk[..count]).await.map_err(Failure::stdout)?;
        stdout.flush().await.map_err(Failure::stdout)?;
    }
}
