//! The `nodetls` command: `demo` shows what the library does, `serve` puts TLS in front of an echo or a TCP service,
//! `connect` is a client for people and pipes, `verify` judges certificate chains.
//!
//! It turns arguments into options of the library and facts of a connection into text. No rule of TLS stands here.

#![forbid(unsafe_code)]

mod address;
mod args;
mod connect;
mod context;
mod demo;
mod describe;
mod failure;
mod files;
mod key_log;
mod output;
mod reload;
mod serve;
mod throwaway;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(command: &Command) -> Result<(), Failure> {
    if let Command::Verify(args) = command {
        return verify::run(args);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::io("start the runtime", error))?;
    let done = runtime.block_on(async {
        match command {
            Command::Demo(args) => demo::run(args).await,
            Command::Serve(args) => serve::run(args).await,
            Command::Connect(args) => connect::run(args).await,
            Command::Verify(args) => verify::run(args),
        }
    });
    // A thread may stand in a read of standard input for ever; it must not keep the program alive.
    runtime.shutdown_background();
    done
}
