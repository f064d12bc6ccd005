//! `ContextFiles`: a context from files.
//!
//! Reading is bounded, and what was read is cleared from memory after use. Which certificates and keys belong together
//! is not decided here: [`SecureContext::new`] judges the files as it judges options.

use std::fs::File;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nodetls_proto::{Error, KeyPem, Pfx, SecretBytes, SecureContext, SecureContextOptions};
use zeroize::Zeroizing;

use crate::error::io_code;

/// The longest file with certificates, a key or a passphrase.
const MAX_LENGTH: u64 = 1 << 20;

/// The longest revocation list; those of large authorities have hundreds of thousands of entries.
const MAX_CRL_LENGTH: u64 = 32 << 20;

/// Files that a [`SecureContext`] is made of, besides the options that do not come from files.
///
/// A file with certificates, a key or a passphrase may have up to 1 MiB, one with a revocation list up to 32 MiB. Only
/// regular files, and links to them, are read.
///
/// # Example
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use nodetls::{ContextFiles, Server, WatchOptions};
///
/// let files = ContextFiles {
///     cert: vec!["/etc/tls/tls.crt".into()],
///     key: vec!["/etc/tls/tls.key".into()],
///     ..Default::default()
/// };
/// let watched = files.watch(WatchOptions::default()).await?;
/// let server = Server::builder(&watched.context()).bind("127.0.0.1:8443").await?;
/// server.acceptor().follow_secure_context(&watched);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ContextFiles {
    /// Certificate chains in PEM, the leaf first, one for each key. Node: `cert`.
    pub cert: Vec<PathBuf>,
    /// Private keys in PEM. Node: `key`.
    pub key: Vec<PathBuf>,
    /// PKCS#12 files. Node: `pfx`.
    pub pfx: Vec<PathBuf>,
    /// Trusted authorities in PEM, in place of the default ones. Node: `ca`.
    pub ca: Vec<PathBuf>,
    /// Revocation lists in PEM. Node: `crl`.
    pub crl: Vec<PathBuf>,
    /// The passphrase of the keys and PKCS#12 files: the file's contents without the line's end. Node: `passphrase`.
    pub passphrase: Option<PathBuf>,
    /// Everything else. The files' contents are added to the lists in here.
    pub options: SecureContextOptions,
}

impl ContextFiles {
    /// Reads the files, and makes a context of them.
    ///
    /// # Errors
    /// [`FilesError`]: a file cannot be read, or they do not belong together.
    ///
    /// # Cancel safety
    /// Giving up changes nothing; the reading ends by itself.
    pub async fn load(&self) -> Result<SecureContext, FilesError> {
        let files = self.clone();
        blocking(move || files.build(files.read(&RandomState::new()))).await?
    }

    /// Reads all files. This blocks.
    pub(crate) fn read(&self, digest: &RandomState) -> Snapshot {
        let mut snapshot = Snapshot { files: Vec::new(), failure: None, digest: 0 };
        let mut hasher = digest.build_hasher();
        for (part, path) in self.paths() {
            match read(path, part.max_length()) {
                Ok(contents) => {
                    contents.expose().hash(&mut hasher);
                    snapshot.files.push((part, contents));
                }
                Err(error) => {
                    (error.kind(), path).hash(&mut hasher);
                    let failure = FilesError::Read { path: path.to_owned(), source: error };
                    snapshot.failure.get_or_insert(failure);
                }
            }
        }
        snapshot.digest = hasher.finish();
        snapshot
    }

    fn paths(&self) -> impl Iterator<Item = (Part, &Path)> {
        let lists = [
            (Part::Cert, &self.cert),
            (Part::Key, &self.key),
            (Part::Pfx, &self.pfx),
            (Part::Ca, &self.ca),
            (Part::Crl, &self.crl),
        ];
        let of = |(part, paths): (Part, &'_ Vec<PathBuf>)| std::iter::repeat_n(part, paths.len());
        let parts = lists.into_iter().flat_map(of);
        let paths = lists.into_iter().flat_map(|(_, paths)| paths);
        let passphrase = self.passphrase.iter().map(|path| (Part::Passphrase, path));
        parts.zip(paths).chain(passphrase).map(|(part, path)| (part, path.as_path()))
    }

    /// Makes a context of what was read. This may take long, for keys are decrypted slowly on purpose.
    pub(crate) fn build(&self, snapshot: Snapshot) -> Result<SecureContext, FilesError> {
        if let Some(failure) = snapshot.failure {
            return Err(failure);
        }
        let mut options = self.options.clone();
        for (part, contents) in snapshot.files {
            part.add(contents, &mut options);
        }
        Ok(SecureContext::new(&options)?)
    }
}

/// What a file is for.
#[derive(Clone, Copy, Debug)]
enum Part {
    Cert,
    Key,
    Pfx,
    Ca,
    Crl,
    Passphrase,
}

impl Part {
    fn max_length(self) -> u64 {
        if matches!(self, Self::Crl) { MAX_CRL_LENGTH } else { MAX_LENGTH }
    }

