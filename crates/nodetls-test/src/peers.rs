//! Programs that speak TLS and that nobody here wrote: `openssl`, `curl`, Python, GnuTLS and Node.js.
//!
//! Each can be started as a client of a server under test, and all but curl as a server for a client under test. The
//! dialogue is always the same: the client sends, the server sends that back, the client says goodbye and the server
//! answers it. What a program says about the connection comes back as a [`Report`].
//!
//! Everything blocks, with a time limit that fails the test; a program that is still there when it is dropped is
//! killed.

mod process;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodetls_proto::ProtocolVersion;

pub use self::process::Running;

/// A program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `openssl s_client` and `openssl s_server`.
    OpenSsl,
    /// `curl`, a client only, which speaks HTTP.
    Curl,
    /// The `ssl` module of `python3`.
    Python,
    /// `gnutls-cli` and `gnutls-serv`.
    GnuTls,
    /// The `tls` module of `node`.
    Node,
}

/// What a connection is to be like.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The only version that the program may use.
    pub version: ProtocolVersion,
    /// The authority of the other side. A server asks for a client certificate where there is one.
    pub ca: Option<PathBuf>,
    /// Certificate and key; a server needs them.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The application protocol to offer or select; curl has its own.
    pub alpn_protocol: Option<String>,
    /// The name that a client asks for; without one, it expects the certificate to be for the IP address.
    pub server_name: Option<String>,
    /// How many connections, one after the other; a client resumes from the second on. `openssl s_client` with TLS 1.2
    /// knows one or six.
    pub connections: usize,
    /// How many bytes to send; 0 for a line of text.
    pub bytes: usize,
}

/// What a program said about its connections.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The protocol version.
    pub version: Option<ProtocolVersion>,
    /// The application protocol.
    pub alpn_protocol: Option<String>,
    /// The server name that a client asked for, where a server tells it.
    pub server_name: Option<String>,
    /// The common name in the client's certificate, where a server tells it.
    pub peer: Option<String>,
    /// How many connections resumed a session.
    pub resumed: usize,
    /// Whether everything came back as it was sent; `true` on servers.
    pub echoed: bool,
    /// Whether the program was content: it ended without an error, and saw no truncation if it looks for that.
    pub is_content: bool,
    /// All that it wrote.
    pub output: String,
}

impl Program {
    /// The name in `NODETLS_MISSING`, of the client and of the server.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::OpenSsl => &["openssl"],
            Self::Curl => &["curl"],
            Self::Python => &["python3"],
            Self::GnuTls => &["gnutls-cli", "gnutls-serv"],
            Self::Node => &["node"],
        }
    }

    /// Whether a test has to do without the program, which it then says.
    pub fn is_skipped(self) -> bool {
        self.names().iter().any(|name| crate::is_missing(name))
    }

    /// The application protocol that its clients can offer.
    pub fn alpn_protocol(self) -> &'static str {
        if self == Self::Curl { "http/1.1" } else { "echo" }
    }

    /// Runs a client to its end.
    pub fn run_client(self, terms: &Terms, port: u16) -> Report {
        match self {
            Self::OpenSsl => openssl_client(terms, port),
            Self::Curl => curl(terms, port),
            Self::Python => told(&Running::start(&mut python("client.py", terms, Some(port))).finish()),
            Self::GnuTls => gnutls_client(terms, port),
            Self::Node => told(&Running::start(&mut node("client.js", terms, Some(port))).finish()),
        }
    }

    /// Starts a server for [`Terms::connections`] connections, and waits until it listens.
    pub fn start_server(self, terms: &Terms) -> Serving {
        match self {
            Self::OpenSsl => openssl_server(terms),
            Self::Curl => unreachable!("curl is no server"),
            Self::Python => scripted_server(self, &mut python("server.py", terms, None)),
            Self::GnuTls => gnutls_server(terms),
            Self::Node => scripted_server(self, &mut node("server.js", terms, None)),
        }
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct Serving {
    program: Program,
    /// The port on 127.0.0.1.
    pub port: u16,
    process: Running,
}

impl Serving {
    /// What a client's data comes back as: `openssl s_server -rev` sends lines from their end to their beginning.
    pub fn reply_to(&self, data: &[u8]) -> Vec<u8> {
        if self.program != Program::OpenSsl {
            return data.to_vec();
        }
        let reversed = |line: &[u8]| line.iter().rev().chain(b"\n").copied().collect::<Vec<_>>();
        data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).flat_map(reversed).collect()
    }

    /// Waits until the server has said this, in capitals or not.
    ///
    /// # Panics
    /// When it ends without having said it, or too much time passes.
    pub fn wait_for(&mut self, text: &str) {
        self.process.wait_for(|output| output.to_lowercase().contains(text).then_some(()));
    }

    /// Waits for the end of the server, which comes after its last connection, and returns what it said.
    pub fn finish(mut self) -> Report {
        match self.program {
            Program::OpenSsl => openssl_report(&self.process.finish(), true),
            // This one serves until it is told otherwise.
            Program::GnuTls => gnutls_report(&self.process.kill()),
            _ => told(&self.process.finish()),
        }
    }
}

