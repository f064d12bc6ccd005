//! Tables of names. Unless a table says otherwise, `tls.checkServerIdentity` of Node.js v20.20.2 gave the
//! same verdict and the same text in each case.

use super::*;

fn dns(names: &[&str]) -> Vec<GeneralName> {
    names.iter().map(|name| GeneralName::Dns(name.as_bytes().to_vec())).collect()
}

fn ips(addresses: &[&str]) -> Vec<GeneralName> {
    let octets = |text: &&str| match text.parse().unwrap() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    addresses.iter().map(|text| GeneralName::Ip(octets(text))).collect()
}

/// A subject whose relative distinguished names hold these common names.
fn subject(rdns: &[&[&str]]) -> DistinguishedName {
    let attribute = |name: &&str| ("CN".to_owned(), (*name).to_owned());
    DistinguishedName::new(rdns.iter().map(|rdn| rdn.iter().map(attribute).collect()).collect())
}

fn reason(host: &str, subject: &DistinguishedName, alt_names: &[GeneralName]) -> String {
    let result = check_server_identity(host, subject, Some(alt_names));
    result.map_or_else(|error| error.reason().to_owned(), |()| "matches".to_owned())
}

#[track_caller]
fn assert_table(table: &[(&str, &[&str], bool)]) {
    for (host, names, expected) in table {
        let by_alt_name = check_server_identity(host, &DistinguishedName::default(), Some(&dns(names)));
        assert_eq!(by_alt_name.is_ok(), *expected, "{host} against the altnames {names:?}");
        let common_names: Vec<&[&str]> = names.chunks(1).collect();
        let by_common_name = check_server_identity(host, &subject(&common_names), None);
        assert_eq!(by_common_name.is_ok(), *expected, "{host} against the common names {names:?}");
    }
}

#[test]
fn names_match_exactly_and_without_case() {
    assert_table(&[
        ("a.test", &["a.test"], true),
        ("A.Test", &["a.tEST"], true),
        ("a.test", &["b.test"], false),
        ("a.test", &["b.test", "a.test"], true),
        ("a.test", &["a.test.evil"], false),
        ("a.test", &["evil.a.test"], false),
        ("b.a.test", &["a.test"], false),
        ("test", &["test"], true),
        ("localhost", &["localhost"], true),
        ("a_b.test", &["a_b.test"], true),
        ("a.test.", &["a.test"], true),
        ("a.test", &["a.test."], true),
        ("a.test.", &["a.test."], true),
        ("a.test", &["a.test.."], false),
        ("a.test", &[""], false),
        ("a.test", &["."], false),
        ("a.test", &["a..test"], false),
        ("a.test", &[".a.test"], false),
        ("a.test", &[".test"], false),
        ("xn--bcher-kva.test", &["xn--bcher-kva.test"], true),
        ("xn--bcher-kva.test", &["XN--BCHER-KVA.test"], true),
        ("a.test", &["a.test "], false),
        ("a.test", &["a\t.test"], false),
        ("a.test", &["a.test, DNS:b.test"], false),
        ("b.test", &["a.test, DNS:b.test"], false),
    ]);
}

/// RFC 9525 §6.3, but for partial wildcards, which it forbids and Node.js permits.
#[test]
fn a_wildcard_covers_the_leftmost_label_only() {
    assert_table(&[
        ("b.a.test", &["*.a.test"], true),
        ("B.A.TEST", &["*.a.test"], true),
        ("b.a.test.", &["*.a.test"], true),
        ("b.a.test", &["*.a.test."], true),
        ("a.test", &["*.a.test"], false),
        ("c.b.a.test", &["*.a.test"], false),
        ("c.b.a.test", &["*.b.a.test"], true),
        ("c.b.a.test", &["*.*.a.test"], false),
        ("c.b.a.test", &["c.*.a.test"], false),
        ("b.a.test", &["b.*.test"], false),
        ("b.a.test", &["b.a.*"], false),
        ("a.test", &["*.test"], false),
        ("a.test", &["*.*"], false),
        ("test", &["*"], false),
        ("a.test", &["*"], false),
        ("b.a.test", &["**.a.test"], false),
        ("b.a.test", &["*b*.a.test"], false),
        ("b.a.test", &["*..test"], false),
        ("b.a.test", &["*.a..test"], false),
        ("_b.a.test", &["*.a.test"], true),
        ("xn--bcher-kva.a.test", &["*.a.test"], true),
        ("foo.xn--bcher-kva.test", &["*.xn--bcher-kva.test"], true),
        ("foo.a.test", &["b.test", "*.a.test"], true),
    ]);
}

