//! Names inside certificates: the distinguished name of a subject or issuer, and the names of a
//! subjectAltName extension (RFC 5280 §4.1.2.4 and §4.2.1.6).
//!
//! It holds what the fence has read from the structure of a certificate and prints it; it decodes no DER, and
//! nothing in this crate ever parses the printed text again (the lesson of CVE-2021-44532). Matching a name
//! against a host is the work of [`identity`](crate::identity).

use std::fmt::{self, Write as _};

/// A distinguished name, which is a sequence of relative distinguished names (RFC 5280 §4.1.2.4).
///
/// A relative distinguished name is usually one attribute, but may be several; they stay together here, since
/// taking such a set apart by its text is what CVE-2021-44533 was about. Keys are OpenSSL's short names
/// (`CN`, `O`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DistinguishedName {
    rdns: Vec<Vec<(String, String)>>,
}

impl DistinguishedName {
    /// Makes a name of its relative distinguished names, in the order of the certificate.
    #[must_use]
    pub const fn new(rdns: Vec<Vec<(String, String)>>) -> Self {
        Self { rdns }
    }

    /// The relative distinguished names, in the order of the certificate.
    #[must_use]
    pub fn rdns(&self) -> &[Vec<(String, String)>] {
        &self.rdns
    }

    /// All attributes as pairs of key and value, in the order of the certificate.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rdns.iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The values of all common names (`CN`), in the order of the certificate.
    #[must_use]
    pub fn common_names(&self) -> Vec<&str> {
        self.attributes().filter(|(key, _)| *key == "CN").map(|(_, value)| value).collect()
    }
}

/// One line such as `C=UK, O=Node Fans, CN=example.com`; attributes of one set are joined with ` + `.
///
/// Values are escaped as RFC 4514 §2.4 says, so that a value can imitate neither a second attribute nor a new
/// line of a log.
impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, rdn) in self.rdns.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            for (j, (key, value)) in rdn.iter().enumerate() {
                let separator = if j == 0 { "" } else { " + " };
                write!(f, "{separator}{key}={}", Escaped(value))?;
            }
        }
        Ok(())
    }
}

