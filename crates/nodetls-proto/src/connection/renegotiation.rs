//! What an open connection negotiates anew: everything (renegotiation, TLS 1.2), its keys, or who the client is (both
//! TLS 1.3).
//!
//! The peer is judged again by the rules of the first handshake, so that it cannot turn into somebody else unseen.
//! OpenSSL goes on with a renegotiation while data is read. Data that comes along is kept here, and what comes after a
//! certificate that is not yet judged is delivered only when it was accepted.
//!
//! Time gets in only when it matters: [`Connection::poll_timeout`] names a time in the past when something has begun
//! whose end has to be reckoned, and the `now` of the call that follows is taken for its beginning. A driver that never
//! tells the time gives the peer fewer renegotiations, not more.

mod progress;

use std::time::Instant;

use nodetls_openssl::{KeyUpdateRequest, OnVerify, Ssl};

use self::progress::Withheld;
use super::handshake::Step;
use super::question::{QuestionKind, Questions};
use super::{Connection, Phase, Role};
use crate::context::SecureContext;
use crate::error::{AlertDescription, Error, RenegotiationError};
use crate::options::{ClientAuthentication, Side};
use crate::version::ProtocolVersion;

/// What [`Connection::renegotiate`] changes. By default nothing: the same is asked for again.
#[derive(Clone, Copy, Debug, Default)]
pub struct RenegotiateOptions {
    /// What a server asks of its client from now on; of no effect on clients. `None`: the same as before.
    /// Node: `requestCert` and `rejectUnauthorized`.
    pub client_authentication: Option<ClientAuthentication>,
    /// Whether a client lets a server go on whose certificate is not acceptable; of no effect on servers. `None`: the
    /// same as before. Node: `rejectUnauthorized: false`.
    pub dangerous_accept_unauthorized: Option<bool>,
}

/// What is under way.
#[derive(Debug)]
enum Exchange {
    /// A renegotiation that this side has asked for when so many handshakes had begun.
    Asked { handshakes: u32 },
    /// A renegotiation that the peer has begun.
    ByPeer,
    /// A client's certificate was asked for, when this was its last Finished message.
    Certificate { finished: Vec<u8> },
}

/// The state of what may come after the first handshake.
#[derive(Debug)]
pub(super) struct Renegotiation {
    under_way: Option<Exchange>,
    /// How many chains had been verified when it began.
    verifications: u32,
    /// The peer's last Finished message when it began.
    finished: Vec<u8>,
    /// OpenSSL waits for the verdict on a server's certificate.
    suspended: bool,
    /// OpenSSL has used up all that was received.
    starved: bool,
    disabled: bool,
    /// This side's `close_notify` waits for the end of a handshake.
    close_is_due: bool,
    /// How many renegotiations the peer has begun in the current window.
    count: u32,
    window_end: Option<Instant>,
    deadline: Option<Instant>,
    /// The time when something began is not known yet.
    needs_time: bool,
    last_time: Instant,
    withheld: Withheld,
}

impl Renegotiation {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            under_way: None,
            verifications: 0,
            finished: Vec::new(),
            suspended: false,
            starved: false,
            disabled: false,
            close_is_due: false,
            count: 0,
            window_end: None,
            deadline: None,
            needs_time: false,
            last_time: now,
            withheld: Withheld::default(),
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.suspended
    }

    pub(super) fn resume(&mut self) {
        self.suspended = false;
    }

    pub(super) fn has_withheld(&self) -> bool {
        !self.withheld.is_empty()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if self.needs_time {
            return Some(self.last_time);
        }
        self.deadline.into_iter().chain(self.window_end).min()
    }

    /// Nothing is under way any more; what has not been judged never will be.
    pub(super) fn end(&mut self) {
        self.withheld.refuse();
        self.finish();
        self.deadline = None;
        self.window_end = None;
        self.needs_time = false;
    }

    /// The messages are exchanged; the time limit holds until the peer is judged.
    fn finish(&mut self) -> Option<Exchange> {
        self.suspended = false;
        self.under_way.take()
    }

    /// The peer is accepted, and with it what it has sent.
    pub(super) fn accept(&mut self) {
        self.deadline = None;
        self.withheld.accept();
    }
}

impl Connection {
    // ---- asked for by the program ----

