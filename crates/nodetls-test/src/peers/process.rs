//! A child process with pipes, watched with a time limit.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How long a program may take for anything.
const LIMIT: Duration = Duration::from_secs(30);

/// A piece of what a program wrote.
enum Piece {
    Output(Vec<u8>),
    Diagnostics(Vec<u8>),
}

/// A program that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    input: Option<Sender<Vec<u8>>>,
    pieces: Receiver<Piece>,
    /// What came from its standard output.
    data: Vec<u8>,
    /// What came from both of its streams.
    all: Vec<u8>,
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Piece")
    }
}

/// How a program has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) success: bool,
    pub(super) output: String,
}

impl Running {
    /// Starts a program.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (output, pieces) = channel();
        let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        watch(stdout, output.clone(), Piece::Output);
        watch(stderr, output, Piece::Diagnostics);
        let (input, inputs) = channel::<Vec<u8>>();
        let mut stdin = child.stdin.take().expect("piped");
        // A thread of its own, so that a program that does not read cannot stop the test.
        std::thread::spawn(move || {
            // One that reads no more has ended, which is noticed elsewhere.
            while inputs.recv().is_ok_and(|bytes| stdin.write_all(&bytes).is_ok()) {}
        });
        Self { child, input: Some(input), pieces, data: Vec::new(), all: Vec::new() }
    }

    /// Gives bytes to the program's standard input.
    pub fn send(&mut self, bytes: &[u8]) {
        if let Some(input) = &self.input {
            // One that reads no more has ended, which is noticed elsewhere.
            let _ = input.send(bytes.to_vec());
        }
    }

    /// Waits until the test sees in the output what it waits for; `None` when the program has ended before.
    ///
    /// # Panics
    /// When too much time passes.
    pub fn look_for<T>(&mut self, mut look: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let found = look(&String::from_utf8_lossy(&self.all));
            if found.is_some() || !self.receive(deadline) {
                return found;
            }
        }
    }

    /// Waits until the test sees in the output what it waits for.
    ///
    /// # Panics
    /// When the program ends before, or too much time passes.
    pub fn wait_for<T>(&mut self, look: impl FnMut(&str) -> Option<T>) -> T {
        let found = self.look_for(look);
        found.unwrap_or_else(|| panic!("the program has ended: {}", String::from_utf8_lossy(&self.all)))
    }

    /// Waits until the program has written this to its standard output, or has ended.
    pub fn wait_for_data(&mut self, data: &[u8]) {
        let deadline = Instant::now() + LIMIT;
        while !self.has_received(data) && self.receive(deadline) {}
    }

    /// Whether the program has written this to its standard output.
    pub fn has_received(&self, data: &[u8]) -> bool {
        self.data.windows(data.len()).any(|window| window == data)
    }

    /// Closes the program's input and waits for its end.
    pub(super) fn finish(&mut self) -> Ended {
        self.input = None;
        let deadline = Instant::now() + LIMIT;
        while self.receive(deadline) {}
        // Both of its streams are closed: it has ended.
        let status = self.child.wait().expect("a child can be waited for");
        Ended { success: status.success(), output: String::from_utf8_lossy(&self.all).into_owned() }
    }

    /// Ends the program, for one that serves for ever.
    pub(super) fn kill(&mut self) -> Ended {
        // It may be gone already.
        let _ = self.child.kill();
        Ended { success: true, ..self.finish() }
    }

    /// Takes in more of the output; `false` at its end.
    fn receive(&mut self, deadline: Instant) -> bool {
        match self.pieces.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Piece::Output(bytes)) => {
                self.data.extend_from_slice(&bytes);
                self.all.extend_from_slice(&bytes);
                true
            }
            Ok(Piece::Diagnostics(bytes)) => {
                self.all.extend_from_slice(&bytes);
                true
            }
            Err(RecvTimeoutError::Disconnected) => false,
            Err(RecvTimeoutError::Timeout) => {
                panic!("the program takes too long: {}", String::from_utf8_lossy(&self.all))
            }
        }
    }
}

fn watch(mut stream: impl Read + Send + 'static, pieces: Sender<Piece>, piece: fn(Vec<u8>) -> Piece) {
    std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            if pieces.send(piece(buffer[..count].to_vec())).is_err() {
                return;
            }
        }
    });
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail for one that has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
