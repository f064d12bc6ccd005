//! Keys for stateless session tickets (RFC 5077 §4, RFC 8446 §4.6.1).
//!
//! Tickets are protected as OpenSSL itself does it: AES-CBC, then HMAC-SHA-256 over name, IV and ciphertext. The
//! callback takes its keys from the connection's state, so that new keys count for future connections only.

use std::sync::{Arc, OnceLock};

use foreign_types::ForeignTypeRef;
use libc::{c_int, c_uchar};
use openssl::cipher::Cipher;
use openssl_sys::{EVP_CIPHER, EVP_CIPHER_CTX, EVP_MAC_CTX, OSSL_PARAM, SSL};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::callbacks::{guard, state};
use crate::{ErrorStack, random_bytes, sys};

/// Length of a key's name and of the IV.
const BLOCK: usize = 16;

/// One key: its name and the secrets, either of 16 or of 32 bytes.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct TicketKey {
    name: [u8; BLOCK],
    hmac: Vec<u8>,
    aes: Vec<u8>,
}

impl TicketKey {
    /// A key from its parts; `None` unless `hmac` and `aes` have both 16 or both 32 bytes.
    pub fn new(name: [u8; BLOCK], hmac: &[u8], aes: &[u8]) -> Option<Self> {
        let fits = hmac.len() == aes.len() && (aes.len() == 16 || aes.len() == 32);
        fits.then(|| Self { name, hmac: hmac.to_vec(), aes: aes.to_vec() })
    }

    /// A random key with secrets of 32 bytes, or of 16 as Node.js has them.
    ///
    /// # Errors
    /// When the random generator cannot be seeded.
    pub fn random(secret: usize) -> Result<Self, ErrorStack> {
        let mut this = Self { name: [0; BLOCK], hmac: vec![0; secret], aes: vec![0; secret] };
        random_bytes(&mut this.name)?;
        random_bytes(&mut this.hmac)?;
        random_bytes(&mut this.aes)?;
        Ok(this)
    }

    /// The name that stands in each ticket, in the clear.
    pub fn name(&self) -> &[u8; BLOCK] {
        &self.name
    }

    /// The secret of the HMAC.
    pub fn hmac(&self) -> &[u8] {
        &self.hmac
    }

    /// The secret of the cipher.
    pub fn aes(&self) -> &[u8] {
        &self.aes
    }
}

impl std::fmt::Debug for TicketKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("TicketKey(..)")
    }
}

/// The keys in force: the first protects new tickets, all open old ones. Never empty.
pub type TicketKeyRing = Arc<[TicketKey]>;

/// `SSL_CTX_set_tlsext_ticket_key_evp_cb(3)`: 1 is done, 2 also asks for a new ticket, 0 means "not this ticket".
pub(crate) unsafe extern "C" fn ticket_key(
    ssl: *mut SSL,
    name: *mut c_uchar,
    iv: *mut c_uchar,
    cipher: *mut EVP_CIPHER_CTX,
    mac: *mut EVP_MAC_CTX,
    encrypting: c_int,
) -> c_int {
    guard(-1, || {
        // SAFETY: OpenSSL passes the SSL of the current call.
        let Some(ring) = (unsafe { state(ssl) }).and_then(|state| state.ticket_keys.clone()) else {
            return -1;
        };
        // SAFETY: OpenSSL passes 16 bytes for the name, which it has initialised from the ticket when decrypting.
        let name = unsafe { std::slice::from_raw_parts_mut(name, BLOCK) };
        // SAFETY: OpenSSL passes at least 16 bytes for the IV, initialised in the same way.
        let iv = unsafe { std::slice::from_raw_parts_mut(iv, BLOCK) };
        let done = if encrypting == 1 {
            let Some(key) = ring.first() else { return -1 };
            name.copy_from_slice(&key.name);
            random_bytes(iv).is_ok() && start(key, iv, cipher, mac, true)
        } else {
            let Some(index) = ring.iter().position(|key| key.name == *name) else { return 0 };
            // A ticket of TLS 1.3 is meant to be used once (RFC 8446 appendix C.4), so a new one follows each time, as
            // it does where OpenSSL keeps the keys itself.
            // SAFETY: `ssl` is the SSL of the current call.
            let renews = index > 0 || unsafe { openssl_sys::SSL_version(ssl) } == openssl_sys::TLS1_3_VERSION;
            if renews && start(&ring[index], iv, cipher, mac, false) {
                return 2;
            }
            start(&ring[index], iv, cipher, mac, false)
        };
        if done { 1 } else { -1 }
    })
}

/// Gives cipher and MAC their keys.
fn start(
    key: &TicketKey,
    iv: &[u8],
    cipher: *mut EVP_CIPHER_CTX,
    mac: *mut EVP_MAC_CTX,
    encrypt: bool,
) -> bool {
    let Some(algorithm) = algorithm(key.aes.len()) else { return false };
    let (engine, secret, iv) = (std::ptr::null_mut(), key.aes.as_ptr(), iv.as_ptr());
    let ready = if encrypt {
        // SAFETY: the context is OpenSSL's own for this ticket; secret and IV have the algorithm's lengths.
        unsafe { openssl_sys::EVP_EncryptInit_ex(cipher, algorithm, engine, secret, iv) }
    } else {
        // SAFETY: as above.
        unsafe { openssl_sys::EVP_DecryptInit_ex(cipher, algorithm, engine, secret, iv) }
    };
    ready == 1 && start_mac(&key.hmac, mac)
}

/// AES-CBC for a key of this length, looked up among the providers once a process instead of for each ticket.
fn algorithm(key_length: usize) -> Option<*const EVP_CIPHER> {
    static AES_128: OnceLock<Option<Cipher>> = OnceLock::new();
    static AES_256: OnceLock<Option<Cipher>> = OnceLock::new();
    let (store, name) =
        if key_length == BLOCK { (&AES_128, "AES-128-CBC") } else { (&AES_256, "AES-256-CBC") };
    let cipher = store.get_or_init(|| Cipher::fetch(None, name, None).ok());
    cipher.as_ref().map(|cipher| cipher.as_ptr().cast_const())
}

fn start_mac(secret: &[u8], mac: *mut EVP_MAC_CTX) -> bool {
    // OpenSSL only reads what a parameter for setting points to, although its type does not say so.
    // SAFETY: the value is static; length 0 means a C string.
    let digest = unsafe {
        sys::OSSL_PARAM_construct_utf8_string(c"digest".as_ptr(), c"SHA256".as_ptr().cast_mut(), 0)
    };
    // SAFETY: no preconditions.
    let end = unsafe { sys::OSSL_PARAM_construct_end() };
    let parameters: [OSSL_PARAM; 2] = [digest, end];
    // SAFETY: the context is OpenSSL's own for this ticket; the secret has its length, and the array ends with the end
    // mark.
    unsafe { openssl_sys::EVP_MAC_init(mac, secret.as_ptr(), secret.len(), parameters.as_ptr()) == 1 }
}
