//! Data over transports that hold one byte to many, and writes of several slices.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

use crate::world::{
    VERSIONS, acceptor, connector, connector_for, noise, pair, secure, sent_and_back, within,
};

#[tokio::test]
async fn data_comes_back_unchanged_over_transports_of_any_size() {
    for version in VERSIONS {
        for (capacity, count) in [(1, 40_000), (7, 100_000), (1024, 300_000), (65_536, 1_000_000)] {
            let transports = tokio::io::duplex(capacity);
            let (client, server) = secure(&connector_for(version), &acceptor(), transports).await;
            assert_eq!(client.connection().protocol_version(), Some(version));
            let sent = noise(count);
            assert!(
                sent_and_back((client, server), sent.clone()).await == sent,
                "{version} over {capacity} bytes"
            );
        }
    }
}

#[tokio::test]
async fn a_flushed_byte_arrives_without_any_other() {
    let (mut client, mut server) = pair(7).await;
    for byte in 0..=255 {
        let (sent, received) = within(async {
            tokio::join!(
                async {
                    client.write_u8(byte).await?;
                    within(client.flush()).await
                },
                server.read_u8()
            )
        })
        .await;
        sent.unwrap();
        assert_eq!(received.unwrap(), byte);
    }
}

#[tokio::test]
async fn an_upload_goes_on_without_a_word_from_the_other_side() {
    // The reader empties the transport each time, so that all that waited to be sent fits into it at once.
    let (mut client, mut server) = pair(256 * 1024).await;
    let sent = noise(4 << 20);
    let expected = sent.clone();
    let writing = tokio::spawn(async move {
        within(client.write_all(&sent)).await.unwrap();
        within(client.shutdown()).await.unwrap();
    });
    let mut received = Vec::new();
    within(server.read_to_end(&mut received)).await.unwrap();
    assert!(received == expected);
    within(writing).await.unwrap();
}

#[tokio::test]
async fn empty_reads_and_writes_do_nothing() {
    let (mut client, mut server) = pair(1024).await;
    assert_eq!(within(client.write(b"")).await.unwrap(), 0);
    assert_eq!(within(server.read(&mut [])).await.unwrap(), 0);
    assert_eq!(within(client.write_vectored(&[IoSlice::new(b"")])).await.unwrap(), 0);
    within(client.write_all(b"x")).await.unwrap();
    within(client.flush()).await.unwrap();
    assert_eq!(within(server.read(&mut [])).await.unwrap(), 0);
    assert_eq!(within(server.read_u8()).await.unwrap(), b'x');
}

/// A transport that remembers what was written to it.
struct Recorded {
    inner: DuplexStream,
    written: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Recorded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, target)
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = polled {
            self.written.lock().unwrap().extend_from_slice(&bytes[..count]);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// How many TLS records the bytes are.
fn records(mut ciphertext: &[u8]) -> usize {
    let mut count = 0;
    while !ciphertext.is_empty() {
        let length = u16::from_be_bytes([ciphertext[3], ciphertext[4]]);
        ciphertext = &ciphertext[5 + usize::from(length)..];
        count += 1;
    }
    count
}

#[tokio::test]
async fn short_slices_travel_as_one_record_and_arrive_in_order() {
    let (client, server) = tokio::io::duplex(1 << 20);
    let written = Arc::default();
    let client = Recorded { inner: client, written: Arc::clone(&written) };
    let (mut client, mut server) = secure(&connector(), &acceptor(), (client, server)).await;
    assert!(client.is_write_vectored());

    written.lock().unwrap().clear();
    let slices = [&b"one, "[..], b"", b"two, ", b"three"].map(IoSlice::new);
    assert_eq!(within(client.write_vectored(&slices)).await.unwrap(), 15);
    within(client.flush()).await.unwrap();
    assert_eq!(records(&written.lock().unwrap()), 1);
    let mut received = [0; 15];
    within(server.read_exact(&mut received)).await.unwrap();
    assert_eq!(&received, b"one, two, three");
}

#[tokio::test]
async fn slices_of_all_lengths_arrive_in_order() {
    let (mut client, mut server) = pair(1024).await;
    let sent = noise(200_000);
    let expected = sent.clone();
    let writing = tokio::spawn(async move {
        let lengths = [1, 16_383, 16_384, 16_385, 40_000, 3, 0, 100_000, 5];
        let mut rest = &sent[..];
        while !rest.is_empty() {
            let mut pieces = Vec::new();
            let mut ahead = rest;
            for length in lengths {
                let (piece, after) = ahead.split_at(ahead.len().min(length));
                pieces.push(IoSlice::new(piece));
                ahead = after;
            }
            let count = client.write_vectored(&pieces).await.unwrap();
            assert!(count > 0);
            rest = &rest[count..];
        }
        within(client.shutdown()).await.unwrap();
    });
    let mut received = Vec::new();
    within(server.read_to_end(&mut received)).await.unwrap();
    assert!(received == expected);
    within(writing).await.unwrap();
}
