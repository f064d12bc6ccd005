//! Certificate fields that only few ask for: the public key's parts, key usages, where to ask about revocation.

use foreign_types::ForeignTypeRef;
use libc::{c_int, c_void};
use openssl::asn1::{Asn1Object, Asn1ObjectRef};
use openssl::bn::BigNumContext;
use openssl::ec::{EcKeyRef, PointConversionForm};
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, Public};
use openssl::rsa::RsaRef;
use openssl::stack::Stack;

use crate::certificate::alternative_name;
use crate::{AlternativeName, Certificate, ErrorStack, sys};

/// The parts of a public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKeyDetails {
    /// RSA.
    Rsa {
        /// Length of the modulus in bits.
        bits: u32,
        /// The modulus in upper-case hexadecimal.
        modulus: String,
        /// The exponent in hexadecimal, with `0x`.
        exponent: String,
        /// The key in DER (`SubjectPublicKeyInfo`).
        der: Vec<u8>,
    },
    /// Elliptic curves.
    Ec {
        /// Length of the group's order in bits.
        bits: u32,
        /// The point, not compressed.
        point: Vec<u8>,
        /// The curve's ASN.1 name, if it is a named one.
        curve: Option<String>,
        /// The name that NIST gives the curve, if it does.
        nist_curve: Option<String>,
    },
}

impl Certificate {
    /// The digest of the DER form by SHA-512 (64 bytes).
    pub fn sha512(&self) -> Vec<u8> {
        self.x509().digest(MessageDigest::sha512()).map(|digest| digest.to_vec()).unwrap_or_default()
    }

    /// The public key's parts, for RSA and elliptic curves; `None` for others and for keys that cannot be read.
    pub fn public_key_details(&self) -> Option<PublicKeyDetails> {
        ErrorStack::clear();
        let details = self.x509().public_key().and_then(|key| match key.id() {
            Id::RSA | Id::RSA_PSS => key.rsa().and_then(|rsa| rsa_details(&rsa)).map(Some),
            Id::EC => key.ec_key().and_then(|key| ec_details(&key)).map(Some),
            _ => Ok(None),
        });
        ErrorStack::clear();
        details.ok().flatten()
    }

    /// The object identifiers of the extended key usage (RFC 5280 §4.2.1.12); `None` without the extension.
    pub fn extended_key_usage(&self) -> Option<Vec<String>> {
        ErrorStack::clear();
        let raw = self.extension(openssl_sys::NID_ext_key_usage)?;
        // SAFETY: for this extension OpenSSL returns a stack of objects, which is ours.
        let usages = unsafe { <Stack<Asn1Object> as foreign_types::ForeignType>::from_ptr(raw.cast()) };
        Some(usages.iter().map(dotted).collect())
    }

    /// The authority information access (RFC 5280 §4.2.2.1): method and place of each entry; `None` without the
    /// extension.
    pub fn authority_info_access(&self) -> Option<Vec<(String, AlternativeName)>> {
        ErrorStack::clear();
        let entries = self.x509().authority_info();
        ErrorStack::clear();
        let describe = |entry: &openssl::x509::AccessDescriptionRef| {
            (entry.method().to_string(), alternative_name(entry.location().as_ptr()))
        };
        Some(entries?.iter().map(describe).collect())
    }

    pub(crate) fn extension(&self, nid: c_int) -> Option<*mut c_void> {
        let (critical, index) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the certificate is alive; null out parameters are permitted.
        let raw = unsafe { openssl_sys::X509_get_ext_d2i(self.x509().as_ptr(), nid, critical, index) };
        ErrorStack::clear();
        (!raw.is_null()).then_some(raw)
    }
}

/// An object identifier in numbers and dots.
pub(crate) fn dotted(object: &Asn1ObjectRef) -> String {
    let mut text = [0u8; 256];
    // SAFETY: OpenSSL writes at most the given length, with a NUL at its end; 1 asks for numbers.
    let length = unsafe {
        openssl_sys::OBJ_obj2txt(text.as_mut_ptr().cast(), text.len() as c_int, object.as_ptr(), 1)
    };
    let length = usize::try_from(length).unwrap_or_default().min(text.len() - 1);
    String::from_utf8_lossy(&text[..length]).into_owned()
}

fn rsa_details(rsa: &RsaRef<Public>) -> Result<PublicKeyDetails, openssl::error::ErrorStack> {
    let exponent = rsa.e().to_hex_str()?.to_ascii_lowercase();
    let exponent = exponent.trim_start_matches('0');
    Ok(PublicKeyDetails::Rsa {
        bits: rsa.n().num_bits().unsigned_abs(),
        modulus: rsa.n().to_hex_str()?.trim_start_matches('0').to_ascii_uppercase(),
        exponent: format!("0x{exponent}"),
        der: rsa.public_key_to_der()?,
    })
}

fn ec_details(key: &EcKeyRef<Public>) -> Result<PublicKeyDetails, openssl::error::ErrorStack> {
    let group = key.group();
    let mut numbers = BigNumContext::new()?;
    let nid = group.curve_name();
    let name = nid.and_then(|nid| nid.short_name().ok()).map(str::to_owned);
    Ok(PublicKeyDetails::Ec {
        bits: group.order_bits(),
        point: key.public_key().to_bytes(group, PointConversionForm::UNCOMPRESSED, &mut numbers)?,
        nist_curve: nid.and_then(|nid| nist_name(nid.as_raw())),
        curve: name,
    })
}

fn nist_name(nid: c_int) -> Option<String> {
    // SAFETY: any number may be asked for.
    let name = unsafe { sys::EC_curve_nid2nist(nid) };
    if name.is_null() {
        return None;
    }
    // SAFETY: not null: a C string of a static table.
    Some(unsafe { std::ffi::CStr::from_ptr(name) }.to_string_lossy().into_owned())
}
