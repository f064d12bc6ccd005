//! Files: read with a limit, and written so that nobody else can read what is secret.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use nodetls::SecretBytes;

use crate::failure::Failure;

/// No certificate, key or session is longer; a device such as `/dev/zero` is.
const MAX_LENGTH: u64 = 16 << 20;

/// The contents of a file of at most 16 MiB.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failure = |error| Failure::io(format_args!("read {}", path.display()), error);
    let mut contents = Vec::new();
    let file = File::open(path).map_err(failure)?;
    file.take(MAX_LENGTH + 1).read_to_end(&mut contents).map_err(failure)?;
    if contents.len() as u64 > MAX_LENGTH {
        return Err(failure(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(contents)
}

/// The passphrase in a file: its contents without the line end.
pub(crate) fn read_passphrase(path: &Path) -> Result<SecretBytes, Failure> {
    let mut contents = read(path)?;
    for end in [b'\n', b'\r'] {
        if contents.last() == Some(&end) {
            contents.pop();
        }
    }
    Ok(contents.into())
}

/// Opens a file for appending; a new one belongs to its owner alone.
pub(crate) fn append_private(path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    private(&mut options);
    options.open(path).map_err(|error| Failure::io(format_args!("open {}", path.display()), error))
}

/// Replaces a file's contents; afterwards it belongs to its owner alone.
pub(crate) fn write_private(path: &Path, contents: &[u8]) -> Result<(), Failure> {
    write(path, contents).map_err(|error| Failure::io(format_args!("write {}", path.display()), error))
}

fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    private(&mut options);
    let mut file = options.open(path)?;
    // The file may have existed, with a mode of its own.
    #[cfg(unix)]
    if file.metadata()?.is_file() {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    file.write_all(contents)
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn private(_options: &mut OpenOptions) {}
