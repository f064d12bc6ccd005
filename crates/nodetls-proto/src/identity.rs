//! Whether a certificate belongs to the host that the client meant (RFC 9525 §6, RFC 6125 §6).
//!
//! It decides as Node's `tls.checkServerIdentity` does, on names read from the certificate's structure
//! instead of their text. It does not verify the chain, and it runs for resumed sessions as for new ones.
//!
//! Where it is stricter than Node.js v20, on purpose:
//!
//! - the host name is normalised first ([`ServerName`]), so that a Unicode full stop counts as a dot
//!   (CVE-2026-48618), and a host name with NUL, an empty label or a forbidden character never matches;
//! - two common names in one relative distinguished name are not used at all (CVE-2021-44533);
//! - a wildcard with other characters in its label (`x*.a.test`) does not match an A-label (`xn--…`), as in
//!   OpenSSL.
//!
//! It is wider in that `[::1]`, a host name in Unicode, and full-width digits are understood.

use std::net::{IpAddr, Ipv6Addr};

use thiserror::Error;

use crate::error::AlertDescription;
use crate::general_name::{DistinguishedName, GeneralName, subject_alt_name_text};
use crate::server_name::ServerName;

/// The certificate is not one for the host that was meant.
///
/// Node: the error that `tls.checkServerIdentity()` returns; its `reason` and `host` are the same.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("Hostname/IP does not match certificate's altnames: {reason}")]
pub struct IdentityMismatch {
    reason: String,
    host: String,
    /// What the peer was told, where this has ended a connection.
    alert_sent: Option<AlertDescription>,
}

impl IdentityMismatch {
    /// Node's code for this error.
    pub const CODE: &str = "ERR_TLS_CERT_ALTNAME_INVALID";

    /// What was compared with what, in Node's words.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    pub(crate) fn alert_sent(&self) -> Option<AlertDescription> {
        self.alert_sent
    }

    pub(crate) fn with_alert(mut self, alert_sent: Option<AlertDescription>) -> Self {
        self.alert_sent = alert_sent;
        self
    }

    /// The host name that was meant, as the caller wrote it, without a trailing dot.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

/// Checks that a certificate with this subject and these alternative names belongs to `hostname`.
///
/// `hostname` is a host name or an IP address in any form that [`ServerName::parse`] takes. `alt_names` is
/// `None` when the certificate has no subjectAltName extension. A host name is looked for among the DNS
/// names, and among the subject's common names only when there is no DNS name; an address is looked for among
/// the IP addresses alone.
///
/// Node: `tls.checkServerIdentity(hostname, cert)`
///
/// # Errors
///
/// [`IdentityMismatch`] when no name of the certificate matches, or when `hostname` is not the name of a
/// host.
pub fn check_server_identity(
    hostname: &str,
    subject: &DistinguishedName,
    alt_names: Option<&[GeneralName]>,
) -> Result<(), IdentityMismatch> {
    let server_name = ServerName::parse(hostname).ok();
    let host = hostname.strip_suffix('.').unwrap_or(hostname);
    let alt_names = alt_names.unwrap_or_default();
    let verdict = match server_name {
        Some(ServerName::Ip(ip)) => check_ip(ip, host, alt_names),
        Some(ServerName::Dns(name)) => check_name(&Host::new(&name), host, subject, alt_names),
        None => check_name(&Host::unmatchable(), host, subject, alt_names),
    };
    verdict.map_err(|reason| IdentityMismatch { reason, host: host.to_owned(), alert_sent: None })
}

