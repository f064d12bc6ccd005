//! Alerts (RFC 8446 §6, RFC 5246 §7.2).

use std::fmt;

/// The description in an alert. Any number can be received, so this is not an enum.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AlertDescription(pub u8);

macro_rules! alerts {
    ($($constant:ident = $number:literal $name:literal,)*) => {
        impl AlertDescription {
            $(#[doc = concat!("`", $name, "`")] pub const $constant: Self = Self($number);)*

            /// The name that the RFCs give it, such as `unknown_ca`; `unknown` for numbers without one.
            pub fn name(self) -> &'static str {
                match self.0 { $($number => $name,)* _ => "unknown" }
            }
        }
    };
}

alerts! {
    CLOSE_NOTIFY = 0 "close_notify",
    UNEXPECTED_MESSAGE = 10 "unexpected_message",
    BAD_RECORD_MAC = 20 "bad_record_mac",
    DECRYPTION_FAILED = 21 "decryption_failed",
    RECORD_OVERFLOW = 22 "record_overflow",
    DECOMPRESSION_FAILURE = 30 "decompression_failure",
    HANDSHAKE_FAILURE = 40 "handshake_failure",
    NO_CERTIFICATE = 41 "no_certificate",
    BAD_CERTIFICATE = 42 "bad_certificate",
    UNSUPPORTED_CERTIFICATE = 43 "unsupported_certificate",
    CERTIFICATE_REVOKED = 44 "certificate_revoked",
    CERTIFICATE_EXPIRED = 45 "certificate_expired",
    CERTIFICATE_UNKNOWN = 46 "certificate_unknown",
    ILLEGAL_PARAMETER = 47 "illegal_parameter",
    UNKNOWN_CA = 48 "unknown_ca",
    ACCESS_DENIED = 49 "access_denied",
    DECODE_ERROR = 50 "decode_error",
    DECRYPT_ERROR = 51 "decrypt_error",
    PROTOCOL_VERSION = 70 "protocol_version",
    INSUFFICIENT_SECURITY = 71 "insufficient_security",
    INTERNAL_ERROR = 80 "internal_error",
    INAPPROPRIATE_FALLBACK = 86 "inappropriate_fallback",
    USER_CANCELED = 90 "user_canceled",
    NO_RENEGOTIATION = 100 "no_renegotiation",
    MISSING_EXTENSION = 109 "missing_extension",
    UNSUPPORTED_EXTENSION = 110 "unsupported_extension",
    UNRECOGNIZED_NAME = 112 "unrecognized_name",
    BAD_CERTIFICATE_STATUS_RESPONSE = 113 "bad_certificate_status_response",
    UNKNOWN_PSK_IDENTITY = 115 "unknown_psk_identity",
    CERTIFICATE_REQUIRED = 116 "certificate_required",
    NO_APPLICATION_PROTOCOL = 120 "no_application_protocol",
}

impl AlertDescription {
    /// The fatal alert as a plaintext record, for the time before keys are agreed (RFC 8446 §5.1).
    pub(crate) fn to_plaintext_record(self) -> [u8; 7] {
        [21, 3, 3, 0, 2, 2, self.0]
    }
}

impl fmt::Display for AlertDescription {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.name(), self.0)
    }
}

impl fmt::Debug for AlertDescription {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}
