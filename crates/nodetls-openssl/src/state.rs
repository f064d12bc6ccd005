//! What one connection shares with the callbacks that OpenSSL makes for it.
//!
//! The state lives behind a raw pointer which the [`Ssl`](crate::Ssl) owns; OpenSSL holds copies of that
//! pointer in the `SSL`'s ex-data and in the BIO. References to it are short: made and dropped either by the
//! owner between OpenSSL calls or by one callback inside a call, never across.

use std::ptr::NonNull;

use openssl_sys::SSL;
use zeroize::Zeroizing;

use crate::buffer::{Ciphertext, Output};
use crate::external_key::SignRequest;
use crate::fiber::Stop;
use crate::record_writer::{APPLICATION_DATA, RecordWriter, Written};
use crate::{Certificate, ErrorStack, OcspVerdict, Psk, Session, TicketKeyRing, TrustStore};

/// What the verification callback does with OpenSSL's verdict on the peer's chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnVerify {
    /// Note the findings and let the handshake go on.
    #[default]
    Record,
    /// Let OpenSSL fail the handshake with the fitting alert when there is a finding.
    Enforce,
    /// Stop the handshake until [`Ssl::answer_verification`](crate::Ssl::answer_verification) (clients only).
    Suspend,
}

/// One objection to a chain.
#[derive(Clone, Debug)]
pub struct VerifyFinding {
    /// The `X509_V_ERR_*` number.
    pub code: i32,
    /// How many certificates above the peer's own (0) the objectionable one stands.
    pub depth: u32,
    /// The objectionable certificate, where OpenSSL names one.
    pub certificate: Option<Certificate>,
}

/// The verdict on a chain.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    /// All objections in the order found; none means that the chain is trusted.
    pub findings: Vec<VerifyFinding>,
    /// The chain as the peer sent it, its own certificate first.
    pub presented: Vec<Certificate>,
    /// The chain as it was built, from the peer's own certificate towards a trusted authority.
    pub built: Vec<Certificate>,
}

/// An alert that was sent or received (RFC 8446 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertRecord {
    /// Whether this side sent it.
    pub sent: bool,
    /// Whether its level is fatal.
    pub fatal: bool,
    /// The description's number.
    pub description: u8,
}

/// Bytes that somebody else owns.
pub(crate) struct Lent {
    start: *const u8,
    length: usize,
}

impl Default for Lent {
    fn default() -> Self {
        Self::of(&[])
    }
}

impl Lent {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { start: bytes.as_ptr(), length: bytes.len() }
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Moves as many bytes as there are, at most `room`, to the target; how many.
    ///
    /// # Safety
    /// The bytes must still be borrowed, and the target have that much room elsewhere.
    pub(crate) unsafe fn take(&mut self, target: *mut u8, room: usize) -> usize {
        let count = room.min(self.length);
        // SAFETY: the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(self.start, target, count) };
        // SAFETY: the bytes end no earlier.
        self.start = unsafe { self.start.add(count) };
        self.length -= count;
        count
    }
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) input: Ciphertext,
    /// What OpenSSL may read after that, during one call of it only.
    pub(crate) lent: Lent,
    pub(crate) output: Output,
    /// Encrypts what OpenSSL writes from now on.
    pub(crate) writer: Option<RecordWriter>,
    /// The type of the next record, where it is not application data.
    pub(crate) content_type: Option<u8>,
    pub(crate) alpn: Option<Vec<u8>>,
    pub(crate) resume: Option<Session>,
    /// A server's response about one of its certificates.
    pub(crate) ocsp: Option<(Certificate, Vec<u8>)>,
    /// Whether a client accepts only servers that prove by a stapled status that their certificate is good.
    pub(crate) demands_ocsp: bool,
    /// What a server has stapled, until it is taken.
    pub(crate) ocsp_response: Option<Vec<u8>>,
    /// Why that was refused.
    pub(crate) ocsp_objection: Option<OcspVerdict>,
    pub(crate) psk: Option<Psk>,
    pub(crate) ticket_keys: Option<TicketKeyRing>,
    pub(crate) new_sessions: Vec<Session>,
    pub(crate) key_log: Vec<Zeroizing<Vec<u8>>>,
    pub(crate) alerts: Vec<AlertRecord>,
    pub(crate) trace: String,
    /// The connection that is traced.
    pub(crate) traced: Option<NonNull<SSL>>,
    /// Something was left out of the trace, and so is what follows, until it is taken.
    pub(crate) trace_is_full: bool,
    pub(crate) on_verify: OnVerify,
    pub(crate) verify_answer: Option<Result<(), i32>>,
    pub(crate) report: Option<VerifyReport>,
    /// Where the handshake's fiber stops, while there is one.
    pub(crate) stop: Option<Stop>,
    pub(crate) sign_request: Option<SignRequest>,
    pub(crate) sign_answer: Option<Result<Vec<u8>, ()>>,
    /// Whom the verification of the peer's chain trusts.
    pub(crate) trust: Option<TrustStore>,
    /// How many chains have been verified so far.
    pub(crate) verifications: u32,
    /// How many handshakes have begun so far.
    pub(crate) handshakes: u32,
}

impl State {
    /// Takes what OpenSSL writes: ciphertext, or plaintext once there is a writer, which tells of its record.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<Option<Written>, ErrorStack> {
        let content_type = self.content_type.take().unwrap_or(APPLICATION_DATA);
        if let Some(writer) = &mut self.writer {
            return writer.write(content_type, bytes, self.output.room()).map(Some);
        }
        self.output.room().extend_from_slice(bytes);
        Ok(None)
    }

    /// How many bytes more the trace may take, if any.
    pub(crate) fn trace_room(&self, limit: usize) -> Option<usize> {
        limit.checked_sub(self.trace.len()).filter(|room| *room > 0 && !self.trace_is_full)
    }

    pub(crate) fn take_trace(&mut self) -> String {
        self.trace_is_full = false;
        std::mem::take(&mut self.trace)
    }
}
