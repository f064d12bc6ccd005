//! Threads for the public-key work of handshakes, so that JavaScript's own never does any.
//!
//! The queue is bounded: where it is full, the work is done by whoever asks. Each environment (the main thread, each
//! worker) is told which of its connections have had their work done, many at a time.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use napi::threadsafe_function::ThreadsafeFunctionCallMode;

use crate::connection::Shared;
use crate::module::WorkDone;

/// Steps that wait at most, where nothing else was asked for.
const DEFAULT_QUEUE: usize = 4096;

/// Connections that wait at most to be freed by a thread.
const MAX_WASTE: usize = 64;

/// The niceness of the threads, on the scale of `nice`.
#[cfg(target_os = "linux")]
const WORKER_NICENESS: i32 = 5;

/// How many threads at most, whatever was asked for.
const MAX_WORKERS: usize = 256;

/// A step of a handshake, and whom to tell.
struct Job {
    connection: Arc<Shared>,
    done: Arc<Completions>,
}

enum Task {
    Work(Job),
    Free(Arc<Shared>),
}

/// Where the connections of one environment are reported.
pub(crate) struct Completions {
    ids: Mutex<Vec<u32>>,
    tell: OnceLock<WorkDone>,
}

impl Completions {
    pub(crate) fn new() -> Self {
        Self { ids: Mutex::default(), tell: OnceLock::new() }
    }

    /// Whom to tell; the first one stays.
    pub(crate) fn set(&self, tell: WorkDone) {
        let _ = self.tell.set(tell);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.tell.get().is_some()
    }

    /// The connections whose work was done since the last call.
    pub(crate) fn take(&self) -> Vec<u32> {
        std::mem::take(&mut *lock(&self.ids))
    }

    fn push(&self, id: u32) {
        let was_empty = {
            let mut ids = lock(&self.ids);
            ids.push(id);
            ids.len() == 1
        };
        // Whoever finds others before it knows that they have called already.
        if let Some(tell) = self.tell.get().filter(|_| was_empty) {
            // An environment that is closing does not want to know any more.
            let _ = tell.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// Connections that nobody needs any more.
    waste: Vec<Arc<Shared>>,
    idle: usize,
    threads: usize,
}

struct Pool {
    queue: Mutex<Queue>,
    work: Condvar,
    limits: Mutex<(usize, usize)>,
    processors: usize,
}

fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| Pool {
        queue: Mutex::default(),
        work: Condvar::new(),
        limits: Mutex::new((default_workers(), DEFAULT_QUEUE)),
        processors: processors(),
    })
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn default_workers() -> usize {
    let asked = std::env::var("NODETLS_WORKERS").ok().and_then(|count| count.parse().ok());
    asked.unwrap_or_else(processors).min(MAX_WORKERS)
}

/// How many threads there may be (0: all work is done by the caller), and how many steps may wait.
pub(crate) fn set_limits(workers: usize, queue: usize) {
    *lock(&pool().limits) = (workers.min(MAX_WORKERS), queue);
}

/// Queues a step; whether it was.
pub(crate) fn start(connection: &Arc<Shared>, done: &Arc<Completions>) -> bool {
    let pool = pool();
    let (workers, room) = *lock(&pool.limits);
    let mut queue = lock(&pool.queue);
    if workers == 0 || queue.jobs.len() >= room {
        return false;
    }
    if queue.idle <= queue.jobs.len() && queue.threads < workers {
        // Where no thread can be made, those there are do the work; without any, the caller does.
        let made = thread::Builder::new().name("nodetls".to_owned()).spawn(|| run(pool));
        queue.threads += usize::from(made.is_ok());
    }
    if queue.threads == 0 {
        return false;
    }
    connection.working.store(true, Ordering::SeqCst);
    queue.jobs.push_back(Job { connection: Arc::clone(connection), done: Arc::clone(done) });
    // Whoever is awake looks for the next step by itself, soon. Where they and JavaScript's thread have all processors, to
    // wake another one for a single step costs more than it gains.
    let awake = queue.threads.saturating_sub(queue.idle);
    let is_needed = queue.idle > 0 && (awake + 1 < pool.processors || queue.jobs.len() > awake);
    drop(queue);
    if is_needed {
        pool.work.notify_one();
    }
    true
}

/// Frees what a connection holds, which nobody needs any more: by a thread that is awake, where there is one. Threads that
/// have made a connection free it faster, and nobody waits for it.
pub(crate) fn free(connection: &Arc<Shared>) {
    {
        let mut queue = lock(&pool().queue);
        if queue.threads > queue.idle && queue.waste.len() < MAX_WASTE {
            queue.waste.push(Arc::clone(connection));
            return;
        }
    }
    connection.free_if_disposed();
}

/// JavaScript's thread goes first where there are fewer processors than threads: it is what everybody waits for.
#[cfg(target_os = "linux")]
fn give_way() {
    // Linux gives each thread its own priority. Without it the work is done all the same.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), WORKER_NICENESS);
}

#[cfg(not(target_os = "linux"))]
fn give_way() {}

fn run(pool: &Pool) {
    give_way();
    loop {
        match next_task(pool) {
            Task::Work(job) => work(&job),
            Task::Free(connection) => connection.free_if_disposed(),
        }
    }
}

/// Waits until there is something to do. Whoever works is waited for, and goes first.
fn next_task(pool: &Pool) -> Task {
    let mut queue = lock(&pool.queue);
    loop {
        if let Some(job) = queue.jobs.pop_front() {
            return Task::Work(job);
        }
        if let Some(connection) = queue.waste.pop() {
            return Task::Free(connection);
        }
        queue.idle += 1;
        queue = pool.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        queue.idle -= 1;
    }
}

fn work(job: &Job) {
    let advance = || lock(&job.connection.connection).advance();
    // A panic would be a bug of the core; the connection then simply does not go on.
    let _ = catch_unwind(AssertUnwindSafe(advance));
    job.connection.working.store(false, Ordering::SeqCst);
    job.connection.free_if_disposed();
    job.done.push(job.connection.id);
}

/// A lock that a panic elsewhere does not take away.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
