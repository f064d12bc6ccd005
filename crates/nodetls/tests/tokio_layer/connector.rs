//! Options of a connector that only the connections can show to have arrived.

use std::time::Duration;

use nodetls::{Connector, OcspStapling, ProtocolVersion, RenegotiateOptions, SecureContextOptions};
use tokio::io::AsyncReadExt;

use crate::world::{acceptor, client_options, connector, context, secure, server_options, within};

/// The code with which a client of this kind is refused by, or refuses, a server with these options.
async fn refused(connector: Connector, options: &SecureContextOptions) -> String {
    let acceptor = nodetls::Acceptor::builder(&context(options)).build().unwrap();
    let (client, server) = tokio::io::duplex(65_536);
    let serving = tokio::spawn(async move { acceptor.accept(server).await });
    let error = within(connector.connect_over(client)).await.unwrap_err();
    within(serving).await.unwrap().unwrap_err();
    error.code()
}

#[tokio::test]
async fn the_smallest_group_for_diffie_hellman_is_the_connectors() {
    let finite = |options| SecureContextOptions {
        ecdh_curve: Some("ffdhe2048".to_owned()),
        min_version: Some(ProtocolVersion::Tls1_3),
        ..options
    };
    let connector = Connector::new(&context(&finite(client_options()))).server_name("localhost");
    let code = refused(connector.clone().min_dh_size(2049), &finite(server_options())).await;
    assert_eq!(code, "ERR_TLS_DH_PARAM_SIZE");
    let builder = nodetls::Acceptor::builder(&context(&finite(server_options())));
    let transport = tokio::io::duplex(65_536);
    secure(&connector.min_dh_size(2048), &builder.build().unwrap(), transport).await;
}

#[tokio::test]
async fn a_status_is_demanded_by_the_connector() {
    let demanding = connector().ocsp(OcspStapling::Required);
    assert_eq!(refused(demanding, &server_options()).await, "OCSP_VERIFY_NEEDED");
    secure(&connector().ocsp(OcspStapling::Requested), &acceptor(), tokio::io::duplex(65_536)).await;
}

#[tokio::test]
async fn a_client_counts_the_renegotiations_of_its_server() {
    tokio::time::pause();
    let options = SecureContextOptions { max_version: Some(ProtocolVersion::Tls1_2), ..client_options() };
    let connector = Connector::new(&context(&options)).server_name("localhost");
    let connector = connector.renegotiation_limit(1).renegotiation_window(Duration::from_secs(5));
    let (mut client, mut server) = secure(&connector, &acceptor(), tokio::io::duplex(65_536)).await;
    let reading = tokio::spawn(async move { client.read(&mut [0; 10]).await.unwrap_err() });
    server.renegotiate(RenegotiateOptions::default()).await.unwrap();
    // The clock goes on by itself when everybody waits.
    tokio::time::sleep(Duration::from_secs(6)).await;
    server.renegotiate(RenegotiateOptions::default()).await.unwrap();
    server.renegotiate(RenegotiateOptions::default()).await.unwrap_err();
    let error = reading.await.unwrap();
    let error = error.get_ref().unwrap().downcast_ref::<nodetls::Error>().unwrap();
    assert_eq!(error.code(), "ERR_TLS_SESSION_ATTACK");
}