    fn add(self, contents: SecretBytes, options: &mut SecureContextOptions) {
        match self {
            Self::Cert => options.cert.push(contents.expose().to_vec()),
            Self::Key => options.key.push(KeyPem { pem: contents, passphrase: None }),
            Self::Pfx => options.pfx.push(Pfx { buf: contents, passphrase: None }),
            Self::Ca => options.ca.get_or_insert_default().push(contents.expose().to_vec()),
            Self::Crl => options.crl.push(contents.expose().to_vec()),
            Self::Passphrase => options.passphrase = Some(first_line(contents.expose()).into()),
        }
    }
}

/// The text without the end of its last line.
fn first_line(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}

/// The files as they were at one time.
#[derive(Debug)]
pub(crate) struct Snapshot {
    files: Vec<(Part, SecretBytes)>,
    failure: Option<FilesError>,
    /// Differs where a file's contents, or the reason why it cannot be read, differ. The hash is keyed with a secret of
    /// this process, so that nobody can make another file with the same one.
    pub(crate) digest: u64,
}

/// Reads a file of at most so many bytes, without leaving copies behind in memory.
fn read(path: &Path, max_length: u64) -> io::Result<SecretBytes> {
    // Opening a pipe would wait for somebody who writes.
    check_length(&std::fs::metadata(path)?, max_length)?;
    let mut file = File::open(path)?;
    let length = check_length(&file.metadata()?, max_length)?;
    // One byte more than expected shows the end; the buffer never grows, for that would leave its old place as it was.
    let mut contents = Zeroizing::new(vec![0; length + 1]);
    let mut filled = 0;
    loop {
        match file.read(&mut contents[filled..]) {
            Ok(0) if filled == 0 => return Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty")),
            Ok(0) if filled < contents.len() => break,
            Ok(0) => return Err(io::Error::other("it grows while it is read")),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    contents.truncate(filled);
    Ok(std::mem::take(&mut *contents).into())
}

fn check_length(metadata: &std::fs::Metadata, max_length: u64) -> io::Result<usize> {
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    if metadata.len() > max_length {
        let message = format!("it is longer than {max_length} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    usize::try_from(metadata.len()).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

/// Files could not be made into a context.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// A file cannot be read: it is missing, empty, too long, no regular file, or not permitted.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The contents are not acceptable, or do not belong together.
    #[error(transparent)]
    Context(#[from] Error),
    /// The files did not stay the same for as long as it takes to read them twice.
    #[error("the files keep changing")]
    Unsettled,
    /// The runtime is shutting down.
    #[error("the runtime is shutting down")]
    Stopped,
}

impl FilesError {
    /// The code that Node.js reports, such as `ENOENT` or `ERR_OSSL_X509_KEY_VALUES_MISMATCH`.
    pub fn code(&self) -> String {
        match self {
            Self::Read { source, .. } => io_code(source),
            Self::Context(error) => error.code().into_owned(),
            Self::Unsettled => "EAGAIN".to_owned(),
            Self::Stopped => "ECANCELED".to_owned(),
        }
    }
}

/// Runs what may wait for a disk on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, FilesError> {
    // Nothing in here panics, so what remains is a runtime that takes no more work.
    tokio::task::spawn_blocking(work).await.map_err(|_| FilesError::Stopped)
}

/// Reads on a thread that may wait.
pub(crate) async fn read_files(
    files: &Arc<ContextFiles>,
    digest: &RandomState,
) -> Result<Snapshot, FilesError> {
    let (files, digest) = (Arc::clone(files), digest.clone());
    blocking(move || files.read(&digest)).await
}
