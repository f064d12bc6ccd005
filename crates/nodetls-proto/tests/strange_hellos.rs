//! Hellos that are wrong in one way or another: the alert that each of them is due, and that OpenSSL, which reads the
//! same bytes after us, never takes them for something else.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Instant;

use nodetls_proto::{
    AlertDescription, ClientHello, Connection, Error, Event, Inspection, OcspStapling, Questions,
    SecureContext, inspect,
};
use nodetls_test::pair::{Random, Variation, World, context, decline};

const TLS1_3: u16 = 0x0304;

/// The first message of a client that offers much.
fn hello(variation: Variation) -> Vec<u8> {
    let mut world = World::new(variation);
    world.client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    world.client.ocsp = OcspStapling::Requested;
    let mut client = Connection::client(&world.client_context, world.client, Instant::now()).unwrap();
    client.advance();
    client.poll_transmit().unwrap()[5..].to_vec()
}

fn server(world: &World) -> Connection {
    let mut options = world.server.clone();
    options.questions = Questions::ALL;
    options.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    Connection::server(&world.server_context, options, Instant::now()).unwrap()
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 1], &u16::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
}

fn with_length(width: usize, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    [&length[length.len() - width..], content].concat()
}

// ---- hellos in parts ----

/// A ClientHello that can be changed and put together again.
#[derive(Clone)]
struct Parts {
    version: [u8; 2],
    session_id: Vec<u8>,
    suites: Vec<u8>,
    compressions: Vec<u8>,
    extensions: Vec<(u16, Vec<u8>)>,
    tail: Vec<u8>,
}

impl Parts {
    fn of(message: &[u8]) -> Self {
        let hello = ClientHello::parse(message).unwrap();
        Self {
            version: [3, 3],
            session_id: hello.session_id().to_vec(),
            suites: hello.cipher_suites().iter().flat_map(|suite| suite.to_be_bytes()).collect(),
            compressions: vec![0],
            extensions: hello.extensions().map(|(kind, content)| (kind, content.to_vec())).collect(),
            tail: Vec::new(),
        }
    }

    fn set(&mut self, kind: u16, content: &[u8]) {
        self.extensions.retain(|(other, _)| *other != kind);
        // A pre-shared key comes last (RFC 8446 §4.2.11); nothing else cares.
        self.extensions.push((kind, content.to_vec()));
    }

    fn message(&self) -> Vec<u8> {
        let extension =
            |(kind, content): &(u16, Vec<u8>)| [&kind.to_be_bytes()[..], &with_length(2, content)].concat();
        let extensions: Vec<u8> = self.extensions.iter().flat_map(extension).collect();
        let body = [
            &self.version[..],
            &[7; 32],
            &with_length(1, &self.session_id),
            &with_length(2, &self.suites),
            &with_length(1, &self.compressions),
            &with_length(2, &extensions),
            &self.tail,
        ];
        [vec![1], with_length(3, &body.concat())].concat()
    }
}

fn name_list(name: &[u8]) -> Vec<u8> {
    with_length(2, &[vec![0], with_length(2, name)].concat())
}

fn keys(identities: usize, binders: usize, binder: usize) -> Vec<u8> {
    let identity = [with_length(2, b"someone"), vec![0; 4]].concat();
    [
        with_length(2, &identity.repeat(identities)),
        with_length(2, &with_length(1, &vec![9; binder]).repeat(binders)),
    ]
    .concat()
}

/// What a server makes of these bytes: the alert that it sends, or `None` where it answers.
fn alert(variation: Variation, bytes: &[u8]) -> Option<AlertDescription> {
    let mut server = server(&World::new(variation));
    server.handle_ciphertext(bytes);
    let mut failed = None;
    while let Some(event) = server.poll_event() {
        match decline(event, &mut server) {
            Some(Event::Failed(error)) => failed = Some(error),
            other => assert!(!matches!(other, Some(Event::Secure))),
        }
    }
    let error = failed?;
    assert!(matches!(error, Error::Protocol(_)), "{error:?}");
    let sent = server.poll_transmit().expect("an alert");
    assert_eq!(sent[sent.len() - 2..], [2, error.alert().expect("the error names its alert").0]);
    error.alert()
}

