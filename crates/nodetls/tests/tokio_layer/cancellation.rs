//! Operations that are given up after any number of polls.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use nodetls::TlsSocket;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

use crate::world::{
    VERSIONS, acceptor, connected, connector, connector_for, noise, pair, secure, server, within,
};

/// Polls a future at most so many times and drops it then.
async fn polled<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(move |cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Repeats an operation that is given up after `polls` polls until it is done once.
async fn stubbornly<T>(polls: usize, mut operation: impl AsyncFnMut() -> T) -> T {
    loop {
        if let Some(done) = polled(polls, operation()).await {
            return done;
        }
        tokio::task::yield_now().await;
    }
}

async fn send(mut writer: impl AsyncWrite + Unpin, data: Vec<u8>, polls: usize) {
    let mut sent = 0;
    while sent < data.len() {
        // Nothing of a write that was given up is sent, or it would be sent twice.
        let piece = &data[sent..data.len().min(sent + 997)];
        sent += stubbornly(polls, async || writer.write(piece).await.unwrap()).await;
        if sent % 7 == 0 {
            stubbornly(polls, async || writer.flush().await.unwrap()).await;
        }
    }
    stubbornly(polls, async || writer.shutdown().await.unwrap()).await;
}

async fn receive(mut reader: impl AsyncRead + Unpin, polls: usize) -> Vec<u8> {
    let mut received = Vec::new();
    let mut buffer = [0; 1000];
    loop {
        match stubbornly(polls, async || reader.read(&mut buffer).await.unwrap()).await {
            0 => return received,
            count => received.extend_from_slice(&buffer[..count]),
        }
    }
}

#[tokio::test]
async fn reads_writes_flushes_and_shutdowns_that_are_given_up_lose_nothing() {
    let data = noise(30_000);
    for version in VERSIONS {
        for (capacity, polls) in [(1, 2), (7, 1), (7, 3), (1024, 1), (1024, 2), (65_536, 1)] {
            let transports = tokio::io::duplex(capacity);
            let (mut client, mut server) = secure(&connector_for(version), &acceptor(), transports).await;
            client.reject_truncated();
            server.reject_truncated();
            let (client, server) = (client.into_split(), server.into_split());
            let all = async {
                tokio::join!(
                    send(client.1, data.clone(), polls),
                    send(server.1, data.clone(), polls),
                    receive(client.0, polls),
                    receive(server.0, polls),
                )
            };
            let ((), (), to_client, to_server) = within(all).await;
            assert!(to_client == data && to_server == data, "{version}, {capacity} bytes, {polls} polls");
        }
    }
}

#[tokio::test]
async fn an_operation_that_was_never_polled_has_done_nothing() {
    let (mut client, mut server) = pair(1024).await;
    assert!(polled(0, client.write(b"never")).await.is_none());
    assert!(polled(0, client.shutdown()).await.is_none());
    assert!(polled(0, server.read(&mut [0; 8])).await.is_none());
    within(client.write_all(b"once")).await.unwrap();
    within(client.shutdown()).await.unwrap();
    let mut received = String::new();
    within(server.read_to_string(&mut received)).await.unwrap();
    assert_eq!(received, "once");
}

/// Gives up one side of handshakes after 0, 1, 2, … polls, until it is done before that; returns the codes of the
/// other side's errors.
async fn give_up(
    handshake: impl AsyncFn(DuplexStream, usize) -> bool,
    other: impl AsyncFn(DuplexStream) -> Result<TlsSocket<DuplexStream>, String>,
) -> Vec<String> {
    let mut codes = Vec::new();
    for polls in 0..10_000 {
        // Small enough that a handshake needs many polls.
        let (ours, theirs) = tokio::io::duplex(64);
        let both = async { tokio::join!(handshake(ours, polls), other(theirs)) };
        match within(both).await {
            (true, _) => return codes,
            // The other side may be done at its last message, when this one has not yet read it.
            (false, Ok(_)) => {}
            (false, Err(code)) => codes.push(code),
        }
    }
    unreachable!("a handshake ends")
}

#[tokio::test]
async fn a_client_that_gives_up_its_handshake_ends_the_servers() {
    for version in VERSIONS {
        let (connector, acceptor) = (connector_for(version), acceptor());
        let connect = async |stream, polls| {
            polled(polls, connector.connect_over(stream)).await.is_some_and(|done| done.is_ok())
        };
        let codes =
            give_up(connect, async |stream| acceptor.accept(stream).await.map_err(|error| error.code()))
                .await;
        assert!(codes.len() > 5, "{codes:?}");
        assert!(codes.iter().all(|code| code == "ECONNRESET" || code == "EPIPE"), "{codes:?}");
        assert_eq!(acceptor.connections(), 0);
    }
}

#[tokio::test]
async fn a_server_that_gives_up_its_handshake_ends_the_clients() {
    for version in VERSIONS {
        let (connector, acceptor) = (connector_for(version), acceptor());
        let accept = async |stream, polls| {
            polled(polls, acceptor.accept(stream)).await.is_some_and(|done| done.is_ok())
        };
        let connect = async |stream| connector.connect_over(stream).await.map_err(|error| error.code());
        let codes = give_up(accept, connect).await;
        assert!(codes.len() > 5, "{codes:?}");
        assert!(codes.iter().all(|code| code == "ECONNRESET" || code == "EPIPE"), "{codes:?}");
        assert_eq!(acceptor.connections(), 0, "a handshake that was given up does not count");
    }
}

#[tokio::test]
async fn a_server_hands_out_the_connection_that_an_earlier_accept_gave_up_waiting_for() {
    let server = server().bind("127.0.0.1:0").await.unwrap();
    for polls in [0, 1, 2] {
        assert!(polled(polls.min(1), server.accept()).await.is_none());
        let (_client, _socket) = connected(&server, &connector()).await;
    }
    within(server.close()).await;
}
