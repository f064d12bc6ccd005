//! OCSP stapling on both sides, with responses made by the `openssl` command.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use nodetls_proto::{
    AlertDescription, AskOcspRequest, Certificate, ClientAuthentication, Error, Event, OcspStapling,
    ProtocolVersion, Question, QuestionKind, Questions, SecureContextOptions,
};
use nodetls_test::pair::{self, Pair, Variation, World};
use nodetls_test::pki::{Authority, Identity, Leaf};

const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::Tls1_2, ProtocolVersion::Tls1_3];

/// A client with this wish meets a server that staples this response.
fn meet(version: ProtocolVersion, wish: OcspStapling, response: Option<Vec<u8>>) -> Pair {
    meet_in(&world(version, wish), response)
}

fn meet_in(world: &World, response: Option<Vec<u8>>) -> Pair {
    let mut pair = world.driven();
    if let Some(Event::OcspRequest(question)) = pair.server.take_question() {
        let _ = question.answer(&mut pair.server.connection, response);
    }
    pair.drive();
    pair
}

fn world(version: ProtocolVersion, wish: OcspStapling) -> World {
    world_under(Variation::plain(version), wish)
}

fn world_under(variation: Variation, wish: OcspStapling) -> World {
    let mut world = World::new(variation);
    world.server.questions = Questions::NONE.with(QuestionKind::OcspRequest);
    world.client.ocsp = wish;
    world.identify_server(pair::server_identity());
    world
}

fn take(pair: &mut Pair) -> Question<AskOcspRequest> {
    match pair.server.take_question() {
        Some(Event::OcspRequest(question)) => question,
        other => panic!("{other:?} is asked, {:?}", pair.codes()),
    }
}

fn certificate(pem: &str) -> Certificate {
    Certificate::all_from_pem(pem.as_bytes()).unwrap().remove(0)
}

fn responses(events: impl IntoIterator<Item = Event>) -> Vec<Vec<u8>> {
    let response = |event| match event {
        Event::OcspResponse(response) => Some(response),
        _ => None,
    };
    events.into_iter().filter_map(response).collect()
}

fn answer(authority: &Authority, identity: &Identity, status: Option<char>) -> Option<Vec<u8>> {
    Some(authority.ocsp_response(identity, status))
}

#[test]
fn a_server_is_asked_with_its_certificate_and_issuer_and_staples_the_answer() {
    if nodetls_test::is_missing("openssl") {
        return;
    }
    let response = pair::authority().ocsp_response(pair::server_identity(), Some('R'));
    for version in VERSIONS {
        let mut pair = world(version, OcspStapling::Requested).driven();
        assert!(!pair.client.is_secure());
        let question = take(&mut pair);
        let own = Certificate::from_der(&pair::server_identity().cert_der).unwrap();
        assert_eq!(question.facts().certificate, own);
        // The authority stands in the server's `ca`.
        assert_eq!(question.facts().issuer, Some(certificate(pair::authority().pem())));
        question.answer(&mut pair.server.connection, Some(response.clone())).unwrap();
        pair.drive();
        assert!(pair.client.is_secure() && pair.server.is_secure());
        let before_secure =
            pair.client.events.into_iter().take_while(|event| !matches!(event, Event::Secure));
        assert_eq!(responses(before_secure), std::slice::from_ref(&response));
    }
}

#[test]
fn the_issuer_is_looked_for_in_the_chain_that_is_sent_and_in_ca() {
    let root = Authority::new("root");
    let between = root.intermediate("between");
    let identity = between.issue(&Leaf::server("localhost"));
    let leaf = certificate(&identity.cert_pem);
    let end = "-----END CERTIFICATE-----\n";
    let (first, _) = identity.cert_pem.split_once(end).unwrap();
    let leaf_alone = Identity { cert_pem: format!("{first}{end}"), ..identity.clone() };
    let issuer = Some(certificate(between.pem()));
    for (identity, ca, expected) in
        [(&identity, &root, issuer.clone()), (&leaf_alone, &between, issuer), (&leaf_alone, &root, None)]
    {
        for version in VERSIONS {
            let mut world = world(version, OcspStapling::Requested);
            let options = SecureContextOptions {
                ca: Some(vec![ca.pem().into()]),
                ..pair::with_identity(pair::context_options(version), identity)
            };
            world.server_context = pair::context(&options);
            let mut pair = world.driven();
            let question = take(&mut pair);
            assert_eq!(question.facts().certificate, leaf);
            assert_eq!(question.facts().issuer, expected);
            question.decline(&mut pair.server.connection).unwrap();
        }
    }
}

#[test]
fn nobody_is_asked_for_a_client_that_does_not_ask() {
    for version in VERSIONS {
        let pair = world(version, OcspStapling::NotRequested).connected();
        assert!(responses(pair.client.events).is_empty());
    }
}

#[test]
fn a_server_without_an_answer_goes_on_without() {
    for version in VERSIONS {
        let pair = meet(version, OcspStapling::Requested, None);
        assert!(pair.client.is_secure());
        assert!(responses(pair.client.events).is_empty());
    }
}

