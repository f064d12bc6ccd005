//! What a connection is told before it begins.

use std::sync::Arc;
use std::time::Duration;

use crate::connection::{Questions, check_hint};
use crate::context::SecureContext;
use crate::error::{ConfigError, Error};
use crate::server_name::ServerName;
use crate::server_names::ServerNames;
use crate::session::Session;
use crate::ticket::TicketKeys;

/// The time limit of handshakes where none is given. Node: `handshakeTimeout`, 120 seconds.
pub const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(120);

/// How many renegotiations a peer may begin in a window. Node: `tls.CLIENT_RENEG_LIMIT`.
pub const DEFAULT_CLIENT_RENEG_LIMIT: u32 = 3;

/// The window in which renegotiations are counted. Node: `tls.CLIENT_RENEG_WINDOW`, 600 seconds.
pub const DEFAULT_CLIENT_RENEG_WINDOW: Duration = Duration::from_secs(600);

/// The smallest group for finite-field Diffie-Hellman that a client accepts where none is given, in bits.
/// Node: `minDHSize`.
pub const DEFAULT_MIN_DH_SIZE: u32 = 1024;

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The one that begins.
    Client,
    /// The one that answers.
    Server,
}

/// What a server wants to know of its clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClientAuthentication {
    /// No certificate is asked for. Node: `requestCert: false`.
    #[default]
    None,
    /// A certificate is asked for, and a client without an acceptable one is refused.
    /// Node: `requestCert: true`.
    Required,
    /// A certificate is asked for, but clients without one, or with one that is not trusted, come in all the same.
    /// Dangerous, because it is for the program to look at
    /// [`is_authorized`](crate::Connection::is_authorized). Node: `requestCert: true, rejectUnauthorized: false`.
    DangerousOptional,
}

/// What a client wants to hear about the revocation of the server's certificate (OCSP stapling, RFC 6066 §8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OcspStapling {
    /// Nothing.
    #[default]
    NotRequested,
    /// The server is asked; what it says is an event and changes nothing. Node: `requestOCSP: true`.
    Requested,
    /// The server is asked, and refused unless it proves by a current response that its certificate is good, before
    /// anything of the client's own is sent:
    /// `OCSP_VERIFY_NEEDED` without a response, `OCSP_VERIFY_FAILED` for one that cannot be believed, `CERT_REVOKED`,
    /// `OCSP_CERT_UNKNOWN`.
    Required,
}

/// Options of a client's connection.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The name that the server's certificate must be for; host names are also sent (SNI, RFC 6066 §3),
    /// IP addresses are not. Node: `servername`, or else `host`.
    pub server_name: ServerName,
    /// Whether a host name is sent to the server (SNI). Default: true. Node sends it where `servername` is given, and
    /// checks `host` where it is not.
    pub send_server_name: bool,
    /// The protocols to offer, the preferred one first (RFC 7301); each 1 to 255 bytes. Node: `ALPNProtocols`.
    pub alpn_protocols: Vec<Vec<u8>>,
    /// A session to resume. It is offered only where it was authenticated for the same name, authorities and
    /// checks; otherwise a full handshake is done. Node: `session`.
    pub session: Option<Session>,
    /// Whether the status of the server's certificate is asked for. Default: no. Node: `requestOCSP`.
    pub ocsp: OcspStapling,
    /// The smallest group for finite-field Diffie-Hellman that is accepted, as the length of its prime in bits. A
    /// server with a smaller one is refused with `ERR_TLS_DH_PARAM_SIZE` before anything is sent under its keys; below
    /// 2,048 bits OpenSSL's security level refuses it first, unless `ciphers` lowers that. Default: 1,024.
    /// Node: `minDHSize`.
    pub min_dh_size: u32,
    /// Traces the connection from its beginning; see
    /// [`Connection::enable_trace`](crate::Connection::enable_trace). Default: false. Node: `enableTrace`.
    pub enable_trace: bool,
    /// Lets a server in whose certificate is not trusted or not for the name; look at
    /// [`is_authorized`](crate::Connection::is_authorized). Default: false. Node: `rejectUnauthorized: false`.
    pub dangerous_accept_unauthorized: bool,
    /// Leaves the name out of the check of the certificate. Default: false.
    /// Node: `checkServerIdentity: () => undefined`.
    pub dangerous_skip_name_check: bool,
    /// Whether the server may ask for a certificate after the handshake (TLS 1.3, RFC 8446 §4.6.2). Default: false.
    pub post_handshake_auth: bool,
    /// After how long a handshake is given up, from the creation of the connection; `None`: never.
    /// Default: 120 s. A renegotiation has as much time.
    pub handshake_timeout: Option<Duration>,
    /// How many renegotiations the server may begin in each window; one more fails the connection with
    /// `ERR_TLS_SESSION_ATTACK`. Default: 3.
    pub renegotiation_limit: u32,
    /// The length of that window. Default: 600 s.
    pub renegotiation_window: Duration,
    /// The decisions that the program takes itself. Default: none.
    pub questions: Questions,
}

impl ClientOptions {
    /// Options for a server of this name (a host name or an IP address), all else at its default.
    pub fn new(server_name: ServerName) -> Self {
        Self {
            server_name,
            send_server_name: true,
            alpn_protocols: Vec::new(),
            session: None,
            ocsp: OcspStapling::NotRequested,
            min_dh_size: DEFAULT_MIN_DH_SIZE,
            enable_trace: false,
            dangerous_accept_unauthorized: false,
            dangerous_skip_name_check: false,
            post_handshake_auth: false,
            handshake_timeout: Some(DEFAULT_HANDSHAKE_TIMEOUT),
            renegotiation_limit: DEFAULT_CLIENT_RENEG_LIMIT,
            renegotiation_window: DEFAULT_CLIENT_RENEG_WINDOW,
            questions: Questions::NONE,
        }
    }
}

