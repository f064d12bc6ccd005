//! The server: a process of its own, and what the system says of it.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use nodetls::{Acceptor, KeyPem, SecureContext, SecureContextOptions, TlsSocket};
use nodetls_test::pki::{Authority, Leaf};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Outcome;
use crate::server_thread::ServerThread;

/// How long a handshake may take.
pub(super) const LIMIT: Duration = Duration::from_secs(3);

/// What the server sends when the first byte is a `d`.
pub(super) const DOWNLOAD: usize = 1 << 30;

/// The parent's end.
pub(super) struct FaultServer {
    child: Child,
    talk: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    address: SocketAddr,
}

impl FaultServer {
    /// Starts the command, or this program; also gives the authority that its certificate comes from.
    ///
    /// The child gets a line of JSON with certificate and key, prints its port, answers each line with one when it has
    /// collected its garbage, and ends with its input.
    pub(super) fn start(command: &[String]) -> Outcome<(Self, String)> {
        let mut program = match command {
            [] => Command::new(std::env::current_exe()?),
            [program, ..] => Command::new(program),
        };
        program.args(command.iter().skip(1));
        if command.is_empty() {
            program.arg("fault-server");
        }
        let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().ok_or("the child has no input")?;
        let output = BufReader::new(child.stdout.take().ok_or("the child has no output")?);
        let mut this =
            Self { child, talk: Mutex::new((input, output)), address: (Ipv4Addr::LOCALHOST, 0).into() };
        let authority = Authority::new("nodetls-faults");
        let identity = authority.issue(&Leaf::server("localhost"));
        let line =
            json!({ "certificate": identity.cert_pem, "key": identity.key_pem, "limit": LIMIT.as_millis() });
        this.address.set_port(this.ask(&line.to_string())?.trim().parse()?);
        Ok((this, authority.pem().to_owned()))
    }

    /// Sends a line, and waits for one.
    fn ask(&self, line: &str) -> Outcome<String> {
        let mut talk = self.talk.lock().map_err(|_| "a conversation has failed before")?;
        writeln!(talk.0, "{line}")?;
        let mut answer = String::new();
        talk.1.read_line(&mut answer)?;
        Ok(answer)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    fn read(&self, name: &str) -> io::Result<String> {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id()))
    }

    /// Bytes of memory that belong to no file, without what a collector of garbage would find.
    pub(super) fn memory(&self) -> Outcome<f64> {
        self.ask("collect")?;
        let rollup = self.read("smaps_rollup")?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:"));
        let kibibytes: f64 = line.ok_or("no Anonymous")?.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes * 1024.0)
    }

    /// How many descriptors are open.
    pub(super) fn descriptors(&self) -> io::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// Milliseconds of the processor so far, the kernel's share included.
    pub(super) fn processor(&self) -> Outcome<f64> {
        let stat = self.read("stat")?;
        // After the name in brackets; times are the 12th and 13th from there, in hundredths of seconds.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        Ok(ticks * 10.0)
    }
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        // It may have ended by itself, which leaves nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The child's end: serves until the input ends.
pub(crate) fn run() -> Outcome<()> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let values: Value = serde_json::from_str(&line)?;
    let text = |name: &str| values[name].as_str().map(str::to_owned).ok_or_else(|| format!("no {name}"));
    let context = SecureContext::new(&SecureContextOptions {
        cert: vec![text("certificate")?.into()],
        key: vec![KeyPem { pem: text("key")?.into(), passphrase: None }],
        ..SecureContextOptions::default()
    })?;
    let acceptor = Acceptor::builder(&context).handshake_timeout(LIMIT).build()?;
    let server = ServerThread::<()>::spawn(|listener| serve(listener, acceptor))?;
    println!("{}", server.address().port());
    for _ in io::stdin().lines() {
        println!("nothing to collect");
    }
    Ok(())
}

async fn serve(listener: TcpListener, acceptor: Acceptor) -> io::Result<()> {
    loop {
        let (tcp, _) = listener.accept().await?;
        let acceptor = acceptor.clone();
        drop(tokio::spawn(async move {
            // Nothing is done for the server's good: whoever fails is let go by the library.
            // In a box, so that no idle connection keeps room for its handshake.
            let Ok(mut socket) = Box::pin(acceptor.accept(tcp)).await else { return };
            let _ = converse(&mut socket).await;
        }));
    }
}

async fn converse(socket: &mut TlsSocket<TcpStream>) -> io::Result<()> {
    let mut byte = [0];
    if socket.read(&mut byte).await? == 0 {
        return Ok(());
    }
    if byte == *b"d" {
        return download(socket).await;
    }
    loop {
        socket.write_all(&byte).await?;
        socket.flush().await?;
        if socket.read(&mut byte).await? == 0 {
            return Ok(());
        }
    }
}

async fn download(socket: &mut TlsSocket<TcpStream>) -> io::Result<()> {
    let piece = vec![b'd'; 64 * 1024];
    for _ in 0..DOWNLOAD / piece.len() {
        socket.write_all(&piece).await?;
    }
    socket.flush().await
}
