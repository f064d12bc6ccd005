//! `SSL_CTX`: what many connections share.

use std::ffi::CString;
use std::sync::Arc;

use foreign_types::ForeignType;
use libc::{c_int, c_long};
use openssl::dh::Dh;
use openssl::pkey::Params;
use openssl::ssl::{SslContext, SslContextBuilder, SslMethod, SslVersion};
use openssl::stack::Stack;
use openssl::x509::X509;
use openssl_sys::{EVP_PKEY, SSL_CTX};

use crate::external_key::external_key;
use crate::result::{non_null, one};
use crate::{
    Certificate, Engine, ErrorStack, PrivateKey, algorithms, callbacks, init, ocsp, record_writer, sys,
    ticket, trace,
};

/// `SSL_OP_CIPHER_SERVER_PREFERENCE`: the server's order of cipher suites counts.
pub const SSL_OP_CIPHER_SERVER_PREFERENCE: u64 = 1 << 22;
/// `SSL_OP_NO_TICKET`: no stateless tickets.
pub const SSL_OP_NO_TICKET: u64 = 1 << 14;
/// `SSL_OP_NO_RENEGOTIATION`: no renegotiation by either side.
pub const SSL_OP_NO_RENEGOTIATION: u64 = 1 << 30;
/// `SSL_OP_NO_TLSv1_3`: another version only.
pub const SSL_OP_NO_TLS1_3: u64 = 1 << 29;

const SSL_CTRL_SET_TLSEXT_SERVERNAME_CB: c_int = 53;
const SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB: c_int = 63;

type StatusCallback = unsafe extern "C" fn(*mut openssl_sys::SSL, *mut libc::c_void) -> c_int;
type ServerNameCallback = unsafe extern "C" fn(*mut openssl_sys::SSL, *mut c_int, *mut libc::c_void) -> c_int;

/// A finished context. Cloning shares it; it never changes.
#[derive(Clone)]
pub struct Context {
    context: SslContext,
    signs_elsewhere: bool,
    engines: Engines,
}

/// The engines that a context's keys live in. They have to stay until all connections have gone.
pub(crate) type Engines = Option<Arc<Vec<Engine>>>;

impl Context {
    pub(crate) fn ssl_context(&self) -> &SslContext {
        &self.context
    }

    /// Whether one of the private keys is elsewhere.
    pub(crate) fn signs_elsewhere(&self) -> bool {
        self.signs_elsewhere
    }

    pub(crate) fn engines(&self) -> Engines {
        self.engines.clone()
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Context(..)")
    }
}

/// An `SSL_CTX` that prefers the algorithms of this crate, if there are any.
fn new_builder() -> Result<SslContextBuilder, ErrorStack> {
    let properties =
        algorithms::load_provider().map_or(std::ptr::null(), |()| algorithms::PROPERTIES.as_ptr());
    let method = SslMethod::tls();
    // SAFETY: the null library context is the default one; OpenSSL copies the properties; the method lives for ever.
    let context = unsafe { sys::SSL_CTX_new_ex(std::ptr::null_mut(), properties, method.as_ptr()) };
    let context = non_null(context)?;
    // SAFETY: OpenSSL has handed over the one reference.
    Ok(unsafe { SslContextBuilder::from_ptr(context.as_ptr()) })
}

/// Makes a [`Context`]. Each method corresponds to the `SSL_CTX_*` function of its name.
pub struct ContextBuilder {
    builder: SslContextBuilder,
    signs_elsewhere: bool,
    engines: Vec<Engine>,
}

