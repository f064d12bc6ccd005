//! Chains verified by themselves: what is accepted, what is refused and why, and that connections say the same.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nodetls_proto::{
    Certificate, ClientAuthentication, Error, Purpose, SecureContextOptions, ServerName, Side, VerifyRequest,
    verify_chain,
};
use nodetls_test::pair::{self, Variation, World};
use nodetls_test::pki::rcgen::{
    CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, NameConstraints,
    date_time_ymd,
};
use nodetls_test::pki::{Authority, Identity, KeyKind, Leaf};
use nodetls_test::verdict;

const NAME: &str = "www.localhost";

fn request(identity: &Identity, between: &[&str], roots: &[&Authority]) -> VerifyRequest {
    VerifyRequest {
        leaf: leaf_pem(identity),
        intermediates: between.iter().map(|pem| pem.as_bytes().to_vec()).collect(),
        roots: Some(roots.iter().map(|root| root.pem().as_bytes().to_vec()).collect()),
        server_name: Some(ServerName::parse(NAME).unwrap()),
        ..VerifyRequest::default()
    }
}

/// The first certificate alone.
fn leaf_pem(identity: &Identity) -> Vec<u8> {
    let end = "-----END CERTIFICATE-----\n";
    identity.cert_pem.split_inclusive(end).next().unwrap().as_bytes().to_vec()
}

/// The code of the refusal; empty for none.
fn code(request: &VerifyRequest) -> String {
    verify_chain(request).err().map(|error| error.code().into_owned()).unwrap_or_default()
}

/// That both give this code.
#[track_caller]
fn both_say(expected: &str, request: &VerifyRequest, identity: &Identity) {
    assert_eq!(code(request), expected);
    assert_eq!(verdict::of_a_connection(request, identity), expected, "a connection");
}

fn server() -> Leaf {
    Leaf::server(NAME)
}

/// A server whose certificate has these DNS names, and just this common name.
fn named(common_name: &str, dns: &[&str]) -> Leaf {
    let names = dns.iter().flat_map(|name| Leaf::server(name).alternative_names).collect();
    Leaf { common_name: common_name.to_owned(), alternative_names: names, ..server() }
}

fn constrain(permitted: &[&str], excluded: &[&str]) -> impl FnOnce(&mut CertificateParams) {
    let subtrees =
        |names: &[&str]| names.iter().map(|name| GeneralSubtree::DnsName((*name).into())).collect();
    let constraints =
        NameConstraints { permitted_subtrees: subtrees(permitted), excluded_subtrees: subtrees(excluded) };
    move |params| params.name_constraints = Some(constraints)
}

fn expire(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
}

// ---- by itself ----

#[test]
fn an_acceptable_chain_is_given_from_the_leaf_to_the_root() {
    let root = Authority::new("root");
    let between = root.intermediate("between");
    let identity = between.issue(&server());
    let verified = verify_chain(&request(&identity, &[between.pem()], &[&root])).unwrap();
    let subjects: Vec<_> = verified.chain.iter().map(|one| one.subject().to_string()).collect();
    assert_eq!(subjects, [format!("CN={NAME}"), "CN=between".to_owned(), "CN=root".to_owned()]);
    assert_eq!(verified.chain[0], Certificate::from_der(&identity.cert_der).unwrap());
    let in_one_text =
        VerifyRequest { leaf: identity.cert_pem.clone().into_bytes(), ..request(&identity, &[], &[&root]) };
    assert!(verify_chain(&in_one_text).is_ok());
}

