//! Private keys that are elsewhere: in a key management service, a hardware module, another process.
//!
//! A small OpenSSL provider, `nodetls`, offers keys that know their public half only. Where OpenSSL asks one of them
//! for a signature, the [fiber](crate::fiber) stops and the request goes to the connection's owner. Asking is all that
//! happens here; no code from outside runs below OpenSSL.
//!
//! `provider-keymgmt(7)`, `provider-signature(7)`, `provider-base(7)`.

use std::ffi::CStr;
use std::sync::OnceLock;

use foreign_types::ForeignType;
use libc::{c_char, c_int, c_uchar, c_void, size_t};
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, PKey, Public};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Verifier};
use openssl_sys::{EVP_PKEY, OSSL_PARAM};

use crate::callbacks::guard;
use crate::provider::{
    self, END_OF_ALGORITHMS, END_OF_FUNCTIONS, END_OF_PARAMS, ExportCallback, INTEGER, Operation, Provider,
    SELECT_PRIVATE_KEY, SELECT_PUBLIC_KEY, Table, UTF8_STRING, function, param,
};
use crate::result::{non_null, one};
use crate::sys::{OSSL_ALGORITHM, OSSL_DISPATCH};
use crate::{Certificate, ErrorStack, algorithms, fiber, sys};

/// A signature that OpenSSL needs from a key that is elsewhere.
pub struct SignRequest {
    key: PKey<Public>,
    digest: Option<String>,
    pss: bool,
    message: Vec<u8>,
}

impl SignRequest {
    /// What has to be signed, before any hashing.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Whether the key is this certificate's.
    pub fn is_for(&self, certificate: &Certificate) -> bool {
        ErrorStack::clear();
        let equal = certificate.x509().public_key().is_ok_and(|key| key.public_eq(&self.key));
        ErrorStack::clear();
        equal
    }

    /// The algorithm's number in TLS (RFC 8446 §4.2.3); `None` for those that only TLS 1.1 and older know.
    pub fn signature_scheme(&self) -> Option<u16> {
        let hash = match self.digest.as_deref().map(str::to_ascii_uppercase).as_deref() {
            Some("SHA1" | "SHA-1") => 2,
            Some("SHA224" | "SHA2-224") => 3,
            Some("SHA256" | "SHA2-256") => 4,
            Some("SHA384" | "SHA2-384") => 5,
            Some("SHA512" | "SHA2-512") => 6,
            Some(_) => return None,
            None => 0,
        };
        match self.key.id() {
            Id::RSA if self.pss && hash >= 4 => Some(0x0800 + hash),
            Id::RSA if !self.pss && hash > 0 => Some(hash << 8 | 1),
            Id::EC if hash > 0 => Some(hash << 8 | 3),
            Id::ED25519 => Some(0x0807),
            Id::ED448 => Some(0x0808),
            _ => None,
        }
    }

    /// Whether this is the signature that was asked for.
    pub fn is_signature(&self, signature: &[u8]) -> bool {
        ErrorStack::clear();
        let verified = self.verify(signature).unwrap_or(false);
        ErrorStack::clear();
        verified
    }

    fn verify(&self, signature: &[u8]) -> Result<bool, openssl::error::ErrorStack> {
        let digest = self.digest.as_deref().and_then(MessageDigest::from_name);
        let mut verifier = match digest {
            Some(digest) => Verifier::new(digest, &self.key)?,
            None => Verifier::new_without_digest(&self.key)?,
        };
        if self.pss {
            verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
            verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
        }
        verifier.verify_oneshot(signature, &self.message)
    }
}

impl std::fmt::Debug for SignRequest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "SignRequest({:?}, {:?}, {} bytes)", self.key.id(), self.digest, self.message.len())
    }
}

