//! `NativeContext`: the core's `SecureContext`.

use std::time::Duration;

use napi::bindgen_prelude::{Buffer, Either, Env, Result};
use napi_derive::napi;
use nodetls_proto::{
    ClientAuthentication, DefaultAuthorities, DhParam, EngineKey, KeyPem, Pfx, ProtocolVersion, SecretBytes,
    SecureContext, SecureContextOptions,
};

use crate::error::{refused, thrown};

/// A private key in PEM.
#[napi(object)]
pub struct NativeKey {
    /// The text.
    pub pem: Buffer,
    /// What it is encrypted with.
    pub passphrase: Option<Buffer>,
}

/// A PKCS#12 file.
#[napi(object)]
pub struct NativePfx {
    /// The file's contents.
    pub buf: Buffer,
    /// What it is encrypted with.
    pub passphrase: Option<Buffer>,
}

/// What a context is made of; all values have been checked and normalised by `lib/secure-context.js`.
#[napi(object)]
#[derive(Default)]
pub struct NativeContextOptions {
    /// Trusted authorities in PEM; they replace the default ones.
    pub ca: Option<Vec<Buffer>>,
    /// Authorities trusted besides the others.
    pub extra_ca: Option<Vec<Buffer>>,
    /// `mozilla` or `system`: who is trusted where `ca` says nothing.
    pub default_ca: Option<String>,
    /// Revocation lists in PEM.
    pub crl: Option<Vec<Buffer>>,
    /// Certificate chains in PEM.
    pub cert: Option<Vec<Buffer>>,
    /// Private keys.
    pub key: Option<Vec<NativeKey>>,
    /// Whether the keys that `key` lacks are elsewhere, and signatures are asked for.
    pub external_key: Option<bool>,
    /// PKCS#12 files.
    pub pfx: Option<Vec<NativePfx>>,
    /// The passphrase of keys and files that have none of their own.
    pub passphrase: Option<Buffer>,
    /// The engine that holds the private key.
    pub private_key_engine: Option<String>,
    /// The key's name there.
    pub private_key_identifier: Option<String>,
    /// The engine that is asked for a client's certificate.
    pub client_cert_engine: Option<String>,
    /// Cipher suites in OpenSSL's format.
    pub ciphers: Option<String>,
    /// Groups for key agreement.
    pub ecdh_curve: Option<String>,
    /// Signature algorithms.
    pub sigalgs: Option<String>,
    /// Parameters in PEM, or `auto`.
    pub dhparam: Option<Either<Buffer, String>>,
    /// Bits of `SSL_OP_*`.
    pub secure_options: Option<f64>,
    /// Whether a trusted certificate that is not self-signed ends a chain.
    pub allow_partial_trust_chain: Option<bool>,
    /// Whether the server's order of suites counts.
    pub honor_cipher_order: Option<bool>,
    /// The lowest version, such as `TLSv1.2`.
    pub min_version: Option<String>,
    /// The highest version.
    pub max_version: Option<String>,
    /// The name of an OpenSSL method.
    pub secure_protocol: Option<String>,
    /// Seconds.
    pub session_timeout: Option<f64>,
    /// How many tickets a TLS 1.3 server sends.
    pub session_tickets: Option<u32>,
    /// Whether key material is reported.
    pub key_log: Option<bool>,
    /// Asks clients for a certificate where this context was chosen by name.
    pub request_cert: Option<bool>,
    /// Whether clients without an acceptable certificate are refused then.
    pub reject_unauthorized: Option<bool>,
}

