//! `SSLKEYLOGFILE`: key material in the format that Wireshark reads.
//!
//! Whoever has the file can read the recorded traffic. It is only written where the variable asks for it.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, Once, PoisonError};

use nodetls::SecretBytes;
use serde_json::json;

use crate::failure::Failure;
use crate::{files, output};

/// The variable that names the file, as in browsers and curl.
const VARIABLE: &str = "SSLKEYLOGFILE";

/// The key log, if there is to be one. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyLog(Option<Arc<Mutex<File>>>);

/// How the log is spoken of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Notice {
    /// By a line for people.
    Text,
    /// By an object for programs.
    Json,
    /// Not again.
    None,
}

impl Notice {
    /// In the form of everything else that a command says.
    pub(crate) fn new(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}

impl KeyLog {
    /// Opens the file that the environment names; without the variable nothing is logged.
    pub(crate) fn from_environment(notice: Notice) -> Result<Self, Failure> {
        let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) else {
            return Ok(Self::default());
        };
        let file = files::append_private(Path::new(&path)).map_err(|failure| {
            let (code, message) = failure.into_parts();
            Failure::new(code, format_args!("{VARIABLE}: {message}"))
        })?;
        let file_name = path.to_string_lossy();
        match notice {
            Notice::Text => output::err(&format!(
                "{VARIABLE} is set: the keys of all connections are written to {file_name}"
            )),
            Notice::Json => output::err(&json!({ "event": "keyLog", "file": file_name }).to_string()),
            Notice::None => {}
        }
        Ok(Self(Some(Arc::new(Mutex::new(file)))))
    }

    /// Whether lines are wanted.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Appends one line.
    pub(crate) fn append(&self, line: &SecretBytes) {
        static COMPLAINT: Once = Once::new();
        let Some(file) = &self.0 else { return };
        // One write a line, so that lines of several processes do not mix.
        let line = SecretBytes::from([line.expose(), b"\n"].concat());
        let written = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.expose());
        if let Err(error) = written {
            COMPLAINT.call_once(|| output::err(&format!("{VARIABLE} cannot be written: {error}")));
        }
    }
}
