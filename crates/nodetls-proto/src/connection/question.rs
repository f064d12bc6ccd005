//! Questions: decisions that belong to the program, as owned values.
//!
//! The connection stands still while a question is open, and one at most is open. Each question is answered once,
//! because its answer consumes it; one that is dropped without an answer fails its connection.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Connection;
use crate::certificate::Certificate;
use crate::client_hello::ClientHello;
use crate::context::SecureContext;
use crate::error::{AlertDescription, BoxError, Error};
use crate::secret::SecretBytes;
use crate::server_name::ServerName;
use crate::session::Session;
use crate::signature::SignatureScheme;
use crate::version::ProtocolVersion;

/// The kinds of questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QuestionKind {
    /// [`AskClientHello`]
    ClientHello,
    /// [`AskSelectContext`]
    SelectContext,
    /// [`AskSelectAlpn`]
    SelectAlpn,
    /// [`AskResumeSession`]
    ResumeSession,
    /// [`AskVerifyPeer`]
    VerifyPeer,
    /// [`AskNewSession`]
    NewSession,
    /// [`AskOcspRequest`]
    OcspRequest,
    /// [`AskSign`]
    Sign,
    /// [`AskPsk`]
    Psk,
}

/// A set of question kinds: the decisions that a program takes itself. All others take their default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Questions(u16);

impl Questions {
    /// No question is asked.
    pub const NONE: Self = Self(0);
    /// Every question is asked.
    pub const ALL: Self = Self(u16::MAX);

    /// This set and one kind more.
    #[must_use]
    pub const fn with(self, kind: QuestionKind) -> Self {
        Self(self.0 | 1 << kind as u16)
    }

    /// Whether the kind is in the set.
    pub const fn contains(self, kind: QuestionKind) -> bool {
        self.0 & 1 << kind as u16 != 0
    }
}

/// What a question states and what its answer looks like.
pub trait Facts: fmt::Debug + Sized + sealed::Apply {
    /// The answer's type.
    type Answer: fmt::Debug + Send;
    /// The question's kind.
    const KIND: QuestionKind;

    /// The answer of a program without an opinion.
    fn declined() -> Self::Answer;
}

pub(super) mod sealed {
    use super::{Connection, Error};

    #[expect(unnameable_types, reason = "sealed: only the question types of this crate are facts")]
    pub trait Apply: super::fmt::Debug {
        /// The code of an error that the answering program gave.
        const FAILURE: &'static str;

        fn apply(connection: &mut Connection, answer: <Self as super::Facts>::Answer) -> Result<(), Error>
        where
            Self: super::Facts;
    }
}

/// Shared by a question and its connection: whether the question was dropped without an answer.
#[derive(Debug, Default)]
pub(super) struct Slot {
    dropped: AtomicBool,
}

impl Slot {
    pub(super) fn was_dropped(&self) -> bool {
        self.dropped.load(Ordering::Acquire)
    }
}

/// A decision that the connection waits for.
///
/// # Choices
/// [`answer`](Self::answer), [`decline`](Self::decline) (the default happens) or [`fail`](Self::fail) (the
/// connection ends). Dropping it is like failing it, noticed when the connection is next polled.
#[must_use = "the connection stands still until the question is answered"]
#[derive(Debug)]
pub struct Question<F: Facts> {
    facts: F,
    slot: Arc<Slot>,
    settled: bool,
}

impl<F: Facts> Question<F> {
    pub(super) fn new(facts: F, slot: Arc<Slot>) -> Self {
        Self { facts, slot, settled: false }
    }

    /// What is known.
    pub fn facts(&self) -> &F {
        &self.facts
    }

    /// Answers, and lets the connection go on at its next poll.
    ///
    /// # Errors
    /// [`Error::ApiMisuse`] when the question is not one of this connection or the connection has ended. An answer that
    /// is not possible fails the connection, which [`Event::Failed`](crate::Event::Failed) tells; some such errors are
    /// returned here too.
    pub fn answer(mut self, connection: &mut Connection, answer: F::Answer) -> Result<(), Error> {
        // A question that is given to a connection not its own stays unanswered: it counts as dropped.
        connection.settle(&self.slot)?;
        self.settled = true;
        F::apply(connection, answer).inspect_err(|error| connection.fail(error.clone()))
    }

    /// Leaves the decision to the default.
    ///
    /// # Errors
    /// As [`Question::answer`].
    pub fn decline(self, connection: &mut Connection) -> Result<(), Error> {
        self.answer(connection, F::declined())
    }

