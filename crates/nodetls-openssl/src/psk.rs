//! Pre-shared keys (RFC 4279, RFC 8446 §4.2.11): one key, decided beforehand, which OpenSSL's callbacks replay.
//!
//! The key is given to OpenSSL only for the very identity that it was meant for. Where none is known, the callbacks say
//! so, and OpenSSL does what it does with an unknown identity.

use std::ffi::{CStr, CString};

use libc::{c_char, c_int, c_uchar, c_uint, size_t};
use openssl_sys::{EVP_MD, SSL, SSL_CIPHER, SSL_SESSION};
use zeroize::Zeroizing;

use crate::callbacks::{guard, state};
use crate::result::one;
use crate::{ErrorStack, Session, Ssl, sys};

/// The longest identity, in bytes (`PSK_MAX_IDENTITY_LEN` of OpenSSL 3). Hints have the same limit.
pub const MAX_PSK_IDENTITY: usize = 256;

/// The longest key, in bytes (`PSK_MAX_PSK_LEN` of OpenSSL 3).
pub const MAX_PSK_KEY: usize = 512;

/// Begins the application data of sessions that an external key of TLS 1.3 has made; the identity follows.
const PSK_LABEL: &[u8] = b"nodetls psk identity 1";

/// The suite whose hash, SHA-256, an external key of TLS 1.3 is for (RFC 8446 §4.2.11).
const TLS_AES_128_GCM_SHA256: [u8; 2] = [0x13, 0x01];

/// A key and whose it is. Debug output shows neither.
#[derive(Clone)]
pub struct Psk {
    /// The identity; one with a NUL is never found up to TLS 1.2.
    pub identity: Vec<u8>,
    /// The key.
    pub key: Zeroizing<Vec<u8>>,
    /// Whether it is for TLS 1.3, or for the versions before.
    pub tls1_3: bool,
}

impl std::fmt::Debug for Psk {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Psk(..)")
    }
}

impl Ssl {
    /// Enables pre-shared keys; without this, their suites are neither offered nor selected.
    ///
    /// Corresponds to `SSL_set_psk_client_callback`, `SSL_set_psk_use_session_callback` or
    /// `SSL_set_psk_server_callback`, `SSL_set_psk_find_session_callback`.
    pub fn enable_psk(&mut self) {
        let ssl = self.as_ptr();
        if self.ssl().is_server() {
            // SAFETY: the SSL is alive; the callback has the manual's signature and lives for ever. So for all below.
            unsafe { sys::SSL_set_psk_server_callback(ssl, Some(server_key)) };
            // SAFETY: as above.
            unsafe { sys::SSL_set_psk_find_session_callback(ssl, Some(find_session)) };
        } else {
            // SAFETY: as above.
            unsafe { sys::SSL_set_psk_client_callback(ssl, Some(client_key)) };
            // SAFETY: as above.
            unsafe { sys::SSL_set_psk_use_session_callback(ssl, Some(use_session)) };
        }
    }

    /// The hint that a server sends up to TLS 1.2.
    ///
    /// # Errors
    /// When it has a NUL or more than [`MAX_PSK_IDENTITY`] bytes.
    ///
    /// Corresponds to `SSL_use_psk_identity_hint`.
    pub fn set_psk_identity_hint(&mut self, hint: &str) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        let hint = CString::new(hint).map_err(|_| ErrorStack::default())?;
        // SAFETY: the SSL is alive; OpenSSL copies the C string.
        one(unsafe { sys::SSL_use_psk_identity_hint(self.as_ptr(), hint.as_ptr()) })
    }

    /// Whether the suite of this number takes a pre-shared key by its own key exchange, as suites up to TLS 1.2 do.
    pub fn takes_psk(&self, suite: u16) -> bool {
        let suite = suite.to_be_bytes();
        // SAFETY: the SSL is alive; OpenSSL reads two bytes.
        let cipher = unsafe { sys::SSL_CIPHER_find(self.as_ptr(), suite.as_ptr()) };
        has_psk_key_exchange(cipher)
    }

    /// The same of the suite that a handshake under way has selected; false while there is none.
    pub fn has_selected_psk_suite(&self) -> bool {
        // SAFETY: the SSL is alive.
        has_psk_key_exchange(unsafe { sys::SSL_get_pending_cipher(self.as_ptr()) })
    }

    /// The identity of the pre-shared key that the session in use was made with; `None` where it was made without one.
    ///
    /// A client that resumes a session of TLS 1.3 does not know it any more.
    pub fn psk_identity(&self) -> Option<Vec<u8>> {
        // SAFETY: the SSL is alive.
        let identity = unsafe { openssl_sys::SSL_get_psk_identity(self.as_ptr()) };
        if !identity.is_null() {
            // SAFETY: not null: a C string of the session, which is copied before anything else happens.
            return Some(unsafe { CStr::from_ptr(identity) }.to_bytes().to_vec());
        }
        let data = self.session()?.application_data();
        data.strip_prefix(PSK_LABEL).map(<[u8]>::to_vec)
    }
}

