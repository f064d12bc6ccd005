//! `SSL`: one connection, driven over its own buffers.

use std::ffi::CString;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use bytes::BufMut;
use foreign_types::ForeignType;
use libc::c_int;
use openssl::ssl::SslVerifyMode;
use openssl_sys::SSL;
use zeroize::Zeroizing;

use crate::buffer::Ciphertext;
use crate::context::Engines;
use crate::external_key::SignRequest;
use crate::fiber::{Fiber, Run};
use crate::result::{one, one_long};
use crate::state::{AlertRecord, Lent, OnVerify, State, VerifyReport};
use crate::{
    Certificate, Context, ErrorStack, OcspVerdict, Psk, Session, TicketKeyRing, TrustStore, bio, callbacks,
    sys,
};

const SSL_CTRL_SET_VERIFY_CERT_STORE: c_int = 106;

/// How far a call came. Waiting is never an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<T = ()> {
    /// It is done.
    Done(T),
    /// It goes on when more ciphertext has been fed.
    WantRead,
    /// It goes on when ciphertext has been taken; the buffers here never cause it, but OpenSSL may say it.
    WantWrite,
    /// It goes on after [`Ssl::answer_verification`].
    WantVerify,
    /// It goes on when the certificate has been chosen.
    WantCertificate,
    /// It goes on after [`Ssl::answer_signature`].
    WantSignature,
    /// The peer said that it sends no more (`close_notify`).
    Closed,
}

/// One connection.
///
/// After a call has failed, every later one fails at once without touching OpenSSL: what a connection delivers
/// after a fatal error is not authenticated (CVE-2017-3737).
pub struct Ssl {
    ssl: ManuallyDrop<openssl::ssl::Ssl>,
    state: NonNull<State>,
    failed: bool,
    /// Whether the handshake runs on a fiber, because a private key is elsewhere.
    signs_elsewhere: bool,
    fiber: Option<Fiber>,
    /// Given back after the SSL has been freed.
    _engines: Engines,
}

// SAFETY: OpenSSL lets an SSL move between threads as long as one uses it at a time; the state is owned.
unsafe impl Send for Ssl {}
// SAFETY: methods with `&self` only read, from OpenSSL and from the state.
unsafe impl Sync for Ssl {}

impl Ssl {
    /// A connection of the client side; nothing happens before [`Ssl::handshake`].
    ///
    /// # Errors
    /// When memory runs out.
    pub fn client(context: &Context) -> Result<Self, ErrorStack> {
        let mut ssl = Self::new(context, Ciphertext::default())?;
        ssl.ssl.set_connect_state();
        Ok(ssl)
    }

