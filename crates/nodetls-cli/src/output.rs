//! Lines for people and programs, each written at once; and how text of a peer becomes fit to stand in them.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use crate::failure::Failure;

/// Writes a line, or several, to standard output.
pub(crate) fn out(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(format!("{text}\n").as_bytes()).and_then(|()| stdout.flush());
    written.map_err(Failure::stdout)
}

/// Writes a line, or several, to standard error. When nobody reads it, there is nobody to tell that either.
pub(crate) fn err(text: &str) {
    let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// What a peer sends must neither steer the terminal nor pass for a line of ours: control characters are spelled out.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            // Writing to a string cannot fail.
            let _ = write!(printable, "{}", character.escape_unicode());
        } else {
            printable.push(character);
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_spelled_out() {
        assert_eq!(printable("ä\x1b[2Jb\nc"), "ä\\u{1b}[2Jb\\u{a}c");
    }
}
