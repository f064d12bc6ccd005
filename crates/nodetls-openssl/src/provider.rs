//! What the providers of this crate have in common: tables that OpenSSL reads, and how they are loaded.
//!
//! `provider(7)`, `OSSL_ALGORITHM(3)`, `OSSL_DISPATCH(3)`.

use std::ffi::CStr;
use std::sync::OnceLock;

use libc::{c_int, c_void};

use crate::sys::{OSSL_ALGORITHM, OSSL_DISPATCH, ProviderInit};
use crate::{ErrorStack, init, sys};

/// A table that OpenSSL reads.
pub(crate) struct Table<T, const N: usize>(pub(crate) [T; N]);

// SAFETY: the tables hold addresses of functions and of static data only, and never change.
unsafe impl<T, const N: usize> Sync for Table<T, N> {}

pub(crate) const fn function(id: c_int, function: *const ()) -> OSSL_DISPATCH {
    OSSL_DISPATCH { id, function }
}

pub(crate) const fn algorithm(
    names: &'static CStr,
    properties: &'static CStr,
    functions: *const OSSL_DISPATCH,
) -> OSSL_ALGORITHM {
    OSSL_ALGORITHM {
        names: names.as_ptr(),
        properties: properties.as_ptr(),
        functions,
        description: std::ptr::null(),
    }
}

pub(crate) const END_OF_FUNCTIONS: OSSL_DISPATCH = function(0, std::ptr::null());
pub(crate) const END_OF_ALGORITHMS: OSSL_ALGORITHM = OSSL_ALGORITHM {
    names: std::ptr::null(),
    properties: std::ptr::null(),
    functions: std::ptr::null(),
    description: std::ptr::null(),
};

/// A provider: its name, and the table of its functions.
pub(crate) trait Provider {
    const NAME: &'static CStr;
    fn functions() -> *const OSSL_DISPATCH;
}

/// Makes a provider known to OpenSSL, once a process, besides its default one.
pub(crate) fn load<P: Provider>(loaded: &OnceLock<bool>) -> Result<(), ErrorStack> {
    init();
    let loaded = *loaded.get_or_init(|| {
        let (library, name) = (std::ptr::null_mut(), P::NAME.as_ptr());
        let begin: ProviderInit = introduce::<P>;
        // SAFETY: the name is static, and the function has the signature that `provider(7)` gives.
        let known = unsafe { sys::OSSL_PROVIDER_add_builtin(library, name, Some(begin)) };
        // SAFETY: as above; 1 keeps the default provider, which is only there as long as nobody asks for another.
        known == 1 && !unsafe { openssl_sys::OSSL_PROVIDER_try_load(library, name, 1) }.is_null()
    });
    if loaded { Ok(()) } else { Err(ErrorStack::drain()) }
}

/// What a provider says when it is loaded.
unsafe extern "C" fn introduce<P: Provider>(
    handle: *const c_void,
    _offered: *const OSSL_DISPATCH,
    out: *mut *const OSSL_DISPATCH,
    context: *mut *mut c_void,
) -> c_int {
    // SAFETY: OpenSSL's own out parameters; so for the next.
    unsafe { out.write(P::functions()) };
    // SAFETY: as above. The context is only passed back to the provider, where nobody reads it.
    unsafe { context.write(handle.cast_mut()) };
    1
}