    /// A connection of the server side which takes over what has been received so far, and whose tickets these keys
    /// protect.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn server(context: &Context, received: Ciphertext, keys: TicketKeyRing) -> Result<Self, ErrorStack> {
        let mut ssl = Self::new(context, received)?;
        ssl.state_mut().ticket_keys = Some(keys);
        ssl.ssl.set_accept_state();
        Ok(ssl)
    }

    fn new(context: &Context, input: Ciphertext) -> Result<Self, ErrorStack> {
        ErrorStack::clear();
        let ssl = openssl::ssl::Ssl::new(context.ssl_context())?;
        let state = NonNull::from(Box::leak(Box::new(State { input, ..State::default() })));
        let this = Self {
            ssl: ManuallyDrop::new(ssl),
            state,
            failed: false,
            signs_elsewhere: context.signs_elsewhere(),
            fiber: None,
            _engines: context.engines(),
        };
        let bio = bio::new(state)?;
        // SAFETY: one BIO for both directions, whose only reference passes to the SSL.
        unsafe { openssl_sys::SSL_set_bio(this.as_ptr(), bio.as_ptr(), bio.as_ptr()) };
        // SAFETY: the pointer is only stored, and outlives the SSL (see `drop`).
        let done = unsafe {
            openssl_sys::SSL_set_ex_data(this.as_ptr(), callbacks::state_index(), state.as_ptr().cast())
        };
        one(done)?;
        Ok(this)
    }

    pub(crate) fn as_ptr(&self) -> *mut SSL {
        self.ssl.as_ptr()
    }

    pub(crate) fn ssl(&self) -> &openssl::ssl::SslRef {
        &self.ssl
    }

    pub(crate) fn state(&self) -> &State {
        // SAFETY: `self` owns the state; `&self` excludes the methods that let OpenSSL run.
        unsafe { self.state.as_ref() }
    }

    pub(crate) fn state_mut(&mut self) -> &mut State {
        // SAFETY: as above, exclusively.
        unsafe { self.state.as_mut() }
    }

    // ---- settings before the handshake ----

    /// The trust anchors for the peer's chain.
    ///
    /// # Errors
    /// Never in practice.
    pub fn set_trust(&mut self, store: &TrustStore) -> Result<(), ErrorStack> {
        // SAFETY: larg 1 makes OpenSSL take a reference of its own to the store, which is alive.
        let done = unsafe {
            openssl_sys::SSL_ctrl(self.as_ptr(), SSL_CTRL_SET_VERIFY_CERT_STORE, 1, store.as_ptr().cast())
        };
        one_long(done)?;
        self.state_mut().trust = Some(store.clone());
        Ok(())
    }

    /// Asks for the peer's certificate (clients always get one) and says what its verification does.
    /// `required` makes a server fail the handshake of a client without a certificate.
    pub fn request_certificate(&mut self, required: bool, on_verify: OnVerify) {
        self.state_mut().on_verify = on_verify;
        let mode = if required {
            SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT
        } else {
            SslVerifyMode::PEER
        };
        self.ssl.set_verify(mode);
    }

    /// Asks for no certificate of a client any more.
    pub fn forgo_certificate(&mut self) {
        self.state_mut().on_verify = OnVerify::Record;
        self.ssl.set_verify(SslVerifyMode::NONE);
    }

    /// The server name that a client sends (RFC 6066 §3).
    ///
    /// # Errors
    /// When the name is too long or has a NUL.
    pub fn set_server_name(&mut self, name: &str) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        CString::new(name).map_err(|_| ErrorStack::default())?;
        Ok(self.ssl.set_hostname(name)?)
    }

    /// The protocols that a client offers, in wire form (RFC 7301 §3.1).
    ///
    /// # Errors
    /// When the bytes are not in wire form.
    pub fn offer_alpn_protocols(&mut self, wire: &[u8]) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        Ok(self.ssl.set_alpn_protos(wire)?)
    }

    /// The protocol that a server selects, decided beforehand.
    pub fn select_alpn_protocol(&mut self, protocol: Option<Vec<u8>>) {
        self.state_mut().alpn = protocol;
    }

    /// Makes a client ask for the status of the server's certificate; `demanded`: and fail the handshake unless the
    /// server proves that it is good.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn request_ocsp(&mut self, demanded: bool) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        self.state_mut().demands_ocsp = demanded;
        Ok(self.ssl.set_status_type(openssl::ssl::StatusType::OCSP)?)
    }

    /// The response that a server staples to this certificate.
    pub fn staple_ocsp(&mut self, certificate: Certificate, response: Vec<u8>) {
        self.state_mut().ocsp = Some((certificate, response));
    }

    /// The session that a client offers. A copy is: OpenSSL marks a TLS 1.3 session as used up, and the one that was
    /// given may be shared.
    ///
    /// # Errors
    /// When the session's protocol version is not enabled here.
    ///
    /// Corresponds to `SSL_SESSION_dup` and `SSL_set_session`.
    pub fn offer_session(&mut self, session: &Session) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        let copy = session.duplicate()?;
        // SAFETY: both are alive; OpenSSL takes a reference of its own.
        one(unsafe { openssl_sys::SSL_set_session(self.as_ptr(), copy.as_ptr()) })
    }

    /// The session that a server finds when the client asks for it by its id.
    pub fn provide_session(&mut self, session: Option<Session>) {
        self.state_mut().resume = session;
    }

    /// The TLS 1.3 suites of this connection by name, separated by colons, instead of the context's.
    ///
    /// # Errors
    /// When a name is not known.
    ///
    /// Corresponds to `SSL_set_ciphersuites`.
    pub fn set_cipher_suites(&mut self, list: &str) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        let list = CString::new(list).map_err(|_| ErrorStack::default())?;
        // SAFETY: the SSL is alive; OpenSSL only reads the C string.
        one(unsafe { sys::SSL_set_ciphersuites(self.as_ptr(), list.as_ptr()) })
    }

    /// The pre-shared key that is given to OpenSSL when it asks for its identity; `None` for none any more.
    pub fn provide_psk(&mut self, psk: Option<Psk>) {
        self.state_mut().psk = psk;
    }

    /// Sessions are only resumed where this value, at most 32 bytes, is the same.
    ///
    /// # Errors
    /// When it is too long.
    pub fn set_session_id_context(&mut self, context: &[u8]) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        let length = u32::try_from(context.len()).map_err(|_| ErrorStack::default())?;
        // SAFETY: OpenSSL copies `length` bytes after having checked the length.
        one(unsafe { sys::SSL_set_session_id_context(self.as_ptr(), context.as_ptr(), length) })
    }

    /// Adds `SSL_OP_*` bits.
    pub fn set_options(&mut self, options: u64) {
        // SAFETY: the SSL is alive.
        unsafe { sys::SSL_set_options(self.as_ptr(), options) };
    }

    // ---- bytes ----

    /// What has been received and not yet processed.
    pub fn received(&self) -> &Ciphertext {
        &self.state().input
    }

    /// Where received bytes go.
    pub fn received_mut(&mut self) -> &mut Ciphertext {
        &mut self.state_mut().input
    }

    /// What is to be sent.
    pub fn transmit(&self) -> &[u8] {
        self.state().output.as_slice()
    }

    /// `count` bytes have been sent.
    pub fn transmitted(&mut self, count: usize) {
        self.state_mut().output.consume(count);
    }

    // ---- driving ----

    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    fn run(&mut self, operation: impl FnOnce(*mut SSL) -> c_int) -> Result<Progress, ErrorStack> {
        if self.failed {
            return Err(ErrorStack::default());
        }
        if self.fiber.is_some() {
            // OpenSSL is in the middle of another call.
            return Ok(Progress::WantSignature);
        }
        ErrorStack::clear();
        let returned = operation(self.as_ptr());
        self.progress(returned)
    }

    /// What the value means that an operation has just returned on this thread.
    fn progress(&mut self, returned: c_int) -> Result<Progress, ErrorStack> {
        if returned > 0 {
            return Ok(Progress::Done(()));
        }
        // SAFETY: called right after the operation, on the same thread.
        match unsafe { openssl_sys::SSL_get_error(self.as_ptr(), returned) } {
            openssl_sys::SSL_ERROR_WANT_READ => Ok(Progress::WantRead),
            openssl_sys::SSL_ERROR_WANT_WRITE => Ok(Progress::WantWrite),
            openssl_sys::SSL_ERROR_WANT_X509_LOOKUP => Ok(Progress::WantCertificate),
            openssl_sys::SSL_ERROR_ZERO_RETURN => Ok(Progress::Closed),
            sys::SSL_ERROR_WANT_RETRY_VERIFY => Ok(Progress::WantVerify),
            _ => {
                self.failed = true;
                Err(ErrorStack::drain())
            }
        }
    }

    /// Takes the handshake as far as the received bytes allow.
    ///
    /// # Errors
    /// When the handshake has failed; the alert for the peer, if any, is ready to be sent.
    pub fn handshake(&mut self) -> Result<Progress, ErrorStack> {
        if self.signs_elsewhere && !self.failed {
            return self.handshake_on_fiber();
        }
        // SAFETY: the SSL is alive, and no reference to the state is.
        self.run(|ssl| unsafe { openssl_sys::SSL_do_handshake(ssl) })
    }

    fn handshake_on_fiber(&mut self) -> Result<Progress, ErrorStack> {
        ErrorStack::clear();
        let fiber = match self.fiber.take() {
            Some(fiber) if self.state().sign_answer.is_none() => {
                self.fiber = Some(fiber);
                return Ok(Progress::WantSignature);
            }
            Some(fiber) => fiber,
            // SAFETY: `drop` lets the fiber come to its end before it frees the SSL and the state.
            None => match unsafe { Fiber::new(self.as_ptr(), self.state) } {
                Ok(fiber) => fiber,
                Err(_) => {
                    self.failed = true;
                    return Err(ErrorStack::default());
                }
            },
        };
        match fiber.run(self.state) {
            Run::Stopped(fiber) => {
                self.fiber = Some(fiber);
                Ok(Progress::WantSignature)
            }
            Run::Returned(returned) => self.progress(returned),
        }
    }

    /// The signature that [`Progress::WantSignature`] waits for.
    pub fn sign_request(&self) -> Option<&SignRequest> {
        self.state().sign_request.as_ref()
    }

    /// Answers [`Progress::WantSignature`]: the signature, or a refusal, which fails the handshake.
    pub fn answer_signature(&mut self, answer: Result<Vec<u8>, ()>) {
        self.state_mut().sign_answer = Some(answer);
    }

    /// Reads at most one record's worth of plaintext.
    ///
    /// Records without plaintext are processed on the way; [`Progress::WantRead`] means that all that was received
    /// has been used up, and all of `source`: bytes that follow upon those, whose front is taken away as far as OpenSSL
    /// has read it. That is one copy less than to receive them first.
    ///
    /// # Errors
    /// When the connection has failed.
    pub fn read(
        &mut self,
        source: &mut &[u8],
        target: &mut impl BufMut,
    ) -> Result<Progress<usize>, ErrorStack> {
        let mut count = 0;
        let room = target.chunk_mut();
        let (start, length) = (room.as_mut_ptr(), room.len());
        self.state_mut().lent = Lent::of(source);
        // SAFETY: OpenSSL only writes to the room, at most its length, and no reference to the state is alive.
        let read =
            self.run(|ssl| unsafe { openssl_sys::SSL_read_ex(ssl, start.cast(), length, &raw mut count) });
        let left = std::mem::take(&mut self.state_mut().lent).len();
        *source = &source[source.len() - left..];
        let read = read?;
        if read == Progress::Done(()) {
            // SAFETY: OpenSSL has initialised `count` bytes of the room.
            unsafe { target.advance_mut(count) };
        }
        Ok(read.with(count))
    }

    /// Whether plaintext is left of a record that did not fit where it was read to.
    pub fn has_plaintext(&self) -> bool {
        // SAFETY: the SSL is alive; the function only looks.
        !self.failed && unsafe { openssl_sys::SSL_pending(self.as_ptr()) } > 0
    }

    /// Writes at most one record's worth of plaintext.
    ///
    /// # Errors
    /// When the connection has failed.
    pub fn write(&mut self, bytes: &[u8]) -> Result<Progress<usize>, ErrorStack> {
        let mut count = 0;
        // SAFETY: OpenSSL reads at most the given length, and no reference to the state is alive.
        let written = self.run(|ssl| unsafe {
            openssl_sys::SSL_write_ex(ssl, bytes.as_ptr().cast(), bytes.len(), &raw mut count)
        })?;
        Ok(written.with(count))
    }

    /// Sends `close_notify`; reading goes on until the peer's own.
    ///
    /// # Errors
    /// When the connection has failed or the handshake is not done.
    pub fn close_notify(&mut self) -> Result<(), ErrorStack> {
        // Zero means "sent, the peer's is still to come", which is all that is asked for here.
        // SAFETY: the SSL is alive, and no reference to the state is.
        self.run(|ssl| unsafe { openssl_sys::SSL_shutdown(ssl) }.wrapping_add(1)).map(|_| ())
    }

    /// Answers [`Progress::WantVerify`]: accept, or refuse with an `X509_V_ERR_*` number, which picks the alert.
    pub fn answer_verification(&mut self, answer: Result<(), i32>) {
        self.state_mut().verify_answer = Some(answer);
    }

    /// Gives back OpenSSL's record buffers while nothing is in them.
    pub fn release_buffers(&mut self) {
        if !self.failed && self.fiber.is_none() {
            // SAFETY: the SSL is alive; OpenSSL refuses when a buffer is in use.
            unsafe { sys::SSL_free_buffers(self.as_ptr()) };
        }
    }

    // ---- what was recorded ----

    /// The verdict on the peer's chain, once it has been verified.
    pub fn verify_report(&self) -> Option<&VerifyReport> {
        self.state().report.as_ref()
    }

    /// Whether there is anything to take: sessions, key material, alerts, a status or a trace.
    pub fn has_recorded(&self) -> bool {
        let state = self.state();
        !(state.new_sessions.is_empty()
            && state.key_log.is_empty()
            && state.alerts.is_empty()
            && state.trace.is_empty()
            && state.ocsp_response.is_none())
    }

    /// Takes the sessions that came into being since the last call.
    pub fn take_new_sessions(&mut self) -> Vec<Session> {
        std::mem::take(&mut self.state_mut().new_sessions)
    }

    /// Takes the lines of key material, in NSS format without line ends.
    pub fn take_key_log(&mut self) -> Vec<Zeroizing<Vec<u8>>> {
        std::mem::take(&mut self.state_mut().key_log)
    }

    /// Takes the status of its certificate that a server has stapled since the last call.
    pub fn take_ocsp_response(&mut self) -> Option<Vec<u8>> {
        self.state_mut().ocsp_response.take()
    }

    /// Why the status was refused that was stapled last, or was not.
    pub fn ocsp_objection(&self) -> Option<OcspVerdict> {
        self.state().ocsp_objection
    }

    /// Takes what was traced since the last call.
    pub fn take_trace(&mut self) -> String {
        self.state_mut().take_trace()
    }

    /// Takes the alerts that were sent or received since the last call.
    pub fn take_alerts(&mut self) -> Vec<AlertRecord> {
        std::mem::take(&mut self.state_mut().alerts)
    }
}

