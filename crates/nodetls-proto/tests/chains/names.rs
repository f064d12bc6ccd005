//! Which names are a host's (RFC 9525 §6), on whole certificates.

use crate::der::{dns, ip, name, value};
use crate::draft::{ALTERNATIVE_NAME, Chain};

const REFUSED: &str = "ERR_TLS_CERT_ALTNAME_INVALID";

/// The alternative names, the host that is asked for, and whether it is one of them.
#[test]
fn a_host_is_looked_for_among_the_alternative_names() {
    for (names, host, matches) in [
        (vec![dns("EXAMPLE.test")], "example.test", true),
        (vec![dns("other.test"), dns("example.test")], "Example.Test.", true),
        (vec![dns("*.example.test")], "www.example.test", true),
        (vec![dns("*.example.test")], "example.test", false),
        (vec![dns("*.example.test")], "a.b.example.test", false),
        (vec![dns("*.test")], "example.test", false),
        (vec![dns("*")], "localhost", false),
        (vec![dns("a.*.test")], "a.b.test", false),
        (vec![dns("**.example.test")], "a.example.test", false),
        (vec![dns("xn--*-1b3c148a.example.test")], "xn--bliss-1b3c148a.example.test", false),
        (vec![dns("xn--bcher-kva.test")], "bücher.test", true),
        (vec![dns("bücher.test")], "bücher.test", false),
        (vec![dns("not_a_label.example.test")], "not_a_label.example.test", true),
        (vec![dns(".example.test")], "a.example.test", false),
        (vec![dns(" example.test")], "example.test", false),
        (vec![dns("example.test\0.evil.test")], "example.test", false),
        (vec![dns("127.0.0.1")], "127.0.0.1", false),
        (vec![ip(&[127, 0, 0, 1])], "127.0.0.1", true),
        (vec![ip(&[127, 0, 0, 1])], "::ffff:127.0.0.1", false),
        (vec![ip(&[127, 0, 0])], "127.0.0.1", false),
        (vec![ip(&[127, 0, 0, 0, 255, 0, 0, 0])], "127.0.0.1", false),
        (vec![value(0x86, b"https://example.test/")], "example.test", false),
    ] {
        let mut chain = Chain::new();
        chain.leaf.names(&names);
        chain.ask_for(host);
        assert_eq!(chain.code(), if matches { "" } else { REFUSED }, "{names:?} {host}");
    }
}

#[test]
fn a_common_name_counts_only_where_there_is_no_dns_name() {
    for (names, host, matches) in [
        (None, "example.test", true),
        (Some(vec![]), "example.test", true),
        (Some(vec![ip(&[1, 2, 3, 4])]), "example.test", true),
        (Some(vec![dns("other.test")]), "example.test", false),
        (Some(vec![dns("")]), "example.test", false),
        (None, "other.test", false),
    ] {
        let mut chain = Chain::new();
        chain.leaf.subject = name("example.test");
        chain.leaf.remove(ALTERNATIVE_NAME);
        names.iter().for_each(|names| chain.leaf.names(names));
        chain.ask_for(host);
        assert_eq!(chain.code(), if matches { "" } else { REFUSED }, "{names:?} {host}");
    }
    let mut chain = Chain::new();
    chain.leaf.subject = name("127.0.0.1");
    chain.leaf.remove(ALTERNATIVE_NAME);
    chain.ask_for("127.0.0.1");
    assert_eq!(chain.code(), REFUSED);
}

#[test]
fn alternative_names_that_cannot_be_read_are_refused() {
    for contents in [&b""[..], b"\x30\x05\x82", b"\x30\x02\x82\x50", b"\x04\x01x"] {
        let mut chain = Chain::new();
        chain.leaf.subject = name("www.test");
        chain.leaf.set(ALTERNATIVE_NAME, false, contents);
        assert_eq!(chain.code(), "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "{contents:02X?}");
        assert_eq!(chain.code_of_a_connection(), "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "{contents:02X?}");
    }
}