#[test]
fn each_part_of_the_request_counts() {
    let (root, stranger) = (Authority::new("root"), Authority::new("stranger"));
    let between = root.intermediate("between");
    let identity = between.issue(&server());
    let good = request(&identity, &[between.pem()], &[&root]);
    let list = |authority: &Authority, revoked: &[&Identity]| authority.revocation_list(revoked).into_bytes();
    let with = |edit: &dyn Fn(&mut VerifyRequest)| {
        let mut request = good.clone();
        edit(&mut request);
        code(&request)
    };
    assert_eq!(with(&|_| {}), "");
    assert_eq!(with(&|request| request.intermediates.clear()), "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    assert_eq!(with(&|request| request.roots = Some(Vec::new())), "UNABLE_TO_GET_ISSUER_CERT_LOCALLY");
    assert_eq!(
        with(&|request| request.roots = Some(vec![stranger.pem().into()])),
        "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"
    );
    assert_eq!(with(&|request| request.roots = None), "UNABLE_TO_GET_ISSUER_CERT_LOCALLY");
    assert_eq!(with(&|request| request.purpose = Purpose::Client), "INVALID_PURPOSE");
    assert_eq!(with(&|request| request.time = Some(UNIX_EPOCH)), "CERT_NOT_YET_VALID");
    let next_year = SystemTime::now() + Duration::from_secs(400 * 86_400);
    assert_eq!(with(&|request| request.time = Some(next_year)), "CERT_HAS_EXPIRED");
    assert_eq!(with(&|request| request.max_depth = Some(0)), "CERT_CHAIN_TOO_LONG");
    assert_eq!(with(&|request| request.max_depth = Some(1)), "");
    assert_eq!(with(&|request| request.max_depth = Some(u32::MAX)), "");
    assert_eq!(with(&|request| request.crl = vec![list(&root, &[])]), "UNABLE_TO_GET_CRL");
    assert_eq!(with(&|request| request.crl = vec![list(&root, &[]), list(&between, &[])]), "");
    assert_eq!(
        with(&|request| request.crl = vec![list(&root, &[]), list(&between, &[&identity])]),
        "CERT_REVOKED"
    );
    let other = Some(ServerName::parse("other.localhost").unwrap());
    assert_eq!(with(&|request| request.server_name.clone_from(&other)), "ERR_TLS_CERT_ALTNAME_INVALID");
    assert_eq!(with(&|request| request.server_name = None), "");
}

#[test]
fn strictness_refuses_what_many_private_authorities_do() {
    let root = Authority::new("root");
    let identity =
        root.issue_edited(&server(), |params| params.use_authority_key_identifier_extension = false);
    let lenient = request(&identity, &[], &[&root]);
    assert_eq!(code(&lenient), "");
    assert_eq!(code(&VerifyRequest { strict: true, ..lenient }), "MISSING_AUTHORITY_KEY_IDENTIFIER");
}

#[test]
fn the_error_says_where_and_which_side() {
    let root = Authority::new("root");
    let between = root.edited_intermediate("between", expire);
    let identity = between.issue(&Leaf::client("a client"));
    let request = VerifyRequest {
        purpose: Purpose::Client,
        server_name: None,
        ..request(&identity, &[between.pem()], &[&root])
    };
    let Err(Error::Verify(error)) = verify_chain(&request) else { panic!("not a verification error") };
    assert_eq!((error.code(), error.depth, error.side), ("CERT_HAS_EXPIRED", 1, Side::Server));
    assert_eq!(error.certificate.as_ref().unwrap().subject().to_string(), "CN=between");
}

#[test]
fn what_cannot_be_read_is_named() {
    let root = Authority::new("root");
    let good = request(&root.issue(&server()), &[], &[&root]);
    let broken = vec![b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec()];
    for (option, request) in [
        ("leaf", VerifyRequest { leaf: Vec::new(), ..good.clone() }),
        ("leaf", VerifyRequest { leaf: broken[0].clone(), ..good.clone() }),
        ("intermediates", VerifyRequest { intermediates: broken.clone(), ..good.clone() }),
        ("ca", VerifyRequest { roots: Some(broken.clone()), ..good.clone() }),
        ("crl", VerifyRequest { crl: broken.clone(), ..good.clone() }),
    ] {
        let Err(Error::Config(error)) = verify_chain(&request) else { panic!("{option} was read") };
        assert_eq!(error.option, option);
    }
}

// ---- as connections do ----

#[test]
fn a_connection_gives_the_same_code_for_the_same_chain() {
    let root = Authority::new("root");
    let between = root.intermediate("between");
    let client_only = between.issue(&Leaf { common_name: NAME.to_owned(), ..Leaf::client(NAME) });
    for (expected, identity) in [
        ("", between.issue(&server())),
        ("", between.issue(&server().with_key(KeyKind::Rsa))),
        ("", between.issue(&named(NAME, &[]))),
        ("CERT_HAS_EXPIRED", between.issue(&server().expired())),
        ("INVALID_PURPOSE", client_only),
        ("ERR_TLS_CERT_ALTNAME_INVALID", between.issue(&Leaf::server("other.localhost"))),
        ("DEPTH_ZERO_SELF_SIGNED_CERT", Identity::self_signed(&server())),
    ] {
        both_say(expected, &request(&identity, &[between.pem()], &[&root]), &identity);
    }
}

#[test]
fn a_self_signed_certificate_that_is_trusted_as_it_is_is_accepted() {
    let identity = Identity::self_signed(&server());
    let trusting = VerifyRequest {
        roots: Some(vec![identity.cert_pem.clone().into_bytes()]),
        ..request(&identity, &[], &[])
    };
    both_say("", &trusting, &identity);
}

// ---- other chains than the first ----

/// That all orders of the intermediates give this code, in a connection too.
#[track_caller]
fn in_any_order(expected: &str, identity: &Identity, between: [&str; 2], roots: &[&Authority]) {
    let [a, b] = between;
    for order in [[a, b], [b, a]] {
        both_say(expected, &request(identity, &order, roots), identity);
    }
}

#[test]
fn an_intermediate_with_the_wrong_constraints_does_not_hide_one_without() {
    let root = Authority::new("root");
    let between = root.intermediate("between");
    let constrained = root.cross_sign("between", &between, constrain(&["example.com"], &[]));
    let identity = between.issue(&server());
    in_any_order("", &identity, [between.pem(), &constrained], &[&root]);
    let excluding = root.cross_sign("between", &between, constrain(&[], &["localhost"]));
    both_say("PERMITTED_VIOLATION", &request(&identity, &[&constrained], &[&root]), &identity);
    in_any_order("", &identity, [between.pem(), &excluding], &[&root]);
    assert!(!code(&request(&identity, &[&constrained, &excluding], &[&root])).is_empty());
}

#[test]
fn a_twin_that_is_expired_or_leads_nowhere_or_may_not_issue_is_passed_over() {
    let (root, stranger) = (Authority::new("root"), Authority::new("stranger"));
    let between = root.intermediate("between");
    let identity = between.issue(&server());
    let expired = root.cross_sign("between", &between, expire);
    let elsewhere = stranger.cross_sign("between", &between, |_| {});
    let no_authority = root.cross_sign("between", &between, |params| params.is_ca = IsCa::ExplicitNoCa);
    let other_usage = root.cross_sign("between", &between, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    for twin in [&expired, &elsewhere, &no_authority, &other_usage] {
        in_any_order("", &identity, [between.pem(), twin], &[&root]);
    }
}

#[test]
fn revocation_counts_on_every_chain() {
    let root = Authority::new("root");
    let between = root.intermediate("between");
    let identity = between.issue(&server());
    let constrained = root.cross_sign("between", &between, constrain(&["example.com"], &[]));
    let list = |authority: &Authority, revoked: &[&Identity]| authority.revocation_list(revoked).into_bytes();
    // The codes are those of the chain that is built first, so that the constraint may be named instead.
    let orders = [[between.pem(), &constrained], [&constrained, between.pem()]];
    for (order, codes) in
        orders.into_iter().zip([["CERT_REVOKED", "UNABLE_TO_GET_CRL"], ["PERMITTED_VIOLATION"; 2]])
    {
        let mut asked = request(&identity, &order, &[&root]);
        asked.crl = vec![list(&root, &[]), list(&between, &[])];
        both_say("", &asked, &identity);
        asked.crl = vec![list(&root, &[]), list(&between, &[&identity])];
        both_say(codes[0], &asked, &identity);
        asked.crl.truncate(1);
        both_say(codes[1], &asked, &identity);
    }
}

#[test]
fn a_root_that_forbids_the_name_does_not_hide_a_cross_signing_root() {
    let forbidding = Authority::edited("old root", constrain(&[], &["localhost"]));
    let root = Authority::new("new root");
    let between = forbidding.intermediate("between");
    let cross = root.cross_sign("between", &between, |_| {});
    let identity = between.issue(&server());
    for roots in [[&forbidding, &root], [&root, &forbidding]] {
        in_any_order("", &identity, [between.pem(), &cross], &roots);
    }
    both_say("EXCLUDED_VIOLATION", &request(&identity, &[between.pem()], &[&forbidding]), &identity);
}

#[test]
fn a_server_that_demands_certificates_finds_a_clients_good_chain_too() {
    let (root, stranger) = (Authority::new("root"), Authority::new("stranger"));
    let between = root.intermediate("between");
    let identity = between.issue(&Leaf::client("a client"));
    let expired = root.cross_sign("between", &between, expire);
    let leaf = String::from_utf8(leaf_pem(&identity)).unwrap();
    for (expected, authority, chain) in [
        ("", &root, format!("{leaf}{expired}{}", between.pem())),
        ("", &root, format!("{leaf}{}{expired}", between.pem())),
        ("CERT_HAS_EXPIRED", &root, format!("{leaf}{expired}")),
        ("UNABLE_TO_GET_ISSUER_CERT_LOCALLY", &stranger, format!("{leaf}{}{expired}", between.pem())),
    ] {
        for variation in Variation::versions() {
            let mut world = World::new(variation);
            world.server.client_authentication = ClientAuthentication::Required;
            world.server_context = pair::context(&pair::with_identity(
                SecureContextOptions {
                    ca: Some(vec![authority.pem().into()]),
                    ..pair::context_options(variation.version)
                },
                pair::server_identity(),
            ));
            world.identify_client(&Identity { cert_pem: chain.clone(), ..identity.clone() });
            let pair = world.driven();
            assert_eq!(
                (pair.server.code().as_str(), pair.server.is_secure()),
                (expected, expected.is_empty())
            );
        }
    }
}

#[test]
fn where_no_chain_is_good_the_first_ones_code_stays() {
    let (root, stranger) = (Authority::new("root"), Authority::new("stranger"));
    let between = stranger.intermediate("between");
    let identity = between.issue(&server());
    let expired = stranger.cross_sign("between", &between, expire);
    in_any_order("UNABLE_TO_GET_ISSUER_CERT_LOCALLY", &identity, [between.pem(), &expired], &[&root]);
}

// ---- gaps closed ----

#[test]
fn a_wildcard_must_not_reach_into_an_excluded_subtree() {
    let root = Authority::new("root");
    let between = root.edited_intermediate("between", constrain(&[], &["secret.localhost"]));
    let wild = between.issue(&named("x", &["*.localhost"]));
    both_say("EXCLUDED_VIOLATION", &request(&wild, &[between.pem()], &[&root]), &wild);
    let plain = between.issue(&server());
    both_say("", &request(&plain, &[between.pem()], &[&root]), &plain);
}

#[test]
fn a_trailing_dot_or_a_common_name_is_no_way_round_a_constraint() {
    let root = Authority::new("root");
    let excluding = root.edited_intermediate("between", constrain(&[], &["localhost"]));
    let dotted = excluding.issue(&named("x", &["www.localhost."]));
    both_say("EXCLUDED_VIOLATION", &request(&dotted, &[excluding.pem()], &[&root]), &dotted);
    let common = excluding.issue(&named("*.example.localhost", &[]));
    let mut asked = request(&common, &[excluding.pem()], &[&root]);
    asked.server_name = Some(ServerName::parse("a.example.localhost").unwrap());
    both_say("EXCLUDED_VIOLATION", &asked, &common);
    let permitting = root.edited_intermediate("permitting", constrain(&["example.com"], &[]));
    let single = permitting.issue(&named("localhost", &[]));
    let mut asked = request(&single, &[permitting.pem()], &[&root]);
    asked.server_name = Some(ServerName::parse("localhost").unwrap());
    both_say("PERMITTED_VIOLATION", &asked, &single);
}

#[test]
fn permitted_and_excluded_subtrees_apply_together() {
    let root = Authority::new("root");
    let between = root.edited_intermediate("between", constrain(&["localhost"], &["www.localhost"]));
    for (expected, name) in
        [("EXCLUDED_VIOLATION", NAME), ("PERMITTED_VIOLATION", "example.com"), ("", "mail.localhost")]
    {
        let identity = between.issue(&Leaf::server(name));
        let mut asked = request(&identity, &[between.pem()], &[&root]);
        asked.server_name = Some(ServerName::parse(name).unwrap());
        both_say(expected, &asked, &identity);
    }
}

#[test]
fn a_subtree_that_means_nothing_refuses_every_name() {
    let root = Authority::new("root");
    let between = root.edited_intermediate("between", constrain(&[], &["*.example.com"]));
    let identity = between.issue(&server());
    both_say("UNSUPPORTED_CONSTRAINT_SYNTAX", &request(&identity, &[between.pem()], &[&root]), &identity);
}

#[test]
fn the_common_name_of_a_client_is_no_host() {
    let root = Authority::new("root");
    let between = root.edited_intermediate("between", constrain(&["example.com"], &[]));
    let identity = between.issue(&Leaf::client("alice"));
    let mut asked = request(&identity, &[between.pem()], &[&root]);
    (asked.purpose, asked.server_name) = (Purpose::Client, None);
    assert_eq!(code(&asked), "");
}

#[test]
fn an_extension_that_occurs_twice_is_refused() {
    let root = Authority::new("root");
    let twice = |count: usize| {
        root.issue_edited(&server(), |params| {
            let extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
            params.custom_extensions = vec![extension; count];
        })
    };
    for (count, expected) in [(1, ""), (2, "INVALID_EXTENSION")] {
        let identity = twice(count);
        both_say(expected, &request(&identity, &[], &[&root]), &identity);
    }
}

#[test]
fn an_authority_that_requires_policies_is_obeyed() {
    let extension = |number: u64, content: &[u8]| {
        let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, number], content.to_vec());
        extension.set_criticality(true);
        extension
    };
    // SEQUENCE { [0] 0 }: a policy is required from here on; and the policy 1.2.3.
    let require = extension(36, &[0x30, 3, 0x80, 1, 0]);
    let policy = extension(32, &[0x30, 6, 0x30, 4, 6, 2, 0x2A, 3]);
    let root = Authority::new("root");
    let between = root.edited_intermediate("between", |params| {
        params.custom_extensions = vec![require, policy.clone()];
    });
    let with = between.issue_edited(&server(), |params| params.custom_extensions = vec![policy]);
    both_say("", &request(&with, &[between.pem()], &[&root]), &with);
    let without = between.issue(&server());
    both_say("NO_EXPLICIT_POLICY", &request(&without, &[between.pem()], &[&root]), &without);
}

