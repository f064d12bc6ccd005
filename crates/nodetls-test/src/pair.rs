//! A client and a server in memory, and the ways in which bytes and answers can travel between them.
//!
//! A [`World`] holds contexts and options; [`World::pair`] makes two fresh connections of them. A [`Pair`] moves
//! bytes as its [`Variation`] says, collects the events of both sides and closes the transport of a side that has
//! failed, as a driver does. It opens no socket and reads no clock but once.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::Instant;

use nodetls_proto::{
    ClientOptions, Connection, Error, Event, KeyPem, ProtocolVersion, QuestionKind, Questions, Read,
    SecureContext, SecureContextOptions, ServerName, ServerOptions, Session, Side,
};

use crate::pki::{Authority, Identity, Leaf};

/// Steps after which two connections that still move are taken to do so for ever.
const MAX_STEPS: usize = 20_000_000;

/// Steps that pass between rest and a late answer.
const LATE_STEPS: usize = 3;

/// How bytes are cut on their way from one side to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// As they were written: all that one side has to say at a time.
    Whole,
    /// One byte at a time, and one byte taken from the sender at a time.
    OneByte,
    /// Held back until nothing moves any more, so that flights run together.
    Coalesced,
    /// In pieces of seven bytes, which never fall together with records.
    Odd,
}

impl Delivery {
    fn piece(self) -> usize {
        match self {
            Self::Whole | Self::Coalesced => usize::MAX,
            Self::OneByte => 1,
            Self::Odd => 7,
        }
    }
}

/// When questions are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// Only the questions that the options name are asked; they stay in [`Peer::events`] for the test.
    Unasked,
    /// Every question is asked, and declined before anything else happens.
    AtOnce,
    /// Every question is asked, and declined when nothing has moved for several steps.
    Late,
}

/// The circumstances of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variation {
    /// The only protocol version that both sides speak.
    pub version: ProtocolVersion,
    /// How bytes are cut.
    pub delivery: Delivery,
    /// When questions are answered.
    pub answers: Answers,
}

impl Variation {
    /// Whole flights and no questions.
    pub fn plain(version: ProtocolVersion) -> Self {
        Self { version, delivery: Delivery::Whole, answers: Answers::Unasked }
    }

    /// [`Variation::plain`] for TLS 1.2 and TLS 1.3.
    pub fn versions() -> [Self; 2] {
        [Self::plain(ProtocolVersion::Tls1_2), Self::plain(ProtocolVersion::Tls1_3)]
    }

    /// Every way of delivery without questions, for both versions.
    pub fn deliveries() -> Vec<Self> {
        Self::all().into_iter().filter(|variation| !variation.asks()).collect()
    }

    /// The whole table: version × delivery × answers.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for version in [ProtocolVersion::Tls1_2, ProtocolVersion::Tls1_3] {
            for delivery in [Delivery::Whole, Delivery::OneByte, Delivery::Coalesced, Delivery::Odd] {
                for answers in [Answers::Unasked, Answers::AtOnce, Answers::Late] {
                    all.push(Self { version, delivery, answers });
                }
            }
        }
        all
    }

    /// Whether every question is asked and declined.
    pub fn asks(&self) -> bool {
        self.answers != Answers::Unasked
    }

    /// Whether the version is TLS 1.3.
    pub fn is_tls1_3(&self) -> bool {
        self.version == ProtocolVersion::Tls1_3
    }
}

/// The root that both default contexts trust.
pub fn authority() -> &'static Authority {
    static ROOT: OnceLock<Authority> = OnceLock::new();
    ROOT.get_or_init(|| Authority::new("nodetls test root"))
}

/// The default server's certificate, for `localhost` and the loopback addresses.
pub fn server_identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| authority().issue(&Leaf::server("localhost")))
}

/// A client's certificate that the default server trusts.
pub fn client_identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| authority().issue(&Leaf::client("a client")))
}

/// Options that allow just this version and trust [`authority`]; without a certificate of its own.
pub fn context_options(version: ProtocolVersion) -> SecureContextOptions {
    SecureContextOptions {
        ca: Some(vec![authority().pem().into()]),
        min_version: Some(version),
        max_version: Some(version),
        ..Default::default()
    }
}

/// The same options with one more certificate and its key.
pub fn with_identity(mut options: SecureContextOptions, identity: &Identity) -> SecureContextOptions {
    options.cert.push(identity.cert_pem.clone().into());
    options.key.push(KeyPem { pem: identity.key_pem.as_str().into(), passphrase: None });
    options
}

