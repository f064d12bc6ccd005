//! Contexts by server name, as `server.addContext` of Node.js keeps them.

/// Values found by server name: exact names and patterns in which `*` stands for any characters but a dot.
///
/// Names are compared without regard to case (RFC 6066 §3). A later entry wins over an earlier one.
#[derive(Clone, Debug)]
pub struct ServerNames<T> {
    entries: Vec<(String, T)>,
}

impl<T> Default for ServerNames<T> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<T> ServerNames<T> {
    /// Adds a value for a name or pattern such as `*.example.com`; it takes the place of an earlier one for the same.
    pub fn insert(&mut self, pattern: &str, value: T) {
        let pattern = normalized(pattern);
        // It could never be found again, and a server whose certificates are renewed for years would keep them all.
        self.entries.retain(|(known, _)| *known != pattern);
        self.entries.push((pattern, value));
    }

    /// The value for a server name, if there is one.
    pub fn find(&self, name: &str) -> Option<&T> {
        let name = normalized(name);
        self.entries.iter().rev().find(|(pattern, _)| matches(pattern, &name)).map(|(_, value)| value)
    }
}

fn normalized(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Label by label, because `*` never stands for a dot.
fn matches(pattern: &str, name: &str) -> bool {
    let (mut patterns, mut labels) = (pattern.split('.'), name.split('.'));
    loop {
        match (patterns.next(), labels.next()) {
            (None, None) => return true,
            (Some(pattern), Some(label)) if label_matches(pattern.as_bytes(), label.as_bytes()) => {}
            _ => return false,
        }
    }
}

/// Greedy with one point of return, so that no pattern costs more than pattern × label.
fn label_matches(pattern: &[u8], label: &[u8]) -> bool {
    let (mut p, mut l) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while l < label.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, l));
            p += 1;
        } else if pattern.get(p) == Some(&label[l]) {
            p += 1;
            l += 1;
        } else if let Some((star_p, star_l)) = star {
            star = Some((star_p, star_l + 1));
            p = star_p + 1;
            l = star_l + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label_or_a_part_of_it() {
        for (pattern, name, expected) in [
            ("a.test", "a.test", true),
            ("a.test", "b.test", false),
            ("a.test", "xa.test", false),
            ("*.test", "a.test", true),
            ("*.test", "a.b.test", false),
            ("*", "localhost", true),
            ("*", "a.test", false),
            ("www*.a.test", "www2.a.test", true),
            ("*a*b.test", "xaab.test", true),
            ("*a*b.test", "xaac.test", false),
            ("A.Test", "a.tEST", true),
            ("a.test.", "a.test", true),
        ] {
            assert_eq!(
                matches(&normalized(pattern), &normalized(name)),
                expected,
                "{pattern} against {name}"
            );
        }
    }

    #[test]
    fn the_later_entry_wins() {
        let mut names = ServerNames::default();
        names.insert("a.test", 1);
        names.insert("*.test", 2);
        assert_eq!(names.find("A.TEST"), Some(&2));
        assert_eq!(names.find("other"), None);
    }
    #[test]
    fn an_entry_takes_the_place_of_an_earlier_one_for_the_same_name() {
        let mut names = ServerNames::default();
        for value in 0..100 {
            names.insert("a.test", value);
            names.insert("A.Test.", value + 1);
        }
        assert_eq!(names.find("a.test"), Some(&100));
        assert_eq!(names.entries.len(), 1);
    }
}
