//! The functions of the module that belong to no class.

use std::cell::RefCell;
use std::sync::Arc;

use napi::bindgen_prelude::{Buffer, Env, Function, Result};
use napi::threadsafe_function::ThreadsafeFunction;
use napi_derive::napi;
use nodetls_proto::Certificate;

use crate::error::{NativeError, refused, thrown};
use crate::pool::{self, Completions};

/// Tells an environment that work was done; it does not keep the process alive.
pub(crate) type WorkDone = ThreadsafeFunction<(), (), Vec<u32>, napi::Status, false, true>;

thread_local! {
    /// The environment of this thread.
    static COMPLETIONS: RefCell<Option<Arc<Completions>>> = const { RefCell::new(None) };
}

/// Where the connections of this environment are reported; `None` before [`set_work_done`].
pub(crate) fn completions() -> Option<Arc<Completions>> {
    COMPLETIONS.with_borrow(|completions| completions.clone().filter(|completions| completions.is_set()))
}

/// From now on the function is told the ids of connections whose work was done. Once an environment.
#[napi]
pub fn set_work_done(callback: Function<'_, Vec<u32>, ()>) -> Result<()> {
    let completions = Arc::new(Completions::new());
    let taken = Arc::clone(&completions);
    let tell = callback
        .build_threadsafe_function::<()>()
        .weak::<true>()
        .build_callback(move |_| Ok(taken.take()))?;
    completions.set(tell);
    COMPLETIONS.set(Some(completions));
    Ok(())
}

/// How many threads do the work of handshakes (0: none, JavaScript's own does it), and how many steps may wait.
#[napi]
pub fn set_workers(threads: u32, queue: u32) {
    pool::set_limits(threads as usize, queue as usize);
}

/// The names of all cipher suites, in lower case.
#[napi]
pub fn ciphers(env: Env) -> Result<Vec<String>> {
    nodetls_proto::ciphers().map_err(|error| thrown(&env, &error))
}

/// Mozilla's root certificates in PEM.
#[napi]
pub fn root_certificates(env: Env) -> Result<Vec<String>> {
    Ok(nodetls_proto::root_certificates().map_err(|error| thrown(&env, &error))?.to_vec())
}

/// Whether the certificate is for the host; null where it is.
#[napi]
pub fn check_server_identity_der(hostname: String, der: Buffer) -> Result<Option<NativeError>> {
    let certificate = Certificate::from_der(&der).map_err(|error| refused(error.to_string()))?;
    Ok(certificate.check_server_identity(&hostname).err().as_ref().map(NativeError::from))
}

/// The version of this addon, which is that of the package whose JavaScript uses it.
#[napi]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The version of OpenSSL in this addon.
#[napi]
pub fn openssl_version() -> &'static str {
    nodetls_proto::openssl_version()
}
