//! How far a connection has come: what JavaScript is told of it in a number, and what the core gives to be read.

use std::time::Instant;

use nodetls_proto::{Connection, Error, Event, Read};

/// The plaintext of a record at most, in bytes (RFC 8446 §5.1).
const FULL_RECORD: usize = 16_384;

/// Nothing to be read at present.
const BLOCKED: i32 = 0;
/// The peer has said goodbye.
const CLOSED: i32 = -1;
/// The transport has ended without a goodbye.
const TRUNCATED: i32 = -2;

/// What JavaScript is told of a connection beside the result of a call, as bits.
pub(crate) mod flag {
    /// Work is being done on another thread; it will be told when it is done.
    pub(crate) const WORKING: u32 = 1;
    /// The handshake is done: the event of that name, without an object for it.
    pub(crate) const SECURE: u32 = 1 << 1;
    /// There may be something for `poll`; of a read: something more to be read.
    pub(crate) const MORE: u32 = 1 << 2;
    /// There is something for `transmitInto`.
    pub(crate) const OUTPUT: u32 = 1 << 3;
    /// `deadline` gives something else than the last time.
    pub(crate) const DEADLINE: u32 = 1 << 4;
    /// There is no deadline any more.
    pub(crate) const ENDLESS: u32 = 1 << 5;
    /// With `SECURE`: a protocol was agreed on.
    pub(crate) const ALPN: u32 = 1 << 6;
    /// Of a read, in which nothing becomes secure: there may be something for `poll`.
    pub(crate) const EVENTS: u32 = ALPN;
    /// With `SECURE`: the client has asked for a name.
    pub(crate) const SERVERNAME: u32 = 1 << 7;
}

/// The flag, if so.
pub(crate) fn with(is_set: bool, flag: u32) -> u32 {
    if is_set { flag } else { 0 }
}

/// What there is to be sent and waited for; `told`: the deadline that JavaScript knows.
pub(crate) fn output_and_deadline(connection: &Connection, told: &mut Option<Instant>) -> u32 {
    let output = with(connection.poll_transmit().is_some(), flag::OUTPUT);
    let deadline = connection.poll_timeout();
    if deadline == *told {
        return output;
    }
    if deadline.is_none() {
        *told = None;
    }
    output | with(deadline.is_some(), flag::DEADLINE) | with(deadline.is_none(), flag::ENDLESS)
}

/// The next event that JavaScript wants to hear of; alerts come to it as errors and ends.
pub(crate) fn next_event(connection: &mut Connection) -> Option<Event> {
    std::iter::from_fn(|| connection.poll_event()).find(|event| !matches!(event, Event::AlertReceived(_)))
}

/// Reads a record, and those after it as long as each is full and the next fits: the number of bytes, or why there are none.
/// What a peer has written as one message of less than a record, JavaScript gets by itself, as from Node.js.
pub(crate) fn read_records(
    connection: &mut Connection,
    source: &mut &[u8],
    mut room: &mut [u8],
) -> Result<i32, Error> {
    let mut total = 0_i32;
    while !room.is_empty() {
        let end = match connection.read_plaintext_from(source, &mut *room) {
            Ok(Read::Plaintext(count)) if count > 0 => {
                room = room.get_mut(count..).unwrap_or_default();
                total = total.saturating_add(i32::try_from(count).unwrap_or(i32::MAX));
                if count < FULL_RECORD {
                    return Ok(total);
                }
                continue;
            }
            Ok(Read::Plaintext(_) | Read::Blocked) => BLOCKED,
            Ok(Read::Closed) => CLOSED,
            Ok(Read::Truncated) => TRUNCATED,
            // What came before is delivered first; the error stays where it is.
            Err(_) if total > 0 => BLOCKED,
            Err(error) => return Err(error),
        };
        return Ok(if total > 0 { total } else { end });
    }
    Ok(total)
}
