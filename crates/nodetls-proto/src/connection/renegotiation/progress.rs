//! How what is under way goes on: read by read, with the data that comes along kept, and with the peer judged at its end.

use std::fmt;

use bytes::{Buf, BufMut, BytesMut};
use nodetls_openssl::{Progress, Ssl};

use super::Exchange;
use crate::connection::facts::Authorization;
use crate::connection::handshake::Step;
use crate::connection::{Connection, MAX_EVENTS, Phase, Read, TRANSMIT_READ_LIMIT};
use crate::error::Error;
use crate::options::{ClientAuthentication, Side};

/// Plaintext kept for a program that does not read; when there is as much, a renegotiation goes on only as it is read.
const MAX_WITHHELD: usize = 256 * 1024;

/// The most plaintext in one record (RFC 5246 §6.2.1).
const MAX_RECORD: usize = 16 * 1024;

/// Plaintext that came along with a renegotiation.
#[derive(Default)]
pub(super) struct Withheld {
    data: BytesMut,
    /// How many of the last bytes came from a peer that is not judged yet.
    unjudged: usize,
}

impl Withheld {
    pub(super) fn refuse(&mut self) {
        self.data.truncate(self.data.len() - std::mem::take(&mut self.unjudged));
    }

    fn deliver(&mut self, target: &mut impl BufMut) -> usize {
        let count = (self.data.len() - self.unjudged).min(target.remaining_mut()).min(MAX_RECORD);
        target.put_slice(&self.data[..count]);
        self.data.advance(count);
        if self.data.is_empty() {
            self.data = BytesMut::new();
        }
        count
    }

    /// The peer is judged, and with it what it has sent.
    pub(super) fn accept(&mut self) {
        self.unjudged = 0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.data.is_empty()
    }
}

impl fmt::Debug for Withheld {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Withheld({} bytes)", self.data.len())
    }
}

impl Connection {
    pub(super) fn begin(&mut self, exchange: Exchange) {
        let verifications = self.ssl().map_or(0, Ssl::verifications);
        let finished = self.ssl().map(Ssl::peer_finished).unwrap_or_default();
        let state = &mut self.renegotiation;
        state.under_way = Some(exchange);
        (state.verifications, state.finished) = (verifications, finished);
        state.starved = false;
        state.needs_time = true;
        self.has_input = true;
    }

    /// Looks, after each read, whether a renegotiation has begun or is done; whether the latter.
    pub(in crate::connection) fn observe_renegotiation(&mut self) -> bool {
        let Phase::Open(ssl) = &self.phase else { return false };
        let goes_on = match &self.renegotiation.under_way {
            Some(Exchange::Certificate { finished }) => ssl.peer_finished() == *finished,
            _ => ssl.is_renegotiating(),
        };
        // A peer may begin the next one right behind its last message, and OpenSSL reads both at once.
        let is_next = goes_on && ssl.peer_finished() != self.renegotiation.finished;
        match (self.renegotiation.is_under_way(), goes_on) {
            (true, true) if !is_next => false,
            (_, true) => {
                self.begin(Exchange::ByPeer);
                self.count_renegotiation();
                false
            }
            (true, false) => {
                self.renegotiated();
                true
            }
            _ => false,
        }
    }

    /// The messages are exchanged; what they say about the peer has to be judged.
    fn renegotiated(&mut self) {
        let exchange = self.renegotiation.finish();
        let (side, authentication) = (self.side(), self.client_authentication);
        let verifications = self.renegotiation.verifications;
        let Phase::Open(ssl) = &mut self.phase else { return };
        let verified = ssl.verifications() != verifications;
        if side == Side::Server && !verified {
            // This time the client has shown nothing, whatever it had shown before.
            ssl.forget_verification();
        }
        let judge = match side {
            // A server that has resumed its session is judged again all the same: the rules may have changed.
            Side::Client => !verified,
            Side::Server => authentication != ClientAuthentication::None,
        };
        if side == Side::Server && !judge {
            self.authorization = Authorization::default();
        }
        if judge {
            self.steps.push_front(Step::VerifyPeer);
        }
        self.steps.push_back(match exchange {
            Some(Exchange::Certificate { .. }) => Step::ClientAuthenticated,
            _ => Step::Renegotiated,
        });
        self.has_input = true;
        if std::mem::take(&mut self.renegotiation.close_is_due) {
            self.say_goodbye();
        }
    }

