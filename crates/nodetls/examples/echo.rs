//! The echo server and client of the manual: the server says welcome and sends back what it gets.
//!
//! `cargo run -p nodetls --example echo`

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the example shows what happens")]

use nodetls::{BoxError, Connector, KeyPem, SecureContext, SecureContextOptions, Server, TlsSocket};
use nodetls_test::pki::{Authority, Leaf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // Throwaway certificates; a program reads its own from files, for instance with `ContextFiles`.
    let authority = Authority::new("example authority");
    let identity = authority.issue(&Leaf::server("localhost"));

    let context = SecureContext::new(&SecureContextOptions {
        cert: vec![identity.cert_pem.into()],
        key: vec![KeyPem { pem: identity.key_pem.into(), passphrase: None }],
        ..Default::default()
    })?;
    let server = Server::builder(&context).bind("127.0.0.1:0").await?;
    let port = server.local_addr().port();
    tokio::spawn(serve(server));

    // Without `ca` the client would trust Mozilla's authorities.
    let options =
        SecureContextOptions { ca: Some(vec![authority.pem().into()]), ..SecureContextOptions::default() };
    let connector = Connector::new(&SecureContext::new(&options)?);
    let mut socket = connector.connect("localhost", port).await?;
    if let (Some(version), Some(suite)) =
        (socket.connection().protocol_version(), socket.connection().cipher_suite())
    {
        println!("connected by {version} with {}", suite.standard_name);
    }
    socket.write_all(b"hello\n").await?;
    // Says goodbye; reading goes on until the server has said it too.
    socket.shutdown().await?;
    let mut received = String::new();
    socket.read_to_string(&mut received).await?;
    print!("received: {received}");
    Ok(())
}

async fn serve(server: Server) {
    while let Ok((socket, peer)) = server.accept().await {
        tokio::spawn(async move {
            if let Err(error) = echo(socket).await {
                println!("{peer}: {error}");
            }
        });
    }
}

async fn echo(mut socket: TlsSocket<TcpStream>) -> std::io::Result<()> {
    socket.write_all(b"welcome!\n").await?;
    let (mut reader, mut writer) = socket.into_split();
    tokio::io::copy(&mut reader, &mut writer).await?;
    writer.shutdown().await
}
