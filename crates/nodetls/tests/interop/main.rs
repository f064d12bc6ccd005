//! Connections with programs that nobody here wrote, in both directions.
//!
//! A program that the machine lacks is skipped where the variable `NODETLS_MISSING` says so; otherwise its absence is
//! a failure.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bulk;
mod clients;
mod exporters;
mod psk;
mod refusals;
mod renegotiation;
mod resumption;
mod rustls_peer;
mod servers;
mod world;
