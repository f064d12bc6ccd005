//! TLS sessions: what a later handshake can be shortened with.

use std::fmt;
use std::ptr::NonNull;

use libc::{c_long, c_uint};
use openssl_sys::SSL_SESSION;

use crate::result::{non_null, one};
use crate::{ErrorStack, init, sys};

/// A session. Cloning shares it. Debug output never shows its contents, which are secret.
pub struct Session {
    raw: NonNull<SSL_SESSION>,
}

// SAFETY: an SSL_SESSION is counted atomically and not changed once others can see it (`SSL_SESSION_up_ref(3)`).
unsafe impl Send for Session {}
// SAFETY: as above.
unsafe impl Sync for Session {}

impl Session {
    /// # Safety
    /// `raw` must be a session of which the caller hands over one reference.
    pub(crate) unsafe fn from_raw(raw: *mut SSL_SESSION) -> Self {
        Self { raw: NonNull::new(raw).expect("OpenSSL hands over a session") }
    }

    /// Gives the reference away.
    pub(crate) fn into_raw(self) -> *mut SSL_SESSION {
        std::mem::ManuallyDrop::new(self).raw.as_ptr()
    }

    pub(crate) fn as_ptr(&self) -> *mut SSL_SESSION {
        self.raw.as_ptr()
    }

    /// Reads a session from its DER form; trailing bytes are refused.
    ///
    /// # Errors
    /// When the bytes are not a session of this OpenSSL.
    ///
    /// Corresponds to `d2i_SSL_SESSION`.
    pub fn from_der(der: &[u8]) -> Result<Self, ErrorStack> {
        init();
        ErrorStack::clear();
        let Ok(length) = c_long::try_from(der.len()) else { return Err(ErrorStack::default()) };
        let mut position = der.as_ptr();
        // SAFETY: OpenSSL reads at most `length` bytes from `position`, which it moves behind what it read.
        let raw = unsafe { openssl_sys::d2i_SSL_SESSION(std::ptr::null_mut(), &raw mut position, length) };
        let session = Self { raw: non_null(raw)? };
        if position == der.as_ptr_range().end { Ok(session) } else { Err(ErrorStack::default()) }
    }

    /// The session's DER form. It holds the keys of the session: keep it as secret as a password.
    ///
    /// # Errors
    /// When memory runs out.
    ///
    /// Corresponds to `i2d_SSL_SESSION`.
    pub fn to_der(&self) -> Result<Vec<u8>, ErrorStack> {
        ErrorStack::clear();
        // SAFETY: a null target only asks for the length.
        let length = unsafe { openssl_sys::i2d_SSL_SESSION(self.as_ptr(), std::ptr::null_mut()) };
        let length = usize::try_from(length).map_err(|_| ErrorStack::drain())?;
        let mut der = vec![0; length];
        let mut position = der.as_mut_ptr();
        // SAFETY: the buffer has the length that OpenSSL asked for; nobody changes the session in between.
        let written = unsafe { openssl_sys::i2d_SSL_SESSION(self.as_ptr(), &raw mut position) };
        if usize::try_from(written) == Ok(length) { Ok(der) } else { Err(ErrorStack::drain()) }
    }

    /// The session id (empty for a TLS 1.2 ticket session on the server).
    pub fn id(&self) -> &[u8] {
        let mut length: c_uint = 0;
        // SAFETY: the session is alive; the pointer is into it.
        let id = unsafe { openssl_sys::SSL_SESSION_get_id(self.as_ptr(), &raw mut length) };
        if id.is_null() || length == 0 {
            return &[];
        }
        // SAFETY: OpenSSL says that `length` bytes are there, which live and stay unchanged as long as the session.
        unsafe { std::slice::from_raw_parts(id, length as usize) }
    }

    /// The ticket in which the server has put the session; empty without one (`SSL_SESSION_get0_ticket`).
    pub fn ticket(&self) -> &[u8] {
        let (mut ticket, mut length) = (std::ptr::null(), 0);
        // SAFETY: the session is alive; both out parameters are ours.
        unsafe { sys::SSL_SESSION_get0_ticket(self.as_ptr(), &raw mut ticket, &raw mut length) };
        if ticket.is_null() || length == 0 {
            return &[];
        }
        // SAFETY: OpenSSL says that `length` bytes are there, which live and stay unchanged as long as the session.
        unsafe { std::slice::from_raw_parts(ticket, length) }
    }

    /// Whether a handshake may offer it (`SSL_SESSION_is_resumable`).
    pub fn is_resumable(&self) -> bool {
        // SAFETY: the session is alive.
        unsafe { sys::SSL_SESSION_is_resumable(self.as_ptr()) == 1 }
    }

    /// A copy that shares nothing which OpenSSL changes.
    pub(crate) fn duplicate(&self) -> Result<Self, ErrorStack> {
        // SAFETY: the session is alive; the copy is ours.
        let raw = unsafe { sys::SSL_SESSION_dup(self.as_ptr()) };
        Ok(Self { raw: non_null(raw)? })
    }

    /// A copy that carries `data` inside its DER form.
    ///
    /// # Errors
    /// When memory runs out.
    ///
    /// Corresponds to `SSL_SESSION_set1_ticket_appdata`.
    pub fn with_application_data(&self, data: &[u8]) -> Result<Self, ErrorStack> {
        let copy = self.duplicate()?;
        copy.set_application_data(data)?;
        Ok(copy)
    }

    /// For a session that nobody else has yet.
    pub(crate) fn set_application_data(&self, data: &[u8]) -> Result<(), ErrorStack> {
        // SAFETY: the session is alive and, by the callers' care, not shared; OpenSSL copies the bytes.
        let done =
            unsafe { sys::SSL_SESSION_set1_ticket_appdata(self.as_ptr(), data.as_ptr().cast(), data.len()) };
        one(done)
    }

    /// What [`Session::with_application_data`] put in; empty when nothing was.
    pub fn application_data(&self) -> Vec<u8> {
        let (mut data, mut length) = (std::ptr::null_mut(), 0);
        // SAFETY: the session is alive; both out parameters are ours.
        let done =
            unsafe { sys::SSL_SESSION_get0_ticket_appdata(self.as_ptr(), &raw mut data, &raw mut length) };
        if done != 1 || data.is_null() || length == 0 {
            return Vec::new();
        }
        // SAFETY: OpenSSL says that `length` bytes are there; they are copied before anything else happens.
        unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) }.to_vec()
    }
}

impl Clone for Session {
    fn clone(&self) -> Self {
        // SAFETY: the session is alive; the new reference is owned by the clone.
        unsafe { openssl_sys::SSL_SESSION_up_ref(self.as_ptr()) };
        Self { raw: self.raw }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: this is the reference that the value owns.
        unsafe { openssl_sys::SSL_SESSION_free(self.as_ptr()) };
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Session(..)")
    }
}