/// A context of options that are known to be good.
pub fn context(options: &SecureContextOptions) -> SecureContext {
    SecureContext::new(options).expect("the options are good")
}

/// The default contexts of a client (without a certificate) and a server, made once a process and version.
fn default_contexts(version: ProtocolVersion) -> &'static (SecureContext, SecureContext) {
    static CONTEXTS: [OnceLock<(SecureContext, SecureContext)>; 4] = [const { OnceLock::new() }; 4];
    CONTEXTS[version as usize].get_or_init(|| {
        let client = context_options(version);
        let server = with_identity(context_options(version), server_identity());
        (context(&client), context(&server))
    })
}

/// A name that is known to be good.
pub fn name(text: &str) -> ServerName {
    ServerName::parse(text).expect("a name of a server")
}

/// Contexts and options of which pairs are made; change what matters.
#[derive(Clone, Debug)]
pub struct World {
    /// The circumstances.
    pub variation: Variation,
    /// The client's context: trusts [`authority`], has no certificate.
    pub client_context: SecureContext,
    /// The server's context: trusts [`authority`] and has [`server_identity`].
    pub server_context: SecureContext,
    /// The client's options, for `localhost`.
    pub client: ClientOptions,
    /// The server's options.
    pub server: ServerOptions,
}

impl World {
    /// The default world.
    pub fn new(variation: Variation) -> Self {
        let (client_context, server_context) = default_contexts(variation.version).clone();
        let questions = if variation.asks() { Questions::ALL } else { Questions::NONE };
        let mut client = ClientOptions::new(name("localhost"));
        client.questions = questions;
        let server = ServerOptions { questions, ..Default::default() };
        Self { variation, client_context, server_context, client, server }
    }

    /// The default client's context with one certificate more.
    pub fn identify_client(&mut self, identity: &Identity) {
        self.client_context = context(&with_identity(context_options(self.variation.version), identity));
    }

    /// A server's context with this certificate instead of the default one.
    pub fn identify_server(&mut self, identity: &Identity) {
        self.server_context = context(&with_identity(context_options(self.variation.version), identity));
    }

    /// Two fresh connections; nothing has moved yet.
    pub fn pair(&self) -> Pair {
        let now = Instant::now();
        let client = Connection::client(&self.client_context, self.client.clone(), now);
        let server = Connection::server(&self.server_context, self.server.clone(), now);
        Pair {
            variation: self.variation,
            now,
            client: Peer::new(client.expect("the client's options are good")),
            server: Peer::new(server.expect("the server's options are good")),
        }
    }

    /// Two fresh connections, driven until nothing moves.
    pub fn driven(&self) -> Pair {
        let mut pair = self.pair();
        pair.drive();
        pair
    }

    /// Two connections after a handshake that must succeed.
    pub fn connected(&self) -> Pair {
        let pair = self.driven();
        pair.assert_connected();
        pair
    }
}

/// One side of a [`Pair`] and what came of it.
#[derive(Debug)]
pub struct Peer {
    /// The connection itself.
    pub connection: Connection,
    /// Events not yet taken by the test; questions only where the [`Variation`] does not answer them.
    pub events: VecDeque<Event>,
    /// All plaintext received.
    pub received: Vec<u8>,
    /// How reading ended: [`Read::Closed`] or [`Read::Truncated`].
    pub ended: Option<Read>,
    /// Whether plaintext is read as it comes; on at first.
    pub reads: bool,
    /// The kinds of all questions asked, in order.
    pub asked: Vec<QuestionKind>,
    /// How many bytes this side has sent so far.
    pub sent: usize,
    late: VecDeque<Event>,
    wire: Vec<u8>,
    tampering: Option<(usize, u8)>,
    cut: bool,
    eof_delivered: bool,
}

