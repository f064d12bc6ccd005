//! The places at which connections stop, and what can be done there.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use nodetls_proto::{
    AskSign, ClientAuthentication, ClientHelloAnswer, Connection, Error, Event, OcspStapling,
    ProtocolVersion, PskAnswer, QuestionKind, Questions, Read, SelectAlpnAnswer, Session, Side,
    VerifyPeerAnswer,
};
use nodetls_test::pair::{
    Pair, Variation, World, client_identity, context, context_options, decline, kind, server_identity,
    with_identity,
};
use nodetls_test::pki::Identity;
use nodetls_test::signer::sign;

/// `SSL_OP_NO_TICKET`: sessions are asked for by their ids.
const NO_TICKET: u64 = 1 << 14;

/// One place at which a connection stops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stop {
    pub(crate) side: Side,
    pub(crate) kind: QuestionKind,
}

pub(crate) const fn stop(side: Side, kind: QuestionKind) -> Stop {
    Stop { side, kind }
}

pub(crate) const VERIFY_CLIENT: Stop = stop(Side::Server, QuestionKind::VerifyPeer);
pub(crate) const VERIFY_SERVER: Stop = stop(Side::Client, QuestionKind::VerifyPeer);
pub(crate) const NEW_SESSION: Stop = stop(Side::Server, QuestionKind::NewSession);
pub(crate) const RESUME_SESSION: Stop = stop(Side::Server, QuestionKind::ResumeSession);
/// Declined, these fail as well: nobody else could sign.
pub(crate) const SIGN_OF_SERVER: Stop = stop(Side::Server, QuestionKind::Sign);
pub(crate) const SIGN_OF_CLIENT: Stop = stop(Side::Client, QuestionKind::Sign);
/// Up to TLS 1.2 a key cannot be declined, so that `psk/questions.rs` has those questions.
pub(crate) const PSK_OF_CLIENT: Stop = stop(Side::Server, QuestionKind::Psk);
pub(crate) const PSK_FOR_HELLO: Stop = stop(Side::Client, QuestionKind::Psk);
pub(crate) const STOPS: [Stop; 12] = [
    stop(Side::Server, QuestionKind::ClientHello),
    stop(Side::Server, QuestionKind::SelectContext),
    stop(Side::Server, QuestionKind::SelectAlpn),
    stop(Side::Server, QuestionKind::OcspRequest),
    VERIFY_SERVER,
    VERIFY_CLIENT,
    NEW_SESSION,
    PSK_OF_CLIENT,
    PSK_FOR_HELLO,
    RESUME_SESSION,
    SIGN_OF_SERVER,
    SIGN_OF_CLIENT,
];

/// What servers have stored, by id.
static STORE: LazyLock<Mutex<HashMap<Vec<u8>, Session>>> = LazyLock::new(Mutex::default);

impl Stop {
    pub(crate) fn exists_in(self, variation: Variation) -> bool {
        self.kind != QuestionKind::Psk || variation.is_tls1_3()
    }

    /// All stops under all ways of delivery and both versions.
    pub(crate) fn everywhere() -> impl Iterator<Item = (Self, Variation)> {
        let all = |stop: Self| Variation::deliveries().into_iter().map(move |variation| (stop, variation));
        STOPS.into_iter().flat_map(all).filter(|(stop, variation)| stop.exists_in(*variation))
    }

    /// A world in which this question alone is asked.
    pub(crate) fn world(self, variation: Variation) -> World {
        let mut world = World::new(variation);
        world.client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        world.server.alpn_protocols = vec![b"h2".to_vec()];
        world.client.ocsp = OcspStapling::Requested;
        let questions = Questions::NONE.with(self.kind);
        match self.side {
            Side::Client => world.client.questions = questions,
            Side::Server => world.server.questions = questions,
        }
        if self == PSK_OF_CLIENT {
            world.client.questions = questions;
        }
        if self == VERIFY_CLIENT || self == SIGN_OF_CLIENT {
            world.server.client_authentication = ClientAuthentication::Required;
            world.identify_client(client_identity());
        }
        match self.kind {
            // Up to TLS 1.2 a session is stored only where it is not in a ticket.
            QuestionKind::NewSession if !variation.is_tls1_3() => forgo_tickets(&mut world),
            QuestionKind::ResumeSession => offer_stored_session(&mut world),
            QuestionKind::Sign => self.take_key_away(&mut world),
            _ => {}
        }
        world
    }

