//! The key log, in the hands of a program that reads recorded traffic with it: `tshark`, the terminal's Wireshark.
//!
//! The traffic is recorded here, as packets that never were on a network.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use nodetls_proto::{
    ClientOptions, Connection, Event, Inspection, ProtocolVersion, Read, SecureContext, SecureContextOptions,
    ServerOptions, Session, Side, inspect,
};
use nodetls_test::is_missing;
use nodetls_test::pair::{context, context_options, name, server_identity, with_identity};

const QUESTION: &[u8] = b"what the client asks";
const ANSWER: &[u8] = b"what the server answers";

/// Two connections whose bytes and key logs are kept.
struct Recorded {
    connections: [Connection; 2],
    key_logs: [String; 2],
    packets: Vec<(Side, Vec<u8>)>,
    session: Option<Session>,
}

impl Recorded {
    fn new(client: &SecureContext, server: &SecureContext, session: Option<Session>) -> Self {
        let now = Instant::now();
        let options = ClientOptions { session, ..ClientOptions::new(name("localhost")) };
        let client = Connection::client(client, options, now).unwrap();
        let server = Connection::server(server, ServerOptions::default(), now).unwrap();
        let mut this = Self {
            connections: [client, server],
            key_logs: Default::default(),
            packets: Vec::new(),
            session: None,
        };
        this.drive();
        for (index, text) in [(0, QUESTION), (1, ANSWER)] {
            assert_eq!(this.connections[index].write_plaintext(text).unwrap(), text.len());
            this.drive();
        }
        this
    }

    fn drive(&mut self) {
        while self.step(0, Side::Client) | self.step(1, Side::Server) {}
    }

    /// Lets one side do what it can, and gives its bytes to the other one.
    fn step(&mut self, index: usize, side: Side) -> bool {
        let connection = &mut self.connections[index];
        while let Some(event) = connection.poll_event() {
            match event {
                Event::KeyLog(line) => {
                    self.key_logs[index].push_str(std::str::from_utf8(line.expose()).unwrap());
                    self.key_logs[index].push('\n');
                }
                Event::Session(session) => self.session = Some(session),
                Event::Failed(error) => panic!("{side:?}: {error}"),
                _ => {}
            }
        }
        while matches!(connection.read_plaintext(&mut [0; 4096][..]), Ok(Read::Plaintext(_))) {}
        let bytes = connection.poll_transmit().unwrap_or_default().to_vec();
        connection.transmitted(bytes.len());
        let taken = self.connections[1 - index].handle_ciphertext(&bytes);
        assert_eq!(taken, bytes.len());
        // Not more than fits into one packet.
        self.packets.extend(bytes.chunks(1400).map(|part| (side, part.to_vec())));
        !bytes.is_empty()
    }

    /// A capture file of raw IPv4 packets (pcap-savefile(5), LINKTYPE_RAW).
    fn pcap(&self) -> Vec<u8> {
        let mut file: Vec<u8> = [0xA1B2_C3D4_u32, 0x0002_0004, 0, 0, 65_535, 101]
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .collect();
        let mut sent = [1_u32, 1];
        for (side, bytes) in &self.packets {
            let (from, to) = if *side == Side::Client { (0, 1) } else { (1, 0) };
            let packet = tcp_packet(from, sent[from], sent[to], bytes);
            let length = u32::try_from(packet.len()).unwrap();
            file.extend([0, 0, length, length].iter().flat_map(|word| word.to_be_bytes()));
            file.extend(packet);
            sent[from] += u32::try_from(bytes.len()).unwrap();
        }
        file
    }
}