impl ContextBuilder {
    /// A context for both sides, with this crate's callbacks and buffers, and nothing else decided.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn new() -> Result<Self, ErrorStack> {
        init();
        ErrorStack::clear();
        let mut builder = Self { builder: new_builder()?, signs_elsewhere: false, engines: Vec::new() };
        builder.set_modes();
        builder.set_callbacks();
        if record_writer::IS_AVAILABLE {
            builder.set_options(sys::SSL_OP_ENABLE_KTLS);
        }
        Ok(builder)
    }

    fn as_ptr(&self) -> *mut SSL_CTX {
        self.builder.as_ptr()
    }

    fn set_modes(&mut self) {
        // One record a write, so that a write which cannot go on now leaves no obligation to repeat it.
        let mode =
            openssl::ssl::SslMode::ENABLE_PARTIAL_WRITE | openssl::ssl::SslMode::ACCEPT_MOVING_WRITE_BUFFER;
        let mode = c_long::from(mode.bits() as i32);
        // SAFETY: the context is ours alone while it is built; so in all of this builder.
        unsafe { openssl_sys::SSL_CTX_set_mode(self.as_ptr(), mode) };
        // SAFETY: as above.
        unsafe {
            openssl_sys::SSL_CTX_set_session_cache_mode(self.as_ptr(), sys::SESSION_CACHE_CALLBACKS_ONLY)
        };
    }

    fn set_callbacks(&mut self) {
        let context = self.as_ptr();
        // SAFETY: each callback has the signature that OpenSSL's manual gives and lives for ever; so for all below.
        unsafe { openssl_sys::SSL_CTX_sess_set_new_cb(context, Some(callbacks::new_session)) };
        // SAFETY: as above.
        unsafe { openssl_sys::SSL_CTX_sess_set_get_cb(context, Some(callbacks::find_session)) };
        // SAFETY: as above.
        unsafe { sys::SSL_CTX_set_tlsext_ticket_key_evp_cb(context, Some(ticket::ticket_key)) };
        // SAFETY: as above.
        unsafe { sys::SSL_CTX_set_msg_callback(context, Some(trace::trace)) };
        // SAFETY: as above.
        unsafe { sys::SSL_CTX_set_info_callback(context, Some(callbacks::info)) };
        let nothing = std::ptr::null_mut();
        // SAFETY: as above.
        unsafe { sys::SSL_CTX_set_cert_verify_callback(context, Some(callbacks::verify_chain), nothing) };
        // SAFETY: as above.
        unsafe {
            openssl_sys::SSL_CTX_set_alpn_select_cb__fixed_rust(
                context,
                Some(callbacks::select_alpn),
                nothing,
            )
        };
        let server_name: ServerNameCallback = callbacks::server_name;
        // SAFETY: OpenSSL's generic function pointer is cast back to this very type before it is called.
        let generic =
            unsafe { std::mem::transmute::<ServerNameCallback, unsafe extern "C" fn()>(server_name) };
        // SAFETY: as above.
        unsafe {
            openssl_sys::SSL_CTX_callback_ctrl__fixed_rust(
                context,
                SSL_CTRL_SET_TLSEXT_SERVERNAME_CB,
                Some(generic),
            )
        };
        let status: StatusCallback = ocsp::status;
        // SAFETY: as for the server's name.
        let generic = unsafe { std::mem::transmute::<StatusCallback, unsafe extern "C" fn()>(status) };
        // SAFETY: as above.
        unsafe {
            openssl_sys::SSL_CTX_callback_ctrl__fixed_rust(
                context,
                SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB,
                Some(generic),
            )
        };
    }

    /// Sends lines of key material to each connection's state.
    pub fn enable_key_log(&mut self) {
        // SAFETY: as in `set_callbacks`.
        unsafe { openssl_sys::SSL_CTX_set_keylog_callback(self.as_ptr(), Some(callbacks::key_log)) };
    }

    /// The lowest protocol version, as its number on the wire (0x0303 is TLS 1.2).
    ///
    /// # Errors
    /// When this OpenSSL does not know it.
    pub fn set_min_version(&mut self, version: u16) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        Ok(self.builder.set_min_proto_version(Some(wire_version(version)?))?)
    }

    /// The highest protocol version, as its number on the wire.
    ///
    /// # Errors
    /// When this OpenSSL does not know it.
    pub fn set_max_version(&mut self, version: u16) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        Ok(self.builder.set_max_proto_version(Some(wire_version(version)?))?)
    }

    /// The cipher suites up to TLS 1.2, in the format of `openssl-ciphers(1)`.
    ///
    /// # Errors
    /// When no suite is selected or the list cannot be read.
    pub fn set_cipher_list(&mut self, list: &str) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        Ok(self.builder.set_cipher_list(list_without_nul(list)?)?)
    }

    /// The TLS 1.3 suites by name, separated by colons; empty for none.
    ///
    /// # Errors
    /// When a name is not known.
    pub fn set_cipher_suites(&mut self, list: &str) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        Ok(self.builder.set_ciphersuites(list_without_nul(list)?)?)
    }

    /// The groups for key agreement, separated by colons, the preferred one first.
    ///
    /// # Errors
    /// When a name is not known.
    pub fn set_groups(&mut self, list: &str) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        Ok(self.builder.set_groups_list(list_without_nul(list)?)?)
    }

    /// The signature algorithms, separated by colons, the preferred one first.
    ///
    /// # Errors
    /// When a name is not known.
    pub fn set_signature_algorithms(&mut self, list: &str) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        Ok(self.builder.set_sigalgs_list(list_without_nul(list)?)?)
    }

    /// Parameters for finite-field Diffie-Hellman.
    ///
    /// # Errors
    /// When they are too weak for the security level.
    pub fn set_dh_parameters(&mut self, parameters: &DhParameters) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        Ok(self.builder.set_tmp_dh(&parameters.0)?)
    }

    /// Takes well-known parameters for finite-field Diffie-Hellman which fit the key's strength.
    pub fn set_dh_auto(&mut self) {
        // SAFETY: as in `set_modes`.
        unsafe { openssl_sys::SSL_CTX_set_dh_auto(self.as_ptr(), 1) };
    }

    /// OpenSSL's security level, 0 to 5 (`SSL_CTX_set_security_level(3)`).
    pub fn set_security_level(&mut self, level: u32) {
        self.builder.set_security_level(level);
    }

    /// Adds `SSL_OP_*` bits.
    pub fn set_options(&mut self, options: u64) {
        // SAFETY: as in `set_modes`.
        unsafe { openssl_sys::SSL_CTX_set_options(self.as_ptr(), options) };
    }

    /// The number of seconds after which sessions made here are no longer resumed.
    pub fn set_session_timeout(&mut self, seconds: u32) {
        // SAFETY: as in `set_modes`.
        unsafe { sys::SSL_CTX_set_timeout(self.as_ptr(), c_long::from(seconds as i32)) };
    }

    /// How many tickets a TLS 1.3 server sends after a full handshake.
    ///
    /// # Errors
    /// Never in practice.
    pub fn set_num_tickets(&mut self, count: usize) -> Result<(), ErrorStack> {
        Ok(self.builder.set_num_tickets(count)?)
    }

    /// A certificate with its key and the certificates that are sent after it.
    ///
    /// # Errors
    /// When the key is not the certificate's, or either is too weak for the security level.
    pub fn use_identity(
        &mut self,
        certificate: &Certificate,
        key: &PrivateKey,
        chain: &[Certificate],
    ) -> Result<(), ErrorStack> {
        self.engines.extend(key.engine().cloned());
        // SAFETY: the key is alive.
        unsafe { self.use_pair(certificate, key.pkey().as_ptr(), chain) }
    }

    /// A certificate whose private key is elsewhere: connections stop with
    /// [`Progress::WantSignature`](crate::Progress::WantSignature) where they need it.
    ///
    /// # Errors
    /// When the certificate is too weak for the security level, or its key's kind is not one that TLS signs with.
    pub fn use_external_identity(
        &mut self,
        certificate: &Certificate,
        chain: &[Certificate],
    ) -> Result<(), ErrorStack> {
        let key = external_key(certificate)?;
        // SAFETY: the key is alive.
        unsafe { self.use_pair(certificate, key.as_ptr(), chain) }?;
        self.signs_elsewhere = true;
        Ok(())
    }

    /// # Safety
    /// `key` must be alive.
    unsafe fn use_pair(
        &mut self,
        certificate: &Certificate,
        key: *mut EVP_PKEY,
        chain: &[Certificate],
    ) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        let mut stack = Stack::<X509>::new()?;
        for certificate in chain {
            stack.push(certificate.x509().to_owned())?;
        }
        let x509 = foreign_types::ForeignTypeRef::as_ptr(certificate.x509());
        // SAFETY: all four are alive; OpenSSL takes references of its own. Overwriting one of the same kind is asked for.
        let done = unsafe { sys::SSL_CTX_use_cert_and_key(self.as_ptr(), x509, key, stack.as_ptr(), 1) };
        one(done)
    }

    /// A certificate without a key.
    ///
    /// # Errors
    /// When it is too weak for the security level.
    pub fn use_certificate(&mut self, certificate: &Certificate) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        Ok(self.builder.set_certificate(certificate.x509())?)
    }

    /// A key without a certificate.
    ///
    /// # Errors
    /// When it is too weak for the security level.
    pub fn use_key(&mut self, key: &PrivateKey) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        self.engines.extend(key.engine().cloned());
        Ok(self.builder.set_private_key(key.pkey())?)
    }

    /// The engine that is asked for a client's certificate and key.
    ///
    /// # Errors
    /// When the engine cannot do that.
    pub fn set_client_certificate_engine(&mut self, engine: &Engine) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        self.engines.push(engine.clone());
        // SAFETY: both are alive; OpenSSL takes a functional reference of its own.
        one(unsafe { (engine.functions().set_client_cert_engine)(self.as_ptr(), engine.as_ptr()) })
    }

    /// Adds a name to the list of authorities that a server sends when it asks for a certificate.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn add_client_authority(&mut self, certificate: &Certificate) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        Ok(self.builder.add_client_ca(certificate.x509())?)
    }

    /// The finished context.
    pub fn build(self) -> Context {
        let engines = (!self.engines.is_empty()).then(|| Arc::new(self.engines));
        Context { context: self.builder.build(), signs_elsewhere: self.signs_elsewhere, engines }
    }
}

