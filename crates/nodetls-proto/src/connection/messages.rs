//! Handshake messages in plaintext records (RFC 5246 §6.2.1, §7.4), seen before OpenSSL gets them.
//!
//! Up to TLS 1.2 the whole first handshake but its Finished messages can be read by anybody. [`Messages`] walks over
//! its records, consumes nothing and keeps of each message only its beginning. It checks nothing: what is wrong is
//! OpenSSL's to say, which gets the same bytes.

const RECORD_HEADER: usize = 5;
const MESSAGE_HEADER: usize = 4;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// RFC 5246 §6.2.1: "The length MUST NOT exceed 2^14."
const MAX_RECORD: usize = 1 << 14;

/// How much of a message's body is kept: a length of two bytes, and an identity or a hint as long as it may be. The
/// fields of a ServerHello that matter stand before that too.
const KEPT: usize = 2 + nodetls_openssl::MAX_PSK_IDENTITY;

/// The record at the front of what was received.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Front<'a> {
    /// It has not yet arrived in full.
    Incomplete,
    /// An alert, of so many bytes with its header.
    Alert(usize),
    /// Part of the handshake: how many bytes with its header, and the content.
    Handshake(usize, &'a [u8]),
    /// Anything else, after which nothing is plaintext any more.
    Other,
}

impl<'a> Front<'a> {
    pub(super) fn of(received: &'a [u8]) -> Self {
        match received {
            [] | [ALERT | HANDSHAKE] | [ALERT | HANDSHAKE, 3] => return Self::Incomplete,
            [ALERT | HANDSHAKE, 3, ..] => {}
            _ => return Self::Other,
        }
        let [kind, _, _, high, low, rest @ ..] = received else { return Self::Incomplete };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length > MAX_RECORD {
            return Self::Other;
        }
        match rest.get(..length) {
            None => Self::Incomplete,
            Some(_) if *kind == ALERT => Self::Alert(RECORD_HEADER + length),
            Some(content) => Self::Handshake(RECORD_HEADER + length, content),
        }
    }
}

/// The beginning of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Its type.
    pub(super) kind: u8,
    /// The first bytes of its body, all if there are no more than [`KEPT`].
    pub(super) body: Vec<u8>,
}

/// Walks over records; a message may begin in one and end in another.
#[derive(Default)]
pub(super) struct Messages {
    header: Vec<u8>,
    body: Vec<u8>,
    /// Bytes of the current message's body that are still to come.
    missing: usize,
}

impl Messages {
    /// The messages whose beginning is known after this record and was not before.
    pub(super) fn walk(&mut self, mut content: &[u8]) -> Vec<Message> {
        let mut messages = Vec::new();
        while !content.is_empty() {
            let part = take(&mut content, MESSAGE_HEADER - self.header.len());
            self.header.extend_from_slice(part);
            let &[kind, a, b, c] = self.header.as_slice() else { break };
            if !part.is_empty() {
                self.missing = u32::from_be_bytes([0, a, b, c]) as usize;
            }
            let part = take(&mut content, self.missing);
            let was_known = self.body.len() == KEPT;
            self.body.extend(part.iter().take(KEPT - self.body.len()));
            self.missing -= part.len();
            if !was_known && (self.missing == 0 || self.body.len() == KEPT) {
                messages.push(Message { kind, body: self.body.clone() });
            }
            if self.missing == 0 {
                self.header.clear();
                self.body.clear();
            }
        }
        messages
    }
}

/// Leaves out what was kept, which may tell who the client is.
impl std::fmt::Debug for Messages {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Messages({} bytes missing)", self.missing)
    }
}

fn take<'a>(content: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (part, rest) = content.split_at(count.min(content.len()));
    *content = rest;
    part
}

/// The opaque vector with a length of two bytes at the beginning, if it is there in full.
pub(super) fn leading_vector(body: &[u8]) -> Option<&[u8]> {
    let (length, rest) = body.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
}

/// The version and the cipher suite of a ServerHello (RFC 5246 §7.4.1.3).
pub(super) fn version_and_suite(server_hello: &[u8]) -> Option<(u16, u16)> {
    let (version, rest) = server_hello.split_first_chunk::<2>()?;
    let (session_id_length, rest) = rest.get(32..)?.split_first()?;
    let suite = rest.get(usize::from(*session_id_length)..)?.first_chunk::<2>()?;
    Some((u16::from_be_bytes(*version), u16::from_be_bytes(*suite)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind], &length[1..], body].concat()
    }

    #[test]
    fn messages_are_found_however_records_cut_them() {
        let stream =
            [message(2, &[7; 70]), message(14, &[]), message(16, &[9; 300]), message(12, &[])].concat();
        for size in 1..=stream.len() {
            let mut messages = Messages::default();
            let found: Vec<_> = stream.chunks(size).flat_map(|part| messages.walk(part)).collect();
            assert_eq!(found.iter().map(|message| message.kind).collect::<Vec<_>>(), [2, 14, 16, 12]);
            assert_eq!(found.iter().map(|message| message.body.len()).collect::<Vec<_>>(), [70, 0, KEPT, 0]);
        }
    }

    #[test]
    fn a_message_is_not_known_before_what_matters_of_it_has_come() {
        let mut messages = Messages::default();
        let stream = message(16, &[9; 300]);
        assert_eq!(messages.walk(&stream[..MESSAGE_HEADER + KEPT - 1]), []);
        assert_eq!(messages.walk(&stream[MESSAGE_HEADER + KEPT - 1..][..1]).len(), 1);
        assert_eq!(messages.walk(&stream[MESSAGE_HEADER + KEPT..]), []);
    }

    #[test]
    fn records_are_told_apart_as_early_as_possible() {
        assert_eq!(Front::of(&[]), Front::Incomplete);
        assert_eq!(Front::of(b"HTTP"), Front::Other);
        assert_eq!(Front::of(&[20, 3, 3, 0, 1, 1]), Front::Other);
        assert_eq!(Front::of(&[22, 3, 3, 0x40, 1]), Front::Other);
        assert_eq!(Front::of(&[22, 3, 3, 0, 2, 9]), Front::Incomplete);
        assert_eq!(Front::of(&[22, 3, 3, 0, 2, 9, 8, 7]), Front::Handshake(7, &[9, 8]));
        assert_eq!(Front::of(&[21, 3, 3, 0, 2, 1, 112]), Front::Alert(7));
    }

    #[test]
    fn fields_that_reach_beyond_their_end_are_not_there() {
        assert_eq!(leading_vector(&[0, 2, 1, 2, 3]), Some(&[1, 2][..]));
        assert_eq!(leading_vector(&[0, 4, 1, 2, 3]), None);
        let mut hello = [vec![3, 3], vec![0; 32], vec![1, 0xFF], vec![0, 0x8C, 0]].concat();
        assert_eq!(version_and_suite(&hello), Some((0x0303, 0x008C)));
        hello[34] = 200;
        assert_eq!(version_and_suite(&hello), None);
    }
}
