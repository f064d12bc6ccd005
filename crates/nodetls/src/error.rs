//! What can go wrong, by operation.

use std::io;

use nodetls_proto::{Error, InvalidServerName};

/// A handshake has failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// TLS itself: the peer, its certificate, the options or a callback.
    #[error(transparent)]
    Tls(#[from] Error),
    /// The transport.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl HandshakeError {
    /// The code that Node.js reports, such as `CERT_HAS_EXPIRED` or `ECONNRESET`.
    pub fn code(&self) -> String {
        match self {
            Self::Tls(error) => error.code().into_owned(),
            Self::Io(error) => io_code(error),
        }
    }

    /// The error of TLS, if it was one.
    pub fn tls(&self) -> Option<&Error> {
        match self {
            Self::Tls(error) => Some(error),
            Self::Io(_) => None,
        }
    }
}

/// A connection could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name cannot be one of a server.
    #[error(transparent)]
    ServerName(#[from] InvalidServerName),
    /// The host's addresses could not be found.
    #[error(transparent)]
    Resolve(io::Error),
    /// The transport could not be connected.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The handshake has failed.
    #[error(transparent)]
    Handshake(HandshakeError),
}

impl ConnectError {
    /// The code that Node.js reports, such as `ENOTFOUND`, `ECONNREFUSED` or `CERT_HAS_EXPIRED`.
    pub fn code(&self) -> String {
        match self {
            Self::ServerName(_) => "ERR_INVALID_ARG_VALUE".to_owned(),
            Self::Resolve(_) => "ENOTFOUND".to_owned(),
            Self::Io(error) => io_code(error),
            Self::Handshake(error) => error.code(),
        }
    }

    /// The error of TLS, if it was one.
    pub fn tls(&self) -> Option<&Error> {
        match self {
            Self::Handshake(error) => error.tls(),
            _ => None,
        }
    }
}

impl From<HandshakeError> for ConnectError {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

impl From<Error> for ConnectError {
    fn from(error: Error) -> Self {
        Self::Handshake(error.into())
    }
}

impl From<HandshakeError> for io::Error {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Tls(error) => tls_io_error(error),
            HandshakeError::Io(error) => error,
        }
    }
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::ServerName(error) => Self::new(io::ErrorKind::InvalidInput, error),
            ConnectError::Resolve(error) | ConnectError::Io(error) => error,
            ConnectError::Handshake(error) => error.into(),
        }
    }
}

/// A server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address cannot be used.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// An option cannot be used.
    #[error(transparent)]
    Tls(#[from] Error),
}

/// No connection will come any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The server was closed, and all connections that it had accepted have been handed out.
    #[error("the server is closed")]
    Closed,
}

/// Carries an error of TLS through `std::io`; `error.get_ref()` and a downcast to [`Error`] give it back.
pub(crate) fn tls_io_error(error: Error) -> io::Error {
    let kind = match &error {
        Error::Truncated { .. } => io::ErrorKind::UnexpectedEof,
        Error::HandshakeTimeout => io::ErrorKind::TimedOut,
        Error::ApiMisuse(_) => io::ErrorKind::BrokenPipe,
        Error::Config(_) => io::ErrorKind::InvalidInput,
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, error)
}

pub(crate) fn io_code(error: &io::Error) -> String {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return error.code().into_owned();
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "ECONNREFUSED",
        io::ErrorKind::ConnectionReset => "ECONNRESET",
        io::ErrorKind::ConnectionAborted => "ECONNABORTED",
        io::ErrorKind::BrokenPipe => "EPIPE",
        io::ErrorKind::TimedOut => "ETIMEDOUT",
        io::ErrorKind::AddrInUse => "EADDRINUSE",
        io::ErrorKind::AddrNotAvailable => "EADDRNOTAVAIL",
        io::ErrorKind::HostUnreachable => "EHOSTUNREACH",
        io::ErrorKind::NetworkUnreachable => "ENETUNREACH",
        io::ErrorKind::PermissionDenied => "EACCES",
        io::ErrorKind::NotFound => "ENOENT",
        io::ErrorKind::IsADirectory => "EISDIR",
        io::ErrorKind::NotADirectory => "ENOTDIR",
        io::ErrorKind::FileTooLarge => "EFBIG",
        io::ErrorKind::InvalidInput => "EINVAL",
        _ => "EIO",
    }
    .to_owned()
}
