//! What generic code asks of types, found by the compiler.

use std::error::Error;
use std::fmt::Debug;

use nodetls::{
    AcceptError, Acceptor, BindError, ConnectError, Connection, Connector, ContextFiles, Event, FilesError,
    HandshakeError, OwnedReadHalf, OwnedWriteHalf, ReuniteError, SecretBytes, SecureContext,
    SecureContextOptions, Server, ServerBuilder, Session, TicketKeys, TlsSocket, WatchedFiles,
};
use tokio::net::TcpStream;

fn is_shared<T: Send + Sync + Debug + 'static>() {}

fn is_error<T: Error + Send + Sync + 'static>() {}

#[test]
fn everything_can_be_shared_between_threads_and_shown() {
    is_shared::<TlsSocket<TcpStream>>();
    is_shared::<(OwnedReadHalf<TcpStream>, OwnedWriteHalf<TcpStream>)>();
    is_shared::<(Connector, Acceptor, Server, ServerBuilder)>();
    is_shared::<(SecureContext, SecureContextOptions, ContextFiles, WatchedFiles)>();
    is_shared::<(Connection, Event, Session, TicketKeys)>();
}

#[test]
fn errors_go_wherever_errors_go() {
    is_error::<nodetls::Error>();
    is_error::<ConnectError>();
    is_error::<HandshakeError>();
    is_error::<BindError>();
    is_error::<AcceptError>();
    is_error::<FilesError>();
    is_error::<ReuniteError<TcpStream>>();
}

#[test]
fn secrets_are_made_of_texts_and_bytes() {
    let secrets: [SecretBytes; 5] = [
        "key".into(),
        String::from("key").into(),
        b"key".to_vec().into(),
        b"key"[..].into(),
        (*b"key").into(),
    ];
    assert!(secrets.iter().all(|secret| secret.expose() == b"key"));
}
