//! docs/errors.md: every error code that the sources spell has a row, and the test of each row speaks of the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Side, reference};
use crate::process;

const DOCUMENT: &str = "docs/errors.md";

/// Crates whose errors users see.
const CRATES: [&str; 4] = ["nodetls-openssl", "nodetls-proto", "nodetls", "nodetls-cli"];

/// What is wrong with the document, and how many codes it has.
pub(super) fn check() -> (usize, Vec<String>) {
    let text = match fs::read_to_string(process::root().join(DOCUMENT)) {
        Ok(text) => text,
        Err(error) => return (0, vec![format!("{DOCUMENT}: {error}")]),
    };
    let rows = rows(&text);
    let mut errors: Vec<String> = rows.iter().filter_map(|(code, test)| check_row(code, (*test)?)).collect();
    let known: BTreeSet<&str> = rows.iter().map(|(code, _)| *code).collect();
    for file in CRATES.iter().flat_map(|name| sources(&process::root().join("crates").join(name).join("src")))
    {
        let source = fs::read_to_string(&file).unwrap_or_default();
        let unknown = codes(&source).into_iter().filter(|code| !known.contains(code));
        errors.extend(unknown.map(|code| format!("{DOCUMENT}: no row for {code} of {}", file.display())));
    }
    (rows.len(), errors)
}

/// The code of each row, and its test where it names one.
fn rows(text: &str) -> Vec<(&str, Option<&str>)> {
    let rows = text.lines().filter_map(|line| Some((line, line.strip_prefix("| `")?.split_once('`')?.0)));
    rows.map(|(line, code)| (code, line.rsplit('`').nth(1).filter(|cell| cell.contains("::")))).collect()
}

fn check_row(code: &str, test: &str) -> Option<String> {
    let missing = reference::check(Side::Rust, test).err();
    let file = test.split("::").next().unwrap_or(test);
    let source = fs::read_to_string(process::root().join("crates").join(file)).unwrap_or_default();
    let silent = (!source.contains(code)).then(|| format!("{file} does not speak of it"));
    missing.or(silent).map(|error| format!("{DOCUMENT}: {code}: {error}"))
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let (directories, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let rust = files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    rust.chain(directories.iter().flat_map(|directory| sources(directory))).collect()
}

/// The literals of the source that are codes; tests within it do not count, nor do beginnings of codes.
fn codes(source: &str) -> Vec<&str> {
    let code = source.split("#[cfg(test)]").next().unwrap_or(source);
    let literals = code.split("\"ERR_").skip(1).zip(code.match_indices("\"ERR_"));
    let codes = literals.filter_map(|(rest, (at, _))| {
        let length = rest.find('"')?;
        let is_code =
            rest.as_bytes()[..length].iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'));
        (is_code && length > 0).then(|| &code[at + 1..at + "\"ERR_".len() + length])
    });
    codes.filter(|code| !code.ends_with('_')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_a_code_and_may_have_a_test() {
        let text = "| code | meaning | test |\n| --- | --- | --- |\n| `ERR_A` | x `y` | `a/tests/b.rs::c` |\n| `ERR_B` | z |";
        assert_eq!(rows(text), [("ERR_A", Some("a/tests/b.rs::c")), ("ERR_B", None)]);
    }

    #[test]
    fn codes_are_whole_literals_outside_of_tests() {
        let source =
            "f(\"ERR_A\", \"ERR_B_1\"); format!(\"ERR_SSL_{}\"); \"ERR_OSSL_\"\n#[cfg(test)]\n\"ERR_C\"";
        assert_eq!(codes(source), ["ERR_A", "ERR_B_1"]);
    }

    #[test]
    fn a_test_that_is_not_there_or_is_silent_is_an_error() {
        assert!(check_row("ERR_NONE", "nodetls-proto/tests/questions/table.rs::no_such_test").is_some());
        let silent =
            check_row("ERR_NONE", "nodetls-proto/tests/questions/table.rs::declined_the_handshake_completes");
        assert!(silent.is_some_and(|error| error.contains("does not speak of it")));
    }
}