    /// Ends the connection because the decision failed.
    ///
    /// # Errors
    /// [`Error::ApiMisuse`] when the question is not one of this connection or the connection has ended.
    pub fn fail(mut self, connection: &mut Connection, reason: impl Into<BoxError>) -> Result<(), Error> {
        connection.settle(&self.slot)?;
        self.settled = true;
        connection.fail(Error::callback(F::FAILURE, reason.into()));
        Ok(())
    }
}

impl<F: Facts> Drop for Question<F> {
    fn drop(&mut self) {
        if !self.settled {
            self.slot.dropped.store(true, Ordering::Release);
        }
    }
}

/// A client has said hello, and nothing has been decided yet.
#[derive(Debug)]
#[non_exhaustive]
pub struct AskClientHello {
    /// The message.
    pub hello: ClientHello,
}

/// The answer to [`AskClientHello`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientHelloAnswer {
    /// Go on.
    Continue,
    /// Refuse the client with this alert.
    Refuse(AlertDescription),
}

/// A client has asked for a server by name (RFC 6066 §3). The answer is the context to go on with; `None` leaves it
/// to the contexts by name and the connection's own.
#[derive(Debug)]
#[non_exhaustive]
pub struct AskSelectContext {
    /// The name, in lower case.
    pub server_name: String,
    /// The client's whole message.
    pub hello: ClientHello,
}

/// A client has offered application protocols (RFC 7301).
#[derive(Debug)]
#[non_exhaustive]
pub struct AskSelectAlpn {
    /// What the client offers, its preferred one first.
    pub protocols: Vec<Vec<u8>>,
    /// The name that the client asked for.
    pub server_name: Option<String>,
}

/// The answer to [`AskSelectAlpn`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectAlpnAnswer {
    /// The default: the first of the server's protocols that the client offers.
    ByPreference,
    /// This one, which must be among those offered.
    Protocol(Vec<u8>),
    /// None: the client gets the alert `no_application_protocol`.
    Refuse,
}

/// A client asks for a session by its id. The answer is the session, or `None` for a full handshake.
#[derive(Debug)]
#[non_exhaustive]
pub struct AskResumeSession {
    /// The id that [`AskNewSession`] stated.
    pub session_id: Vec<u8>,
}

/// The peer's certificate has been judged.
#[derive(Debug)]
#[non_exhaustive]
pub struct AskVerifyPeer {
    /// The peer's certificates, its own first; empty when it has none, which is no objection after a pre-shared key.
    pub certificates: Vec<Certificate>,
    /// What the default would object: to the chain, or, if that is trusted, to the name. `None`: nothing.
    pub objection: Option<Error>,
    /// The name that a client expects.
    pub server_name: Option<ServerName>,
}

/// The answer to [`AskVerifyPeer`].
#[derive(Debug)]
pub enum VerifyPeerAnswer {
    /// The default: the objection, if any, counts.
    Agree,
    /// The peer is refused, whatever the objection.
    Reject(BoxError),
    /// The peer counts as authorized, whatever the objection.
    DangerousAccept,
}

/// A server has made a session. The answer says that it was stored.
#[derive(Debug)]
#[non_exhaustive]
pub struct AskNewSession {
    /// The session's id; empty for a TLS 1.2 session that lives in a ticket.
    pub session_id: Vec<u8>,
    /// The session.
    pub session: Session,
}

/// A client asks for the status of the server's certificate (RFC 6066 §8). The answer is an OCSP response in DER, or
/// `None` for none; bytes that are no OCSP response fail the connection. Also asked when the handshake then resumes a session and the answer is not used.
#[derive(Debug)]
#[non_exhaustive]
pub struct AskOcspRequest {
    /// The server's certificate. Of several in one context, the one that this client will most likely get; for
    /// another one the answer is not sent.
    pub certificate: Certificate,
    /// Its issuer, from the chain that is sent or the context's authorities; `None` where it is in neither.
    pub issuer: Option<Certificate>,
}

/// This side's certificate has its private key elsewhere
/// ([`external_key`](crate::SecureContextOptions::external_key)), and the handshake needs its signature (RFC 8446 §4.4.3,
/// RFC 5246 §7.4.3 and §7.4.8). The answer is the signature as TLS carries it: for ECDSA in DER. `None`, or what is no
/// signature of this message by this key, fails the connection.
#[derive(Debug)]
#[non_exhaustive]
pub struct AskSign {
    /// The certificate whose key has to sign.
    pub certificate: Certificate,
    /// How.
    pub scheme: SignatureScheme,
    /// What, before any hashing; [`AskSign::digest`] gives its hash.
    pub message: Vec<u8>,
}

