//! What a key management service does: it signs, and keeps its keys to itself.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use nodetls_proto::SignatureScheme;
use rcgen::KeyPair;

use crate::pki::Identity;

/// Signs the message with the identity's key; `None` for schemes that the key cannot do.
pub fn sign(identity: &Identity, scheme: SignatureScheme, message: &[u8]) -> Option<Vec<u8>> {
    let key = KeyPair::from_pem(&identity.key_pem).ok()?.serialize_der();
    match scheme.0 {
        0x0401 => sign_rsa(&key, &RSA_PKCS1_SHA256, message),
        0x0501 => sign_rsa(&key, &RSA_PKCS1_SHA384, message),
        0x0601 => sign_rsa(&key, &RSA_PKCS1_SHA512, message),
        0x0804 => sign_rsa(&key, &RSA_PSS_SHA256, message),
        0x0805 => sign_rsa(&key, &RSA_PSS_SHA384, message),
        0x0806 => sign_rsa(&key, &RSA_PSS_SHA512, message),
        0x0403 => {
            let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key).ok()?;
            Some(key.sign(&SystemRandom::new(), message).ok()?.as_ref().to_vec())
        }
        0x0807 => Some(Ed25519KeyPair::from_pkcs8(&key).ok()?.sign(message).as_ref().to_vec()),
        _ => None,
    }
}

fn sign_rsa(key: &[u8], encoding: &'static dyn RsaEncoding, message: &[u8]) -> Option<Vec<u8>> {
    let key = RsaKeyPair::from_pkcs8(key).ok()?;
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(encoding, &SystemRandom::new(), message, &mut signature).ok()?;
    Some(signature)
}