    /// Lets OpenSSL go on with what is under way, and keeps the data that comes along.
    pub(in crate::connection) fn advance_renegotiation(&mut self) {
        while self.renegotiation.is_under_way() && self.can_read_ahead() {
            if !self.read_ahead() {
                return;
            }
        }
    }

    fn can_read_ahead(&self) -> bool {
        self.open_question.is_none()
            && self.is_open()
            && !self.close_notify_received
            && self.events.len() < MAX_EVENTS
            && self.waiting_to_be_sent() < TRANSMIT_READ_LIMIT
            && self.renegotiation.withheld.data.len() < MAX_WITHHELD
    }

    /// Reads a record at most; whether there may be more.
    fn read_ahead(&mut self) -> bool {
        let Phase::Open(ssl) = &mut self.phase else { return false };
        let withheld = &mut self.renegotiation.withheld;
        withheld.data.reserve(MAX_RECORD);
        let progress = ssl.read(&mut &[][..], &mut (&mut withheld.data).limit(MAX_RECORD));
        self.renegotiation.starved = matches!(progress, Ok(Progress::WantRead));
        let suspended = matches!(progress, Ok(Progress::WantVerify));
        let count = match progress {
            Ok(Progress::Done(count)) => Some(count),
            Ok(Progress::WantRead | Progress::WantVerify) => None,
            Ok(Progress::Closed) => {
                self.close_notify_received = true;
                None
            }
            Ok(other) => {
                self.broken(other);
                return false;
            }
            Err(stack) => {
                self.failed(&stack);
                return false;
            }
        };
        self.harvest();
        if self.observe_renegotiation() {
            // This data was read after the peer's last message.
            self.renegotiation.withheld.unjudged = count.unwrap_or_default();
        }
        if suspended {
            self.suspend_renegotiation();
        }
        count.is_some()
    }

    /// OpenSSL stands at a server's certificate.
    pub(in crate::connection) fn suspend_renegotiation(&mut self) {
        self.renegotiation.suspended = true;
        self.ask_verify_peer();
    }

    /// Reads what came along with a renegotiation, after having let it go on; `None` when there is none under way and
    /// nothing is left of it.
    pub(in crate::connection) fn read_withheld(
        &mut self,
        target: &mut impl BufMut,
    ) -> Option<Result<Read, Error>> {
        if self.is_open() && (self.renegotiation.is_under_way() || !self.steps.is_empty()) {
            self.has_input = true;
            self.advance();
        }
        if self.renegotiation.has_withheld() && target.has_remaining_mut() {
            let count = self.renegotiation.withheld.deliver(target);
            if count > 0 {
                return Some(Ok(Read::Plaintext(count)));
            }
        }
        if let Some(error) = &self.error {
            return Some(Err(error.clone()));
        }
        if !self.renegotiation.is_under_way() || self.close_notify_received {
            return None;
        }
        let is_over = self.eof && self.renegotiation.starved && self.open_question.is_none();
        Some(Ok(if is_over { Read::Truncated } else { Read::Blocked }))
    }

    /// Puts off this side's goodbye for as long as nothing can be written; whether it has to be.
    pub(in crate::connection) fn put_off_goodbye(&mut self) -> bool {
        self.renegotiation.close_is_due = self.is_amid_handshake();
        self.renegotiation.close_is_due
    }

    /// Whether nothing can be written before handshake messages have come.
    ///
    /// # Errors
    /// When they will never come.
    pub(in crate::connection) fn is_write_held_up(&self) -> Result<bool, Error> {
        match self.is_amid_handshake() {
            true if !self.is_renegotiating() => Err(Error::Truncated { during_handshake: true }),
            held_up => Ok(held_up),
        }
    }

    fn is_amid_handshake(&self) -> bool {
        let Phase::Open(ssl) = &self.phase else { return false };
        match &self.renegotiation.under_way {
            // Written now, data would begin the renegotiation outside of a read.
            Some(Exchange::Asked { handshakes }) if ssl.handshakes() == *handshakes => true,
            Some(_) => ssl.is_in_handshake(),
            None => false,
        }
    }
}
