//! Application data: all of it arrives, in order and once; ends are told apart; nothing grows without bound.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Instant;

use bytes::BufMut;
use nodetls_proto::{AlertDescription, Connection, Error, Event, Read, Side};
use nodetls_test::pair::{Delivery, Pair, Variation, World};

/// A multiple of 16 KiB records, and what a driver may keep on top of 64 KiB before it says that it is full.
const CAPACITY: usize = 64 * 1024;
const ONE_RECORD: usize = 16 * 1024 + 256;

/// Bytes that repeat only after 64 KiB, so that a lost or doubled record shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8).collect()
}

/// How much is sent where each byte may cost a step.
fn amount(variation: Variation) -> usize {
    if variation.delivery == Delivery::OneByte { 64 * 1024 } else { 1024 * 1024 }
}

fn read_all(connection: &mut Connection) -> (Vec<u8>, Read) {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match connection.read_plaintext(&mut buffer[..]).unwrap() {
            Read::Plaintext(count) => all.extend_from_slice(&buffer[..count]),
            end => return (all, end),
        }
    }
}

/// Takes all that a connection has to send.
fn sent_by(connection: &mut Connection) -> Vec<u8> {
    let bytes = connection.poll_transmit().unwrap_or_default().to_vec();
    connection.transmitted(bytes.len());
    bytes
}

fn sides() -> [Side; 2] {
    [Side::Client, Side::Server]
}

fn other(side: Side) -> Side {
    if side == Side::Client { Side::Server } else { Side::Client }
}

// ---- all arrives ----

#[test]
fn a_mebibyte_arrives_in_each_direction() {
    for variation in Variation::deliveries() {
        let mut pair = World::new(variation).connected();
        let bytes = pattern(amount(variation));
        pair.send(Side::Client, &bytes);
        pair.send(Side::Server, &bytes);
        pair.close(Side::Client);
        assert_eq!((pair.client.received.len(), pair.server.received.len()), (bytes.len(), bytes.len()));
    }
}

#[test]
fn a_mebibyte_arrives_in_both_directions_at_once() {
    for variation in Variation::deliveries() {
        let mut pair = World::new(variation).connected();
        let bytes = pattern(amount(variation));
        let mut written = [0, 0];
        while written != [bytes.len(); 2] {
            for (side, written) in sides().into_iter().zip(&mut written) {
                *written += pair.peer(side).connection.write_plaintext(&bytes[*written..]).unwrap();
            }
            pair.drive();
        }
        assert!(pair.client.received == bytes && pair.server.received == bytes, "{variation:?}");
    }
}

#[test]
fn writes_of_one_byte_arrive_in_order() {
    for variation in Variation::deliveries() {
        let mut pair = World::new(variation).connected();
        let bytes = pattern(500);
        for byte in bytes.chunks(1) {
            assert_eq!(pair.client.connection.write_plaintext(byte).unwrap(), 1);
        }
        pair.drive();
        assert_eq!(pair.server.received, bytes, "{variation:?}");
    }
}

#[test]
fn reads_of_one_byte_lose_nothing() {
    for variation in Variation::versions() {
        let mut pair = World::new(variation).connected();
        pair.server.reads = false;
        let bytes = pattern(40_000);
        assert_eq!(pair.client.connection.write_plaintext(&bytes).unwrap(), bytes.len());
        pair.drive();
        let mut got = Vec::new();
        let mut byte = [0];
        while pair.server.connection.read_plaintext(&mut byte[..]).unwrap() == Read::Plaintext(1) {
            got.push(byte[0]);
        }
        assert!(got == bytes, "{variation:?}");
    }
}

#[test]
fn what_a_small_buffer_leaves_of_a_record_still_waits_to_be_read() {
    for variation in Variation::versions() {
        let mut pair = World::new(variation).connected();
        pair.client.connection.write_plaintext(&pattern(1000)).unwrap();
        let record = sent_by(&mut pair.client.connection);
        let server = &mut pair.server.connection;
        assert_eq!(server.handle_ciphertext(&record), record.len());
        let mut first = [0; 10];
        assert_eq!(server.read_plaintext(&mut first[..]).unwrap(), Read::Plaintext(10));
        assert!(server.has_received());
        assert_eq!(read_all(server).0, pattern(1000)[10..]);
        assert!(!server.has_received());
    }
}