/// A value of an attribute with the escapes of RFC 4514 §2.4; those of control characters are optional there.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.0.len().saturating_sub(1);
        for (i, c) in self.0.char_indices() {
            match c {
                '"' | '+' | ',' | ';' | '<' | '>' | '\\' => write!(f, "\\{c}")?,
                '#' if i == 0 => f.write_str("\\#")?,
                ' ' if i == 0 || i == last => f.write_str("\\ ")?,
                // Octets of the UTF-8 form are escaped, and C1 controls have two.
                c if c.is_control() => {
                    for octet in c.encode_utf8(&mut [0; 4]).bytes() {
                        write!(f, "\\{octet:02X}")?;
                    }
                }
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// One name of a subjectAltName extension (RFC 5280 §4.2.1.6), with its bytes as the certificate has them.
///
/// The byte values are not validated: they may hold NUL, commas or anything else, and printing and matching
/// are both made for that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GeneralName {
    /// dNSName: the bytes of the IA5String.
    Dns(Vec<u8>),
    /// iPAddress: 4 bytes for IPv4 and 16 for IPv6, where the certificate is sound.
    Ip(Vec<u8>),
    /// uniformResourceIdentifier: the bytes of the IA5String. It is printed, and never matched.
    Uri(Vec<u8>),
    /// rfc822Name: the bytes of the IA5String.
    Email(Vec<u8>),
    /// directoryName, as RFC 2253 text: last attribute first, control and non-ASCII characters as they are, and values
    /// that are no text in hexadecimal.
    DirName(String),
    /// registeredID, as a dotted number.
    RegisteredId(String),
    /// otherName of a kind that has a name: `UPN`, `SmtpUTF8Mailbox`, `XmppAddr`, `SRVName`, `NAIRealm`.
    OtherName {
        /// The name of the kind.
        kind: &'static str,
        /// The value.
        value: String,
    },
    /// x400Address, which has no text of its own.
    X400Address,
    /// ediPartyName, which has no text of its own.
    EdiPartyName,
    /// otherName of another kind.
    Other,
}

/// The kind of SRVName, the only one whose values are IA5Strings (RFC 4985 §2).
const SRV_NAME: &str = "SRVName";

impl GeneralName {
    /// An otherName that holds text; `kind` is its object identifier.
    pub(crate) fn other(kind: &str, value: &[u8], is_utf8: bool) -> Self {
        let kind = match kind {
            "1.3.6.1.4.1.311.20.2.3" => "UPN",
            "1.3.6.1.5.5.7.8.5" => "XmppAddr",
            "1.3.6.1.5.5.7.8.7" => SRV_NAME,
            "1.3.6.1.5.5.7.8.8" => "NAIRealm",
            "1.3.6.1.5.5.7.8.9" => "SmtpUTF8Mailbox",
            _ => return Self::Other,
        };
        match (is_utf8, kind == SRV_NAME) {
            (true, false) => Self::OtherName { kind, value: String::from_utf8_lossy(value).into_owned() },
            (false, true) => Self::OtherName { kind, value: latin1(value).collect() },
            _ => Self::Other,
        }
    }
}

/// Prints alternative names as Node.js prints `subjectaltname`.
///
/// Names are joined with `, `. A value that could be taken for more than one name is printed as a JSON
/// string, as Node.js has done since CVE-2021-44532: `DNS:"a.test\u002c DNS:evil.test"`.
///
/// Node: `tlsSocket.getPeerCertificate().subjectaltname`
#[must_use]
pub fn subject_alt_name_text(names: &[GeneralName]) -> String {
    let mut out = String::new();
    for (i, name) in names.iter().enumerate() {
        out.push_str(if i == 0 { "" } else { ", " });
        push_name(&mut out, name);
    }
    out
}

fn push_name(out: &mut String, name: &GeneralName) {
    match name {
        GeneralName::Dns(value) => push_value(out, "DNS:", latin1(value), false),
        GeneralName::Uri(value) => push_value(out, "URI:", latin1(value), false),
        GeneralName::Email(value) => push_value(out, "email:", latin1(value), false),
        GeneralName::DirName(value) => push_value(out, "DirName:", value.chars(), true),
        GeneralName::Ip(value) => push_ip(out, value),
        GeneralName::RegisteredId(oid) => {
            out.push_str("Registered ID:");
            out.push_str(oid);
        }
        GeneralName::OtherName { kind, value } => {
            // The kind stands within the quotation marks, where there are any.
            let text = kind.chars().chain([':']).chain(value.chars());
            push_value(out, "othername:", text, *kind != SRV_NAME);
        }
        GeneralName::X400Address => out.push_str("X400Name:<unsupported>"),
        GeneralName::EdiPartyName => out.push_str("EdiPartyName:<unsupported>"),
        GeneralName::Other => out.push_str("othername:<unsupported>"),
    }
}

/// An IA5String should be ASCII; Node.js reads stray bytes as Latin-1, whose code points are the byte values.
fn latin1(bytes: &[u8]) -> impl Iterator<Item = char> + Clone {
    bytes.iter().copied().map(char::from)
}

fn push_value(
    out: &mut String,
    prefix: &str,
    value: impl Iterator<Item = char> + Clone,
    non_ascii_is_plain: bool,
) {
    let is_plain = |c: char| matches!(c, ' '..='~') || (non_ascii_is_plain && !c.is_ascii());
    out.push_str(prefix);
    // A single quote harms nobody, but could make a value look as if it had been quoted.
    if value.clone().all(|c| is_plain(c) && !matches!(c, ',' | '"' | '\\' | '\'')) {
        out.extend(value);
        return;
    }
    out.push('"');
    for c in value {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // Escaping the comma too lets a reader that knows no quotes still split at `, `.
            c if c != ',' && is_plain(c) => out.push(c),
            c => push_fmt(out, format_args!("\\u{:04x}", u32::from(c))),
        }
    }
    out.push('"');
}

/// IPv6 goes out as OpenSSL writes it: eight groups in capitals, none left out.
fn push_ip(out: &mut String, address: &[u8]) {
    out.push_str("IP Address:");
    let groups: Vec<String> = match address.len() {
        4 => address.iter().map(u8::to_string).collect(),
        16 => address.chunks(2).map(hex_group).collect(),
        length => {
            return push_fmt(out, format_args!("<invalid length={length}>"));
        }
    };
    out.push_str(&groups.join(if address.len() == 4 { "." } else { ":" }));
}

fn push_fmt(out: &mut String, text: fmt::Arguments<'_>) {
    // A String takes whatever is written to it.
    let _ = out.write_fmt(text);
}

