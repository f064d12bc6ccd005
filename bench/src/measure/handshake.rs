//! What a handshake costs the server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use super::{World, in_turns};
use crate::Outcome;
use crate::args::Effort;
use crate::client::Client;
use crate::hoard::Hoard;
use crate::payload::{expect_end, signal, wait_for_signal};
use crate::server_thread::ServerThread;
use crate::servers::{self, Acceptor, Groups};
use crate::stopwatch::{Elapsed, Stopwatch};
use crate::table::{Bar, Better, Row};

/// Clients at the same time, each with sessions of its own: enough to leave the server no time to sleep.
const VISITORS: usize = 8;

/// Handshakes of each client before the stopwatch starts; the first of them makes the session that the next resumes.
const WARM_UP: usize = 3;

/// Which handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    Full(Groups),
    Resumed,
}

impl Handshake {
    pub(super) const ALL: [Self; 3] =
        [Self::Full(Groups::Default), Self::Full(Groups::X25519), Self::Resumed];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Full(Groups::Default) => "full handshake, default groups",
            Self::Full(Groups::X25519) => "full handshake, X25519",
            Self::Resumed => "resumed handshake, X25519",
        }
    }

    fn groups(self) -> Groups {
        match self {
            Self::Full(groups) => groups,
            Self::Resumed => Groups::X25519,
        }
    }

    fn tickets(self) -> usize {
        match self {
            Self::Full(_) => 2,
            // What OpenSSL sends after a resumption in any case.
            Self::Resumed => 1,
        }
    }
}

pub(super) fn measure(world: &World, effort: &Effort, handshake: Handshake) -> Outcome<Row> {
    let client = world.client(handshake.groups())?;
    let settings = world.settings(handshake.groups(), handshake.tickets());
    let rounds = in_turns(effort.rounds, |implementation| {
        let elapsed =
            turn(world, &client, implementation.acceptor(&settings)?, handshake, effort.handshakes)?;
        Ok(elapsed.processor.as_secs_f64() * 1e6 / effort.handshakes as f64)
    })?;
    Ok(Row {
        measure: handshake.name(),
        unit: "CPU µs",
        better: Better::Less,
        rounds,
        bar: Some(Bar::RatioAtMost(1.0)),
    })
}

fn turn(
    world: &World,
    client: &Client,
    acceptor: Arc<dyn Acceptor>,
    handshake: Handshake,
    count: usize,
) -> Outcome<Elapsed> {
    let visits = count / VISITORS;
    let server = ServerThread::spawn(move |listener| serve(listener, acceptor, visits))?;
    let address = server.address();
    world.play(async {
        let mut visitors = JoinSet::new();
        for _ in 0..VISITORS {
            let client = client.with_fresh_sessions();
            visitors.spawn(async move {
                for index in 0..WARM_UP + visits {
                    visit(connect(&client, address, handshake, index).await?).await?;
                }
                Ok(())
            });
        }
        all_of(visitors).await
    })?;
    server.join()
}

async fn serve(listener: TcpListener, acceptor: Arc<dyn Acceptor>, visits: usize) -> io::Result<Elapsed> {
    serve_some(&listener, &acceptor, WARM_UP * VISITORS).await?;
    let stopwatch = Stopwatch::start();
    serve_some(&listener, &acceptor, visits * VISITORS).await?;
    Ok(stopwatch.stop())
}

/// A task for each connection, as servers do it: handshake, one byte, the client's goodbye.
async fn serve_some(listener: &TcpListener, acceptor: &Arc<dyn Acceptor>, count: usize) -> io::Result<()> {
    let mut connections = JoinSet::new();
    for _ in 0..count {
        let (tcp, _) = listener.accept().await?;
        let acceptor = Arc::clone(acceptor);
        connections.spawn(async move {
            let mut stream = servers::accept(tcp, &*acceptor).await?;
            signal(&mut *stream).await?;
            expect_end(&mut *stream).await
        });
    }
    all_of(connections).await
}

async fn all_of(mut tasks: JoinSet<io::Result<()>>) -> io::Result<()> {
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

async fn connect(
    client: &Client,
    address: SocketAddr,
    handshake: Handshake,
    index: usize,
) -> io::Result<TlsStream<Hoard>> {
    match handshake {
        Handshake::Full(_) => client.connect(address).await,
        Handshake::Resumed if index == 0 => client.connect_to_resume(address).await,
        Handshake::Resumed => client.resume(address).await,
    }
}

/// The byte comes after the tickets, so they have been received when this is over.
async fn visit(mut stream: TlsStream<Hoard>) -> io::Result<()> {
    wait_for_signal(&mut stream).await?;
    stream.shutdown().await
}
