//! `HOST:PORT`, with IPv6 addresses in brackets.

use std::fmt;

use crate::failure::Failure;

/// A host name or IP address, without brackets, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    /// Reads `HOST:PORT` or `[IPV6]:PORT`.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let invalid = |why: &str| Failure::new("ERR_INVALID_ADDRESS", format_args!("{text:?}: {why}"));
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(invalid("the port is missing; write HOST:PORT"));
        };
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bracketed {
            Some(host) => host,
            None if host.contains(':') => {
                return Err(invalid("write an IPv6 address in brackets, as [::1]:443"));
            }
            None => host,
        };
        if host.is_empty() {
            return Err(invalid("the host is missing; write HOST:PORT"));
        }
        let port = port.parse().map_err(|_| {
            Failure::new(
                "ERR_SOCKET_BAD_PORT",
                format_args!("{text:?}: the port is not a number from 0 to 65535"),
            )
        })?;
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(out, "[{}]:{}", self.host, self.port)
        } else {
            write!(out, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        Address::parse(text).unwrap_err().into_parts().0
    }

    #[test]
    fn names_and_both_kinds_of_addresses_are_read() {
        for text in ["example.com:443", "127.0.0.1:0", "[::1]:65535"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Address::parse("[::1]:443").unwrap().host, "::1");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for text in ["localhost", "::1", "::1:443", ":443", "[]:443"] {
            assert_eq!(code(text), "ERR_INVALID_ADDRESS", "{text}");
        }
        for text in ["localhost:", "localhost:http", "localhost:65536", "localhost:-1"] {
            assert_eq!(code(text), "ERR_SOCKET_BAD_PORT", "{text}");
        }
    }
}
