//! Algorithms of TLS that this crate has faster than OpenSSL, as a provider that OpenSSL takes them from.
//!
//! Only the contexts of this crate ask for it ([`PROPERTIES`]); whatever it does not have, and all of it where it cannot be
//! loaded, is OpenSSL's own.

use std::ffi::CStr;
use std::sync::OnceLock;

use libc::c_int;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::groups;
use crate::provider::{self, Provider};
use crate::sys::OSSL_ALGORITHM;
use crate::{ErrorStack, key_schedule};

/// What a context's algorithms should have where there is a choice; an `SSL_CTX` is made with it.
pub(crate) const PROPERTIES: &CStr = c"?provider=nodetls_algorithms";
/// The property that [`PROPERTIES`] asks for.
pub(crate) const DEFINITION: &CStr = c"provider=nodetls_algorithms";

pub(crate) fn load_provider() -> Result<(), ErrorStack> {
    static LOADED: OnceLock<Result<(), ErrorStack>> = OnceLock::new();
    provider::load::<Algorithms>(&LOADED)
}

struct Algorithms;

impl Provider for Algorithms {
    const NAME: &'static CStr = c"nodetls_algorithms";

    fn algorithms(kind: c_int) -> *const OSSL_ALGORITHM {
        match kind {
            provider::KDF => key_schedule::KDFS.0.as_ptr(),
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            _ if groups::are_available() => groups::algorithms(kind),
            _ => std::ptr::null(),
        }
    }

    fn let_openssl_go_first() -> Result<(), ErrorStack> {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        if groups::are_available() {
            return groups::let_openssl_go_first();
        }
        Ok(())
    }
}
