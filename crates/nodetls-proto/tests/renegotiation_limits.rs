//! Renegotiations (TLS 1.2) that are counted, take too long, or are not permitted.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use nodetls_proto::{
    DEFAULT_CLIENT_RENEG_LIMIT, DEFAULT_CLIENT_RENEG_WINDOW, DEFAULT_HANDSHAKE_TIMEOUT, Error, Event,
    OcspStapling, ProtocolVersion, Read, RenegotiateOptions, SecureContextOptions, Side,
};
use nodetls_test::pair::{
    Answers, Delivery, Pair, Peer, Variation, World, context, context_options, server_identity, with_identity,
};

const SIDES: [Side; 2] = [Side::Client, Side::Server];

/// `SSL_OP_NO_RENEGOTIATION`
const NO_RENEGOTIATION: u64 = 1 << 30;

fn variations() -> impl Iterator<Item = Variation> {
    Variation::all().into_iter().filter(|variation| !variation.is_tls1_3())
}

fn plain() -> Variation {
    Variation::plain(ProtocolVersion::Tls1_2)
}

fn renegotiations(peer: &Peer) -> usize {
    peer.events.iter().filter(|event| matches!(event, Event::Renegotiated)).count()
}

fn other(side: Side) -> Side {
    if side == Side::Client { Side::Server } else { Side::Client }
}

/// Renegotiates, which must succeed.
fn renegotiate(pair: &mut Pair, side: Side, options: RenegotiateOptions) {
    let before = renegotiations(&pair.client);
    pair.peer(side).connection.renegotiate(options).unwrap();
    assert!(pair.peer(side).connection.is_renegotiating());
    pair.drive();
    for side in SIDES {
        let peer = pair.peer(side);
        assert_eq!(renegotiations(peer), before + 1, "{side:?}: {:?}", peer.failure());
        assert!(!peer.connection.is_renegotiating());
    }
}

/// Tells the time to both sides as a driver does.
fn tell_time(pair: &mut Pair, after: Duration) {
    let now = pair.now + after;
    for side in SIDES {
        let connection = &mut pair.peer(side).connection;
        while connection.poll_timeout().is_some_and(|deadline| deadline <= now) {
            connection.handle_timeout(now);
        }
    }
}

/// Renegotiates as the peer permits it, and once more, which ends the connection.
fn exhaust(pair: &mut Pair, side: Side, limit: u32) {
    for _ in 0..limit {
        renegotiate(pair, side, RenegotiateOptions::default());
    }
    pair.peer(side).connection.renegotiate(RenegotiateOptions::default()).unwrap();
    pair.drive();
    assert_eq!(pair.peer(other(side)).code(), "ERR_TLS_SESSION_ATTACK", "after {limit}: {side:?}");
    assert_eq!(pair.peer(side).code(), "ERR_SSL_NO_RENEGOTIATION");
}

#[test]
fn the_fourth_renegotiation_of_a_peer_ends_the_connection() {
    assert_eq!((DEFAULT_CLIENT_RENEG_LIMIT, DEFAULT_CLIENT_RENEG_WINDOW.as_secs()), (3, 600));
    for variation in variations() {
        for side in SIDES {
            exhaust(&mut World::new(variation).connected(), side, 3);
        }
    }
}

#[test]
fn the_limit_is_the_one_that_was_set_for_each_connection() {
    for limit in [0, 1, 5] {
        for side in SIDES {
            let mut world = World::new(plain());
            world.server.renegotiation_limit = limit;
            world.client.renegotiation_limit = limit;
            exhaust(&mut world.connected(), side, limit);
            exhaust(&mut world.connected(), side, limit);
        }
    }
}

#[test]
fn renegotiations_that_follow_each_other_without_a_pause_are_counted() {
    for answers in [Answers::Unasked, Answers::AtOnce, Answers::Late] {
        let mut pair =
            World::new(Variation { delivery: Delivery::Coalesced, answers, ..plain() }).connected();
        for number in 1..=4 {
            pair.server.connection.renegotiate(RenegotiateOptions::default()).unwrap();
            // The server's last message is still on its way when it asks again, so that both arrive together.
            while renegotiations(&pair.server) < number && pair.server.failure().is_none() {
                if !pair.step() {
                    pair.drive();
                    break;
                }
            }
        }
        pair.drive();
        assert_eq!(pair.client.code(), "ERR_TLS_SESSION_ATTACK", "{answers:?}");
        assert_eq!(pair.server.code(), "ERR_SSL_NO_RENEGOTIATION", "{answers:?}");
    }
}

