//! Connecting to the first address that answers (RFC 8305).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;

use crate::ConnectError;

/// RFC 8305 §5: "Connection Attempt Delay … a recommended value of 250 milliseconds".
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to one of the host's addresses, trying the next whenever one has failed or keeps silent for 250 ms.
pub(crate) async fn connect(host: &str, port: u16) -> Result<TcpStream, ConnectError> {
    let addresses = interleaved(lookup_host((host, port)).await.map_err(ConnectError::Resolve)?);
    let mut attempts = JoinSet::new();
    let mut addresses = addresses.into_iter();
    let mut failure = None;
    loop {
        let more = match addresses.next() {
            Some(address) => {
                attempts.spawn(TcpStream::connect(address));
                true
            }
            None => false,
        };
        let ended = if more {
            tokio::time::timeout(ATTEMPT_DELAY, attempts.join_next()).await.ok()
        } else {
            Some(attempts.join_next().await)
        };
        match ended {
            Some(Some(Ok(Ok(stream)))) => return Ok(stream),
            Some(Some(Ok(Err(error)))) => failure = Some(error),
            Some(Some(Err(_))) | None => {}
            Some(None) => {
                let no_address =
                    || ConnectError::Resolve(io::Error::new(io::ErrorKind::NotFound, "no address"));
                return Err(failure.map_or_else(no_address, ConnectError::Io));
            }
        }
    }
}

/// RFC 8305 §4: the families take turns, beginning with the one that the resolver put first.
fn interleaved(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut first: Vec<SocketAddr> = addresses.collect();
    let Some(leader) = first.first().copied() else { return first };
    let second = first.extract_if(.., |address| address.is_ipv4() != leader.is_ipv4()).collect::<Vec<_>>();
    let mut result = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        match (first.next(), second.next()) {
            (None, None) => return result,
            (a, b) => result.extend(a.into_iter().chain(b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (a, b) = (address("[::1]:1"), address("[::2]:1"));
        let (c, d) = (address("127.0.0.1:1"), address("127.0.0.2:1"));
        assert_eq!(interleaved([a, b, c, d].into_iter()), [a, c, b, d]);
        assert_eq!(interleaved([c].into_iter()), [c]);
        assert_eq!(interleaved([].into_iter()), []);
    }

    #[tokio::test]
    async fn a_refused_address_does_not_hide_one_that_answers() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // localhost has ::1 too on most machines, where nobody listens.
        assert!(connect("localhost", port).await.is_ok());
        drop(listener);
        assert!(connect("localhost", port).await.is_err());
    }
}
