//! The server's side.
//!
//! A task accepts transports and starts a task for each handshake; sockets come out of [`Server::accept`] when they
//! are secure. A client that is slow, wrong or hostile costs its own task only.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use nodetls_proto::{
    ClientAuthentication, Connection, Error, SecureContext, ServerNames, ServerOptions, TicketKeys,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Instant;

use crate::TlsSocket;
use crate::callbacks::{Callbacks, ServerCallbacks, Serving};
use crate::error::{AcceptError, BindError, HandshakeError};

/// Handshakes going on at the same time, where nothing else is said.
const MAX_HANDSHAKES: usize = 10_000;

/// Secure sockets waiting for [`Server::accept`].
const ACCEPT_QUEUE: usize = 256;

/// How long a refused client may take to read the alert before its transport is closed.
const LINGER: Duration = Duration::from_millis(500);

/// How long to wait after the system could not accept a connection, for want of descriptors usually.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Options for a [`Server`] or an [`Acceptor`]. Node: the options of `tls.createServer`.
pub struct ServerBuilder {
    context: SecureContext,
    options: ServerOptions,
    callbacks: Arc<dyn Callbacks>,
    max_handshakes: usize,
}

impl ServerBuilder {
    /// The application protocols to select from, the preferred one first. Default: none. Node: `ALPNProtocols`.
    #[must_use]
    pub fn alpn_protocols<P: AsRef<[u8]>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.options.alpn_protocols =
            protocols.into_iter().map(|protocol| protocol.as_ref().to_vec()).collect();
        self
    }

    /// What is asked of clients. Default: no certificate. Node: `requestCert`, `rejectUnauthorized`.
    #[must_use]
    pub fn client_authentication(mut self, authentication: ClientAuthentication) -> Self {
        self.options.client_authentication = authentication;
        self
    }

    /// After how long a handshake is given up; `None`: never. Default: 120 s. Node: `handshakeTimeout`.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.options.handshake_timeout = timeout.into();
        self
    }

    /// How many renegotiations a client may begin in each window (TLS 1.2); one more ends its connection with
    /// `ERR_TLS_SESSION_ATTACK`. Default: 3. Node: `tls.CLIENT_RENEG_LIMIT`.
    #[must_use]
    pub fn renegotiation_limit(mut self, count: u32) -> Self {
        self.options.renegotiation_limit = count;
        self
    }

    /// The length of that window. Default: 600 s. Node: `tls.CLIENT_RENEG_WINDOW`.
    #[must_use]
    pub fn renegotiation_window(mut self, window: Duration) -> Self {
        self.options.renegotiation_window = window;
        self
    }

    /// The keys of session tickets, which all servers of a fleet share. Default: random ones of this server.
    /// Node: `ticketKeys`.
    #[must_use]
    pub fn ticket_keys(mut self, keys: TicketKeys) -> Self {
        self.options.ticket_keys = Some(keys);
        self
    }

    /// Keeps the sessions of different applications apart; servers of one fleet need the same. Default: the program's
    /// arguments. Node: `sessionIdContext`.
    #[must_use]
    pub fn session_id_context(mut self, context: impl Into<Vec<u8>>) -> Self {
        self.options.session_id_context = context.into();
        self
    }

    /// Traces connections from their beginning; see [`ServerCallbacks::trace`] and [`TlsSocket::enable_trace`].
    /// Node: `enableTrace`.
    #[must_use]
    pub fn enable_trace(mut self) -> Self {
        self.options.enable_trace = true;
        self
    }

    /// What clients are told, up to TLS 1.2, so that they choose the right identity for
    /// [`psk`](ServerCallbacks::psk); at most 256 bytes without NUL. Default: none. Node: `pskIdentityHint`.
    #[must_use]
    pub fn psk_identity_hint(mut self, hint: impl Into<String>) -> Self {
        self.options.psk_identity_hint = Some(hint.into());
        self
    }

    /// The context for a server name, or for a pattern such as `*.example.com`. Node: `server.addContext`.
    #[must_use]
    pub fn context(mut self, name: &str, context: &SecureContext) -> Self {
        Arc::make_mut(&mut self.options.contexts).insert(name, context.clone());
        self
    }

    /// Who takes decisions and is told of errors and key material. Default: nobody.
    #[must_use]
    pub fn callbacks(mut self, callbacks: impl ServerCallbacks) -> Self {
        self.options.questions = callbacks.questions();
        self.callbacks = Arc::new(Serving(callbacks));
        self
    }

    /// How many handshakes may go on at the same time; further clients wait in the system's queue. At least 1.
    /// Default: 10,000.
    #[must_use]
    pub fn max_concurrent_handshakes(mut self, count: usize) -> Self {
        self.max_handshakes = count.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Listens on an address. Node: `server.listen`.
    ///
    /// # Errors
    /// [`BindError`] when the address or an option cannot be used.
    pub async fn bind(self, address: impl ToSocketAddrs) -> Result<Server, BindError> {
        let listener = TcpListener::bind(address).await?;
        self.listen(listener)
    }

    /// Listens on a listener that exists already.
    ///
    /// # Errors
    /// [`BindError`] when the listener or an option cannot be used.
    pub fn listen(self, listener: TcpListener) -> Result<Server, BindError> {
        let address = listener.local_addr()?;
        let max_handshakes = self.max_handshakes;
        let acceptor = self.build()?;
        let (sockets, incoming) = mpsc::channel(ACCEPT_QUEUE);
        let (close, closing) = watch::channel(false);
        let accepting = Accepting {
            acceptor: acceptor.clone(),
            slots: Arc::new(Semaphore::new(max_handshakes)),
            sockets,
            closing,
        };
        let task = tokio::spawn(accepting.run(listener));
        Ok(Server { acceptor, address, incoming: tokio::sync::Mutex::new(incoming), close, task })
    }

    /// Makes an acceptor for transports that come from elsewhere.
    ///
    /// # Errors
    /// [`Error::Config`] when an option cannot be used.
    pub fn build(mut self) -> Result<Acceptor, Error> {
        // One set for all contexts, so that replacing a context does not end the sessions made under it.
        if self.options.ticket_keys.is_none() {
            self.options.ticket_keys = Some(TicketKeys::random()?);
        }
        self.options.check()?;
        let shared = Shared {
            current: Mutex::new((self.context, Arc::new(self.options))),
            callbacks: self.callbacks,
            connections: watch::Sender::new(0),
        };
        Ok(Acceptor { shared: Arc::new(shared) })
    }
}

