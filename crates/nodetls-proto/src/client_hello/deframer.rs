//! Finds the ClientHello in the first records of a connection (RFC 8446 §5.1), without consuming them.

use super::{CLIENT_HELLO, ClientHello, DecodeError, MAX_MESSAGE_LENGTH};

/// RFC 8446 §5.1: "The length MUST NOT exceed 2^14 bytes."
const MAX_RECORD_LENGTH: usize = 16_384;
const RECORD_HEADER_LENGTH: usize = 5;
const MESSAGE_HEADER_LENGTH: usize = 4;
const RECORD_TYPE_HANDSHAKE: u8 = 22;

/// What the first bytes of a connection turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inspection {
    /// So far it may become a ClientHello; more bytes are needed.
    Incomplete,
    /// It is not a TLS ClientHello. OpenSSL answers with the alert that is due.
    NotTls,
    /// It is a CLIENT-HELLO of SSL 2.0 (RFC 5246 appendix E.2).
    Sslv2,
    /// A record exceeds 16,384 bytes.
    OversizedRecord,
    /// The message exceeds [`MAX_MESSAGE_LENGTH`].
    OversizedMessage,
    /// It is a ClientHello whose structure is wrong.
    Malformed(DecodeError),
    /// It is this ClientHello. Other bytes may follow it.
    Hello(ClientHello),
}

/// Finds the ClientHello in the first bytes that a server receives, without consuming them.
///
/// It remembers the records that it has walked over, so that a client which sends its hello byte by byte,
/// each in a record of its own, costs no more than one that does not.
#[derive(Clone, Debug, Default)]
pub struct HelloDeframer {
    /// Where the first record begins that has not yet arrived in full.
    position: usize,
    /// Bytes of the message in the records before it.
    gathered: usize,
    /// The first bytes of the message, of which `gathered` are known.
    header: [u8; MESSAGE_HEADER_LENGTH],
}

/// Inspects bytes of a connection that are there all at once; see [`HelloDeframer::inspect`].
#[must_use]
pub fn inspect(buffered: &[u8]) -> Inspection {
    HelloDeframer::new().inspect(buffered)
}

impl HelloDeframer {
    /// Makes a deframer for a new connection.
    #[must_use]
    pub const fn new() -> Self {
        Self { position: 0, gathered: 0, header: [0; MESSAGE_HEADER_LENGTH] }
    }

    /// Says what the bytes are that have arrived since the connection began.
    ///
    /// `buffered` always begins with the connection's first byte, and only grows from call to call. After any
    /// other result than [`Inspection::Incomplete`] the deframer has done its work.
    ///
    /// The verdict falls before `buffered` reaches 400 kB: records of one byte, six bytes each, for the longest
    /// message.
    pub fn inspect(&mut self, buffered: &[u8]) -> Inspection {
        loop {
            let rest = buffered.get(self.position..).unwrap_or_default();
            let record = match Record::peek(rest, self.position == 0) {
                Ok(record) => record,
                Err(verdict) => return verdict,
            };
            let header = self.header_with(record.present);
            let known = self.gathered + record.present.len();
            match message_length(header, known) {
                Ok(Some(length)) if known >= length => return parse_records(buffered, length),
                Ok(_) => {}
                Err(verdict) => return verdict,
            }
            if record.present.len() < record.length {
                return Inspection::Incomplete;
            }
            self.header = header;
            self.gathered = known;
            self.position += RECORD_HEADER_LENGTH + record.length;
        }
    }

    fn header_with(&self, present: &[u8]) -> [u8; MESSAGE_HEADER_LENGTH] {
        let mut header = self.header;
        for (place, byte) in header.iter_mut().skip(self.gathered).zip(present) {
            *place = *byte;
        }
        header
    }
}

/// Length of the whole message with its header, once enough bytes of it are known.
fn message_length(header: [u8; MESSAGE_HEADER_LENGTH], known: usize) -> Result<Option<usize>, Inspection> {
    let [kind, length @ ..] = header;
    if known >= 1 && kind != CLIENT_HELLO {
        return Err(Inspection::NotTls);
    }
    if known < MESSAGE_HEADER_LENGTH {
        return Ok(None);
    }
    let length = length.iter().fold(0usize, |sum, byte| (sum << 8) | usize::from(*byte));
    if length > MAX_MESSAGE_LENGTH {
        Err(Inspection::OversizedMessage)
    } else {
        Ok(Some(MESSAGE_HEADER_LENGTH + length))
    }
}

fn parse_records(buffered: &[u8], length: usize) -> Inspection {
    let mut message = Vec::with_capacity(length);
    let mut rest = buffered;
    while message.len() < length {
        let Ok(record) = Record::peek(rest, false) else { return Inspection::Incomplete };
        let wanted = record.present.len().min(length - message.len());
        message.extend_from_slice(&record.present[..wanted]);
        rest = rest.get(RECORD_HEADER_LENGTH + record.length..).unwrap_or_default();
    }
    ClientHello::parse(&message).map_or_else(Inspection::Malformed, Inspection::Hello)
}

/// A handshake record, of whose content only the first bytes may have arrived.
struct Record<'a> {
    length: usize,
    present: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads a record header; what is wrong is said as early as the bytes allow.
    fn peek(bytes: &'a [u8], is_first: bool) -> Result<Self, Inspection> {
        match bytes {
            [] => return Err(Inspection::Incomplete),
            [RECORD_TYPE_HANDSHAKE] | [RECORD_TYPE_HANDSHAKE, 3, ..] => {}
            // RFC 5246 appendix E.2: the high bit of a two-byte length, then the message type 1.
            [0x80..=0xFF, _, 1, ..] if is_first => return Err(Inspection::Sslv2),
            [0x80..=0xFF] | [0x80..=0xFF, _] if is_first => return Err(Inspection::Incomplete),
            _ => return Err(Inspection::NotTls),
        }
        let [_, _, _, high, low, rest @ ..] = bytes else { return Err(Inspection::Incomplete) };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length > MAX_RECORD_LENGTH {
            return Err(Inspection::OversizedRecord);
        }
        // RFC 8446 §5.1: "Implementations MUST NOT send zero-length fragments of Handshake types".
        if length == 0 {
            return Err(Inspection::Malformed(DecodeError::EmptyRecord));
        }
        Ok(Self { length, present: &rest[..rest.len().min(length)] })
    }
}
