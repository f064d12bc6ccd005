//! What a connection can tell about itself and its peer.

use nodetls_openssl::Ssl;

use super::{Connection, Phase, handshake};
use crate::certificate::Certificate;
use crate::cipher::CipherSuite;
use crate::error::Error;
use crate::options::Side;
use crate::version::ProtocolVersion;

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
        self.ssl().and_then(Ssl::alpn_protocol)
    }

    /// The name that the client asked for; `None` without one. Node: `servername`.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// Whether a session was resumed. Node: `isSessionReused()`.
    pub fn is_session_reused(&self) -> bool {
        self.established().is_some_and(Ssl::is_session_reused)
    }

    /// Whether the peer's certificate is trusted and, on clients, for the right name. False before that is
    /// decided, and on servers that ask for no certificate. Node: `authorized`.
    pub fn is_authorized(&self) -> bool {
        self.authorization.authorized
    }

    /// Why the peer is not authorized, where it was let in all the same. Node: `authorizationError`.
    pub fn authorization_error(&self) -> Option<&Error> {
        self.authorization.error.as_ref()
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

    /// The certificate of this side; `None` where there is none. Node: `getCertificate()`.
    pub fn certificate(&self) -> Option<Certificate> {
        self.ssl().and_then(Ssl::local_certificate).map(Certificate)
    }

    fn established(&self) -> Option<&Ssl> {
        match &self.phase {
            Phase::Finishing(ssl) | Phase::Open(ssl) => Some(ssl),
            _ => None,
        }
    }
}
