//! Cipher suites: the default list of the manual, and how one list serves two of OpenSSL's.

use std::fmt;

use nodetls_openssl::{ContextBuilder, Ssl};

use crate::error::Error;

/// The default of `ciphers`, as the manual gives it. Node: `tls.DEFAULT_CIPHERS`.
pub const DEFAULT_CIPHERS: &str = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:\
ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384:\
DHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA256:DHE-RSA-AES128-SHA256:ECDHE-RSA-AES256-SHA384:\
DHE-RSA-AES256-SHA384:ECDHE-RSA-AES256-SHA256:DHE-RSA-AES256-SHA256:HIGH:\
!aNULL:!eNULL:!EXPORT:!DES:!RC4:!MD5:!PSK:!SRP:!CAMELLIA";

/// A cipher suite that was negotiated. Node: `getCipher()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CipherSuite {
    /// OpenSSL's name, such as `ECDHE-RSA-AES128-GCM-SHA256`.
    pub name: &'static str,
    /// The IETF's name, such as `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`.
    pub standard_name: &'static str,
    /// The first protocol version that has it, such as `TLSv1.2`.
    pub version: &'static str,
}

impl From<nodetls_openssl::CipherSuite> for CipherSuite {
    fn from(suite: nodetls_openssl::CipherSuite) -> Self {
        Self { name: suite.name, standard_name: suite.standard_name, version: suite.version }
    }
}

impl fmt::Display for CipherSuite {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name)
    }
}

/// The suites of TLS 1.3 (RFC 8446 appendix B.4), all of which OpenSSL has.
const TLS1_3_CIPHERS: [&str; 5] = [
    "tls_aes_256_gcm_sha384",
    "tls_chacha20_poly1305_sha256",
    "tls_aes_128_gcm_sha256",
    "tls_aes_128_ccm_8_sha256",
    "tls_aes_128_ccm_sha256",
];

/// The names of the supported cipher suites, in lower case and sorted; those of TLS 1.3 begin with `tls_`. In upper
/// case they can stand in `ciphers`.
///
/// # Errors
/// [`Error::Bug`] when memory runs out.
///
/// Node: `tls.getCiphers()`.
pub fn ciphers() -> Result<Vec<String>, Error> {
    let context = ContextBuilder::new().map_err(Error::bug)?.build();
    let ssl = Ssl::client(&context).map_err(Error::bug)?;
    let mut names: Vec<String> = ssl.cipher_names().into_iter().map(str::to_ascii_lowercase).collect();
    names.extend(TLS1_3_CIPHERS.map(str::to_owned));
    names.sort();
    names.dedup();
    Ok(names)
}

/// Numbers and names of the TLS 1.3 suites with SHA-256, for which external pre-shared keys are.
const SHA256_CIPHERS: [(u16, &str); 4] = [
    (0x1301, "TLS_AES_128_GCM_SHA256"),
    (0x1303, "TLS_CHACHA20_POLY1305_SHA256"),
    (0x1304, "TLS_AES_128_CCM_SHA256"),
    (0x1305, "TLS_AES_128_CCM_8_SHA256"),
];

/// One `ciphers` option taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CipherLists {
    /// Names for TLS 1.3: those that begin with `TLS_`, without those that are excluded (`!TLS_…`).
    pub(crate) tls1_3: String,
    /// The rest, in the format of `openssl-ciphers(1)`.
    pub(crate) tls1_2: String,
}

impl CipherLists {
    pub(crate) fn parse(ciphers: &str) -> Self {
        let is_of_1_3 = |name: &str| name.starts_with("TLS_");
        let names = ciphers.split(':').map(str::trim).filter(|name| !name.is_empty());
        // OpenSSL's list for TLS 1.3 knows no exclusion.
        let (mut tls1_3, mut tls1_2, mut excluded) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            match name.strip_prefix('!') {
                Some(name) if is_of_1_3(name) => excluded.push(name),
                _ if is_of_1_3(name) => tls1_3.push(name),
                _ => tls1_2.push(name),
            }
        }
        tls1_3.retain(|name| !excluded.contains(name));
        Self { tls1_3: tls1_3.join(":"), tls1_2: tls1_2.join(":") }
    }

    /// The TLS 1.3 suites with SHA-256 that a client offers too, in this list's order; empty without one.
    pub(crate) fn tls1_3_with_sha256(&self, offered: &[u16]) -> String {
        let is_common = |name: &&str| {
            SHA256_CIPHERS.iter().any(|(number, known)| known == name && offered.contains(number))
        };
        self.tls1_3.split(':').filter(is_common).collect::<Vec<_>>().join(":")
    }

    /// Whether the list sets a security level of its own (`@SECLEVEL=n`).
    pub(crate) fn names_security_level(&self) -> bool {
        self.tls1_2.contains("@SECLEVEL")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supported_suites_are_listed_as_node_lists_them() {
        let names = ciphers().unwrap();
        for name in ["tls_aes_128_gcm_sha256", "tls_aes_128_ccm_8_sha256", "ecdhe-rsa-aes128-gcm-sha256"] {
            assert!(names.iter().any(|listed| listed == name), "{name}");
        }
        assert!(names.is_sorted());
        assert!(names.iter().all(|name| *name == name.to_ascii_lowercase()));
        assert!(!names.iter().any(|name| name.contains("rc4") || name.contains("3des")));
    }

    #[test]
    fn suites_with_sha_256_are_those_of_both_sides() {
        let lists = CipherLists::parse(DEFAULT_CIPHERS);
        let all = [0x1301, 0x1302, 0x1303, 0x1304, 0x00FF];
        assert_eq!(lists.tls1_3_with_sha256(&all), "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256");
        assert_eq!(lists.tls1_3_with_sha256(&[0x1302]), "");
        assert_eq!(CipherLists::parse("PSK").tls1_3_with_sha256(&all), "");
    }

    #[test]
    fn names_of_tls_1_3_are_told_from_the_others() {
        let lists = CipherLists::parse("TLS_AES_128_GCM_SHA256:HIGH: TLS_AES_256_GCM_SHA384:!aNULL:");
        assert_eq!(lists.tls1_3, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384");
        assert_eq!(lists.tls1_2, "HIGH:!aNULL");
    }

    #[test]
    fn names_of_tls_1_3_can_be_excluded() {
        let lists =
            CipherLists::parse("!TLS_AES_128_CCM_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_128_CCM_SHA256:HIGH");
        assert_eq!((&*lists.tls1_3, &*lists.tls1_2), ("TLS_AES_128_GCM_SHA256", "HIGH"));
    }
}