    pub(crate) fn take_key_away(self, world: &mut World) {
        let identity = if self.side == Side::Client { client_identity() } else { server_identity() };
        let mut options = with_identity(context_options(world.variation.version), identity);
        options.key.clear();
        options.external_key = true;
        match self.side {
            Side::Client => world.client_context = context(&options),
            Side::Server => world.server_context = context(&options),
        }
    }

    /// Whether all messages of the peer's handshake are there when the question is asked.
    pub(crate) fn is_last(self) -> bool {
        self == VERIFY_CLIENT || self == NEW_SESSION
    }

    pub(crate) fn other(self) -> Side {
        if self.side == Side::Client { Side::Server } else { Side::Client }
    }

    /// A pair that stands still at this question.
    pub(crate) fn stopped(self, variation: Variation) -> (Pair, Event) {
        let mut pair = self.world(variation).driven();
        if self == PSK_OF_CLIENT {
            agree(pair.client.take_question().unwrap(), &mut pair.client.connection).unwrap();
            pair.drive();
        }
        let question = pair.peer(self.side).take_question();
        let question = question.unwrap_or_else(|| panic!("{self:?} is not asked: {:?}", pair.codes()));
        assert_eq!(kind(&question), Some(self.kind));
        assert!(pair.peer(self.side).connection.waits_for_answer());
        assert!(!pair.peer(self.side).is_secure(), "{self:?} is asked after the handshake");
        (pair, question)
    }

    /// A session that the store had was resumed.
    pub(crate) fn assert_resumed(self, pair: &Pair) {
        if self == RESUME_SESSION {
            let reused = [&pair.client, &pair.server].map(|peer| peer.connection.is_session_reused());
            assert_eq!(reused, [true; 2], "{:?}", pair.variation);
        }
    }

    /// Declines the same question as often as it comes again (a server has two sessions to store).
    pub(crate) fn decline_rest(self, pair: &mut Pair) {
        pair.drive();
        while let Some(question) = pair.peer(self.side).take_question() {
            decline(question, &mut pair.peer(self.side).connection);
            pair.drive();
        }
    }
}

pub(crate) fn forgo_tickets(world: &mut World) {
    let mut options = with_identity(context_options(world.variation.version), server_identity());
    options.secure_options = NO_TICKET;
    world.server_context = context(&options);
}

/// Makes a first connection, whose session the server stores, and which the client offers again.
pub(crate) fn offer_stored_session(world: &mut World) {
    forgo_tickets(world);
    let mut first = World { variation: Variation::plain(world.variation.version), ..world.clone() };
    first.server.questions = Questions::NONE.with(QuestionKind::NewSession);
    let mut pair = first.driven();
    while let Some(question) = pair.server.take_question() {
        let Event::NewSession(question) = question else { panic!("{question:?}") };
        let facts = question.facts();
        STORE.lock().unwrap().insert(facts.session_id.clone(), facts.session.clone());
        question.answer(&mut pair.server.connection, ()).unwrap();
        pair.drive();
    }
    pair.assert_connected();
    world.client.session = pair.client.sessions().pop();
}

pub(crate) fn signed(certificate: &[u8], ask: &AskSign) -> Option<Vec<u8>> {
    let owner = |identity: &&Identity| identity.cert_der == certificate;
    let identity = [client_identity(), server_identity()].into_iter().find(owner)?;
    sign(identity, ask.scheme, &ask.message)
}

