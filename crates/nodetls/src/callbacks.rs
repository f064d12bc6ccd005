//! The decisions that a program takes itself.
//!
//! Each is an `async fn` with a default. The connection stands still while it runs, however long that takes (but not
//! longer than the handshake's time limit). An error or a panic ends that connection alone.

use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt;
use nodetls_proto::{
    AskClientHello, AskNewSession, AskOcspRequest, AskPsk, AskResumeSession, AskSelectAlpn, AskSelectContext,
    AskSign, AskVerifyPeer, BoxError, ClientHelloAnswer, Connection, Error, Event, Facts, PskAnswer,
    Question, Questions, SecretBytes, SecureContext, SelectAlpnAnswer, Session, VerifyPeerAnswer,
};

use crate::error::HandshakeError;

/// The decisions of a server, and what it is told. `()` takes none.
///
/// # Example
/// ```
/// use nodetls::{AskSelectContext, BoxError, SecureContext, ServerCallbacks};
///
/// struct ByName;
///
/// impl ServerCallbacks for ByName {
///     async fn select_context(&self, ask: &AskSelectContext) -> Result<Option<SecureContext>, BoxError> {
///         println!("a client wants {}", ask.server_name); // and a database could be asked here
///         Ok(None)
///     }
/// }
/// ```
pub trait ServerCallbacks: Send + Sync + 'static {
    /// The decisions that are asked for; all others take their default without a detour. Default: all.
    fn questions(&self) -> Questions {
        Questions::ALL
    }

    /// A client has said hello. Default: go on.
    fn client_hello(
        &self,
        ask: &AskClientHello,
    ) -> impl Future<Output = Result<ClientHelloAnswer, BoxError>> + Send {
        let _ = ask;
        async { Ok(ClientHelloAnswer::Continue) }
    }

    /// Which context serves this server name? Default: the one added for the name, or the server's own.
    /// Node: `SNICallback`.
    fn select_context(
        &self,
        ask: &AskSelectContext,
    ) -> impl Future<Output = Result<Option<SecureContext>, BoxError>> + Send {
        let _ = ask;
        async { Ok(None) }
    }

    /// Which application protocol? Default: by the server's preference. Node: `ALPNCallback`.
    fn select_alpn(
        &self,
        ask: &AskSelectAlpn,
    ) -> impl Future<Output = Result<SelectAlpnAnswer, BoxError>> + Send {
        let _ = ask;
        async { Ok(SelectAlpnAnswer::ByPreference) }
    }

    /// Which session has this id? Default: none, so that a full handshake follows. Node: event `resumeSession`.
    fn resume_session(
        &self,
        ask: &AskResumeSession,
    ) -> impl Future<Output = Result<Option<Session>, BoxError>> + Send {
        let _ = ask;
        async { Ok(None) }
    }

    /// Is this client acceptable? Asked where a certificate was. Default: as the options say.
    fn verify_peer(
        &self,
        ask: &AskVerifyPeer,
    ) -> impl Future<Output = Result<VerifyPeerAnswer, BoxError>> + Send {
        let _ = ask;
        async { Ok(VerifyPeerAnswer::Agree) }
    }

    /// What is the status of this server's certificate? Default: nothing is said. Node: event `OCSPRequest`.
    fn ocsp_request(
        &self,
        ask: &AskOcspRequest,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, BoxError>> + Send {
        let _ = ask;
        async { Ok(None) }
    }

    /// Which key belongs to the identity that this client names? Asked for each connection with such an identity; see
    /// [`AskPsk`]. Default: none. Node: `pskCallback`, which cannot wait.
    fn psk(&self, ask: &AskPsk) -> impl Future<Output = Result<Option<PskAnswer>, BoxError>> + Send {
        let _ = ask;
        async { Ok(None) }
    }

    /// A session was made; nothing is sent to the client before this is done. Node: event `newSession`.
    fn new_session(&self, ask: &AskNewSession) -> impl Future<Output = Result<(), BoxError>> + Send {
        let _ = ask;
        async { Ok(()) }
    }

    /// A private key that is elsewhere has to sign, for contexts with `external_key`. The answer is the signature as TLS
    /// carries it (ECDSA in DER). Default: nobody signs, and the handshake fails.
    fn sign(&self, ask: &AskSign) -> impl Future<Output = Result<Option<Vec<u8>>, BoxError>> + Send {
        let _ = ask;
        async { Ok(None) }
    }

    /// A line of key material, for contexts with `dangerous_key_log`. Node: event `keylog`.
    fn key_log(&self, line: &SecretBytes) {
        let _ = line;
    }

    /// Whole lines of a trace, where it is enabled; what is sent is told with what is received next. Default: an event
    /// of the crate `tracing` under the target `nodetls::trace`, at the level `TRACE`.
    /// Node: `enableTrace`, which writes to the standard error output.
    fn trace(&self, text: &str) {
        tracing::trace!(target: "nodetls::trace", "{text}");
    }

    /// A handshake has failed. Node: event `tlsClientError`.
    fn client_error(&self, error: &HandshakeError, peer: Option<SocketAddr>) {
        tracing::debug!(%error, ?peer, "a TLS handshake has failed");
    }
}

