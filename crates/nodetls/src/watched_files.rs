//! `WatchedFiles`: contexts that follow their files.
//!
//! The files are read again at an interval and compared by content. That works on every file system, network and
//! overlay ones included, and through links that are exchanged as Kubernetes does it, where notifications of the
//! system get lost or watch what is no longer there. The files are small, so reading them costs next to nothing.

use std::hash::RandomState;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nodetls_proto::SecureContext;
use tokio::sync::{mpsc, oneshot, watch};

use crate::context_files::{ContextFiles, FilesError, Snapshot, blocking, read_files};
use crate::server::{Acceptor, WeakAcceptor};

/// Readings more frequent than this keep a disk busy for nothing.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// How often changing files are read before they are left alone until the next time.
const MAX_READINGS: usize = 10;

/// When files are read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchOptions {
    /// The time between two readings; at least 100 ms. Default: 10 s.
    pub interval: Duration,
    /// How long changed files must stay the same before they are used, so that files which are written one after the
    /// other are used together. Default: 1 s.
    pub settle_time: Duration,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self { interval: Duration::from_secs(10), settle_time: Duration::from_secs(1) }
    }
}

/// What has become of watched files.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FilesStatus {
    /// The context of the last set of files that was good.
    pub context: SecureContext,
    /// How many sets were good, the first one included.
    pub loads: u64,
    /// How many sets were refused.
    pub refusals: u64,
    /// Why the files as they are now are not used; `None`: they are.
    pub refused: Option<Arc<FilesError>>,
}

impl ContextFiles {
    /// Makes a context of the files, and a new one each time they change. A set that is broken or incomplete is
    /// refused, and the last good one stays.
    ///
    /// # Errors
    /// [`FilesError`], when the files are not good from the beginning.
    ///
    /// # Cancel safety
    /// Giving up changes nothing.
    pub async fn watch(self, options: WatchOptions) -> Result<WatchedFiles, FilesError> {
        let watcher = Watcher::new(self, options.settle_time).await?;
        let shared = Arc::clone(&watcher.shared);
        let (requests, received) = mpsc::channel(1);
        let task = tokio::spawn(watcher.run(options.interval.max(MIN_INTERVAL), received));
        Ok(WatchedFiles { shared, requests, task })
    }
}

/// Files that are watched for as long as this lives. Servers follow them by
/// [`Acceptor::follow_secure_context`](crate::Acceptor::follow_secure_context) and
/// [`Acceptor::follow_context`](crate::Acceptor::follow_context).
#[derive(Debug)]
pub struct WatchedFiles {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
    task: tokio::task::JoinHandle<()>,
}

impl WatchedFiles {
    /// The context of the last set of files that was good.
    pub fn context(&self) -> SecureContext {
        self.shared.status.borrow().context.clone()
    }

    /// What has become of the files, now and whenever a changed set was used or refused. The receiver sees the latest
    /// status, which may have come after others that it has missed.
    pub fn subscribe(&self) -> watch::Receiver<FilesStatus> {
        self.shared.status.subscribe()
    }

    /// Looks at the files now, as on a signal of an operator, and waits until a changed set is in use.
    ///
    /// # Errors
    /// [`FilesError`]: the files as they are now are not used.
    ///
    /// # Cancel safety
    /// Giving up does not stop the reading.
    pub async fn reload_now(&self) -> Result<(), Arc<FilesError>> {
        let (reply, verdict) = oneshot::channel();
        // Both fail only where the runtime has ended the task.
        let _ = self.requests.send(reply).await;
        verdict.await.unwrap_or_else(|_| Err(Arc::new(FilesError::Stopped)))
    }

    /// Gives an acceptor the current context and all later ones.
    fn add_follower(&self, follower: Follower) {
        let mut followers = self.shared.followers();
        // The list is locked, so no newer context comes between.
        follower.set(&self.context());
        followers.push(follower);
    }
}

impl Drop for WatchedFiles {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where the verdict goes that somebody waits for.
type Request = oneshot::Sender<Result<(), Arc<FilesError>>>;

#[derive(Debug)]
struct Shared {
    status: watch::Sender<FilesStatus>,
    followers: Mutex<Vec<Follower>>,
}

impl Shared {
    fn followers(&self) -> std::sync::MutexGuard<'_, Vec<Follower>> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self, context: &SecureContext) {
        let mut followers = self.followers();
        // Servers that are gone leave the list.
        followers.retain(|follower| follower.set(context));
        self.status.send_modify(|status| {
            status.context = context.clone();
            status.loads += 1;
            status.refused = None;
        });
        tracing::info!("changed TLS files are in use");
    }

