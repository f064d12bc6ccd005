//! Good chains among many bad ones, and ways that lead nowhere.

use std::time::{Duration, Instant};

use nodetls_proto::{VerifyRequest, verify_chain};
use nodetls_test::pki::Identity;
use nodetls_test::verdict;

use crate::der::{dns, pem};
use crate::draft::{BASIC_CONSTRAINTS, CLIENT_AUTH, Chain, Draft, HOST, SERVER_AUTH, Who};

/// Far more than any of these takes, and far less than a search without bounds would.
const LONG: Duration = Duration::from_secs(20);

fn certificate(draft: &Draft, issuer: &Draft) -> Vec<u8> {
    pem("CERTIFICATE", &draft.signed_by(issuer)).into_bytes()
}

/// What is wrong with a twin, which has this number.
type Change = fn(&mut Draft, i64);

/// Adds as many twins of the intermediate, each changed, before the good one.
fn with_twins(count: i64, change: Change) -> Chain {
    let mut chain = Chain::new();
    for number in 0..count {
        let mut twin = chain.between.clone();
        twin.serial = 1_000 + number;
        change(&mut twin, number);
        chain.asked.intermediates.push(certificate(&twin, &chain.root));
    }
    chain
}

#[test]
fn more_bad_twins_than_chains_are_judged_hide_no_good_one() {
    let changes: [(&str, Change); 5] = [
        ("expired", |twin, _| twin.validity[1] = "210101000000Z".to_owned()),
        ("no authority", |twin, _| twin.remove(BASIC_CONSTRAINTS)),
        ("for clients", |twin, _| twin.purposes(&[CLIENT_AUTH])),
        ("for other names", |twin, number| twin.constrain(&[dns(&format!("other{number}.test"))], &[])),
        ("not for this name", |twin, _| twin.constrain(&[dns("test")], &[dns(HOST)])),
    ];
    for (what, change) in changes {
        let chain = with_twins(90, change);
        assert_eq!(chain.code(), "", "{what}");
        assert_eq!(chain.code_of_a_connection(), "", "{what}, in a connection");
    }
}

#[test]
fn authorities_with_too_little_room_below_hide_no_roomier_one() {
    let mut chain = Chain::new();
    let upper = Draft::authority("upper", Who::Stranger);
    for number in 0..60 {
        let mut twin = Draft { serial: 1_000 + number, ..upper.clone() };
        twin.path_length(0);
        chain.asked.intermediates.push(certificate(&twin, &chain.root));
    }
    let above = Draft { key: Who::Stranger, subject: upper.subject.clone(), ..chain.root.clone() };
    chain.asked.intermediates.push(certificate(&chain.between, &above));
    let without = chain.asked.clone();
    chain.asked.intermediates.push(certificate(&upper, &chain.root));
    // Only the way over the upper authority is left.
    let code = |asked: VerifyRequest| {
        let mut request = Chain { asked, ..chain.clone() }.request();
        request.intermediates.pop();
        verify_chain(&request).err().map(|error| error.code().into_owned()).unwrap_or_default()
    };
    assert_eq!(code(chain.asked.clone()), "");
    assert_eq!(code(without), "PATH_LENGTH_EXCEEDED");
}

#[test]
fn a_net_of_authorities_with_one_way_out_is_searched() {
    // Eight vouch for each other, every second certificate is for other names, and one of them has a root's.
    let who = |number: i64| [Who::Root, Who::Between, Who::Stranger][number as usize % 3];
    let authority = |number: i64| Draft::authority(&format!("authority {number}"), who(number));
    let mut chain = Chain::new();
    for (issuer, subject) in (0..8).flat_map(|issuer| (0..8).map(move |subject| (issuer, subject))) {
        let mut draft = Draft { serial: 100 + 10 * issuer + subject, ..authority(subject) };
        if (issuer + subject) % 2 == 0 {
            draft.constrain(&[dns("other.test")], &[]);
        }
        if issuer != subject {
            chain.asked.intermediates.push(certificate(&draft, &authority(issuer)));
        }
    }
    let mut request = chain.request();
    request.leaf = certificate(&chain.leaf, &authority(0));
    request.roots = Some(vec![certificate(&authority(7), &authority(7))]);
    assert!(verify_chain(&request).is_ok());
    request.roots = Some(vec![certificate(&chain.root, &chain.root)]);
    assert!(verify_chain(&request).is_err());
}

#[test]
fn a_ladder_of_twins_is_climbed() {
    // Four authorities above each other, three certificates for each: 81 chains, of which the last is good.
    let mut chain = Chain::new();
    let mut issuer = chain.root.clone();
    for step in 0..4 {
        let key = if step % 2 == 0 { Who::Stranger } else { Who::Between };
        let good = Draft { serial: 100 + step, ..Draft::authority(&format!("step {step}"), key) };
        for number in 0..2 {
            let mut twin = Draft { serial: 200 + 10 * step + number, ..good.clone() };
            twin.constrain(&[dns("other.test")], &[]);
            chain.asked.intermediates.push(certificate(&twin, &issuer));
        }
        chain.asked.intermediates.push(certificate(&good, &issuer));
        issuer = good;
    }
    let mut request = chain.request();
    request.leaf = certificate(&chain.leaf, &issuer);
    assert!(verify_chain(&request).is_ok());
}

