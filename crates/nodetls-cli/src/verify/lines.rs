//! `verify --json`: one request a line on standard input, one answer a line on standard output.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};
use std::panic::catch_unwind;

use nodetls::{Error, IdentityMismatch, Purpose, ServerName, VerifyRequest, verify_chain};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::time;
use crate::failure::Failure;
use crate::output;

/// A line is refused when it is longer. Ten thousand certificates are shorter.
const MAX_LINE: usize = 32 << 20;

/// The code of a request that is not one.
const INVALID: &str = "ERR_INVALID_ARG_VALUE";

/// Answers until the input ends.
pub(super) fn run(strict: bool) -> Result<(), Failure> {
    let mut input = io::stdin().lock();
    while let Some(line) = read_line(&mut input).map_err(|error| Failure::io("read standard input", error))? {
        output::out(&answer(line.as_deref(), strict))?;
    }
    Ok(())
}

/// The next line without its end, `Some(None)` for one that is too long; `None` at the end of the input.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Option<Vec<u8>>>> {
    let mut line = Vec::new();
    let count = input.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
    if line.last() == Some(&b'\n') || count <= MAX_LINE {
        return Ok((count > 0).then_some(Some(line)));
    }
    input.skip_until(b'\n')?;
    Ok(Some(None))
}

/// A request's members as they came: one that is not known may be whatever it likes, and one that cannot be read leaves
/// the others, the `id` above all, as they are.
struct Members(BTreeMap<String, Box<RawValue>>);

impl Members {
    fn of(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok().map(Self)
    }

    /// Null where there is none.
    fn get(&self, name: &str) -> Result<Value, Rejection> {
        let value = self.0.get(name).map(|raw| serde_json::from_str(raw.get()));
        value.transpose().map(Option::unwrap_or_default).map_err(|_| Rejection::invalid())
    }
}

/// Where a chain was refused, and the code of it.
struct Rejection {
    stage: &'static str,
    code: Cow<'static, str>,
}

impl Rejection {
    const fn new(stage: &'static str, code: &'static str) -> Self {
        Self { stage, code: Cow::Borrowed(code) }
    }

    const fn invalid() -> Self {
        Self::new("parse", INVALID)
    }
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        let stage = match error {
            Error::Config(_) => "parse",
            Error::Identity(_) => "name",
            _ => "chain",
        };
        Self { stage, code: error.code().into_owned().into() }
    }
}

fn answer(line: Option<&[u8]>, strict: bool) -> String {
    let Some(members) = line.and_then(Members::of) else {
        return answer_line(&Value::Null, Err(Rejection::invalid()));
    };
    let id = members.get("id").ok().filter(Value::is_string).unwrap_or_default();
    // One request must not end the others, even if it meets a bug.
    let verdict = catch_unwind(|| verdict(&members, strict));
    answer_line(&id, verdict.unwrap_or_else(|_| Err(Rejection::new("chain", "ERR_INTERNAL_ASSERTION"))))
}

