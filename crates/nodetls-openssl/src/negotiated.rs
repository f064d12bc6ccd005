//! What a connection has negotiated, and what can be derived from its secrets.

use std::ffi::CStr;

use foreign_types::ForeignTypeRef;
use libc::{c_int, c_long};
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Public};
use openssl::ssl::{SslCipher, SslCipherRef};
use openssl::stack::StackRef;

use crate::{Certificate, ErrorStack, Session, Ssl, certificate, sys};

const SSL_CTRL_SET_MAX_SEND_FRAGMENT: c_int = 52;
const SSL_CTRL_GET_PEER_TMP_KEY: c_int = 109;

/// The longest Finished message: SHA-384's output (RFC 8446 §4.4.4).
const MAX_FINISHED: usize = 64;

/// A bound for lists that OpenSSL gives entry by entry.
const MAX_SIGNATURE_ALGORITHMS: c_int = 1024;

/// A cipher suite that was negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CipherSuite {
    /// OpenSSL's name, such as `ECDHE-RSA-AES128-GCM-SHA256`.
    pub name: &'static str,
    /// The IETF's name, such as `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`.
    pub standard_name: &'static str,
    /// The first protocol version that has it, such as `TLSv1.2`.
    pub version: &'static str,
}

/// The peer's share of the key agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EphemeralKey {
    /// Finite-field Diffie-Hellman.
    Dh {
        /// Length of the prime in bits.
        bits: u32,
    },
    /// Diffie-Hellman on an elliptic curve.
    Ecdh {
        /// The curve's name, such as `prime256v1` or `X25519`.
        name: String,
        /// Size of the key in bits.
        bits: u32,
    },
}

impl Ssl {
    /// The protocol version's number on the wire.
    pub fn version(&self) -> u16 {
        // SAFETY: the SSL is alive.
        unsafe { openssl_sys::SSL_version(self.as_ptr()) as u16 }
    }

    /// The cipher suite, once there is one.
    pub fn cipher_suite(&self) -> Option<CipherSuite> {
        let cipher = self.ssl().current_cipher()?;
        let name = cipher.name();
        let standard_name = cipher.standard_name().unwrap_or(name);
        Some(CipherSuite { name, standard_name, version: cipher.version() })
    }

