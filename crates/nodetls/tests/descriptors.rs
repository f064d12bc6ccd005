//! Clients that reset their connection leave no descriptor behind. Alone in its file, because it counts those of
//! the whole process.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::time::Duration;

use nodetls::{KeyPem, SecureContext, SecureContextOptions, Server};
use nodetls_test::pki::{Authority, Leaf};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The beginning of a ClientHello that never ends.
const HALF_A_HELLO: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 1, 2, 3];

async fn two_hundred_resets(context: &SecureContext) {
    let server = Server::builder(context).bind("127.0.0.1:0").await.unwrap();
    for round in 0..200 {
        let mut client = TcpStream::connect(server.local_addr()).await.unwrap();
        client.write_all(&HALF_A_HELLO[..round % HALF_A_HELLO.len()]).await.unwrap();
        // The transport ends with a reset instead of an end of stream.
        client.set_zero_linger().unwrap();
    }
    tokio::time::timeout(Duration::from_secs(30), server.close()).await.expect("all handshakes end");
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
    let before = open_descriptors();
    two_hundred_resets(&context).await;
    assert_eq!(open_descriptors(), before);
}
