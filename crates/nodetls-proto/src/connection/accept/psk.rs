//! External pre-shared keys of TLS 1.3 (RFC 8446 §4.2.11): the client's hello names them, so that a server asks for
//! them before OpenSSL exists.

use nodetls_openssl::MAX_PSK_IDENTITY;

use super::super::psk::checked;
use super::super::question::{AskPsk, PskAnswer, QuestionKind};
use super::super::{Connection, Phase, Role};
use super::{Decision, TLS1_3};
use crate::error::Error;
use crate::version::ProtocolVersion;

/// For how many identities of one hello a key is asked, so that a client cannot keep the program busy.
const MAX_PSK_QUESTIONS: usize = 8;

/// Identities of keys. Debug output does not show them, because they tell who the client is.
#[derive(Default)]
pub(super) struct PskIdentities(Vec<Vec<u8>>);

impl std::fmt::Debug for PskIdentities {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "PskIdentities({})", self.0.len())
    }
}

impl Connection {
    /// Notes the identities of TLS 1.3 that may be those of external keys, if such a key could be used.
    pub(super) fn find_psk_identities(&mut self) {
        let is_asked = self.questions().contains(QuestionKind::Psk) && self.may_speak_tls1_3();
        let Some(hello) = self.hello().filter(|_| is_asked) else { return };
        if self.context.psk_suites(hello).is_empty() {
            return;
        }
        let session = match &self.phase {
            Phase::Accepting(accepting) => accepting.session.as_ref(),
            _ => None,
        };
        let keys = self.own_ticket_keys();
        let is_ticket = |identity: &[u8]| keys.0.iter().any(|key| identity.starts_with(key.name()));
        let is_session = |identity: &[u8]| session.is_some_and(|session| session.id() == identity);
        let identities = hello.psk_identities().into_iter();
        let external = identities.filter(|identity| {
            identity.len() <= MAX_PSK_IDENTITY && !is_ticket(identity) && !is_session(identity)
        });
        let mut found: Vec<_> = external.take(MAX_PSK_QUESTIONS).map(<[u8]>::to_vec).collect();
        found.reverse();
        if let Some((accepting, _)) = self.accepting() {
            accepting.psk_identities.0 = found;
        }
    }

    pub(super) fn may_speak_tls1_3(&self) -> bool {
        self.context.may_speak_tls1_3() && self.hello().is_some_and(|hello| hello.supports_version(TLS1_3))
    }

    pub(super) fn ask_psk_of_hello(&mut self) {
        let next = self.accepting().and_then(|(accepting, _)| accepting.psk_identities.0.last().cloned());
        let protocol_version = ProtocolVersion::Tls1_3;
        match next {
            Some(identity) => self.ask_psk(AskPsk { identity: Some(identity), hint: None, protocol_version }),
            None => self.decided(Decision::Ocsp),
        }
    }

    pub(in super::super) fn psk_of_hello_answered(&mut self, answer: Option<PskAnswer>) -> Result<(), Error> {
        let Some((accepting, _)) = self.accepting() else { return Ok(()) };
        let identity = accepting.psk_identities.0.pop();
        if let Some(answer) = answer {
            accepting.psk = Some(checked(answer, identity, true)?);
            accepting.psk_identities.0.clear();
        }
        self.decided(Decision::Psk);
        Ok(())
    }

    /// The suites to which TLS 1.3 is narrowed so that a key, or a session that a key has opened, can be used: OpenSSL
    /// selects the suite first, and then leaves aside what is for another hash.
    pub(super) fn psk_suites(&self) -> Option<String> {
        let is_asked = self.questions().contains(QuestionKind::Psk);
        let hello = self.hello().filter(|hello| is_asked && hello.has_psk_for_sha256())?;
        Some(self.context.psk_suites(hello)).filter(|suites| !suites.is_empty())
    }

    pub(super) fn psk_identity_hint(&self) -> Option<&str> {
        match &self.role {
            Role::Server(options) => options.psk_identity_hint.as_deref(),
            Role::Client(_) => None,
        }
    }
}