impl Peer {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            events: VecDeque::new(),
            received: Vec::new(),
            ended: None,
            reads: true,
            asked: Vec::new(),
            sent: 0,
            late: VecDeque::new(),
            wire: Vec::new(),
            tampering: None,
            cut: false,
            eof_delivered: false,
        }
    }

    /// The error of the event `Failed`, if there was one.
    pub fn failure(&self) -> Option<&Error> {
        self.events.iter().find_map(|event| if let Event::Failed(error) = event { Some(error) } else { None })
    }

    /// The code of [`Peer::failure`]; empty when there was none.
    pub fn code(&self) -> String {
        self.failure().map(|error| error.code().into_owned()).unwrap_or_default()
    }

    /// Whether the event `Secure` was there.
    pub fn is_secure(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Secure))
    }

    /// Whether this side has sent bytes which the other one has not yet got.
    pub fn has_undelivered(&self) -> bool {
        !self.wire.is_empty()
    }

    /// The sessions that came as events.
    pub fn sessions(&self) -> Vec<Session> {
        let session =
            |event: &Event| if let Event::Session(session) = event { Some(session.clone()) } else { None };
        self.events.iter().filter_map(session).collect()
    }

    /// Takes the first event that is a question out of [`Peer::events`].
    pub fn take_question(&mut self) -> Option<Event> {
        let position = self.events.iter().position(|event| kind(event).is_some())?;
        self.events.remove(position)
    }

    fn poll(&mut self, answers: Answers) -> bool {
        let mut moved = self.reads && self.read();
        while let Some(event) = self.connection.poll_event() {
            moved = true;
            self.asked.extend(kind(&event));
            match answers {
                Answers::AtOnce => self.events.extend(decline(event, &mut self.connection)),
                Answers::Late if kind(&event).is_some() => self.late.push_back(event),
                Answers::Late | Answers::Unasked => self.events.push_back(event),
            }
        }
        moved
    }

    fn read(&mut self) -> bool {
        let before = self.received.len();
        let mut record = [0; 16 * 1024];
        // An error comes as an event too.
        while let Ok(read) = self.connection.read_plaintext(&mut record[..]) {
            match read {
                Read::Plaintext(count) => self.received.extend_from_slice(&record[..count]),
                Read::Blocked => break,
                Read::Closed | Read::Truncated => {
                    self.ended = Some(read);
                    break;
                }
            }
        }
        self.received.len() > before
    }

    fn transmit(&mut self, piece: usize) -> bool {
        let Some(bytes) = self.connection.poll_transmit() else { return false };
        let count = bytes.len().min(piece);
        let start = self.wire.len();
        self.wire.extend_from_slice(&bytes[..count]);
        if let Some((position, mask)) = self.tampering {
            let hit = position.checked_sub(self.sent).filter(|offset| *offset < count);
            hit.into_iter().for_each(|offset| self.wire[start + offset] ^= mask);
        }
        self.connection.transmitted(count);
        self.sent += count;
        true
    }

    /// Gives what is on the wire to the other side.
    fn deliver(&mut self, to: &mut Self) -> bool {
        if !self.wire.is_empty() {
            // A connection that has ended reads nothing more: its driver throws the rest away.
            let gone = to.connection.receive_buffer().is_none();
            let taken = if gone { self.wire.len() } else { to.connection.handle_ciphertext(&self.wire) };
            self.wire.drain(..taken);
            return taken > 0;
        }
        let over = self.cut || self.connection.error().is_some();
        if over && !self.eof_delivered && self.connection.poll_transmit().is_none() {
            self.eof_delivered = true;
            to.connection.handle_eof();
            return true;
        }
        false
    }
}

/// A client and a server that talk to each other.
#[derive(Debug)]
pub struct Pair {
    /// The circumstances.
    pub variation: Variation,
    /// When both connections were made.
    pub now: Instant,
    /// The client.
    pub client: Peer,
    /// The server.
    pub server: Peer,
}

