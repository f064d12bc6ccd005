//! Revocation lists: several at once, each applied, and nobody let in without one.

#![forbid(unsafe_code)]

use nodetls_proto::{Error, ProtocolVersion, SecureContext, SecureContextOptions};
use nodetls_test::pair::{self, Pair, Variation, World};
use nodetls_test::pki::{Authority, Identity, Leaf};

/// A client that trusts the authority and knows these lists, and a server with this certificate.
fn meet(version: ProtocolVersion, authority: &Authority, server: &Identity, crl: &[String]) -> Pair {
    let mut world = World::new(Variation::plain(version));
    world.client_context = pair::context(&SecureContextOptions {
        ca: Some(vec![authority.pem().into()]),
        crl: crl.iter().map(|list| list.clone().into_bytes()).collect(),
        ..pair::context_options(version)
    });
    world.identify_server(server);
    world.driven()
}

#[test]
fn a_revoked_certificate_is_refused_and_others_are_not() {
    let authority = Authority::new("root");
    let [good, bad] = ["localhost", "localhost"].map(|name| authority.issue(&Leaf::server(name)));
    let list = [authority.revocation_list(&[&bad])];
    for version in [ProtocolVersion::Tls1_2, ProtocolVersion::Tls1_3] {
        let pair = meet(version, &authority, &bad, &list);
        assert_eq!(pair.client.code(), "CERT_REVOKED");
        assert_eq!(pair.server.code(), "ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED");
        let Some(Error::Verify(error)) = pair.client.failure() else { panic!("not a verification error") };
        assert_eq!(error.depth, 0);
        assert!(meet(version, &authority, &good, &list).client.is_secure());
    }
}

#[test]
fn every_issuer_of_the_chain_needs_its_list_and_each_list_counts() {
    let root = Authority::new("root");
    let between = root.intermediate("between");
    let server = between.issue(&Leaf::server("localhost"));
    let version = ProtocolVersion::Tls1_3;
    let (of_root, of_between) = (root.revocation_list(&[]), between.revocation_list(&[]));
    assert_eq!(
        meet(version, &root, &server, std::slice::from_ref(&of_root)).client.code(),
        "UNABLE_TO_GET_CRL"
    );
    let separate = [of_root.clone(), of_between.clone()];
    assert!(meet(version, &root, &server, &separate).client.is_secure());
    let concatenated = [format!("{of_root}{of_between}")];
    assert!(meet(version, &root, &server, &concatenated).client.is_secure());
    let revoking = [of_root, between.revocation_list(&[&server])];
    assert_eq!(meet(version, &root, &server, &revoking).client.code(), "CERT_REVOKED");
}

#[test]
fn a_list_that_is_none_is_refused_by_name() {
    let options = SecureContextOptions { crl: vec![b"nonsense".to_vec()], ..SecureContextOptions::default() };
    let error = SecureContext::new(&options).unwrap_err();
    assert_eq!(error.code(), "ERR_OSSL_PEM_NO_START_LINE");
    assert!(matches!(&error, Error::Config(config) if config.option == "crl"));
}

#[test]
fn a_list_of_changes_alone_is_refused_because_it_would_pass_for_a_complete_one() {
    let authority = Authority::new("root");
    let crl = vec![authority.delta_revocation_list().into_bytes()];
    let error =
        SecureContext::new(&SecureContextOptions { crl, ..SecureContextOptions::default() }).unwrap_err();
    assert_eq!(error.code(), "ERR_INVALID_ARG_VALUE");
    assert!(matches!(&error, Error::Config(config) if config.option == "crl"));
}
