//! Calls in any order: whatever the peer, the program and the driver do, nothing panics and no data is mixed up.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use nodetls_proto::{
    ClientAuthentication, Connection, Event, KeyUpdateRequest, OcspStapling, PskAnswer, Questions, Read,
    RenegotiateOptions,
};
use nodetls_test::pair::{Random, Variation, World, kind};

/// Two connections and all that their peers and their program may do to them, in no order at all.
struct Chaos {
    random: Random,
    connections: [Connection; 2],
    questions: Vec<Event>,
    wires: [Vec<u8>; 2],
    now: Instant,
    /// How often something was done after the handshake.
    renegotiated: usize,
}

impl Chaos {
    fn new(variation: Variation, seed: u64) -> Self {
        let mut world = World::new(variation);
        world.client.alpn_protocols = vec![b"h2".to_vec()];
        world.server.alpn_protocols = vec![b"h2".to_vec()];
        world.server.client_authentication = ClientAuthentication::DangerousOptional;
        world.client.questions = Questions::ALL;
        world.server.questions = Questions::ALL;
        world.client.ocsp = OcspStapling::Requested;
        world.client.post_handshake_auth = true;
        world.client.renegotiation_limit = 100;
        world.server.renegotiation_limit = 100;
        let pair = world.pair();
        let connections = [pair.client.connection, pair.server.connection];
        let random = Random::new(seed);
        Self {
            random,
            connections,
            questions: Vec::new(),
            wires: [Vec::new(), Vec::new()],
            now: pair.now,
            renegotiated: 0,
        }
    }

    /// One call; the ordinary ones come often enough that many runs get through the handshake.
    fn call(&mut self) {
        let which = self.random.next(2);
        match self.random.next(64) {
            0..16 => self.transmit(which),
            16..32 => self.deliver(which),
            32..40 => self.poll(which),
            40..50 => self.answer(),
            50..53 => self.read(which),
            53..56 => self.write(which),
            56 => self.connections[which].handle_timeout(self.now + Duration::from_secs(1)),
            57 => self.connections[which].advance(),
            58 => self.connections[which].release_buffers(),
            59 => self.look(which),
            60 => drop(self.connections[which].receive_buffer()),
            61 => self.exchange(which),
            _ => self.rare(which),
        }
    }

    /// What comes after the handshake; now and then where it cannot be.
    fn exchange(&mut self, which: usize) {
        let connection = &mut self.connections[which];
        // Misuse is what some of these are meant to be.
        let _ = match self.random.next(20) {
            0..3 => connection.renegotiate(RenegotiateOptions::default()),
            3..6 => connection.renegotiate(RenegotiateOptions {
                client_authentication: Some(ClientAuthentication::DangerousOptional),
                dangerous_accept_unauthorized: Some(false),
            }),
            6..9 => connection.request_client_certificate(ClientAuthentication::DangerousOptional),
            9..12 => connection.update_keys(KeyUpdateRequest::Requested),
            12 if self.random.next(20) == 0 => {
                connection.disable_renegotiation();
                Ok(())
            }
            _ => Ok(()),
        };
    }

    /// What would end every run early if it came often.
    fn rare(&mut self, which: usize) {
        match self.random.next(160) {
            0 => self.connections[which].handle_eof(),
            1 => self.connections[which].send_close_notify(),
            2 => self.connections[which].handle_timeout(self.now + Duration::from_secs(500)),
            3 => {
                let garbage: Vec<u8> =
                    (0..self.random.next(40)).map(|_| self.random.next(256) as u8).collect();
                self.connections[which].handle_ciphertext(&garbage);
            }
            4 => drop(self.questions.pop()),
            5 => self.connections[which].transmitted(self.random.next(3000)),
            6 => {
                let wire = &mut self.wires[which];
                if let Some(byte) = wire.first_mut() {
                    *byte ^= 0x10;
                }
            }
            _ => {}
        }
    }