fn has_psk_key_exchange(cipher: *const SSL_CIPHER) -> bool {
    if cipher.is_null() {
        return false;
    }
    // SAFETY: not null: an entry of OpenSSL's own table.
    let kind = unsafe { sys::SSL_CIPHER_get_kx_nid(cipher) };
    sys::NID_KX_WITH_PSK.contains(&kind)
}

/// A session of TLS 1.3 that stands for the key, and remembers whose it is.
fn session_of(ssl: *mut SSL, psk: &Psk) -> Option<Session> {
    // SAFETY: no preconditions.
    let raw = unsafe { sys::SSL_SESSION_new() };
    if raw.is_null() {
        return None;
    }
    // SAFETY: not null, and the only reference.
    let session = unsafe { Session::from_raw(raw) };
    // SAFETY: the SSL is the one of the current call; OpenSSL reads two bytes.
    let cipher = unsafe { sys::SSL_CIPHER_find(ssl, TLS_AES_128_GCM_SHA256.as_ptr()) };
    if cipher.is_null() {
        return None;
    }
    // SAFETY: the session is alive and ours alone, and OpenSSL copies the key; so for the next two calls.
    let keyed = unsafe { sys::SSL_SESSION_set1_master_key(raw, psk.key.as_ptr(), psk.key.len()) };
    // SAFETY: as above.
    let suited = unsafe { sys::SSL_SESSION_set_cipher(raw, cipher) };
    // SAFETY: as above.
    let versioned = unsafe { sys::SSL_SESSION_set_protocol_version(raw, openssl_sys::TLS1_3_VERSION) };
    let named = session.set_application_data(&[PSK_LABEL, &psk.identity].concat());
    (keyed == 1 && suited == 1 && versioned == 1 && named.is_ok()).then_some(session)
}

/// Copies the key out; 0 where OpenSSL has no room for it.
///
/// # Safety
/// `target` must have room for `room` bytes.
unsafe fn give_key(psk: &Psk, target: *mut c_uchar, room: c_uint) -> c_uint {
    match c_uint::try_from(psk.key.len()) {
        Ok(length) if length <= room => {
            // SAFETY: the caller promises the room, which is OpenSSL's own.
            unsafe { std::ptr::copy_nonoverlapping(psk.key.as_ptr(), target, psk.key.len()) };
            length
        }
        _ => 0,
    }
}

/// `SSL_set_psk_server_callback(3)`: the key's length, or 0 for an unknown identity. Also called in TLS 1.3, where
/// [`find_session`] answers.
unsafe extern "C" fn server_key(
    ssl: *mut SSL,
    identity: *const c_char,
    key: *mut c_uchar,
    room: c_uint,
) -> c_uint {
    guard(0, || {
        // SAFETY: OpenSSL passes the SSL of the current call.
        let psk = unsafe { state(ssl) }.and_then(|state| state.psk.as_ref()).filter(|psk| !psk.tls1_3);
        let Some(psk) = psk.filter(|_| !identity.is_null()) else { return 0 };
        // SAFETY: not null: OpenSSL passes a C string that lives for this call.
        if unsafe { CStr::from_ptr(identity) }.to_bytes() != psk.identity {
            return 0;
        }
        // SAFETY: OpenSSL says how much room there is.
        unsafe { give_key(psk, key, room) }
    })
}