impl std::fmt::Debug for ServerBuilder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("ServerBuilder").field("options", &self.options).finish_non_exhaustive()
    }
}

struct Shared {
    current: Mutex<(SecureContext, Arc<ServerOptions>)>,
    callbacks: Arc<dyn Callbacks>,
    connections: watch::Sender<usize>,
}

/// Does the server's side of handshakes over any transport. Cloning shares it.
/// Node: `new tls.TLSSocket(socket, { isServer: true })`.
#[derive(Clone)]
pub struct Acceptor {
    shared: Arc<Shared>,
}

impl Acceptor {
    /// Begins with a context; end with [`ServerBuilder::build`].
    pub fn builder(context: &SecureContext) -> ServerBuilder {
        let arguments: Vec<_> = std::env::args_os().map(std::ffi::OsString::into_encoded_bytes).collect();
        ServerBuilder {
            context: context.clone(),
            options: ServerOptions { session_id_context: arguments.join(&0), ..ServerOptions::default() },
            callbacks: Arc::new(Serving(())),
            max_handshakes: MAX_HANDSHAKES,
        }
    }

    /// Does the handshake with a client.
    ///
    /// # Errors
    /// [`HandshakeError`]; the client has been told as far as possible.
    ///
    /// # Cancel safety
    /// Giving up drops the transport.
    pub async fn accept<S>(&self, stream: S) -> Result<TlsSocket<S>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let guard = ConnectionGuard::new(&self.shared);
        let (context, options) = self.current().clone();
        let connection = Connection::server(&context, options, Instant::now().into_std())?;
        match TlsSocket::handshake(stream, connection, Arc::clone(&self.shared.callbacks)).await {
            Ok(mut socket) => {
                socket.set_guard(guard);
                Ok(socket)
            }
            Err((error, stream)) => {
                linger(stream).await;
                Err(error)
            }
        }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, (SecureContext, Arc<ServerOptions>)> {
        self.shared.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the context for connections accepted from now on. Node: `server.setSecureContext`.
    pub fn set_secure_context(&self, context: &SecureContext) {
        self.current().0 = context.clone();
    }

    /// Adds a context for a server name or pattern, for connections accepted from now on; it wins over earlier ones.
    /// Node: `server.addContext`.
    pub fn add_context(&self, name: &str, context: &SecureContext) {
        let mut current = self.current();
        Arc::make_mut(&mut Arc::make_mut(&mut current.1).contexts).insert(name, context.clone());
    }

    /// Replaces all contexts by name, for connections accepted from now on.
    pub fn set_contexts(&self, contexts: ServerNames<SecureContext>) {
        Arc::make_mut(&mut self.current().1).contexts = Arc::new(contexts);
    }

    /// The keys of session tickets. Node: `server.getTicketKeys()`.
    pub fn ticket_keys(&self) -> Option<TicketKeys> {
        self.current().1.ticket_keys.clone()
    }

    /// Replaces the keys of session tickets for connections accepted from now on.
    /// Node: `server.setTicketKeys(keys)`.
    pub fn set_ticket_keys(&self, keys: TicketKeys) {
        Arc::make_mut(&mut self.current().1).ticket_keys = Some(keys);
    }

    pub(crate) fn downgrade(&self) -> WeakAcceptor {
        WeakAcceptor(Arc::downgrade(&self.shared))
    }

    /// How many connections there are, handshakes included. Node: `server.getConnections`.
    pub fn connections(&self) -> usize {
        *self.shared.connections.borrow()
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Acceptor").field("connections", &self.connections()).finish_non_exhaustive()
    }
}

/// An acceptor that may be gone.
pub(crate) struct WeakAcceptor(Weak<Shared>);

impl WeakAcceptor {
    pub(crate) fn upgrade(&self) -> Option<Acceptor> {
        self.0.upgrade().map(|shared| Acceptor { shared })
    }
}

/// Counts a connection as long as it lives.
pub(crate) struct ConnectionGuard(Arc<Shared>);

impl ConnectionGuard {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.connections.send_modify(|count| *count += 1);
        Self(Arc::clone(shared))
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.connections.send_modify(|count| *count -= 1);
    }
}