/// What it is called, the alert that is due, and how it is made.
type Mistake = (&'static str, AlertDescription, fn(&mut Parts));

#[test]
fn each_mistake_in_a_hello_has_its_alert() {
    let changes: &[Mistake] = &[
        ("trailing bytes", AlertDescription::DECODE_ERROR, |parts| parts.tail = vec![0; 3]),
        ("no suite", AlertDescription::DECODE_ERROR, |parts| parts.suites.clear()),
        ("half a suite", AlertDescription::DECODE_ERROR, |parts| parts.suites.push(1)),
        ("no compression", AlertDescription::DECODE_ERROR, |parts| parts.compressions.clear()),
        ("a session id of 33 bytes", AlertDescription::DECODE_ERROR, |parts| parts.session_id = vec![1; 33]),
        ("an extension twice", AlertDescription::ILLEGAL_PARAMETER, |parts| {
            let first = parts.extensions[0].clone();
            parts.extensions.insert(1, first);
        }),
        ("an unknown extension twice", AlertDescription::ILLEGAL_PARAMETER, |parts| {
            parts.extensions.splice(0..0, [(0xFAFA, vec![]), (0xFAFA, vec![])]);
        }),
        ("an empty list of names", AlertDescription::DECODE_ERROR, |parts| parts.set(0, b"\0\0")),
        ("a name of no bytes", AlertDescription::DECODE_ERROR, |parts| parts.set(0, &name_list(b""))),
        ("a name with NUL", AlertDescription::UNRECOGNIZED_NAME, |parts| parts.set(0, &name_list(b"a\0b"))),
        ("a name beyond ASCII", AlertDescription::UNRECOGNIZED_NAME, |parts| {
            parts.set(0, &name_list("ü.test".as_bytes()));
        }),
        ("a name of 256 bytes", AlertDescription::UNRECOGNIZED_NAME, |parts| {
            parts.set(0, &name_list(&[b'a'; 256]))
        }),
        ("an empty protocol", AlertDescription::DECODE_ERROR, |parts| parts.set(16, b"\0\x01\0")),
        ("no group", AlertDescription::DECODE_ERROR, |parts| parts.set(10, b"\0\0")),
        ("a status request cut off", AlertDescription::DECODE_ERROR, |parts| parts.set(5, b"\x01\0")),
        ("fewer binders than keys", AlertDescription::ILLEGAL_PARAMETER, |parts| {
            parts.set(41, &keys(2, 1, 32))
        }),
        ("more binders than keys", AlertDescription::ILLEGAL_PARAMETER, |parts| {
            parts.set(41, &keys(1, 2, 32))
        }),
        ("a short binder", AlertDescription::DECODE_ERROR, |parts| parts.set(41, &keys(1, 1, 31))),
    ];
    for variation in Variation::versions() {
        let good = Parts::of(&hello(variation));
        assert_eq!(alert(variation, &record(22, &good.message())), None);
        for (name, due, change) in changes {
            let mut parts = good.clone();
            change(&mut parts);
            assert_eq!(alert(variation, &record(22, &parts.message())), Some(*due), "{name}: {variation:?}");
        }
    }
}

#[test]
fn what_comes_between_the_parts_of_a_hello_is_unexpected() {
    for variation in Variation::versions() {
        let hello = hello(variation);
        for between in [
            record(20, &[1]),
            record(21, &[1, 90]),
            record(21, &[1, 0]),
            record(23, b"x"),
            record(23, b""),
            record(24, &[1, 0, 0]),
            record(99, b"x"),
        ] {
            let bytes = [record(22, &hello[..20]), between.clone(), record(22, &hello[20..])].concat();
            assert_eq!(alert(variation, &bytes), Some(AlertDescription::UNEXPECTED_MESSAGE), "{between:?}");
        }
        let twice = record(22, &[&hello[..], &hello].concat());
        assert_eq!(alert(variation, &twice), Some(AlertDescription::UNEXPECTED_MESSAGE));
    }
}

// ---- our reading against OpenSSL's ----

/// Changes the message in one of many ways.
fn mutate(parts: &Parts, random: &mut Random) -> Vec<u8> {
    let mut parts = parts.clone();
    for _ in 0..=random.next(2) {
        let chosen = random.next(parts.extensions.len());
        match random.next(8) {
            0 => drop(parts.extensions.remove(chosen)),
            1 => parts.extensions.insert(0, (random.next(60) as u16, vec![0; random.next(6)])),
            2 => {
                let other = random.next(parts.extensions.len());
                parts.extensions.swap(chosen, other);
            }
            3 => parts.extensions[chosen].1.push(random.next(256) as u8),
            4 => drop(parts.extensions[chosen].1.pop()),
            5 => {
                let content = &mut parts.extensions[chosen].1;
                if !content.is_empty() {
                    let at = random.next(content.len().min(12));
                    content[at] ^= 1 << random.next(8);
                }
            }
            6 => parts.suites.truncate(2 * (1 + random.next(parts.suites.len() / 2))),
            _ => parts.session_id = vec![3; random.next(34)],
        }
    }
    let mut message = parts.message();
    if random.next(4) == 0 {
        let at = random.next(message.len());
        message[at] ^= 1 << random.next(8);
    }
    message
}

/// Cuts the message into records, between which something else may come.
fn in_records(message: &[u8], random: &mut Random) -> Vec<u8> {
    let size = [1 + random.next(5), 1 + random.next(200), message.len()][random.next(3)];
    let mut records: Vec<Vec<u8>> = message.chunks(size).map(|piece| record(22, piece)).collect();
    if random.next(4) == 0 {
        let strange =
            [record(21, &[1, 0]), record(22, &[]), record(23, b"x"), record(20, &[1]), record(22, message)];
        records.insert(random.next(records.len() + 1), strange[random.next(strange.len())].clone());
    }
    records.concat()
}

/// What a ServerHello has chosen: the version and the cipher suite.
fn chosen(server_hello: &[u8]) -> (u16, u16) {
    let at = 9 + 2 + 32;
    let after = at + 1 + usize::from(server_hello[at]);
    let suite = u16::from_be_bytes([server_hello[after], server_hello[after + 1]]);
    let end = 5 + usize::from(u16::from_be_bytes([server_hello[3], server_hello[4]]));
    // supported_versions, which only TLS 1.3 has in this message.
    let is_1_3 = server_hello[after + 3..end].windows(6).any(|bytes| bytes == [0, 43, 0, 2, 3, 4]);
    (if is_1_3 { TLS1_3 } else { 0x0303 }, suite)
}

/// Feeds the bytes in pieces; the hello that the program was asked about.
fn serve(server: &mut Connection, bytes: &[u8], piece: usize) -> Option<ClientHello> {
    let mut asked = None;
    for piece in bytes.chunks(piece) {
        server.handle_ciphertext(piece);
        while let Some(event) = server.poll_event() {
            if let Event::ClientHello(question) = &event {
                asked = Some(question.facts().hello.clone());
            }
            assert!(!matches!(event, Event::Secure));
            decline(event, server);
        }
    }
    asked
}

#[test]
fn openssl_answers_only_hellos_that_were_read_and_within_what_they_offer() {
    let mut random = Random::new(7);
    let mut answered = 0;
    for variation in Variation::versions() {
        let (world, parts) = (World::new(variation), Parts::of(&hello(variation)));
        for round in 0..1500 {
            let bytes = in_records(&mutate(&parts, &mut random), &mut random);
            let mut server = server(&world);
            let asked = serve(&mut server, &bytes, 1 + random.next(bytes.len()));
            let Inspection::Hello(read) = inspect(&bytes) else {
                assert!(asked.is_none() && server.cipher_suite().is_none(), "round {round}");
                let sent = server.poll_transmit().unwrap_or_default();
                assert!(
                    sent.is_empty() || sent[0] == 21,
                    "round {round}: an answer to a hello that was not read"
                );
                continue;
            };
            assert_eq!(asked.as_ref(), Some(&read), "round {round}");
            let sent = server.poll_transmit().unwrap_or_default();
            let Some(22) = sent.first() else { continue };
            let (version, suite) = chosen(sent);
            assert!(read.supports_version(version) && read.cipher_suites().contains(&suite), "round {round}");
            assert_eq!(server.server_name(), read.server_name());
            let protocol = server.alpn_protocol().map(<[u8]>::to_vec);
            assert!(
                protocol.is_none_or(|protocol| read.alpn_protocols().contains(&protocol)),
                "round {round}"
            );
            answered += 1;
        }
    }
    // Most changes are wrong; enough are not.
    assert!((300..2700).contains(&answered), "{answered}");
}

#[test]
fn a_context_that_speaks_old_versions_reads_hellos_in_the_same_way() {
    let variation = Variation::versions()[0];
    let mut options = nodetls_test::pair::with_identity(
        nodetls_test::pair::context_options(nodetls_proto::ProtocolVersion::Tls1_0),
        nodetls_test::pair::server_identity(),
    );
    options.max_version = Some(nodetls_proto::ProtocolVersion::Tls1_2);
    let old: SecureContext = context(&options);
    let world = World { server_context: old, ..World::new(variation) };
    let mut parts = Parts::of(&hello(variation));
    // RFC 5246 appendix E.1: the number of a client that knows more than the server.
    for version in [[3, 3], [3, 4], [4, 4]] {
        parts.version = version;
        let mut server = server(&world);
        let bytes = record(22, &parts.message());
        let asked = serve(&mut server, &bytes, bytes.len()).expect("it is a hello");
        assert_eq!(asked.legacy_version(), u16::from_be_bytes(version));
        assert_eq!(server.poll_transmit().unwrap()[0], 22);
    }
}
