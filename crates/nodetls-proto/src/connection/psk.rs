//! Pre-shared keys (RFC 4279, RFC 8446 §4.2.11): when the program is asked for one, and how its answer gets to OpenSSL.
//!
//! OpenSSL wants the key in a callback, at once. So the question is asked before OpenSSL can come to it: in TLS 1.3 by
//! a client before its hello and by a server that has read the hello. Up to TLS 1.2 a server learns the identity from
//! the ClientKeyExchange and a client the hint from the ServerKeyExchange, which are plaintext: while [`PskWatch`] is
//! there, received records wait in it and are handed to OpenSSL one by one, and the one with which OpenSSL would need
//! the key only after the answer. Should the watch ever see something else than OpenSSL, OpenSSL finds no key.

use nodetls_openssl::{Ciphertext, MAX_PSK_IDENTITY, MAX_PSK_KEY, Psk, Ssl};
use zeroize::Zeroizing;

use super::messages::{Front, Messages, leading_vector, version_and_suite};
use super::question::{AskPsk, PskAnswer};
use super::{Connection, Phase};
use crate::error::{ConfigError, Error};
use crate::event::Event;
use crate::options::Side;
use crate::version::ProtocolVersion;

/// Types of handshake messages (RFC 5246 §7.4).
mod message {
    pub(super) const SERVER_HELLO: u8 = 2;
    pub(super) const SERVER_KEY_EXCHANGE: u8 = 12;
    pub(super) const SERVER_HELLO_DONE: u8 = 14;
    pub(super) const CLIENT_KEY_EXCHANGE: u8 = 16;
}

/// Holds back what OpenSSL must not see before a question is answered.
#[derive(Default)]
pub(super) struct PskWatch {
    received: Ciphertext,
    messages: Messages,
    /// A client that has still to be asked for a key for its hello.
    is_before_hello: bool,
    /// Nothing needs to be held back any more.
    is_over: bool,
    /// What a client has read in the ServerHello: the version, if the suite takes a key.
    selected: Option<ProtocolVersion>,
    hint: Option<Vec<u8>>,
    asked: Option<AskPsk>,
}

/// Leaves out the hint.
impl std::fmt::Debug for PskWatch {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { received, messages, is_over, asked, .. } = self;
        let mut fields = out.debug_struct("PskWatch");
        fields.field("received", received).field("messages", messages);
        fields.field("is_over", is_over).field("asked", asked).finish_non_exhaustive()
    }
}

/// What to do with what has been received.
enum Next {
    Wait,
    Release(usize),
    ReleaseAll,
    Ask(AskPsk),
}

impl PskWatch {
    pub(super) fn of_client(may_speak_tls1_3: bool) -> Self {
        Self { is_before_hello: may_speak_tls1_3, ..Self::default() }
    }

    pub(super) fn of_server(received: Ciphertext) -> Self {
        Self { received, ..Self::default() }
    }

    pub(super) fn received(&self) -> &Ciphertext {
        &self.received
    }

    pub(super) fn received_mut(&mut self) -> &mut Ciphertext {
        &mut self.received
    }

    fn next(&mut self, ssl: &Ssl, side: Side) -> Next {
        let (length, messages) = match Front::of(self.received.as_slice()) {
            _ if self.is_over => return Next::ReleaseAll,
            Front::Incomplete => return Next::Wait,
            // A warning does not end the handshake, and a fatal alert ends all.
            Front::Alert(length) => return Next::Release(length),
            Front::Handshake(length, content) => (length, self.messages.walk(content)),
            Front::Other => {
                self.is_over = true;
                return Next::ReleaseAll;
            }
        };
        for message in messages {
            let ask = match side {
                Side::Client => self.read_of_server(message.kind, &message.body, ssl),
                Side::Server => self.read_of_client(message.kind, &message.body, ssl),
            };
            if let Some(ask) = ask {
                self.is_over = true;
                return Next::Ask(ask);
            }
        }
        Next::Release(length)
    }

    /// A client needs the key when it answers the ServerHelloDone.
    fn read_of_server(&mut self, kind: u8, body: &[u8], ssl: &Ssl) -> Option<AskPsk> {
        match kind {
            message::SERVER_HELLO => {
                let selected = version_and_suite(body).filter(|(_, suite)| ssl.takes_psk(*suite));
                self.selected = selected.and_then(|(version, _)| ProtocolVersion::from_wire(version));
            }
            // RFC 4279 §2: the hint is the first field, in all three key exchanges; empty without one.
            message::SERVER_KEY_EXCHANGE if self.selected.is_some() => {
                self.hint = leading_vector(body).filter(|hint| !hint.is_empty()).map(<[u8]>::to_vec);
            }
            message::SERVER_HELLO_DONE => {
                let (identity, hint) = (None, self.hint.take());
                return self.selected.map(|protocol_version| AskPsk { identity, hint, protocol_version });
            }
            _ => {}
        }
        None
    }

    /// A server needs the key when it reads the ClientKeyExchange, whose first field is the identity (RFC 4279 §2).
    fn read_of_client(&mut self, kind: u8, body: &[u8], ssl: &Ssl) -> Option<AskPsk> {
        if kind != message::CLIENT_KEY_EXCHANGE {
            return None;
        }
        self.is_over = true;
        let identity = leading_vector(body).filter(|_| ssl.has_selected_psk_suite())?.to_vec();
        let protocol_version = ProtocolVersion::from_wire(ssl.version())?;
        Some(AskPsk { identity: Some(identity), hint: None, protocol_version })
    }
}

