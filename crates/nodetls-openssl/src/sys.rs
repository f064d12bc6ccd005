//! Declarations that `openssl-sys` lacks, each with the manual page it was written from.
//!
//! Nothing but declarations and the constants they need.

use libc::{c_char, c_int, c_long, c_uchar, c_uint, c_ulong, c_void, size_t};
use openssl_sys::{
    ASN1_BIT_STRING, ASN1_INTEGER, ASN1_OBJECT, ASN1_TYPE, BIO, ENGINE, EVP_CIPHER_CTX, EVP_MAC_CTX, EVP_MD,
    EVP_PKEY, OSSL_LIB_CTX, OSSL_PARAM, SSL, SSL_CIPHER, SSL_CTX, SSL_METHOD, SSL_SESSION, X509, X509_CRL,
    X509_NAME, X509_NAME_ENTRY, X509_STORE, X509_STORE_CTX, X509_VERIFY_PARAM,
};
use openssl_sys::{GENERAL_NAME, OPENSSL_STACK};
use openssl_sys::{pem_password_cb, stack_st_SSL_CIPHER, stack_st_X509};

/// `OPENSSL_init_crypto(3)`.
pub(crate) const OPENSSL_INIT_NO_LOAD_CONFIG: u64 = 0x80;

/// `SSL_get_error(3)`.
pub(crate) const SSL_ERROR_WANT_RETRY_VERIFY: c_int = 12;

/// `SSL_set_retry_verify(3)`, a macro over `SSL_ctrl`.
pub(crate) const SSL_CTRL_SET_RETRY_VERIFY: c_int = 136;
/// `SSL_CTX_set_msg_callback(3)`, a macro over `SSL_ctrl`.
pub(crate) const SSL_CTRL_SET_MSG_CALLBACK_ARG: c_int = 16;
/// `SSL_get_negotiated_group(3)`, a macro over `SSL_ctrl`.
pub(crate) const SSL_CTRL_GET_NEGOTIATED_GROUP: c_int = 134;

/// `SSL_CTX_set_msg_callback(3)`.
pub(crate) const SSL3_RT_HEADER: c_int = 0x100;
pub(crate) const SSL3_RT_INNER_CONTENT_TYPE: c_int = 0x101;
/// `internal/bio.h`: the key for a transport that encrypts by itself, and the type of the next record.
pub(crate) const BIO_CTRL_SET_KTLS: c_int = 72;
pub(crate) const BIO_CTRL_SET_KTLS_TX_SEND_CTRL_MSG: c_int = 74;
/// `SSL_CTX_set_options(3)`.
pub(crate) const SSL_OP_ENABLE_KTLS: u64 = 1 << 3;
/// `SSL_CTX_set_options(3)`.
pub(crate) const SSL_OP_ALLOW_CLIENT_RENEGOTIATION: u64 = 1 << 8;
/// `SSL_CTX_set_options(3)`.
pub(crate) const SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION: u64 = 1 << 16;
/// `SSL_get_secure_renegotiation_support(3)`, a macro over `SSL_ctrl`.
pub(crate) const SSL_CTRL_GET_RI_SUPPORT: c_int = 76;

/// `SSL_key_update(3)`.
pub(crate) const SSL_KEY_UPDATE_NOT_REQUESTED: c_int = 0;
/// `SSL_key_update(3)`.
pub(crate) const SSL_KEY_UPDATE_REQUESTED: c_int = 1;

/// `SSL_CTX_set_session_cache_mode(3)`: both sides, and nothing kept or flushed by OpenSSL itself.
pub(crate) const SESSION_CACHE_CALLBACKS_ONLY: c_long = 0x0001 | 0x0002 | 0x0080 | 0x0300;

/// `SSL_CTX_set_info_callback(3)`.
pub(crate) const SSL_CB_READ_ALERT: c_int = 0x4004;
/// `SSL_CTX_set_info_callback(3)`.
pub(crate) const SSL_CB_WRITE_ALERT: c_int = 0x4008;

