//! Trust anchors.

use std::sync::Arc;

use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl_sys::X509_STORE;

use crate::{Certificate, ErrorStack, init};

/// A set of trusted certificates. Cloning shares it; it never changes.
#[derive(Clone)]
pub struct TrustStore {
    store: Arc<X509Store>,
    certificates: Arc<[Certificate]>,
}

impl TrustStore {
    pub(crate) fn as_ptr(&self) -> *mut X509_STORE {
        foreign_types::ForeignType::as_ptr(&*self.store)
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
}

impl TrustStoreBuilder {
    /// An empty set: nobody is trusted.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn new() -> Result<Self, ErrorStack> {
        init();
        ErrorStack::clear();
        Ok(Self { builder: X509StoreBuilder::new()?, certificates: Vec::new() })
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

    /// The finished set.
    pub fn build(self) -> TrustStore {
        TrustStore { store: Arc::new(self.builder.build()), certificates: self.certificates.into() }
    }
}

impl std::fmt::Debug for TrustStoreBuilder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "TrustStoreBuilder({} certificates)", self.certificates.len())
    }
}
