//! Fingerprints of ClientHellos: JA3 and JA4, by which servers tell kinds of clients apart.
//!
//! They say which library a client probably is, and are forged as easily as any header. Nothing here trusts them.

use std::fmt::Write;

use nodetls_openssl::{md5, sha256};

use super::{ClientHello, extension};

const EC_POINT_FORMATS: u16 = 11;

/// Characters of a digest in a JA4 fingerprint.
const JA4_DIGEST: usize = 12;

/// JA4 has two digits for numbers of suites and extensions.
const JA4_MAX_COUNT: usize = 99;

impl ClientHello {
    /// The text that JA3 takes the digest of: version, cipher suites, extensions, groups and point formats as decimal
    /// numbers in the client's order, without GREASE (RFC 8701), such as `771,4865-4866,0-11-10,29-23,0`.
    #[must_use]
    pub fn ja3(&self) -> String {
        let formats = self.extension(EC_POINT_FORMATS).and_then(|content| content.split_first());
        let formats = formats.map(|(length, rest)| rest.get(..usize::from(*length)).unwrap_or(rest));
        let formats = formats.unwrap_or_default().iter().copied().map(u16::from);
        let parts = [
            decimal(self.cipher_suites().iter().copied()),
            decimal(self.extensions().map(|(kind, _)| kind)),
            decimal(self.supported_groups().iter().copied()),
            decimal(formats),
        ];
        format!("{},{}", self.legacy_version(), parts.join(","))
    }

    /// The JA3 fingerprint: the MD5 digest of [`ja3`](Self::ja3) in lower-case hexadecimal. `None` where OpenSSL has no
    /// MD5, as in FIPS mode. Clients that shuffle their extensions have another one each time; see
    /// [`ja4`](Self::ja4).
    #[must_use]
    pub fn ja3_hash(&self) -> Option<String> {
        md5(self.ja3().as_bytes()).map(|digest| hex(&digest))
    }

    /// The JA4 fingerprint of a client over TCP, such as `t13d1516h2_8daaf6152771_e5627efa2ab1`: version, kind of name,
    /// numbers of cipher suites and extensions, first application protocol; digests of the sorted cipher suites, and of
    /// the sorted extensions with the signature algorithms. GREASE is left out.
    #[must_use]
    pub fn ja4(&self) -> String {
        let suites = sorted(self.cipher_suites().iter().copied());
        let extensions = sorted(self.extensions().map(|(kind, _)| kind));
        let name = if self.extension(extension::SERVER_NAME).is_some() { 'd' } else { 'i' };
        let counts = [suites.len(), extensions.len()].map(|count| count.min(JA4_MAX_COUNT));
        format!(
            "t{}{name}{:02}{:02}{}_{}_{}",
            self.ja4_version(),
            counts[0],
            counts[1],
            self.ja4_protocol(),
            ja4_digest(&hex_list(suites)),
            self.ja4_extensions(extensions),
        )
    }

    fn ja4_version(&self) -> &'static str {
        let highest = self.supported_versions().into_iter().filter(|version| !is_grease(*version)).max();
        match highest {
            Some(0x0304) => "13",
            Some(0x0303) => "12",
            Some(0x0302) => "11",
            Some(0x0301) => "10",
            Some(0x0300) => "s3",
            Some(0x0002) => "s2",
            _ => "00",
        }
    }

    /// The first and the last character of the first protocol, or those of its hexadecimal form where one of them is
    /// neither a letter nor a digit.
    fn ja4_protocol(&self) -> String {
        let Some(protocol) = self.alpn_protocols().first() else { return "00".to_owned() };
        let ends = |text: &[u8]| [text.first(), text.last()].map(|byte| byte.copied().unwrap_or(b'0'));
        let readable = ends(protocol).iter().all(u8::is_ascii_alphanumeric);
        let [first, last] = if readable { ends(protocol) } else { ends(hex(protocol).as_bytes()) };
        [char::from(first), char::from(last)].iter().collect()
    }

    fn ja4_extensions(&self, extensions: Vec<u16>) -> String {
        // Name and protocol differ from server to server and are told before.
        let told = [extension::SERVER_NAME, extension::ALPN];
        let mut text = hex_list(extensions.into_iter().filter(|kind| !told.contains(kind)));
        let schemes = self.signature_schemes().iter().copied().filter(|scheme| !is_grease(*scheme));
        let schemes = hex_list(schemes);
        if !schemes.is_empty() {
            text = format!("{text}_{schemes}");
        }
        ja4_digest(&text)
    }
}

