//! A certificate authority that lives as long as the process, for trying things out.
//!
//! Its keys are made anew each time and never leave the process.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nodetls::{KeyPem, SecureContextOptions};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

use crate::failure::Failure;

/// How long its certificates are valid.
const VALIDITY: Duration = Duration::days(7);

/// A throwaway authority.
#[derive(Debug)]
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, both in PEM.
#[derive(Debug)]
pub(crate) struct Identity {
    cert: String,
    key: KeyPem,
}

impl Authority {
    /// Makes one.
    pub(crate) fn new() -> Result<Self, Failure> {
        let mut params = params("nodetls throwaway CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(failure)?;
        let certificate = params.self_signed(&key).map_err(failure)?;
        Ok(Self { pem: certificate.pem(), issuer: Issuer::new(params, key) })
    }

    /// The authority's own certificate, which those who are to trust it need.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for a server that is reached as `localhost`, 127.0.0.1 or ::1.
    pub(crate) fn issue_localhost(&self) -> Result<Identity, Failure> {
        let mut params = params("localhost");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = vec![
            SanType::DnsName("localhost".try_into().map_err(failure)?),
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ];
        self.issue(params)
    }

    /// A certificate for a client of this name.
    pub(crate) fn issue_client(&self, name: &str) -> Result<Identity, Failure> {
        let mut params = params(name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params)
    }

    fn issue(&self, mut params: CertificateParams) -> Result<Identity, Failure> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().map_err(failure)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failure)?;
        let key = KeyPem { pem: key.serialize_pem().into(), passphrase: None };
        Ok(Identity { cert: certificate.pem(), key })
    }
}

impl Identity {
    /// Adds the certificate and its key to the options of a context.
    pub(crate) fn add_to(&self, options: &mut SecureContextOptions) {
        options.cert.push(self.cert.clone().into_bytes());
        options.key.push(self.key.clone());
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    // Clocks differ a little, also between virtual machines on one host.
    params.not_before = OffsetDateTime::now_utc() - Duration::hours(1);
    params.not_after = OffsetDateTime::now_utc() + VALIDITY;
    params
}

fn failure(error: rcgen::Error) -> Failure {
    Failure::new("ERR_INTERNAL_ASSERTION", format_args!("make a throwaway certificate: {error}"))
}
