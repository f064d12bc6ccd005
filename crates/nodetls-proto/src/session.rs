//! Sessions (RFC 8446 §2.2, RFC 5077, RFC 5246 §F.1.4) and what binds a client's session to its server.
//!
//! A session skips the certificate, so it must not be used where the certificate would have been refused. The
//! binding says for which name, authorities and checks it was made; it travels inside the DER form.

use nodetls_openssl::sha256;

use crate::connection::QuestionKind;
use crate::context::SecureContext;
use crate::error::{ConfigError, Error};
use crate::options::ClientOptions;
use crate::secret::SecretBytes;

/// The longest DER form that is read.
const MAX_DER: usize = 512 * 1024;

/// Begins a binding, so that foreign application data is not taken for one.
const BINDING_LABEL: &[u8] = b"nodetls session binding 1";

/// A TLS session. Cloning shares it. It holds keys: `Debug` shows nothing.
#[derive(Clone)]
pub struct Session(pub(crate) nodetls_openssl::Session);

impl Session {
    /// Reads a session from the form that [`Session::to_der`] gives, also in another process.
    ///
    /// # Errors
    /// [`Error::Config`] for the option `session` when the bytes are not a session.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        if der.len() > MAX_DER {
            return Err(ConfigError::refused("session", "ERR_OUT_OF_RANGE", "longer than 512 KiB"));
        }
        nodetls_openssl::Session::from_der(der).map(Self).map_err(ConfigError::from_openssl("session"))
    }

    /// The session as bytes, in OpenSSL's DER form. Keep them as secret as a password.
    ///
    /// # Errors
    /// [`Error::Bug`] when memory runs out.
    pub fn to_der(&self) -> Result<SecretBytes, Error> {
        self.0.to_der().map(SecretBytes::from).map_err(Error::bug)
    }

    /// The session's id; empty for a TLS 1.2 session that lives in a ticket.
    pub fn id(&self) -> &[u8] {
        self.0.id()
    }

    pub(crate) fn bound(&self, binding: &[u8; 32]) -> Result<Self, Error> {
        let data = [BINDING_LABEL, binding.as_slice()].concat();
        self.0.with_application_data(&data).map(Self).map_err(Error::bug)
    }

    pub(crate) fn is_bound_to(&self, binding: &[u8; 32]) -> bool {
        self.0.application_data().strip_prefix(BINDING_LABEL) == Some(binding)
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Session(..)")
    }
}

/// What a client's session depends on: with the same value, the same certificate would be judged the same. Sessions
/// that a pre-shared key has opened stay apart from those that a certificate has.
pub(crate) fn client_binding(context: &SecureContext, options: &ClientOptions, by_psk: bool) -> [u8; 32] {
    let checks = [
        u8::from(options.dangerous_accept_unauthorized),
        u8::from(options.dangerous_skip_name_check),
        options.ocsp as u8,
        u8::from(options.questions.contains(QuestionKind::VerifyPeer)),
        u8::from(by_psk),
    ];
    let min_dh_size = options.min_dh_size.to_be_bytes();
    let name = options.server_name.to_string();
    let trust = &context.trust().fingerprint;
    sha256(&[trust, context.identity_digest(), &checks, &min_dh_size, name.as_bytes()])
}

/// Whether a client may offer a session that was made under these options, and if so, whether a pre-shared key has
/// opened it: such a one is of no use to a client that has no key any more.
pub(crate) fn offered_session<'a>(
    context: &SecureContext,
    options: &'a ClientOptions,
) -> Option<(&'a Session, bool)> {
    let session = options.session.as_ref()?;
    let is_bound = |by_psk| session.is_bound_to(&client_binding(context, options, by_psk));
    if is_bound(false) {
        return Some((session, false));
    }
    (options.questions.contains(QuestionKind::Psk) && is_bound(true)).then_some((session, true))
}

/// What a server's session depends on. It is the same on all servers of a fleet with the same options.
pub(crate) fn server_binding(context: &SecureContext, application: &[u8], policy: u8) -> [u8; 32] {
    sha256(&[&context.trust().fingerprint, context.identity_digest(), &[policy], application])
}