/// A private key that is elsewhere, for this certificate.
///
/// # Errors
/// When the key's kind is not one that TLS signs with (RSA, EC, Ed25519, Ed448).
pub(crate) fn external_key(certificate: &Certificate) -> Result<ExternalKey, ErrorStack> {
    load_provider()?;
    ErrorStack::clear();
    let public = certificate.x509().public_key()?;
    let kind = Kind::of(public.id()).ok_or_else(ErrorStack::default)?;
    let mut params = std::ptr::null_mut();
    // SAFETY: the key is alive; OpenSSL makes a list, which is freed below.
    one(unsafe { openssl_sys::EVP_PKEY_todata(public.as_ptr(), EVP_PKEY_PUBLIC_KEY, &raw mut params) })?;
    let key = make_key(kind, c"provider=nodetls", params);
    // SAFETY: the list was made above and is not used again.
    unsafe { openssl_sys::OSSL_PARAM_free(params) };
    key.map(ExternalKey)
}

/// A key of this crate's provider.
pub(crate) struct ExternalKey(PKey<Public>);

impl ExternalKey {
    pub(crate) fn as_ptr(&self) -> *mut EVP_PKEY {
        self.0.as_ptr()
    }
}

/// `EVP_PKEY_PUBLIC_KEY` of `EVP_PKEY_fromdata(3)`.
const EVP_PKEY_PUBLIC_KEY: c_int = SELECT_PUBLIC_KEY | 0x04 | 0x80;

fn make_key(kind: Kind, properties: &CStr, params: *mut OSSL_PARAM) -> Result<PKey<Public>, ErrorStack> {
    let library = std::ptr::null_mut();
    // SAFETY: both strings live for this call; the null library context is the default one.
    let context = unsafe {
        openssl_sys::EVP_PKEY_CTX_new_from_name(library, kind.name().as_ptr(), properties.as_ptr())
    };
    let context = non_null(context)?;
    let mut key = std::ptr::null_mut();
    // SAFETY: the context is alive.
    let ready = unsafe { openssl_sys::EVP_PKEY_fromdata_init(context.as_ptr()) };
    if ready == 1 {
        // SAFETY: the context is alive and prepared; the list ends with its end mark and is only read.
        unsafe {
            openssl_sys::EVP_PKEY_fromdata(context.as_ptr(), &raw mut key, EVP_PKEY_PUBLIC_KEY, params)
        };
    }
    let result = non_null(key);
    // SAFETY: made above, and not used again.
    unsafe { openssl_sys::EVP_PKEY_CTX_free(context.as_ptr()) };
    // SAFETY: OpenSSL has handed over the one reference.
    result.map(|key| unsafe { PKey::from_ptr(key.as_ptr()) })
}

fn load_provider() -> Result<(), ErrorStack> {
    static LOADED: OnceLock<Result<(), ErrorStack>> = OnceLock::new();
    provider::load::<ExternalKeys>(&LOADED)
}

// ---- the provider's tables ----

/// The kinds of keys, each a `KEYMGMT` and a `SIGNATURE` of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    Ec,
    Ed25519,
    Ed448,
}

const RSA: u8 = Kind::Rsa as u8;
const EC: u8 = Kind::Ec as u8;
const ED25519: u8 = Kind::Ed25519 as u8;
const ED448: u8 = Kind::Ed448 as u8;

impl Kind {
    fn of(id: Id) -> Option<Self> {
        match id {
            Id::RSA => Some(Self::Rsa),
            Id::EC => Some(Self::Ec),
            Id::ED25519 => Some(Self::Ed25519),
            Id::ED448 => Some(Self::Ed448),
            _ => None,
        }
    }

    const fn from_number(number: u8) -> Self {
        match number {
            RSA => Self::Rsa,
            EC => Self::Ec,
            ED25519 => Self::Ed25519,
            _ => Self::Ed448,
        }
    }

    const fn name(self) -> &'static CStr {
        match self {
            Self::Rsa => c"RSA",
            Self::Ec => c"EC",
            Self::Ed25519 => c"ED25519",
            Self::Ed448 => c"ED448",
        }
    }

    const fn signature_name(self) -> &'static CStr {
        match self {
            Self::Ec => c"ECDSA",
            other => other.name(),
        }
    }
}

