//! Peers that break the protocol: a typed error, an alert where one is due, and silence ever after.
//!
//! The codes are those that Node.js v20 gives for the same bytes, where the test does not say otherwise.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use nodetls_proto::{AlertDescription, Connection, Error, Event, Read, Side};
use nodetls_test::pair::{
    Delivery, Pair, Random, Variation, World, context, context_options, server_identity, with_identity,
};

/// A world whose flights are short, because each of their bytes is a case.
fn small_world(variation: Variation) -> World {
    let mut client = context_options(variation.version);
    client.ecdh_curve = Some("X25519".to_owned());
    if variation.is_tls1_3() {
        client.ciphers = Some("TLS_AES_128_GCM_SHA256".to_owned());
    } else {
        client.ecdh_curve = Some("X25519:P-256".to_owned());
        client.ciphers = Some("ECDHE-ECDSA-AES128-GCM-SHA256".to_owned());
    }
    let mut server = with_identity(context_options(variation.version), server_identity());
    server.session_tickets = 1;
    World { client_context: context(&client), server_context: context(&server), ..World::new(variation) }
}

fn fresh(side: Side, variation: Variation) -> Connection {
    let (world, now) = (World::new(variation), Instant::now());
    match side {
        Side::Client => Connection::client(&world.client_context, world.client, now).unwrap(),
        Side::Server => Connection::server(&world.server_context, world.server, now).unwrap(),
    }
}

/// All that comes of some bytes and then the end of the transport.
fn outcome(mut connection: Connection, bytes: &[u8], piece: usize) -> (Connection, Error) {
    // A client speaks first.
    while connection.poll_event().is_some() {}
    let sent = connection.poll_transmit().map_or(0, <[u8]>::len);
    connection.transmitted(sent);
    let mut error = None;
    for piece in bytes.chunks(piece) {
        connection.handle_ciphertext(piece);
        error = error.or_else(|| failure(&mut connection));
    }
    connection.handle_eof();
    let error = error.or_else(|| failure(&mut connection)).expect("the connection fails");
    assert_is_terminal(&mut connection);
    (connection, error)
}

fn failure(connection: &mut Connection) -> Option<Error> {
    let mut failure = None;
    while let Some(event) = connection.poll_event() {
        match event {
            Event::Failed(error) => failure = Some(error),
            Event::Secure => panic!("hostile bytes make a secure connection"),
            _ => {}
        }
    }
    failure
}

/// A failed connection takes nothing, says nothing new and stays as it is.
fn assert_is_terminal(connection: &mut Connection) {
    let code = connection.error().expect("it has failed").code().into_owned();
    assert!(!connection.is_open() && !connection.is_handshaking() && !connection.waits_for_answer());
    assert_eq!(connection.handle_ciphertext(&[23, 3, 3, 0, 1, 0]), 0);
    assert!(connection.receive_buffer().is_none() && !connection.wants_ciphertext());
    assert_eq!(connection.read_plaintext(&mut [0; 64][..]).unwrap_err().code(), code);
    assert_eq!(connection.write_plaintext(b"x").unwrap_err().code(), code);
    let sent = connection.poll_transmit().map_or(0, <[u8]>::len);
    connection.transmitted(sent);
    connection.send_close_notify();
    connection.handle_eof();
    connection.handle_timeout(Instant::now() + Duration::from_secs(3600));
    connection.advance();
    assert!(connection.poll_event().is_none() && connection.poll_transmit().is_none());
    assert!(connection.poll_timeout().is_none() && !connection.has_work());
    assert_eq!(connection.error().unwrap().code(), code);
}

fn record(kind: u8, version: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, 3, version], &length[..], body].concat()
}

// ---- bytes that are not TLS ----

/// An SSL 2.0 CLIENT-HELLO which offers up to TLS 1.0.
fn sslv2_hello() -> Vec<u8> {
    let head = [0x80, 0x2E, 1, 3, 1, 0, 0x15, 0, 0, 0, 0x10];
    let suites = [1, 0, 0x80, 2, 0, 0x80, 3, 0, 0x80, 4, 0, 0x80, 5, 0, 0x80, 6, 0, 0x40, 7, 0, 0xC0];
    [&head[..], &suites, &[7; 16]].concat()
}

