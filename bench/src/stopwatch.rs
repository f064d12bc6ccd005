//! Time on the clock and of this thread's processor.

use std::ops::AddAssign;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Runs from [`Stopwatch::start`] to [`Stopwatch::stop`], both on the same thread.
pub(crate) struct Stopwatch {
    processor: Timespec,
    clock: Instant,
}

/// What has passed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Elapsed {
    /// Time that the thread was running, in the program and in the kernel.
    pub(crate) processor: Duration,
    /// Time on the clock.
    pub(crate) clock: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { processor: thread_time(), clock: Instant::now() }
    }

    pub(crate) fn stop(self) -> Elapsed {
        let clock = self.clock.elapsed();
        let processor = thread_time() - self.processor;
        // The time of a thread never runs backwards.
        Elapsed { processor: processor.try_into().unwrap_or_default(), clock }
    }
}

impl AddAssign for Elapsed {
    fn add_assign(&mut self, other: Self) {
        self.processor += other.processor;
        self.clock += other.clock;
    }
}

fn thread_time() -> Timespec {
    clock_gettime(ClockId::ThreadCPUTime)
}
