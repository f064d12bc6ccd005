//! Bad input of every kind is one line with a code, and an exit status.

#![expect(clippy::unwrap_used, reason = "a test ends with what it cannot do")]

mod harness;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use harness::{Directory, Input, Running, Served, Stream, is_missing, nodetls, noise, run};

/// Fails with one line and nothing else.
#[track_caller]
fn fails(arguments: &[&str], code: &str) {
    let ended = run(arguments, b"").failed(1, code);
    assert_eq!(ended.stderr.lines().count(), 1, "{arguments:?}: {}", ended.stderr);
    assert_eq!(ended.stdout, b"");
}

#[test]
fn addresses_that_cannot_be_reached() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = free.local_addr().unwrap().to_string();
    fails(&["connect", "127.0.0.1:1"], "ECONNREFUSED");
    fails(&["connect", "name.invalid:443"], "ENOTFOUND");
    fails(&["connect", "localhost"], "ERR_INVALID_ADDRESS");
    fails(&["connect", "::1:443"], "ERR_INVALID_ADDRESS");
    fails(&["connect", "localhost:65536"], "ERR_SOCKET_BAD_PORT");
    fails(&["connect", "a..b:443"], "ERR_INVALID_ARG_VALUE");
    fails(&["serve", "--listen", "8443"], "ERR_INVALID_ADDRESS");
    fails(&["serve", "--listen", &taken], "EADDRINUSE");
    fails(&["serve", "--listen", "127.0.0.1:0", "--to", "localhost"], "ERR_INVALID_ADDRESS");
}

#[test]
fn files_that_cannot_be_used() {
    let directory = Directory::new();
    let (cert, key) = directory.self_signed("localhost");
    let (_, other) = directory.self_signed("other.test");
    let missing = directory.file("missing");
    let text = directory.write("text", "no PEM");
    let connect = |rest: &[&str], code| fails(&[&["connect", "127.0.0.1:1"], rest].concat(), code);
    connect(&["--ca", &missing], "ENOENT");
    connect(&["--ca", directory.path("").to_str().unwrap()], "EISDIR");
    connect(&["--ca", &text], "ERR_OSSL_PEM_NO_START_LINE");
    connect(&["--cert", &text, "--key", &key], "ERR_OSSL_PEM_NO_START_LINE");
    connect(&["--cert", &cert, "--key", &other], "ERR_OSSL_X509_KEY_VALUES_MISMATCH");
    connect(&["--session-in", &missing], "ENOENT");
    connect(&["--cert", &cert, "--key", &key, "--passphrase-file", &missing], "ENOENT");
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    fails(&[&serve[..], &["--cert", &missing, "--key", &key]].concat(), "ENOENT");
    fails(&[&serve[..], &["--write-ca", &format!("{missing}/ca")]].concat(), "ENOENT");
    fails(
        &[&serve[..], &["--sni", &format!("a.test:{missing}:{key}"), "--cert", &cert, "--key", &key]]
            .concat(),
        "ENOENT",
    );
}

#[test]
fn settings_that_do_not_exist() {
    let connect = |rest: &[&str], code| fails(&[&["connect", "127.0.0.1:1"], rest].concat(), code);
    connect(&["--min-version", "TLSv9"], "ERR_TLS_INVALID_PROTOCOL_VERSION");
    connect(&["--max-version", "SSLv3"], "ERR_TLS_INVALID_PROTOCOL_VERSION");
    connect(&["--min-version", "TLSv1.3", "--max-version", "TLSv1.2"], "ERR_TLS_PROTOCOL_VERSION_CONFLICT");
    connect(&["--ciphers", "nonsense"], "ERR_SSL_NO_CIPHER_MATCH");
    assert_eq!(run(&["connect", "127.0.0.1:1", "--groups", "nonsense"], b"").status.code(), Some(1));
}

