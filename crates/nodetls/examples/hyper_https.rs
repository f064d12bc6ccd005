//! HTTPS with hyper 1: a `TlsSocket` is an `AsyncRead + AsyncWrite`, which `TokioIo` turns into what hyper wants.
//!
//! `cargo run -p nodetls --example hyper_https`

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the example shows what happens")]

use std::convert::Infallible;

use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use nodetls::{BoxError, Connector, KeyPem, SecureContext, SecureContextOptions, Server};
use nodetls_test::pki::{Authority, Leaf};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let authority = Authority::new("example authority");
    let identity = authority.issue(&Leaf::server("localhost"));
    let context = SecureContext::new(&SecureContextOptions {
        cert: vec![identity.cert_pem.into()],
        key: vec![KeyPem { pem: identity.key_pem.into(), passphrase: None }],
        ..Default::default()
    })?;
    let server = Server::builder(&context).alpn_protocols(["http/1.1"]).bind("127.0.0.1:0").await?;
    let port = server.local_addr().port();
    tokio::spawn(serve(server));

    let options =
        SecureContextOptions { ca: Some(vec![authority.pem().into()]), ..SecureContextOptions::default() };
    let connector = Connector::new(&SecureContext::new(&options)?).alpn_protocols(["http/1.1"]);
    let (status, body) = get(&connector, port, "/a").await?;
    println!("{status}: {body}");
    Ok(())
}

async fn serve(server: Server) {
    while let Ok((socket, peer)) = server.accept().await {
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new();
            if let Err(error) = connection.serve_connection(TokioIo::new(socket), service_fn(hello)).await {
                println!("{peer}: {error}");
            }
        });
    }
}

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = format!("hello from {}", request.uri().path());
    Ok(Response::new(Full::new(text.into())))
}

async fn get(connector: &Connector, port: u16, path: &str) -> Result<(hyper::StatusCode, String), BoxError> {
    let socket = connector.connect("localhost", port).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
    // It moves the bytes, and ends when the sender is dropped.
    tokio::spawn(connection);
    let request = Request::get(path).header("host", "localhost").body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8(body.to_vec())?))
}
