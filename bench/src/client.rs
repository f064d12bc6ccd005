//! The peer of every server: a tokio-rustls client that makes sure that like is compared with like.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CipherSuite, ClientConfig, HandshakeKind, NamedGroup, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::Outcome;
use crate::hoard::Hoard;
use crate::servers::Groups;

/// Sessions that a client keeps for its server.
const SESSIONS: usize = 8;

/// A client of servers whose certificate is of one authority and for `localhost`.
pub(crate) struct Client {
    config: Arc<ClientConfig>,
    groups: Groups,
}

impl Client {
    pub(crate) fn new(authority: &str, groups: Groups) -> Outcome<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes())?)?;
        let config = ClientConfig::builder_with_provider(Arc::new(provider(groups)))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config), groups })
    }

    /// Connects without a session, but ready to be given one: no server saves the tickets.
    pub(crate) async fn connect(&self, address: SocketAddr) -> io::Result<TlsStream<Hoard>> {
        self.connect_with(self.with_fresh_sessions().config, address, HandshakeKind::Full).await
    }

    /// Resumes the session of the connection before.
    pub(crate) async fn resume(&self, address: SocketAddr) -> io::Result<TlsStream<Hoard>> {
        self.connect_with(Arc::clone(&self.config), address, HandshakeKind::Resumed).await
    }

    /// Connects for the first time and keeps the session for [`Client::resume`].
    pub(crate) async fn connect_to_resume(&self, address: SocketAddr) -> io::Result<TlsStream<Hoard>> {
        self.connect_with(Arc::clone(&self.config), address, HandshakeKind::Full).await
    }

    /// The same client without the sessions it has.
    pub(crate) fn with_fresh_sessions(&self) -> Self {
        let mut config = (*self.config).clone();
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Self { config: Arc::new(config), groups: self.groups }
    }

    /// A full handshake on a connection that is there already.
    pub(crate) async fn handshake(&self, tcp: TcpStream) -> io::Result<TlsStream<Hoard>> {
        self.handshake_with(self.with_fresh_sessions().config, tcp, HandshakeKind::Full).await
    }

    async fn connect_with(
        &self,
        config: Arc<ClientConfig>,
        address: SocketAddr,
        kind: HandshakeKind,
    ) -> io::Result<TlsStream<Hoard>> {
        let tcp = TcpStream::connect(address).await?;
        self.handshake_with(config, tcp, kind).await
    }

    async fn handshake_with(
        &self,
        config: Arc<ClientConfig>,
        tcp: TcpStream,
        kind: HandshakeKind,
    ) -> io::Result<TlsStream<Hoard>> {
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let stream = TlsConnector::from(config).connect(name, Hoard::new(tcp)).await?;
        self.check(&stream, kind)?;
        Ok(stream)
    }

    /// Fails where the server negotiated something else than what is to be measured.
    fn check(&self, stream: &TlsStream<Hoard>, kind: HandshakeKind) -> io::Result<()> {
        let connection = stream.get_ref().1;
        let suite = connection.negotiated_cipher_suite().map(|suite| suite.suite());
        let group = connection.negotiated_key_exchange_group().map(|group| group.name());
        let expected = suite == Some(CipherSuite::TLS13_AES_128_GCM_SHA256)
            && connection.handshake_kind() == Some(kind)
            && (self.groups == Groups::Default || group == Some(NamedGroup::X25519));
        if expected {
            return Ok(());
        }
        let found = connection.handshake_kind();
        Err(io::Error::other(format!("negotiated {suite:?}, {group:?}, {found:?} instead of {kind:?}")))
    }
}

/// Cryptography for rustls on either side, with the one cipher suite.
pub(crate) fn provider(groups: Groups) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
    if groups == Groups::X25519 {
        provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    }
    provider
}