    fn transmit(&mut self, which: usize) {
        let bytes = self.connections[which].poll_transmit().unwrap_or_default();
        let count = bytes.len().min(1 + self.random.next(2000));
        self.wires[which].extend_from_slice(&bytes[..count]);
        self.connections[which].transmitted(count);
    }

    fn deliver(&mut self, which: usize) {
        let count = self.wires[which].len().min(1 + self.random.next(2000));
        let taken = self.connections[1 - which].handle_ciphertext(&self.wires[which][..count]);
        self.wires[which].drain(..taken);
    }

    fn poll(&mut self, which: usize) {
        let event = self.connections[which].poll_event();
        let is_done = matches!(event, Some(Event::Renegotiated | Event::ClientAuthenticated));
        self.renegotiated += usize::from(is_done);
        self.questions.extend(event.filter(|event| kind(event).is_some()));
    }

    /// Answers a question on the right connection, or now and then on the wrong one.
    fn answer(&mut self) {
        let Some(question) = self.questions.pop() else { return };
        let server = match &question {
            Event::VerifyPeer(question) => question.facts().server_name.is_none(),
            Event::Psk(question) => question.facts().identity.is_some(),
            _ => true,
        };
        let wrong = self.random.next(60) == 0;
        let connection = &mut self.connections[usize::from(server != wrong)];
        // Misuse is what some of these are meant to be.
        let _ = match question {
            Event::ClientHello(question) => question.decline(connection),
            Event::SelectContext(question) => question.decline(connection),
            Event::SelectAlpn(question) => question.decline(connection),
            Event::ResumeSession(question) => question.decline(connection),
            Event::NewSession(question) => question.decline(connection),
            Event::OcspRequest(question) => question.decline(connection),
            Event::Sign(question) => question.decline(connection),
            Event::Psk(question) if self.random.next(2) == 0 => question.decline(connection),
            Event::Psk(question) => {
                question.answer(connection, Some(PskAnswer::with_identity("me", [7; 32].as_slice())))
            }
            Event::VerifyPeer(question) if self.random.next(60) == 0 => question.fail(connection, "no"),
            Event::VerifyPeer(question) => question.decline(connection),
            other => panic!("{other:?} is no question"),
        };
    }

    fn read(&mut self, which: usize) {
        let mut buffer = vec![0; self.random.next(3000)];
        if let Ok(Read::Plaintext(count)) = self.connections[which].read_plaintext(&mut buffer[..]) {
            assert!(buffer[..count].iter().all(|byte| *byte == b'x'), "something else was written");
        }
    }

    fn write(&mut self, which: usize) {
        let bytes = vec![b'x'; self.random.next(3000)];
        if let Ok(count) = self.connections[which].write_plaintext(&bytes) {
            assert!(count <= bytes.len());
        }
    }

    fn look(&self, which: usize) {
        let connection = &self.connections[which];
        let _ = (connection.cipher_suite(), connection.group_name(), connection.peer_certificates());
        let _ = (connection.certificate(), connection.alpn_protocol(), connection.authorization_error());
        assert!(!format!("{connection:?}").is_empty());
        assert!(!(connection.is_open() && connection.is_handshaking()));
        assert!(connection.error().is_none() || !connection.is_open());
    }
}

#[test]
fn calls_in_any_order_never_panic_and_never_mix_up_data() {
    let (mut opened, mut renegotiated) = (0, 0);
    for variation in Variation::versions() {
        for seed in 1..150 {
            let mut chaos = Chaos::new(variation, seed);
            let mut open = false;
            for _ in 0..1500 {
                chaos.call();
                open |= chaos.connections.iter().all(Connection::is_open);
            }
            opened += usize::from(open);
            renegotiated += chaos.renegotiated;
        }
    }
    assert!(renegotiated > 20, "only {renegotiated} renegotiations");
    assert!(opened > 100, "only {opened} of 298 runs got through the handshake");
}
