//! `cargo xtask ci`: every check that is not a test.

use crate::{Outcome, fence, machine, parity, process};

/// Runs all checks, also after one has failed. Only `--advisories` needs the network.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let advisories = match arguments {
        [] => false,
        ["--advisories"] => true,
        _ => return Err(vec!["ci knows only --advisories".to_owned()]),
    };
    machine::require(&[machine::BUILD])?;
    component("fmt", "rustfmt")?;
    component("clippy", "clippy")?;
    process::all([format(), fence::run(), parity::run(&[]), deny(advisories), clippy(), documentation()])
}

/// A minimal toolchain lacks some of its components.
fn component(subcommand: &str, name: &str) -> Outcome {
    if process::succeeds(process::cargo().args([subcommand, "--version"])) {
        return Ok(());
    }
    process::run(process::command("rustup").args(["component", "add", name]))
}

fn format() -> Outcome {
    process::run(process::cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Outcome {
    let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    process::run(process::cargo().args(arguments))
}

fn documentation() -> Outcome {
    let arguments = ["doc", "--workspace", "--no-deps", "--locked"];
    process::run(process::cargo().args(arguments).env("RUSTDOCFLAGS", "-D warnings"))
}

fn deny(advisories: bool) -> Outcome {
    if !process::succeeds(process::cargo().args(["deny", "--version"])) {
        process::run(process::cargo().args(["install", "--locked", "cargo-deny"]))?;
    }
    let mut command = process::cargo();
    command.args(["deny", "--workspace", "--locked", "check", "bans", "licenses", "sources"]);
    if advisories {
        command.arg("advisories");
    }
    process::run(&mut command)
}
