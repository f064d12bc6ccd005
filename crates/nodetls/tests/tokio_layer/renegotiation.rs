//! What sockets can do after their handshake: renegotiate (TLS 1.2), update keys and ask for certificates (TLS 1.3).

use std::time::Duration;

use nodetls::{
    Acceptor, ClientAuthentication, Connector, HandshakeError, KeyUpdateRequest, ProtocolVersion,
    RenegotiateOptions, SecureContextOptions, TlsSocket,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

use crate::world::{
    acceptor, client_options, connector, connector_for, context, noise, pair, secure, server, within,
};

type Sockets = (TlsSocket<DuplexStream>, TlsSocket<DuplexStream>);

const AS_BEFORE: RenegotiateOptions =
    RenegotiateOptions { client_authentication: None, dangerous_accept_unauthorized: None };

const DEMANDING: RenegotiateOptions = RenegotiateOptions {
    client_authentication: Some(ClientAuthentication::Required),
    dangerous_accept_unauthorized: None,
};

async fn old_pair(acceptor: &Acceptor) -> Sockets {
    secure(&connector_for(ProtocolVersion::Tls1_2), acceptor, tokio::io::duplex(4096)).await
}

/// Reads until the peer says goodbye.
async fn drain<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut TlsSocket<S>) -> Vec<u8> {
    let mut received = Vec::new();
    within(socket.read_to_end(&mut received)).await.unwrap();
    received
}

fn code(result: Result<(), HandshakeError>) -> String {
    result.unwrap_err().code()
}

#[tokio::test]
async fn a_client_renegotiates_while_the_server_only_reads() {
    let (mut client, mut server) = old_pair(&acceptor()).await;
    let serving = tokio::spawn(async move { drain(&mut server).await });
    client.write_all(b"before ").await.unwrap();
    for _ in 0..3 {
        within(client.renegotiate(AS_BEFORE)).await.unwrap();
    }
    client.write_all(b"after").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(within(serving).await.unwrap(), b"before after");
}

#[tokio::test]
async fn a_server_fetches_the_clients_certificate() {
    let (mut client, mut server) = old_pair(&acceptor()).await;
    let reading = tokio::spawn(async move { drain(&mut client).await });
    assert!(server.connection().peer_certificate().is_none());
    within(server.renegotiate(DEMANDING)).await.unwrap();
    assert!(server.connection().is_authorized());
    let names = server.connection().peer_certificate().unwrap().subject().common_names().concat();
    assert_eq!(names, "agent1");
    server.write_all(b"hello agent1").await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(within(reading).await.unwrap(), b"hello agent1");
}

#[tokio::test]
async fn a_client_without_a_certificate_fails_the_renegotiation_that_demands_one() {
    let options = SecureContextOptions {
        cert: Vec::new(),
        key: Vec::new(),
        max_version: Some(ProtocolVersion::Tls1_2),
        ..client_options()
    };
    let connector = Connector::new(&context(&options)).server_name("localhost");
    let (mut client, mut server) = secure(&connector, &acceptor(), tokio::io::duplex(4096)).await;
    let reading = tokio::spawn(async move { client.read(&mut [0; 10]).await.unwrap_err() });
    assert_eq!(
        code(within(server.renegotiate(DEMANDING)).await),
        "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE"
    );
    drop(server);
    within(reading).await.unwrap();
}

#[tokio::test]
async fn data_flows_in_both_directions_during_renegotiations() {
    let sent = noise(1_000_000);
    let (client, server) = old_pair(&server().renegotiation_limit(100).build().unwrap()).await;
    let (mut server_reader, mut server_writer) = server.into_split();
    let echoing = tokio::spawn(async move {
        tokio::io::copy(&mut server_reader, &mut server_writer).await.unwrap();
        server_writer.shutdown().await.unwrap();
    });
    let (mut reader, mut writer) = client.into_split();
    let bytes = sent.clone();
    let writing = tokio::spawn(async move {
        for piece in bytes.chunks(100_000) {
            writer.write_all(piece).await.unwrap();
            writer.renegotiate(AS_BEFORE).await.unwrap();
        }
        writer.shutdown().await.unwrap();
    });
    let mut received = Vec::new();
    within(reader.read_to_end(&mut received)).await.unwrap();
    within(writing).await.unwrap();
    within(echoing).await.unwrap();
    assert!(received == sent);
}

