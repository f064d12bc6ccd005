//! `cargo xtask fence`: unsafe code stays in the one crate that exists for it.
//!
//! The attribute in every crate root is what the compiler enforces; the search for the keyword also covers tests,
//! examples and build scripts, which are crates of their own.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Outcome, lexer, process};

/// The one directory that may contain unsafe code.
const FENCE: &str = "crates/nodetls-openssl";

/// The macros of this package expand to unsafe code, so its root may deny it and expect it at named places.
const BINDING: &str = "npm";

/// Generated or foreign directories.
const SKIPPED: [&str; 4] = ["target", "node_modules", ".git", "corpus"];

/// Checks all Rust files of the repository.
pub(crate) fn run() -> Outcome {
    let root = process::root();
    let errors: Vec<String> = files(root).iter().flat_map(|file| check(root, file)).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() && !SKIPPED.contains(&name.as_str()) {
            files.extend(self::files(&path));
        } else if name.ends_with(".rs") {
            files.push(path);
        }
    }
    files
}

fn check(root: &Path, file: &Path) -> Vec<String> {
    let path = file.strip_prefix(root).unwrap_or(file);
    if path.starts_with(FENCE) {
        return Vec::new();
    }
    match fs::read_to_string(file) {
        Ok(source) => check_source(path, &source),
        Err(error) => vec![format!("{}: {error}", path.display())],
    }
}

fn check_source(path: &Path, source: &str) -> Vec<String> {
    let code = lexer::code_only(source);
    let is_unsafe = |line: &str| line.split(|c| !lexer::is_word(c)).any(|word| word == "unsafe");
    let mut errors: Vec<String> = (1usize..)
        .zip(code.lines())
        .filter(|(_, line)| is_unsafe(line))
        .map(|(number, _)| format!("{}:{number}: unsafe code outside {FENCE}", path.display()))
        .collect();
    if is_crate_root(path) && !forbids(path, &code) {
        errors.push(format!("{}: this crate root lacks #![forbid(unsafe_code)]", path.display()));
    }
    errors
}

/// A library or a program; the fuzz targets are neither, for their macro defines an exported symbol.
fn is_crate_root(path: &Path) -> bool {
    let text = path.to_string_lossy().replace('\\', "/");
    let in_source = text.ends_with("src/lib.rs") || text.ends_with("src/main.rs");
    in_source || path.parent().is_some_and(|parent| parent.ends_with("src/bin"))
}

fn forbids(path: &Path, code: &str) -> bool {
    let dense: String = code.split_whitespace().collect();
    let denies = path.starts_with(BINDING) && dense.contains("#![deny(unsafe_code");
    denies || dense.contains("#![forbid(unsafe_code")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(path: &str, source: &str) -> usize {
        check_source(Path::new(path), source).len()
    }

    #[test]
    fn the_keyword_is_found_in_code_only() {
        assert_eq!(errors("crates/a/src/b.rs", "fn f() { unsafe { g() } }"), 1);
        assert_eq!(errors("crates/a/src/b.rs", "// unsafe\nfn f() -> &str { \"unsafe\" } // unsafe_code"), 0);
        assert_eq!(errors("crates/a/src/b.rs", "#[unsafe(no_mangle)]\nfn f() {}"), 1);
        assert_eq!(errors("crates/a/src/b.rs", "#![forbid(unsafe_code)]"), 0);
    }

    #[test]
    fn every_root_forbids_it() {
        for path in ["crates/a/src/lib.rs", "xtask/src/main.rs", "crates/a/src/bin/b.rs"] {
            assert_eq!(errors(path, "fn main() {}"), 1, "{path}");
            assert_eq!(errors(path, "#![forbid(unsafe_code)]\nfn main() {}"), 0, "{path}");
            assert_eq!(errors(path, "//! #![forbid(unsafe_code)]\nfn main() {}"), 1, "{path}");
        }
        assert_eq!(errors("crates/a/tests/b.rs", "fn main() {}"), 0);
    }

    #[test]
    fn only_the_binding_may_deny_instead() {
        assert_eq!(errors("npm/src/lib.rs", "#![deny(unsafe_code)]"), 0);
        assert_eq!(errors("crates/a/src/lib.rs", "#![deny(unsafe_code)]"), 1);
    }
}