    /// The protocol that ALPN selected.
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.ssl().selected_alpn_protocol()
    }

    /// Whether a session was resumed.
    pub fn is_session_reused(&self) -> bool {
        self.ssl().session_reused()
    }

    /// The peer's own certificate, from the handshake or from the resumed session.
    pub fn peer_certificate(&self) -> Option<Certificate> {
        self.ssl().peer_certificate().map(Certificate::from)
    }

    /// The certificates that the peer sent, as OpenSSL has them: with the peer's own on clients, without on servers.
    pub fn peer_chain(&self) -> Vec<Certificate> {
        let chain = self.ssl().peer_cert_chain().map_or(std::ptr::null_mut(), |stack| stack.as_ptr());
        // SAFETY: null or the stack of the session, which is alive during the call.
        unsafe { certificate::certificates_of(chain) }
    }

    /// The certificate of this side that was sent or would be.
    pub fn local_certificate(&self) -> Option<Certificate> {
        self.ssl().certificate().map(|certificate| Certificate::from(certificate.to_owned()))
    }

    /// The `X509_V_*` number of the verification, also of a resumed session's original one.
    pub fn verify_result(&self) -> i32 {
        self.ssl().verify_result().as_raw()
    }

    /// The session in use.
    pub fn session(&self) -> Option<Session> {
        // SAFETY: the SSL is alive; OpenSSL hands over a reference of ours.
        let session = unsafe { sys::SSL_get1_session(self.as_ptr()) };
        // SAFETY: as above.
        (!session.is_null()).then(|| unsafe { Session::from_raw(session) })
    }

    /// The name of the group that was used for key agreement, if one was.
    pub fn group_name(&self) -> Option<String> {
        // SAFETY: the SSL is alive; the control takes no arguments.
        let id = unsafe {
            openssl_sys::SSL_ctrl(
                self.as_ptr(),
                sys::SSL_CTRL_GET_NEGOTIATED_GROUP,
                0 as c_long,
                std::ptr::null_mut(),
            )
        };
        if id == 0 {
            return None;
        }
        // SAFETY: the SSL is alive; any number may be asked for.
        let name = unsafe { sys::SSL_group_to_name(self.as_ptr(), id as c_int) };
        if name.is_null() {
            return None;
        }
        // SAFETY: not null: a C string of OpenSSL's group table.
        Some(unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned())
    }

    /// OpenSSL's names of the suites that this connection would use.
    pub fn cipher_names(&self) -> Vec<&'static str> {
        // SAFETY: the SSL is alive.
        let raw = unsafe { sys::SSL_get_ciphers(self.as_ptr()) };
        if raw.is_null() {
            return Vec::new();
        }
        // SAFETY: not null; the stack belongs to the SSL, which is alive during this call.
        let ciphers = unsafe { StackRef::<SslCipher>::from_ptr(raw) };
        ciphers.iter().map(SslCipherRef::name).collect()
    }

    /// The length in bits of the prime that a server has chosen for finite-field Diffie-Hellman, on clients, from the
    /// server's share on; `None` for other key agreements.
    pub fn peer_dh_bits(&self) -> Option<u32> {
        let key = self.peer_temporary_key()?;
        matches!(key.id(), Id::DH | Id::DHX).then(|| key.bits())
    }

    /// Corresponds to `SSL_get_peer_tmp_key`.
    pub(crate) fn peer_temporary_key(&self) -> Option<PKey<Public>> {
        let mut raw: *mut openssl_sys::EVP_PKEY = std::ptr::null_mut();
        // SAFETY: the SSL is alive; the out parameter is ours.
        let found = unsafe {
            openssl_sys::SSL_ctrl(self.as_ptr(), SSL_CTRL_GET_PEER_TMP_KEY, 0, (&raw mut raw).cast())
        };
        ErrorStack::clear();
        // SAFETY: where one is found, OpenSSL hands over a reference that is ours.
        (found == 1 && !raw.is_null()).then(|| unsafe { foreign_types::ForeignType::from_ptr(raw) })
    }

    /// The peer's share of the key agreement, on clients; `None` where there was none or OpenSSL does not keep it, as
    /// with the post-quantum groups.
    pub fn ephemeral_key(&self) -> Option<EphemeralKey> {
        let key = self.peer_temporary_key()?;
        let bits = key.bits();
        let short_name = |nid: Nid| nid.short_name().ok().map(str::to_owned);
        match key.id() {
            Id::DH | Id::DHX => Some(EphemeralKey::Dh { bits }),
            Id::EC => {
                let name = key.ec_key().ok()?.group().curve_name().and_then(short_name)?;
                Some(EphemeralKey::Ecdh { name, bits })
            }
            other => Some(EphemeralKey::Ecdh { name: short_name(Nid::from_raw(other.as_raw()))?, bits }),
        }
    }

    /// The Finished message that was sent last; empty before. Corresponds to `SSL_get_finished`.
    pub fn finished(&self) -> Vec<u8> {
        let mut message = [0; MAX_FINISHED];
        let length = self.ssl().finished(&mut message).min(MAX_FINISHED);
        message[..length].to_vec()
    }

    /// The Finished message that was received last; empty before. Corresponds to `SSL_get_peer_finished`.
    pub fn peer_finished(&self) -> Vec<u8> {
        let mut message = [0; MAX_FINISHED];
        let length = self.ssl().peer_finished(&mut message).min(MAX_FINISHED);
        message[..length].to_vec()
    }

    /// The signature algorithms that both sides know, the server's preferred one first: pairs of OpenSSL's numbers
    /// (NIDs) for signature and hash. Corresponds to `SSL_get_shared_sigalgs`.
    pub fn shared_signature_algorithms(&self) -> Vec<(i32, i32)> {
        let mut all = Vec::new();
        for index in 0..MAX_SIGNATURE_ALGORITHMS {
            let (mut sign, mut hash) = (0, 0);
            let (none, nothing) = (std::ptr::null_mut(), std::ptr::null_mut());
            // SAFETY: the SSL is alive; the out parameters are ours or null, which is permitted.
            let count = unsafe {
                sys::SSL_get_shared_sigalgs(
                    self.as_ptr(),
                    index,
                    &raw mut sign,
                    &raw mut hash,
                    none,
                    nothing,
                    nothing,
                )
            };
            if index >= count {
                break;
            }
            all.push((sign, hash));
        }
        all
    }

    /// Derives key material for other protocols (RFC 5705, RFC 8446 §7.5).
    ///
    /// # Errors
    /// When the handshake is not done or the label is reserved.
    pub fn export_keying_material(
        &self,
        material: &mut [u8],
        label: &str,
        context: Option<&[u8]>,
    ) -> Result<(), ErrorStack> {
        ErrorStack::clear();
        Ok(self.ssl().export_keying_material(material, label, context)?)
    }

    /// The most plaintext in a record that is sent, 512 to 16,384 bytes; false when that is not acceptable.
    pub fn set_max_send_fragment(&mut self, size: usize) -> bool {
        let Ok(size) = c_long::try_from(size) else { return false };
        // SAFETY: the SSL is alive; OpenSSL checks the range.
        unsafe {
            openssl_sys::SSL_ctrl(self.as_ptr(), SSL_CTRL_SET_MAX_SEND_FRAGMENT, size, std::ptr::null_mut())
                == 1
        }
    }
}
