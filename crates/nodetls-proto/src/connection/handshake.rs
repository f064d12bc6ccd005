//! OpenSSL's handshake and the decisions that come with the peer's certificate and after the last message.
//!
//! A client stops at the server's certificate, before it has proved anything about itself: a server that is refused
//! gets the fitting alert and never sees the client's certificate. Where OpenSSL cannot stop (a server at the
//! client's certificate, and either side when a session is resumed), everything is withheld from the peer until the
//! decision is there.

use std::sync::Arc;

use nodetls_openssl::{AlertRecord, OcspVerdict, OnVerify, Progress, Ssl, VerifyFinding, VerifyReport};

use super::question::{AskNewSession, AskSign, AskVerifyPeer, QuestionKind, VerifyPeerAnswer};
use super::renegotiation::{ask_for_certificate, is_refusal};
use super::{Connection, Phase, Role};
use crate::certificate::Certificate;
use crate::context::SecureContext;
use crate::error::{AlertDescription, ConfigError, Error, VerifyError, verify_code};
use crate::event::Event;
use crate::options::{ClientAuthentication, ClientOptions, OcspStapling, Side, alpn_wire_form};
use crate::secret::SecretBytes;
use crate::session::{Session, client_binding, offered_session};
use crate::verification::{self, verify_error};
use crate::version::ProtocolVersion;

/// `SSL_R_CERTIFICATE_VERIFY_FAILED`: OpenSSL's account of a refusal that was decided here.
const CERTIFICATE_VERIFY_FAILED: &str = "ERR_SSL_CERTIFICATE_VERIFY_FAILED";

/// What is left to do after OpenSSL's handshake, in this order.
#[derive(Debug)]
pub(super) enum Step {
    /// Judge a peer whose certificate was not judged during the handshake.
    VerifyPeer,
    /// Have a session stored.
    NewSession(Session),
    /// Tell the driver.
    Secure,
    /// Tell the driver that a renegotiation is done.
    Renegotiated,
    /// Tell the driver that a client was asked for its certificate and judged.
    ClientAuthenticated,
}

pub(super) fn client_ssl(context: &SecureContext, options: &ClientOptions) -> Result<Ssl, Error> {
    let mut ssl = Ssl::client(context.context()).map_err(Error::bug)?;
    ssl.set_trust(&context.trust().store()?).map_err(Error::bug)?;
    ssl.request_certificate(false, OnVerify::Suspend);
    if let Some(name) = options.sent_name() {
        ssl.set_server_name(name).map_err(ConfigError::from_openssl("servername"))?;
    }
    if options.ocsp != OcspStapling::NotRequested {
        ssl.request_ocsp(options.ocsp == OcspStapling::Required).map_err(Error::bug)?;
    }
    if options.post_handshake_auth {
        ssl.offer_post_handshake_authentication();
    }
    let alpn = alpn_wire_form(&options.alpn_protocols)?;
    if !alpn.is_empty() {
        ssl.offer_alpn_protocols(&alpn).map_err(Error::bug)?;
    }
    if options.questions.contains(QuestionKind::Psk) {
        ssl.enable_psk();
    }
    if let Some((session, _)) = offered_session(context, options) {
        // A session that this context cannot use is no error: a full handshake follows.
        let _ = ssl.offer_session(&session.0);
    }
    Ok(ssl)
}

impl Connection {
    /// What a server asks of its client, and what keeps its sessions apart from others.
    pub(super) fn authenticate_client(&mut self, ssl: &mut Ssl) -> Result<(), Error> {
        let Role::Server(options) = &self.role else { return Ok(()) };
        let authentication = self.context.client_authentication().unwrap_or(options.client_authentication);
        let takes_psk = options.questions.contains(QuestionKind::Psk);
        let policy = authentication as u8 | u8::from(takes_psk) << 7;
        let binding = self.context.server_binding(&options.session_id_context, policy);
        ssl.set_session_id_context(&binding).map_err(Error::bug)?;
        ask_for_certificate(ssl, &self.context, options.questions, authentication)?;
        self.client_authentication = authentication;
        Ok(())
    }

