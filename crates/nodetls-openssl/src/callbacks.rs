//! The callbacks that OpenSSL makes. They record facts and replay answers; they decide nothing.
//!
//! Each finds its connection's [`State`] through the `SSL`'s ex-data. Inside an OpenSSL call the owner of that
//! state holds no reference to it, and OpenSSL makes one callback at a time, so each callback has it alone.
//! A panic never unwinds into C: [`guard`] turns it into the callback's own way of saying failure.

use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use libc::{c_char, c_int, c_long, c_uchar, c_uint, c_void};
use openssl_sys::{SSL, SSL_SESSION, X509_STORE_CTX};
use zeroize::Zeroizing;

use crate::state::{AlertRecord, OnVerify, State, VerifyReport};
use crate::{Certificate, Purpose, Session, VerifySettings, certificate, sys, verify};

/// Sessions kept until the core fetches them; a peer that sends more tickets than that loses the later ones.
const MAX_NEW_SESSIONS: usize = 64;
/// Alerts kept until the core fetches them.
const MAX_ALERTS: usize = 16;

/// Runs a callback's body; a panic in it becomes `failure`.
pub(crate) fn guard<T>(failure: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(failure)
}

/// Where an `SSL` keeps the pointer to its state.
pub(crate) fn state_index() -> c_int {
    static INDEX: OnceLock<c_int> = OnceLock::new();
    *INDEX.get_or_init(|| {
        // SAFETY: no callbacks are registered with the index, so nothing but the number is made.
        let index = unsafe { openssl_sys::SSL_get_ex_new_index(0, std::ptr::null_mut(), None, None, None) };
        assert!(index >= 0, "OpenSSL is out of memory");
        index
    })
}

/// # Safety
/// `ssl` must be alive and used by the current call only; the result must not outlive the callback.
pub(crate) unsafe fn state<'a>(ssl: *const SSL) -> Option<&'a mut State> {
    // SAFETY: the caller promises that `ssl` is alive.
    let pointer = unsafe { openssl_sys::SSL_get_ex_data(ssl, state_index()) };
    // SAFETY: the pointer was stored by `Ssl::new` and outlives the SSL; exclusive by the module's rule.
    unsafe { pointer.cast::<State>().as_mut() }
}

pub(crate) unsafe extern "C" fn select_alpn(
    ssl: *mut SSL,
    out: *mut *const c_uchar,
    out_length: *mut c_uchar,
    offered: *const c_uchar,
    offered_length: c_uint,
    _arg: *mut c_void,
) -> c_int {
    guard(openssl_sys::SSL_TLSEXT_ERR_ALERT_FATAL, || {
        // SAFETY: OpenSSL passes the SSL of the current call.
        let Some(protocol) = unsafe { state(ssl) }.and_then(|state| state.alpn.as_deref()) else {
            return openssl_sys::SSL_TLSEXT_ERR_NOACK;
        };
        let Ok(length) = u8::try_from(protocol.len()) else { return openssl_sys::SSL_TLSEXT_ERR_ALERT_FATAL };
        // SAFETY: OpenSSL passes that many readable bytes, which live for this call.
        let offered = unsafe { std::slice::from_raw_parts(offered, offered_length as usize) };
        // A client that renegotiates may offer something else than in its first handshake.
        if !is_offered(offered, protocol) {
            return openssl_sys::SSL_TLSEXT_ERR_NOACK;
        }
        // SAFETY: both are OpenSSL's own out parameters; it copies the bytes before the state can change.
        unsafe { out.write(protocol.as_ptr()) };
        // SAFETY: as above.
        unsafe { out_length.write(length) };
        openssl_sys::SSL_TLSEXT_ERR_OK
    })
}

/// Whether a protocol is in a list in wire form (RFC 7301 §3.1).
fn is_offered(mut list: &[u8], protocol: &[u8]) -> bool {
    while let Some((length, rest)) = list.split_first() {
        let Some((offered, rest)) = rest.split_at_checked(usize::from(*length)) else { return false };
        if offered == protocol {
            return true;
        }
        list = rest;
    }
    false
}

/// The core chose the context before OpenSSL was asked; answering OK makes OpenSSL note the name in the session.
pub(crate) unsafe extern "C" fn server_name(_ssl: *mut SSL, _alert: *mut c_int, _arg: *mut c_void) -> c_int {
    openssl_sys::SSL_TLSEXT_ERR_OK
}

