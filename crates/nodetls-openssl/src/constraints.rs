//! Name constraints (RFC 5280 §4.2.1.10) on the names that identify a server, where OpenSSL's own check has gaps.
//!
//! OpenSSL compares a name with a subtree literally. So a wildcard passes an excluded subtree that one of its hosts is
//! in, a trailing dot (which matching ignores) hides a name from every exclusion, and a common name that is a wildcard
//! or a single label is not looked at, although it identifies a server without DNS names. This only ever adds
//! objections; all other kinds of names are OpenSSL's.

use openssl_sys::{
    X509_V_ERR_EXCLUDED_VIOLATION, X509_V_ERR_PERMITTED_VIOLATION, X509_V_ERR_UNSPECIFIED,
    X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX,
};

use crate::verify::Purpose;
use crate::{AlternativeName, Certificate, VerifyFinding};

/// Comparisons of a name with a subtree in one verification, as many as OpenSSL allows itself.
pub(crate) const MAX_COMPARISONS: usize = 1 << 20;

/// The subtrees of one authority.
#[derive(Debug, Default)]
pub(crate) struct NameConstraints {
    pub(crate) permitted: Vec<AlternativeName>,
    pub(crate) excluded: Vec<AlternativeName>,
    /// Neither list is there, or one of them without an element.
    pub(crate) is_empty: bool,
}

/// The first certificate of a chain (the leaf first) whose names an authority above it does not allow.
///
/// `budget` is the number of comparisons left; a chain that needs more is refused.
pub(crate) fn violation(
    chain: &[Certificate],
    purpose: Purpose,
    budget: &mut usize,
) -> Option<VerifyFinding> {
    for (above, authority) in chain.iter().enumerate().skip(1).rev() {
        let Some(constraints) = authority.name_constraints() else { continue };
        for (depth, certificate) in chain.iter().enumerate().take(above).rev() {
            // RFC 5280 §6.1.3 (b): those that an authority issued to itself, but for the last one, are exempt.
            if depth > 0 && certificate.is_self_issued() {
                continue;
            }
            let names = Names::of(certificate, depth == 0 && purpose == Purpose::Server);
            if let Err(code) = constraints.check(&names, budget) {
                let certificate = Some(certificate.clone());
                return Some(VerifyFinding { code, depth: depth as u32, certificate });
            }
        }
    }
    None
}

/// What a certificate can be taken for.
struct Names {
    dns: Vec<Vec<u8>>,
    has_ip: bool,
}

impl Names {
    fn of(certificate: &Certificate, identified_by_common_name: bool) -> Self {
        let alternative = certificate.alternative_names().unwrap_or_default();
        let has_ip = alternative.iter().any(|name| matches!(name, AlternativeName::Ip(_)));
        let dns = |name| if let AlternativeName::Dns(name) = name { Some(normal(&name)) } else { None };
        let mut dns: Vec<_> = alternative.into_iter().filter_map(dns).collect();
        if dns.is_empty() && identified_by_common_name {
            let common = certificate.subject().into_iter().filter(|attribute| attribute.key == "CN");
            // Nothing else is ever compared with a host name.
            let hosts = common
                .filter_map(|name| name.value)
                .filter(|value| value.bytes().all(|byte| byte.is_ascii_graphic()));
            dns.extend(hosts.map(|value| normal(value.as_bytes())));
        }
        Self { dns, has_ip }
    }
}

impl NameConstraints {
    fn check(&self, names: &Names, budget: &mut usize) -> Result<(), i32> {
        // It may be meant to permit nothing, to exclude nothing, or neither.
        if self.is_empty {
            return Err(X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX);
        }
        let subtrees = self.permitted.iter().chain(&self.excluded);
        if names.has_ip && subtrees.filter_map(ip_subtree).any(|subtree| !is_prefix(subtree)) {
            return Err(X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX);
        }
        let (permitted, excluded) = (dns_subtrees(&self.permitted)?, dns_subtrees(&self.excluded)?);
        let comparisons = names.dns.len().saturating_mul(permitted.len() + excluded.len());
        *budget = budget.checked_sub(comparisons).ok_or(X509_V_ERR_UNSPECIFIED)?;
        for name in &names.dns {
            if !permitted.is_empty() && !permitted.iter().any(|subtree| is_within(name, subtree)) {
                return Err(X509_V_ERR_PERMITTED_VIOLATION);
            }
            if excluded.iter().any(|subtree| reaches_into(name, subtree)) {
                return Err(X509_V_ERR_EXCLUDED_VIOLATION);
            }
        }
        Ok(())
    }
}

fn ip_subtree(name: &AlternativeName) -> Option<&[u8]> {
    if let AlternativeName::Ip(bytes) = name { Some(bytes) } else { None }
}

/// Whether an address with a mask is one "in the style of RFC 4632": ones, then zeros.
fn is_prefix(subtree: &[u8]) -> bool {
    let mask = match subtree.len() {
        8 => &subtree[4..],
        32 => &subtree[16..],
        _ => return false,
    };
    let ones: u32 = mask.iter().take_while(|byte| **byte == 0xFF).map(|_| 8).sum();
    let rest = &mask[(ones / 8) as usize..];
    rest.first().is_none_or(|byte| byte.leading_ones() + byte.trailing_zeros().min(8) == 8)
        && rest.iter().skip(1).all(|byte| *byte == 0)
}

