//! How the command fails: one line with a code, and an exit status.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use nodetls::{BindError, ConnectError, Error};

use crate::output;

/// Why the command ends before its work is done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something to tell: `nodetls: CODE: message`.
    Told {
        /// The code that Node.js has for it.
        code: String,
        /// A sentence for people.
        message: String,
        /// The exit status.
        status: u8,
    },
    /// Whoever read our output has left, which is how pipes end.
    BrokenPipe,
}

impl Failure {
    /// A failure with exit status 1.
    pub(crate) fn new(code: impl Into<String>, message: impl Display) -> Self {
        Self::Told { code: code.into(), message: message.to_string(), status: 1 }
    }

    /// Arguments that do not belong together: exit status 2, as for those that cannot be parsed.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self::Told { code: "ERR_INVALID_ARG_VALUE".to_owned(), message: message.to_string(), status: 2 }
    }

    /// An error of the system, or one of TLS that came through `std::io`, while doing `what`.
    pub(crate) fn io(what: impl Display, error: io::Error) -> Self {
        let message = format!("{what}: {error}");
        Self::new(io_code(error), message)
    }

    /// A connection that could not be made.
    pub(crate) fn connect(target: impl Display, error: &ConnectError) -> Self {
        let message = match error.tls() {
            Some(error) => format!("connect to {target}: {}", place(error)),
            None => format!("connect to {target}: {error}"),
        };
        Self::new(error.code(), message)
    }

    /// A chain that is not acceptable.
    pub(crate) fn verification(error: &Error) -> Self {
        Self::new(error.code(), place(error))
    }

    /// A server that could not be started.
    pub(crate) fn bind(address: impl Display, error: BindError) -> Self {
        match error {
            BindError::Tls(error) => error.into(),
            BindError::Io(error) => Self::io(format_args!("listen on {address}"), error),
            other => Self::new("ERR_INTERNAL_ASSERTION", other),
        }
    }

    /// Writing to standard output has failed.
    pub(crate) fn stdout(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::io("write to standard output", error),
        }
    }

    /// The code and the message.
    pub(crate) fn into_parts(self) -> (String, String) {
        match self {
            Self::Told { code, message, .. } => (code, message),
            Self::BrokenPipe => ("EPIPE".to_owned(), "standard output was closed".to_owned()),
        }
    }

    /// Tells the user, and gives the exit status.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Told { code, message, status } => {
                output::err(&format!("nodetls: {code}: {}", output::printable(&message)));
                ExitCode::from(status)
            }
            Self::BrokenPipe => ExitCode::SUCCESS,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.code(), &error)
    }
}

/// The error, and which certificate it is about.
fn place(error: &Error) -> String {
    match error {
        Error::Verify(verify) => match &verify.certificate {
            Some(certificate) => format!("{error} (at depth {}, {})", verify.depth, certificate.subject()),
            None => error.to_string(),
        },
        _ => error.to_string(),
    }
}

/// The library knows the codes of connections; files have a few more.
fn io_code(error: io::Error) -> String {
    match error.kind() {
        io::ErrorKind::IsADirectory => "EISDIR".to_owned(),
        io::ErrorKind::NotADirectory => "ENOTDIR".to_owned(),
        io::ErrorKind::FileTooLarge => "EFBIG".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "EROFS".to_owned(),
        io::ErrorKind::StorageFull => "ENOSPC".to_owned(),
        _ => ConnectError::Io(error).code(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_files_and_connections_have_the_codes_of_node() {
        let code = |kind: io::ErrorKind| Failure::io("open x", kind.into()).into_parts().0;
        assert_eq!(code(io::ErrorKind::NotFound), "ENOENT");
        assert_eq!(code(io::ErrorKind::IsADirectory), "EISDIR");
        assert_eq!(code(io::ErrorKind::ConnectionRefused), "ECONNREFUSED");
    }

    #[test]
    fn a_broken_pipe_is_no_failure_to_tell() {
        assert!(matches!(Failure::stdout(io::ErrorKind::BrokenPipe.into()), Failure::BrokenPipe));
    }
}
