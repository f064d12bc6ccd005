//! Test worlds of nodetls: throwaway certificates and connections in memory.

#![forbid(unsafe_code)]

pub mod pair;
pub mod pki;

/// Whether a test must do without this program: `cargo xtask test` names in the variable `NODETLS_MISSING` what the
/// machine lacks. A test that needs the program then returns early, and the run says so at its end.
pub fn is_missing(program: &str) -> bool {
    let missing = std::env::var("NODETLS_MISSING").unwrap_or_default();
    missing.split(',').any(|name| name == program)
}
