//! A handshake on a stack of its own, so that it can stop in the middle of an OpenSSL call that needs a signature
//! from elsewhere, and go on later, on whichever thread.
//!
//! OpenSSL's own asynchronous jobs do not serve: a job has to be resumed on the thread that began it, and is lost with
//! its connection.

use std::cell::Cell;
use std::ptr::NonNull;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use libc::c_int;
use openssl_sys::SSL;

use crate::external_key::SignRequest;
use crate::state::State;

/// Bytes of stack, of which only what is used becomes memory. OpenSSL's own jobs have 32 KiB.
const STACK_SIZE: usize = 256 * 1024;

thread_local! {
    /// The state of the connection whose fiber runs on this thread.
    static RUNNING: Cell<*mut State> = const { Cell::new(std::ptr::null_mut()) };
}

/// Where a fiber stops.
pub(crate) type Stop = NonNull<Yielder<(), ()>>;

/// A handshake that has begun and not yet returned.
pub(crate) struct Fiber(Coroutine<(), (), c_int>);

// SAFETY: while a fiber is stopped, its stack holds frames of OpenSSL below `EVP_DigestSign` and of this crate. Neither
// keeps addresses of thread-local data there: OpenSSL looks those up anew at each use.
unsafe impl Send for Fiber {}
// SAFETY: there are no methods with `&self`.
unsafe impl Sync for Fiber {}

/// What came of running a fiber.
pub(crate) enum Run {
    /// It waits for a signature.
    Stopped(Fiber),
    /// The handshake call has returned this.
    Returned(c_int),
}

impl Fiber {
    /// Prepares `SSL_do_handshake`; nothing runs yet.
    ///
    /// # Errors
    /// When there is no memory for the stack.
    ///
    /// # Safety
    /// `ssl` and `state` belong together, and both outlive the fiber.
    pub(crate) unsafe fn new(ssl: *mut SSL, state: NonNull<State>) -> std::io::Result<Self> {
        let stack = DefaultStack::new(STACK_SIZE)?;
        Ok(Self(Coroutine::with_stack(stack, move |stop, ()| {
            // SAFETY: the caller's promise; nobody else holds a reference to the state while the fiber runs.
            unsafe { (*state.as_ptr()).stop = Some(NonNull::from(stop)) };
            // SAFETY: the caller's promise.
            let returned = unsafe { openssl_sys::SSL_do_handshake(ssl) };
            // SAFETY: as above.
            unsafe { (*state.as_ptr()).stop = None };
            returned
        })))
    }

    /// Runs it until it stops or returns. `state` is the one that it was made with.
    pub(crate) fn run(mut self, state: NonNull<State>) -> Run {
        let before = RUNNING.replace(state.as_ptr());
        let result = self.0.resume(());
        RUNNING.set(before);
        match result {
            CoroutineResult::Yield(()) => Run::Stopped(self),
            CoroutineResult::Return(returned) => Run::Returned(returned),
        }
    }
}

/// Stops the fiber that runs on this thread until its connection has a signature; `None` where there is no fiber, or
/// the answer was a refusal.
pub(crate) fn wait_for_signature(request: SignRequest) -> Option<Vec<u8>> {
    let state = NonNull::new(RUNNING.get())?;
    // SAFETY: the state outlives its fiber, in which we are, and no reference to it is alive inside OpenSSL calls.
    let stop = unsafe { state.as_ref().stop }?;
    // SAFETY: as above.
    unsafe { (*state.as_ptr()).sign_request = Some(request) };
    // SAFETY: the yielder lives as long as the fiber's body, which we are below of.
    unsafe { stop.as_ref() }.suspend(());
    // SAFETY: as above; the owner's references ended before it resumed the fiber.
    unsafe { (*state.as_ptr()).sign_request = None };
    // SAFETY: as above.
    unsafe { (*state.as_ptr()).sign_answer.take() }?.ok()
}
