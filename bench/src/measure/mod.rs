//! The measures, in the order of the table.

mod bulk;
mod handshake;
mod idle;

use std::io;

use nodetls_test::pki::{Authority, Identity, Leaf};
use tokio::runtime::Runtime;

use crate::Outcome;
use crate::args::Effort;
use crate::client::Client;
use crate::server_thread::LIMIT;
use crate::servers::{Groups, Implementation, Settings};
use crate::table::Row;

/// What all measures share: certificates and the client's runtime, which is that of the main thread.
struct World {
    authority: Authority,
    identity: Identity,
    runtime: Runtime,
}

impl World {
    fn new() -> Outcome<Self> {
        let authority = Authority::new("nodetls-bench");
        let identity = authority.issue(&Leaf::server("localhost"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { authority, identity, runtime })
    }

    /// Runs the client's part of a turn.
    fn play<T>(&self, client: impl Future<Output = io::Result<T>>) -> Outcome<T> {
        let bounded = async { tokio::time::timeout(LIMIT, client).await };
        Ok(self.runtime.block_on(bounded)??)
    }

    fn client(&self, groups: Groups) -> Outcome<Client> {
        Client::new(self.authority.pem(), groups)
    }

    fn settings(&self, groups: Groups, tickets: usize) -> Settings<'_> {
        Settings { identity: &self.identity, groups, tickets }
    }
}

/// Runs the measures that have `only` in their names; `announce` is told what comes next.
pub(crate) fn all(effort: &Effort, only: &str, announce: impl Fn(&str)) -> Outcome<Vec<Row>> {
    let world = World::new()?;
    let mut rows = Vec::new();
    let wanted = |name: &str| {
        let is_wanted = name.contains(only);
        if is_wanted {
            announce(name);
        }
        is_wanted
    };
    for measure in [bulk::Bulk::SEND_16, bulk::Bulk::SEND_256, bulk::Bulk::RECEIVE] {
        if wanted(measure.name()) {
            rows.extend(bulk::measure(&world, effort, measure)?);
        }
    }
    for measure in handshake::Handshake::ALL {
        if wanted(measure.name()) {
            rows.push(handshake::measure(&world, effort, measure)?);
        }
    }
    if wanted(idle::NAME) {
        rows.push(idle::measure(&world, effort)?);
    }
    Ok(rows)
}

/// Lets the implementations take turns, so that what disturbs the machine disturbs all of them.
fn in_turns<T>(
    rounds: usize,
    mut turn: impl FnMut(Implementation) -> Outcome<T>,
) -> Outcome<Vec<[T; Implementation::ALL.len()]>> {
    let [first, second, third] = Implementation::ALL;
    (0..rounds).map(|_| Ok([turn(first)?, turn(second)?, turn(third)?])).collect()
}
