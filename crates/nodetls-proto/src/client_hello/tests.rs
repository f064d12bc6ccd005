//! Hellos of real clients, captured on 127.0.0.1, and what can be done to them.

use super::*;

/// `openssl s_client -tls1_2 -servername Example.Test -alpn h2,http/1.1 -status` (3.0.22).
const OPENSSL_TLS12: &str = "\
    16030100e7010000e3030335ddea42226aecc84c31dd2a93167933cab75f1c4b2b1ab7ae2dae685f8eff10000038c02cc030\
    009fcca9cca8ccaac02bc02f009ec024c028006bc023c0270067c00ac0140039c009c0130033009d009c003d003c0035002f\
    00ff0100008200000011000f00000c4578616d706c652e54657374000b000403000102000a000c000a001d0017001e001900\
    18002300000005000501000000000010000e000c02683208687474702f312e310016000000170000000d002a002804030503\
    0603080708080809080a080b080408050806040105010601030303010302040205020602";

/// `openssl s_client -tls1_3 -servername example.test -psk_identity Client_identity -psk 1a2b3c4d` (3.0.22).
const OPENSSL_TLS13: &str = "\
    160301012f0100012b03037bff345fce9c674efdf4e84bbdb01f644c24328de45e75fb53bd66efdbe6abb520b80f27f5e6d2\
    26d41a369a8dcbd43beefe098333fc757a54d1affa5211540693000813021303130100ff010000da00000011000f00000c65\
    78616d706c652e74657374000b000403000102000a00160014001d0017001e00190018010001010102010301040023000000\
    16000000170000000d001e001c040305030603080708080809080a080b080408050806040105010601002b0003020304002d\
    00020101003300260024001d002038569d0ced8d55bbdce2ec8df9f99d9df77dbc734bfd6c4de070a19ed7ee832f0029003a\
    0015000f436c69656e745f6964656e7469747900000000002120c8e0ad600181fa3faf9600841ee5eb84a1b1d5b6f066006f\
    97518bdc6dbdc3e1";

/// `curl https://a.test/` (7.88.1 with OpenSSL 3.0.22).
const CURL: &str = "\
    1603010200010001fc03030ba0deebad252aa96701ab42d473daad569fa5630e4220fa6265d7b213fa11d42023e6a3ce1482\
    8ae4cced1b8dd3b931fa66aa2265f85fea4ce593b7c607bab8b7003e130213031301c02cc030009fcca9cca8ccaac02bc02f\
    009ec024c028006bc023c0270067c00ac0140039c009c0130033009d009c003d003c0035002f00ff010001750000000b0009\
    000006612e74657374000b000403000102000a00160014001d0017001e00190018010001010102010301040010000e000c02\
    683208687474702f312e31001600000017000000310000000d002a0028040305030603080708080809080a080b0804080508\
    06040105010601030303010302040205020602002b0009080304030303020301002d00020101003300260024001d002030df\
    844bbd847bb989b5899ffae7488362d36f4aaedeb140b4e86db1946f2b26001500b700000000000000000000000000000000\
    0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
    0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
    0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
    0000000000000000000000000000000000";

/// `tls.connect({ servername: 'agent1', requestOCSP: true, ALPNProtocols: ['x', 'http/1.1'] })` (v20.20.2).
const NODE: &str = "\
    16030101810100017d030358cf31a847333b4aef0863604c9f03802a75cbd02faca6d4d36598d7f86a07ae20a786335ac292\
    0ad80a6ddda418e2738d042893622ffed6d5d54e7cda5ceb4fd40076130213031301c02fc02bc030c02c009ec0270067c028\
    006b00a3009fcca9cca8ccaac0afc0adc0a3c09fc05dc061c057c05300a2c0aec0acc0a2c09ec05cc060c056c052c024006a\
    c0230040c00ac01400390038c009c01300330032009dc0a1c09dc051009cc0a0c09cc050003d003c0035002f00ff010000be\
    0000000b00090000066167656e7431000b000403000102000a00160014001d0017001e001900180100010101020103010400\
    2300000005000501000000000010000d000b017808687474702f312e310016000000170000000d002a002804030503060308\
    0708080809080a080b080408050806040105010601030303010302040205020602002b00050403040303002d000201010033\
    00260024001d0020c50bffa05ae0bf2e8d2b52249eae9ee2c05e0a07607da5814b22ce3502020e72";

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

