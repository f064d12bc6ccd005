//! nodetls: what this is all about.

use std::io;
use std::sync::Arc;

use nodetls::{KeyPem, SecureContext, SecureContextOptions};
use tokio::net::TcpStream;

use super::{Accepting, Acceptor, CIPHER_SUITE, Groups, Settings, Stream};
use crate::Outcome;

pub(super) fn acceptor(settings: &Settings<'_>) -> Outcome<Arc<dyn Acceptor>> {
    let context = SecureContext::new(&SecureContextOptions {
        cert: vec![settings.identity.cert_pem.clone().into()],
        key: vec![KeyPem { pem: settings.identity.key_pem.clone().into(), passphrase: None }],
        ciphers: Some(CIPHER_SUITE.to_owned()),
        ecdh_curve: (settings.groups == Groups::X25519).then(|| "X25519".to_owned()),
        session_tickets: settings.tickets,
        ..SecureContextOptions::default()
    })?;
    Ok(Arc::new(nodetls::Acceptor::builder(&context).build()?))
}

impl Acceptor for nodetls::Acceptor {
    fn accept(&self, tcp: TcpStream) -> Accepting<'_> {
        Box::pin(async {
            let socket = Self::accept(self, tcp).await.map_err(io::Error::from)?;
            Ok(Box::new(socket) as Box<dyn Stream>)
        })
    }
}
