//! `cargo xtask ci`: every check that is not a test.

use crate::{Outcome, fence, machine, parity, process};

/// Runs all checks, also after one has failed. Only `--advisories` needs the network.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let advisories = match arguments {
        [] => false,
        ["--advisories"] => true,
        _ => return Err(vec!["ci knows only --advisories".to_owned()]),
    };
    machine::require(&[machine::BUILD, machine::NPM])?;
    component("fmt", "rustfmt")?;
    component("clippy", "clippy")?;
    process::all([
        format(),
        fence::run(),
        parity::run(&[]),
        deny(advisories),
        clippy(),
        documentation(),
        javascript(),
    ])
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
    // The addon has no test target: as one, it would lack what its macros register.
    let others = ["--workspace", "--exclude", "nodetls-napi", "--all-targets"];
    let run = |selection: &[&str]| {
        let mut command = process::cargo();
        process::run(command.arg("clippy").args(selection).args(["--locked", "--", "-D", "warnings"]))
    };
    process::all([run(&others), run(&["-p", "nodetls-napi"])])
}

/// The package's own checks: formatting and mistakes, and the types of its JavaScript.
fn javascript() -> Outcome {
    let directory = process::root().join("npm");
    let npm = |words: &[&str]| process::run(process::command("npm").args(words).current_dir(&directory));
    npm(&["ci"])?;
    process::all([npm(&["run", "lint"]), npm(&["run", "check-types"])])
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
