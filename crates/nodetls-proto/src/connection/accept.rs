//! A server before its handshake: the client's first message is read, and what depends on it is decided.
//!
//! The order of the questions stands in [`Decision`]. OpenSSL comes in when all are answered, and gets the very bytes
//! that were received. Bytes that are no ClientHello go to OpenSSL at once, which knows the fitting alert.

mod psk;

use nodetls_openssl::{Ciphertext, Psk, Ssl, is_ocsp_response};

use self::psk::PskIdentities;
use super::psk::PskWatch;
use super::question::{
    AskClientHello, AskOcspRequest, AskResumeSession, AskSelectAlpn, AskSelectContext, ClientHelloAnswer,
    QuestionKind, SelectAlpnAnswer,
};
use super::{Connection, Facts, Phase, Question, Role};
use crate::certificate::Certificate;
use crate::client_hello::{ClientHello, HelloDeframer, Inspection};
use crate::context::{OwnCertificate, SecureContext};
use crate::error::{AlertDescription, Error};
use crate::event::Event;
use crate::options::{ServerOptions, Side};
use crate::session::Session;
use crate::ticket::TicketKeys;
use crate::version::ProtocolVersion;

/// TLS 1.3's number on the wire.
const TLS1_3: u16 = 0x0304;

/// The length of a session id (RFC 5246 §7.4.1.2), and of the ids that OpenSSL makes.
const MAX_SESSION_ID: usize = 32;

/// What is decided before OpenSSL's handshake, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Decision {
    #[default]
    Receive,
    ClientHello,
    Context,
    Alpn,
    Session,
    Psk,
    Ocsp,
    Start,
}

/// The state of these decisions.
#[derive(Debug, Default)]
pub(super) struct Accepting {
    received: Ciphertext,
    deframer: HelloDeframer,
    next: Decision,
    hello: Option<ClientHello>,
    alpn: Option<Vec<u8>>,
    session: Option<Session>,
    /// The identities for which no key has been asked yet, the last one first.
    psk_identities: PskIdentities,
    psk: Option<Psk>,
    /// The certificate that an OCSP response is about.
    certificate: Option<nodetls_openssl::Certificate>,
    ocsp_response: Option<Vec<u8>>,
}

impl Accepting {
    pub(super) fn received(&self) -> &Ciphertext {
        &self.received
    }

    pub(super) fn received_mut(&mut self) -> &mut Ciphertext {
        &mut self.received
    }

    /// The id of a session that the client hopes to find in the server's store.
    ///
    /// TLS 1.2: the session id, unless the client brings a ticket that the server would read (RFC 5077 §3.4). TLS 1.3:
    /// only where the server uses no tickets; there, OpenSSL's "ticket" is the id of a stored session, 32 bytes long,
    /// and the session id itself just looks like one (RFC 8446 §4.1.2).
    fn wanted_session(&self, context: &SecureContext) -> Option<Vec<u8>> {
        let hello = self.hello.as_ref()?;
        let stored = context.has_tickets_disabled();
        if hello.supports_version(TLS1_3) && context.max_version() == ProtocolVersion::Tls1_3 {
            let identities = hello.psk_identities();
            return identities
                .into_iter()
                .find(|id| stored && id.len() == MAX_SESSION_ID)
                .map(<[u8]>::to_vec);
        }
        let has_ticket = !stored && hello.session_ticket().is_some_and(|ticket| !ticket.is_empty());
        let id = hello.session_id();
        (!id.is_empty() && !has_ticket).then(|| id.to_vec())
    }
}

impl Connection {
    /// Serves the connection with another context, such as one with the certificate for a protocol that was just chosen.
    /// Node: `tlsSocket.setKeyCert(context)`.
    ///
    /// # Errors
    ///
    /// [`Error::ApiMisuse`] on clients, and from the moment when the server has decided all that concerns the ClientHello.
    pub fn set_context(&mut self, context: &SecureContext) -> Result<(), Error> {
        if !matches!(self.phase, Phase::Accepting(_)) {
            return Err(Error::ApiMisuse("only a server before its handshake can be given another context"));
        }
        self.context = context.clone();
        Ok(())
    }

    fn accepting(&mut self) -> Option<(&mut Accepting, &ServerOptions)> {
        match (&mut self.phase, &self.role) {
            (Phase::Accepting(accepting), Role::Server(options)) => Some((accepting, options)),
            _ => None,
        }
    }

    pub(super) fn advance_accepting(&mut self) {
        let Some((accepting, _)) = self.accepting() else { return };
        match accepting.next {
            Decision::Receive => self.receive_hello(),
            Decision::ClientHello => self.ask_client_hello(),
            Decision::Context => self.ask_context(),
            Decision::Alpn => self.ask_alpn(),
            Decision::Session => self.ask_session(),
            Decision::Psk => self.ask_psk_of_hello(),
            Decision::Ocsp => self.ask_ocsp(),
            Decision::Start => self.start_server_handshake(),
        }
    }