#[test]
fn a_wildcard_may_have_a_prefix_or_a_suffix() {
    assert_table(&[
        ("foo.a.test", &["f*.a.test"], true),
        ("foo.a.test", &["*o.a.test"], true),
        ("foo.a.test", &["f*o.a.test"], true),
        ("foo.a.test", &["foo*.a.test"], true),
        ("foo.a.test", &["*foo.a.test"], true),
        ("foo.a.test", &["fo*oo.a.test"], false),
        ("foo.a.test", &["b*.a.test"], false),
        ("foo.a.test", &["*b.a.test"], false),
        ("foo.test", &["f*.test"], false),
        ("xn--bcher-kva.a.test", &["xn--*.a.test"], false),
        ("xn--bcher-kva.a.test", &["xn--b*.a.test"], false),
        ("foo.a.test", &["*xn--.a.test"], false),
    ]);
}

/// Here Node.js v20 says that they match.
#[test]
fn stricter_than_node() {
    assert_table(&[
        (".a.test", &["*.a.test"], false),
        ("b c.a.test", &["*.a.test"], false),
        ("b\0.a.test", &["*.a.test"], false),
        ("b\n.a.test", &["*.a.test"], false),
        ("a.test..", &["a.test"], false),
        ("xn--a.a.test", &["*.a.test"], false),
        ("xn--bcher-kva.a.test", &["x*.a.test"], false),
        ("xn--bcher-kva.a.test", &["*a.a.test"], false),
        // CVE-2026-48618: to a resolver these have one label more than to Node.js.
        ("c\u{3002}b.a.test", &["*.a.test"], false),
        ("c\u{ff0e}b.a.test", &["*.a.test"], false),
        ("c\u{ff61}b.a.test", &["*.a.test"], false),
    ]);
}

/// Here Node.js v20 says that they do not match.
#[test]
fn wider_than_node() {
    assert_table(&[
        ("a\u{3002}b.test", &["a.b.test"], true),
        ("a\u{3002}b\u{3002}test\u{3002}", &["*.b.test"], true),
        ("b\u{fc}cher.test", &["xn--bcher-kva.test"], true),
        ("B\u{dc}CHER.test", &["xn--bcher-kva.test"], true),
    ]);
    let none = DistinguishedName::default();
    assert_eq!(reason("[::1]", &none, &ips(&["::1"])), "matches");
    assert_eq!(reason("\u{ff11}27.0.0.1", &none, &ips(&["127.0.0.1"])), "matches");
}

#[test]
fn a_unicode_full_stop_never_hides_a_label_from_a_wildcard() {
    assert_table(&[("a\u{3002}b.test", &["*.test"], false), ("a.b\u{3002}test", &["*.test"], false)]);
}

#[test]
fn a_name_with_nul_or_beyond_ascii_never_matches() {
    let none = DistinguishedName::default();
    for name in [
        &b"a.test\0.evil.test"[..],
        b"a.test\0",
        b"a\0.test",
        b"b\xfccher.test",
        "b\u{fc}cher.test".as_bytes(),
    ] {
        let names = [GeneralName::Dns(name.to_vec())];
        for host in ["a.test", "a.test\0", "a.test\0.evil.test", "b\u{fc}cher.test", "xn--bcher-kva.test"] {
            assert!(check_server_identity(host, &none, Some(&names)).is_err(), "{host:?} against {name:?}");
        }
    }
    assert!(check_server_identity("a.test", &subject(&[&["a.test\0"]]), None).is_err());
}

#[test]
fn an_address_matches_ip_names_only() {
    let cn = subject(&[&["127.0.0.1"]]);
    let list = ips(&["127.0.0.1", "2001:db8::1", "fe80::1"]);
    for host in ["127.0.0.1", "127.0.0.1.", "2001:DB8:0:0::1", "2001:0db8::0001", "fe80::1%eth0"] {
        assert_eq!(reason(host, &cn, &list), "matches", "{host}");
    }
    let (not_listed, unlisted) = (" is not in the cert's list: ", "127.0.0.1, 2001:db8::1, fe80::1");
    for host in ["127.0.0.2", "::1", "::ffff:127.0.0.1", "::127.0.0.1"] {
        assert_eq!(reason(host, &cn, &list), format!("IP: {host}{not_listed}{unlisted}"));
    }
    let none = "IP: 127.0.0.1 is not in the cert's list: ";
    assert_eq!(reason("127.0.0.1", &cn, &[]), none);
    assert_eq!(reason("127.0.0.1", &cn, &dns(&["127.0.0.1", "*.0.0.1"])), none);
    assert_eq!(reason("127.0.0.1", &cn, &[GeneralName::Uri(b"https://127.0.0.1/".to_vec())]), none);
    assert_eq!(reason("a.test", &subject(&[]), &ips(&["127.0.0.1"])), "Cert does not contain a DNS name");
    assert_eq!(reason("127.1", &subject(&[]), &ips(&["127.0.0.1"])), "Cert does not contain a DNS name");
}