// ---- what the scripts say ----

fn python(script: &str, terms: &Terms, port: Option<u16>) -> Command {
    let source =
        if script == "client.py" { include_str!("peers/client.py") } else { include_str!("peers/server.py") };
    let mut command = Command::new("python3");
    command.args(["-c", source]).args(script_options(terms, port));
    command
}

fn node(script: &str, terms: &Terms, port: Option<u16>) -> Command {
    let source =
        if script == "client.js" { include_str!("peers/client.js") } else { include_str!("peers/server.js") };
    let mut command = Command::new("node");
    command.args(["-e", source, "--"]).args(script_options(terms, port));
    command
}

fn script_options(terms: &Terms, port: Option<u16>) -> Vec<String> {
    let version = if terms.version == ProtocolVersion::Tls1_3 { "TLSv1_3" } else { "TLSv1_2" };
    let mut options = vec![
        format!("version={version}"),
        format!("connections={}", terms.connections),
        format!("bytes={}", terms.bytes),
    ];
    options.extend(port.map(|port| format!("port={port}")));
    options.extend(terms.ca.as_ref().map(|ca| format!("ca={}", ca.display())));
    if let Some((cert, key)) = &terms.identity {
        options.extend([format!("cert={}", cert.display()), format!("key={}", key.display())]);
    }
    options.extend(terms.alpn_protocol.as_ref().map(|protocol| format!("alpn={protocol}")));
    options.extend(terms.server_name.as_ref().map(|name| format!("name={name}")));
    options
}

fn scripted_server(program: Program, command: &mut Command) -> Serving {
    let mut process = Running::start(command);
    let port = process.wait_for(|output| number_after(output, "port="));
    Serving { program, port, process }
}

fn number_after(output: &str, start: &str) -> Option<u16> {
    let rest = output.split_once(start)?.1;
    // Only a whole line is a whole number.
    rest.split_once('\n')?.0.trim().parse().ok()
}

/// The report of a script, which says one thing a line.
fn told(ended: &process::Ended) -> Report {
    let all = |key: &str| {
        let prefix = format!("{key}=");
        ended
            .output
            .lines()
            .filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let last = |key| all(key).pop().filter(|value: &String| !value.is_empty());
    Report {
        version: last("version").and_then(|version| version.parse().ok()),
        alpn_protocol: last("alpn"),
        server_name: last("name"),
        peer: last("peer"),
        resumed: all("resumed").iter().filter(|resumed| *resumed == "true").count(),
        echoed: all("echoed").iter().all(|echoed| echoed == "true"),
        is_content: ended.success && all("error").is_empty() && all("end").len() == all("version").len(),
        output: ended.output.clone(),
    }
}

// ---- openssl ----

fn openssl_version(terms: &Terms) -> &'static str {
    if terms.version == ProtocolVersion::Tls1_3 { "-tls1_3" } else { "-tls1_2" }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("the paths of tests are text")
}

fn openssl_client(terms: &Terms, port: u16) -> Report {
    if terms.connections == 1 || terms.version != ProtocolVersion::Tls1_3 {
        // Where it reconnects, it does so five times, and resumes the first connection's session each time.
        let reconnect = ["-reconnect"];
        return openssl_client_with(terms, port, if terms.connections > 1 { &reconnect } else { &[] });
    }
    // Sessions of TLS 1.3 come too late for that.
    let session = tempfile::NamedTempFile::new().expect("a temporary file");
    let first = openssl_client_with(terms, port, &["-sess_out", path(session.path())]);
    let second = openssl_client_with(terms, port, &["-sess_in", path(session.path())]);
    Report { is_content: first.is_content && second.is_content, ..second }
}

