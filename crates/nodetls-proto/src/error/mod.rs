//! Errors, split by who must act.
//!
//! | kind | who must act |
//! | --- | --- |
//! | [`Error::Protocol`], [`Error::AlertReceived`], [`Error::Truncated`], [`Error::HandshakeTimeout`] | the peer |
//! | [`Error::Verify`], [`Error::Identity`] | the holder of the certificate |
//! | [`Error::Config`] | who wrote the options |
//! | [`Error::Callback`], [`Error::ApiMisuse`] | the calling program |
//! | [`Error::Renegotiation`] | the peer, where the connection failed with it; else the calling program |
//! | [`Error::Bug`] | this library |
//!
//! [`Error::code`] gives the string that Node.js reports in `err.code`. Texts are for people and may change.

mod alert;
mod code;
pub(crate) mod verify_code;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub use alert::AlertDescription;
use nodetls_openssl::ErrorStack;

use crate::certificate::Certificate;
use crate::identity::IdentityMismatch;
use crate::options::Side;

/// Any error that an answer or a callback may give.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong with a connection or a context. Cloning is cheap.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol, or the two sides have nothing in common.
    #[error(transparent)]
    Protocol(Arc<ProtocolError>),
    /// The peer ended the connection with a fatal alert.
    #[error("the peer sent the alert {}", .0.alert)]
    AlertReceived(Arc<AlertReceived>),
    /// The transport ended without `close_notify`.
    #[error("{}", if *.during_handshake {
        "the transport was closed before the secure connection was established"
    } else {
        "the transport was closed without close_notify"
    })]
    Truncated {
        /// Whether the handshake was still going on.
        during_handshake: bool,
    },
    /// The handshake took longer than allowed.
    #[error("the TLS handshake did not finish in time")]
    HandshakeTimeout,
    /// The peer's certificate chain is not acceptable.
    #[error(transparent)]
    Verify(Arc<VerifyError>),
    /// The peer's certificate is not for the name that was asked for.
    #[error(transparent)]
    Identity(Arc<IdentityMismatch>),
    /// An option is not acceptable.
    #[error(transparent)]
    Config(Arc<ConfigError>),
    /// The answer to a question was an error, or was never given.
    #[error(transparent)]
    Callback(Arc<CallbackError>),
    /// A renegotiation is not possible, or not permitted. Where it was asked for by a call, nothing was changed.
    #[error(transparent)]
    Renegotiation(RenegotiationError),
    /// A call that is not possible in this state. It changed nothing.
    #[error("API misuse: {0}")]
    ApiMisuse(&'static str),
    /// Something that should be impossible.
    #[error("bug in nodetls: {0}")]
    Bug(Arc<str>),
}