const fn algorithm(name: &'static CStr, functions: *const OSSL_DISPATCH) -> OSSL_ALGORITHM {
    provider::algorithm(name, c"provider=nodetls", functions)
}

struct ExternalKeys;

const fn key_functions<const KIND: u8>() -> Table<OSSL_DISPATCH, 12> {
    Table([
        function(1, new_key::<KIND> as *const ()),
        function(10, free_key as *const ()),
        function(11, key_params as *const ()),
        function(12, no_descriptions as *const ()),
        function(20, signature_name::<KIND> as *const ()),
        function(21, has as *const ()),
        function(23, matches as *const ()),
        function(40, import as *const ()),
        function(41, no_types as *const ()),
        function(42, export as *const ()),
        function(43, no_types as *const ()),
        END_OF_FUNCTIONS,
    ])
}

static RSA_KEYS: Table<OSSL_DISPATCH, 12> = key_functions::<RSA>();
static EC_KEYS: Table<OSSL_DISPATCH, 12> = key_functions::<EC>();
static ED25519_KEYS: Table<OSSL_DISPATCH, 12> = key_functions::<ED25519>();
static ED448_KEYS: Table<OSSL_DISPATCH, 12> = key_functions::<ED448>();

static KEYS: Table<OSSL_ALGORITHM, 5> = Table([
    algorithm(Kind::Rsa.name(), RSA_KEYS.0.as_ptr()),
    algorithm(Kind::Ec.name(), EC_KEYS.0.as_ptr()),
    algorithm(Kind::Ed25519.name(), ED25519_KEYS.0.as_ptr()),
    algorithm(Kind::Ed448.name(), ED448_KEYS.0.as_ptr()),
    END_OF_ALGORITHMS,
]);

static SIGNATURE: Table<OSSL_DISPATCH, 7> = Table([
    function(1, new_context as *const ()),
    function(8, digest_sign_init as *const ()),
    function(11, digest_sign as *const ()),
    function(16, free_context as *const ()),
    function(20, set_context_params as *const ()),
    function(21, settable_context_params as *const ()),
    END_OF_FUNCTIONS,
]);

static SIGNATURES: Table<OSSL_ALGORITHM, 5> = Table([
    algorithm(Kind::Rsa.signature_name(), SIGNATURE.0.as_ptr()),
    algorithm(Kind::Ec.signature_name(), SIGNATURE.0.as_ptr()),
    algorithm(Kind::Ed25519.signature_name(), SIGNATURE.0.as_ptr()),
    algorithm(Kind::Ed448.signature_name(), SIGNATURE.0.as_ptr()),
    END_OF_ALGORITHMS,
]);

static NO_PARAMS: Table<OSSL_PARAM, 1> = Table([END_OF_PARAMS]);

/// `OSSL_SIGNATURE_PARAM_PAD_MODE`.
const PAD_MODE: &CStr = c"pad-mode";

static CONTEXT_PARAMS: Table<OSSL_PARAM, 5> = Table([
    param(PAD_MODE.as_ptr(), INTEGER),
    param(c"saltlen".as_ptr(), INTEGER),
    param(c"digest".as_ptr(), UTF8_STRING),
    param(c"mgf1-digest".as_ptr(), UTF8_STRING),
    END_OF_PARAMS,
]);

impl Provider for ExternalKeys {
    const NAME: &'static CStr = c"nodetls";

    fn algorithms(kind: c_int) -> *const OSSL_ALGORITHM {
        match kind {
            provider::KEYMGMT => KEYS.0.as_ptr(),
            provider::SIGNATURE => SIGNATURES.0.as_ptr(),
            _ => std::ptr::null(),
        }
    }

