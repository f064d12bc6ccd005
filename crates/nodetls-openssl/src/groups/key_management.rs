//! How OpenSSL makes the keys of this crate's provider, fills them and asks about them: what does not depend on the
//! algorithm.
//!
//! `provider-keymgmt(7)`.

use std::ffi::CStr;

use libc::{c_int, c_uint, c_void};
use openssl_sys::OSSL_PARAM;
use zeroize::Zeroizing;

use crate::callbacks::guard;
use crate::provider::{
    END_OF_FUNCTIONS, END_OF_PARAMS, INTEGER, OCTET_STRING, SELECT_PRIVATE_KEY, SELECT_PUBLIC_KEY, Table,
    UTF8_STRING, function, param,
};
use crate::sys::{self, OSSL_DISPATCH};

const GROUP_NAME: &CStr = c"group";
pub(super) const ENCODED_PUBLIC_KEY: &CStr = c"encoded-pub-key";
pub(super) const PUBLIC: &CStr = c"pub";
pub(super) const PRIVATE: &CStr = c"priv";

/// A key of one group, or a half of one, or none: OpenSSL makes keys before it fills them.
pub(super) trait Key: Default + 'static {
    /// The group, as OpenSSL has it.
    const GROUP: &'static str;
    /// Bits of a key.
    const BITS: c_int;
    /// How hard it is to break one.
    const SECURITY_BITS: c_int;
    /// Bytes of what is made with one.
    const MAX_SIZE: c_int;

    /// A new pair; `None` where there are no random bytes.
    fn generate() -> Option<Self>;

    /// A peer's key share; `None` where it is none.
    fn from_share(share: &[u8]) -> Option<Self>;

    fn has_public(&self) -> bool;

    fn has_private(&self) -> bool;

    /// Whether the public halves are known and the same.
    fn has_public_of(&self, other: &Self) -> bool;

    /// The parameter of that name.
    fn octets(&self, name: &CStr) -> Option<Zeroizing<Vec<u8>>>;

    /// Whether everything is there that is asked for; a group's parameters always are.
    fn has(&self, selection: c_int) -> bool {
        (selection & SELECT_PUBLIC_KEY == 0 || self.has_public())
            && (selection & SELECT_PRIVATE_KEY == 0 || self.has_private())
    }

    /// Whether both are the same, as far as it is asked for: the public halves say it.
    fn is(&self, other: &Self, selection: c_int) -> bool {
        selection & (SELECT_PUBLIC_KEY | SELECT_PRIVATE_KEY) == 0 || self.has_public_of(other)
    }
}

/// How many functions all kinds of keys have.
const FUNCTIONS: usize = 13;

/// The dispatch table of a kind of keys: what all have, and what this one has beside them. `ALL` counts the end mark.
pub(super) const fn table<K: Key, const MORE: usize, const ALL: usize>(
    more: [OSSL_DISPATCH; MORE],
) -> Table<OSSL_DISPATCH, ALL> {
    assert!(ALL == FUNCTIONS + MORE + 1);
    let common = functions::<K>();
    let mut all = [END_OF_FUNCTIONS; ALL];
    let mut n = 0;
    while n < FUNCTIONS + MORE {
        all[n] = if n < FUNCTIONS { common[n] } else { more[n - FUNCTIONS] };
        n += 1;
    }
    Table(all)
}

const fn functions<K: Key>() -> [OSSL_DISPATCH; FUNCTIONS] {
    [
        function(1, new_key::<K> as *const ()),
        function(2, begin_generation::<K> as *const ()),
        function(4, set_generation_params::<K> as *const ()),
        function(5, settable_generation_params as *const ()),
        function(6, generate::<K> as *const ()),
        function(7, end_generation as *const ()),
        function(10, free_key::<K> as *const ()),
        function(11, key_params::<K> as *const ()),
        function(12, gettable_key_params as *const ()),
        function(13, set_key_params::<K> as *const ()),
        function(14, settable_key_params as *const ()),
        function(21, has::<K> as *const ()),
        function(23, matches::<K> as *const ()),
    ]
}

