//! The tables of docs/parity.md: Markdown whose heading is [`HEADER`], wherever in the document.

use std::fmt;

/// The heading of each table that is read; other tables are prose.
pub(super) const HEADER: &str = "| id | entry | Rust | Rust test | JS | JS test | deviation |";

/// Work that is not done yet.
const PLANNED: &str = "planned";

/// There is nothing to do on this side.
pub(super) const NONE: &str = "—";

/// One of the two forms of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Rust,
    Js,
}

impl Side {
    pub(super) const ALL: [Self; 2] = [Self::Rust, Self::Js];
}

impl fmt::Display for Side {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Rust => "Rust",
            Self::Js => "JS",
        })
    }
}

/// One entry.
#[derive(Debug)]
pub(super) struct Row {
    line: usize,
    pub(super) id: String,
    rust: (String, String),
    js: (String, String),
    pub(super) deviation: String,
}

impl Row {
    fn new(line: usize, cells: Vec<String>) -> Result<Self, String> {
        let count = cells.len();
        let cells: [String; 7] = cells
            .try_into()
            .map_err(|_| format!("{}:{line}: {count} cells instead of 7", super::DOCUMENT))?;
        let [id, _entry, rust, rust_test, js, js_test, deviation] = cells;
        Ok(Self { line, id, rust: (rust, rust_test), js: (js, js_test), deviation })
    }

    /// Where the entry lives, and its tests.
    pub(super) fn cells(&self, side: Side) -> (&str, &str) {
        let (place, test) = match side {
            Side::Rust => &self.rust,
            Side::Js => &self.js,
        };
        (place, test)
    }

    pub(super) fn is_planned(&self, side: Side) -> bool {
        let (place, test) = self.cells(side);
        place == PLANNED || test == PLANNED
    }

    /// The tests that a side names, without the backquotes around them.
    pub(super) fn tests(&self, side: Side) -> impl Iterator<Item = &str> {
        let tests = self.cells(side).1.split("<br>").map(unquoted);
        tests.filter(|test| !["", PLANNED, NONE].contains(test))
    }

    /// What is wrong with this row, with its place.
    pub(super) fn error(&self, what: &str) -> String {
        format!("{}:{}: {}: {what}", super::DOCUMENT, self.line, self.id)
    }
}

/// All rows of all tables, and what is wrong with those that are not rows.
pub(super) fn rows(text: &str) -> (Vec<Row>, Vec<String>) {
    let (mut rows, mut errors, mut inside) = (Vec::new(), Vec::new(), false);
    for (number, line) in (1usize..).zip(text.lines().map(str::trim)) {
        if !line.starts_with('|') {
            inside = false;
        } else if is_header(line) {
            inside = true;
        } else if inside && !is_rule(line) {
            match Row::new(number, cells(line)) {
                Ok(row) => rows.push(row),
                Err(error) => errors.push(error),
            }
        }
    }
    (rows, errors)
}

fn is_header(line: &str) -> bool {
    cells(line) == cells(HEADER)
}

/// The line between the heading and the rows.
fn is_rule(line: &str) -> bool {
    line.chars().all(|character| matches!(character, '|' | '-' | ':' | ' '))
}

/// The cells of a line that begins with a bar; `\|` is a bar inside of a cell.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell) = (Vec::new(), String::new());
    let mut characters = line.chars().skip(1).peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.next_if_eq(&'|').is_some() => cell.push('|'),
            '|' => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            other => cell.push(other),
        }
    }
    if !cell.trim().is_empty() {
        cells.push(cell.trim().to_owned());
    }
    cells
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('`').and_then(|inner| inner.strip_suffix('`')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(lines: &str) -> (Vec<Row>, Vec<String>) {
        rows(&format!("# Parity\n\n{HEADER}\n| --- | :-- | --- | --- | --- | --- | --- |\n{lines}\n"))
    }

    #[test]
    fn rows_are_read_from_tables_with_the_heading_only() {
        let (rows, errors) = rows("| a | b |\n|---|---|\n| A01 | x |\n");
        assert!(rows.is_empty() && errors.is_empty());
        let (rows, errors) = table("| A01 | x | y | t | z | u | |\n\n| A02 | after | the | table | | | |");
        assert_eq!((rows.len(), errors), (1, Vec::new()));
        assert_eq!((rows[0].id.as_str(), rows[0].line), ("A01", 5));
        assert_eq!((rows[0].cells(Side::Rust), rows[0].cells(Side::Js)), (("y", "t"), ("z", "u")));
    }

    #[test]
    fn escaped_bars_stay_in_their_cell() {
        assert_eq!(cells(r"| a \| b | `c\d` | |"), ["a | b", r"`c\d`", ""]);
        assert_eq!(cells("| a | b"), ["a", "b"]);
    }

    #[test]
    fn a_row_of_another_length_is_an_error_with_its_line() {
        let (rows, errors) = table("| A01 | x | y |");
        assert!(rows.is_empty());
        assert_eq!(errors, ["docs/parity.md:5: 3 cells instead of 7"]);
    }

    #[test]
    fn several_tests_are_separated_by_breaks_and_may_be_quoted() {
        let (rows, _) = table("| A01 | x | y | `a.rs::b`<br>c.rs::d | planned | — | |");
        assert_eq!(rows[0].tests(Side::Rust).collect::<Vec<_>>(), ["a.rs::b", "c.rs::d"]);
        assert_eq!(rows[0].tests(Side::Js).count(), 0);
        assert!(rows[0].is_planned(Side::Js) && !rows[0].is_planned(Side::Rust));
    }
}
