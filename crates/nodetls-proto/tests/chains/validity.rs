//! From which second to which something is valid (RFC 5280 §4.1.2.5, §5.1.2.5).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::draft::{Chain, Draft, ListDraft};

/// 2024-03-01T00:00:00Z, from which all these are valid for one day.
const FROM: u64 = 1_709_251_200;
const TO: u64 = FROM + 86_400;

fn at(seconds: u64, nanoseconds: u32) -> SystemTime {
    UNIX_EPOCH + Duration::new(seconds, nanoseconds)
}

fn for_a_day(draft: &mut Draft) {
    draft.validity = ["240301000000Z".to_owned(), "240302000000Z".to_owned()];
}

const MOMENTS: [(u64, u32, &str); 7] = [
    (FROM - 1, 0, "CERT_NOT_YET_VALID"),
    (FROM - 1, 999_999_999, "CERT_NOT_YET_VALID"),
    (FROM, 0, ""),
    (TO - 1, 500_000_000, ""),
    (TO, 0, ""),
    (TO, 1, "CERT_HAS_EXPIRED"),
    (TO + 1, 0, "CERT_HAS_EXPIRED"),
];

#[test]
fn a_certificate_is_valid_from_its_first_through_its_last_second() {
    let parts: [fn(&mut Chain) -> &mut Draft; 3] =
        [|chain| &mut chain.leaf, |chain| &mut chain.between, |chain| &mut chain.root];
    for (depth, part) in parts.into_iter().enumerate() {
        for (seconds, nanoseconds, expected) in MOMENTS {
            let mut chain = Chain::new();
            for_a_day(part(&mut chain));
            chain.asked.time = Some(at(seconds, nanoseconds));
            assert_eq!(chain.code(), expected, "depth {depth}, {seconds}.{nanoseconds:09}");
        }
    }
}

#[test]
fn a_revocation_list_is_current_through_its_last_second() {
    for (seconds, nanoseconds, expected) in [
        (TO - 1, 0, ""),
        (TO, 0, ""),
        (TO, 1, "CRL_HAS_EXPIRED"),
        (FROM - 1, 0, "CRL_NOT_YET_VALID"),
        (FROM, 0, ""),
    ] {
        let mut chain = Chain::new();
        let mut list = ListDraft::new(&[]);
        let old = list.signed_by(&chain.root);
        list.times = ["240301000000Z".to_owned(), "240302000000Z".to_owned()];
        chain.asked.crl = vec![old, list.signed_by(&chain.between)];
        chain.asked.time = Some(at(seconds, nanoseconds));
        assert_eq!(chain.code(), expected, "{seconds}.{nanoseconds:09}");
    }
}

#[test]
fn a_validity_that_is_no_time_is_refused() {
    for (edge, expected) in [(0, "ERROR_IN_CERT_NOT_BEFORE_FIELD"), (1, "ERROR_IN_CERT_NOT_AFTER_FIELD")] {
        for text in ["241301000000Z", "240301000000+0100", "xxxxxxxxxxxxZ"] {
            let mut chain = Chain::new();
            chain.leaf.validity[edge] = text.to_owned();
            assert_eq!(chain.code(), expected, "{text}");
        }
    }
    let mut chain = Chain::new();
    chain.leaf.validity.swap(0, 1);
    assert!(!chain.code().is_empty());
}
