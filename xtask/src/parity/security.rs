//! docs/security.md: each flaw has at least one test, and the tests that it names exist.

use std::fs;

use super::{Side, reference, table};
use crate::process;

const DOCUMENT: &str = "docs/security.md";

/// The heading of each table that is read.
const HEADER: &str = "| what | the flaw | what nodetls does | Rust tests | JS tests |";

/// What is wrong with the document, and how many rows it has.
pub(super) fn check() -> (usize, Vec<String>) {
    let text = match fs::read_to_string(process::root().join(DOCUMENT)) {
        Ok(text) => text,
        Err(error) => return (0, vec![format!("{DOCUMENT}: {error}")]),
    };
    let rows = rows(&text);
    (rows.len(), rows.iter().flat_map(|row| check_row(row)).collect())
}

/// The rows of the tables, by their cells.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let mut is_table = false;
    let mut rows = Vec::new();
    for line in text.lines() {
        is_table = line == HEADER || (is_table && line.starts_with('|'));
        if is_table && line != HEADER && !line.starts_with("| ---") {
            rows.push(line.trim_matches('|').split('|').map(str::trim).collect());
        }
    }
    rows
}

fn check_row(row: &[&str]) -> Vec<String> {
    let [what, _, _, rust, js] = row else {
        return vec![format!("{DOCUMENT}: {} cells instead of 5: {}", row.len(), row.join(" | "))];
    };
    let tests = [(Side::Rust, *rust), (Side::Js, *js)];
    let missing = tests
        .iter()
        .flat_map(|(side, cell)| names(cell).filter_map(|test| reference::check(*side, test).err()));
    let mut errors: Vec<String> = missing.map(|error| format!("{DOCUMENT}: {what}: {error}")).collect();
    for (side, cell) in tests {
        if names(cell).next().is_none() && cell != table::NONE {
            errors.push(format!("{DOCUMENT}: {what}: neither a test nor {} for {side}", table::NONE));
        }
    }
    if tests.iter().all(|(_, cell)| names(cell).next().is_none()) {
        errors.push(format!("{DOCUMENT}: {what}: no test"));
    }
    errors
}

/// The texts between back quotes.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_those_of_the_tables_with_the_heading() {
        let text = format!("| a | b |\n\n{HEADER}\n| --- | --- |\n| x | y | z | `a`<br>`b` | — |\n\n| c |");
        assert_eq!(rows(&text), [["x", "y", "z", "`a`<br>`b`", "—"]]);
        assert_eq!(names("`a`<br>`b`").collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_row_without_tests_or_with_unknown_ones_is_an_error() {
        assert!(check_row(&["x", "y", "z", "—", "—"])[0].ends_with("no test"));
        assert!(check_row(&["x", "y", "z", "", "—"])[0].contains("neither a test"));
        assert!(
            check_row(&["x", "y", "z", "`nodetls-proto/tests/data.rs::no_such_test`", "—"])[0]
                .contains("no test `no_such_test`")
        );
        assert!(check_row(&["x", "y"])[0].contains("cells"));
    }
}
