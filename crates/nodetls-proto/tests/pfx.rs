//! PKCS#12 files, made by the `openssl` command.

#![forbid(unsafe_code)]

use std::io::Write;
use std::process::{Command, Stdio};

use nodetls_proto::{ClientAuthentication, Error, Pfx, ProtocolVersion, SecureContext, SecureContextOptions};
use nodetls_test::is_missing;
use nodetls_test::pair::{Variation, World, context, context_options, server_identity};
use nodetls_test::pki::{Authority, Identity, KeyKind, Leaf};

/// The ciphers that only the legacy provider has, as arguments of `openssl pkcs12`.
const LEGACY: [&[&str]; 3] = [
    // RC2 on 40 bits for certificates, 3DES for the key, SHA-1 for the check: what was usual for twenty years.
    &["-legacy"],
    &["-legacy", "-keypbe", "PBE-SHA1-RC4-128", "-certpbe", "PBE-SHA1-RC2-128", "-macalg", "sha1"],
    &["-legacy", "-keypbe", "PBE-MD5-DES", "-certpbe", "PBE-SHA1-RC4-40", "-macalg", "sha1"],
];

fn options(files: &[(&[u8], Option<&str>)]) -> SecureContextOptions {
    let pfx = |(buf, passphrase): &(&[u8], Option<&str>)| Pfx {
        buf: (*buf).into(),
        passphrase: passphrase.map(Into::into),
    };
    SecureContextOptions { pfx: files.iter().map(pfx).collect(), ..Default::default() }
}

/// Asserts that a context of these options is refused for the option with the code.
fn assert_refused(what: &str, option: &str, code: &str, options: &SecureContextOptions) {
    let Err(error) = SecureContext::new(options) else { panic!("{what} is accepted") };
    let Error::Config(config) = &error else { panic!("{what}: {error:?}") };
    assert_eq!((config.option, &*error.code()), (option, code), "{what}: {error}");
}

/// The certificates that a server of these options shows to a client that trusts `authority`.
fn shown(server: &SecureContextOptions, authority: &Authority) -> Vec<Vec<u8>> {
    let client = SecureContextOptions {
        ca: Some(vec![authority.pem().into()]),
        ..context_options(ProtocolVersion::Tls1_3)
    };
    let world = World {
        client_context: context(&client),
        server_context: context(server),
        ..World::new(Variation::versions()[1])
    };
    let pair = world.connected();
    pair.client.connection.peer_certificates().iter().map(|certificate| certificate.to_der()).collect()
}

/// The identity as a PKCS#12 file. The command reads the key from its input before the certificates.
fn pkcs12(identity: &Identity, more: &str, passphrase: &str, arguments: &[&str]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(["pkcs12", "-export", "-passout", &format!("pass:{passphrase}")])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the openssl command is installed");
    let input = format!("{}{}{more}", identity.key_pem, identity.cert_pem);
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("openssl reads");
    let output = child.wait_with_output().expect("openssl ends");
    assert!(output.status.success() && !output.stdout.is_empty(), "openssl makes no PKCS#12 file");
    output.stdout
}

#[test]
fn files_that_are_no_pfx_are_refused() {
    if is_missing("openssl") {
        return;
    }
    let whole = pkcs12(server_identity(), "", "right", &[]);
    // Node gives no code at all here; these are OpenSSL's reasons.
    for (what, bytes, passphrase, code) in [
        ("garbage", b"nonsense".to_vec(), None, "ERR_OSSL_ASN1_TOO_LONG"),
        ("nothing", Vec::new(), None, "ERR_OSSL_ASN1_TOO_SMALL"),
        ("half a file", whole[..whole.len() / 2].to_vec(), Some("right"), "ERR_OSSL_ASN1_TOO_LONG"),
        ("a wrong passphrase", whole.clone(), Some("wrong"), "ERR_OSSL_PKCS12_MAC_VERIFY_FAILURE"),
        ("a missing passphrase", whole.clone(), None, "ERR_OSSL_PKCS12_MAC_VERIFY_FAILURE"),
    ] {
        assert_refused(what, "pfx", code, &options(&[(&bytes, passphrase)]));
    }
    for (what, argument) in [("no key", "-nokeys"), ("no certificate", "-nocerts")] {
        let half = pkcs12(server_identity(), "", "right", &[argument]);
        assert_refused(what, "pfx", "ERR_CRYPTO_OPERATION_FAILED", &options(&[(&half, Some("right"))]));
    }
    for passphrase in [&b"nul\0"[..], b"\xFF\xFE"] {
        let options =
            SecureContextOptions { passphrase: Some(passphrase.into()), ..options(&[(&whole, None)]) };
        assert_refused("no text", "passphrase", "ERR_INVALID_ARG_VALUE", &options);
    }
}

