//! The transport of the client: TCP that can hold back what is sent and read ahead what is received.
//!
//! Thereby the client encrypts before a transfer begins and decrypts after it has ended. During the transfer it only
//! moves bytes, so that the server is never the one that waits, and is measured at work rather than asleep.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// The header of a record (RFC 8446 §5.1), whose last two bytes are the length of what follows.
const HEADER: usize = 5;

/// By how much encryption lengthens a record: its real type and AES-GCM's tag (RFC 8446 §5.2).
const EXPANSION: usize = 1 + 16;

/// A TCP connection with a store for either direction. The stores keep their memory, so that it is warm the next time.
pub(crate) struct Hoard {
    tcp: TcpStream,
    received: Vec<u8>,
    /// How much of what was received ahead has been read.
    read: usize,
    held_back: Vec<u8>,
    holds_back: bool,
}

impl Hoard {
    pub(crate) fn new(tcp: TcpStream) -> Self {
        Self { tcp, received: Vec::new(), read: 0, held_back: Vec::new(), holds_back: false }
    }

    /// From now on nothing is sent.
    pub(crate) fn hold_back(&mut self) {
        self.holds_back = true;
    }

    /// Sends what was held back.
    pub(crate) async fn let_go(&mut self) -> io::Result<()> {
        self.holds_back = false;
        self.tcp.write_all(&self.held_back).await?;
        self.held_back.clear();
        Ok(())
    }

    /// Receives records with this much application data altogether, and no others.
    pub(crate) async fn receive_ahead(&mut self, plaintext: usize) -> io::Result<()> {
        self.received.clear();
        self.read = 0;
        let (mut counted, mut next) = (0, 0);
        while counted < plaintext {
            while let Some(header) = self.received.get(next..next + HEADER) {
                let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
                if next + HEADER + length > self.received.len() {
                    break;
                }
                next += HEADER + length;
                counted += length.saturating_sub(EXPANSION);
            }
            if counted < plaintext && self.tcp.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }
}

impl AsyncRead for Hoard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read == self.received.len() {
            return Pin::new(&mut self.tcp).poll_read(cx, target);
        }
        let count = target.remaining().min(self.received.len() - self.read);
        target.put_slice(&self.received[self.read..self.read + count]);
        self.read += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Hoard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !self.holds_back {
            return Pin::new(&mut self.tcp).poll_write(cx, bytes);
        }
        self.held_back.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