#[test]
fn addresses_are_listed_as_libuv_writes_them() {
    let mut list = ips(&[
        "::0.1.0.2",
        "::2",
        "::1",
        "::",
        "::ffff:1.2.3.4",
        "1:0:2:0:0:3:0:4",
        "::1:2:3:4",
        "1:2:3:4:5:6::",
        "0:0:1:0:0:2:0:0",
        "0:1:2:3:4:5:6:7",
    ]);
    list.push(GeneralName::Ip(vec![1, 2, 3]));
    list.extend(ips(&["9.9.9.9", "::1.2.0.0", "64:ff9b::1.2.3.4"]));
    assert_eq!(
        reason("1.2.3.4", &DistinguishedName::default(), &list),
        "IP: 1.2.3.4 is not in the cert's list: ::0.1.0.2, ::2, ::1, ::, ::ffff:1.2.3.4, 1:0:2::3:0:4, \
         ::1:2:3:4, 1:2:3:4:5:6::, ::1:0:0:2:0:0, 0:1:2:3:4:5:6:7, , 9.9.9.9, ::1.2.0.0, 64:ff9b::102:304"
    );
}

#[test]
fn a_common_name_counts_only_without_dns_names() {
    let cn = subject(&[&["a.test"]]);
    let uri = GeneralName::Uri(b"https://b.test/".to_vec());
    let email = GeneralName::Email(b"x@b.test".to_vec());
    assert!(check_server_identity("a.test", &cn, None).is_ok());
    assert!(check_server_identity("a.test", &cn, Some(&[])).is_ok());
    assert!(check_server_identity("a.test", &cn, Some(&[uri.clone(), email])).is_ok());
    assert!(check_server_identity("a.test", &cn, Some(&ips(&["127.0.0.1"]))).is_ok());
    assert!(check_server_identity("a.test", &cn, Some(&dns(&["b.test"]))).is_err());
    assert!(check_server_identity("a.test", &cn, Some(&dns(&[""]))).is_err());
    // CVE-2021-44531.
    assert_eq!(reason("b.test", &subject(&[]), &[uri]), "Cert does not contain a DNS name");
}

#[test]
fn several_common_names_count_unless_they_share_an_rdn() {
    assert!(check_server_identity("b.test", &subject(&[&["a.test"], &["b.test"]]), None).is_ok());
    // CVE-2021-44533. Node.js v20 takes either.
    for host in ["a.test", "b.test", "c.test"] {
        assert!(check_server_identity(host, &subject(&[&["a.test", "b.test"]]), None).is_err());
        assert!(check_server_identity(host, &subject(&[&["c.test"], &["a.test", "b.test"]]), None).is_err());
    }
    let attribute = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let with_unit = DistinguishedName::new(vec![vec![attribute("CN", "a.test"), attribute("OU", "b.test")]]);
    assert!(check_server_identity("a.test", &with_unit, None).is_ok());
    assert!(check_server_identity("b.test", &with_unit, None).is_err());
    let alone =
        DistinguishedName::new(vec![vec![attribute("O", "a.test")], vec![attribute("O", "CN=a.test")]]);
    assert!(check_server_identity("a.test", &alone, None).is_err());
}

#[test]
fn an_injected_alternative_name_matches_nothing() {
    let names = dns(&["a.test, DNS:evil.test", "a.test\", DNS:\"evil.test"]);
    let cn = subject(&[&["a.test"]]);
    for host in ["a.test", "evil.test"] {
        assert!(check_server_identity(host, &cn, Some(&names)).is_err());
    }
}

#[test]
fn reasons_are_in_the_words_of_node() {
    let none = DistinguishedName::default();
    let names = [dns(&["b.test", "c,d"]), ips(&["::1"])].concat();
    assert_eq!(
        reason("A.test.", &none, &names),
        r#"Host: A.test. is not in the cert's altnames: DNS:b.test, DNS:"c\u002cd", IP Address:0:0:0:0:0:0:0:1"#
    );
    assert_eq!(reason("a.test", &subject(&[&["b.test"]]), &[]), "Host: a.test. is not cert's CN: b.test");
    assert_eq!(reason("a.test", &subject(&[&["b"], &["c"]]), &[]), "Host: a.test. is not cert's CN: b,c");
    assert_eq!(reason("a.test", &subject(&[&[""], &[""]]), &[]), "Host: a.test. is not cert's CN: ,");
    assert_eq!(reason("a.test", &subject(&[&[""]]), &[]), "Cert does not contain a DNS name");
    assert_eq!(reason("", &none, &dns(&["b.test"])), "Host: . is not in the cert's altnames: DNS:b.test");
    assert_eq!(
        reason("a..", &none, &dns(&["b.test"])),
        "Host: a.. is not in the cert's altnames: DNS:b.test"
    );
}

#[test]
fn the_error_has_the_code_host_and_message_of_node() {
    let error = check_server_identity("A.test.", &DistinguishedName::default(), None).unwrap_err();
    assert_eq!(IdentityMismatch::CODE, "ERR_TLS_CERT_ALTNAME_INVALID");
    assert_eq!(error.host(), "A.test");
    assert_eq!(
        error.to_string(),
        "Hostname/IP does not match certificate's altnames: Cert does not contain a DNS name"
    );
}