/// `SSL_CTX_set_info_callback(3)`.
pub(crate) const SSL_CB_HANDSHAKE_START: c_int = 0x10;

/// `SSL_set_shutdown(3)`.
pub(crate) const SSL_SENT_AND_RECEIVED_SHUTDOWN: c_int = 1 | 2;

/// `X509_NAME_print_ex(3)`: the form of RFC 2253.
pub(crate) const XN_FLAG_RFC2253: c_ulong =
    0x0001 | ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_ESC_MSB | 0x0010 | 0x0300 | 1 << 16 | 1 << 20 | 1 << 24;
/// `ASN1_STRING_print_ex(3)`.
pub(crate) const ASN1_STRFLGS_ESC_CTRL: c_ulong = 2;
/// `ASN1_STRING_print_ex(3)`.
pub(crate) const ASN1_STRFLGS_ESC_MSB: c_ulong = 4;

/// `OTHERNAME_new(3)`.
#[repr(C)]
pub(crate) struct OtherName {
    pub(crate) type_id: *mut ASN1_OBJECT,
    pub(crate) value: *mut ASN1_TYPE,
}

/// `OSSL_DISPATCH(3)`: a function of a provider by its number.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct OSSL_DISPATCH {
    pub(crate) id: c_int,
    pub(crate) function: *const (),
}

/// `OSSL_ALGORITHM(3)`: what a provider offers by name.
#[repr(C)]
pub(crate) struct OSSL_ALGORITHM {
    pub(crate) names: *const c_char,
    pub(crate) properties: *const c_char,
    pub(crate) functions: *const OSSL_DISPATCH,
    pub(crate) description: *const c_char,
}

/// `provider(7)`.
pub(crate) type ProviderInit = unsafe extern "C" fn(
    handle: *const c_void,
    offered: *const OSSL_DISPATCH,
    out: *mut *const OSSL_DISPATCH,
    context: *mut *mut c_void,
) -> c_int;

/// Finds an implementation (`EVP_KEYMGMT_fetch` and its like).
pub(crate) type Fetch = unsafe extern "C" fn(
    library: *mut OSSL_LIB_CTX,
    name: *const c_char,
    properties: *const c_char,
) -> *mut c_void;
/// Gives back what was found.
pub(crate) type Free = unsafe extern "C" fn(found: *mut c_void);

/// `X509_VERIFY_PARAM_set_depth(3)`: the default, and more than any chain has.
pub(crate) const MAX_VERIFY_DEPTH: c_int = 100;

/// `X509_STORE_CTX_get_error(3)`.
pub(crate) const X509_V_ERR_EXTENSIONS_REQUIRE_VERSION_3: c_int = 93;

/// `struct GENERAL_SUBTREE_st` of `openssl/x509v3.h`.
#[repr(C)]
pub(crate) struct GENERAL_SUBTREE {
    pub(crate) base: *mut GENERAL_NAME,
    pub(crate) minimum: *mut ASN1_INTEGER,
    pub(crate) maximum: *mut ASN1_INTEGER,
}

/// `struct NAME_CONSTRAINTS_st` of `openssl/x509v3.h`.
#[repr(C)]
pub(crate) struct NAME_CONSTRAINTS {
    pub(crate) permitted: *mut OPENSSL_STACK,
    pub(crate) excluded: *mut OPENSSL_STACK,
}

/// `SSL_CIPHER_get_kx_nid(3)`: `NID_kx_ecdhe_psk`, `NID_kx_dhe_psk`, `NID_kx_rsa_psk`, `NID_kx_psk`.
pub(crate) const NID_KX_WITH_PSK: [c_int; 4] = [1040, 1041, 1042, 1043];

pub(crate) type PskServerCallback =
    unsafe extern "C" fn(ssl: *mut SSL, identity: *const c_char, key: *mut c_uchar, room: c_uint) -> c_uint;
