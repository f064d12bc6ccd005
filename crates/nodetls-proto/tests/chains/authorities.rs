//! Who may issue (RFC 5280 §6.1.4 (k) to (n)), and for what.

use crate::der::{bits, identifier, integer, sequence, value};
use crate::draft::{
    BASIC_CONSTRAINTS, CERT_SIGN, CLIENT_AUTH, CRL_SIGN, Chain, DIGITAL_SIGNATURE, EXTENDED_KEY_USAGE,
    KEY_USAGE, SERVER_AUTH, Who, both_say, both_say_of,
};

const ANY_PURPOSE: &str = "2.5.29.37.0";

#[test]
fn an_intermediate_has_to_be_an_authority() {
    both_say(&[
        ("the usual chain", "", |_| {}),
        ("no basic constraints", "INVALID_CA", |chain| chain.between.remove(BASIC_CONSTRAINTS)),
        ("no extensions", "INVALID_PURPOSE", |chain| chain.between.extensions.clear()),
        ("no authority by its own word", "INVALID_PURPOSE", |chain| {
            chain.between.set(BASIC_CONSTRAINTS, true, &sequence(&[]));
        }),
        ("basic constraints that are not critical", "", |chain| {
            chain.between.set(BASIC_CONSTRAINTS, false, &sequence(&[vec![1, 1, 0xFF]]));
        }),
        ("version 1", "INVALID_PURPOSE", |chain| {
            chain.between.extensions.clear();
            chain.between.version = 0;
        }),
        ("version 1 with extensions", "EXTENSIONS_REQUIRE_VERSION_3", |chain| chain.between.version = 0),
        ("version 2 with extensions", "EXTENSIONS_REQUIRE_VERSION_3", |chain| chain.between.version = 1),
        ("a leaf of version 1 with extensions", "EXTENSIONS_REQUIRE_VERSION_3", |chain| {
            chain.leaf.version = 0
        }),
        ("a leaf that is an authority too", "", |chain| {
            chain.leaf.set(BASIC_CONSTRAINTS, true, &sequence(&[vec![1, 1, 0xFF]]));
        }),
    ]);
}

#[test]
fn a_root_is_trusted_as_it_was_given() {
    both_say(&[
        ("version 1", "", |chain| {
            chain.root.extensions.clear();
            chain.root.version = 0;
        }),
        ("no basic constraints", "", |chain| chain.root.remove(BASIC_CONSTRAINTS)),
        ("a signature that is wrong", "", |chain| chain.root.is_spoiled = true),
        ("no authority by its own word", "INVALID_PURPOSE", |chain| {
            chain.root.set(BASIC_CONSTRAINTS, true, &sequence(&[]));
        }),
        ("for clients only", "INVALID_PURPOSE", |chain| chain.root.purposes(&[CLIENT_AUTH])),
    ]);
}

