//! How connections end: by goodbye, by a cut, by an alert, by a transport that fails.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};

use nodetls::{AlertDescription, ClientAuthentication, Connector, Error, SecureContextOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

use crate::world::{
    VERSIONS, acceptor, client_options, connector, connector_for, context, noise, pair, secure, server,
    within,
};

/// The error of TLS that travelled in one of I/O.
fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

#[tokio::test]
async fn shutdown_says_goodbye_and_the_other_side_reads_the_end() {
    for version in VERSIONS {
        let (mut client, mut server) =
            secure(&connector_for(version), &acceptor(), tokio::io::duplex(1024)).await;
        server.reject_truncated();
        within(client.write_all(b"last words")).await.unwrap();
        within(client.shutdown()).await.unwrap();
        let mut received = Vec::new();
        within(server.read_to_end(&mut received)).await.unwrap();
        assert_eq!(received, b"last words");
        assert!(server.connection().is_close_notify_received());
        assert_eq!(within(server.read(&mut [0; 8])).await.unwrap(), 0, "the end stays the end");
    }
}

#[tokio::test]
async fn the_other_direction_stays_open_after_a_goodbye() {
    for version in VERSIONS {
        let (mut client, mut server) =
            secure(&connector_for(version), &acceptor(), tokio::io::duplex(1024)).await;
        client.reject_truncated();
        within(client.shutdown()).await.unwrap();
        assert_eq!(within(server.read(&mut [0; 8])).await.unwrap(), 0);
        let answer = noise(100_000);
        let expected = answer.clone();
        let answering = tokio::spawn(async move {
            within(server.write_all(&answer)).await.unwrap();
            within(server.shutdown()).await.unwrap();
        });
        let mut received = Vec::new();
        within(client.read_to_end(&mut received)).await.unwrap();
        assert!(received == expected);
        within(answering).await.unwrap();
    }
}

#[tokio::test]
async fn a_write_after_shutdown_is_the_callers_mistake() {
    let (mut client, _server) = pair(1024).await;
    within(client.shutdown()).await.unwrap();
    within(client.shutdown()).await.unwrap();
    let error = within(client.write(b"more")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert!(matches!(tls_error(&error), Some(Error::ApiMisuse(_))));
}

#[tokio::test]
async fn a_cut_looks_like_an_end_by_default() {
    let (client, mut server) = pair(1024).await;
    drop(client.into_inner());
    let mut received = Vec::new();
    assert_eq!(within(server.read_to_end(&mut received)).await.unwrap(), 0);
    assert!(!server.connection().is_close_notify_received());
}

#[tokio::test]
async fn a_cut_is_an_error_where_that_was_asked_for() {
    for version in VERSIONS {
        let (mut client, mut server) =
            secure(&connector_for(version), &acceptor(), tokio::io::duplex(1024)).await;
        server.reject_truncated();
        within(client.write_all(b"whole")).await.unwrap();
        within(client.flush()).await.unwrap();
        drop(client.into_inner());
        within(server.read_exact(&mut [0; 5])).await.unwrap();
        for _ in 0..2 {
            let error = within(server.read(&mut [0; 8])).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
            assert!(matches!(tls_error(&error), Some(Error::Truncated { during_handshake: false })));
        }
    }
}

#[tokio::test]
async fn a_cut_within_a_record_gives_nothing_of_that_record() {
    let (mut client, mut server) = pair(64).await;
    server.reject_truncated();
    // The transport takes 64 bytes of the record and then is gone.
    assert!(within(client.write(&noise(1000))).await.unwrap() > 0);
    drop(client.into_inner());
    let error = within(server.read(&mut [0; 1000])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_transport_cut_in_the_handshake_fails_both_sides_with_node_s_code() {
    let (client, server) = tokio::io::duplex(1024);
    drop(client);
    let error = within(acceptor().accept(server)).await.unwrap_err();
    assert_eq!(error.code(), "ECONNRESET");
    let (client, mut server) = tokio::io::duplex(4096);
    let connector = connector();
    let peer = async {
        server.read_u8().await.unwrap();
        drop(server);
    };
    let (connected, ()) = within(async { tokio::join!(connector.connect_over(client), peer) }).await;
    assert_eq!(connected.unwrap_err().code(), "ECONNRESET");
}

#[tokio::test]
async fn a_client_that_lacks_its_certificate_learns_so() {
    for version in VERSIONS {
        let acceptor = server().client_authentication(ClientAuthentication::Required).build().unwrap();
        let options = SecureContextOptions {
            cert: Vec::new(),
            key: Vec::new(),
            max_version: Some(version),
            ..client_options()
        };
        let connector = Connector::new(&context(&options)).server_name("localhost");
        let (client, server) = tokio::io::duplex(65_536);
        let client = async {
            // TLS 1.3 lets a client finish before its certificate was judged; it reads the verdict.
            let mut socket = connector.connect_over(client).await.map_err(io::Error::from)?;
            socket.read_u8().await
        };
        let (client, server) = within(async { tokio::join!(client, acceptor.accept(server)) }).await;
        assert_eq!(server.unwrap_err().code(), "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE", "{version}");
        let error = client.unwrap_err();
        let expected = if version == nodetls::ProtocolVersion::Tls1_3 {
            AlertDescription::CERTIFICATE_REQUIRED
        } else {
            AlertDescription::HANDSHAKE_FAILURE
        };
        assert_eq!(tls_error(&error).and_then(Error::alert), Some(expected), "{version}");
    }
}

/// A transport whose writing direction can break.
#[derive(Debug)]
struct Deaf {
    inner: DuplexStream,
    broken: bool,
}

impl AsyncRead for Deaf {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, target)
    }
}

impl AsyncWrite for Deaf {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.broken {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn what_the_peer_said_before_it_stopped_listening_is_still_read() {
    let (client, server) = tokio::io::duplex(4096);
    let client = Deaf { inner: client, broken: false };
    let (mut client, mut server) = secure(&connector(), &acceptor(), (client, server)).await;
    within(server.write_all(b"enough!")).await.unwrap();
    within(server.shutdown()).await.unwrap();
    client.get_mut().broken = true;
    // A peer that refuses a request answers it and closes, while the rest of the request is still being sent.
    let error = within(client.write_all(&noise(100_000))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    let mut received = Vec::new();
    within(client.read_to_end(&mut received)).await.unwrap();
    assert_eq!(received, b"enough!");
}

#[tokio::test]
async fn an_alert_that_came_before_the_transport_broke_is_the_error_of_the_handshake() {
    let (client, mut server) = tokio::io::duplex(4096);
    // A whole TLS record: fatal, handshake_failure.
    within(server.write_all(&[21, 3, 3, 0, 2, 2, 40])).await.unwrap();
    let connector = connector();
    let transport = Deaf { inner: client, broken: true };
    let error = within(connector.connect_over(transport)).await.unwrap_err();
    assert_eq!(error.tls().and_then(Error::alert), Some(AlertDescription::HANDSHAKE_FAILURE));
}
