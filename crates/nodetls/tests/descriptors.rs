//! Clients that reset their connection leave no descriptor behind. Alone in its file, because it counts those of
//! the whole process.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use nodetls::{Connector, KeyPem, SecureContext, SecureContextOptions, Server};
use nodetls_test::pki::{Authority, Leaf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A client's first message.
async fn client_hello() -> Vec<u8> {
    let connector = Connector::new(&SecureContext::new(&SecureContextOptions::default()).unwrap());
    let (client, mut server) = tokio::io::duplex(65_536);
    let mut hello = Vec::with_capacity(65_536);
    tokio::select! {
        _ = connector.connect_over(client) => unreachable!("nobody answers"),
        count = server.read_buf(&mut hello) => assert!(count.unwrap() > 0),
    }
    hello
}

async fn two_hundred_resets(context: &SecureContext, hello: &[u8]) {
    let server = Server::builder(context).bind("127.0.0.1:0").await.unwrap();
    for round in 0..200 {
        let mut client = TcpStream::connect(server.local_addr()).await.unwrap();
        let whole = round % 4 == 0;
        let length = if whole { hello.len() } else { round * 7 % hello.len() };
        client.write_all(&hello[..length]).await.unwrap();
        if whole {
            // Breaks off in the middle of the server's answer.
            assert!(client.read(&mut [0; 20]).await.unwrap() > 0);
        }
        // The transport ends with a reset instead of an end of stream.
        client.set_zero_linger().unwrap();
    }
    server.close().await;
}

#[tokio::test]
async fn two_hundred_resets_in_the_handshake_leave_no_descriptor_behind() {
    let authority = Authority::new("ca");
    let identity = authority.issue(&Leaf::server("localhost"));
    let context = SecureContext::new(&SecureContextOptions {
        cert: vec![identity.cert_pem.into()],
        key: vec![KeyPem { pem: identity.key_pem.into(), passphrase: None }],
        ..Default::default()
    })
    .unwrap();
    let counting = async {
        let hello = client_hello().await;
        let before = open_descriptors();
        two_hundred_resets(&context, &hello).await;
        assert_eq!(open_descriptors(), before);
    };
    tokio::time::timeout(Duration::from_secs(30), counting).await.expect("all handshakes end");
}
