//! Certificate status by OCSP (RFC 6960), stapled to the handshake (RFC 6066 §8).

use foreign_types::ForeignTypeRef;
use libc::{c_int, c_void};
use openssl::hash::MessageDigest;
use openssl::ocsp::{OcspCertId, OcspCertStatus, OcspFlag, OcspResponse, OcspResponseStatus};
use openssl::ssl::SslRef;
use openssl::stack::Stack;
use openssl::x509::X509;
use openssl_sys::SSL;

use crate::callbacks::{guard, state};
use crate::{Certificate, ErrorStack, TrustStore};

/// Clocks of responders may be ahead or behind by this much.
const CLOCK_SKEW_SECONDS: u32 = 300;

/// What a response says about a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OcspVerdict {
    /// It is not revoked.
    Good,
    /// It is revoked.
    Revoked,
    /// The responder does not know it.
    Unknown,
    /// The response cannot be believed: malformed, about another certificate, badly signed, or not current.
    Invalid,
}

/// Whether the bytes are an OCSP response in DER, whatever it says. OpenSSL staples nothing else.
pub fn is_ocsp_response(bytes: &[u8]) -> bool {
    ErrorStack::clear();
    let parsed = OcspResponse::from_der(bytes).is_ok();
    ErrorStack::clear();
    parsed
}

/// Judges a response about `certificate`, issued by `issuer`, with responders that lead to a trusted authority.
pub fn judge_ocsp_response(
    response: &[u8],
    certificate: &Certificate,
    issuer: &Certificate,
    trust: &TrustStore,
) -> OcspVerdict {
    ErrorStack::clear();
    let verdict = judge(response, certificate, issuer, trust);
    ErrorStack::clear();
    verdict.unwrap_or(OcspVerdict::Invalid)
}

fn judge(
    response: &[u8],
    certificate: &Certificate,
    issuer: &Certificate,
    trust: &TrustStore,
) -> Result<OcspVerdict, openssl::error::ErrorStack> {
    let response = OcspResponse::from_der(response)?;
    if response.status() != OcspResponseStatus::SUCCESSFUL {
        return Ok(OcspVerdict::Invalid);
    }
    let basic = response.basic()?;
    let mut issuers = Stack::<X509>::new()?;
    issuers.push(issuer.x509().to_owned())?;
    basic.verify(&issuers, trust.x509_store(), OcspFlag::empty())?;
    // RFC 6960 leaves the digest of the identifier to the responder.
    for digest in [MessageDigest::sha1(), MessageDigest::sha256()] {
        let id = OcspCertId::from_cert(digest, certificate.x509(), issuer.x509())?;
        let Some(found) = basic.find_status(&id) else { continue };
        found.check_validity(CLOCK_SKEW_SECONDS, None)?;
        return Ok(match found.status {
            OcspCertStatus::GOOD => OcspVerdict::Good,
            OcspCertStatus::REVOKED => OcspVerdict::Revoked,
            _ => OcspVerdict::Unknown,
        });
    }
    Ok(OcspVerdict::Invalid)
}

/// `SSL_CTX_set_tlsext_status_cb(3)`: on servers it staples the response that was recorded for the certificate in use;
/// on clients it accepts, because the core judges what came.
pub(crate) unsafe extern "C" fn status(ssl: *mut SSL, _arg: *mut c_void) -> c_int {
    guard(openssl_sys::SSL_TLSEXT_ERR_ALERT_FATAL, || {
        // SAFETY: OpenSSL passes the SSL of the current call, which nobody else refers to meanwhile.
        let this = unsafe { SslRef::from_ptr_mut(ssl) };
        if !this.is_server() {
            return 1;
        }
        // SAFETY: as above.
        let Some((certificate, response)) = (unsafe { state(ssl) }).and_then(|state| state.ocsp.as_ref())
        else {
            return openssl_sys::SSL_TLSEXT_ERR_NOACK;
        };
        // A context may have several certificates, and a response for one says nothing about another.
        let is_used = this.certificate().is_some_and(|used| used == certificate.x509());
        match is_used && this.set_ocsp_status(response).is_ok() {
            true => openssl_sys::SSL_TLSEXT_ERR_OK,
            false => openssl_sys::SSL_TLSEXT_ERR_NOACK,
        }
    })
}
