//! Error codes as Node.js spells them, made from OpenSSL's numbers and reason names.

use super::OpenSslError;

/// Libraries whose name Node.js puts into codes (`ERR_GET_LIB` numbers of OpenSSL 3).
const LIBRARIES: &[(i32, &str)] = &[
    (2, "SYS"),
    (3, "BN"),
    (4, "RSA"),
    (5, "DH"),
    (6, "EVP"),
    (7, "BUF"),
    (8, "OBJ"),
    (9, "PEM"),
    (10, "DSA"),
    (11, "X509"),
    (13, "ASN1"),
    (14, "CONF"),
    (15, "CRYPTO"),
    (16, "EC"),
    (32, "BIO"),
    (33, "PKCS7"),
    (34, "X509V3"),
    (35, "PKCS12"),
    (36, "RAND"),
    (37, "DSO"),
    (38, "ENGINE"),
    (39, "OCSP"),
    (40, "UI"),
    (44, "OSSL_STORE"),
    (46, "CMS"),
    (47, "TS"),
    (50, "CT"),
    (51, "ASYNC"),
    (52, "KDF"),
];

const LIBRARY_SSL: i32 = 20;
const LIBRARY_PROVIDER: i32 = 57;

/// The error that names why a connection failed: the first one.
///
/// From OpenSSL 3.2 on, a provider's "cipher operation failed" stands before the "bad record mac" that it causes. The
/// codes that programs compare with are those of the protocol.
pub(crate) fn connection_cause(errors: &[OpenSslError]) -> Option<&OpenSslError> {
    errors.iter().find(|error| error.library_number != LIBRARY_PROVIDER).or_else(|| errors.first())
}

/// The code of a failed connection: `ERR_SSL_` and the reason, whichever library gave it.
pub(crate) fn connection_code(error: &OpenSslError) -> String {
    format!("ERR_SSL_{}", reason_name(error))
}

/// The code of a refused option: `ERR_SSL_…`, `ERR_OSSL_<LIBRARY>_…`, or `ERR_OSSL_…` for other libraries.
pub(crate) fn config_code(error: &OpenSslError) -> String {
    if error.library_number == LIBRARY_SSL {
        return connection_code(error);
    }
    let reason = reason_name(error);
    match LIBRARIES.iter().find(|(number, _)| *number == error.library_number) {
        Some((_, library)) => format!("ERR_OSSL_{library}_{reason}"),
        None => format!("ERR_OSSL_{reason}"),
    }
}

fn reason_name(error: &OpenSslError) -> String {
    let reason = error.reason.as_deref().unwrap_or("unknown reason");
    // OpenSSL 3.2 renamed the reasons of received alerts; the codes that programs compare with stay.
    reason.replace("ssl/tls alert", "sslv3 alert").to_ascii_uppercase().replace(' ', "_")
}