impl ClientOptions {
    /// The name that goes out in the first message.
    pub(crate) fn sent_name(&self) -> Option<&str> {
        self.server_name.sni().filter(|_| self.send_server_name)
    }
}

/// Options of a server's connections.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Contexts for certain server names; the connection's own context serves all others. Node: `server.addContext`.
    pub contexts: Arc<ServerNames<SecureContext>>,
    /// The protocols to select from, the preferred one first; each 1 to 255 bytes. A client that offers none of
    /// them gets the alert `no_application_protocol` (RFC 7301 §3.2). Empty: no ALPN. Node: `ALPNProtocols`.
    pub alpn_protocols: Vec<Vec<u8>>,
    /// What is asked of clients. A context chosen by name may say otherwise. Default: no certificate.
    pub client_authentication: ClientAuthentication,
    /// After how long a handshake is given up, from the creation of the connection; `None`: never.
    /// Default: 120 s. A renegotiation has as much time. Node: `handshakeTimeout`.
    pub handshake_timeout: Option<Duration>,
    /// How many renegotiations a client may begin in each window (TLS 1.2); one more fails the connection with
    /// `ERR_TLS_SESSION_ATTACK`. Default: 3. Node: `tls.CLIENT_RENEG_LIMIT`.
    pub renegotiation_limit: u32,
    /// The length of that window, which begins with the first renegotiation in it. Default: 600 s.
    /// Node: `tls.CLIENT_RENEG_WINDOW`.
    pub renegotiation_window: Duration,
    /// The keys of session tickets. Default: random ones of the context, which no other server and no other context
    /// knows. Node: `ticketKeys`.
    pub ticket_keys: Option<TicketKeys>,
    /// Keeps sessions of different applications apart. Default: derived from the program's arguments by the drivers;
    /// empty here. Node: `sessionIdContext`.
    pub session_id_context: Vec<u8>,
    /// Traces connections from their beginning; see
    /// [`Connection::enable_trace`](crate::Connection::enable_trace). Default: false. Node: `enableTrace`.
    pub enable_trace: bool,
    /// What clients are told, up to TLS 1.2, so that they choose the right identity for their pre-shared key; at most
    /// 256 bytes without NUL. Only sent where [`QuestionKind::Psk`](crate::QuestionKind::Psk) is asked. Default: none.
    /// Node: `pskIdentityHint`.
    pub psk_identity_hint: Option<String>,
    /// The decisions that the program takes itself. Default: none.
    pub questions: Questions,
}

impl ServerOptions {
    /// Finds out whether connections can be made with these options.
    ///
    /// # Errors
    /// [`Error::Config`], which names the option. [`Connection::server`](crate::Connection::server) fails alike.
    pub fn check(&self) -> Result<(), Error> {
        alpn_wire_form(&self.alpn_protocols)?;
        check_hint(self.psk_identity_hint.as_deref())
    }
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            contexts: Arc::default(),
            alpn_protocols: Vec::new(),
            client_authentication: ClientAuthentication::None,
            handshake_timeout: Some(DEFAULT_HANDSHAKE_TIMEOUT),
            renegotiation_limit: DEFAULT_CLIENT_RENEG_LIMIT,
            renegotiation_window: DEFAULT_CLIENT_RENEG_WINDOW,
            ticket_keys: None,
            session_id_context: Vec::new(),
            enable_trace: false,
            psk_identity_hint: None,
            questions: Questions::NONE,
        }
    }
}

/// Protocols in the wire form of RFC 7301 §3.1: each preceded by its length.
///
/// # Errors
/// When a protocol is empty or longer than 255 bytes, or all together exceed 65,535 bytes.
pub fn alpn_wire_form(protocols: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
    let mut wire = Vec::new();
    for protocol in protocols {
        // RFC 7301 §3.1: "Empty strings MUST NOT be included".
        let length = u8::try_from(protocol.len()).ok().filter(|length| *length > 0).ok_or_else(|| {
            let message = format!("a protocol has {} bytes; 1 to 255 are possible", protocol.len());
            ConfigError::refused("ALPNProtocols", "ERR_OUT_OF_RANGE", message)
        })?;
        wire.push(length);
        wire.extend_from_slice(protocol);
    }
    if wire.len() > usize::from(u16::MAX) {
        return Err(ConfigError::refused(
            "ALPNProtocols",
            "ERR_OUT_OF_RANGE",
            "the list exceeds 65,535 bytes",
        ));
    }
    Ok(wire)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpn_protocols_are_written_with_their_lengths() {
        assert_eq!(alpn_wire_form(&[b"h2".to_vec(), b"x".to_vec()]).unwrap(), b"\x02h2\x01x");
        assert_eq!(alpn_wire_form(&[]).unwrap(), b"");
    }

    #[test]
    fn impossible_alpn_protocols_are_refused() {
        for bad in [vec![Vec::new()], vec![vec![b'a'; 256]], vec![vec![b'a'; 255]; 257]] {
            assert_eq!(alpn_wire_form(&bad).unwrap_err().code(), "ERR_OUT_OF_RANGE");
        }
    }
}
