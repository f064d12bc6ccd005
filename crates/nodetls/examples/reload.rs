//! Certificates that are renewed while the server runs: it watches its files, uses changed ones, and refuses broken
//! ones.
//!
//! `cargo run -p nodetls --example reload`

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the example shows what happens")]

use std::path::Path;
use std::time::Duration;

use nodetls::{
    BoxError, Connector, ContextFiles, FilesStatus, SecureContext, SecureContextOptions, Server, WatchOptions,
};
use nodetls_test::pki::{Authority, Leaf};
use tokio::sync::watch::Receiver;

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
    // The defaults, 10 s and 1 s, are good for servers; the example should not keep anybody waiting.
    let (interval, settle_time) = (Duration::from_millis(200), Duration::from_millis(200));
    let watched = files.watch(WatchOptions { interval, settle_time }).await?;
    let server = Server::builder(&watched.context()).bind("127.0.0.1:0").await?;
    server.acceptor().follow_secure_context(&watched);
    let port = server.local_addr().port();
    tokio::spawn(async move { while server.accept().await.is_ok() {} });

    let options =
        SecureContextOptions { ca: Some(vec![authority.pem().into()]), ..SecureContextOptions::default() };
    let connector = Connector::new(&SecureContext::new(&options)?);
    let mut status = watched.subscribe();
    let first = serial_number(&connector, port).await?;

    renew(&authority, directory.path());
    println!("renewed: {}", next(&mut status).await?);
    let second = serial_number(&connector, port).await?;
    println!("clients get {} certificate", if second == first { "the old" } else { "the new" });

    let other = authority.issue(&Leaf::server("localhost"));
    std::fs::write(directory.path().join("tls.key"), other.key_pem)?;
    println!("broken: {}", next(&mut status).await?);
    let third = serial_number(&connector, port).await?;
    println!("clients get {} certificate", if third == second { "the last good" } else { "another" });
    Ok(())
}

/// Does what a certificate manager does.
fn renew(authority: &Authority, directory: &Path) {
    authority.issue(&Leaf::server("localhost")).write_to(directory, "tls");
}

/// Waits until changed files were used or refused. A program would log this.
async fn next(status: &mut Receiver<FilesStatus>) -> Result<String, BoxError> {
    status.changed().await?;
    let status = status.borrow_and_update();
    Ok(match &status.refused {
        None => "the files are in use".to_owned(),
        Some(error) => format!("the files are refused, {}", error.code()),
    })
}

async fn serial_number(connector: &Connector, port: u16) -> Result<String, BoxError> {
    let socket = connector.connect("localhost", port).await?;
    let certificate = socket.connection().peer_certificate().ok_or("the server has no certificate")?;
    Ok(certificate.serial_number())
}
