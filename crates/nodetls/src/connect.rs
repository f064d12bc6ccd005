//! The client's side.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nodetls_proto::{ClientOptions, Connection, OcspStapling, SecureContext, ServerName, Session};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::TlsSocket;
use crate::callbacks::{Callbacks, ClientCallbacks, Connecting};
use crate::error::ConnectError;
use crate::happy_eyeballs;

/// Connects to a server and does the handshake, with all options at their defaults.
///
/// # Errors
/// [`ConnectError`]: the name, the transport, or the handshake. The server's certificate must lead to a trusted
/// authority and be for `host`.
///
/// # Cancel safety
/// Giving up closes the transport.
///
/// Node: `tls.connect(port, host)`.
pub async fn connect(
    host: &str,
    port: u16,
    context: &SecureContext,
) -> Result<TlsSocket<TcpStream>, ConnectError> {
    Connector::new(context).connect(host, port).await
}

/// Makes connections to servers. Node: the options of `tls.connect`.
///
/// # Example
/// ```no_run
/// # async fn example(context: nodetls::SecureContext) -> Result<(), nodetls::ConnectError> {
/// use nodetls::Connector;
///
/// let connector = Connector::new(&context).alpn_protocols(["h2", "http/1.1"]);
/// let socket = connector.connect("example.com", 443).await?;
/// println!("{:?}", socket.connection().alpn_protocol());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Connector {
    context: SecureContext,
    server_name: Option<String>,
    alpn_protocols: Vec<Vec<u8>>,
    session: Option<Session>,
    ocsp: OcspStapling,
    min_dh_size: u32,
    enable_trace: bool,
    handshake_timeout: Option<Duration>,
    renegotiation_limit: u32,
    renegotiation_window: Duration,
    post_handshake_auth: bool,
    dangerous_accept_unauthorized: bool,
    dangerous_skip_name_check: bool,
    callbacks: Arc<dyn Callbacks>,
    questions: nodetls_proto::Questions,
}

impl Connector {
    /// A connector with this context and all options at their defaults.
    pub fn new(context: &SecureContext) -> Self {
        Self {
            context: context.clone(),
            server_name: None,
            alpn_protocols: Vec::new(),
            session: None,
            ocsp: OcspStapling::NotRequested,
            min_dh_size: nodetls_proto::DEFAULT_MIN_DH_SIZE,
            enable_trace: false,
            handshake_timeout: Some(nodetls_proto::DEFAULT_HANDSHAKE_TIMEOUT),
            renegotiation_limit: nodetls_proto::DEFAULT_CLIENT_RENEG_LIMIT,
            renegotiation_window: nodetls_proto::DEFAULT_CLIENT_RENEG_WINDOW,
            post_handshake_auth: false,
            dangerous_accept_unauthorized: false,
            dangerous_skip_name_check: false,
            callbacks: Arc::new(Connecting(())),
            questions: nodetls_proto::Questions::NONE,
        }
    }

