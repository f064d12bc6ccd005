//! With real engines.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use nodetls_proto::{ClientAuthentication, ProtocolVersion, SecureContextOptions, Side};
use nodetls_test::is_missing;
use nodetls_test::pair::{Variation, World, authority, context, context_options, with_identity};
use nodetls_test::pki::{Identity, KeyKind, Leaf};
use tempfile::TempDir;

use crate::{assert_refused, with_client_certificate, with_key};

/// A compiled engine and the directory that it works in.
struct Module {
    directory: TempDir,
    path: String,
    server: Identity,
    client: Identity,
}

impl Module {
    fn compiled() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("engine.so");
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-w", "-o"])
            .arg(&path)
            .arg(format!("-DDIRECTORY=\"{}\"", directory.path().display()))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/engine.c"))
            .args(["-lssl", "-lcrypto"])
            .status();
        assert!(status.expect("a C compiler").success(), "the engine compiles");
        let server = authority().issue(&Leaf::server("localhost").with_key(KeyKind::Rsa));
        let client = authority().issue(&Leaf::client("a client").with_key(KeyKind::Rsa));
        server.write_to(directory.path(), "server");
        client.write_to(directory.path(), "client");
        let path = path.to_str().expect("UTF-8").to_owned();
        Self { directory, path, server, client }
    }

    /// What the engine has done since the last call.
    fn log(&self) -> Vec<String> {
        let path = self.directory.path().join("log");
        let log = std::fs::read_to_string(&path).unwrap_or_default();
        let _ = std::fs::remove_file(&path);
        log.lines().map(str::to_owned).collect()
    }
}

#[test]
fn an_engine_holds_the_servers_key() {
    for version in [ProtocolVersion::Tls1_2, ProtocolVersion::Tls1_3] {
        let module = Module::compiled();
        let options = SecureContextOptions {
            cert: vec![module.server.cert_pem.clone().into()],
            engine_key: with_key(&module.path, "server").engine_key,
            ..context_options(version)
        };
        let mut world = World::new(Variation::plain(version));
        world.server_context = context(&options);
        assert_eq!(module.log(), ["init", "load_private_key"]);
        let mut pair = world.connected();
        assert_eq!(module.log(), ["sign"], "{version}");
        assert_eq!(pair.client.connection.peer_certificate().unwrap().to_der(), module.server.cert_der);
        // The engine stays for the connection when its context has gone, and leaves with the last one.
        drop((world, options));
        pair.send(Side::Server, b"still there");
        assert!(module.log().is_empty());
        drop(pair);
        assert_eq!(module.log(), ["finish", "destroy"]);
    }
}

#[test]
fn an_engine_brings_the_clients_certificate() {
    for version in [ProtocolVersion::Tls1_2, ProtocolVersion::Tls1_3] {
        let module = Module::compiled();
        let client = SecureContextOptions {
            client_cert_engine: Some(module.path.clone()),
            ..context_options(version)
        };
        let server = authority().issue(&Leaf::server("localhost"));
        let mut world = World::new(Variation::plain(version));
        world.server_context = context(&with_identity(context_options(version), &server));
        world.server.client_authentication = ClientAuthentication::Required;
        world.client_context = context(&client);
        let pair = world.connected();
        let shown = pair.server.connection.peer_certificate().unwrap();
        assert_eq!(shown.to_der(), module.client.cert_der);
        drop((pair, world));
        let log = module.log();
        assert!(log.contains(&"load_client_certificate".to_owned()) && log.contains(&"sign".to_owned()));
        assert_eq!(log.iter().filter(|what| *what == "init").count(), 1, "{log:?}");
        assert_eq!(log[log.len() - 2..], ["finish", "destroy"], "{log:?}");
    }
}

#[test]
fn sessions_from_different_engines_are_kept_apart() {
    let modules = [Module::compiled(), Module::compiled()];
    let mut world = World::new(Variation::versions()[0]);
    let client = |module: &Module| SecureContextOptions {
        client_cert_engine: Some(module.path.clone()),
        ..context_options(ProtocolVersion::Tls1_2)
    };
    world.client_context = context(&client(&modules[0]));
    world.client.session = world.connected().client.sessions().pop();
    assert!(world.connected().client.connection.is_session_reused());
    world.client_context = context(&client(&modules[1]));
    assert!(!world.connected().client.connection.is_session_reused());
}