static GENERATION_PARAMS: Table<OSSL_PARAM, 2> =
    Table([param(GROUP_NAME.as_ptr(), UTF8_STRING), END_OF_PARAMS]);

const BITS: &CStr = c"bits";
const SECURITY_BITS: &CStr = c"security-bits";
const MAX_SIZE: &CStr = c"max-size";

static GETTABLE_KEY_PARAMS: Table<OSSL_PARAM, 7> = Table([
    param(BITS.as_ptr(), INTEGER),
    param(SECURITY_BITS.as_ptr(), INTEGER),
    param(MAX_SIZE.as_ptr(), INTEGER),
    param(ENCODED_PUBLIC_KEY.as_ptr(), OCTET_STRING),
    param(PUBLIC.as_ptr(), OCTET_STRING),
    param(PRIVATE.as_ptr(), OCTET_STRING),
    END_OF_PARAMS,
]);

static SETTABLE_KEY_PARAMS: Table<OSSL_PARAM, 2> =
    Table([param(ENCODED_PUBLIC_KEY.as_ptr(), OCTET_STRING), END_OF_PARAMS]);

pub(super) fn hand_over<T>(made: T) -> *mut T {
    Box::into_raw(Box::new(made))
}

/// # Safety
/// `thing` must be null, or come from [`hand_over`], and not be used again.
pub(super) unsafe fn take_back<T>(thing: *mut T) {
    if !thing.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(thing) });
    }
}

/// The bytes of a parameter, if it is in the list and of that type.
///
/// # Safety
/// `params` must be null or a list as of `OSSL_PARAM(3)`, with its end mark, and live as long as the result.
pub(super) unsafe fn bytes_of<'a>(
    params: *const OSSL_PARAM,
    name: &CStr,
    data_type: c_uint,
) -> Option<&'a [u8]> {
    if params.is_null() {
        return None;
    }
    // SAFETY: the caller's promise; so for the next.
    let found = unsafe { openssl_sys::OSSL_PARAM_locate_const(params, name.as_ptr()) };
    // SAFETY: as above.
    let found =
        unsafe { found.as_ref() }.filter(|found| found.data_type == data_type && !found.data.is_null())?;
    // SAFETY: OpenSSL passes that many readable bytes.
    Some(unsafe { std::slice::from_raw_parts(found.data.cast::<u8>(), found.data_size) })
}

unsafe extern "C" fn new_key<K: Key>(_provider: *mut c_void) -> *mut K {
    hand_over(K::default())
}

unsafe extern "C" fn free_key<K: Key>(key: *mut K) {
    // SAFETY: OpenSSL gives back a key of ours, once.
    unsafe { take_back(key) };
}

unsafe extern "C" fn key_params<K: Key>(key: *const K, params: *mut OSSL_PARAM) -> c_int {
    // SAFETY: OpenSSL passes a key of ours.
    let Some(key) = (unsafe { key.as_ref() }) else { return 0 };
    for (name, value) in [(BITS, K::BITS), (SECURITY_BITS, K::SECURITY_BITS), (MAX_SIZE, K::MAX_SIZE)] {
        // SAFETY: OpenSSL passes a list with an end mark.
        let found = unsafe { openssl_sys::OSSL_PARAM_locate(params, name.as_ptr()) };
        // SAFETY: an entry of the list, which the function fills as far as it has room.
        if !found.is_null() && unsafe { sys::OSSL_PARAM_set_int(found, value) } != 1 {
            return 0;
        }
    }
    for name in [ENCODED_PUBLIC_KEY, PUBLIC, PRIVATE] {
        // SAFETY: OpenSSL passes a list with an end mark.
        let found = unsafe { openssl_sys::OSSL_PARAM_locate(params, name.as_ptr()) };
        if found.is_null() {
            continue;
        }
        let Some(value) = key.octets(name) else { continue };
        // SAFETY: as above; the bytes live for the call.
        if unsafe { sys::OSSL_PARAM_set_octet_string(found, value.as_ptr().cast(), value.len()) } != 1 {
            return 0;
        }
    }
    1
}

