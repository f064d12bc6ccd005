//! `verify`: a certificate chain in files, or many as JSON, judged as a connection would judge them.

mod lines;

use std::time::SystemTime;

use nodetls::{Certificate, DefaultAuthorities, Error, Purpose, ServerName, VerifyRequest, verify_chain};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::args::{PurposeArg, VerifyArgs};
use crate::failure::Failure;
use crate::{context, describe, files, output};

/// Verifies what the arguments name; a chain that is refused is a failure.
pub(crate) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    if args.json {
        return lines::run(args.strict);
    }
    let request = request(args)?;
    match verify_chain(&request) {
        Ok(verified) => tell(&verified.chain, "OK"),
        Err(error @ (Error::Verify(_) | Error::Identity(_))) => {
            let failure = Failure::verification(&error);
            tell(&presented(&request)?, &format!("FAILED, {}", error.code()))?;
            Err(failure)
        }
        Err(error) => Err(error.into()),
    }
}

fn tell(chain: &[Certificate], verdict: &str) -> Result<(), Failure> {
    output::out(&describe::chain(chain, verdict))
}

fn presented(request: &VerifyRequest) -> Result<Vec<Certificate>, Failure> {
    let mut all = Vec::new();
    for pem in std::iter::once(&request.leaf).chain(&request.intermediates) {
        all.extend(Certificate::all_from_pem(pem)?);
    }
    Ok(all)
}

fn request(args: &VerifyArgs) -> Result<VerifyRequest, Failure> {
    // The command line does not parse without it.
    let leaf = args.leaf.as_deref().ok_or_else(|| Failure::usage("no certificate was given"))?;
    Ok(VerifyRequest {
        leaf: files::read(leaf)?,
        intermediates: read_all(&args.intermediate)?,
        roots: context::authorities(&args.root)?,
        default_ca: match args.system_ca {
            true => DefaultAuthorities::System,
            false => DefaultAuthorities::Mozilla,
        },
        crl: read_all(&args.crl)?,
        purpose: match args.purpose {
            PurposeArg::Server => Purpose::Server,
            PurposeArg::Client => Purpose::Client,
        },
        server_name: args.name.as_deref().map(name).transpose()?,
        time: args.time.as_deref().map(when).transpose()?,
        max_depth: args.max_depth,
        strict: args.strict,
        ..VerifyRequest::default()
    })
}

fn read_all(paths: &[std::path::PathBuf]) -> Result<Vec<Vec<u8>>, Failure> {
    paths.iter().map(|path| files::read(path)).collect()
}

fn name(text: &str) -> Result<ServerName, Failure> {
    ServerName::parse(text).map_err(|error| Failure::usage(format_args!("--name: {error}")))
}

fn when(text: &str) -> Result<SystemTime, Failure> {
    time(text).ok_or_else(|| Failure::usage("--time: it must be a time as in RFC 3339, 2026-07-01T12:00:00Z"))
}

/// A time of RFC 3339, with or without fractions of seconds.
fn time(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(SystemTime::from)
}
