//! A thread with a runtime of its own for the server under test, so that its processor time can be told apart.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::Outcome;

/// How long one turn of a server or its client may take; only one that hangs does.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A running server that ends with a result.
pub(crate) struct ServerThread<T> {
    address: SocketAddr,
    result: mpsc::Receiver<io::Result<T>>,
}

impl<T: Send + 'static> ServerThread<T> {
    /// Listens on the loopback interface and runs the job with the listener.
    pub(crate) fn spawn<J, F>(job: J) -> io::Result<Self>
    where
        J: FnOnce(TcpListener) -> F + Send + 'static,
        F: Future<Output = io::Result<T>>,
    {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (sender, result) = mpsc::sync_channel(1);
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async { job(TcpListener::from_std(listener)?).await })
        };
        // The name tells the thread apart in a profile. Nobody may be left to receive the result: the client's error has
        // ended the program then.
        let thread = std::thread::Builder::new().name("server".to_owned());
        thread.spawn(move || sender.send(run()))?;
        Ok(Self { address, result })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the result.
    pub(crate) fn join(self) -> Outcome<T> {
        let result = self.result.recv_timeout(LIMIT);
        Ok(result.map_err(|error| format!("the server gives no result: {error}"))??)
    }
}
