//! Chains as authorities should not make them, and as attackers would: a corpus in tables, by the sections of RFC 5280.
//!
//! Where a connection can be asked as well, it is: one rule serves both.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod authorities;
mod constraints;
mod der;
mod draft;
mod extensions;
mod names;
mod paths;
mod revocation;
mod validity;
