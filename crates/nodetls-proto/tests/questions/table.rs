//! All questions × all ways of dealing with them × all ways of delivery × TLS 1.2 and 1.3.

use std::error::Error as _;
use std::time::Duration;

use nodetls_proto::{Error, Event, QuestionKind, Read, Side};
use nodetls_test::pair::{Variation, decline};

use crate::stops::{Ending, NEW_SESSION, Stop, agree, assert_failed, assert_misuse, fail};

/// The code of an error that the program gives instead of an answer.
fn failure(kind: QuestionKind) -> &'static str {
    match kind {
        QuestionKind::ClientHello => "ERR_TLS_CLIENT_HELLO_REFUSED",
        QuestionKind::SelectContext => "ERR_TLS_SNI_CALLBACK_FAILED",
        QuestionKind::SelectAlpn => "ERR_TLS_ALPN_CALLBACK_FAILED",
        QuestionKind::ResumeSession => "ERR_TLS_RESUME_SESSION_FAILED",
        QuestionKind::OcspRequest => "ERR_TLS_OCSP_REQUEST_FAILED",
        QuestionKind::VerifyPeer => "ERR_TLS_VERIFY_PEER_FAILED",
        QuestionKind::NewSession => "ERR_TLS_NEW_SESSION_FAILED",
        QuestionKind::Psk => "ERR_TLS_PSK_CALLBACK_FAILED",
        QuestionKind::Sign => "ERR_TLS_SIGN_FAILED",
        other => panic!("{other:?} is not in the table"),
    }
}

#[test]
fn answered_at_once_the_handshake_completes() {
    for (stop, variation) in Stop::everywhere() {
        let (mut pair, question) = stop.stopped(variation);
        agree(question, &mut pair.peer(stop.side).connection).unwrap();
        stop.decline_rest(&mut pair);
        pair.assert_connected();
        stop.assert_resumed(&pair);
        pair.send(Side::Client, b"hello");
        pair.send(Side::Server, b"hello");
    }
}

#[test]
fn declined_the_handshake_completes() {
    for (stop, variation) in Stop::everywhere().filter(|(stop, _)| stop.kind != QuestionKind::Sign) {
        let (mut pair, question) = stop.stopped(variation);
        decline(question, &mut pair.peer(stop.side).connection);
        stop.decline_rest(&mut pair);
        pair.assert_connected();
        assert_eq!(pair.client.connection.alpn_protocol(), Some(&b"h2"[..]), "{stop:?}");
        assert!(stop.kind == QuestionKind::Psk || !pair.client.connection.is_session_reused(), "{stop:?}");
    }
}

#[test]
fn a_signature_that_is_declined_fails_the_handshake() {
    for (stop, variation) in Stop::everywhere().filter(|(stop, _)| stop.kind == QuestionKind::Sign) {
        let (mut pair, question) = stop.stopped(variation);
        let Event::Sign(question) = question else { panic!("{question:?}") };
        question.decline(&mut pair.peer(stop.side).connection).unwrap_err();
        assert_failed(stop, &mut pair, failure(stop.kind));
    }
}

#[test]
fn answered_late_the_handshake_completes_and_nothing_happens_before() {
    for (stop, variation) in Stop::everywhere() {
        let (mut pair, question) = stop.stopped(variation);
        let sent = (pair.client.sent, pair.server.sent);
        for _ in 0..50 {
            let now = pair.now + Duration::from_secs(119);
            pair.peer(stop.side).connection.handle_timeout(now);
            pair.peer(stop.side).connection.advance();
            assert!(!pair.step(), "{stop:?}: {variation:?}");
        }
        assert_eq!(sent, (pair.client.sent, pair.server.sent));
        assert!(!pair.peer(stop.side).connection.has_work());
        agree(question, &mut pair.peer(stop.side).connection).unwrap();
        stop.decline_rest(&mut pair);
        pair.assert_connected();
        stop.assert_resumed(&pair);
    }
}

#[test]
fn failed_with_an_error_the_connection_ends_with_the_code_of_the_question() {
    for (stop, variation) in Stop::everywhere() {
        let (mut pair, question) = stop.stopped(variation);
        fail(question, &mut pair.peer(stop.side).connection).unwrap();
        assert_failed(stop, &mut pair, failure(stop.kind));
        // What the program gave is there to be read.
        let error = pair.peer(stop.side).failure().unwrap();
        assert_eq!(error.to_string(), "no");
        assert!(matches!(error, Error::Callback(error) if error.source.to_string() == "no"));
    }
}

#[test]
fn the_programs_error_is_kept_whole_with_its_sources() {
    let source = std::io::Error::other("the disk is full");
    let (mut pair, question) = NEW_SESSION.stopped(Variation::versions()[1]);
    let Event::NewSession(question) = question else { panic!("{question:?}") };
    question.fail(&mut pair.server.connection, std::io::Error::other(source)).unwrap();
    pair.drive();
    let error = pair.server.failure().unwrap();
    let Error::Callback(callback) = error else { panic!("{error:?}") };
    assert!(callback.source.is::<std::io::Error>());
    assert_eq!(error.to_string(), "the disk is full");
    assert_eq!(error.source().map(ToString::to_string), callback.source.source().map(ToString::to_string));
}