/// Answers with a value that lets the handshake go on.
pub(crate) fn agree(question: Event, connection: &mut Connection) -> Result<(), Error> {
    match question {
        Event::ClientHello(question) => question.answer(connection, ClientHelloAnswer::Continue),
        Event::SelectContext(question) => {
            let version = question.facts().hello.supported_versions()[0];
            let version = ProtocolVersion::from_wire(version).unwrap();
            let other = with_identity(context_options(version), server_identity());
            question.answer(connection, Some(context(&other)))
        }
        Event::SelectAlpn(question) => {
            question.answer(connection, SelectAlpnAnswer::Protocol(b"http/1.1".to_vec()))
        }
        Event::VerifyPeer(question) => question.answer(connection, VerifyPeerAnswer::Agree),
        Event::NewSession(question) => question.answer(connection, ()),
        Event::ResumeSession(question) => {
            let found = STORE.lock().unwrap().get(&question.facts().session_id).cloned();
            assert!(found.is_some(), "another id than the stored one");
            question.answer(connection, found)
        }
        Event::Sign(question) => {
            let signature = signed(&question.facts().certificate.to_der(), question.facts());
            assert!(signature.is_some());
            question.answer(connection, signature)
        }
        Event::OcspRequest(question) => question.answer(connection, None),
        Event::Psk(question) => {
            question.answer(connection, Some(PskAnswer::with_identity("Client_identity", [7; 32].as_slice())))
        }
        other => panic!("{other:?} is not in the table"),
    }
}

pub(crate) fn fail(question: Event, connection: &mut Connection) -> Result<(), Error> {
    match question {
        Event::ClientHello(question) => question.fail(connection, "no"),
        Event::SelectContext(question) => question.fail(connection, "no"),
        Event::SelectAlpn(question) => question.fail(connection, "no"),
        Event::VerifyPeer(question) => question.fail(connection, "no"),
        Event::NewSession(question) => question.fail(connection, "no"),
        Event::ResumeSession(question) => question.fail(connection, "no"),
        Event::Sign(question) => question.fail(connection, "no"),
        Event::OcspRequest(question) => question.fail(connection, "no"),
        Event::Psk(question) => question.fail(connection, "no"),
        other => panic!("{other:?} is not in the table"),
    }
}

pub(crate) fn assert_misuse(result: Result<(), Error>) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::ApiMisuse(_)), "{error:?}");
    assert_eq!(error.code(), "ERR_TLS_API_MISUSE");
}

/// A way to deal with a question, short of answering it.
pub(crate) type Ending = fn(Event, &mut Connection);

/// The asking side has failed with the code, the other one has noticed, and neither was ever secure but a client
/// of TLS 1.3, which is done before the server.
pub(crate) fn assert_failed(stop: Stop, pair: &mut Pair, code: &str) {
    pair.drive();
    assert_eq!(pair.peer(stop.side).code(), code, "{stop:?}: {:?}", pair.variation);
    assert!(!pair.server.is_secure(), "{stop:?}: {:?}", pair.variation);
    assert!(!pair.peer(stop.side).connection.waits_for_answer());
    let other = pair.peer(stop.other());
    let noticed = other.failure().is_some() || other.ended == Some(Read::Truncated);
    assert!(noticed, "{stop:?}: {:?}: the other side waits for ever", pair.variation);
    if !pair.variation.is_tls1_3() {
        assert!(!pair.client.is_secure(), "{stop:?}: {:?}", pair.variation);
    }
}

/// A pair at the question, whose world was changed.
pub(crate) fn stopped_with(
    stop: Stop,
    variation: Variation,
    change: impl FnOnce(&mut World),
) -> (Pair, Event) {
    let mut world = stop.world(variation);
    change(&mut world);
    let mut pair = world.driven();
    let question = pair.peer(stop.side).take_question().expect("it is asked");
    (pair, question)
}
