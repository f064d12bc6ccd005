//! Just enough of Rust's lexical grammar to tell code from comments and literals.
//!
//! Corresponds to the chapters "Comments" and "Tokens" of the Rust reference; it assumes that the file compiles.

/// The code with every comment and every literal of characters or bytes replaced by a space; line breaks are kept.
pub(crate) fn code_only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = trivia_length(rest, code.chars().next_back());
        if length == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.push(' ');
            code.extend(rest[..length].chars().filter(|character| *character == '\n'));
            rest = &rest[length..];
        }
    }
    code
}

/// Whether a character can be part of an identifier.
pub(crate) fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

/// The length in bytes of the comment or literal that `text` begins with; 0 when it begins with code.
fn trivia_length(text: &str, before: Option<char>) -> usize {
    match text.as_bytes() {
        [b'/', b'/', ..] => text.find('\n').unwrap_or(text.len()),
        [b'/', b'*', ..] => block_comment_length(text),
        [b'"', ..] => quoted_length(text),
        [b'\'', ..] => char_length(text),
        [b'r' | b'b' | b'c', ..] if !before.is_some_and(is_word) => raw_length(text),
        _ => 0,
    }
}

/// Block comments nest.
fn block_comment_length(text: &str) -> usize {
    let (mut depth, mut position) = (0usize, 0);
    while position < text.len() {
        let step = match &text.as_bytes()[position..] {
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        position += step;
        if depth == 0 {
            return position;
        }
    }
    text.len()
}

/// A literal in double quotes that begins here.
fn quoted_length(text: &str) -> usize {
    let mut escaped = false;
    for (position, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return position + 1,
            _ => {}
        }
    }
    text.len()
}

/// A literal in single quotes; 0 for a lifetime or a label.
fn char_length(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => {
            let end = text.get(3..).and_then(|rest| rest.find('\''));
            end.map_or(text.len(), |position| position + 4)
        }
        Some((_, _)) => characters.next().filter(|(_, second)| *second == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

/// A raw string such as `br#"…"#`; 0 for an identifier that merely begins with the same letter.
fn raw_length(text: &str) -> usize {
    let prefix = text.bytes().take_while(|byte| matches!(byte, b'r' | b'b' | b'c')).count();
    let hashes = text.bytes().skip(prefix).take_while(|byte| *byte == b'#').count();
    let open = prefix + hashes;
    if !text[..prefix].ends_with('r') || text.as_bytes().get(open) != Some(&b'"') {
        return 0;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    text[open + 1..].find(&close).map_or(text.len(), |position| open + 1 + position + close.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Vec<String> {
        code_only(source).split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn comments_vanish_and_nest() {
        assert_eq!(words("a // b\nc /* d /* e */ f */ g"), ["a", "c", "g"]);
        assert_eq!(words("/// doc\nfn"), ["fn"]);
    }

    #[test]
    fn literals_vanish_with_their_escapes() {
        assert_eq!(words(r#"a "b \" c" d"#), ["a", "d"]);
        assert_eq!(words(r###"a r#"b " c"# d br"\" e"###), ["a", "d", "e"]);
        assert_eq!(words(r"a '\'' b '\\' c 'd' e b'f' g '\u{1F600}' h"), ["a", "b", "c", "e", "b", "g", "h"]);
    }

    #[test]
    fn lifetimes_labels_and_raw_identifiers_are_code() {
        assert_eq!(words("&'a str 'b: loop r#type rest"), ["&'a", "str", "'b:", "loop", "r#type", "rest"]);
    }

    #[test]
    fn a_quote_in_a_comment_opens_nothing() {
        assert_eq!(words("// it's \"so\nunsafe"), ["unsafe"]);
    }

    #[test]
    fn line_breaks_stay_where_they_are() {
        assert_eq!(code_only("a\n/* b\nc */\nd \"e\nf\"\ng").matches('\n').count(), 5);
    }
}
