//! A BIO over a connection's own buffers: one copy in, one copy out, no socket.
//!
//! See `BIO_meth_new(3)`. The memory BIO of OpenSSL would do, but costs a third of the throughput.

use std::ptr::NonNull;
use std::sync::OnceLock;

use libc::{c_char, c_int, c_long, c_void};
use openssl_sys::{BIO, BIO_METHOD};

use crate::callbacks::guard;
use crate::record_writer::{self, RecordWriter};
use crate::result::non_null;
use crate::state::State;
use crate::{ErrorStack, sys, trace};

/// `BIO_s_mem(3)` and its like: a BIO at the end of a chain.
const BIO_TYPE_SOURCE_SINK: c_int = 0x0400;

struct Method(*mut BIO_METHOD);

// SAFETY: a BIO_METHOD is written only while it is made; afterwards every thread just reads it.
unsafe impl Send for Method {}
// SAFETY: as above.
unsafe impl Sync for Method {}

fn method() -> *const BIO_METHOD {
    static METHOD: OnceLock<Method> = OnceLock::new();
    METHOD.get_or_init(new_method).0
}

fn new_method() -> Method {
    // SAFETY: no preconditions.
    let index = unsafe { sys::BIO_get_new_index() };
    // SAFETY: the name is a C string that lives for ever.
    let method = unsafe { openssl_sys::BIO_meth_new(index | BIO_TYPE_SOURCE_SINK, c"nodetls".as_ptr()) };
    assert!(!method.is_null(), "OpenSSL is out of memory");
    // SAFETY: `method` was made above and is not shared yet; so for the next three calls.
    unsafe { openssl_sys::BIO_meth_set_write__fixed_rust(method, Some(write)) };
    // SAFETY: as above.
    unsafe { openssl_sys::BIO_meth_set_read__fixed_rust(method, Some(read)) };
    // SAFETY: as above.
    unsafe { openssl_sys::BIO_meth_set_ctrl__fixed_rust(method, Some(ctrl)) };
    Method(method)
}

/// A BIO that reads from the state's input and writes to its output.
///
/// The caller hands it to an `SSL`, which frees it; the state must outlive that `SSL`.
pub(crate) fn new(state: NonNull<State>) -> Result<NonNull<BIO>, ErrorStack> {
    // SAFETY: the method lives for ever.
    let bio = non_null(unsafe { openssl_sys::BIO_new(method()) })?;
    // SAFETY: the BIO was made above; the pointer is only stored.
    unsafe { openssl_sys::BIO_set_data(bio.as_ptr(), state.as_ptr().cast()) };
    // SAFETY: as above.
    unsafe { openssl_sys::BIO_set_init(bio.as_ptr(), 1) };
    Ok(bio)
}

/// The state behind a BIO.
///
/// # Safety
/// `bio` must come from [`new`], and no other reference to its state may be alive while the result is used.
unsafe fn state<'a>(bio: *mut BIO) -> &'a mut State {
    // SAFETY: the caller promises that the BIO is ours.
    let data = unsafe { openssl_sys::BIO_get_data(bio) };
    // SAFETY: `new` stored a pointer that outlives the BIO, and the caller promises exclusive use.
    unsafe { &mut *data.cast::<State>() }
}

unsafe extern "C" fn write(bio: *mut BIO, data: *const c_char, length: c_int) -> c_int {
    guard(-1, || {
        let Some(length) = usize::try_from(length).ok().filter(|length| *length > 0) else { return 0 };
        // SAFETY: OpenSSL passes `length` readable bytes that nobody changes during this call.
        let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) };
        // SAFETY: OpenSSL calls this for our BIO while the owner, inside an OpenSSL call, holds no reference.
        let state = unsafe { state(bio) };
        let Ok(written) = state.write(bytes) else { return -1 };
        if let (Some(written), Some(ssl)) = (written, state.traced) {
            // SAFETY: this SSL calls us, and the reference to its state is not used any more.
            unsafe { trace::record(ssl, &written) };
        }
        length as c_int
    })
}

unsafe extern "C" fn read(bio: *mut BIO, data: *mut c_char, length: c_int) -> c_int {
    guard(-1, || {
        let Some(length) = usize::try_from(length).ok().filter(|length| *length > 0) else { return 0 };
        // SAFETY: as in `write`.
        let State { input, lent, .. } = unsafe { state(bio) };
        let mut count = length.min(input.as_slice().len());
        // SAFETY: OpenSSL passes its own record buffer with room for `length` bytes, which never overlaps ours.
        unsafe { std::ptr::copy_nonoverlapping(input.as_slice().as_ptr(), data.cast::<u8>(), count) };
        input.consume(count);
        if count == 0 {
            // SAFETY: as above; `Ssl::read` borrows the bytes while OpenSSL runs.
            count = unsafe { lent.take(data.cast::<u8>(), length) };
        }
        // SAFETY: `bio` is the BIO of this call.
        unsafe { openssl_sys::BIO_clear_retry_flags(bio) };
        if count > 0 {
            return count as c_int;
        }
        // No byte is there *now*; whether one can still come is the core's business, not OpenSSL's. So the end of
        // the stream never looks like an error here, and a truncated connection keeps its session.
        // SAFETY: as above.
        unsafe { openssl_sys::BIO_set_retry_read(bio) };
        -1
    })
}

unsafe extern "C" fn ctrl(bio: *mut BIO, command: c_int, number: c_long, pointer: *mut c_void) -> c_long {
    guard(0, || match command {
        // A write is complete when it returns.
        openssl_sys::BIO_CTRL_FLUSH => 1,
        sys::BIO_CTRL_SET_KTLS if record_writer::IS_AVAILABLE && number == 1 && !pointer.is_null() => {
            // SAFETY: on Linux, to which this branch belongs, OpenSSL passes the kernel's structure.
            let writer = unsafe { RecordWriter::from_crypto_info(pointer) };
            let is_taken = writer.is_some();
            if is_taken {
                // SAFETY: as in `write`.
                unsafe { state(bio) }.writer = writer;
            }
            c_long::from(is_taken)
        }
        sys::BIO_CTRL_SET_KTLS_TX_SEND_CTRL_MSG => {
            // SAFETY: as in `write`.
            unsafe { state(bio) }.content_type = u8::try_from(number).ok();
            1
        }
        // Everything else is not supported, which 0 says.
        _ => 0,
    })
}
