//! Trust anchors.

use std::sync::Arc;

use foreign_types::{ForeignType, ForeignTypeRef};
use openssl::stack::Stack;
use openssl::x509::X509Crl;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509StoreContext};
use openssl_sys::X509_STORE;

use crate::result::one;
use crate::{Certificate, ErrorStack, init, sys};

/// A set of trusted certificates. Cloning shares it; it never changes.
#[derive(Clone)]
pub struct TrustStore {
    store: Arc<X509Store>,
    certificates: Arc<[Certificate]>,
    revocation_lists: Arc<[X509Crl]>,
    ends_chains_at_all: bool,
}

impl TrustStore {
    pub(crate) fn as_ptr(&self) -> *mut X509_STORE {
        self.store.as_ptr()
    }

    pub(crate) fn x509_store(&self) -> &X509Store {
        &self.store
    }

    /// The trusted certificate that could have issued this one, judged by names and key identifiers; one that is valid
    /// now is preferred.
    ///
    /// Corresponds to `X509_STORE_CTX_get1_issuer`.
    pub fn issuer_of(&self, certificate: &Certificate) -> Option<Certificate> {
        ErrorStack::clear();
        let found = self.find_issuer(certificate);
        ErrorStack::clear();
        found.ok().flatten()
    }

    fn find_issuer(
        &self,
        certificate: &Certificate,
    ) -> Result<Option<Certificate>, openssl::error::ErrorStack> {
        let (mut context, none) = (X509StoreContext::new()?, Stack::<X509>::new()?);
        context.init(&self.store, certificate.x509(), &none, |context| {
            let mut issuer = std::ptr::null_mut();
            // SAFETY: all are alive; the out parameter is ours.
            let found = unsafe {
                sys::X509_STORE_CTX_get1_issuer(
                    &raw mut issuer,
                    context.as_ptr(),
                    certificate.x509().as_ptr(),
                )
            };
            // SAFETY: where one is found, OpenSSL hands over a reference that is ours.
            Ok((found == 1 && !issuer.is_null()).then(|| unsafe { X509::from_ptr(issuer) }.into()))
        })
    }

    /// Whether every trusted certificate ends a chain, and not just those that are self-signed.
    pub(crate) fn ends_chains_at_all(&self) -> bool {
        self.ends_chains_at_all
    }

    pub(crate) fn revocation_lists(&self) -> &[X509Crl] {
        &self.revocation_lists
    }

    /// The trusted certificates in the order they were added.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }
}

impl std::fmt::Debug for TrustStore {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "TrustStore({} certificates)", self.certificates.len())
    }
}

/// Makes a [`TrustStore`].
pub struct TrustStoreBuilder {
    builder: X509StoreBuilder,
    certificates: Vec<Certificate>,
    revocation_lists: Vec<X509Crl>,
    ends_chains_at_all: bool,
}

impl TrustStoreBuilder {
    /// An empty set: nobody is trusted.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn new() -> Result<Self, ErrorStack> {
        init();
        ErrorStack::clear();
        let builder = X509StoreBuilder::new()?;
        Ok(Self {
            builder,
            certificates: Vec::new(),
            revocation_lists: Vec::new(),
            ends_chains_at_all: false,
        })
    }

    /// Adds a trust anchor; adding one twice is no error.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn add(&mut self, certificate: &Certificate) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        self.builder.add_cert(certificate.x509().to_owned())?;
        self.certificates.push(certificate.clone());
        Ok(())
    }

    /// Adds all revocation lists of a PEM text, and makes revocation of the whole chain part of verification.
    ///
    /// # Errors
    /// When a list cannot be read, or there is none, or one only has the changes since another (RFC 5280 §5.2.4):
    /// OpenSSL would take it for complete, and everybody on the other for good.
    ///
    /// Corresponds to `X509_STORE_add_crl`.
    pub fn add_revocation_lists(&mut self, pem: &[u8]) -> Result<(), ErrorStack> {
        for crl in crate::certificate::revocation_lists_from_pem(pem)? {
            if is_delta(&crl) {
                return Err(ErrorStack::default());
            }
            // SAFETY: the store is ours alone while it is built, the list is alive, and OpenSSL takes a reference of its own.
            one(unsafe { sys::X509_STORE_add_crl(self.builder.as_ptr(), crl.as_ptr()) })?;
            self.revocation_lists.push(crl);
        }
        ErrorStack::clear();
        Ok(self.builder.set_flags(X509VerifyFlags::CRL_CHECK | X509VerifyFlags::CRL_CHECK_ALL)?)
    }

    /// Lets a chain end at any of the certificates, also at one that is not self-signed.
    ///
    /// # Errors
    /// When memory runs out.
    ///
    /// Corresponds to `X509_V_FLAG_PARTIAL_CHAIN`.
    pub fn end_chains_at_all(&mut self) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        self.ends_chains_at_all = true;
        Ok(self.builder.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?)
    }

    /// The finished set.
    pub fn build(self) -> TrustStore {
        TrustStore {
            store: Arc::new(self.builder.build()),
            certificates: self.certificates.into(),
            revocation_lists: self.revocation_lists.into(),
            ends_chains_at_all: self.ends_chains_at_all,
        }
    }
}

fn is_delta(crl: &X509Crl) -> bool {
    // SAFETY: the list is alive; -1 begins the search at its first extension.
    unsafe { openssl_sys::X509_CRL_get_ext_by_NID(crl.as_ptr(), openssl_sys::NID_delta_crl, -1) >= 0 }
}

impl std::fmt::Debug for TrustStoreBuilder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "TrustStoreBuilder({} certificates)", self.certificates.len())
    }
}