impl Pair {
    /// One side.
    pub fn peer(&mut self, side: Side) -> &mut Peer {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// Lets each side do what it can and moves bytes once; returns whether anything has changed.
    pub fn step(&mut self) -> bool {
        let Variation { delivery, answers, .. } = self.variation;
        let mut moved = false;
        for peer in [&mut self.client, &mut self.server] {
            moved |= peer.poll(answers);
            moved |= peer.transmit(delivery.piece());
        }
        if delivery != Delivery::Coalesced || !moved {
            moved |= self.client.deliver(&mut self.server);
            moved |= self.server.deliver(&mut self.client);
        }
        moved
    }

    /// Steps until nothing moves, answering questions late where the [`Variation`] says so.
    ///
    /// # Panics
    /// When it does not come to rest.
    pub fn drive(&mut self) {
        let mut steps = 0;
        loop {
            while self.step() {
                steps += 1;
                assert!(steps < MAX_STEPS, "the connections never come to rest");
            }
            let late = [&mut self.client, &mut self.server].into_iter().find(|peer| !peer.late.is_empty());
            if late.is_none() {
                return;
            }
            for _ in 0..LATE_STEPS {
                assert!(!self.step(), "something moves while a question is open and all bytes are there");
            }
            self.answer_late();
        }
    }

    fn answer_late(&mut self) {
        for peer in [&mut self.client, &mut self.server] {
            if let Some(event) = peer.late.pop_front() {
                // The connection may have ended meanwhile, and the question with it.
                if !peer.connection.waits_for_answer() {
                    return;
                }
                peer.events.extend(decline(event, &mut peer.connection));
                return;
            }
        }
    }

    /// Ends the transport from this side after the bytes that are under way: the other one will see its end.
    pub fn cut(&mut self, side: Side) {
        self.peer(side).cut = true;
    }

    /// Flips the bits of `mask` in one byte of what this side sends; `position` counts from its very first byte.
    pub fn tamper(&mut self, side: Side, position: usize, mask: u8) {
        self.peer(side).tampering = Some((position, mask));
    }

    /// Writes `bytes` on one side and checks that the other side reads just them.
    ///
    /// # Panics
    /// When something else arrives, or nothing.
    pub fn send(&mut self, from: Side, bytes: &[u8]) {
        let to = if from == Side::Client { Side::Server } else { Side::Client };
        let before = self.peer(to).received.len();
        let mut written = 0;
        while written < bytes.len() {
            let count = self.peer(from).connection.write_plaintext(&bytes[written..]).expect("it is open");
            assert!(count > 0, "a write takes nothing although all ciphertext has been sent");
            written += count;
            self.drive();
        }
        assert!(self.peer(to).received[before..] == *bytes, "other bytes arrive than were sent");
    }

    /// Both sides say `close_notify`, the given one first, and both must read it.
    ///
    /// # Panics
    /// When one does not.
    pub fn close(&mut self, first: Side) {
        self.peer(first).connection.send_close_notify();
        self.drive();
        for peer in [&mut self.client, &mut self.server] {
            peer.connection.send_close_notify();
        }
        self.drive();
        assert_eq!((self.client.ended, self.server.ended), (Some(Read::Closed), Some(Read::Closed)));
    }

    /// Checks that both sides are open.
    ///
    /// # Panics
    /// With the errors of both, when they are not.
    pub fn assert_connected(&self) {
        let (client, server) = (&self.client, &self.server);
        assert!(
            client.is_secure()
                && server.is_secure()
                && client.failure().is_none()
                && server.failure().is_none(),
            "{:?}: client {:?}, server {:?}",
            self.variation,
            client.failure(),
            server.failure(),
        );
    }

    /// The codes with which the client and the server failed; empty where one did not.
    pub fn codes(&self) -> (String, String) {
        (self.client.code(), self.server.code())
    }
}

/// The kind of an event that is a question.
pub fn kind(event: &Event) -> Option<QuestionKind> {
    match event {
        Event::ClientHello(_) => Some(QuestionKind::ClientHello),
        Event::SelectContext(_) => Some(QuestionKind::SelectContext),
        Event::SelectAlpn(_) => Some(QuestionKind::SelectAlpn),
        Event::ResumeSession(_) => Some(QuestionKind::ResumeSession),
        Event::VerifyPeer(_) => Some(QuestionKind::VerifyPeer),
        Event::NewSession(_) => Some(QuestionKind::NewSession),
        Event::OcspRequest(_) => Some(QuestionKind::OcspRequest),
        Event::Sign(_) => Some(QuestionKind::Sign),
        Event::Psk(_) => Some(QuestionKind::Psk),
        _ => None,
    }
}

/// Declines the question; gives back an event that is none.
///
/// # Panics
/// When the question is not open on this connection.
pub fn decline(event: Event, connection: &mut Connection) -> Option<Event> {
    let declined = match event {
        Event::ClientHello(question) => question.decline(connection),
        Event::SelectContext(question) => question.decline(connection),
        Event::SelectAlpn(question) => question.decline(connection),
        Event::ResumeSession(question) => question.decline(connection),
        Event::VerifyPeer(question) => question.decline(connection),
        Event::OcspRequest(question) => question.decline(connection),
        Event::Sign(question) => question.decline(connection),
        Event::Psk(question) => question.decline(connection),
        Event::NewSession(question) => question.decline(connection),
        other => return Some(other),
    };
    declined.expect("the question is open");
    None
}

/// Marsaglia's xorshift: numbers without order, and the same in every run.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next number below `bound`, which is not zero.
    pub fn next(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_world_works_under_all_variations() {
        for variation in Variation::all() {
            let mut pair = World::new(variation).connected();
            pair.send(Side::Client, b"a question");
            pair.send(Side::Server, b"an answer");
            pair.close(Side::Client);
            assert_eq!(pair.client.asked.is_empty(), !variation.asks(), "{variation:?}");
        }
    }
}
