//! `nodetls serve` and `nodetls connect`, with each other and with programs that nobody here wrote.

#![expect(clippy::unwrap_used, reason = "a test ends with what it cannot do")]

mod harness;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use harness::{Directory, Input, Running, Served, Stream, is_missing, nodetls, noise, run, skipped};
use serde_json::Value;

/// A plain TCP server on a free port; each connection gets the function, on its own thread.
fn plain_server(serve: fn(TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Answers one HTTP request.
fn http(mut stream: TcpStream) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
        request.push(byte[0]);
    }
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nplain\n");
}

/// Counts what it receives until the end, and only then answers.
fn count(mut stream: TcpStream) {
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    let _ = write!(stream, "{} bytes", received.len());
    let _ = stream.shutdown(Shutdown::Both);
}

#[test]
fn what_is_sent_comes_back_unchanged_and_stdout_has_nothing_else() {
    let served = Served::throwaway(&["--alpn", "h2,echo"]);
    let sent = noise(3_000_000);
    let ended = served.connect(&["--alpn", "echo"], &sent).succeeded();
    assert!(ended.stdout == sent, "{} of {} bytes came back", ended.stdout.len(), sent.len());
    for told in ["TLSv1.3", "ALPN:          echo", "CN=localhost", "OK, the peer is authorized", "New"] {
        assert!(ended.stderr.contains(told), "{told} is not in: {}", ended.stderr);
    }
}

#[test]
fn a_server_says_one_line_for_each_connection_and_each_failure() {
    let mut served = Served::throwaway(&["--alpn", "echo"]);
    served.connect(&["-n", "--alpn", "echo"], b"").succeeded();
    let line = served.running.line(Stream::Err, "connected");
    for told in ["127.0.0.1:", "TLSv1.3", "alpn=echo", "servername=localhost", "authorized=-", "session=new"]
    {
        assert!(line.contains(told), "{told} is not in: {line}");
    }
    run(&["connect", &served.target(), "-n"], b"").failed(1, "SELF_SIGNED_CERT_IN_CHAIN");
    served.running.line(Stream::Err, "failed ERR_SSL_TLSV1_ALERT_UNKNOWN_CA");
}

#[test]
fn json_is_one_object_a_line_on_both_sides() {
    let directory = Directory::new();
    let mut serve = nodetls(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let mut running = Running::spawn(serve.arg("--write-ca").arg(directory.path("ca.pem")), Input::Open);
    let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let listening = parse(&running.line(Stream::Out, ""));
    assert_eq!(listening["event"], "listening");
    let target = listening["address"].as_str().unwrap();
    let ended = run(&["connect", target, "--ca", &directory.file("ca.pem"), "--json"], b"x").succeeded();
    let facts = parse(&ended.stderr);
    assert_eq!(facts["protocol"], "TLSv1.3");
    assert_eq!(facts["authorized"], true);
    assert_eq!(facts["alpnProtocol"], Value::Null);
    assert_eq!(facts["peerCertificates"][0]["subject"], "CN=localhost");
    assert_eq!(parse(&running.line(Stream::Err, ""))["event"], "throwaway");
    let connection = parse(&running.line(Stream::Err, ""));
    assert_eq!((&connection["event"], &connection["side"]), (&"connection".into(), &"server".into()));
}

#[test]
fn openssl_s_client_is_served() {
    if is_missing("openssl") {
        return;
    }
    let served = Served::throwaway(&["--alpn", "echo"]);
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &format!("127.0.0.1:{}", served.port), "-servername", "localhost"]);
    command.args(["-CAfile", &served.ca(), "-verify_return_error", "-alpn", "echo"]);
    let mut client = Running::spawn(&mut command, Input::Open);
    client.line(Stream::Out, "ALPN protocol: echo");
    client.line(Stream::Out, "Verify return code: 0 (ok)");
    client.write(b"hello\n");
    client.line(Stream::Out, "hello");
    client.end().succeeded();
}

#[test]
fn openssl_s_server_is_connected_to() {
    if is_missing("openssl") {
        return;
    }
    let directory = Directory::new();
    let (cert, key) = directory.self_signed("localhost");
    let mut command = Command::new("openssl");
    command.args(["s_server", "-accept", "127.0.0.1:0", "-cert", &cert, "-key", &key, "-rev"]);
    let mut server = Running::spawn(&mut command, Input::Open);
    let port = server.line(Stream::Out, "ACCEPT").rsplit_once(':').unwrap().1.to_owned();
    let target = format!("localhost:{port}");
    let mut client = Running::spawn(&mut nodetls(&["connect", &target, "--ca", &cert]), Input::Open);
    client.write(b"hello\n");
    client.line(Stream::Out, "olleh");
    client.line(Stream::Err, "OK, the peer is authorized");
    // It serves one client after the other.
    client.end().succeeded();
    run(&["connect", &target, "-n"], b"").failed(1, "DEPTH_ZERO_SELF_SIGNED_CERT");
}

#[cfg(unix)]
#[test]
fn a_server_on_a_unix_socket_is_connected_to() {
    if is_missing("openssl") {
        return;
    }
    let directory = Directory::new();
    let ((cert, key), socket) = (directory.self_signed("localhost"), directory.file("socket"));
    let mut command = Command::new("openssl");
    command.args(["s_server", "-unix", &socket, "-cert", &cert, "-key", &key, "-rev"]);
    let mut server = Running::spawn(&mut command, Input::Open);
    server.line(Stream::Out, "ACCEPT");
    let mut connect = nodetls(&["connect", "--unix", &socket, "--ca", &cert]);
    let mut client = Running::spawn(&mut connect, Input::Open);
    client.write(b"hello\n");
    client.line(Stream::Out, "olleh");
}