pub(crate) type PskClientCallback = unsafe extern "C" fn(
    ssl: *mut SSL,
    hint: *const c_char,
    identity: *mut c_char,
    identity_room: c_uint,
    key: *mut c_uchar,
    room: c_uint,
) -> c_uint;
pub(crate) type PskFindSessionCallback = unsafe extern "C" fn(
    ssl: *mut SSL,
    identity: *const c_uchar,
    length: size_t,
    session: *mut *mut SSL_SESSION,
) -> c_int;
pub(crate) type PskUseSessionCallback = unsafe extern "C" fn(
    ssl: *mut SSL,
    digest: *const EVP_MD,
    identity: *mut *const c_uchar,
    length: *mut size_t,
    session: *mut *mut SSL_SESSION,
) -> c_int;

pub(crate) type InfoCallback = unsafe extern "C" fn(ssl: *const SSL, kind: c_int, value: c_int);
pub(crate) type CertVerifyCallback =
    unsafe extern "C" fn(ctx: *mut X509_STORE_CTX, arg: *mut c_void) -> c_int;
pub(crate) type VerifyCallback = unsafe extern "C" fn(ok: c_int, ctx: *mut X509_STORE_CTX) -> c_int;

pub(crate) type TicketKeyCallback = unsafe extern "C" fn(
    ssl: *mut SSL,
    name: *mut c_uchar,
    iv: *mut c_uchar,
    cipher: *mut EVP_CIPHER_CTX,
    mac: *mut EVP_MAC_CTX,
    encrypting: c_int,
) -> c_int;

pub(crate) type MessageCallback = unsafe extern "C" fn(
    sent: c_int,
    version: c_int,
    content_type: c_int,
    bytes: *const c_void,
    length: size_t,
    ssl: *mut SSL,
    arg: *mut c_void,
);

#[cfg(any(feature = "vendored", not(unix)))]
unsafe extern "C" {
    /// `SSL_CTX_set_msg_callback(3)`.
    fn SSL_trace(
        sent: c_int,
        version: c_int,
        content_type: c_int,
        bytes: *const c_void,
        length: size_t,
        ssl: *mut SSL,
        arg: *mut c_void,
    );
}

/// `SSL_trace` (`SSL_CTX_set_msg_callback(3)`), which writes to the `BIO` that it gets as its last argument; `None` where
/// OpenSSL was built without it (`no-ssl-trace`), as a system's may be.
#[cfg(any(feature = "vendored", not(unix)))]
pub(crate) fn ssl_trace() -> Option<MessageCallback> {
    Some(SSL_trace)
}

/// `SSL_trace` (`SSL_CTX_set_msg_callback(3)`), which writes to the `BIO` that it gets as its last argument; `None` where
/// OpenSSL was built without it (`no-ssl-trace`), as a system's may be.
#[cfg(not(any(feature = "vendored", not(unix))))]
pub(crate) fn ssl_trace() -> Option<MessageCallback> {
    static FOUND: std::sync::OnceLock<Option<MessageCallback>> = std::sync::OnceLock::new();
    *FOUND.get_or_init(|| {
        let symbol = symbol(c"SSL_trace")?;
        // SAFETY: a symbol of this name has this signature (SSL_CTX_set_msg_callback(3)).
        Some(unsafe { std::mem::transmute::<*mut c_void, MessageCallback>(symbol) })
    })
}

/// A function that not every system's OpenSSL has.
#[cfg(not(any(feature = "vendored", not(unix))))]
fn symbol(name: &std::ffi::CStr) -> Option<*mut c_void> {
    // SAFETY: the name is a C string; libssl and libcrypto, which are linked, are among the libraries searched.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!symbol.is_null()).then_some(symbol)
}

/// `OPENSSL_init_crypto(3)`.
pub(crate) const OPENSSL_INIT_ENGINE_DYNAMIC: u64 = 0x400;

