//! Keys and client certificates from an engine: a real one in builds against the system's OpenSSL, where the test
//! compiles it; everywhere else a clear refusal.

#![forbid(unsafe_code)]

#[cfg(not(feature = "vendored"))]
mod loaded;

use nodetls_proto::{EngineKey, Error, SecureContext, SecureContextOptions};

/// Asserts that a context of these options is refused for the option with the code.
fn assert_refused(option: &str, code: &str, options: &SecureContextOptions) {
    let Err(error) = SecureContext::new(options) else { panic!("{option} is accepted") };
    let Error::Config(config) = &error else { panic!("{error:?}") };
    assert_eq!((config.option, &*error.code()), (option, code), "{error}");
}

fn with_key(engine: &str, identifier: &str) -> SecureContextOptions {
    let key = EngineKey { engine: engine.to_owned(), identifier: identifier.into() };
    SecureContextOptions { engine_key: Some(key), ..Default::default() }
}

fn with_client_certificate(engine: &str) -> SecureContextOptions {
    SecureContextOptions { client_cert_engine: Some(engine.to_owned()), ..Default::default() }
}

#[test]
fn engines_that_cannot_be_loaded_are_refused_by_name() {
    let code = match cfg!(feature = "vendored") {
        true => "ERR_CRYPTO_CUSTOM_ENGINE_NOT_SUPPORTED",
        false => "ERR_OSSL_DSO_COULD_NOT_LOAD_THE_SHARED_LIBRARY",
    };
    assert_refused("privateKeyEngine", code, &with_key("no-such-engine", "key"));
    assert_refused("clientCertEngine", code, &with_client_certificate("no-such-engine"));
    let long = "x".repeat(5000);
    assert_refused("privateKeyEngine", "ERR_OUT_OF_RANGE", &with_key(&long, "key"));
    assert_refused("clientCertEngine", "ERR_OUT_OF_RANGE", &with_client_certificate(&long));
}

#[test]
fn debug_output_shows_no_identifier_of_a_key() {
    let shown = format!("{:?}", with_key("engine", "pkcs11:object=key?pin-value=1234"));
    assert!(shown.contains("engine") && !shown.contains("1234"), "{shown}");
}