impl std::fmt::Debug for ConnectionGuard {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("ConnectionGuard")
    }
}

/// Closes a transport so that the alert arrives: bytes of the peer that nobody reads would make the system reset the
/// connection, and the alert would be lost with it.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let drain = async {
        stream.shutdown().await?;
        let mut rest = [0; 4096];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    // A client that goes on sending, or never closes, is cut off.
    let _ = tokio::time::timeout(LINGER, drain).await;
}

/// A listening server. Node: `tls.Server`. Dropping it stops listening; connections that were handed out live on.
///
/// # Example
/// ```no_run
/// # async fn example(context: nodetls::SecureContext) -> Result<(), Box<dyn std::error::Error>> {
/// use nodetls::Server;
///
/// let server = Server::builder(&context).alpn_protocols(["http/1.1"]).bind("127.0.0.1:0").await?;
/// while let Ok((socket, peer)) = server.accept().await {
///     tokio::spawn(async move {
///         let (mut reader, mut writer) = socket.into_split();
///         tokio::io::copy(&mut reader, &mut writer).await
///     });
/// }
/// # Ok(())
/// # }
/// ```
pub struct Server {
    acceptor: Acceptor,
    address: SocketAddr,
    incoming: tokio::sync::Mutex<mpsc::Receiver<(TlsSocket<TcpStream>, SocketAddr)>>,
    close: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Begins with a context; end with [`ServerBuilder::bind`].
    ///
    /// Node: `tls.createServer(options)`.
    pub fn builder(context: &SecureContext) -> ServerBuilder {
        Acceptor::builder(context)
    }

    /// The next secure connection. Node: event `secureConnection`.
    ///
    /// # Errors
    /// [`AcceptError::Closed`] after [`Server::close`], when all accepted connections have been handed out.
    ///
    /// # Cancel safety
    /// Giving up loses no connection.
    pub async fn accept(&self) -> Result<(TlsSocket<TcpStream>, SocketAddr), AcceptError> {
        self.incoming.lock().await.recv().await.ok_or(AcceptError::Closed)
    }

    /// The address that the server listens on. Node: `server.address()`.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The acceptor, through which contexts can be replaced.
    pub fn acceptor(&self) -> &Acceptor {
        &self.acceptor
    }

    /// Stops listening and waits until all connections have ended, those still in their handshake included.
    /// Wrap it in a timeout to wait no longer than that. Node: `server.close()`.
    ///
    /// # Cancel safety
    /// Giving up leaves the server closed.
    pub async fn close(&self) {
        self.close.send_replace(true);
        // The accepting task holds the only receiver, and drops it after the listener.
        self.close.closed().await;
        let mut connections = self.acceptor.shared.connections.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = connections.wait_for(|count| *count == 0).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The accepting task.
struct Accepting {
    acceptor: Acceptor,
    slots: Arc<Semaphore>,
    sockets: mpsc::Sender<(TlsSocket<TcpStream>, SocketAddr)>,
    closing: watch::Receiver<bool>,
}

impl Accepting {
    async fn run(self, listener: TcpListener) {
        let mut closing = self.closing.clone();
        loop {
            let next = async {
                let slot = Arc::clone(&self.slots).acquire_owned().await;
                (slot, listener.accept().await)
            };
            let (slot, accepted) = tokio::select! {
                biased;
                _ = closing.wait_for(|closing| *closing) => return,
                next = next => next,
            };
            let Ok(slot) = slot else { return };
            match accepted {
                Ok((stream, peer)) => drop(tokio::spawn(self.handshake(stream, peer, slot))),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn handshake(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        slot: OwnedSemaphorePermit,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (acceptor, sockets) = (self.acceptor.clone(), self.sockets.clone());
        async move {
            // An option of the transport that cannot be set is no reason to refuse a client.
            let _ = stream.set_nodelay(true);
            match acceptor.accept(stream).await {
                Ok(socket) => {
                    // The receiver is gone only with the server itself.
                    let _ = sockets.send((socket, peer)).await;
                }
                Err(error) => acceptor.shared.callbacks.failed(&error, Some(peer)),
            }
            drop(slot);
        }
    }
}
