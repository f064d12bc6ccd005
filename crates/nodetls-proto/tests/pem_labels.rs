//! Authorities under every label that PEM has for certificates.

#![forbid(unsafe_code)]

use nodetls_proto::{ProtocolVersion, SecureContextOptions};
use nodetls_test::pair::{self, Variation, World};

fn is_trusted(authority: String) -> bool {
    let mut world = World::new(Variation::plain(ProtocolVersion::Tls1_3));
    let options = pair::context_options(ProtocolVersion::Tls1_3);
    world.client_context =
        pair::context(&SecureContextOptions { ca: Some(vec![authority.into()]), ..options });
    world.driven().client.is_secure()
}

#[test]
fn an_authority_may_be_labelled_x509_certificate() {
    assert!(is_trusted(pair::authority().pem().replace(" CERTIFICATE-", " X509 CERTIFICATE-")));
}

#[test]
fn an_authority_may_be_labelled_trusted_certificate() {
    if nodetls_test::is_missing("openssl") {
        return;
    }
    assert!(is_trusted(pair::authority().trusted_pem()));
}

#[test]
fn an_authority_under_another_label_is_none() {
    let options = SecureContextOptions {
        ca: Some(vec![pair::authority().pem().replace(" CERTIFICATE-", " NONSENSE-").into()]),
        ..SecureContextOptions::default()
    };
    let refused = nodetls_proto::SecureContext::new(&options);
    assert_eq!(
        refused.map_err(|error| error.code().into_owned()).err().as_deref(),
        Some("ERR_OSSL_PEM_NO_START_LINE")
    );
}
