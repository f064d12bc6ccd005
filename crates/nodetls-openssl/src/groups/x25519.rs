//! X25519 (RFC 7748 §5) for the key shares of handshakes, by graviola: the proven assembly of s2n-bignum, which takes less
//! than half of the time that OpenSSL's own takes.
//!
//! Keys that OpenSSL has made can be used here, and the other way round: either side exports and imports. The random bytes
//! are OpenSSL's.
//!
//! `provider-keymgmt(7)`, `provider-keyexch(7)`, `EVP_PKEY-X25519(7)`.

use std::ffi::CStr;

use graviola::key_agreement::x25519::{PublicKey, StaticPrivateKey};
use libc::{c_int, c_uchar, c_void, size_t};
use openssl_sys::OSSL_PARAM;
use zeroize::Zeroizing;

use super::key_management::{self, Key, PRIVATE, PUBLIC, bytes_of, hand_over, take_back};
use crate::algorithms::DEFINITION;
use crate::callbacks::guard;
use crate::provider::{
    END_OF_FUNCTIONS, END_OF_PARAMS, ExportCallback, OCTET_STRING, SELECT_PRIVATE_KEY, SELECT_PUBLIC_KEY,
    Table, algorithm, function, param,
};
use crate::sys::{OSSL_ALGORITHM, OSSL_DISPATCH};

/// Bytes of a key of either kind, and of a shared secret.
pub(super) const LENGTH: usize = 32;

// ---- the curve ----

pub(super) type PublicBytes = [u8; LENGTH];
type SecretBytes = Zeroizing<[u8; LENGTH]>;

/// A key, or a half of one, or none.
#[derive(Clone, Default)]
pub(super) struct CurveKey {
    pub(super) public: Option<PublicBytes>,
    private: Option<SecretBytes>,
}

impl CurveKey {
    fn from_private(private: SecretBytes) -> Self {
        let public = StaticPrivateKey::from_array(&private).public_key().as_bytes();
        Self { public: Some(public), private: Some(private) }
    }

    pub(super) fn from_public(public: PublicBytes) -> Self {
        Self { public: Some(public), private: None }
    }

    fn part(&self, selection: c_int) -> Self {
        Self {
            public: self.public.filter(|_| selection & SELECT_PUBLIC_KEY != 0),
            private: self.private.clone().filter(|_| selection & SELECT_PRIVATE_KEY != 0),
        }
    }

    /// What both sides come to share.
    pub(super) fn agree(&self, peer: &PublicBytes) -> Option<SecretBytes> {
        shared_secret(self.private.as_ref()?, peer)
    }
}

impl Key for CurveKey {
    const GROUP: &'static str = "x25519";
    // As OpenSSL has them.
    const BITS: c_int = 253;
    const SECURITY_BITS: c_int = 128;
    const MAX_SIZE: c_int = LENGTH as c_int;

    fn generate() -> Option<Self> {
        let mut private = SecretBytes::default();
        // SAFETY: OpenSSL writes as many bytes as there are.
        let filled = unsafe { openssl_sys::RAND_priv_bytes(private.as_mut_ptr(), LENGTH as c_int) };
        // RFC 7748 §5, as OpenSSL keeps its keys.
        private[0] &= 0xf8;
        private[31] = (private[31] & 0x7f) | 0x40;
        (filled == 1).then(|| Self::from_private(private))
    }

    fn from_share(share: &[u8]) -> Option<Self> {
        share.try_into().ok().map(Self::from_public)
    }

    fn has_public(&self) -> bool {
        self.public.is_some()
    }

    fn has_private(&self) -> bool {
        self.private.is_some()
    }

    fn has_public_of(&self, other: &Self) -> bool {
        self.public.is_some() && self.public == other.public
    }

    fn octets(&self, name: &CStr) -> Option<Zeroizing<Vec<u8>>> {
        let half = if name == PRIVATE { self.private.as_deref() } else { self.public.as_ref() };
        half.map(|half| Zeroizing::new(half.to_vec()))
    }
}

/// What both sides come to share; `None` where a peer's point would make that zero (RFC 8446 §7.4.2).
fn shared_secret(private: &[u8; LENGTH], peer: &PublicBytes) -> Option<SecretBytes> {
    let shared = StaticPrivateKey::from_array(private).diffie_hellman(&PublicKey::from_array(peer)).ok()?;
    Some(Zeroizing::new(shared.0))
}

// ---- keys ----

static KEY_FUNCTIONS: Table<OSSL_DISPATCH, 19> = key_management::table::<CurveKey, 5, 19>([
    function(40, import as *const ()),
    function(41, key_types as *const ()),
    function(42, export as *const ()),
    function(43, key_types as *const ()),
    function(44, duplicate as *const ()),
]);