    /// The name that is sent to the server and that its certificate must be for. Default: the host connected to.
    /// Node: `servername`.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The application protocols to offer, the preferred one first. Default: none. Node: `ALPNProtocols`.
    #[must_use]
    pub fn alpn_protocols<P: AsRef<[u8]>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn_protocols = protocols.into_iter().map(|protocol| protocol.as_ref().to_vec()).collect();
        self
    }

    /// A session to resume, from [`TlsSocket::take_session`] or [`ClientCallbacks::session`]. It is used only with
    /// the server name, context and checks that it was made with. Node: `session`.
    #[must_use]
    pub fn session(mut self, session: Session) -> Self {
        self.session = Some(session);
        self
    }

    /// Whether the status of the server's certificate is asked for, and has to be good. Default: no.
    /// Node: `requestOCSP`.
    #[must_use]
    pub fn ocsp(mut self, ocsp: OcspStapling) -> Self {
        self.ocsp = ocsp;
        self
    }

    /// The smallest group for finite-field Diffie-Hellman that is accepted, in bits. Default: 1,024.
    /// Node: `minDHSize`.
    #[must_use]
    pub fn min_dh_size(mut self, bits: u32) -> Self {
        self.min_dh_size = bits;
        self
    }

    /// Traces connections from their beginning; see [`ClientCallbacks::trace`] and [`TlsSocket::enable_trace`].
    /// Node: `enableTrace`.
    #[must_use]
    pub fn enable_trace(mut self) -> Self {
        self.enable_trace = true;
        self
    }

    /// After how long a handshake is given up; `None`: never. Default: 120 s.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.handshake_timeout = timeout.into();
        self
    }

    /// How many renegotiations the server may begin in each window (TLS 1.2); one more ends the connection with
    /// `ERR_TLS_SESSION_ATTACK`. Default: 3.
    #[must_use]
    pub fn renegotiation_limit(mut self, count: u32) -> Self {
        self.renegotiation_limit = count;
        self
    }

    /// The length of that window. Default: 600 s.
    #[must_use]
    pub fn renegotiation_window(mut self, window: Duration) -> Self {
        self.renegotiation_window = window;
        self
    }

    /// Lets the server ask for a certificate after the handshake too (TLS 1.3). Default: it may not.
    #[must_use]
    pub fn post_handshake_auth(mut self) -> Self {
        self.post_handshake_auth = true;
        self
    }

    /// Lets a server in whose certificate is not acceptable; see
    /// [`Connection::is_authorized`](nodetls_proto::Connection::is_authorized). Node: `rejectUnauthorized: false`.
    #[must_use]
    pub fn dangerous_accept_unauthorized(mut self) -> Self {
        self.dangerous_accept_unauthorized = true;
        self
    }

    /// Leaves the name out of the check of the certificate. Node: `checkServerIdentity: () => undefined`.
    #[must_use]
    pub fn dangerous_skip_name_check(mut self) -> Self {
        self.dangerous_skip_name_check = true;
        self
    }

    /// Who takes decisions and is told of sessions and key material. Default: nobody.
    #[must_use]
    pub fn callbacks(mut self, callbacks: impl ClientCallbacks) -> Self {
        self.questions = callbacks.questions();
        self.callbacks = Arc::new(Connecting(callbacks));
        self
    }

    /// Connects over TCP. All addresses of the host are tried, both families in turn (RFC 8305).
    ///
    /// # Errors
    /// [`ConnectError`].
    ///
    /// # Cancel safety
    /// Giving up closes the transport.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TlsSocket<TcpStream>, ConnectError> {
        let options = self.options(host)?;
        let begun = Instant::now();
        let stream = happy_eyeballs::connect(host.trim_matches(['[', ']']), port).await?;
        // Records are written whole; waiting for more would only delay the last one of each flight.
        stream.set_nodelay(true)?;
        self.handshake(options, stream, begun).await
    }

    /// Connects to a Unix socket. The server's name is `localhost` unless
    /// [`server_name`](Self::server_name) says otherwise. Node: `path`.
    ///
    /// # Errors
    /// [`ConnectError`].
    ///
    /// # Cancel safety
    /// Giving up closes the transport.
    #[cfg(unix)]
    pub async fn connect_unix(
        &self,
        path: impl AsRef<Path>,
    ) -> Result<TlsSocket<tokio::net::UnixStream>, ConnectError> {
        let options = self.options("localhost")?;
        let begun = Instant::now();
        let stream = tokio::net::UnixStream::connect(path).await?;
        self.handshake(options, stream, begun).await
    }

    /// Does the handshake over any transport, another [`TlsSocket`] included. The server's name is `localhost` unless
    /// [`server_name`](Self::server_name) says otherwise. Node: `socket`.
    ///
    /// # Errors
    /// [`ConnectError`].
    ///
    /// # Cancel safety
    /// Giving up drops the transport.
    pub async fn connect_over<S>(&self, stream: S) -> Result<TlsSocket<S>, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let options = self.options("localhost")?;
        self.handshake(options, stream, Instant::now()).await
    }

    /// The options of one connection, found to be good before anybody is bothered.
    fn options(&self, host: &str) -> Result<ClientOptions, ConnectError> {
        nodetls_proto::alpn_wire_form(&self.alpn_protocols)?;
        let name = ServerName::parse(self.server_name.as_deref().unwrap_or(host))?;
        let mut options = ClientOptions::new(name);
        options.alpn_protocols.clone_from(&self.alpn_protocols);
        options.session.clone_from(&self.session);
        options.ocsp = self.ocsp;
        options.min_dh_size = self.min_dh_size;
        options.enable_trace = self.enable_trace;
        options.handshake_timeout = self.handshake_timeout;
        options.renegotiation_limit = self.renegotiation_limit;
        options.renegotiation_window = self.renegotiation_window;
        options.post_handshake_auth = self.post_handshake_auth;
        options.dangerous_accept_unauthorized = self.dangerous_accept_unauthorized;
        options.dangerous_skip_name_check = self.dangerous_skip_name_check;
        options.questions = self.questions;
        Ok(options)
    }

    async fn handshake<S>(
        &self,
        options: ClientOptions,
        stream: S,
        begun: Instant,
    ) -> Result<TlsSocket<S>, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let connection = Connection::client(&self.context, options, begun.into_std())?;
        let handshake = TlsSocket::handshake(stream, connection, Arc::clone(&self.callbacks));
        handshake.await.map_err(|(error, _)| error.into())
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Connector").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}