impl NativeContextOptions {
    fn into_options(self) -> Result<SecureContextOptions> {
        let default = SecureContextOptions::default();
        Ok(SecureContextOptions {
            ca: self.ca.map(all_bytes),
            extra_ca: self.extra_ca.map(all_bytes).unwrap_or_default(),
            default_ca: authorities(self.default_ca.as_deref())?,
            allow_partial_trust_chain: self.allow_partial_trust_chain.unwrap_or_default(),
            crl: self.crl.map(all_bytes).unwrap_or_default(),
            cert: self.cert.map(all_bytes).unwrap_or_default(),
            key: self.key.unwrap_or_default().into_iter().map(KeyPem::from).collect(),
            external_key: self.external_key.unwrap_or_default(),
            pfx: self.pfx.unwrap_or_default().into_iter().map(Pfx::from).collect(),
            passphrase: self.passphrase.map(|passphrase| secret(&passphrase)),
            engine_key: engine_key(self.private_key_engine, self.private_key_identifier),
            client_cert_engine: self.client_cert_engine,
            ciphers: self.ciphers,
            ecdh_curve: self.ecdh_curve,
            sigalgs: self.sigalgs,
            dhparam: self.dhparam.map(|given| match given {
                Either::A(pem) => DhParam::Pem(pem.to_vec()),
                Either::B(_) => DhParam::Auto,
            }),
            // JavaScript's numbers hold the bits exactly: there are fewer than 53.
            secure_options: self.secure_options.map_or(0, |bits| bits as u64),
            honor_cipher_order: self.honor_cipher_order,
            min_version: version(self.min_version.as_deref())?,
            max_version: version(self.max_version.as_deref())?,
            secure_protocol: self.secure_protocol,
            session_timeout: self.session_timeout.map_or(default.session_timeout, seconds),
            session_tickets: self.session_tickets.map_or(default.session_tickets, |count| count as usize),
            dangerous_key_log: self.key_log.unwrap_or_default(),
            client_authentication: self
                .request_cert
                .map(|asks| client_authentication(asks, self.reject_unauthorized.unwrap_or(true))),
        })
    }
}

fn engine_key(engine: Option<String>, identifier: Option<String>) -> Option<EngineKey> {
    let (engine, identifier) = engine.zip(identifier)?;
    Some(EngineKey { engine, identifier: identifier.into() })
}

impl From<NativeKey> for KeyPem {
    fn from(key: NativeKey) -> Self {
        Self { pem: secret(&key.pem), passphrase: key.passphrase.map(|passphrase| secret(&passphrase)) }
    }
}

impl From<NativePfx> for Pfx {
    fn from(pfx: NativePfx) -> Self {
        Self { buf: secret(&pfx.buf), passphrase: pfx.passphrase.map(|passphrase| secret(&passphrase)) }
    }
}

/// What `requestCert` and `rejectUnauthorized` say together.
pub(crate) fn client_authentication(asks: bool, rejects: bool) -> ClientAuthentication {
    match (asks, rejects) {
        (false, _) => ClientAuthentication::None,
        (true, true) => ClientAuthentication::Required,
        (true, false) => ClientAuthentication::DangerousOptional,
    }
}

fn secret(bytes: &[u8]) -> SecretBytes {
    SecretBytes::from(bytes)
}

fn all_bytes(buffers: Vec<Buffer>) -> Vec<Vec<u8>> {
    buffers.into_iter().map(|buffer| buffer.to_vec()).collect()
}

fn seconds(count: f64) -> Duration {
    Duration::try_from_secs_f64(count.trunc()).unwrap_or(Duration::MAX)
}

fn authorities(name: Option<&str>) -> Result<DefaultAuthorities> {
    match name {
        None | Some("mozilla") => Ok(DefaultAuthorities::Mozilla),
        Some("system") => Ok(DefaultAuthorities::System),
        Some(other) => Err(refused(format!("no default authorities are called {other}"))),
    }
}

fn version(name: Option<&str>) -> Result<Option<ProtocolVersion>> {
    name.map(|name| name.parse().map_err(|_| refused(format!("no protocol version is called {name}"))))
        .transpose()
}

/// A finished context.
#[napi]
pub struct NativeContext {
    context: SecureContext,
}

#[napi]
impl NativeContext {
    /// Makes a context.
    #[napi(factory)]
    pub fn create(env: Env, options: NativeContextOptions) -> Result<Self> {
        let options = options.into_options()?;
        let context = SecureContext::new(&options).map_err(|error| thrown(&env, &error))?;
        Ok(Self { context })
    }
}

impl NativeContext {
    pub(crate) fn context(&self) -> &SecureContext {
        &self.context
    }
}
