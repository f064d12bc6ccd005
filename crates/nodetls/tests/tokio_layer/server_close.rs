//! Closing a server.

use std::time::Duration;

use nodetls::AcceptError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{connected, connector, greet, server, within};

#[tokio::test]
async fn a_closed_server_refuses_clients_and_accepts_nobody() {
    for _ in 0..20 {
        let server = server().bind("127.0.0.1:0").await.unwrap();
        within(server.close()).await;
        let error = within(TcpStream::connect(server.local_addr())).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        assert_eq!(within(server.accept()).await.unwrap_err(), AcceptError::Closed);
        assert_eq!(within(server.accept()).await.unwrap_err(), AcceptError::Closed, "closed for good");
        within(server.close()).await;
    }
}

#[tokio::test]
async fn a_closed_server_still_hands_out_the_connections_that_it_had() {
    let server = server().bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().port();
    let mut client = within(connector().connect("127.0.0.1", port)).await.unwrap();
    let closing = server.close();
    tokio::pin!(closing);
    assert!(futures_util::poll!(&mut closing).is_pending());
    let (mut served, _) = within(server.accept()).await.unwrap();
    greet(&mut client, &mut served).await;
    assert!(futures_util::poll!(&mut closing).is_pending());
    drop(served);
    within(closing).await;
    assert_eq!(within(server.accept()).await.unwrap_err(), AcceptError::Closed);
}

#[tokio::test]
async fn close_waits_for_handshakes_too() {
    let server = server().handshake_timeout(Duration::from_millis(200)).bind("127.0.0.1:0").await.unwrap();
    let mut silent = TcpStream::connect(server.local_addr()).await.unwrap();
    // One that is served after it makes sure that the silent one was accepted.
    let (client, served) = connected(&server, &connector()).await;
    drop((client, served));
    let closing = server.close();
    tokio::pin!(closing);
    assert!(futures_util::poll!(&mut closing).is_pending());
    assert_eq!(within(silent.read(&mut [0; 1])).await.unwrap(), 0);
    drop(silent);
    within(closing).await;
}

#[tokio::test]
async fn a_server_that_is_busy_with_handshakes_stops_listening_when_it_is_closed() {
    let builder = server().handshake_timeout(Duration::from_millis(300)).max_concurrent_handshakes(1);
    let server = builder.bind("127.0.0.1:0").await.unwrap();
    let mut silent = TcpStream::connect(server.local_addr()).await.unwrap();
    within(silent.write_all(b"\x16")).await.unwrap();
    within(async {
        while server.acceptor().connections() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let closing = server.close();
    tokio::pin!(closing);
    assert!(futures_util::poll!(&mut closing).is_pending());
    // This client comes too late, whether the system still took it or not.
    let late = tokio::spawn(TcpStream::connect(server.local_addr()));
    assert_eq!(within(silent.read(&mut [0; 1])).await.unwrap(), 0);
    drop(silent);
    within(closing).await;
    if let Ok(mut late) = within(late).await.unwrap() {
        assert!(matches!(within(late.read(&mut [0; 1])).await, Ok(0) | Err(_)));
    }
    assert_eq!(server.acceptor().connections(), 0);
}

#[tokio::test]
async fn connections_outlive_a_server_that_is_dropped() {
    let server = server().bind("127.0.0.1:0").await.unwrap();
    let (mut client, mut served) = connected(&server, &connector()).await;
    drop(server);
    greet(&mut client, &mut served).await;
}
