//! Traces, beside those of `openssl s_client -trace`.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Instant;

use nodetls_proto::{Connection, Event, SecureContext, ServerOptions, Side, openssl_version};
use nodetls_test::is_missing;
use nodetls_test::pair::{Peer, Variation, World};

fn trace(peer: &Peer) -> String {
    let text = |event: &Event| if let Event::Trace(text) = event { Some(text.clone()) } else { None };
    peer.events.iter().filter_map(text).collect()
}

/// Serves one client, says goodbye as soon as the handshake is done, and waits for the end.
fn serve(context: &SecureContext, mut stream: TcpStream) {
    let mut connection = Connection::server(context, ServerOptions::default(), Instant::now()).unwrap();
    let mut buffer = [0; 16 * 1024];
    loop {
        while let Some(event) = connection.poll_event() {
            if matches!(event, Event::Secure) {
                connection.send_close_notify();
            }
        }
        while let Some(bytes) = connection.poll_transmit() {
            let count = stream.write(bytes).unwrap();
            connection.transmitted(count);
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => assert_eq!(connection.handle_ciphertext(&buffer[..count]), count),
        }
    }
}

/// What `openssl s_client -trace` says about a connection to a server with this context.
fn openssl_trace(context: &SecureContext, version: &str) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut client = Command::new("openssl")
        .args(["s_client", version, "-trace", "-servername", "localhost", "-connect", &address, "-msgfile"])
        .arg(file.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    serve(context, listener.accept().unwrap().0);
    client.wait().unwrap();
    std::fs::read_to_string(file.path()).unwrap()
}

/// The lines that tell which messages there are. OpenSSL 3.2 began to say `TLS Record`.
fn messages(trace: &str) -> Vec<String> {
    let is_structure = |line: &&str| {
        let names_message =
            line.starts_with("    ") && !line.starts_with("     ") && line.contains(", Length=");
        names_message
            || ["Sent", "Received", "  Content Type", "  Inner"].iter().any(|it| line.starts_with(it))
    };
    let name =
        |line: &str| line.split(", Length=").next().unwrap_or_default().replace("TLS Record", "Record");
    trace.lines().filter(is_structure).map(name).collect()
}

/// What was received, line by line, without random bytes.
fn received(trace: &str) -> Vec<String> {
    let records = trace.split("Received ").skip(1);
    let records = records.map(|record| record.split("\nSent ").next().unwrap_or_default());
    records.flat_map(str::lines).map(without_random_bytes).collect()
}

/// Random bytes, and the lengths of what holds signatures, whose DER form has no fixed length.
fn without_random_bytes(line: &str) -> String {
    let line = line.split(": ").next().unwrap_or_default().trim_end_matches(|c: char| c.is_ascii_hexdigit());
    let is_dump = line.contains(" - ") || line.trim_start().starts_with(|c: char| c.is_ascii_hexdigit());
    let lengthless = line.split(['=', '(']).next().unwrap_or_default();
    if is_dump { String::new() } else { lengthless.to_owned() }
}

#[test]
fn a_trace_says_what_openssl_itself_says() {
    if is_missing("openssl") {
        return;
    }
    let own = openssl_version().split(' ').nth(1).unwrap();
    let installed = Command::new("openssl").arg("version").output().unwrap().stdout;
    let is_same = String::from_utf8(installed).unwrap().split(' ').nth(1) == Some(own);
    for (variation, version) in Variation::versions().into_iter().zip(["-tls1_2", "-tls1_3"]) {
        let mut world = World::new(variation);
        world.client.enable_trace = true;
        let mut pair = world.connected();
        pair.close(Side::Server);
        let (own, openssl) = (trace(&pair.client), openssl_trace(&world.server_context, version));
        assert!(own.contains("ServerHello, Length=") && own.contains("-----BEGIN CERTIFICATE-----"));
        assert_eq!(messages(&own), messages(&openssl), "{own}\n{openssl}");
        if is_same {
            assert_eq!(received(&own), received(&openssl));
        }
    }
}

#[test]
fn each_side_traces_only_where_it_is_asked_for() {
    for variation in Variation::all() {
        let mut world = World::new(variation);
        world.server.enable_trace = true;
        let mut pair = world.connected();
        pair.close(Side::Client);
        let trace = trace(&pair.server);
        for message in ["ClientHello", "ServerHello", "Finished", "close notify"] {
            assert!(trace.contains(message), "{variation:?}: no {message}");
        }
        assert!(!pair.client.events.iter().any(|event| matches!(event, Event::Trace(_))));
    }
}

#[test]
fn tracing_can_begin_when_the_connection_is_open_and_shows_no_application_data() {
    for variation in Variation::deliveries() {
        let mut pair = World::new(variation).connected();
        pair.client.connection.enable_trace().unwrap();
        pair.send(Side::Client, b"a secret question");
        pair.send(Side::Server, b"a secret answer");
        let text = trace(&pair.client);
        assert!(text.contains("Sent") && text.contains("Received"), "{text}");
        assert!(text.contains("ApplicationData") && !text.contains("secret"), "{text}");
        assert!(!text.contains("ClientHello"));
    }
}

#[test]
fn a_trace_that_nobody_takes_does_not_grow_without_end() {
    let mut pair = World::new(Variation::versions()[1]).connected();
    pair.client.connection.enable_trace().unwrap();
    for _ in 0..100_000 {
        pair.client.connection.write_plaintext(b"x").unwrap();
        let count = pair.client.connection.poll_transmit().unwrap().len();
        pair.client.connection.transmitted(count);
    }
    let text = std::iter::from_fn(|| pair.client.connection.poll_event())
        .map(|event| if let Event::Trace(text) = event { text.len() } else { 0 });
    let length: usize = text.sum();
    assert!(length > 64 * 1024 && length < 16 * 1024 * 1024, "{length}");
}
