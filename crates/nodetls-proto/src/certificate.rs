//! Certificates as this library shows them.

use std::fmt;

use nodetls_openssl::{AlternativeName, NameAttribute, certificates_from_pem};

use crate::error::{BoxError, ConfigError, Error};
use crate::general_name::{DistinguishedName, GeneralName, subject_alt_name_text};
use crate::identity::{IdentityMismatch, check_server_identity};

/// An X.509 certificate. Cloning shares it.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate(pub(crate) nodetls_openssl::Certificate);

impl Certificate {
    /// Reads a certificate from DER.
    ///
    /// # Errors
    /// When the bytes are not a certificate.
    pub fn from_der(der: &[u8]) -> Result<Self, BoxError> {
        Ok(Self(nodetls_openssl::Certificate::from_der(der)?))
    }

    /// Reads all certificates of a PEM text; what stands between them is passed over.
    ///
    /// # Errors
    /// [`Error::Config`] when one cannot be read, or there is none.
    pub fn all_from_pem(pem: &[u8]) -> Result<Vec<Self>, Error> {
        let all = certificates_from_pem(pem).map_err(ConfigError::from_openssl("cert"))?;
        Ok(all.into_iter().map(Self).collect())
    }

    /// The DER form. Node: `raw`.
    pub fn to_der(&self) -> Vec<u8> {
        self.0.to_der().unwrap_or_default()
    }

    /// Whom the certificate is for. Node: `subject`.
    pub fn subject(&self) -> DistinguishedName {
        distinguished_name(&self.0.subject())
    }

    /// Who issued the certificate. Node: `issuer`.
    pub fn issuer(&self) -> DistinguishedName {
        distinguished_name(&self.0.issuer())
    }

    /// Further names that the certificate is for; `None` without the extension.
    pub fn alternative_names(&self) -> Option<Vec<GeneralName>> {
        Some(self.0.alternative_names()?.into_iter().map(general_name).collect())
    }

    /// The alternative names as one text. Node: `subjectaltname`.
    pub fn subject_alt_name(&self) -> Option<String> {
        self.alternative_names().map(|names| subject_alt_name_text(&names))
    }

    /// Not valid before this time, as `Aug 14 00:00:00 2017 GMT`. Node: `valid_from`.
    pub fn valid_from(&self) -> String {
        self.0.not_before()
    }

    /// Not valid after this time. Node: `valid_to`.
    pub fn valid_to(&self) -> String {
        self.0.not_after()
    }

    /// The serial number in hexadecimal. Node: `serialNumber`.
    pub fn serial_number(&self) -> String {
        self.0.serial_number()
    }

    /// The SHA-1 digest of the DER form, as `2A:7A:…`. Node: `fingerprint`.
    pub fn fingerprint(&self) -> String {
        colon_separated(&self.0.sha1())
    }

    /// The SHA-256 digest of the DER form, as `2A:7A:…`. Node: `fingerprint256`.
    pub fn fingerprint256(&self) -> String {
        colon_separated(&self.0.sha256())
    }

    /// The SHA-512 digest of the DER form, as `2A:7A:…`. Node: `fingerprint512`.
    pub fn fingerprint512(&self) -> String {
        colon_separated(&self.0.sha512())
    }

    /// What the key may be used for, as object identifiers; `None` without the extension. Node: `ext_key_usage`.
    pub fn extended_key_usage(&self) -> Option<Vec<String>> {
        self.0.extended_key_usage()
    }

    /// Where to learn more about the issuer: pairs of method (`OCSP`, `CA Issuers`) and place; `None` without the
    /// extension. Node: `infoAccess`.
    pub fn authority_info_access(&self) -> Option<Vec<(String, GeneralName)>> {
        let entries = self.0.authority_info_access()?;
        Some(entries.into_iter().map(|(method, place)| (method, general_name(place))).collect())
    }

