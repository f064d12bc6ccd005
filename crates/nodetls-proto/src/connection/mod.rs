//! One TLS connection without a socket, a clock or a thread.
//!
//! # The contract
//!
//! 1. **Feed** what happened: [`Connection::handle_ciphertext`] (or [`Connection::receive_buffer`]) for bytes,
//!    [`Connection::handle_eof`] for the end of the transport, [`Connection::handle_timeout`] for time.
//! 2. **Drain** [`Connection::poll_event`] until it gives `None`; answer the questions among the events, now or
//!    at any later time. The handshake's heavy work happens in here; a driver that wants it on another thread calls
//!    [`Connection::advance`] there first, while [`Connection::has_work`] says so.
//! 3. **Move data** with [`Connection::read_plaintext`] and [`Connection::write_plaintext`].
//! 4. **Send** what [`Connection::poll_transmit`] gives, and say so with [`Connection::transmitted`].
//! 5. **Sleep** until bytes come, the transport takes bytes, an answer is there, or [`Connection::poll_timeout`]
//!    is reached; then begin again.
//!
//! Every order of calls is legal. A call that makes no sense now returns [`Error::ApiMisuse`] or says that it has
//! nothing to do, and changes nothing.
//!
//! A server's connection owns no OpenSSL object before the client's first message is complete and all decisions
//! that belong to it have been taken: the message is read here, in safe code, so that a chosen context applies with
//! all of its settings, and a client that only connects costs next to nothing.

mod accept;
mod facts;
mod handshake;
mod messages;
mod psk;
pub(crate) mod question;
mod records;
mod renegotiation;
mod trace;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

pub use facts::EphemeralKey;
use nodetls_openssl::{Ciphertext, ReceiveBuffer, Ssl};
pub(crate) use psk::check_hint;
pub use question::{Facts, Question, QuestionKind, Questions};
pub use records::Read;
pub use renegotiation::RenegotiateOptions;

use self::accept::Accepting;
use self::handshake::Step;
use self::psk::PskWatch;
use self::question::Slot;
use self::renegotiation::Renegotiation;
use crate::context::SecureContext;
use crate::error::Error;
use crate::event::Event;
use crate::options::{ClientAuthentication, ClientOptions, ServerOptions, Side};
use crate::session::offered_session;
use crate::version::ProtocolVersion;

/// Ciphertext waiting to be sent, from which on no more is produced until some has been taken: three whole records. They
/// leave in one write; larger ones are no cheaper, and above 64 KiB Linux splits them, which can cost threefold.
const TRANSMIT_HIGH_WATER: usize = 48 * 1024;

/// Ciphertext waiting to be sent, from which on nothing more is read from the peer. Reading only adds answers to
/// control messages; what the program has written, up to the mark above, must never stop it, or two peers that
/// both write more than they read would wait for each other.
const TRANSMIT_READ_LIMIT: usize = 128 * 1024;

/// Events waiting to be taken, from which on nothing more is read from the peer.
const MAX_EVENTS: usize = 128;

/// Options of either side.
#[derive(Debug)]
enum Role {
    Client(Box<ClientOptions>),
    Server(Arc<ServerOptions>),
}

/// How far a connection is.
#[derive(Debug)]
enum Phase {
    /// A server before the client's first message has been dealt with.
    Accepting(Box<Accepting>),
    /// OpenSSL's handshake is going on.
    Handshaking(Ssl),
    /// OpenSSL is done; decisions that come after its handshake are open.
    Finishing(Ssl),
    /// Application data flows; possibly a renegotiation too.
    Open(Ssl),
    /// Nothing goes on; what OpenSSL or this library had to say last may still be sent.
    Ended(Option<Ssl>),
}

/// A TLS connection, sans I/O. See the [module](self) for the contract.
#[derive(Debug)]
pub struct Connection {
    role: Role,
    context: SecureContext,
    phase: Phase,
    steps: VecDeque<Step>,
    events: VecDeque<Event>,
    open_question: Option<Arc<Slot>>,
    /// Produced ciphertext waits for an answer.
    held: bool,
    /// An alert that was made before there was an OpenSSL object.
    early_alert: Vec<u8>,
    /// Bytes, answers or the end came in since the last advance.
    has_input: bool,
    eof: bool,
    close_notify_sent: bool,
    close_notify_received: bool,
    deadline: Option<Instant>,
    error: Option<Error>,
    /// Why the peer's certificate is refused, until OpenSSL has said so to the peer.
    rejection: Option<Error>,
    authorization: facts::Authorization,
    client_authentication: ClientAuthentication,
    server_name: Option<String>,
    /// OpenSSL forgets it in a renegotiation.
    alpn_protocol: Option<Box<[u8]>>,
    renegotiation: Renegotiation,
    is_traced: bool,
    /// Where received bytes go first while a pre-shared key may have to be asked for during OpenSSL's handshake.
    psk_watch: Option<Box<PskWatch>>,
    /// A client offers a session that a pre-shared key has opened.
    offers_psk_session: bool,
}

