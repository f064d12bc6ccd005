//! Certificates that are renewed while the server runs: it watches its files, uses changed ones, and refuses broken
//! ones.
//!
//! `cargo run -p nodetls --example reload`

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the example shows what happens")]

use std::path::Path;

use nodetls::{
    BoxError, Connector, ContextFiles, SecureContext, SecureContextOptions, Server, WatchOptions,
    WatchedFiles,
};
use nodetls_test::pki::{Authority, Leaf};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let authority = Authority::new("example authority");
    let directory = tempfile::tempdir()?;
    renew(&authority, directory.path());

    let files = ContextFiles {
        cert: vec![directory.path().join("tls.pem")],
        key: vec![directory.path().join("tls.key")],
        ..Default::default()
    };
    let watched = files.watch(WatchOptions::default()).await?;
    let server = Server::builder(&watched.context()).bind("127.0.0.1:0").await?;
    server.acceptor().follow_secure_context(&watched);
    let port = server.local_addr().port();
    tokio::spawn(async move { while server.accept().await.is_ok() {} });

    let options =
        SecureContextOptions { ca: Some(vec![authority.pem().into()]), ..SecureContextOptions::default() };
    let connector = Connector::new(&SecureContext::new(&options)?);
    let first = serial_number(&connector, port).await?;

    renew(&authority, directory.path());
    println!("renewed: {}", reload(&watched).await);
    let second = serial_number(&connector, port).await?;
    println!("clients get {} certificate", if second == first { "the old" } else { "the new" });

    let other = authority.issue(&Leaf::server("localhost"));
    std::fs::write(directory.path().join("tls.key"), other.key_pem)?;
    println!("broken: {}", reload(&watched).await);
    let third = serial_number(&connector, port).await?;
    println!("clients get {} certificate", if third == second { "the last good" } else { "another" });
    Ok(())
}

/// Does what a certificate manager does.
fn renew(authority: &Authority, directory: &Path) {
    authority.issue(&Leaf::server("localhost")).write_to(directory, "tls");
}

/// Looks at the files at once, as a server may do on a signal, instead of waiting for the next time. What comes of
/// changed files is otherwise told by `WatchedFiles::subscribe`.
async fn reload(watched: &WatchedFiles) -> String {
    match watched.reload_now().await {
        Ok(()) => "the files are in use".to_owned(),
        Err(error) => format!("the files are refused, {}", error.code()),
    }
}

async fn serial_number(connector: &Connector, port: u16) -> Result<String, BoxError> {
    let socket = connector.connect("localhost", port).await?;
    let certificate = socket.connection().peer_certificate().ok_or("the server has no certificate")?;
    Ok(certificate.serial_number())
}
