//! Worlds in which both sides are asked for keys, and who answers.

use nodetls_proto::{
    AlertDescription, AskPsk, DhParam, Error, Event, PskAnswer, Question, QuestionKind, Questions,
    SecureContextOptions, Side,
};
use nodetls_test::pair::{
    Pair, Peer, Variation, World, context, context_options, server_identity, with_identity,
};

pub(crate) const IDENTITY: &[u8] = "Client_identity ☃".as_bytes();
pub(crate) const KEY: [u8; 32] = [7; 32];
pub(crate) const ASKED: Questions = Questions::NONE.with(QuestionKind::Psk);

/// Suites up to TLS 1.2, of each key exchange and of both kinds of ciphers.
pub(crate) const SUITES: [&str; 7] = [
    "PSK-AES128-GCM-SHA256",
    "PSK-AES256-CBC-SHA384",
    "DHE-PSK-AES256-GCM-SHA384",
    "DHE-PSK-CHACHA20-POLY1305",
    "ECDHE-PSK-CHACHA20-POLY1305",
    "ECDHE-PSK-AES128-CBC-SHA256",
    "RSA-PSK-AES128-GCM-SHA256",
];

pub(crate) fn options(variation: Variation, suites: &str) -> SecureContextOptions {
    let ciphers = (!variation.is_tls1_3()).then(|| suites.to_owned());
    SecureContextOptions { ciphers, dhparam: Some(DhParam::Auto), ..context_options(variation.version) }
}

/// Both sides are asked for keys; nobody has a certificate.
pub(crate) fn world_with(variation: Variation, suites: &str) -> World {
    let mut world = World::new(variation);
    world.client_context = context(&options(variation, suites));
    world.server_context = world.client_context.clone();
    world.client.questions = ASKED;
    world.server.questions = ASKED;
    world
}

pub(crate) fn world(variation: Variation) -> World {
    world_with(variation, "PSK")
}

/// The same, where the server has a certificate for those who have no key.
pub(crate) fn world_with_certificate(variation: Variation) -> World {
    let mut world = world_with(variation, "PSK:HIGH:!aNULL");
    let identified = with_identity(options(variation, "PSK:HIGH:!aNULL"), server_identity());
    world.server_context = context(&identified);
    world
}

pub(crate) fn answer() -> Option<PskAnswer> {
    Some(PskAnswer::with_identity(IDENTITY, KEY.as_slice()))
}

pub(crate) fn take(peer: &mut Peer) -> Option<Question<AskPsk>> {
    match peer.take_question()? {
        Event::Psk(question) => Some(question),
        other => panic!("{other:?}"),
    }
}

pub(crate) type Answering<'a> = &'a dyn Fn(&AskPsk) -> Option<PskAnswer>;

/// Answers whatever is asked, once nothing else moves, until nothing is asked any more.
pub(crate) fn answer_all(pair: &mut Pair, client: Answering<'_>, server: Answering<'_>) {
    loop {
        pair.drive();
        let (side, question, answering) = match (take(&mut pair.client), take(&mut pair.server)) {
            (Some(question), _) => (Side::Client, question, client),
            (None, Some(question)) => (Side::Server, question, server),
            (None, None) => return,
        };
        let answer = answering(question.facts());
        // Whether an impossible answer is an error of the call too, the event says all there is to know.
        let _ = question.answer(&mut pair.peer(side).connection, answer);
    }
}

pub(crate) fn answered(world: &World, client: Answering<'_>, server: Answering<'_>) -> Pair {
    let mut pair = world.pair();
    answer_all(&mut pair, client, server);
    pair
}

/// A connection in which both sides have the key.
pub(crate) fn agreed(world: &World) -> Pair {
    answered(world, &|_| answer(), &|_| answer())
}

pub(crate) fn assert_by_psk(pair: &mut Pair) {
    pair.assert_connected();
    for peer in [&pair.client, &pair.server] {
        assert!(peer.connection.is_authorized(), "{:?}", pair.variation);
        assert!(peer.connection.authorization_error().is_none());
    }
    assert_eq!(pair.server.connection.psk_identity().as_deref(), Some(IDENTITY));
    pair.send(Side::Client, b"a question");
    pair.send(Side::Server, b"an answer");
}

pub(crate) fn alert_of(peer: &Peer) -> Option<AlertDescription> {
    peer.failure().and_then(Error::alert)
}