pub(super) fn captures() -> [Vec<u8>; 4] {
    [OPENSSL_TLS12, OPENSSL_TLS13, CURL, NODE].map(unhex)
}

pub(super) fn hello(bytes: &[u8]) -> ClientHello {
    match inspect(bytes) {
        Inspection::Hello(hello) => hello,
        other => panic!("{other:?}"),
    }
}

/// Puts a message into records of at most `size` bytes.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    let record = |part: &[u8]| {
        let length = u16::try_from(part.len()).unwrap().to_be_bytes();
        [&[22, 3, 1][..], &length, part].concat()
    };
    message.chunks(size).flat_map(record).collect()
}

fn with_length(width: usize, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[4 - width..], content].concat()
}

/// A message with these parts after the compression methods.
fn message_with_tail(tail: &[u8]) -> Vec<u8> {
    let start = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 1], &[1, 0]].concat();
    [vec![1], with_length(3, &[&start, tail].concat())].concat()
}

fn message_with(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let extension =
        |(kind, content): &(u16, &[u8])| [&kind.to_be_bytes()[..], &with_length(2, content)].concat();
    let extensions: Vec<u8> = extensions.iter().flat_map(extension).collect();
    message_with_tail(&with_length(2, &extensions))
}

fn parse_extension(kind: u16, content: &[u8]) -> Result<ClientHello, DecodeError> {
    ClientHello::parse(&message_with(&[(kind, content)]))
}

/// Marsaglia's xorshift64: the same bytes on every run.
struct XorShift(u64);

impl XorShift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 1).unwrap() % limit
    }
}

/// Calls everything that could slice wrongly.
fn exercise(hello: &ClientHello) {
    assert!(hello.extensions().all(|(kind, content)| hello.extension(kind) == Some(content)));
    assert!(hello.session_id().len() <= 32);
    assert!(hello.psk_identities().iter().all(|identity| !identity.is_empty()));
    assert!(hello.server_name().is_none_or(|name| !name.is_empty() && name.is_ascii()));
    assert!(!hello.supported_versions().is_empty());
    assert!(!format!("{hello:?}").is_empty());
    assert_eq!(ClientHello::parse(hello.raw()).as_ref(), Ok(hello));
}

#[test]
fn hello_of_openssl_for_tls_1_2_is_read() {
    let bytes = unhex(OPENSSL_TLS12);
    let hello = hello(&bytes);
    exercise(&hello);
    assert_eq!(hello.raw(), &bytes[5..]);
    assert_eq!(hello.legacy_version(), 0x0303);
    assert_eq!(hello.random()[..], bytes[11..43]);
    assert_eq!(hello.session_id(), b"");
    assert_eq!(hello.cipher_suites().first(), Some(&0xc02c));
    assert_eq!(hello.cipher_suites().last(), Some(&0x00ff));
    assert_eq!(hello.server_name(), Some("example.test"));
    assert_eq!(hello.alpn_protocols(), [b"h2".to_vec(), b"http/1.1".to_vec()]);
    assert_eq!(hello.supported_versions(), [0x0303]);
    assert!(
        hello.supports_version(0x0303) && hello.supports_version(0x0301) && !hello.supports_version(0x0304)
    );
    assert_eq!(hello.supported_groups(), [0x1d, 0x17, 0x1e, 0x19, 0x18]);
    assert_eq!(hello.signature_schemes().first(), Some(&0x0403));
    assert_eq!(hello.session_ticket(), Some(&b""[..]));
    assert!(hello.psk_identities().is_empty());
    assert!(hello.requests_ocsp());
    let kinds: Vec<u16> = hello.extensions().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [0, 11, 10, 35, 5, 16, 22, 23, 13]);
    assert_eq!(hello.extension(22), Some(&b""[..]));
    assert_eq!(hello.extension(43), None);
}

#[test]
fn hello_of_openssl_for_tls_1_3_shows_its_psk_identity() {
    let hello = hello(&unhex(OPENSSL_TLS13));
    exercise(&hello);
    assert_eq!(hello.psk_identities(), [b"Client_identity"]);
    assert_eq!(hello.session_id().len(), 32);
    assert_eq!(hello.supported_versions(), [0x0304]);
    assert!(hello.supports_version(0x0304) && !hello.supports_version(0x0303));
    assert_eq!(hello.server_name(), Some("example.test"));
    assert!(hello.alpn_protocols().is_empty() && !hello.requests_ocsp());
}

