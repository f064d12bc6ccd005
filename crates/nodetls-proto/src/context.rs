//! `SecureContext`: certificates, keys, authorities and protocol settings that connections share.

mod identities;
mod protocol;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nodetls_openssl::{
    Certificate, Context, ContextBuilder, SSL_OP_CIPHER_SERVER_PREFERENCE, SSL_OP_NO_RENEGOTIATION,
    SSL_OP_NO_TICKET, SSL_OP_NO_TLS1_3,
};

use crate::cipher::CipherLists;
use crate::client_hello::ClientHello;
use crate::defaults::defaults;
use crate::engine::{EngineKey, set_client_certificate_engine};
use crate::error::{ConfigError, Error};
use crate::options::ClientAuthentication;
use crate::secret::SecretBytes;
use crate::session::server_binding;
use crate::ticket::TicketKeys;
use crate::trust::{DefaultAuthorities, Trust};
use crate::version::ProtocolVersion;
use identities::Identities;
pub(crate) use protocol::check_protocol;
use protocol::{cipher_lists, set_protocol};

/// OpenSSL's security level where the options do not ask for less: RSA and DH from 2048 bits, no SHA-1.
pub(crate) const SECURITY_LEVEL: u32 = 2;

/// The numbers of `ecdsa_secp256r1_sha256`, `ecdsa_secp384r1_sha384` and `ecdsa_secp521r1_sha512` (RFC 8446 §4.2.3).
const ECDSA_SCHEMES: [u16; 3] = [0x0403, 0x0503, 0x0603];

/// A private key in PEM, possibly encrypted. Node: an element of `key`.
#[derive(Clone, Debug, Default)]
pub struct KeyPem {
    /// The PEM text.
    pub pem: SecretBytes,
    /// Its passphrase; where there is none, [`SecureContextOptions::passphrase`] is used.
    pub passphrase: Option<SecretBytes>,
}

/// A PKCS#12 file. Those with ciphers of the past (RC2, RC4, DES) are read too, which needs OpenSSL's legacy provider.
/// Node: an element of `pfx`.
#[derive(Clone, Debug, Default)]
pub struct Pfx {
    /// The file's contents.
    pub buf: SecretBytes,
    /// Its passphrase; where there is none, [`SecureContextOptions::passphrase`] is used.
    pub passphrase: Option<SecretBytes>,
}

/// Parameters for finite-field Diffie-Hellman. Node: `dhparam`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DhParam {
    /// Well-known parameters that fit the strength of the key.
    Auto,
    /// These, in PEM. At least 1,024 bits; fewer than 2,048 lower OpenSSL's security level for this context to 1.
    Pem(Vec<u8>),
}

