//! X25519 (RFC 7748 §5) for the key shares of handshakes, by graviola: the proven assembly of s2n-bignum, which takes less
//! than half of the time that OpenSSL's own takes.
//!
//! Keys that OpenSSL has made can be used here, and the other way round: either side exports and imports. The random bytes
//! are OpenSSL's.
//!
//! `provider-keymgmt(7)`, `provider-keyexch(7)`, `EVP_PKEY-X25519(7)`.

use std::ffi::CStr;

use graviola::key_agreement::x25519::{PublicKey, StaticPrivateKey};
use libc::{c_int, c_uchar, c_uint, c_void, size_t};
use openssl_sys::OSSL_PARAM;
use zeroize::Zeroizing;

use crate::algorithms::DEFINITION;
use crate::callbacks::guard;
use crate::provider::{
    END_OF_ALGORITHMS, END_OF_FUNCTIONS, END_OF_PARAMS, ExportCallback, INTEGER, OCTET_STRING,
    SELECT_PRIVATE_KEY, SELECT_PUBLIC_KEY, Table, UTF8_STRING, algorithm, function, param,
};
use crate::sys::{self, OSSL_ALGORITHM, OSSL_DISPATCH};

/// Bytes of a key of either kind, and of a shared secret.
const LENGTH: usize = 32;
/// Bits of a key, and how hard it is to break one, as OpenSSL has them.
const BITS: c_int = 253;
const SECURITY_BITS: c_int = 128;

/// The first version of OpenSSL, as it numbers them, that is known to do so: it takes the keys of a group from any provider.
/// Old ones (3.0) would not know the group at all, since the provider that names it is another.
const FIRST_OPENSSL: i64 = 0x3060_0000;

/// Whether this OpenSSL can use it, and this processor has what graviola asks of one.
pub(crate) fn is_available() -> bool {
    openssl::version::number() >= FIRST_OPENSSL && is_cpu_sufficient()
}

fn is_cpu_sufficient() -> bool {
    // It takes this one for granted.
    #[cfg(target_arch = "x86_64")]
    let multiplies = std::arch::is_x86_feature_detected!("bmi2");
    #[cfg(target_arch = "aarch64")]
    let multiplies = true;
    multiplies && graviola::util::is_cpu_supported()
}

// ---- the curve ----

type PublicBytes = [u8; LENGTH];
type SecretBytes = Zeroizing<[u8; LENGTH]>;

/// A key, or a half of one, or none: OpenSSL makes keys before it fills them.
#[derive(Clone, Default)]
struct Key {
    public: Option<PublicBytes>,
    private: Option<SecretBytes>,
}

impl Key {
    /// A new pair; `None` where OpenSSL has no random bytes.
    fn generate() -> Option<Self> {
        let mut private = SecretBytes::default();
        // SAFETY: OpenSSL writes as many bytes as there are.
        let filled = unsafe { openssl_sys::RAND_priv_bytes(private.as_mut_ptr(), LENGTH as c_int) };
        // RFC 7748 §5, as OpenSSL keeps its keys.
        private[0] &= 0xf8;
        private[31] = (private[31] & 0x7f) | 0x40;
        (filled == 1).then(|| Self::from_private(private))
    }

    fn from_private(private: SecretBytes) -> Self {
        let public = StaticPrivateKey::from_array(&private).public_key().as_bytes();
        Self { public: Some(public), private: Some(private) }
    }

    fn part(&self, selection: c_int) -> Self {
        Self {
            public: self.public.filter(|_| selection & SELECT_PUBLIC_KEY != 0),
            private: self.private.clone().filter(|_| selection & SELECT_PRIVATE_KEY != 0),
        }
    }

    /// Whether everything is there that is asked for; a curve's parameters always are.
    fn has(&self, selection: c_int) -> bool {
        let lacks_public = selection & SELECT_PUBLIC_KEY != 0 && self.public.is_none();
        let lacks_private = selection & SELECT_PRIVATE_KEY != 0 && self.private.is_none();
        !lacks_public && !lacks_private
    }