#[test]
fn hellos_of_curl_and_node_are_read() {
    let curl = hello(&unhex(CURL));
    exercise(&curl);
    assert_eq!(curl.server_name(), Some("a.test"));
    assert_eq!(curl.supported_versions(), [0x0304, 0x0303, 0x0302, 0x0301]);
    assert_eq!(curl.session_ticket(), None);
    let node = hello(&unhex(NODE));
    exercise(&node);
    assert_eq!(node.server_name(), Some("agent1"));
    assert_eq!(node.alpn_protocols(), [b"x".to_vec(), b"http/1.1".to_vec()]);
    assert_eq!(node.supported_versions(), [0x0304, 0x0303]);
    assert!(node.requests_ocsp());
}

#[test]
fn a_hello_without_extensions_stands_for_all_versions_up_to_its_own() {
    let mut message = message_with_tail(b"");
    message[5] = 2;
    let hello = ClientHello::parse(&message).unwrap();
    exercise(&hello);
    assert_eq!((hello.extensions().count(), hello.server_name()), (0, None));
    assert_eq!(hello.supported_versions(), [0x0302]);
    assert!(
        hello.supports_version(0x0301) && !hello.supports_version(0x0303) && !hello.supports_version(0x02ff)
    );
    message[5] = 4;
    assert!(!ClientHello::parse(&message).unwrap().supports_version(0x0304));
}

#[test]
fn every_truncation_is_incomplete() {
    for bytes in captures() {
        let mut deframer = HelloDeframer::new();
        for end in 0..bytes.len() {
            assert_eq!(inspect(&bytes[..end]), Inspection::Incomplete);
            assert_eq!(deframer.inspect(&bytes[..end]), Inspection::Incomplete);
        }
        assert_eq!(deframer.inspect(&bytes), inspect(&bytes));
    }
}

#[test]
fn every_truncated_message_is_an_error() {
    for bytes in captures() {
        for end in 5..bytes.len() {
            assert!(ClientHello::parse(&bytes[5..end]).is_err());
        }
        assert_eq!(
            ClientHello::parse(&[&bytes[5..], &[0]].concat()),
            Err(DecodeError::TrailingBytes { field: "ClientHello" })
        );
    }
}

#[test]
fn any_fragmentation_yields_the_same_hello() {
    for bytes in captures() {
        let whole = hello(&bytes);
        for size in 1..=whole.raw().len() {
            assert_eq!(hello(&records(whole.raw(), size)), whole);
        }
        let tiny = records(whole.raw(), 1);
        let mut deframer = HelloDeframer::new();
        assert!((0..tiny.len()).all(|end| deframer.inspect(&tiny[..end]) == Inspection::Incomplete));
        assert_eq!(deframer.inspect(&tiny), Inspection::Hello(whole));
    }
}

#[test]
fn bytes_after_the_hello_do_not_matter() {
    for bytes in captures() {
        let whole = hello(&bytes);
        assert_eq!(hello(&[&bytes, &b"GET / HTTP/1.1"[..]].concat()), whole);
        assert_eq!(hello(&records(&[whole.raw(), b"\x01\x02\x03"].concat(), 16_384)), whole);
    }
}

#[test]
fn a_shrinking_or_changing_buffer_does_no_harm() {
    let tiny = records(hello(&unhex(CURL)).raw(), 1);
    let mut deframer = HelloDeframer::new();
    assert_eq!(deframer.inspect(&tiny[..600]), Inspection::Incomplete);
    assert_eq!(deframer.inspect(b""), Inspection::Incomplete);
    assert_eq!(deframer.inspect(&tiny[..6]), Inspection::Incomplete);
    assert_eq!(deframer.inspect(&[0; 10_000]), Inspection::NotTls);
}

#[test]
fn no_mutation_panics() {
    for bytes in captures() {
        let mut mutated = bytes.clone();
        for at in 0..bytes.len() {
            for value in 0..=255 {
                mutated[at] = value;
                match inspect(&mutated) {
                    // All accessors too, for one flipped bit; for all values that would take seconds.
                    Inspection::Hello(hello) if (value ^ bytes[at]).is_power_of_two() => exercise(&hello),
                    _ => {}
                }
            }
            mutated[at] = bytes[at];
        }
    }
}

