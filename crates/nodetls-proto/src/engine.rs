//! Keys and certificates that OpenSSL's engines hold, such as those of smart cards and hardware security modules.
//!
//! OpenSSL 3 deprecates engines and OpenSSL 4 no longer has them. They work in builds against a system's OpenSSL 3; in
//! others every use is refused.

use nodetls_openssl::{ContextBuilder, Engine, EngineError, PrivateKey};

use crate::error::{ConfigError, Error};
use crate::secret::SecretBytes;

/// The longest name of an engine or identifier of a key, in bytes.
const MAX_NAME: usize = 4096;

/// A private key that an OpenSSL engine holds.
#[derive(Clone, Debug)]
pub struct EngineKey {
    /// The engine's id, or the path of its shared library, whose code is run. Node: `privateKeyEngine`.
    pub engine: String,
    /// What the engine knows the key by. It may hold a PIN, as PKCS#11 URIs do. Node: `privateKeyIdentifier`.
    pub identifier: SecretBytes,
}

impl EngineKey {
    pub(crate) fn load(&self) -> Result<PrivateKey, Error> {
        let engine = load("privateKeyEngine", &self.engine)?;
        if self.identifier.expose().len() > MAX_NAME {
            return Err(too_long("privateKeyIdentifier"));
        }
        engine.private_key(self.identifier.expose()).map_err(engine_error("privateKeyIdentifier"))
    }
}

/// Makes clients with this context ask the engine for certificate and key.
pub(crate) fn set_client_certificate_engine(builder: &mut ContextBuilder, name: &str) -> Result<(), Error> {
    let engine = load("clientCertEngine", name)?;
    builder.set_client_certificate_engine(&engine).map_err(ConfigError::from_openssl("clientCertEngine"))
}

fn load(option: &'static str, name: &str) -> Result<Engine, Error> {
    if name.len() > MAX_NAME {
        return Err(too_long(option));
    }
    Engine::load(name).map_err(engine_error(option))
}

fn too_long(option: &'static str) -> Error {
    ConfigError::refused(option, "ERR_OUT_OF_RANGE", format!("longer than {MAX_NAME} bytes"))
}

fn engine_error(option: &'static str) -> impl Fn(EngineError) -> Error {
    move |error| match error {
        EngineError::Unavailable => {
            let message = "engines work only where the system's OpenSSL 3 is linked dynamically";
            ConfigError::refused(option, "ERR_CRYPTO_CUSTOM_ENGINE_NOT_SUPPORTED", message)
        }
        EngineError::NotInitialized(stack) => {
            let message = format!("the engine does not start: {stack}");
            ConfigError::refused(option, "ERR_CRYPTO_OPERATION_FAILED", message)
        }
        EngineError::Failed(stack) => ConfigError::from_openssl(option)(stack),
    }
}
