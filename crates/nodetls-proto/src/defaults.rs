//! What contexts take where their options say nothing: values of the whole process, which a program may replace.
//!
//! Node: the assignable properties `tls.DEFAULT_CIPHERS`, `tls.DEFAULT_ECDH_CURVE`, `tls.DEFAULT_MIN_VERSION` and
//! `tls.DEFAULT_MAX_VERSION`, and the switches `--tls-cipher-list`, `--tls-min-v1.x` and `--tls-max-v1.x`.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use crate::cipher::DEFAULT_CIPHERS;
use crate::context::{SecureContextOptions, check_protocol};
use crate::error::Error;
use crate::version::ProtocolVersion;

/// What a [`SecureContext`](crate::SecureContext) takes for options that are `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// For [`ciphers`](SecureContextOptions::ciphers). At first [`DEFAULT_CIPHERS`]. Node: `tls.DEFAULT_CIPHERS`.
    pub ciphers: String,
    /// For [`ecdh_curve`](SecureContextOptions::ecdh_curve). At first `auto`. Node: `tls.DEFAULT_ECDH_CURVE`.
    pub ecdh_curve: String,
    /// For [`min_version`](SecureContextOptions::min_version). At first TLS 1.2. A lower one also lowers OpenSSL's
    /// security level, as the option does. Node: `tls.DEFAULT_MIN_VERSION`.
    pub min_version: ProtocolVersion,
    /// For [`max_version`](SecureContextOptions::max_version). At first TLS 1.3. Node: `tls.DEFAULT_MAX_VERSION`.
    pub max_version: ProtocolVersion,
}

impl Default for Defaults {
    /// Those of the manual, whatever the process has set.
    fn default() -> Self {
        Self {
            ciphers: DEFAULT_CIPHERS.to_owned(),
            ecdh_curve: "auto".to_owned(),
            min_version: ProtocolVersion::Tls1_2,
            max_version: ProtocolVersion::Tls1_3,
        }
    }
}

/// The values that count now.
pub fn defaults() -> Arc<Defaults> {
    Arc::clone(&current().read().unwrap_or_else(PoisonError::into_inner))
}

/// Replaces the values for all contexts of this process that are made from now on; those that exist stay as they are.
///
/// Meant for a program's first lines. A library that calls this changes what other libraries get.
///
/// # Errors
/// [`Error::Config`], which names the option that the value stands for; nothing is replaced then.
pub fn set_defaults(defaults: Defaults) -> Result<(), Error> {
    check_protocol(&SecureContextOptions::default(), &defaults)?;
    *current().write().unwrap_or_else(PoisonError::into_inner) = Arc::new(defaults);
    Ok(())
}

fn current() -> &'static RwLock<Arc<Defaults>> {
    static CURRENT: OnceLock<RwLock<Arc<Defaults>>> = OnceLock::new();
    CURRENT.get_or_init(RwLock::default)
}
