//! The ClientHello message (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2), read before OpenSSL sees it.
//!
//! A server must know the name, the protocols and the pre-shared key identities that a client offers before
//! it can choose how to answer. [`HelloDeframer`] finds the message in the first records of a connection
//! without consuming them, and [`ClientHello`] reads it. What is checked here is the structure; whether the
//! values make sense, and which alert goes out if not, stays with OpenSSL, which reads the same bytes
//! afterwards.
//!
//! All work is bounded by [`MAX_MESSAGE_LENGTH`], and every byte here comes from a peer nobody trusts yet.

mod deframer;
mod fingerprint;

use std::fmt;
use std::ops::Range;

use thiserror::Error;

pub use self::deframer::{HelloDeframer, Inspection, inspect};
use crate::error::AlertDescription;

/// The most bytes that a ClientHello may have after its four-byte header: 65,536.
pub const MAX_MESSAGE_LENGTH: usize = 65_536;

/// More than most clients send; room for more is made where there are.
const USUAL_EXTENSIONS: usize = 20;

const CLIENT_HELLO: u8 = 1;
const TLS_1_2: u16 = 0x0303;

/// Numbers of the extensions that are read here (IANA, TLS ExtensionType Values).
mod extension {
    pub(super) const SERVER_NAME: u16 = 0;
    pub(super) const STATUS_REQUEST: u16 = 5;
    pub(super) const SUPPORTED_GROUPS: u16 = 10;
    pub(super) const SIGNATURE_ALGORITHMS: u16 = 13;
    pub(super) const ALPN: u16 = 16;
    pub(super) const SESSION_TICKET: u16 = 35;
    pub(super) const PRE_SHARED_KEY: u16 = 41;
    pub(super) const SUPPORTED_VERSIONS: u16 = 43;
}

/// What is wrong with the structure of a ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The message is not a ClientHello, but a handshake message of this type.
    #[error("handshake message of type {0} where a ClientHello was due")]
    NotClientHello(u8),
    /// A field reaches beyond the end of what contains it.
    #[error("{field} reaches beyond its end")]
    Truncated {
        /// The name of the field in the RFC.
        field: &'static str,
    },
    /// A field has a length which the RFC does not allow.
    #[error("{field} has an illegal length")]
    Length {
        /// The name of the field in the RFC.
        field: &'static str,
    },
    /// Bytes are left over after the last part of a field.
    #[error("{field} has trailing bytes")]
    TrailingBytes {
        /// The name of the field in the RFC.
        field: &'static str,
    },
    /// The server_name is not a list of one host name.
    #[error("server_name is not one host name")]
    ServerName,
    /// The host name is no name of DNS: not ASCII, with NUL in it, or longer than 255 bytes.
    #[error("server_name is not a host name in ASCII")]
    HostName,
    /// There are not as many binders as pre-shared keys.
    #[error("pre_shared_key has not one binder for each identity")]
    BinderCount,
    /// An extension of this type was sent twice.
    #[error("extension {0} was sent twice")]
    DuplicateExtension(u16),
    /// A handshake record is empty.
    #[error("empty handshake record")]
    EmptyRecord,
}

impl DecodeError {
    /// What the client is told. Most of it "cannot be parsed according to the syntax" (RFC 8446 §6.2); the rest can be,
    /// and is forbidden.
    pub(crate) const fn alert(self) -> AlertDescription {
        match self {
            Self::DuplicateExtension(_) | Self::BinderCount => AlertDescription::ILLEGAL_PARAMETER,
            Self::HostName => AlertDescription::UNRECOGNIZED_NAME,
            _ => AlertDescription::DECODE_ERROR,
        }
    }
}

/// The ClientHello of a connection, as the client sent it.
///
/// Numbers (cipher suites, groups, …) are those of the IANA registries and may be unknown or GREASE (RFC
/// 8701).
#[derive(Clone, PartialEq, Eq)]
pub struct ClientHello {
    raw: Box<[u8]>,
    legacy_version: u16,
    random: [u8; 32],
    session_id: Range<usize>,
    cipher_suites: Box<[u16]>,
    extensions: Box<[(u16, Range<usize>)]>,
    offers: Box<Offers>,
}

/// What the extensions say that are read here.
#[derive(Clone, Default, PartialEq, Eq)]
struct Offers {
    server_name: Option<String>,
    alpn_protocols: Vec<Vec<u8>>,
    supported_versions: Option<Vec<u16>>,
    supported_groups: Vec<u16>,
    signature_schemes: Vec<u16>,
    psk_identities: Vec<Range<usize>>,
    psk_binders: Vec<u8>,
    requests_ocsp: bool,
}

