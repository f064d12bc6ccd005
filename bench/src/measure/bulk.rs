//! Throughput in one direction, of the server.

use std::io;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio_rustls::client::TlsStream;

use super::{World, in_turns};
use crate::Outcome;
use crate::args::Effort;
use crate::client::Client;
use crate::hoard::Hoard;
use crate::payload::{Inspect, receive, send, signal, wait_for_signal};
use crate::server_thread::ServerThread;
use crate::servers::{self, Acceptor, Groups, Stream};
use crate::stopwatch::{Elapsed, Stopwatch};
use crate::table::{Bar, Better, Row};

/// Bytes that are transferred, and compared, before the stopwatch starts.
const WARM_UP: usize = 2 << 20;

/// Bytes that are sent at a stretch. The buffers of the two sockets have room for them, so that nobody is woken.
const SEND_BATCH: usize = 512 << 10;

/// Bytes that are received at a stretch; few enough for the processor's caches.
const RECEIVE_BATCH: usize = 4 << 20;

/// How long the client waits for a batch to be sent before it receives all the same: the buffers may be small.
const PATIENCE: Duration = Duration::from_millis(5);

/// The size of the client's writes.
const CLIENT_PIECE: usize = 64 << 10;

/// What the server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bulk {
    /// It writes pieces of this many bytes.
    Send(usize),
    Receive,
}

impl Bulk {
    pub(super) const SEND_16: Self = Self::Send(16 << 10);
    pub(super) const SEND_256: Self = Self::Send(256 << 10);
    pub(super) const RECEIVE: Self = Self::Receive;

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SEND_16 => "send, 16 KiB writes",
            Self::Send(_) => "send, 256 KiB writes",
            Self::Receive => "receive",
        }
    }

    fn batch(self) -> usize {
        match self {
            Self::Send(_) => SEND_BATCH,
            Self::Receive => RECEIVE_BATCH,
        }
    }
}

/// What is transferred after the warm-up, in batches.
#[derive(Clone, Copy, Debug)]
struct Transfer {
    bulk: Bulk,
    batches: usize,
    inspect: Inspect,
}

/// Two rows: by processor time and by the clock.
pub(super) fn measure(world: &World, effort: &Effort, bulk: Bulk) -> Outcome<[Row; 2]> {
    let inspect = if effort.compare_all { Inspect::Compare } else { Inspect::Count };
    let transfer = Transfer { bulk, batches: effort.bulk_bytes / bulk.batch(), inspect };
    let client = world.client(Groups::X25519)?;
    let rounds = in_turns(effort.rounds, |implementation| {
        let acceptor = implementation.acceptor(&world.settings(Groups::X25519, 2))?;
        turn(world, &client, acceptor, transfer)
    })?;
    let row = |unit, time: fn(&Elapsed) -> Duration, bar| Row {
        measure: bulk.name(),
        unit,
        better: Better::More,
        rounds: rounds.iter().map(|round| round.each_ref().map(|turn| rate(effort, time(turn)))).collect(),
        bar,
    };
    Ok([
        row("MiB per CPU second", |elapsed| elapsed.processor, Some(Bar::RatioAtLeast(1.1))),
        row("MiB per second", |elapsed| elapsed.clock, None),
    ])
}

fn rate(effort: &Effort, time: Duration) -> f64 {
    let mebibytes = (effort.bulk_bytes >> 20) as f64;
    mebibytes / time.as_secs_f64()
}

fn turn(world: &World, client: &Client, acceptor: Arc<dyn Acceptor>, transfer: Transfer) -> Outcome<Elapsed> {
    let (batch_done, batches_done) = mpsc::channel();
    let server = ServerThread::spawn(move |listener| async move {
        let mut stream = servers::accept(listener.accept().await?.0, &*acceptor).await?;
        serve(&mut *stream, transfer, &batch_done).await
    })?;
    world.play(async {
        let mut stream = client.connect(server.address()).await?;
        play_client(&mut stream, transfer, &batches_done).await
    })?;
    server.join()
}

async fn serve(
    stream: &mut dyn Stream,
    transfer: Transfer,
    batch_done: &mpsc::Sender<()>,
) -> io::Result<Elapsed> {
    match transfer.bulk {
        Bulk::Send(piece) => send(stream, WARM_UP, piece).await?,
        Bulk::Receive => receive(stream, WARM_UP, Inspect::Compare).await?,
    }
    let mut elapsed = Elapsed::default();
    for _ in 0..transfer.batches {
        signal(stream).await?;
        wait_for_signal(stream).await?;
        let stopwatch = Stopwatch::start();
        match transfer.bulk {
            Bulk::Send(piece) => send(stream, SEND_BATCH, piece).await?,
            Bulk::Receive => receive(stream, RECEIVE_BATCH, transfer.inspect).await?,
        }
        elapsed += stopwatch.stop();
        // Without a receiver the client has failed, which is where the error is reported.
        let _ = batch_done.send(());
    }
    signal(stream).await?;
    Ok(elapsed)
}

async fn play_client(
    stream: &mut TlsStream<Hoard>,
    transfer: Transfer,
    batches_done: &mpsc::Receiver<()>,
) -> io::Result<()> {
    match transfer.bulk {
        Bulk::Send(_) => receive(stream, WARM_UP, Inspect::Compare).await?,
        Bulk::Receive => send(stream, WARM_UP, CLIENT_PIECE).await?,
    }
    for _ in 0..transfer.batches {
        wait_for_signal(stream).await?;
        match transfer.bulk {
            Bulk::Send(_) => {
                signal(stream).await?;
                // The thread itself is blocked, so that nothing the server sends has to wake it.
                let _ = batches_done.recv_timeout(PATIENCE);
                stream.get_mut().0.receive_ahead(SEND_BATCH).await?;
                receive(stream, SEND_BATCH, Inspect::Compare).await?;
            }
            Bulk::Receive => {
                stream.get_mut().0.hold_back();
                signal(stream).await?;
                send(stream, RECEIVE_BATCH, CLIENT_PIECE).await?;
                stream.get_mut().0.let_go().await?;
            }
        }
    }
    wait_for_signal(stream).await
}
