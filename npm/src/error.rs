//! Errors as data: JavaScript makes `Error` objects of them, in one function (`lib/errors.js`).

use napi::bindgen_prelude::{Env, Object};
use napi::{Error as JsError, JsValue};
use napi_derive::napi;
use nodetls_proto::Error;

/// An error of the core.
#[napi(object)]
#[derive(Clone, Debug)]
pub struct NativeError {
    /// Always true: tells such objects from others.
    pub native_error: bool,
    /// The code, as Node.js has it.
    pub code: String,
    /// A text for people.
    pub message: String,
    /// Who must act; see the core's `Error`.
    pub kind: String,
    /// OpenSSL's library, such as `SSL routines`.
    pub library: Option<String>,
    /// OpenSSL's function.
    pub function: Option<String>,
    /// OpenSSL's reason, such as `wrong version number`.
    pub reason: Option<String>,
    /// All of OpenSSL's errors as texts, the cause first.
    pub openssl_error_stack: Option<Vec<String>>,
    /// The number of the alert that was sent or received.
    pub alert: Option<u32>,
    /// The option that is not acceptable.
    pub option: Option<String>,
    /// How many certificates above the peer's own the objectionable one stands.
    pub depth: Option<u32>,
    /// The name that the certificate is not for.
    pub host: Option<String>,
    /// What was compared with what.
    pub identity_reason: Option<String>,
}

impl From<&Error> for NativeError {
    fn from(error: &Error) -> Self {
        let openssl = error.openssl_errors();
        let cause = openssl.first();
        let mut this = Self {
            native_error: true,
            code: error.code().into_owned(),
            message: cause.map_or_else(|| error.to_string(), ToString::to_string),
            kind: kind(error).to_owned(),
            library: cause.and_then(|cause| cause.library.clone()),
            function: cause.and_then(|cause| cause.function.clone()).filter(|name| !name.is_empty()),
            reason: cause.and_then(|cause| cause.reason.clone()),
            openssl_error_stack: (openssl.len() > 1)
                .then(|| openssl.iter().map(ToString::to_string).collect()),
            alert: error.alert().map(|alert| u32::from(alert.0)),
            option: None,
            depth: None,
            host: None,
            identity_reason: None,
        };
        match error {
            Error::Config(config) => this.option = Some(config.option.to_owned()),
            Error::Verify(verify) => this.depth = Some(verify.depth),
            Error::Identity(mismatch) => {
                this.host = Some(mismatch.host().to_owned());
                this.identity_reason = Some(mismatch.reason().to_owned());
            }
            _ => {}
        }
        this
    }
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::Protocol(_) => "protocol",
        Error::AlertReceived(_) => "alert",
        Error::Truncated { .. } => "truncated",
        Error::HandshakeTimeout => "timeout",
        Error::Verify(_) => "verify",
        Error::Identity(_) => "identity",
        Error::Config(_) => "config",
        Error::Callback(_) => "callback",
        Error::ApiMisuse(_) => "misuse",
        _ => "bug",
    }
}

/// A JavaScript error whose property `native` is the [`NativeError`].
pub(crate) fn thrown(env: &Env, error: &Error) -> JsError {
    let native = NativeError::from(error);
    let made = env.create_error(JsError::from_reason(native.message.clone()));
    let with_native = made.and_then(|mut object: Object<'_>| {
        object.set("native", native)?;
        Ok(JsError::from(object.to_unknown()))
    });
    with_native.unwrap_or_else(|failure| failure)
}

/// An error of this crate's own: a value that JavaScript should have checked.
pub(crate) fn refused(message: impl Into<String>) -> JsError {
    JsError::new(napi::Status::InvalidArg, message.into())
}