impl Progress {
    fn with<T>(self, value: T) -> Progress<T> {
        match self {
            Self::Done(()) => Progress::Done(value),
            Self::WantRead => Progress::WantRead,
            Self::WantWrite => Progress::WantWrite,
            Self::WantVerify => Progress::WantVerify,
            Self::WantCertificate => Progress::WantCertificate,
            Self::WantSignature => Progress::WantSignature,
            Self::Closed => Progress::Closed,
        }
    }
}

impl Drop for Ssl {
    fn drop(&mut self) {
        // OpenSSL's frames on the fiber's stack must return, which a refusal makes them do.
        while let Some(fiber) = self.fiber.take() {
            self.answer_signature(Err(()));
            self.failed = true;
            if let Run::Stopped(fiber) = fiber.run(self.state) {
                self.fiber = Some(fiber);
            }
        }
        if !self.failed {
            // OpenSSL marks the session of a connection that was not shut down as not resumable.
            // SAFETY: the SSL is alive.
            unsafe { openssl_sys::SSL_set_shutdown(self.as_ptr(), sys::SSL_SENT_AND_RECEIVED_SHUTDOWN) };
        }
        // SAFETY: this is the only place that frees the SSL, which is not used again; it frees its BIO too.
        unsafe { ManuallyDrop::drop(&mut self.ssl) };
        // SAFETY: the state was leaked in `new`, and this is the only place that takes it back.
        drop(unsafe { Box::from_raw(self.state.as_ptr()) });
    }
}

impl std::fmt::Debug for Ssl {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Ssl")
            .field("state", &self.ssl.state_string_long())
            .field("failed", &self.failed)
            .finish()
    }
}
