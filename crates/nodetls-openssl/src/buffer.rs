//! Ciphertext on its way in and out, in buffers that idle connections do not keep.
//!
//! A buffer of [`CIPHERTEXT_CAPACITY`] bytes is taken from a small store of this thread when the first byte
//! comes and given back when the last one has been consumed, so that a connection without traffic owns none
//! and a busy one never pays for fresh pages.

use std::cell::RefCell;

use bytes::BufMut;
use bytes::buf::UninitSlice;

/// How many bytes of ciphertext a connection holds at most: at least three whole records (RFC 8446 §5.2).
pub const CIPHERTEXT_CAPACITY: usize = 64 * 1024;

/// Room that must be left behind the unread bytes before they are moved to the front instead.
const COMPACT_BELOW: usize = 20 * 1024;

/// Buffers kept for reuse by each thread.
const STORED_BUFFERS: usize = 4;

thread_local! {
    static STORE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

fn take_buffer() -> Vec<u8> {
    let stored = STORE.try_with(|store| store.borrow_mut().pop()).ok().flatten();
    stored.unwrap_or_else(|| Vec::with_capacity(CIPHERTEXT_CAPACITY))
}

fn give_back(mut buffer: Vec<u8>) {
    // A buffer that had to grow is not worth keeping; a foreign one (empty) is nothing to keep.
    if !(CIPHERTEXT_CAPACITY..=2 * CIPHERTEXT_CAPACITY).contains(&buffer.capacity()) {
        return;
    }
    buffer.clear();
    // The store is gone only while its thread ends: then the buffer is simply freed.
    let _ = STORE.try_with(|store| {
        let mut store = store.borrow_mut();
        if store.len() < STORED_BUFFERS {
            store.push(buffer);
        }
    });
}

/// Bytes that were received and not yet consumed, never more than [`CIPHERTEXT_CAPACITY`].
#[derive(Default)]
pub struct Ciphertext {
    bytes: Vec<u8>,
    start: usize,
}

impl Ciphertext {
    /// The bytes not yet consumed.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Whether nothing is left to consume.
    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// How many more bytes can be taken in.
    pub fn room(&self) -> usize {
        CIPHERTEXT_CAPACITY - (self.bytes.len() - self.start)
    }

    /// Copies as many bytes as there is room for; returns how many.
    pub fn extend(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.room());
        if taken > 0 {
            self.prepare(taken);
            self.bytes.extend_from_slice(&bytes[..taken]);
        }
        taken
    }

    /// Room to receive into directly; at least one byte unless the buffer is full.
    pub fn receive_buffer(&mut self) -> ReceiveBuffer<'_> {
        self.prepare(COMPACT_BELOW);
        ReceiveBuffer { ciphertext: self }
    }

    /// Drops `count` bytes from the front; more than there are drops all.
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.bytes.len());
        self.release_if_empty();
    }

    fn prepare(&mut self, wanted: usize) {
        if self.bytes.capacity() == 0 {
            self.bytes = take_buffer();
        }
        let behind = CIPHERTEXT_CAPACITY - self.bytes.len();
        if behind < wanted && self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }

    fn release_if_empty(&mut self) {
        if self.is_empty() {
            give_back(std::mem::take(&mut self.bytes));
            self.start = 0;
        }
    }
}

impl std::fmt::Debug for Ciphertext {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Ciphertext({} bytes)", self.as_slice().len())
    }
}

/// Room for ciphertext straight from a socket, as a [`BufMut`].
///
/// What is written through it counts as received. Nothing that was received before can be touched.
#[derive(Debug)]
pub struct ReceiveBuffer<'a> {
    ciphertext: &'a mut Ciphertext,
}

// SAFETY: `chunk_mut` is the spare capacity of one vector, cut to the room that is left; `advance_mut` checks
// that the caller stays inside it before the length grows over bytes which the caller promises to have written.
unsafe impl BufMut for ReceiveBuffer<'_> {
    fn remaining_mut(&self) -> usize {
        CIPHERTEXT_CAPACITY - self.ciphertext.bytes.len()
    }

    unsafe fn advance_mut(&mut self, count: usize) {
        assert!(count <= self.remaining_mut(), "advanced past the end of the receive buffer");
        let length = self.ciphertext.bytes.len() + count;
        // SAFETY: the capacity is at least CIPHERTEXT_CAPACITY (see `prepare`), and the caller of this unsafe
        // function has initialised `count` bytes behind the old length.
        unsafe { self.ciphertext.bytes.set_len(length) }
    }

    fn chunk_mut(&mut self) -> &mut UninitSlice {
        let room = self.remaining_mut();
        let spare = self.ciphertext.bytes.spare_capacity_mut();
        UninitSlice::uninit(&mut spare[..room])
    }
}

impl Drop for ReceiveBuffer<'_> {
    fn drop(&mut self) {
        self.ciphertext.release_if_empty();
    }
}

/// Bytes to be sent, in order.
#[derive(Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    start: usize,
}

impl Output {
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Where more bytes are to be appended.
    pub(crate) fn room(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = take_buffer();
        }
        &mut self.bytes
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.bytes.len());
        if self.start == self.bytes.len() {
            give_back(std::mem::take(&mut self.bytes));
            self.start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ciphertext_takes_no_more_than_its_capacity() {
        let mut ciphertext = Ciphertext::default();
        assert_eq!(ciphertext.extend(&vec![7; CIPHERTEXT_CAPACITY + 10]), CIPHERTEXT_CAPACITY);
        assert_eq!(ciphertext.extend(&[1]), 0);
        assert_eq!(ciphertext.receive_buffer().remaining_mut(), 0);
    }

    #[test]
    fn unread_bytes_keep_their_order_when_they_are_moved_to_the_front() {
        let mut ciphertext = Ciphertext::default();
        let sent: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        let (mut fed, mut got) = (0, Vec::new());
        while got.len() < sent.len() {
            let mut room = ciphertext.receive_buffer();
            let count = room.remaining_mut().min(sent.len() - fed).min(30_000);
            room.put_slice(&sent[fed..fed + count]);
            fed += count;
            drop(room);
            let read = ciphertext.as_slice().len().min(17_001);
            got.extend_from_slice(&ciphertext.as_slice()[..read]);
            ciphertext.consume(read);
        }
        assert_eq!(got, sent);
    }

    #[test]
    fn an_empty_buffer_owns_no_memory() {
        let mut ciphertext = Ciphertext::default();
        ciphertext.extend(b"abc");
        ciphertext.consume(3);
        assert_eq!(ciphertext.bytes.capacity(), 0);
        drop(ciphertext.receive_buffer());
        assert_eq!(ciphertext.bytes.capacity(), 0);
    }
}