#[test]
fn a_pfx_brings_key_certificate_chain_and_authorities() {
    if is_missing("openssl") {
        return;
    }
    let own = Authority::new("of the file");
    let identity = own.intermediate("between").issue(&Leaf::server("localhost"));
    let file = pkcs12(&identity, own.pem(), "right", &[]);
    for (mine, shared) in [(Some("right"), None), (None, Some("right")), (Some("right"), Some("wrong"))] {
        let server = SecureContextOptions { passphrase: shared.map(Into::into), ..options(&[(&file, mine)]) };
        // The client has the file too, for its authority.
        let mut client = context_options(ProtocolVersion::Tls1_3);
        (client.pfx, client.passphrase) = (server.pfx.clone(), server.passphrase.clone());
        let world = World {
            client_context: context(&client),
            server_context: context(&server),
            ..World::new(Variation::versions()[1])
        };
        let mut world = world;
        world.server.client_authentication = ClientAuthentication::DangerousOptional;
        let pair = world.connected();
        assert!(pair.client.connection.is_authorized());
        let presented = pair.client.connection.peer_certificates();
        assert_eq!(presented[0].to_der(), identity.cert_der);
        assert!(presented.len() >= 2, "the intermediate is sent");
        let shown = pair.server.connection.peer_certificate().unwrap();
        assert_eq!(shown.to_der(), identity.cert_der, "the client has the file's identity as well");
    }
}

#[test]
fn files_with_ciphers_of_the_past_are_read() {
    if is_missing("openssl") || is_missing("openssl-legacy") {
        return;
    }
    let own = Authority::new("of the file");
    for key in [KeyKind::Ecdsa, KeyKind::Rsa] {
        let identity = own.intermediate("between").issue(&Leaf::server("localhost").with_key(key));
        for arguments in LEGACY {
            let file = pkcs12(&identity, own.pem(), "right", arguments);
            let shown = shown(&options(&[(&file, Some("right"))]), &own);
            assert_eq!(shown[0], identity.cert_der);
            assert!(shown.len() >= 2, "the intermediate is sent");
            for passphrase in [Some("wrong"), None] {
                let options = options(&[(&file, passphrase)]);
                assert_refused("a wrong passphrase", "pfx", "ERR_OSSL_PKCS12_MAC_VERIFY_FAILURE", &options);
            }
        }
    }
}

#[test]
fn reading_an_old_file_makes_no_old_algorithm_available_elsewhere() {
    if is_missing("openssl") || is_missing("openssl-legacy") {
        return;
    }
    let file = pkcs12(server_identity(), "", "right", LEGACY[0]);
    context(&options(&[(&file, Some("right"))]));
    // A key in PEM under DES is for the legacy provider as well, and stays unreadable.
    let old = ["pkcs8", "-topk8", "-v1", "PBE-MD5-DES", "-provider", "legacy", "-provider", "default"];
    let mut child = Command::new("openssl")
        .args(old)
        .args(["-passout", "pass:right"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(server_identity().key_pem.as_bytes()).unwrap();
    let pem = child.wait_with_output().unwrap().stdout;
    assert!(pem.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    let key = nodetls_proto::KeyPem { pem: pem.into(), passphrase: Some("right".into()) };
    let options = SecureContextOptions { key: vec![key], ..Default::default() };
    assert_refused("a key under DES", "key", "ERR_OSSL_EVP_UNSUPPORTED", &options);
}

#[test]
fn several_files_each_have_their_own_passphrase() {
    if is_missing("openssl") || is_missing("openssl-legacy") {
        return;
    }
    let own = Authority::new("of the files");
    let [ecdsa, rsa] =
        [KeyKind::Ecdsa, KeyKind::Rsa].map(|key| own.issue(&Leaf::server("localhost").with_key(key)));
    let new = pkcs12(&ecdsa, "", "first", &[]);
    let old = pkcs12(&rsa, "", "second", &["-legacy"]);
    let both = options(&[(&new, Some("first")), (&old, Some("second"))]);
    assert_eq!(shown(&both, &own)[0], ecdsa.cert_der);
    let rsa_only = SecureContextOptions {
        ciphers: Some("ECDHE-RSA-AES128-GCM-SHA256".into()),
        max_version: Some(ProtocolVersion::Tls1_2),
        ..both.clone()
    };
    let client =
        SecureContextOptions { ca: Some(vec![own.pem().into()]), ..context_options(ProtocolVersion::Tls1_2) };
    let world = World {
        client_context: context(&client),
        server_context: context(&rsa_only),
        ..World::new(Variation::versions()[0])
    };
    let certificate = world.connected().client.connection.peer_certificate().unwrap();
    assert_eq!(certificate.to_der(), rsa.cert_der);
    let swapped = options(&[(&new, Some("second")), (&old, Some("first"))]);
    assert_refused("another's passphrase", "pfx", "ERR_OSSL_PKCS12_MAC_VERIFY_FAILURE", &swapped);
}

/// The vendored OpenSSL has the legacy provider inside and cannot be without it.
#[cfg(not(feature = "vendored"))]
#[test]
fn without_the_legacy_provider_an_old_file_is_refused_by_name() {
    const CHILD: &str = "NODETLS_TEST_WITHOUT_LEGACY";
    if is_missing("openssl") || is_missing("openssl-legacy") {
        return;
    }
    if let Some(path) = std::env::var_os(CHILD) {
        let file = std::fs::read(path).unwrap();
        let options = options(&[(&file, Some("right"))]);
        return assert_refused("an old file", "pfx", "ERR_CRYPTO_UNSUPPORTED_OPERATION", &options);
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("old.p12");
    std::fs::write(&path, pkcs12(server_identity(), "", "right", LEGACY[0])).unwrap();
    // Where OpenSSL looks for providers is read once a process, hence another one.
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "without_the_legacy_provider_an_old_file_is_refused_by_name"])
        .env(CHILD, &path)
        .env("OPENSSL_MODULES", directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