    fn refuse(&self, error: FilesError) {
        tracing::warn!(%error, "changed TLS files are refused; the last good ones stay in use");
        self.status.send_modify(|status| {
            status.refusals += 1;
            status.refused = Some(Arc::new(error));
        });
    }

    fn verdict(&self) -> Result<(), Arc<FilesError>> {
        self.status.borrow().refused.clone().map_or(Ok(()), Err)
    }
}

impl Acceptor {
    /// Uses the context of watched files, now and whenever they change, as [`Acceptor::set_secure_context`] would.
    /// Ends with the [`WatchedFiles`].
    pub fn follow_secure_context(&self, files: &WatchedFiles) {
        files.add_follower(Follower { acceptor: self.downgrade(), name: None });
    }

    /// Uses the context of watched files for a server name or pattern, now and whenever they change, as
    /// [`Acceptor::add_context`] would. Ends with the [`WatchedFiles`].
    pub fn follow_context(&self, name: &str, files: &WatchedFiles) {
        files.add_follower(Follower { acceptor: self.downgrade(), name: Some(name.to_owned()) });
    }
}

/// An acceptor that gets the contexts, as long as it is there.
struct Follower {
    acceptor: WeakAcceptor,
    name: Option<String>,
}

impl Follower {
    /// Gives it a context; false when it is gone.
    fn set(&self, context: &SecureContext) -> bool {
        let Some(acceptor) = self.acceptor.upgrade() else { return false };
        match &self.name {
            Some(name) => acceptor.add_context(name, context),
            None => acceptor.set_secure_context(context),
        }
        true
    }
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Follower").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The task that reads.
struct Watcher {
    files: Arc<ContextFiles>,
    settle_time: Duration,
    hash: RandomState,
    /// The digest of the set that was judged last; `None`: the files have to be judged anew.
    judged: Option<u64>,
    shared: Arc<Shared>,
}

impl Watcher {
    async fn new(files: ContextFiles, settle_time: Duration) -> Result<Self, FilesError> {
        let (files, hash) = (Arc::new(files), RandomState::new());
        let snapshot = settled(&files, &hash, Duration::ZERO).await?;
        let judged = Some(snapshot.digest);
        let context = build(&files, snapshot).await?;
        let status = FilesStatus { context, loads: 1, refusals: 0, refused: None };
        let shared = Shared { status: watch::Sender::new(status), followers: Mutex::default() };
        Ok(Self { files, settle_time, hash, judged, shared: Arc::new(shared) })
    }

    async fn run(mut self, interval: Duration, mut requests: mpsc::Receiver<Request>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(interval) => self.look(self.settle_time).await,
                request = requests.recv() => {
                    let Some(reply) = request else { return };
                    self.look(Duration::ZERO).await;
                    // Who has asked may have given up.
                    let _ = reply.send(self.shared.verdict());
                }
            }
        }
    }

    /// Reads the files, and judges a set that it has not judged before.
    async fn look(&mut self, settle_time: Duration) {
        match self.changed(settle_time).await {
            Ok(None) => {}
            Ok(Some(context)) => self.shared.accept(&context),
            Err(error) => self.shared.refuse(error),
        }
    }

    async fn changed(&mut self, settle_time: Duration) -> Result<Option<SecureContext>, FilesError> {
        let snapshot = read_files(&self.files, &self.hash).await?;
        if Some(snapshot.digest) == self.judged {
            return Ok(None);
        }
        drop(snapshot);
        // While they change they have not been judged, whatever they become.
        self.judged = None;
        let snapshot = settled(&self.files, &self.hash, settle_time).await?;
        self.judged = Some(snapshot.digest);
        build(&self.files, snapshot).await.map(Some)
    }
}

/// The files, as soon as they have stayed the same for this long. Files that were read one after the other while
/// somebody was replacing them may not belong together.
async fn settled(
    files: &Arc<ContextFiles>,
    hash: &RandomState,
    settle_time: Duration,
) -> Result<Snapshot, FilesError> {
    let mut before = read_files(files, hash).await?.digest;
    for _ in 0..MAX_READINGS {
        tokio::time::sleep(settle_time).await;
        let snapshot = read_files(files, hash).await?;
        if snapshot.digest == before {
            return Ok(snapshot);
        }
        before = snapshot.digest;
    }
    Err(FilesError::Unsettled)
}

async fn build(files: &Arc<ContextFiles>, snapshot: Snapshot) -> Result<SecureContext, FilesError> {
    let files = Arc::clone(files);
    blocking(move || files.build(snapshot)).await?
}
