//! Extensions that are unknown, repeated or cannot be read (RFC 5280 §4.2).

use crate::der::{dns, identifier, sequence, value};
use crate::draft::{
    ALTERNATIVE_NAME, BASIC_CONSTRAINTS, Draft, EXTENDED_KEY_USAGE, HOST, KEY_USAGE, NAME_CONSTRAINTS,
    both_say,
};

const UNKNOWN: &str = "1.3.6.1.4.1.99999.1";
const NULL: [u8; 2] = [5, 0];
const AUTHORITY_INFORMATION_ACCESS: &str = "1.3.6.1.5.5.7.1.1";
const POLICIES: &str = "2.5.29.32";

fn access() -> Vec<u8> {
    sequence(&[sequence(&[identifier("1.3.6.1.5.5.7.48.1"), value(0x86, b"http://ocsp.test/")])])
}

#[test]
fn what_is_critical_and_unknown_is_refused_at_every_depth() {
    both_say(&[
        ("a leaf", "UNHANDLED_CRITICAL_EXTENSION", |chain| chain.leaf.add(UNKNOWN, true, &NULL)),
        ("an intermediate", "UNHANDLED_CRITICAL_EXTENSION", |chain| chain.between.add(UNKNOWN, true, &NULL)),
        ("a root", "UNHANDLED_CRITICAL_EXTENSION", |chain| chain.root.add(UNKNOWN, true, &NULL)),
        ("known, but never critical", "UNHANDLED_CRITICAL_EXTENSION", |chain| {
            chain.leaf.add(AUTHORITY_INFORMATION_ACCESS, true, &access());
        }),
        ("not critical", "", |chain| {
            for draft in [&mut chain.root, &mut chain.between, &mut chain.leaf] {
                draft.add(UNKNOWN, false, &NULL);
            }
        }),
        ("not critical, and no DER", "", |chain| chain.leaf.add(UNKNOWN, false, b"xx")),
    ]);
}

#[test]
fn what_occurs_twice_below_the_root_is_refused() {
    fn twice(draft: &mut Draft) {
        draft.add(UNKNOWN, false, &NULL);
        draft.add(UNKNOWN, false, &NULL);
    }
    both_say(&[
        ("a leaf", "INVALID_EXTENSION", |chain| twice(&mut chain.leaf)),
        ("an intermediate", "INVALID_EXTENSION", |chain| twice(&mut chain.between)),
        ("a root", "", |chain| twice(&mut chain.root)),
        ("names", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", |chain| {
            chain.leaf.add(ALTERNATIVE_NAME, false, &sequence(&[dns("other.test")]));
        }),
        ("basic constraints", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", |chain| {
            chain.between.add(BASIC_CONSTRAINTS, true, &sequence(&[]));
        }),
    ]);
}

#[test]
fn what_is_known_and_cannot_be_read_is_refused() {
    both_say(&[
        ("access information", "INVALID_EXTENSION", |chain| {
            chain.leaf.add(AUTHORITY_INFORMATION_ACCESS, false, b"malformed");
        }),
        ("access information that can be read", "", |chain| {
            chain.leaf.add(AUTHORITY_INFORMATION_ACCESS, false, &access());
        }),
        ("a leaf's policies", "INVALID_EXTENSION", |chain| chain.leaf.add(POLICIES, false, b"xx")),
        ("an intermediate's policies", "INVALID_EXTENSION", |chain| {
            chain.between.add(POLICIES, false, b"xx")
        }),
        ("a root's policies", "", |chain| chain.root.add(POLICIES, false, b"xx")),
        ("purposes", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", |chain| {
            chain.leaf.set(EXTENDED_KEY_USAGE, false, &[0x30, 3, 6])
        }),
    ]);
}

#[test]
fn bytes_after_the_end_of_a_known_extension_are_refused() {
    both_say(&[
        ("names", "INVALID_EXTENSION", |chain| {
            chain.leaf.set(ALTERNATIVE_NAME, false, &[sequence(&[dns(HOST)]), vec![0, 0]].concat());
        }),
        ("basic constraints", "INVALID_EXTENSION", |chain| {
            chain.between.set(BASIC_CONSTRAINTS, true, &[0x30, 3, 1, 1, 0xFF, 0]);
        }),
        ("usages", "INVALID_EXTENSION", |chain| chain.leaf.set(KEY_USAGE, true, &[3, 2, 7, 0x80, 0])),
        ("constraints", "INVALID_EXTENSION", |chain| {
            let permitted = sequence(&[value(0xA0, &sequence(&[dns("test")]))]);
            chain.between.set(NAME_CONSTRAINTS, true, &[permitted, vec![0]].concat());
        }),
    ]);
}