/// What was taken in comes first, then what is lent; what is not used is left to the caller, and nothing is lost.
#[test]
fn bytes_that_are_lent_follow_upon_those_received() {
    for variation in Variation::versions() {
        for piece in [1, 7, 1000, 16 * 1024, 40_000] {
            let mut pair = World::new(variation).connected();
            let text = pattern(40_000);
            assert_eq!(pair.client.connection.write_plaintext(&text).unwrap(), text.len());
            let sent = sent_by(&mut pair.client.connection);
            let server = &mut pair.server.connection;
            let (mut got, mut room) = (Vec::new(), [0; 3000]);
            for (number, chunk) in sent.chunks(piece).enumerate() {
                let mut source = chunk;
                if number % 2 == 1 {
                    let taken = server.handle_ciphertext(&chunk[..chunk.len() / 2]);
                    source = &chunk[taken..];
                }
                // The reader has enough after a while; the rest is offered as usual.
                for _ in 0..number % 5 {
                    let Read::Plaintext(count) =
                        server.read_plaintext_from(&mut source, &mut room[..]).unwrap()
                    else {
                        assert!(source.is_empty());
                        break;
                    };
                    got.extend_from_slice(&room[..count]);
                }
                while !source.is_empty() {
                    let taken = server.handle_ciphertext(source);
                    source = &source[taken..];
                    if !source.is_empty() {
                        got.append(&mut read_all(server).0);
                    }
                }
            }
            got.append(&mut read_all(server).0);
            assert!(got == text, "{variation:?}, pieces of {piece}: {} bytes", got.len());
            assert!(!server.has_received());
        }
    }
}

#[test]
fn bytes_received_without_a_copy_count_as_received() {
    for variation in Variation::versions() {
        let mut pair = World::new(variation).connected();
        let bytes = pattern(200_000);
        let (mut written, mut got) = (0, Vec::new());
        while got.len() < bytes.len() {
            written += pair.client.connection.write_plaintext(&bytes[written..]).unwrap();
            let ciphertext = sent_by(&mut pair.client.connection);
            let mut rest = ciphertext.as_slice();
            while !rest.is_empty() {
                let mut room = pair.server.connection.receive_buffer().unwrap();
                let count = room.remaining_mut().min(rest.len()).min(5000);
                room.put_slice(&rest[..count]);
                drop(room);
                rest = &rest[count..];
                got.extend(read_all(&mut pair.server.connection).0);
            }
        }
        assert!(got == bytes, "{variation:?}");
    }
}

#[test]
fn data_flows_on_after_buffers_were_released() {
    for variation in Variation::deliveries() {
        let mut pair = World::new(variation).connected();
        for _ in 0..3 {
            for side in sides() {
                pair.peer(side).connection.release_buffers();
                pair.send(side, &pattern(20_000));
            }
        }
    }
}

#[test]
fn an_empty_write_sends_nothing() {
    for variation in Variation::versions() {
        let mut pair = World::new(variation).connected();
        for side in sides() {
            let connection = &mut pair.peer(side).connection;
            assert_eq!(connection.write_plaintext(b"").unwrap(), 0);
            assert!(connection.poll_transmit().is_none());
        }
    }
}

#[test]
fn a_read_without_room_takes_nothing() {
    for variation in Variation::versions() {
        let mut pair = World::new(variation).connected();
        pair.server.reads = false;
        pair.client.connection.write_plaintext(b"kept").unwrap();
        pair.drive();
        let server = &mut pair.server.connection;
        assert!(server.has_received());
        assert_eq!(server.read_plaintext(&mut [0u8; 0][..]).unwrap(), Read::Plaintext(0));
        assert_eq!(read_all(server), (b"kept".to_vec(), Read::Blocked));
        assert!(!server.has_received());
    }
}

#[test]
fn saying_that_more_was_sent_than_there_is_does_no_harm() {
    for variation in Variation::versions() {
        let mut pair = World::new(variation).connected();
        for count in [1, usize::MAX / 2] {
            pair.client.connection.transmitted(count);
        }
        pair.send(Side::Client, b"still here");
    }
}

