//! Own certificates and keys, and the authorities that come with them.

use nodetls_openssl::{
    Certificate, ContextBuilder, Pkcs12, Pkcs12Error, PrivateKey, certificates_from_pem, sha256,
};

use super::{OwnCertificate, Pfx, SecureContextOptions};
use crate::error::{ConfigError, Error};
use crate::secret::SecretBytes;
use crate::trust::{Trust, TrustParts};

/// Own certificates and keys, from all options that can bring them.
pub(super) struct Identities {
    chains: Vec<Vec<Certificate>>,
    keys: Vec<PrivateKey>,
    authorities: Vec<Certificate>,
}

impl Identities {
    pub(super) fn read(options: &SecureContextOptions) -> Result<Self, Error> {
        let mut this = Self { chains: Vec::new(), keys: Vec::new(), authorities: Vec::new() };
        for pem in &options.cert {
            this.chains.push(certificates_from_pem(pem).map_err(ConfigError::from_openssl("cert"))?);
        }
        for key in &options.key {
            let passphrase = key.passphrase.as_ref().or(options.passphrase.as_ref()).map(SecretBytes::expose);
            let key = PrivateKey::from_pem(key.pem.expose(), passphrase)
                .map_err(ConfigError::from_openssl("key"))?;
            this.keys.push(key);
        }
        if let Some(key) = &options.engine_key {
            this.keys.push(key.load()?);
        }
        for pfx in &options.pfx {
            this.read_pfx(pfx, options.passphrase.as_ref())?;
        }
        if !options.external_key {
            this.drop_superseded();
        }
        Ok(this)
    }

    /// Node: of two certificates of one kind the later one counts; the earlier one is kept here if it has a key of its
    /// own.
    fn drop_superseded(&mut self) {
        let kind =
            |chain: &Vec<Certificate>| chain.first().and_then(Certificate::public_key).map(|(kind, _)| kind);
        let kinds: Vec<_> = self.chains.iter().map(kind).collect();
        let is_kept = |(index, chain): &(usize, Vec<Certificate>)| {
            let has_key = |leaf: &Certificate| self.keys.iter().any(|key| key.matches(leaf));
            let later = &self.chains[index + 1..];
            !later.iter().any(|other| other.first() == chain.first())
                && (!kinds[index + 1..].contains(&kinds[*index]) || chain.first().is_some_and(has_key))
        };
        self.chains =
            self.chains.iter().cloned().enumerate().filter(is_kept).map(|(_, chain)| chain).collect();
    }

    fn read_pfx(&mut self, pfx: &Pfx, shared: Option<&SecretBytes>) -> Result<(), Error> {
        let passphrase = pfx.passphrase.as_ref().or(shared).map(SecretBytes::expose).unwrap_or_default();
        let passphrase =
            std::str::from_utf8(passphrase).ok().filter(|text| !text.contains('\0')).ok_or_else(|| {
                ConfigError::refused("passphrase", "ERR_INVALID_ARG_VALUE", "not UTF-8, or with a NUL")
            })?;
        let opened = Pkcs12::from_der(pfx.buf.expose(), passphrase).map_err(pfx_error)?;
        // Node: a file of authorities alone is refused, in these words.
        let missing = |what| {
            let message = format!("Unable to load {what} from PFX data");
            ConfigError::refused("pfx", "ERR_CRYPTO_OPERATION_FAILED", message)
        };
        self.keys.push(opened.key.ok_or_else(|| missing("private key"))?);
        let leaf = opened.certificate.ok_or_else(|| missing("certificate"))?;
        self.chains.push(std::iter::once(leaf).chain(opened.chain.iter().cloned()).collect());
        self.authorities.extend(opened.chain);
        Ok(())
    }

    /// Node: authorities in a PFX are trusted, besides those of `ca` or the default ones.
    pub(super) fn trust(&self, options: &SecureContextOptions) -> Result<Trust, Error> {
        let mut extra = options.extra_ca.clone();
        let self_signed = self.authorities.iter().filter(|authority| authority.is_issued_by(authority));
        extra.extend(self_signed.map(certificate_pem));
        let ca = options.ca.as_deref();
        Trust::new(&TrustParts {
            default: options.default_ca,
            ca,
            extra: &extra,
            crl: &options.crl,
            partial_chains: options.allow_partial_trust_chain,
        })
    }