#[test]
fn an_answer_that_fails_ends_the_connection() {
    let mut pair = world(ProtocolVersion::Tls1_3, OcspStapling::Requested).driven();
    let question = take(&mut pair);
    question.fail(&mut pair.server.connection, "the responder is down").unwrap();
    pair.drive();
    assert_eq!(pair.server.code(), "ERR_TLS_OCSP_REQUEST_FAILED");
    assert!(!pair.client.is_secure());
}

#[test]
fn an_answer_that_is_no_response_ends_the_connection() {
    let pair = meet(ProtocolVersion::Tls1_3, OcspStapling::Requested, Some(b"nonsense".to_vec()));
    assert_eq!(pair.server.code(), "ERR_TLS_OCSP_REQUEST_FAILED");
}

#[test]
fn a_status_of_another_certificate_proves_nothing() {
    if nodetls_test::is_missing("openssl") {
        return;
    }
    let response = answer(pair::authority(), pair::client_identity(), Some('V'));
    for version in VERSIONS {
        let pair = meet(version, OcspStapling::Required, response.clone());
        // OpenSSL before 3.6 staples it and the client sees through it; later ones leave it out.
        let code = pair.client.code();
        assert!(["OCSP_VERIFY_FAILED", "OCSP_VERIFY_NEEDED"].contains(&code.as_str()), "{code}");
    }
}

#[test]
fn a_client_that_demands_a_status_lets_in_only_a_server_that_proves_it() {
    if nodetls_test::is_missing("openssl") {
        return;
    }
    let (root, own) = (pair::authority(), pair::server_identity());
    let stranger = Authority::new("stranger");
    for version in VERSIONS {
        for (response, code) in [
            (answer(root, own, Some('V')), ""),
            (None, "OCSP_VERIFY_NEEDED"),
            (answer(root, own, Some('R')), "CERT_REVOKED"),
            (answer(root, own, None), "OCSP_CERT_UNKNOWN"),
            (answer(&stranger, own, Some('V')), "OCSP_VERIFY_FAILED"),
        ] {
            let pair = meet(version, OcspStapling::Required, response);
            assert_eq!(pair.client.code(), code, "{version} server {:?}", pair.server.code());
            assert_eq!(pair.client.is_secure(), code.is_empty());
            assert_eq!(pair.server.is_secure(), code.is_empty());
        }
    }
}

#[test]
fn a_server_with_a_bad_status_gets_the_alert_and_sees_nothing_of_the_client() {
    if nodetls_test::is_missing("openssl") {
        return;
    }
    let response = answer(pair::authority(), pair::server_identity(), Some('R'));
    for variation in Variation::deliveries() {
        let mut world = world_under(variation, OcspStapling::Required);
        world.identify_client(pair::client_identity());
        world.server.client_authentication = ClientAuthentication::Required;
        let mut pair = world.driven();
        take(&mut pair).answer(&mut pair.server.connection, response.clone()).unwrap();
        pair.drive();
        let Some(Error::Verify(error)) = pair.client.failure() else { panic!("{:?}", pair.codes()) };
        assert_eq!((error.code(), error.depth), ("CERT_REVOKED", 0));
        let refused = error.certificate.as_ref().unwrap();
        assert_eq!(refused.to_der(), pair::server_identity().cert_der);
        let alert = AlertDescription::BAD_CERTIFICATE_STATUS_RESPONSE;
        assert_eq!(pair.client.failure().unwrap().alert(), Some(alert), "{variation:?}");
        assert_eq!(pair.server.code(), "ERR_SSL_TLSV1_BAD_CERTIFICATE_STATUS_RESPONSE");
        let received = pair.server.failure().unwrap();
        assert!(matches!(received, Error::AlertReceived(it) if it.alert == alert), "{received:?}");
        assert!(pair.server.connection.peer_certificates().is_empty(), "{variation:?}");
        // What was refused is told all the same.
        assert_eq!(responses(pair.client.events), response.as_slice());
    }
}

#[test]
fn a_responder_may_need_all_of_the_chain_to_be_trusted() {
    if nodetls_test::is_missing("openssl") {
        return;
    }
    let above = pair::authority().intermediate("above");
    let issuer = above.intermediate("issuer");
    let identity = issuer.issue(&Leaf::server("localhost"));
    for version in VERSIONS {
        for (status, code) in [('V', ""), ('R', "CERT_REVOKED")] {
            let mut world = world(version, OcspStapling::Required);
            world.identify_server(&identity);
            let mut pair = world.driven();
            let response = answer(&issuer, &identity, Some(status));
            take(&mut pair).answer(&mut pair.server.connection, response).unwrap();
            pair.drive();
            assert_eq!(pair.client.code(), code, "{version}");
        }
    }
}

#[test]
fn a_session_that_was_made_with_a_good_status_is_resumed_without_one() {
    if nodetls_test::is_missing("openssl") {
        return;
    }
    for version in VERSIONS {
        let mut world = world(version, OcspStapling::Required);
        let good = answer(pair::authority(), pair::server_identity(), Some('V'));
        let first = meet_in(&world, good);
        first.assert_connected();
        world.client.session = first.client.sessions().pop();
        let pair = meet_in(&world, None);
        pair.assert_connected();
        assert!(pair.client.connection.is_session_reused(), "{version}");
    }
}