#[test]
fn a_server_tells_what_is_not_tls() {
    for variation in Variation::versions() {
        for (bytes, code) in [
            (&b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"[..], "ERR_SSL_HTTP_REQUEST"),
            (b"POST / HTTP/1.1\r\n\r\n", "ERR_SSL_HTTP_REQUEST"),
            (b"CONNECT a.test:443 HTTP/1.1\r\n\r\n", "ERR_SSL_HTTPS_PROXY_REQUEST"),
            (b"nonsense and more of it\r\n", "ERR_SSL_WRONG_VERSION_NUMBER"),
            (&[0; 64], "ERR_SSL_WRONG_VERSION_NUMBER"),
            (&[0xFF; 64], "ERR_SSL_WRONG_VERSION_NUMBER"),
            (&sslv2_hello(), "ERR_SSL_UNSUPPORTED_PROTOCOL"),
            (&[22, 2, 0, 0, 5, 1, 0, 0, 1, 3, 0, 0, 0], "ERR_SSL_WRONG_VERSION_NUMBER"),
            (&[22, 4, 0, 0, 5, 1, 0, 0, 1, 3, 0, 0, 0], "ERR_SSL_WRONG_VERSION_NUMBER"),
        ] {
            for piece in [1, 7, usize::MAX] {
                let (_, error) = outcome(fresh(Side::Server, variation), bytes, piece);
                assert_eq!(error.code(), code, "{:?}", String::from_utf8_lossy(bytes));
                assert!(matches!(error, Error::Protocol(error) if error.side == Side::Server));
            }
        }
    }
}

#[test]
fn a_client_tells_what_is_not_tls() {
    for variation in Variation::versions() {
        for (bytes, code) in [
            (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "ERR_SSL_WRONG_VERSION_NUMBER"),
            (b"220 mail.test ESMTP\r\n", "ERR_SSL_WRONG_VERSION_NUMBER"),
            (&[0; 64], "ERR_SSL_WRONG_VERSION_NUMBER"),
            (&[0xFF; 64], "ERR_SSL_WRONG_VERSION_NUMBER"),
        ] {
            for piece in [1, 7, usize::MAX] {
                let (_, error) = outcome(fresh(Side::Client, variation), bytes, piece);
                assert_eq!(error.code(), code, "{:?}", String::from_utf8_lossy(bytes));
            }
        }
    }
}

#[test]
fn a_message_out_of_turn_is_unexpected() {
    for variation in Variation::versions() {
        for (side, bytes) in [
            (Side::Server, record(23, 3, &[0])),
            (Side::Server, record(20, 3, &[1])),
            (Side::Server, record(21, 1, &[1, 90])),
            (Side::Server, record(21, 1, &[2, 40])),
            (Side::Server, record(24, 1, &[1, 0x40, 0])),
            (Side::Server, record(22, 3, &[2, 0, 0, 1, 3])),
            (Side::Server, record(22, 3, &[20, 0, 0, 0])),
            (Side::Client, record(23, 3, &[0])),
            (Side::Client, record(22, 3, &[1, 0, 0, 4, 3, 3, 0, 0])),
            (Side::Client, record(22, 3, &[20, 0, 0, 0])),
        ] {
            for piece in [1, usize::MAX] {
                let (_, error) = outcome(fresh(side, variation), &bytes, piece);
                assert_eq!(error.code(), "ERR_SSL_UNEXPECTED_MESSAGE", "{side:?} {bytes:?}");
                assert_eq!(error.alert(), Some(AlertDescription::UNEXPECTED_MESSAGE), "{side:?} {bytes:?}");
            }
        }
    }
}

#[test]
fn no_record_before_the_hello_leads_past_the_decisions_of_a_server() {
    for variation in Variation::versions() {
        let mut world = World::new(variation);
        world.server.questions = nodetls_proto::Questions::ALL;
        let hello = client_hello(&world);
        for before in [
            record(21, 3, &[1, 90]),
            record(21, 1, &[1, 0]),
            record(20, 3, &[1]),
            record(23, 3, &[]),
            record(22, 3, &[]),
            record(22, 3, &[0, 0, 0, 0]),
        ] {
            let bytes = [before.as_slice(), &hello].concat();
            for piece in [1, usize::MAX] {
                let server = Connection::server(&world.server_context, world.server.clone(), Instant::now());
                let (connection, error) = outcome(server.unwrap(), &bytes, piece);
                assert!(matches!(error, Error::Protocol(_)), "{before:?}: {error:?}");
                assert!(connection.cipher_suite().is_none());
            }
        }
    }
}

fn client_hello(world: &World) -> Vec<u8> {
    let mut client = Connection::client(&world.client_context, world.client.clone(), Instant::now()).unwrap();
    client.advance();
    client.poll_transmit().unwrap().to_vec()
}

#[test]
fn oversized_and_empty_records_are_refused_at_once() {
    let oversized = [&[22, 3, 1, 0xFF, 0xFF][..], &[1; 100]].concat();
    let huge_message = [&[22, 3, 1, 0x40, 0, 1, 0xFF, 0xFF, 0xFF][..], &[0; 100]].concat();
    for variation in Variation::versions() {
        for piece in [1, usize::MAX] {
            for (bytes, code, alert) in [
                (&oversized, "ERR_SSL_PACKET_LENGTH_TOO_LONG", AlertDescription::RECORD_OVERFLOW),
                (&huge_message, "ERR_SSL_EXCESSIVE_MESSAGE_SIZE", AlertDescription::ILLEGAL_PARAMETER),
            ] {
                let (_, error) = outcome(fresh(Side::Server, variation), bytes, piece);
                assert_eq!((&*error.code(), error.alert()), (code, Some(alert)));
            }
            let (_, error) = outcome(fresh(Side::Client, variation), &oversized, piece);
            // The name changed with OpenSSL 3.2.
            let names = ["ERR_SSL_PACKET_LENGTH_TOO_LONG", "ERR_SSL_DATA_LENGTH_TOO_LONG"];
            assert!(names.contains(&&*error.code()), "{error:?}");
            assert_eq!(error.alert(), Some(AlertDescription::RECORD_OVERFLOW));
            for side in [Side::Client, Side::Server] {
                // Node waits for more: OpenSSL passes over some empty records. RFC 8446 §5.1 forbids them.
                let (_, error) = outcome(fresh(side, variation), &record(22, 3, &[]).repeat(40), piece);
                assert!(matches!(error, Error::Protocol(_)), "{side:?}: {error:?}");
            }
        }
    }
}

#[test]
fn an_alert_is_made_for_the_client_whose_hello_is_refused() {
    for variation in Variation::versions() {
        let mut connection = fresh(Side::Server, variation);
        connection.handle_ciphertext(&[22, 3, 1, 0xFF, 0xFF]);
        let error = failure(&mut connection).unwrap();
        assert_eq!(error.alert(), Some(AlertDescription::RECORD_OVERFLOW));
        let alert = record(21, 3, &[2, AlertDescription::RECORD_OVERFLOW.0]);
        assert_eq!(connection.poll_transmit(), Some(alert.as_slice()));
        connection.transmitted(3);
        assert_eq!(connection.poll_transmit(), Some(&alert[3..]));
        connection.transmitted(100);
        assert_is_terminal(&mut connection);
    }
}

// ---- flights cut off ----

#[test]
fn a_first_flight_cut_anywhere_is_a_truncation() {
    for variation in Variation::versions() {
        let hello = client_hello(&small_world(variation));
        for cut in 0..hello.len() {
            for piece in [1, usize::MAX] {
                let (_, error) = outcome(fresh(Side::Server, variation), &hello[..cut], piece);
                assert!(
                    matches!(error, Error::Truncated { during_handshake: true }),
                    "byte {cut}: {error:?}"
                );
                assert_eq!(error.code(), "ECONNRESET");
            }
        }
    }
}

#[test]
fn a_servers_first_flight_cut_anywhere_is_a_truncation() {
    for variation in Variation::versions() {
        let world = small_world(variation);
        let length = first_flight_of_server(&mut world.pair()).len();
        for cut in (0..length - 10).step_by(3) {
            let mut pair = world.pair();
            let flight = first_flight_of_server(&mut pair);
            let (_, error) =
                outcome(pair.client.connection, &flight[..cut.min(flight.len() - 1)], usize::MAX);
            assert!(matches!(error, Error::Truncated { during_handshake: true }), "byte {cut}: {error:?}");
        }
    }
}

fn first_flight_of_server(pair: &mut Pair) -> Vec<u8> {
    pair.client.connection.advance();
    let hello = pair.client.connection.poll_transmit().unwrap().to_vec();
    pair.client.connection.transmitted(hello.len());
    pair.server.connection.handle_ciphertext(&hello);
    pair.server.connection.advance();
    pair.server.connection.poll_transmit().unwrap().to_vec()
}

// ---- flights with a wrong byte ----

/// Drives a pair in whose handshake a byte was changed, and says whether it worked all the same.
fn survives(mut pair: Pair, what: &str) -> bool {
    pair.drive();
    if is_usable(&mut pair) {
        return true;
    }
    // A length that has grown makes its reader wait for bytes which never come.
    pair.cut(Side::Client);
    pair.cut(Side::Server);
    pair.drive();
    let mut noticed = 0;
    for peer in [&mut pair.client, &mut pair.server] {
        noticed += usize::from(peer.failure().is_some() || peer.ended == Some(Read::Truncated));
        let Some(error) = peer.failure() else { continue };
        let typed = matches!(error, Error::Protocol(_) | Error::AlertReceived(_) | Error::Truncated { .. });
        let typed = typed || matches!(error, Error::Verify(_) | Error::Identity(_));
        assert!(typed, "{what}: {error:?}");
        assert_is_terminal(&mut peer.connection);
    }
    assert!(noticed > 0, "{what}: it neither works nor fails");
    false
}

/// Whether data flows in both directions. Whatever arrives must be what was sent.
fn is_usable(pair: &mut Pair) -> bool {
    if pair.client.failure().is_some() || pair.server.failure().is_some() {
        return false;
    }
    // Lengths vary by a byte or two with the signatures: the position may be still to come.
    pair.tamper(Side::Client, 0, 0);
    pair.tamper(Side::Server, 0, 0);
    for side in [Side::Client, Side::Server] {
        if !matches!(pair.peer(side).connection.write_plaintext(b"unharmed"), Ok(8)) {
            return false;
        }
    }
    pair.drive();
    for peer in [&pair.client, &pair.server] {
        assert!(matches!(peer.received.as_slice(), b"" | b"unharmed"), "forged data is delivered");
    }
    !pair.client.received.is_empty() && !pair.server.received.is_empty()
}

#[test]
fn every_byte_of_a_handshake_may_be_wrong() {
    for variation in Variation::versions() {
        let world = small_world(variation);
        for side in [Side::Client, Side::Server] {
            let length = world.connected().peer(side).sent;
            let mut survivors = 0;
            for position in 0..length {
                let mut pair = world.pair();
                let mask = 1 << (position % 8);
                pair.tamper(side, position, mask);
                survivors +=
                    usize::from(survives(pair, &format!("{side:?} {position} ^ {mask}: {variation:?}")));
            }
            // Only the version in a record's header is not authenticated (RFC 8446 §5.1: "MUST be ignored").
            assert!(survivors * 20 < length, "{survivors} of {length} bytes of the {side:?} do not matter");
        }
    }
}

#[test]
fn every_byte_of_a_handshake_may_be_inverted_in_every_delivery() {
    for variation in Variation::deliveries() {
        let world = small_world(variation);
        for side in [Side::Client, Side::Server] {
            let length = world.connected().peer(side).sent;
            for position in (0..length).step_by(13) {
                let mut pair = world.pair();
                pair.tamper(side, position, 0xFF);
                survives(pair, &format!("{side:?} {position}: {variation:?}"));
            }
        }
    }
}

// ---- records with a wrong byte ----

fn record_of(pair: &mut Pair, text: &[u8]) -> Vec<u8> {
    assert_eq!(pair.client.connection.write_plaintext(text).unwrap(), text.len());
    let bytes = pair.client.connection.poll_transmit().unwrap().to_vec();
    pair.client.connection.transmitted(bytes.len());
    bytes
}

#[test]
fn a_record_with_a_wrong_byte_delivers_nothing_and_ends_the_connection() {
    for variation in Variation::versions() {
        let length = record_of(&mut World::new(variation).connected(), b"secret").len();
        for position in 0..length {
            let mut pair = World::new(variation).connected();
            let mut bytes = record_of(&mut pair, b"secret");
            bytes[position] ^= 1;
            bytes.extend(record_of(&mut pair, b"afterwards").repeat(40));
            pair.server.connection.handle_ciphertext(&bytes);
            pair.server.connection.handle_eof();
            let read = pair.server.connection.read_plaintext(&mut [0; 64][..]);
            let error = read.expect_err("a forged record is refused");
            assert!(matches!(error, Error::Protocol(_)), "byte {position}: {error:?}");
            if position >= 5 {
                assert_eq!(error.code(), "ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC");
                assert_eq!(error.alert(), Some(AlertDescription::BAD_RECORD_MAC));
            }
            assert!(pair.server.connection.poll_transmit().is_some(), "no alert: byte {position}");
            assert!(failure(&mut pair.server.connection).is_some());
            assert_is_terminal(&mut pair.server.connection);
        }
    }
}

#[test]
fn a_record_that_comes_twice_or_out_of_order_is_refused() {
    for variation in Variation::versions() {
        for order in [&[0, 0][..], &[1, 0], &[0, 2]] {
            let mut pair = World::new(variation).connected();
            let records = [b"one", b"two", b"3rd"].map(|text| record_of(&mut pair, text));
            for index in order {
                pair.server.connection.handle_ciphertext(&records[*index]);
            }
            let mut delivered = Vec::new();
            let mut buffer = [0; 64];
            let error = loop {
                match pair.server.connection.read_plaintext(&mut buffer[..]) {
                    Ok(Read::Plaintext(count)) => delivered.extend_from_slice(&buffer[..count]),
                    Ok(other) => panic!("{order:?}: {other:?}"),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.code(), "ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC", "{order:?}");
            assert_eq!(delivered, if order[0] == 0 { &b"one"[..] } else { b"" });
        }
    }
}

#[test]
fn a_record_in_the_clear_is_refused_once_there_are_keys() {
    for variation in Variation::versions() {
        for bytes in [
            record(23, 3, b"injected"),
            record(21, 3, &[1, 0]),
            record(21, 3, &[2, 40]),
            record(22, 3, &[0, 0, 0, 0]),
            record(22, 3, &[1, 0, 0, 4, 3, 3, 0, 0]),
            record(20, 3, &[1]),
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        ] {
            let mut pair = World::new(variation).connected();
            for peer in [&mut pair.client, &mut pair.server] {
                peer.connection.handle_ciphertext(&bytes);
                let read = peer.connection.read_plaintext(&mut [0; 64][..]);
                if variation.is_tls1_3() && bytes[0] == 20 && matches!(read, Ok(Read::Blocked)) {
                    // OpenSSL's clients pass over a change_cipher_spec longer than RFC 8446 §5 says.
                    continue;
                }
                let Err(error) = read else { panic!("{variation:?} {bytes:?}: {read:?}") };
                assert!(matches!(error, Error::Protocol(_)), "{bytes:?}: {error:?}");
                assert!(!peer.connection.is_close_notify_received());
            }
        }
    }
}

#[test]
fn data_after_a_failed_handshake_is_not_delivered() {
    for variation in Variation::deliveries() {
        let mut pair = small_world(variation).pair();
        // The last byte of the server's certificate chain is somewhere in the middle of its flight.
        pair.tamper(Side::Server, 300, 0x40);
        pair.drive();
        assert!(pair.client.failure().is_some(), "{variation:?}");
        for bytes in [record(23, 3, b"unauthenticated"), b"unauthenticated".to_vec()] {
            assert_eq!(pair.client.connection.handle_ciphertext(&bytes), 0);
            assert!(pair.client.connection.read_plaintext(&mut [0; 64][..]).is_err());
        }
        assert!(pair.client.received.is_empty());
        assert_is_terminal(&mut pair.client.connection);
    }
}

// ---- time ----

#[test]
fn a_handshake_has_until_its_time_limit() {
    for variation in Variation::deliveries() {
        for side in [Side::Client, Side::Server] {
            for steps in 0..3 {
                let mut pair = World::new(variation).pair();
                for _ in 0..steps {
                    pair.step();
                }
                let limit = pair.now + Duration::from_secs(120);
                let peer = pair.peer(side);
                if !peer.connection.is_handshaking() {
                    continue;
                }
                assert_eq!(peer.connection.poll_timeout(), Some(limit), "a byte must not move the limit");
                peer.connection.handle_timeout(limit - Duration::from_nanos(1));
                assert!(peer.connection.error().is_none());
                peer.connection.handle_timeout(limit);
                assert!(matches!(failure(&mut peer.connection), Some(Error::HandshakeTimeout)));
                assert_eq!(peer.connection.error().unwrap().code(), "ERR_TLS_HANDSHAKE_TIMEOUT");
                assert_is_terminal(&mut peer.connection);
            }
        }
    }
}

#[test]
fn an_open_connection_has_no_time_limit_and_neither_has_one_without() {
    for variation in Variation::all() {
        let mut pair = World::new(variation).connected();
        let late = pair.now + Duration::from_secs(1_000_000);
        for side in [Side::Client, Side::Server] {
            assert!(pair.peer(side).connection.poll_timeout().is_none());
            pair.peer(side).connection.handle_timeout(late);
            pair.send(side, b"still open");
        }
        let mut world = World::new(variation);
        (world.client.handshake_timeout, world.server.handshake_timeout) = (None, None);
        let mut pair = world.pair();
        for side in [Side::Client, Side::Server] {
            assert!(pair.peer(side).connection.poll_timeout().is_none());
            pair.peer(side).connection.handle_timeout(late);
        }
        pair.drive();
        pair.assert_connected();
    }
}

#[test]
fn a_time_limit_of_nothing_is_over_at_once() {
    for variation in Variation::versions() {
        let mut world = World::new(variation);
        world.server.handshake_timeout = Some(Duration::ZERO);
        world.client.handshake_timeout = Some(Duration::MAX);
        let mut pair = world.pair();
        assert!(pair.client.connection.poll_timeout().is_none(), "a time that never comes is no limit");
        pair.server.connection.handle_timeout(pair.now);
        assert!(matches!(failure(&mut pair.server.connection), Some(Error::HandshakeTimeout)));
    }
}

// ---- no bytes in particular ----

#[test]
fn random_bytes_never_make_a_connection() {
    let mut random = Random::new(1);
    for variation in Variation::versions() {
        for side in [Side::Client, Side::Server] {
            for round in 0..300 {
                let mut bytes: Vec<u8> = (0..200).map(|_| random.next(256) as u8).collect();
                if round % 2 == 0 {
                    // Half of them look like a handshake record at first.
                    bytes[..5].copy_from_slice(&[22, 3, 3, 0, 190]);
                    bytes[5] = if side == Side::Server { 1 } else { 2 };
                }
                let (_, error) = outcome(fresh(side, variation), &bytes, 1 + random.next(200));
                assert!(matches!(
                    error,
                    Error::Protocol(_) | Error::Truncated { .. } | Error::AlertReceived(_)
                ));
            }
        }
    }
}

#[test]
fn fragments_of_a_hello_in_records_of_one_byte_are_put_together() {
    for delivery in [Delivery::Whole, Delivery::OneByte] {
        for variation in Variation::versions() {
            let world = small_world(Variation { delivery, ..variation });
            let mut pair = world.pair();
            pair.client.connection.advance();
            let hello = pair.client.connection.poll_transmit().unwrap().to_vec();
            pair.client.connection.transmitted(hello.len());
            for byte in &hello[5..] {
                let bytes = record(22, 1, &[*byte]);
                assert_eq!(pair.server.connection.handle_ciphertext(&bytes), bytes.len());
            }
            pair.drive();
            pair.assert_connected();
        }
    }
}
