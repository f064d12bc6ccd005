//! The command line.

use crate::Outcome;
use crate::faults::{Counts, Target};
use crate::load::{Load, Measure};
use crate::servers::{Groups, Implementation};

pub(crate) const USAGE: &str = "\
usage: nodetls-bench [--quick] [--json] [--only=PART]
       nodetls-bench faults [--quick] [-- COMMAND]

  faults        peers that misbehave, against nodetls or the server that the command starts
  --quick       a few seconds, every byte compared; the figures mean nothing
  --json        the rows as JSON instead of a table
  --only=PART   just the measures with this in their names";

/// What the program is asked to do.
pub(crate) enum Command {
    Measure {
        effort: Effort,
        format: Format,
        only: String,
    },
    /// Run as the client of a server in JavaScript; not for people.
    Load(Load),
    /// Run as the server of the measure of idle connections; not for people.
    IdleServer(Implementation),
    /// Peers that misbehave.
    Faults(Target, Counts),
    /// Run as the server that they meet; not for people.
    FaultServer,
    Help,
}

/// How the result is written.
pub(crate) enum Format {
    Table,
    Json,
}

/// How much is done.
pub(crate) struct Effort {
    /// How often each implementation has its turn.
    pub(crate) rounds: usize,
    /// Bytes that are transferred in a turn, a multiple of 4 MiB.
    pub(crate) bulk_bytes: usize,
    /// Handshakes in a turn, a multiple of 8.
    pub(crate) handshakes: usize,
    /// Connections that are opened in a turn of the idle measure.
    pub(crate) connections: usize,
    /// Whether every received byte is compared, not only those of the warm-up.
    pub(crate) compare_all: bool,
    /// Whether the figures are worth comparing with the bars.
    pub(crate) judged: bool,
}

impl Effort {
    const FULL: Self = Self {
        rounds: 9,
        bulk_bytes: 256 << 20,
        handshakes: 400,
        connections: 1000,
        compare_all: false,
        judged: true,
    };

    const QUICK: Self = Self {
        rounds: 2,
        bulk_bytes: 8 << 20,
        handshakes: 16,
        connections: 40,
        compare_all: true,
        judged: false,
    };
}

pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Outcome<Command> {
    let arguments: Vec<String> = arguments.collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["idle-server", name] = arguments[..] {
        let implementation = Implementation::by_name(name).ok_or_else(|| USAGE.to_owned())?;
        return Ok(Command::IdleServer(implementation));
    }
    if let ["load", measure, groups, address, authority, count] = arguments[..] {
        let measure = Measure::by_name(measure).ok_or_else(|| USAGE.to_owned())?;
        let groups = Groups::by_name(groups).ok_or_else(|| USAGE.to_owned())?;
        let (address, authority, count) = (address.parse()?, authority.to_owned(), count.parse()?);
        return Ok(Command::Load(Load { measure, groups, address, authority, count }));
    }
    if let ["fault-server"] = arguments[..] {
        return Ok(Command::FaultServer);
    }
    if let ["faults", rest @ ..] = &arguments[..] {
        return faults(rest);
    }
    let (mut effort, mut format, mut only) = (Effort::FULL, Format::Table, String::new());
    for argument in arguments {
        if let Some(part) = argument.strip_prefix("--only=") {
            part.clone_into(&mut only);
            continue;
        }
        match argument {
            "--quick" => effort = Effort::QUICK,
            "--json" => format = Format::Json,
            "--help" | "-h" => return Ok(Command::Help),
            _ => return Err(USAGE.into()),
        }
    }
    Ok(Command::Measure { effort, format, only })
}

fn faults(arguments: &[&str]) -> Outcome<Command> {
    let (counts, rest) = match arguments {
        ["--quick", rest @ ..] => (Counts::QUICK, rest),
        rest => (Counts::FULL, rest),
    };
    let command: Vec<String> = match rest {
        [] => Vec::new(),
        ["--", command @ ..] => command.iter().map(|word| (*word).to_owned()).collect(),
        _ => return Err(USAGE.into()),
    };
    // JavaScript's objects cost more, and its engine grows its heap as it likes. These are the figures of node:tls.
    let (idle_bar, mutation_bar) = if command.is_empty() { (25.0, 1.0) } else { (45.0, 19.0) };
    Ok(Command::Faults(Target { command, idle_bar, mutation_bar }, counts))
}