    /// Asks for a renegotiation (TLS 1.2): a full handshake within the connection, in which both sides show their
    /// certificates again. It is done with [`Event::Renegotiated`](crate::Event::Renegotiated), or fails the connection;
    /// so does the time limit of handshakes. Data is read and written meanwhile as far as the protocol lets it.
    ///
    /// The peer's certificate is judged as in the first handshake, and what the connection tells about the peer changes
    /// with it. Data that the peer has sent before can still be there to be read afterwards. A peer may also close the connection instead, or refuse (`ERR_SSL_NO_RENEGOTIATION`).
    ///
    /// # Errors
    /// [`Error::Renegotiation`] where it is not possible: the version is TLS 1.3, it was disabled, or the peer does not
    /// support RFC 5746. [`Error::ApiMisuse`] while the connection is not open, a question is, or another renegotiation
    /// is under way. The connection goes on.
    ///
    /// Node: `tlsSocket.renegotiate(options)`.
    pub fn renegotiate(&mut self, options: RenegotiateOptions) -> Result<(), Error> {
        self.check_version(|version| version != ProtocolVersion::Tls1_3)?;
        if self.renegotiation.disabled || self.context.forbids_renegotiation() {
            return Err(Error::Renegotiation(RenegotiationError::Disabled));
        }
        let side = self.side();
        let Phase::Open(ssl) = &mut self.phase else { return Err(NOT_OPEN) };
        if !ssl.has_secure_renegotiation() {
            return Err(Error::Renegotiation(RenegotiationError::NotSecure));
        }
        let handshakes = ssl.handshakes();
        ssl.renegotiate().map_err(|stack| Error::from_openssl(&stack, None, side))?;
        if let (Role::Client(own), Some(accept)) = (&mut self.role, options.dangerous_accept_unauthorized) {
            own.dangerous_accept_unauthorized = accept;
        }
        if let Some(authentication) = options.client_authentication.filter(|_| side == Side::Server) {
            self.change_client_authentication(authentication)?;
        }
        self.begin(Exchange::Asked { handshakes });
        Ok(())
    }

    /// Asks a client for its certificate after the handshake (TLS 1.3, RFC 8446 §4.6.2), which it must have offered. The
    /// answer comes while data is read, is judged like that of a first handshake, and is done with
    /// [`Event::ClientAuthenticated`](crate::Event::ClientAuthenticated), or fails the connection.
    ///
    /// # Errors
    /// [`Error::Renegotiation`] where the version is not TLS 1.3; [`Error::Protocol`] with the code
    /// `ERR_SSL_EXTENSION_NOT_RECEIVED` where the client has not offered it. [`Error::ApiMisuse`] on clients, for
    /// [`ClientAuthentication::None`], and while the connection is not open, a question is, or another request is under
    /// way. The connection goes on.
    pub fn request_client_certificate(&mut self, authentication: ClientAuthentication) -> Result<(), Error> {
        self.check_version(|version| version == ProtocolVersion::Tls1_3)?;
        if self.side() == Side::Client || authentication == ClientAuthentication::None {
            return Err(Error::ApiMisuse("only a server asks for a client's certificate"));
        }
        let before = self.client_authentication;
        self.change_client_authentication(authentication)?;
        let Phase::Open(ssl) = &mut self.phase else { return Err(NOT_OPEN) };
        let finished = ssl.peer_finished();
        if let Err(stack) = ssl.request_certificate_now() {
            self.change_client_authentication(before)?;
            return Err(Error::from_openssl(&stack, None, Side::Server));
        }
        self.begin(Exchange::Certificate { finished });
        Ok(())
    }

    /// Sends with new keys from now on (TLS 1.3, RFC 8446 §4.6.3), and asks the peer to do so too where `request` says
    /// it. OpenSSL updates them by itself before they are used up.
    ///
    /// # Errors
    /// [`Error::Renegotiation`] where the version is not TLS 1.3. [`Error::ApiMisuse`] while the connection is not open
    /// or as much waits to be sent as may. The connection goes on.
    ///
    /// Corresponds to `SSL_key_update`.
    pub fn update_keys(&mut self, request: KeyUpdateRequest) -> Result<(), Error> {
        let side = self.side();
        let is_backlogged = self.is_backlogged();
        let Phase::Open(ssl) = &mut self.phase else { return Err(NOT_OPEN) };
        if self.close_notify_sent || is_backlogged {
            return Err(Error::ApiMisuse("nothing can be sent now"));
        }
        if ProtocolVersion::from_wire(ssl.version()) != Some(ProtocolVersion::Tls1_3) {
            return Err(Error::Renegotiation(RenegotiationError::WrongVersion));
        }
        ssl.update_keys(request).map_err(|stack| Error::from_openssl(&stack, None, side))
    }

    /// Refuses renegotiation by either side from now on, however far the connection is. A peer that tries gets the
    /// warning `no_renegotiation`, and the connection fails with `ERR_TLS_RENEGOTIATION_DISABLED`. One that is under way
    /// goes on.
    ///
    /// Node: `tlsSocket.disableRenegotiation()`.
    pub fn disable_renegotiation(&mut self) {
        self.renegotiation.disabled = true;
        self.limit_renegotiation();
    }

    /// Whether a renegotiation, or a request for a client's certificate, is under way and can still be answered.
    pub fn is_renegotiating(&self) -> bool {
        let is_over = self.close_notify_received || (self.eof && self.renegotiation.starved);
        let done = |step: &Step| matches!(step, Step::Renegotiated | Step::ClientAuthenticated);
        (self.renegotiation.is_under_way() && !is_over) || self.steps.iter().any(done)
    }

