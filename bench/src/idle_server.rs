//! A server in a process of its own, whose memory is only the server's.
//!
//! The parent writes one line of JSON with the certificate and the key to the child's standard input, and reads one
//! line with the port from its standard output. The child ends when its input does, so it never outlives the parent.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use nodetls_test::pki::Identity;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::Outcome;
use crate::server_thread::ServerThread;
use crate::servers::{self, Acceptor, Groups, Implementation, Settings};

/// The parent's end.
pub(crate) struct IdleServer {
    child: Child,
    address: SocketAddr,
}

impl IdleServer {
    /// Starts this program once more, as a server.
    pub(crate) fn start(implementation: Implementation, identity: &Identity) -> Outcome<Self> {
        let child = Command::new(std::env::current_exe()?)
            .args(["idle-server", implementation.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut this = Self { child, address: (Ipv4Addr::LOCALHOST, 0).into() };
        let line = json!({ "certificate": identity.cert_pem, "key": identity.key_pem });
        let input = this.child.stdin.as_mut().ok_or("the child has no input")?;
        writeln!(input, "{line}")?;
        let output = this.child.stdout.take().ok_or("the child has no output")?;
        let mut port = String::new();
        BufReader::new(output).read_line(&mut port)?;
        this.address.set_port(port.trim().parse()?);
        Ok(this)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes of memory that belong to no file: heap and stacks, but no code.
    pub(crate) fn anonymous_memory(&self) -> io::Result<u64> {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let kibibytes = rollup.lines().find_map(|line| {
            line.strip_prefix("Anonymous:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok()
        });
        Ok(kibibytes.ok_or_else(|| io::Error::other("no Anonymous in smaps_rollup"))? * 1024)
    }
}

impl Drop for IdleServer {
    fn drop(&mut self) {
        // It may have ended by itself, which leaves nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The child's end: serves until the input ends.
pub(crate) fn run(implementation: Implementation) -> Outcome<()> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let acceptor = implementation.acceptor(&Settings {
        identity: &read_identity(&line)?,
        groups: Groups::X25519,
        tickets: 2,
    })?;
    let server = ServerThread::spawn(|listener| serve(listener, acceptor))?;
    println!("{}", server.address().port());
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn read_identity(line: &str) -> Outcome<Identity> {
    let values: Value = serde_json::from_str(line)?;
    let text = |name: &str| values[name].as_str().map(str::to_owned).ok_or_else(|| format!("no {name}"));
    Ok(Identity { cert_pem: text("certificate")?, key_pem: text("key")?, cert_der: Vec::new() })
}

async fn serve(listener: TcpListener, acceptor: Arc<dyn Acceptor>) -> io::Result<()> {
    loop {
        let (tcp, _) = listener.accept().await?;
        let acceptor = Arc::clone(&acceptor);
        // The client notices what goes wrong here: its connection ends.
        drop(tokio::spawn(async move {
            let mut stream = servers::accept(tcp, &*acceptor).await?;
            let mut byte = [0];
            while stream.read(&mut byte).await? > 0 {
                stream.write_all(&byte).await?;
                stream.flush().await?;
            }
            io::Result::Ok(())
        }));
    }
}
