//! `cargo xtask COMMAND`: what continuous integration and people run alike.
//!
//! One file a command, standard library only, so that it builds in a second or two on a machine that has nothing yet.

#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program reports on its output"
)]

mod bench;
mod ci;
mod fence;
mod lexer;
mod machine;
mod parity;
mod process;
mod test;

use std::process::ExitCode;

/// What a command comes to: nothing, or the sentences that say what is wrong.
type Outcome = Result<(), Vec<String>>;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--rust | --npm] [--system]    all tests; --system: the libraries against the system's OpenSSL
  ci [--advisories]                   formatting, lints, licences, documentation, fence and parity
  fence                               unsafe code stays in crates/nodetls-openssl
  parity [--complete [rust | js]]     docs/ against the list of entries and the tests it names
  bench [ARGUMENTS…]                  the benchmark in a release build
  bench --faults [--npm]              what peers that misbehave cost a server";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(errors) => {
            for error in &errors {
                eprintln!("error: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[&str]) -> Outcome {
    match arguments {
        ["test", rest @ ..] => test::run(rest),
        ["ci", rest @ ..] => ci::run(rest),
        ["fence"] => fence::run(),
        ["parity", rest @ ..] => parity::run(rest),
        ["bench", rest @ ..] => bench::run(rest),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => Err(vec![USAGE.to_owned()]),
    }
}
