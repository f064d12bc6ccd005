//! X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem), the group that clients and servers prefer by default: ML-KEM-768
//! (FIPS 203) by graviola, whose assembly is that of s2n-bignum and mlkem-native, and the X25519 of this crate.
//!
//! A share is what both send, ML-KEM's part first; so is the shared secret.
//!
//! `provider-kem(7)`, `EVP_PKEY-ML-KEM(7)`.

use std::ffi::CStr;
use std::sync::{Mutex, PoisonError};

use graviola::key_agreement::mlkem768::{Ciphertext, DecapKey, EncapKey};
use libc::{c_int, c_uchar, c_void, size_t};
use openssl_sys::OSSL_PARAM;
use zeroize::Zeroizing;

use super::key_management::{self, Key, PRIVATE, hand_over, take_back};
use super::x25519::{self, CurveKey, PublicBytes};
use crate::algorithms::DEFINITION;
use crate::callbacks::guard;
use crate::provider::{END_OF_FUNCTIONS, Table, algorithm, function};
use crate::sys::{OSSL_ALGORITHM, OSSL_DISPATCH};

/// Bytes of ML-KEM-768's encapsulation keys and ciphertexts.
const ENCAPSULATION_KEY: usize = 1184;
const CIPHERTEXT: usize = 1088;
/// Bytes of what a server answers with, and of what both come to share.
const ANSWER: usize = CIPHERTEXT + x25519::LENGTH;
const SECRET: usize = 32 + x25519::LENGTH;

type SecretBytes = Zeroizing<[u8; SECRET]>;

/// A client's pair, or what a server knows of it, or nothing yet.
#[derive(Default)]
pub(super) struct HybridKey {
    public: Option<(EncapKey, PublicBytes)>,
    private: Option<Pair>,
}

struct Pair {
    /// It serves once: no share is used twice.
    kem: Mutex<Option<DecapKey>>,
    curve: CurveKey,
}

impl Key for HybridKey {
    const GROUP: &'static str = "X25519MLKEM768";
    // As OpenSSL has them.
    const BITS: c_int = 768;
    const SECURITY_BITS: c_int = 192;
    const MAX_SIZE: c_int = ANSWER as c_int;

    fn generate() -> Option<Self> {
        let (kem, curve) = (DecapKey::generate().ok()?, CurveKey::generate()?);
        let public = (kem.encapsulation_key(), curve.public?);
        Some(Self { public: Some(public), private: Some(Pair { kem: Mutex::new(Some(kem)), curve }) })
    }

    fn from_share(share: &[u8]) -> Option<Self> {
        let (kem, curve) = share.split_first_chunk::<ENCAPSULATION_KEY>()?;
        let public = (EncapKey::from_bytes(kem).ok()?, curve.try_into().ok()?);
        Some(Self { public: Some(public), private: None })
    }

    fn has_public(&self) -> bool {
        self.public.is_some()
    }

    fn has_private(&self) -> bool {
        self.private.is_some()
    }

    fn has_public_of(&self, other: &Self) -> bool {
        let (own, other) = (self.share(), other.share());
        own.is_some() && own == other
    }

    fn octets(&self, name: &CStr) -> Option<Zeroizing<Vec<u8>>> {
        // A private half never leaves.
        self.share().filter(|_| name != PRIVATE).map(Zeroizing::new)
    }
}

impl HybridKey {
    fn share(&self) -> Option<Vec<u8>> {
        let (kem, curve) = self.public.as_ref()?;
        Some([&kem.as_bytes()[..], curve].concat())
    }

    /// Makes a secret for whoever has the private half: it, and what tells it to them.
    fn encapsulate(&self) -> Option<(SecretBytes, Vec<u8>)> {
        let (kem, peer) = self.public.as_ref()?;
        let own = CurveKey::generate()?;
        let curve_secret = own.agree(peer)?;
        let (kem_secret, ciphertext) = kem.clone().encaps().ok()?;
        let answer = [&ciphertext.as_ref()[..], &own.public?].concat();
        Some((joined(kem_secret.as_ref(), &curve_secret), answer))
    }

    fn decapsulate(&self, answer: &[u8]) -> Option<SecretBytes> {
        let (ciphertext, peer) = answer.split_first_chunk::<CIPHERTEXT>()?;
        let private = self.private.as_ref()?;
        let curve_secret = private.curve.agree(peer.try_into().ok()?)?;
        let kem = private.kem.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let kem_secret = kem.decaps(&Ciphertext::from(*ciphertext));
        Some(joined(kem_secret.as_ref(), &curve_secret))
    }
}

fn joined(kem: &[u8; 32], curve: &[u8; x25519::LENGTH]) -> SecretBytes {
    let mut secret = Zeroizing::new([0; SECRET]);
    let (first, second) = secret.split_at_mut(kem.len());
    first.copy_from_slice(kem);
    second.copy_from_slice(curve);
    secret
}

