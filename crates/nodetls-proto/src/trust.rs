//! Whom a context trusts.
//!
//! Parsing Mozilla's roots takes milliseconds, so it is done once a process, on first need, and shared. So are the stores
//! that were made last: programs make one context a connection, all of them with the same authorities.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use nodetls_openssl::{
    Certificate, ErrorStack, TrustStore, TrustStoreBuilder, certificates_from_pem, sha256,
};

use crate::error::{ConfigError, Error};

/// The certificate authorities that are trusted where none are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DefaultAuthorities {
    /// Mozilla's list of roots for TLS servers, as shipped with this library.
    #[default]
    Mozilla,
    /// The operating system's.
    System,
}

/// A trust store together with a digest that tells it from others.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    source: Source,
    pub(crate) fingerprint: [u8; 32],
}

#[derive(Clone, Debug)]
enum Source {
    Default(DefaultAuthorities),
    /// A store of this context's own; `explicit` when authorities were named, not only revocation lists.
    Own {
        store: TrustStore,
        explicit: bool,
    },
}

/// The options that make up a [`Trust`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TrustParts<'a> {
    pub(crate) default: DefaultAuthorities,
    /// Replaces the default authorities.
    pub(crate) ca: Option<&'a [Vec<u8>]>,
    /// Comes on top of either.
    pub(crate) extra: &'a [Vec<u8>],
    pub(crate) crl: &'a [Vec<u8>],
    /// Whether every one of them ends a chain, and not just those that are self-signed.
    pub(crate) partial_chains: bool,
}

impl TrustParts<'_> {
    /// Tells these parts from others: every text with its length, every list with its name.
    fn digest(&self) -> [u8; 32] {
        let lists = [(b"ca", self.ca.unwrap_or_default()), (b"ex", self.extra), (b"rl", self.crl)];
        let lengths: Vec<_> =
            lists.iter().flat_map(|(_, list)| list.iter().map(|pem| pem.len().to_be_bytes())).collect();
        let head = [self.default as u8, u8::from(self.ca.is_some()), u8::from(self.partial_chains)];
        let mut parts: Vec<&[u8]> = vec![&head];
        let mut lengths = lengths.iter();
        for (name, list) in lists {
            parts.push(name);
            for (pem, length) in list.iter().zip(lengths.by_ref()) {
                parts.extend([&length[..], pem]);
            }
        }
        sha256(&parts)
    }
}

/// How many stores are remembered.
const RECENT: usize = 8;

type Recent = VecDeque<([u8; 32], Trust)>;

fn recent() -> MutexGuard<'static, Recent> {
    static MADE: Mutex<Recent> = Mutex::new(VecDeque::new());
    MADE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remember(digest: [u8; 32], made: Trust) {
    let mut recent = recent();
    recent.truncate(RECENT - 1);
    recent.push_front((digest, made));
}

impl Trust {
    pub(crate) fn new(parts: &TrustParts<'_>) -> Result<Self, Error> {
        let TrustParts { default, ca, extra, crl, partial_chains } = *parts;
        if ca.is_none() && extra.is_empty() && crl.is_empty() && !partial_chains {
            let fingerprint = sha256(&[b"default authorities", &[default as u8]]);
            return Ok(Self { source: Source::Default(default), fingerprint });
        }
        let digest = parts.digest();
        if let Some(made) = recent().iter().find(|(known, _)| *known == digest) {
            return Ok(made.1.clone());
        }
        let made = Self::build(parts)?;
        remember(digest, made.clone());
        Ok(made)
    }

    fn build(parts: &TrustParts<'_>) -> Result<Self, Error> {
        let TrustParts { default, ca, extra, crl, partial_chains } = *parts;
        let mut trusted = match ca {
            Some(pems) => parse_all("ca", pems)?,
            None => default_store(default)?.certificates().to_vec(),
        };
        trusted.extend(parse_all("extra_ca", extra)?);
        let mut builder = builder(&trusted).map_err(ConfigError::from_openssl("ca"))?;
        for pem in crl {
            builder.add_revocation_lists(pem).map_err(ConfigError::from_openssl("crl"))?;
        }
        if partial_chains {
            builder.end_chains_at_all().map_err(ConfigError::from_openssl("ca"))?;
        }
        let fingerprint = fingerprint(&trusted, crl, partial_chains);
        let explicit = ca.is_some() || !extra.is_empty();
        Ok(Self { fingerprint, source: Source::Own { store: builder.build(), explicit } })
    }

    pub(crate) fn store(&self) -> Result<TrustStore, Error> {
        match &self.source {
            Source::Default(default) => default_store(*default),
            Source::Own { store, .. } => Ok(store.clone()),
        }
    }

