//! The implementations under test, behind one small interface.

mod nodetls;
mod openssl;
mod rustls;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use nodetls_test::pki::Identity;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::Outcome;

/// The one cipher suite, in the spelling that OpenSSL and the RFC share.
const CIPHER_SUITE: &str = "TLS_AES_128_GCM_SHA256";

/// Who serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Implementation {
    Nodetls,
    TokioOpenssl,
    TokioRustls,
}

impl Implementation {
    /// In the order of their turns and columns.
    pub(crate) const ALL: [Self; 3] = [Self::Nodetls, Self::TokioOpenssl, Self::TokioRustls];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nodetls => "nodetls",
            Self::TokioOpenssl => "tokio-openssl",
            Self::TokioRustls => "tokio-rustls",
        }
    }

    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|implementation| implementation.name() == name)
    }

    pub(crate) fn acceptor(self, settings: &Settings<'_>) -> Outcome<Arc<dyn Acceptor>> {
        match self {
            Self::Nodetls => nodetls::acceptor(settings),
            Self::TokioOpenssl => openssl::acceptor(settings),
            Self::TokioRustls => rustls::acceptor(settings),
        }
    }
}

/// No server can do without a time limit for handshakes. nodetls has this one by default; the others get it from Tokio.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(120);

/// What is negotiated for key agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Groups {
    /// Whatever the implementation does by itself.
    Default,
    X25519,
}

impl Groups {
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        match name {
            "default" => Some(Self::Default),
            "x25519" => Some(Self::X25519),
            _ => None,
        }
    }
}

/// What all implementations are set to.
pub(crate) struct Settings<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) groups: Groups,
    /// Tickets after a full handshake. After a resumption OpenSSL always sends one.
    pub(crate) tickets: usize,
}

/// The server's side of handshakes.
pub(crate) trait Acceptor: Send + Sync {
    fn accept(&self, tcp: TcpStream) -> Accepting<'_>;
}

/// A handshake going on.
pub(crate) type Accepting<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'a>>;

/// A secure connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Does the handshake over a transport that was just accepted.
pub(crate) async fn accept(tcp: TcpStream, acceptor: &dyn Acceptor) -> io::Result<Box<dyn Stream>> {
    tcp.set_nodelay(true)?;
    acceptor.accept(tcp).await
}