/// The functions for engines: `ENGINE_add(3)`, and for the last one `SSL_CTX_set_client_cert_cb(3)`.
#[derive(Clone, Copy)]
pub(crate) struct EngineFunctions {
    pub(crate) by_id: unsafe extern "C" fn(id: *const c_char) -> *mut ENGINE,
    pub(crate) ctrl_cmd_string: unsafe extern "C" fn(
        engine: *mut ENGINE,
        command: *const c_char,
        value: *const c_char,
        optional: c_int,
    ) -> c_int,
    pub(crate) init: unsafe extern "C" fn(engine: *mut ENGINE) -> c_int,
    pub(crate) finish: unsafe extern "C" fn(engine: *mut ENGINE) -> c_int,
    pub(crate) free: unsafe extern "C" fn(engine: *mut ENGINE) -> c_int,
    pub(crate) load_private_key: unsafe extern "C" fn(
        engine: *mut ENGINE,
        identifier: *const c_char,
        ui: *mut c_void,
        arg: *mut c_void,
    ) -> *mut EVP_PKEY,
    pub(crate) set_client_cert_engine: unsafe extern "C" fn(ctx: *mut SSL_CTX, engine: *mut ENGINE) -> c_int,
}

/// The functions for engines, where engines can work: not with OpenSSL 4, which has none, and not with an OpenSSL that is
/// linked statically, because a module brings the system's libcrypto and would pass its objects to another one.
#[cfg(any(feature = "vendored", not(unix)))]
pub(crate) fn engine_functions() -> Option<EngineFunctions> {
    None
}

/// The functions for engines, where engines can work: not with OpenSSL 4, which has none, and not with an OpenSSL that is
/// linked statically, because a module brings the system's libcrypto and would pass its objects to another one.
#[cfg(not(any(feature = "vendored", not(unix))))]
pub(crate) fn engine_functions() -> Option<EngineFunctions> {
    macro_rules! function {
        ($name:literal, $type:ty) => {{
            let symbol = symbol($name)?;
            // SAFETY: a symbol of this name has this signature (ENGINE_add(3), SSL_CTX_set_client_cert_cb(3)).
            unsafe { std::mem::transmute::<*mut c_void, $type>(symbol) }
        }};
    }
    type OfEngine = unsafe extern "C" fn(*mut ENGINE) -> c_int;
    type Command = unsafe extern "C" fn(*mut ENGINE, *const c_char, *const c_char, c_int) -> c_int;
    type LoadKey =
        unsafe extern "C" fn(*mut ENGINE, *const c_char, *mut c_void, *mut c_void) -> *mut EVP_PKEY;
    type SetEngine = unsafe extern "C" fn(*mut SSL_CTX, *mut ENGINE) -> c_int;
    Some(EngineFunctions {
        by_id: function!(c"ENGINE_by_id", unsafe extern "C" fn(*const c_char) -> *mut ENGINE),
        ctrl_cmd_string: function!(c"ENGINE_ctrl_cmd_string", Command),
        init: function!(c"ENGINE_init", OfEngine),
        finish: function!(c"ENGINE_finish", OfEngine),
        free: function!(c"ENGINE_free", OfEngine),
        load_private_key: function!(c"ENGINE_load_private_key", LoadKey),
        set_client_cert_engine: function!(c"SSL_CTX_set_client_cert_engine", SetEngine),
    })
}

