//! The fence of nodetls: safe types over OpenSSL, without any policy.
//!
//! This is the only crate of the project that contains `unsafe`. It turns OpenSSL's C conventions into
//! Rust ones (results, owned buffers, recorded callbacks) and decides nothing: what a verification error
//! means, which protocol is chosen, when a connection ends, all that belongs to `nodetls-proto`, its only user.
//!
//! Two rules hold everywhere:
//! - A callback that OpenSSL makes only *records* what it was told or replays an answer given before. No code
//!   from outside this crate ever runs while an OpenSSL function is on the stack.
//! - The thread's error queue is cleared before each call that can fail and drained after it, so that one
//!   connection's errors are never read as another's (the lesson of CVE-2023-23919).

mod algorithms;
mod bio;
mod buffer;
mod callbacks;
mod certificate;
mod constraints;
mod context;
mod details;
mod engine;
mod error;
mod external_key;
mod fiber;
mod form;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod groups;
mod issuance;
mod key;

mod key_schedule;
mod negotiated;
mod ocsp;
mod paths;
mod pkcs12;
mod provider;
mod psk;
mod record_writer;
mod renegotiation;
mod result;
mod revocation;
mod session;
mod ssl;
mod state;
mod store;
mod sys;
mod ticket;
mod trace;
mod verify;

pub use buffer::{CIPHERTEXT_CAPACITY, Ciphertext, ReceiveBuffer};
pub use certificate::{AlternativeName, Certificate, NameAttribute, certificates_from_pem};
pub use context::{
    Context, ContextBuilder, DhParameters, SSL_OP_CIPHER_SERVER_PREFERENCE, SSL_OP_NO_RENEGOTIATION,
    SSL_OP_NO_TICKET, SSL_OP_NO_TLS1_3,
};
pub use details::PublicKeyDetails;
pub use engine::{Engine, EngineError};
pub use error::{ErrorEntry, ErrorStack};
pub use external_key::SignRequest;
pub use key::PrivateKey;
pub use negotiated::{CipherSuite, EphemeralKey};
pub use ocsp::{OcspVerdict, is_ocsp_response};
pub use pkcs12::{Pkcs12, Pkcs12Error};
pub use psk::{MAX_PSK_IDENTITY, MAX_PSK_KEY, Psk};
pub use renegotiation::KeyUpdateRequest;
pub use session::Session;
pub use ssl::{Progress, Ssl};
pub use state::{AlertRecord, OnVerify, VerifyFinding, VerifyReport};
pub use store::{TrustStore, TrustStoreBuilder};
pub use ticket::{TicketKey, TicketKeyRing};
pub use trace::has_trace;
pub use verify::{Purpose, VerifySettings, verify_chain};

use std::sync::Once;

/// Initialises OpenSSL without reading any configuration file.
///
/// The order matters: whoever initialises first decides, and `openssl.cnf` lies where others may write
/// (CVE-2022-32222). Every constructor of this crate calls this before anything else.
pub fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let options = sys::OPENSSL_INIT_NO_LOAD_CONFIG;
        // SAFETY: the function may be called at any time from any thread; a null settings pointer means defaults.
        let done = unsafe { openssl_sys::OPENSSL_init_ssl(options, std::ptr::null()) };
        assert_eq!(done, 1, "OpenSSL could not be initialised");
        openssl::init();
    });
}

/// The version text of the OpenSSL in use, for example `OpenSSL 3.6.3 9 Jun 2026`.
pub fn openssl_version() -> &'static str {
    init();
    openssl::version::version()
}

/// The SHA-256 digest of the parts, one after the other.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    init();
    let mut hasher = openssl::sha::Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finish()
}

/// The digest of a message by the algorithm's name in OpenSSL, such as `SHA256`; `None` for a name it does not know.
pub fn digest(algorithm: &str, message: &[u8]) -> Option<Vec<u8>> {
    init();
    ErrorStack::clear();
    let algorithm = openssl::hash::MessageDigest::from_name(algorithm)?;
    openssl::hash::hash(algorithm, message).ok().map(|digest| digest.to_vec())
}

/// The MD5 digest, for identifiers alone: it protects nothing. `None` where OpenSSL has no MD5, as in FIPS mode.
pub fn md5(bytes: &[u8]) -> Option<[u8; 16]> {
    init();
    ErrorStack::clear();
    let digest = openssl::hash::hash(openssl::hash::MessageDigest::md5(), bytes);
    ErrorStack::clear();
    (*digest.ok()?).try_into().ok()
}

/// Fills the buffer from OpenSSL's random generator.
///
/// # Errors
/// When the generator cannot be seeded.
pub fn random_bytes(buffer: &mut [u8]) -> Result<(), ErrorStack> {
    init();
    Ok(openssl::rand::rand_bytes(buffer)?)
}

/// OpenSSL's text for an `X509_V_ERR_*` number.
///
/// Corresponds to `X509_verify_cert_error_string`.
pub fn verify_error_text(code: i32) -> &'static str {
    // Any number is safe to ask about; the constructor is unsafe only because it takes a raw one.
    // SAFETY: no preconditions beyond that.
    unsafe { openssl::x509::X509VerifyResult::from_raw(code) }.error_string()
}

/// OpenSSL's short name for a number of its object table (NID), such as `SHA256`; `UNDEF` for none.
pub fn short_name(nid: i32) -> &'static str {
    openssl::nid::Nid::from_raw(nid).short_name().unwrap_or("UNDEF")
}

/// Numbers (NIDs) of signature algorithms.
pub mod nid {
    /// `rsaEncryption`
    pub const RSA: i32 = openssl_sys::NID_rsaEncryption;
    /// `rsassaPss`
    pub const RSA_PSS: i32 = openssl_sys::NID_rsassaPss;
    /// `dsaEncryption`
    pub const DSA: i32 = openssl_sys::NID_dsa;
    /// `id-ecPublicKey`
    pub const EC: i32 = openssl_sys::NID_X9_62_id_ecPublicKey;
    /// `ED25519`
    pub const ED25519: i32 = openssl_sys::NID_ED25519;
    /// `ED448`
    pub const ED448: i32 = openssl_sys::NID_ED448;
}
