//! tokio-rustls on aws-lc, with stateless tickets as OpenSSL has them.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::{Accepting, Acceptor, HANDSHAKE_LIMIT, Settings, Stream};
use crate::{Outcome, client};

pub(super) fn acceptor(settings: &Settings<'_>) -> Outcome<Arc<dyn Acceptor>> {
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(settings.identity.cert_pem.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(settings.identity.key_pem.as_bytes())?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(client::provider(settings.groups)))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain?, key)?;
    config.ticketer = Ticketer::new()?;
    config.send_tls13_tickets = settings.tickets;
    Ok(Arc::new(TlsAcceptor::from(Arc::new(config))))
}

impl Acceptor for TlsAcceptor {
    fn accept(&self, tcp: TcpStream) -> Accepting<'_> {
        let handshake = tokio::time::timeout(HANDSHAKE_LIMIT, Self::accept(self, tcp));
        Box::pin(async { Ok(Box::new(handshake.await??) as Box<dyn Stream>) })
    }
}