#[test]
fn the_count_begins_anew_when_the_window_is_over() {
    for side in SIDES {
        let mut pair = World::new(plain()).connected();
        for window in 0..3 {
            for number in 0..3 {
                renegotiate(&mut pair, side, RenegotiateOptions::default());
                tell_time(&mut pair, DEFAULT_CLIENT_RENEG_WINDOW * window + Duration::from_secs(number));
            }
            tell_time(&mut pair, DEFAULT_CLIENT_RENEG_WINDOW * (window + 1));
        }
        tell_time(&mut pair, DEFAULT_CLIENT_RENEG_WINDOW * 4 - Duration::from_secs(1));
        exhaust(&mut pair, side, 3);
    }
}

#[test]
fn the_window_is_the_one_that_was_set() {
    let mut world = World::new(plain());
    world.server.renegotiation_limit = 1;
    world.server.renegotiation_window = Duration::from_secs(2);
    let mut pair = world.connected();
    renegotiate(&mut pair, Side::Client, RenegotiateOptions::default());
    tell_time(&mut pair, Duration::ZERO);
    assert_eq!(pair.server.connection.poll_timeout(), Some(pair.now + Duration::from_secs(2)));
    tell_time(&mut pair, Duration::from_secs(2));
    assert_eq!(pair.server.connection.poll_timeout(), None);
    exhaust(&mut pair, Side::Client, 1);
}

#[test]
fn own_renegotiations_are_not_counted() {
    let mut world = World::new(plain());
    world.client.renegotiation_limit = 100;
    let mut pair = world.connected();
    for _ in 0..10 {
        renegotiate(&mut pair, Side::Server, RenegotiateOptions::default());
    }
    for _ in 0..3 {
        renegotiate(&mut pair, Side::Client, RenegotiateOptions::default());
    }
    // Not even when the client has none left.
    renegotiate(&mut pair, Side::Server, RenegotiateOptions::default());
    exhaust(&mut pair, Side::Client, 0);
}

#[test]
fn status_requests_do_not_pile_up_over_renegotiations() {
    let mut world = World::new(plain());
    world.client.ocsp = OcspStapling::Requested;
    exhaust(&mut world.connected(), Side::Client, 3);
}

#[test]
fn a_renegotiation_has_a_time_limit() {
    for side in SIDES {
        let mut pair = World::new(plain()).connected();
        pair.peer(side).connection.renegotiate(RenegotiateOptions::default()).unwrap();
        tell_time(&mut pair, Duration::ZERO);
        tell_time(&mut pair, DEFAULT_HANDSHAKE_TIMEOUT - Duration::from_nanos(1));
        assert!(pair.peer(side).connection.error().is_none());
        tell_time(&mut pair, DEFAULT_HANDSHAKE_TIMEOUT);
        assert_eq!(pair.peer(side).connection.error().unwrap().code(), "ERR_TLS_HANDSHAKE_TIMEOUT");
    }
}

#[test]
fn a_renegotiation_that_is_done_leaves_no_time_limit_behind() {
    for side in SIDES {
        let mut world = World::new(plain());
        world.client.renegotiation_limit = 10;
        let mut pair = world.connected();
        pair.peer(side).connection.renegotiate(RenegotiateOptions::default()).unwrap();
        tell_time(&mut pair, Duration::ZERO);
        pair.drive();
        tell_time(&mut pair, DEFAULT_CLIENT_RENEG_WINDOW * 10);
        pair.send(Side::Client, b"still here");
        assert_eq!(pair.peer(side).connection.poll_timeout(), None);
    }
}

// ---- faults ----

#[test]
fn a_renegotiation_that_is_tampered_with_fails() {
    for side in SIDES {
        for position in (0..400).step_by(9) {
            let mut pair = World::new(plain()).connected();
            let sent = pair.client.sent;
            pair.tamper(Side::Client, sent + position, 0x20);
            pair.peer(side).connection.renegotiate(RenegotiateOptions::default()).unwrap();
            pair.drive();
            assert_eq!(renegotiations(&pair.server), 0, "{position}");
        }
    }
}