    /// Whether both are the same, as far as it is asked for: the public halves say it where both are known.
    fn is(&self, other: &Self, selection: c_int) -> bool {
        if selection & (SELECT_PUBLIC_KEY | SELECT_PRIVATE_KEY) == 0 {
            return true;
        }
        self.public.is_some() && self.public == other.public
    }
}

/// What both sides come to share; `None` where a peer's point would make that zero (RFC 8446 §7.4.2).
fn shared_secret(private: &[u8; LENGTH], peer: &PublicBytes) -> Option<SecretBytes> {
    let shared = StaticPrivateKey::from_array(private).diffie_hellman(&PublicKey::from_array(peer)).ok()?;
    Some(Zeroizing::new(shared.0))
}

// ---- keys ----

const GROUP_NAME: &CStr = c"group";
const ENCODED_PUBLIC_KEY: &CStr = c"encoded-pub-key";
const PUBLIC: &CStr = c"pub";
const PRIVATE: &CStr = c"priv";

static KEY_FUNCTIONS: Table<OSSL_DISPATCH, 19> = Table([
    function(1, new_key as *const ()),
    function(2, begin_generation as *const ()),
    function(4, set_generation_params as *const ()),
    function(5, settable_generation_params as *const ()),
    function(6, generate as *const ()),
    function(7, end_generation as *const ()),
    function(10, free_key as *const ()),
    function(11, key_params as *const ()),
    function(12, gettable_key_params as *const ()),
    function(13, set_key_params as *const ()),
    function(14, settable_key_params as *const ()),
    function(21, has as *const ()),
    function(23, matches as *const ()),
    function(40, import as *const ()),
    function(41, key_types as *const ()),
    function(42, export as *const ()),
    function(43, key_types as *const ()),
    function(44, duplicate as *const ()),
    END_OF_FUNCTIONS,
]);

pub(crate) static KEYS: Table<OSSL_ALGORITHM, 2> =
    Table([algorithm(NAMES, DEFINITION, KEY_FUNCTIONS.0.as_ptr()), END_OF_ALGORITHMS]);

/// The names, as OpenSSL has them.
const NAMES: &CStr = c"X25519:1.3.101.110";

static GENERATION_PARAMS: Table<OSSL_PARAM, 2> =
    Table([param(GROUP_NAME.as_ptr(), UTF8_STRING), END_OF_PARAMS]);

static GETTABLE_KEY_PARAMS: Table<OSSL_PARAM, 7> = Table([
    param(c"bits".as_ptr(), INTEGER),
    param(c"security-bits".as_ptr(), INTEGER),
    param(c"max-size".as_ptr(), INTEGER),
    param(ENCODED_PUBLIC_KEY.as_ptr(), OCTET_STRING),
    param(PUBLIC.as_ptr(), OCTET_STRING),
    param(PRIVATE.as_ptr(), OCTET_STRING),
    END_OF_PARAMS,
]);

static SETTABLE_KEY_PARAMS: Table<OSSL_PARAM, 2> =
    Table([param(ENCODED_PUBLIC_KEY.as_ptr(), OCTET_STRING), END_OF_PARAMS]);

static KEY_TYPES: Table<OSSL_PARAM, 3> =
    Table([param(PUBLIC.as_ptr(), OCTET_STRING), param(PRIVATE.as_ptr(), OCTET_STRING), END_OF_PARAMS]);

fn hand_over<T>(made: T) -> *mut T {
    Box::into_raw(Box::new(made))
}

/// # Safety
/// `thing` must be null, or come from [`hand_over`], and not be used again.
unsafe fn take_back<T>(thing: *mut T) {
    if !thing.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(thing) });
    }
}

