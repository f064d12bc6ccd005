//! What was negotiated, as text for people and as JSON for programs. The names in the JSON are those of Node.js.

use std::fmt::Write as _;

use nodetls::{Certificate, CipherSuite, Connection, Side};
use serde_json::{Value, json};

use crate::output::printable;

/// What the verification of the peer's certificate gave.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// The certificate is trusted and, on clients, for the right name.
    Authorized,
    /// It is not, or there is none; with the code and the text of the reason.
    Unauthorized(String, String),
    /// The server did not ask for a certificate.
    NotAsked,
}

/// The facts of one connection after its handshake.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    side: Side,
    pub(crate) protocol: Option<&'static str>,
    cipher: Option<CipherSuite>,
    group: Option<String>,
    pub(crate) alpn: Option<String>,
    pub(crate) server_name: Option<String>,
    pub(crate) reused: bool,
    pub(crate) verdict: Verdict,
    pub(crate) certificates: Vec<Certificate>,
}

impl Facts {
    /// Takes them from a connection.
    pub(crate) fn of(connection: &Connection) -> Self {
        Self {
            side: connection.side(),
            protocol: connection.protocol_version().map(|version| version.as_str()),
            cipher: connection.cipher_suite(),
            group: connection.group_name(),
            alpn: connection.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
            server_name: connection.server_name().map(str::to_owned),
            reused: connection.is_session_reused(),
            verdict: Verdict::of(connection),
            certificates: connection.peer_certificates(),
        }
    }

    /// Whether the peer is whom it should be.
    pub(crate) fn is_authorized(&self) -> bool {
        matches!(self.verdict, Verdict::Authorized)
    }

    /// Several lines, each indented as given, the last without a line end.
    pub(crate) fn text(&self, indent: &str) -> String {
        let mut text = String::new();
        for (depth, certificate) in self.certificates.iter().enumerate() {
            push_certificate(&mut text, indent, depth, certificate);
        }
        let cipher = self.cipher.map(|cipher| format!("{} ({})", cipher.name, cipher.standard_name));
        let rows = [
            ("Verification", Some(self.verdict.text())),
            ("Protocol", self.protocol.map(str::to_owned)),
            ("Cipher", cipher),
            ("Group", self.group.clone()),
            ("ALPN", self.alpn.clone()),
            ("Server name", self.server_name.clone()),
            ("Session", Some(if self.reused { "Reused" } else { "New" }.to_owned())),
        ];
        for (label, value) in rows {
            push_row(&mut text, indent, label, value.as_deref().unwrap_or("none"));
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// One line for a server's log.
    pub(crate) fn line(&self) -> String {
        let line = format!(
            "{} {} alpn={} servername={} authorized={} session={}",
            self.protocol.unwrap_or("-"),
            self.cipher.map_or("-", |cipher| cipher.name),
            self.alpn.as_deref().unwrap_or("-"),
            self.server_name.as_deref().unwrap_or("-"),
            match &self.verdict {
                Verdict::Authorized => "yes",
                Verdict::Unauthorized(code, _) => code,
                Verdict::NotAsked => "-",
            },
            if self.reused { "reused" } else { "new" },
        );
        printable(&line)
    }

    /// The facts as an object.
    pub(crate) fn json(&self) -> Value {
        let cipher = self.cipher.map(|cipher| {
            json!({ "name": cipher.name, "standardName": cipher.standard_name, "version": cipher.version })
        });
        let error = match &self.verdict {
            Verdict::Unauthorized(code, message) => json!({ "code": code, "message": message }),
            Verdict::Authorized | Verdict::NotAsked => Value::Null,
        };
        json!({
            "side": if self.side == Side::Client { "client" } else { "server" },
            "protocol": self.protocol,
            "cipher": cipher,
            "group": self.group,
            "alpnProtocol": self.alpn,
            "servername": self.server_name,
            "sessionReused": self.reused,
            "authorized": self.is_authorized(),
            "authorizationError": error,
            "peerCertificates": self.certificates.iter().map(certificate_json).collect::<Vec<_>>(),
        })
    }
}

impl Verdict {
    fn of(connection: &Connection) -> Self {
        match connection.authorization_error() {
            _ if connection.is_authorized() => Self::Authorized,
            Some(error) => Self::Unauthorized(error.code().into_owned(), error.to_string()),
            None => Self::NotAsked,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Authorized => "OK, the peer is authorized".to_owned(),
            Self::Unauthorized(code, message) => format!("FAILED, {code}: {message}"),
            Self::NotAsked => "no certificate was asked for".to_owned(),
        }
    }
}

/// A chain and what was made of it, in several lines, the last without a line end.
pub(crate) fn chain(certificates: &[Certificate], verdict: &str) -> String {
    let mut text = String::new();
    for (depth, certificate) in certificates.iter().enumerate() {
        push_certificate(&mut text, "", depth, certificate);
    }
    push_row(&mut text, "", "Verification", verdict);
    text.truncate(text.trim_end().len());
    text
}

fn push_row(text: &mut String, indent: &str, label: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{indent}{:<15}{}", format!("{label}:"), printable(value));
}

fn push_certificate(text: &mut String, indent: &str, depth: usize, certificate: &Certificate) {
    push_row(text, indent, &format!("Certificate {depth}"), &format!("subject  {}", certificate.subject()));
    let mut push = |label: &str, value: &str| {
        let _ = writeln!(text, "{indent}{:<15}{label:<9}{}", "", printable(value));
    };
    push("issuer", &certificate.issuer().to_string());
    if let Some(names) = certificate.subject_alt_name() {
        push("names", &names);
    }
    push("valid", &format!("{} to {}", certificate.valid_from(), certificate.valid_to()));
    if let Some((kind, bits)) = certificate.public_key() {
        push("key", &format!("{kind}, {bits} bits"));
    }
    push("SHA-256", &certificate.fingerprint256());
}

fn certificate_json(certificate: &Certificate) -> Value {
    let key = certificate.public_key();
    json!({
        "subject": certificate.subject().to_string(),
        "issuer": certificate.issuer().to_string(),
        "subjectaltname": certificate.subject_alt_name(),
        "valid_from": certificate.valid_from(),
        "valid_to": certificate.valid_to(),
        "serialNumber": certificate.serial_number(),
        "fingerprint256": certificate.fingerprint256(),
        "keyType": key.map(|(kind, _)| kind),
        "bits": key.map(|(_, bits)| bits),
    })
}