    pub(super) fn install(
        &self,
        builder: &mut ContextBuilder,
        authorities: &[Certificate],
        external_key: bool,
    ) -> Result<(), Error> {
        let mut used = vec![false; self.chains.len()];
        for key in &self.keys {
            match self.chain_of(key) {
                Some(index) => {
                    used[index] = true;
                    let (leaf, chain) = self.chain(index, authorities);
                    builder.use_identity(leaf, key, &chain).map_err(ConfigError::from_openssl("cert"))?;
                }
                None if self.chains.is_empty() => {
                    builder.use_key(key).map_err(ConfigError::from_openssl("key"))?;
                }
                None => {
                    let message = "it belongs to none of the certificates";
                    return Err(ConfigError::refused("key", "ERR_OSSL_X509_KEY_VALUES_MISMATCH", message));
                }
            }
        }
        for (index, _) in used.iter().enumerate().filter(|(_, used)| !**used) {
            let (leaf, chain) = self.chain(index, authorities);
            if external_key {
                builder.use_external_identity(leaf, &chain).map_err(ConfigError::from_openssl("cert"))?;
                continue;
            }
            if !self.keys.is_empty() {
                let message = "there is no key for one of the certificates";
                return Err(ConfigError::refused("cert", "ERR_OSSL_X509_KEY_VALUES_MISMATCH", message));
            }
            builder.use_certificate(leaf).map_err(ConfigError::from_openssl("cert"))?;
        }
        Ok(())
    }

    fn chain_of(&self, key: &PrivateKey) -> Option<usize> {
        self.chains.iter().position(|chain| chain.first().is_some_and(|leaf| key.matches(leaf)))
    }

    /// A chain as it is sent. Where only the leaf was given, its issuers are taken from the authorities, up to the root,
    /// by which a peer that does not trust it may still know it. OpenSSL would do the same, but anew in each handshake.
    fn chain<'a>(
        &'a self,
        index: usize,
        authorities: &'a [Certificate],
    ) -> (&'a Certificate, Vec<Certificate>) {
        let chain = &self.chains[index];
        let (leaf, rest) = (&chain[0], &chain[1..]);
        if !rest.is_empty() {
            return (leaf, rest.to_vec());
        }
        let mut found: Vec<Certificate> = Vec::new();
        let mut current = leaf;
        // At most as many steps as there are authorities, so that a circle ends.
        while found.len() < authorities.len() && !current.is_issued_by(current) {
            let issuer = authorities.iter().find(|authority| current.is_issued_by(authority));
            let Some(issuer) = issuer else { break };
            found.push(issuer.clone());
            current = issuer;
        }
        (leaf, found)
    }

    pub(super) fn own_certificates(&self, authorities: &[Certificate]) -> Vec<OwnCertificate> {
        let own = |index| {
            let (leaf, chain) = self.chain(index, authorities);
            let issuer = chain.iter().chain(authorities).find(|issuer| leaf.is_issued_by(issuer));
            OwnCertificate { certificate: leaf.clone(), issuer: issuer.cloned() }
        };
        (0..self.chains.len()).map(own).collect()
    }

    pub(super) fn digest(&self, options: &SecureContextOptions) -> [u8; 32] {
        let mut leaves: Vec<_> =
            self.chains.iter().filter_map(|chain| chain.first()).map(Certificate::sha256).collect();
        // A certificate that an engine brings is not known beforehand; sessions stay with the engine.
        leaves
            .extend(options.client_cert_engine.as_ref().map(|engine| sha256(&[engine.as_bytes()]).to_vec()));
        sha256(&leaves.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }
}

fn pfx_error(error: Pkcs12Error) -> Error {
    match error {
        Pkcs12Error::Unreadable(stack) => ConfigError::from_openssl("pfx")(stack),
        Pkcs12Error::NoLegacyProvider(stack) => {
            let message = format!("it needs OpenSSL's legacy provider, which cannot be loaded: {stack}");
            // Node: this code for a file that only the legacy provider can read.
            ConfigError::refused("pfx", "ERR_CRYPTO_UNSUPPORTED_OPERATION", message)
        }
    }
}

fn certificate_pem(certificate: &Certificate) -> Vec<u8> {
    certificate.to_pem().unwrap_or_default()
}
