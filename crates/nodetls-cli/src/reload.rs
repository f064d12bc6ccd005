//! `nodetls serve --reload`: certificates that are renewed while the server runs.

use std::time::Duration;

use nodetls::{Acceptor, ContextFiles, FilesStatus, SecureContextOptions, WatchOptions, WatchedFiles};
use serde_json::json;

use crate::args::{NamedIdentity, ServeArgs};
use crate::failure::Failure;
use crate::output::printable;
use crate::serve::Log;

/// Watches the files of all contexts, and lets the acceptor follow them. The tasks end with the runtime.
pub(crate) async fn start(
    args: &ServeArgs,
    seconds: u64,
    options: SecureContextOptions,
    acceptor: &Acceptor,
    log: Log,
) -> Result<(), Failure> {
    let own = own_files(args, options);
    let watch_options = WatchOptions { interval: Duration::from_secs(seconds), ..WatchOptions::default() };
    for identity in &args.sni {
        let watched = watch(named_files(&own, identity), watch_options).await?;
        acceptor.follow_context(&identity.name, &watched);
        tokio::spawn(run(watched, format!("the files of {}", identity.name), log, Hangups::new()));
    }
    let watched = watch(own, watch_options).await?;
    acceptor.follow_secure_context(&watched);
    tokio::spawn(run(watched, "the server's files".to_owned(), log, Hangups::new()));
    Ok(())
}

fn own_files(args: &ServeArgs, options: SecureContextOptions) -> ContextFiles {
    ContextFiles {
        cert: args.identity.cert.clone(),
        key: args.identity.key.clone(),
        pfx: args.identity.pfx.iter().cloned().collect(),
        ca: args.ca.clone(),
        crl: Vec::new(),
        passphrase: args.identity.passphrase_file.clone(),
        options,
    }
}

fn named_files(own: &ContextFiles, identity: &NamedIdentity) -> ContextFiles {
    let (cert, key) = (vec![identity.cert.clone()], vec![identity.key.clone()]);
    ContextFiles { cert, key, pfx: Vec::new(), ..own.clone() }
}

async fn watch(files: ContextFiles, options: WatchOptions) -> Result<WatchedFiles, Failure> {
    let watched = files.watch(options).await;
    watched.map_err(|error| Failure::new(error.code(), format_args!("watch files: {error}")))
}

/// Tells what becomes of the files, and looks at them at once when somebody asks for that by SIGHUP.
async fn run(watched: WatchedFiles, what: String, log: Log, mut hangups: Hangups) {
    let mut status = watched.subscribe();
    loop {
        tokio::select! {
            changed = status.changed() => match changed {
                Ok(()) => tell(&status.borrow_and_update().clone(), &what, log),
                Err(_) => return,
            },
            // What comes of it is told above.
            () = hangups.next() => drop(watched.reload_now().await),
        }
    }
}

fn tell(status: &FilesStatus, what: &str, log: Log) {
    match &status.refused {
        None => log.event("reload", &format!("{what} have changed and are in use"), json!({ "files": what })),
        Some(error) => {
            let (code, message) = (error.code(), error.to_string());
            let text = format!(
                "{what} are refused, the last good ones stay in use: {code}: {}",
                printable(&message)
            );
            log.event("reloadError", &text, json!({ "files": what, "code": code, "message": message }));
        }
    }
}

/// Signals by which operators ask servers to read their files again. Without this they would end the server.
struct Hangups {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangups {
    fn new() -> Self {
        Self {
            // Where it cannot be had, files are still read at their interval.
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
        }
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}