impl ServerCallbacks for () {
    fn questions(&self) -> Questions {
        Questions::NONE
    }
}

/// The decisions of a client, and what it is told. `()` takes none.
pub trait ClientCallbacks: Send + Sync + 'static {
    /// The decisions that are asked for; all others take their default without a detour. Default: all.
    fn questions(&self) -> Questions {
        Questions::ALL
    }

    /// Is this server acceptable? Default: as its certificate says. Node: `checkServerIdentity`.
    fn verify_peer(
        &self,
        ask: &AskVerifyPeer,
    ) -> impl Future<Output = Result<VerifyPeerAnswer, BoxError>> + Send {
        let _ = ask;
        async { Ok(VerifyPeerAnswer::Agree) }
    }

    /// A private key that is elsewhere has to sign, for contexts with `external_key`. The answer is the signature as TLS
    /// carries it (ECDSA in DER). Default: nobody signs, and the handshake fails.
    fn sign(&self, ask: &AskSign) -> impl Future<Output = Result<Option<Vec<u8>>, BoxError>> + Send {
        let _ = ask;
        async { Ok(None) }
    }

    /// Which key, and by which identity? Asked before the hello for TLS 1.3, and again when a server has selected an
    /// older version and a suite with a pre-shared key; see [`AskPsk`]. Default: none. Node: `pskCallback`, which
    /// cannot wait.
    fn psk(&self, ask: &AskPsk) -> impl Future<Output = Result<Option<PskAnswer>, BoxError>> + Send {
        let _ = ask;
        async { Ok(None) }
    }

    /// The server has told the status of its certificate, an OCSP response in DER. Node: event `OCSPResponse`.
    fn ocsp_response(&self, response: &[u8]) {
        let _ = response;
    }

    /// A session that a later connection to the same server can resume. Node: event `session`.
    fn session(&self, session: &Session) {
        let _ = session;
    }

    /// A line of key material, for contexts with `dangerous_key_log`. Node: event `keylog`.
    fn key_log(&self, line: &SecretBytes) {
        let _ = line;
    }

    /// Whole lines of a trace, where it is enabled; what is sent is told with what is received next. Default: an event
    /// of the crate `tracing` under the target `nodetls::trace`, at the level `TRACE`.
    /// Node: `enableTrace`, which writes to the standard error output.
    fn trace(&self, text: &str) {
        tracing::trace!(target: "nodetls::trace", "{text}");
    }
}

impl ClientCallbacks for () {
    fn questions(&self) -> Questions {
        Questions::NONE
    }
}