    fn let_openssl_go_first() -> Result<(), ErrorStack> {
        let names = [Kind::Rsa, Kind::Ec, Kind::Ed25519, Kind::Ed448]
            .map(|kind| [(Operation::Keys, kind.name()), (Operation::Signature, kind.signature_name())]);
        provider::find_all(names.as_flattened(), &[None, Some(algorithms::PROPERTIES)])
    }
}

// ---- keys ----

struct Key {
    kind: Kind,
    public: Option<PKey<Public>>,
}

/// # Safety
/// `key` must be null or come from [`new_key`] and be alive.
unsafe fn public_of<'a>(key: *const Key) -> Option<&'a PKey<Public>> {
    // SAFETY: the caller's promise.
    unsafe { key.as_ref() }?.public.as_ref()
}

unsafe extern "C" fn new_key<const KIND: u8>(_provider: *mut c_void) -> *mut Key {
    Box::into_raw(Box::new(Key { kind: Kind::from_number(KIND), public: None }))
}

unsafe extern "C" fn free_key(key: *mut Key) {
    if !key.is_null() {
        // SAFETY: OpenSSL gives back what `new_key` made, once.
        drop(unsafe { Box::from_raw(key) });
    }
}

unsafe extern "C" fn key_params(key: *mut Key, params: *mut OSSL_PARAM) -> c_int {
    // SAFETY: OpenSSL passes a key of ours.
    let Some(public) = (unsafe { public_of(key) }) else { return 0 };
    // SAFETY: the key is alive; OpenSSL passes a list with an end mark.
    unsafe { openssl_sys::EVP_PKEY_get_params(public.as_ptr(), params) }
}

unsafe extern "C" fn no_descriptions(_provider: *mut c_void) -> *const OSSL_PARAM {
    NO_PARAMS.0.as_ptr()
}

unsafe extern "C" fn no_types(_selection: c_int) -> *const OSSL_PARAM {
    NO_PARAMS.0.as_ptr()
}

unsafe extern "C" fn signature_name<const KIND: u8>(_operation: c_int) -> *const c_char {
    Kind::from_number(KIND).signature_name().as_ptr()
}

unsafe extern "C" fn has(key: *const Key, _selection: c_int) -> c_int {
    // The private half counts as present: that signatures can be had is all that OpenSSL means to ask.
    // SAFETY: OpenSSL passes a key of ours.
    c_int::from(unsafe { public_of(key) }.is_some())
}

unsafe extern "C" fn matches(one: *const Key, other: *const Key, _selection: c_int) -> c_int {
    // SAFETY: OpenSSL passes keys of ours; so for the next.
    let one = unsafe { public_of(one) };
    // SAFETY: as above.
    let other = unsafe { public_of(other) };
    c_int::from(one.zip(other).is_some_and(|(one, other)| one.public_eq(other)))
}

unsafe extern "C" fn import(key: *mut Key, _selection: c_int, params: *mut OSSL_PARAM) -> c_int {
    guard(0, || {
        // SAFETY: OpenSSL passes a key of ours, which it uses nowhere else at present.
        let Some(key) = (unsafe { key.as_mut() }) else { return 0 };
        key.public = make_key(key.kind, c"provider=default", params).ok();
        c_int::from(key.public.is_some())
    })
}

/// The public half only: a refusal of the rest is what makes OpenSSL come back here for signatures.
unsafe extern "C" fn export(
    key: *mut Key,
    selection: c_int,
    callback: ExportCallback,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: OpenSSL passes a key of ours.
    let Some(public) = (unsafe { public_of(key) }).filter(|_| selection & SELECT_PRIVATE_KEY == 0) else {
        return 0;
    };
    let mut params = std::ptr::null_mut();
    // SAFETY: the key is alive; OpenSSL makes a list, which is freed below.
    let made = unsafe { openssl_sys::EVP_PKEY_todata(public.as_ptr(), EVP_PKEY_PUBLIC_KEY, &raw mut params) };
    if made != 1 {
        return 0;
    }
    // SAFETY: OpenSSL's callback with its own argument, and a list that lives for this call.
    let taken = unsafe { callback(params, arg) };
    // SAFETY: the list was made above and is not used again.
    unsafe { openssl_sys::OSSL_PARAM_free(params) };
    taken
}

