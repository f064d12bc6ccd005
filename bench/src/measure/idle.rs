//! What a connection costs a server's memory while nothing happens on it.

use std::io;
use std::net::SocketAddr;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_rustls::client::TlsStream;

use super::{World, in_turns};
use crate::Outcome;
use crate::args::Effort;
use crate::client::Client;
use crate::hoard::Hoard;
use crate::idle_server::IdleServer;
use crate::payload::{signal, wait_for_signal};
use crate::servers::{Groups, Implementation};
use crate::table::{Bar, Better, Row};

pub(super) const NAME: &str = "idle connection";

/// Rounds: memory is not disturbed by what else the machine does, so more would only repeat themselves.
const MAX_ROUNDS: usize = 3;

/// One in this many connections more is opened beforehand, so that pools and pages of code do not count.
const WARM_UP_SHARE: usize = 5;

/// Descriptors that the program needs besides connections.
const OTHER_DESCRIPTORS: u64 = 100;

pub(super) fn measure(world: &World, effort: &Effort) -> Outcome<Row> {
    let warm_up = effort.connections / WARM_UP_SHARE;
    require_descriptors((effort.connections + warm_up) as u64 + OTHER_DESCRIPTORS)?;
    let client = world.client(Groups::X25519)?;
    let rounds = in_turns(effort.rounds.min(MAX_ROUNDS), |implementation| {
        turn(world, &client, implementation, warm_up, effort.connections)
    })?;
    Ok(Row {
        measure: NAME,
        unit: "bytes",
        better: Better::Less,
        rounds,
        // The project's bar is 24 KB.
        bar: Some(Bar::Below(24_000.0)),
    })
}

/// The number of bytes for each of `count` connections.
fn turn(
    world: &World,
    client: &Client,
    implementation: Implementation,
    warm_up: usize,
    count: usize,
) -> Outcome<f64> {
    let server = IdleServer::start(implementation, &world.identity)?;
    world.play(async {
        let mut connections = Vec::with_capacity(warm_up + count);
        open(client, server.address(), warm_up, &mut connections).await?;
        let before = server.anonymous_memory()?;
        open(client, server.address(), count, &mut connections).await?;
        let after = server.anonymous_memory()?;
        Ok(after.saturating_sub(before) as f64 / count as f64)
    })
}

/// Opens connections one after the other, each with an echo of one byte.
async fn open(
    client: &Client,
    address: SocketAddr,
    count: usize,
    connections: &mut Vec<TlsStream<Hoard>>,
) -> io::Result<()> {
    for _ in 0..count {
        let mut connection = client.connect(address).await?;
        signal(&mut connection).await?;
        wait_for_signal(&mut connection).await?;
        connections.push(connection);
    }
    Ok(())
}

/// Raises the soft limit of open files as far as needed; the server inherits it.
fn require_descriptors(count: u64) -> Outcome<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < count) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum: limit.maximum })
            .map_err(|error| format!("{count} open files are needed: {error}"))?;
    }
    Ok(())
}
