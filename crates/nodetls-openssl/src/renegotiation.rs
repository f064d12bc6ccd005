//! What happens to a connection after its first handshake: another one (TLS 1.2), new keys or a late request for the
//! client's certificate (TLS 1.3).
//!
//! A renegotiation is driven by [`Ssl::read`], never by [`Ssl::handshake`]: application data may stand between its
//! messages, which OpenSSL accepts from a reader only.

use crate::result::one;
use crate::{ErrorStack, Progress, Ssl, sys};

/// Whether the peer is asked to take new keys too (RFC 8446 §4.6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUpdateRequest {
    /// Only this side sends with new keys.
    NotRequested,
    /// The peer has to as well.
    Requested,
}

impl Ssl {
    /// Whether the peer supports secure renegotiation (RFC 5746).
    pub fn has_secure_renegotiation(&self) -> bool {
        let nothing = std::ptr::null_mut();
        // SAFETY: the SSL is alive; the control takes no arguments and changes nothing.
        unsafe { openssl_sys::SSL_ctrl(self.as_ptr(), sys::SSL_CTRL_GET_RI_SUPPORT, 0, nothing) == 1 }
    }

    /// Permits or refuses renegotiations that the peer begins. One that is refused gets the warning
    /// `no_renegotiation`. Sessions are not resumed by a server's renegotiation, so that certificates are shown anew.
    pub fn permit_renegotiation(&mut self, permitted: bool) {
        let (bits, set) = match self.ssl().is_server() {
            true => (sys::SSL_OP_ALLOW_CLIENT_RENEGOTIATION, permitted),
            false => (crate::SSL_OP_NO_RENEGOTIATION, !permitted),
        };
        if set {
            self.set_options(bits);
        } else {
            self.clear_options(bits);
        }
        self.set_options(sys::SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION);
    }

    fn clear_options(&mut self, options: u64) {
        // SAFETY: the SSL is alive.
        unsafe { sys::SSL_clear_options(self.as_ptr(), options) };
    }

    /// Begins a full renegotiation, with the next [`Ssl::read`]; also where the peer's are refused.
    ///
    /// # Errors
    /// When the version is TLS 1.3.
    ///
    /// Corresponds to `SSL_renegotiate`.
    pub fn renegotiate(&mut self) -> Result<(), ErrorStack> {
        if self.has_failed() {
            return Err(ErrorStack::default());
        }
        ErrorStack::clear();
        // SAFETY: the SSL is alive.
        let refused = unsafe { sys::SSL_get_options(self.as_ptr()) } & crate::SSL_OP_NO_RENEGOTIATION;
        // OpenSSL looks at this option when the renegotiation is asked for, not later.
        self.clear_options(refused);
        // SAFETY: the SSL is alive.
        let begun = one(unsafe { sys::SSL_renegotiate(self.as_ptr()) });
        self.set_options(refused);
        begun
    }

    /// Whether a renegotiation was asked for, by either side, and is not done. Corresponds to
    /// `SSL_renegotiate_pending`.
    pub fn is_renegotiating(&self) -> bool {
        // SAFETY: the SSL is alive.
        unsafe { sys::SSL_renegotiate_pending(self.as_ptr()) == 1 }
    }

    /// Whether handshake messages are awaited, so that nothing can be written. Corresponds to `SSL_in_init`.
    pub fn is_in_handshake(&self) -> bool {
        // SAFETY: the SSL is alive.
        unsafe { sys::SSL_in_init(self.as_ptr()) == 1 }
    }

    /// How many handshakes have begun; wraps around.
    pub fn handshakes(&self) -> u32 {
        self.state().handshakes
    }

    /// How many chains of the peer have been verified; wraps around.
    pub fn verifications(&self) -> u32 {
        self.state().verifications
    }

    /// Forgets the verdict on a chain that is no longer the peer's.
    pub fn forget_verification(&mut self) {
        self.state_mut().report = None;
    }

    /// Sends with new keys from now on (TLS 1.3). The message is ready to be sent afterwards.
    ///
    /// # Errors
    /// When the version is not TLS 1.3 or a handshake is going on.
    ///
    /// Corresponds to `SSL_key_update`.
    pub fn update_keys(&mut self, request: KeyUpdateRequest) -> Result<(), ErrorStack> {
        let kind = match request {
            KeyUpdateRequest::NotRequested => sys::SSL_KEY_UPDATE_NOT_REQUESTED,
            KeyUpdateRequest::Requested => sys::SSL_KEY_UPDATE_REQUESTED,
        };
        if self.has_failed() {
            return Err(ErrorStack::default());
        }
        ErrorStack::clear();
        // SAFETY: the SSL is alive.
        one(unsafe { sys::SSL_key_update(self.as_ptr(), kind) })?;
        self.send_message()
    }

    /// Lets a server ask for the client's certificate after the handshake (RFC 8446 §4.6.2).
    pub fn offer_post_handshake_authentication(&mut self) {
        // SAFETY: the SSL is alive.
        unsafe { sys::SSL_set_post_handshake_auth(self.as_ptr(), 1) };
    }

    /// Asks for the client's certificate as [`Ssl::request_certificate`] said last (TLS 1.3). The message is ready to be
    /// sent afterwards; the answer comes while data is read.
    ///
    /// # Errors
    /// When the client has not offered it, another request is open, or the version is not TLS 1.3.
    ///
    /// Corresponds to `SSL_verify_client_post_handshake`.
    pub fn request_certificate_now(&mut self) -> Result<(), ErrorStack> {
        if self.has_failed() {
            return Err(ErrorStack::default());
        }
        ErrorStack::clear();
        // SAFETY: the SSL is alive.
        one(unsafe { sys::SSL_verify_client_post_handshake(self.as_ptr()) })?;
        self.send_message()
    }

    /// Has OpenSSL write a message that is alone, for which nothing is read.
    fn send_message(&mut self) -> Result<(), ErrorStack> {
        match self.handshake()? {
            Progress::Done(()) => Ok(()),
            _ => Err(ErrorStack::default()),
        }
    }
}
