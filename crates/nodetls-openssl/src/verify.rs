//! The verification of a chain: the one that connections use, and that can be had by itself.
//!
//! OpenSSL builds one chain and judges it; all its objections are noted. Where it has any, other chains that the same
//! certificates allow are tried within a bound (see [`paths`](crate::paths)), because it goes back on no choice it has
//! made: a legitimate chain may exist all the same. Where none is better, the objections to the first chain stand. A
//! chain to which OpenSSL does not object must pass a few checks of our own, which close its gaps.

use std::ffi::CStr;
use std::ptr::NonNull;

use foreign_types::{ForeignType, ForeignTypeRef};
use libc::{c_int, c_ulong};
use openssl::stack::Stack;
use openssl::x509::X509;
use openssl_sys::{
    X509_STORE_CTX, X509_V_ERR_INVALID_EXTENSION, X509_V_ERR_UNSPECIFIED, X509_V_FLAG_POLICY_CHECK, X509_V_OK,
};

use crate::callbacks::guard;
use crate::result::{non_null, one};
use crate::{
    Certificate, ErrorStack, TrustStore, VerifyFinding, VerifyReport, certificate, constraints, init, paths,
    sys,
};

/// Findings kept of one chain.
const MAX_FINDINGS: usize = 64;

/// What the certificate is to be used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// It is a server's, and a client verifies it.
    #[default]
    Server,
    /// It is a client's, and a server verifies it.
    Client,
}

/// How a chain is verified.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerifySettings {
    /// What the certificate is to be used for.
    pub purpose: Purpose,
    /// OpenSSL's security level, 0 to 5.
    pub security_level: u32,
    /// Seconds since 1970; `None` is now.
    pub time: Option<i64>,
    /// The largest number of certificates between the leaf and the trust anchor; `None` is OpenSSL's 100.
    pub max_depth: Option<u32>,
    /// `X509_V_FLAG_*`.
    pub flags: c_ulong,
}

impl VerifySettings {
    /// `X509_V_FLAG_X509_STRICT`: what RFC 5280 asks of those who issue certificates is insisted upon.
    pub const STRICT: c_ulong = openssl_sys::X509_V_FLAG_X509_STRICT;
}

/// Verifies a leaf with the certificates that came with it.
///
/// Corresponds to `X509_verify_cert`.
pub fn verify_chain(
    trust: &TrustStore,
    leaf: &Certificate,
    presented: &[Certificate],
    settings: &VerifySettings,
) -> VerifyReport {
    init();
    let mut comparisons = constraints::MAX_COMPARISONS;
    let first = judge(trust, None, leaf, presented, settings, &mut comparisons);
    let report = if first.findings.is_empty() {
        first
    } else {
        let candidates = paths::Candidates::new(leaf, presented, trust, settings.time);
        candidates.find(|path| acceptable(trust, path, leaf, settings, &mut comparisons)).unwrap_or(first)
    };
    VerifyReport { presented: presented.to_vec(), ..report }
}

/// The judgement of this very path, from the leaf's issuer to an anchor, if there is no objection to it.
fn acceptable(
    trust: &TrustStore,
    path: &[Certificate],
    leaf: &Certificate,
    settings: &VerifySettings,
    comparisons: &mut usize,
) -> Option<VerifyReport> {
    let anchors: Vec<Certificate> =
        path.iter().filter(|issuer| trust.certificates().contains(issuer)).cloned().collect();
    let report = judge(trust, Some(&anchors), leaf, path, settings, comparisons);
    report.findings.is_empty().then_some(report)
}

/// OpenSSL's judgement, and our own on a chain that it accepts. `anchors` are the only ones trusted, if given.
fn judge(
    trust: &TrustStore,
    anchors: Option<&[Certificate]>,
    leaf: &Certificate,
    untrusted: &[Certificate],
    settings: &VerifySettings,
    comparisons: &mut usize,
) -> VerifyReport {
    let run = |settings| {
        ErrorStack::clear();
        let judged = Verification::new(trust, anchors, leaf, untrusted, settings).map(|mut this| this.run());
        ErrorStack::clear();
        judged.unwrap_or_else(|_| VerifyReport::of(X509_V_ERR_UNSPECIFIED))
    };
    let mut report = run(settings);
    // RFC 5280 §4.2: a critical extension is either processed or a reason to refuse, and OpenSSL by itself does
    // neither with these.
    if report.findings.is_empty() && report.built.iter().any(Certificate::restricts_policies) {
        report = run(&VerifySettings { flags: settings.flags | X509_V_FLAG_POLICY_CHECK, ..*settings });
    }
    if report.findings.is_empty() {
        report.findings.extend(own_objection(&report.built, settings.purpose, comparisons));
    }
    report
}

