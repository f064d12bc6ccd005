//! Test worlds of nodetls: throwaway certificates and connections in memory.

#![forbid(unsafe_code)]

pub mod pki;
