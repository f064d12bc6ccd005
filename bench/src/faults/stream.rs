//! A transport on which one byte of what is sent is changed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

pub(super) struct Tampered {
    tcp: TcpStream,
    /// How many bytes come before the one that is changed.
    before: usize,
    mask: u8,
}

impl Tampered {
    pub(super) fn new(tcp: TcpStream, before: usize, mask: u8) -> Self {
        Self { tcp, before, mask }
    }
}

impl AsyncRead for Tampered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, target)
    }
}

impl AsyncWrite for Tampered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut changed = bytes.to_vec();
        if let Some(byte) = changed.get_mut(self.before) {
            *byte ^= self.mask;
        }
        let written = std::task::ready!(Pin::new(&mut self.tcp).poll_write(cx, &changed))?;
        // Once it has gone out, no other byte is at that place.
        self.before = self.before.checked_sub(written).unwrap_or(usize::MAX);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
