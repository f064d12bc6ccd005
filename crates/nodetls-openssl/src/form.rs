//! What is wrong with a certificate by itself, and OpenSSL lets pass: who reads it otherwise might see another one.

use foreign_types::ForeignTypeRef;
use libc::c_int;
use openssl::asn1::{Asn1ObjectRef, Asn1StringRef};
use openssl::bn::BigNumRef;
use openssl::pkey::Id;
use openssl_sys::{X509_V_ERR_CA_KEY_TOO_SMALL, X509_V_ERR_EE_KEY_TOO_SMALL, X509_V_ERR_INVALID_EXTENSION};

use crate::sys::X509_V_ERR_EXTENSIONS_REQUIRE_VERSION_3;
use crate::{Certificate, ErrorStack};

/// The number that stands for version 3.
const VERSION_3: libc::c_long = 2;
/// The arc of the extensions of X.509, and the authority information access of RFC 5280 §4.2.2.1.
const KNOWN: [&str; 2] = ["2.5.29.", "1.3.6.1.5.5.7.1.1"];
/// Values within values; those of extensions have ten at most.
const MAX_NESTING: usize = 32;

/// `X509_V_ERR_*` for the first fault of a certificate, which is a leaf at depth 0.
pub(crate) fn objection(certificate: &Certificate, depth: usize) -> Option<c_int> {
    let mut extensions = certificate.extensions();
    // RFC 5280 §4.1.2.9: "This field MUST only appear if the version is 3".
    if !extensions.is_empty() && !certificate.is_version_3() {
        return Some(X509_V_ERR_EXTENSIONS_REQUIRE_VERSION_3);
    }
    extensions.sort_unstable();
    // RFC 5280 §4.2: "A certificate MUST NOT include more than one instance of a particular extension."
    let repeats = extensions.windows(2).any(|pair| pair[0].0 == pair[1].0);
    // RFC 5280 §4.2: a non-critical extension "MUST be processed if it is recognized".
    let is_known = |identifier: &str| {
        KNOWN
            .iter()
            .any(|known| identifier == *known || known.ends_with('.') && identifier.starts_with(known))
    };
    let unreadable =
        extensions.iter().any(|(identifier, value)| is_known(identifier) && !is_one_value(value));
    if repeats || unreadable {
        return Some(X509_V_ERR_INVALID_EXTENSION);
    }
    let too_small = if depth == 0 { X509_V_ERR_EE_KEY_TOO_SMALL } else { X509_V_ERR_CA_KEY_TOO_SMALL };
    certificate.is_everybodys_key().then_some(too_small)
}

impl Certificate {
    /// Whether anybody can sign with the key: RSA whose exponent is 1 (or no exponent at all), and the point at infinity.
    fn is_everybodys_key(&self) -> bool {
        /// SEC 1 §2.3.3.
        const INFINITY: [u8; 1] = [0];
        ErrorStack::clear();
        let odd_from_3 = |number: &BigNumRef| number.is_bit_set(0) && number.num_bits() > 1;
        let everybodys = match self.x509().public_key() {
            Ok(key) if key.id() == Id::RSA => key.rsa().is_ok_and(|key| !odd_from_3(key.e())),
            Ok(key) if key.id() == Id::EC => self.key_bytes() == INFINITY,
            _ => false,
        };
        ErrorStack::clear();
        everybodys
    }

    fn is_version_3(&self) -> bool {
        // SAFETY: the certificate is alive.
        unsafe { openssl_sys::X509_get_version(self.x509().as_ptr()) == VERSION_3 }
    }

    /// Identifiers and values.
    fn extensions(&self) -> Vec<(String, Vec<u8>)> {
        // SAFETY: the certificate is alive.
        let count = unsafe { openssl_sys::X509_get_ext_count(self.x509().as_ptr()) };
        (0..count).filter_map(|index| self.extension_at(index)).collect()
    }

    fn extension_at(&self, index: c_int) -> Option<(String, Vec<u8>)> {
        // SAFETY: the certificate is alive; an index out of range gives null.
        let extension = unsafe { openssl_sys::X509_get_ext(self.x509().as_ptr(), index) };
        if extension.is_null() {
            return None;
        }
        // SAFETY: the extension lives as long as the certificate; so for the next.
        let object = unsafe { openssl_sys::X509_EXTENSION_get_object(extension) };
        // SAFETY: as above.
        let value = unsafe { openssl_sys::X509_EXTENSION_get_data(extension) };
        // SAFETY: an extension always has an object.
        let identifier = crate::details::dotted(unsafe { Asn1ObjectRef::from_ptr(object) });
        // SAFETY: an extension always has a value, and an octet string is a string.
        let value = unsafe { Asn1StringRef::from_ptr(value.cast()) }.as_slice().to_vec();
        Some((identifier, value))
    }
}

/// Whether the bytes are one value in DER, down to the last one within it, and nothing follows.
fn is_one_value(der: &[u8]) -> bool {
    after_value(der, MAX_NESTING).is_some_and(<[u8]>::is_empty)
}

/// What follows the first value; `None` if it has no end where it says, or no definite length.
fn after_value(der: &[u8], nesting: usize) -> Option<&[u8]> {
    let (tag, rest) = der.split_first()?;
    // No extension has tags of several bytes.
    if tag & 0x1F == 0x1F || nesting == 0 {
        return None;
    }
    let (contents, rest) = split_contents(rest)?;
    if tag & 0x20 != 0 {
        let mut inner = contents;
        while !inner.is_empty() {
            inner = after_value(inner, nesting - 1)?;
        }
    }
    Some(rest)
}

fn split_contents(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (length, rest) = match first & 0x7F {
        length if *first < 0x80 => (usize::from(length), rest),
        count @ 1..=4 => {
            let (bytes, rest) = rest.split_at_checked(count.into())?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_where_it_says_and_so_do_those_within() {
        let long = [&[0x04, 0x81, 200][..], &[7; 200]].concat();
        for good in [&[5, 0][..], &[0x30, 0], &[0x30, 3, 1, 1, 0xFF], &[0x30, 4, 0x82, 2, b'a', b'b'], &long]
        {
            assert!(is_one_value(good), "{good:02X?}");
            assert!(!is_one_value(&[good, &[0]].concat()), "{good:02X?} and more");
            assert!(!is_one_value(&good[..good.len() - 1]), "{good:02X?} cut off");
        }
        for bad in
            [&[][..], b"xx", &[0x30, 2, 4, 9], &[0x30, 0x80, 0, 0], &[0x1F, 1, 0], &[4, 0x85, 0, 0, 0, 0, 0]]
        {
            assert!(!is_one_value(bad), "{bad:02X?}");
        }
        assert!(!is_one_value(&[0x30, 0x80].repeat(100_000)));
        let nested = |depth: u8| (0..depth).rev().flat_map(|inner| [0x30, 2 * inner]).collect::<Vec<_>>();
        assert!(is_one_value(&nested(32)));
        assert!(!is_one_value(&nested(33)));
    }
}
