//! The name of a server as a client means it: a DNS name in its ASCII form, or an IP address.
//!
//! One normal form serves the resolver, the server_name extension and the check of the certificate;
//! CVE-2026-48618 came of two of them normalising differently. It resolves nothing and matches nothing (see
//! [`identity`](crate::identity)). The mapping is UTS 46, as the URL standard applies it (§3.3, "domain to
//! ASCII").

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use thiserror::Error;

/// RFC 1035 §2.3.4 and §3.1: 255 octets on the wire leave 253 characters of text without the trailing dot.
const MAX_NAME_LENGTH: usize = 253;
const MAX_LABEL_LENGTH: usize = 63;
/// No character takes more than four bytes, so that longer input could only shrink to a legal name by
/// characters that map to nothing. Refusing it bounds the work of the mapping.
const MAX_INPUT_LENGTH: usize = 4 * (MAX_NAME_LENGTH + 1);

/// A server's name in the one form in which it is sent, compared and used as a key.
///
/// Node: `tls.connect({ servername })`
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerName {
    /// A DNS name: ASCII, lower-case, 1 to 253 bytes, no empty label and no trailing dot.
    Dns(String),
    /// An IP address. A scope id (`fe80::1%eth0`) says how to reach it, not who it is, and is left out.
    Ip(IpAddr),
}

/// Why a text is not the name of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidServerName {
    /// The name is empty, or nothing but a dot.
    #[error("the server name is empty")]
    Empty,
    /// The name contains NUL, at which C code would cut it off.
    #[error("the server name contains a NUL character")]
    Nul,
    /// The name has more than 253 bytes, or one of its labels more than 63.
    #[error("the server name or one of its labels is too long")]
    TooLong,
    /// Two dots stand side by side, or the first character is a dot.
    #[error("the server name has an empty label")]
    EmptyLabel,
    /// UTS 46 has no ASCII form for the name, or the URL standard forbids a character of it (§3.3).
    #[error("the server name contains characters that no domain name may have")]
    Disallowed,
}

impl ServerName {
    /// Normalises a host name or the text of an IP address.
    ///
    /// One trailing dot is removed. Underscores are allowed, because real hosts use them, and so is what else
    /// the URL standard lets pass. IPv6 may stand in brackets and may have a scope id.
    ///
    /// # Errors
    ///
    /// [`InvalidServerName`] when the text is neither.
    pub fn parse(text: &str) -> Result<Self, InvalidServerName> {
        if text.contains('\0') {
            return Err(InvalidServerName::Nul);
        }
        if text.len() > MAX_INPUT_LENGTH {
            return Err(InvalidServerName::TooLong);
        }
        parse_ip(text.strip_suffix('.').unwrap_or(text))
            .map_or_else(|| parse_dns(text), |ip| Ok(Self::Ip(ip)))
    }

