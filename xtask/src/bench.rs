//! `cargo xtask bench`: the benchmark, in a release build.

use crate::{Outcome, process};

/// Runs it with these arguments.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let mut command = process::cargo();
    command.args(["run", "--release", "--locked", "-p", "nodetls-bench", "--"]).args(arguments);
    process::run(&mut command)
}
