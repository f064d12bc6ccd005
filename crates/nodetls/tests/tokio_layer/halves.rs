//! One connection, two tasks: the halves of a socket.

use nodetls::{OwnedReadHalf, OwnedWriteHalf, TlsSocket};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

use crate::world::{VERSIONS, acceptor, connector_for, noise, pair, secure, within};

const MEBIBYTE: usize = 1 << 20;

async fn send(mut writer: impl AsyncWrite + Unpin, piece: Vec<u8>, times: usize) {
    for _ in 0..times {
        within(writer.write_all(&piece)).await.unwrap();
    }
    within(writer.shutdown()).await.unwrap();
}

async fn receive(mut reader: impl AsyncRead + Unpin, piece: Vec<u8>, times: usize) {
    let mut received = vec![0; piece.len()];
    for _ in 0..times {
        reader.read_exact(&mut received).await.unwrap();
        assert!(received == piece);
    }
    assert_eq!(reader.read(&mut received).await.unwrap(), 0);
}

/// Sends ten mebibytes both ways at the same time, with a task for each half.
async fn flood<R, W>(halves: [(R, W); 2])
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let piece = noise(MEBIBYTE);
    let mut tasks = tokio::task::JoinSet::new();
    for (reader, writer) in halves {
        tasks.spawn(send(writer, piece.clone(), 10));
        tasks.spawn(receive(reader, piece.clone(), 10));
    }
    within(async {
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owned_halves_carry_ten_mebibytes_both_ways_at_once() {
    for version in VERSIONS {
        for capacity in [1024, 65_536] {
            let transports = tokio::io::duplex(capacity);
            let (client, server) = secure(&connector_for(version), &acceptor(), transports).await;
            flood([client.into_split(), server.into_split()]).await;
        }
    }
}

#[tokio::test]
async fn owned_halves_carry_ten_mebibytes_both_ways_at_once_on_one_thread() {
    let (client, server) = pair(4096).await;
    flood([client.into_split(), server.into_split()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokios_own_halves_carry_ten_mebibytes_both_ways_at_once() {
    let (client, server) = pair(65_536).await;
    flood([tokio::io::split(client), tokio::io::split(server)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn halves_over_a_transport_of_seven_bytes_lose_no_wake_up() {
    let (client, server) = pair(7).await;
    let piece = noise(30_000);
    let mut tasks = tokio::task::JoinSet::new();
    for (reader, writer) in [client.into_split(), server.into_split()] {
        tasks.spawn(send(writer, piece.clone(), 2));
        tasks.spawn(receive(reader, piece.clone(), 2));
    }
    within(tasks.join_all()).await;
}

#[tokio::test]
async fn two_sides_that_write_before_they_read_do_not_wait_for_each_other_as_long_as_the_buffers_hold() {
    let (mut client, mut server) = pair(65_536).await;
    let sent = noise(60_000);
    let mut received = (vec![0; sent.len()], vec![0; sent.len()]);
    let exchange = async {
        tokio::try_join!(client.write_all(&sent), server.write_all(&sent))?;
        tokio::try_join!(client.read_exact(&mut received.0), server.read_exact(&mut received.1))
    };
    within(exchange).await.unwrap();
    assert!(received.0 == sent && received.1 == sent);
}

#[tokio::test]
async fn a_reader_that_waits_is_woken_when_the_other_half_uses_the_transport_too() {
    let (client, mut server) = pair(1024).await;
    let (mut reader, mut writer) = client.into_split();
    let reading = tokio::spawn(async move { reader.read_u8().await.unwrap() });
    // The reader waits by now; then its sibling polls the same transport, for writing and to its end.
    tokio::task::yield_now().await;
    within(writer.write_all(b"question")).await.unwrap();
    within(writer.flush()).await.unwrap();
    within(server.read_exact(&mut [0; 8])).await.unwrap();
    within(server.write_all(b"!")).await.unwrap();
    within(server.flush()).await.unwrap();
    assert_eq!(within(reading).await.unwrap(), b'!');
}

#[tokio::test]
async fn a_writer_goes_on_after_the_reading_half_is_dropped() {
    let (client, mut server) = pair(1024).await;
    let (reader, mut writer) = client.into_split();
    drop(reader);
    let writing = tokio::spawn(async move {
        within(writer.write_all(&noise(200_000))).await.unwrap();
        within(writer.shutdown()).await.unwrap();
    });
    let mut received = Vec::new();
    within(server.read_to_end(&mut received)).await.unwrap();
    assert!(received == noise(200_000));
    within(writing).await.unwrap();
}

type Halves = (OwnedReadHalf<DuplexStream>, OwnedWriteHalf<DuplexStream>);

fn reunited((reader, writer): Halves) -> TlsSocket<DuplexStream> {
    reader.reunite(writer).expect("they are of one socket")
}

#[tokio::test]
async fn reunited_halves_are_the_socket_they_were() {
    let (client, mut server) = pair(1024).await;
    let (reader, mut writer) = client.into_split();
    within(writer.write_all(b"before")).await.unwrap();
    let version = reader.with_connection(nodetls::Connection::protocol_version);
    assert_eq!(writer.with_connection(nodetls::Connection::protocol_version), version);
    let mut client = reunited((reader, writer));
    within(client.write_all(b" after")).await.unwrap();
    within(client.shutdown()).await.unwrap();
    let mut received = String::new();
    within(server.read_to_string(&mut received)).await.unwrap();
    assert_eq!(received, "before after");
}

#[tokio::test]
async fn halves_of_different_sockets_come_back_from_reunite() {
    let (client, server) = pair(1024).await;
    let ((client_reader, client_writer), (server_reader, server_writer)) =
        (client.into_split(), server.into_split());
    let mixed = client_reader.reunite(server_writer).unwrap_err();
    let mut client = reunited((mixed.0, client_writer));
    let mut server = reunited((server_reader, mixed.1));
    within(client.write_all(b"x")).await.unwrap();
    within(client.flush()).await.unwrap();
    assert_eq!(within(server.read_u8()).await.unwrap(), b'x');
}
