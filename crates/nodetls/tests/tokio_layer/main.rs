//! The Tokio layer: sockets over every kind of transport, tasks that share one, decisions that come late, and clients
//! that are slow, wrong or gone.
//!
//! The transports are in memory where that is possible. Every wait has a time limit, which fails the test.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod callbacks;
mod cancellation;
mod client_callbacks;
mod connector;
mod data;
mod ends;
mod external_keys;
mod halves;
mod hostile;
mod limits;
mod psk;
mod renegotiation;
mod server_close;
mod transports;
mod types;
mod world;