impl Connection {
    /// A connection of the client side, created at `now`.
    ///
    /// # Errors
    /// [`Error::Config`] when an option is not acceptable.
    ///
    /// Node: `tls.connect(options)`.
    pub fn client(context: &SecureContext, options: ClientOptions, now: Instant) -> Result<Self, Error> {
        let ssl = handshake::client_ssl(context, &options)?;
        let offers_psk_session = offered_session(context, &options).is_some_and(|(_, by_psk)| by_psk);
        let takes_psk = options.questions.contains(QuestionKind::Psk);
        let server_name = options.sent_name().map(str::to_owned);
        let deadline = options.handshake_timeout.and_then(|timeout| now.checked_add(timeout));
        let traced = options.enable_trace;
        let role = Role::Client(Box::new(options));
        let mut this = Self::new(context, role, Phase::Handshaking(ssl), deadline, now);
        this.server_name = server_name;
        this.offers_psk_session = offers_psk_session;
        this.psk_watch = takes_psk.then(|| Box::new(PskWatch::of_client(context.may_speak_tls1_3())));
        this.has_input = true;
        this.limit_renegotiation();
        if traced {
            this.enable_trace()?;
        }
        Ok(this)
    }

    /// A connection of the server side, accepted at `now`. Options in an `Arc` are shared rather than copied.
    ///
    /// # Errors
    /// [`Error::Config`] when an option is not acceptable.
    ///
    /// Node: `new tls.TLSSocket(socket, { isServer: true })`.
    pub fn server(
        context: &SecureContext,
        options: impl Into<Arc<ServerOptions>>,
        now: Instant,
    ) -> Result<Self, Error> {
        let options = options.into();
        options.check()?;
        let deadline = options.handshake_timeout.and_then(|timeout| now.checked_add(timeout));
        let traced = options.enable_trace;
        let role = Role::Server(options);
        let mut this = Self::new(context, role, Phase::Accepting(Box::default()), deadline, now);
        if traced {
            this.enable_trace()?;
        }
        Ok(this)
    }

    fn new(
        context: &SecureContext,
        role: Role,
        phase: Phase,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Self {
        Self {
            role,
            context: context.clone(),
            phase,
            steps: VecDeque::new(),
            events: VecDeque::new(),
            open_question: None,
            held: false,
            early_alert: Vec::new(),
            has_input: false,
            eof: false,
            close_notify_sent: false,
            close_notify_received: false,
            deadline,
            error: None,
            rejection: None,
            authorization: facts::Authorization::default(),
            client_authentication: ClientAuthentication::None,
            server_name: None,
            alpn_protocol: None,
            renegotiation: Renegotiation::new(now),
            is_traced: false,
            psk_watch: None,
            offers_psk_session: false,
        }
    }

    /// Which end of the connection this is.
    pub fn side(&self) -> Side {
        match self.role {
            Role::Client(_) => Side::Client,
            Role::Server(_) => Side::Server,
        }
    }

    // ---- feed ----

    /// Takes in bytes from the peer; returns how many. Fewer than given means that the rest has to wait until
    /// plaintext has been read, a question answered or an ended connection dropped.
    pub fn handle_ciphertext(&mut self, bytes: &[u8]) -> usize {
        self.has_input = true;
        self.received_mut().map_or(0, |received| received.extend(bytes))
    }

    /// Room to receive bytes from the peer without a copy; `None` once the connection has ended.
    ///
    /// What is written into it counts as handled. When it has no room, read plaintext or answer questions first.
    pub fn receive_buffer(&mut self) -> Option<ReceiveBuffer<'_>> {
        self.has_input = true;
        self.received_mut().map(Ciphertext::receive_buffer)
    }

    /// Whether bytes from the peer can be taken in at present.
    pub fn wants_ciphertext(&self) -> bool {
        !self.eof && self.received().is_some_and(|received| received.room() > 0)
    }

    /// The transport has ended: no more bytes will come.
    ///
    /// A question that is open before the peer's last message of the handshake is moot then: the connection fails at
    /// once, so that nobody works for a peer that has gone.
    pub fn handle_eof(&mut self) {
        self.eof = true;
        self.has_input = true;
        if self.open_question.is_some() && matches!(self.phase, Phase::Accepting(_) | Phase::Handshaking(_)) {
            self.fail(Error::Truncated { during_handshake: true });
        }
    }

