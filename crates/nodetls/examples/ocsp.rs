//! OCSP stapling: the server tells the status of its certificate, and the client insists on it.
//!
//! `cargo run -p nodetls --example ocsp`; it needs the `openssl` command, which plays the authority's responder.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the example shows what happens")]

use std::sync::{Arc, RwLock};

use nodetls::{
    AskOcspRequest, BoxError, Connector, KeyPem, OcspStapling, QuestionKind, Questions, SecureContext,
    SecureContextOptions, Server, ServerCallbacks,
};
use nodetls_test::pki::{Authority, Leaf};

/// The response that is stapled. A real server fetches a new one from the responder, whose address stands in the
/// certificate, before the old one ends.
#[derive(Clone, Default)]
struct Stapled(Arc<RwLock<Option<Vec<u8>>>>);

impl Stapled {
    fn set(&self, response: Vec<u8>) {
        *self.0.write().expect("nobody panics with the lock") = Some(response);
    }
}

impl ServerCallbacks for Stapled {
    fn questions(&self) -> Questions {
        Questions::NONE.with(QuestionKind::OcspRequest)
    }

    async fn ocsp_request(&self, ask: &AskOcspRequest) -> Result<Option<Vec<u8>>, BoxError> {
        println!("server: a client asks for the status of {}", ask.certificate.subject());
        Ok(self.0.read().expect("nobody panics with the lock").clone())
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let authority = Authority::new("example authority");
    let identity = authority.issue(&Leaf::server("localhost"));
    let (good, revoked) =
        (authority.ocsp_response(&identity, Some('V')), authority.ocsp_response(&identity, Some('R')));

    let context = SecureContext::new(&SecureContextOptions {
        cert: vec![identity.cert_pem.into()],
        key: vec![KeyPem { pem: identity.key_pem.into(), passphrase: None }],
        ..Default::default()
    })?;
    let stapled = Stapled::default();
    let server = Server::builder(&context).callbacks(stapled.clone()).bind("127.0.0.1:0").await?;
    let port = server.local_addr().port();
    tokio::spawn(async move { while server.accept().await.is_ok() {} });

    let options =
        SecureContextOptions { ca: Some(vec![authority.pem().into()]), ..SecureContextOptions::default() };
    let connector = Connector::new(&SecureContext::new(&options)?).ocsp(OcspStapling::Required);
    println!("without a status: {}", outcome(&connector, port).await);
    stapled.set(good);
    println!("with a good status: {}", outcome(&connector, port).await);
    stapled.set(revoked);
    println!("with a bad status: {}", outcome(&connector, port).await);
    Ok(())
}

async fn outcome(connector: &Connector, port: u16) -> String {
    match connector.connect("localhost", port).await {
        Ok(_) => "connected".to_owned(),
        Err(error) => format!("refused, {}", error.code()),
    }
}
