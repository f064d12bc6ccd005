//! Revocation lists (RFC 5280 §6.3), in files that others have written.

use crate::der::{pem, value};
use crate::draft::{CERT_SIGN, Chain, ListDraft, Who};

/// The code of the usual chain with a good list of the root, and these of the intermediate.
fn code(lists: &[ListDraft]) -> String {
    code_of(&Chain::new(), lists)
}

fn code_of(chain: &Chain, lists: &[ListDraft]) -> String {
    let mut chain = chain.clone();
    chain.asked.crl = vec![ListDraft::new(&[]).signed_by(&chain.root)];
    chain.asked.crl.extend(lists.iter().map(|list| list.signed_by(&chain.between)));
    let code = chain.code();
    assert_eq!(chain.code_of_a_connection(), code);
    code
}

fn leaf_serial() -> i64 {
    Chain::new().leaf.serial
}

#[test]
fn a_list_has_to_be_current_signed_and_understood() {
    let edited = |edit: fn(&mut ListDraft)| {
        let mut list = ListDraft::new(&[]);
        edit(&mut list);
        code(&[list])
    };
    assert_eq!(edited(|_| {}), "");
    assert_eq!(edited(|list| list.serials = vec![77]), "");
    assert_eq!(edited(|list| list.serials = vec![leaf_serial()]), "CERT_REVOKED");
    assert_eq!(edited(|list| list.times[1] = "210101000000Z".to_owned()), "CRL_HAS_EXPIRED");
    assert_eq!(edited(|list| list.times[0] = "480101000000Z".to_owned()), "CRL_NOT_YET_VALID");
    assert_eq!(edited(|list| list.signer = Some(Who::Stranger)), "CRL_SIGNATURE_FAILURE");
    let unknown = ("1.3.6.1.4.1.99999.1", true, vec![5, 0]);
    let mut list = ListDraft::new(&[]);
    list.extensions.push(unknown);
    assert_eq!(code(&[list]), "UNHANDLED_CRITICAL_CRL_EXTENSION");
    // For attribute certificates only.
    let scope = ("2.5.29.28", true, value(0x30, &[0x85, 1, 0xFF]));
    let mut list = ListDraft::new(&[]);
    list.extensions.push(scope);
    assert_eq!(code(&[list]), "UNABLE_TO_GET_CRL");
    assert_eq!(code(&[]), "UNABLE_TO_GET_CRL");
}

#[test]
fn whoever_may_not_sign_lists_signs_none() {
    let mut chain = Chain::new();
    chain.between.usage(CERT_SIGN);
    assert_eq!(code_of(&chain, &[ListDraft::new(&[])]), "KEYUSAGE_NO_CRL_SIGN");
}

#[test]
fn of_lists_that_are_equally_new_each_counts_and_older_ones_do_not() {
    let clean = ListDraft::new(&[]);
    let revoking = ListDraft::new(&[leaf_serial()]);
    let later = |list: &ListDraft| ListDraft {
        times: ["210101000000Z".to_owned(), list.times[1].clone()],
        ..list.clone()
    };
    for (lists, expected) in [
        ([&clean, &clean], ""),
        ([&clean, &revoking], "CERT_REVOKED"),
        ([&revoking, &clean], "CERT_REVOKED"),
        ([&clean, &later(&revoking)], "CERT_REVOKED"),
        ([&later(&revoking), &clean], "CERT_REVOKED"),
        // It was on hold, and is no longer.
        ([&revoking, &later(&clean)], ""),
        ([&later(&clean), &revoking], ""),
    ] {
        assert_eq!(code(&lists.map(Clone::clone)), expected, "{lists:?}");
    }
    let strangers = ListDraft { signer: Some(Who::Stranger), ..revoking };
    assert_eq!(code(&[clean, strangers]), "");
}

#[test]
fn several_lists_may_stand_in_one_text_with_other_text() {
    let mut chain = Chain::new();
    let [root, between] = [&chain.root, &chain.between].map(|issuer| ListDraft::new(&[]).signed_by(issuer));
    chain.asked.crl = vec![[b"before\n".to_vec(), root.clone(), between.clone(), b"after".to_vec()].concat()];
    assert_eq!(chain.code(), "");
    for rubbish in [b"rubbish".to_vec(), Vec::new(), pem("X509 CRL", b"rubbish").into_bytes()] {
        chain.asked.crl = vec![root.clone(), between.clone(), rubbish];
        assert!(chain.code().starts_with("ERR_OSSL_"), "{}", chain.code());
    }
}
