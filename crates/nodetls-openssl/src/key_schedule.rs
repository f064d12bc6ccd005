//! The key schedule of TLS 1.3 (RFC 8446 §7.1), as a small provider that OpenSSL takes it from.
//!
//! A handshake derives some thirty secrets. OpenSSL's own `TLS13-KDF` looks up its parts by name for each of them, which
//! costs several times what the hashing itself does. Here the hashing is OpenSSL's too (`SHA256(3)`), and nothing is
//! looked up or allocated.
//!
//! `provider-kdf(7)`, `EVP_KDF-TLS13_KDF(7)`.

use std::ffi::CStr;

use libc::{c_int, c_uchar, c_void, size_t};
use openssl_sys::{OSSL_PARAM, SHA256_CTX, SHA512_CTX};
use zeroize::Zeroizing;

use crate::algorithms::DEFINITION;
use crate::callbacks::guard;
use crate::provider::{END_OF_ALGORITHMS, END_OF_FUNCTIONS, Table, algorithm, function};
use crate::sys::{self, OSSL_ALGORITHM, OSSL_DISPATCH};

// ---- hashing ----

/// The longest output, and the longest block, of the hashes here, in bytes.
const MAX_HASH: usize = 48;
const MAX_BLOCK: usize = 128;

/// One of OpenSSL's hashes. What it has hashed may be secret, so it is wiped when it is dropped.
trait Hash: Sized {
    const SIZE: usize;
    const BLOCK: usize;
    fn new() -> Self;
    fn update(&mut self, bytes: &[u8]);
    /// Writes [`Hash::SIZE`] bytes.
    fn finish(self, out: &mut [u8; MAX_HASH]);
}

/// A [`Hash`] from OpenSSL's low-level functions.
macro_rules! hash {
    ($name:ident, $context:ident, $size:literal, $block:literal, $init:ident, $update:ident, $finish:ident) => {
        struct $name($context);

        impl Hash for $name {
            const SIZE: usize = $size;
            const BLOCK: usize = $block;

            fn new() -> Self {
                // SAFETY: the context is plain numbers, for which zero is a value.
                let mut this = Self(unsafe { std::mem::zeroed() });
                // SAFETY: the context is ours; the function only writes to it.
                unsafe { openssl_sys::$init(&raw mut this.0) };
                this
            }

            fn update(&mut self, bytes: &[u8]) {
                // SAFETY: the context was initialised; OpenSSL reads that many bytes.
                unsafe { openssl_sys::$update(&raw mut self.0, bytes.as_ptr().cast(), bytes.len()) };
            }

            fn finish(mut self, out: &mut [u8; MAX_HASH]) {
                // SAFETY: the context was initialised; OpenSSL writes as many bytes as the hash has, not more than `out`.
                unsafe { openssl_sys::$finish(out.as_mut_ptr(), &raw mut self.0) };
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: the context is ours, and plain numbers.
                unsafe { sys::OPENSSL_cleanse((&raw mut self.0).cast(), size_of::<$context>()) };
            }
        }
    };
}

hash!(Sha256, SHA256_CTX, 32, 64, SHA256_Init, SHA256_Update, SHA256_Final);
hash!(Sha384, SHA512_CTX, 48, 128, SHA384_Init, SHA384_Update, SHA384_Final);

/// A secret, or as much of it as the hash has.
type Secret = Zeroizing<[u8; MAX_HASH]>;

fn zeros() -> Secret {
    Secret::new([0; MAX_HASH])
}