unsafe extern "C" {
    /// `SSL_CTX_set_msg_callback(3)`.
    pub(crate) fn SSL_CTX_set_msg_callback(ctx: *mut SSL_CTX, callback: Option<MessageCallback>);
    /// `ERR_set_mark(3)`.
    pub(crate) fn ERR_set_mark() -> c_int;
    /// `ERR_set_mark(3)`.
    pub(crate) fn ERR_pop_to_mark() -> c_int;
    /// `SSL_CTX_set_tlsext_ticket_key_cb(3)`.
    pub(crate) fn SSL_CTX_set_tlsext_ticket_key_evp_cb(
        ctx: *mut SSL_CTX,
        callback: Option<TicketKeyCallback>,
    ) -> c_int;
    /// `OSSL_PARAM_int(3)`.
    pub(crate) fn OSSL_PARAM_construct_utf8_string(
        key: *const c_char,
        value: *mut c_char,
        length: size_t,
    ) -> OSSL_PARAM;
    /// `OSSL_PARAM_int(3)`.
    pub(crate) fn OSSL_PARAM_construct_end() -> OSSL_PARAM;
    /// `SSL_CTX_set_cert_verify_callback(3)`.
    pub(crate) fn SSL_CTX_set_cert_verify_callback(
        ctx: *mut SSL_CTX,
        callback: Option<CertVerifyCallback>,
        arg: *mut c_void,
    );
    /// `X509_STORE_CTX_set_verify_cb(3)`.
    pub(crate) fn X509_STORE_CTX_set_verify_cb(ctx: *mut X509_STORE_CTX, callback: Option<VerifyCallback>);
    /// `X509_STORE_CTX_get_error(3)`.
    pub(crate) fn X509_STORE_CTX_get0_cert(ctx: *const X509_STORE_CTX) -> *mut X509;
    /// `X509_STORE_CTX_new(3)`.
    pub(crate) fn X509_STORE_CTX_set0_trusted_stack(ctx: *mut X509_STORE_CTX, trusted: *mut stack_st_X509);
    /// `X509_STORE_CTX_new(3)`.
    pub(crate) fn X509_STORE_CTX_set_default(ctx: *mut X509_STORE_CTX, name: *const c_char) -> c_int;
    /// `X509_STORE_CTX_new(3)`.
    pub(crate) fn X509_STORE_CTX_get0_param(ctx: *const X509_STORE_CTX) -> *mut X509_VERIFY_PARAM;
    /// `BIO_get_ex_new_index(3)`: index 0 belongs to who has made the context.
    pub(crate) fn X509_STORE_CTX_set_ex_data(
        ctx: *mut X509_STORE_CTX,
        index: c_int,
        data: *mut c_void,
    ) -> c_int;
    /// `X509_VERIFY_PARAM_set_flags(3)`.
    pub(crate) fn X509_VERIFY_PARAM_get_depth(param: *const X509_VERIFY_PARAM) -> c_int;
    /// `X509_VERIFY_PARAM_set_flags(3)`.
    pub(crate) fn X509_VERIFY_PARAM_add0_policy(
        param: *mut X509_VERIFY_PARAM,
        policy: *mut ASN1_OBJECT,
    ) -> c_int;
    /// `X509_dup(3)`.
    pub(crate) fn NAME_CONSTRAINTS_free(constraints: *mut NAME_CONSTRAINTS);
    /// `X509_get0_pubkey(3)`.
    pub(crate) fn X509_get0_pubkey_bitstr(certificate: *const X509) -> *mut ASN1_BIT_STRING;
    /// `X509_check_ca(3)`.
    pub(crate) fn X509_check_ca(certificate: *mut X509) -> c_int;
    /// `X509_check_purpose(3)`.
    pub(crate) fn X509_check_purpose(certificate: *mut X509, id: c_int, ca: c_int) -> c_int;
    /// `X509_get0_signature(3)`.
    pub(crate) fn X509_get_signature_info(
        certificate: *mut X509,
        digest: *mut c_int,
        key: *mut c_int,
        security_bits: *mut c_int,
        flags: *mut u32,
    ) -> c_int;
    /// `openssl/x509v3.h`: whether its names are in these subtrees, as `X509_V_*`.
    pub(crate) fn NAME_CONSTRAINTS_check(certificate: *mut X509, constraints: *mut NAME_CONSTRAINTS)
    -> c_int;
    /// `X509_STORE_CTX_get_error(3)`.
    pub(crate) fn X509_STORE_CTX_get0_current_crl(ctx: *const X509_STORE_CTX) -> *mut X509_CRL;
    /// `X509_STORE_CTX_new(3)`.
    pub(crate) fn X509_STORE_CTX_get0_untrusted(ctx: *const X509_STORE_CTX) -> *mut stack_st_X509;
    /// `X509_STORE_CTX_set_verify_cb(3)`, as the function behind `X509_STORE_CTX_get_get_issuer`.
    pub(crate) fn X509_STORE_CTX_get1_issuer(
        issuer: *mut *mut X509,
        ctx: *mut X509_STORE_CTX,
        certificate: *mut X509,
    ) -> c_int;
    /// `X509_STORE_add_cert(3)`.
    pub(crate) fn X509_STORE_add_crl(store: *mut X509_STORE, crl: *mut X509_CRL) -> c_int;
    /// `SSL_CTX_set_info_callback(3)`.
    pub(crate) fn SSL_CTX_set_info_callback(ctx: *mut SSL_CTX, callback: Option<InfoCallback>);
    /// `SSL_CTX_use_certificate(3)`.
    pub(crate) fn SSL_CTX_use_cert_and_key(
        ctx: *mut SSL_CTX,
        certificate: *mut X509,
        key: *mut EVP_PKEY,
        chain: *mut stack_st_X509,
        overwrite: c_int,
    ) -> c_int;
    /// `SSL_get_session(3)`.
    pub(crate) fn SSL_get1_session(ssl: *mut SSL) -> *mut SSL_SESSION;
    /// `SSL_alloc_buffers(3)`.
    pub(crate) fn SSL_free_buffers(ssl: *mut SSL) -> c_int;
    /// `SSL_CTX_set_timeout(3)`.
    pub(crate) fn SSL_CTX_set_timeout(ctx: *mut SSL_CTX, seconds: c_long) -> c_long;
    /// `SSL_CTX_set_session_id_context(3)`.
    pub(crate) fn SSL_set_session_id_context(ssl: *mut SSL, context: *const c_uchar, length: c_uint)
    -> c_int;
    /// `SSL_CTX_set_options(3)`.
    pub(crate) fn SSL_set_options(ssl: *mut SSL, options: u64) -> u64;
    /// `SSL_CTX_set_options(3)`.
    pub(crate) fn SSL_clear_options(ssl: *mut SSL, options: u64) -> u64;
    /// `SSL_CTX_set_options(3)`.
    pub(crate) fn SSL_get_options(ssl: *const SSL) -> u64;
    /// `SSL_key_update(3)`.
    pub(crate) fn SSL_key_update(ssl: *mut SSL, kind: c_int) -> c_int;
    /// `SSL_key_update(3)`.
    pub(crate) fn SSL_renegotiate(ssl: *mut SSL) -> c_int;
    /// `SSL_key_update(3)`.
    pub(crate) fn SSL_renegotiate_pending(ssl: *const SSL) -> c_int;
    /// `SSL_in_init(3)`.
    pub(crate) fn SSL_in_init(ssl: *const SSL) -> c_int;
    /// `SSL_CTX_set_verify(3)`.
    pub(crate) fn SSL_verify_client_post_handshake(ssl: *mut SSL) -> c_int;
    /// `SSL_CTX_set_verify(3)`.
    pub(crate) fn SSL_set_post_handshake_auth(ssl: *mut SSL, value: c_int);
    /// `SSL_CTX_set_session_ticket_cb(3)`.
    pub(crate) fn SSL_SESSION_set1_ticket_appdata(
        session: *mut SSL_SESSION,
        data: *const c_void,
        length: size_t,
    ) -> c_int;
    /// `SSL_CTX_set_session_ticket_cb(3)`.
    pub(crate) fn SSL_SESSION_get0_ticket_appdata(
        session: *mut SSL_SESSION,
        data: *mut *mut c_void,
        length: *mut size_t,
    ) -> c_int;
    /// `SSL_SESSION_free(3)`.
    pub(crate) fn SSL_SESSION_dup(session: *const SSL_SESSION) -> *mut SSL_SESSION;
    /// `SSL_SESSION_is_resumable(3)`.
    pub(crate) fn SSL_SESSION_is_resumable(session: *const SSL_SESSION) -> c_int;
    /// `X509_NAME_print_ex(3)`.
    pub(crate) fn X509_NAME_print_ex(
        out: *mut BIO,
        name: *const X509_NAME,
        indent: c_int,
        flags: c_ulong,
    ) -> c_int;
    /// `X509_NAME_ENTRY_get_object(3)`.
    pub(crate) fn X509_NAME_ENTRY_set(entry: *const X509_NAME_ENTRY) -> c_int;
    /// `PEM_read_bio_PrivateKey(3)`: also reads `TRUSTED CERTIFICATE`.
    pub(crate) fn PEM_read_bio_X509_AUX(
        bio: *mut BIO,
        certificate: *mut *mut X509,
        callback: pem_password_cb,
        arg: *mut c_void,
    ) -> *mut X509;
    /// `EC_GROUP_get_curve_name(3)`.
    pub(crate) fn EC_curve_nid2nist(nid: c_int) -> *const c_char;
    /// `SSL_get_ciphers(3)`.
    pub(crate) fn SSL_get_ciphers(ssl: *const SSL) -> *mut stack_st_SSL_CIPHER;
    /// `SSL_get_shared_sigalgs(3)`.
    pub(crate) fn SSL_get_shared_sigalgs(
        ssl: *mut SSL,
        index: c_int,
        sign: *mut c_int,
        hash: *mut c_int,
        sign_and_hash: *mut c_int,
        raw_sign: *mut c_uchar,
        raw_hash: *mut c_uchar,
    ) -> c_int;
    /// `SSL_SESSION_has_ticket(3)`.
    pub(crate) fn SSL_SESSION_get0_ticket(
        session: *const SSL_SESSION,
        ticket: *mut *const c_uchar,
        length: *mut size_t,
    );
    /// `SSL_group_to_name(3)`.
    pub(crate) fn SSL_group_to_name(ssl: *mut SSL, id: c_int) -> *const c_char;
    /// `EVP_KEYMGMT(3)`; so the next.
    pub(crate) fn EVP_KEYMGMT_fetch(
        library: *mut OSSL_LIB_CTX,
        name: *const c_char,
        properties: *const c_char,
    ) -> *mut c_void;
    pub(crate) fn EVP_KEYMGMT_free(keys: *mut c_void);
    /// `EVP_KEM(3)`; so the next.
    pub(crate) fn EVP_KEM_fetch(
        library: *mut OSSL_LIB_CTX,
        name: *const c_char,
        properties: *const c_char,
    ) -> *mut c_void;
    pub(crate) fn EVP_KEM_free(kem: *mut c_void);
    /// `EVP_KEYEXCH(3)`; so the next.
    pub(crate) fn EVP_KEYEXCH_fetch(
        library: *mut OSSL_LIB_CTX,
        name: *const c_char,
        properties: *const c_char,
    ) -> *mut c_void;
    pub(crate) fn EVP_KEYEXCH_free(exchange: *mut c_void);
    /// `EVP_SIGNATURE(3)`; so the next.
    pub(crate) fn EVP_SIGNATURE_fetch(
        library: *mut OSSL_LIB_CTX,
        name: *const c_char,
        properties: *const c_char,
    ) -> *mut c_void;
    pub(crate) fn EVP_SIGNATURE_free(signatures: *mut c_void);
    /// `OPENSSL_malloc(3)`.
    pub(crate) fn OPENSSL_cleanse(memory: *mut c_void, length: size_t);
    /// `SSL_CTX_new_ex(3)`.
    pub(crate) fn SSL_CTX_new_ex(
        library: *mut OSSL_LIB_CTX,
        properties: *const c_char,
        method: *const SSL_METHOD,
    ) -> *mut SSL_CTX;
    /// `OSSL_PROVIDER(3)`.
    pub(crate) fn OSSL_PROVIDER_add_builtin(
        library: *mut OSSL_LIB_CTX,
        name: *const c_char,
        init: Option<ProviderInit>,
    ) -> c_int;
    /// `OSSL_PARAM_int(3)`.
    pub(crate) fn OSSL_PARAM_get_int(param: *const OSSL_PARAM, value: *mut c_int) -> c_int;
    /// `EVP_PKEY_CTX_ctrl(3)`.
    #[cfg(test)]
    pub(crate) fn EVP_PKEY_CTX_set_group_name(
        context: *mut openssl_sys::EVP_PKEY_CTX,
        name: *const c_char,
    ) -> c_int;
    /// `EVP_PKEY_set1_encoded_public_key(3)`.
    #[cfg(test)]
    pub(crate) fn EVP_PKEY_set1_encoded_public_key(
        key: *mut EVP_PKEY,
        share: *const u8,
        length: size_t,
    ) -> c_int;
    /// `EVP_PKEY_get0_provider` of `EVP_PKEY_set1_RSA(3)`.
    #[cfg(test)]
    pub(crate) fn EVP_PKEY_get0_provider(key: *const EVP_PKEY) -> *const openssl_sys::OSSL_PROVIDER;
    /// `OSSL_PROVIDER(3)`.
    #[cfg(test)]
    pub(crate) fn OSSL_PROVIDER_get0_name(provider: *const openssl_sys::OSSL_PROVIDER) -> *const c_char;
    /// `OSSL_PARAM_int(3)`; so the next.
    pub(crate) fn OSSL_PARAM_set_int(param: *mut OSSL_PARAM, value: c_int) -> c_int;
    pub(crate) fn OSSL_PARAM_set_octet_string(
        param: *mut OSSL_PARAM,
        value: *const c_void,
        length: size_t,
    ) -> c_int;
    /// `SSL_CTX_use_psk_identity_hint(3)`.
    pub(crate) fn SSL_set_psk_server_callback(ssl: *mut SSL, callback: Option<PskServerCallback>);
    /// `SSL_CTX_use_psk_identity_hint(3)`.
    pub(crate) fn SSL_use_psk_identity_hint(ssl: *mut SSL, hint: *const c_char) -> c_int;
    /// `SSL_CTX_use_psk_identity_hint(3)`.
    pub(crate) fn SSL_set_psk_find_session_callback(ssl: *mut SSL, callback: Option<PskFindSessionCallback>);
    /// `SSL_CTX_set_psk_client_callback(3)`.
    pub(crate) fn SSL_set_psk_client_callback(ssl: *mut SSL, callback: Option<PskClientCallback>);
    /// `SSL_CTX_set_psk_client_callback(3)`.
    pub(crate) fn SSL_set_psk_use_session_callback(ssl: *mut SSL, callback: Option<PskUseSessionCallback>);
    /// `SSL_CTX_set_cipher_list(3)`.
    pub(crate) fn SSL_set_ciphersuites(ssl: *mut SSL, list: *const c_char) -> c_int;
    /// `SSL_CIPHER_get_name(3)`.
    pub(crate) fn SSL_CIPHER_find(ssl: *mut SSL, number: *const c_uchar) -> *const SSL_CIPHER;
    /// `SSL_CIPHER_get_name(3)`.
    pub(crate) fn SSL_CIPHER_get_kx_nid(cipher: *const SSL_CIPHER) -> c_int;
    /// `SSL_get_current_cipher(3)`.
    pub(crate) fn SSL_get_pending_cipher(ssl: *const SSL) -> *const SSL_CIPHER;
    /// `SSL_SESSION_free(3)`.
    pub(crate) fn SSL_SESSION_new() -> *mut SSL_SESSION;
    /// `SSL_get_client_random(3)`.
    pub(crate) fn SSL_SESSION_set1_master_key(
        session: *mut SSL_SESSION,
        key: *const c_uchar,
        length: size_t,
    ) -> c_int;
    /// `SSL_SESSION_get0_cipher(3)`.
    pub(crate) fn SSL_SESSION_set_cipher(session: *mut SSL_SESSION, cipher: *const SSL_CIPHER) -> c_int;
    /// `SSL_SESSION_get_protocol_version(3)`.
    pub(crate) fn SSL_SESSION_set_protocol_version(session: *mut SSL_SESSION, version: c_int) -> c_int;
    /// `BIO_get_new_index(3)`.
    pub(crate) fn BIO_get_new_index() -> c_int;
    /// `OSSL_LIB_CTX(3)`.
    pub(crate) fn OSSL_LIB_CTX_set0_default(context: *mut OSSL_LIB_CTX) -> *mut OSSL_LIB_CTX;
}
