//! Certificates as data for Node.js's certificate objects.

use napi::bindgen_prelude::{Buffer, Result};
use napi_derive::napi;
use nodetls_proto::{Certificate, DistinguishedName, PublicKeyDetails, subject_alt_name_text};

use crate::error::refused;

/// The fields of a certificate; `lib/certificates.js` makes the object of them that programs see.
#[napi(object)]
pub struct NativeCertificate {
    /// Keys and values in order: `C`, `UK`, `O`, …
    pub subject: Vec<String>,
    /// As `subject`.
    pub issuer: Vec<String>,
    /// As Node.js prints it.
    pub subjectaltname: Option<String>,
    /// Methods and places in order.
    pub info_access: Option<Vec<String>>,
    /// RSA.
    pub modulus: Option<String>,
    /// RSA.
    pub exponent: Option<String>,
    /// RSA and EC.
    pub bits: Option<u32>,
    /// RSA: the key in DER; EC: the point.
    pub pubkey: Option<Buffer>,
    /// EC.
    pub asn1_curve: Option<String>,
    /// EC.
    pub nist_curve: Option<String>,
    /// As OpenSSL prints it.
    pub valid_from: String,
    /// As OpenSSL prints it.
    pub valid_to: String,
    /// SHA-1.
    pub fingerprint: String,
    /// SHA-256.
    pub fingerprint256: String,
    /// SHA-512.
    pub fingerprint512: String,
    /// Object identifiers.
    pub ext_key_usage: Option<Vec<String>>,
    /// Hexadecimal.
    pub serial_number: String,
}

/// Reads a certificate from DER.
#[napi]
pub fn certificate_fields(der: Buffer) -> Result<NativeCertificate> {
    let certificate = Certificate::from_der(&der).map_err(|error| refused(error.to_string()))?;
    let mut fields = NativeCertificate {
        subject: flat(&certificate.subject()),
        issuer: flat(&certificate.issuer()),
        subjectaltname: certificate.subject_alt_name(),
        info_access: certificate.authority_info_access().map(|entries| {
            entries
                .into_iter()
                .flat_map(|(method, place)| [method, subject_alt_name_text(&[place])])
                .collect()
        }),
        modulus: None,
        exponent: None,
        bits: None,
        pubkey: None,
        asn1_curve: None,
        nist_curve: None,
        valid_from: certificate.valid_from(),
        valid_to: certificate.valid_to(),
        fingerprint: certificate.fingerprint(),
        fingerprint256: certificate.fingerprint256(),
        fingerprint512: certificate.fingerprint512(),
        ext_key_usage: certificate.extended_key_usage(),
        serial_number: certificate.serial_number(),
    };
    if let Some(details) = certificate.public_key_details() {
        fields.add_key(details);
    }
    Ok(fields)
}

impl NativeCertificate {
    fn add_key(&mut self, details: PublicKeyDetails) {
        match details {
            PublicKeyDetails::Rsa { bits, modulus, exponent, der } => {
                (self.bits, self.modulus, self.exponent) = (Some(bits), Some(modulus), Some(exponent));
                self.pubkey = Some(der.into());
            }
            PublicKeyDetails::Ec { bits, point, curve, nist_curve } => {
                (self.bits, self.asn1_curve, self.nist_curve) = (Some(bits), curve, nist_curve);
                self.pubkey = Some(point.into());
            }
            _ => {}
        }
    }
}

fn flat(name: &DistinguishedName) -> Vec<String> {
    name.attributes().flat_map(|(key, value)| [key.to_owned(), value.to_owned()]).collect()
}