    /// The authorities that were named explicitly; empty for the defaults.
    pub(crate) fn explicit(&self) -> &[Certificate] {
        match &self.source {
            Source::Own { store, explicit: true } => store.certificates(),
            Source::Own { .. } | Source::Default(_) => &[],
        }
    }
}

fn parse_all(option: &'static str, pems: &[Vec<u8>]) -> Result<Vec<Certificate>, Error> {
    let mut all = Vec::new();
    for pem in pems {
        all.extend(certificates_from_pem(pem).map_err(ConfigError::from_openssl(option))?);
    }
    Ok(all)
}

fn builder(trusted: &[Certificate]) -> Result<TrustStoreBuilder, ErrorStack> {
    let mut builder = TrustStoreBuilder::new()?;
    trusted.iter().try_for_each(|certificate| builder.add(certificate))?;
    Ok(builder)
}

fn build(trusted: &[Certificate]) -> Result<TrustStore, ErrorStack> {
    builder(trusted).map(TrustStoreBuilder::build)
}

fn fingerprint(trusted: &[Certificate], crl: &[Vec<u8>], partial_chains: bool) -> [u8; 32] {
    let certificates = trusted.iter().map(Certificate::sha256);
    let lists = crl.iter().map(|pem| sha256(&[pem]).to_vec());
    let partial = partial_chains.then(|| b"partial chains".to_vec());
    let digests: Vec<Vec<u8>> = certificates.chain(lists).chain(partial).collect();
    sha256(&digests.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn default_store(default: DefaultAuthorities) -> Result<TrustStore, Error> {
    static MOZILLA: OnceLock<Result<TrustStore, Error>> = OnceLock::new();
    static SYSTEM: OnceLock<Result<TrustStore, Error>> = OnceLock::new();
    match default {
        DefaultAuthorities::Mozilla => MOZILLA.get_or_init(mozilla).clone(),
        DefaultAuthorities::System => SYSTEM.get_or_init(system).clone(),
    }
}

fn mozilla() -> Result<TrustStore, Error> {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    let parsed: Result<Vec<_>, _> = roots.map(|root| Certificate::from_der(root)).collect();
    parsed.and_then(|trusted| build(&trusted)).map_err(Error::bug)
}

fn system() -> Result<TrustStore, Error> {
    let found = rustls_native_certs::load_native_certs();
    // A system store may hold a certificate that OpenSSL cannot read: it is left out, as browsers do.
    let trusted: Vec<_> = found.certs.iter().filter_map(|root| Certificate::from_der(root).ok()).collect();
    if trusted.is_empty() {
        let reason = found.errors.first().map_or_else(|| "it is empty".to_owned(), ToString::to_string);
        return Err(ConfigError::refused(
            "default_ca",
            "ERR_INVALID_ARG_VALUE",
            format!("the system's trust store: {reason}"),
        ));
    }
    build(&trusted).map_err(ConfigError::from_openssl("default_ca"))
}

/// Mozilla's roots in PEM, which are trusted by default.
///
/// # Errors
/// [`Error::Bug`] when memory runs out.
///
/// Node: `tls.rootCertificates`.
pub fn root_certificates() -> Result<&'static [String], Error> {
    static PEM: OnceLock<Result<Vec<String>, Error>> = OnceLock::new();
    let all = PEM.get_or_init(|| {
        let store = default_store(DefaultAuthorities::Mozilla)?;
        let pem = |root: &Certificate| root.to_pem().map(|pem| String::from_utf8_lossy(&pem).into_owned());
        store.certificates().iter().map(pem).collect::<Result<_, _>>().map_err(Error::bug)
    });
    all.as_deref().map_err(Clone::clone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mozillas_roots_are_parsed_once_and_shared() {
        let first = default_store(DefaultAuthorities::Mozilla).unwrap();
        let second = default_store(DefaultAuthorities::Mozilla).unwrap();
        assert!(first.certificates().len() > 100);
        assert!(std::ptr::eq(first.certificates(), second.certificates()));
    }

    #[test]
    fn the_roots_are_given_out_as_pem_that_can_be_trusted_again() {
        let roots = root_certificates().unwrap();
        assert!(roots.len() > 100);
        assert!(roots.iter().all(|root| root.starts_with("-----BEGIN CERTIFICATE-----")));
        let ca = [roots.concat().into_bytes()];
        let trust = Trust::new(&TrustParts { ca: Some(&ca), ..TrustParts::default() }).unwrap();
        assert_eq!(trust.explicit().len(), roots.len());
    }

    #[test]
    fn an_authority_that_is_not_pem_is_refused_by_name() {
        let error = Trust::new(&TrustParts { ca: Some(&[b"nonsense".to_vec()]), ..TrustParts::default() })
            .unwrap_err();
        assert_eq!(error.code(), "ERR_OSSL_PEM_NO_START_LINE");
        assert!(matches!(&error, Error::Config(config) if config.option == "ca"));
    }
}
