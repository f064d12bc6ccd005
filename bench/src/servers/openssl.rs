//! tokio-openssl, set up as its users do it: an `SslAcceptor` with its presets.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use openssl::pkey::PKey;
use openssl::ssl::{Ssl, SslAcceptor, SslMethod};
use openssl::x509::X509;
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::{Accepting, Acceptor, CIPHER_SUITE, Groups, HANDSHAKE_LIMIT, Settings, Stream};
use crate::Outcome;

pub(super) fn acceptor(settings: &Settings<'_>) -> Outcome<Arc<dyn Acceptor>> {
    let mut builder = SslAcceptor::mozilla_modern_v5(SslMethod::tls_server())?;
    builder.set_ciphersuites(CIPHER_SUITE)?;
    let certificate = X509::from_pem(settings.identity.cert_pem.as_bytes())?;
    builder.set_certificate(&certificate)?;
    let key = PKey::private_key_from_pem(settings.identity.key_pem.as_bytes())?;
    builder.set_private_key(&key)?;
    builder.set_num_tickets(settings.tickets)?;
    if settings.groups == Groups::X25519 {
        builder.set_groups_list("X25519")?;
    }
    Ok(Arc::new(builder.build()))
}

impl Acceptor for SslAcceptor {
    fn accept(&self, tcp: TcpStream) -> Accepting<'_> {
        Box::pin(async {
            let mut stream = SslStream::new(Ssl::new(self.context())?, tcp)?;
            let handshake = tokio::time::timeout(HANDSHAKE_LIMIT, Pin::new(&mut stream).accept());
            handshake.await?.map_err(io::Error::other)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}