/// An IPv4 packet (RFC 791) with a TCP segment (RFC 9293) between 10.0.0.1:40000 and 10.0.0.2:443; no checksums.
fn tcp_packet(from: usize, sequence: u32, acknowledged: u32, bytes: &[u8]) -> Vec<u8> {
    let (addresses, ports) = ([[10, 0, 0, 1], [10, 0, 0, 2]], [40_000_u16, 443]);
    let to = 1 - from;
    let length = u16::try_from(40 + bytes.len()).unwrap().to_be_bytes();
    let ip =
        [&[0x45, 0][..], &length, &[0, 0, 0x40, 0, 64, 6, 0, 0], &addresses[from], &addresses[to]].concat();
    let tcp = [ports[from].to_be_bytes(), ports[to].to_be_bytes()].concat();
    let numbers = [sequence.to_be_bytes(), acknowledged.to_be_bytes()].concat();
    [&ip[..], &tcp, &numbers, &[0x50, 0x18, 0xFF, 0xFF, 0, 0, 0, 0], bytes].concat()
}

fn tshark(capture: &Path, key_log: Option<&Path>, arguments: &[&str]) -> String {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(capture).args(arguments);
    if let Some(path) = key_log {
        command.arg("-o").arg(format!("tls.keylog_file:{}", path.display()));
    }
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether question and answer can be read by these keys.
fn is_readable(recorded: &Recorded, key_log: &str) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let (capture, keys) = (directory.path().join("capture.pcap"), directory.path().join("keys.txt"));
    std::fs::write(&capture, recorded.pcap()).unwrap();
    std::fs::write(&keys, key_log).unwrap();
    let followed = tshark(&capture, Some(&keys), &["-q", "-z", "follow,tls,raw,0"]);
    assert!(followed.contains("Filter: tcp.stream eq 0"), "tshark does not follow: {followed}");
    let found = [QUESTION, ANSWER].map(|text| followed.contains(&hex(text)));
    assert_eq!(found[0], found[1]);
    found[0]
}

fn contexts(version: ProtocolVersion) -> [SecureContext; 2] {
    let options = || SecureContextOptions { dangerous_key_log: true, ..context_options(version) };
    [context(&options()), context(&with_identity(options(), server_identity()))]
}

#[test]
fn recorded_traffic_can_be_read_with_the_key_log_of_either_side() {
    if is_missing("tshark") {
        return;
    }
    for version in [ProtocolVersion::Tls1_2, ProtocolVersion::Tls1_3] {
        let [client, server] = contexts(version);
        let first = Recorded::new(&client, &server, None);
        assert!(first.key_logs.iter().all(|log| is_readable(&first, log)), "{version}");
        assert!(!is_readable(&first, ""), "{version}: it is no secret at all");
        let resumed = Recorded::new(&client, &server, first.session.clone());
        assert!(resumed.connections[0].is_session_reused());
        assert!(resumed.key_logs.iter().all(|log| is_readable(&resumed, log)), "{version}, resumed");
        if version == ProtocolVersion::Tls1_3 {
            assert!(!is_readable(&resumed, &first.key_logs[0]), "another connection's keys open it");
        }
    }
}

#[test]
fn a_client_is_fingerprinted_as_tshark_does_it() {
    if is_missing("tshark") {
        return;
    }
    for version in [ProtocolVersion::Tls1_2, ProtocolVersion::Tls1_3] {
        let [client, server] = contexts(version);
        let recorded = Recorded::new(&client, &server, None);
        let sent = recorded.packets.iter().filter(|(side, _)| *side == Side::Client);
        let sent: Vec<u8> = sent.flat_map(|(_, bytes)| bytes.clone()).collect();
        let Inspection::Hello(hello) = inspect(&sent) else { panic!("the client says hello first") };
        let directory = tempfile::tempdir().unwrap();
        let capture = directory.path().join("capture.pcap");
        std::fs::write(&capture, recorded.pcap()).unwrap();
        let fields = ["-T", "fields", "-e", "tls.handshake.ja3_full", "-e", "tls.handshake.ja3"];
        let shown = tshark(&capture, None, &[&fields[..], &["-Y", "tls.handshake.type == 1"]].concat());
        assert_eq!(shown.trim(), format!("{}\t{}", hello.ja3(), hello.ja3_hash().unwrap()));
    }
}
