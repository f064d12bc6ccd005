//! Sessions that a second connection resumes, with peers on either side.

use std::collections::HashMap;
use std::sync::Mutex;

use nodetls::{AskNewSession, AskResumeSession, BoxError, ProtocolVersion, ServerCallbacks, Session};
use nodetls_test::peers::Program;
use nodetls_test::pki::KeyKind;

use crate::rustls_peer;
use crate::world::{Case, HELLO, SERVERS, VERSIONS, World, beside, connected, plain, serve, talk, within};

/// How many connections a program makes to show that it resumes.
fn connections(program: Program, version: ProtocolVersion) -> usize {
    if program == Program::OpenSsl && version == ProtocolVersion::Tls1_2 { 6 } else { 2 }
}

/// Keeps sessions for clients that bring no ticket but an id, as curl does in TLS 1.2.
#[derive(Default)]
struct Store(Mutex<HashMap<Vec<u8>, Session>>);

impl ServerCallbacks for Store {
    async fn resume_session(&self, ask: &AskResumeSession) -> Result<Option<Session>, BoxError> {
        Ok(self.0.lock().unwrap().get(&ask.session_id).cloned())
    }

    async fn new_session(&self, ask: &AskNewSession) -> Result<(), BoxError> {
        self.0.lock().unwrap().insert(ask.session_id.clone(), ask.session.clone());
        Ok(())
    }
}

/// A client resumes each of its connections but the first.
async fn resumes(program: Program, case: Case) {
    let (world, protocol) = (World::new(), program.alpn_protocol());
    let builder = world.server(case, protocol).callbacks(Store::default());
    let server = builder.bind("127.0.0.1:0").await.unwrap();
    let count = connections(program, case.version);
    let mut terms = world.client_terms(case, protocol);
    terms.connections = count;
    let port = server.local_addr().port();
    let peer = beside(move || program.run_client(&terms, port));
    let serving = async {
        let mut seen = Vec::new();
        for _ in 0..count {
            seen.push(serve(&server, protocol).await);
        }
        seen
    };
    let (report, seen) = within(async { tokio::join!(peer, serving) }).await;
    let resumed: Vec<_> = seen.iter().map(|seen| seen.is_resumed).collect();
    let context = format!("{program:?}, {case:?}, {resumed:?}: {}", report.output);
    assert!(!resumed[0] && resumed[1..].iter().all(|resumed| *resumed), "{context}");
    assert_eq!(report.resumed, count - 1, "{context}");
    assert!(report.is_content, "{context}");
    // A resumed connection is as authorized as the one that it goes on from.
    assert!(seen.iter().all(|seen| seen.is_authorized == case.full), "{context}");
    assert!(seen.iter().all(|seen| seen.peer.is_some() == case.full), "{context}");
}

async fn resumes_in_both_versions(program: Program) {
    if program.is_skipped() {
        return;
    }
    for version in VERSIONS {
        resumes(program, plain(version)).await;
        resumes(program, Case { version, key: KeyKind::Ecdsa, full: true }).await;
    }
}

#[tokio::test]
async fn openssl_resumes_by_reconnecting_and_from_a_file() {
    resumes_in_both_versions(Program::OpenSsl).await;
}

#[tokio::test]
async fn curl_resumes() {
    resumes_in_both_versions(Program::Curl).await;
}

#[tokio::test]
async fn python_resumes() {
    resumes_in_both_versions(Program::Python).await;
}

#[tokio::test]
async fn gnutls_resumes() {
    resumes_in_both_versions(Program::GnuTls).await;
}

#[tokio::test]
async fn node_resumes() {
    resumes_in_both_versions(Program::Node).await;
}

#[tokio::test]
async fn rustls_resumes() {
    let world = World::new();
    for case in VERSIONS.map(plain) {
        let server = world.server(case, "echo").bind("127.0.0.1:0").await.unwrap();
        let client = rustls_peer::Client::new(&world.client_terms(case, "echo"));
        for number in 0..3 {
            let both = async { tokio::join!(client.run(server.local_addr().port()), serve(&server, "echo")) };
            let (report, seen) = within(both).await;
            assert_eq!((report.unwrap().resumed == 1, seen.is_resumed), (number > 0, number > 0), "{case:?}");
        }
    }
}

/// Two connections of this library's client, of which the second resumes the first one's session.
async fn connect_twice(world: &World, case: Case, port: u16, reply: &[u8]) {
    let connector = world.connector(case);
    let mut first = connected(&connector, port).await;
    assert!(!first.connection().is_session_reused());
    talk(&mut first, reply).await;
    let session = first.take_session().expect("a session came before the reply");
    drop(first);

    let mut second = connected(&connector.session(session), port).await;
    assert!(second.connection().is_session_reused(), "{case:?}");
    assert!(second.connection().is_authorized(), "{case:?}");
    assert!(second.connection().peer_certificate().is_some(), "{case:?}");
    talk(&mut second, reply).await;
}

async fn is_resumed(program: Program, case: Case) {
    let world = World::new();
    let mut terms = world.server_terms(case);
    terms.connections = 2;
    let serving = beside(move || program.start_server(&terms)).await;
    connect_twice(&world, case, serving.port, &serving.reply_to(HELLO)).await;
    let report = beside(move || serving.finish()).await;
    assert!(report.is_content, "{program:?}, {case:?}: {}", report.output);
}

#[tokio::test]
async fn sessions_of_each_server_are_resumed() {
    for program in SERVERS.into_iter().filter(|program| !program.is_skipped()) {
        for version in VERSIONS {
            is_resumed(program, plain(version)).await;
            is_resumed(program, Case { version, key: KeyKind::Rsa, full: true }).await;
        }
    }
}

#[tokio::test]
async fn sessions_of_rustls_are_resumed() {
    let world = World::new();
    for case in VERSIONS.map(plain) {
        let server = rustls_peer::Server::bind(&world.server_terms(case)).await;
        let serving = async { (server.serve().await.unwrap(), server.serve().await.unwrap()) };
        let twice = connect_twice(&world, case, server.port(), HELLO);
        let ((first, second), ()) = within(async { tokio::join!(serving, twice) }).await;
        assert_eq!((first.resumed, second.resumed), (0, 1), "{case:?}");
    }
}
