//! What binds a certificate to those above it: names, keys, signatures, constraints.

use std::cmp::Ordering;
use std::ptr::NonNull;

use foreign_types::ForeignTypeRef;
use libc::c_int;
use openssl::asn1::{Asn1StringRef, Asn1Time, Asn1TimeRef};
use openssl_sys::{NID_inhibit_any_policy, NID_name_constraints, NID_policy_constraints};

use crate::certificate::alternative_name;
use crate::constraints::NameConstraints;
use crate::{AlternativeName, Certificate, ErrorStack, Purpose, VerifySettings, sys};

/// `SSL_CTX_set_security_level(3)`: bits of security that each level asks for.
const SECURITY_BITS: [u32; 6] = [0, 80, 112, 128, 192, 256];

/// Name constraints that are OpenSSL's.
pub(crate) struct Subtrees(NonNull<sys::NAME_CONSTRAINTS>);

impl Subtrees {
    fn lists(&self) -> [*mut openssl_sys::OPENSSL_STACK; 2] {
        // SAFETY: the structure is ours and alive.
        let sys::NAME_CONSTRAINTS { permitted, excluded } = unsafe { self.0.read() };
        [permitted, excluded]
    }

    pub(crate) fn count(&self) -> usize {
        // SAFETY: each is null or a live stack.
        self.lists().into_iter().filter_map(|list| unsafe { count(list) }).map(|count| count as usize).sum()
    }

    /// Whether OpenSSL finds that they allow the certificate's names, but for a common name.
    pub(crate) fn allow(&self, certificate: &Certificate) -> bool {
        ErrorStack::clear();
        // SAFETY: both are alive.
        let verdict = unsafe { sys::NAME_CONSTRAINTS_check(certificate.x509().as_ptr(), self.0.as_ptr()) };
        ErrorStack::clear();
        verdict == openssl_sys::X509_V_OK
    }

    fn to_constraints(&self) -> NameConstraints {
        let lists = self.lists();
        // RFC 5280 §4.2.1.10: one of the two must be there, and neither is without subtrees.
        // SAFETY: each is null or a live stack.
        let counts = lists.map(|list| unsafe { count(list) });
        let is_empty = counts.contains(&Some(0)) || counts == [None; 2];
        // SAFETY: each is null or a stack of subtrees, and alive.
        let [permitted, excluded] = lists.map(|list| unsafe { bases(list) });
        NameConstraints { permitted, excluded, is_empty }
    }
}

impl Drop for Subtrees {
    fn drop(&mut self) {
        // SAFETY: the structure is ours and not used again.
        unsafe { sys::NAME_CONSTRAINTS_free(self.0.as_ptr()) };
    }
}

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

    pub(crate) fn has_subject_of(&self, other: &Self) -> bool {
        same(self.x509().subject_name().try_cmp(other.x509().subject_name()))
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
        self.subtrees().map(|subtrees| subtrees.to_constraints())
    }

    /// The name constraints as OpenSSL has them.
    pub(crate) fn subtrees(&self) -> Option<Subtrees> {
        NonNull::new(self.extension(NID_name_constraints)?.cast()).map(Subtrees)
    }

    /// Whether nothing in the certificate itself, but its names and validity, keeps it from being an intermediate.
    pub(crate) fn may_issue(&self, settings: &VerifySettings) -> bool {
        ErrorStack::clear();
        let purpose = match settings.purpose {
            Purpose::Server => openssl_sys::X509_PURPOSE_SSL_SERVER,
            Purpose::Client => openssl_sys::X509_PURPOSE_SSL_CLIENT,
        };
        // SAFETY: the certificate is alive; so for the next. 1 asks about an authority.
        let serves = unsafe { sys::X509_check_purpose(self.x509().as_ptr(), purpose, 1) } == 1;
        // SAFETY: as above. Other answers than 1 are for roots.
        let is_authority = unsafe { sys::X509_check_ca(self.x509().as_ptr()) } == 1;
        let level = usize::try_from(settings.security_level).unwrap_or(usize::MAX);
        let needed = SECURITY_BITS[level.min(SECURITY_BITS.len() - 1)];
        let key = self.x509().public_key().map_or(0, |key| key.security_bits());
        let may = serves && is_authority && key >= needed && self.signature_security_bits() >= needed;
        ErrorStack::clear();
        may
    }

    fn signature_security_bits(&self) -> u32 {
        let (mut bits, none) = (-1, std::ptr::null_mut());
        // SAFETY: the certificate is alive, the out parameter is ours, and the others may be null.
        unsafe {
            sys::X509_get_signature_info(
                self.x509().as_ptr(),
                none,
                none,
                &raw mut bits,
                std::ptr::null_mut(),
            )
        };
        u32::try_from(bits).unwrap_or(0)
    }

    /// How many authorities may stand between this one and a leaf; `None` where there is no limit.
    pub(crate) fn path_length(&self) -> Option<usize> {
        // SAFETY: the certificate is alive; without a limit the answer is -1.
        usize::try_from(unsafe { openssl_sys::X509_get_pathlen(self.x509().as_ptr()) }).ok()
    }

    /// The bytes of the public key, without its algorithm.
    pub(crate) fn key_bytes(&self) -> &[u8] {
        // SAFETY: the certificate is alive.
        let bits = unsafe { sys::X509_get0_pubkey_bitstr(self.x509().as_ptr()) };
        if bits.is_null() {
            return &[];
        }
        // SAFETY: not null, lives as long as the certificate, and a bit string is a string.
        unsafe { Asn1StringRef::from_ptr(bits.cast()) }.as_slice()
    }

    /// How many bytes the certificate has.
    pub(crate) fn der_length(&self) -> usize {
        // SAFETY: the certificate is alive; null asks for the length alone.
        let length = unsafe { openssl_sys::i2d_X509(self.x509().as_ptr(), std::ptr::null_mut()) };
        usize::try_from(length).unwrap_or(usize::MAX)
    }

    /// Whether it says that chains need certificate policies, or which do not count (RFC 5280 §4.2.1.11, §4.2.1.14).
    pub(crate) fn restricts_policies(&self) -> bool {
        [NID_policy_constraints, NID_inhibit_any_policy].into_iter().any(|nid| self.has_extension(nid))
    }

    fn has_extension(&self, nid: c_int) -> bool {
        // SAFETY: the certificate is alive; -1 begins the search at its first extension.
        unsafe { openssl_sys::X509_get_ext_by_NID(self.x509().as_ptr(), nid, -1) >= 0 }
    }
}

fn same(compared: Result<Ordering, openssl::error::ErrorStack>) -> bool {
    compared.is_ok_and(Ordering::is_eq)
}

fn is_at_most(a: &Asn1TimeRef, b: &Asn1TimeRef) -> bool {
    a.compare(b).is_ok_and(Ordering::is_le)
}

/// The number of elements; `None` for no stack.
///
/// # Safety
/// `stack` must be null or a live stack.
unsafe fn count(stack: *mut openssl_sys::OPENSSL_STACK) -> Option<c_int> {
    // SAFETY: null gives -1, and otherwise the stack is alive by the caller's promise.
    let count = unsafe { openssl_sys::OPENSSL_sk_num(stack) };
    (count >= 0).then_some(count)
}

/// # Safety
/// `subtrees` must be null or a live stack of `GENERAL_SUBTREE`.
unsafe fn bases(subtrees: *mut openssl_sys::OPENSSL_STACK) -> Vec<AlternativeName> {
    // SAFETY: the caller's promise.
    let count = unsafe { count(subtrees) }.unwrap_or_default();
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
