//! The Node-API addon of the npm package: it converts between JavaScript's values and the core's, and nothing else.
//!
//! Rules of TLS and of Node.js live in `nodetls-proto` and in `npm/lib`. No function here ever calls JavaScript while
//! it holds a connection; the only call is the one that tells which connections have had their work done.

#![deny(unsafe_code)]
#![expect(
    missing_debug_implementations,
    unnameable_types,
    unreachable_pub,
    reason = "JavaScript names the types; nothing in Rust imports this crate"
)]

mod agreement;
mod certificate;
mod connection;
mod context;
mod error;
mod event;
mod module;
mod options;
mod pool;
mod progress;
mod question;
