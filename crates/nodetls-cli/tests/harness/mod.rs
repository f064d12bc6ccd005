//! Programs under test: started, fed, watched line by line with a time limit, and ended with the test.

#![expect(dead_code, reason = "each test file uses its own part")]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair, SanType};

/// No step of a test takes longer.
const LIMIT: Duration = Duration::from_secs(30);

/// What a program reads.
pub(crate) enum Input<'a> {
    /// These bytes, then the end.
    Bytes(&'a [u8]),
    /// What the test writes, until it closes.
    Open,
}

/// A running program. It is killed when dropped.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines,
    stderr: Lines,
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// Which stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    Out,
    Err,
}

struct Lines {
    lines: Receiver<Vec<u8>>,
    seen: Vec<u8>,
    unread: VecDeque<String>,
}

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            loop {
                let mut line = Vec::new();
                match reader.read_until(b'\n', &mut line) {
                    Ok(count) if count > 0 && sender.send(line).is_ok() => {}
                    _ => return,
                }
            }
        });
        Self { lines, seen: Vec::new(), unread: VecDeque::new() }
    }

    /// Takes in one more line; false at the end.
    fn advance(&mut self, deadline: Instant) -> bool {
        match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                self.seen.extend_from_slice(&line);
                self.unread.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
                true
            }
            Err(RecvTimeoutError::Disconnected) => false,
            Err(RecvTimeoutError::Timeout) => {
                panic!("nothing more came; before: {}", String::from_utf8_lossy(&self.seen))
            }
        }
    }
}

impl Running {
    pub(crate) fn spawn(command: &mut Command, input: Input<'_>) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut stdin = child.stdin.take();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        if let Input::Bytes(bytes) = input {
            let (mut stdin, bytes) = (stdin.take().unwrap(), bytes.to_vec());
            // A program that ends early does not read it all.
            std::thread::spawn(move || drop(stdin.write_all(&bytes)));
        }
        Self { child, stdin, stdout: Lines::of(stdout), stderr: Lines::of(stderr) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// The next line that contains the text; lines before it are passed over.
    pub(crate) fn line(&mut self, stream: Stream, text: &str) -> String {
        let lines = match stream {
            Stream::Out => &mut self.stdout,
            Stream::Err => &mut self.stderr,
        };
        let deadline = Instant::now() + LIMIT;
        loop {
            while let Some(line) = lines.unread.pop_front() {
                if line.contains(text) {
                    return line;
                }
            }
            if !lines.advance(deadline) {
                panic!("the program ended without {text:?}: {}", String::from_utf8_lossy(&lines.seen));
            }
        }
    }

    /// Closes the input, and waits for the end.
    pub(crate) fn end(mut self) -> Ended {
        self.close_stdin();
        let deadline = Instant::now() + LIMIT;
        while self.stdout.advance(deadline) {}
        while self.stderr.advance(deadline) {}
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the program does not end");
            std::thread::yield_now();
        };
        let stderr = String::from_utf8_lossy(&self.stderr.seen).into_owned();
        Ended { status, stdout: std::mem::take(&mut self.stdout.seen), stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command under test, free of the environment's key log.
pub(crate) fn nodetls(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodetls"));
    command.args(arguments).env_remove("SSLKEYLOGFILE");
    command
}

/// Runs the command under test to its end.
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Ended {
    Running::spawn(&mut nodetls(arguments), Input::Bytes(input)).end()
}

impl Ended {
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.status.code(), Some(0), "{}", self.stderr);
        self
    }

    /// That it failed with this status, and that the last line says the code as all failures do.
    #[track_caller]
    pub(crate) fn failed(self, status: i32, code: &str) -> Self {
        assert_eq!(self.status.code(), Some(status), "{}", self.stderr);
        let last = self.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with(&format!("nodetls: {code}: ")), "{code} is not in: {}", self.stderr);
        self
    }
}

/// A directory for a test's files.
pub(crate) struct Directory(tempfile::TempDir);

impl Directory {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The path as an argument.
    pub(crate) fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), contents).unwrap();
        self.file(name)
    }

    /// A certificate for this name that is its own authority: paths of the certificate and the key.
    pub(crate) fn self_signed(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let cert = self.write(&format!("{name}.pem"), certificate.pem());
        (cert, self.write(&format!("{name}.key"), key.serialize_pem()))
    }
}

/// A `nodetls serve` on a free port, with the file that holds its authority.
pub(crate) struct Served {
    pub(crate) running: Running,
    pub(crate) directory: Directory,
    pub(crate) port: u16,
}

impl Served {
    /// With a throwaway certificate.
    pub(crate) fn throwaway(arguments: &[&str]) -> Self {
        Self::start(arguments, |_| {})
    }

    pub(crate) fn start(arguments: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        let directory = Directory::new();
        let ca = directory.file("ca.pem");
        let mut command = nodetls(&["serve", "--listen", "127.0.0.1:0", "--write-ca", &ca]);
        command.args(arguments);
        prepare(&mut command);
        Self::spawn(&mut command, directory)
    }

    pub(crate) fn spawn(command: &mut Command, directory: Directory) -> Self {
        let mut running = Running::spawn(command, Input::Bytes(b""));
        let line = running.line(Stream::Out, "listening on ");
        let port = line.rsplit_once(':').unwrap().1.parse().unwrap();
        Self { running, directory, port }
    }

    /// Where it listens, by name.
    pub(crate) fn target(&self) -> String {
        format!("localhost:{}", self.port)
    }

    pub(crate) fn ca(&self) -> String {
        self.directory.file("ca.pem")
    }

    /// Connects to it, trusting its authority, and runs to the end.
    pub(crate) fn connect(&self, arguments: &[&str], input: &[u8]) -> Ended {
        let (target, ca) = (self.target(), self.ca());
        run(&[&["connect", &target, "--ca", &ca], arguments].concat(), input)
    }

    /// Connects to it with an open input.
    pub(crate) fn open(&self, arguments: &[&str]) -> Running {
        let (target, ca) = (self.target(), self.ca());
        let arguments = [&["connect", &target, "--ca", &ca], arguments].concat();
        Running::spawn(&mut nodetls(&arguments), Input::Open)
    }
}

/// Whether a program that the test needs is missing; says so if it is.
pub(crate) fn is_missing(program: &str) -> bool {
    let missing = std::env::var("NODETLS_MISSING").unwrap_or_default();
    let is_missing = missing.split(',').any(|name| name.trim() == program);
    if is_missing {
        skipped(program);
    }
    is_missing
}

/// Says that a test was not done.
#[expect(clippy::print_stdout, reason = "the test runner collects it")]
pub(crate) fn skipped(missing: &str) {
    println!("SKIPPED: {missing} is missing");
}

/// The permission bits of a file.
#[cfg(unix)]
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Bytes that compress badly and repeat late.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    (0..length as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}
