//! Name constraints (RFC 5280 §4.2.1.10), where the other tests leave something to ask.

use crate::der::{dns, ip, name, sequence, value};
use crate::draft::{ALTERNATIVE_NAME, Chain, Draft, HOST, NAME_CONSTRAINTS, both_say};

fn directory(common_name: &str) -> Vec<u8> {
    value(0xA4, &name(common_name))
}

fn with_more_names(leaf: &mut Draft, more: &[Vec<u8>]) {
    leaf.names(&[&[dns(HOST)], more].concat());
}

#[test]
fn every_name_has_to_be_permitted_and_none_excluded() {
    both_say(&[
        ("permitted", "", |chain| chain.between.constrain(&[dns("TEST")], &[])),
        ("not permitted", "PERMITTED_VIOLATION", |chain| chain.between.constrain(&[dns("other.test")], &[])),
        ("excluded", "EXCLUDED_VIOLATION", |chain| chain.between.constrain(&[], &[dns(HOST)])),
        ("both", "EXCLUDED_VIOLATION", |chain| chain.between.constrain(&[dns("test")], &[dns(HOST)])),
        ("all excluded", "EXCLUDED_VIOLATION", |chain| chain.between.constrain(&[], &[dns("")])),
        ("one of two", "PERMITTED_VIOLATION", |chain| {
            chain.between.constrain(&[dns(HOST)], &[]);
            with_more_names(&mut chain.leaf, &[dns("evil.example")]);
        }),
        ("another kind", "", |chain| {
            let [all_4, all_6] = [ip(&[0; 8]), ip(&[0; 32])];
            chain.between.constrain(&[directory("leaf")], &[all_4, all_6]);
        }),
        ("an address", "EXCLUDED_VIOLATION", |chain| {
            chain.between.constrain(&[], &[ip(&[10, 0, 0, 0, 255, 0, 0, 0])]);
            with_more_names(&mut chain.leaf, &[ip(&[10, 1, 2, 3])]);
        }),
        ("an address of the other family", "PERMITTED_VIOLATION", |chain| {
            chain.between.constrain(&[ip(&[0; 8])], &[]);
            with_more_names(&mut chain.leaf, &[ip(&[0; 16])]);
        }),
        ("the subject", "PERMITTED_VIOLATION", |chain| chain.between.constrain(&[directory("other")], &[])),
        ("the subject excluded", "EXCLUDED_VIOLATION", |chain| {
            chain.between.constrain(&[], &[directory("leaf")]);
        }),
    ]);
}

#[test]
fn constraints_count_wherever_they_stand_above() {
    both_say(&[
        ("a root's", "EXCLUDED_VIOLATION", |chain| chain.root.constrain(&[], &[dns(HOST)])),
        ("a leaf's own", "", |chain| chain.leaf.constrain(&[], &[dns(HOST)])),
        ("that are not critical", "EXCLUDED_VIOLATION", |chain| {
            let excluded = value(0xA1, &sequence(&[dns(HOST)]));
            chain.between.set(NAME_CONSTRAINTS, false, &sequence(&[excluded]));
        }),
        ("of two, each", "PERMITTED_VIOLATION", |chain| {
            chain.root.constrain(&[dns("test")], &[]);
            chain.between.constrain(&[dns("example")], &[]);
        }),
        ("an intermediate's name", "PERMITTED_VIOLATION", |chain| {
            chain.root.constrain(&[directory("leaf")], &[])
        }),
        ("a self-issued intermediate's name", "", |chain| {
            chain.root.constrain(&[directory("leaf")], &[]);
            chain.between.subject = chain.root.subject.clone();
            chain.identify_keys();
        }),
        ("a leaf with its issuer's name", "PERMITTED_VIOLATION", |chain| {
            chain.between.constrain(&[directory("other")], &[]);
            chain.leaf.subject = chain.between.subject.clone();
            chain.identify_keys();
        }),
    ]);
}

#[test]
fn constraints_that_say_nothing_are_refused() {
    const NONSENSE: &str = "UNSUPPORTED_CONSTRAINT_SYNTAX";
    fn raw(chain: &mut Chain, lists: &[Vec<u8>]) {
        chain.between.set(NAME_CONSTRAINTS, true, &sequence(lists));
    }
    both_say(&[
        ("neither list", NONSENSE, |chain| raw(chain, &[])),
        ("nothing permitted", NONSENSE, |chain| raw(chain, &[value(0xA0, &[])])),
        ("nothing excluded", NONSENSE, |chain| raw(chain, &[value(0xA1, &[])])),
        ("both lists empty", NONSENSE, |chain| raw(chain, &[value(0xA0, &[]), value(0xA1, &[])])),
        ("one list empty", NONSENSE, |chain| {
            raw(chain, &[value(0xA0, &value(0x30, &dns("test"))), value(0xA1, &[])]);
        }),
        ("a minimum", "SUBTREE_MINMAX", |chain| {
            let subtree = [dns("test"), value(0x80, &[1])].concat();
            raw(chain, &[value(0xA0, &value(0x30, &subtree))]);
        }),
        ("a mask with holes", NONSENSE, |chain| {
            chain.between.constrain(&[], &[ip(&[10, 0, 0, 0, 255, 0, 255, 0])]);
            with_more_names(&mut chain.leaf, &[ip(&[11, 1, 2, 3])]);
        }),
    ]);
}

#[test]
fn too_many_comparisons_are_refused_in_time() {
    let many =
        |prefix: &str| (0..1_500).map(|number| dns(&format!("{prefix}{number}.test"))).collect::<Vec<_>>();
    let mut chain = Chain::new();
    chain.leaf.set(ALTERNATIVE_NAME, false, &sequence(&[&[dns(HOST)], &many("a")[..]].concat()));
    chain.between.constrain(&[dns("test")], &many("b"));
    assert_eq!(chain.code(), "UNSPECIFIED");
}
