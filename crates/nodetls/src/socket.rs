//! `TlsSocket`: application data over TLS.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use nodetls_proto::{ClientAuthentication, Connection, Error, KeyUpdateRequest, RenegotiateOptions, Session};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::callbacks::Callbacks;
use crate::driver::{Driver, Exchange};
use crate::error::HandshakeError;
use crate::server::ConnectionGuard;
use crate::split::{self, OwnedReadHalf, OwnedWriteHalf};

/// Slices shorter than this are put together into one record when several are written at once.
const GATHER_BELOW: usize = 16 * 1024;

/// A TLS connection over a transport. Node: `tls.TLSSocket`.
///
/// Dropping it closes the transport without `close_notify`, which the peer may take for a truncation;
/// [`shutdown`](tokio::io::AsyncWriteExt::shutdown) says goodbye first.
///
/// A write is complete when the bytes are encrypted; `flush` waits until the transport has them.
///
/// # Cancel safety
/// Nothing is lost when a read, write, flush or shutdown is given up: all state is in the socket.
#[derive(Debug)]
pub struct TlsSocket<S> {
    driver: Driver<S>,
    guard: Option<ConnectionGuard>,
}

impl<S> TlsSocket<S> {
    pub(crate) fn from_parts(driver: Driver<S>, guard: Option<ConnectionGuard>) -> Self {
        Self { driver, guard }
    }

    pub(crate) fn set_guard(&mut self, guard: ConnectionGuard) {
        self.guard = Some(guard);
    }

    /// What was negotiated, and who the peer is.
    pub fn connection(&self) -> &Connection {
        self.driver.connection()
    }

    /// The transport, for addresses and options.
    pub fn get_ref(&self) -> &S {
        self.driver.stream()
    }

    /// The transport. Reading from it or writing to it breaks the connection.
    pub fn get_mut(&mut self) -> &mut S {
        self.driver.stream_mut()
    }

    /// Gives up TLS and returns the transport. Ciphertext that was received but not yet read is lost.
    pub fn into_inner(self) -> S {
        self.driver.into_stream()
    }

    /// The session received last that was not taken yet, for a later connection to the same server. In TLS 1.3 sessions
    /// come after the handshake, while data is read; up to eight are kept. Node: event `session`.
    pub fn take_session(&mut self) -> Option<Session> {
        self.driver.take_session()
    }

    /// Makes reads fail with [`Error::Truncated`](nodetls_proto::Error::Truncated) (`UnexpectedEof`) when the
    /// transport ends without `close_notify`. Default: that looks like an ordinary end, as in Node.js.
    pub fn reject_truncated(&mut self) {
        self.driver.reject_truncated();
    }

    /// Limits the plaintext of each record that is sent to `size` bytes, 512 to 16,384; false when that is not
    /// possible. Default: 16,384. Node: `setMaxSendFragment(size)`.
    pub fn set_max_send_fragment(&mut self, size: usize) -> bool {
        self.driver.set_max_send_fragment(size)
    }

    /// Refuses renegotiation by either side from now on: a peer that tries fails the connection with
    /// `ERR_TLS_RENEGOTIATION_DISABLED`. Node: `disableRenegotiation()`.
    pub fn disable_renegotiation(&mut self) {
        self.driver.disable_renegotiation();
    }

    /// Traces the connection from now on, by [`ClientCallbacks::trace`](crate::ClientCallbacks::trace) or
    /// [`ServerCallbacks::trace`](crate::ServerCallbacks::trace): all records and handshake messages, but no application
    /// data and no keys. Use [`Connector::enable_trace`](crate::Connector::enable_trace) or
    /// [`ServerBuilder::enable_trace`](crate::ServerBuilder::enable_trace) to see the handshake as well.
    ///
    /// # Errors
    /// When the system's OpenSSL was built without it; see [`Connection::enable_trace`].
    ///
    /// Node: `enableTrace()`.
    pub fn enable_trace(&mut self) -> Result<(), Error> {
        self.driver.enable_trace()
    }