/// `id` stands first, which a map would not keep to.
fn answer_line(id: &Value, verdict: Result<(), Rejection>) -> String {
    let (verdict, stage, code) = match verdict {
        Ok(()) => ("accept", Value::Null, Value::Null),
        Err(Rejection { stage, code }) => ("reject", stage.into(), json!(code)),
    };
    format!(r#"{{"id":{id},"verdict":"{verdict}","stage":{stage},"code":{code}}}"#)
}

fn verdict(members: &Members, strict: bool) -> Result<(), Rejection> {
    let name = name(&members.get("name")?)?;
    let request = VerifyRequest {
        leaf: text(&members.get("leaf")?)?,
        intermediates: texts(&members.get("intermediates")?)?,
        roots: Some(texts(&members.get("roots")?)?),
        crl: texts(&members.get("crls")?)?,
        purpose: purpose(&members.get("purpose")?)?,
        server_name: name.clone().flatten(),
        time: optional(&members.get("time")?, |value| value.as_str().and_then(time))?,
        max_depth: optional(&members.get("max_depth")?, depth)?,
        strict,
        ..VerifyRequest::default()
    };
    verify_chain(&request)?;
    match name {
        Some(None) => Err(Rejection::new("name", IdentityMismatch::CODE)),
        _ => Ok(()),
    }
}

fn optional<'a, T>(
    value: &'a Value,
    parse: impl FnOnce(&'a Value) -> Option<T>,
) -> Result<Option<T>, Rejection> {
    match value {
        Value::Null => Ok(None),
        value => parse(value).map(Some).ok_or_else(Rejection::invalid),
    }
}

fn text(value: &Value) -> Result<Vec<u8>, Rejection> {
    value.as_str().map(|text| text.as_bytes().to_vec()).ok_or_else(Rejection::invalid)
}

fn texts(value: &Value) -> Result<Vec<Vec<u8>>, Rejection> {
    optional(value, Value::as_array)?.into_iter().flatten().map(text).collect()
}

fn purpose(value: &Value) -> Result<Purpose, Rejection> {
    match value.as_str() {
        Some("server") => Ok(Purpose::Server),
        Some("client") => Ok(Purpose::Client),
        _ => Err(Rejection::invalid()),
    }
}

/// More than OpenSSL's own limit changes nothing.
fn depth(value: &Value) -> Option<u32> {
    let whole = |number: f64| number >= 0.0 && number.fract() == 0.0;
    match value.as_u64() {
        Some(depth) => Some(u32::try_from(depth).unwrap_or(u32::MAX)),
        None => value.as_f64().filter(|number| whole(*number)).map(|number| number as u32),
    }
}

/// `Some(None)` is a name that no certificate is for.
fn name(value: &Value) -> Result<Option<Option<ServerName>>, Rejection> {
    optional(value, |value| {
        let name = ServerName::parse(value.get("value")?.as_str()?).ok();
        match value.get("kind")?.as_str()? {
            "dns" => Some(name),
            "ip" => Some(name.filter(|name| matches!(name, ServerName::Ip(_)))),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let long = vec![b'x'; MAX_LINE + 1];
        let text = [b"a\n".as_slice(), &long, b"\n\nlast"].concat();
        let mut input = text.as_slice();
        assert_eq!(read_line(&mut input).unwrap(), Some(Some(b"a\n".to_vec())));
        assert_eq!(read_line(&mut input).unwrap(), Some(None));
        assert_eq!(read_line(&mut input).unwrap(), Some(Some(b"\n".to_vec())));
        assert_eq!(read_line(&mut input).unwrap(), Some(Some(b"last".to_vec())));
        assert_eq!(read_line(&mut input).unwrap(), None);
    }

    #[test]
    fn what_is_no_request_is_answered_as_such() {
        let bad = |id: &str| {
            format!(r#"{{"id":{id},"verdict":"reject","stage":"parse","code":"ERR_INVALID_ARG_VALUE"}}"#)
        };
        for line in ["", "{", "[]", "null", "\u{0}", &"[".repeat(100_000), "{}", r#"{"id":7}"#] {
            assert_eq!(answer(Some(line.as_bytes()), false), bad("null"), "{line:.20}");
        }
        assert_eq!(answer(Some(b"\xFF\xFE"), false), bad("null"));
        assert_eq!(answer(None, false), bad("null"));
        for rest in [
            r#""purpose":"server""#,
            r#""purpose":"judge","leaf":"""#,
            r#""purpose":"server","leaf":"","roots":"x""#,
            r#""purpose":"server","leaf":"","roots":[1]"#,
            r#""purpose":"server","leaf":"","time":"yesterday""#,
            r#""purpose":"server","leaf":"","max_depth":-1"#,
            r#""purpose":"server","leaf":"","name":{"kind":"url","value":"x"}"#,
        ] {
            assert_eq!(
                answer(Some(format!(r#"{{"id":"a\"b",{rest}}}"#).as_bytes()), false),
                bad(r#""a\"b""#)
            );
        }
    }
}