// ---- before and after ----

#[test]
fn nothing_is_written_or_read_before_the_handshake_is_done() {
    for variation in Variation::all() {
        let mut pair = World::new(variation).pair();
        while !pair.client.connection.is_open() {
            for side in sides() {
                let connection = &mut pair.peer(side).connection;
                if connection.is_handshaking() {
                    assert_eq!(connection.write_plaintext(b"early").unwrap(), 0, "{variation:?}");
                    assert_eq!(connection.read_plaintext(&mut [0; 8][..]).unwrap(), Read::Blocked);
                }
            }
            if !pair.step() {
                pair.drive();
            }
        }
        pair.drive();
        pair.assert_connected();
        assert!(pair.server.received.is_empty() && pair.client.received.is_empty());
    }
}

#[test]
fn a_write_after_close_notify_is_a_misuse_that_changes_nothing() {
    for variation in Variation::all() {
        let mut pair = World::new(variation).connected();
        pair.client.connection.send_close_notify();
        let error = pair.client.connection.write_plaintext(b"late").unwrap_err();
        assert!(matches!(error, Error::ApiMisuse(_)));
        pair.drive();
        assert!(pair.server.received.is_empty());
        assert_eq!(pair.server.ended, Some(Read::Closed));
        pair.send(Side::Server, b"still read");
        assert!(pair.client.connection.error().is_none(), "{variation:?}");
    }
}

#[test]
fn each_direction_is_closed_on_its_own() {
    for variation in Variation::all() {
        for first in sides() {
            let mut pair = World::new(variation).connected();
            pair.send(first, b"last words");
            pair.peer(first).connection.send_close_notify();
            pair.drive();
            assert_eq!(pair.peer(other(first)).ended, Some(Read::Closed));
            assert!(pair.peer(other(first)).connection.is_close_notify_received());
            assert_eq!(pair.peer(first).ended, None);
            pair.send(other(first), &pattern(100_000));
            pair.close(other(first));
            assert!(pair.client.failure().is_none() && pair.server.failure().is_none(), "{variation:?}");
        }
    }
}

#[test]
fn close_notify_follows_the_data_that_was_written_before() {
    for variation in Variation::all() {
        let mut pair = World::new(variation).connected();
        let bytes = pattern(30_000);
        assert_eq!(pair.server.connection.write_plaintext(&bytes).unwrap(), bytes.len());
        pair.server.connection.send_close_notify();
        pair.drive();
        assert!(pair.client.received == bytes, "{variation:?}");
        assert_eq!(pair.client.ended, Some(Read::Closed));
    }
}

#[test]
fn close_notify_is_sent_once() {
    for variation in Variation::versions() {
        let mut pair = World::new(variation).connected();
        pair.client.connection.send_close_notify();
        assert!(!sent_by(&mut pair.client.connection).is_empty());
        pair.client.connection.send_close_notify();
        assert!(pair.client.connection.poll_transmit().is_none());
    }
}

#[test]
fn close_notify_is_reported_as_an_alert_and_not_as_a_failure() {
    for variation in Variation::all() {
        let mut pair = World::new(variation).connected();
        pair.close(Side::Client);
        let is_close = |event: &Event| matches!(event, Event::AlertReceived(alert) if *alert == AlertDescription::CLOSE_NOTIFY);
        for peer in [&pair.client, &pair.server] {
            assert_eq!(peer.events.iter().filter(|event| is_close(event)).count(), 1, "{variation:?}");
            assert!(peer.failure().is_none());
        }
    }
}

#[test]
fn alerts_can_be_forgotten_by_whoever_reads_the_end() {
    for forgets in [false, true] {
        for variation in Variation::versions() {
            let mut pair = World::new(variation).connected();
            pair.client.connection.send_close_notify();
            let bytes = sent_by(&mut pair.client.connection);
            let server = &mut pair.server.connection;
            assert_eq!(server.handle_ciphertext(&bytes), bytes.len());
            assert!(matches!(server.read_plaintext(&mut Vec::with_capacity(8)), Ok(Read::Closed)));
            assert!(server.has_events());
            if forgets {
                server.forget_alerts();
            }
            assert_eq!(server.has_events(), !forgets, "{variation:?}");
            assert_eq!(server.poll_event().is_some(), !forgets, "{variation:?}");
        }
    }
}

