//! Signatures by private keys that are elsewhere (RFC 8446 §4.4.3, RFC 5246 §7.4.3 and §7.4.8).

use nodetls_openssl::{SignRequest, digest};

use crate::certificate::Certificate;
use crate::connection::question::AskSign;

/// A signature algorithm of TLS by its number (RFC 8446 §4.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignatureScheme(pub u16);

macro_rules! schemes {
    ($($number:literal $name:literal $hash:expr;)*) => {
        impl SignatureScheme {
            /// The name in the IANA registry, such as `ecdsa_secp256r1_sha256`; `unknown` for numbers that are not used here.
            pub fn name(self) -> &'static str {
                match self.0 { $($number => $name,)* _ => "unknown" }
            }

            /// The hash that the message goes through before it is signed, such as `SHA256`; `None` for Ed25519 and Ed448,
            /// which take the message itself.
            pub fn hash(self) -> Option<&'static str> {
                match self.0 { $($number => $hash,)* _ => None }
            }
        }
    };
}

schemes! {
    0x0201 "rsa_pkcs1_sha1" Some("SHA1");
    0x0203 "ecdsa_sha1" Some("SHA1");
    0x0301 "rsa_pkcs1_sha224" Some("SHA224");
    0x0303 "ecdsa_sha224" Some("SHA224");
    0x0401 "rsa_pkcs1_sha256" Some("SHA256");
    0x0403 "ecdsa_secp256r1_sha256" Some("SHA256");
    0x0501 "rsa_pkcs1_sha384" Some("SHA384");
    0x0503 "ecdsa_secp384r1_sha384" Some("SHA384");
    0x0601 "rsa_pkcs1_sha512" Some("SHA512");
    0x0603 "ecdsa_secp521r1_sha512" Some("SHA512");
    0x0804 "rsa_pss_rsae_sha256" Some("SHA256");
    0x0805 "rsa_pss_rsae_sha384" Some("SHA384");
    0x0806 "rsa_pss_rsae_sha512" Some("SHA512");
    0x0807 "ed25519" None;
    0x0808 "ed448" None;
}

impl AskSign {
    /// What a request of OpenSSL asks of the program; `None` for algorithms without a number, which only TLS 1.1 and
    /// older know.
    pub(crate) fn new(
        request: &SignRequest,
        own: impl Iterator<Item = nodetls_openssl::Certificate>,
    ) -> Option<Self> {
        let certificate = own.into_iter().find(|certificate| request.is_for(certificate)).map(Certificate)?;
        let scheme = SignatureScheme(request.signature_scheme()?);
        Some(Self { certificate, scheme, message: request.message().to_vec() })
    }

    /// The hash of the message, for signers that want no more than that; `None` where the algorithm has none.
    pub fn digest(&self) -> Option<Vec<u8>> {
        digest(self.scheme.hash()?, &self.message)
    }
}
