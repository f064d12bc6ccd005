//! What a connection can tell about itself and its peer.

use nodetls_openssl::{Ssl, nid};
use zeroize::Zeroizing;

use super::{Connection, Phase, Role, handshake};
use crate::certificate::Certificate;
use crate::cipher::CipherSuite;
use crate::error::Error;
use crate::options::Side;
use crate::secret::SecretBytes;
use crate::session::{Session, client_binding};
use crate::version::ProtocolVersion;

/// The longest chain that is followed, as in OpenSSL's verification.
const MAX_CHAIN: usize = 100;

/// The most key material that is derived at once.
const MAX_KEYING_MATERIAL: usize = 64 * 1024;

/// The verdict on the peer.
#[derive(Debug, Default)]
pub(super) struct Authorization {
    authorized: bool,
    error: Option<Error>,
}

impl Authorization {
    pub(super) fn accept(&mut self) {
        *self = Self { authorized: true, error: None };
    }

    pub(super) fn judge(&mut self, objection: Option<Error>) {
        *self = Self { authorized: objection.is_none(), error: objection };
    }
}

impl Connection {
    /// The negotiated protocol version; `None` before the handshake is done. Node: `getProtocol()`.
    pub fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.established().and_then(|ssl| ProtocolVersion::from_wire(ssl.version()))
    }

    /// The negotiated cipher suite; `None` before the handshake is done. Node: `getCipher()`.
    pub fn cipher_suite(&self) -> Option<CipherSuite> {
        self.established().and_then(Ssl::cipher_suite).map(CipherSuite::from)
    }

    /// The group of the key agreement, such as `x25519`; `None` where none took place. See `getEphemeralKeyInfo()`.
    pub fn group_name(&self) -> Option<String> {
        self.established().and_then(Ssl::group_name)
    }

    /// The protocol that both sides agreed on. Node: `alpnProtocol`.
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.alpn_protocol.as_deref().or_else(|| self.ssl().and_then(Ssl::alpn_protocol))
    }

    /// The name that the client asked for; `None` without one. Node: `servername`.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// Whether a session was resumed. In TLS 1.3 also where an external pre-shared key was used, which is much the same
    /// there; [`Connection::psk_identity`] tells them apart on first connections. Node: `isSessionReused()`.
    pub fn is_session_reused(&self) -> bool {
        self.established().is_some_and(Ssl::is_session_reused)
    }

    /// Whether the peer's certificate is trusted and, on clients, for the right name; or the peer has shown that it has
    /// the pre-shared key. False before that is decided, and otherwise on servers that ask for no certificate.
    /// Node: `authorized`.
    pub fn is_authorized(&self) -> bool {
        self.authorization.authorized
    }

    /// The identity of the pre-shared key that was used, also when the session in use was made; `None` without one.
    /// Clients that resume a session of TLS 1.3 do not know it any more.
    pub fn psk_identity(&self) -> Option<Vec<u8>> {
        self.established().and_then(Ssl::psk_identity)
    }

    /// Why the peer is not authorized, where it was let in all the same. Node: `authorizationError`.
    pub fn authorization_error(&self) -> Option<&Error> {
        self.authorization.error.as_ref()
    }

    /// Whether the peer cannot finish its handshake before it has this side's last flight. What a server of TLS 1.3
    /// sends last are tickets, which come after the handshake (RFC 8446 §4.6.1) and can wait.
    pub fn is_last_flight_needed(&self) -> bool {
        self.side() == Side::Client || self.protocol_version() != Some(ProtocolVersion::Tls1_3)
    }

    /// The peer's own certificate. Node: `getPeerCertificate()`.
    pub fn peer_certificate(&self) -> Option<Certificate> {
        self.peer_certificates().into_iter().next()
    }

    /// The peer's certificates as it sent them, its own first. After a resumption possibly its own alone.
    pub fn peer_certificates(&self) -> Vec<Certificate> {
        let Some(ssl) = self.ssl() else { return Vec::new() };
        if let Some(report) = ssl.verify_report() {
            return handshake::presented(report);
        }
        let mut chain: Vec<_> = ssl.peer_chain().into_iter().map(Certificate).collect();
        let own = ssl.peer_certificate().map(Certificate);
        if let Some(own) = own.filter(|_| chain.is_empty() || self.side() == Side::Server) {
            chain.insert(0, own);
        }
        chain
    }

    /// The peer's certificate and those above it, each followed by its issuer: first among what the peer has sent, then
    /// among the authorities of this side's context. A complete chain ends with a certificate that is its own issuer;
    /// at most 100 certificates. Issuers are found by their names and key identifiers: this shows a chain and proves
    /// nothing; see [`Connection::is_authorized`].
    ///
    /// Node: `getPeerCertificate(true)`, where each certificate holds the next one as `issuerCertificate` and a root
    /// holds itself.
    pub fn peer_certificate_chain(&self) -> Vec<Certificate> {
        let mut presented = self.peer_certificates();
        if presented.is_empty() {
            return presented;
        }
        let mut chain = vec![presented.remove(0)];
        while let Some(issuer) = next_in_chain(&chain, |last| {
            let position = presented.iter().position(|other| last.0.is_issued_by(&other.0))?;
            Some(presented.remove(position))
        }) {
            chain.push(issuer);
        }
        let Ok(trust) = self.context.trust().store() else { return chain };
        while let Some(issuer) = next_in_chain(&chain, |last| trust.issuer_of(&last.0).map(Certificate)) {
            chain.push(issuer);
        }
        chain
    }

    /// The certificate of this side; `None` where there is none. Node: `getCertificate()`.
    pub fn certificate(&self) -> Option<Certificate> {
        self.ssl().and_then(Ssl::local_certificate).map(Certificate)
    }

    /// The peer's share of the key agreement. `None` on servers, before the handshake is done, and where the key
    /// exchange was not ephemeral; [`Connection::group_name`] tells servers too. Node: `getEphemeralKeyInfo()`.
    pub fn ephemeral_key(&self) -> Option<EphemeralKey> {
        let ssl = self.established().filter(|_| self.side() == Side::Client)?;
        match ssl.ephemeral_key() {
            Some(nodetls_openssl::EphemeralKey::Dh { bits }) => Some(EphemeralKey::Dh { bits }),
            Some(nodetls_openssl::EphemeralKey::Ecdh { name, bits }) => {
                Some(EphemeralKey::Ecdh { name, bits })
            }
            // OpenSSL keeps no share of a group that encapsulates a key, and there is none without one in TLS 1.3.
            None => self.tls1_3_group().map(|name| EphemeralKey::Kem { name }),
        }
    }

    fn tls1_3_group(&self) -> Option<String> {
        let is_tls1_3 = self.protocol_version() == Some(ProtocolVersion::Tls1_3);
        self.group_name().filter(|_| is_tls1_3)
    }

    /// The Finished message that was sent last, for channel bindings such as `tls-unique` (RFC 5929); `None` before.
    /// Node: `getFinished()`.
    pub fn finished(&self) -> Option<Vec<u8>> {
        self.ssl().map(Ssl::finished).filter(|message| !message.is_empty())
    }

    /// The Finished message that was received last; `None` before. Node: `getPeerFinished()`.
    pub fn peer_finished(&self) -> Option<Vec<u8>> {
        self.ssl().map(Ssl::peer_finished).filter(|message| !message.is_empty())
    }

    /// The signature algorithms that both sides know, such as `RSA-PSS+SHA256`, the preferred one first.
    /// Node: `getSharedSigalgs()`.
    pub fn shared_signature_algorithms(&self) -> Vec<String> {
        let pairs = self.established().map(Ssl::shared_signature_algorithms).unwrap_or_default();
        pairs.into_iter().map(|(sign, hash)| signature_algorithm(sign, hash)).collect()
    }

    /// Derives `length` bytes of key material for another protocol (RFC 5705, RFC 8446 §7.5). With TLS 1.2, a context
    /// that is empty and no context at all give different material.
    ///
    /// # Errors
    /// [`Error::ApiMisuse`] before the handshake is done, during a renegotiation, and for more than 64 KiB;
    /// [`Error::Protocol`] for a label that is reserved.
    ///
    /// Node: `exportKeyingMaterial(length, label[, context])`.
    pub fn export_keying_material(
        &self,
        length: usize,
        label: &str,
        context: Option<&[u8]>,
    ) -> Result<SecretBytes, Error> {
        let ssl = self.settled().ok_or(Error::ApiMisuse("key material before the handshake is done"))?;
        if length > MAX_KEYING_MATERIAL {
            return Err(Error::ApiMisuse("more than 64 KiB of key material"));
        }
        let mut material = Zeroizing::new(vec![0; length]);
        ssl.export_keying_material(&mut material, label, context)
            .map_err(|stack| Error::from_openssl(&stack, None, self.side()))?;
        Ok(SecretBytes::from(material.as_slice()))
    }

    /// The session in use; `None` also during a renegotiation. In TLS 1.3 on a client it cannot be resumed: use the event
    /// [`Session`](crate::Event::Session). Node: `getSession()`.
    pub fn session(&self) -> Option<Session> {
        let session = self.settled().and_then(Ssl::session).map(Session)?;
        match &self.role {
            // As the event gives it: a session without its binding would never be offered.
            Role::Client(options) => {
                session.bound(&client_binding(&self.context, options, self.is_psk_authenticated())).ok()
            }
            Role::Server(_) => Some(session),
        }
    }

    /// The ticket that the session in use came with or was resumed by; `None` on servers and without one.
    /// Node: `getTLSTicket()`.
    pub fn session_ticket(&self) -> Option<Vec<u8>> {
        let session = self.settled().filter(|_| self.side() == Side::Client)?.session()?;
        Some(session.ticket().to_vec()).filter(|ticket| !ticket.is_empty())
    }

    /// Limits the plaintext of each record that is sent to `size` bytes, 512 to 16,384; false when that is not
    /// possible. Node: `setMaxSendFragment(size)`.
    pub fn set_max_send_fragment(&mut self, size: usize) -> bool {
        match &mut self.phase {
            Phase::Handshaking(ssl) | Phase::Finishing(ssl) | Phase::Open(ssl) => {
                ssl.set_max_send_fragment(size)
            }
            Phase::Accepting(_) | Phase::Ended(_) => false,
        }
    }

    /// Like [`Connection::established`], but not while a renegotiation makes another session whose keys are not agreed.
    fn settled(&self) -> Option<&Ssl> {
        self.established().filter(|ssl| !(ssl.is_renegotiating() && ssl.is_in_handshake()))
    }

    fn established(&self) -> Option<&Ssl> {
        match &self.phase {
            Phase::Finishing(ssl) | Phase::Open(ssl) => Some(ssl),
            _ => None,
        }
    }
}