impl Error {
    /// The code that Node.js gives in `err.code`, such as `CERT_HAS_EXPIRED` or `ERR_SSL_WRONG_VERSION_NUMBER`.
    ///
    /// Codes that Node.js does not have begin with `ERR_TLS_` as well and are documented where they arise.
    pub fn code(&self) -> Cow<'_, str> {
        match self {
            Self::Protocol(error) => error.code.as_str().into(),
            Self::AlertReceived(error) => error.code.as_str().into(),
            Self::Truncated { during_handshake: true } => "ECONNRESET".into(),
            Self::Truncated { during_handshake: false } => "ERR_SSL_UNEXPECTED_EOF_WHILE_READING".into(),
            Self::HandshakeTimeout => "ERR_TLS_HANDSHAKE_TIMEOUT".into(),
            Self::Verify(error) => error.code().into(),
            Self::Identity(_) => IdentityMismatch::CODE.into(),
            Self::Config(error) => error.code.as_str().into(),
            Self::Callback(error) => error.code.into(),
            Self::Renegotiation(error) => error.code().into(),
            Self::ApiMisuse(_) => "ERR_TLS_API_MISUSE".into(),
            Self::Bug(_) => "ERR_INTERNAL_ASSERTION".into(),
        }
    }

    /// The alert that goes out, went out or came in because of this error, if any.
    pub fn alert(&self) -> Option<AlertDescription> {
        match self {
            Self::Protocol(error) => error.alert_sent,
            Self::AlertReceived(error) => Some(error.alert),
            Self::Verify(error) => error.alert_sent,
            Self::Identity(mismatch) => mismatch.alert_sent(),
            _ => None,
        }
    }

    /// The side that found it, for errors of the protocol and of certificates.
    pub fn side(&self) -> Option<Side> {
        match self {
            Self::Protocol(error) => Some(error.side),
            Self::AlertReceived(error) => Some(error.side),
            Self::Verify(error) => Some(error.side),
            Self::Identity(_) => Some(Side::Client),
            _ => None,
        }
    }

    /// OpenSSL's own account of it, the cause first; empty where OpenSSL was not involved.
    pub fn openssl_errors(&self) -> &[OpenSslError] {
        match self {
            Self::Protocol(error) => &error.openssl_errors,
            Self::AlertReceived(error) => &error.openssl_errors,
            Self::Config(error) => &error.openssl_errors,
            _ => &[],
        }
    }

    pub(crate) fn protocol(code: &str, reason: &str, alert: Option<AlertDescription>, side: Side) -> Self {
        Self::Protocol(Arc::new(ProtocolError {
            code: code.to_owned(),
            reason: reason.to_owned(),
            alert_sent: alert,
            side,
            openssl_errors: Vec::new(),
        }))
    }

    pub(crate) fn from_openssl(stack: &ErrorStack, alert_sent: Option<AlertDescription>, side: Side) -> Self {
        let openssl_errors = OpenSslError::all(stack);
        let Some(cause) = code::connection_cause(&openssl_errors) else {
            return Self::Bug("OpenSSL failed without a reason".into());
        };
        let (code, reason) = (code::connection_code(cause), cause.to_string());
        Self::Protocol(Arc::new(ProtocolError { code, reason, alert_sent, side, openssl_errors }))
    }

    pub(crate) fn alert_received(stack: &ErrorStack, alert: AlertDescription, side: Side) -> Self {
        let openssl_errors = OpenSslError::all(stack);
        let code = openssl_errors.first().map_or_else(
            || format!("ERR_SSL_ALERT_{}", alert.name().to_ascii_uppercase()),
            code::connection_code,
        );
        Self::AlertReceived(Arc::new(AlertReceived { alert, side, code, openssl_errors }))
    }

    pub(crate) fn callback(code: &'static str, source: BoxError) -> Self {
        Self::Callback(Arc::new(CallbackError { code, source }))
    }

    pub(crate) fn bug(text: impl fmt::Display) -> Self {
        Self::Bug(text.to_string().into())
    }
}

/// One entry of OpenSSL's error queue. Node: one element of `err.opensslErrorStack`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenSslError {
    /// The packed number, as `openssl errstr` takes it.
    pub number: u64,
    /// The library's number.
    pub library_number: i32,
    /// The library's name, such as `SSL routines`. Node: `err.library`.
    pub library: Option<String>,
    /// The function that reported it. Node: `err.function`.
    pub function: Option<String>,
    /// The reason, such as `wrong version number`. Node: `err.reason`.
    pub reason: Option<String>,
    /// What OpenSSL added to this occurrence.
    pub data: Option<String>,
    text: String,
}

impl OpenSslError {
    fn all(stack: &ErrorStack) -> Vec<Self> {
        let convert = |entry: &nodetls_openssl::ErrorEntry| Self {
            number: entry.number,
            library_number: entry.library_number,
            library: entry.library.clone(),
            function: entry.function.clone(),
            reason: entry.reason.clone(),
            data: entry.data.clone(),
            text: entry.to_string(),
        };
        stack.entries().iter().map(convert).collect()
    }
}

impl fmt::Display for OpenSslError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

/// A breach of the protocol.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct ProtocolError {
    code: String,
    reason: String,
    alert_sent: Option<AlertDescription>,
    /// The side that found it.
    pub side: Side,
    openssl_errors: Vec<OpenSslError>,
}