pub(super) const KEYS: OSSL_ALGORITHM = algorithm(NAMES, DEFINITION, KEY_FUNCTIONS.0.as_ptr());

/// The names, as OpenSSL has them.
const NAMES: &CStr = c"X25519:1.3.101.110";

static KEY_TYPES: Table<OSSL_PARAM, 3> =
    Table([param(PUBLIC.as_ptr(), OCTET_STRING), param(PRIVATE.as_ptr(), OCTET_STRING), END_OF_PARAMS]);

/// As [`bytes_of`], of half a key.
///
/// # Safety
/// As for [`bytes_of`].
unsafe fn half_of(params: *const OSSL_PARAM, name: &CStr) -> Option<SecretBytes> {
    // SAFETY: the caller's promise.
    unsafe { bytes_of(params, name, OCTET_STRING) }?.try_into().ok().map(Zeroizing::new)
}

unsafe extern "C" fn import(key: *mut CurveKey, selection: c_int, params: *const OSSL_PARAM) -> c_int {
    guard(0, || {
        // SAFETY: OpenSSL passes a key of ours, which it uses nowhere else at present.
        let Some(key) = (unsafe { key.as_mut() }) else { return 0 };
        // SAFETY: OpenSSL passes a list with an end mark; so for the next.
        let public = unsafe { half_of(params, PUBLIC) };
        // SAFETY: as above.
        let private = unsafe { half_of(params, PRIVATE) }.filter(|_| selection & SELECT_PRIVATE_KEY != 0);
        *key = match (public, private) {
            (Some(public), private) => CurveKey { public: Some(*public), private },
            (None, Some(private)) => CurveKey::from_private(private),
            (None, None) => return 0,
        };
        1
    })
}

unsafe extern "C" fn key_types(_selection: c_int) -> *const OSSL_PARAM {
    KEY_TYPES.0.as_ptr()
}

unsafe extern "C" fn export(
    key: *const CurveKey,
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

unsafe extern "C" fn duplicate(key: *const CurveKey, selection: c_int) -> *mut CurveKey {
    // SAFETY: OpenSSL passes a key of ours.
    unsafe { key.as_ref() }.map_or(std::ptr::null_mut(), |key| hand_over(key.part(selection)))
}

// ---- agreement ----

static EXCHANGE_FUNCTIONS: Table<OSSL_DISPATCH, 7> = Table([
    function(1, new_exchange as *const ()),
    function(2, begin_exchange as *const ()),
    function(3, derive as *const ()),
    function(4, set_peer as *const ()),
    function(5, free_exchange as *const ()),
    function(6, duplicate_exchange as *const ()),
    END_OF_FUNCTIONS,
]);

pub(super) const EXCHANGE: OSSL_ALGORITHM = algorithm(NAMES, DEFINITION, EXCHANGE_FUNCTIONS.0.as_ptr());

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
    key: *const CurveKey,
    _params: *const OSSL_PARAM,
) -> c_int {
    // SAFETY: OpenSSL passes an exchange of ours, which it uses nowhere else at present.
    let Some(exchange) = (unsafe { exchange.as_mut() }) else { return 0 };
    // SAFETY: OpenSSL passes a key of ours.
    let private = unsafe { key.as_ref() }.and_then(|key| key.private.clone());
    *exchange = Exchange { private, peer: None };
    c_int::from(exchange.private.is_some())
}

unsafe extern "C" fn set_peer(exchange: *mut Exchange, key: *const CurveKey) -> c_int {
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
    use openssl::derive::Deriver;
    use openssl::pkey::{HasPublic, Id, PKey, PKeyRef, Private};

    use super::*;
    use crate::algorithms;
    use crate::groups::are_available;
    use crate::groups::tests::{provided, provider_of};

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
        CurveKey::generate().unwrap().private.unwrap()
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
            let (key, other) = (openssl_key(&*own), CurveKey::from_private(peer.clone()));
            assert_eq!(key.raw_public_key().unwrap(), CurveKey::from_private(own.clone()).public.unwrap());
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
        if !are_available() {
            return;
        }
        let (own, other) = (provided(c"X25519", c"x25519").unwrap(), provided(c"X25519", c"X25519").unwrap());
        for key in [&own, &other] {
            assert_eq!(provider_of(key), c"nodetls_algorithms");
            assert_eq!((key.bits(), key.security_bits(), key.size(), key.id()), (253, 128, 32, Id::X25519));
        }
        assert!(provided(c"X25519", c"x448").is_none());
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

    /// Who does not ask for them gets OpenSSL's own.
    #[test]
    fn others_keep_the_keys_of_openssl() {
        algorithms::load_provider().unwrap();
        assert_eq!(provider_of(&PKey::generate_x25519().unwrap()), c"default");
    }
}
