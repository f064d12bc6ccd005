//! PKCS#12 (PFX) files, those with ciphers of the past among them.
//!
//! Old programs encrypt such files with RC2 on 40 bits, which OpenSSL 3 has in its legacy provider only. That provider
//! is loaded into a library context of its own, which lives as long as the reading of one file; what the file holds
//! leaves it in plain DER. So nothing else, TLS above all, can ever find the old algorithms.

use foreign_types::ForeignTypeRef;
use openssl::lib_ctx::{LibCtx, LibCtxRef};
use openssl::pkcs12;
use openssl::provider::Provider;
use openssl_sys::OSSL_LIB_CTX;
use zeroize::Zeroizing;

use crate::{Certificate, ErrorStack, PrivateKey, init, sys};

/// `ERR_R_UNSUPPORTED`: no provider has the algorithm.
const REASON_UNSUPPORTED: i32 = 268 | 0x80000;

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

/// Why a PKCS#12 file was not opened.
#[derive(Debug)]
pub enum Pkcs12Error {
    /// The bytes are no such file, or the passphrase is wrong.
    Unreadable(ErrorStack),
    /// It needs an algorithm that only OpenSSL's legacy provider has, and that cannot be loaded.
    NoLegacyProvider(ErrorStack),
}

impl Pkcs12 {
    /// Opens a PKCS#12 file.
    ///
    /// # Errors
    /// When the bytes are no such file, the passphrase is wrong, or its ciphers are not available.
    ///
    /// Corresponds to `PKCS12_parse`.
    pub fn from_der(der: &[u8], passphrase: &str) -> Result<Self, Pkcs12Error> {
        init();
        ErrorStack::clear();
        let opened = pkcs12::Pkcs12::from_der(der).and_then(|file| Self::parse(&file, passphrase));
        match opened.map_err(ErrorStack::from) {
            Err(stack) if stack.entries().iter().any(|entry| entry.reason_number == REASON_UNSUPPORTED) => {
                Self::from_legacy_der(der, passphrase)
            }
            other => other.map_err(Pkcs12Error::Unreadable),
        }
    }

    fn parse(file: &pkcs12::Pkcs12Ref, passphrase: &str) -> Result<Self, openssl::error::ErrorStack> {
        let parsed = file.parse2(passphrase)?;
        let chain = parsed.ca.into_iter().flatten().map(Certificate::from).collect();
        let (key, certificate) = (parsed.pkey.map(PrivateKey::from), parsed.cert.map(Certificate::from));
        Ok(Self { key, certificate, chain })
    }

    fn from_legacy_der(der: &[u8], passphrase: &str) -> Result<Self, Pkcs12Error> {
        ErrorStack::clear();
        let context = LibCtx::new().map_err(|stack| Pkcs12Error::Unreadable(stack.into()))?;
        // Declared after the context and so dropped before it, as everything else that comes from it.
        let _providers = ["default", "legacy"]
            .map(|name| Provider::load(Some(&context), name).map_err(ErrorStack::from))
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .map_err(Pkcs12Error::NoLegacyProvider)?;
        let exported = {
            let _scope = ThreadDefault::replace(&context);
            let file = pkcs12::Pkcs12::from_der(der);
            file.and_then(|file| Self::parse(&file, passphrase))
                .map_err(ErrorStack::from)
                .and_then(|it| it.export())
        };
        exported.and_then(Exported::import).map_err(Pkcs12Error::Unreadable)
    }

    /// The same contents as plain DER, which belongs to no library context.
    fn export(&self) -> Result<Exported, ErrorStack> {
        let key = self.key.as_ref().map(|key| key.pkey().private_key_to_pkcs8().map(Zeroizing::new));
        Ok(Exported {
            key: key.transpose()?,
            certificate: self.certificate.as_ref().map(Certificate::to_der).transpose()?,
            chain: self.chain.iter().map(Certificate::to_der).collect::<Result<_, _>>()?,
        })
    }
}

/// The contents of a file in DER.
struct Exported {
    key: Option<Zeroizing<Vec<u8>>>,
    certificate: Option<Vec<u8>>,
    chain: Vec<Vec<u8>>,
}

impl Exported {
    fn import(self) -> Result<Pkcs12, ErrorStack> {
        Ok(Pkcs12 {
            key: self.key.map(|der| PrivateKey::from_pkcs8(&der)).transpose()?,
            certificate: self.certificate.map(|der| Certificate::from_der(&der)).transpose()?,
            chain: self.chain.iter().map(|der| Certificate::from_der(der)).collect::<Result<_, _>>()?,
        })
    }
}

/// Makes another library context this thread's default one until it is dropped.
///
/// OpenSSL 3.0 looks for the cipher of a PKCS#12 file's key in the default context, whichever was given with the file.
struct ThreadDefault<'a> {
    previous: *mut OSSL_LIB_CTX,
    _context: &'a LibCtxRef,
}

impl<'a> ThreadDefault<'a> {
    fn replace(context: &'a LibCtxRef) -> Self {
        // SAFETY: the context outlives this object, which ends its being the default.
        let previous = unsafe { sys::OSSL_LIB_CTX_set0_default(context.as_ptr()) };
        Self { previous, _context: context }
    }
}

impl Drop for ThreadDefault<'_> {
    fn drop(&mut self) {
        // SAFETY: the context was the default before, on this thread, which the raw pointer keeps this object on.
        unsafe { sys::OSSL_LIB_CTX_set0_default(self.previous) };
    }
}
