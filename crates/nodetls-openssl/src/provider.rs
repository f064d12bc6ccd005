//! What the providers of this crate have in common: tables that OpenSSL reads, and how they are loaded.
//!
//! `provider(7)`, `OSSL_ALGORITHM(3)`, `OSSL_DISPATCH(3)`.

use std::ffi::CStr;
use std::sync::OnceLock;

use libc::{c_char, c_int, c_uint, c_void};
use openssl_sys::OSSL_PARAM;

use crate::result::{non_null, one};
use crate::sys::{OSSL_ALGORITHM, OSSL_DISPATCH, ProviderInit};
use crate::{ErrorStack, init, sys};

/// Kinds of algorithms, as OpenSSL numbers them.
pub(crate) const KDF: c_int = 4;
pub(crate) const KEYMGMT: c_int = 10;
pub(crate) const KEYEXCH: c_int = 11;
pub(crate) const SIGNATURE: c_int = 12;
pub(crate) const KEM: c_int = 14;

/// Parts of a key.
pub(crate) const SELECT_PRIVATE_KEY: c_int = 0x01;
pub(crate) const SELECT_PUBLIC_KEY: c_int = 0x02;

/// `OSSL_PARAM(3)`: types of parameters.
pub(crate) const INTEGER: c_uint = 1;
pub(crate) const UTF8_STRING: c_uint = 4;
pub(crate) const OCTET_STRING: c_uint = 5;

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

/// Describes a parameter.
pub(crate) const fn param(key: *const c_char, data_type: c_uint) -> OSSL_PARAM {
    OSSL_PARAM { key, data_type, data: std::ptr::null_mut(), data_size: 0, return_size: usize::MAX }
}

pub(crate) const END_OF_PARAMS: OSSL_PARAM = param(std::ptr::null(), 0);

/// Takes what a key exports.
pub(crate) type ExportCallback = unsafe extern "C" fn(params: *const OSSL_PARAM, arg: *mut c_void) -> c_int;

/// A provider: its name, what it offers, and what others must not get from it.
pub(crate) trait Provider: 'static {
    const NAME: &'static CStr;

    /// The algorithms of a kind, with their end mark; null for none.
    fn algorithms(kind: c_int) -> *const OSSL_ALGORITHM;

    /// Makes OpenSSL find its own implementations of what this provider offers too, by every query of somebody else.
    ///
    /// Among equals OpenSSL takes what it has come to know first, and it remembers for each query, whoever was asked, what
    /// the first answer was. It forgets that when a provider is loaded. So its own have to come first both before and after
    /// that, and before anybody can use ours.
    fn let_openssl_go_first() -> Result<(), ErrorStack>;
}

/// Makes a provider known to OpenSSL, once a process, besides its default one.
pub(crate) fn load<P: Provider>(loaded: &OnceLock<Result<(), ErrorStack>>) -> Result<(), ErrorStack> {
    init();
    let load = || {
        P::let_openssl_go_first()?;
        let (library, name) = (std::ptr::null_mut(), P::NAME.as_ptr());
        let begin: ProviderInit = introduce::<P>;
        // SAFETY: the name is static, and the function has the signature that `provider(7)` gives.
        one(unsafe { sys::OSSL_PROVIDER_add_builtin(library, name, Some(begin)) })?;
        // SAFETY: as above; 1 keeps the default provider, which is only there as long as nobody asks for another.
        non_null(unsafe { openssl_sys::OSSL_PROVIDER_try_load(library, name, 1) })?;
        P::let_openssl_go_first()
    };
    loaded.get_or_init(load).clone()
}

/// Something that OpenSSL looks for by its name.
#[derive(Clone, Copy)]
pub(crate) enum Operation {
    Keys,
    Exchange,
    Encapsulation,
    Signature,
}

impl Operation {
    fn fetch(self, name: &CStr, properties: Option<&CStr>) -> Result<(), ErrorStack> {
        let (fetch, free): (sys::Fetch, sys::Free) = match self {
            Self::Keys => (sys::EVP_KEYMGMT_fetch, sys::EVP_KEYMGMT_free),
            Self::Exchange => (sys::EVP_KEYEXCH_fetch, sys::EVP_KEYEXCH_free),
            Self::Encapsulation => (sys::EVP_KEM_fetch, sys::EVP_KEM_free),
            Self::Signature => (sys::EVP_SIGNATURE_fetch, sys::EVP_SIGNATURE_free),
        };
        let properties = properties.map_or(std::ptr::null(), CStr::as_ptr);
        // SAFETY: the null library context is the default one; the strings live for the call, or are null.
        let found = non_null(unsafe { fetch(std::ptr::null_mut(), name.as_ptr(), properties) })?;
        // SAFETY: fetched above and not used again.
        unsafe { free(found.as_ptr()) };
        Ok(())
    }
}

/// Has OpenSSL find each of the names, by each of the properties.
pub(crate) fn find_all(names: &[(Operation, &CStr)], properties: &[Option<&CStr>]) -> Result<(), ErrorStack> {
    for properties in properties {
        for (operation, name) in names {
            operation.fetch(name, *properties)?;
        }
    }
    Ok(())
}

struct Functions<P>(std::marker::PhantomData<P>);

impl<P: Provider> Functions<P> {
    const TABLE: &'static Table<OSSL_DISPATCH, 2> =
        &Table([function(1027, query_operation::<P> as *const ()), END_OF_FUNCTIONS]);
}

unsafe extern "C" fn query_operation<P: Provider>(
    _: *mut c_void,
    kind: c_int,
    no_store: *mut c_int,
) -> *const OSSL_ALGORITHM {
    // SAFETY: OpenSSL's own out parameter.
    unsafe { no_store.write(0) };
    P::algorithms(kind)
}

/// What a provider says when it is loaded.
unsafe extern "C" fn introduce<P: Provider>(
    handle: *const c_void,
    _offered: *const OSSL_DISPATCH,
    out: *mut *const OSSL_DISPATCH,
    context: *mut *mut c_void,
) -> c_int {
    // SAFETY: OpenSSL's own out parameters; so for the next.
    unsafe { out.write(Functions::<P>::TABLE.0.as_ptr()) };
    // SAFETY: as above. The context is only passed back to the provider, where nobody reads it.
    unsafe { context.write(handle.cast_mut()) };
    1
}
