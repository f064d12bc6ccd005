//! Every question with every way of dealing with it: the handshake completes, or fails with a documented code.
//!
//! Pre-shared keys of TLS 1.2, which cannot be declined, have `psk/questions.rs`.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod choices;
mod stops;
mod table;
mod withheld;