#[test]
fn a_transport_that_ends_anywhere_in_a_renegotiation_ends_the_wait() {
    let variation = Variation { delivery: Delivery::Odd, ..plain() };
    for asking in SIDES {
        for cutting in SIDES {
            for steps in (0..300).step_by(7) {
                let mut pair = World::new(variation).connected();
                pair.peer(asking).connection.renegotiate(RenegotiateOptions::default()).unwrap();
                for _ in 0..steps {
                    pair.step();
                }
                pair.cut(cutting);
                pair.drive();
                let peer = pair.peer(other(cutting));
                assert!(!peer.connection.is_renegotiating(), "{asking:?}, {cutting:?}: {steps}");
                let is_over = peer.connection.error().is_some() || peer.ended == Some(Read::Truncated);
                assert!(is_over, "{asking:?}, {cutting:?}: {steps}");
            }
        }
    }
}

// ---- refusals ----

#[test]
fn a_side_that_disabled_renegotiation_ends_the_connection_of_a_peer_that_tries() {
    for variation in variations() {
        for side in SIDES {
            for at_once in [true, false] {
                let mut pair = World::new(variation).pair();
                if at_once {
                    pair.peer(other(side)).connection.disable_renegotiation();
                }
                pair.drive();
                pair.peer(other(side)).connection.disable_renegotiation();
                pair.send(side, b"data still flows");
                pair.peer(side).connection.renegotiate(RenegotiateOptions::default()).unwrap();
                pair.drive();
                assert_eq!(pair.peer(other(side)).code(), "ERR_TLS_RENEGOTIATION_DISABLED");
                assert_eq!(pair.peer(side).code(), "ERR_SSL_NO_RENEGOTIATION", "{variation:?}");
            }
        }
    }
}

#[test]
fn a_side_that_disabled_renegotiation_cannot_ask_for_it() {
    for side in SIDES {
        let mut pair = World::new(plain()).connected();
        pair.peer(side).connection.disable_renegotiation();
        let error = pair.peer(side).connection.renegotiate(RenegotiateOptions::default()).unwrap_err();
        assert_eq!(error.code(), "ERR_TLS_RENEGOTIATION_DISABLED");
        pair.send(Side::Client, b"goes on");
    }
}

#[test]
fn a_context_without_renegotiation_refuses_it_and_goes_on_up_to_the_limit() {
    let options = SecureContextOptions {
        secure_options: NO_RENEGOTIATION,
        ..with_identity(context_options(ProtocolVersion::Tls1_2), server_identity())
    };
    let mut world = World::new(plain());
    world.server_context = context(&options);
    let mut pair = world.connected();
    let error = pair.server.connection.renegotiate(RenegotiateOptions::default()).unwrap_err();
    assert_eq!(error.code(), "ERR_TLS_RENEGOTIATION_DISABLED");
    pair.client.connection.renegotiate(RenegotiateOptions::default()).unwrap();
    pair.drive();
    assert_eq!(pair.client.code(), "ERR_SSL_NO_RENEGOTIATION");
    assert!(!matches!(pair.server.failure(), Some(Error::Renegotiation(_))));
}

#[test]
fn tls_1_3_has_no_renegotiation() {
    for variation in Variation::all().into_iter().filter(Variation::is_tls1_3) {
        let mut pair = World::new(variation).connected();
        for side in SIDES {
            let error = pair.peer(side).connection.renegotiate(RenegotiateOptions::default()).unwrap_err();
            assert_eq!(error.code(), "ERR_SSL_WRONG_SSL_VERSION");
            assert!(!pair.peer(side).connection.is_renegotiating());
        }
        pair.send(Side::Client, b"goes on");
        pair.send(Side::Server, b"goes on");
    }
}

#[test]
fn a_renegotiation_is_refused_where_the_connection_is_not_open_or_has_one_already() {
    let code = |peer: &mut Peer| {
        peer.connection.renegotiate(RenegotiateOptions::default()).unwrap_err().code().into_owned()
    };
    for side in SIDES {
        let mut pair = World::new(plain()).pair();
        assert_eq!(code(pair.peer(side)), "ERR_TLS_API_MISUSE");
        pair.drive();
        pair.peer(side).connection.renegotiate(RenegotiateOptions::default()).unwrap();
        assert_eq!(code(pair.peer(side)), "ERR_TLS_API_MISUSE");
        pair.drive();
        assert_eq!(renegotiations(pair.peer(side)), 1);
        pair.close(side);
        assert_eq!(code(pair.peer(side)), "ERR_TLS_API_MISUSE");
    }
}
