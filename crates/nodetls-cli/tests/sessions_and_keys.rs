//! What `nodetls connect` and `nodetls serve` keep in files: sessions and key logs.

#![expect(clippy::unwrap_used, reason = "a test ends with what it cannot do")]

mod harness;

use harness::{Directory, Input, Running, Served, Stream, nodetls};

#[test]
fn a_session_kept_in_a_file_is_resumed_by_another_process() {
    let served = Served::throwaway(&[]);
    let file = served.directory.file("session");
    for version in ["TLSv1.2", "TLSv1.3"] {
        let versions = ["--min-version", version, "--max-version", version, "-n"];
        let ended = served.connect(&[&versions[..], &["--session-out", &file]].concat(), b"").succeeded();
        assert!(ended.stderr.contains("Session:       New"), "{version}: {}", ended.stderr);
        let ended = served.connect(&[&versions[..], &["--session-in", &file]].concat(), b"").succeeded();
        assert!(ended.stderr.contains("Session:       Reused"), "{version}: {}", ended.stderr);
    }
}

#[test]
fn a_session_is_not_resumed_with_other_checks() {
    let served = Served::throwaway(&[]);
    let file = served.directory.file("session");
    served.connect(&["-n", "--session-out", &file, "--dangerous-accept-unauthorized"], b"").succeeded();
    let ended = served.connect(&["-n", "--session-in", &file], b"").succeeded();
    assert!(ended.stderr.contains("Session:       New"), "{}", ended.stderr);
}

#[test]
fn bytes_that_are_no_session_are_an_error() {
    let served = Served::throwaway(&[]);
    let file = served.directory.write("session", "nonsense");
    let ended = served.connect(&["-n", "--session-in", &file], b"");
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.starts_with("nodetls: ERR_OSSL_ASN1_"), "{}", ended.stderr);
}

#[test]
fn both_sides_append_the_same_keys_to_their_key_logs() {
    let directory = Directory::new();
    let (client, server) = (directory.path("client"), directory.path("server"));
    let served = Served::start(&[], |command| {
        command.env("SSLKEYLOGFILE", &server);
    });
    let (target, ca) = (served.target(), served.ca());
    for version in ["TLSv1.2", "TLSv1.3"] {
        let mut command = nodetls(&["connect", &target, "--ca", &ca, "-n", "--max-version", version]);
        command.env("SSLKEYLOGFILE", &client);
        Running::spawn(&mut command, Input::Bytes(b"")).end().succeeded();
    }
    let lines = |path| {
        let text = std::fs::read_to_string(path).unwrap();
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let labels =
        lines(&client).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>();
    for label in ["CLIENT_RANDOM", "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0"] {
        assert!(labels.iter().any(|found| found == label), "{label} is not in {labels:?}");
    }
    assert_eq!(lines(&client), lines(&server));
}

#[test]
fn programs_are_told_of_the_key_log_in_json_as_of_everything_else() {
    let directory = Directory::new();
    let keys = directory.path("keys");
    let ca = directory.file("ca.pem");
    let mut command = nodetls(&["serve", "--listen", "127.0.0.1:0", "--write-ca", &ca, "--json"]);
    let mut serving = Running::spawn(command.env("SSLKEYLOGFILE", &keys), Input::Bytes(b""));
    let object = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let told = object(&serving.line(Stream::Err, "keyLog"));
    assert_eq!((told["event"].as_str(), told["file"].as_str()), (Some("keyLog"), keys.to_str()));
    let address = object(&serving.line(Stream::Out, "listening"));
    let address = address["address"].as_str().unwrap();
    let mut command = nodetls(&["connect", address, "--ca", &ca, "-n", "--json"]);
    command.env("SSLKEYLOGFILE", &keys);
    let ended = Running::spawn(&mut command, Input::Bytes(b"")).end().succeeded();
    let objects: Vec<_> = ended.stderr.lines().map(object).collect();
    assert_eq!(objects[0]["event"], "keyLog");
    assert_eq!(objects[1]["authorized"], true);
    assert_eq!(objects.len(), 2);
}

#[cfg(unix)]
#[test]
fn files_with_secrets_belong_to_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let served = Served::throwaway(&[]);
    let (session, keys) = (served.directory.path("session"), served.directory.path("keys"));
    // An old file's mode is no excuse.
    std::fs::write(&session, "old, and longer than nothing").unwrap();
    std::fs::set_permissions(&session, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (target, ca) = (served.target(), served.ca());
    let mut command = nodetls(&["connect", &target, "--ca", &ca, "-n", "--session-out"]);
    command.arg(&session).env("SSLKEYLOGFILE", &keys);
    Running::spawn(&mut command, Input::Bytes(b"")).end().succeeded();
    assert_eq!(harness::mode(&session), 0o600);
    assert_eq!(harness::mode(&keys), 0o600);
}

#[test]
fn a_key_log_that_cannot_be_opened_is_an_error() {
    let directory = Directory::new();
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["connect", "127.0.0.1:1"]] {
        let mut command = nodetls(command);
        command.env("SSLKEYLOGFILE", directory.path("missing/keys"));
        Running::spawn(&mut command, Input::Bytes(b"")).end().failed(1, "ENOENT");
    }
}
