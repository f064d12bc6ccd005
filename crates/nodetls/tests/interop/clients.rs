//! Peers as clients of this library's server.

use nodetls_test::peers::Program;

use crate::rustls_peer;
use crate::world::{Case, World, assert_negotiated, beside, for_each_case, serve, within};

async fn is_served(program: Program, world: &World, case: Case) {
    let protocol = program.alpn_protocol();
    let server = world.server(case, protocol).bind("127.0.0.1:0").await.unwrap();
    let (terms, port) = (world.client_terms(case, protocol), server.local_addr().port());
    let peer = beside(move || program.run_client(&terms, port));
    let (report, seen) = within(async { tokio::join!(peer, serve(&server, protocol)) }).await;
    assert_negotiated(&format!("{program:?}"), case, protocol, &seen, &report);
}

async fn is_served_in_each_case(program: Program) {
    if !program.is_skipped() {
        for_each_case(async |world, case| is_served(program, world, case).await).await;
    }
}

#[tokio::test]
async fn openssl_is_served() {
    is_served_in_each_case(Program::OpenSsl).await;
}

#[tokio::test]
async fn curl_is_served() {
    is_served_in_each_case(Program::Curl).await;
}

#[tokio::test]
async fn python_is_served() {
    is_served_in_each_case(Program::Python).await;
}

#[tokio::test]
async fn gnutls_is_served() {
    is_served_in_each_case(Program::GnuTls).await;
}

#[tokio::test]
async fn node_is_served() {
    is_served_in_each_case(Program::Node).await;
}

#[tokio::test]
async fn rustls_is_served() {
    for_each_case(async |world, case| {
        let server = world.server(case, "echo").bind("127.0.0.1:0").await.unwrap();
        let (terms, port) = (world.client_terms(case, "echo"), server.local_addr().port());
        let client = rustls_peer::Client::new(&terms);
        let both = async { tokio::join!(client.run(port), serve(&server, "echo")) };
        let (report, seen) = within(both).await;
        assert_negotiated("rustls", case, "echo", &seen, &report.unwrap());
    })
    .await;
}
