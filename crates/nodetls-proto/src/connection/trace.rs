//! Traces: what OpenSSL's `-trace` prints.

use super::{Connection, MAX_EVENTS};
use crate::error::{ConfigError, Error};
use crate::event::Event;

/// The most text of one event, in bytes, beyond what came at once.
const MAX_TEXT: usize = 64 * 1024;

impl Connection {
    /// Shows all records and handshake messages from now on as text, by [`Event::Trace`], as `openssl s_client -trace`
    /// does. Handshake messages are shown decrypted, with certificates and session tickets; private keys, traffic secrets
    /// and application data are not. Where nobody takes the events, what comes later is left out.
    ///
    /// # Errors
    /// [`Error::Config`] with the code `ERR_FEATURE_UNAVAILABLE_ON_PLATFORM` when the system's OpenSSL was built without
    /// it (`no-ssl-trace`).
    ///
    /// Node: `tlsSocket.enableTrace()`.
    pub fn enable_trace(&mut self) -> Result<(), Error> {
        if !nodetls_openssl::has_trace() {
            let message = "the OpenSSL in use was built without SSL_trace";
            return Err(ConfigError::refused("enableTrace", "ERR_FEATURE_UNAVAILABLE_ON_PLATFORM", message));
        }
        self.is_traced = true;
        if let Some(ssl) = self.ssl_mut() {
            ssl.enable_trace();
        }
        Ok(())
    }

    /// Makes an event of what was traced, or adds it to the last one.
    pub(super) fn push_trace(&mut self, text: String) {
        let is_full = self.events.len() >= MAX_EVENTS;
        match self.events.back_mut() {
            Some(Event::Trace(last)) if last.len() < MAX_TEXT => last.push_str(&text),
            _ if text.is_empty() || is_full => {}
            _ => self.events.push_back(Event::Trace(text)),
        }
    }
}