// ---- hostile chains ----

#[test]
fn ten_thousand_intermediates_are_judged_quickly() {
    let (root, stranger) = (Authority::new("root"), Authority::new("stranger"));
    let between = root.intermediate("between");
    let identity = between.issue(&server());
    let chaff = stranger.cross_sign("between", &between, |_| {});
    let mut asked = request(&identity, &[&chaff.repeat(9_999), between.pem()], &[&stranger]);
    assert_eq!(code(&asked), "");
    asked.roots = Some(Vec::new());
    assert_eq!(code(&asked), "UNABLE_TO_GET_ISSUER_CERT_LOCALLY");
}

#[test]
fn a_maze_of_twins_and_loops_ends() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let authorities = names.map(Authority::new);
    // Each has a certificate from each of the others, so that there are hundreds of ways and none of them ends.
    let mut between = Vec::new();
    for issuer in &authorities {
        for (name, subject) in names.iter().zip(&authorities) {
            between.push(issuer.cross_sign(name, subject, |_| {}));
        }
    }
    let between: Vec<&str> = between.iter().map(String::as_str).collect();
    let identity = authorities[0].issue(&server());
    let stranger = Authority::new("stranger");
    let lost = request(&identity, &between, &[&stranger]);
    assert!(!code(&lost).is_empty());
    let found = request(&identity, &between, &[&authorities[5]]);
    both_say("", &found, &identity);
}