    fn receive_hello(&mut self) {
        let eof = self.eof;
        let Some((accepting, _)) = self.accepting() else { return };
        let inspection = accepting.deframer.inspect(accepting.received.as_slice());
        match inspection {
            Inspection::Incomplete if eof => self.fail(Error::Truncated { during_handshake: true }),
            Inspection::Incomplete if accepting.received.room() > 0 => {}
            Inspection::OversizedRecord => {
                // RFC 8446 §5.1: an endpoint that receives such a record "MUST terminate the connection with a
                // "record_overflow" alert".
                let (code, alert) = ("ERR_SSL_PACKET_LENGTH_TOO_LONG", AlertDescription::RECORD_OVERFLOW);
                self.refuse(code, "packet length too long", alert);
            }
            Inspection::Incomplete | Inspection::OversizedMessage => {
                let (code, alert) = ("ERR_SSL_EXCESSIVE_MESSAGE_SIZE", AlertDescription::ILLEGAL_PARAMETER);
                self.refuse(code, "excessive message size", alert);
            }
            Inspection::Sslv2 => {
                self.refuse("ERR_SSL_UNSUPPORTED_PROTOCOL", "SSL 2.0", AlertDescription::PROTOCOL_VERSION);
            }
            Inspection::Malformed(error) => {
                self.refuse("ERR_SSL_BAD_EXTENSION", &error.to_string(), error.alert());
            }
            // Too little to judge goes to OpenSSL too: it answers nothing before it has seen enough.
            Inspection::NotTls => self.decided(Decision::Start),
            Inspection::Hello(hello) => {
                let name = hello.server_name().map(str::to_owned);
                accepting.hello = Some(hello);
                self.server_name = name;
                self.decided(Decision::ClientHello);
            }
        }
    }

    fn decided(&mut self, next: Decision) {
        if let Some((accepting, _)) = self.accepting() {
            accepting.next = next;
            self.has_input = true;
        }
    }

    /// Ends the connection with an alert before keys exist, so that the alert is made here.
    fn refuse(&mut self, code: &str, reason: &str, alert: AlertDescription) {
        self.early_alert = alert.to_plaintext_record().to_vec();
        self.fail(Error::protocol(code, reason, Some(alert), Side::Server));
    }

    fn hello(&self) -> Option<&ClientHello> {
        match &self.phase {
            Phase::Accepting(accepting) => accepting.hello.as_ref(),
            _ => None,
        }
    }

    // ---- the questions, in order ----

    fn ask_client_hello(&mut self) {
        self.ask_about_hello(|_, hello| AskClientHello { hello: hello.clone() }, Event::ClientHello);
    }

    /// Opens a question whose facts are made of the hello; only where it is asked, as that takes copies.
    fn ask_about_hello<F: Facts>(
        &mut self,
        facts: impl FnOnce(&Self, &ClientHello) -> F,
        event: fn(Question<F>) -> Event,
    ) {
        self.ask(|this| this.hello().map(|hello| facts(this, hello)), event);
    }

    pub(super) fn client_hello_answered(&mut self, answer: ClientHelloAnswer) -> Result<(), Error> {
        match answer {
            ClientHelloAnswer::Continue => self.decided(Decision::Context),
            ClientHelloAnswer::Refuse(alert) => {
                self.refuse("ERR_TLS_CLIENT_HELLO_REFUSED", "the client's hello was refused", alert);
            }
        }
        Ok(())
    }

    fn ask_context(&mut self) {
        if self.server_name.is_none() {
            return self.decided(Decision::Alpn);
        }
        let facts = |this: &Self, hello: &ClientHello| AskSelectContext {
            server_name: this.server_name.clone().unwrap_or_default(),
            hello: hello.clone(),
        };
        self.ask_about_hello(facts, Event::SelectContext);
    }

    pub(super) fn context_answered(&mut self, answer: Option<SecureContext>) -> Result<(), Error> {
        if let Some(context) = answer.or_else(|| self.context_by_name()) {
            self.context = context;
        }
        self.decided(Decision::Alpn);
        Ok(())
    }

    fn context_by_name(&self) -> Option<SecureContext> {
        match &self.role {
            Role::Server(options) => options.contexts.find(self.server_name.as_deref()?).cloned(),
            Role::Client(_) => None,
        }
    }

    fn ask_alpn(&mut self) {
        if self.hello().is_none_or(|hello| hello.alpn_protocols().is_empty()) {
            return self.decided(Decision::Session);
        }
        let facts = |this: &Self, hello: &ClientHello| AskSelectAlpn {
            protocols: hello.alpn_protocols().to_vec(),
            server_name: this.server_name.clone(),
        };
        self.ask_about_hello(facts, Event::SelectAlpn);
    }

