//! The verification of a certificate chain, as connections do it and by itself.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use nodetls_openssl::{VerifyFinding, VerifySettings, certificates_from_pem};

use crate::certificate::Certificate;
use crate::context::SECURITY_LEVEL;
use crate::error::{ConfigError, Error, VerifyError, verify_code};
use crate::options::Side;
use crate::server_name::ServerName;
use crate::trust::{DefaultAuthorities, Trust, TrustParts};

/// What a certificate is to be used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// It is a server's: what a client does with it.
    #[default]
    Server,
    /// It is a client's: what a server does with it.
    Client,
}

impl Purpose {
    /// The side that verifies.
    fn verifier(self) -> Side {
        match self {
            Self::Server => Side::Client,
            Self::Client => Side::Server,
        }
    }
}

/// A chain to be verified, and how.
///
/// All fields but [`leaf`](Self::leaf) have a default: that of a connection with default options.
#[derive(Clone, Debug, Default)]
pub struct VerifyRequest {
    /// The certificate in PEM. Others that follow it in the text count among the intermediates.
    pub leaf: Vec<u8>,
    /// The certificates that the peer sends along, in PEM, in its order. They are not trusted.
    pub intermediates: Vec<Vec<u8>>,
    /// The only trust anchors, in PEM; an empty list trusts nobody. `None`: those of
    /// [`default_ca`](Self::default_ca). Node: `ca`.
    pub roots: Option<Vec<Vec<u8>>>,
    /// The trust anchors where none are given. Default: Mozilla's.
    pub default_ca: DefaultAuthorities,
    /// Whether a chain may end at a trusted certificate that is not self-signed. Default: false. Node:
    /// `allowPartialTrustChain`.
    pub allow_partial_trust_chain: bool,
    /// Revocation lists in PEM. With any, every certificate of the chain but the root needs a current list of its
    /// issuer, and must not be on it. Node: `crl`.
    pub crl: Vec<Vec<u8>>,
    /// What the certificate is to be used for. Default: a server.
    pub purpose: Purpose,
    /// The name that the certificate must be for. `None`: the name is not checked.
    pub server_name: Option<ServerName>,
    /// When the certificates must be valid: from the first through the last second of each. `None`: now.
    pub time: Option<SystemTime>,
    /// The largest number of certificates between the leaf and the trust anchor. `None`: 100.
    pub max_depth: Option<u32>,
    /// Also insists on what RFC 5280 asks of those who issue certificates, such as key identifiers and critical basic
    /// constraints (`X509_V_FLAG_X509_STRICT`). Many private authorities do not keep to it. Default: false.
    pub strict: bool,
}

/// A chain to which there is no objection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verified {
    /// From the leaf to the trust anchor.
    pub chain: Vec<Certificate>,
}

/// Verifies a chain, and the name if there is one, by the rules of connections.
///
/// The work is bounded, whatever the certificates are: at most 100 signatures are checked in search of another chain
/// than the first that was found.
///
/// # Errors
/// - [`Error::Config`]: a PEM text cannot be read.
/// - [`Error::Verify`]: the chain is not acceptable; the code is the one that a connection would report.
/// - [`Error::Identity`]: the chain is acceptable, but the certificate is not for the name.
/// - [`Error::Bug`]: memory ran out.
///
/// Corresponds to `X509_verify_cert`.
pub fn verify_chain(request: &VerifyRequest) -> Result<Verified, Error> {
    let presented = presented(request)?;
    let Some(leaf) = presented.first() else { return Err(Error::bug("no certificate was read")) };
    let trust = Trust::new(&TrustParts {
        default: request.default_ca,
        ca: request.roots.as_deref(),
        extra: &[],
        crl: &request.crl,
        partial_chains: request.allow_partial_trust_chain,
    })?;
    let report = nodetls_openssl::verify_chain(&trust.store()?, leaf, &presented, &settings(request)?);
    let (leaf, side) = (Certificate(leaf.clone()), request.purpose.verifier());
    let name = request.server_name.as_ref();
    match objection(decisive(&report.findings, request), Some(&leaf), name, side) {
        Some(error) => Err(error),
        None => Ok(Verified { chain: report.built.into_iter().map(Certificate).collect() }),
    }
}

/// The last finding, as in Node.js, unless the chain was cut off at a depth that was asked for: what is said after that
/// is only that its end is missing.
fn decisive<'a>(findings: &'a [VerifyFinding], request: &VerifyRequest) -> Option<&'a VerifyFinding> {
    let too_long = |finding: &&VerifyFinding| {
        request.max_depth.is_some() && finding.code == verify_code::CERT_CHAIN_TOO_LONG
    };
    findings.iter().find(too_long).or_else(|| findings.last())
}

/// The certificates as a connection would receive them, the leaf first.
fn presented(request: &VerifyRequest) -> Result<Vec<nodetls_openssl::Certificate>, Error> {
    let mut all = certificates_from_pem(&request.leaf).map_err(ConfigError::from_openssl("leaf"))?;
    for pem in &request.intermediates {
        all.extend(certificates_from_pem(pem).map_err(ConfigError::from_openssl("intermediates"))?);
    }
    Ok(all)
}

fn settings(request: &VerifyRequest) -> Result<VerifySettings, Error> {
    Ok(VerifySettings {
        purpose: match request.purpose {
            Purpose::Server => nodetls_openssl::Purpose::Server,
            Purpose::Client => nodetls_openssl::Purpose::Client,
        },
        security_level: SECURITY_LEVEL,
        time: request.time.map(unix_seconds).transpose()?,
        is_past_second: request.time.is_some_and(has_fraction),
        max_depth: request.max_depth,
        flags: if request.strict { VerifySettings::STRICT } else { 0 },
    })
}

/// Whole seconds since 1970, rounded down.
fn unix_seconds(time: SystemTime) -> Result<i64, Error> {
    let seconds = match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).ok(),
        Err(before) => {
            let before = before.duration();
            let whole = i64::try_from(before.as_secs()).ok();
            whole.map(|seconds| -seconds - i64::from(before.subsec_nanos() > 0))
        }
    };
    seconds.ok_or_else(|| ConfigError::refused("time", "ERR_OUT_OF_RANGE", "it is out of range"))
}

/// What there is against a peer: the chain first, then the name. The last finding about the chain is the one that
/// counts, as in Node.js.
pub(crate) fn objection(
    finding: Option<&VerifyFinding>,
    leaf: Option<&Certificate>,
    name: Option<&ServerName>,
    side: Side,
) -> Option<Error> {
    if let Some(finding) = finding {
        return Some(Error::Verify(Arc::new(verify_error(finding, side))));
    }
    leaf?.check_server_identity(&name?.to_string()).err()
}

pub(crate) fn verify_error(finding: &VerifyFinding, side: Side) -> VerifyError {
    VerifyError::new(finding.code, finding.depth, finding.certificate.clone().map(Certificate), side)
}

fn has_fraction(time: SystemTime) -> bool {
    let from_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_else(|before| before.duration());
    from_1970.subsec_nanos() > 0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_rounded_down_before_1970_too() {
        for (time, seconds) in [
            (UNIX_EPOCH, 0),
            (UNIX_EPOCH + Duration::from_millis(1_999), 1),
            (UNIX_EPOCH - Duration::from_millis(1), -1),
            (UNIX_EPOCH - Duration::from_secs(1), -1),
        ] {
            assert_eq!(unix_seconds(time).unwrap(), seconds);
        }
    }
}
