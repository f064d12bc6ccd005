//! rustls on either side, in this process.

use std::io;
use std::path::Path;
use std::sync::Arc;

use nodetls::ProtocolVersion;
use nodetls_test::peers::{Report, Terms};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, CommonState, HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

fn versions(terms: &Terms) -> [&'static SupportedProtocolVersion; 1] {
    [if terms.version == ProtocolVersion::Tls1_3 { &TLS13 } else { &TLS12 }]
}

fn roots(path: &Path) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(path).unwrap()).unwrap();
    roots
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(terms: &Terms) -> Option<Identity> {
    let (cert, key) = terms.identity.as_ref()?;
    let chain = CertificateDer::pem_file_iter(cert).unwrap().map(Result::unwrap).collect();
    Some((chain, PrivateKeyDer::from_pem_file(key).unwrap()))
}

fn alpn_protocols(terms: &Terms) -> Vec<Vec<u8>> {
    terms.alpn_protocol.iter().map(|protocol| protocol.clone().into_bytes()).collect()
}

fn report(state: &CommonState) -> Report {
    let version = state.protocol_version().map(|version| format!("{version:?}").replace('_', "."));
    Report {
        version: version.and_then(|version| version.parse().ok()),
        alpn_protocol: state.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
        resumed: usize::from(state.handshake_kind() == Some(HandshakeKind::Resumed)),
        ..Report::default()
    }
}

/// A client; all of its connections share their sessions.
pub(crate) struct Client {
    connector: TlsConnector,
    name: ServerName<'static>,
    bytes: usize,
}

impl Client {
    pub(crate) fn new(terms: &Terms) -> Self {
        let builder = ClientConfig::builder_with_protocol_versions(&versions(terms))
            .with_root_certificates(roots(terms.ca.as_ref().unwrap()));
        let mut config = match identity(terms) {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpn_protocols(terms);
        let name = terms.server_name.clone().unwrap_or_else(|| "127.0.0.1".to_owned());
        Self {
            connector: TlsConnector::from(Arc::new(config)),
            name: ServerName::try_from(name).unwrap(),
            bytes: terms.bytes,
        }
    }

    /// What a connection exports for each context; it reads until the other side has closed.
    pub(crate) async fn exported(
        &self,
        port: u16,
        label: &str,
        contexts: &[Option<&[u8]>],
    ) -> io::Result<Vec<Vec<u8>>> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let mut socket = self.connector.connect(self.name.clone(), stream).await?;
        let state = socket.get_ref().1;
        let export = |context| state.export_keying_material([0_u8; 40], label.as_bytes(), context);
        let exported =
            contexts.iter().map(|context| export(*context).map(Vec::from).map_err(io::Error::other));
        let exported = exported.collect::<io::Result<_>>()?;
        socket.read_to_end(&mut Vec::new()).await?;
        Ok(exported)
    }

    /// The whole dialogue over one connection.
    pub(crate) async fn run(&self, port: u16) -> io::Result<Report> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let mut socket = self.connector.connect(self.name.clone(), stream).await?;
        let sent = if self.bytes > 0 { vec![b'x'; self.bytes] } else { b"hello from rustls\n".to_vec() };
        let mut received = vec![0; sent.len()];
        for (sent, received) in sent.chunks(16_384).zip(received.chunks_mut(16_384)) {
            socket.write_all(sent).await?;
            socket.flush().await?;
            socket.read_exact(received).await?;
        }
        socket.shutdown().await?;
        // rustls reports an end without a goodbye as an error.
        let rest = socket.read(&mut [0; 1]).await?;
        let report = report(socket.get_ref().1);
        Ok(Report { echoed: sent == received, is_content: rest == 0, ..report })
    }
}

/// A server.
pub(crate) struct Server {
    acceptor: TlsAcceptor,
    listener: TcpListener,
}

impl Server {
    pub(crate) async fn bind(terms: &Terms) -> Self {
        let builder = ServerConfig::builder_with_protocol_versions(&versions(terms));
        let builder = match &terms.ca {
            Some(ca) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder(Arc::new(roots(ca))).build().unwrap(),
            ),
            None => builder.with_no_client_auth(),
        };
        let (chain, key) = identity(terms).unwrap();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = alpn_protocols(terms);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), listener }
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// Serves the next client until it has said goodbye.
    pub(crate) async fn serve(&self) -> io::Result<Report> {
        let (stream, _) = self.listener.accept().await?;
        let mut socket = self.acceptor.accept(stream).await?;
        let report = report(socket.get_ref().1);
        let server_name = socket.get_ref().1.server_name().map(str::to_owned);
        let certificate = socket.get_ref().1.peer_certificates().map(|chain| chain[0].clone());
        let (mut reader, mut writer) = tokio::io::split(&mut socket);
        tokio::io::copy(&mut reader, &mut writer).await?;
        socket.shutdown().await?;
        Ok(Report { server_name, peer: certificate.map(|der| common_name(&der)), is_content: true, ..report })
    }
}

/// The common name in a certificate of these tests.
fn common_name(der: &[u8]) -> String {
    let has = |name: &str| der.windows(name.len()).any(|window| window == name.as_bytes());
    if has("agent1") { "agent1".to_owned() } else { "somebody else".to_owned() }
}
