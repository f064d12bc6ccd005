//! `nodetls serve --reload`: files that change under a running server.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test ends with what it cannot do")]

mod harness;

use std::process::Command;

use harness::{Directory, Served, Stream, nodetls, run};

/// A server with `localhost.pem`, and `other.test.pem` for that name.
fn serve(reload: &str) -> Served {
    let directory = Directory::new();
    let (cert, key) = directory.self_signed("localhost");
    let (other_cert, other_key) = directory.self_signed("other.test");
    let sni = format!("other.test:{other_cert}:{other_key}");
    let arguments =
        ["serve", "--listen", "127.0.0.1:0", "--cert", &cert, "--key", &key, "--sni", &sni, reload];
    Served::spawn(&mut nodetls(&arguments), directory)
}

fn hang_up(served: &Served) {
    let status = Command::new("sh").args(["-c", &format!("kill -HUP {}", served.running.id())]).status();
    assert!(status.unwrap().success());
}

#[test]
fn changed_files_are_used_and_broken_ones_are_refused_on_a_signal() {
    let mut served = serve("--reload=86400");
    let (target, cert) = (served.target(), served.directory.file("localhost.pem"));
    run(&["connect", &target, "-n", "--ca", &cert], b"").succeeded();
    served.directory.self_signed("localhost");
    // The certificate is its own authority, so the new one opens only a server that has it.
    run(&["connect", &target, "-n", "--ca", &cert], b"").failed(1, "DEPTH_ZERO_SELF_SIGNED_CERT");
    hang_up(&served);
    served.running.line(Stream::Err, "the server's files have changed and are in use");
    run(&["connect", &target, "-n", "--ca", &cert], b"").succeeded();

    let good = std::fs::read(&cert).unwrap();
    let trusted = served.directory.write("trusted.pem", &good);
    served.directory.write("localhost.pem", "garbage");
    hang_up(&served);
    served.running.line(Stream::Err, "the server's files are refused");
    run(&["connect", &target, "-n", "--ca", &trusted], b"").succeeded();
}

#[test]
fn files_of_a_server_name_are_looked_at_by_themselves() {
    let mut served = serve("--reload=1");
    let (target, cert) = (served.target(), served.directory.file("other.test.pem"));
    served.directory.self_signed("other.test");
    served.running.line(Stream::Err, "the files of other.test have changed and are in use");
    run(&["connect", &target, "-n", "--servername", "other.test", "--ca", &cert], b"").succeeded();
}

#[test]
fn a_throwaway_certificate_cannot_be_reloaded() {
    run(&["serve", "--listen", "127.0.0.1:0", "--reload"], b"").failed(2, "ERR_INVALID_ARG_VALUE");
}
