//! A server and a client that know each other by a pre-shared key instead of certificates.
//!
//! ```text
//! cargo run -p nodetls --example psk
//! ```

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the example shows what happens")]

use std::collections::HashMap;
use std::error::Error;

use nodetls::{
    AskPsk, BoxError, ClientCallbacks, Connector, PskAnswer, SecretBytes, SecureContext,
    SecureContextOptions, Server, ServerCallbacks,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The keys of all clients. It could as well be a database: the callback may wait.
struct Keys(HashMap<Vec<u8>, SecretBytes>);

impl ServerCallbacks for Keys {
    async fn psk(&self, ask: &AskPsk) -> Result<Option<PskAnswer>, BoxError> {
        let key = ask.identity.as_ref().and_then(|identity| self.0.get(identity));
        Ok(key.cloned().map(PskAnswer::new))
    }
}

/// The one key of a client, and the name that the server knows it by.
struct Key(&'static str, SecretBytes);

impl ClientCallbacks for Key {
    async fn psk(&self, _ask: &AskPsk) -> Result<Option<PskAnswer>, BoxError> {
        Ok(Some(PskAnswer::with_identity(self.0, self.1.clone())))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // In earnest, 32 bytes from a random generator that both sides were given; never a password.
    let key = SecretBytes::from([0x2A; 32].as_slice());
    // TLS 1.2 takes keys only where their suites are named.
    let options = SecureContextOptions {
        ciphers: Some("TLS_AES_128_GCM_SHA256:ECDHE-PSK-CHACHA20-POLY1305".into()),
        ..SecureContextOptions::default()
    };
    let context = SecureContext::new(&options)?;

    let keys = Keys(HashMap::from([(b"device 7".to_vec(), key.clone())]));
    let server = Server::builder(&context).callbacks(keys).bind("127.0.0.1:0").await?;
    let port = server.local_addr().port();
    let serving = tokio::spawn(async move {
        let (socket, _) = server.accept().await?;
        let (mut reader, mut writer) = socket.into_split();
        tokio::io::copy(&mut reader, &mut writer).await?;
        writer.shutdown().await?;
        Ok::<_, BoxError>(())
    });

    let mut socket =
        Connector::new(&context).callbacks(Key("device 7", key)).connect("127.0.0.1", port).await?;
    socket.write_all(b"hello").await?;
    socket.shutdown().await?;
    let mut echo = Vec::new();
    socket.read_to_end(&mut echo).await?;
    println!("device 7 hears: {}", String::from_utf8_lossy(&echo));
    println!("authorized without a certificate: {}", socket.connection().is_authorized());
    serving.await?.map_err(|error| error as Box<dyn Error>)
}
