//! The client's part of the measures of JavaScript runtimes: `bench/npm/run.cjs` starts a server in some runtime, and this
//! as its peer. Not for people.
//!
//! The server's protocol: on each connection the first byte says what it is about. `h`: one byte back, then the
//! client's goodbye. `e`: everything comes back. `d` and a 64-bit count: that many bytes. `u` and a count: takes that
//! many bytes, then sends one.

use std::io::Read;
use std::net::SocketAddr;
use std::time::Instant;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use crate::Outcome;
use crate::client::Client;
use crate::hoard::Hoard;
use crate::payload::{Inspect, receive, send};
use crate::servers::Groups;

/// Clients at the same time where handshakes or echoes are counted.
const VISITORS: usize = 16;

/// The size of an echo.
const ECHO: usize = 64;

/// The tickets that every server sends after a full handshake.
const TICKETS: usize = 2;

/// What is done, and how often or how much.
pub(crate) struct Load {
    pub(crate) measure: Measure,
    pub(crate) address: SocketAddr,
    /// A file with the authority's certificate in PEM.
    pub(crate) authority: String,
    /// Handshakes, echoes, bytes or connections.
    pub(crate) count: usize,
    /// What the client offers to agree on keys with.
    pub(crate) groups: Groups,
}

/// The kinds of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    Full,
    /// As `Full`, but all at the same time: the connections are there, and then all clients begin.
    Burst,
    /// Two of three handshakes; the third is a full one, which brings two tickets. rustls uses a ticket once (RFC 8446 §C.4),
    /// and not every server (not Node.js's) gives another when it resumes.
    Resumed,
    Echo,
    Down,
    Up,
    Idle,
}

impl Measure {
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        match name {
            "full" => Some(Self::Full),
            "burst" => Some(Self::Burst),
            "resumed" => Some(Self::Resumed),
            "echo" => Some(Self::Echo),
            "down" => Some(Self::Down),
            "up" => Some(Self::Up),
            "idle" => Some(Self::Idle),
            _ => None,
        }
    }
}

/// Does it and prints the seconds that it took as JSON.
pub(crate) fn run(load: &Load) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = Client::new(&std::fs::read_to_string(&load.authority)?, load.groups)?;
    let started = Instant::now();
    runtime.block_on(async {
        match load.measure {
            Measure::Full | Measure::Resumed => handshakes(load, &client).await,
            Measure::Burst => burst(load, &client).await,
            Measure::Echo => echoes(load, &client).await,
            Measure::Down => down(load, &client).await,
            Measure::Up => up(load, &client).await,
            Measure::Idle => idle(load, &client).await,
        }
    })?;
    println!("{}", json!({ "seconds": started.elapsed().as_secs_f64() }));
    Ok(())
}

async fn handshakes(load: &Load, client: &Client) -> Outcome<()> {
    let mut visitors = JoinSet::new();
    for _ in 0..VISITORS {
        let (mut client, address, resumes) =
            (client.with_fresh_sessions(), load.address, load.measure == Measure::Resumed);
        let visits = load.count / VISITORS;
        visitors.spawn(async move {
            for index in 0..visits {
                let mut stream = if !resumes {
                    client.connect(address).await?
                } else if index % (1 + TICKETS) == 0 {
                    client = client.with_fresh_sessions();
                    client.connect_to_resume(address).await?
                } else {
                    client.resume(address).await?
                };
                visit(&mut stream).await?;
            }
            std::io::Result::Ok(())
        });
    }
    while let Some(ended) = visitors.join_next().await {
        ended??;
    }
    Ok(())
}

/// Has the server say something, so that the handshake is done for both.
async fn visit(stream: &mut TlsStream<Hoard>) -> std::io::Result<()> {
    stream.write_all(b"h").await?;
    stream.read_u8().await?;
    stream.shutdown().await
}

async fn burst(load: &Load, client: &Client) -> Outcome<()> {
    let mut connections = Vec::new();
    for _ in 0..load.count {
        connections.push(TcpStream::connect(load.address).await?);
    }
    let mut visitors = JoinSet::new();
    for tcp in connections {
        let client = client.with_fresh_sessions();
        visitors.spawn(async move { visit(&mut client.handshake(tcp).await?).await });
    }
    while let Some(ended) = visitors.join_next().await {
        ended??;
    }
    Ok(())
}

async fn echoes(load: &Load, client: &Client) -> Outcome<()> {
    let mut visitors = JoinSet::new();
    for _ in 0..VISITORS {
        let mut stream = begin(client, load.address, b'e', None).await?;
        let count = load.count / VISITORS;
        visitors.spawn(async move {
            let (message, mut back) = ([7; ECHO], [0; ECHO]);
            for _ in 0..count {
                stream.write_all(&message).await?;
                stream.read_exact(&mut back).await?;
            }
            stream.shutdown().await
        });
    }
    while let Some(ended) = visitors.join_next().await {
        ended??;
    }
    Ok(())
}

async fn down(load: &Load, client: &Client) -> Outcome<()> {
    let mut stream = begin(client, load.address, b'd', Some(load.count)).await?;
    receive(&mut stream, load.count, Inspect::Count).await?;
    Ok(stream.shutdown().await?)
}

async fn up(load: &Load, client: &Client) -> Outcome<()> {
    let mut stream = begin(client, load.address, b'u', Some(load.count)).await?;
    send(&mut stream, load.count, 64 << 10).await?;
    stream.read_u8().await?;
    Ok(stream.shutdown().await?)
}

/// Opens connections that have echoed once, and holds them until the standard input ends.
async fn idle(load: &Load, client: &Client) -> Outcome<()> {
    let mut streams = Vec::new();
    for _ in 0..load.count {
        let mut stream = begin(client, load.address, b'e', None).await?;
        stream.write_all(b"x").await?;
        stream.read_u8().await?;
        streams.push(stream);
    }
    println!("{}", json!({ "open": streams.len() }));
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

async fn begin(
    client: &Client,
    address: SocketAddr,
    what: u8,
    count: Option<usize>,
) -> std::io::Result<TlsStream<Hoard>> {
    let mut stream = client.connect(address).await?;
    stream.write_all(&[what]).await?;
    if let Some(count) = count {
        stream.write_all(&(count as u64).to_be_bytes()).await?;
    }
    Ok(stream)
}