impl ClientHello {
    /// Reads a whole handshake message, its four-byte header included.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the structure is wrong anywhere, also in an extension that the server will not
    /// use.
    pub fn parse(message: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(message);
        match reader.u8("handshake header")? {
            CLIENT_HELLO => {}
            other => return Err(DecodeError::NotClientHello(other)),
        }
        let mut body = reader.vector(3, "ClientHello")?;
        reader.finish("ClientHello")?;
        if body.len() > MAX_MESSAGE_LENGTH {
            return Err(DecodeError::Length { field: "ClientHello" });
        }
        let legacy_version = body.u16("legacy_version")?;
        let random = body.array("random")?;
        let session_id = body.vector(1, "legacy_session_id")?;
        if session_id.len() > 32 {
            return Err(DecodeError::Length { field: "legacy_session_id" });
        }
        let cipher_suites = body.u16_list(2, "cipher_suites")?;
        body.non_empty_vector(1, "legacy_compression_methods")?;
        let extensions = read_extensions(&mut body)?;
        let mut offers = Offers::default();
        for (kind, range) in &extensions {
            offers.read(*kind, Reader { message, range: range.clone() })?;
        }
        Ok(Self {
            raw: message.into(),
            legacy_version,
            random,
            session_id: session_id.range,
            cipher_suites: cipher_suites.into(),
            extensions: extensions.into(),
            offers: Box::new(offers),
        })
    }

    /// The whole handshake message, its four-byte header included.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The legacy_version field, which is 0x0303 in TLS 1.2 and 1.3.
    #[must_use]
    pub const fn legacy_version(&self) -> u16 {
        self.legacy_version
    }

    /// The client's random value.
    #[must_use]
    pub const fn random(&self) -> &[u8; 32] {
        &self.random
    }

    /// The legacy_session_id, 0 to 32 bytes: in TLS 1.2 the session that the client wants to resume.
    #[must_use]
    pub fn session_id(&self) -> &[u8] {
        self.slice(&self.session_id)
    }

    /// The cipher suites in the client's order, signalling values such as 0x00FF included.
    #[must_use]
    pub fn cipher_suites(&self) -> &[u16] {
        &self.cipher_suites
    }

    /// Type and content of each extension, in the order sent.
    pub fn extensions(&self) -> impl Iterator<Item = (u16, &[u8])> {
        self.extensions.iter().map(|(kind, range)| (*kind, self.slice(range)))
    }

    /// The content of one extension, or `None` when it was not sent.
    #[must_use]
    pub fn extension(&self, kind: u16) -> Option<&[u8]> {
        self.extensions().find(|(sent, _)| *sent == kind).map(|(_, content)| content)
    }

    /// The server name (RFC 6066 §3) in lower-case ASCII, 1 to 255 bytes, or `None` when none was sent.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.offers.server_name.as_deref()
    }

    /// The protocols of the ALPN extension (RFC 7301 §3.1) in the client's order; empty when it was not sent.
    #[must_use]
    pub fn alpn_protocols(&self) -> &[Vec<u8>] {
        &self.offers.alpn_protocols
    }

    /// The versions of the supported_versions extension (RFC 8446 §4.2.1) in the client's order, or just the
    /// [`legacy_version`](Self::legacy_version) when it was not sent.
    #[must_use]
    pub fn supported_versions(&self) -> Vec<u16> {
        self.offers.supported_versions.clone().unwrap_or_else(|| vec![self.legacy_version])
    }

    /// Whether the client can speak this version (0x0303 for TLS 1.2, 0x0304 for TLS 1.3).
    #[must_use]
    pub fn supports_version(&self, version: u16) -> bool {
        match &self.offers.supported_versions {
            Some(versions) => versions.contains(&version),
            // RFC 8446 §4.2.1: "If this extension is not present, servers … MUST negotiate TLS 1.2 or prior".
            // The one number then stands for itself and all older versions (RFC 5246 appendix E.1).
            None => (0x0300..=self.legacy_version.min(TLS_1_2)).contains(&version),
        }
    }

    /// The key exchange groups (RFC 8446 §4.2.7) in the client's order; empty when the extension was not
    /// sent.
    #[must_use]
    pub fn supported_groups(&self) -> &[u16] {
        &self.offers.supported_groups
    }

    /// The signature_algorithms (RFC 8446 §4.2.3) in the client's order; empty when the extension was not
    /// sent.
    #[must_use]
    pub fn signature_schemes(&self) -> &[u16] {
        &self.offers.signature_schemes
    }

    /// The session ticket of TLS 1.2 (RFC 5077 §3.2): empty when the client only asks for one, `None` when it
    /// does not know tickets.
    #[must_use]
    pub fn session_ticket(&self) -> Option<&[u8]> {
        self.extension(extension::SESSION_TICKET)
    }

    /// The identities of the pre_shared_key extension (RFC 8446 §4.2.11) in the client's order, external keys
    /// and TLS 1.3 tickets alike.
    #[must_use]
    pub fn psk_identities(&self) -> Vec<&[u8]> {
        self.offers.psk_identities.iter().map(|range| self.slice(range)).collect()
    }

    /// Whether one of the keys or tickets is for SHA-256, whose binders are as long as its output (RFC 8446 §4.2.11.2).
    pub(crate) fn has_psk_for_sha256(&self) -> bool {
        self.offers.psk_binders.contains(&32)
    }

    /// Whether the client asks for a stapled OCSP response (RFC 6066 §8).
    #[must_use]
    pub fn requests_ocsp(&self) -> bool {
        self.offers.requests_ocsp
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.raw.get(range.clone()).unwrap_or_default()
    }
}