impl std::fmt::Debug for ContextBuilder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("ContextBuilder(..)")
    }
}

/// Parameters for finite-field Diffie-Hellman.
pub struct DhParameters(Dh<Params>);

impl DhParameters {
    /// Reads parameters from PEM (`DH PARAMETERS`).
    ///
    /// # Errors
    /// When there are none.
    pub fn from_pem(pem: &[u8]) -> Result<Self, ErrorStack> {
        init();
        ErrorStack::clear();
        Ok(Self(Dh::params_from_pem(pem)?))
    }

    /// The length of the prime in bits.
    pub fn bits(&self) -> u32 {
        self.0.prime_p().num_bits().unsigned_abs()
    }
}

impl std::fmt::Debug for DhParameters {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "DhParameters({} bits)", self.bits())
    }
}

fn wire_version(version: u16) -> Result<SslVersion, ErrorStack> {
    match version {
        0x0301 => Ok(SslVersion::TLS1),
        0x0302 => Ok(SslVersion::TLS1_1),
        0x0303 => Ok(SslVersion::TLS1_2),
        0x0304 => Ok(SslVersion::TLS1_3),
        _ => Err(ErrorStack::default()),
    }
}

/// The `openssl` crate panics on a NUL; user input must not reach that.
fn list_without_nul(list: &str) -> Result<&str, ErrorStack> {
    CString::new(list).map(|_| list).map_err(|_| ErrorStack::default())
}
