//! Revocation lists (RFC 5280 §5) where OpenSSL's use of them has a gap: of several by one issuer it reads one.
//!
//! The newest counts, since a certificate may have been taken off it again. Of those that are equally new OpenSSL takes
//! the first that it finds; here each counts.

use std::cmp::Ordering;

use openssl::asn1::Asn1Time;
use openssl::x509::{CrlStatus, X509CrlRef};
use openssl_sys::X509_V_ERR_CERT_REVOKED;

use crate::{Certificate, ErrorStack, TrustStore, VerifyFinding};

/// The first certificate below the anchor that a list of its issuer revokes.
pub(crate) fn objection(
    chain: &[Certificate],
    trust: &TrustStore,
    time: Option<i64>,
) -> Option<VerifyFinding> {
    if trust.revocation_lists().is_empty() {
        return None;
    }
    ErrorStack::clear();
    let revoked = chain.windows(2).position(|pair| is_revoked(&pair[0], &pair[1], trust, time));
    ErrorStack::clear();
    revoked.map(|depth| VerifyFinding {
        code: X509_V_ERR_CERT_REVOKED,
        depth: depth as u32,
        certificate: Some(chain[depth].clone()),
    })
}

fn is_revoked(subject: &Certificate, issuer: &Certificate, trust: &TrustStore, time: Option<i64>) -> bool {
    let now = match time {
        Some(time) => Asn1Time::from_unix(time),
        None => Asn1Time::days_from_now(0),
    };
    let (Ok(now), Ok(key)) = (now, issuer.x509().public_key()) else { return false };
    let is_current = |list: &&X509CrlRef| {
        list.last_update() <= &*now && list.next_update().is_none_or(|next| &*now <= next)
    };
    let names = |list: &X509CrlRef| {
        let entry = list.get_by_serial(subject.x509().serial_number());
        matches!(entry, CrlStatus::Revoked(_))
    };
    let of_issuer: Vec<&X509CrlRef> = trust
        .revocation_lists()
        .iter()
        .map(|list| &**list)
        .filter(|list| {
            matches!(list.issuer_name().try_cmp(subject.x509().issuer_name()), Ok(Ordering::Equal))
        })
        .filter(is_current)
        .collect();
    // Signatures are the expensive part, and hardly any certificate is revoked.
    if !of_issuer.iter().any(|list| names(list)) {
        return false;
    }
    let signed: Vec<_> = of_issuer.into_iter().filter(|list| list.verify(&key).unwrap_or(false)).collect();
    let is_newest = |list: &X509CrlRef| signed.iter().all(|other| other.last_update() <= list.last_update());
    signed.iter().any(|list| is_newest(list) && names(list))
}