/// The DNS subtrees in normal form.
fn dns_subtrees(subtrees: &[AlternativeName]) -> Result<Vec<Vec<u8>>, i32> {
    let dns = |name: &AlternativeName| {
        if let AlternativeName::Dns(name) = name { Some(normal(name)) } else { None }
    };
    let subtrees: Vec<_> = subtrees.iter().filter_map(dns).collect();
    match subtrees.iter().all(|subtree| is_subtree(subtree)) {
        true => Ok(subtrees),
        false => Err(X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX),
    }
}

/// A wildcard, an empty label or a space has no meaning here, and what has none cannot be obeyed. A leading dot, as in
/// URI constraints, is widely used and means "with at least one more label".
fn is_subtree(subtree: &[u8]) -> bool {
    let name = subtree.strip_prefix(b".").unwrap_or(subtree);
    subtree.is_empty()
        || name.split(|byte| *byte == b'.').all(|label| {
            !label.is_empty() && label.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'*')
        })
}

/// Lower case, without a trailing dot: how names are compared with a host.
fn normal(name: &[u8]) -> Vec<u8> {
    name.strip_suffix(b".").unwrap_or(name).to_ascii_lowercase()
}

/// Whether all that the name stands for is in the subtree.
fn is_within(name: &[u8], subtree: &[u8]) -> bool {
    let Some(above) = name.strip_suffix(subtree) else { return false };
    subtree.is_empty() || subtree.starts_with(b".") || above.is_empty() || above.ends_with(b".")
}

/// Whether anything that the name stands for is in the subtree.
fn reaches_into(name: &[u8], subtree: &[u8]) -> bool {
    if is_within(name, subtree) {
        return true;
    }
    let (Some((first, rest)), Some((_, subtree_rest))) = (split_label(name), split_label(subtree)) else {
        return false;
    };
    // A wildcard stands for one label, so that a subtree with as many labels is one of its hosts.
    first.contains(&b'*') && !subtree.starts_with(b".") && rest == subtree_rest
}

fn split_label(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let dot = name.iter().position(|byte| *byte == b'.')?;
    Some((&name[..dot], &name[dot..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(permitted: &[&str], excluded: &[&str], name: &str) -> Result<(), i32> {
        let dns = |names: &[&str]| names.iter().map(|name| AlternativeName::Dns((*name).into())).collect();
        let constraints =
            NameConstraints { permitted: dns(permitted), excluded: dns(excluded), is_empty: false };
        let names = Names { dns: vec![normal(name.as_bytes())], has_ip: false };
        constraints.check(&names, &mut 100)
    }

    #[test]
    fn a_name_must_be_in_one_permitted_subtree() {
        for (subtree, name, allowed) in [
            ("example.com", "example.com", true),
            ("example.com", "A.b.EXAMPLE.com.", true),
            ("example.com", "*.example.com", true),
            ("example.com", "badexample.com", false),
            ("foo.example.com", "*.example.com", false),
            (".example.com", "a.example.com", true),
            (".example.com", "example.com", false),
            ("", "anything", true),
            ("example.com", "", false),
        ] {
            assert_eq!(check(&[subtree], &[], name).is_ok(), allowed, "{subtree} {name}");
        }
        assert!(check(&["a.test", "b.test"], &[], "x.b.test").is_ok());
    }

    #[test]
    fn nothing_that_a_name_stands_for_may_be_in_an_excluded_subtree() {
        for (subtree, name, allowed) in [
            ("example.com", "a.example.com", false),
            ("example.com", "a.example.com.", false),
            ("foo.example.com", "*.example.com", false),
            ("foo.example.com", "f*.example.com", false),
            ("a.foo.example.com", "*.example.com", true),
            (".foo.example.com", "*.example.com", true),
            ("foo.example.com", "bar.example.com", true),
            ("foo.example.com", "*.example.org", true),
            ("", "anything", false),
        ] {
            assert_eq!(check(&[], &[subtree], name).is_ok(), allowed, "{subtree} {name}");
        }
        assert_eq!(check(&["com"], &["foo.com"], "foo.com"), Err(X509_V_ERR_EXCLUDED_VIOLATION));
    }

    #[test]
    fn a_subtree_without_meaning_refuses_what_it_might_concern() {
        for subtree in ["*.example.com", "a..b", "a b", "..a"] {
            let refused = Err(X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX);
            assert_eq!(check(&[], &[subtree], "other.test"), refused, "{subtree}");
            assert_eq!(check(&[subtree], &[], "other.test"), refused, "{subtree}");
        }
    }

    #[test]
    fn masks_are_ones_and_then_zeros() {
        for (mask, good) in [
            ([255, 255, 255, 0], true),
            ([255, 240, 0, 0], true),
            ([0, 0, 0, 0], true),
            ([255; 4], true),
            ([255, 0, 255, 0], false),
            ([255, 241, 0, 0], false),
            ([0, 0, 0, 1], false),
        ] {
            assert_eq!(is_prefix(&[&[10, 0, 0, 0], &mask[..]].concat()), good, "{mask:?}");
        }
        assert!(!is_prefix(&[10, 0, 0, 0]));
    }

    #[test]
    fn the_number_of_comparisons_is_bounded() {
        let excluded = vec![AlternativeName::Dns(b"a".into()); 9];
        let constraints = NameConstraints { excluded, ..NameConstraints::default() };
        let names = Names { dns: vec![b"b".to_vec(); 9], has_ip: false };
        let mut budget = 100;
        assert_eq!(constraints.check(&names, &mut budget), Ok(()));
        assert_eq!((budget, constraints.check(&names, &mut budget)), (19, Err(X509_V_ERR_UNSPECIFIED)));
    }
}