unsafe extern "C" fn gettable_key_params(_provider: *mut c_void) -> *const OSSL_PARAM {
    GETTABLE_KEY_PARAMS.0.as_ptr()
}

/// A peer's key share.
unsafe extern "C" fn set_key_params<K: Key>(key: *mut K, params: *const OSSL_PARAM) -> c_int {
    guard(0, || {
        // SAFETY: OpenSSL passes a key of ours, which it uses nowhere else at present.
        let Some(key) = (unsafe { key.as_mut() }) else { return 0 };
        // SAFETY: OpenSSL passes null, or a list with an end mark that lives for this call.
        let Some(share) = (unsafe { bytes_of(params, ENCODED_PUBLIC_KEY, OCTET_STRING) }) else { return 1 };
        let Some(made) = K::from_share(share) else { return 0 };
        *key = made;
        1
    })
}

unsafe extern "C" fn settable_key_params(_provider: *mut c_void) -> *const OSSL_PARAM {
    SETTABLE_KEY_PARAMS.0.as_ptr()
}

unsafe extern "C" fn has<K: Key>(key: *const K, selection: c_int) -> c_int {
    // SAFETY: OpenSSL passes a key of ours.
    c_int::from(unsafe { key.as_ref() }.is_some_and(|key| key.has(selection)))
}

unsafe extern "C" fn matches<K: Key>(one: *const K, other: *const K, selection: c_int) -> c_int {
    // SAFETY: OpenSSL passes keys of ours; so for the next.
    let one = unsafe { one.as_ref() };
    // SAFETY: as above.
    let other = unsafe { other.as_ref() };
    c_int::from(one.zip(other).is_some_and(|(one, other)| one.is(other, selection)))
}

// ---- making keys ----

/// What is to be made: a pair, or only what a peer's key share will be put into.
struct Generation {
    selection: c_int,
}

unsafe extern "C" fn begin_generation<K: Key>(
    _provider: *mut c_void,
    selection: c_int,
    params: *const OSSL_PARAM,
) -> *mut Generation {
    let generation = hand_over(Generation { selection });
    // SAFETY: made above, and the list as OpenSSL passed it.
    if unsafe { set_generation_params::<K>(generation, params) } == 1 {
        return generation;
    }
    // SAFETY: made above and not used again.
    unsafe { take_back(generation) };
    std::ptr::null_mut()
}

/// There is one group only; to be asked for another is an error.
unsafe extern "C" fn set_generation_params<K: Key>(_: *mut Generation, params: *const OSSL_PARAM) -> c_int {
    // SAFETY: OpenSSL passes null, or a list with an end mark that lives for this call.
    let group = unsafe { bytes_of(params, GROUP_NAME, UTF8_STRING) };
    // OpenSSL's list of groups leaves the name of some empty.
    c_int::from(group.is_none_or(|name| name.is_empty() || name.eq_ignore_ascii_case(K::GROUP.as_bytes())))
}

unsafe extern "C" fn settable_generation_params(_: *mut Generation, _: *mut c_void) -> *const OSSL_PARAM {
    GENERATION_PARAMS.0.as_ptr()
}

unsafe extern "C" fn generate<K: Key>(
    generation: *const Generation,
    _progress: *mut c_void,
    _arg: *mut c_void,
) -> *mut K {
    guard(std::ptr::null_mut(), || {
        // SAFETY: OpenSSL passes what `begin_generation` made.
        let Some(Generation { selection }) = (unsafe { generation.as_ref() }) else {
            return std::ptr::null_mut();
        };
        if selection & (SELECT_PUBLIC_KEY | SELECT_PRIVATE_KEY) == 0 {
            return hand_over(K::default());
        }
        K::generate().map_or(std::ptr::null_mut(), hand_over)
    })
}

unsafe extern "C" fn end_generation(generation: *mut Generation) {
    // SAFETY: OpenSSL gives back what `begin_generation` made, once.
    unsafe { take_back(generation) };
}