    /// The name to be sent in the server_name extension, or `None` for an IP address.
    ///
    /// RFC 6066 §3: "Literal IPv4 and IPv6 addresses are not permitted in \"HostName\"."
    #[must_use]
    pub fn sni(&self) -> Option<&str> {
        match self {
            Self::Dns(name) => Some(name),
            Self::Ip(_) => None,
        }
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

fn parse_ip(text: &str) -> Option<IpAddr> {
    if let Some(bracketed) = text.strip_prefix('[') {
        return parse_ipv6(bracketed.strip_suffix(']')?).map(IpAddr::V6);
    }
    text.parse::<Ipv4Addr>().map(IpAddr::V4).ok().or_else(|| parse_ipv6(text).map(IpAddr::V6))
}

fn parse_ipv6(text: &str) -> Option<Ipv6Addr> {
    let Some((address, scope)) = text.split_once('%') else { return text.parse().ok() };
    // Node: `net.isIPv6()` knows just these characters in a scope id.
    let is_scope = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':');
    if scope.is_empty() || !scope.bytes().all(is_scope) { None } else { address.parse().ok() }
}

fn parse_dns(text: &str) -> Result<ServerName, InvalidServerName> {
    let ascii = Uts46::new()
        .to_ascii(text.as_bytes(), AsciiDenyList::URL, Hyphens::Allow, DnsLength::Ignore)
        .map_err(|_| InvalidServerName::Disallowed)?;
    // Only now, since other full stops (U+3002 and its like) become dots by the mapping.
    let name = ascii.strip_suffix('.').unwrap_or(&ascii);
    if name.is_empty() {
        return Err(InvalidServerName::Empty);
    }
    if name.len() > MAX_NAME_LENGTH || name.split('.').any(|label| label.len() > MAX_LABEL_LENGTH) {
        return Err(InvalidServerName::TooLong);
    }
    if name.split('.').any(str::is_empty) {
        return Err(InvalidServerName::EmptyLabel);
    }
    if !name.is_ascii() {
        return Err(InvalidServerName::Disallowed);
    }
    // Full-width digits map to an address, which is where a resolver would go as well.
    Ok(name
        .parse::<Ipv4Addr>()
        .map_or_else(|_| ServerName::Dns(name.to_owned()), |ip| ServerName::Ip(ip.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_is_normalised_by_uts_46() {
        let long_label = "a".repeat(63);
        for (text, expected) in [
            ("Example.TEST", "example.test"),
            ("example.test.", "example.test"),
            ("localhost", "localhost"),
            ("a\u{3002}b.test", "a.b.test"),
            ("a\u{ff0e}b\u{ff61}test\u{3002}", "a.b.test"),
            ("Bücher.test", "xn--bcher-kva.test"),
            ("faß.test", "xn--fa-hia.test"),
            ("XN--BCHER-KVA.test", "xn--bcher-kva.test"),
            ("\u{ff25}xample.test", "example.test"),
            ("a\u{ad}b.test", "ab.test"),
            ("_dmarc.a_b.test", "_dmarc.a_b.test"),
            ("r3---sn-x.test", "r3---sn-x.test"),
            ("-a-.test", "-a-.test"),
            ("127.1", "127.1"),
            ("1.2.3.4.5", "1.2.3.4.5"),
            (&long_label, &long_label),
        ] {
            let name = ServerName::parse(text).unwrap();
            assert_eq!(name, ServerName::Dns(expected.to_owned()), "{text}");
            assert_eq!(name.sni(), Some(expected));
            assert_eq!(name.to_string(), expected);
        }
    }

    #[test]
    fn an_address_is_recognised_and_never_sent_as_sni() {
        for (text, expected) in [
            ("127.0.0.1", "127.0.0.1"),
            ("127.0.0.1.", "127.0.0.1"),
            ("\u{ff11}27.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("0:0:0:0:0:0:0:1", "::1"),
            ("2001:DB8::A", "2001:db8::a"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%en-1]", "fe80::1"),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
        ] {
            let name = ServerName::parse(text).unwrap();
            assert_eq!(name, ServerName::Ip(expected.parse().unwrap()), "{text}");
            assert_eq!(name.sni(), None);
        }
    }

    #[test]
    fn what_is_no_name_is_refused_with_its_reason() {
        use InvalidServerName::{Disallowed, Empty, EmptyLabel, Nul, TooLong};
        let long_label = format!("{}.test", "a".repeat(64));
        let long_name = format!("{}aaaa", "abcd.".repeat(50));
        let huge = "\u{ad}".repeat(1_000_000);
        for (text, expected) in [
            ("", Empty),
            (".", Empty),
            ("\u{3002}", Empty),
            ("\u{ad}", Empty),
            ("a\0.test", Nul),
            ("..", EmptyLabel),
            (".a.test", EmptyLabel),
            ("a..test", EmptyLabel),
            ("a.test..", EmptyLabel),
            (&long_label, TooLong),
            (&long_name, TooLong),
            (&huge, TooLong),
            ("a b.test", Disallowed),
            ("a\n.test", Disallowed),
            ("a/b.test", Disallowed),
            ("a:443", Disallowed),
            ("user@a.test", Disallowed),
            ("\u{2100}.test", Disallowed),
            ("xn--a.test", Disallowed),
            ("a\u{fffd}.test", Disallowed),
            ("[::1", Disallowed),
            ("[127.0.0.1]", Disallowed),
            ("[a.test]", Disallowed),
            ("fe80::1%", Disallowed),
            ("fe80::1%e/0", Disallowed),
            ("1::2::3", Disallowed),
        ] {
            assert_eq!(ServerName::parse(text), Err(expected), "{text:.40}");
        }
    }

    #[test]
    fn normalising_twice_changes_nothing() {
        for text in ["Bücher.test.", "a\u{3002}b", "[FE80::1%x]", "a_b.C"] {
            let once = ServerName::parse(text).unwrap();
            assert_eq!(ServerName::parse(&once.to_string()), Ok(once));
        }
    }
}