/// `SSL_set_psk_client_callback(3)`: the key's length, or 0 for none. Also called for the hello of TLS 1.3, where
/// [`use_session`] answers.
unsafe extern "C" fn client_key(
    ssl: *mut SSL,
    _hint: *const c_char,
    identity: *mut c_char,
    identity_room: c_uint,
    key: *mut c_uchar,
    room: c_uint,
) -> c_uint {
    guard(0, || {
        // SAFETY: OpenSSL passes the SSL of the current call.
        let psk = unsafe { state(ssl) }.and_then(|state| state.psk.as_ref()).filter(|psk| !psk.tls1_3);
        let Some(psk) = psk.filter(|psk| psk.identity.len() <= identity_room as usize) else { return 0 };
        // OpenSSL has cleared the buffer, which has a byte more than it says: the end of the string is there.
        // SAFETY: the identity fits into the room that OpenSSL says there is.
        unsafe { std::ptr::copy_nonoverlapping(psk.identity.as_ptr(), identity.cast(), psk.identity.len()) };
        // SAFETY: OpenSSL says how much room there is.
        unsafe { give_key(psk, key, room) }
    })
}

/// `SSL_set_psk_find_session_callback(3)`: always 1, as no session is no failure.
unsafe extern "C" fn find_session(
    ssl: *mut SSL,
    identity: *const c_uchar,
    length: size_t,
    found: *mut *mut SSL_SESSION,
) -> c_int {
    guard(0, || {
        // SAFETY: OpenSSL's own out parameter.
        unsafe { found.write(std::ptr::null_mut()) };
        // SAFETY: OpenSSL passes the SSL of the current call.
        let psk = unsafe { state(ssl) }.and_then(|state| state.psk.as_ref()).filter(|psk| psk.tls1_3);
        let Some(psk) = psk else { return 1 };
        // SAFETY: OpenSSL passes `length` readable bytes.
        if unsafe { std::slice::from_raw_parts(identity, length) } != psk.identity {
            return 1;
        }
        let Some(session) = session_of(ssl, psk) else { return 0 };
        // SAFETY: as above; OpenSSL takes over the reference.
        unsafe { found.write(session.into_raw()) };
        1
    })
}

/// `SSL_set_psk_use_session_callback(3)`: 1 also without a session; `digest` is the hash that it must be for, once one
/// has been agreed on.
unsafe extern "C" fn use_session(
    ssl: *mut SSL,
    digest: *const EVP_MD,
    identity: *mut *const c_uchar,
    length: *mut size_t,
    used: *mut *mut SSL_SESSION,
) -> c_int {
    guard(0, || {
        // SAFETY: OpenSSL's own out parameter.
        unsafe { used.write(std::ptr::null_mut()) };
        // SAFETY: OpenSSL passes the SSL of the current call.
        let psk = unsafe { state(ssl) }.and_then(|state| state.psk.as_ref()).filter(|psk| psk.tls1_3);
        let Some(psk) = psk.filter(|_| is_sha256_or_open(digest)) else { return 1 };
        let Some(session) = session_of(ssl, psk) else { return 0 };
        // SAFETY: OpenSSL's own out parameter; it copies the identity before the state can change.
        unsafe { identity.write(psk.identity.as_ptr()) };
        // SAFETY: OpenSSL's own out parameter.
        unsafe { length.write(psk.identity.len()) };
        // SAFETY: as above; OpenSSL takes over the reference.
        unsafe { used.write(session.into_raw()) };
        1
    })
}

fn is_sha256_or_open(digest: *const EVP_MD) -> bool {
    // SAFETY: not null where it is asked: the digest of the handshake.
    digest.is_null() || unsafe { openssl_sys::EVP_MD_type(digest) } == openssl_sys::NID_sha256
}