/// Leaves out the random value, the tickets and the identities, which tell who the client is.
impl fmt::Debug for ClientHello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extensions: Vec<u16> = self.extensions().map(|(kind, _)| kind).collect();
        f.debug_struct("ClientHello")
            .field("length", &self.raw.len())
            .field("server_name", &self.server_name())
            .field("alpn_protocols", &self.alpn_protocols())
            .field("supported_versions", &self.supported_versions())
            .field("cipher_suites", &self.cipher_suites)
            .field("extensions", &extensions)
            .finish_non_exhaustive()
    }
}

fn read_extensions(body: &mut Reader<'_>) -> Result<Vec<(u16, Range<usize>)>, DecodeError> {
    // RFC 5246 §7.4.1.2: "The presence of extensions can be detected by determining whether there are bytes
    // following the compression_methods".
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = body.vector(2, "extensions")?;
    body.finish("ClientHello")?;
    let mut extensions = Vec::with_capacity(USUAL_EXTENSIONS);
    while !reader.is_empty() {
        let kind = reader.u16("extension_type")?;
        extensions.push((kind, reader.vector(2, "extension_data")?.range));
    }
    // RFC 8446 §4.2: "There MUST NOT be more than one extension of the same type". Sorting keeps thousands of
    // tiny extensions from costing the square of their number.
    let mut kinds: Vec<u16> = extensions.iter().map(|(kind, _)| *kind).collect();
    kinds.sort_unstable();
    match kinds.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(DecodeError::DuplicateExtension(pair[0])),
        None => Ok(extensions),
    }
}

impl Offers {
    fn read(&mut self, kind: u16, content: Reader<'_>) -> Result<(), DecodeError> {
        match kind {
            extension::SERVER_NAME => self.server_name = Some(read_server_name(content)?),
            extension::STATUS_REQUEST => self.requests_ocsp = read_status_request(content)?,
            extension::SUPPORTED_GROUPS => {
                self.supported_groups = content.only_u16_list(2, "supported_groups")?;
            }
            extension::SIGNATURE_ALGORITHMS => {
                self.signature_schemes = content.only_u16_list(2, "signature_algorithms")?;
            }
            extension::ALPN => self.alpn_protocols = read_alpn(content)?,
            extension::PRE_SHARED_KEY => {
                (self.psk_identities, self.psk_binders) = read_pre_shared_key(content)?;
            }
            extension::SUPPORTED_VERSIONS => {
                self.supported_versions = Some(content.only_u16_list(1, "supported_versions")?);
            }
            _ => {}
        }
        Ok(())
    }
}

/// RFC 6066 §3 knows one type of name and allows one name of a type, hence a list of one host_name.
fn read_server_name(mut content: Reader<'_>) -> Result<String, DecodeError> {
    let mut list = content.non_empty_vector(2, "server_name_list")?;
    content.finish("server_name")?;
    if list.u8("name_type")? != 0 {
        return Err(DecodeError::ServerName);
    }
    let name = list.vector(2, "HostName")?.bytes();
    if name.is_empty() || !list.is_empty() {
        return Err(DecodeError::ServerName);
    }
    match str::from_utf8(name) {
        Ok(text) if text.is_ascii() && text.len() <= 255 && !name.contains(&0) => {
            Ok(text.to_ascii_lowercase())
        }
        _ => Err(DecodeError::HostName),
    }
}

