//! What the two sides have agreed on, as JavaScript has it.

use napi_derive::napi;
use nodetls_proto::EphemeralKey;

/// A cipher suite as `getCipher()` gives it.
#[napi(object)]
pub struct NativeCipher {
    /// OpenSSL's name.
    pub name: String,
    /// The IETF's name.
    pub standard_name: String,
    /// The lowest version with this suite.
    pub version: String,
}

/// The key agreement as `getEphemeralKeyInfo()` gives it.
#[napi(object)]
pub struct NativeEphemeralKey {
    /// `DH`, `ECDH`, or `TLSGroup` for a key encapsulation.
    #[napi(js_name = "type")]
    pub kind: String,
    /// The group.
    pub name: Option<String>,
    /// Bits.
    pub size: Option<u32>,
}

/// The key agreement of a client; nothing where it is of a kind that has no name here.
pub(crate) fn ephemeral_key(key: EphemeralKey) -> Option<NativeEphemeralKey> {
    let (kind, name, size) = match key {
        EphemeralKey::Dh { bits } => ("DH", None, Some(bits)),
        EphemeralKey::Ecdh { name, bits } => ("ECDH", Some(name), Some(bits)),
        EphemeralKey::Kem { name } => ("TLSGroup", Some(name), None),
        _ => return None,
    };
    Some(NativeEphemeralKey { kind: kind.to_owned(), name, size })
}
