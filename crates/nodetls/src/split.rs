//! The two directions of a [`TlsSocket`] as owned halves.
//!
//! They share the socket behind a lock that is held while one of them is polled, never across an `await`.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use nodetls_proto::{ClientAuthentication, Connection, KeyUpdateRequest, RenegotiateOptions};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::TlsSocket;
use crate::driver::Exchange;
use crate::error::HandshakeError;

type Shared<S> = Arc<Mutex<TlsSocket<S>>>;

/// The reading half. The connection ends when both halves are dropped.
#[derive(Debug)]
pub struct OwnedReadHalf<S> {
    socket: Shared<S>,
}

/// The writing half. Dropping it does not say goodbye to the peer; `shutdown` does.
#[derive(Debug)]
pub struct OwnedWriteHalf<S> {
    socket: Shared<S>,
}

/// The halves are not of one socket.
#[derive(Debug, thiserror::Error)]
#[error("the halves belong to different sockets")]
pub struct ReuniteError<S>(pub OwnedReadHalf<S>, pub OwnedWriteHalf<S>);

pub(crate) fn split<S>(socket: TlsSocket<S>) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
    let socket = Arc::new(Mutex::new(socket));
    (OwnedReadHalf { socket: Arc::clone(&socket) }, OwnedWriteHalf { socket })
}

/// A poll that panicked leaves the core in a state it can go on from: all of its calls are legal in any order.
fn lock<S>(socket: &Shared<S>) -> MutexGuard<'_, TlsSocket<S>> {
    socket.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S> OwnedReadHalf<S> {
    /// Looks at the connection; the function must be quick, as the other half waits meanwhile.
    pub fn with_connection<T>(&self, look: impl FnOnce(&Connection) -> T) -> T {
        look(lock(&self.socket).connection())
    }

    /// Puts the halves together again.
    ///
    /// # Errors
    /// When they are not of one socket; they come back in the error.
    pub fn reunite(self, other: OwnedWriteHalf<S>) -> Result<TlsSocket<S>, ReuniteError<S>> {
        if !Arc::ptr_eq(&self.socket, &other.socket) {
            return Err(ReuniteError(self, other));
        }
        drop(other);
        match Arc::try_unwrap(self.socket) {
            Ok(socket) => Ok(socket.into_inner().unwrap_or_else(PoisonError::into_inner)),
            Err(_) => unreachable!("a socket has two halves, and both are here"),
        }
    }
}

impl<S> OwnedWriteHalf<S> {
    /// Looks at the connection; the function must be quick, as the other half waits meanwhile.
    pub fn with_connection<T>(&self, look: impl FnOnce(&Connection) -> T) -> T {
        look(lock(&self.socket).connection())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> OwnedWriteHalf<S> {
    /// Negotiates anew within the connection; see [`TlsSocket::renegotiate`]. The other half can go on reading.
    ///
    /// # Errors
    /// As [`TlsSocket::renegotiate`].
    ///
    /// # Cancel safety
    /// Nothing is lost when this is given up. What has begun goes on with the next read or write.
    pub async fn renegotiate(&mut self, options: RenegotiateOptions) -> Result<(), HandshakeError> {
        self.exchange(Exchange::Renegotiate(options)).await
    }

    /// Asks a client for its certificate; see [`TlsSocket::request_client_certificate`]. The other half can go on reading.
    ///
    /// # Errors
    /// As [`TlsSocket::request_client_certificate`].
    ///
    /// # Cancel safety
    /// Nothing is lost when this is given up. What has begun goes on with the next read or write.
    pub async fn request_client_certificate(
        &mut self,
        authentication: ClientAuthentication,
    ) -> Result<(), HandshakeError> {
        self.exchange(Exchange::ClientCertificate(authentication)).await
    }

    /// Sends with new keys from now on; see [`TlsSocket::update_keys`].
    ///
    /// # Errors
    /// As [`TlsSocket::update_keys`].
    ///
    /// # Cancel safety
    /// Given up, it has not happened.
    pub async fn update_keys(&mut self, request: KeyUpdateRequest) -> Result<(), HandshakeError> {
        poll_fn(|cx| lock(&self.socket).poll_update_keys(request, cx)).await
    }

    async fn exchange(&mut self, exchange: Exchange) -> Result<(), HandshakeError> {
        let mut begun = false;
        poll_fn(|cx| lock(&self.socket).poll_exchange_task(exchange, &mut begun, cx)).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for OwnedReadHalf<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        lock(&self.socket).poll_read_task(cx, target)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for OwnedWriteHalf<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        lock(&self.socket).poll_write_task(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        lock(&self.socket).poll_write_slices(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.socket).poll_flush_task(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.socket).poll_shutdown_task(cx)
    }
}
