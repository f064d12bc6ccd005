//! Several certificates on one address, chosen by server name: fixed ones, a wildcard, and one that an asynchronous
//! callback looks up when a client asks for it.
//!
//! `cargo run -p nodetls --example sni`

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the example shows what happens")]

use std::collections::HashMap;

use nodetls::{
    AskSelectContext, BoxError, Connector, KeyPem, QuestionKind, Questions, SecureContext,
    SecureContextOptions, Server, ServerCallbacks,
};
use nodetls_test::pki::{Authority, Leaf};
use tokio::sync::RwLock;

/// Looks contexts up by name. A real one would ask a database, and keep what it has found.
struct Tenants {
    contexts: RwLock<HashMap<String, SecureContext>>,
}

impl ServerCallbacks for Tenants {
    fn questions(&self) -> Questions {
        Questions::NONE.with(QuestionKind::SelectContext)
    }

    /// `None` leaves the choice to the contexts that were added for names, and to the server's own. An error would end
    /// the connection.
    async fn select_context(&self, ask: &AskSelectContext) -> Result<Option<SecureContext>, BoxError> {
        Ok(self.contexts.read().await.get(&ask.server_name).cloned())
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let authority = Authority::new("example authority");
    let context = |name: &str| server_context(&authority, name);

    let tenants = HashMap::from([("tenant.example".to_owned(), context("tenant.example")?)]);
    let server = Server::builder(&context("default.example")?)
        .context("a.example", &context("a.example")?)
        .context("*.wild.example", &context("*.wild.example")?)
        .callbacks(Tenants { contexts: RwLock::new(tenants) })
        .bind("127.0.0.1:0")
        .await?;
    let port = server.local_addr().port();
    tokio::spawn(async move { while server.accept().await.is_ok() {} });

    let options =
        SecureContextOptions { ca: Some(vec![authority.pem().into()]), ..SecureContextOptions::default() };
    let connector = Connector::new(&SecureContext::new(&options)?);
    for name in ["default.example", "a.example", "b.wild.example", "tenant.example", "unknown.example"] {
        match connector.clone().server_name(name).connect("127.0.0.1", port).await {
            Ok(socket) => {
                let certificate = socket.connection().peer_certificate().ok_or("no certificate")?;
                println!("{name} is served with {}", certificate.subject());
            }
            // The server's own certificate is not for this name.
            Err(error) => println!("{name} is refused by the client: {}", error.code()),
        }
    }
    Ok(())
}

fn server_context(authority: &Authority, name: &str) -> Result<SecureContext, nodetls::Error> {
    let identity = authority.issue(&Leaf::server(name));
    SecureContext::new(&SecureContextOptions {
        cert: vec![identity.cert_pem.into()],
        key: vec![KeyPem { pem: identity.key_pem.into(), passphrase: None }],
        ..Default::default()
    })
}
