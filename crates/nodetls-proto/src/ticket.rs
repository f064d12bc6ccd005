//! Keys of session tickets, as servers keep, share and rotate them.

use std::fmt;
use std::sync::Arc;

use nodetls_openssl::{TicketKey, TicketKeyRing};

use crate::error::{ConfigError, Error};
use crate::secret::SecretBytes;

/// The most keys that a ring takes.
const MAX_KEYS: usize = 64;

/// How the 48 or 80 bytes of a key are laid out. All begin with the name, 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketKeyLayout {
    /// Name, HMAC secret, AES secret: 48 bytes. Node: `ticketKeys`. OpenSSL: `SSL_CTX_set_tlsext_ticket_keys`.
    Node,
    /// Name, AES secret, HMAC secret in 48 bytes; name, HMAC secret, AES secret in 80: nginx's
    /// `ssl_session_ticket_key`, HAProxy's `tls-ticket-keys`.
    Nginx,
}

/// The keys in force on a server: the first protects new tickets, all open old ones.
///
/// Servers that share them resume each other's sessions. They are as secret as private keys and should be replaced
/// often: in TLS 1.2 whoever has one can read all traffic of the sessions under it. Cloning shares them.
#[derive(Clone)]
pub struct TicketKeys(pub(crate) TicketKeyRing);

impl TicketKeys {
    /// One random key, with secrets of 16 bytes as in Node.js.
    ///
    /// # Errors
    /// [`Error::Bug`] when the random generator cannot be seeded.
    pub fn random() -> Result<Self, Error> {
        Ok(Self(Arc::new([TicketKey::random(16).map_err(Error::bug)?])))
    }

    /// Reads keys, the one for new tickets first.
    ///
    /// # Errors
    /// [`Error::Config`] for `ticketKeys` when there is none, or one does not have 48 or 80 bytes.
    ///
    /// Node: `ticketKeys`, `server.setTicketKeys(keys)`.
    pub fn from_bytes<K: AsRef<[u8]>>(
        layout: TicketKeyLayout,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Self, Error> {
        let keys: Option<Vec<_>> =
            keys.into_iter().map(|key| read(layout, key.as_ref())).take(MAX_KEYS + 1).collect();
        match keys {
            Some(keys) if (1..=MAX_KEYS).contains(&keys.len()) => Ok(Self(keys.into())),
            _ => Err(ConfigError::refused(
                "ticketKeys",
                "ERR_INVALID_ARG_VALUE",
                "Session ticket keys must be a 48-byte buffer",
            )),
        }
    }

    /// The first key in Node's layout: 48 bytes, or 80 when its secrets have 32. Node: `server.getTicketKeys()`.
    pub fn to_bytes(&self) -> SecretBytes {
        let key = &self.0[0];
        [key.name().as_slice(), key.hmac(), key.aes()].concat().into()
    }

    /// A ring in which the keys of `new` come first and `keep` of the present ones go on opening old tickets.
    #[must_use]
    pub fn rotated(&self, new: &Self, keep: usize) -> Self {
        let kept = self.0.iter().take(keep.min(MAX_KEYS - new.0.len().min(MAX_KEYS)));
        Self(new.0.iter().chain(kept).cloned().collect())
    }

    /// How many keys there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "TicketKeys({})", self.0.len())
    }
}

fn read(layout: TicketKeyLayout, bytes: &[u8]) -> Option<TicketKey> {
    let (name, secrets) = bytes.split_first_chunk()?;
    let (first, second) = match (layout, secrets.len()) {
        (_, 32) => secrets.split_at(16),
        (TicketKeyLayout::Nginx, 64) => secrets.split_at(32),
        _ => return None,
    };
    match (layout, first.len()) {
        (TicketKeyLayout::Nginx, 16) => TicketKey::new(*name, second, first),
        _ => TicketKey::new(*name, first, second),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(length: u8) -> Vec<u8> {
        (0..length).collect()
    }

    #[test]
    fn keys_are_given_back_as_they_were_read() {
        let keys = TicketKeys::from_bytes(TicketKeyLayout::Node, [bytes(48)]).unwrap();
        assert_eq!(keys.to_bytes().expose(), bytes(48));
        let keys = TicketKeys::from_bytes(TicketKeyLayout::Nginx, [bytes(80)]).unwrap();
        assert_eq!(keys.to_bytes().expose(), bytes(80));
    }

    #[test]
    fn nginx_puts_the_cipher_before_the_mac_in_48_bytes() {
        let node = [&bytes(48)[..16], &bytes(48)[32..], &bytes(48)[16..32]].concat();
        let keys = TicketKeys::from_bytes(TicketKeyLayout::Nginx, [bytes(48)]).unwrap();
        assert_eq!(keys.to_bytes().expose(), node);
    }

    #[test]
    fn wrong_lengths_and_numbers_of_keys_are_refused() {
        for keys in
            [vec![], vec![bytes(47)], vec![bytes(48), bytes(49)], vec![bytes(48); 65], vec![bytes(80)]]
        {
            let error = TicketKeys::from_bytes(TicketKeyLayout::Node, keys).unwrap_err();
            assert_eq!(error.code(), "ERR_INVALID_ARG_VALUE");
        }
    }

    #[test]
    fn a_rotation_keeps_as_many_old_keys_as_asked_for() {
        let (old, new) = (TicketKeys::random().unwrap(), TicketKeys::random().unwrap());
        let rotated = old.rotated(&new, 1);
        assert_eq!(rotated.count(), 2);
        assert_eq!(rotated.to_bytes().expose(), new.to_bytes().expose());
        assert_eq!(rotated.rotated(&old, 1).count(), 2);
    }

    #[test]
    fn debug_output_shows_no_key() {
        let keys = TicketKeys::from_bytes(TicketKeyLayout::Node, [bytes(48)]).unwrap();
        assert_eq!(format!("{keys:?}"), "TicketKeys(1)");
    }
}
