//! OCSP stapling on both sides, with responses made by the `openssl` command.

#![forbid(unsafe_code)]

use nodetls_proto::{Certificate, Error, Event, OcspStapling, ProtocolVersion, QuestionKind, Questions};
use nodetls_test::pair::{self, Pair, Variation, World};
use nodetls_test::pki::{Authority, Identity};

const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::Tls1_2, ProtocolVersion::Tls1_3];

/// A client with this wish meets a server that staples this response.
fn meet(version: ProtocolVersion, wish: OcspStapling, response: Option<Vec<u8>>) -> Pair {
    let mut pair = world(version, wish).driven();
    if let Some(Event::OcspRequest(question)) = pair.server.take_question() {
        let _ = question.answer(&mut pair.server.connection, response);
    }
    pair.drive();
    pair
}

fn world(version: ProtocolVersion, wish: OcspStapling) -> World {
    let mut world = World::new(Variation::plain(version));
    world.server.questions = Questions::NONE.with(QuestionKind::OcspRequest);
    world.client.ocsp = wish;
    world.identify_server(pair::server_identity());
    world
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
        let Some(Event::OcspRequest(question)) = pair.server.take_question() else {
            panic!("nothing was asked")
        };
        let own = Certificate::from_der(&pair::server_identity().cert_der).unwrap();
        assert_eq!(question.facts().certificate, own);
        question.answer(&mut pair.server.connection, Some(response.clone())).unwrap();
        pair.drive();
        assert!(pair.client.is_secure() && pair.server.is_secure());
        let before_secure =
            pair.client.events.into_iter().take_while(|event| !matches!(event, Event::Secure));
        assert_eq!(responses(before_secure), std::slice::from_ref(&response));
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
    let Some(Event::OcspRequest(question)) = pair.server.take_question() else { panic!("nothing was asked") };
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
            if let Some(Error::Verify(error)) = pair.client.failure() {
                assert!(error.certificate.is_some());
                // TLS 1.2 has the client's last flight go out before the handshake's end, where this is decided.
                assert_eq!(pair.server.is_secure(), version == ProtocolVersion::Tls1_2);
            }
        }
    }
}
