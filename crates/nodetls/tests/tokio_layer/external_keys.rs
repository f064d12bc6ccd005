//! A key management service at either end: the handshake waits for it.

use nodetls::{
    AskSign, BoxError, ClientAuthentication, ClientCallbacks, Connector, SecureContextOptions, Server,
    ServerCallbacks,
};
use nodetls_test::pair::{authority, client_identity, server_identity};
use nodetls_test::pki::Identity;
use nodetls_test::signer;

use crate::world::{VERSIONS, client_options, context, greet, server_options, within};

/// Signs on another task, as if it were far away, but only for this identity.
struct Service(&'static Identity);

impl Service {
    async fn sign(&self, ask: &AskSign) -> Result<Option<Vec<u8>>, BoxError> {
        let (identity, scheme, message) = (self.0, ask.scheme, ask.message.clone());
        Ok(tokio::task::spawn_blocking(move || signer::sign(identity, scheme, &message)).await?)
    }
}

impl ServerCallbacks for Service {
    async fn sign(&self, ask: &AskSign) -> Result<Option<Vec<u8>>, BoxError> {
        Self::sign(self, ask).await
    }
}

impl ClientCallbacks for Service {
    async fn sign(&self, ask: &AskSign) -> Result<Option<Vec<u8>>, BoxError> {
        Self::sign(self, ask).await
    }
}

/// Options whose own certificate has its key elsewhere.
fn without_key(mut options: SecureContextOptions, identity: &Identity) -> SecureContextOptions {
    options.ca = Some(vec![authority().pem().into()]);
    options.cert = vec![identity.cert_pem.clone().into()];
    options.key.clear();
    options.external_key = true;
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_may_have_their_keys_elsewhere() {
    let serving = context(&without_key(server_options(), server_identity()));
    let server = Server::builder(&serving)
        .client_authentication(ClientAuthentication::Required)
        .callbacks(Service(server_identity()))
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    let port = server.local_addr().port();
    for version in VERSIONS {
        let options = without_key(client_options(), client_identity());
        let options = SecureContextOptions { max_version: Some(version), ..options };
        let connector =
            Connector::new(&context(&options)).server_name("localhost").callbacks(Service(client_identity()));
        let (client, served) =
            within(async { tokio::join!(connector.connect("127.0.0.1", port), server.accept()) }).await;
        let (mut client, (mut served, _)) = (client.unwrap(), served.unwrap());
        assert!(served.connection().is_authorized());
        greet(&mut client, &mut served).await;
    }
}

#[tokio::test]
async fn a_service_that_cannot_sign_fails_its_connection_alone() {
    let serving = context(&without_key(server_options(), server_identity()));
    let server =
        Server::builder(&serving).callbacks(Service(client_identity())).bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().port();
    let connector = Connector::new(&context(&client_options())).server_name("localhost");
    for _ in 0..3 {
        let refused = within(async {
            tokio::select! {
                _ = server.accept() => panic!("a handshake without a signature succeeds"),
                refused = connector.connect("127.0.0.1", port) => refused,
            }
        });
        assert_eq!(refused.await.unwrap_err().code(), "ECONNRESET");
    }
}
