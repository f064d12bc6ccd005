//! Declarations that `openssl-sys` lacks, each with the manual page it was written from.
//!
//! Nothing but declarations and the constants they need.

use libc::{c_char, c_int, c_long, c_uchar, c_uint, c_void, size_t};
use openssl_sys::{
    BIO, EVP_CIPHER_CTX, EVP_MAC_CTX, EVP_MD, EVP_PKEY, OSSL_PARAM, SSL, SSL_CIPHER, SSL_CTX, SSL_SESSION,
    X509, X509_CRL, X509_NAME_ENTRY, X509_STORE, X509_STORE_CTX,
};
use openssl_sys::{pem_password_cb, stack_st_SSL_CIPHER, stack_st_X509};

/// `OPENSSL_init_crypto(3)`.
pub(crate) const OPENSSL_INIT_NO_LOAD_CONFIG: u64 = 0x80;

/// `SSL_get_error(3)`.
pub(crate) const SSL_ERROR_WANT_ASYNC: c_int = 9;
/// `SSL_get_error(3)`.
pub(crate) const SSL_ERROR_WANT_RETRY_VERIFY: c_int = 12;

/// `SSL_set_retry_verify(3)`, a macro over `SSL_ctrl`.
pub(crate) const SSL_CTRL_SET_RETRY_VERIFY: c_int = 136;
/// `SSL_get_negotiated_group(3)`, a macro over `SSL_ctrl`.
pub(crate) const SSL_CTRL_GET_NEGOTIATED_GROUP: c_int = 134;

/// `SSL_CTX_set_options(3)`.
pub(crate) const SSL_OP_NO_RENEGOTIATION: u64 = 1 << 30;

/// `SSL_CTX_set_session_cache_mode(3)`: both sides, and nothing kept or flushed by OpenSSL itself.
pub(crate) const SESSION_CACHE_CALLBACKS_ONLY: c_long = 0x0001 | 0x0002 | 0x0080 | 0x0300;

/// `SSL_CTX_set_info_callback(3)`.
pub(crate) const SSL_CB_READ_ALERT: c_int = 0x4004;
/// `SSL_CTX_set_info_callback(3)`.
pub(crate) const SSL_CB_WRITE_ALERT: c_int = 0x4008;

/// `SSL_set_shutdown(3)`.
pub(crate) const SSL_SENT_AND_RECEIVED_SHUTDOWN: c_int = 1 | 2;

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

unsafe extern "C" {
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
    /// `X509_STORE_CTX_new(3)`.
    pub(crate) fn X509_STORE_CTX_get0_untrusted(ctx: *const X509_STORE_CTX) -> *mut stack_st_X509;
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
}