#[tokio::test]
async fn a_server_renegotiates_while_it_is_sent_more_than_is_kept() {
    let sent = noise(1_000_000);
    let (mut client, server) = old_pair(&acceptor()).await;
    let bytes = sent.clone();
    let writing = tokio::spawn(async move {
        client.write_all(&bytes).await.unwrap();
        // The rest of the renegotiation happens here, where the client reads.
        client.shutdown().await.unwrap();
        client.read(&mut [0; 1]).await.unwrap()
    });
    let (mut reader, mut writer) = server.into_split();
    let reading = tokio::spawn(async move {
        let mut received = Vec::new();
        reader.read_to_end(&mut received).await.unwrap();
        received
    });
    // A client that only writes says goodbye before it reads what it was asked.
    assert_eq!(code(within(writer.renegotiate(AS_BEFORE)).await), "ECONNRESET");
    assert!(within(reading).await.unwrap() == sent);
    writer.shutdown().await.unwrap();
    assert_eq!(within(writing).await.unwrap(), 0);
}

#[tokio::test]
async fn giving_up_a_renegotiation_loses_nothing() {
    let (mut client, mut server) = old_pair(&acceptor()).await;
    {
        let renegotiating = client.renegotiate(AS_BEFORE);
        tokio::pin!(renegotiating);
        assert!(futures_util::poll!(renegotiating.as_mut()).is_pending());
    }
    let serving = tokio::spawn(async move {
        let mut word = [0; 5];
        server.read_exact(&mut word).await.unwrap();
        server.write_all(&word).await.unwrap();
        server.shutdown().await.unwrap();
        word
    });
    within(client.write_all(b"after")).await.unwrap();
    assert_eq!(drain(&mut client).await, b"after");
    assert_eq!(&within(serving).await.unwrap(), b"after");
}

