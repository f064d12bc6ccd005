//! A mebibyte there and back.

use nodetls::{ProtocolVersion, TlsSocket};
use nodetls_test::peers::Program;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rustls_peer;
use crate::world::{CLIENTS, SERVERS, VERSIONS, World, beside, connected, plain, serve, within};

const MEBIBYTE: usize = 1 << 20;

/// Lines of text, for programs that know only such.
fn lines() -> Vec<u8> {
    (0..MEBIBYTE / 64).flat_map(|number| format!("{:>63}\n", number * 7919 + 1).into_bytes()).collect()
}

/// Sends a mebibyte while its echo comes in.
async fn exchange(socket: TlsSocket<TcpStream>, expected: &[u8]) {
    let (mut reader, mut writer) = socket.into_split();
    let writing = tokio::spawn(async move {
        writer.write_all(&lines()).await.unwrap();
        writer.flush().await.unwrap();
        writer
    });
    let mut received = vec![0; MEBIBYTE];
    within(reader.read_exact(&mut received)).await.unwrap();
    assert!(received == expected);
    let mut writer = within(writing).await.unwrap();
    within(writer.shutdown()).await.unwrap();
    assert_eq!(within(reader.read(&mut received)).await.unwrap(), 0);
}

async fn comes_back_to(program: Program, version: ProtocolVersion) {
    let (world, protocol) = (World::new(), program.alpn_protocol());
    let server = world.server(plain(version), protocol).bind("127.0.0.1:0").await.unwrap();
    let mut terms = world.client_terms(plain(version), protocol);
    terms.bytes = MEBIBYTE;
    let port = server.local_addr().port();
    let peer = beside(move || program.run_client(&terms, port));
    let (report, seen) = within(async { tokio::join!(peer, serve(&server, protocol)) }).await;
    assert_eq!(seen.bytes, MEBIBYTE);
    assert!(report.echoed && report.is_content, "{program:?}, {version}: {}", report.output);
}

async fn comes_back_from(program: Program, version: ProtocolVersion) {
    let world = World::new();
    let terms = world.server_terms(plain(version));
    let serving = beside(move || program.start_server(&terms)).await;
    let socket = connected(&world.connector(plain(version)), serving.port).await;
    exchange(socket, &serving.reply_to(&lines())).await;
    let report = beside(move || serving.finish()).await;
    assert!(report.is_content, "{program:?}, {version}: {}", report.output);
}

#[tokio::test]
async fn a_mebibyte_comes_back_to_each_client() {
    for program in CLIENTS.into_iter().filter(|program| !program.is_skipped()) {
        for version in VERSIONS {
            comes_back_to(program, version).await;
        }
    }
}

#[tokio::test]
async fn a_mebibyte_comes_back_from_each_server() {
    for program in SERVERS.into_iter().filter(|program| !program.is_skipped()) {
        for version in VERSIONS {
            comes_back_from(program, version).await;
        }
    }
}

#[tokio::test]
async fn a_mebibyte_comes_back_to_and_from_rustls() {
    let world = World::new();
    for case in VERSIONS.map(plain) {
        let server = world.server(case, "echo").bind("127.0.0.1:0").await.unwrap();
        let mut terms = world.client_terms(case, "echo");
        terms.bytes = MEBIBYTE;
        let (client, port) = (rustls_peer::Client::new(&terms), server.local_addr().port());
        let both = async { tokio::join!(client.run(port), serve(&server, "echo")) };
        let (report, seen) = within(both).await;
        assert!(report.unwrap().echoed && seen.bytes == MEBIBYTE);

        let server = rustls_peer::Server::bind(&world.server_terms(case)).await;
        let connector = world.connector(case);
        let exchange = async { exchange(connected(&connector, server.port()).await, &lines()).await };
        let (report, ()) = within(async { tokio::join!(server.serve(), exchange) }).await;
        report.unwrap();
    }
}
