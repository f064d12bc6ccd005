//! Private keys and PKCS#12 files.

use openssl::pkcs12;
use openssl::pkey::{PKey, Private};

use crate::{Certificate, ErrorStack, init};

/// A private key. Cloning shares it. OpenSSL clears its memory when the last reference goes.
#[derive(Clone)]
pub struct PrivateKey(PKey<Private>);

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
            let length = passphrase.len().min(buffer.len());
            buffer[..length].copy_from_slice(&passphrase[..length]);
            Ok(length)
        })?;
        Ok(Self(key))
    }

    /// Whether the certificate's public key is this key's.
    pub fn matches(&self, certificate: &Certificate) -> bool {
        ErrorStack::clear();
        let equal = certificate.x509().public_key().is_ok_and(|public| public.public_eq(&self.0));
        ErrorStack::clear();
        equal
    }

    pub(crate) fn pkey(&self) -> &PKey<Private> {
        &self.0
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "PrivateKey({:?}, {} bits)", self.0.id(), self.0.bits())
    }
}

/// The contents of a PKCS#12 (PFX) file.
#[derive(Debug)]
pub struct Pkcs12 {
    /// The private key.
    pub key: Option<PrivateKey>,
    /// The certificate that belongs to the key.
    pub certificate: Option<Certificate>,
    /// All further certificates.
    pub chain: Vec<Certificate>,
}

impl Pkcs12 {
    /// Opens a PKCS#12 file.
    ///
    /// # Errors
    /// When the bytes are no such file, the passphrase is wrong, or its ciphers are not available.
    ///
    /// Corresponds to `PKCS12_parse`.
    pub fn from_der(der: &[u8], passphrase: &str) -> Result<Self, ErrorStack> {
        init();
        ErrorStack::clear();
        let parsed = pkcs12::Pkcs12::from_der(der)?.parse2(passphrase)?;
        let chain = parsed.ca.into_iter().flatten().map(Certificate::from).collect();
        Ok(Self { key: parsed.pkey.map(PrivateKey), certificate: parsed.cert.map(Certificate::from), chain })
    }
}
