//! Key material for other protocols (RFC 5705, RFC 8446 §7.5), which has to be the same at both ends.

use tokio::io::AsyncWriteExt;

use crate::rustls_peer;
use crate::world::{VERSIONS, World, plain, within};

#[tokio::test]
async fn rustls_and_this_library_export_the_same_key_material() {
    let (label, contexts) = ("EXPORTER-interop", [None, Some(&b""[..]), Some(&b"a context"[..])]);
    let world = World::new();
    for case in VERSIONS.map(plain) {
        let server = world.server(case, "echo").bind("127.0.0.1:0").await.unwrap();
        let client = rustls_peer::Client::new(&world.client_terms(case, "echo"));
        let serving = async {
            let (mut socket, _) = server.accept().await.unwrap();
            let connection = socket.connection();
            let export = |context| connection.export_keying_material(40, label, context).unwrap();
            let exported = contexts.map(|context| export(context).expose().to_vec());
            socket.shutdown().await.unwrap();
            exported
        };
        let port = server.local_addr().port();
        let both = async { tokio::join!(client.exported(port, label, &contexts), serving) };
        let (theirs, ours) = within(both).await;
        assert_eq!(theirs.unwrap(), ours, "{case:?}");
    }
}
