//! Test worlds of nodetls: throwaway certificates and connections in memory.

#![forbid(unsafe_code)]

pub mod pair;
pub mod peers;
pub mod pki;
pub mod signer;
pub mod verdict;

/// Whether a test must do without this program: `cargo xtask test` names in the variable `NODETLS_MISSING` what the
/// machine lacks. A test that needs the program then returns early; this says so, and so does the run at its end.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so in its output")]
pub fn is_missing(program: &str) -> bool {
    let missing = std::env::var("NODETLS_MISSING").unwrap_or_default();
    let is_missing = missing.split(',').any(|name| name == program);
    if is_missing {
        println!("SKIPPED: {program} is missing");
    }
    is_missing
}
