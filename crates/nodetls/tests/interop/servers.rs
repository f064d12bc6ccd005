//! Peers as servers for this library's client.

use nodetls::{Connection, TlsSocket};
use nodetls_test::peers::{Program, Report};
use tokio::net::TcpStream;

use crate::rustls_peer;
use crate::world::{Case, HELLO, World, beside, connected, for_each_case, talk, within};

fn assert_as_asked(connection: &Connection, case: Case) {
    assert_eq!(connection.protocol_version(), Some(case.version), "{case:?}");
    let protocol = connection.alpn_protocol().map(<[u8]>::to_vec);
    assert_eq!(protocol, case.full.then(|| b"echo".to_vec()), "{case:?}");
    assert!(connection.is_authorized() && !connection.is_session_reused(), "{case:?}");
    let certificate = connection.peer_certificate().unwrap();
    assert_eq!(certificate.subject().common_names(), ["localhost"], "{case:?}");
}

async fn talk_and_check(socket: &mut TlsSocket<TcpStream>, case: Case, reply: &[u8]) {
    assert_as_asked(socket.connection(), case);
    talk(socket, reply).await;
}

/// What a peer says; some keep to themselves a part of it.
fn assert_reported(program: Option<Program>, case: Case, report: &Report) {
    let wanted = |value: &str| case.full.then(|| value.to_owned());
    let context = format!("{program:?}, {case:?}: {}", report.output);
    assert_eq!(report.version, Some(case.version), "{context}");
    assert_eq!(report.peer, wanted("agent1"), "{context}");
    assert!(report.is_content, "{context}");
    if program != Some(Program::OpenSsl) {
        assert_eq!(report.alpn_protocol, wanted("echo"), "{context}");
        assert_eq!(report.server_name, wanted("localhost"), "{context}");
    }
}

async fn serves(program: Program, world: &World, case: Case) {
    let terms = world.server_terms(case);
    let serving = beside(move || program.start_server(&terms)).await;
    let mut socket = connected(&world.connector(case), serving.port).await;
    talk_and_check(&mut socket, case, &serving.reply_to(HELLO)).await;
    drop(socket);
    let report = beside(move || serving.finish()).await;
    assert_reported(Some(program), case, &report);
}

async fn serves_in_each_case(program: Program) {
    if !program.is_skipped() {
        for_each_case(async |world, case| serves(program, world, case).await).await;
    }
}

#[tokio::test]
async fn openssl_serves() {
    serves_in_each_case(Program::OpenSsl).await;
}

#[tokio::test]
async fn python_serves() {
    serves_in_each_case(Program::Python).await;
}

#[tokio::test]
async fn gnutls_serves() {
    serves_in_each_case(Program::GnuTls).await;
}

#[tokio::test]
async fn node_serves() {
    serves_in_each_case(Program::Node).await;
}

#[tokio::test]
async fn rustls_serves() {
    for_each_case(async |world, case| {
        let server = rustls_peer::Server::bind(&world.server_terms(case)).await;
        let connector = world.connector(case);
        let talking = async {
            let mut socket = connected(&connector, server.port()).await;
            talk_and_check(&mut socket, case, HELLO).await;
        };
        let (report, ()) = within(async { tokio::join!(server.serve(), talking) }).await;
        assert_reported(None, case, &report.unwrap());
    })
    .await;
}