// ---- what OpenSSL calls ----

const NAMES: &CStr = c"X25519MLKEM768";

static KEY_FUNCTIONS: Table<OSSL_DISPATCH, 14> = key_management::table::<HybridKey, 0, 14>([]);

pub(super) const KEYS: OSSL_ALGORITHM = algorithm(NAMES, DEFINITION, KEY_FUNCTIONS.0.as_ptr());

static KEM_FUNCTIONS: Table<OSSL_DISPATCH, 7> = Table([
    function(1, new_encapsulation as *const ()),
    function(2, begin_encapsulation as *const ()),
    function(3, encapsulate as *const ()),
    function(4, begin_decapsulation as *const ()),
    function(5, decapsulate as *const ()),
    function(6, free_encapsulation as *const ()),
    END_OF_FUNCTIONS,
]);

pub(super) const KEM: OSSL_ALGORITHM = algorithm(NAMES, DEFINITION, KEM_FUNCTIONS.0.as_ptr());

/// The key that is used; OpenSSL keeps it as long as this lives.
struct Encapsulation {
    key: *const HybridKey,
}

unsafe extern "C" fn new_encapsulation(_provider: *mut c_void) -> *mut Encapsulation {
    hand_over(Encapsulation { key: std::ptr::null() })
}

unsafe extern "C" fn free_encapsulation(encapsulation: *mut Encapsulation) {
    // SAFETY: OpenSSL gives back what `new_encapsulation` made, once.
    unsafe { take_back(encapsulation) };
}

/// # Safety
/// Both must be null or alive, and the key has to live as long as the encapsulation.
unsafe fn begin(
    encapsulation: *mut Encapsulation,
    key: *const HybridKey,
    can: impl Fn(&HybridKey) -> bool,
) -> c_int {
    // SAFETY: the caller's promise; so for the next.
    let Some(encapsulation) = (unsafe { encapsulation.as_mut() }) else { return 0 };
    // SAFETY: as above.
    let is_fit = unsafe { key.as_ref() }.is_some_and(can);
    encapsulation.key = key;
    c_int::from(is_fit)
}

unsafe extern "C" fn begin_encapsulation(
    encapsulation: *mut Encapsulation,
    key: *const HybridKey,
    _params: *const OSSL_PARAM,
) -> c_int {
    // SAFETY: OpenSSL passes what `new_encapsulation` made, and a key of ours that its context holds; so for the next.
    unsafe { begin(encapsulation, key, HybridKey::has_public) }
}

unsafe extern "C" fn begin_decapsulation(
    encapsulation: *mut Encapsulation,
    key: *const HybridKey,
    _params: *const OSSL_PARAM,
) -> c_int {
    // SAFETY: as above.
    unsafe { begin(encapsulation, key, HybridKey::has_private) }
}

/// # Safety
/// `encapsulation` must be null or come from `new_encapsulation`; what it began with must be alive.
unsafe fn key_of<'a>(encapsulation: *const Encapsulation) -> Option<&'a HybridKey> {
    // SAFETY: the caller's promise; so for the next.
    let encapsulation = unsafe { encapsulation.as_ref() }?;
    // SAFETY: as above.
    unsafe { encapsulation.key.as_ref() }
}

/// Says how many bytes there will be, where OpenSSL wants to know.
///
/// # Safety
/// `length` must be null or valid.
unsafe fn tell(count: usize, length: *mut size_t) {
    // SAFETY: the caller's promise.
    if let Some(length) = unsafe { length.as_mut() } {
        *length = count;
    }
}

/// Puts bytes where OpenSSL wants them; whether there was room.
///
/// # Safety
/// `out` must be null or have `*length` writable bytes; `length` must be null or valid.
unsafe fn put(bytes: &[u8], out: *mut c_uchar, length: *mut size_t) -> bool {
    // SAFETY: the caller's promise; so for the next.
    let Some(length) = (unsafe { length.as_mut() }).filter(|room| !out.is_null() && **room >= bytes.len())
    else {
        return false;
    };
    // SAFETY: as above.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), out, bytes.len()) };
    *length = bytes.len();
    true
}

unsafe extern "C" fn encapsulate(
    encapsulation: *const Encapsulation,
    out: *mut c_uchar,
    out_length: *mut size_t,
    secret: *mut c_uchar,
    secret_length: *mut size_t,
) -> c_int {
    guard(0, || {
        // SAFETY: OpenSSL passes what it has begun with.
        let Some(key) = (unsafe { key_of(encapsulation) }) else { return 0 };
        if out.is_null() {
            // SAFETY: OpenSSL's own out parameters; so for the next three.
            unsafe { tell(ANSWER, out_length) };
            // SAFETY: as above.
            unsafe { tell(SECRET, secret_length) };
            return 1;
        }
        let Some((made, answer)) = key.encapsulate() else { return 0 };
        // SAFETY: as above.
        let has_answer = unsafe { put(&answer, out, out_length) };
        // SAFETY: as above.
        c_int::from(has_answer && unsafe { put(&made[..], secret, secret_length) })
    })
}

