//! What OpenSSL's `-trace` prints, kept as text.
//!
//! It shows records and handshake messages as they are after decryption: names, certificates, session ids and tickets
//! among them, but no private key, no traffic secret and no application data.

use std::ptr::NonNull;

use libc::{c_char, c_int, c_void, size_t};
use openssl_sys::{BIO, SSL};

use crate::callbacks::{guard, state};
use crate::record_writer::Written;
use crate::{Ssl, sys};

/// Text kept until the core fetches it, in bytes; what comes beyond is left out.
const MAX_TRACE: usize = 256 * 1024;

const LEFT_OUT: &str = "(more was left out)\n";

/// Whether this OpenSSL can trace.
pub fn has_trace() -> bool {
    sys::ssl_trace().is_some()
}

impl Ssl {
    /// Traces from now on; nothing happens where [`has_trace`] says no.
    ///
    /// Corresponds to `SSL_set_msg_callback_arg`. The callback itself is there from the beginning: from OpenSSL 3.2 on,
    /// keys that were agreed on without one never report their records.
    pub fn enable_trace(&mut self) {
        let marker = (&raw const ENABLED).cast_mut().cast();
        // SAFETY: the SSL is alive; the marker is for our callback alone, which only looks whether there is one.
        unsafe { openssl_sys::SSL_ctrl(self.as_ptr(), sys::SSL_CTRL_SET_MSG_CALLBACK_ARG, 0, marker) };
        let ssl = NonNull::new(self.as_ptr());
        self.state_mut().traced = ssl;
    }
}

/// Its address tells the callback to trace.
static ENABLED: u8 = 1;

/// Traces a record of TLS 1.3 that OpenSSL has not written itself, in the words that it would have used.
///
/// # Safety
/// `ssl` must be the connection of the current call, and no reference to its state may be in use.
pub(crate) unsafe fn record(ssl: NonNull<SSL>, written: &Written) {
    let (version, enabled) = (openssl_sys::TLS1_2_VERSION, (&raw const ENABLED).cast_mut().cast());
    let parts = [
        (sys::SSL3_RT_HEADER, &written.header[..]),
        (sys::SSL3_RT_INNER_CONTENT_TYPE, std::slice::from_ref(&written.content_type)),
    ];
    for (kind, bytes) in parts {
        // SAFETY: the caller's promise.
        unsafe { trace(1, version, kind, bytes.as_ptr().cast(), bytes.len(), ssl.as_ptr(), enabled) };
    }
}

pub(crate) unsafe extern "C" fn trace(
    sent: c_int,
    version: c_int,
    content_type: c_int,
    bytes: *const c_void,
    length: size_t,
    ssl: *mut SSL,
    enabled: *mut c_void,
) {
    if enabled.is_null() {
        return;
    }
    guard((), || {
        // SAFETY: OpenSSL passes the SSL of the current call.
        let Some(room) = (unsafe { state(ssl) }).and_then(|state| state.trace_room(MAX_TRACE)) else {
            return;
        };
        let Some(print) = sys::ssl_trace() else { return };
        let text = printed(|bio| {
            // SAFETY: all but the BIO are what OpenSSL has passed, and no reference to the state is in use.
            unsafe { print(sent, version, content_type, bytes, length, ssl, bio.cast()) };
        });
        // SAFETY: as above.
        if let Some(state) = unsafe { state(ssl) } {
            let (kept, rest) = text.split_at(whole_lines(&text, room));
            state.trace.push_str(kept);
            if !rest.is_empty() {
                state.trace.push_str(LEFT_OUT);
                state.trace_is_full = true;
            }
        }
    });
}

/// The length of the lines that fit in `room` bytes.
fn whole_lines(text: &str, room: usize) -> usize {
    if text.len() <= room {
        return text.len();
    }
    text.as_bytes()[..room].iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1)
}

/// What is written to a BIO, as text. Errors meanwhile are not the connection's, and so do not stay in the queue.
fn printed(write: impl FnOnce(*mut BIO)) -> String {
    // SAFETY: no preconditions; so for the three calls below that concern the queue or take no pointer.
    unsafe { sys::ERR_set_mark() };
    // SAFETY: as above.
    let method = unsafe { openssl_sys::BIO_s_mem() };
    // SAFETY: the method lives for ever.
    let bio = unsafe { openssl_sys::BIO_new(method) };
    let mut text = String::new();
    if !bio.is_null() {
        write(bio);
        text = contents(bio);
        // SAFETY: the BIO is ours and not used again.
        unsafe { openssl_sys::BIO_free_all(bio) };
    }
    // SAFETY: as above.
    unsafe { sys::ERR_pop_to_mark() };
    text
}

fn contents(bio: *mut BIO) -> String {
    let mut start: *mut c_char = std::ptr::null_mut();
    // SAFETY: the BIO is a live memory BIO; the out parameter is ours.
    let length = unsafe { openssl_sys::BIO_get_mem_data(bio, &raw mut start) };
    let Ok(length) = usize::try_from(length) else { return String::new() };
    if start.is_null() {
        return String::new();
    }
    // SAFETY: the BIO has `length` bytes there, which stay while nobody writes to it.
    let bytes = unsafe { std::slice::from_raw_parts(start.cast::<u8>(), length) };
    String::from_utf8_lossy(bytes).into_owned()
}