/// What a [`SecureContext`] is made of. Node: the options of `tls.createSecureContext`.
///
/// Everything has a safe default; write the fields that matter and end with `..Default::default()`. The defaults of
/// four of them can be replaced for the whole process: see [`set_defaults`](crate::set_defaults).
#[derive(Clone, Debug)]
pub struct SecureContextOptions {
    /// Trusted authorities in PEM, each text with any number of them; they replace the default ones. A certificate of one's
    /// own that comes without its issuers is sent with those that are among them. Node: `ca`.
    pub ca: Option<Vec<Vec<u8>>>,
    /// Authorities trusted besides the others. Node: `NODE_EXTRA_CA_CERTS`.
    pub extra_ca: Vec<Vec<u8>>,
    /// Who is trusted where [`ca`](Self::ca) says nothing. Default: Mozilla's roots.
    pub default_ca: DefaultAuthorities,
    /// Whether a chain may end at a trusted certificate that is not self-signed. Default: false, as a chain needs its
    /// root. Node: `allowPartialTrustChain` (Node.js 22.9).
    pub allow_partial_trust_chain: bool,
    /// Revocation lists in PEM, each text with any number of them. Where there is one, every certificate of the peer's
    /// chain but the root needs a current list of its issuer, and must not be on it. Node: `crl`.
    pub crl: Vec<Vec<u8>>,
    /// Certificate chains in PEM, the leaf first, one for each key, in any order. Node: `cert`.
    pub cert: Vec<Vec<u8>>,
    /// Private keys. Node: `key`.
    pub key: Vec<KeyPem>,
    /// Whether the certificates of [`cert`](Self::cert) that have no key in [`key`](Self::key) have theirs elsewhere: in a
    /// key management service, a hardware module. Connections then ask [`AskSign`](crate::AskSign). RSA, EC, Ed25519 and
    /// Ed448; not for RSA key exchange, which needs decryption. Default: false.
    pub external_key: bool,
    /// PKCS#12 files with keys, chains and authorities. Node: `pfx`.
    pub pfx: Vec<Pfx>,
    /// The passphrase of keys and files that have none of their own. Node: `passphrase`.
    pub passphrase: Option<SecretBytes>,
    /// A private key that an OpenSSL engine holds, besides those of [`key`](Self::key). Engines work in builds against a
    /// system's OpenSSL 3. Default: none. Node: `privateKeyEngine`, `privateKeyIdentifier`.
    pub engine_key: Option<EngineKey>,
    /// The OpenSSL engine, by its id or the path of its shared library, that a client's certificate and key come from
    /// where a server asks for them. Default: none. Node: `clientCertEngine`.
    pub client_cert_engine: Option<String>,
    /// Cipher suites in OpenSSL's format, names of TLS 1.3 suites among them.
    /// Default: [`DEFAULT_CIPHERS`](crate::DEFAULT_CIPHERS).
    /// A list with names of one generation only switches the other off; `!` excludes, also a suite of TLS 1.3. Node:
    /// `ciphers`.
    pub ciphers: Option<String>,
    /// Groups for key agreement, separated by colons, or `auto`. Default: `auto`. Node: `ecdhCurve`.
    pub ecdh_curve: Option<String>,
    /// Signature algorithms, separated by colons (`RSA+SHA384`, `ecdsa_secp256r1_sha256`), the preferred one first.
    /// Default: OpenSSL's. Node: `sigalgs`.
    pub sigalgs: Option<String>,
    /// Parameters for finite-field Diffie-Hellman, without which DHE suites are not available. Default: none.
    /// Node: `dhparam`.
    pub dhparam: Option<DhParam>,
    /// Bits of OpenSSL's `SSL_OP_*`, set besides those that this library sets. Default: 0. Node: `secureOptions`.
    pub secure_options: u64,
    /// Whether the server's order of cipher suites counts. Default: true on servers. Node: `honorCipherOrder`.
    pub honor_cipher_order: Option<bool>,
    /// The lowest protocol version. Default: TLS 1.2. An explicit TLS 1.0 or 1.1 also lowers OpenSSL's security
    /// level to 0, without which those versions cannot work, unless `ciphers` names an `@SECLEVEL`.
    /// Node: `minVersion`.
    pub min_version: Option<ProtocolVersion>,
    /// The highest protocol version. Default: TLS 1.3. Node: `maxVersion`.
    pub max_version: Option<ProtocolVersion>,
    /// The protocol versions by the name of one of OpenSSL's methods, such as `TLSv1_2_method`; not together with
    /// `min_version` or `max_version`. Default: none. Node: `secureProtocol`.
    pub secure_protocol: Option<String>,
    /// How long a server resumes sessions made here; whole seconds. Default: 300 s. Node: `sessionTimeout`.
    pub session_timeout: Duration,
    /// How many tickets a TLS 1.3 server sends after a full handshake, 0 to 16. Default: 2.
    pub session_tickets: usize,
    /// Makes connections report their key material, with which recorded traffic can be read. Default: false.
    pub dangerous_key_log: bool,
    /// What is asked of clients where this context was chosen by server name. Default: as the server says.
    pub client_authentication: Option<ClientAuthentication>,
}

impl Default for SecureContextOptions {
    fn default() -> Self {
        Self {
            ca: None,
            extra_ca: Vec::new(),
            crl: Vec::new(),
            default_ca: DefaultAuthorities::Mozilla,
            allow_partial_trust_chain: false,
            cert: Vec::new(),
            key: Vec::new(),
            external_key: false,
            pfx: Vec::new(),
            passphrase: None,
            engine_key: None,
            client_cert_engine: None,
            ciphers: None,
            ecdh_curve: None,
            sigalgs: None,
            dhparam: None,
            secure_options: 0,
            honor_cipher_order: None,
            min_version: None,
            max_version: None,
            secure_protocol: None,
            session_timeout: Duration::from_secs(300),
            session_tickets: 2,
            dangerous_key_log: false,
            client_authentication: None,
        }
    }
}

/// A finished context. Cloning shares it; it never changes. Node: `SecureContext`.
#[derive(Clone, Debug)]
pub struct SecureContext {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    context: Context,
    trust: Trust,
    honor_cipher_order: Option<bool>,
    client_authentication: Option<ClientAuthentication>,
    identity: [u8; 32],
    own_certificates: Vec<OwnCertificate>,
    ticket_keys: TicketKeys,
    secure_options: u64,
    max_version: ProtocolVersion,
    ciphers: CipherLists,
    /// The binding of sessions for the first application and policy that it was asked for, which is usually the only one.
    binding: OnceLock<ServerBinding>,
}

/// What [`server_binding`] has made of which application and policy.
#[derive(Debug)]
struct ServerBinding {
    application: Vec<u8>,
    policy: u8,
    binding: [u8; 32],
}

