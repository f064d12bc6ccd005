//! What a connection tells its driver.

use crate::client_hello::ClientHello;
use crate::connection::Question;
use crate::connection::question::{
    AskClientHello, AskNewSession, AskOcspRequest, AskPsk, AskResumeSession, AskSelectAlpn, AskSelectContext,
    AskSign, AskVerifyPeer,
};
use crate::error::{AlertDescription, Error};
use crate::secret::SecretBytes;
use crate::session::Session;

/// What happened, or what has to be decided. Events come in the order of their causes.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A client has said hello. See [`ClientHello`].
    ClientHello(Question<AskClientHello>),
    /// A client asks for a server name. Node: `SNICallback`.
    SelectContext(Question<AskSelectContext>),
    /// A client offers application protocols. Node: `ALPNCallback`.
    SelectAlpn(Question<AskSelectAlpn>),
    /// A client asks for a session by its id. Node: event `resumeSession`.
    ResumeSession(Question<AskResumeSession>),
    /// The peer's certificate has been judged by OpenSSL. Node: `checkServerIdentity` and `authorized`.
    VerifyPeer(Question<AskVerifyPeer>),
    /// A server has made a session; nothing is sent before the answer. Node: event `newSession`.
    NewSession(Question<AskNewSession>),
    /// A client asks for the status of the server's certificate. Node: event `OCSPRequest`.
    OcspRequest(Question<AskOcspRequest>),
    /// A private key that is elsewhere has to sign.
    Sign(Question<AskSign>),
    /// A pre-shared key is needed. Node: `pskCallback`.
    Psk(Question<AskPsk>),
    /// A server has told the status of its certificate, in DER; not judged unless the options say so. Comes before
    /// [`Event::Secure`]. Node: event `OCSPResponse`.
    OcspResponse(Vec<u8>),
    /// A client has received a session that a later connection can resume: several in TLS 1.3, at any time; up to TLS 1.2
    /// one, before [`Event::Secure`], and in a resumption only where the server has renewed its ticket.
    /// Node: event `session`.
    Session(Session),
    /// A line of key material in the format of NSS, without line end. Node: event `keylog`.
    KeyLog(SecretBytes),
    /// What [`Connection::enable_trace`](crate::Connection::enable_trace) shows since the last such event: whole lines.
    /// Node: what `enableTrace` writes to the standard error output.
    Trace(String),
    /// The handshake is done and the peer accepted. Node: events `secureConnect`, `secureConnection`.
    Secure,
    /// A renegotiation is done, whoever began it, and the peer accepted again. Node: event `secure`.
    Renegotiated,
    /// A client has answered a server's request for its certificate after the handshake (TLS 1.3), and was accepted.
    ClientAuthenticated,
    /// An alert was received.
    AlertReceived(AlertDescription),
    /// The connection has failed. What [`poll_transmit`](crate::Connection::poll_transmit) still gives, an alert
    /// usually, should be sent before the transport is closed. Nothing follows.
    Failed(Error),
}

impl Event {
    /// The client's first message, for events that hold it.
    pub fn client_hello(&self) -> Option<&ClientHello> {
        match self {
            Self::ClientHello(question) => Some(&question.facts().hello),
            _ => None,
        }
    }
}