/// HMAC (RFC 2104 §2).
fn hmac<H: Hash>(key: &[u8], message: &[&[u8]]) -> Secret {
    let mut block = Zeroizing::new([0; MAX_BLOCK]);
    if key.len() > H::BLOCK {
        let mut hash = H::new();
        hash.update(key);
        let mut digest = zeros();
        hash.finish(&mut digest);
        block[..H::SIZE].copy_from_slice(&digest[..H::SIZE]);
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let (mut inner, mut outer) = (H::new(), H::new());
    block.iter_mut().for_each(|byte| *byte ^= 0x36);
    inner.update(&block[..H::BLOCK]);
    block.iter_mut().for_each(|byte| *byte ^= 0x36 ^ 0x5c);
    outer.update(&block[..H::BLOCK]);
    message.iter().for_each(|part| inner.update(part));
    let mut digest = zeros();
    inner.finish(&mut digest);
    outer.update(&digest[..H::SIZE]);
    outer.finish(&mut digest);
    digest
}

/// HKDF-Expand (RFC 5869 §2.3); the output has at most 255 hashes.
fn expand<H: Hash>(secret: &[u8], info: &[u8], out: &mut [u8]) {
    let (mut previous, mut length) = (zeros(), 0);
    for (counter, chunk) in (1..=255_u8).zip(out.chunks_mut(H::SIZE)) {
        previous = hmac::<H>(secret, &[&previous[..length], info, &[counter]]);
        length = H::SIZE;
        chunk.copy_from_slice(&previous[..chunk.len()]);
    }
}

/// HKDF-Expand-Label (RFC 8446 §7.1); `None` where something is longer than its length can say.
fn expand_label<H: Hash>(secret: &[u8], label: &Label<'_>, context: &[u8], out: &mut [u8]) -> Option<()> {
    let length = u16::try_from(out.len()).ok().filter(|_| out.len() <= 255 * H::SIZE)?.to_be_bytes();
    let label_length = u8::try_from(label.prefix.len() + label.name.len()).ok()?;
    let context_length = u8::try_from(context.len()).ok()?;
    let mut info = [0; 2 + 1 + 255 + 1 + 255];
    let mut end = 0;
    for part in [&length[..], &[label_length], label.prefix, label.name, &[context_length], context] {
        info[end..end + part.len()].copy_from_slice(part);
        end += part.len();
    }
    expand::<H>(secret, &info[..end], out);
    Some(())
}

/// The next secret of the ladder: what the previous one is derived to is the salt with which the input is extracted.
fn next_secret<H: Hash>(
    previous: Option<&[u8]>,
    label: &Label<'_>,
    input: Option<&[u8]>,
    out: &mut [u8],
) -> Option<()> {
    // RFC 8446 §7.1: "if a given secret is not available, then the 0-value consisting of a string of Hash.length bytes
    // set to zeros is used."
    let (nothing, mut salt) = (zeros(), zeros());
    if let Some(previous) = previous {
        let mut empty = zeros();
        H::new().finish(&mut empty);
        expand_label::<H>(previous, label, &empty[..H::SIZE], &mut salt[..H::SIZE])?;
    }
    let secret = hmac::<H>(&salt[..H::SIZE], &[input.unwrap_or(&nothing[..H::SIZE])]);
    (out.len() == H::SIZE).then(|| out.copy_from_slice(&secret[..H::SIZE]))
}

// ---- the algorithm ----

/// What a secret is for.
#[derive(Clone, Copy, Default)]
struct Label<'a> {
    /// "tls13 ", with the space.
    prefix: &'a [u8],
    name: &'a [u8],
}

/// `EVP_KDF-TLS13_KDF(7)`: which half of the key schedule is asked for.
const EXTRACT_ONLY: c_int = 1;
const EXPAND_ONLY: c_int = 2;

/// The parameters of one derivation.
#[derive(Default)]
struct Request<'a> {
    mode: c_int,
    digest: &'a [u8],
    key: Option<&'a [u8]>,
    salt: Option<&'a [u8]>,
    label: Label<'a>,
    data: &'a [u8],
}

impl<'a> Request<'a> {
    /// # Safety
    /// `params` must be a list as of `OSSL_PARAM(3)`, with its end mark, and live as long as the result.
    unsafe fn read(mut params: *const OSSL_PARAM) -> Self {
        let mut this = Self::default();
        // SAFETY: the caller's promise: either null or at an entry of the list; so for the next two.
        while let Some(param) = unsafe { params.as_ref() }.filter(|param| !param.key.is_null()) {
            // SAFETY: keys are C strings.
            let key = unsafe { CStr::from_ptr(param.key) };
            // SAFETY: as above.
            unsafe { this.take(key, param) };
            // SAFETY: this was not the end mark, so there is another entry.
            params = unsafe { params.add(1) };
        }
        this
    }

    /// # Safety
    /// As for [`Request::read`].
    unsafe fn take(&mut self, key: &CStr, param: &OSSL_PARAM) {
        // SAFETY: the caller's promise.
        let bytes = unsafe { bytes_of(param) };
        match key.to_bytes() {
            b"mode" => self.mode = bytes.try_into().map_or(0, c_int::from_ne_bytes),
            b"digest" => self.digest = bytes,
            b"key" => self.key = Some(bytes),
            b"salt" => self.salt = Some(bytes),
            b"prefix" => self.label.prefix = bytes,
            b"label" => self.label.name = bytes,
            b"data" => self.data = bytes,
            _ => {}
        }
    }

    fn derive<H: Hash>(&self, out: &mut [u8]) -> Option<()> {
        match self.mode {
            EXTRACT_ONLY => next_secret::<H>(self.salt, &self.label, self.key, out),
            EXPAND_ONLY => expand_label::<H>(self.key?, &self.label, self.data, out),
            _ => None,
        }
    }

