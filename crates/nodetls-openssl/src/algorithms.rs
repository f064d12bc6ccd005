//! Algorithms of TLS that this crate has faster than OpenSSL, as a provider that OpenSSL takes them from.
//!
//! Only the contexts of this crate ask for it ([`PROPERTIES`]); whatever it does not have, and all of it where it cannot be
//! loaded, is OpenSSL's own.

use std::ffi::CStr;
use std::sync::OnceLock;

use libc::{c_int, c_void};

use crate::provider::{self, END_OF_FUNCTIONS, Operation, Provider, Table, function};
use crate::sys::{OSSL_ALGORITHM, OSSL_DISPATCH};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::x25519;
use crate::{ErrorStack, key_schedule};

/// What a context's algorithms should have where there is a choice; an `SSL_CTX` is made with it.
pub(crate) const PROPERTIES: &CStr = c"?provider=nodetls_algorithms";
/// The property that [`PROPERTIES`] asks for.
pub(crate) const DEFINITION: &CStr = c"provider=nodetls_algorithms";

pub(crate) fn load_provider() -> Result<(), ErrorStack> {
    static LOADED: OnceLock<Result<(), ErrorStack>> = OnceLock::new();
    static BY_OPENSSL: OnceLock<bool> = OnceLock::new();
    let load = || {
        let_openssl_go_first()?;
        provider::load::<Algorithms>(&BY_OPENSSL)?;
        let_openssl_go_first()
    };
    LOADED.get_or_init(load).clone()
}

/// Everybody else's keys stay OpenSSL's; see [`provider::let_openssl_go_first`].
fn let_openssl_go_first() -> Result<(), ErrorStack> {
    let names = [(Operation::Keys, c"X25519"), (Operation::Exchange, c"X25519")];
    provider::let_openssl_go_first(&names, &[None])
}

struct Algorithms;

static PROVIDER: Table<OSSL_DISPATCH, 2> =
    Table([function(1027, query_operation as *const ()), END_OF_FUNCTIONS]);

impl Provider for Algorithms {
    const NAME: &'static CStr = c"nodetls_algorithms";

    fn functions() -> *const OSSL_DISPATCH {
        PROVIDER.0.as_ptr()
    }
}

unsafe extern "C" fn query_operation(
    _: *mut c_void,
    operation: c_int,
    no_store: *mut c_int,
) -> *const OSSL_ALGORITHM {
    // SAFETY: OpenSSL's own out parameter.
    unsafe { no_store.write(0) };
    match operation {
        provider::KDF => key_schedule::KDFS.0.as_ptr(),
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        provider::KEYMGMT if x25519::is_available() => x25519::KEYS.0.as_ptr(),
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        provider::KEYEXCH if x25519::is_available() => x25519::EXCHANGES.0.as_ptr(),
        _ => std::ptr::null(),
    }
}