    pub(super) fn advance_handshake(&mut self) {
        if self.asks_psk_for_hello() {
            return;
        }
        let Phase::Handshaking(ssl) = &mut self.phase else { return };
        let progress = ssl.handshake();
        let alert = self.harvest();
        match progress {
            Ok(_) if self.has_small_dh_group() => self.refuse_dh_group(),
            Ok(Progress::Done(())) => self.finish_handshake(),
            Ok(Progress::WantRead) if self.feed_from_watch() => {}
            Ok(Progress::WantRead) if self.eof => self.fail(Error::Truncated { during_handshake: true }),
            Ok(Progress::WantRead) => {}
            Ok(Progress::WantVerify) => self.ask_verify_peer(),
            Ok(Progress::WantSignature) => self.ask_sign(),
            Ok(other) => self.fail(Error::bug(format_args!("the handshake wants {other:?}"))),
            Err(stack) => {
                let error = self.classify(&stack, alert);
                self.fail(error);
            }
        }
    }

    fn has_small_dh_group(&self) -> bool {
        let (Role::Client(options), Phase::Handshaking(ssl)) = (&self.role, &self.phase) else {
            return false;
        };
        ssl.peer_dh_bits().is_some_and(|bits| bits < options.min_dh_size)
    }

    /// Node: this code once the connection is secure. Here the client's answer to the server's share, which OpenSSL may
    /// have made in the same step, is withdrawn, and the alert goes out as it would have before the answer.
    fn refuse_dh_group(&mut self) {
        let alert = AlertDescription::INSUFFICIENT_SECURITY;
        self.held = true;
        self.early_alert = alert.to_plaintext_record().to_vec();
        let reason = "the group that the server has chosen for Diffie-Hellman is smaller than minDHSize";
        self.fail(Error::protocol("ERR_TLS_DH_PARAM_SIZE", reason, Some(alert), Side::Client));
    }

    /// Whose fault a failed OpenSSL call was.
    pub(super) fn classify(&mut self, stack: &nodetls_openssl::ErrorStack, alert: Alerts) -> Error {
        let side = self.side();
        if let Some(received) = alert.received {
            return Error::alert_received(stack, received, side);
        }
        if let Some(number) = self.ocsp_objection() {
            let objection = VerifyError::new(number, 0, self.peer_certificate(), side);
            return Error::Verify(Arc::new(objection.with_alert(alert.sent)));
        }
        let error = Error::from_openssl(stack, alert.sent, side);
        if error.code() != CERTIFICATE_VERIFY_FAILED {
            return error;
        }
        if let Some(rejection) = self.rejection.take() {
            return with_alert(rejection, alert.sent);
        }
        let report = self.ssl().and_then(Ssl::verify_report);
        match report.and_then(|report| report.findings.last()) {
            Some(finding) => Error::Verify(Arc::new(verify_error(finding, side).with_alert(alert.sent))),
            None => error,
        }
    }

    /// Why the handshake has failed at the status that the server has stapled, or has not.
    fn ocsp_objection(&self) -> Option<i32> {
        Some(match self.ssl()?.ocsp_objection()? {
            OcspVerdict::Good => return None,
            OcspVerdict::Missing => verify_code::OCSP_VERIFY_NEEDED,
            OcspVerdict::Revoked => verify_code::CERT_REVOKED,
            OcspVerdict::Unknown => verify_code::OCSP_CERT_UNKNOWN,
            OcspVerdict::Invalid => verify_code::OCSP_VERIFY_FAILED,
        })
    }

    /// Turns what the callbacks have recorded into events.
    pub(super) fn harvest(&mut self) -> Alerts {
        let Some(ssl) = self.ssl_mut() else { return Alerts::default() };
        let (lines, sessions, alerts) = (ssl.take_key_log(), ssl.take_new_sessions(), ssl.take_alerts());
        let (trace, status) = (ssl.take_trace(), ssl.take_ocsp_response());
        self.push_trace(trace);
        self.events.extend(status.map(Event::OcspResponse));
        self.events.extend(lines.into_iter().map(|line| Event::KeyLog(SecretBytes::from(line.as_slice()))));
        if !sessions.is_empty() {
            self.harvest_sessions(sessions.into_iter().map(Session));
        }
        self.harvest_alerts(&alerts)
    }

    fn harvest_sessions(&mut self, sessions: impl Iterator<Item = Session>) {
        let Role::Client(options) = &self.role else {
            return self.steps.extend(sessions.map(Step::NewSession));
        };
        let binding = client_binding(&self.context, options, self.is_psk_authenticated());
        for session in sessions.filter(|session| session.0.is_resumable()) {
            match session.bound(&binding) {
                Ok(session) => self.events.push_back(Event::Session(session)),
                Err(error) => self.fail(error),
            }
        }
    }