#[test]
fn what_an_engine_does_not_have_is_refused_by_name() {
    let module = Module::compiled();
    assert_refused(
        "privateKeyIdentifier",
        "ERR_OSSL_ENGINE_FAILED_LOADING_PRIVATE_KEY",
        &with_key(&module.path, "no-such-key"),
    );
    assert_eq!(module.log(), ["init", "load_private_key", "finish", "destroy"]);
    let other = authority().issue(&Leaf::server("localhost"));
    let options =
        SecureContextOptions { cert: vec![other.cert_pem.into()], ..with_key(&module.path, "server") };
    assert_refused("key", "ERR_OSSL_X509_KEY_VALUES_MISMATCH", &options);
    std::fs::write(module.directory.path().join("broken.init"), "").unwrap();
    assert_refused("privateKeyEngine", "ERR_CRYPTO_OPERATION_FAILED", &with_key(&module.path, "server"));
    assert_refused("clientCertEngine", "ERR_CRYPTO_OPERATION_FAILED", &with_client_certificate(&module.path));
}

/// The token's PIN, the user's and its officer's alike.
const PIN: &str = "1234";

/// Imports a key into a software token of SoftHSM.
fn import_key(directory: &Path, identity: &Identity, label: &str) {
    let (_, key) = identity.write_to(directory, label);
    let id = label.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let arguments = ["--token", "nodetls", "--pin", PIN, "--label", label, "--id", &id, "--import"];
    softhsm(directory, &[&arguments[..], &[key.to_str().expect("UTF-8")]].concat());
}

fn softhsm(directory: &Path, arguments: &[&str]) {
    let output = Command::new("softhsm2-util")
        .args(arguments)
        .env("SOFTHSM2_CONF", directory.join("softhsm.conf"))
        .output()
        .expect("softhsm2-util is installed");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Servers whose keys are in the token, by the engine of libp11.
fn serve_from_token(directory: &Path) {
    for label in ["rsa", "ec"] {
        for version in [ProtocolVersion::Tls1_2, ProtocolVersion::Tls1_3] {
            let uri = format!("pkcs11:token=nodetls;object={label};type=private?pin-value={PIN}");
            let cert = std::fs::read(directory.join(format!("{label}.pem"))).unwrap();
            let options = SecureContextOptions {
                ca: Some(vec![std::fs::read(directory.join("ca.pem")).unwrap()]),
                cert: vec![cert],
                engine_key: with_key("pkcs11", &uri).engine_key,
                ..context_options(version)
            };
            let client = SecureContextOptions { ca: options.ca.clone(), ..context_options(version) };
            let mut world = World::new(Variation::plain(version));
            (world.client_context, world.server_context) = (context(&client), context(&options));
            let certificate = world.connected().client.connection.peer_certificate().unwrap();
            assert_eq!(certificate.public_key().unwrap().0.to_lowercase(), label);
        }
    }
    assert_refused(
        "privateKeyIdentifier",
        // The engine's own reason.
        "ERR_OSSL_OBJECT_NOT_FOUND",
        &with_key("pkcs11", "pkcs11:token=nodetls;object=none;type=private?pin-value=1234"),
    );
}

#[test]
fn keys_in_a_pkcs_11_token_serve() {
    const CHILD: &str = "NODETLS_TEST_TOKEN";
    const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
    if is_missing("softhsm2-util") || is_missing("pkcs11-engine") {
        return;
    }
    if let Some(directory) = std::env::var_os(CHILD) {
        return serve_from_token(Path::new(&directory));
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::create_dir(path.join("tokens")).unwrap();
    let tokens = format!("directories.tokendir = {}/tokens\n", path.display());
    std::fs::write(path.join("softhsm.conf"), tokens).unwrap();
    softhsm(path, &["--init-token", "--free", "--label", "nodetls", "--pin", PIN, "--so-pin", PIN]);
    for (label, kind) in [("rsa", KeyKind::Rsa), ("ec", KeyKind::Ecdsa)] {
        import_key(path, &authority().issue(&Leaf::server("localhost").with_key(kind)), label);
    }
    std::fs::write(path.join("ca.pem"), authority().pem()).unwrap();
    // The engine learns where its token is from the environment, hence another process.
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "loaded::keys_in_a_pkcs_11_token_serve"])
        .env(CHILD, path)
        .env("SOFTHSM2_CONF", path.join("softhsm.conf"))
        .env("PKCS11_MODULE_PATH", MODULE)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