pub(crate) unsafe extern "C" fn find_session(
    ssl: *mut SSL,
    id: *const c_uchar,
    length: c_int,
    copy: *mut c_int,
) -> *mut SSL_SESSION {
    guard(std::ptr::null_mut(), || {
        let Ok(length) = usize::try_from(length) else { return std::ptr::null_mut() };
        // SAFETY: OpenSSL passes `length` readable bytes.
        let id = unsafe { std::slice::from_raw_parts(id, length) };
        // SAFETY: OpenSSL passes the SSL of the current call.
        let Some(state) = (unsafe { state(ssl) }) else { return std::ptr::null_mut() };
        let Some(session) = state.resume.take_if(|session| session.id() == id) else {
            return std::ptr::null_mut();
        };
        // Zero tells OpenSSL that the reference we return is its own.
        // SAFETY: OpenSSL's own out parameter.
        unsafe { copy.write(0) };
        session.into_raw()
    })
}

pub(crate) unsafe extern "C" fn new_session(ssl: *mut SSL, session: *mut SSL_SESSION) -> c_int {
    guard(0, || {
        // SAFETY: OpenSSL passes the SSL of the current call.
        let Some(state) = (unsafe { state(ssl) }) else { return 0 };
        if state.new_sessions.len() >= MAX_NEW_SESSIONS {
            return 0;
        }
        // SAFETY: OpenSSL hands over one reference, which returning 1 accepts.
        state.new_sessions.push(unsafe { Session::from_raw(session) });
        1
    })
}

pub(crate) unsafe extern "C" fn key_log(ssl: *const SSL, line: *const c_char) {
    guard((), || {
        // SAFETY: OpenSSL passes a C string that lives for this call.
        let line = unsafe { CStr::from_ptr(line) };
        // SAFETY: OpenSSL passes the SSL of the current call.
        if let Some(state) = unsafe { state(ssl) } {
            state.key_log.push(Zeroizing::new(line.to_bytes().to_vec()));
        }
    });
}

pub(crate) unsafe extern "C" fn info(ssl: *const SSL, kind: c_int, value: c_int) {
    if kind == sys::SSL_CB_HANDSHAKE_START {
        return guard((), || {
            // SAFETY: OpenSSL passes the SSL of the current call.
            if let Some(state) = unsafe { state(ssl) } {
                state.handshakes = state.handshakes.wrapping_add(1);
            }
        });
    }
    if kind != sys::SSL_CB_READ_ALERT && kind != sys::SSL_CB_WRITE_ALERT {
        return;
    }
    guard((), || {
        // SAFETY: OpenSSL passes the SSL of the current call.
        let Some(state) = (unsafe { state(ssl) }) else { return };
        if state.alerts.len() < MAX_ALERTS {
            let [.., level, description] = value.to_be_bytes();
            state.alerts.push(AlertRecord {
                sent: kind == sys::SSL_CB_WRITE_ALERT,
                fatal: level == 2,
                description,
            });
        }
    });
}

/// The SSL behind a verification.
///
/// # Safety
/// `ctx` must be the context that OpenSSL passed to the current callback.
unsafe fn ssl_of(ctx: *mut X509_STORE_CTX) -> *mut SSL {
    // SAFETY: no preconditions.
    let index = unsafe { openssl_sys::SSL_get_ex_data_X509_STORE_CTX_idx() };
    // SAFETY: the caller promises that the context is alive.
    unsafe { openssl_sys::X509_STORE_CTX_get_ex_data(ctx, index) }.cast()
}

