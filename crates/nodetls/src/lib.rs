//! TLS for Tokio on OpenSSL: everything that the manual of the `tls` module of Node.js documents, and decisions that
//! may wait.
//!
//! - [`Connector`] (or [`connect`]) makes client connections, [`Server`] serves; both give a [`TlsSocket`], which is
//!   an `AsyncRead + AsyncWrite` that can be split into owned halves.
//! - [`SecureContext`] holds certificates, keys, authorities and protocol settings. Its defaults are strict: TLS 1.2
//!   and 1.3, Mozilla's roots, the peer's chain and name always checked.
//! - [`ClientCallbacks`] and [`ServerCallbacks`] take the decisions that a program wants to take itself: which
//!   certificate for which name, which protocol, which peer, which session. They are `async` and may take as long as
//!   they like; one that fails or panics ends its own connection alone.
//! - [`ContextFiles`] makes contexts of files and, on request, watches them: renewed certificates are used without a
//!   restart, broken ones are refused.
//!
//! ```no_run
//! use nodetls::{SecureContext, SecureContextOptions};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let context = SecureContext::new(&SecureContextOptions::default())?;
//! let mut socket = nodetls::connect("example.com", 443, &context).await?;
//! socket.write_all(b"GET / HTTP/1.1\r\nhost: example.com\r\nconnection: close\r\n\r\n").await?;
//! let mut response = Vec::new();
//! socket.read_to_end(&mut response).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The protocol itself lives in [`nodetls_proto`], which knows no runtime; this crate moves bytes and answers.

#![forbid(unsafe_code)]

mod callbacks;
mod connect;
mod context_files;
mod driver;
mod error;
mod happy_eyeballs;
mod server;
mod socket;
mod split;
mod wake;
mod watched_files;

pub use callbacks::{ClientCallbacks, ServerCallbacks};
pub use connect::{Connector, connect};
pub use context_files::{ContextFiles, FilesError};
pub use error::{AcceptError, BindError, ConnectError, HandshakeError};
pub use nodetls_proto::*;
pub use server::{Acceptor, Server, ServerBuilder};
pub use socket::TlsSocket;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
pub use watched_files::{FilesStatus, WatchOptions, WatchedFiles};

/// The programs in the README are compiled with the examples of this documentation.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
