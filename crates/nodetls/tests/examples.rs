//! The examples run by themselves, say what they are to show, and end well.
//!
//! `cargo test` builds them before this runs. Where it was told to build this file only, they are built here.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

/// How long an example may run.
const LIMIT: Duration = Duration::from_secs(60);

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}

/// The program of an example, built if need be.
fn program(name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.rs"));
    let own = std::env::current_exe().unwrap();
    let directory = own.parent().and_then(Path::parent).unwrap().join("examples");
    let program = directory.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    if modified(&program) < modified(&source) {
        build(name);
    }
    program
}

/// Builds it as this test was built.
fn build(name: &str) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--package", env!("CARGO_PKG_NAME"), "--example", name]);
    if !cfg!(feature = "vendored") {
        cargo.arg("--no-default-features");
    }
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).env("CARGO_TARGET_DIR", target).status();
    assert!(status.unwrap().success(), "{name} is built");
}

/// Runs an example to its end, and checks the lines that it writes.
async fn says(name: &str, lines: &[&str]) {
    let name_of = name.to_owned();
    let program = tokio::task::spawn_blocking(move || program(&name_of)).await.unwrap();
    let mut command = tokio::process::Command::new(program);
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(LIMIT, running).await.expect("it ends in time").unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {stdout}{stderr}");
    assert_eq!(stdout.lines().collect::<Vec<_>>(), lines, "{name}");
}

#[tokio::test]
async fn echo_says_welcome_and_sends_back_what_it_gets() {
    let suite = "connected by TLSv1.3 with TLS_AES_256_GCM_SHA384";
    says("echo", &[suite, "received: welcome!", "hello"]).await;
}

#[tokio::test]
async fn sni_serves_each_name_with_its_certificate() {
    let lines = [
        "default.example is served with CN=default.example",
        "a.example is served with CN=a.example",
        "b.wild.example is served with CN=*.wild.example",
        "tenant.example is served with CN=tenant.example",
        "unknown.example is refused by the client: ERR_TLS_CERT_ALTNAME_INVALID",
    ];
    says("sni", &lines).await;
}

#[tokio::test]
async fn ocsp_lets_in_only_a_server_with_a_good_status() {
    if nodetls_test::is_missing("openssl") {
        return;
    }
    let asked = "server: a client asks for the status of CN=localhost";
    let lines = [
        asked,
        "without a status: refused, OCSP_VERIFY_NEEDED",
        asked,
        "with a good status: connected",
        asked,
        "with a bad status: refused, CERT_REVOKED",
    ];
    says("ocsp", &lines).await;
}

#[tokio::test]
async fn session_store_resumes_on_the_second_server() {
    let lines = ["first server: hello, session new", "second server: hello, session resumed"];
    says("session_store", &lines).await;
}

#[tokio::test]
async fn client_certificates_lets_in_members_only() {
    let lines = [
        "alice hears: hello alice",
        "mallory is refused: ERR_TLS_PEER_REJECTED",
        "a forger is refused: UNABLE_TO_VERIFY_LEAF_SIGNATURE",
        "nobody is refused: ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE",
    ];
    says("client_certificates", &lines).await;
}

#[tokio::test]
async fn psk_needs_no_certificate() {
    says("psk", &["device 7 hears: hello", "authorized without a certificate: true"]).await;
}

#[tokio::test]
async fn hyper_https_answers_a_request() {
    says("hyper_https", &["200 OK: hello from /a"]).await;
}

#[tokio::test]
async fn hyper_pool_sends_both_requests_over_one_http2_connection() {
    let lines = ["HTTP/2.0: hello from /a over connection 1", "HTTP/2.0: hello from /b over connection 1"];
    says("hyper_pool", &lines).await;
}

#[tokio::test]
async fn reload_uses_renewed_files_and_refuses_broken_ones() {
    let lines = [
        "renewed: the files are in use",
        "clients get the new certificate",
        "broken: the files are refused, ERR_OSSL_X509_KEY_VALUES_MISMATCH",
        "clients get the last good certificate",
    ];
    says("reload", &lines).await;
}

#[tokio::test]
async fn axum_https_answers_a_request() {
    says("axum_https", &["hello over TLSv1.3"]).await;
}

#[tokio::test]
async fn tonic_tls_answers_a_call() {
    says("tonic_tls", &["the service is SERVING"]).await;
}
