//! Every way of dealing with the question, on both sides and in both versions.

use std::time::Duration;

use nodetls_proto::{AskPsk, Question, Side};
use nodetls_test::pair::{Pair, Variation};

use crate::world::{IDENTITY, answer, answer_all, assert_by_psk, take, world};

/// A pair in which this side is asked.
fn stopped(side: Side, variation: Variation) -> (Pair, Question<AskPsk>) {
    let mut pair = world(variation).driven();
    if side == Side::Server {
        let question = take(&mut pair.client).unwrap();
        question.answer(&mut pair.client.connection, answer()).unwrap();
        pair.drive();
    }
    let question = take(pair.peer(side)).unwrap_or_else(|| panic!("{variation:?}: {:?}", pair.codes()));
    assert!(pair.peer(side).connection.waits_for_answer());
    (pair, question)
}

fn everywhere() -> impl Iterator<Item = (Side, Variation)> {
    let sides = [Side::Client, Side::Server];
    Variation::deliveries().into_iter().flat_map(move |variation| sides.map(|side| (side, variation)))
}

fn other(side: Side) -> Side {
    if side == Side::Client { Side::Server } else { Side::Client }
}

fn assert_failed(side: Side, pair: &mut Pair, code: &str) {
    pair.drive();
    assert_eq!(pair.peer(side).code(), code);
    assert!(!pair.client.is_secure() && !pair.server.is_secure());
    let other = pair.peer(other(side));
    assert!(other.failure().is_some(), "the other side waits for ever");
}

#[test]
fn answered_at_once_or_late_the_handshake_completes() {
    for (side, variation) in everywhere() {
        let (mut pair, question) = stopped(side, variation);
        for _ in 0..20 {
            let now = pair.now + Duration::from_secs(119);
            pair.peer(side).connection.handle_timeout(now);
            pair.peer(side).connection.advance();
            assert!(!pair.step() && !pair.peer(side).connection.has_work(), "{side:?}: {variation:?}");
        }
        question.answer(&mut pair.peer(side).connection, answer()).unwrap();
        answer_all(&mut pair, &|_| answer(), &|_| answer());
        assert_by_psk(&mut pair);
    }
    for variation in Variation::deliveries() {
        let mut pair = world(variation).pair();
        while pair.step() {
            for side in [Side::Client, Side::Server] {
                if let Some(question) = take(pair.peer(side)) {
                    question.answer(&mut pair.peer(side).connection, answer()).unwrap();
                }
            }
        }
        assert_by_psk(&mut pair);
    }
}

#[test]
fn failed_dropped_late_or_closed_the_connection_ends() {
    for (side, variation) in everywhere() {
        let (mut pair, question) = stopped(side, variation);
        question.fail(&mut pair.peer(side).connection, "no").unwrap();
        assert_failed(side, &mut pair, "ERR_TLS_PSK_CALLBACK_FAILED");

        let (mut pair, question) = stopped(side, variation);
        drop(question);
        assert_failed(side, &mut pair, "ERR_TLS_QUESTION_DROPPED");

        let (mut pair, question) = stopped(side, variation);
        let now = pair.now + Duration::from_secs(120);
        pair.peer(side).connection.handle_timeout(now);
        assert_failed(side, &mut pair, "ERR_TLS_HANDSHAKE_TIMEOUT");
        assert!(question.answer(&mut pair.peer(side).connection, answer()).is_err());

        let (mut pair, question) = stopped(side, variation);
        pair.cut(other(side));
        assert_failed_by_cut(side, &mut pair);
        assert!(question.answer(&mut pair.peer(side).connection, answer()).is_err());

        let (mut pair, question) = stopped(side, variation);
        pair.peer(side).connection.send_close_notify();
        assert!(question.answer(&mut pair.peer(side).connection, answer()).is_err());
        pair.drive();
        assert!(!pair.client.is_secure() && !pair.server.is_secure());
    }
}

fn assert_failed_by_cut(side: Side, pair: &mut Pair) {
    pair.drive();
    assert_eq!(pair.peer(side).code(), "ECONNRESET");
    assert!(!pair.client.is_secure() && !pair.server.is_secure());
}

#[test]
fn an_answer_on_another_connection_is_a_misuse() {
    for (side, variation) in everywhere() {
        let (mut own, question) = stopped(side, variation);
        let (mut foreign, theirs) = stopped(side, variation);
        let misuse = question.answer(&mut foreign.peer(side).connection, answer()).unwrap_err();
        assert_eq!(misuse.code(), "ERR_TLS_API_MISUSE");
        assert_failed(side, &mut own, "ERR_TLS_QUESTION_DROPPED");
        theirs.answer(&mut foreign.peer(side).connection, answer()).unwrap();
        answer_all(&mut foreign, &|_| answer(), &|_| answer());
        assert_by_psk(&mut foreign);
    }
}

#[test]
fn neither_keys_nor_identities_are_shown() {
    for (side, variation) in everywhere() {
        let (mut pair, question) = stopped(side, variation);
        let mut shown = format!("{question:?} {:?} {:?}", answer(), pair.peer(side).connection);
        question.answer(&mut pair.peer(side).connection, answer()).unwrap();
        shown += &format!("{:?}", pair.peer(side).connection);
        let identity = format!("{:?}", &IDENTITY[..4]);
        for secret in ["Client_id", identity.trim_matches(['[', ']']), "7, 7, 7"] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
    }
}