fn hex_group(pair: &[u8]) -> String {
    let value = pair.iter().fold(0u16, |group, byte| (group << 8) | u16::from(*byte));
    format!("{value:X}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dn(rdns: &[&[(&str, &str)]]) -> DistinguishedName {
        let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        DistinguishedName::new(rdns.iter().map(|rdn| rdn.iter().map(owned).collect()).collect())
    }

    fn dns(value: &[u8]) -> GeneralName {
        GeneralName::Dns(value.to_vec())
    }

    #[test]
    fn a_distinguished_name_prints_as_one_line() {
        let name = dn(&[&[("C", "UK")], &[("O", "Node Fans")], &[("CN", "a.test"), ("OU", "x")]]);
        assert_eq!(name.to_string(), "C=UK, O=Node Fans, CN=a.test + OU=x");
        assert_eq!(name.common_names(), ["a.test"]);
        assert_eq!(name.attributes().count(), 4);
        assert_eq!(DistinguishedName::default().to_string(), "");
    }

    #[test]
    fn a_value_cannot_imitate_another_attribute() {
        let name = dn(&[&[("O", " a, CN=b\n+\\ ")], &[("CN", "#\u{85}ü ")], &[("CN", " ")], &[("CN", "")]]);
        assert_eq!(name.to_string(), "O=\\ a\\, CN=b\\0A\\+\\\\\\ , CN=\\#\\C2\\85ü\\ , CN=\\ , CN=");
    }

    /// Each expected text is what Node.js v20.20.2 printed for a certificate with these names.
    #[test]
    fn alternative_names_print_as_node_prints_them() {
        let ip6 = |tail: u8| [&[0x20, 0x01, 0x0d, 0xb8][..], &[0; 11], &[tail]].concat();
        let table: &[(&[GeneralName], &str)] = &[
            (&[], ""),
            (
                &[
                    dns(b"a.test"),
                    GeneralName::Ip(vec![127, 0, 0, 1]),
                    GeneralName::Uri(b"http://x/".to_vec()),
                    GeneralName::Email(b"a@b.c".to_vec()),
                    GeneralName::RegisteredId("1.2.3.4".to_owned()),
                    GeneralName::Other,
                ],
                "DNS:a.test, IP Address:127.0.0.1, URI:http://x/, email:a@b.c, Registered ID:1.2.3.4, \
                 othername:<unsupported>",
            ),
            (&[dns(b"")], "DNS:"),
            (&[dns(b"a.test, DNS:evil.test")], r#"DNS:"a.test\u002c DNS:evil.test""#),
            (&[dns(b"a\"b"), dns(b"a'b"), dns(b"a\\b")], r#"DNS:"a\"b", DNS:"a'b", DNS:"a\\b""#),
            (&[dns(b"a\0b"), dns(b"a\x7fb"), dns(b"a~ b")], r#"DNS:"a\u0000b", DNS:"a\u007fb", DNS:a~ b"#),
            (&[dns(b"\xc3\xbc"), dns(b"a\tb")], r#"DNS:"\u00c3\u00bc", DNS:"a\u0009b""#),
            (&[dns(b"a,\"\\\n\xff'x")], r#"DNS:"a\u002c\"\\\u000a\u00ff'x""#),
            (&[GeneralName::Uri(b"http://a/b,c".to_vec())], r#"URI:"http://a/b\u002cc""#),
            (&[GeneralName::Email(b"\"x y\"@z".to_vec())], r#"email:"\"x y\"@z""#),
            (&[GeneralName::Ip([&[0; 15][..], &[1]].concat())], "IP Address:0:0:0:0:0:0:0:1"),
            (&[GeneralName::Ip(ip6(0xbc))], "IP Address:2001:DB8:0:0:0:0:0:BC"),
            (
                &[GeneralName::Ip(vec![0; 5]), GeneralName::Ip(Vec::new())],
                "IP Address:<invalid length=5>, IP Address:<invalid length=0>",
            ),
            (&[GeneralName::DirName("CN=ü€".to_owned())], "DirName:CN=ü€"),
            (&[GeneralName::DirName("CN=ex.com,C=UK".to_owned())], r#"DirName:"CN=ex.com\u002cC=UK""#),
            (
                &[GeneralName::DirName("CN=x'y,O=a\\,\\\"b\\\\ ü\u{1}\u{7f}".to_owned())],
                r#"DirName:"CN=x'y\u002cO=a\\\u002c\\\"b\\\\ ü\u0001\u007f""#,
            ),
        ];
        for (names, expected) in table {
            assert_eq!(subject_alt_name_text(names), *expected);
        }
    }

    #[test]
    fn other_names_print_as_node_prints_them() {
        const UPN: &str = "1.3.6.1.4.1.311.20.2.3";
        const SRV: &str = "1.3.6.1.5.5.7.8.7";
        for (name, expected) in [
            (GeneralName::other(UPN, b"a@b.test", true), "othername:UPN:a@b.test"),
            (GeneralName::other(UPN, "ü, DNS:x".as_bytes(), true), r#"othername:"UPN:ü\u002c DNS:x""#),
            (GeneralName::other(UPN, b"a@b.test", false), "othername:<unsupported>"),
            (GeneralName::other(SRV, b"_x.a.test", false), "othername:SRVName:_x.a.test"),
            (GeneralName::other(SRV, b"\xfc\0", false), r#"othername:"SRVName:\u00fc\u0000""#),
            (GeneralName::other(SRV, b"_x.a.test", true), "othername:<unsupported>"),
            (GeneralName::other("1.2.3", b"a", true), "othername:<unsupported>"),
            (GeneralName::X400Address, "X400Name:<unsupported>"),
            (GeneralName::EdiPartyName, "EdiPartyName:<unsupported>"),
        ] {
            assert_eq!(subject_alt_name_text(&[name]), expected);
        }
    }
}
