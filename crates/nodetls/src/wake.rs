//! One waker for two tasks.
//!
//! The reading and the writing side of a TLS connection may belong to different tasks, but either may need the
//! transport in both directions. A transport remembers one waker for each direction, so whichever task polled last
//! would steal the other's wake-up. Here the transport only ever sees one waker, and it wakes both.

use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Which side is being polled.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Task {
    Reader,
    Writer,
}

#[derive(Default)]
struct Both {
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.reader.wake();
        self.writer.wake();
    }
}

/// The waker that the transport sees.
pub(crate) struct SharedWaker {
    both: Arc<Both>,
    waker: Waker,
}

impl SharedWaker {
    pub(crate) fn new() -> Self {
        let both = Arc::new(Both::default());
        Self { waker: Waker::from(Arc::clone(&both)), both }
    }

    /// Wakes the writing side: what it waits for may have happened without the transport.
    pub(crate) fn wake_writer(&self) {
        self.both.writer.wake();
    }

    /// Remembers the task and gives what the transport is to be polled with.
    pub(crate) fn register(&self, task: Task, cx: &Context<'_>) -> Waker {
        match task {
            Task::Reader => self.both.reader.register(cx.waker()),
            Task::Writer => self.both.writer.register(cx.waker()),
        }
        self.waker.clone()
    }
}

impl std::fmt::Debug for SharedWaker {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("SharedWaker")
    }
}
