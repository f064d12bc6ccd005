//! gRPC with tonic over nodetls on both sides, by the health service that comes ready-made with tonic.
//!
//! `cargo run -p nodetls --example tonic_tls`

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the example shows what happens")]

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use hyper_util::rt::TokioIo;
use nodetls::{
    BoxError, Certificate, Connector, KeyPem, SecureContext, SecureContextOptions, Server, TlsSocket,
};
use nodetls_test::pki::{Authority, Leaf};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let authority = Authority::new("example authority");
    let identity = authority.issue(&Leaf::server("localhost"));
    let context = SecureContext::new(&SecureContextOptions {
        cert: vec![identity.cert_pem.into()],
        key: vec![KeyPem { pem: identity.key_pem.into(), passphrase: None }],
        ..Default::default()
    })?;
    // gRPC is HTTP/2, which clients choose by ALPN.
    let server = Server::builder(&context).alpn_protocols(["h2"]).bind("127.0.0.1:0").await?;
    let port = server.local_addr().port();
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("example", ServingStatus::Serving).await;
    let serving = tonic::transport::Server::builder().add_service(health);
    tokio::spawn(serving.serve_with_incoming(incoming(server)));

    let options =
        SecureContextOptions { ca: Some(vec![authority.pem().into()]), ..SecureContextOptions::default() };
    let connector = Connector::new(&SecureContext::new(&options)?).alpn_protocols(["h2"]);
    let mut client = HealthClient::new(channel(connector, port).await?);
    let request = HealthCheckRequest { service: "example".to_owned() };
    let status = client.check(request).await?.into_inner().status();
    println!("the service is {}", status.as_str_name());
    Ok(())
}

/// A channel whose connections are made by nodetls. The address says `http` because tonic must not add TLS of its own.
async fn channel(connector: Connector, port: u16) -> Result<Channel, BoxError> {
    let connect = move |_| {
        let connector = connector.clone();
        async move { connector.connect("localhost", port).await.map(TokioIo::new) }
    };
    let endpoint = Endpoint::from_shared(format!("http://localhost:{port}"))?;
    Ok(endpoint.connect_with_connector(tower::service_fn(connect)).await?)
}

/// The server's connections as a stream. It ends when the server is closed.
fn incoming(server: Server) -> impl Stream<Item = io::Result<GrpcSocket>> {
    futures_util::stream::unfold(server, |server| async move {
        let (socket, peer) = server.accept().await.ok()?;
        Some((Ok(GrpcSocket { socket, peer }), server))
    })
}

/// What request handlers find in the extensions of a request.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "the ready-made service does not look at it")]
struct TlsInfo {
    peer: SocketAddr,
    certificate: Option<Certificate>,
}

/// A connection that tonic can serve: everything is passed on.
struct GrpcSocket {
    socket: TlsSocket<TcpStream>,
    peer: SocketAddr,
}

impl Connected for GrpcSocket {
    type ConnectInfo = TlsInfo;

    fn connect_info(&self) -> TlsInfo {
        TlsInfo { peer: self.peer, certificate: self.socket.connection().peer_certificate() }
    }
}

impl AsyncRead for GrpcSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, target)
    }
}

impl AsyncWrite for GrpcSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