    /// TLS 1.3 has suites with these two hashes only (RFC 8446 §B.4).
    fn answer(&self, out: &mut [u8]) -> Option<()> {
        let is =
            |names: [&str; 3]| names.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(self.digest));
        if is(["SHA2-256", "SHA256", "SHA-256"]) {
            self.derive::<Sha256>(out)
        } else if is(["SHA2-384", "SHA384", "SHA-384"]) {
            self.derive::<Sha384>(out)
        } else {
            None
        }
    }
}

/// # Safety
/// `param` must be an entry of a list as of `OSSL_PARAM(3)`, whose data lives as long as the result.
unsafe fn bytes_of<'a>(param: &OSSL_PARAM) -> &'a [u8] {
    if param.data.is_null() {
        return &[];
    }
    // SAFETY: OpenSSL passes that many readable bytes.
    unsafe { std::slice::from_raw_parts(param.data.cast::<u8>(), param.data_size) }
}

unsafe extern "C" fn derive(
    _context: *mut c_void,
    out: *mut c_uchar,
    length: size_t,
    params: *const OSSL_PARAM,
) -> c_int {
    guard(0, || {
        // SAFETY: OpenSSL passes a list with an end mark, which lives for this call.
        let request = unsafe { Request::read(params) };
        // SAFETY: OpenSSL passes that many writable bytes, which are no part of the list.
        let out = unsafe { std::slice::from_raw_parts_mut(out, length) };
        c_int::from(request.answer(out).is_some())
    })
}

/// There is nothing to keep between calls; but null would mean failure.
unsafe extern "C" fn new_context(_provider: *mut c_void) -> *mut c_void {
    (&raw const KDF).cast_mut().cast()
}

unsafe extern "C" fn keep_context(_context: *mut c_void) {}

static KDF: Table<OSSL_DISPATCH, 4> = Table([
    function(1, new_context as *const ()),
    function(3, keep_context as *const ()),
    function(5, derive as *const ()),
    END_OF_FUNCTIONS,
]);

pub(crate) static KDFS: Table<OSSL_ALGORITHM, 2> =
    Table([algorithm(c"TLS13-KDF", DEFINITION, KDF.0.as_ptr()), END_OF_ALGORITHMS]);

#[cfg(test)]
mod tests {
    use super::*;

    /// The secrets of the simple handshake in RFC 8448 §3.
    const EARLY: &str = "33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a";
    const SHARED: &str = "8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d";
    const HANDSHAKE: &str = "1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac";
    const MASTER: &str = "18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919";

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2).map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap()).collect()
    }

    fn label(name: &[u8]) -> Label<'_> {
        Label { prefix: b"tls13 ", name }
    }

    fn request(mode: c_int, digest: &[u8]) -> Request<'_> {
        Request { mode, digest, label: label(b"derived"), ..Request::default() }
    }

    #[test]
    fn the_ladder_is_that_of_rfc_8448() {
        let mut secret = [0; 32];
        request(EXTRACT_ONLY, b"SHA2-256").answer(&mut secret).unwrap();
        assert_eq!(secret[..], bytes(EARLY));
        let (early, shared) = (secret, bytes(SHARED));
        let next = Request { salt: Some(&early), key: Some(&shared), ..request(EXTRACT_ONLY, b"sha256") };
        next.answer(&mut secret).unwrap();
        assert_eq!(secret[..], bytes(HANDSHAKE));
        let handshake = secret;
        Request { salt: Some(&handshake), ..request(EXTRACT_ONLY, b"SHA-256") }.answer(&mut secret).unwrap();
        assert_eq!(secret[..], bytes(MASTER));
    }

    #[test]
    fn what_is_asked_for_in_vain_is_refused() {
        let (mut out, key) = ([0; 32], [1; 32]);
        let sound = || Request { key: Some(&key), ..request(EXPAND_ONLY, b"SHA2-256") };
        let long = [0; 256];
        assert!(sound().answer(&mut out).is_some());
        assert!(Request { digest: b"SHA2-512", ..sound() }.answer(&mut out).is_none());
        assert!(Request { mode: 0, ..sound() }.answer(&mut out).is_none());
        assert!(Request { key: None, ..sound() }.answer(&mut out).is_none());
        assert!(Request { data: &long, ..sound() }.answer(&mut out).is_none());
        assert!(Request { label: label(&long), ..sound() }.answer(&mut out).is_none());
        assert!(sound().answer(&mut [0; 255 * 32]).is_some());
        assert!(sound().answer(&mut [0; 255 * 32 + 1]).is_none());
        assert!(Request { mode: EXTRACT_ONLY, ..sound() }.answer(&mut out[..31]).is_none());
    }
}