    fn harvest_alerts(&mut self, records: &[AlertRecord]) -> Alerts {
        let mut alerts = Alerts::default();
        for record in records {
            let description = AlertDescription(record.description);
            match (record.sent, record.fatal) {
                (true, true) => alerts.sent = Some(description),
                (false, true) => alerts.received = Some(description),
                (false, false) => self.events.push_back(Event::AlertReceived(description)),
                (true, false) if is_refusal(description) => self.renegotiation_refused(),
                (true, false) => {}
            }
        }
        alerts
    }

    // ---- the peer's certificate ----

    /// What the default would object to the peer: the chain first, then the name.
    fn objection(&self) -> Option<Error> {
        let finding = self.chain_finding(self.ssl()?);
        let name = match &self.role {
            Role::Client(options) if !options.dangerous_skip_name_check => Some(&options.server_name),
            _ => None,
        };
        let leaf = self.peer_certificates().into_iter().next();
        verification::objection(finding.as_ref(), leaf.as_ref(), name, self.side())
    }

    fn chain_finding(&self, ssl: &Ssl) -> Option<VerifyFinding> {
        if let Some(report) = ssl.verify_report() {
            return report.findings.last().cloned();
        }
        if self.is_authenticated_by_psk_alone() {
            return None;
        }
        let code = match ssl.verify_result() {
            // Node: a peer without a certificate is not authorized, although OpenSSL has nothing against it.
            0 if ssl.peer_certificate().is_none() => verify_code::UNABLE_TO_GET_ISSUER_CERT,
            code => code,
        };
        (code != 0).then_some(VerifyFinding { code, depth: 0, certificate: None })
    }

    /// Whether OpenSSL waits for the verdict.
    fn is_suspended(&self) -> bool {
        matches!(self.phase, Phase::Handshaking(_)) || self.renegotiation.is_suspended()
    }

    pub(super) fn ask_verify_peer(&mut self) {
        self.held = !self.is_suspended();
        let facts = |this: &Self| AskVerifyPeer {
            certificates: this.peer_certificates(),
            objection: this.objection(),
            server_name: match &this.role {
                Role::Client(options) => Some(options.server_name.clone()),
                Role::Server(_) => None,
            },
        };
        self.ask(|this| Some(facts(this)), Event::VerifyPeer);
    }

    pub(super) fn verify_peer_answered(&mut self, answer: VerifyPeerAnswer) -> Result<(), Error> {
        let objection = self.objection();
        let tolerated = match &self.role {
            Role::Client(options) => options.dangerous_accept_unauthorized,
            Role::Server(_) => self.client_authentication == ClientAuthentication::DangerousOptional,
        };
        let refused = match answer {
            VerifyPeerAnswer::DangerousAccept => {
                self.authorization.accept();
                None
            }
            VerifyPeerAnswer::Reject(reason) => Some(Error::callback("ERR_TLS_PEER_REJECTED", reason)),
            VerifyPeerAnswer::Agree => {
                self.authorization.judge(objection.clone());
                objection.filter(|_| !tolerated)
            }
        };
        match refused {
            None => self.peer_accepted(),
            Some(error) => self.peer_refused(error),
        }
        Ok(())
    }

    fn peer_accepted(&mut self) {
        self.release();
        self.has_input = true;
        self.answer_suspended(Ok(()));
    }

    fn peer_refused(&mut self, error: Error) {
        let number = match &error {
            Error::Verify(error) => error.number(),
            Error::Identity(_) => verify_code::HOSTNAME_MISMATCH,
            _ => verify_code::APPLICATION_VERIFICATION,
        };
        if self.answer_suspended(Err(number)) {
            self.rejection = Some(error);
            self.has_input = true;
        } else {
            self.fail(error);
        }
    }

    /// Lets OpenSSL go on with the verdict, if it waits for it.
    fn answer_suspended(&mut self, verdict: Result<(), i32>) -> bool {
        let is_suspended = self.is_suspended();
        self.renegotiation.resume();
        match self.ssl_mut().filter(|_| is_suspended) {
            Some(ssl) => {
                ssl.answer_verification(verdict);
                true
            }
            None => false,
        }
    }

    // ---- a private key that is elsewhere ----

    fn ask_sign(&mut self) {
        let request = self.ssl().and_then(Ssl::sign_request);
        let facts = request.and_then(|request| AskSign::new(request, self.context.own_certificates()));
        match facts {
            Some(facts) => self.ask(|_| Some(facts), Event::Sign),
            None => self.fail(sign_failed("the signature algorithm is not one of TLS 1.2 or 1.3")),
        }
    }