#[test]
fn curl_reaches_a_plain_http_server_through_serve() {
    if is_missing("curl") {
        return;
    }
    let served = Served::throwaway(&["--to", &plain_server(http), "--alpn", "http/1.1"]);
    let url = format!("https://127.0.0.1:{}/", served.port);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--noproxy", "*", "--cacert", &served.ca(), &url]);
    let ended = Running::spawn(&mut curl, Input::Bytes(b"")).end().succeeded();
    assert_eq!(ended.stdout, b"plain\n");
}

#[test]
fn the_end_of_one_direction_leaves_the_other_open() {
    let served = Served::throwaway(&["--to", &plain_server(count)]);
    let ended = served.connect(&[], &noise(500_000)).succeeded();
    assert_eq!(ended.stdout, b"500000 bytes");
}

#[test]
fn a_server_behind_that_is_not_there_closes_the_connection_and_is_told() {
    let mut served = Served::throwaway(&["--to", "127.0.0.1:1"]);
    // A client that has not said anything: what the server leaves unread would make the system reset the connection.
    let mut client = served.open(&[]);
    client.line(Stream::Err, "nodetls: ERR_SSL_UNEXPECTED_EOF_WHILE_READING: ");
    client.end().failed(1, "ERR_SSL_UNEXPECTED_EOF_WHILE_READING");
    served.running.line(Stream::Err, "failed ECONNREFUSED: connect to 127.0.0.1:1");
}

#[test]
fn clients_have_to_show_a_certificate_where_it_is_required() {
    let directory = Directory::new();
    let (cert, key) = directory.self_signed("agent1");
    let mut served = Served::throwaway(&["--request-cert", "required", "--ca", &cert]);
    let ended = served.connect(&["--cert", &cert, "--key", &key], b"hello").succeeded();
    assert_eq!(ended.stdout, b"hello");
    served.running.line(Stream::Err, "authorized=yes");
    for arguments in [&[][..], &["-n"]] {
        served.connect(arguments, b"").failed(1, "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED");
    }
    served.running.line(Stream::Err, "failed ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE");
    let (cert, key) = directory.self_signed("mallory");
    served.connect(&["--cert", &cert, "--key", &key], b"").failed(1, "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA");
}

#[test]
fn clients_may_show_a_certificate_where_it_is_optional() {
    let directory = Directory::new();
    let (cert, key) = directory.self_signed("agent1");
    let mut served = Served::throwaway(&["--request-cert", "optional", "--ca", &cert]);
    served.connect(&["-n"], b"").succeeded();
    served.running.line(Stream::Err, "authorized=UNABLE_TO_GET_ISSUER_CERT");
    served.connect(&["-n", "--cert", &cert, "--key", &key], b"").succeeded();
    served.running.line(Stream::Err, "authorized=yes");
}

#[test]
fn each_server_name_gets_its_certificate() {
    let directory = Directory::new();
    let (a, b) = (directory.self_signed("a.test"), directory.self_signed("b.test"));
    let sni = format!("b.test:{}:{}", b.0, b.1);
    let listen = ["serve", "--listen", "127.0.0.1:0", "--cert", &a.0, "--key", &a.1, "--sni", &sni];
    let served = Served::spawn(&mut nodetls(&listen), directory);
    for (name, ca) in [("a.test", &a.0), ("b.test", &b.0), ("B.TEST", &b.0)] {
        let ended =
            run(&["connect", &served.target(), "--servername", name, "--ca", ca, "-n"], b"").succeeded();
        assert!(ended.stderr.contains(&format!("CN={}", name.to_lowercase())), "{}", ended.stderr);
    }
}

#[test]
fn ipv6_addresses_stand_in_brackets() {
    if TcpListener::bind("[::1]:0").is_err() {
        skipped("IPv6");
        return;
    }
    let directory = Directory::new();
    let mut serve = nodetls(&["serve", "--listen", "[::1]:0", "--write-ca", &directory.file("ca.pem")]);
    let served = Served::spawn(&mut serve, directory);
    let target = format!("[::1]:{}", served.port);
    let ended = run(&["connect", &target, "--ca", &served.ca()], b"hello").succeeded();
    assert_eq!(ended.stdout, b"hello");
}

#[cfg(unix)]
#[test]
fn a_stopped_server_serves_those_who_are_there_to_the_end() {
    let served = Served::throwaway(&[]);
    let mut client = served.open(&[]);
    client.write(b"before\n");
    client.line(Stream::Out, "before");
    let killed = Command::new("kill").args(["-TERM", &served.running.id().to_string()]).status().unwrap();
    assert!(killed.success());
    // The listener is gone as soon as the signal has been handled.
    let deadline = Instant::now() + Duration::from_secs(8);
    while TcpStream::connect(("127.0.0.1", served.port)).is_ok() {
        assert!(Instant::now() < deadline, "the server still listens");
    }
    client.write(b"after\n");
    client.line(Stream::Out, "after");
    client.end().succeeded();
    served.running.end().succeeded();
}
