//! Certificate status by OCSP (RFC 6960), stapled to the handshake (RFC 6066 §8).
//!
//! A client that demands a status judges it while OpenSSL waits: a server that fails gets the fitting alert, and nothing
//! of the client's own (its certificate, its Finished message). The judgement calls nothing from outside.

use foreign_types::ForeignTypeRef;
use libc::{c_int, c_void};
use openssl::hash::MessageDigest;
use openssl::ocsp::{OcspCertId, OcspCertStatus, OcspFlag, OcspResponse, OcspResponseStatus};
use openssl::ssl::SslRef;
use openssl::stack::Stack;
use openssl::x509::X509;
use openssl_sys::SSL;

use crate::callbacks::{guard, state};
use crate::state::State;
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
    /// There is no response.
    Missing,
}

/// Whether the bytes are an OCSP response in DER, whatever it says. OpenSSL staples nothing else.
pub fn is_ocsp_response(bytes: &[u8]) -> bool {
    ErrorStack::clear();
    let parsed = OcspResponse::from_der(bytes).is_ok();
    ErrorStack::clear();
    parsed
}

/// Judges a response about the first certificate of a chain, each followed by its issuer, with responders that lead to a
/// trusted authority.
fn verdict(response: Option<&[u8]>, chain: &[Certificate], trust: &TrustStore) -> OcspVerdict {
    let Some(response) = response else { return OcspVerdict::Missing };
    // An authority that is its own server has nobody above it who could answer for it.
    let [certificate, issuers @ ..] = chain else { return OcspVerdict::Invalid };
    if issuers.is_empty() {
        return OcspVerdict::Invalid;
    }
    ErrorStack::clear();
    let verdict = judge(response, certificate, issuers, trust);
    ErrorStack::clear();
    verdict.unwrap_or(OcspVerdict::Invalid)
}

fn judge(
    response: &[u8],
    certificate: &Certificate,
    issuers: &[Certificate],
    trust: &TrustStore,
) -> Result<OcspVerdict, openssl::error::ErrorStack> {
    let response = OcspResponse::from_der(response)?;
    if response.status() != OcspResponseStatus::SUCCESSFUL {
        return Ok(OcspVerdict::Invalid);
    }
    let basic = response.basic()?;
    // Whoever signs may need all of them to lead to the authority.
    let mut untrusted = Stack::<X509>::new()?;
    issuers.iter().try_for_each(|issuer| untrusted.push(issuer.x509().to_owned()))?;
    basic.verify(&untrusted, trust.x509_store(), OcspFlag::empty())?;
    // RFC 6960 leaves the digest of the identifier to the responder.
    for digest in [MessageDigest::sha1(), MessageDigest::sha256()] {
        let id = OcspCertId::from_cert(digest, certificate.x509(), issuers[0].x509())?;
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
/// on clients it notes what came, and refuses it where a good status is demanded.
pub(crate) unsafe extern "C" fn status(ssl: *mut SSL, _arg: *mut c_void) -> c_int {
    guard(openssl_sys::SSL_TLSEXT_ERR_ALERT_FATAL, || {
        // SAFETY: OpenSSL passes the SSL of the current call, which nobody else refers to meanwhile.
        let this = unsafe { SslRef::from_ptr_mut(ssl) };
        if !this.is_server() {
            // SAFETY: as above.
            return unsafe { state(ssl) }.map_or(0, |state| receive(this, state));
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

/// The client's part of [`status`]: 0 makes OpenSSL send `bad_certificate_status_response`.
fn receive(ssl: &mut SslRef, state: &mut State) -> c_int {
    let response = ssl.ocsp_status().map(<[u8]>::to_vec);
    let verdict = state.report.as_ref().zip(state.trust.as_ref()).map(|(report, trust)| {
        // A resumed session had its server's status judged when it was made, by the same rules.
        let is_demanded = state.demands_ocsp && !ssl.session_reused();
        if is_demanded { verdict(response.as_deref(), &report.built, trust) } else { OcspVerdict::Good }
    });
    state.ocsp_response = response;
    // Without a certificate, which a server with a pre-shared key need not have, there is nothing to judge.
    state.ocsp_objection = verdict.filter(|verdict| *verdict != OcspVerdict::Good);
    c_int::from(state.ocsp_objection.is_none())
}
