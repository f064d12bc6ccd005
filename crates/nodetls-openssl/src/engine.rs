//! Engines: modules for keys in hardware, which OpenSSL 3 deprecates and OpenSSL 4 no longer has.
//!
//! An engine's code is unloaded with the last reference to it. Keys and contexts therefore hold the engine that they come
//! from, and give it back after they have gone themselves.

use std::ffi::{CStr, CString};
use std::ptr::NonNull;
use std::sync::Arc;

use foreign_types::ForeignType;
use openssl::pkey::PKey;
use openssl_sys::ENGINE;

use crate::result::{non_null, one};
use crate::{ErrorStack, PrivateKey, init, sys};

/// An engine that has been loaded and initialised. Cloning shares it.
#[derive(Clone)]
pub struct Engine(Arc<Reference>);

/// A functional reference and the structural one that it was made from.
struct Reference {
    functions: sys::EngineFunctions,
    engine: Structural,
}

/// A structural reference.
struct Structural {
    functions: sys::EngineFunctions,
    raw: NonNull<ENGINE>,
}

// SAFETY: OpenSSL counts references to engines under a lock of its own.
unsafe impl Send for Structural {}
// SAFETY: as above; nothing here changes an engine after it has been loaded.
unsafe impl Sync for Structural {}

/// Why an engine cannot be used.
#[derive(Debug)]
pub enum EngineError {
    /// This build has no engines: OpenSSL is linked statically, or is version 4.
    Unavailable,
    /// It cannot be found or loaded, or has no such key.
    Failed(ErrorStack),
    /// It is there and does not start.
    NotInitialized(ErrorStack),
}

impl From<ErrorStack> for EngineError {
    fn from(stack: ErrorStack) -> Self {
        Self::Failed(stack)
    }
}

impl Engine {
    /// Finds an engine by its id, or loads it from the shared library of this path, and initialises it. This runs the
    /// library's code.
    ///
    /// # Errors
    /// [`EngineError`].
    ///
    /// Corresponds to `ENGINE_by_id`, `ENGINE_ctrl_cmd_string` and `ENGINE_init`.
    pub fn load(id: &str) -> Result<Self, EngineError> {
        init();
        let functions = sys::engine_functions().ok_or(EngineError::Unavailable)?;
        let options = sys::OPENSSL_INIT_NO_LOAD_CONFIG | sys::OPENSSL_INIT_ENGINE_DYNAMIC;
        // SAFETY: as in `init`.
        unsafe { openssl_sys::OPENSSL_init_ssl(options, std::ptr::null()) };
        ErrorStack::clear();
        let id = CString::new(id).map_err(|_| ErrorStack::default())?;
        let engine = Structural::load(functions, &id)?;
        // SAFETY: the engine is alive.
        one(unsafe { (functions.init)(engine.raw.as_ptr()) }).map_err(EngineError::NotInitialized)?;
        Ok(Self(Arc::new(Reference { functions, engine })))
    }

    /// The private key that the engine knows by this identifier.
    ///
    /// # Errors
    /// [`EngineError::Failed`] when it knows none.
    ///
    /// Corresponds to `ENGINE_load_private_key`.
    pub fn private_key(&self, identifier: &[u8]) -> Result<PrivateKey, EngineError> {
        ErrorStack::clear();
        let identifier = zeroize::Zeroizing::new([identifier, &[0]].concat());
        let identifier = CStr::from_bytes_with_nul(&identifier).map_err(|_| ErrorStack::default())?;
        let (none, load) = (std::ptr::null_mut(), self.0.functions.load_private_key);
        // SAFETY: the engine is initialised; without a user interface it has to use its own, or none.
        let raw = non_null(unsafe { load(self.as_ptr(), identifier.as_ptr(), none, none) })?;
        // SAFETY: OpenSSL hands over a reference that is ours.
        Ok(PrivateKey::of_engine(unsafe { PKey::from_ptr(raw.as_ptr()) }, self.clone()))
    }

    pub(crate) fn as_ptr(&self) -> *mut ENGINE {
        self.0.engine.raw.as_ptr()
    }

    pub(crate) fn functions(&self) -> &sys::EngineFunctions {
        &self.0.functions
    }
}

impl Structural {
    fn load(functions: sys::EngineFunctions, id: &CStr) -> Result<Self, ErrorStack> {
        // `ENGINE_by_id` would load a path as well, but then keep the engine in its list until the process ends.
        let by_id = if id.to_bytes().contains(&b'/') { None } else { Self::by_id(functions, id).ok() };
        by_id.map_or_else(|| Self::by_path(functions, id), Ok)
    }

    fn by_id(functions: sys::EngineFunctions, id: &CStr) -> Result<Self, ErrorStack> {
        ErrorStack::clear();
        // SAFETY: the id is a C string.
        let raw = non_null(unsafe { (functions.by_id)(id.as_ptr()) })?;
        Ok(Self { functions, raw })
    }

    fn by_path(functions: sys::EngineFunctions, path: &CStr) -> Result<Self, ErrorStack> {
        let engine = Self::by_id(functions, c"dynamic")?;
        engine.command(c"SO_PATH", path.as_ptr())?;
        engine.command(c"LOAD", std::ptr::null())?;
        Ok(engine)
    }

    fn command(&self, name: &CStr, value: *const libc::c_char) -> Result<(), ErrorStack> {
        // SAFETY: the engine is alive; the strings are C strings, or null for commands without a value.
        one(unsafe { (self.functions.ctrl_cmd_string)(self.raw.as_ptr(), name.as_ptr(), value, 0) })
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // SAFETY: `load` has initialised it once, and nobody uses it any more; the structural reference goes after this.
        unsafe { (self.functions.finish)(self.engine.raw.as_ptr()) };
    }
}

impl Drop for Structural {
    fn drop(&mut self) {
        // SAFETY: the reference is ours and not used again.
        unsafe { (self.functions.free)(self.raw.as_ptr()) };
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Engine(..)")
    }
}