/// The issuer of a chain's last certificate, unless the chain is complete, too long or goes round in a circle.
fn next_in_chain(
    chain: &[Certificate],
    issuer_of: impl FnOnce(&Certificate) -> Option<Certificate>,
) -> Option<Certificate> {
    let last = chain.last().filter(|last| !last.0.is_issued_by(&last.0))?;
    let issuer = issuer_of(last).filter(|_| chain.len() < MAX_CHAIN)?;
    (!chain.contains(&issuer)).then_some(issuer)
}

/// The peer's share of the key agreement. Node: `getEphemeralKeyInfo()`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EphemeralKey {
    /// Finite-field Diffie-Hellman. Node: `{ type: 'DH', size }`.
    Dh {
        /// Length of the prime in bits.
        bits: u32,
    },
    /// Diffie-Hellman on an elliptic curve. Node: `{ type: 'ECDH', name, size }`.
    Ecdh {
        /// The curve's name, such as `prime256v1` or `X25519`.
        name: String,
        /// Size of the key in bits.
        bits: u32,
    },
    /// A key that was encapsulated, alone or beside an elliptic curve's: the post-quantum groups of TLS 1.3.
    /// Node: `{ type: 'TLSGroup', name }`.
    Kem {
        /// The group's name, such as `X25519MLKEM768`.
        name: String,
    },
}

/// Node's words for a pair of OpenSSL's numbers.
fn signature_algorithm(sign: i32, hash: i32) -> String {
    let sign = match sign {
        nid::RSA => "RSA",
        nid::RSA_PSS => "RSA-PSS",
        nid::DSA => "DSA",
        nid::EC => "ECDSA",
        nid::ED25519 => "Ed25519",
        nid::ED448 => "Ed448",
        other => nodetls_openssl::short_name(other),
    };
    format!("{sign}+{}", nodetls_openssl::short_name(hash))
}
