//! Peers that cut their messages otherwise, hurry, lie, or are not who they say they are.

use nodetls_proto::{Connection, Event, ProtocolVersion, Side};
use nodetls_test::pair::{Delivery, Pair, Variation, decline};

use crate::world::{answer, answer_all, world, world_with, world_with_certificate};

/// The content of handshake records, as one record.
fn merged(flight: &[u8]) -> Vec<u8> {
    let (mut content, mut rest) = (Vec::new(), flight);
    while let [22, _, _, high, low, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        content.extend_from_slice(&after[..length]);
        rest = &after[length..];
    }
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[22, 3, 3, length[0], length[1]], content.as_slice(), rest].concat()
}

fn sent(connection: &mut Connection) -> Vec<u8> {
    while let Some(event) = connection.poll_event() {
        if let Event::Psk(question) = event {
            question.answer(connection, answer()).unwrap();
        } else {
            decline(event, connection);
        }
    }
    let bytes = connection.poll_transmit().map(<[u8]>::to_vec).unwrap_or_default();
    connection.transmitted(bytes.len());
    bytes
}

#[test]
fn a_flight_in_one_record_is_understood() {
    let mut world = world_with(Variation::plain(ProtocolVersion::Tls1_2), "ECDHE-PSK-CHACHA20-POLY1305");
    world.server.psk_identity_hint = Some("hint".into());
    let Pair { mut client, mut server, .. } = world.pair();
    for _ in 0..4 {
        let flight = merged(&sent(&mut client.connection));
        assert_eq!(server.connection.handle_ciphertext(&flight), flight.len());
        let flight = merged(&sent(&mut server.connection));
        assert_eq!(client.connection.handle_ciphertext(&flight), flight.len());
    }
    assert!(client.connection.is_open() && server.connection.is_open());
    assert!(client.connection.is_authorized() && server.connection.is_authorized());
}

#[test]
fn a_client_key_exchange_that_comes_with_the_hello_gets_no_key() {
    let world = world(Variation::plain(ProtocolVersion::Tls1_2));
    let Pair { mut client, mut server, .. } = world.pair();
    let mut flight = sent(&mut client.connection);
    flight.extend([16, 0, 0, 3, 0, 1, b'i']);
    let length = u16::try_from(flight.len() - 5).unwrap().to_be_bytes();
    flight[3..5].copy_from_slice(&length);
    server.connection.handle_ciphertext(&flight);
    let answered = sent(&mut server.connection);
    assert!(server.connection.error().is_some());
    assert!(!answered.is_empty(), "an alert is sent");
}

#[test]
fn a_byte_changed_on_the_way_never_goes_unnoticed() {
    for version in [ProtocolVersion::Tls1_2, ProtocolVersion::Tls1_3] {
        for delivery in [Delivery::Whole, Delivery::Odd] {
            let variation = Variation { delivery, ..Variation::plain(version) };
            for side in [Side::Client, Side::Server] {
                for position in (0..400).step_by(3) {
                    let mut pair = world(variation).pair();
                    pair.tamper(side, position, 0x11);
                    answer_all(&mut pair, &|_| answer(), &|_| answer());
                    let is_harmed = pair.peer(side).sent > position;
                    // All bytes of a handshake of TLS 1.2 are covered by its Finished messages. Those of TLS 1.3 are,
                    // but for the headers of records and the tickets that come after it.
                    if is_harmed && version == ProtocolVersion::Tls1_2 {
                        let deceived = if side == Side::Client { &pair.server } else { &pair.client };
                        assert!(!deceived.is_secure(), "{side:?} {position}");
                    }
                    assert!(pair.client.received.is_empty() && pair.server.received.is_empty());
                }
            }
        }
    }
}

#[test]
fn a_server_asks_for_a_few_identities_only() {
    // RFC 8446 §4.2.11: each identity with its age, then as many binders.
    let identities: Vec<u8> = (0..20u8).flat_map(|number| [0, 2, b'i', number, 0, 0, 0, 0]).collect();
    let binders: Vec<u8> = (0..20).flat_map(|_| [&[32][..], &[0; 32]].concat()).collect();
    let vector =
        |content: &[u8]| [&u16::try_from(content.len()).unwrap().to_be_bytes()[..], content].concat();
    let world = world_with_certificate(Variation::plain(ProtocolVersion::Tls1_3));
    let Pair { mut client, mut server, .. } = world.pair();
    while let Some(event) = client.connection.poll_event() {
        decline(event, &mut client.connection);
    }
    let hello = client.connection.poll_transmit().unwrap().to_vec();
    let extension = [vec![0, 41], vector(&[vector(&identities), vector(&binders)].concat())].concat();
    let flight = with_extension(&hello, &extension);
    server.connection.handle_ciphertext(&flight);
    let mut asked = Vec::new();
    while let Some(event) = server.connection.poll_event() {
        let Event::Psk(question) = event else { continue };
        asked.push(question.facts().identity.clone().unwrap());
        question.decline(&mut server.connection).unwrap();
    }
    assert_eq!(asked, (0..8).map(|number| vec![b'i', number]).collect::<Vec<_>>());
    assert!(server.connection.error().is_none() && server.connection.poll_transmit().is_some());
}

/// A hello of one record with an extension more, at the end.
fn with_extension(record: &[u8], extension: &[u8]) -> Vec<u8> {
    let mut hello = [record, extension].concat();
    // Record and message lengths, then the extensions' length behind session id, suites and compression methods.
    let session = 5 + 4 + 2 + 32;
    let suites = session + 1 + usize::from(hello[session]);
    let compression = suites + 2 + usize::from(u16::from_be_bytes([hello[suites], hello[suites + 1]]));
    let extensions = compression + 1 + usize::from(hello[compression]);
    for at in [3, 7, extensions] {
        let length = u16::from_be_bytes([hello[at], hello[at + 1]]) + u16::try_from(extension.len()).unwrap();
        hello[at..at + 2].copy_from_slice(&length.to_be_bytes());
    }
    hello
}