    /// The parts of an RSA or elliptic-curve key; `None` for other keys and for those that cannot be read.
    /// Node: `modulus`, `exponent`, `pubkey`, `asn1Curve`, `nistCurve`.
    pub fn public_key_details(&self) -> Option<PublicKeyDetails> {
        Some(match self.0.public_key_details()? {
            nodetls_openssl::PublicKeyDetails::Rsa { bits, modulus, exponent, der } => {
                PublicKeyDetails::Rsa { bits, modulus, exponent, der }
            }
            nodetls_openssl::PublicKeyDetails::Ec { bits, point, curve, nist_curve } => {
                PublicKeyDetails::Ec { bits, point, curve, nist_curve }
            }
        })
    }

    /// Whether `issuer` could have issued this certificate, judged by names and key identifiers, not by signature.
    pub fn is_issued_by(&self, issuer: &Self) -> bool {
        self.0.is_issued_by(&issuer.0)
    }

    /// The public key's kind (`RSA`, `EC`, …) and size in bits; `None` when it cannot be read. Node: `bits`.
    pub fn public_key(&self) -> Option<(&'static str, u32)> {
        self.0.public_key()
    }

    /// Whether the certificate is for this host name or IP address, by RFC 6125 as Node.js applies it.
    ///
    /// # Errors
    /// [`Error::Identity`] with code `ERR_TLS_CERT_ALTNAME_INVALID` when it is not.
    ///
    /// Node: `tls.checkServerIdentity(hostname, cert)`.
    pub fn check_server_identity(&self, hostname: &str) -> Result<(), Error> {
        let names = self.alternative_names();
        let checked: Result<(), IdentityMismatch> =
            check_server_identity(hostname, &self.subject(), names.as_deref());
        checked.map_err(|mismatch| Error::Identity(mismatch.into()))
    }
}

/// The parts of a public key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKeyDetails {
    /// RSA.
    Rsa {
        /// Length of the modulus in bits. Node: `bits`.
        bits: u32,
        /// The modulus in upper-case hexadecimal. Node: `modulus`.
        modulus: String,
        /// The exponent in hexadecimal, such as `0x10001`. Node: `exponent`.
        exponent: String,
        /// The key in DER (`SubjectPublicKeyInfo`). Node: `pubkey`.
        der: Vec<u8>,
    },
    /// Elliptic curves.
    Ec {
        /// Length of the group's order in bits. Node: `bits`.
        bits: u32,
        /// The point, not compressed. Node: `pubkey`.
        point: Vec<u8>,
        /// The curve's ASN.1 name, such as `prime256v1`, if it is a named one. Node: `asn1Curve`.
        curve: Option<String>,
        /// The name that NIST gives the curve, such as `P-256`, if it does. Node: `nistCurve`.
        nist_curve: Option<String>,
    },
}

impl fmt::Debug for Certificate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Certificate({})", self.subject())
    }
}

/// Node: a name with a value that is no text is not read at all, so that nothing of it can match.
fn distinguished_name(attributes: &[NameAttribute]) -> DistinguishedName {
    if attributes.iter().any(|attribute| attribute.value.is_none()) {
        return DistinguishedName::default();
    }
    let same_set = |a: &NameAttribute, b: &NameAttribute| a.set == b.set;
    let pair =
        |attribute: &NameAttribute| (attribute.key.clone(), attribute.value.clone().unwrap_or_default());
    DistinguishedName::new(attributes.chunk_by(same_set).map(|rdn| rdn.iter().map(pair).collect()).collect())
}

fn general_name(name: AlternativeName) -> GeneralName {
    match name {
        AlternativeName::Dns(bytes) => GeneralName::Dns(bytes),
        AlternativeName::Ip(bytes) => GeneralName::Ip(bytes),
        AlternativeName::Uri(bytes) => GeneralName::Uri(bytes),
        AlternativeName::Email(bytes) => GeneralName::Email(bytes),
        AlternativeName::Directory(text) => GeneralName::DirName(text),
        AlternativeName::RegisteredId(id) => GeneralName::RegisteredId(id),
        AlternativeName::OtherText { kind, value, is_utf8 } => GeneralName::other(&kind, &value, is_utf8),
        AlternativeName::X400Address => GeneralName::X400Address,
        AlternativeName::EdiPartyName => GeneralName::EdiPartyName,
        AlternativeName::Other => GeneralName::Other,
    }
}

fn colon_separated(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}