#[test]
fn no_random_bytes_panic() {
    let mut random = XorShift(0x9e37_79b9_7f4a_7c15);
    for round in 0..20_000 {
        let mut bytes: Vec<u8> = (0..random.below(300)).map(|_| random.byte()).collect();
        let _ = (inspect(&bytes), ClientHello::parse(&bytes));
        // Random bytes alone seldom get past the first checks.
        bytes.splice(0..0, [[22, 3, 1, 0, 200, 1, 0, 0, 196], [22, 3, 3, 0, 9, 1, 0, 1, 0]][round % 2]);
        let _ = inspect(&bytes);
        let _ = parse_extension([0, 5, 10, 13, 16, 41, 43][round % 7], &bytes[9..]);
    }
}

#[test]
fn random_damage_in_several_places_does_not_panic() {
    let mut random = XorShift(42);
    let captures = captures();
    for round in 0..20_000 {
        let mut bytes = captures[round % captures.len()].clone();
        for _ in 0..=random.below(6) {
            let at = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[at] = random.byte(),
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, random.byte()),
            }
        }
        if let Inspection::Hello(hello) = inspect(&bytes) {
            exercise(&hello);
        }
    }
}

#[test]
fn the_first_bytes_tell_what_is_no_hello() {
    use Inspection::{Incomplete, Malformed, NotTls, OversizedMessage, OversizedRecord, Sslv2};
    let empty = Malformed(DecodeError::EmptyRecord);
    let table: &[(&[u8], Inspection)] = &[
        (b"", Incomplete),
        (b"G", NotTls),
        (b"GET / HTTP/1.1\r\n", NotTls),
        (b"\0", NotTls),
        (b"\x15\x03\x01\0\x02\x01\0", NotTls),
        (b"\x16", Incomplete),
        (b"\x16\x02", NotTls),
        (b"\x16\x03", Incomplete),
        (b"\x16\x03\xff\0\x01\x01", Incomplete),
        (b"\x16\x03\x01\0\0", empty),
        (b"\x16\x03\x01\x40\0", Incomplete),
        (b"\x16\x03\x01\x40\x01", OversizedRecord),
        (b"\x16\x03\x01\xff\xff", OversizedRecord),
        (b"\x16\x03\x01\0\x01\x02", NotTls),
        (b"\x16\x03\x01\0\x04\x01\x01\0\0", Incomplete),
        (b"\x16\x03\x01\0\x04\x01\x01\0\x01", OversizedMessage),
        (b"\x16\x03\x01\0\x04\x01\0\0\0", Malformed(DecodeError::Truncated { field: "legacy_version" })),
        (b"\x16\x03\x01\0\x01\x01\x15", NotTls),
        (b"\x16\x03\x01\0\x01\x01\x16\x03\x01\0\0", Malformed(DecodeError::EmptyRecord)),
        (b"\x16\x03\x01\0\x01\x01\x80\x2e\x01", NotTls),
        (b"\x80", Incomplete),
        (b"\x80\x2e", Incomplete),
        (b"\x80\x2e\x01", Sslv2),
        (b"\xff\xff\x01\x03\x03", Sslv2),
        (b"\x80\x2e\x02", NotTls),
    ];
    for (bytes, expected) in table {
        assert_eq!(inspect(bytes), *expected, "{bytes:02x?}");
    }
}

#[test]
fn the_largest_hello_is_read_and_one_byte_more_is_oversized() {
    let head = message_with(&[(65_000, b"")]).len() - 4;
    let padded = |length: usize| message_with(&[(21, &vec![0; 60_000]), (65_000, &vec![0; length])]);
    let largest = padded(MAX_MESSAGE_LENGTH - head - 60_004);
    assert_eq!(largest.len(), 4 + MAX_MESSAGE_LENGTH);
    assert_eq!(hello(&records(&largest, 16_384)).raw(), largest);
    let larger = padded(MAX_MESSAGE_LENGTH - head - 60_003);
    assert_eq!(inspect(&records(&larger, 16_384)), Inspection::OversizedMessage);
}

