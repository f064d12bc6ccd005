//! `cargo xtask bench`: the benchmark, in a release build; with `--npm` that of the npm package, with `--faults` what
//! peers that misbehave cost a server of either (`--faults --npm`).

use crate::{Outcome, process};

/// Runs it with these arguments.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    match arguments {
        ["--faults", "--npm", rest @ ..] => faults_of_npm(rest),
        ["--faults", rest @ ..] => process::run(program("run").args(["--", "faults"]).args(rest)),
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
    build_addon()?;
    let load = process::target_directory().join("release/nodetls-bench");
    let mut run = process::command("node");
    process::run(run.arg("run.cjs").args(arguments).env("NODETLS_LOAD", load).current_dir(directory))
}

/// The same peers, against a server in JavaScript.
fn faults_of_npm(arguments: &[&str]) -> Outcome {
    build_addon()?;
    let server = process::root().join("bench/npm/fault-server.cjs");
    let mut run = program("run");
    run.args(["--", "faults"]).args(arguments).args(["--", "node", "--expose-gc"]);
    process::run(run.arg(server).arg(process::root().join("npm")))
}

fn build_addon() -> Outcome {
    process::run(process::command("node").arg("scripts/build.js").current_dir(process::root().join("npm")))
}