/// A decision on its way: the future ends with what has to be done to the connection.
pub(crate) type PendingAnswer = Pin<Box<dyn Future<Output = Settle> + Send>>;
pub(crate) type Settle = Box<dyn FnOnce(&mut Connection) -> Result<(), Error> + Send>;

/// What becomes of an event.
pub(crate) enum Dispatch {
    /// It asks for a decision, which has begun.
    Decide(PendingAnswer),
    /// It only tells something.
    Tell(Event),
}

/// What a driver needs of either trait, without its type.
pub(crate) trait Callbacks: Send + Sync {
    /// Begins the decision that the event asks for, if it asks for one.
    fn decide(self: Arc<Self>, event: Event) -> Dispatch;

    /// Tells of an event without a decision.
    fn tell(&self, event: &Event);

    /// Tells that a handshake has failed.
    fn failed(&self, error: &HandshakeError, peer: Option<SocketAddr>);
}

/// The implementations of one trait.
pub(crate) struct Serving<C>(pub(crate) C);
/// The implementations of the other.
pub(crate) struct Connecting<C>(pub(crate) C);

/// Runs one callback on its question. The question moves into the future, which therefore borrows from nobody.
macro_rules! decision {
    ($this:ident, $question:ident, $callback:ident) => {
        Box::pin(async move {
            let decide = async { $this.0.$callback($question.facts()).await };
            let decided = AssertUnwindSafe(decide).catch_unwind().await;
            let settle: Settle = Box::new(move |connection| settle($question, decided, connection));
            settle
        })
    };
}

/// Hands a callback's result to the connection.
fn settle<F: Facts>(
    question: Question<F>,
    decided: Result<Result<F::Answer, BoxError>, Box<dyn std::any::Any + Send>>,
    connection: &mut Connection,
) -> Result<(), Error> {
    match decided {
        Ok(Ok(answer)) => question.answer(connection, answer),
        Ok(Err(error)) => question.fail(connection, error),
        Err(_) => question.fail(connection, "a callback panicked"),
    }
}

impl<C: ServerCallbacks> Callbacks for Serving<C> {
    fn decide(self: Arc<Self>, event: Event) -> Dispatch {
        Dispatch::Decide(match event {
            Event::ClientHello(question) => decision!(self, question, client_hello),
            Event::SelectContext(question) => decision!(self, question, select_context),
            Event::SelectAlpn(question) => decision!(self, question, select_alpn),
            Event::ResumeSession(question) => decision!(self, question, resume_session),
            Event::VerifyPeer(question) => decision!(self, question, verify_peer),
            Event::OcspRequest(question) => decision!(self, question, ocsp_request),
            Event::Psk(question) => decision!(self, question, psk),
            Event::NewSession(question) => decision!(self, question, new_session),
            Event::Sign(question) => decision!(self, question, sign),
            other => return Dispatch::Tell(other),
        })
    }

    fn tell(&self, event: &Event) {
        match event {
            Event::KeyLog(line) => self.0.key_log(line),
            Event::Trace(text) => self.0.trace(text),
            _ => {}
        }
    }

    fn failed(&self, error: &HandshakeError, peer: Option<SocketAddr>) {
        self.0.client_error(error, peer);
    }
}

impl<C: ClientCallbacks> Callbacks for Connecting<C> {
    fn decide(self: Arc<Self>, event: Event) -> Dispatch {
        Dispatch::Decide(match event {
            Event::VerifyPeer(question) => decision!(self, question, verify_peer),
            Event::Sign(question) => decision!(self, question, sign),
            Event::Psk(question) => decision!(self, question, psk),
            other => return Dispatch::Tell(other),
        })
    }

    fn tell(&self, event: &Event) {
        match event {
            Event::KeyLog(line) => self.0.key_log(line),
            Event::Session(session) => self.0.session(session),
            Event::OcspResponse(response) => self.0.ocsp_response(response),
            Event::Trace(text) => self.0.trace(text),
            _ => {}
        }
    }

    fn failed(&self, _error: &HandshakeError, _peer: Option<SocketAddr>) {}
}