/// RFC 8701 §2: both bytes are the same and end in 0xA.
const fn is_grease(number: u16) -> bool {
    let [high, low] = number.to_be_bytes();
    high == low && low & 0x0F == 0x0A
}

fn sorted(numbers: impl Iterator<Item = u16>) -> Vec<u16> {
    let mut numbers: Vec<u16> = numbers.filter(|number| !is_grease(*number)).collect();
    numbers.sort_unstable();
    numbers
}

fn decimal(numbers: impl Iterator<Item = u16>) -> String {
    let texts: Vec<String> =
        numbers.filter(|number| !is_grease(*number)).map(|number| number.to_string()).collect();
    texts.join("-")
}

fn hex_list(numbers: impl IntoIterator<Item = u16>) -> String {
    let texts: Vec<String> = numbers.into_iter().map(|number| format!("{number:04x}")).collect();
    texts.join(",")
}

fn ja4_digest(text: &str) -> String {
    let mut digest = if text.is_empty() { hex(&[0; 32]) } else { hex(&sha256(&[text.as_bytes()])) };
    digest.truncate(JA4_DIGEST);
    digest
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_hello::tests::{captures, hello};

    /// What a hello is made of here.
    #[derive(Default)]
    struct Parts<'a> {
        version: u16,
        suites: &'a [u16],
        extensions: &'a [(u16, Vec<u8>)],
    }

    fn list(numbers: &[u16]) -> Vec<u8> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        vector(2, &bytes)
    }

    fn vector(width: usize, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&length[4 - width..], content].concat()
    }

    fn made_of(parts: &Parts<'_>) -> ClientHello {
        let extension =
            |(kind, content): &(u16, Vec<u8>)| [&kind.to_be_bytes()[..], &vector(2, content)].concat();
        let extensions = parts.extensions.iter().flat_map(extension).collect::<Vec<u8>>();
        let mut body =
            [&parts.version.to_be_bytes()[..], &[7; 32], &[0], &list(parts.suites), &[1, 0]].concat();
        if !parts.extensions.is_empty() {
            body.extend(vector(2, &extensions));
        }
        ClientHello::parse(&[&[1][..], &vector(3, &body)].concat()).unwrap()
    }

    fn alpn(protocol: &[u8]) -> (u16, Vec<u8>) {
        (extension::ALPN, vector(2, &vector(1, protocol)))
    }

    #[test]
    fn ja3_of_the_examples_that_its_authors_published() {
        let hello = made_of(&Parts {
            version: 769,
            suites: &[47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4],
            extensions: &[
                (0, vector(2, &[&[0][..], &vector(2, b"a.test")].concat())),
                (10, list(&[23, 24, 25])),
                (11, vec![1, 0]),
            ],
        });
        let text = "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0";
        assert_eq!(hello.ja3(), text);
        assert_eq!(hello.ja3_hash().as_deref(), Some("ada70206e40642a3e4461f35503241d5"));
        let suites = &[4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99];
        let hello = made_of(&Parts { version: 769, suites, extensions: &[] });
        assert_eq!(hello.ja3(), "769,4-5-10-9-100-98-3-6-19-18-99,,,");
        assert_eq!(hello.ja3_hash().as_deref(), Some("de350869b8c85de67a350c8d186f11e6"));
    }

    /// A Chrome's hello, made of the lists that the authors of JA4 explain it with, in another order and with GREASE.
    fn chrome(order: impl Fn(&mut Vec<(u16, Vec<u8>)>)) -> ClientHello {
        let schemes = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];
        let mut extensions = vec![
            (0x1a1a, Vec::new()),
            (0x0000, vector(2, &[&[0][..], &vector(2, b"a.test")].concat())),
            (0x0005, vec![1, 0, 0, 0, 0]),
            (0x000a, list(&[0x3a3a, 29, 23, 24])),
            (0x000b, vec![1, 0]),
            (0x000d, list(&schemes)),
            alpn(b"h2"),
            (0x0012, Vec::new()),
            (0x002b, vector(1, &[0xca, 0xca, 3, 4, 3, 3])),
        ];
        let rest = [0x0015, 0x0017, 0x001b, 0x0023, 0x002d, 0x0033, 0x4469, 0xff01, 0xfafa];
        extensions.extend(rest.map(|kind| (kind, vec![0])));
        order(&mut extensions);
        let suites = &[
            0x8a8a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
            0x009c, 0x009d, 0x002f, 0x0035,
        ];
        made_of(&Parts { version: 0x0303, suites, extensions: &extensions })
    }

    #[test]
    fn ja4_of_the_example_that_its_authors_published() {
        assert_eq!(chrome(|_| {}).ja4(), "t13d1516h2_8daaf6152771_e5627efa2ab1");
    }

    #[test]
    fn ja4_does_not_depend_on_the_order_of_extensions_and_ja3_does() {
        let (straight, reversed) = (chrome(|_| {}), chrome(|extensions| extensions.reverse()));
        assert_eq!(straight.ja4(), reversed.ja4());
        assert_ne!(straight.ja3_hash(), reversed.ja3_hash());
        assert!(!straight.ja3().contains("6682"), "GREASE is left out: {}", straight.ja3());
    }

    #[test]
    fn ja4_of_a_hello_with_nothing_in_it() {
        // Written by hand from the definition: no name, one suite, no extension; SHA-256 of `002f`.
        let bare = made_of(&Parts { version: 0x0301, suites: &[0x002f], extensions: &[] });
        let digest = hex(&sha256(&[b"002f"]));
        assert_eq!(bare.ja4(), format!("t10i010000_{}_000000000000", &digest[..12]));
        let grease = made_of(&Parts { version: 0x0300, suites: &[0x0a0a], extensions: &[] });
        assert_eq!(grease.ja4(), "ts3i000000_000000000000_000000000000");
    }

    #[test]
    fn ja4_shows_the_ends_of_the_first_protocol() {
        for (protocol, shown) in [
            (&b"h2"[..], "h2"),
            (b"http/1.1", "h1"),
            (b"x", "xx"),
            (b"\xAB", "ab"),
            (b"\xAB\xCD", "ad"),
            (b"\x30\xAB", "3b"),
            (b"\x30\x31\xAB\xCD", "3d"),
            (b"\x30\xAB\xCD\x31", "01"),
        ] {
            let extensions = &[alpn(protocol)];
            let hello = made_of(&Parts { version: 0x0303, suites: &[1], extensions });
            assert_eq!(&hello.ja4()[8..10], shown, "{protocol:?}");
        }
    }

    #[test]
    fn ja4_counts_to_99() {
        let suites: Vec<u16> = (1..=150).collect();
        let extensions: Vec<(u16, Vec<u8>)> = (1000..1120).map(|kind| (kind, Vec::new())).collect();
        let hello = made_of(&Parts { version: 0x0303, suites: &suites, extensions: &extensions });
        assert!(hello.ja4().starts_with("t12i999900_"), "{}", hello.ja4());
    }

    #[test]
    fn fingerprints_of_captured_clients_are_those_that_other_programs_find() {
        // JA3 by tshark 4.0.17, JA4 by the Python package ja4plus 1.4.0.
        let known = [
            ("0353bcd6b2d4de22c7f73a34e62efe05", "t12d2809h2_d943125447b4_0f0eab847d69"),
            ("5d70a188544fb769122c0d9b2509a405", "t13d041100_16476d049b0b_6775ac8fe30b"),
            ("0149f47eabf9a20d0893e2a44e5a6323", "t13d3112h2_e8f1e7e78f70_b26ce05bbdd6"),
            ("fc2256727ada97932bec05b476e058b2", "t13d5912xx_a33745022dd6_f6eeaf393d2e"),
        ];
        for (bytes, (ja3, ja4)) in captures().into_iter().zip(known) {
            let hello = hello(&bytes);
            assert_eq!((hello.ja3_hash().as_deref(), &*hello.ja4()), (Some(ja3), ja4));
        }
    }
}