/// What OpenSSL lets pass and should not. The anchor is trusted as it was given.
fn own_objection(chain: &[Certificate], purpose: Purpose, comparisons: &mut usize) -> Option<VerifyFinding> {
    let below_anchor = &chain[..chain.len().saturating_sub(1)];
    let repeating = below_anchor.iter().position(Certificate::repeats_an_extension);
    if let Some(depth) = repeating {
        let certificate = Some(below_anchor[depth].clone());
        let code = X509_V_ERR_INVALID_EXTENSION;
        return Some(VerifyFinding { code, depth: depth as u32, certificate });
    }
    constraints::violation(chain, purpose, comparisons)
}

impl VerifyReport {
    /// Of a verification that could not be done.
    fn of(code: c_int) -> Self {
        let findings = vec![VerifyFinding { code, depth: 0, certificate: None }];
        Self { findings, ..Self::default() }
    }
}

/// One run of OpenSSL, with all that it refers to.
struct Verification {
    ctx: NonNull<X509_STORE_CTX>,
    _trust: TrustStore,
    _stacks: [Stack<X509>; 2],
    _leaf: Certificate,
}

impl Verification {
    fn new(
        trust: &TrustStore,
        anchors: Option<&[Certificate]>,
        leaf: &Certificate,
        untrusted: &[Certificate],
        settings: &VerifySettings,
    ) -> Result<Self, ErrorStack> {
        let stacks = [stack(untrusted)?, stack(anchors.unwrap_or_default())?];
        // SAFETY: no preconditions.
        let ctx = non_null(unsafe { openssl_sys::X509_STORE_CTX_new() })?;
        let this = Self { ctx, _trust: trust.clone(), _stacks: stacks, _leaf: leaf.clone() };
        let [untrusted, trusted] = &this._stacks;
        let (store, leaf) = (trust.as_ptr(), leaf.x509().as_ptr());
        // SAFETY: all are alive and stay so as long as the context, which `this` sees to.
        one(unsafe { openssl_sys::X509_STORE_CTX_init(ctx.as_ptr(), store, leaf, untrusted.as_ptr()) })?;
        if anchors.is_some() {
            // SAFETY: the stack lives as long as the context.
            unsafe { sys::X509_STORE_CTX_set0_trusted_stack(ctx.as_ptr(), trusted.as_ptr()) };
        }
        this.apply(settings)?;
        Ok(this)
    }

    fn apply(&self, settings: &VerifySettings) -> Result<(), ErrorStack> {
        let name: &CStr = match settings.purpose {
            Purpose::Server => c"ssl_server",
            Purpose::Client => c"ssl_client",
        };
        // SAFETY: the context is alive, and the name is a C string.
        one(unsafe { sys::X509_STORE_CTX_set_default(self.ctx.as_ptr(), name.as_ptr()) })?;
        // SAFETY: the context is alive.
        let param = unsafe { sys::X509_STORE_CTX_get0_param(self.ctx.as_ptr()) };
        let level = c_int::try_from(settings.security_level).unwrap_or(c_int::MAX);
        // SAFETY: the parameters belong to the context; so for the rest.
        unsafe { openssl_sys::X509_VERIFY_PARAM_set_auth_level(param, level) };
        // SAFETY: as above.
        one(unsafe { openssl_sys::X509_VERIFY_PARAM_set_flags(param, settings.flags) })?;
        if settings.flags & X509_V_FLAG_POLICY_CHECK != 0 {
            // Any policy will do, as long as there is one: RFC 5280 §6.1.1 (c).
            // SAFETY: OpenSSL's table of objects lives for ever, and freeing one of it does nothing.
            let any = unsafe { openssl_sys::OBJ_nid2obj(openssl_sys::NID_any_policy) };
            // SAFETY: the parameters belong to the context, and the object is alive.
            one(unsafe { sys::X509_VERIFY_PARAM_add0_policy(param, any) })?;
        }
        if let Some(depth) = settings.max_depth {
            let depth = c_int::try_from(depth).unwrap_or(c_int::MAX).min(sys::MAX_VERIFY_DEPTH);
            // SAFETY: as above.
            unsafe { openssl_sys::X509_VERIFY_PARAM_set_depth(param, depth) };
        }
        if let Some(time) = settings.time {
            // SAFETY: as above.
            unsafe { openssl_sys::X509_VERIFY_PARAM_set_time(param, time) };
        }
        Ok(())
    }