#[test]
fn a_connection_closed_before_the_handshake_just_ends() {
    for variation in Variation::all() {
        for side in sides() {
            let mut pair = World::new(variation).pair();
            pair.peer(side).connection.send_close_notify();
            pair.cut(side);
            pair.drive();
            let peer = pair.peer(side);
            assert!(!peer.connection.is_open() && !peer.connection.is_handshaking());
            assert!(peer.failure().is_none());
            assert_eq!(peer.connection.read_plaintext(&mut [0; 8][..]).unwrap(), Read::Closed);
            assert!(peer.connection.poll_timeout().is_none());
            assert_eq!(pair.peer(other(side)).code(), "ECONNRESET", "{variation:?}");
        }
    }
}

// ---- truncation ----

#[test]
fn the_end_of_the_transport_without_close_notify_is_told_apart() {
    for variation in Variation::all() {
        for side in sides() {
            let mut pair = World::new(variation).connected();
            pair.send(side, b"maybe not all");
            pair.cut(side);
            pair.drive();
            let reader = pair.peer(other(side));
            assert_eq!(reader.ended, Some(Read::Truncated), "{variation:?}");
            assert_eq!(reader.connection.read_plaintext(&mut [0; 8][..]).unwrap(), Read::Truncated);
            assert!(!reader.connection.is_close_notify_received());
            assert!(!reader.connection.wants_ciphertext());

            let mut pair = World::new(variation).connected();
            pair.peer(side).connection.send_close_notify();
            pair.cut(side);
            pair.drive();
            let reader = pair.peer(other(side));
            assert_eq!(reader.ended, Some(Read::Closed), "{variation:?}");
            assert_eq!(reader.connection.read_plaintext(&mut [0; 8][..]).unwrap(), Read::Closed);
        }
    }
}

#[test]
fn a_record_cut_anywhere_is_a_truncation_after_the_records_before_it() {
    for variation in Variation::versions() {
        let length = record_of(&mut World::new(variation).connected()).len();
        for cut in 0..length {
            let mut pair = World::new(variation).connected();
            pair.send(Side::Client, b"whole");
            let record = record_of(&mut pair);
            assert_eq!(pair.server.connection.handle_ciphertext(&record[..cut]), cut);
            pair.server.connection.handle_eof();
            assert_eq!(read_all(&mut pair.server.connection), (Vec::new(), Read::Truncated), "byte {cut}");
        }
    }
}

fn record_of(pair: &mut Pair) -> Vec<u8> {
    pair.client.connection.write_plaintext(b"a record").unwrap();
    sent_by(&mut pair.client.connection)
}

#[test]
fn data_that_came_before_the_end_of_the_transport_can_still_be_read() {
    for variation in Variation::versions() {
        let mut pair = World::new(variation).connected();
        let record = record_of(&mut pair);
        pair.server.connection.handle_ciphertext(&record);
        pair.server.connection.handle_eof();
        assert_eq!(read_all(&mut pair.server.connection), (b"a record".to_vec(), Read::Truncated));
    }
}

#[test]
fn the_end_of_the_transport_in_the_handshake_is_a_connection_reset() {
    for variation in Variation::deliveries() {
        for side in sides() {
            for steps in 0..6 {
                let mut pair = World::new(variation).pair();
                for _ in 0..steps {
                    pair.step();
                }
                pair.cut(side);
                // What is under way arrives; after that, the side that was left alone must notice.
                pair.peer(side).connection.send_close_notify();
                pair.drive();
                let left = pair.peer(other(side));
                if left.is_secure() {
                    assert!(left.ended.is_some(), "{variation:?}");
                    continue;
                }
                assert_eq!(left.code(), "ECONNRESET", "{side:?} left after {steps} steps: {variation:?}");
                let error = left.failure().unwrap();
                assert!(matches!(error, Error::Truncated { during_handshake: true }));
                assert!(left.connection.poll_timeout().is_none());
            }
        }
    }
}

// ---- limits ----

