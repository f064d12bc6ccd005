//! The core's events as plain objects: `{ type, … }`. Those with `question: true` wait for an answer.

use napi::bindgen_prelude::{BufferSlice, Env, Object, Result};
use nodetls_proto::{ClientHello, Event};

use crate::error::NativeError;
use crate::question::Open;

/// What an event becomes for JavaScript, and the question that it has opened.
pub(crate) fn describe<'env>(env: &'env Env, event: Event) -> Result<(Object<'env>, Option<Open>)> {
    let mut object = Object::new(env)?;
    let open = match event {
        Event::Secure => named(&mut object, "secure")?,
        Event::KeyLog(line) => {
            object.set("line", bytes(env, line.expose())?)?;
            named(&mut object, "keylog")?
        }
        Event::Session(session) => {
            // A session that cannot be written cannot be resumed either; nobody misses it.
            let der = session.to_der().map(|der| der.expose().to_vec()).unwrap_or_default();
            object.set("session", bytes(env, &der)?)?;
            named(&mut object, "session")?
        }
        Event::OcspResponse(response) => {
            object.set("response", bytes(env, &response)?)?;
            named(&mut object, "ocspResponse")?
        }
        Event::Trace(text) => {
            object.set("text", text.as_str())?;
            named(&mut object, "trace")?
        }
        Event::Renegotiated => named(&mut object, "renegotiated")?,
        Event::ClientAuthenticated => named(&mut object, "clientAuthenticated")?,
        Event::Failed(error) => {
            object.set("error", NativeError::from(&error))?;
            named(&mut object, "failed")?
        }
        other => return question(env, object, other),
    };
    Ok((object, open))
}

fn named(object: &mut Object<'_>, name: &str) -> Result<Option<Open>> {
    object.set("type", name)?;
    Ok(None)
}

fn question<'env>(
    env: &'env Env,
    mut object: Object<'env>,
    event: Event,
) -> Result<(Object<'env>, Option<Open>)> {
    object.set("question", true)?;
    let (name, open) = match event {
        Event::ClientHello(question) => {
            object.set("hello", hello(env, &question.facts().hello)?)?;
            ("clientHello", Open::ClientHello(question))
        }
        Event::SelectContext(question) => {
            object.set("servername", question.facts().server_name.as_str())?;
            object.set("hello", hello(env, &question.facts().hello)?)?;
            ("selectContext", Open::SelectContext(question))
        }
        Event::SelectAlpn(question) => {
            object.set("protocols", all_bytes(env, &question.facts().protocols)?)?;
            object.set("servername", question.facts().server_name.clone().unwrap_or_default())?;
            ("selectAlpn", Open::SelectAlpn(question))
        }
        Event::ResumeSession(question) => {
            object.set("sessionId", bytes(env, &question.facts().session_id)?)?;
            ("resumeSession", Open::ResumeSession(question))
        }
        Event::NewSession(question) => {
            let facts = question.facts();
            let der = facts.session.to_der().map(|der| der.expose().to_vec()).unwrap_or_default();
            object.set("sessionId", bytes(env, &facts.session_id)?)?;
            object.set("session", bytes(env, &der)?)?;
            ("newSession", Open::NewSession(question))
        }
        Event::OcspRequest(question) => {
            let facts = question.facts();
            object.set("certificate", bytes(env, &facts.certificate.to_der())?)?;
            object.set(
                "issuer",
                facts.issuer.as_ref().map(|issuer| bytes(env, &issuer.to_der())).transpose()?,
            )?;
            ("ocspRequest", Open::OcspRequest(question))
        }
        Event::VerifyPeer(question) => {
            let facts = question.facts();
            let chain: Vec<_> = facts.certificates.iter().map(|certificate| certificate.to_der()).collect();
            object.set("certificates", all_bytes(env, &chain)?)?;
            object.set("objection", facts.objection.as_ref().map(NativeError::from))?;
            object.set("servername", facts.server_name.as_ref().map(ToString::to_string))?;
            ("verifyPeer", Open::VerifyPeer(question))
        }
        Event::Psk(question) => {
            let facts = question.facts();
            let text = |bytes: &Option<Vec<u8>>| {
                bytes.as_deref().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            };
            object.set("identity", text(&facts.identity))?;
            object.set("hint", text(&facts.hint))?;
            object.set("version", facts.protocol_version.as_str())?;
            ("psk", Open::Psk(question))
        }
        Event::Sign(question) => {
            let facts = question.facts();
            object.set("certificate", bytes(env, &facts.certificate.to_der())?)?;
            object.set("scheme", facts.scheme.name())?;
            object.set("hash", facts.scheme.hash())?;
            object.set("message", bytes(env, &facts.message)?)?;
            ("sign", Open::Sign(question))
        }
        // Nothing that JavaScript knows of.
        _ => {
            object.set("question", false)?;
            object.set("type", "unknown")?;
            return Ok((object, None));
        }
    };
    object.set("type", name)?;
    Ok((object, Some(open)))
}

fn hello<'env>(env: &'env Env, hello: &ClientHello) -> Result<Object<'env>> {
    let mut object = Object::new(env)?;
    let versions = hello.supported_versions();
    object.set("servername", hello.server_name())?;
    object.set("alpnProtocols", all_bytes(env, hello.alpn_protocols())?)?;
    object.set("versions", numbers(&versions))?;
    object.set("cipherSuites", numbers(hello.cipher_suites()))?;
    object.set("groups", numbers(hello.supported_groups()))?;
    object.set("signatureAlgorithms", numbers(hello.signature_schemes()))?;
    object.set("raw", bytes(env, hello.raw())?)?;
    object.set("ja3", hello.ja3())?;
    object.set("ja3Hash", hello.ja3_hash())?;
    object.set("ja4", hello.ja4())?;
    Ok(object)
}

fn numbers(all: &[u16]) -> Vec<u32> {
    all.iter().copied().map(u32::from).collect()
}

/// A copy in memory of JavaScript's own.
pub(crate) fn bytes<'env>(env: &'env Env, bytes: &[u8]) -> Result<BufferSlice<'env>> {
    BufferSlice::copy_from(env, bytes)
}

/// As [`bytes`], of each.
pub(crate) fn all_bytes<'env, B: AsRef<[u8]>>(env: &'env Env, all: &[B]) -> Result<Vec<BufferSlice<'env>>> {
    all.iter().map(|one| bytes(env, one.as_ref())).collect()
}
