//! What a server does with peers that misbehave: time, processor, memory and descriptors, each against a bar.
//!
//! The server is a process of its own, nodetls on Tokio or a program that is named after `--` (see
//! `bench/npm/fault-server.cjs`). The bars are those of docs/security.md.

mod attacks;
mod server;
mod stream;

pub(crate) use server::run as run_server;

use crate::Outcome;
use attacks::Attacker;
use server::FaultServer;

/// How many peers of each kind come.
#[derive(Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) half_open: usize,
    pub(crate) mutated: usize,
    pub(crate) vanishing: usize,
    pub(crate) idle: usize,
    pub(crate) key_updates: usize,
}

impl Counts {
    pub(crate) const FULL: Self =
        Self { half_open: 2000, mutated: 2000, vanishing: 2000, idle: 5000, key_updates: 1000 };
    pub(crate) const QUICK: Self =
        Self { half_open: 50, mutated: 100, vanishing: 60, idle: 50, key_updates: 100 };
}

/// A figure and what it should be at most.
pub(crate) struct Finding {
    fault: &'static str,
    what: &'static str,
    figure: f64,
    bar: f64,
}

impl Finding {
    fn new(fault: &'static str, what: &'static str, figure: f64, bar: f64) -> Self {
        Self { fault, what, figure, bar }
    }
}

/// What is attacked.
pub(crate) struct Target {
    /// The command of a server; empty: this program's own.
    pub(crate) command: Vec<String>,
    /// KiB that an idle connection may cost it.
    pub(crate) idle_bar: f64,
    /// MiB that its memory may grow by while it meets handshakes that were changed on the way.
    pub(crate) mutation_bar: f64,
}

/// All faults, one after the other; the rows as text.
pub(crate) fn run(target: &Target, counts: Counts) -> Outcome<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (server, authority) = FaultServer::start(&target.command)?;
    let attacker = Attacker::new(&server, &authority)?;
    let mut findings = Vec::new();
    runtime.block_on(async {
        attacker.warm_up(counts.mutated / 4).await?;
        findings.extend(attacker.half_open(counts.half_open).await?);
        findings.extend(attacker.renegotiations().await?);
        findings.extend(attacker.key_updates(counts.key_updates).await?);
        findings.extend(attacker.mutations(counts.mutated, target.mutation_bar).await?);
        findings.extend(attacker.rubbish().await?);
        findings.extend(attacker.vanish_in_handshake(counts.vanishing).await?);
        findings.extend(attacker.vanish_in_transfer(counts.vanishing).await?);
        findings.extend(attacker.does_not_read().await?);
        findings.extend(attacker.idle(counts.idle, target.idle_bar).await?);
        Outcome::Ok(())
    })?;
    Ok(table(&findings))
}

fn table(findings: &[Finding]) -> String {
    let mut text = format!("{:40}{:48}{:>12}{:>10}\n", "fault", "figure", "measured", "at most");
    for Finding { fault, what, figure, bar } in findings {
        let verdict = if figure <= bar { "" } else { "  missed" };
        text.push_str(&format!("{fault:40}{what:48}{figure:12.2}{bar:10.2}{verdict}\n"));
    }
    text
}