/// A pre-shared key is needed (RFC 4279, RFC 8446 §4.2.11). The answer is the key, or `None` for none.
///
/// *Servers* are asked with the client's identity: in TLS 1.3 for up to eight identities, each of at most 256 bytes and
/// not one of the server's own tickets, until one has a key; if none has, the handshake goes on with certificates. Up
/// to TLS 1.2 once, and a client whose identity has no key gets the alert `unknown_psk_identity`.
///
/// *Clients* are asked before their hello, if they may speak TLS 1.3, for a key to offer besides certificates; and up
/// to TLS 1.2 again when the server has selected a suite with a pre-shared key, with its hint, if it sent one. There
/// the handshake cannot go on without a key and fails with `ERR_SSL_PSK_IDENTITY_NOT_FOUND`.
///
/// The suites up to TLS 1.2 have to be named in `ciphers`, because the default leaves them out. In TLS 1.3 the key is
/// for the suites with SHA-256. Whoever has the key is authorized; certificates are judged as always where there are
/// any. [`Connection::psk_identity`] says whether a key was used, and whose.
///
/// A session that a key has opened is resumed without asking for the key again, as long as it lasts, where both sides
/// still ask this question.
#[derive(Clone)]
#[non_exhaustive]
pub struct AskPsk {
    /// The identity that the client names, on servers; up to TLS 1.2 possibly empty.
    pub identity: Option<Vec<u8>>,
    /// The server's hint, on clients: which identity would be right. Never in TLS 1.3.
    pub hint: Option<Vec<u8>>,
    /// The version that the key is for.
    pub protocol_version: ProtocolVersion,
}

/// Leaves out the identity, which tells who the client is.
impl fmt::Debug for AskPsk {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("AskPsk").field("protocol_version", &self.protocol_version).finish_non_exhaustive()
    }
}

/// An answer to [`AskPsk`]. Node: what `pskCallback` returns.
#[derive(Clone)]
pub struct PskAnswer {
    pub(super) key: SecretBytes,
    pub(super) identity: Vec<u8>,
}

impl PskAnswer {
    /// A server's answer: the key of the client's identity, 1 to 512 bytes. Other lengths fail the connection.
    pub fn new(key: impl Into<SecretBytes>) -> Self {
        Self { key: key.into(), identity: Vec::new() }
    }

    /// A client's answer: the key and the identity that the server knows it by, 1 to 256 bytes without NUL, as a rule
    /// UTF-8. Other lengths fail the connection. Servers ignore the identity.
    pub fn with_identity(identity: impl Into<Vec<u8>>, key: impl Into<SecretBytes>) -> Self {
        Self { key: key.into(), identity: identity.into() }
    }
}

impl fmt::Debug for PskAnswer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PskAnswer(..)")
    }
}

macro_rules! facts {
    ($($facts:ident: $answer:ty, $kind:ident, $declined:expr, $code:literal, $apply:path;)*) => {$(
        impl Facts for $facts {
            type Answer = $answer;
            const KIND: QuestionKind = QuestionKind::$kind;

            fn declined() -> $answer {
                $declined
            }
        }

        impl sealed::Apply for $facts {
            const FAILURE: &'static str = $code;

            fn apply(connection: &mut Connection, answer: $answer) -> Result<(), Error> {
                $apply(connection, answer)
            }
        }
    )*};
}

facts! {
    AskClientHello: ClientHelloAnswer, ClientHello, ClientHelloAnswer::Continue,
        "ERR_TLS_CLIENT_HELLO_REFUSED", Connection::client_hello_answered;
    AskSelectContext: Option<SecureContext>, SelectContext, None,
        "ERR_TLS_SNI_CALLBACK_FAILED", Connection::context_answered;
    AskSelectAlpn: SelectAlpnAnswer, SelectAlpn, SelectAlpnAnswer::ByPreference,
        "ERR_TLS_ALPN_CALLBACK_FAILED", Connection::alpn_answered;
    AskResumeSession: Option<Session>, ResumeSession, None,
        "ERR_TLS_RESUME_SESSION_FAILED", Connection::resume_session_answered;
    AskVerifyPeer: VerifyPeerAnswer, VerifyPeer, VerifyPeerAnswer::Agree,
        "ERR_TLS_VERIFY_PEER_FAILED", Connection::verify_peer_answered;
    AskOcspRequest: Option<Vec<u8>>, OcspRequest, None,
        "ERR_TLS_OCSP_REQUEST_FAILED", Connection::ocsp_answered;
    AskSign: Option<Vec<u8>>, Sign, None,
        "ERR_TLS_SIGN_FAILED", Connection::sign_answered;
    AskPsk: Option<PskAnswer>, Psk, None,
        "ERR_TLS_PSK_CALLBACK_FAILED", Connection::psk_answered;
    AskNewSession: (), NewSession, (),
        "ERR_TLS_NEW_SESSION_FAILED", Connection::new_session_answered;
}
