//! C return conventions, made a `Result` once.

use libc::{c_int, c_long};

use crate::ErrorStack;

/// `1` is success; every other value is failure with the reason in the error queue.
pub(crate) fn one(value: c_int) -> Result<(), ErrorStack> {
    if value == 1 { Ok(()) } else { Err(ErrorStack::drain()) }
}

/// As [`one`], for the `*_ctrl` family, which returns `long`.
pub(crate) fn one_long(value: c_long) -> Result<(), ErrorStack> {
    if value == 1 { Ok(()) } else { Err(ErrorStack::drain()) }
}

/// A null pointer is failure; OpenSSL never returns null for success where this is used.
pub(crate) fn non_null<T>(pointer: *mut T) -> Result<std::ptr::NonNull<T>, ErrorStack> {
    std::ptr::NonNull::new(pointer).ok_or_else(ErrorStack::drain)
}