#[test]
fn a_path_length_counts_those_below_that_are_not_self_issued() {
    both_say(&[
        ("none allowed, none there", "", |chain| chain.between.path_length(0)),
        ("none allowed, one there", "PATH_LENGTH_EXCEEDED", |chain| chain.root.path_length(0)),
        ("one allowed", "", |chain| chain.root.path_length(1)),
        ("a self-issued one is free", "", |chain| {
            chain.root.path_length(0);
            chain.between.subject = chain.root.subject.clone();
            chain.identify_keys();
        }),
        ("a leaf with its issuer's name is free", "", |chain| {
            chain.between.path_length(0);
            chain.leaf.subject = chain.between.subject.clone();
            chain.identify_keys();
        }),
        ("a negative one", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", |chain| chain.between.path_length(-1)),
    ]);
}

#[test]
fn key_usages_are_obeyed() {
    both_say(&[
        ("an intermediate that may not sign certificates", "KEYUSAGE_NO_CERTSIGN", |chain| {
            chain.between.usage(DIGITAL_SIGNATURE | CRL_SIGN);
        }),
        ("a root that may not", "KEYUSAGE_NO_CERTSIGN", |chain| chain.root.usage(CRL_SIGN)),
        ("an intermediate without usages", "", |chain| chain.between.remove(KEY_USAGE)),
        ("a leaf without usages", "", |chain| chain.leaf.remove(KEY_USAGE)),
        ("a leaf for lists only", "INVALID_PURPOSE", |chain| chain.leaf.usage(CRL_SIGN)),
    ]);
    // A connection would find out as well, but the server notices first.
    let mut chain = Chain::new();
    chain.leaf.usage(CERT_SIGN);
    assert_eq!(chain.code(), "INVALID_PURPOSE");
}

#[test]
fn purposes_are_obeyed_down_from_the_root() {
    both_say(&[
        ("a leaf without purposes", "", |chain| chain.leaf.remove(EXTENDED_KEY_USAGE)),
        ("both", "", |chain| chain.leaf.purposes(&[CLIENT_AUTH, SERVER_AUTH])),
        ("a client's", "INVALID_PURPOSE", |chain| chain.leaf.purposes(&[CLIENT_AUTH])),
        ("any", "INVALID_PURPOSE", |chain| chain.leaf.purposes(&[ANY_PURPOSE])),
        ("none", "INVALID_PURPOSE", |chain| chain.leaf.purposes(&[])),
        ("an intermediate for servers", "", |chain| chain.between.purposes(&[SERVER_AUTH])),
        ("an intermediate for clients", "INVALID_PURPOSE", |chain| chain.between.purposes(&[CLIENT_AUTH])),
    ]);
    both_say_of(
        &Chain::of_client(),
        &[
            ("a client's", "", |_| {}),
            ("a server's", "INVALID_PURPOSE", |chain| chain.leaf.purposes(&[SERVER_AUTH])),
            ("an intermediate for servers", "INVALID_PURPOSE", |chain| {
                chain.between.purposes(&[SERVER_AUTH])
            }),
            ("version 1 with extensions", "EXTENSIONS_REQUIRE_VERSION_3", |chain| chain.leaf.version = 0),
            ("no authority", "INVALID_CA", |chain| chain.between.remove(BASIC_CONSTRAINTS)),
        ],
    );
}

#[test]
fn a_signature_has_to_be_right_and_of_the_algorithm_that_it_vouches_for() {
    const ECDSA_WITH_SHA_384: &str = "1.2.840.10045.4.3.3";
    both_say(&[
        ("a leaf's is wrong", "CERT_SIGNATURE_FAILURE", |chain| chain.leaf.is_spoiled = true),
        ("an intermediate's is wrong", "CERT_SIGNATURE_FAILURE", |chain| chain.between.is_spoiled = true),
        ("a leaf's has two algorithms", "CERT_SIGNATURE_FAILURE", |chain| {
            chain.leaf.inner_algorithm = ECDSA_WITH_SHA_384;
        }),
        ("an intermediate's has two algorithms", "CERT_SIGNATURE_FAILURE", |chain| {
            chain.between.inner_algorithm = ECDSA_WITH_SHA_384;
        }),
    ]);
}

#[test]
fn serial_numbers_do_not_matter() {
    both_say(&[
        ("zero", "", |chain| chain.leaf.serial = 0),
        ("negative", "", |chain| chain.leaf.serial = -7),
        ("the same twice", "", |chain| chain.between.serial = chain.leaf.serial),
    ]);
}

#[test]
fn a_key_with_which_anybody_can_sign_is_no_key() {
    let algorithm = |name, parameters| sequence(&[identifier(name), parameters]);
    let modulus = value(2, &[&[0, 0xC1][..], &[0xA5; 255]].concat());
    let rsa = |exponent| {
        let key = sequence(&[modulus.clone(), integer(exponent)]);
        sequence(&[algorithm("1.2.840.113549.1.1.1", vec![5, 0]), bits(&key)])
    };
    let point = |bytes: &[u8]| {
        let curve = identifier("1.2.840.10045.3.1.7");
        sequence(&[algorithm("1.2.840.10045.2.1", curve), bits(bytes)])
    };
    let usual = Who::Leaf.key().public_key_raw().to_vec();
    for (key, expected) in [
        (rsa(65_537), ""),
        (rsa(3), ""),
        (rsa(1), "EE_KEY_TOO_SMALL"),
        (rsa(2), "EE_KEY_TOO_SMALL"),
        (rsa(0), "EE_KEY_TOO_SMALL"),
        (point(&usual), ""),
        (point(&[0]), "EE_KEY_TOO_SMALL"),
    ] {
        let mut chain = Chain::new();
        chain.leaf.public_key = Some(key.clone());
        assert_eq!(chain.code(), expected, "{key:02X?}");
    }
}