unsafe extern "C" fn decapsulate(
    encapsulation: *const Encapsulation,
    secret: *mut c_uchar,
    secret_length: *mut size_t,
    answer: *const c_uchar,
    answer_length: size_t,
) -> c_int {
    guard(0, || {
        // SAFETY: OpenSSL passes what it has begun with.
        let Some(key) = (unsafe { key_of(encapsulation) }) else { return 0 };
        if secret.is_null() {
            // SAFETY: OpenSSL's own out parameter; so for the last.
            unsafe { tell(SECRET, secret_length) };
            return 1;
        }
        // SAFETY: OpenSSL passes that many readable bytes.
        let answer = unsafe { std::slice::from_raw_parts(answer, answer_length) };
        let Some(made) = key.decapsulate(answer) else { return 0 };
        // SAFETY: as above.
        c_int::from(unsafe { put(&made[..], secret, secret_length) })
    })
}

#[cfg(test)]
mod tests {
    use foreign_types::{ForeignType, ForeignTypeRef};
    use openssl::pkey::{PKey, PKeyRef, Private};

    use super::*;
    use crate::groups::are_available;
    use crate::groups::tests::{generated, provided, provider_of};
    use crate::result::non_null;
    use crate::sys;

    const GROUP: &CStr = c"X25519MLKEM768";

    fn of_openssl() -> PKey<Private> {
        generated(GROUP, GROUP, None).unwrap()
    }

    fn share_of(key: &PKeyRef<Private>) -> Vec<u8> {
        let (mut share, mut length) = (vec![0; 4096], 0);
        // SAFETY: the key is alive; OpenSSL writes at most as many bytes as there are, and how many there were.
        let found = unsafe {
            openssl_sys::EVP_PKEY_get_octet_string_param(
                key.as_ptr(),
                key_management::ENCODED_PUBLIC_KEY.as_ptr(),
                share.as_mut_ptr(),
                share.len(),
                &raw mut length,
            )
        };
        assert_eq!(found, 1);
        share.truncate(length);
        share
    }

    /// Runs one of the two operations of a KEM by OpenSSL's interface.
    fn with_context<T>(key: &PKeyRef<Private>, run: impl FnOnce(*mut openssl_sys::EVP_PKEY_CTX) -> T) -> T {
        // SAFETY: the key is alive.
        let context = unsafe { openssl_sys::EVP_PKEY_CTX_new(key.as_ptr(), std::ptr::null_mut()) };
        let context = non_null(context).unwrap();
        let result = run(context.as_ptr());
        // SAFETY: made above and not used again.
        unsafe { openssl_sys::EVP_PKEY_CTX_free(context.as_ptr()) };
        result
    }

    fn opened(key: &PKeyRef<Private>, answer: &[u8]) -> Option<Vec<u8>> {
        with_context(key, |context| {
            // SAFETY: the context is alive; so for the next.
            assert_eq!(unsafe { openssl_sys::EVP_PKEY_decapsulate_init(context, std::ptr::null()) }, 1);
            let (mut secret, mut length) = (vec![0; SECRET], SECRET);
            // SAFETY: as above; OpenSSL reads and writes as many bytes as it is told.
            let done = unsafe {
                openssl_sys::EVP_PKEY_decapsulate(
                    context,
                    secret.as_mut_ptr(),
                    &raw mut length,
                    answer.as_ptr(),
                    answer.len(),
                )
            };
            crate::ErrorStack::clear();
            (done == 1).then(|| secret[..length].to_vec())
        })
    }

    fn sealed(key: &PKeyRef<Private>) -> (Vec<u8>, Vec<u8>) {
        with_context(key, |context| {
            // SAFETY: the context is alive; so for the next two.
            assert_eq!(unsafe { openssl_sys::EVP_PKEY_encapsulate_init(context, std::ptr::null()) }, 1);
            let (mut answer_length, mut secret_length) = (0, 0);
            let null = std::ptr::null_mut();
            // SAFETY: as above; without a place OpenSSL only says how many bytes there will be.
            let asked = unsafe {
                openssl_sys::EVP_PKEY_encapsulate(
                    context,
                    null,
                    &raw mut answer_length,
                    null,
                    &raw mut secret_length,
                )
            };
            assert_eq!((asked, answer_length, secret_length), (1, ANSWER, SECRET));
            let (mut answer, mut secret) = (vec![0; answer_length], vec![0; secret_length]);
            // SAFETY: as above; OpenSSL writes at most as many bytes as there are.
            let done = unsafe {
                openssl_sys::EVP_PKEY_encapsulate(
                    context,
                    answer.as_mut_ptr(),
                    &raw mut answer_length,
                    secret.as_mut_ptr(),
                    &raw mut secret_length,
                )
            };
            assert_eq!(done, 1);
            (answer, secret)
        })
    }