#[test]
fn passphrases_that_are_wrong() {
    if is_missing("openssl") {
        return;
    }
    let directory = Directory::new();
    let (cert, key) = directory.self_signed("localhost");
    let (pfx, locked) = (directory.file("pfx"), directory.file("locked"));
    let right = directory.write("right", "secret\n");
    let wrong = directory.write("wrong", "guess\n");
    let openssl = |arguments: &[&str]| {
        let command = &mut Command::new("openssl");
        Running::spawn(command.args(arguments), Input::Bytes(b"")).end().succeeded();
    };
    openssl(&["pkcs12", "-export", "-in", &cert, "-inkey", &key, "-passout", "pass:secret", "-out", &pfx]);
    openssl(&["pkcs8", "-topk8", "-in", &key, "-passout", "pass:secret", "-out", &locked]);
    // The right one leads to the next obstacle.
    for (file, code) in [(&wrong, "ERR_OSSL_PKCS12_MAC_VERIFY_FAILURE"), (&right, "ECONNREFUSED")] {
        fails(&["connect", "127.0.0.1:1", "--pfx", &pfx, "--passphrase-file", file], code);
    }
    let connect = ["connect", "127.0.0.1:1", "--cert", &cert, "--key", &locked, "--passphrase-file"];
    fails(&[&connect[..], &[&right]].concat(), "ECONNREFUSED");
    // One wrong passphrase in 256 leads to padding that looks right, and then what follows is found to be no key.
    let ended = run(&[&connect[..], &[&wrong]].concat(), b"");
    assert_eq!(ended.status.code(), Some(1));
    let told = ["nodetls: ERR_OSSL_BAD_DECRYPT: ", "nodetls: ERR_OSSL_UNSUPPORTED: "];
    assert!(told.iter().any(|told| ended.stderr.starts_with(told)), "{}", ended.stderr);
}

#[test]
fn servers_that_are_not_what_they_should_be() {
    let served = Served::throwaway(&["--alpn", "echo", "--max-version", "TLSv1.2"]);
    let (target, ca) = (served.target(), served.ca());
    fails(&["connect", &target], "SELF_SIGNED_CERT_IN_CHAIN");
    fails(&["connect", &target, "--ca", &ca, "--servername", "a.test"], "ERR_TLS_CERT_ALTNAME_INVALID");
    fails(&["connect", &target, "--ca", &ca, "--alpn", "h2"], "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL");
    fails(
        &["connect", &target, "--ca", &ca, "--min-version", "TLSv1.3"],
        "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").unwrap();
    });
    fails(&["connect", &plain], "ERR_SSL_WRONG_VERSION_NUMBER");
}

#[test]
fn an_unauthorized_server_is_let_in_only_by_the_dangerous_flag_and_is_named() {
    let served = Served::throwaway(&[]);
    let connect = ["connect", &served.target(), "--dangerous-accept-unauthorized"];
    let ended = run(&connect, b"hello").succeeded();
    assert_eq!(ended.stdout, b"hello");
    assert!(ended.stderr.contains("FAILED, SELF_SIGNED_CERT_IN_CHAIN"), "{}", ended.stderr);
}

#[test]
fn a_server_that_vanishes_is_not_taken_for_one_that_is_done() {
    let mut served = Served::throwaway(&[]);
    let mut client = served.open(&[]);
    client.write(b"hello\n");
    client.line(Stream::Out, "hello");
    served.running.kill();
    let ended = client.end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
}

#[test]
fn arguments_that_cannot_be_used_exit_with_2() {
    for arguments in [
        &["connect"][..],
        &["nonsense"],
        &["connect", "localhost:1", "--cert", "c.pem"],
        &["connect", "localhost:1", "--ca", "a.pem", "--system-ca"],
        &["serve", "--sni", "a:b"],
        &["serve", "--handshake-timeout", "0"],
        &["serve", "--request-cert", "maybe"],
        &["serve", "--pfx", "p.pfx", "--write-ca", "ca.pem"],
    ] {
        assert_eq!(run(arguments, b"").status.code(), Some(2), "{arguments:?}");
    }
    let directory = Directory::new();
    let (cert, key) = directory.self_signed("localhost");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--cert", &cert, "--key", &key];
    run(&[&serve[..], &["--request-cert", "required"]].concat(), b"").failed(2, "ERR_INVALID_ARG_VALUE");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let served = Served::throwaway(&[]);
    let sent = served.directory.write("sent", noise(4_000_000));
    let mut command = nodetls(&["connect", &served.target(), "--ca", &served.ca()]);
    command.stdin(std::fs::File::open(sent).unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut some = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("nodetls: "));
}

#[test]
fn help_has_examples() {
    for arguments in [&["--help"][..], &["serve", "--help"], &["connect", "--help"]] {
        let ended = run(arguments, b"").succeeded();
        assert!(String::from_utf8(ended.stdout).unwrap().contains("Examples:"), "{arguments:?}");
    }
}