/// RFC 6066 §8. A type of status other than ocsp has a content nobody knows, and asks for nothing we have.
fn read_status_request(mut content: Reader<'_>) -> Result<bool, DecodeError> {
    if content.u8("status_type")? != 1 {
        return Ok(false);
    }
    content.vector(2, "responder_id_list")?;
    content.vector(2, "request_extensions")?;
    content.finish("status_request")?;
    Ok(true)
}

fn read_alpn(mut content: Reader<'_>) -> Result<Vec<Vec<u8>>, DecodeError> {
    let mut list = content.non_empty_vector(2, "protocol_name_list")?;
    content.finish("application_layer_protocol_negotiation")?;
    let mut protocols = Vec::new();
    while !list.is_empty() {
        // RFC 7301 §3.1: "Empty strings MUST NOT be included".
        protocols.push(list.non_empty_vector(1, "ProtocolName")?.bytes().to_vec());
    }
    Ok(protocols)
}

/// RFC 8446 §4.2.11: the identities with their ages, then the binders, of which only the lengths matter here.
fn read_pre_shared_key(mut content: Reader<'_>) -> Result<(Vec<Range<usize>>, Vec<u8>), DecodeError> {
    let mut list = content.non_empty_vector(2, "identities")?;
    let mut identities = Vec::new();
    while !list.is_empty() {
        identities.push(list.non_empty_vector(2, "PskIdentity.identity")?.range);
        list.array::<4>("obfuscated_ticket_age")?;
    }
    let mut list = content.non_empty_vector(2, "binders")?;
    let mut binders = Vec::new();
    while !list.is_empty() {
        binders.push(read_binder(&mut list)?);
    }
    content.finish("pre_shared_key")?;
    // "A series of HMAC values, one for each value in the identities list".
    if identities.len() == binders.len() { Ok((identities, binders)) } else { Err(DecodeError::BinderCount) }
}

/// The length of a binder, which has 32 to 255 bytes.
fn read_binder(list: &mut Reader<'_>) -> Result<u8, DecodeError> {
    const FIELD: &str = "PskBinderEntry";
    let length = list.vector(1, FIELD)?.len();
    u8::try_from(length).ok().filter(|length| *length >= 32).ok_or(DecodeError::Length { field: FIELD })
}

/// A part of the message that is being read; ranges are those of the whole message.
struct Reader<'a> {
    message: &'a [u8],
    range: Range<usize>,
}

impl<'a> Reader<'a> {
    const fn new(message: &'a [u8]) -> Self {
        Self { message, range: 0..message.len() }
    }

    fn len(&self) -> usize {
        self.range.len()
    }

    fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    fn bytes(&self) -> &'a [u8] {
        self.message.get(self.range.clone()).unwrap_or_default()
    }

    fn take(&mut self, length: usize, field: &'static str) -> Result<Self, DecodeError> {
        if length > self.len() {
            return Err(DecodeError::Truncated { field });
        }
        let start = self.range.start;
        self.range.start += length;
        Ok(Self { message: self.message, range: start..start + length })
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        self.take(N, field)?.bytes().try_into().map_err(|_| DecodeError::Truncated { field })
    }

    fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array(field).map(u8::from_be_bytes)
    }

    fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_be_bytes)
    }

    /// A variable-length vector (RFC 8446 §3.4) whose length field has `width` bytes.
    fn vector(&mut self, width: usize, field: &'static str) -> Result<Self, DecodeError> {
        let length = self.take(width, field)?.bytes();
        let length = length.iter().fold(0usize, |sum, byte| (sum << 8) | usize::from(*byte));
        self.take(length, field)
    }

    fn non_empty_vector(&mut self, width: usize, field: &'static str) -> Result<Self, DecodeError> {
        let vector = self.vector(width, field)?;
        if vector.is_empty() { Err(DecodeError::Length { field }) } else { Ok(vector) }
    }

    fn u16_list(&mut self, width: usize, field: &'static str) -> Result<Vec<u16>, DecodeError> {
        let vector = self.non_empty_vector(width, field)?;
        let (pairs, rest) = vector.bytes().as_chunks::<2>();
        if !rest.is_empty() {
            return Err(DecodeError::Length { field });
        }
        Ok(pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect())
    }

    /// The content of an extension that is nothing but such a list.
    fn only_u16_list(mut self, width: usize, field: &'static str) -> Result<Vec<u16>, DecodeError> {
        let list = self.u16_list(width, field)?;
        self.finish(field)?;
        Ok(list)
    }

    fn finish(&self, field: &'static str) -> Result<(), DecodeError> {
        if self.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes { field }) }
    }
}

#[cfg(test)]
mod tests;
