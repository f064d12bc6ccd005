//! `cargo xtask test`: every test, after the machine has been made ready for it.
//!
//! Programs that are missing and cannot be installed do not fail the run: the tests that need them skip themselves by
//! the variable `NODETLS_MISSING`, and the last lines of the output name them.

use std::process::Command;

use crate::{Outcome, machine, process};

/// Names, separated by commas, of what the tests must do without.
const MISSING: &str = "NODETLS_MISSING";

/// The crates that can be linked against the system's OpenSSL.
const LIBRARIES: [&str; 3] = ["nodetls-openssl", "nodetls-proto", "nodetls"];

/// Which tests are asked for.
#[derive(Debug, PartialEq, Eq)]
struct Selection {
    rust: bool,
    npm: bool,
    system: bool,
}

impl Selection {
    fn parse(arguments: &[&str]) -> Result<Self, Vec<String>> {
        let unknown = arguments.iter().find(|argument| !["--rust", "--npm", "--system"].contains(argument));
        if let Some(argument) = unknown {
            return Err(vec![format!("test knows no argument {argument}")]);
        }
        let has = |flag| arguments.contains(&flag);
        let (both, system) = (has("--rust") == has("--npm"), has("--system"));
        if system && has("--npm") {
            return Err(vec!["the npm package is never built against the system's OpenSSL".to_owned()]);
        }
        Ok(Self { rust: both || has("--rust"), npm: !system && (both || has("--npm")), system })
    }
}

/// Runs the tests that the arguments select.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let selection = Selection::parse(arguments)?;
    let npm = selection.npm && process::root().join("npm/package.json").exists();
    machine::require(&[machine::BUILD])?;
    if selection.system {
        machine::require(&[machine::SYSTEM])?;
    }
    if npm {
        machine::require(&[machine::NPM])?;
    }
    let servers = if npm { machine::SERVERS } else { &[] };
    let missing = machine::prepare(&[machine::INTEROP, servers]);
    let rust = if selection.rust { rust(selection.system, &missing) } else { Ok(()) };
    let npm = if npm { self::npm(&missing) } else { Ok(()) };
    summarize(&missing);
    process::all([rust, npm])
}

fn rust(system: bool, missing: &[&str]) -> Outcome {
    let mut command = process::cargo();
    command.args(["test", "--locked"]);
    if system {
        command.arg("--no-default-features").args(LIBRARIES.iter().flat_map(|name| ["-p", name]));
        // Else the two builds of OpenSSL's bindings would evict each other.
        command.env("CARGO_TARGET_DIR", process::target_directory().join("system"));
    } else {
        command.arg("--workspace");
    }
    process::run(prepared(&mut command, missing))
}

fn npm(missing: &[&str]) -> Outcome {
    let directory = process::root().join("npm");
    for words in [&["ci"][..], &["test"], &["run", "test:versions"]] {
        let mut command = process::command("npm");
        process::run(prepared(command.args(words).current_dir(&directory), missing))?;
    }
    Ok(())
}

fn prepared<'a>(command: &'a mut Command, missing: &[&str]) -> &'a mut Command {
    if std::env::var_os("CI").is_some() {
        command.env("CARGO_INCREMENTAL", "0");
    }
    command.env(MISSING, missing.join(","))
}

fn summarize(missing: &[&str]) {
    for name in missing {
        println!("SKIPPED: every test that needs {name}, which is missing and could not be installed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_argument_selects_everything() {
        assert_eq!(Selection::parse(&[]), Ok(Selection { rust: true, npm: true, system: false }));
        assert_eq!(Selection::parse(&["--rust", "--npm"]), Selection::parse(&[]));
    }

    #[test]
    fn one_side_excludes_the_other() {
        assert_eq!(Selection::parse(&["--rust"]), Ok(Selection { rust: true, npm: false, system: false }));
        assert_eq!(Selection::parse(&["--npm"]), Ok(Selection { rust: false, npm: true, system: false }));
    }

    #[test]
    fn the_system_openssl_concerns_rust_only() {
        assert_eq!(Selection::parse(&["--system"]), Ok(Selection { rust: true, npm: false, system: true }));
        assert!(Selection::parse(&["--npm", "--system"]).is_err());
        assert!(Selection::parse(&["--sytem"]).is_err());
    }
}