fn openssl_client_with(terms: &Terms, port: u16, arguments: &[&str]) -> Report {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-verify_return_error"]);
    command.arg(openssl_version(terms)).args(openssl_identity(terms)).args(arguments);
    match &terms.server_name {
        Some(name) => command.args(["-servername", name, "-verify_hostname", name]),
        None => command.args(["-noservername", "-verify_ip", "127.0.0.1"]),
    };
    if terms.bytes > 0 {
        // What it says of itself goes to the other stream then.
        command.arg("-brief");
    }
    let mut client = Running::start(&mut command);
    let sent = text("openssl", terms.bytes);
    client.send(&sent);
    client.wait_for_data(&sent);
    openssl_report(&client.finish(), client.has_received(&sent))
}

/// Data in lines that no program takes for a command.
fn text(program: &str, bytes: usize) -> Vec<u8> {
    if bytes == 0 {
        return format!("hello from {program}\n").into_bytes();
    }
    let line = |number: usize| format!("{:>63}\n", number.wrapping_mul(0x9e37_79b9)).into_bytes();
    (0..bytes / 64).flat_map(line).collect()
}

fn openssl_identity(terms: &Terms) -> Vec<&str> {
    let mut arguments = Vec::new();
    if let Some((cert, key)) = &terms.identity {
        arguments.extend(["-cert", path(cert), "-key", path(key)]);
    }
    if let Some(ca) = &terms.ca {
        arguments.extend(["-CAfile", path(ca)]);
    }
    if let Some(protocol) = &terms.alpn_protocol {
        arguments.extend(["-alpn", protocol]);
    }
    arguments
}

fn openssl_server(terms: &Terms) -> Serving {
    let mut command = Command::new("openssl");
    command.args(["s_server", "-accept", "127.0.0.1:0", "-rev", openssl_version(terms)]);
    command.args(["-naccept", &terms.connections.to_string()]).args(openssl_identity(terms));
    if terms.ca.is_some() {
        command.args(["-Verify", "2", "-verify_return_error"]);
    }
    let mut process = Running::start(&mut command);
    let port = process.wait_for(|output| number_after(output, "ACCEPT 127.0.0.1:"));
    Serving { program: Program::OpenSsl, port, process }
}

fn openssl_report(ended: &process::Ended, echoed: bool) -> Report {
    let output = &ended.output;
    let after = |start: &str| Some(output.split_once(start)?.1.lines().next()?.trim().to_owned());
    let version = after("Protocol version: ").or_else(|| {
        let session = after("\nNew, ").or_else(|| after("\nReused, "))?;
        Some(session.split(',').next()?.to_owned())
    });
    Report {
        version: version.and_then(|version| version.parse().ok()),
        alpn_protocol: after("ALPN protocol: ").or_else(|| after("ALPN protocols selected: ")),
        server_name: after("Hostname in TLS extension: ").map(|name| name.trim_matches('"').to_owned()),
        peer: after("Peer certificate: CN = "),
        resumed: output.matches("\nReused, ").count(),
        echoed,
        is_content: ended.success && !output.contains("rror"),
        output: output.clone(),
    }
}

// ---- gnutls ----

fn gnutls_options(terms: &Terms) -> Vec<String> {
    let version = if terms.version == ProtocolVersion::Tls1_3 { "1.3" } else { "1.2" };
    let mut options = vec![format!("--priority=NORMAL:-VERS-ALL:+VERS-TLS{version}")];
    if let Some((cert, key)) = &terms.identity {
        options.extend([format!("--x509certfile={}", path(cert)), format!("--x509keyfile={}", path(key))]);
    }
    options.extend(terms.ca.as_ref().map(|ca| format!("--x509cafile={}", path(ca))));
    options.extend(terms.alpn_protocol.as_ref().map(|protocol| format!("--alpn={protocol}")));
    options
}

fn gnutls_client(terms: &Terms, port: u16) -> Report {
    let mut command = Command::new("gnutls-cli");
    command.args(["-p", &port.to_string(), "127.0.0.1"]).args(gnutls_options(terms));
    match &terms.server_name {
        Some(name) => {
            command.args([format!("--sni-hostname={name}"), format!("--verify-hostname={name}")]);
        }
        None => {
            command.args(["--disable-sni", "--verify-hostname=127.0.0.1"]);
        }
    }
    if terms.connections > 1 {
        command.arg("--resume");
    }
    let mut client = Running::start(&mut command);
    let sent = text("gnutls", terms.bytes);
    // One whose handshake fails never gets there.
    client.look_for(|output| output.contains("Simple Client Mode").then_some(()));
    client.send(&sent);
    client.wait_for_data(&sent);
    let report = gnutls_report(&client.finish());
    Report { echoed: client.has_received(&sent), ..report }
}