#[test]
fn a_peer_that_never_reads_stops_the_writer() {
    for variation in Variation::versions() {
        for side in sides() {
            let mut pair = World::new(variation).connected();
            let connection = &mut pair.peer(side).connection;
            let bytes = pattern(1024 * 1024);
            let mut written = 0;
            for _ in 0..100 {
                written += connection.write_plaintext(&bytes[written..]).unwrap();
            }
            assert!(connection.is_backlogged());
            assert!(written < CAPACITY + ONE_RECORD, "{written} bytes are taken");
            let waiting = connection.poll_transmit().unwrap().len();
            assert!(waiting < CAPACITY + 2 * ONE_RECORD, "{waiting} bytes wait");
            // It goes on from where it stopped as soon as the transport takes bytes.
            while written < bytes.len() {
                pair.drive();
                written += pair.peer(side).connection.write_plaintext(&bytes[written..]).unwrap();
            }
            pair.drive();
            assert!(pair.peer(other(side)).received == bytes);
        }
    }
}

#[test]
fn a_peer_that_floods_finds_no_more_room_than_there_is() {
    for variation in Variation::deliveries() {
        let mut pair = World::new(variation).connected();
        pair.server.reads = false;
        let bytes = pattern(1024 * 1024);
        let mut written = 0;
        for _ in 0..40 {
            written += pair.client.connection.write_plaintext(&bytes[written..]).unwrap();
            pair.drive();
        }
        let (client, server) = (&pair.client, &mut pair.server);
        assert!(client.has_undelivered(), "{variation:?}: all was taken in");
        assert!(!server.connection.wants_ciphertext());
        assert!(server.received.is_empty());
        server.reads = true;
        pair.drive();
        while written < bytes.len() {
            written += pair.client.connection.write_plaintext(&bytes[written..]).unwrap();
            pair.drive();
        }
        assert!(pair.server.received == bytes, "{variation:?}");
    }
}

#[test]
fn ciphertext_beyond_the_room_is_not_taken() {
    for variation in Variation::versions() {
        for mut connection in fresh(variation) {
            let mut taken = 0;
            // The beginning of a record that never ends, as a hello at first and as data later.
            let chunk = [22, 3, 1, 0x40, 0, 1, 0, 0x3F, 0xFC].repeat(1000);
            for _ in 0..100 {
                let count = connection.handle_ciphertext(&chunk);
                taken += count;
                assert!(count == 0 || taken <= CAPACITY);
            }
            assert_eq!(taken, CAPACITY);
            assert!(!connection.wants_ciphertext());
        }
    }
}

fn fresh(variation: Variation) -> [Connection; 2] {
    let world = World::new(variation);
    let now = Instant::now();
    [
        Connection::client(&world.client_context, world.client, now).unwrap(),
        Connection::server(&world.server_context, world.server, now).unwrap(),
    ]
}

#[test]
fn an_ended_connection_takes_nothing_in() {
    for variation in Variation::versions() {
        for mut connection in fresh(variation) {
            connection.send_close_notify();
            assert_eq!(connection.handle_ciphertext(b"more"), 0);
            assert!(connection.receive_buffer().is_none());
            assert!(!connection.wants_ciphertext() && !connection.has_work());
        }
    }
}

#[test]
fn a_connection_that_is_disposed_of_holds_nothing_and_says_nothing() {
    for variation in Variation::versions() {
        for steps in 0..4 {
            let mut pair = World::new(variation).pair();
            for _ in 0..steps {
                pair.step();
            }
            for peer in [&mut pair.client, &mut pair.server] {
                let connection = &mut peer.connection;
                connection.dispose();
                assert!(
                    !connection.is_open() && !connection.is_handshaking() && !connection.wants_ciphertext()
                );
                assert!(connection.cipher_suite().is_none() && connection.peer_certificate().is_none());
                assert_eq!(connection.handle_ciphertext(&[22, 3, 1, 0, 1, 1]), 0);
                assert!(connection.write_plaintext(b"x").is_err());
                connection.send_close_notify();
                connection.handle_eof();
                connection.dispose();
                assert!(connection.poll_event().is_none() && connection.poll_transmit().is_none());
                assert!(connection.poll_timeout().is_none() && !connection.has_work());
            }
        }
    }
}