impl SecureContext {
    /// Makes a context. Everything that is wrong with the options is found here.
    ///
    /// # Errors
    /// [`Error::Config`], which names the option.
    ///
    /// Node: `tls.createSecureContext(options)`.
    pub fn new(options: &SecureContextOptions) -> Result<Self, Error> {
        let mut builder = ContextBuilder::new().map_err(Error::bug)?;
        let defaults = defaults();
        let ciphers = cipher_lists(options, &defaults)?;
        let max_version = set_protocol(&mut builder, options, &defaults, &ciphers)?;
        let identities = Identities::read(options)?;
        let trust = identities.trust(options)?;
        identities.install(&mut builder, trust.explicit(), options.external_key)?;
        if let Some(engine) = &options.client_cert_engine {
            set_client_certificate_engine(&mut builder, engine)?;
        }
        let own_certificates = identities.own_certificates(trust.explicit());
        for authority in trust.explicit() {
            builder.add_client_authority(authority).map_err(ConfigError::from_openssl("ca"))?;
        }
        Ok(Self {
            inner: Arc::new(Inner {
                context: builder.build(),
                trust,
                honor_cipher_order: options.honor_cipher_order,
                client_authentication: options.client_authentication,
                identity: identities.digest(options),
                own_certificates,
                ticket_keys: TicketKeys::random()?,
                secure_options: options.secure_options,
                max_version,
                ciphers,
                binding: OnceLock::new(),
            }),
        })
    }

    pub(crate) fn context(&self) -> &Context {
        &self.inner.context
    }

    pub(crate) fn trust(&self) -> &Trust {
        &self.inner.trust
    }

    pub(crate) fn client_authentication(&self) -> Option<ClientAuthentication> {
        self.inner.client_authentication
    }

    /// Tells contexts with different own certificates apart, so that sessions stay with theirs.
    pub(crate) fn identity_digest(&self) -> &[u8; 32] {
        &self.inner.identity
    }

    /// The certificate that a client with this hello will most likely get.
    pub(crate) fn likely_certificate(&self, hello: &ClientHello) -> Option<OwnCertificate> {
        let all = &self.inner.own_certificates;
        // With several, OpenSSL prefers ECDSA where the client can check it, as its own list of algorithms does.
        let wants_ec = hello.signature_schemes().iter().any(|scheme| ECDSA_SCHEMES.contains(scheme));
        let is_ec =
            |own: &&OwnCertificate| own.certificate.public_key().is_some_and(|(kind, _)| kind == "EC");
        let preferred = all.iter().find(|own| is_ec(own) == wants_ec);
        preferred.or_else(|| all.first()).cloned()
    }

    /// This side's certificates.
    pub(crate) fn own_certificates(&self) -> impl Iterator<Item = Certificate> {
        self.inner.own_certificates.iter().map(|own| own.certificate.clone())
    }

    /// What sessions of servers with this context depend on; see [`server_binding`]. Remembered, because every
    /// connection needs it.
    pub(crate) fn server_binding(&self, application: &[u8], policy: u8) -> [u8; 32] {
        let make = || server_binding(self, application, policy);
        let known = self.inner.binding.get_or_init(|| ServerBinding {
            application: application.to_vec(),
            policy,
            binding: make(),
        });
        let is_same = known.policy == policy && known.application == application;
        if is_same { known.binding } else { make() }
    }

    /// The ticket keys of connections whose options have none.
    pub(crate) fn ticket_keys(&self) -> &TicketKeys {
        &self.inner.ticket_keys
    }

    /// Whether the options have `SSL_OP_NO_RENEGOTIATION`.
    pub(crate) fn forbids_renegotiation(&self) -> bool {
        self.inner.secure_options & SSL_OP_NO_RENEGOTIATION != 0
    }

    /// Whether sessions live in the server's store instead of in tickets.
    pub(crate) fn has_tickets_disabled(&self) -> bool {
        self.inner.secure_options & SSL_OP_NO_TICKET != 0
    }

    /// Whether TLS 1.3 is possible.
    pub(crate) fn may_speak_tls1_3(&self) -> bool {
        self.max_version() == ProtocolVersion::Tls1_3 && self.inner.secure_options & SSL_OP_NO_TLS1_3 == 0
    }

    /// The TLS 1.3 suites with SHA-256 that a client's hello and this context have in common; empty without one.
    pub(crate) fn psk_suites(&self, hello: &ClientHello) -> String {
        self.inner.ciphers.tls1_3_with_sha256(hello.cipher_suites())
    }

    /// The highest protocol version.
    pub(crate) fn max_version(&self) -> ProtocolVersion {
        self.inner.max_version
    }

    /// Bits of `SSL_OP_*` that this context sets on connections of servers.
    pub(crate) fn server_options(&self) -> u64 {
        if self.inner.honor_cipher_order.unwrap_or(true) { SSL_OP_CIPHER_SERVER_PREFERENCE } else { 0 }
    }
}

/// A certificate of this side, and who issued it.
#[derive(Clone, Debug)]
pub(crate) struct OwnCertificate {
    pub(crate) certificate: Certificate,
    pub(crate) issuer: Option<Certificate>,
}
