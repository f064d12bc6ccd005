//! What a connection is told before it begins.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::{Buffer, Env, Result};
use napi_derive::napi;
use nodetls_proto::{
    ClientOptions, OcspStapling, QuestionKind, Questions, ServerName, ServerOptions, Session,
    TicketKeyLayout, TicketKeys,
};

use crate::context::client_authentication;
use crate::error::{refused, thrown};

/// Options of a client's connection.
#[napi(object)]
pub struct NativeClientOptions {
    /// The name that the certificate must be for; host names are also sent.
    pub servername: Option<String>,
    /// Whether a host name is sent to the server; it is, where this is missing.
    pub send_servername: Option<bool>,
    /// The protocols to offer.
    pub alpn_protocols: Option<Vec<Buffer>>,
    /// A session to resume, in DER.
    pub session: Option<Buffer>,
    /// Whether the status of the certificate is asked for.
    #[napi(js_name = "requestOCSP")]
    pub request_ocsp: Option<bool>,
    /// Whether a server that is not authorized is refused.
    pub reject_unauthorized: bool,
    /// Whether the name is checked elsewhere.
    pub skip_name_check: Option<bool>,
    /// Milliseconds; none where it is missing or 0.
    pub handshake_timeout: Option<f64>,
    /// The smallest group for finite-field Diffie-Hellman, in bits.
    #[napi(js_name = "minDHSize")]
    pub min_dh_size: Option<u32>,
    /// Whether the connection is traced from its beginning.
    pub enable_trace: Option<bool>,
    /// Whether a certificate may be asked for after the handshake (TLS 1.3).
    pub post_handshake_auth: Option<bool>,
    /// The decisions that JavaScript takes.
    pub questions: Vec<String>,
}

impl NativeClientOptions {
    pub(crate) fn into_options(self, env: &Env) -> Result<ClientOptions> {
        let name = self.servername.as_deref().unwrap_or("localhost");
        let name = ServerName::parse(name).map_err(|_| refused(format!("{name} is no server name")))?;
        let mut options = ClientOptions::new(name);
        options.send_server_name = self.send_servername.unwrap_or(true);
        options.alpn_protocols = protocols(self.alpn_protocols);
        options.session = self
            .session
            .map(|der| Session::from_der(&der))
            .transpose()
            .map_err(|error| thrown(env, &error))?;
        if self.request_ocsp.unwrap_or_default() {
            options.ocsp = OcspStapling::Requested;
        }
        options.dangerous_accept_unauthorized = !self.reject_unauthorized;
        options.dangerous_skip_name_check = self.skip_name_check.unwrap_or_default();
        options.handshake_timeout = milliseconds(self.handshake_timeout);
        options.min_dh_size = self.min_dh_size.unwrap_or(options.min_dh_size);
        options.enable_trace = self.enable_trace.unwrap_or_default();
        options.post_handshake_auth = self.post_handshake_auth.unwrap_or_default();
        options.questions = questions(&self.questions)?;
        Ok(options)
    }
}

/// Options of a server's connection.
#[napi(object)]
pub struct NativeServerOptions {
    /// The protocols to select from.
    pub alpn_protocols: Option<Vec<Buffer>>,
    /// Whether clients are asked for a certificate.
    pub request_cert: bool,
    /// Whether clients that are not authorized are refused.
    pub reject_unauthorized: bool,
    /// Milliseconds; none where it is missing or 0.
    pub handshake_timeout: Option<f64>,
    /// Keeps sessions of different applications apart.
    pub session_id_context: Option<Buffer>,
    /// What clients are told about the identity that they should use.
    pub psk_identity_hint: Option<String>,
    /// Whether connections are traced from their beginning.
    pub enable_trace: Option<bool>,
    /// How many renegotiations a client may begin within the window.
    pub renegotiation_limit: Option<u32>,
    /// Seconds.
    pub renegotiation_window: Option<f64>,
    /// 48 bytes.
    pub ticket_keys: Option<Buffer>,
    /// The decisions that JavaScript takes.
    pub questions: Vec<String>,
}

impl NativeServerOptions {
    pub(crate) fn into_options(self, env: &Env) -> Result<Arc<ServerOptions>> {
        let keys = self
            .ticket_keys
            .map(|keys| TicketKeys::from_bytes(TicketKeyLayout::Node, [&keys[..]]))
            .transpose();
        let default = ServerOptions::default();
        Ok(Arc::new(ServerOptions {
            psk_identity_hint: self.psk_identity_hint,
            enable_trace: self.enable_trace.unwrap_or_default(),
            renegotiation_limit: self.renegotiation_limit.unwrap_or(default.renegotiation_limit),
            renegotiation_window: self
                .renegotiation_window
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .unwrap_or(default.renegotiation_window),
            alpn_protocols: protocols(self.alpn_protocols),
            client_authentication: client_authentication(self.request_cert, self.reject_unauthorized),
            handshake_timeout: milliseconds(self.handshake_timeout),
            session_id_context: self.session_id_context.map(|bytes| bytes.to_vec()).unwrap_or_default(),
            ticket_keys: keys.map_err(|error| thrown(env, &error))?,
            questions: questions(&self.questions)?,
            ..ServerOptions::default()
        }))
    }
}

/// Options that the connections of a server share, so that they are converted once.
#[napi]
pub struct NativeServerConfig {
    options: Arc<ServerOptions>,
}

#[napi]
impl NativeServerConfig {
    /// Converts the options.
    #[napi(factory)]
    pub fn create(env: Env, options: NativeServerOptions) -> Result<Self> {
        Ok(Self { options: options.into_options(&env)? })
    }
}

impl NativeServerConfig {
    pub(crate) fn options(&self) -> &Arc<ServerOptions> {
        &self.options
    }
}

fn protocols(given: Option<Vec<Buffer>>) -> Vec<Vec<u8>> {
    given.unwrap_or_default().into_iter().map(|protocol| protocol.to_vec()).collect()
}

fn milliseconds(count: Option<f64>) -> Option<Duration> {
    count.filter(|count| *count > 0.0).and_then(|count| Duration::try_from_secs_f64(count / 1000.0).ok())
}

fn questions(names: &[String]) -> Result<Questions> {
    let kinds = HashMap::from(KINDS);
    names.iter().try_fold(Questions::NONE, |set, name| {
        let kind =
            kinds.get(name.as_str()).ok_or_else(|| refused(format!("no question is called {name}")))?;
        Ok(set.with(*kind))
    })
}

const KINDS: [(&str, QuestionKind); 9] = [
    ("clientHello", QuestionKind::ClientHello),
    ("selectContext", QuestionKind::SelectContext),
    ("selectAlpn", QuestionKind::SelectAlpn),
    ("resumeSession", QuestionKind::ResumeSession),
    ("verifyPeer", QuestionKind::VerifyPeer),
    ("newSession", QuestionKind::NewSession),
    ("ocspRequest", QuestionKind::OcspRequest),
    ("sign", QuestionKind::Sign),
    ("psk", QuestionKind::Psk),
];
