//! The peers that misbehave, and what becomes of them and of the server.

use std::time::{Duration, Instant};

use nodetls::{
    Connector, KeyUpdateRequest, ProtocolVersion, RenegotiateOptions, SecureContext, SecureContextOptions,
    TlsSocket,
};
use nodetls_test::pair::Random;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Finding;
use super::server::{FaultServer, LIMIT};
use super::stream::Tampered;
use crate::Outcome;

const KIB: f64 = 1024.0;
const MIB: f64 = KIB * KIB;

/// How long a connection that should end may take before it counts as one that hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many peers come at a time.
const CROWD: usize = 20;

pub(super) struct Attacker<'a> {
    server: &'a FaultServer,
    connector: Connector,
    connector_1_2: Connector,
}

fn connector(authority: &str, max_version: Option<ProtocolVersion>) -> Outcome<Connector> {
    let ca = Some(vec![authority.to_owned().into()]);
    // The groups that every server has; post-quantum ones cost each connection 4 KiB more.
    let ecdh_curve = Some("X25519:P-256".to_owned());
    let context =
        SecureContext::new(&SecureContextOptions { ca, max_version, ecdh_curve, ..Default::default() })?;
    Ok(Connector::new(&context).server_name("localhost"))
}

/// How long it takes until the other side ends the connection.
async fn time_until_end(mut tcp: TcpStream, since: Instant) -> f64 {
    let mut buffer = vec![0; 4096];
    let end = async { while matches!(tcp.read(&mut buffer).await, Ok(count) if count > 0) {} };
    // What hangs shows in the figure.
    let _ = timeout(PATIENCE, end).await;
    since.elapsed().as_secs_f64()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

impl<'a> Attacker<'a> {
    pub(super) fn new(server: &'a FaultServer, authority: &str) -> Outcome<Self> {
        let connector_1_2 = connector(authority, Some(ProtocolVersion::Tls1_2))?;
        Ok(Self { server, connector: connector(authority, None)?, connector_1_2 })
    }

    async fn tcp(&self) -> Outcome<TcpStream> {
        let tcp = TcpStream::connect(self.server.address()).await?;
        tcp.set_nodelay(true)?;
        Ok(tcp)
    }

    async fn connect(&self, connector: &Connector) -> Outcome<TlsSocket<TcpStream>> {
        Ok(connector.connect_over(self.tcp().await?).await?)
    }

    /// Connects and has a byte come back; how many milliseconds that takes.
    async fn good_client(&self) -> Outcome<f64> {
        let begun = Instant::now();
        let mut socket = self.connect(&self.connector).await?;
        echo(&mut socket).await?;
        Ok(begun.elapsed().as_secs_f64() * 1000.0)
    }

    /// So that pools, pages of code and compiled JavaScript do not count.
    pub(super) async fn warm_up(&self, count: usize) -> Outcome<()> {
        for _ in 0..count.max(50) {
            self.good_client().await?;
        }
        Ok(())
    }

    /// Waits until connections that have gone are gone in the server too.
    async fn settle(&self, descriptors: usize) -> Outcome<f64> {
        let begun = Instant::now();
        while self.server.descriptors()? > descriptors && begun.elapsed() < PATIENCE {
            sleep(Duration::from_millis(20)).await;
        }
        Ok(self.server.descriptors()? as f64 - descriptors as f64)
    }

    pub(super) async fn half_open(&self, count: usize) -> Outcome<Vec<Finding>> {
        const FAULT: &str = "half-open connections";
        let mut silent = JoinSet::new();
        for index in 0..count {
            let (tcp, begun) = (self.tcp().await?, Instant::now());
            let waiting = async move {
                if index.is_multiple_of(2) {
                    time_until_end(tcp, begun).await
                } else {
                    drip(tcp, begun).await
                }
            };
            silent.spawn(waiting);
        }
        let mut good = Vec::new();
        let begun = Instant::now();
        while begun.elapsed() < LIMIT - Duration::from_secs(1) {
            good.push(self.good_client().await?);
            sleep(Duration::from_millis(20)).await;
        }
        let cut = silent.join_all().await;
        let last = cut.into_iter().fold(0.0, f64::max);
        Ok(vec![
            Finding::new(FAULT, "the last one is cut after (s)", last, LIMIT.as_secs_f64() + 1.0),
            Finding::new(FAULT, "a good client meanwhile, median (ms)", median(good), 5.0),
        ])
    }

    pub(super) async fn renegotiations(&self) -> Outcome<Vec<Finding>> {
        let mut socket = self.connect(&self.connector_1_2).await?;
        let mut done = 0;
        while done < 100 && socket.renegotiate(RenegotiateOptions::default()).await.is_ok() {
            done += 1;
        }
        Ok(vec![Finding::new("renegotiation flood", "renegotiations before the cut", f64::from(done), 3.0)])
    }

    pub(super) async fn key_updates(&self, count: usize) -> Outcome<Vec<Finding>> {
        const FAULT: &str = "new keys, 1,000 times";
        let mut socket = self.connect(&self.connector).await?;
        echo(&mut socket).await?;
        let (memory, processor) = (self.server.memory()?, self.server.processor()?);
        for _ in 0..count {
            socket.update_keys(KeyUpdateRequest::Requested).await?;
            echo(&mut socket).await?;
        }
        let grown = self.server.memory()? - memory;
        let share = 1000.0 / count as f64;
        let spent = (self.server.processor()? - processor) * share;
        Ok(vec![
            Finding::new(FAULT, "the server's processor, with 1,000 echoes (ms)", spent, 150.0),
            Finding::new(FAULT, "memory (MiB)", grown / MIB, 0.8),
        ])
    }

    pub(super) async fn mutations(&self, count: usize, bar: f64) -> Outcome<Vec<Finding>> {
        const FAULT: &str = "mutated handshakes";
        let mut random = Random::new(11);
        let descriptors = self.server.descriptors()?;
        self.mutate(&mut random, count / 4).await?;
        self.settle(descriptors).await?;
        let memory = self.server.memory()?;
        self.mutate(&mut random, count - count / 4).await?;
        let left = self.settle(descriptors).await?;
        let grown = self.server.memory()? - memory;
        self.good_client().await?;
        Ok(vec![
            Finding::new(FAULT, "memory after the first quarter (MiB)", grown / MIB, bar),
            Finding::new(FAULT, "descriptors", left, 0.0),
        ])
    }

    async fn mutate(&self, random: &mut Random, count: usize) -> Outcome<()> {
        for _ in 0..count / CROWD {
            let mut crowd = JoinSet::new();
            for index in 0..CROWD {
                let tcp = Tampered::new(self.tcp().await?, random.next(700), 1 << random.next(8));
                let connector =
                    if index.is_multiple_of(2) { &self.connector } else { &self.connector_1_2 }.clone();
                crowd.spawn(async move {
                    let Ok(mut socket) = connector.connect_over(tcp).await else { return };
                    let _ = socket.write_all(b"e").await;
                    let _ = socket.read(&mut [0]).await;
                });
            }
            // A length that has grown makes the server wait for more.
            let _ = timeout(Duration::from_millis(300), crowd.join_all()).await;
        }
        Ok(())
    }

    pub(super) async fn rubbish(&self) -> Outcome<Vec<Finding>> {
        let sslv2 = [&[0x80, 0x2E, 1, 3, 1, 0, 0x15, 0, 0, 0, 0x10][..], &[7; 37]].concat();
        let kinds: [(&str, Vec<u8>); 6] = [
            ("garbage, closed after (s)", vec![0xAB; 500]),
            ("plain HTTP, closed after (s)", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
            ("a hello of SSL 2.0, closed after (s)", sslv2),
            ("an oversized record, closed after (s)", [&[22, 3, 1, 0xFF, 0xFF][..], &[1; 100]].concat()),
            (
                "an oversized message, closed after (s)",
                [&[22, 3, 1, 0x40, 0, 1, 0xFF, 0xFF, 0xFF][..], &[0; 99]].concat(),
            ),
            ("empty records, closed after (s)", [22, 3, 1, 0, 0].repeat(40)),
        ];
        let mut findings = Vec::new();
        for (what, bytes) in kinds {
            let mut tcp = self.tcp().await?;
            let begun = Instant::now();
            tcp.write_all(&bytes).await?;
            findings.push(Finding::new("no TLS at all", what, time_until_end(tcp, begun).await, 0.03));
        }
        Ok(findings)
    }

    pub(super) async fn vanish_in_handshake(&self, count: usize) -> Outcome<Vec<Finding>> {
        let vanish = async |index: usize| {
            let mut tcp = self.tcp().await?;
            // The beginning of a hello, or a whole record that is none.
            tcp.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..1 + index % 11]).await?;
            if index.is_multiple_of(2) {
                tcp.set_zero_linger()?;
            }
            Outcome::Ok(())
        };
        self.vanish("clients that vanish in the handshake", count, vanish).await
    }

    pub(super) async fn vanish_in_transfer(&self, count: usize) -> Outcome<Vec<Finding>> {
        let vanish = async |index: usize| {
            let mut socket = self.connect(&self.connector).await?;
            socket.write_all(b"d").await?;
            socket.flush().await?;
            let mut some = vec![0; 1000];
            socket.read_exact(&mut some).await?;
            if index.is_multiple_of(2) {
                socket.get_ref().set_zero_linger()?;
            }
            Outcome::Ok(())
        };
        self.vanish("clients that vanish in a transfer", count, vanish).await
    }

    async fn vanish(
        &self,
        fault: &'static str,
        count: usize,
        vanish: impl AsyncFn(usize) -> Outcome<()>,
    ) -> Outcome<Vec<Finding>> {
        let descriptors = self.server.descriptors()?;
        for index in 0..count / 2 {
            vanish(index).await?;
        }
        self.settle(descriptors).await?;
        let memory = self.server.memory()?;
        for index in 0..count {
            vanish(index).await?;
        }
        let left = self.settle(descriptors).await?;
        let each = (self.server.memory()? - memory) / count as f64;
        Ok(vec![
            Finding::new(fault, "descriptors", left, 0.0),
            Finding::new(fault, "memory for each (KiB)", each / KIB, 1.0),
        ])
    }

    pub(super) async fn does_not_read(&self) -> Outcome<Vec<Finding>> {
        let memory = self.server.memory()?;
        let mut socket = self.connect(&self.connector).await?;
        socket.write_all(b"d").await?;
        socket.flush().await?;
        // What there is to fill is filled in much less.
        sleep(Duration::from_secs(2)).await;
        let grown = self.server.memory()? - memory;
        Ok(vec![Finding::new(
            "a reader that does not read",
            "memory, of 1 GiB to be sent (MiB)",
            grown / MIB,
            1.6,
        )])
    }

    pub(super) async fn idle(&self, count: usize, bar: f64) -> Outcome<Vec<Finding>> {
        let mut sockets = Vec::with_capacity(count);
        let memory = self.server.memory()?;
        for _ in 0..count {
            let mut socket = self.connect(&self.connector).await?;
            echo(&mut socket).await?;
            sockets.push(socket);
        }
        let each = (self.server.memory()? - memory) / count as f64;
        Ok(vec![Finding::new("idle connections", "memory for each (KiB)", each / KIB, bar)])
    }
}

/// Sends a byte every second until the other side ends the connection.
async fn drip(mut tcp: TcpStream, begun: Instant) -> f64 {
    let hello = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
    for byte in hello {
        let read = timeout(Duration::from_secs(1), tcp.readable()).await;
        if read.is_ok() || tcp.write_all(&[byte]).await.is_err() {
            break;
        }
    }
    time_until_end(tcp, begun).await
}

async fn echo(socket: &mut TlsSocket<TcpStream>) -> Outcome<()> {
    socket.write_all(b"e").await?;
    socket.flush().await?;
    socket.read_exact(&mut [0]).await?;
    Ok(())
}