fn check_ip(ip: IpAddr, host: &str, alt_names: &[GeneralName]) -> Result<(), String> {
    let listed: Vec<Option<IpAddr>> = alt_names
        .iter()
        .filter_map(|name| if let GeneralName::Ip(bytes) = name { Some(address(bytes)) } else { None })
        .collect();
    if listed.contains(&Some(ip)) {
        return Ok(());
    }
    // Node: an address of a wrong length leaves an empty place in the list.
    let listed: Vec<String> =
        listed.into_iter().map(|ip| ip.map_or_else(String::new, address_text)).collect();
    Err(format!("IP: {host} is not in the cert's list: {}", listed.join(", ")))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

/// The text of an address as libuv writes it, which keeps the dotted form for IPv4-compatible addresses too.
fn address_text(ip: IpAddr) -> String {
    match ip {
        IpAddr::V6(v6) if is_ipv4_compatible(v6) => {
            let [.., a, b, c, d] = v6.octets();
            format!("::{a}.{b}.{c}.{d}")
        }
        ip => ip.to_string(),
    }
}

fn is_ipv4_compatible(ip: Ipv6Addr) -> bool {
    let [head @ .., seventh, _] = ip.segments();
    head == [0; 6] && seventh != 0
}

fn check_name(
    wanted: &Host<'_>,
    host: &str,
    subject: &DistinguishedName,
    alt_names: &[GeneralName],
) -> Result<(), String> {
    let mut dns_names = alt_names
        .iter()
        .filter_map(|name| if let GeneralName::Dns(bytes) = name { Some(bytes.as_slice()) } else { None })
        .peekable();
    if dns_names.peek().is_some() {
        return if dns_names.any(|pattern| wanted.matches(pattern)) {
            Ok(())
        } else {
            let text = subject_alt_name_text(alt_names);
            Err(format!("Host: {host}. is not in the cert's altnames: {text}"))
        };
    }
    let common_names = subject.common_names();
    // Node: a lone common name that is empty counts as none.
    if matches!(common_names.as_slice(), [] | [""]) {
        return Err("Cert does not contain a DNS name".to_owned());
    }
    if !has_ambiguous_common_name(subject) && common_names.iter().any(|name| wanted.matches(name.as_bytes()))
    {
        return Ok(());
    }
    Err(format!("Host: {host}. is not cert's CN: {}", common_names.join(",")))
}

/// Two common names in one set have no order, and who reads only one of them may read the other one.
fn has_ambiguous_common_name(subject: &DistinguishedName) -> bool {
    subject.rdns().iter().any(|rdn| rdn.iter().filter(|(key, _)| key == "CN").count() > 1)
}

/// The labels of a normalised host name, leftmost first; none, when the host name was not one.
struct Host<'a> {
    labels: Vec<&'a [u8]>,
}

impl<'a> Host<'a> {
    fn new(name: &'a str) -> Self {
        Self { labels: name.as_bytes().split(|byte| *byte == b'.').collect() }
    }

    const fn unmatchable() -> Self {
        Self { labels: Vec::new() }
    }

    /// Whether a name of the certificate, which may have a wildcard, covers this host.
    fn matches(&self, pattern: &[u8]) -> bool {
        let pattern = pattern.strip_suffix(b".").unwrap_or(pattern).to_ascii_lowercase();
        let labels: Vec<&[u8]> = pattern.split(|byte| *byte == b'.').collect();
        if labels.len() != self.labels.len() || labels.iter().any(|label| label.is_empty()) {
            return false;
        }
        // RFC 9525 §6.3 compares A-labels; the encoding of anything else in an IA5String is anybody's guess.
        // Node: U+007F passes, and no host name has it.
        if !labels.iter().all(|label| label.iter().all(|byte| matches!(byte, 0x21..=0x7F))) {
            return false;
        }
        let (Some((host_first, host_rest)), Some((first, rest))) =
            (self.labels.split_first(), labels.split_first())
        else {
            return false;
        };
        // RFC 9525 §6.3: "The wildcard character appears only as the complete content of the left-most
        // label."
        host_rest == rest && leftmost_label_matches(host_first, first, rest.len())
    }
}

/// Compares leftmost labels; `labels_after` is the number of labels that follow.
///
/// Node: RFC 6125 §6.4.3 still allowed a wildcard beside other characters of its label, and so does this.
fn leftmost_label_matches(host: &[u8], pattern: &[u8], labels_after: usize) -> bool {
    let Some(star) = pattern.iter().position(|byte| *byte == b'*') else { return host == pattern };
    // RFC 6125 §6.4.3: no wildcard "embedded within an A-label". Node: such a label is compared as it stands.
    if pattern.windows(4).any(|window| window == b"xn--") {
        return host == pattern;
    }
    let (prefix, suffix) = (&pattern[..star], &pattern[star + 1..]);
    if suffix.contains(&b'*') || labels_after < 2 {
        return false;
    }
    let stands_alone = prefix.is_empty() && suffix.is_empty();
    if !stands_alone && host.starts_with(b"xn--") {
        return false;
    }
    prefix.len() + suffix.len() <= host.len() && host.starts_with(prefix) && host.ends_with(suffix)
}

#[cfg(test)]
mod tests;
