//! A key management service at either end: the handshake waits for it.

use std::time::Duration;

use nodetls::{
    AskSign, BoxError, ClientAuthentication, ClientCallbacks, Connector, KeyPem, SecureContextOptions,
    Server, ServerCallbacks,
};
use nodetls_test::pair::{authority, client_identity, server_identity};
use nodetls_test::pki::Identity;
use nodetls_test::signer;

use crate::world::{VERSIONS, client_options, connected, context, greet, server_options, within};

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

/// A client's service that does not sign.
#[derive(Clone, Copy)]
enum Trouble {
    Declines,
    Fails,
    Panics,
    NeverAnswers,
}

impl ClientCallbacks for Trouble {
    async fn sign(&self, _ask: &AskSign) -> Result<Option<Vec<u8>>, BoxError> {
        match self {
            Self::Declines => Ok(None),
            Self::Fails => Err("the service is away".into()),
            Self::Panics => panic!("a mistake in a callback"),
            Self::NeverAnswers => std::future::pending().await,
        }
    }
}

#[tokio::test]
async fn a_client_that_gets_no_signature_fails_and_its_server_goes_on() {
    let serving = SecureContextOptions { ca: Some(vec![authority().pem().into()]), ..server_options() };
    let serving = Server::builder(&context(&serving)).client_authentication(ClientAuthentication::Required);
    let server = serving.bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().port();
    let connector = |version, callbacks| {
        let options = without_key(client_options(), client_identity());
        let ca = client_options().ca;
        let options = SecureContextOptions { max_version: Some(version), ca, ..options };
        let connector = Connector::new(&context(&options)).server_name("localhost");
        connector.handshake_timeout(Duration::from_millis(300)).callbacks(callbacks)
    };
    for version in VERSIONS {
        for (trouble, code) in [
            (Trouble::Declines, "ERR_TLS_SIGN_FAILED"),
            (Trouble::Fails, "ERR_TLS_SIGN_FAILED"),
            (Trouble::Panics, "ERR_TLS_SIGN_FAILED"),
            (Trouble::NeverAnswers, "ERR_TLS_HANDSHAKE_TIMEOUT"),
        ] {
            let error = within(connector(version, trouble).connect("127.0.0.1", port)).await.unwrap_err();
            assert_eq!(error.code(), code, "{version}");
        }
        let (mut client, mut served) = connected(&server, &signing(version)).await;
        greet(&mut client, &mut served).await;
    }
}

/// A client whose key is at hand.
fn signing(version: nodetls::ProtocolVersion) -> Connector {
    let mut options = SecureContextOptions { max_version: Some(version), ..client_options() };
    let identity = client_identity();
    options.cert = vec![identity.cert_pem.clone().into()];
    options.key = vec![KeyPem { pem: identity.key_pem.clone().into(), passphrase: None }];
    Connector::new(&context(&options)).server_name("localhost")
}