/// A fatal alert from the peer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AlertReceived {
    /// Which alert.
    pub alert: AlertDescription,
    /// The side that received it.
    pub side: Side,
    code: String,
    openssl_errors: Vec<OpenSslError>,
}

/// An objection to the peer's certificate chain.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VerifyError {
    number: i32,
    /// How many certificates above the peer's own (0) the objectionable one stands.
    pub depth: u32,
    /// The objectionable certificate, where there is one.
    pub certificate: Option<Certificate>,
    /// The side that found it.
    pub side: Side,
    alert_sent: Option<AlertDescription>,
}

impl VerifyError {
    pub(crate) fn new(number: i32, depth: u32, certificate: Option<Certificate>, side: Side) -> Self {
        Self { number, depth, certificate, side, alert_sent: None }
    }

    pub(crate) fn with_alert(mut self, alert_sent: Option<AlertDescription>) -> Self {
        self.alert_sent = alert_sent;
        self
    }

    /// OpenSSL's name of the objection, such as `CERT_HAS_EXPIRED`.
    pub fn code(&self) -> &'static str {
        verify_code::name(self.number)
    }

    /// OpenSSL's number of the objection (`X509_V_ERR_*`).
    pub fn number(&self) -> i32 {
        self.number
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(nodetls_openssl::verify_error_text(self.number))
    }
}

impl std::error::Error for VerifyError {}

/// An option that cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("option {option}: {message}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The option's name in the manual, such as `cert` or `ciphers`.
    pub option: &'static str,
    message: String,
    code: String,
    openssl_errors: Vec<OpenSslError>,
}

impl ConfigError {
    pub(crate) fn refused(option: &'static str, code: &str, message: impl fmt::Display) -> Error {
        let (code, message) = (code.to_owned(), message.to_string());
        Error::Config(Arc::new(Self { option, message, code, openssl_errors: Vec::new() }))
    }

    /// For `Result::map_err`: an OpenSSL call for this option has failed.
    pub(crate) fn from_openssl(option: &'static str) -> impl Fn(ErrorStack) -> Error {
        move |stack| {
            let openssl_errors = OpenSslError::all(&stack);
            let code =
                openssl_errors.first().map_or_else(|| "ERR_INVALID_ARG_VALUE".to_owned(), code::config_code);
            let message =
                openssl_errors.first().map_or_else(|| "it is not valid".to_owned(), ToString::to_string);
            Error::Config(Arc::new(Self { option, message, code, openssl_errors }))
        }
    }
}

/// Why there is no renegotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenegotiationError {
    /// It was disabled on this connection.
    #[error("TLS session renegotiation disabled for this socket")]
    Disabled,
    /// The peer has begun more of them than it may.
    #[error("TLS session renegotiation attack detected")]
    TooMany,
    /// The protocol version has nothing of the kind.
    #[error("wrong ssl version")]
    WrongVersion,
    /// The peer does not support secure renegotiation (RFC 5746).
    #[error("unsafe legacy renegotiation disabled")]
    NotSecure,
}

impl RenegotiationError {
    fn code(self) -> &'static str {
        match self {
            Self::Disabled => "ERR_TLS_RENEGOTIATION_DISABLED",
            Self::TooMany => "ERR_TLS_SESSION_ATTACK",
            Self::WrongVersion => "ERR_SSL_WRONG_SSL_VERSION",
            Self::NotSecure => "ERR_SSL_UNSAFE_LEGACY_RENEGOTIATION_DISABLED",
        }
    }
}

/// An answer that failed. It reads like the error that the program gave, and has the same sources; the error itself is
/// the field `source`.
#[derive(Debug)]
#[non_exhaustive]
pub struct CallbackError {
    code: &'static str,
    /// What the answering code gave.
    pub source: BoxError,
}

impl fmt::Display for CallbackError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(out)
    }
}

impl std::error::Error for CallbackError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.source()
    }
}
