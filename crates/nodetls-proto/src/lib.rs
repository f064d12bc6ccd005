//! The sans-IO core of nodetls: TLS connections as bytes in, bytes out, and questions that may wait for their answers.
//!
//! [`Connection`] is the heart; its [module](connection) states the contract. Everything that is a rule of TLS or of
//! Node.js lives in this crate, so that the drivers (Tokio in `nodetls`, Node-API in the npm package) only move bytes
//! and answers. It knows no socket, clock, thread or runtime. OpenSSL is behind `nodetls-openssl`, and none of its
//! types shows in this crate's API.

#![forbid(unsafe_code)]

mod certificate;
mod cipher;
mod client_hello;
pub mod connection;
mod context;
mod defaults;
mod engine;
mod error;
mod event;
mod general_name;
mod identity;
mod options;
mod secret;
mod server_name;
mod server_names;
mod session;
mod signature;
mod ticket;
mod trust;
mod verification;
mod version;

pub use certificate::{Certificate, PublicKeyDetails};
pub use cipher::{CipherSuite, DEFAULT_CIPHERS, ciphers};
pub use client_hello::{ClientHello, DecodeError, HelloDeframer, Inspection, MAX_MESSAGE_LENGTH, inspect};
pub use connection::question::{
    AskClientHello, AskNewSession, AskOcspRequest, AskPsk, AskResumeSession, AskSelectAlpn, AskSelectContext,
    AskSign, AskVerifyPeer, ClientHelloAnswer, PskAnswer, SelectAlpnAnswer, VerifyPeerAnswer,
};
pub use connection::{
    Connection, EphemeralKey, Facts, Question, QuestionKind, Questions, Read, RenegotiateOptions,
};
pub use context::{DhParam, KeyPem, Pfx, SecureContext, SecureContextOptions};
pub use defaults::{Defaults, defaults, set_defaults};
pub use engine::EngineKey;
pub use error::{
    AlertDescription, AlertReceived, BoxError, CallbackError, ConfigError, Error, OpenSslError,
    ProtocolError, RenegotiationError, VerifyError,
};
pub use event::Event;
pub use general_name::{DistinguishedName, GeneralName, subject_alt_name_text};
pub use identity::{IdentityMismatch, check_server_identity};
pub use nodetls_openssl::{KeyUpdateRequest, ReceiveBuffer, openssl_version};
pub use options::{
    ClientAuthentication, ClientOptions, DEFAULT_CLIENT_RENEG_LIMIT, DEFAULT_CLIENT_RENEG_WINDOW,
    DEFAULT_HANDSHAKE_TIMEOUT, DEFAULT_MIN_DH_SIZE, OcspStapling, ServerOptions, Side, alpn_wire_form,
};
pub use secret::SecretBytes;
pub use server_name::{InvalidServerName, ServerName};
pub use server_names::ServerNames;
pub use session::Session;
pub use signature::SignatureScheme;
pub use ticket::{TicketKeyLayout, TicketKeys};
pub use trust::{DefaultAuthorities, root_certificates};
pub use verification::{Purpose, Verified, VerifyRequest, verify_chain};
pub use version::{ProtocolVersion, UnknownVersion};
