//! axum over HTTPS: a `Server` becomes what `axum::serve` accepts connections from by ten lines, `TlsListener` below.
//!
//! `cargo run -p nodetls --example axum_https`

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the example shows what happens")]

use std::net::SocketAddr;

use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::routing::get;
use axum::serve::{IncomingStream, Listener};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use nodetls::{BoxError, Connector, KeyPem, SecureContext, SecureContextOptions, Server, TlsSocket};
use nodetls_test::pki::{Authority, Leaf};
use tokio::net::TcpStream;

/// A server whose connections axum serves. Handshakes run beside one another before they come out of it.
struct TlsListener(Server);

impl Listener for TlsListener {
    type Io = TlsSocket<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.0.accept().await {
            Ok(accepted) => accepted,
            // It was closed; axum ends by its own signal.
            Err(_) => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.0.local_addr())
    }
}

/// What handlers learn about a connection; client certificates would stand here too.
#[derive(Clone, Debug)]
struct TlsInfo {
    protocol: String,
}

impl Connected<IncomingStream<'_, TlsListener>> for TlsInfo {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        let version = stream.io().connection().protocol_version();
        Self { protocol: version.map(|version| version.to_string()).unwrap_or_default() }
    }
}

async fn hello(ConnectInfo(info): ConnectInfo<TlsInfo>) -> String {
    format!("hello over {}", info.protocol)
}

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
    let app = axum::Router::new().route("/", get(hello));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = axum::serve(TlsListener(server), app.into_make_service_with_connect_info::<TlsInfo>())
        .with_graceful_shutdown(async move { drop(stopped.await) });
    let serving = tokio::spawn(serving.into_future());

    let options =
        SecureContextOptions { ca: Some(vec![authority.pem().into()]), ..SecureContextOptions::default() };
    let connector = Connector::new(&SecureContext::new(&options)?).alpn_protocols(["http/1.1"]);
    println!("{}", fetch(&connector, port).await?);
    drop(stop);
    serving.await??;
    Ok(())
}

async fn fetch(connector: &Connector, port: u16) -> Result<String, BoxError> {
    let socket = connector.connect("localhost", port).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
    tokio::spawn(connection);
    let request = Request::get("/").header("host", "localhost").body(Empty::<Bytes>::new())?;
    let body = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(body.to_vec())?)
}