    fn run(&mut self) -> VerifyReport {
        let ctx = self.ctx.as_ptr();
        let mut findings: Vec<VerifyFinding> = Vec::new();
        // SAFETY: the callback has the right signature.
        unsafe { sys::X509_STORE_CTX_set_verify_cb(ctx, Some(note_finding)) };
        // SAFETY: the pointer is only stored; the callbacks that use it come while this function runs.
        let noted = unsafe { sys::X509_STORE_CTX_set_ex_data(ctx, 0, (&raw mut findings).cast()) };
        let verified = match noted {
            // SAFETY: the context has been prepared, and no reference to the findings is alive.
            1 => unsafe { openssl_sys::X509_verify_cert(ctx) },
            _ => 0,
        };
        if verified != 1 && findings.is_empty() {
            // An internal failure (out of memory, no certificate) makes no callback: it must not look like trust.
            // SAFETY: the context is alive.
            let code = match unsafe { openssl_sys::X509_STORE_CTX_get_error(ctx) } {
                X509_V_OK => X509_V_ERR_UNSPECIFIED,
                code => code,
            };
            findings.push(VerifyFinding { code, depth: 0, certificate: None });
        }
        // SAFETY: the context is alive.
        let chain = unsafe { openssl_sys::X509_STORE_CTX_get0_chain(ctx) };
        // SAFETY: null or a stack that belongs to the context.
        let built = unsafe { certificate::certificates_of(chain) };
        VerifyReport { findings, built, presented: Vec::new() }
    }
}

impl Drop for Verification {
    fn drop(&mut self) {
        // SAFETY: the context is ours and not used again.
        unsafe { openssl_sys::X509_STORE_CTX_free(self.ctx.as_ptr()) };
    }
}

fn stack(certificates: &[Certificate]) -> Result<Stack<X509>, ErrorStack> {
    let mut stack = Stack::new()?;
    for certificate in certificates {
        stack.push(certificate.x509().to_owned())?;
    }
    Ok(stack)
}

/// Notes each objection and lets the verification go on, so that all are found.
unsafe extern "C" fn note_finding(ok: c_int, ctx: *mut X509_STORE_CTX) -> c_int {
    guard(0, || {
        if ok == 1 {
            return 1;
        }
        // SAFETY: OpenSSL passes the context of the running verification; so for the next three calls.
        let code = unsafe { openssl_sys::X509_STORE_CTX_get_error(ctx) };
        // SAFETY: as above.
        let depth = unsafe { openssl_sys::X509_STORE_CTX_get_error_depth(ctx) };
        // SAFETY: as above.
        let current = unsafe { openssl_sys::X509_STORE_CTX_get_current_cert(ctx) };
        // SAFETY: as above.
        let noted = unsafe { openssl_sys::X509_STORE_CTX_get_ex_data(ctx, 0) };
        // SAFETY: `current` is null or alive during this call.
        let certificate = unsafe { Certificate::from_borrowed(current) };
        // SAFETY: `run` stored the pointer, waits for us, and holds no reference. A verification within this one (of
        // who signed a revocation list) has no such pointer: its objection ends it.
        let Some(findings) = (unsafe { noted.cast::<Vec<VerifyFinding>>().as_mut() }) else { return 0 };
        if findings.len() < MAX_FINDINGS {
            findings.push(VerifyFinding { code, depth: depth.unsigned_abs(), certificate });
        }
        1
    })
}
