//! Private keys.

use openssl::pkey::{PKey, Private};

use crate::{Certificate, Engine, ErrorStack, init};

/// A private key. Cloning shares it. OpenSSL clears its memory when the last reference goes.
#[derive(Clone)]
pub struct PrivateKey {
    key: PKey<Private>,
    /// Where the key lives, if not in memory. Stands after the key, because it has to go after it.
    engine: Option<Engine>,
}

impl PrivateKey {
    /// Reads a key from PEM; an encrypted one is opened with the passphrase.
    ///
    /// # Errors
    /// When there is no key, the passphrase is missing or wrong, or the key is not supported.
    ///
    /// Corresponds to `PEM_read_bio_PrivateKey`.
    pub fn from_pem(pem: &[u8], passphrase: Option<&[u8]>) -> Result<Self, ErrorStack> {
        init();
        ErrorStack::clear();
        // An empty answer, unlike a missing callback, never makes OpenSSL ask on the terminal.
        let key = PKey::private_key_from_pem_callback(pem, |buffer| {
            let passphrase = passphrase.unwrap_or_default();
            // Half a passphrase must not open what the whole one would not.
            let start = buffer.get_mut(..passphrase.len()).ok_or_else(openssl::error::ErrorStack::get)?;
            start.copy_from_slice(passphrase);
            Ok(passphrase.len())
        })?;
        Ok(key.into())
    }

    /// Whether the certificate's public key is this key's.
    pub fn matches(&self, certificate: &Certificate) -> bool {
        ErrorStack::clear();
        let equal = certificate.x509().public_key().is_ok_and(|public| public.public_eq(&self.key));
        ErrorStack::clear();
        equal
    }

    /// Reads a key from the DER form of PKCS#8, not encrypted.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, ErrorStack> {
        ErrorStack::clear();
        Ok(PKey::private_key_from_pkcs8(der)?.into())
    }

    pub(crate) fn of_engine(key: PKey<Private>, engine: Engine) -> Self {
        Self { key, engine: Some(engine) }
    }

    /// Where the key lives, if not in memory.
    pub(crate) fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    pub(crate) fn pkey(&self) -> &PKey<Private> {
        &self.key
    }
}

impl From<PKey<Private>> for PrivateKey {
    fn from(key: PKey<Private>) -> Self {
        Self { key, engine: None }
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "PrivateKey({:?}, {} bits)", self.key.id(), self.key.bits())
    }
}