/// The bytes of a parameter, if it is in the list and of that type.
///
/// # Safety
/// `params` must be null or a list as of `OSSL_PARAM(3)`, with its end mark, and live as long as the result.
unsafe fn bytes_of<'a>(params: *const OSSL_PARAM, name: &CStr, data_type: c_uint) -> Option<&'a [u8]> {
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

/// As [`bytes_of`], of half a key.
///
/// # Safety
/// As for [`bytes_of`].
unsafe fn half_of(params: *const OSSL_PARAM, name: &CStr) -> Option<SecretBytes> {
    // SAFETY: the caller's promise.
    unsafe { bytes_of(params, name, OCTET_STRING) }?.try_into().ok().map(Zeroizing::new)
}

unsafe extern "C" fn new_key(_provider: *mut c_void) -> *mut Key {
    hand_over(Key::default())
}

unsafe extern "C" fn free_key(key: *mut Key) {
    // SAFETY: OpenSSL gives back a key of ours, once.
    unsafe { take_back(key) };
}

unsafe extern "C" fn key_params(key: *const Key, params: *mut OSSL_PARAM) -> c_int {
    // SAFETY: OpenSSL passes a key of ours.
    let Some(key) = (unsafe { key.as_ref() }) else { return 0 };
    let numbers = [(c"bits", BITS), (c"security-bits", SECURITY_BITS), (c"max-size", LENGTH as c_int)];
    for (name, value) in numbers {
        // SAFETY: OpenSSL passes a list with an end mark.
        let found = unsafe { openssl_sys::OSSL_PARAM_locate(params, name.as_ptr()) };
        // SAFETY: an entry of the list, which the function fills as far as it has room.
        if !found.is_null() && unsafe { sys::OSSL_PARAM_set_int(found, value) } != 1 {
            return 0;
        }
    }
    let private = key.private.as_deref();
    for (name, value) in
        [(ENCODED_PUBLIC_KEY, key.public.as_ref()), (PUBLIC, key.public.as_ref()), (PRIVATE, private)]
    {
        // SAFETY: OpenSSL passes a list with an end mark.
        let found = unsafe { openssl_sys::OSSL_PARAM_locate(params, name.as_ptr()) };
        let Some(value) = value.filter(|_| !found.is_null()) else { continue };
        // SAFETY: as above; the bytes live for the call.
        if unsafe { sys::OSSL_PARAM_set_octet_string(found, value.as_ptr().cast(), LENGTH) } != 1 {
            return 0;
        }
    }
    1
}

unsafe extern "C" fn gettable_key_params(_provider: *mut c_void) -> *const OSSL_PARAM {
    GETTABLE_KEY_PARAMS.0.as_ptr()
}

/// A peer's key share.
unsafe extern "C" fn set_key_params(key: *mut Key, params: *const OSSL_PARAM) -> c_int {
    // SAFETY: OpenSSL passes a key of ours, which it uses nowhere else at present.
    let Some(key) = (unsafe { key.as_mut() }) else { return 0 };
    // SAFETY: OpenSSL passes null, or a list with an end mark that lives for this call.
    let Some(share) = (unsafe { bytes_of(params, ENCODED_PUBLIC_KEY, OCTET_STRING) }) else { return 1 };
    let Ok(public) = share.try_into() else { return 0 };
    *key = Key { public: Some(public), private: None };
    1
}

unsafe extern "C" fn settable_key_params(_provider: *mut c_void) -> *const OSSL_PARAM {
    SETTABLE_KEY_PARAMS.0.as_ptr()
}

unsafe extern "C" fn has(key: *const Key, selection: c_int) -> c_int {
    // SAFETY: OpenSSL passes a key of ours.
    c_int::from(unsafe { key.as_ref() }.is_some_and(|key| key.has(selection)))
}

unsafe extern "C" fn matches(one: *const Key, other: *const Key, selection: c_int) -> c_int {
    // SAFETY: OpenSSL passes keys of ours; so for the next.
    let one = unsafe { one.as_ref() };
    // SAFETY: as above.
    let other = unsafe { other.as_ref() };
    c_int::from(one.zip(other).is_some_and(|(one, other)| one.is(other, selection)))
}

unsafe extern "C" fn import(key: *mut Key, selection: c_int, params: *const OSSL_PARAM) -> c_int {
    guard(0, || {
        // SAFETY: OpenSSL passes a key of ours, which it uses nowhere else at present.
        let Some(key) = (unsafe { key.as_mut() }) else { return 0 };
        // SAFETY: OpenSSL passes a list with an end mark; so for the next.
        let public = unsafe { half_of(params, PUBLIC) };
        // SAFETY: as above.
        let private = unsafe { half_of(params, PRIVATE) }.filter(|_| selection & SELECT_PRIVATE_KEY != 0);
        *key = match (public, private) {
            (Some(public), private) => Key { public: Some(*public), private },
            (None, Some(private)) => Key::from_private(private),
            (None, None) => return 0,
        };
        1
    })
}

unsafe extern "C" fn key_types(_selection: c_int) -> *const OSSL_PARAM {
    KEY_TYPES.0.as_ptr()
}

unsafe extern "C" fn export(
    key: *const Key,
    selection: c_int,
    callback: ExportCallback,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: OpenSSL passes a key of ours.
    let Some(mut part) = (unsafe { key.as_ref() }).map(|key| key.part(selection)) else { return 0 };
    let mut params = [END_OF_PARAMS; 3];
    let halves = [(PUBLIC, part.public.as_mut()), (PRIVATE, part.private.as_deref_mut())];
    let known = halves.into_iter().filter_map(|(name, half)| Some((name, half?)));
    for (place, (name, half)) in params.iter_mut().zip(known) {
        let data = half.as_mut_ptr().cast();
        *place = OSSL_PARAM { data, data_size: LENGTH, ..param(name.as_ptr(), OCTET_STRING) };
    }
    // SAFETY: OpenSSL's callback with its own argument; the list ends with its end mark, and lives for the call, as does
    // what it points to.
    unsafe { callback(params.as_ptr(), arg) }
}

unsafe extern "C" fn duplicate(key: *const Key, selection: c_int) -> *mut Key {
    // SAFETY: OpenSSL passes a key of ours.
    unsafe { key.as_ref() }.map_or(std::ptr::null_mut(), |key| hand_over(key.part(selection)))
}

// ---- making keys ----

/// What is to be made: a pair, or only what a peer's key share will be put into.
struct Generation {
    selection: c_int,
}

unsafe extern "C" fn begin_generation(
    _provider: *mut c_void,
    selection: c_int,
    params: *const OSSL_PARAM,
) -> *mut Generation {
    let generation = hand_over(Generation { selection });
    // SAFETY: made above, and the list as OpenSSL passed it.
    if unsafe { set_generation_params(generation, params) } == 1 {
        return generation;
    }
    // SAFETY: made above and not used again.
    unsafe { take_back(generation) };
    std::ptr::null_mut()
}

/// There is one group only; to be asked for another is an error.
unsafe extern "C" fn set_generation_params(_: *mut Generation, params: *const OSSL_PARAM) -> c_int {
    // SAFETY: OpenSSL passes null, or a list with an end mark that lives for this call.
    let group = unsafe { bytes_of(params, GROUP_NAME, UTF8_STRING) };
    c_int::from(group.is_none_or(|name| name.eq_ignore_ascii_case(b"x25519")))
}

unsafe extern "C" fn settable_generation_params(_: *mut Generation, _: *mut c_void) -> *const OSSL_PARAM {
    GENERATION_PARAMS.0.as_ptr()
}

unsafe extern "C" fn generate(
    generation: *const Generation,
    _progress: *mut c_void,
    _arg: *mut c_void,
) -> *mut Key {
    guard(std::ptr::null_mut(), || {
        // SAFETY: OpenSSL passes what `begin_generation` made.
        let Some(Generation { selection }) = (unsafe { generation.as_ref() }) else {
            return std::ptr::null_mut();
        };
        if selection & (SELECT_PUBLIC_KEY | SELECT_PRIVATE_KEY) == 0 {
            return hand_over(Key::default());
        }
        Key::generate().map_or(std::ptr::null_mut(), hand_over)
    })
}

unsafe extern "C" fn end_generation(generation: *mut Generation) {
    // SAFETY: OpenSSL gives back what `begin_generation` made, once.
    unsafe { take_back(generation) };
}

// ---- agreement ----

static EXCHANGE: Table<OSSL_DISPATCH, 7> = Table([
    function(1, new_exchange as *const ()),
    function(2, begin_exchange as *const ()),
    function(3, derive as *const ()),
    function(4, set_peer as *const ()),
    function(5, free_exchange as *const ()),
    function(6, duplicate_exchange as *const ()),
    END_OF_FUNCTIONS,
]);

pub(crate) static EXCHANGES: Table<OSSL_ALGORITHM, 2> =
    Table([algorithm(NAMES, DEFINITION, EXCHANGE.0.as_ptr()), END_OF_ALGORITHMS]);

#[derive(Clone, Default)]
struct Exchange {
    private: Option<SecretBytes>,
    peer: Option<PublicBytes>,
}

unsafe extern "C" fn new_exchange(_provider: *mut c_void) -> *mut Exchange {
    hand_over(Exchange::default())
}

unsafe extern "C" fn free_exchange(exchange: *mut Exchange) {
    // SAFETY: OpenSSL gives back an exchange of ours, once.
    unsafe { take_back(exchange) };
}

unsafe extern "C" fn duplicate_exchange(exchange: *const Exchange) -> *mut Exchange {
    // SAFETY: OpenSSL passes an exchange of ours.
    unsafe { exchange.as_ref() }.map_or(std::ptr::null_mut(), |exchange| hand_over(exchange.clone()))
}

unsafe extern "C" fn begin_exchange(
    exchange: *mut Exchange,
    key: *const Key,
    _params: *const OSSL_PARAM,
) -> c_int {
    // SAFETY: OpenSSL passes an exchange of ours, which it uses nowhere else at present.
    let Some(exchange) = (unsafe { exchange.as_mut() }) else { return 0 };
    // SAFETY: OpenSSL passes a key of ours.
    let private = unsafe { key.as_ref() }.and_then(|key| key.private.clone());
    *exchange = Exchange { private, peer: None };
    c_int::from(exchange.private.is_some())
}

unsafe extern "C" fn set_peer(exchange: *mut Exchange, key: *const Key) -> c_int {
    // SAFETY: OpenSSL passes an exchange of ours, which it uses nowhere else at present.
    let Some(exchange) = (unsafe { exchange.as_mut() }) else { return 0 };
    // SAFETY: OpenSSL passes a key of ours.
    exchange.peer = unsafe { key.as_ref() }.and_then(|key| key.public);
    c_int::from(exchange.peer.is_some())
}

unsafe extern "C" fn derive(
    exchange: *const Exchange,
    secret: *mut c_uchar,
    length: *mut size_t,
    room: size_t,
) -> c_int {
    guard(0, || {
        // SAFETY: OpenSSL passes an exchange of ours.
        let Some(Exchange { private: Some(private), peer: Some(peer) }) = (unsafe { exchange.as_ref() })
        else {
            return 0;
        };
        if !secret.is_null() {
            let Some(shared) = shared_secret(private, peer).filter(|_| room >= LENGTH) else { return 0 };
            // SAFETY: OpenSSL passes `room` writable bytes, at least as many as there are.
            unsafe { std::ptr::copy_nonoverlapping(shared.as_ptr(), secret, LENGTH) };
        }
        // SAFETY: OpenSSL's own out parameter.
        unsafe { length.write(LENGTH) };
        1
    })
}

#[cfg(test)]
mod tests {
    use foreign_types::{ForeignType, ForeignTypeRef};
    use openssl::derive::Deriver;
    use openssl::pkey::{HasPublic, Id, PKey, PKeyRef, Private};

    use super::*;
    use crate::algorithms;
    use crate::record_writer::tests::connected_by;
    use crate::result::non_null;

    fn bytes(hex: &str) -> [u8; LENGTH] {
        std::array::from_fn(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap())
    }

    fn openssl_key(private: &[u8]) -> PKey<Private> {
        PKey::private_key_from_raw_bytes(private, Id::X25519).unwrap()
    }

    fn by_openssl<T: HasPublic>(own: &PKeyRef<Private>, peer: &PKeyRef<T>) -> Option<Vec<u8>> {
        let mut deriver = Deriver::new(own).unwrap();
        deriver.set_peer(peer).ok()?;
        deriver.derive_to_vec().ok()
    }

    fn random() -> SecretBytes {
        Key::generate().unwrap().private.unwrap()
    }

    /// A key made by this crate's provider, as a handshake has it made.
    fn provided(group: &CStr) -> Option<PKey<Private>> {
        algorithms::load_provider().unwrap();
        let library = std::ptr::null_mut();
        let (name, properties) = (c"X25519".as_ptr(), algorithms::PROPERTIES.as_ptr());
        // SAFETY: the strings are static, and the null library context is the default one.
        let context = unsafe { openssl_sys::EVP_PKEY_CTX_new_from_name(library, name, properties) };
        let context = non_null(context).unwrap();
        let mut key = std::ptr::null_mut();
        // SAFETY: the context was made above; so for the next three.
        assert_eq!(unsafe { openssl_sys::EVP_PKEY_keygen_init(context.as_ptr()) }, 1);
        // SAFETY: as above.
        if unsafe { sys::EVP_PKEY_CTX_set_group_name(context.as_ptr(), group.as_ptr()) } == 1 {
            // SAFETY: as above.
            unsafe { openssl_sys::EVP_PKEY_keygen(context.as_ptr(), &raw mut key) };
        }
        // SAFETY: as above, and it is not used again.
        unsafe { openssl_sys::EVP_PKEY_CTX_free(context.as_ptr()) };
        // SAFETY: OpenSSL has handed over the one reference.
        non_null(key).ok().map(|key| unsafe { PKey::from_ptr(key.as_ptr()) })
    }

    /// Whose a key is.
    fn provider_of<T>(key: &PKeyRef<T>) -> &CStr {
        // SAFETY: the key is alive; the provider lives as long as the process.
        let provider = unsafe { sys::EVP_PKEY_get0_provider(key.as_ptr()) };
        // SAFETY: as above.
        let name = unsafe { sys::OSSL_PROVIDER_get0_name(provider) };
        // SAFETY: the name is a C string, and the provider's.
        unsafe { CStr::from_ptr(name) }
    }

    #[test]
    fn the_curve_is_that_of_rfc_7748() {
        let mut k = bytes("0900000000000000000000000000000000000000000000000000000000000000");
        let mut u = k;
        for round in 1..=1000 {
            let next = *shared_secret(&k, &u).unwrap();
            (u, k) = (k, next);
            if round == 1 {
                assert_eq!(k, bytes("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"));
            }
        }
        assert_eq!(k, bytes("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
    }

    #[test]
    fn every_key_agrees_with_openssl() {
        for round in 0..500 {
            let (own, peer) = (random(), random());
            let (key, other) = (openssl_key(&*own), Key::from_private(peer.clone()));
            assert_eq!(key.raw_public_key().unwrap(), Key::from_private(own.clone()).public.unwrap());
            let theirs = by_openssl(&key, &openssl_key(&*peer)).unwrap();
            assert_eq!(theirs, shared_secret(&own, &other.public.unwrap()).unwrap()[..], "round {round}");
        }
    }

    /// Any 32 bytes are a peer's share, whatever the highest bit and even where the number is no smaller than the prime.
    #[test]
    fn odd_shares_mean_what_they_mean_to_openssl() {
        let own = random();
        let key = openssl_key(&*own);
        let prime = bytes("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
        let mut shares: Vec<PublicBytes> = (0..=40)
            .map(|n| {
                let mut share = prime;
                share[0] = share[0].wrapping_add(n).max(0xd0);
                share
            })
            .collect();
        // The points of small order (RFC 7748 §6.1, and their twins that are no smaller than the prime).
        shares.extend([
            bytes("0000000000000000000000000000000000000000000000000000000000000000"),
            bytes("0100000000000000000000000000000000000000000000000000000000000000"),
            bytes("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
            bytes("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
            bytes("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
            bytes("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        ]);
        shares.extend((0..100).map(|_| *random()));
        let mut refused = 0;
        for share in shares {
            for high_bit in [0, 0x80] {
                let mut share = share;
                share[31] |= high_bit;
                let peer = PKey::public_key_from_raw_bytes(&share, Id::X25519).unwrap();
                let theirs = by_openssl(&key, &peer);
                refused += u32::from(theirs.is_none());
                assert_eq!(
                    theirs.as_deref(),
                    shared_secret(&own, &share).as_deref().map(|s| &s[..]),
                    "{share:x?}"
                );
            }
        }
        assert!(refused >= 12, "{refused}");
    }

    #[test]
    fn keys_of_handshakes_are_made_here_and_known_to_openssl() {
        if !is_available() {
            return;
        }
        let (own, other) = (provided(c"x25519").unwrap(), provided(c"X25519").unwrap());
        for key in [&own, &other] {
            assert_eq!(provider_of(key), c"nodetls_algorithms");
            assert_eq!((key.bits(), key.security_bits(), key.size(), key.id()), (253, 128, 32, Id::X25519));
        }
        assert!(provided(c"x448").is_none());
        let (theirs, public) = (openssl_key(&random()[..]), other.raw_public_key().unwrap());
        // Ours with ours, ours with OpenSSL's, OpenSSL's with ours; and ours, exported.
        let exported = openssl_key(&own.raw_private_key().unwrap());
        let copy = PKey::public_key_from_raw_bytes(&public, Id::X25519).unwrap();
        assert!(own.public_eq(&exported) && exported.public_eq(&own) && !own.public_eq(&other));
        assert_eq!(by_openssl(&own, &other).unwrap(), by_openssl(&exported, &copy).unwrap());
        assert_eq!(by_openssl(&own, &theirs).unwrap(), by_openssl(&theirs, &own).unwrap());
        assert_eq!(by_openssl(&own, &theirs).unwrap(), by_openssl(&exported, &theirs).unwrap());
        let zero = PKey::public_key_from_raw_bytes(&[0; LENGTH], Id::X25519).unwrap();
        assert!(by_openssl(&own, &zero).is_none());
    }

    /// Of the contexts of this crate, without being asked; and the group is there with every OpenSSL.
    #[test]
    fn handshakes_use_it_wherever_it_can_be_used() {
        let expected = if is_available() { c"nodetls_algorithms" } else { c"default" };
        let [client, _server] = connected_by(|builder| builder.set_groups("X25519").unwrap());
        let share = client.peer_temporary_key().unwrap();
        assert_eq!((share.id(), provider_of(&share)), (Id::X25519, expected));
    }

    /// Who does not ask for them gets OpenSSL's own.
    #[test]
    fn others_keep_the_keys_of_openssl() {
        algorithms::load_provider().unwrap();
        assert_eq!(provider_of(&PKey::generate_x25519().unwrap()), c"default");
    }
}