    pub(super) fn alpn_answered(&mut self, answer: SelectAlpnAnswer) -> Result<(), Error> {
        let Some((accepting, options)) = self.accepting() else { return Ok(()) };
        let offered = accepting.hello.as_ref().map(ClientHello::alpn_protocols).unwrap_or_default();
        let selected = match answer {
            // RFC 7301 §3.2: "In the event that the server supports no protocols that the client advertises, then the
            // server SHALL respond with a fatal "no_application_protocol" alert." A server without ALPN stays silent.
            SelectAlpnAnswer::ByPreference if options.alpn_protocols.is_empty() => Ok(None),
            SelectAlpnAnswer::ByPreference => {
                let first = options.alpn_protocols.iter().find(|protocol| offered.contains(protocol));
                first.cloned().map(Some).ok_or("ERR_SSL_NO_APPLICATION_PROTOCOL")
            }
            SelectAlpnAnswer::Protocol(protocol) if offered.contains(&protocol) => Ok(Some(protocol)),
            SelectAlpnAnswer::Protocol(_) => Err("ERR_TLS_ALPN_CALLBACK_INVALID_RESULT"),
            SelectAlpnAnswer::Refuse => Err("ERR_SSL_NO_APPLICATION_PROTOCOL"),
        };
        match selected {
            Ok(protocol) => {
                accepting.alpn = protocol;
                self.decided(Decision::Session);
            }
            Err(code) => {
                let reason = "the client offers no application protocol that is acceptable";
                self.refuse(code, reason, AlertDescription::NO_APPLICATION_PROTOCOL);
            }
        }
        Ok(())
    }

    fn wanted_session(&self) -> Option<Vec<u8>> {
        match &self.phase {
            Phase::Accepting(accepting) => accepting.wanted_session(&self.context),
            _ => None,
        }
    }

    fn ask_session(&mut self) {
        let wanted = self.wanted_session();
        match wanted {
            Some(session_id) => self.ask(|_| Some(AskResumeSession { session_id }), Event::ResumeSession),
            None => {
                self.find_psk_identities();
                self.decided(Decision::Psk);
            }
        }
    }

    pub(super) fn resume_session_answered(&mut self, answer: Option<Session>) -> Result<(), Error> {
        if let Some((accepting, _)) = self.accepting() {
            accepting.session = answer;
        }
        self.find_psk_identities();
        self.decided(Decision::Psk);
        Ok(())
    }

    fn ask_ocsp(&mut self) {
        let hello = self.hello().filter(|hello| hello.requests_ocsp());
        let Some(own) = hello.and_then(|hello| self.context.likely_certificate(hello)) else {
            return self.decided(Decision::Start);
        };
        if let Some((accepting, _)) = self.accepting() {
            accepting.certificate = Some(own.certificate.clone());
        }
        let OwnCertificate { certificate, issuer } = own;
        let facts = AskOcspRequest { certificate: Certificate(certificate), issuer: issuer.map(Certificate) };
        self.ask(|_| Some(facts), Event::OcspRequest);
    }

    pub(super) fn ocsp_answered(&mut self, answer: Option<Vec<u8>>) -> Result<(), Error> {
        if answer.as_deref().is_some_and(|response| !is_ocsp_response(response)) {
            return Err(Error::callback(
                "ERR_TLS_OCSP_REQUEST_FAILED",
                "the answer is not an OCSP response".into(),
            ));
        }
        if let Some((accepting, _)) = self.accepting() {
            accepting.ocsp_response = answer;
        }
        self.decided(Decision::Start);
        Ok(())
    }

    fn start_server_handshake(&mut self) {
        let psk_suites = self.psk_suites();
        let watches = self.questions().contains(QuestionKind::Psk) && !self.may_speak_tls1_3();
        let Some((accepting, _)) = self.accepting() else { return };
        let Accepting { mut received, alpn, session, psk, certificate, ocsp_response, .. } =
            std::mem::take(accepting);
        let watch = watches.then(|| Box::new(PskWatch::of_server(std::mem::take(&mut received))));
        match self.server_ssl(received, watch.is_some() || psk.is_some()) {
            Ok(mut ssl) => {
                ssl.select_alpn_protocol(alpn);
                ssl.provide_session(session.map(|session| session.0));
                ssl.provide_psk(psk);
                // Names that the context has taken before; without them, the key would not be used.
                let _ = psk_suites.map(|suites| ssl.set_cipher_suites(&suites));
                if let (Some(certificate), Some(response)) = (certificate, ocsp_response) {
                    ssl.staple_ocsp(certificate, response);
                }
                if self.is_traced {
                    ssl.enable_trace();
                }
                self.phase = Phase::Handshaking(ssl);
                self.limit_renegotiation();
                self.psk_watch = watch;
                self.has_input = true;
            }
            Err(error) => self.fail(error),
        }
    }

    fn own_ticket_keys(&self) -> &TicketKeys {
        let own_keys = match &self.role {
            Role::Server(options) => options.ticket_keys.as_ref(),
            Role::Client(_) => None,
        };
        own_keys.unwrap_or_else(|| self.context.ticket_keys())
    }

    fn server_ssl(&mut self, received: Ciphertext, uses_psk: bool) -> Result<Ssl, Error> {
        let keys = self.own_ticket_keys().0.clone();
        let mut ssl = Ssl::server(self.context.context(), received, keys).map_err(Error::bug)?;
        ssl.set_options(self.context.server_options());
        if uses_psk {
            ssl.enable_psk();
            if let Some(hint) = self.psk_identity_hint() {
                ssl.set_psk_identity_hint(hint).map_err(Error::bug)?;
            }
        }
        self.authenticate_client(&mut ssl)?;
        Ok(ssl)
    }
}