#[tokio::test]
async fn a_shutdown_amid_a_renegotiation_says_goodbye_at_its_end() {
    let (mut client, mut server) = old_pair(&acceptor()).await;
    {
        let renegotiating = client.renegotiate(AS_BEFORE);
        tokio::pin!(renegotiating);
        assert!(futures_util::poll!(renegotiating.as_mut()).is_pending());
    }
    server.reject_truncated();
    let serving = tokio::spawn(async move { drain(&mut server).await });
    within(client.shutdown()).await.unwrap();
    assert!(within(serving).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_write_amid_a_renegotiation_ends_with_a_peer_that_goes_away() {
    let (mut client, server) = old_pair(&acceptor()).await;
    {
        let renegotiating = client.renegotiate(AS_BEFORE);
        tokio::pin!(renegotiating);
        assert!(futures_util::poll!(renegotiating.as_mut()).is_pending());
    }
    drop(server);
    within(client.write_all(b"in vain")).await.unwrap_err();
}

#[tokio::test]
async fn the_limit_and_its_window_are_the_servers() {
    tokio::time::pause();
    let acceptor =
        server().renegotiation_limit(1).renegotiation_window(Duration::from_secs(5)).build().unwrap();
    let (mut client, mut server) = old_pair(&acceptor).await;
    let serving = tokio::spawn(async move { server.read(&mut [0; 10]).await.unwrap_err() });
    client.renegotiate(AS_BEFORE).await.unwrap();
    // The clock goes on by itself when everybody waits.
    tokio::time::sleep(Duration::from_secs(6)).await;
    client.renegotiate(AS_BEFORE).await.unwrap();
    assert_eq!(code(client.renegotiate(AS_BEFORE).await), "ERR_SSL_NO_RENEGOTIATION");
    let error = serving.await.unwrap();
    let error = error.get_ref().unwrap().downcast_ref::<nodetls::Error>().unwrap();
    assert_eq!(error.code(), "ERR_TLS_SESSION_ATTACK");
}

#[tokio::test]
async fn a_server_that_has_renegotiated_has_sent_its_last_message() {
    let (client, mut server) = old_pair(&acceptor()).await;
    let (mut reader, mut writer) = client.into_split();
    let reading = tokio::spawn(async move { reader.read_to_end(&mut Vec::new()).await });
    within(server.renegotiate(AS_BEFORE)).await.unwrap();
    // From here on the server does nothing, and the client can write.
    within(async {
        writer.write_all(b"goes on").await.unwrap();
        writer.flush().await.unwrap();
    })
    .await;
    server.read_exact(&mut [0; 7]).await.unwrap();
    server.shutdown().await.unwrap();
    within(reading).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_peer_that_does_not_answer_is_given_up() {
    tokio::time::pause();
    let acceptor = server().handshake_timeout(Duration::from_secs(3)).build().unwrap();
    let (client, mut server) = old_pair(&acceptor).await;
    let begun = tokio::time::Instant::now();
    assert_eq!(code(server.renegotiate(AS_BEFORE).await), "ERR_TLS_HANDSHAKE_TIMEOUT");
    assert!(begun.elapsed() >= Duration::from_secs(3) && begun.elapsed() < Duration::from_secs(4));
    drop(client);
}

#[tokio::test]
async fn a_server_that_disabled_renegotiation_ends_the_connection_of_a_client_that_tries() {
    let (mut client, mut server) = old_pair(&acceptor()).await;
    server.disable_renegotiation();
    assert_eq!(code(server.renegotiate(AS_BEFORE).await), "ERR_TLS_RENEGOTIATION_DISABLED");
    let serving = tokio::spawn(async move { server.read(&mut [0; 10]).await.unwrap_err() });
    assert_eq!(code(within(client.renegotiate(AS_BEFORE)).await), "ERR_SSL_NO_RENEGOTIATION");
    let error = within(serving).await.unwrap();
    let error = error.get_ref().unwrap().downcast_ref::<nodetls::Error>().unwrap();
    assert_eq!(error.code(), "ERR_TLS_RENEGOTIATION_DISABLED");
}

#[tokio::test]
async fn tls_1_3_refuses_to_renegotiate_and_the_connection_goes_on() {
    let (mut client, mut server) = pair(4096).await;
    assert_eq!(code(client.renegotiate(AS_BEFORE).await), "ERR_SSL_WRONG_SSL_VERSION");
    assert_eq!(code(server.renegotiate(AS_BEFORE).await), "ERR_SSL_WRONG_SSL_VERSION");
    client.write_all(b"goes on").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(drain(&mut server).await, b"goes on");
}

#[tokio::test]
async fn keys_are_updated_between_writes() {
    let sent = noise(300_000);
    let (mut client, mut server) = pair(4096).await;
    let bytes = sent.clone();
    let writing = tokio::spawn(async move {
        for piece in bytes.chunks(10_000) {
            client.update_keys(KeyUpdateRequest::Requested).await.unwrap();
            client.write_all(piece).await.unwrap();
        }
        client.shutdown().await.unwrap();
        drain(&mut client).await
    });
    assert!(drain(&mut server).await == sent);
    server.write_all(b"thanks").await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(within(writing).await.unwrap(), b"thanks");
}

#[tokio::test]
async fn a_server_asks_for_a_certificate_after_the_handshake() {
    let connector = connector().post_handshake_auth();
    let (mut client, mut server) = secure(&connector, &acceptor(), tokio::io::duplex(4096)).await;
    let reading = tokio::spawn(async move { drain(&mut client).await });
    within(server.request_client_certificate(ClientAuthentication::Required)).await.unwrap();
    assert!(server.connection().is_authorized());
    server.write_all(b"hello agent1").await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(within(reading).await.unwrap(), b"hello agent1");
}

#[tokio::test]
async fn a_client_that_has_not_offered_it_is_not_asked_for_a_certificate() {
    let (mut client, mut server) = pair(4096).await;
    let asked = server.request_client_certificate(ClientAuthentication::Required).await;
    assert_eq!(code(asked), "ERR_SSL_EXTENSION_NOT_RECEIVED");
    server.write_all(b"goes on").await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(drain(&mut client).await, b"goes on");
}
