//! Time limits and numbers of handshakes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nodetls::{HandshakeError, Server, ServerCallbacks};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::world::{acceptor, connected, connector, greet, server, within};

const LIMIT: Duration = Duration::from_millis(300);

/// Passes on the codes of failed handshakes.
struct Failures(mpsc::UnboundedSender<String>);

impl ServerCallbacks for Failures {
    fn client_error(&self, error: &HandshakeError, _peer: Option<SocketAddr>) {
        // Whoever no longer listens has seen enough.
        let _ = self.0.send(error.code());
    }
}

async fn limited_server(handshakes: usize) -> (Server, mpsc::UnboundedReceiver<String>) {
    let (failures, failed) = mpsc::unbounded_channel();
    let builder = server().handshake_timeout(LIMIT).max_concurrent_handshakes(handshakes);
    (builder.callbacks(Failures(failures)).bind("127.0.0.1:0").await.unwrap(), failed)
}

#[tokio::test]
async fn a_silent_client_is_closed_at_the_time_limit() {
    let (server, mut failed) = limited_server(10).await;
    let begun = Instant::now();
    let mut client = TcpStream::connect(server.local_addr()).await.unwrap();
    assert_eq!(within(client.read(&mut [0; 100])).await.unwrap(), 0);
    assert!(begun.elapsed() >= LIMIT);
    drop(client);
    assert_eq!(within(failed.recv()).await.unwrap(), "ERR_TLS_HANDSHAKE_TIMEOUT");
    within(server.close()).await;
}

/// A whole ClientHello as a client of this library sends it.
async fn client_hello() -> Vec<u8> {
    let (client, mut server) = tokio::io::duplex(65_536);
    let mut bytes = vec![0; 65_536];
    let connector = connector();
    let reading = async { server.read(&mut bytes).await.unwrap() };
    let count = tokio::select! {
        _ = connector.connect_over(client) => unreachable!("nobody answers"),
        count = reading => count,
    };
    bytes.truncate(count);
    bytes
}

#[tokio::test]
async fn a_client_that_drips_its_bytes_is_closed_at_the_time_limit() {
    let (server, mut failed) = limited_server(10).await;
    let hello = client_hello().await;
    let begun = Instant::now();
    let client = within(TcpStream::connect(server.local_addr())).await.unwrap();
    let (mut reader, mut writer) = client.into_split();
    let dripping = tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(10));
        for byte in &hello {
            pace.tick().await;
            if writer.write_all(std::slice::from_ref(byte)).await.is_err() {
                return;
            }
        }
        unreachable!("the server lets a client drip for seconds");
    });
    // The end, or a reset if bytes were on their way.
    let end = within(reader.read(&mut [0; 100])).await;
    assert!(matches!(end, Ok(0) | Err(_)));
    assert!(begun.elapsed() >= LIMIT);
    assert_eq!(within(failed.recv()).await.unwrap(), "ERR_TLS_HANDSHAKE_TIMEOUT");
    within(dripping).await.unwrap();
}

#[tokio::test]
async fn silent_clients_beyond_the_number_of_handshakes_do_not_keep_out_a_good_one() {
    let (server, mut failed) = limited_server(2).await;
    let mut silent = Vec::new();
    for _ in 0..10 {
        let mut client = TcpStream::connect(server.local_addr()).await.unwrap();
        // Closes when it is closed, as well-behaved clients do; so no linger prolongs the queue.
        silent.push(tokio::spawn(async move { client.read(&mut [0; 1]).await }));
    }
    let (mut client, mut served) = connected(&server, &connector()).await;
    greet(&mut client, &mut served).await;
    for client in silent {
        assert_eq!(within(client).await.unwrap().unwrap(), 0);
        assert_eq!(within(failed.recv()).await.unwrap(), "ERR_TLS_HANDSHAKE_TIMEOUT");
    }
}

#[tokio::test(start_paused = true)]
async fn handshakes_end_at_their_time_limit_by_tokios_clock() {
    // A clock that was moved by hours is one that the limits count from, not an excuse to end at once.
    tokio::time::advance(Duration::from_secs(10_000)).await;
    for limit in [Duration::from_secs(1), Duration::from_secs(100)] {
        let (client, _silent) = tokio::io::duplex(65_536);
        let begun = tokio::time::Instant::now();
        let connector = connector().handshake_timeout(limit);
        let error = tokio::time::timeout(2 * limit, connector.connect_over(client))
            .await
            .expect("it ends")
            .unwrap_err();
        assert_eq!(error.code(), "ERR_TLS_HANDSHAKE_TIMEOUT");
        assert!(begun.elapsed() >= limit && begun.elapsed() < limit + Duration::from_secs(1));

        let (_silent, stream) = tokio::io::duplex(65_536);
        let begun = tokio::time::Instant::now();
        let acceptor = server().handshake_timeout(limit).build().unwrap();
        let error = tokio::time::timeout(2 * limit, acceptor.accept(stream)).await.expect("it ends");
        assert_eq!(error.unwrap_err().code(), "ERR_TLS_HANDSHAKE_TIMEOUT");
        assert!(begun.elapsed() >= limit && begun.elapsed() < limit + Duration::from_secs(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_without_a_time_limit_waits() {
    let (client, server) = tokio::io::duplex(65_536);
    let patient = connector().handshake_timeout(None);
    let connecting = tokio::spawn(async move { patient.connect_over(client).await });
    tokio::time::advance(Duration::from_secs(100_000)).await;
    tokio::task::yield_now().await;
    assert!(!connecting.is_finished());
    let acceptor = acceptor();
    let (connected, accepted) = within(async { tokio::join!(connecting, acceptor.accept(server)) }).await;
    connected.unwrap().unwrap();
    accepted.unwrap();
}

#[tokio::test]
async fn the_time_limit_ends_with_the_handshake() {
    let (server, mut failed) = limited_server(1).await;
    let (mut client, mut served) = connected(&server, &connector()).await;
    let mut later = TcpStream::connect(server.local_addr()).await.unwrap();
    // By the time that another client has been closed for its silence, this one is older than the limit.
    assert_eq!(within(later.read(&mut [0; 1])).await.unwrap(), 0);
    assert_eq!(within(failed.recv()).await.unwrap(), "ERR_TLS_HANDSHAKE_TIMEOUT");
    greet(&mut client, &mut served).await;
}
