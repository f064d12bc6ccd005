//! Moves bytes, answers and time between one transport and one connection of the core.
//!
//! No rule of TLS stands here. [`Driver::poll_handshake`] can be read as the whole story; reading and writing
//! application data are the same steps with plaintext at their end.

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use nodetls_proto::{
    ClientAuthentication, Connection, Error, Event, KeyUpdateRequest, Read, RenegotiateOptions, Session,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::io::poll_read_buf;

use crate::callbacks::{Callbacks, Dispatch, PendingAnswer};
use crate::error::{HandshakeError, tls_io_error};
use crate::wake::{SharedWaker, Task};

/// Sessions kept for [`TlsSocket::take_session`](crate::TlsSocket::take_session).
const MAX_SESSIONS: usize = 8;

/// When the connection wants to be told the time.
struct Timer {
    deadline: std::time::Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Timer {
    fn new(deadline: std::time::Instant) -> Self {
        Self { deadline, sleep: Box::pin(tokio::time::sleep_until(Instant::from_std(deadline))) }
    }
}

/// What is done to an open connection and ends with an answer of the peer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exchange {
    Renegotiate(RenegotiateOptions),
    ClientCertificate(ClientAuthentication),
}

pub(crate) struct Driver<S> {
    stream: S,
    connection: Connection,
    callbacks: Arc<dyn Callbacks>,
    /// Nobody ever takes the lock: it only lets references to the socket be sent between threads.
    answer: Option<Mutex<PendingAnswer>>,
    timer: Option<Timer>,
    sessions: Vec<Session>,
    waker: SharedWaker,
    /// How many exchanges have ended well since one was begun here.
    exchanges: usize,
    /// The transport's own error, once it has failed in one direction.
    broken: Option<io::ErrorKind>,
    reject_truncated: bool,
}

impl<S> Driver<S> {
    pub(crate) fn new(stream: S, connection: Connection, callbacks: Arc<dyn Callbacks>) -> Self {
        let timer = connection.poll_timeout().map(Timer::new);
        Self {
            stream,
            connection,
            callbacks,
            answer: None,
            timer,
            sessions: Vec::new(),
            waker: SharedWaker::new(),
            exchanges: 0,
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

    pub(crate) fn disable_renegotiation(&mut self) {
        self.connection.disable_renegotiation();
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
            let is_done = self.connection.is_open() && !self.connection.waits_for_answer();
            if is_done && !self.connection.is_last_flight_needed() {
                // Tickets leave with the first data, or when the program waits for some.
                self.timer = None;
                return Poll::Ready(Ok(()));
            }
            let sent = self.poll_send(cx);
            if let Some(error) = self.connection.error() {
                // What is left to be sent is the alert; a transport that does not take it has no right to delay us.
                return Poll::Ready(Err(error.clone().into()));
            }
            if is_done {
                // A transport that fails here fails the first read or write too, which tells what the peer had to say.
                if self.poll_send_all(cx).is_pending() && !self.poll_timer(cx) {
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
                Ok(Read::Closed) => {
                    self.waker.wake_writer();
                    return Poll::Ready(Ok(()));
                }
                Ok(Read::Truncated) => {
                    self.waker.wake_writer();
                    let error = Error::Truncated { during_handshake: false };
                    return Poll::Ready(if self.reject_truncated {
                        Err(tls_io_error(error))
                    } else {
                        Ok(())
                    });
                }
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
            if self.connection.is_renegotiating() {
                self.dispatch_events();
            }
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
        ready!(self.poll_goodbye(cx))?;
        ready!(self.poll_flush(cx))?;
        let waker = self.waker.register(Task::Writer, cx);
        match ready!(Pin::new(&mut self.stream).poll_shutdown(&mut Context::from_waker(&waker))) {
            // The peer has closed the transport in the meantime, which is where this was to lead.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            done => Poll::Ready(done),
        }
    }

    /// Begins an exchange as soon as no question is open, and drives it to its end. `begun` remembers the former.
    pub(crate) fn poll_exchange(
        &mut self,
        exchange: Exchange,
        begun: &mut bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), HandshakeError>> {
        let waker = self.waker.register(Task::Writer, cx);
        let cx = &mut Context::from_waker(&waker);
        loop {
            self.dispatch_events();
            if let Some(error) = self.connection.error().cloned() {
                // What is left to be sent is the alert; a transport that does not take it has no right to delay us.
                let _ = self.poll_send(cx);
                return Poll::Ready(Err(error.into()));
            }
            let is_busy = self.connection.is_renegotiating() || self.connection.waits_for_answer();
            match (is_busy, *begun) {
                (true, _) => ready!(self.poll_progress(cx))?,
                (false, true) => {
                    // A server has the last word, without which its client waits on.
                    ready!(self.poll_send_all(cx))?;
                    return Poll::Ready(self.exchanged());
                }
                (false, false) => {
                    self.begin(exchange)?;
                    *begun = true;
                }
            }
        }
    }

    fn begin(&mut self, exchange: Exchange) -> Result<(), Error> {
        self.exchanges = 0;
        match exchange {
            Exchange::Renegotiate(options) => self.connection.renegotiate(options),
            Exchange::ClientCertificate(wanted) => self.connection.request_client_certificate(wanted),
        }
    }

    /// Nothing is awaited any more: because the peer has answered, or because it never will.
    fn exchanged(&self) -> Result<(), HandshakeError> {
        match self.exchanges {
            0 => Err(Error::Truncated { during_handshake: true }.into()),
            _ => Ok(()),
        }
    }

    /// Says that new keys are used from now on. The message leaves with the next flush or write.
    pub(crate) fn poll_update_keys(
        &mut self,
        request: KeyUpdateRequest,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), HandshakeError>> {
        let waker = self.waker.register(Task::Writer, cx);
        let cx = &mut Context::from_waker(&waker);
        while self.connection.is_backlogged() {
            if !ready!(self.poll_send(cx))? {
                break;
            }
        }
        self.connection.update_keys(request)?;
        // What the transport does not take now waits in the connection, as written data does.
        match self.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Brings a renegotiation to its end, amid which nobody can say goodbye.
    fn poll_goodbye(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waker = self.waker.register(Task::Writer, cx);
        let cx = &mut Context::from_waker(&waker);
        while self.connection.is_close_notify_pending() {
            self.dispatch_events();
            if self.connection.is_close_notify_pending() {
                ready!(self.poll_progress(cx))?;
            }
        }
        Poll::Ready(Ok(()))
    }

    // ---- the steps ----

    /// Whatever lets a blocked read or write go on.
    fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let answered = self.poll_answer(cx);
        let sent = self.poll_send(cx);
        let received = self.poll_receive(cx)?;
        self.set_timer();
        let expired = self.poll_timer(cx);
        // What the peer has said before it stopped listening can still be read.
        if answered || expired || received == Poll::Ready(true) || sent? == Poll::Ready(true) {
            return Poll::Ready(Ok(()));
        }
        let _ = Pin::new(&mut self.stream).poll_flush(cx)?;
        self.connection.release_buffers();
        Poll::Pending
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
        let answer = answer.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Poll::Ready(settle) = answer.as_mut().poll(cx) else { return false };
        self.answer = None;
        // A failed answer has failed the connection too, which is where the error is reported.
        let _ = settle(&mut self.connection);
        self.dispatch_events();
        true
    }

    /// Follows the deadlines of an open connection, which come and go.
    fn set_timer(&mut self) {
        let deadline = self.connection.poll_timeout();
        if self.timer.as_ref().map(|timer| timer.deadline) != deadline {
            self.timer = deadline.map(Timer::new);
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(timer) = &mut self.timer else { return false };
        if timer.sleep.as_mut().poll(cx).is_pending() {
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
                Dispatch::Decide(answer) => self.answer = Some(Mutex::new(answer)),
                Dispatch::Tell(event) => self.tell(event),
            }
        }
    }

    fn tell(&mut self, event: Event) {
        // Who is only told has no say in what becomes of the connection, not even by a panic.
        if catch_unwind(AssertUnwindSafe(|| self.callbacks.tell(&event))).is_err() {
            tracing::error!("a callback panicked");
        }
        match event {
            Event::Session(session) => self.keep(session),
            Event::Renegotiated | Event::ClientAuthenticated => {
                self.exchanges += 1;
                self.waker.wake_writer();
            }
            Event::Failed(_) => self.waker.wake_writer(),
            _ => {}
        }
    }

    fn keep(&mut self, session: Session) {
        if self.sessions.len() == MAX_SESSIONS {
            self.sessions.remove(0);
        }
        self.sessions.push(session);
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
