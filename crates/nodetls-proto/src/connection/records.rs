//! Application data: reading, writing and closing.

use bytes::BufMut;
use nodetls_openssl::{Progress, Ssl};

use super::{Connection, MAX_EVENTS, Phase, TRANSMIT_HIGH_WATER, TRANSMIT_READ_LIMIT};
use crate::error::Error;

/// What a read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes of plaintext.
    Plaintext(usize),
    /// Nothing now: ciphertext has to come or be sent, an event to be taken, or a question to be answered first.
    Blocked,
    /// The peer has said that it sends no more (`close_notify`).
    Closed,
    /// The transport has ended without `close_notify`: the data may have been cut short by anybody.
    Truncated,
}

impl Connection {
    /// Reads plaintext of at most one record into `target`: a `&mut [u8]`, or any other buffer with room.
    ///
    /// # Errors
    /// The error that the connection has failed with, each time.
    pub fn read_plaintext(&mut self, target: impl BufMut) -> Result<Read, Error> {
        self.read_plaintext_from(&mut &[][..], target)
    }

    /// As [`Connection::read_plaintext`], where more bytes of the peer are at hand: those that were taken in are used first,
    /// then `source`, whose front is taken away as far as it is used. A caller offers what is left to
    /// [`Connection::handle_ciphertext`] in the end. That saves a copy where data streams in.
    ///
    /// # Errors
    /// As for [`Connection::read_plaintext`].
    pub fn read_plaintext_from(
        &mut self,
        source: &mut &[u8],
        mut target: impl BufMut,
    ) -> Result<Read, Error> {
        if let Some(read) = self.read_withheld(&mut target) {
            return read;
        }
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if self.close_notify_received {
            return Ok(Read::Closed);
        }
        let eof = self.eof;
        let has_room = self.events.len() < MAX_EVENTS && self.waiting_to_be_sent() < TRANSMIT_READ_LIMIT;
        let Phase::Open(ssl) = &mut self.phase else { return Ok(self.read_while_not_open()) };
        if self.open_question.is_some() || !has_room {
            return Ok(Read::Blocked);
        }
        if !target.has_remaining_mut() {
            return Ok(Read::Plaintext(0));
        }
        self.has_input |= !source.is_empty();
        match ssl.read(source, &mut target) {
            Ok(Progress::Done(count)) => {
                // Tickets and the like may have stood before the data.
                self.after_records();
                Ok(Read::Plaintext(count))
            }
            Ok(Progress::Closed) => {
                self.close_notify_received = true;
                self.after_records();
                Ok(Read::Closed)
            }
            Ok(Progress::WantRead) => {
                self.after_records();
                if let Some(error) = &self.error {
                    return Err(error.clone());
                }
                Ok(if eof && self.open_question.is_none() { Read::Truncated } else { Read::Blocked })
            }
            Ok(other) => Err(self.broken(other)),
            Err(stack) => Err(self.failed(&stack)),
        }
    }

    fn read_while_not_open(&self) -> Read {
        if matches!(self.phase, Phase::Ended(_)) { Read::Closed } else { Read::Blocked }
    }

    /// Encrypts plaintext; returns how many bytes were taken. Fewer than given, possibly none, means that ciphertext
    /// has to be sent, or the handshake or a question dealt with, before more can be.
    ///
    /// # Errors
    /// The error that the connection has failed with; [`Error::ApiMisuse`] after
    /// [`Connection::send_close_notify`]; [`Error::Truncated`] when the peer has gone amid a renegotiation.
    pub fn write_plaintext(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if self.close_notify_sent {
            return Err(Error::ApiMisuse("write after close_notify was sent"));
        }
        if self.is_write_held_up()? {
            return Ok(0);
        }
        let mut taken = 0;
        while taken < bytes.len() && !self.is_backlogged() && self.open_question.is_none() {
            let Phase::Open(ssl) = &mut self.phase else { break };
            match ssl.write(&bytes[taken..]) {
                Ok(Progress::Done(count)) => taken += count,
                Ok(Progress::WantRead) => break,
                Ok(other) => return Err(self.broken(other)),
                Err(stack) => return Err(self.failed(&stack)),
            }
        }
        self.after_records();
        Ok(taken)
    }

    /// Says to the peer that no more data follows (RFC 8446 §6.1). Reading goes on until the peer's own
    /// `close_notify`. Before the handshake is done there is nothing to say, and the connection just ends. Amid a
    /// renegotiation it is said at its end. More than once is no error.
    pub fn send_close_notify(&mut self) {
        if self.close_notify_sent {
            return;
        }
        self.close_notify_sent = true;
        if !self.is_open() {
            self.end();
        } else if !self.put_off_goodbye() {
            self.say_goodbye();
        }
    }

    pub(super) fn say_goodbye(&mut self) {
        let Phase::Open(ssl) = &mut self.phase else { return };
        // A connection that can no longer say goodbye has failed; whoever reads next is told so.
        match ssl.close_notify() {
            Ok(()) => self.after_records(),
            Err(stack) => {
                self.failed(&stack);
            }
        }
    }

    /// Whether `close_notify` was received.
    pub fn is_close_notify_received(&self) -> bool {
        self.close_notify_received
    }

    /// Whether received bytes wait to be read, so that [`Connection::read_plaintext`] is worth a call.
    pub fn has_received(&self) -> bool {
        self.renegotiation.has_withheld()
            || self.received().is_some_and(|received| !received.is_empty())
            || matches!(&self.phase, Phase::Open(ssl) if ssl.has_plaintext())
    }

    /// Whether as much ciphertext waits to be sent as may.
    pub fn is_backlogged(&self) -> bool {
        self.waiting_to_be_sent() >= TRANSMIT_HIGH_WATER
    }

    pub(super) fn waiting_to_be_sent(&self) -> usize {
        self.ssl().map_or(0, |ssl| ssl.transmit().len())
    }

    /// Notes what came along with records: sessions, key material, alerts, a trace.
    fn after_records(&mut self) {
        self.observe_renegotiation();
        if !self.ssl().is_some_and(Ssl::has_recorded) {
            return;
        }
        self.harvest();
        if !self.steps.is_empty() {
            self.has_input = true;
            self.advance();
        }
    }

    pub(super) fn failed(&mut self, stack: &nodetls_openssl::ErrorStack) -> Error {
        let alerts = self.harvest();
        let error = self.classify(stack, alerts);
        self.fail(error.clone());
        error
    }

    pub(super) fn broken(&mut self, progress: Progress<usize>) -> Error {
        let error = Error::bug(format_args!("a record operation wants {progress:?}"));
        self.fail(error.clone());
        error
    }
}