    /// Time has come to `now`. A handshake past its time limit fails with [`Error::HandshakeTimeout`], and so does a
    /// renegotiation.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.handle_renegotiation_time(now);
        if self.deadline.is_some_and(|deadline| now >= deadline) && self.is_handshaking() {
            self.fail(Error::HandshakeTimeout);
        }
    }

    // ---- drain ----

    /// The next event. Does the work of the handshake first, if there is any.
    ///
    /// Changes after: everything that feeds, an answer, [`Connection::read_plaintext`], and where the connection is
    /// traced, also [`Connection::write_plaintext`] and [`Connection::send_close_notify`].
    pub fn poll_event(&mut self) -> Option<Event> {
        if self.open_question.as_ref().is_some_and(|slot| slot.was_dropped()) {
            self.fail(Error::callback(
                "ERR_TLS_QUESTION_DROPPED",
                "a question was dropped without an answer".into(),
            ));
        }
        if self.events.is_empty() {
            self.advance();
        }
        self.events.pop_front()
    }

    /// Whether [`Connection::poll_event`] has something to give or to do.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty() || self.has_work() || !self.steps.is_empty()
    }

    /// Drops the events that tell of the peer's alerts, for whoever takes them from errors and ends alone.
    pub fn forget_alerts(&mut self) {
        self.events.retain(|event| !matches!(event, Event::AlertReceived(_)));
    }

    /// The next bytes for the peer, all that there are.
    ///
    /// Changes after: [`Connection::poll_event`], [`Connection::read_plaintext`], [`Connection::write_plaintext`],
    /// [`Connection::send_close_notify`], [`Connection::transmitted`], an answer.
    pub fn poll_transmit(&self) -> Option<&[u8]> {
        let bytes = match self.ssl() {
            _ if self.held => &[],
            _ if !self.early_alert.is_empty() => self.early_alert.as_slice(),
            Some(ssl) => ssl.transmit(),
            None => &[],
        };
        (!bytes.is_empty()).then_some(bytes)
    }

    /// `count` bytes of what [`Connection::poll_transmit`] gave have been sent.
    pub fn transmitted(&mut self, count: usize) {
        if !self.early_alert.is_empty() {
            self.early_alert.drain(..count.min(self.early_alert.len()));
        } else if let Some(ssl) = self.ssl_mut() {
            ssl.transmitted(count);
        }
    }

    /// When [`Connection::handle_timeout`] wants to be called, if at all; possibly at once, by a time in the past.
    ///
    /// Changes after: [`Connection::poll_event`], [`Connection::handle_timeout`], [`Connection::read_plaintext`],
    /// [`Connection::renegotiate`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.is_handshaking() { self.deadline } else { self.renegotiation.poll_timeout() }
    }

    /// Whether [`Connection::advance`] has heavy work to do: a step of a handshake.
    pub fn has_work(&self) -> bool {
        let has_handshake = self.is_handshaking() || self.renegotiation.is_under_way();
        self.has_input && has_handshake && self.open_question.is_none()
    }

    /// Whether that work may take public-key operations, so that it is worth another thread: all but the end of a TLS 1.3
    /// handshake on a server that asks for no certificate.
    pub fn has_public_key_work(&self) -> bool {
        self.has_work() && !self.is_at_light_end()
    }

    fn is_at_light_end(&self) -> bool {
        match &self.phase {
            Phase::Finishing(_) => true,
            Phase::Handshaking(ssl) => {
                // OpenSSL gets its first turn in the same call as the hello that is read here, so it has had it.
                let is_1_3 = ProtocolVersion::from_wire(ssl.version()) == Some(ProtocolVersion::Tls1_3);
                let asks = self.client_authentication != ClientAuthentication::None;
                is_1_3 && !asks && self.side() == Side::Server
            }
            _ => false,
        }
    }

    /// Takes the handshake as far as bytes, answers and time allow. All public-key work happens here.
    pub fn advance(&mut self) {
        while self.has_input && self.open_question.is_none() {
            self.has_input = false;
            match &self.phase {
                Phase::Accepting(_) => self.advance_accepting(),
                Phase::Handshaking(_) => self.advance_handshake(),
                Phase::Open(_) if self.steps.is_empty() => self.advance_renegotiation(),
                Phase::Finishing(_) | Phase::Open(_) => self.advance_steps(),
                Phase::Ended(_) => {}
            }
        }
    }

    /// Gives back the memory of buffers that are empty, for a connection that is expected to be idle.
    pub fn release_buffers(&mut self) {
        if let Phase::Open(ssl) = &mut self.phase {
            ssl.release_buffers();
            // The queues of the handshake keep their room; afterwards they are hardly used.
            if self.events.is_empty() {
                self.events = VecDeque::new();
            }
            if self.steps.is_empty() {
                self.steps = VecDeque::new();
            }
        }
    }

    /// Ends the connection without a word, and frees what it holds. For drivers in whose language it cannot be dropped at
    /// once: nothing comes of any later call, and the verdict on the peer stays.
    pub fn dispose(&mut self) {
        self.end();
        self.phase = Phase::Ended(None);
        self.close_notify_sent = true;
        self.events = VecDeque::new();
        self.steps = VecDeque::new();
        self.early_alert = Vec::new();
        self.rejection = None;
    }

    // ---- states ----

    /// Whether the handshake is still going on; also while its questions are open.
    pub fn is_handshaking(&self) -> bool {
        matches!(self.phase, Phase::Accepting(_) | Phase::Handshaking(_) | Phase::Finishing(_))
    }

    /// Whether application data can flow.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// Whether the connection waits for an answer rather than for bytes.
    pub fn waits_for_answer(&self) -> bool {
        self.open_question.is_some()
    }

    /// Why the connection has failed, if it has.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    // ---- inside ----

    fn ssl(&self) -> Option<&Ssl> {
        match &self.phase {
            Phase::Accepting(_) => None,
            Phase::Handshaking(ssl) | Phase::Finishing(ssl) | Phase::Open(ssl) => Some(ssl),
            Phase::Ended(ssl) => ssl.as_ref(),
        }
    }

    fn ssl_mut(&mut self) -> Option<&mut Ssl> {
        match &mut self.phase {
            Phase::Accepting(_) => None,
            Phase::Handshaking(ssl) | Phase::Finishing(ssl) | Phase::Open(ssl) => Some(ssl),
            Phase::Ended(ssl) => ssl.as_mut(),
        }
    }

    fn received(&self) -> Option<&Ciphertext> {
        if let (Phase::Handshaking(_), Some(watch)) = (&self.phase, &self.psk_watch) {
            return Some(watch.received());
        }
        match &self.phase {
            Phase::Accepting(accepting) => Some(accepting.received()),
            Phase::Handshaking(ssl) | Phase::Finishing(ssl) | Phase::Open(ssl) => Some(ssl.received()),
            Phase::Ended(_) => None,
        }
    }

    fn received_mut(&mut self) -> Option<&mut Ciphertext> {
        if let (Phase::Handshaking(_), Some(watch)) = (&self.phase, &mut self.psk_watch) {
            return Some(watch.received_mut());
        }
        match &mut self.phase {
            Phase::Accepting(accepting) => Some(accepting.received_mut()),
            Phase::Handshaking(ssl) | Phase::Finishing(ssl) | Phase::Open(ssl) => Some(ssl.received_mut()),
            Phase::Ended(_) => None,
        }
    }

    fn questions(&self) -> Questions {
        match &self.role {
            Role::Client(options) => options.questions,
            Role::Server(options) => options.questions,
        }
    }

    /// Opens a question if the program wants it, and there are facts; otherwise takes the default at once.
    fn ask<F: Facts>(&mut self, facts: impl FnOnce(&Self) -> Option<F>, event: fn(Question<F>) -> Event) {
        let asked = self.questions().contains(F::KIND);
        let Some(facts) = asked.then(|| facts(self)).flatten() else {
            self.has_input = true;
            if let Err(error) = F::apply(self, F::declined()) {
                self.fail(error);
            }
            return;
        };
        let slot = Arc::new(Slot::default());
        self.open_question = Some(Arc::clone(&slot));
        self.events.push_back(event(Question::new(facts, slot)));
    }

    /// Closes the open question, if it is this one.
    fn settle(&mut self, slot: &Arc<Slot>) -> Result<(), Error> {
        match self.open_question.take_if(|open| Arc::ptr_eq(open, slot)) {
            Some(_) => {
                self.has_input = true;
                Ok(())
            }
            None => Err(Error::ApiMisuse("the question is not open on this connection")),
        }
    }

    /// Ends the connection with an error; what can still be sent is, but nothing that was withheld.
    fn fail(&mut self, error: Error) {
        if matches!(self.phase, Phase::Ended(_)) {
            return;
        }
        self.error = Some(error.clone());
        self.events.push_back(Event::Failed(error));
        self.end();
    }

    fn end(&mut self) {
        self.open_question = None;
        self.psk_watch = None;
        self.steps.clear();
        self.renegotiation.end();
        if std::mem::take(&mut self.held) {
            // It was to wait for a decision which will not come any more.
            if let Some(ssl) = self.ssl_mut() {
                let withheld = ssl.transmit().len();
                ssl.transmitted(withheld);
            }
        }
        let phase = std::mem::replace(&mut self.phase, Phase::Ended(None));
        if let Phase::Handshaking(ssl) | Phase::Finishing(ssl) | Phase::Open(ssl) | Phase::Ended(Some(ssl)) =
            phase
        {
            self.phase = Phase::Ended(Some(ssl));
        }
    }
}