impl Connection {
    /// Asks a client for a key to offer in its hello, if that is still to be done.
    pub(super) fn asks_psk_for_hello(&mut self) -> bool {
        let Some(watch) = self.psk_watch.as_mut().filter(|watch| watch.is_before_hello) else { return false };
        watch.is_before_hello = false;
        self.ask_psk(AskPsk { identity: None, hint: None, protocol_version: ProtocolVersion::Tls1_3 });
        true
    }

    pub(super) fn ask_psk(&mut self, ask: AskPsk) {
        if let Some(watch) = &mut self.psk_watch {
            watch.asked = Some(ask.clone());
        }
        self.ask(|_| Some(ask), Event::Psk);
    }

    /// Hands OpenSSL, which has used up what it had, more of what was received. Whether anything happened.
    pub(super) fn feed_from_watch(&mut self) -> bool {
        let side = self.side();
        let (Some(watch), Phase::Handshaking(ssl)) = (&mut self.psk_watch, &mut self.phase) else {
            return false;
        };
        match watch.next(ssl, side) {
            Next::Wait => return false,
            Next::Ask(ask) => {
                self.ask_psk(ask);
                return true;
            }
            Next::Release(length) => {
                let taken = ssl.received_mut().extend(&watch.received.as_slice()[..length]);
                watch.received.consume(taken);
            }
            Next::ReleaseAll => self.end_watch(),
        }
        self.has_input = self.ssl().is_some_and(|ssl| !ssl.received().is_empty());
        self.has_input
    }

    /// Lets OpenSSL have everything from now on.
    pub(super) fn end_watch(&mut self) {
        let (Some(watch), Phase::Handshaking(ssl)) = (self.psk_watch.take(), &mut self.phase) else { return };
        if ssl.received().is_empty() {
            *ssl.received_mut() = watch.received;
        } else {
            ssl.received_mut().extend(watch.received.as_slice());
        }
    }

    pub(super) fn psk_answered(&mut self, answer: Option<PskAnswer>) -> Result<(), Error> {
        match self.phase {
            Phase::Accepting(_) => self.psk_of_hello_answered(answer),
            _ => self.psk_of_watch_answered(answer),
        }
    }

    fn psk_of_watch_answered(&mut self, answer: Option<PskAnswer>) -> Result<(), Error> {
        let asked = self.psk_watch.as_mut().and_then(|watch| watch.asked.take());
        let (Some(asked), Phase::Handshaking(ssl)) = (asked, &mut self.phase) else { return Ok(()) };
        let tls1_3 = asked.protocol_version == ProtocolVersion::Tls1_3;
        ssl.provide_psk(answer.map(|answer| checked(answer, asked.identity, tls1_3)).transpose()?);
        Ok(())
    }

    /// Whether a pre-shared key has authenticated the peer, now or when the session in use was made.
    pub(super) fn is_psk_authenticated(&self) -> bool {
        let Some(ssl) = self.ssl() else { return false };
        ssl.psk_identity().is_some() || (self.offers_psk_session && ssl.is_session_reused())
    }

    /// Whether nothing but a pre-shared key has authenticated the peer: there is no certificate that could be judged.
    pub(super) fn is_authenticated_by_psk_alone(&self) -> bool {
        self.is_psk_authenticated() && self.ssl().is_some_and(|ssl| ssl.peer_certificate().is_none())
    }
}

/// The answer as OpenSSL takes it. `identity` is the one that a client has named, and `None` on clients.
pub(super) fn checked(answer: PskAnswer, identity: Option<Vec<u8>>, tls1_3: bool) -> Result<Psk, Error> {
    let key = answer.key.expose();
    if key.is_empty() || key.len() > MAX_PSK_KEY {
        let message = format!("a pre-shared key has {} bytes; 1 to {MAX_PSK_KEY} are possible", key.len());
        return Err(Error::callback("ERR_INVALID_ARG_VALUE", message.into()));
    }
    let is_named = identity.is_some();
    let identity = identity.unwrap_or(answer.identity);
    if !is_named && (identity.is_empty() || identity.len() > MAX_PSK_IDENTITY || identity.contains(&0)) {
        let message = format!(
            "a pre-shared key's identity has 1 to {MAX_PSK_IDENTITY} bytes without NUL, this one has {}",
            identity.len()
        );
        return Err(Error::callback("ERR_INVALID_ARG_VALUE", message.into()));
    }
    Ok(Psk { identity, key: Zeroizing::new(key.to_vec()), tls1_3 })
}

/// Checks a server's hint.
///
/// # Errors
/// [`Error::Config`] with Node's code, whose spelling is Node's too.
pub(crate) fn check_hint(hint: Option<&str>) -> Result<(), Error> {
    let is_good = |hint: &str| hint.len() <= MAX_PSK_IDENTITY && !hint.contains('\0');
    if hint.is_none_or(is_good) {
        return Ok(());
    }
    let message = format!("Failed to set PSK identity hint: at most {MAX_PSK_IDENTITY} bytes without NUL");
    Err(ConfigError::refused("pskIdentityHint", "ERR_TLS_PSK_SET_IDENTIY_HINT_FAILED", message))
}