    pub(super) fn sign_answered(&mut self, answer: Option<Vec<u8>>) -> Result<(), Error> {
        let Phase::Handshaking(ssl) = &mut self.phase else { return Ok(()) };
        let signature =
            answer.ok_or_else(|| sign_failed("nobody has signed for the key that is elsewhere"))?;
        // A faulty signature can give a key away, and is better found here than by the peer.
        if !ssl.sign_request().is_some_and(|request| request.is_signature(&signature)) {
            return Err(sign_failed("the signature is not one of this message by the certificate's key"));
        }
        ssl.answer_signature(Ok(signature));
        self.has_input = true;
        Ok(())
    }

    // ---- after the last message ----

    fn finish_handshake(&mut self) {
        self.end_watch();
        let Phase::Handshaking(mut ssl) = std::mem::replace(&mut self.phase, Phase::Ended(None)) else {
            return;
        };
        ssl.provide_psk(None);
        let judged = match self.side() {
            // A resumed session, and a suite without certificates, bring nothing that could have been judged before.
            Side::Client => ssl.verify_report().is_some(),
            Side::Server => self.client_authentication == ClientAuthentication::None,
        };
        self.phase = Phase::Finishing(ssl);
        if judged && self.side() == Side::Server && self.is_psk_authenticated() {
            self.authorization.accept();
        }
        if !judged {
            self.steps.push_front(Step::VerifyPeer);
        }
        self.steps.push_back(Step::Secure);
        self.has_input = true;
    }

    pub(super) fn advance_steps(&mut self) {
        match self.steps.pop_front() {
            Some(Step::VerifyPeer) => self.ask_verify_peer(),
            Some(Step::NewSession(session)) => self.ask_new_session(session),
            Some(Step::Secure) => self.open(),
            Some(Step::Renegotiated) => self.tell_exchanged(Event::Renegotiated),
            Some(Step::ClientAuthenticated) => self.tell_exchanged(Event::ClientAuthenticated),
            None => {}
        }
    }

    pub(super) fn ask_new_session(&mut self, session: Session) {
        self.held = true;
        let facts = |_: &Self| Some(AskNewSession { session_id: session.id().to_vec(), session });
        self.ask(facts, Event::NewSession);
    }

    pub(super) fn new_session_answered(&mut self, (): ()) -> Result<(), Error> {
        self.release();
        self.has_input = true;
        Ok(())
    }

    /// Lets go what was withheld, unless a decision that comes next has to withhold it too.
    fn release(&mut self) {
        let withholds = |step: &Step| matches!(step, Step::VerifyPeer | Step::NewSession(_));
        self.held = self.steps.iter().any(withholds);
    }

    fn tell_exchanged(&mut self, event: Event) {
        self.renegotiation.accept();
        self.events.push_back(event);
        self.has_input = true;
    }

    fn open(&mut self) {
        let Phase::Finishing(ssl) = std::mem::replace(&mut self.phase, Phase::Ended(None)) else { return };
        self.alpn_protocol = ssl.alpn_protocol().map(Box::from);
        self.phase = Phase::Open(ssl);
        self.deadline = None;
        self.tell_renewed_ticket();
        self.events.push_back(Event::Secure);
    }

    /// Up to TLS 1.2 OpenSSL keeps a ticket to itself that comes with a resumption (RFC 5077 §3.3): the client would go on
    /// with the old one until the server does not take it any more.
    fn tell_renewed_ticket(&mut self) {
        let Role::Client(options) = &self.role else { return };
        let is_old = self.is_session_reused() && self.protocol_version() != Some(ProtocolVersion::Tls1_3);
        let (Some(offered), true) = (&options.session, is_old) else { return };
        let renewed = self.session().filter(|session| session.0.ticket() != offered.0.ticket());
        self.events.extend(renewed.filter(|session| session.0.is_resumable()).map(Event::Session));
    }
}

/// Fatal alerts of one OpenSSL call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Alerts {
    pub(super) sent: Option<AlertDescription>,
    pub(super) received: Option<AlertDescription>,
}

fn sign_failed(reason: &str) -> Error {
    Error::callback("ERR_TLS_SIGN_FAILED", reason.into())
}

fn with_alert(error: Error, sent: Option<AlertDescription>) -> Error {
    match error {
        Error::Verify(error) => Error::Verify(Arc::new((*error).clone().with_alert(sent))),
        Error::Identity(mismatch) => Error::Identity(Arc::new((*mismatch).clone().with_alert(sent))),
        other => other,
    }
}

/// The peer's chain as it was presented.
pub(super) fn presented(report: &VerifyReport) -> Vec<Certificate> {
    report.presented.iter().cloned().map(Certificate).collect()
}
