//! The bytes that are transferred, and how both ends send and receive them.

use std::io;
use std::sync::OnceLock;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// After how many bytes the payload repeats itself.
const PERIOD: usize = 1 << 20;

/// The size of the buffer that is read into.
const READ: usize = 64 << 10;

/// What is done with received bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inspect {
    /// Compare them with what must have been sent.
    Compare,
    /// Only count them, so that the comparison does not become part of what is measured.
    Count,
}

/// One period, and its beginning once more, so that every piece up to [`READ`] bytes is in one place.
fn payload() -> &'static [u8] {
    static PAYLOAD: OnceLock<Vec<u8>> = OnceLock::new();
    PAYLOAD.get_or_init(|| {
        // A linear congruential generator: nothing that the path could compress or repeat by accident.
        let next = |state: &u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        let mut bytes: Vec<u8> =
            std::iter::successors(Some(1), next).take(PERIOD).map(|state| state.to_be_bytes()[0]).collect();
        bytes.extend_from_within(..READ);
        bytes
    })
}

/// Sends `total` bytes, `piece` at a time; both are powers of two.
pub(crate) async fn send<S>(stream: &mut S, total: usize, piece: usize) -> io::Result<()>
where
    S: AsyncWrite + Unpin + ?Sized,
{
    let payload = payload();
    let mut sent = 0;
    while sent < total {
        let start = sent % PERIOD;
        let count = piece.min(total - sent);
        stream.write_all(&payload[start..start + count]).await?;
        sent += count;
    }
    stream.flush().await
}

/// Receives `total` bytes into a buffer of 64 KiB.
pub(crate) async fn receive<S>(stream: &mut S, total: usize, inspect: Inspect) -> io::Result<()>
where
    S: AsyncRead + Unpin + ?Sized,
{
    let mut buffer = vec![0; READ];
    let mut received = 0;
    while received < total {
        let room = READ.min(total - received);
        let count = stream.read(&mut buffer[..room]).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let start = received % PERIOD;
        if inspect == Inspect::Compare && buffer[..count] != payload()[start..start + count] {
            return Err(io::Error::other(format!("wrong data within {count} bytes at {received}")));
        }
        received += count;
    }
    Ok(())
}

/// Tells the peer to go on.
pub(crate) async fn signal<S: AsyncWrite + Unpin + ?Sized>(stream: &mut S) -> io::Result<()> {
    stream.write_all(b"!").await?;
    stream.flush().await
}

/// Waits for the peer's [`signal`].
pub(crate) async fn wait_for_signal<S: AsyncRead + Unpin + ?Sized>(stream: &mut S) -> io::Result<()> {
    match stream.read_u8().await? {
        b'!' => Ok(()),
        other => Err(io::Error::other(format!("byte {other} instead of a signal"))),
    }
}

/// Waits for the peer's goodbye.
pub(crate) async fn expect_end<S: AsyncRead + Unpin + ?Sized>(stream: &mut S) -> io::Result<()> {
    match stream.read(&mut [0; 16]).await? {
        0 => Ok(()),
        count => Err(io::Error::other(format!("{count} bytes instead of the end"))),
    }
}
