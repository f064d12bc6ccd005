//! `cargo xtask parity`: docs/parity.md has a row for every entry of the manual, docs/errors.md one for every error code,
//! docs/security.md tests for every flaw, and every test that they name exists.
//!
//! The entries are those of `xtask/entries.tsv`. A cell says `planned` while the work is not done, and `—` when there
//! is nothing to do on that side, for a reason that the last column then gives.

mod errors;
mod reference;
mod security;
mod table;

use std::collections::BTreeMap;
use std::fs;

use crate::{Outcome, process};
use table::{Row, Side};

/// One entry a line after the heading: id, part, name, separated by tabs.
const ENTRIES: &str = include_str!("../entries.tsv");

const DOCUMENT: &str = "docs/parity.md";

/// Checks the document; with `--complete` nothing may be planned any more on the sides named after it, or on both.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let complete = complete_sides(arguments)?;
    let text = fs::read_to_string(process::root().join(DOCUMENT))
        .map_err(|error| vec![format!("{DOCUMENT}: {error}")])?;
    let ids = ids(ENTRIES);
    let (rows, mut errors) = table::rows(&text);
    errors.extend(check_ids(&ids, &rows));
    errors.extend(rows.iter().flat_map(|row| check_row(row, &complete)));
    let (codes, wrong) = errors::check();
    errors.extend(wrong);
    let (flaws, wrong) = security::check();
    errors.extend(wrong);
    println!("errors: {codes} codes");
    println!("security: {flaws} rows");
    println!("parity: {} entries, {} rows", ids.len(), rows.len());
    for side in Side::ALL {
        println!("{}", summary(side, &rows));
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn complete_sides(arguments: &[&str]) -> Result<Vec<Side>, Vec<String>> {
    match arguments {
        [] => Ok(Vec::new()),
        ["--complete"] => Ok(Side::ALL.to_vec()),
        ["--complete", "rust"] => Ok(vec![Side::Rust]),
        ["--complete", "js"] => Ok(vec![Side::Js]),
        _ => Err(vec!["parity knows only --complete, --complete rust and --complete js".to_owned()]),
    }
}

fn ids(entries: &str) -> Vec<&str> {
    let lines = entries.lines().skip(1).filter(|line| !line.trim().is_empty());
    lines.map(|line| line.split('\t').next().unwrap_or(line)).collect()
}

/// Every entry has one row, and every row an entry.
fn check_ids(ids: &[&str], rows: &[Row]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = ids.iter().map(|id| (*id, 0)).collect();
    let mut errors = Vec::new();
    for row in rows {
        match counts.get_mut(row.id.as_str()) {
            Some(count) => *count += 1,
            None => errors.push(row.error("no such id in xtask/entries.tsv")),
        }
    }
    for (id, count) in counts.into_iter().filter(|(_, count)| *count != 1) {
        errors.push(format!("{DOCUMENT}: {id} has {count} rows and should have one"));
    }
    errors
}

fn check_row(row: &Row, complete: &[Side]) -> Vec<String> {
    Side::ALL.into_iter().flat_map(|side| check_side(row, side, complete.contains(&side))).collect()
}

fn check_side(row: &Row, side: Side, complete: bool) -> Vec<String> {
    let (place, test) = row.cells(side);
    let mut errors = Vec::new();
    if complete && row.is_planned(side) {
        errors.push(row.error(&format!("still planned in {side}")));
    }
    if place.is_empty() || test.is_empty() {
        errors.push(row.error(&format!("an empty cell for {side}: write `planned`, or — and the reason")));
    }
    if (place == table::NONE || test == table::NONE) && row.deviation.is_empty() {
        errors.push(row.error(&format!("— for {side} needs its reason in the last column")));
    }
    errors
        .extend(row.tests(side).filter_map(|test| reference::check(side, test).err()).map(|e| row.error(&e)));
    errors
}

fn summary(side: Side, rows: &[Row]) -> String {
    let planned = rows.iter().filter(|row| row.is_planned(side)).count();
    let tests = rows.iter().flat_map(|row| row.tests(side)).count();
    format!("{side}: {} done, {planned} planned, {tests} references to tests", rows.len() - planned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(lines: &[&str]) -> Vec<Row> {
        let (rows, errors) = table::rows(&format!("{}\n|---|\n{}", table::HEADER, lines.join("\n")));
        assert_eq!(errors, [""; 0]);
        rows
    }

    #[test]
    fn the_list_of_entries_is_whole() {
        let ids = ids(ENTRIES);
        assert_eq!((ids.len(), ids.first(), ids.last()), (183, Some(&"A01"), Some(&"H11")));
    }

    #[test]
    fn missing_repeated_and_unknown_ids_are_errors() {
        let planned = |id: &str| format!("| {id} | x | planned | planned | planned | planned | |");
        let (a, b, c) = (planned("A01"), planned("B01"), planned("C01"));
        assert_eq!(check_ids(&["A01", "B01"], &rows(&[&a, &b])), [""; 0]);
        let errors = check_ids(&["A01", "B01"], &rows(&[&a, &a, &c])).join("\n");
        for part in ["C01: no such id", "A01 has 2 rows", "B01 has 0 rows"] {
            assert!(errors.contains(part), "{errors}");
        }
    }

    #[test]
    fn planned_is_an_error_only_on_a_side_that_must_be_complete() {
        let row = &rows(&["| A01 | x | y | — | planned | planned | why |"])[0];
        assert_eq!(check_row(row, &[]), [""; 0]);
        assert_eq!(check_row(row, &[Side::Rust]), [""; 0]);
        assert_eq!(check_row(row, &[Side::Js]).len(), 1);
    }

    #[test]
    fn empty_cells_and_dashes_without_reason_are_errors() {
        let row = &rows(&["| A01 | x | y | — | | planned | |"])[0];
        let errors = check_row(row, &[]).join("\n");
        assert!(errors.contains("needs its reason") && errors.contains("empty cell"), "{errors}");
    }

    #[test]
    fn the_words_after_complete_select_sides() {
        assert_eq!(complete_sides(&["--complete"]), Ok(vec![Side::Rust, Side::Js]));
        assert_eq!(complete_sides(&["--complete", "js"]), Ok(vec![Side::Js]));
        assert!(complete_sides(&["--complete", "c"]).is_err());
    }

    #[test]
    fn done_and_planned_entries_are_counted() {
        let rows = rows(&[
            "| A01 | x | y | — | planned | planned | why |",
            "| A02 | x | y | planned | z | a.js: b<br>c.js: d | |",
        ]);
        assert_eq!(summary(Side::Rust, &rows), "Rust: 1 done, 1 planned, 0 references to tests");
        assert_eq!(summary(Side::Js, &rows), "JS: 1 done, 1 planned, 2 references to tests");
    }
}