#[test]
fn a_hello_in_tiny_records_costs_no_more_than_its_records() {
    let message = message_with(&[(21, &vec![0; 60_000])]);
    let stream = records(&message, 1);
    let mut deframer = HelloDeframer::new();
    // Were each call to begin at the first byte, these 360,000 calls would walk over 10^10 records.
    assert!((0..stream.len()).all(|end| deframer.inspect(&stream[..end]) == Inspection::Incomplete));
    assert_eq!(deframer.inspect(&stream), Inspection::Hello(ClientHello::parse(&message).unwrap()));
}

#[test]
fn wrong_lengths_in_the_body_are_named() {
    let body = |parts: &[&[u8]]| {
        let content = [&[3, 3][..], &[7; 32], &parts.concat()].concat();
        ClientHello::parse(&[vec![1], with_length(3, &content)].concat())
    };
    let length = |field| Err(DecodeError::Length { field });
    assert_eq!(ClientHello::parse(b""), Err(DecodeError::Truncated { field: "handshake header" }));
    assert_eq!(ClientHello::parse(b"\x02\0\0\0"), Err(DecodeError::NotClientHello(2)));
    assert_eq!(
        ClientHello::parse(&[vec![1], with_length(3, &vec![0; 65_537])].concat()),
        length("ClientHello")
    );
    assert_eq!(body(&[&[33], &[0; 33]]), length("legacy_session_id"));
    assert_eq!(body(&[&[0], &[0, 0]]), length("cipher_suites"));
    assert_eq!(body(&[&[0], &[0, 3, 1, 2, 3]]), length("cipher_suites"));
    assert_eq!(body(&[&[0], &[0, 2, 1, 2], &[0]]), length("legacy_compression_methods"));
    assert_eq!(
        body(&[&[0], &[0, 2, 1, 2], &[1, 0], &[0]]),
        Err(DecodeError::Truncated { field: "extensions" })
    );
    let trailing = body(&[&[0], &[0, 2, 1, 2], &[1, 0], &[0, 0, 9]]);
    assert_eq!(trailing, Err(DecodeError::TrailingBytes { field: "ClientHello" }));
    let cut = body(&[&[0], &[0, 2, 1, 2], &[1, 0], &[0, 4, 0, 99, 0, 1]]);
    assert_eq!(cut, Err(DecodeError::Truncated { field: "extension_data" }));
    assert!(body(&[&[32], &[5; 32], &[0, 2, 1, 2], &[1, 0], &[0, 0]]).is_ok());
}

#[test]
fn an_extension_may_be_sent_once() {
    let twice = message_with(&[(99, b"a"), (16, b"\0\x02\x01x"), (99, b"b")]);
    assert_eq!(ClientHello::parse(&twice), Err(DecodeError::DuplicateExtension(99)));
    let grease = message_with(&[(0x0a0a, b""), (16, b"\0\x02\x01x"), (0x1a1a, b"\0")]);
    assert_eq!(ClientHello::parse(&grease).unwrap().extensions().count(), 3);
}

#[test]
fn the_server_name_is_one_host_name_in_ascii() {
    let name = |name: &[u8]| {
        let entry = [vec![0], with_length(2, name)].concat();
        parse_extension(0, &with_length(2, &entry)).map(|hello| hello.server_name().map(str::to_owned))
    };
    assert_eq!(name(b"A.Test"), Ok(Some("a.test".to_owned())));
    assert_eq!(name(&[b'a'; 255]), Ok(Some("a".repeat(255))));
    assert_eq!(name(b""), Err(DecodeError::ServerName));
    for bad in [&b"a\0b"[..], "ü.test".as_bytes(), b"\xff", &[b'a'; 256]] {
        assert_eq!(name(bad), Err(DecodeError::HostName));
    }
    for bad in [&b"\0\x04\x01\0\x01a"[..], b"\0\x08\0\0\x01a\0\0\x01b", b"\0\x05\0\0\x01a\0"] {
        assert_eq!(parse_extension(0, bad), Err(DecodeError::ServerName));
    }
    assert_eq!(parse_extension(0, b"\0\0"), Err(DecodeError::Length { field: "server_name_list" }));
    assert_eq!(parse_extension(0, b""), Err(DecodeError::Truncated { field: "server_name_list" }));
    assert_eq!(parse_extension(0, b"\0\x04\0\0\x02a"), Err(DecodeError::Truncated { field: "HostName" }));
    let trailing = parse_extension(0, b"\0\x04\0\0\x01a\0");
    assert_eq!(trailing, Err(DecodeError::TrailingBytes { field: "server_name" }));
}

