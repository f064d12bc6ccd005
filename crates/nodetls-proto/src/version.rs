//! Protocol versions.

use std::fmt;
use std::str::FromStr;

/// A version of TLS, in the order of age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ProtocolVersion {
    /// TLS 1.0 (RFC 2246): only where it is asked for.
    Tls1_0,
    /// TLS 1.1 (RFC 4346): only where it is asked for.
    Tls1_1,
    /// TLS 1.2 (RFC 5246): the default minimum.
    Tls1_2,
    /// TLS 1.3 (RFC 8446): the default maximum.
    Tls1_3,
}

impl ProtocolVersion {
    const ALL: [(Self, u16, &'static str); 4] = [
        (Self::Tls1_0, 0x0301, "TLSv1"),
        (Self::Tls1_1, 0x0302, "TLSv1.1"),
        (Self::Tls1_2, 0x0303, "TLSv1.2"),
        (Self::Tls1_3, 0x0304, "TLSv1.3"),
    ];

    /// The version of this number on the wire.
    pub fn from_wire(number: u16) -> Option<Self> {
        Self::ALL.iter().find(|(_, wire, _)| *wire == number).map(|(version, ..)| *version)
    }

    /// The number on the wire (`legacy_version`, `supported_versions`).
    pub fn to_wire(self) -> u16 {
        Self::ALL[self as usize].1
    }

    /// The name that the `tls` module of Node.js and OpenSSL use, such as `TLSv1.3`.
    pub fn as_str(self) -> &'static str {
        Self::ALL[self as usize].2
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The text is not the name of a protocol version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a valid TLS protocol version")]
pub struct UnknownVersion(String);

impl FromStr for ProtocolVersion {
    type Err = UnknownVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|(_, _, name)| *name == text);
        found.map(|(version, ..)| *version).ok_or_else(|| UnknownVersion(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_is_found_by_its_name_and_by_its_number() {
        for (version, number, name) in ProtocolVersion::ALL {
            assert_eq!(name.parse(), Ok(version));
            assert_eq!(ProtocolVersion::from_wire(number), Some(version));
            assert_eq!((version.as_str(), version.to_wire()), (name, number));
        }
        assert!("SSLv3".parse::<ProtocolVersion>().is_err());
        assert_eq!(ProtocolVersion::from_wire(0x0300), None);
    }
}