#[test]
fn dropped_the_connection_ends_instead_of_hanging() {
    for (stop, variation) in Stop::everywhere() {
        let (mut pair, question) = stop.stopped(variation);
        drop(question);
        assert_failed(stop, &mut pair, "ERR_TLS_QUESTION_DROPPED");
    }
}

#[test]
fn a_question_is_moot_when_the_transport_ends_in_the_middle_of_the_handshake() {
    for (stop, variation) in Stop::everywhere().filter(|(stop, _)| !stop.is_last()) {
        for answer in [agree, fail] {
            let (mut pair, question) = stop.stopped(variation);
            pair.cut(stop.other());
            pair.drive();
            assert_eq!(pair.peer(stop.side).code(), "ECONNRESET", "{stop:?}: {variation:?}");
            assert_misuse(answer(question, &mut pair.peer(stop.side).connection));
        }
    }
}

#[test]
fn a_question_after_the_peers_last_message_outlives_the_transport() {
    for (stop, variation) in Stop::everywhere().filter(|(stop, _)| stop.is_last()) {
        let (mut pair, question) = stop.stopped(variation);
        pair.cut(stop.other());
        pair.drive();
        assert!(pair.peer(stop.side).connection.waits_for_answer(), "{stop:?}: {variation:?}");
        agree(question, &mut pair.peer(stop.side).connection).unwrap();
        stop.decline_rest(&mut pair);
        assert!(pair.server.is_secure(), "{stop:?}: {variation:?}");
        assert_eq!(pair.server.ended, Some(Read::Truncated));
    }
}

#[test]
fn failed_or_dropped_after_the_transport_has_ended_the_connection_ends() {
    for (stop, variation) in Stop::everywhere().filter(|(stop, _)| stop.is_last()) {
        let ways: [(Ending, &str); 2] = [
            (|question, connection| fail(question, connection).unwrap(), failure(stop.kind)),
            (|question, _| drop(question), "ERR_TLS_QUESTION_DROPPED"),
        ];
        for (way, code) in ways {
            let (mut pair, question) = stop.stopped(variation);
            pair.cut(stop.other());
            pair.drive();
            way(question, &mut pair.peer(stop.side).connection);
            pair.drive();
            assert_eq!(pair.peer(stop.side).code(), code, "{stop:?}: {variation:?}");
        }
    }
}

#[test]
fn answered_on_another_connection_it_is_a_misuse_that_harms_only_its_own() {
    for (stop, variation) in Stop::everywhere() {
        let (mut own, question) = stop.stopped(variation);
        let (mut foreign, theirs) = stop.stopped(variation);
        assert_misuse(agree(question, &mut foreign.peer(stop.side).connection));
        assert!(foreign.peer(stop.side).connection.waits_for_answer());
        agree(theirs, &mut foreign.peer(stop.side).connection).unwrap();
        stop.decline_rest(&mut foreign);
        foreign.assert_connected();
        assert_failed(stop, &mut own, "ERR_TLS_QUESTION_DROPPED");
    }
}

#[test]
fn answered_on_the_other_side_it_is_a_misuse() {
    for (stop, variation) in Stop::everywhere() {
        for answer in [agree, fail] {
            let (mut pair, question) = stop.stopped(variation);
            assert_misuse(answer(question, &mut pair.peer(stop.other()).connection));
            assert!(pair.peer(stop.other()).connection.error().is_none());
            assert_failed(stop, &mut pair, "ERR_TLS_QUESTION_DROPPED");
        }
    }
}

#[test]
fn answered_after_the_connection_has_failed_it_is_a_misuse() {
    for (stop, variation) in Stop::everywhere() {
        for answer in [agree, fail] {
            let (mut pair, question) = stop.stopped(variation);
            let now = pair.now + Duration::from_secs(120);
            pair.peer(stop.side).connection.handle_timeout(now);
            assert_failed(stop, &mut pair, "ERR_TLS_HANDSHAKE_TIMEOUT");
            assert_misuse(answer(question, &mut pair.peer(stop.side).connection));
            pair.drive();
            assert_eq!(pair.peer(stop.side).code(), "ERR_TLS_HANDSHAKE_TIMEOUT", "{stop:?}: {variation:?}");
        }
    }
}

#[test]
fn answered_after_the_connection_was_closed_it_is_a_misuse() {
    for (stop, variation) in Stop::everywhere() {
        for answer in [agree, fail] {
            let (mut pair, question) = stop.stopped(variation);
            let sent = pair.peer(stop.side).sent;
            pair.peer(stop.side).connection.send_close_notify();
            assert!(!pair.peer(stop.side).connection.waits_for_answer());
            assert_misuse(answer(question, &mut pair.peer(stop.side).connection));
            pair.drive();
            assert_eq!(pair.peer(stop.side).sent, sent, "{stop:?}: {variation:?}");
            assert!(!pair.peer(stop.side).is_secure());
        }
    }
}
