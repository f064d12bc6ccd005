//! From arguments to the options of a context.

use std::path::{Path, PathBuf};

use nodetls::{KeyPem, Pfx, ProtocolVersion, SecureContextOptions};

use crate::args::{IdentityArgs, NamedIdentity, ProtocolArgs};
use crate::failure::Failure;
use crate::files;
use crate::key_log::KeyLog;

/// Options with these protocol settings, and nobody's certificates.
pub(crate) fn options(protocol: &ProtocolArgs, key_log: &KeyLog) -> Result<SecureContextOptions, Failure> {
    Ok(SecureContextOptions {
        min_version: version("--min-version", protocol.min_version.as_deref())?,
        max_version: version("--max-version", protocol.max_version.as_deref())?,
        ciphers: protocol.ciphers.clone(),
        ecdh_curve: protocol.groups.clone(),
        dangerous_key_log: key_log.is_on(),
        ..Default::default()
    })
}

/// The authorities in these files; `None` without any, for the default ones.
pub(crate) fn authorities(files: &[PathBuf]) -> Result<Option<Vec<Vec<u8>>>, Failure> {
    if files.is_empty() {
        return Ok(None);
    }
    files.iter().map(|file| files::read(file)).collect::<Result<_, _>>().map(Some)
}

/// Adds own certificates and keys.
pub(crate) fn add_identity(
    options: &mut SecureContextOptions,
    identity: &IdentityArgs,
) -> Result<(), Failure> {
    options.passphrase = identity.passphrase_file.as_deref().map(files::read_passphrase).transpose()?;
    for cert in &identity.cert {
        options.cert.push(files::read(cert)?);
    }
    for key in &identity.key {
        options.key.push(read_key(key)?);
    }
    if let Some(pfx) = &identity.pfx {
        options.pfx.push(Pfx { buf: files::read(pfx)?.into(), passphrase: None });
    }
    Ok(())
}

/// The same settings with another certificate and key.
pub(crate) fn with_identity(
    options: &SecureContextOptions,
    identity: &NamedIdentity,
) -> Result<SecureContextOptions, Failure> {
    Ok(SecureContextOptions {
        cert: vec![files::read(&identity.cert)?],
        key: vec![read_key(&identity.key)?],
        pfx: Vec::new(),
        ..options.clone()
    })
}

fn read_key(path: &Path) -> Result<KeyPem, Failure> {
    Ok(KeyPem { pem: files::read(path)?.into(), passphrase: None })
}

fn version(option: &str, text: Option<&str>) -> Result<Option<ProtocolVersion>, Failure> {
    let parse = |text: &str| {
        text.parse().map_err(|error| {
            let message = format!("{option}: {error}; there are TLSv1, TLSv1.1, TLSv1.2 and TLSv1.3");
            Failure::new("ERR_TLS_INVALID_PROTOCOL_VERSION", message)
        })
    };
    text.map(parse).transpose()
}
