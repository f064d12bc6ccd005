//! A pooled HTTPS client of hyper-util over nodetls, which speaks HTTP/2 where the server does, and a server for both
//! versions.
//!
//! `cargo run -p nodetls --example hyper_pool`

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the example shows what happens")]

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use nodetls::{BoxError, Connector, KeyPem, SecureContext, SecureContextOptions, Server, TlsSocket};
use nodetls_test::pki::{Authority, Leaf};
use tokio::net::TcpStream;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let authority = Authority::new("example authority");
    let identity = authority.issue(&Leaf::server("localhost"));
    let context = SecureContext::new(&SecureContextOptions {
        cert: vec![identity.cert_pem.into()],
        key: vec![KeyPem { pem: identity.key_pem.into(), passphrase: None }],
        ..Default::default()
    })?;
    let server = Server::builder(&context).alpn_protocols(["h2", "http/1.1"]).bind("127.0.0.1:0").await?;
    let port = server.local_addr().port();
    tokio::spawn(serve(server));

    let options =
        SecureContextOptions { ca: Some(vec![authority.pem().into()]), ..SecureContextOptions::default() };
    let connector = Connector::new(&SecureContext::new(&options)?).alpn_protocols(["h2", "http/1.1"]);
    let connect = tower::service_fn(move |uri: Uri| {
        let connector = connector.clone();
        Box::pin(async move { connect(&connector, &uri).await })
    });
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connect);
    for path in ["a", "b"] {
        let response = client.get(format!("https://localhost:{port}/{path}").parse()?).await?;
        let version = response.version();
        let body = response.into_body().collect().await?.to_bytes();
        println!("{version:?}: {}", String::from_utf8(body.to_vec())?);
    }
    Ok(())
}

/// A connection for the pool.
async fn connect(connector: &Connector, uri: &Uri) -> Result<HttpsStream, BoxError> {
    let host = uri.host().ok_or("a URI without a host")?;
    let socket = connector.connect(host, uri.port_u16().unwrap_or(443)).await?;
    Ok(HttpsStream(TokioIo::new(socket)))
}

/// What the pool wants to know of a connection; the rest is passed on.
struct HttpsStream(TokioIo<TlsSocket<TcpStream>>);

impl Connection for HttpsStream {
    fn connected(&self) -> Connected {
        let is_h2 = self.0.inner().connection().alpn_protocol() == Some(b"h2");
        if is_h2 { Connected::new().negotiated_h2() } else { Connected::new() }
    }
}

impl Read for HttpsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, target)
    }
}

impl Write for HttpsStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Serves HTTP/1 and HTTP/2, whichever a client begins with.
async fn serve(server: Server) {
    let mut connections = 0;
    while let Ok((socket, _)) = server.accept().await {
        connections += 1;
        let answer = service_fn(move |request| hello(connections, request));
        tokio::spawn(async move {
            let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            // How the connection ends is up to the client; here it just leaves when the program does.
            let _ = builder.serve_connection(TokioIo::new(socket), answer).await;
        });
    }
}

async fn hello(connection: u32, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = format!("hello from {} over connection {connection}", request.uri().path());
    Ok(Response::new(Full::new(text.into())))
}