#[test]
fn lists_in_extensions_are_checked() {
    let length = |field| Err(DecodeError::Length { field });
    for (kind, field) in [(10, "supported_groups"), (13, "signature_algorithms")] {
        assert_eq!(parse_extension(kind, b"\0\0"), length(field));
        assert_eq!(parse_extension(kind, b"\0\x03abc"), length(field));
        assert_eq!(parse_extension(kind, b"\0\x02abc"), Err(DecodeError::TrailingBytes { field }));
        assert_eq!(parse_extension(kind, b"\0\x04ab"), Err(DecodeError::Truncated { field }));
        assert!(parse_extension(kind, b"\0\x02ab").is_ok());
    }
    assert_eq!(parse_extension(43, b"\0"), length("supported_versions"));
    assert_eq!(parse_extension(43, b"\x02\x03\x04").unwrap().supported_versions(), [0x0304]);
    assert_eq!(parse_extension(16, b"\0\0"), length("protocol_name_list"));
    assert_eq!(parse_extension(16, b"\0\x03\x01a\0"), length("ProtocolName"));
    assert_eq!(parse_extension(16, b"\0\x02\x02a"), Err(DecodeError::Truncated { field: "ProtocolName" }));
    let binary = parse_extension(16, b"\0\x03\x02\0\xff").unwrap();
    assert_eq!(binary.alpn_protocols(), [b"\0\xff"]);
}

#[test]
fn only_ocsp_is_a_status_that_is_known() {
    assert!(parse_extension(5, b"\x01\0\0\0\0").unwrap().requests_ocsp());
    assert!(parse_extension(5, b"\x01\0\x01a\0\x01b").unwrap().requests_ocsp());
    assert!(!parse_extension(5, b"\x02anything").unwrap().requests_ocsp());
    assert_eq!(parse_extension(5, b""), Err(DecodeError::Truncated { field: "status_type" }));
    assert_eq!(
        parse_extension(5, b"\x01\0\0\0"),
        Err(DecodeError::Truncated { field: "request_extensions" })
    );
    let trailing = parse_extension(5, b"\x01\0\0\0\0\0");
    assert_eq!(trailing, Err(DecodeError::TrailingBytes { field: "status_request" }));
}

#[test]
fn psk_identities_are_read_in_order_and_checked() {
    let entry = |identity: &[u8]| [with_length(2, identity), vec![0; 4]].concat();
    let binders = with_length(2, &[with_length(1, &[9; 32]), with_length(1, &[9; 32])].concat());
    let good = [with_length(2, &[entry(b"one"), entry(b"\0two")].concat()), binders.clone()].concat();
    assert_eq!(parse_extension(41, &good).unwrap().psk_identities(), [&b"one"[..], b"\0two"]);
    let error = |content: &[u8]| parse_extension(41, content).unwrap_err();
    assert_eq!(error(b"\0\0"), DecodeError::Length { field: "identities" });
    for count in [1, 3] {
        let other = with_length(2, &with_length(1, &[9; 32]).repeat(count));
        let content = [with_length(2, &[entry(b"one"), entry(b"\0two")].concat()), other].concat();
        assert_eq!(error(&content), DecodeError::BinderCount);
    }
    let short = [with_length(2, &entry(b"one")), with_length(2, &with_length(1, &[9; 31]))].concat();
    assert_eq!(error(&short), DecodeError::Length { field: "PskBinderEntry" });
    let nameless = [with_length(2, &entry(b"")), binders].concat();
    assert_eq!(error(&nameless), DecodeError::Length { field: "PskIdentity.identity" });
    let ageless = with_length(2, b"\0\x01a\0\0\0");
    assert_eq!(error(&ageless), DecodeError::Truncated { field: "obfuscated_ticket_age" });
    assert_eq!(error(&with_length(2, &entry(b"a"))), DecodeError::Truncated { field: "binders" });
    assert_eq!(error(&[&good[..], &[0]].concat()), DecodeError::TrailingBytes { field: "pre_shared_key" });
}

#[test]
fn debug_output_tells_no_identity() {
    let hello = hello(&unhex(OPENSSL_TLS13));
    let text = format!("{hello:?}");
    assert!(text.contains("example.test") && !text.contains("Client_identity"));
    assert!(!text.contains(&format!("{:?}", b"Client_identity")));
}