    /// Whether `close_notify` waits for the end of a renegotiation, amid which it cannot be said.
    pub fn is_close_notify_pending(&self) -> bool {
        self.renegotiation.close_is_due && self.is_renegotiating()
    }

    fn check_version(&self, fits: impl FnOnce(ProtocolVersion) -> bool) -> Result<(), Error> {
        if !self.is_open() || self.close_notify_sent || self.close_notify_received {
            return Err(NOT_OPEN);
        }
        if !self.protocol_version().is_some_and(fits) {
            return Err(Error::Renegotiation(RenegotiationError::WrongVersion));
        }
        if self.open_question.is_some() || self.renegotiation.is_under_way() || !self.steps.is_empty() {
            return Err(Error::ApiMisuse("a question is open or a renegotiation under way"));
        }
        Ok(())
    }

    fn change_client_authentication(&mut self, authentication: ClientAuthentication) -> Result<(), Error> {
        let questions = self.questions();
        if let Phase::Open(ssl) = &mut self.phase {
            ask_for_certificate(ssl, &self.context, questions, authentication)?;
            self.client_authentication = authentication;
        }
        Ok(())
    }

    // ---- limits ----

    /// Settles what the peer may begin, when there is an OpenSSL object at last.
    pub(super) fn limit_renegotiation(&mut self) {
        let permitted = self.permits_renegotiation();
        if let Some(ssl) = self.ssl_mut() {
            ssl.permit_renegotiation(permitted);
        }
    }

    fn permits_renegotiation(&self) -> bool {
        let may = !self.renegotiation.disabled && !self.context.forbids_renegotiation();
        may && self.renegotiation.count < self.renegotiation_limit()
    }

    fn renegotiation_limit(&self) -> u32 {
        match &self.role {
            Role::Client(options) => options.renegotiation_limit,
            Role::Server(options) => options.renegotiation_limit,
        }
    }

    /// The peer's attempt to renegotiate was refused, with the warning that says so.
    pub(super) fn renegotiation_refused(&mut self) {
        let limit = self.renegotiation_limit();
        if self.renegotiation.disabled {
            self.fail(Error::Renegotiation(RenegotiationError::Disabled));
        } else if self.renegotiation.count >= limit {
            self.fail(Error::Renegotiation(RenegotiationError::TooMany));
        } else {
            self.count_renegotiation();
        }
    }

    fn count_renegotiation(&mut self) {
        self.renegotiation.count = self.renegotiation.count.saturating_add(1);
        self.renegotiation.needs_time = true;
        self.limit_renegotiation();
    }

    /// Takes the time: for what has begun since, for the window, and for the time limit of what is under way.
    pub(super) fn handle_renegotiation_time(&mut self, now: Instant) {
        let (window, limit) = match &self.role {
            Role::Client(options) => (options.renegotiation_window, options.handshake_timeout),
            Role::Server(options) => (options.renegotiation_window, options.handshake_timeout),
        };
        let is_renegotiating = self.is_renegotiating();
        let state = &mut self.renegotiation;
        state.last_time = now;
        if std::mem::take(&mut state.needs_time) {
            if state.count > 0 {
                state.window_end = state.window_end.or_else(|| now.checked_add(window));
            }
            if is_renegotiating {
                state.deadline = state.deadline.or_else(|| limit.and_then(|limit| now.checked_add(limit)));
            }
        }
        if state.window_end.take_if(|end| now >= *end).is_some() {
            state.count = 0;
            self.limit_renegotiation();
        }
        if self.renegotiation.deadline.is_some_and(|deadline| now >= deadline) {
            self.fail(Error::HandshakeTimeout);
        }
    }
}

const NOT_OPEN: Error = Error::ApiMisuse("the connection is not open");

/// What a server asks of its client: trust, whether a certificate is needed, and what its verification does.
pub(super) fn ask_for_certificate(
    ssl: &mut Ssl,
    context: &SecureContext,
    questions: Questions,
    authentication: ClientAuthentication,
) -> Result<(), Error> {
    if authentication == ClientAuthentication::None {
        ssl.forgo_certificate();
        return Ok(());
    }
    ssl.set_trust(&context.trust().store()?).map_err(Error::bug)?;
    let required = authentication == ClientAuthentication::Required;
    let asked = questions.contains(QuestionKind::VerifyPeer);
    let on_verify = if required && !asked { OnVerify::Enforce } else { OnVerify::Record };
    ssl.request_certificate(required, on_verify);
    Ok(())
}

/// Whether an alert that was sent refuses a renegotiation.
pub(super) fn is_refusal(description: AlertDescription) -> bool {
    description == AlertDescription::NO_RENEGOTIATION
}
