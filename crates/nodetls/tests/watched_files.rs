//! Contexts that follow their files: every way in which files are replaced, and every way in which that goes wrong.
//! Time is Tokio's paused clock.

#![cfg(unix)]
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nodetls::{
    Acceptor, Connector, ContextFiles, FilesError, FilesStatus, SecureContext, SecureContextOptions,
    WatchOptions, WatchedFiles,
};
use nodetls_test::pki::{Authority, Identity, Leaf};
use tempfile::TempDir;
use tokio::sync::watch::Receiver;

struct World {
    authority: Authority,
    directory: TempDir,
}

impl World {
    fn new() -> Self {
        Self { authority: Authority::new("ca"), directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn issue(&self) -> Identity {
        self.authority.issue(&Leaf::server("localhost"))
    }

    /// Writes `tls.crt` and `tls.key`.
    fn write(&self, identity: &Identity) {
        write_to(self.directory.path(), identity);
    }

    fn files(&self) -> ContextFiles {
        ContextFiles {
            cert: vec![self.path("tls.crt")],
            key: vec![self.path("tls.key")],
            ..Default::default()
        }
    }

    async fn watch(&self) -> WatchedFiles {
        self.files().watch(WatchOptions::default()).await.unwrap()
    }

    /// The certificate that a client of this acceptor gets.
    async fn shown_by(&self, acceptor: &Acceptor, name: &str) -> Vec<u8> {
        let ca = Some(vec![self.authority.pem().into()]);
        let options = SecureContextOptions { ca, ..Default::default() };
        let connector = Connector::new(&SecureContext::new(&options).unwrap()).server_name(name);
        let (client, server) = tokio::io::duplex(65_536);
        let (client, server) = tokio::join!(connector.connect_over(client), acceptor.accept(server));
        drop(server.unwrap());
        client.unwrap().connection().peer_certificate().unwrap().to_der()
    }

    /// The certificate in this context.
    async fn shown(&self, context: &SecureContext) -> Vec<u8> {
        self.shown_by(&Acceptor::builder(context).build().unwrap(), "localhost").await
    }
}

fn write_to(directory: &Path, identity: &Identity) {
    fs::write(directory.join("tls.crt"), &identity.cert_pem).unwrap();
    fs::write(directory.join("tls.key"), &identity.key_pem).unwrap();
}

/// The next status. The limit is of the paused clock: some readings, but no real time.
async fn next(receiver: &mut Receiver<FilesStatus>) -> FilesStatus {
    let changed = tokio::time::timeout(Duration::from_secs(60), receiver.changed());
    changed.await.expect("a change is seen").unwrap();
    receiver.borrow_and_update().clone()
}

async fn nothing_happens(receiver: &mut Receiver<FilesStatus>) {
    assert!(tokio::time::timeout(Duration::from_secs(3600), receiver.changed()).await.is_err());
}

fn refusal(status: &FilesStatus) -> String {
    status.refused.as_ref().expect("the files are refused").code()
}

fn file_error(path: &Path, code: &str) -> impl Fn(&FilesError) -> bool {
    move |error| matches!(error, FilesError::Read { path: at, .. } if at == path) && error.code() == code
}

#[tokio::test(start_paused = true)]
async fn files_that_are_overwritten_are_used_by_the_acceptors_that_follow() {
    let world = World::new();
    let (old, new) = (world.issue(), world.issue());
    world.write(&old);
    let watched = world.watch().await;
    let other = SecureContext::new(&SecureContextOptions::default()).unwrap();
    let (own, named) = (Acceptor::builder(&other), Acceptor::builder(&other));
    let (own, named) = (own.build().unwrap(), named.build().unwrap());
    own.follow_secure_context(&watched);
    named.follow_context("localhost", &watched);
    assert_eq!(world.shown_by(&own, "localhost").await, old.cert_der);
    let mut status = watched.subscribe();
    world.write(&new);
    assert_eq!(next(&mut status).await.loads, 2);
    for acceptor in [&own, &named] {
        assert_eq!(world.shown_by(acceptor, "localhost").await, new.cert_der);
    }
    assert_eq!(world.shown(&watched.context()).await, new.cert_der);
    nothing_happens(&mut status).await;
}

#[tokio::test(start_paused = true)]
async fn files_that_are_renamed_over_the_old_ones_are_used() {
    let world = World::new();
    let (old, new) = (world.issue(), world.issue());
    world.write(&old);
    let watched = world.watch().await;
    let mut status = watched.subscribe();
    fs::create_dir(world.path("new")).unwrap();
    write_to(&world.path("new"), &new);
    for name in ["tls.crt", "tls.key"] {
        fs::rename(world.path("new").join(name), world.path(name)).unwrap();
    }
    assert_eq!(world.shown(&next(&mut status).await.context).await, new.cert_der);
}

/// Makes `..data` lead to a new directory in one step, and removes the old one, as the kubelet does.
fn publish(world: &World, name: &str, identity: &Identity) {
    let old = fs::read_link(world.path("..data")).ok();
    fs::create_dir(world.path(name)).unwrap();
    write_to(&world.path(name), identity);
    symlink(name, world.path("..data_tmp")).unwrap();
    fs::rename(world.path("..data_tmp"), world.path("..data")).unwrap();
    if let Some(old) = old {
        fs::remove_dir_all(world.directory.path().join(old)).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn links_that_are_exchanged_as_kubernetes_does_it_are_followed() {
    let world = World::new();
    let identities = [world.issue(), world.issue(), world.issue()];
    publish(&world, "..2026_01_01", &identities[0]);
    for name in ["tls.crt", "tls.key"] {
        symlink(Path::new("..data").join(name), world.path(name)).unwrap();
    }
    let watched = world.watch().await;
    let mut status = watched.subscribe();
    for (identity, name) in identities[1..].iter().zip(["..2026_02_01", "..2026_03_01"]) {
        publish(&world, name, identity);
        let now = next(&mut status).await;
        assert!(now.refused.is_none() && now.refusals == 0);
        assert_eq!(world.shown(&now.context).await, identity.cert_der);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_comes_within_the_settle_time_of_its_certificate_is_awaited() {
    let world = World::new();
    world.write(&world.issue());
    let options = WatchOptions { settle_time: Duration::from_secs(20), ..WatchOptions::default() };
    let watched = world.files().watch(options).await.unwrap();
    let mut status = watched.subscribe();
    let new = world.issue();
    fs::write(world.path("tls.crt"), &new.cert_pem).unwrap();
    // The change is seen after 10 s; the key comes before the files have been the same for 20 s.
    assert!(tokio::time::timeout(Duration::from_secs(25), status.changed()).await.is_err());
    fs::write(world.path("tls.key"), &new.key_pem).unwrap();
    let now = next(&mut status).await;
    assert_eq!((now.loads, now.refusals), (2, 0));
    assert_eq!(world.shown(&now.context).await, new.cert_der);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_comes_later_than_its_certificate_completes_the_set() {
    let world = World::new();
    let (old, new) = (world.issue(), world.issue());
    world.write(&old);
    let watched = world.watch().await;
    let mut status = watched.subscribe();
    fs::write(world.path("tls.crt"), &new.cert_pem).unwrap();
    let now = next(&mut status).await;
    assert_eq!(refusal(&now), "ERR_OSSL_X509_KEY_VALUES_MISMATCH");
    assert_eq!(world.shown(&now.context).await, old.cert_der);
    // A set is refused once, however often it is read.
    nothing_happens(&mut status).await;
    fs::write(world.path("tls.key"), &new.key_pem).unwrap();
    let now = next(&mut status).await;
    assert_eq!((now.loads, now.refusals, now.refused.is_none()), (2, 1, true));
    assert_eq!(world.shown(&now.context).await, new.cert_der);
}

#[tokio::test(start_paused = true)]
async fn broken_sets_are_refused_until_they_are_repaired() {
    let world = World::new();
    let (old, new) = (world.issue(), world.issue());
    world.write(&old);
    let watched = world.watch().await;
    let (cert, key) = (new.cert_pem.as_bytes(), new.key_pem.as_bytes());
    let broken: [(&[u8], &[u8]); 5] = [
        (&cert[..cert.len() / 2], key),
        (cert, &key[..key.len() / 2]),
        (b"", key),
        (b"garbage", b"garbage"),
        (&[0xff; 5000], key),
    ];
    for (refusals, (cert, key)) in (1..).zip(broken) {
        fs::write(world.path("tls.crt"), cert).unwrap();
        fs::write(world.path("tls.key"), key).unwrap();
        watched.reload_now().await.unwrap_err();
        let now = watched.subscribe().borrow().clone();
        assert_eq!((now.loads, now.refusals, now.refused.is_some()), (1, refusals, true));
        assert_eq!(world.shown(&now.context).await, old.cert_der);
    }
    world.write(&new);
    watched.reload_now().await.unwrap();
    assert_eq!(world.shown(&watched.context()).await, new.cert_der);
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_is_half_written_is_no_set_without_it() {
    let world = World::new();
    let both = format!("{}{}", world.authority.pem(), Authority::new("other").pem());
    fs::write(world.path("ca.pem"), &both).unwrap();
    let files = ContextFiles { ca: vec![world.path("ca.pem")], ..Default::default() };
    let watched = files.watch(WatchOptions::default()).await.unwrap();
    fs::write(world.path("ca.pem"), &both[..both.len() - 100]).unwrap();
    watched.reload_now().await.unwrap_err();
    fs::write(world.path("ca.pem"), both).unwrap();
    watched.reload_now().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_vanishes_leaves_the_last_good_set_until_it_comes_back() {
    let world = World::new();
    let (old, new) = (world.issue(), world.issue());
    world.write(&old);
    let watched = world.watch().await;
    let mut status = watched.subscribe();
    let aside = world.directory.path().with_extension("aside");
    fs::rename(world.directory.path(), &aside).unwrap();
    let now = next(&mut status).await;
    assert!(now.refused.as_deref().is_some_and(file_error(&world.path("tls.crt"), "ENOENT")));
    assert_eq!(world.shown(&now.context).await, old.cert_der);
    fs::rename(&aside, world.directory.path()).unwrap();
    assert!(next(&mut status).await.refused.is_none());
    world.write(&new);
    assert_eq!(world.shown(&next(&mut status).await.context).await, new.cert_der);
}

#[tokio::test(start_paused = true)]
async fn files_that_cannot_be_read_are_named() {
    let world = World::new();
    world.write(&world.issue());
    let path = world.path("tls.key");
    let load = async || world.files().load().await.unwrap_err();
    fs::File::create(&path).unwrap().set_len((1 << 20) + 1).unwrap();
    assert!(file_error(&path, "EFBIG")(&load().await));
    fs::write(&path, "").unwrap();
    assert!(file_error(&path, "EIO")(&load().await));
    fs::remove_file(&path).unwrap();
    assert!(file_error(&path, "ENOENT")(&load().await));
    fs::create_dir(&path).unwrap();
    assert!(file_error(&path, "EISDIR")(&load().await));
    // A socket is no regular file either; a pipe would let the reader wait for ever.
    fs::remove_dir(&path).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert!(file_error(&path, "EINVAL")(&load().await));
}

#[tokio::test(start_paused = true)]
async fn files_that_are_not_good_from_the_beginning_are_not_watched() {
    let world = World::new();
    world.write(&world.issue());
    fs::write(world.path("tls.key"), world.issue().key_pem).unwrap();
    let error = world.files().watch(WatchOptions::default()).await.unwrap_err();
    assert_eq!(error.code(), "ERR_OSSL_X509_KEY_VALUES_MISMATCH");
}

#[tokio::test(start_paused = true)]
async fn a_key_is_decrypted_with_the_passphrase_of_a_file_that_is_watched_too() {
    if nodetls_test::is_missing("openssl") {
        return;
    }
    let world = World::new();
    let (old, new) = (world.issue(), world.issue());
    let write = |identity: &Identity, passphrase: &str| {
        fs::write(world.path("tls.crt"), &identity.cert_pem).unwrap();
        fs::write(world.path("tls.key"), identity.encrypted_key_pem(passphrase)).unwrap();
        fs::write(world.path("passphrase"), format!("{passphrase}\n")).unwrap();
    };
    write(&old, "one");
    let files = ContextFiles { passphrase: Some(world.path("passphrase")), ..world.files() };
    let watched = files.watch(WatchOptions::default()).await.unwrap();
    write(&new, "another");
    watched.reload_now().await.unwrap();
    assert_eq!(world.shown(&watched.context()).await, new.cert_der);
    fs::write(world.path("passphrase"), "wrong").unwrap();
    watched.reload_now().await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn revocation_lists_are_used_as_soon_as_they_are_renewed() {
    let world = World::new();
    let (server, client) = (world.issue(), world.authority.issue(&Leaf::client("agent1")));
    world.write(&server);
    fs::write(world.path("ca.pem"), world.authority.pem()).unwrap();
    fs::write(world.path("ca.crl"), world.authority.revocation_list(&[])).unwrap();
    let (ca, crl) = (vec![world.path("ca.pem")], vec![world.path("ca.crl")]);
    let watched = ContextFiles { ca, crl, ..world.files() }.watch(WatchOptions::default()).await.unwrap();
    let builder = Acceptor::builder(&watched.context());
    let acceptor = builder.client_authentication(nodetls::ClientAuthentication::Required).build().unwrap();
    acceptor.follow_secure_context(&watched);
    client.write_to(world.directory.path(), "client");
    let (cert, key) = (vec![world.path("client.pem")], vec![world.path("client.key")]);
    let files = ContextFiles { cert, key, ca: vec![world.path("ca.pem")], ..Default::default() };
    let connector = Connector::new(&files.load().await.unwrap());
    let accepted = async || {
        let (client, server) = tokio::io::duplex(65_536);
        let (_client, server) = tokio::join!(connector.connect_over(client), acceptor.accept(server));
        server.map(drop).map_err(|error| error.code())
    };
    assert_eq!(accepted().await, Ok(()));
    fs::write(world.path("ca.crl"), world.authority.revocation_list(&[&client])).unwrap();
    watched.reload_now().await.unwrap();
    assert_eq!(accepted().await, Err("CERT_REVOKED".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn files_that_keep_changing_are_left_alone_until_they_settle() {
    let world = World::new();
    let old = world.issue();
    world.write(&old);
    let options = WatchOptions { settle_time: Duration::from_secs(1), ..WatchOptions::default() };
    let watched = world.files().watch(options).await.unwrap();
    let mut status = watched.subscribe();
    let path = world.path("tls.crt");
    let changing = tokio::spawn(async move {
        for number in 0_u64.. {
            fs::write(&path, format!("{number}")).unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    });
    let now = next(&mut status).await;
    assert!(matches!(now.refused.as_deref(), Some(FilesError::Unsettled)));
    changing.abort();
    assert!(changing.await.unwrap_err().is_cancelled());
    world.write(&old);
    while next(&mut status).await.refused.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_the_watched_files_and_holds_no_acceptor() {
    let world = World::new();
    world.write(&world.issue());
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(tasks(), 0);
    let options = WatchOptions { interval: Duration::ZERO, settle_time: Duration::ZERO };
    let watched = world.files().watch(options).await.unwrap();
    let mut status = watched.subscribe();
    Acceptor::builder(&watched.context()).build().unwrap().follow_secure_context(&watched);
    // An interval of nothing is none that keeps the task from waiting.
    world.write(&world.issue());
    assert_eq!(next(&mut status).await.loads, 2);
    assert_eq!(tasks(), 1);
    drop(watched);
    while tasks() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(status.changed().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn no_secret_shows() {
    let world = World::new();
    let identity = world.issue();
    world.write(&identity);
    let watched = world.watch().await;
    let secret = identity.key_pem.lines().nth(1).unwrap();
    assert!(!format!("{watched:?} {:?}", world.files()).contains(secret));
}