fn gnutls_server(terms: &Terms) -> Serving {
    let mut options = gnutls_options(terms);
    if terms.ca.is_some() {
        options.extend(["--require-client-cert".to_owned(), "--verify-client-cert".to_owned()]);
    } else {
        options.push("--disable-client-cert".to_owned());
    }
    let (process, port) = start_gnutls_server(&options);
    Serving { program: Program::GnuTls, port, process }
}

/// Starts `gnutls-serv`, which echoes, with these options, and waits until it listens; also returns its port.
///
/// # Panics
/// When it cannot be started.
pub fn start_gnutls_server(options: &[String]) -> (Running, u16) {
    // It cannot choose a port by itself. One that was just free rarely is taken by another program meanwhile.
    for _ in 0..10 {
        let port = free_port();
        let mut command = Command::new("gnutls-serv");
        command.args(["--echo", "--crlf", "-p", &port.to_string()]).args(options);
        let mut process = Running::start(&mut command);
        let listens = |output: &str| {
            let failed = output.contains("bind() failed");
            (failed || output.matches("...done").count() == 2).then_some(!failed)
        };
        if process.wait_for(listens) {
            return (process, port);
        }
    }
    panic!("there is no free port");
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

fn gnutls_report(ended: &process::Ended) -> Report {
    let output = &ended.output;
    let after = |start: &str| Some(output.rsplit_once(start)?.1.lines().next()?.trim().to_owned());
    let version =
        after("- Description: (TLS").and_then(|rest| format!("TLSv{}", rest.get(..3)?).parse().ok());
    Report {
        version,
        alpn_protocol: after("- Application protocol: "),
        server_name: after("- Given server name[1]: "),
        peer: first_subject(output).map(str::to_owned),
        resumed: output.matches("*** This is a resumed session").count(),
        echoed: true,
        is_content: ended.success && !output.contains("Error ") && !output.contains("Fatal error"),
        output: output.clone(),
    }
}

/// The subject of the peer's own certificate in the last connection.
fn first_subject(output: &str) -> Option<&str> {
    let (_, certificates) = output.rsplit_once("Certificate[0] info:")?;
    Some(certificates.split_once("Subject: CN=")?.1.lines().next()?.trim())
}

// ---- curl ----

fn curl(terms: &Terms, port: u16) -> Report {
    let (option, max) =
        if terms.version == ProtocolVersion::Tls1_3 { ("--tlsv1.3", "1.3") } else { ("--tlsv1.2", "1.2") };
    let mut command = Command::new("curl");
    command.args(["-sv", "--http1.1", "--max-time", "20", option, "--tls-max", max, "--data-binary", "@-"]);
    if let Some(ca) = &terms.ca {
        command.args(["--cacert", path(ca)]);
    }
    if let Some((cert, key)) = &terms.identity {
        command.args(["--cert", path(cert), "--key", path(key)]);
    }
    if terms.alpn_protocol.is_none() {
        command.arg("--no-alpn");
    }
    let host = terms.server_name.as_deref().unwrap_or("127.0.0.1");
    command.args(["--resolve", &format!("{host}:{port}:127.0.0.1")]);
    command.args((0..terms.connections).map(|number| format!("https://{host}:{port}/{number}")));
    let mut client = Running::start(&mut command);
    let sent = text("curl", terms.bytes);
    client.send(&sent);
    let ended = client.finish();
    let output = &ended.output;
    let after = |start: &str| Some(output.split_once(start)?.1.lines().next()?.trim().to_owned());
    let version = after("SSL connection using ").and_then(|rest| Some(rest.split(' ').next()?.to_owned()));
    Report {
        version: version.and_then(|version| version.parse().ok()),
        alpn_protocol: after("ALPN: server accepted "),
        resumed: output.matches("reusing session ID").count() + output.matches("re-using session ID").count(),
        echoed: client.has_received(&sent.repeat(terms.connections)),
        is_content: ended.success,
        server_name: None,
        peer: None,
        output: output.clone(),
    }
}