// ---- signatures ----

#[derive(Default)]
struct SignContext {
    key: Option<PKey<Public>>,
    digest: Option<String>,
    pss: bool,
}

unsafe extern "C" fn new_context(_provider: *mut c_void, _properties: *const c_char) -> *mut SignContext {
    Box::into_raw(Box::default())
}

unsafe extern "C" fn free_context(context: *mut SignContext) {
    if !context.is_null() {
        // SAFETY: OpenSSL gives back what `new_context` made, once.
        drop(unsafe { Box::from_raw(context) });
    }
}

unsafe extern "C" fn digest_sign_init(
    context: *mut SignContext,
    digest: *const c_char,
    key: *const Key,
    params: *const OSSL_PARAM,
) -> c_int {
    guard(0, || {
        // SAFETY: OpenSSL passes a context of ours, which it uses nowhere else at present.
        let Some(this) = (unsafe { context.as_mut() }) else { return 0 };
        if !key.is_null() {
            // SAFETY: OpenSSL passes a key of ours.
            this.key = unsafe { public_of(key) }.cloned();
        }
        if !digest.is_null() {
            // SAFETY: OpenSSL passes a C string that lives for this call.
            let digest = unsafe { CStr::from_ptr(digest) };
            this.digest = digest.to_str().ok().filter(|name| !name.is_empty()).map(str::to_owned);
        }
        // SAFETY: as OpenSSL passed them.
        unsafe { set_context_params(context, params) }
    })
}

unsafe extern "C" fn set_context_params(context: *mut SignContext, params: *const OSSL_PARAM) -> c_int {
    if params.is_null() {
        return 1;
    }
    // SAFETY: OpenSSL passes a list with an end mark.
    let padding = unsafe { openssl_sys::OSSL_PARAM_locate_const(params, PAD_MODE.as_ptr()) };
    let mut mode = 0;
    // SAFETY: the parameter was found above; another type than an integer makes the call fail.
    if !padding.is_null() && unsafe { sys::OSSL_PARAM_get_int(padding, &raw mut mode) } == 1 {
        // SAFETY: OpenSSL passes a context of ours, which it uses nowhere else at present.
        let Some(this) = (unsafe { context.as_mut() }) else { return 0 };
        this.pss = mode == openssl_sys::RSA_PKCS1_PSS_PADDING;
    }
    1
}

unsafe extern "C" fn settable_context_params(_: *mut SignContext, _: *mut c_void) -> *const OSSL_PARAM {
    CONTEXT_PARAMS.0.as_ptr()
}

unsafe extern "C" fn digest_sign(
    context: *mut SignContext,
    signature: *mut c_uchar,
    length: *mut size_t,
    room: size_t,
    message: *const c_uchar,
    message_length: size_t,
) -> c_int {
    guard(0, || {
        // SAFETY: OpenSSL passes a context of ours.
        let Some(SignContext { key: Some(key), digest, pss }) = (unsafe { context.as_ref() }) else {
            return 0;
        };
        if signature.is_null() {
            // SAFETY: OpenSSL's own out parameter.
            unsafe { length.write(key.size()) };
            return 1;
        }
        // SAFETY: OpenSSL passes that many readable bytes.
        let message = unsafe { std::slice::from_raw_parts(message, message_length) }.to_vec();
        let request = SignRequest { key: key.clone(), digest: digest.clone(), pss: *pss, message };
        let Some(made) = fiber::wait_for_signature(request).filter(|made| made.len() <= room) else {
            return 0;
        };
        // SAFETY: OpenSSL passes `room` writable bytes, at least as many as were made.
        unsafe { std::ptr::copy_nonoverlapping(made.as_ptr(), signature, made.len()) };
        // SAFETY: OpenSSL's own out parameter.
        unsafe { length.write(made.len()) };
        1
    })
}
