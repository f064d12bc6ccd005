//! Tests that docs/parity.md names, looked up in the sources.
//!
//! Rust: `nodetls/tests/echo.rs::name_of_the_function`, the path being relative to crates/.
//! JavaScript: `npm/test/x.test.js: the sentence that test(…) is given`.

use std::fs;
use std::path::Path;

use super::Side;
use crate::process;

/// Says what is wrong when the test does not exist.
pub(super) fn check(side: Side, test: &str) -> Result<(), String> {
    let (directory, separator) = match side {
        Side::Rust => ("crates", "::"),
        Side::Js => ("", ": "),
    };
    let (file, name) =
        test.split_once(separator).ok_or_else(|| format!("`{test}` is not FILE{separator}TEST"))?;
    let source = read(&process::root().join(directory).join(file.trim()))?;
    let name = name.trim();
    let exists = match side {
        Side::Rust => has_rust_test(&source, name),
        Side::Js => js_titles(&source).iter().any(|title| title == name),
    };
    if exists { Ok(()) } else { Err(format!("no test `{name}` in {file}")) }
}

fn read(path: &Path) -> Result<String, String> {
    let shown = path.strip_prefix(process::root()).unwrap_or(path).display();
    fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))
}

/// Whether the function is there, under an attribute such as `#[test]` or `#[tokio::test(…)]`.
fn has_rust_test(source: &str, name: &str) -> bool {
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if function_name(line) == Some(name) {
            return is_test;
        }
        // Other attributes, comments and the lines of a long attribute may stand between.
        let ends = line.is_empty() || line.ends_with(['{', '}', ';']);
        is_test = is_test_attribute(line) || (is_test && !ends);
    }
    false
}

fn is_test_attribute(line: &str) -> bool {
    let path = line.strip_prefix("#[").and_then(|rest| rest.split([']', '(']).next());
    path.is_some_and(|path| path == "test" || path.ends_with("::test"))
}

fn function_name(line: &str) -> Option<&str> {
    let rest =
        ["fn ", "async fn ", "pub fn ", "pub async fn "].iter().find_map(|start| line.strip_prefix(start))?;
    rest.split(['(', '<']).next()
}

/// The first argument of each call of `test`, `it` or `describe`, when it is a literal.
fn js_titles(source: &str) -> Vec<String> {
    let calls = source.match_indices('(').filter(|(at, _)| is_test_function(&source[..*at]));
    calls.filter_map(|(at, _)| js_literal(source[at + 1..].trim_start())).collect()
}

/// Functions that take a title and make a test of it: those of Node.js, and those of `npm/test/world.js`.
const TEST_FUNCTIONS: [&str; 6] = ["test", "it", "describe", "inPairings", "withClients", "limited"];

/// Whether the text ends with the name of a test function, or with one of its variants such as `test.only`.
fn is_test_function(before: &str) -> bool {
    let is_name = |character: char| character.is_alphanumeric() || matches!(character, '_' | '$' | '.');
    let name = &before[before.trim_end_matches(is_name).len()..];
    name.split('.').any(|part| TEST_FUNCTIONS.contains(&part))
}

/// The value of a literal in any of the three quotes, with the escapes of quotes and backslashes resolved.
fn js_literal(text: &str) -> Option<String> {
    let mut characters = text.chars();
    let quote = characters.next().filter(|quote| ['\'', '"', '`'].contains(quote))?;
    let mut value = String::new();
    loop {
        match characters.next()? {
            '\\' => value.push(characters.next()?),
            character if character == quote => return Some(value),
            character => value.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUST: &str = "\
        #[test]\nfn plain() {\n}\n\nfn helper() {\n}\n\n\
        #[tokio::test(flavor = \"multi_thread\")]\n#[should_panic]\nasync fn with_runtime() {}\n\n\
        #[tokio::test]\nasync fn first() {}\nfn second() {}\n\
        mod tests {\n    #[test]\n    /// Says why.\n    fn nested() {}\n}\n";

    #[test]
    fn rust_tests_are_functions_under_a_test_attribute() {
        for name in ["plain", "with_runtime", "first", "nested"] {
            assert!(has_rust_test(RUST, name), "{name}");
        }
        for name in ["helper", "second", "plai", "absent"] {
            assert!(!has_rust_test(RUST, name), "{name}");
        }
    }

    #[test]
    fn js_tests_are_known_by_their_sentence() {
        let source = r#"
            test('a sentence', () => {});
            it("it's double", async () => {});
            describe.skip(`back ${quoted}`, f);
            await t.test(
              'on the next line: it\'s', f);
            console.log('no test');
        "#;
        let expected = ["a sentence", "it's double", "back ${quoted}", "on the next line: it's"];
        assert_eq!(js_titles(source), expected);
    }

    #[test]
    fn references_name_a_file_and_a_test() {
        assert!(check(Side::Rust, "nodetls/src").unwrap_err().contains("is not FILE::TEST"));
        assert!(
            check(Side::Rust, "no/such/file.rs::name").unwrap_err().starts_with("crates/no/such/file.rs: ")
        );
        assert!(check(Side::Js, "Cargo.toml: name").unwrap_err().contains("no test `name` in Cargo.toml"));
    }

    #[test]
    fn this_repository_can_be_looked_up() {
        let this = "../xtask/src/parity/reference.rs::this_repository_can_be_looked_up";
        assert_eq!(check(Side::Rust, this), Ok(()));
    }
}
