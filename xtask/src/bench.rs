//! `cargo xtask bench`: the benchmark, in a release build; with `--npm` that of the npm package.

use crate::{Outcome, process};

/// Runs it with these arguments.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    match arguments {
        ["--npm", rest @ ..] => npm(rest),
        _ => process::run(program("run").arg("--").args(arguments)),
    }
}

/// The bench of the crates: cargo's command for it.
fn program(verb: &str) -> std::process::Command {
    let mut command = process::cargo();
    command.args([verb, "--release", "--locked", "-p", "nodetls-bench"]);
    command
}

/// Servers in JavaScript runtimes, against the clients of the other benchmark.
fn npm(arguments: &[&str]) -> Outcome {
    process::run(&mut program("build"))?;
    let directory = process::root().join("bench/npm");
    process::run(process::command("npm").arg("ci").current_dir(&directory))?;
    process::run(process::command("node").arg("scripts/build.js").current_dir(process::root().join("npm")))?;
    let load = process::target_directory().join("release/nodetls-bench");
    let mut run = process::command("node");
    process::run(run.arg("run.cjs").args(arguments).env("NODETLS_LOAD", load).current_dir(directory))
}
