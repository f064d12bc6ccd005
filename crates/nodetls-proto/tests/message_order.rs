//! Handshake messages that come twice, not at all, in another order, or out of place (CVE-2018-7162 and its like). Of
//! TLS 1.2, whose messages are plaintext up to the last one of each side.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use nodetls_proto::{Connection, Error, Event, Side};
use nodetls_test::pair::{Variation, World, server_identity, with_identity};

fn world() -> World {
    World::new(Variation::versions()[0])
}

/// A world in which the server asks for a certificate and gets one: each side has as many messages as there can be.
fn world_of_many_messages() -> World {
    let mut world = world();
    let options = nodetls_test::pair::context_options(world.variation.version);
    let options = with_identity(options, server_identity());
    world.client_context = nodetls_test::pair::context(&options);
    world.server.client_authentication = nodetls_proto::ClientAuthentication::DangerousOptional;
    world
}

fn records(flight: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    let mut rest = flight;
    while let [_, _, _, high, low, ..] = rest {
        let (record, after) = rest.split_at(5 + usize::from(u16::from_be_bytes([*high, *low])));
        records.push(record.to_vec());
        rest = after;
    }
    records
}

/// Each message in a record of its own; what is encrypted stays as it is.
fn messages(flight: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut is_encrypted = false;
    for record in records(flight) {
        is_encrypted |= record[0] == 20;
        if is_encrypted || record[0] != 22 {
            messages.push(record);
            continue;
        }
        let mut rest = &record[5..];
        while let [_, a, b, c, ..] = rest {
            let length = 4 + (usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c));
            let (message, after) = rest.split_at(length);
            messages.push(handshake_record(message));
            rest = after;
        }
    }
    messages
}

fn handshake_record(message: &[u8]) -> Vec<u8> {
    [&[22, 3, 3], &u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

fn flight(connection: &mut Connection) -> Vec<u8> {
    connection.advance();
    let flight = connection.poll_transmit().map(<[u8]>::to_vec).unwrap_or_default();
    connection.transmitted(flight.len());
    flight
}

/// A new pair up to the flight that is to be changed: the one of the server, or the second one of the client.
fn up_to(world: &World, sender: Side) -> (Connection, Vec<Vec<u8>>) {
    let mut pair = world.pair();
    let (client, server) = (&mut pair.client.connection, &mut pair.server.connection);
    server.handle_ciphertext(&flight(client));
    let of_server = flight(server);
    if sender == Side::Server {
        return (pair.client.connection, messages(&of_server));
    }
    client.handle_ciphertext(&of_server);
    let of_client = flight(client);
    (pair.server.connection, messages(&of_client))
}

/// The receiver must fail by a typed error, or still wait for what is missing; it never takes the connection for secure.
fn assert_refused(mut receiver: Connection, flight: &[Vec<u8>], what: &str) {
    receiver.handle_ciphertext(&flight.concat());
    let mut failure = None;
    let mut poll = |receiver: &mut Connection| {
        while let Some(event) = receiver.poll_event() {
            match event {
                Event::Secure => panic!("{what}: secure"),
                Event::Failed(error) => failure = Some(error),
                _ => {}
            }
        }
    };
    poll(&mut receiver);
    receiver.handle_eof();
    poll(&mut receiver);
    let error = failure.unwrap_or_else(|| panic!("{what}: no failure"));
    assert!(
        matches!(error, Error::Protocol(_) | Error::Truncated { .. } | Error::Verify(_)),
        "{what}: {error:?}"
    );
    assert!(
        !matches!(error, Error::Protocol(_)) || error.alert().is_some(),
        "{what}: the peer is told nothing"
    );
}

#[test]
fn a_handshake_message_that_comes_twice_or_not_at_all_or_too_early_fails_the_handshake() {
    for world in [world(), world_of_many_messages()] {
        for sender in [Side::Server, Side::Client] {
            let count = up_to(&world, sender).1.len();
            assert!(count >= 3);
            for index in 0..count {
                let (receiver, mut flight) = up_to(&world, sender);
                let message = flight[index].clone();
                flight.insert(index, message);
                // A Finished message that comes twice is encrypted for another place.
                if !(sender == Side::Client && index + 1 == count) {
                    assert_refused(receiver, &flight, &format!("{sender:?} {index} twice"));
                }
                let (receiver, mut flight) = up_to(&world, sender);
                flight.remove(index);
                assert_refused(receiver, &flight, &format!("{sender:?} without {index}"));
                for other in 0..index {
                    let (receiver, mut flight) = up_to(&world, sender);
                    flight.swap(index, other);
                    assert_refused(receiver, &flight, &format!("{sender:?} {index} and {other} exchanged"));
                }
            }
        }
    }
}

#[test]
fn a_handshake_message_that_does_not_belong_there_fails_the_handshake() {
    // Each type with an empty body, and with one that is not.
    let strangers =
        (0..=25).chain([67, 99, 254]).flat_map(|kind| [vec![kind, 0, 0, 0], vec![kind, 0, 0, 2, 0, 0]]);
    for stranger in strangers {
        for sender in [Side::Server, Side::Client] {
            let count = up_to(&world(), sender).1.len();
            for index in 0..count {
                let (receiver, mut flight) = up_to(&world(), sender);
                let is_hello_request = sender == Side::Server && stranger == [0, 0, 0, 0];
                // RFC 5246 §7.4.1.1: clients "MUST ignore" a HelloRequest in the middle of a handshake.
                if is_hello_request || (sender == Side::Client && index + 1 == count) {
                    continue;
                }
                flight.insert(index, handshake_record(&stranger));
                assert_refused(receiver, &flight, &format!("{stranger:?} before {index} of the {sender:?}"));
            }
        }
    }
}