#[test]
fn a_hopeless_search_ends() {
    // Every path length is refused only when a whole chain is judged.
    let mut chain = Chain::new();
    chain.root.path_length(2);
    let mut issuer = chain.root.clone();
    for step in 0..9 {
        let key = [Who::Stranger, Who::Between, Who::Root][step as usize % 3];
        let good = Draft::authority(&format!("step {step}"), key);
        for number in 0..4 {
            let twin = Draft { serial: 100 * (step + 1) + number, ..good.clone() };
            chain.asked.intermediates.push(certificate(&twin, &issuer));
        }
        issuer = good;
    }
    let mut request = chain.request();
    request.leaf = certificate(&chain.leaf, &issuer);
    let begun = Instant::now();
    let error = verify_chain(&request).unwrap_err();
    assert_eq!(error.code(), "PATH_LENGTH_EXCEEDED");
    assert!(begun.elapsed() < LONG);
}

#[test]
fn a_chain_ends_at_a_trusted_certificate_that_is_its_own_issuer() {
    let says = |edit: fn(&mut Chain)| {
        let mut chain = Chain::new();
        edit(&mut chain);
        chain.code()
    };
    assert_eq!(says(|chain| chain.asked.roots = Some(vec![certificate(&chain.between, &chain.root)])), "");
    let trusting = |trusted: fn(&Chain) -> Vec<u8>| {
        let chain = Chain::new();
        let mut request = chain.request();
        request.roots = Some(vec![trusted(&chain)]);
        verify_chain(&request).unwrap_err().code().into_owned()
    };
    assert_eq!(trusting(|chain| certificate(&chain.between, &chain.root)), "UNABLE_TO_GET_ISSUER_CERT");
    assert_eq!(
        trusting(|chain| certificate(&chain.leaf, &chain.between)),
        "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"
    );
    let stranger = |chain: &Chain| {
        let stranger = Draft { key: Who::Stranger, ..chain.root.clone() };
        certificate(&stranger, &stranger)
    };
    assert_eq!(trusting(stranger), "CERT_SIGNATURE_FAILURE");
}

#[test]
fn a_chain_ends_at_any_trusted_certificate_where_that_is_allowed() {
    let trusting = |trusted: fn(&VerifyRequest) -> &Vec<u8>, edit: fn(&mut Chain)| {
        let mut chain = Chain::new();
        chain.asked.allow_partial_trust_chain = true;
        edit(&mut chain);
        let mut request = chain.request();
        request.roots = Some(vec![trusted(&request).clone()]);
        let key_pem = Who::Leaf.key().serialize_pem();
        let identity = Identity { cert_pem: String::new(), key_pem, cert_der: Vec::new() };
        let code = verify_chain(&request).err().map(|error| error.code().into_owned()).unwrap_or_default();
        assert_eq!(verdict::of_a_connection(&request, &identity), code);
        code
    };
    let between: fn(&VerifyRequest) -> &Vec<u8> = |request| request.intermediates.last().unwrap();
    let leaf: fn(&VerifyRequest) -> &Vec<u8> = |request| &request.leaf;
    assert_eq!(trusting(between, |_| {}), "");
    assert_eq!(trusting(leaf, |_| {}), "");
    assert_eq!(
        trusting(between, |chain| chain.between.validity[1] = "210101000000Z".to_owned()),
        "CERT_HAS_EXPIRED"
    );
    assert_eq!(trusting(between, |chain| chain.leaf.is_spoiled = true), "CERT_SIGNATURE_FAILURE");
    // A bad twin of the trusted one does not hide it.
    let with_twin = |chain: &mut Chain| {
        let mut twin = chain.between.clone();
        twin.constrain(&[dns("other.test")], &[]);
        chain.asked.intermediates.push(certificate(&twin, &chain.root));
    };
    assert_eq!(trusting(between, with_twin), "");
}

#[test]
fn roots_with_one_name_are_told_apart_by_their_keys() {
    let chain = Chain::new();
    let mut request = chain.request();
    let stranger = Draft { key: Who::Stranger, ..chain.root.clone() };
    for trusted in [[&stranger, &chain.root], [&chain.root, &stranger]] {
        request.roots = Some(trusted.map(|root| certificate(root, root)).to_vec());
        assert!(verify_chain(&request).is_ok());
    }
}

#[test]
fn the_order_of_what_was_sent_does_not_matter_nor_what_does_not_belong() {
    let mut chain = Chain::new();
    chain.between.purposes(&[SERVER_AUTH]);
    let request = chain.request();
    let root = certificate(&chain.root, &chain.root);
    let stranger = Draft::authority("stranger", Who::Stranger);
    let unrelated = certificate(&stranger, &stranger);
    let between = request.intermediates[0].clone();
    for sent in [
        vec![root.clone(), between.clone()],
        vec![unrelated.clone(), root.clone(), between.clone(), request.leaf.clone()],
        vec![between.clone(), between.clone(), unrelated.clone()],
        vec![[unrelated, between, root].concat()],
    ] {
        let request = VerifyRequest { intermediates: sent, ..request.clone() };
        assert!(verify_chain(&request).is_ok());
    }
}

#[test]
fn authorities_that_vouch_for_each_other_vouch_for_nobody() {
    let mut chain = Chain::new();
    let other = Draft::authority("other", Who::Stranger);
    chain.asked.intermediates =
        vec![certificate(&chain.between, &other), certificate(&other, &chain.between)];
    let mut request = chain.request();
    request.intermediates.pop();
    assert!(verify_chain(&request).is_err());
    // Unless one of them is trusted by itself.
    request.roots = Some(vec![certificate(&other, &other)]);
    assert!(verify_chain(&request).is_ok());
}