    /// Splits into halves that different tasks can own.
    pub fn into_split(self) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
        split::split(self)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsSocket<S> {
    /// Does the handshake of a new connection.
    pub(crate) async fn handshake(
        stream: S,
        connection: Connection,
        callbacks: Arc<dyn Callbacks>,
    ) -> Result<Self, (HandshakeError, S)> {
        let mut driver = Driver::new(stream, connection, callbacks);
        match poll_fn(|cx| driver.poll_handshake(cx)).await {
            Ok(()) => Ok(Self::from_parts(driver, None)),
            Err(error) => Err((error, driver.into_stream())),
        }
    }

    /// Negotiates anew within the connection (TLS 1.2); a server can ask for the client's certificate thereby. The peer is
    /// judged as in the first handshake, and within the same time.
    ///
    /// Data that the peer sends meanwhile is kept for later reads, up to 256 KiB; where more may come, split the socket
    /// and go on reading while [`OwnedWriteHalf::renegotiate`] waits.
    ///
    /// # Errors
    /// Where it is not possible, [`Error::Renegotiation`](nodetls_proto::Error::Renegotiation), and the connection goes
    /// on. If the peer closes instead, [`Error::Truncated`](nodetls_proto::Error::Truncated), and what it has sent can
    /// still be read. Any other error is the end of the connection.
    ///
    /// # Cancel safety
    /// Nothing is lost when this is given up. What has begun goes on with the next read or write.
    ///
    /// Node: `renegotiate(options, callback)`.
    pub async fn renegotiate(&mut self, options: RenegotiateOptions) -> Result<(), HandshakeError> {
        let (exchange, mut begun) = (Exchange::Renegotiate(options), false);
        poll_fn(|cx| self.poll_exchange_task(exchange, &mut begun, cx)).await
    }

    /// Asks a client for its certificate after the handshake (TLS 1.3). The client must have offered that, by
    /// [`Connector::post_handshake_auth`](crate::Connector::post_handshake_auth) in this library. Data that comes
    /// meanwhile is kept as in [`TlsSocket::renegotiate`].
    ///
    /// # Errors
    /// As [`TlsSocket::renegotiate`]; also with the code `ERR_SSL_EXTENSION_NOT_RECEIVED` where the client has not
    /// offered it, and the connection goes on.
    ///
    /// # Cancel safety
    /// Nothing is lost when this is given up. What has begun goes on with the next read or write.
    pub async fn request_client_certificate(
        &mut self,
        authentication: ClientAuthentication,
    ) -> Result<(), HandshakeError> {
        let (exchange, mut begun) = (Exchange::ClientCertificate(authentication), false);
        poll_fn(|cx| self.poll_exchange_task(exchange, &mut begun, cx)).await
    }

    /// Sends with new keys from now on (TLS 1.3), and asks the peer to do so too where `request` says it.
    ///
    /// # Errors
    /// Where it is not possible, [`Error::Renegotiation`](nodetls_proto::Error::Renegotiation), and the connection goes
    /// on; or the transport's error.
    ///
    /// # Cancel safety
    /// Given up, it has not happened.
    pub async fn update_keys(&mut self, request: KeyUpdateRequest) -> Result<(), HandshakeError> {
        poll_fn(|cx| self.poll_update_keys(request, cx)).await
    }

    pub(crate) fn poll_exchange_task(
        &mut self,
        exchange: Exchange,
        begun: &mut bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), HandshakeError>> {
        self.driver.poll_exchange(exchange, begun, cx)
    }

    pub(crate) fn poll_update_keys(
        &mut self,
        request: KeyUpdateRequest,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), HandshakeError>> {
        self.driver.poll_update_keys(request, cx)
    }

    pub(crate) fn poll_read_task(
        &mut self,
        cx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.driver.poll_read(cx, target)
    }

    pub(crate) fn poll_write_task(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.driver.poll_write(cx, bytes)
    }

    /// Several short slices become one record; a long one is written by itself, without a copy.
    pub(crate) fn poll_write_slices(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut slices = slices.iter().filter(|slice| !slice.is_empty()).peekable();
        let Some(first) = slices.next() else { return self.driver.poll_write(cx, &[]) };
        if first.len() >= GATHER_BELOW || slices.peek().is_none() {
            return self.driver.poll_write(cx, first);
        }
        let mut gathered = Vec::with_capacity(GATHER_BELOW);
        for slice in std::iter::once(first).chain(slices) {
            let room = GATHER_BELOW - gathered.len();
            gathered.extend_from_slice(&slice[..slice.len().min(room)]);
        }
        self.driver.poll_write(cx, &gathered)
    }

    pub(crate) fn poll_flush_task(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.driver.poll_flush(cx)
    }

    pub(crate) fn poll_shutdown_task(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.driver.poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_read_task(cx, target)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsSocket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_task(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_slices(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush_task(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_shutdown_task(cx)
    }
}
