//! Pre-shared keys in both versions: who is asked what and when, what the answers do, and what they must never do.
//!
//! The questions of TLS 1.3 also stand in the table of `questions/table.rs`.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod handshakes;
mod questions;
mod sessions;
mod strange_peers;
mod world;