/// Verifies the chain ([`verify`]) in OpenSSL's place, and then does what the core asked for beforehand.
pub(crate) unsafe extern "C" fn verify_chain(ctx: *mut X509_STORE_CTX, _arg: *mut c_void) -> c_int {
    guard(0, || {
        // SAFETY: OpenSSL passes the context of the verification that it has just prepared.
        let ssl = unsafe { ssl_of(ctx) };
        // SAFETY: the SSL of the current call.
        let Some(state) = (unsafe { state(ssl) }) else { return 0 };
        if let Some(answer) = state.verify_answer.take() {
            let code =
                answer.err().or_else(|| last_code(state.report.as_ref())).unwrap_or(openssl_sys::X509_V_OK);
            // SAFETY: as above.
            unsafe { openssl_sys::X509_STORE_CTX_set_error(ctx, code) };
            return c_int::from(answer.is_ok());
        }
        // SAFETY: as above.
        let on_verify = unsafe { run_verification(ctx, ssl) };
        // SAFETY: as above.
        unsafe { note_result(ctx, ssl) };
        match on_verify {
            Some((OnVerify::Record, _)) => 1,
            Some((OnVerify::Enforce, trusted)) => c_int::from(trusted),
            Some((OnVerify::Suspend, _)) => {
                // SAFETY: `ssl` is alive; the control takes no arguments.
                unsafe {
                    openssl_sys::SSL_ctrl(
                        ssl,
                        sys::SSL_CTRL_SET_RETRY_VERIFY,
                        0 as c_long,
                        std::ptr::null_mut(),
                    )
                };
                1
            }
            None => 0,
        }
    })
}

/// What OpenSSL keeps with the session as the result, and what picks the alert of a refusal.
///
/// # Safety
/// As for [`run_verification`].
unsafe fn note_result(ctx: *mut X509_STORE_CTX, ssl: *mut SSL) {
    // SAFETY: the caller's promise.
    let report = unsafe { state(ssl) }.and_then(|state| state.report.as_ref());
    let code = match report {
        Some(report) => last_code(Some(report)).unwrap_or(openssl_sys::X509_V_OK),
        None => openssl_sys::X509_V_ERR_UNSPECIFIED,
    };
    // SAFETY: the caller's promise.
    unsafe { openssl_sys::X509_STORE_CTX_set_error(ctx, code) };
}

fn last_code(report: Option<&VerifyReport>) -> Option<c_int> {
    report.and_then(|report| report.findings.last()).map(|finding| finding.code)
}

/// # Safety
/// `ctx` and `ssl` must belong to the current callback, and no reference to the state may be in use.
unsafe fn run_verification(ctx: *mut X509_STORE_CTX, ssl: *mut SSL) -> Option<(OnVerify, bool)> {
    // SAFETY: the caller's promise; so for the next three.
    let leaf = unsafe { sys::X509_STORE_CTX_get0_cert(ctx) };
    // SAFETY: null or alive during this call.
    let leaf = unsafe { Certificate::from_borrowed(leaf) }?;
    // SAFETY: the caller's promise.
    let untrusted = unsafe { sys::X509_STORE_CTX_get0_untrusted(ctx) };
    // SAFETY: the stack belongs to the context, which lives for this call.
    let presented = unsafe { certificate::certificates_of(untrusted) };
    // SAFETY: the caller's promise.
    let settings = unsafe { settings_of(ctx, ssl) };
    // SAFETY: the SSL of the current call.
    let state = unsafe { state(ssl) }?;
    let report = verify::verify_chain(state.trust.as_ref()?, &leaf, &presented, &settings);
    let trusted = report.findings.is_empty();
    state.report = Some(report);
    state.verifications = state.verifications.wrapping_add(1);
    Some((state.on_verify, trusted))
}

/// What OpenSSL itself would verify with.
///
/// # Safety
/// As for [`run_verification`].
unsafe fn settings_of(ctx: *mut X509_STORE_CTX, ssl: *mut SSL) -> VerifySettings {
    // SAFETY: the caller's promise; so for all below.
    let param = unsafe { sys::X509_STORE_CTX_get0_param(ctx) };
    // SAFETY: as above.
    let flags = unsafe { openssl_sys::X509_VERIFY_PARAM_get_flags(param) };
    // SAFETY: as above.
    let depth = unsafe { sys::X509_VERIFY_PARAM_get_depth(param) };
    // SAFETY: as above.
    let level = unsafe { openssl_sys::SSL_get_security_level(ssl) };
    // SAFETY: as above.
    let is_server = unsafe { openssl_sys::SSL_is_server(ssl) } == 1;
    VerifySettings {
        purpose: if is_server { Purpose::Client } else { Purpose::Server },
        security_level: level.unsigned_abs(),
        time: None,
        is_past_second: false,
        max_depth: u32::try_from(depth).ok(),
        flags,
    }
}
