//! nodetls against tokio-openssl (the same OpenSSL below) and tokio-rustls (on aws-lc): one command, one table.
//!
//! ```text
//! cargo run --release -p nodetls-bench -- [--quick] [--json] [--only=PART]
//! cargo xtask bench [--quick] [--json] [--only=PART]
//! ```
//!
//! # What is measured
//!
//! Always the server. Its peer is the same in every run, a tokio-rustls client, so that nothing but the server under
//! test differs. Server and client talk over TCP on the loopback interface, TLS 1.3 with `TLS_AES_128_GCM_SHA256`, an
//! ECDSA P-256 certificate which the client verifies, and `TCP_NODELAY`. The server runs on a thread and a
//! single-threaded runtime of its own; what it costs is the processor time of that thread, the kernel's share included.
//!
//! - **send**: the server writes in pieces of 16 KiB or 256 KiB. **receive**: it reads into 64 KiB. Both in MiB per
//!   second of the server's processor time, and per second on the clock. The client encrypts beforehand and decrypts
//!   afterwards, in batches, so that the server never waits for it: a server that is woken for every record would be measured
//!   asleep, and the faster it is, the worse it would look.
//! - **full handshake**: accept, handshake, two tickets, one byte, close, for eight clients at the same time. Once with
//!   each implementation's default groups for clients that offer `X25519MLKEM768` first, once with X25519 alone, so that
//!   like is compared with like.
//! - **resumed handshake**: the same with a ticket of the connection before, X25519 and one new ticket. The client fails
//!   the run when its session was not resumed.
//! - **idle connection**: by how much the anonymous memory of a server process grows for each connection that waits for
//!   data after a small echo. The connections opened first do not count.
//!
//! # How to read it
//!
//! The implementations take turns within each round, so that what disturbs the machine disturbs all of them. A cell is
//! the median of all rounds, with the lowest and the highest in brackets. A ratio is the median of the rounds' own
//! ratios. Where there is a bar, the last column says whether it is met; the exit status does not depend on it. The
//! machine should do nothing else meanwhile; it takes two cores.
//!
//! `--quick` compares every received byte and only shows that everything works: its figures mean nothing.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark reports on its output")]

mod args;
mod client;
mod faults;
mod hoard;
mod idle_server;
mod load;
mod measure;
mod payload;
mod server_thread;
mod servers;
mod stopwatch;
mod table;

use std::process::ExitCode;

use crate::args::{Command, Format};

/// What an operation comes to; errors end the program.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let done = args::parse(std::env::args().skip(1)).and_then(run);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Outcome<()> {
    match command {
        Command::Measure { effort, format, only } => {
            let rows = measure::all(&effort, &only, |measure| eprintln!("measuring: {measure}"))?;
            match format {
                Format::Table => print!("{}", table::text(&rows, effort.judged)),
                Format::Json => println!("{}", table::json(&rows, effort.judged)),
            }
            Ok(())
        }
        Command::IdleServer(implementation) => idle_server::run(implementation),
        Command::Load(load) => load::run(&load),
        Command::Faults(target, counts) => {
            print!("{}", faults::run(&target, counts)?);
            Ok(())
        }
        Command::FaultServer => faults::run_server(),
        Command::Help => {
            println!("{}", args::USAGE);
            Ok(())
        }
    }
}
