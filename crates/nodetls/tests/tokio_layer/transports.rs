//! Transports of other kinds: with a buffer of their own, with pauses, Unix sockets, and TLS itself.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream, DuplexStream, ReadBuf};

use crate::world::{
    VERSIONS, acceptor, connector, connector_for, noise, pair, secure, sent_and_back, within,
};

#[tokio::test]
async fn a_transport_that_keeps_bytes_until_it_is_flushed_carries_a_connection() {
    for version in VERSIONS {
        let (client, server) = tokio::io::duplex(65_536);
        let transports = (BufStream::new(client), BufStream::new(server));
        let sockets = secure(&connector_for(version), &acceptor(), transports).await;
        let sent = noise(100_000);
        assert!(sent_and_back(sockets, sent.clone()).await == sent);
    }
}

/// A transport that is not ready every other time, whatever is asked of it.
struct Hesitant<S> {
    inner: S,
    was_asked: [bool; 4],
}

impl<S: Unpin> Hesitant<S> {
    fn new(inner: S) -> Self {
        Self { inner, was_asked: [false; 4] }
    }

    fn hesitates(&mut self, operation: usize, cx: &Context<'_>) -> bool {
        let was_asked = &mut self.was_asked[operation];
        *was_asked = !*was_asked;
        if *was_asked {
            cx.waker().wake_by_ref();
        }
        *was_asked
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Hesitant<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.hesitates(0, cx) { Poll::Pending } else { Pin::new(&mut self.inner).poll_read(cx, target) }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Hesitant<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.hesitates(1, cx) { Poll::Pending } else { Pin::new(&mut self.inner).poll_write(cx, bytes) }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.hesitates(2, cx) { Poll::Pending } else { Pin::new(&mut self.inner).poll_flush(cx) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.hesitates(3, cx) { Poll::Pending } else { Pin::new(&mut self.inner).poll_shutdown(cx) }
    }
}

#[tokio::test]
async fn a_transport_that_is_often_not_ready_carries_a_connection() {
    for capacity in [1, 7, 1024] {
        let (client, server) = tokio::io::duplex(capacity);
        let transports = (Hesitant::new(client), Hesitant::new(server));
        let sockets = secure(&connector(), &acceptor(), transports).await;
        let sent = noise(20_000);
        assert!(sent_and_back(sockets, sent.clone()).await == sent);
    }
}

#[tokio::test]
async fn tls_runs_inside_tls() {
    // Both goodbyes must fit, since nobody reads the outer connection after the inner one's end.
    for capacity in [128, 1024, 65_536] {
        let outer = pair(capacity).await;
        let sockets = secure(&connector(), &acceptor(), outer).await;
        let sent = noise(60_000);
        assert!(sent_and_back(sockets, sent.clone()).await == sent, "{capacity}");
    }
}

#[tokio::test]
async fn the_end_of_the_inner_connection_is_no_end_of_the_outer_one() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let outer = pair(1024).await;
    let (mut client, mut server) = secure(&connector(), &acceptor(), outer).await;
    within(client.write_all(b"x")).await.unwrap();
    within(client.flush()).await.unwrap();
    server.reject_truncated();
    assert_eq!(within(server.read_u8()).await.unwrap(), b'x');
    assert!(!server.get_ref().connection().is_close_notify_received());
    within(client.shutdown()).await.unwrap();
    assert_eq!(within(server.read(&mut [0; 1])).await.unwrap(), 0);
    assert!(server.connection().is_close_notify_received());
}

#[cfg(unix)]
#[tokio::test]
async fn unix_sockets_carry_connections() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let (connector, acceptor) = (connector(), acceptor());
    let serving = async {
        let (stream, _) = listener.accept().await.unwrap();
        acceptor.accept(stream).await
    };
    let (client, server) = within(async { tokio::join!(connector.connect_unix(&path), serving) }).await;
    let sent = noise(300_000);
    assert!(sent_and_back((client.unwrap(), server.unwrap()), sent.clone()).await == sent);
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_without_a_server_is_an_error_with_nodes_code() {
    let directory = tempfile::tempdir().unwrap();
    let error = within(connector().connect_unix(directory.path().join("nobody"))).await.unwrap_err();
    assert_eq!(error.code(), "ENOENT");
}

#[tokio::test]
async fn a_port_without_a_server_is_an_error_with_nodes_code() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = within(connector().connect("127.0.0.1", port)).await.unwrap_err();
    assert_eq!(error.code(), "ECONNREFUSED");
}

/// A transport that notes how much each call has moved.
#[derive(Debug)]
struct Counting {
    inner: DuplexStream,
    read: Arc<Mutex<Vec<usize>>>,
    written: Arc<Mutex<Vec<usize>>>,
}

impl Counting {
    fn new(inner: DuplexStream) -> Self {
        Self { inner, read: Arc::default(), written: Arc::default() }
    }
}

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = target.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, target);
        if polled.is_ready() {
            self.read.lock().unwrap().push(target.filled().len() - before);
        }
        polled
    }
}

impl AsyncWrite for Counting {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = polled {
            self.written.lock().unwrap().push(count);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn one_read_brings_many_records_and_one_write_carries_several() {
    for version in VERSIONS {
        let (client, server) = tokio::io::duplex(1 << 20);
        let (client, server) = (Counting::new(client), Counting::new(server));
        let (written, read) = (Arc::clone(&client.written), Arc::clone(&server.read));
        let (mut client, mut server) = secure(&connector_for(version), &acceptor(), (client, server)).await;
        written.lock().unwrap().clear();
        read.lock().unwrap().clear();
        let sent = noise(256 * 1024);
        within(client.write_all(&sent)).await.unwrap();
        within(client.flush()).await.unwrap();
        let mut received = vec![0; sent.len()];
        within(server.read_exact(&mut received)).await.unwrap();
        assert!(received == sent);
        // There are 16 records of 16 KiB each: three leave at a time, and up to 64 KiB come.
        let (written, read) = (written.lock().unwrap(), read.lock().unwrap());
        assert!(written.len() <= 6, "{version}: {written:?}");
        assert!(read.len() <= 5, "{version}: {read:?}");
        assert!(read.iter().all(|count| *count <= 64 * 1024), "{version}: {read:?}");
    }
}

#[tokio::test]
async fn the_tickets_of_a_server_leave_with_its_first_data_or_when_it_waits() {
    for says_something in [true, false] {
        let (client, server) = tokio::io::duplex(1 << 20);
        let server = Counting::new(server);
        let written = Arc::clone(&server.written);
        let (mut client, mut server) =
            secure(&connector_for(VERSIONS[1]), &acceptor(), (client, server)).await;
        written.lock().unwrap().clear();
        if says_something {
            within(server.write_all(b"x")).await.unwrap();
            within(server.flush()).await.unwrap();
        } else {
            assert!(server.read(&mut [0; 1]).now_or_never().is_none());
        }
        // A record with one byte has 23 of them, a ticket some hundreds.
        let written = written.lock().unwrap().clone();
        assert!(written.len() == 1 && written[0] > 300, "{written:?}");
        let _ = client.read(&mut [0; 1]).now_or_never();
        assert!(client.take_session().is_some());
    }
}
