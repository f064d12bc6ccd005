//! OpenSSL's error queue as an owned value.

use std::fmt;

/// One entry of OpenSSL's error queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorEntry {
    /// The packed error number, as `openssl errstr` takes it in hexadecimal.
    pub number: u64,
    /// The library's number (`ERR_GET_LIB`).
    pub library_number: i32,
    /// The reason's number (`ERR_GET_REASON`).
    pub reason_number: i32,
    /// The library's name, such as `SSL routines`.
    pub library: Option<String>,
    /// The function that reported it.
    pub function: Option<String>,
    /// The reason's text, such as `wrong version number`.
    pub reason: Option<String>,
    /// What OpenSSL added to this one occurrence.
    pub data: Option<String>,
}

impl From<&openssl::error::Error> for ErrorEntry {
    fn from(error: &openssl::error::Error) -> Self {
        Self {
            number: error.code(),
            library_number: error.library_code(),
            reason_number: error.reason_code(),
            library: error.library().map(str::to_owned),
            function: error.function().map(|name| name.to_owned()),
            reason: error.reason().map(str::to_owned),
            data: error.data().map(str::to_owned),
        }
    }
}

impl fmt::Display for ErrorEntry {
    /// The form of `ERR_error_string(3)`: `error:0A00010B:SSL routines::wrong version number`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let library = self.library.as_deref().unwrap_or("unknown library");
        let function = self.function.as_deref().unwrap_or_default();
        let reason = self.reason.as_deref().unwrap_or("unknown reason");
        write!(out, "error:{:08X}:{library}:{function}:{reason}", self.number)
    }
}

/// What one failed call left in the thread's error queue, the cause first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorStack {
    entries: Vec<ErrorEntry>,
}

impl ErrorStack {
    /// Takes all that is in this thread's error queue.
    pub(crate) fn drain() -> Self {
        openssl::error::ErrorStack::get().into()
    }

    /// Empties this thread's error queue.
    pub(crate) fn clear() {
        // Clearing walks through all 16 slots; looking costs next to nothing, and there is hardly ever an error.
        // SAFETY: the function has no preconditions and only touches this thread's queue.
        if unsafe { openssl_sys::ERR_peek_last_error() } != 0 {
            // SAFETY: as above.
            unsafe { openssl_sys::ERR_clear_error() }
        }
    }

    /// The entries, the first one reported first.
    pub fn entries(&self) -> &[ErrorEntry] {
        &self.entries
    }

    /// The entry that names the cause: the first one reported.
    pub fn first(&self) -> Option<&ErrorEntry> {
        self.entries.first()
    }
}

impl From<openssl::error::ErrorStack> for ErrorStack {
    fn from(stack: openssl::error::ErrorStack) -> Self {
        Self { entries: stack.errors().iter().map(ErrorEntry::from).collect() }
    }
}

impl fmt::Display for ErrorStack {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entries.first() {
            Some(first) => first.fmt(out),
            None => out.write_str("OpenSSL reported a failure without a reason"),
        }
    }
}

impl std::error::Error for ErrorStack {}
