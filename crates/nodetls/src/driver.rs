//! Moves bytes, answers and time between one transport and one connection of the core.
//!
//! No rule of TLS stands here. [`Driver::poll_handshake`] can be read as the whole story; reading and writing
//! application data are the same steps with plaintext at their end.

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use nodetls_proto::{Connection, Error, Event, Read, Session};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::io::poll_read_buf;

use crate::callbacks::{Callbacks, Dispatch, PendingAnswer};
use crate::error::{HandshakeError, tls_io_error};
use crate::wake::{SharedWaker, Task};

/// Sessions kept for [`TlsSocket::take_session`](crate::TlsSocket::take_session).
const MAX_SESSIONS: usize = 8;

pub(crate) struct Driver<S> {
    stream: S,
    connection: Connection,
    callbacks: Arc<dyn Callbacks>,
    answer: Option<PendingAnswer>,
    timer: Option<Pin<Box<Sleep>>>,
    sessions: Vec<Session>,
    waker: SharedWaker,
    /// The transport's own error, once it has failed in one direction.
    broken: Option<io::ErrorKind>,
    reject_truncated: bool,
}

impl<S> Driver<S> {
    pub(crate) fn new(stream: S, connection: Connection, callbacks: Arc<dyn Callbacks>) -> Self {
        let deadline = connection.poll_timeout();
        let timer = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(Instant::from_std(deadline))));
        Self {
            stream,
            connection,
            callbacks,
            answer: None,
            timer,
            sessions: Vec::new(),
            waker: SharedWaker::new(),
            broken: None,
            reject_truncated: false,
        }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn stream(&self) -> &S {
        &self.stream
    }

    pub(crate) fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    pub(crate) fn into_stream(self) -> S {
        self.stream
    }

    pub(crate) fn take_session(&mut self) -> Option<Session> {
        self.sessions.pop()
    }

    pub(crate) fn enable_trace(&mut self) -> Result<(), Error> {
        self.connection.enable_trace()
    }

    pub(crate) fn set_max_send_fragment(&mut self, size: usize) -> bool {
        self.connection.set_max_send_fragment(size)
    }

    pub(crate) fn reject_truncated(&mut self) {
        self.reject_truncated = true;
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    /// Drives the handshake to its end.
    pub(crate) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), HandshakeError>> {
        let waker = self.waker.register(Task::Reader, cx);
        let cx = &mut Context::from_waker(&waker);
        loop {
            self.dispatch_events();
            let sent = self.poll_send(cx);
            if let Some(error) = self.connection.error() {
                // What is left to be sent is the alert; a transport that does not take it has no right to delay us.
                return Poll::Ready(Err(error.clone().into()));
            }
            if self.connection.is_open() && !self.connection.waits_for_answer() {
                if self.peer_waits(cx) && !self.poll_timer(cx) {
                    return Poll::Pending;
                }
                self.timer = None;
                return Poll::Ready(Ok(()));
            }
            let answered = self.poll_answer(cx);
            let received = self.poll_receive(cx)?;
            let expired = self.poll_timer(cx);
            if received == Poll::Ready(true) || answered || expired {
                continue;
            }
            // Only now: what the peer has said before it stopped listening says more than the transport's error.
            if sent? != Poll::Ready(true) {
                let _ = Pin::new(&mut self.stream).poll_flush(cx)?;
                return Poll::Pending;
            }
        }
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let waker = self.waker.register(Task::Reader, cx);
        let cx = &mut Context::from_waker(&waker);
        let before = target.filled().len();
        loop {
            let read = self.connection.read_plaintext(&mut *target).map_err(tls_io_error);
            self.dispatch_events();
            match read {
                // More of what is already here goes along; the transport is only asked when nothing is.
                Ok(Read::Plaintext(count))
                    if count > 0 && target.remaining() > 0 && self.connection.has_received() => {}
                Ok(Read::Plaintext(_)) => return Poll::Ready(Ok(())),
                _ if target.filled().len() > before => return Poll::Ready(Ok(())),
                Ok(Read::Closed) => return Poll::Ready(Ok(())),
                Ok(Read::Truncated) if self.reject_truncated => {
                    let error = Error::Truncated { during_handshake: false };
                    return Poll::Ready(Err(tls_io_error(error)));
                }
                Ok(Read::Truncated) => return Poll::Ready(Ok(())),
                Ok(Read::Blocked) => ready!(self.poll_progress(cx))?,
                Err(error) => {
                    let _ = self.poll_send(cx);
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let waker = self.waker.register(Task::Writer, cx);
        let cx = &mut Context::from_waker(&waker);
        loop {
            let taken = self.connection.write_plaintext(bytes).map_err(tls_io_error)?;
            // What the transport does not take now waits in the connection: these bytes count as written.
            let sent = self.poll_send(cx)?;
            if taken > 0 || bytes.is_empty() {
                return Poll::Ready(Ok(taken));
            }
            match (sent, self.connection.is_backlogged()) {
                (Poll::Pending, true) => return Poll::Pending,
                // There is room again, or will be when the transport says so.
                (Poll::Ready(true), _) | (_, true) => {}
                // Not the transport but the protocol holds the data up.
                (_, false) => ready!(self.poll_progress(cx))?,
            }
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waker = self.waker.register(Task::Writer, cx);
        self.poll_send_all(&mut Context::from_waker(&waker))
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.send_close_notify();
        ready!(self.poll_flush(cx))?;
        let waker = self.waker.register(Task::Writer, cx);
        match ready!(Pin::new(&mut self.stream).poll_shutdown(&mut Context::from_waker(&waker))) {
            // The peer has closed the transport in the meantime, which is where this was to lead.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            done => Poll::Ready(done),
        }
    }

    // ---- the steps ----

    /// Whatever lets a blocked read or write go on.
    fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let answered = self.poll_answer(cx);
        let sent = self.poll_send(cx);
        let received = self.poll_receive(cx)?;
        // What the peer has said before it stopped listening can still be read.
        if answered || received == Poll::Ready(true) || sent? == Poll::Ready(true) {
            return Poll::Ready(Ok(()));
        }
        let _ = Pin::new(&mut self.stream).poll_flush(cx)?;
        self.connection.release_buffers();
        Poll::Pending
    }

    /// Whether the peer still lacks this side's last flight of the handshake.
    fn peer_waits(&mut self, cx: &mut Context<'_>) -> bool {
        // A transport that fails here fails the first read or write too, which tells what the peer had to say.
        self.poll_send_all(cx).is_pending() && self.connection.is_last_flight_needed()
    }

    /// Sends all there is, through the transport's own buffer.
    fn poll_send_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.connection.poll_transmit().is_some() {
            ready!(self.poll_send(cx))?;
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Sends what there is; whether anything was sent.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut moved = false;
        while let Some(bytes) = self.connection.poll_transmit() {
            match Pin::new(&mut self.stream).poll_write(cx, bytes) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => {
                    self.connection.transmitted(count);
                    moved = true;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if moved => return Poll::Ready(Ok(true)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(moved))
    }

    /// Receives once; whether anything, or the end, was received.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if let Some(kind) = self.broken {
            return Poll::Ready(Err(kind.into()));
        }
        if !self.connection.wants_ciphertext() {
            return Poll::Ready(Ok(false));
        }
        let Some(mut room) = self.connection.receive_buffer() else { return Poll::Ready(Ok(false)) };
        let received = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut room));
        drop(room);
        match received {
            Ok(0) => self.connection.handle_eof(),
            Ok(_) => {}
            Err(error) => {
                self.broken = Some(error.kind());
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(true))
    }

    /// Polls the decision that the connection waits for; whether it was answered.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(answer) = &mut self.answer else { return false };
        let Poll::Ready(settle) = answer.as_mut().poll(cx) else { return false };
        self.answer = None;
        // A failed answer has failed the connection too, which is where the error is reported.
        let _ = settle(&mut self.connection);
        self.dispatch_events();
        true
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(timer) = &mut self.timer else { return false };
        if timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.timer = None;
        self.connection.handle_timeout(Instant::now().into_std());
        true
    }

    /// Begins decisions and passes on what is only told.
    fn dispatch_events(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            match Arc::clone(&self.callbacks).decide(event) {
                Dispatch::Decide(answer) => self.answer = Some(answer),
                Dispatch::Tell(event) => self.tell(event),
            }
        }
    }

    fn tell(&mut self, event: Event) {
        // Who is only told has no say in what becomes of the connection, not even by a panic.
        if catch_unwind(AssertUnwindSafe(|| self.callbacks.tell(&event))).is_err() {
            tracing::error!("a callback panicked");
        }
        if let Event::Session(session) = event {
            if self.sessions.len() == MAX_SESSIONS {
                self.sessions.remove(0);
            }
            self.sessions.push(session);
        }
    }
}

impl<S: std::fmt::Debug> std::fmt::Debug for Driver<S> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Driver")
            .field("stream", &self.stream)
            .field("connection", &self.connection)
            .finish()
    }
}
