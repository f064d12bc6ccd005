//! What binds a certificate to those above it: names, keys, signatures, constraints.

use std::cmp::Ordering;

use foreign_types::ForeignTypeRef;
use libc::c_int;
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl_sys::{NID_inhibit_any_policy, NID_name_constraints, NID_policy_constraints};

use crate::certificate::alternative_name;
use crate::constraints::NameConstraints;
use crate::{AlternativeName, Certificate, ErrorStack, sys};

impl Certificate {
    /// Whether subject and issuer are the same name.
    pub(crate) fn is_self_issued(&self) -> bool {
        same(self.x509().subject_name().try_cmp(self.x509().issuer_name()))
    }

    /// Whether the signature is by `issuer`'s key.
    pub(crate) fn is_signed_by(&self, issuer: &Self) -> bool {
        ErrorStack::clear();
        let verified = issuer.x509().public_key().and_then(|key| self.x509().verify(&key));
        ErrorStack::clear();
        verified.unwrap_or(false)
    }

    /// Whether subject and key are the same: then one stands for the other in a chain.
    pub(crate) fn is_twin_of(&self, other: &Self) -> bool {
        ErrorStack::clear();
        let names = same(self.x509().subject_name().try_cmp(other.x509().subject_name()));
        let twins = names
            && match (self.x509().public_key(), other.x509().public_key()) {
                (Ok(a), Ok(b)) => a.public_eq(&b),
                _ => false,
            };
        ErrorStack::clear();
        twins
    }

    /// Whether it is valid at this time, in seconds since 1970; `None` is now.
    pub(crate) fn is_current(&self, time: Option<i64>) -> bool {
        ErrorStack::clear();
        let time = match time {
            Some(time) => Asn1Time::from_unix(time),
            None => Asn1Time::days_from_now(0),
        };
        let current = time.is_ok_and(|time| {
            is_at_most(self.x509().not_before(), &time) && is_at_most(&time, self.x509().not_after())
        });
        ErrorStack::clear();
        current
    }

    /// The name constraints; `None` without the extension. One that cannot be read is OpenSSL's to refuse.
    pub(crate) fn name_constraints(&self) -> Option<NameConstraints> {
        let raw = self.extension(NID_name_constraints)?.cast::<sys::NAME_CONSTRAINTS>();
        // SAFETY: for this extension OpenSSL returns this structure, which is ours.
        let sys::NAME_CONSTRAINTS { permitted, excluded } = unsafe { raw.read() };
        // SAFETY: null or a stack of subtrees that lives as long as the structure.
        let permitted = unsafe { bases(permitted) };
        // SAFETY: as above.
        let excluded = unsafe { bases(excluded) };
        // SAFETY: the structure is ours and not used again.
        unsafe { sys::NAME_CONSTRAINTS_free(raw) };
        Some(NameConstraints { permitted, excluded })
    }

    /// Whether an extension occurs twice, which RFC 5280 §4.2 forbids: who reads one may miss what the other says.
    pub(crate) fn repeats_an_extension(&self) -> bool {
        // SAFETY: the certificate is alive.
        let count = unsafe { openssl_sys::X509_get_ext_count(self.x509().as_ptr()) };
        let mut identifiers: Vec<String> = (0..count).filter_map(|index| self.extension_id(index)).collect();
        identifiers.sort_unstable();
        identifiers.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// Whether it says that chains need certificate policies, or which do not count (RFC 5280 §4.2.1.11, §4.2.1.14).
    pub(crate) fn restricts_policies(&self) -> bool {
        [NID_policy_constraints, NID_inhibit_any_policy].into_iter().any(|nid| self.has_extension(nid))
    }

    fn has_extension(&self, nid: c_int) -> bool {
        // SAFETY: the certificate is alive; -1 begins the search at its first extension.
        unsafe { openssl_sys::X509_get_ext_by_NID(self.x509().as_ptr(), nid, -1) >= 0 }
    }

    fn extension_id(&self, index: c_int) -> Option<String> {
        // SAFETY: the certificate is alive; an index out of range gives null.
        let extension = unsafe { openssl_sys::X509_get_ext(self.x509().as_ptr(), index) };
        if extension.is_null() {
            return None;
        }
        // SAFETY: the extension lives as long as the certificate.
        let object = unsafe { openssl_sys::X509_EXTENSION_get_object(extension) };
        // SAFETY: an extension always has an object.
        Some(crate::details::dotted(unsafe { openssl::asn1::Asn1ObjectRef::from_ptr(object) }))
    }
}

fn same(compared: Result<Ordering, openssl::error::ErrorStack>) -> bool {
    compared.is_ok_and(Ordering::is_eq)
}

fn is_at_most(a: &Asn1TimeRef, b: &Asn1TimeRef) -> bool {
    a.compare(b).is_ok_and(Ordering::is_le)
}

/// # Safety
/// `subtrees` must be null or a live stack of `GENERAL_SUBTREE`.
unsafe fn bases(subtrees: *mut openssl_sys::OPENSSL_STACK) -> Vec<AlternativeName> {
    // SAFETY: null gives -1, and otherwise the stack is alive by the caller's promise.
    let count = unsafe { openssl_sys::OPENSSL_sk_num(subtrees) };
    let base = |index| {
        // SAFETY: the index is within the stack.
        let subtree =
            unsafe { openssl_sys::OPENSSL_sk_value(subtrees, index) }.cast::<sys::GENERAL_SUBTREE>();
        // SAFETY: the stack holds live subtrees.
        let sys::GENERAL_SUBTREE { base, .. } = unsafe { subtree.read() };
        alternative_name(base)
    };
    (0..count).map(base).collect()
}