    #[test]
    fn both_sides_agree_with_openssl() {
        if !are_available() {
            return;
        }
        for _ in 0..50 {
            let (ours, theirs) = (provided(GROUP, c"").unwrap(), of_openssl());
            assert_eq!((provider_of(&ours), provider_of(&theirs)), (c"nodetls_algorithms", c"default"));
            assert_eq!(
                (ours.bits(), ours.security_bits(), ours.size()),
                (theirs.bits(), theirs.security_bits(), theirs.size())
            );
            let answered = HybridKey::from_share(&share_of(&theirs)).unwrap();
            let (secret, answer) = answered.encapsulate().unwrap();
            assert_eq!(opened(&theirs, &answer).unwrap(), secret[..]);
            let (answer, secret) = sealed(&ours);
            assert_eq!(opened(&ours, &answer).unwrap(), secret);
            // What was used is used up.
            assert_eq!(opened(&ours, &answer), None);
        }
        assert!(provided(GROUP, c"x25519").is_none());
    }

    /// OpenSSL answers to a share of ours.
    #[test]
    fn answers_of_openssl_are_understood() {
        if !are_available() {
            return;
        }
        for _ in 0..50 {
            let (own, template) = (HybridKey::generate().unwrap(), of_openssl());
            let share = own.share().unwrap();
            // SAFETY: OpenSSL makes it out of nothing.
            let peer = non_null(unsafe { openssl_sys::EVP_PKEY_new() }).unwrap();
            // SAFETY: the one reference is ours.
            let peer: PKey<Private> = unsafe { PKey::from_ptr(peer.as_ptr()) };
            // SAFETY: both are alive.
            let copied = unsafe { openssl_sys::EVP_PKEY_copy_parameters(peer.as_ptr(), template.as_ptr()) };
            assert_eq!(copied, 1);
            // SAFETY: the key is alive and nobody else's; OpenSSL copies the bytes.
            let taken =
                unsafe { sys::EVP_PKEY_set1_encoded_public_key(peer.as_ptr(), share.as_ptr(), share.len()) };
            assert_eq!(taken, 1);
            let (answer, secret) = sealed(&peer);
            assert_eq!(own.decapsulate(&answer).unwrap()[..], secret);
        }
    }

    #[test]
    fn what_is_no_share_and_no_answer_is_refused() {
        if !are_available() {
            return;
        }
        let own = HybridKey::generate().unwrap();
        let share = own.share().unwrap();
        let (secret, answer) = HybridKey::from_share(&share).unwrap().encapsulate().unwrap();
        for length in [0, 32, ENCAPSULATION_KEY, share.len() - 1] {
            assert!(HybridKey::from_share(&share[..length]).is_none(), "{length}");
        }
        // A coefficient that is no smaller than the modulus (FIPS 203 §7.2).
        let mut beyond = share.clone();
        beyond[..3].copy_from_slice(&[0xff; 3]);
        assert!(HybridKey::from_share(&beyond).is_none());
        // A point of small order.
        let mut small = share;
        small[ENCAPSULATION_KEY..].fill(0);
        assert!(HybridKey::from_share(&small).unwrap().encapsulate().is_none());
        for length in [0, 32, CIPHERTEXT, answer.len() - 1] {
            assert!(own.decapsulate(&answer[..length]).is_none(), "{length}");
        }
        let mut small = answer.clone();
        small[CIPHERTEXT..].fill(0);
        assert!(own.decapsulate(&small).is_none());
        // Another ciphertext leads to another secret, and nothing says that it was another (FIPS 203 §6.3).
        let mut altered = answer;
        altered[0] ^= 1;
        let other = own.decapsulate(&altered).unwrap();
        assert!(other[..32] != secret[..32] && other[32..] == secret[32..]);
    }

    #[test]
    fn halves_are_told_apart() {
        if !are_available() {
            return;
        }
        let (own, other) = (HybridKey::generate().unwrap(), HybridKey::generate().unwrap());
        let share = HybridKey::from_share(&own.share().unwrap()).unwrap();
        assert!(own.is(&share, 3) && !own.is(&other, 3) && own.is(&other, 0));
        assert!(own.has(3) && share.has(2) && !share.has(1) && !HybridKey::default().has(2));
        assert!(own.octets(PRIVATE).is_none());
    }
}
