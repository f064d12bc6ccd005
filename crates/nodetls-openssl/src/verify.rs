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
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::stack::Stack;
use openssl::x509::X509;
use openssl_sys::{
    X509_STORE_CTX, X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CRL_HAS_EXPIRED, X509_V_ERR_UNSPECIFIED,
    X509_V_FLAG_POLICY_CHECK, X509_V_OK,
};

use crate::callbacks::guard;
use crate::result::{non_null, one};
use crate::{
    Certificate, ErrorStack, TrustStore, VerifyFinding, VerifyReport, certificate, constraints, form, init,
    paths, revocation, sys,
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
    /// Whether it is a fraction of a second later than [`time`](Self::time): what ends with that second is over.
    pub is_past_second: bool,
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
        let candidates = paths::Candidates::new(leaf, presented, trust, settings);
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
        report.findings.extend(own_objection(trust, &report.built, settings, comparisons));
    }
    report
}

/// What OpenSSL lets pass and should not. The anchor is trusted as it was given.
fn own_objection(
    trust: &TrustStore,
    chain: &[Certificate],
    settings: &VerifySettings,
    comparisons: &mut usize,
) -> Option<VerifyFinding> {
    let below_anchor = &chain[..chain.len().saturating_sub(1)];
    for (depth, certificate) in below_anchor.iter().enumerate() {
        if let Some(code) = form::objection(certificate, depth) {
            return Some(VerifyFinding { code, depth: depth as u32, certificate: Some(certificate.clone()) });
        }
    }
    constraints::violation(chain, settings.purpose, comparisons)
        .or_else(|| revocation::objection(chain, trust, settings.time))
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
    noted: Noted,
}

/// What the callback knows, and what it has found.
#[derive(Default)]
struct Noted {
    findings: Vec<VerifyFinding>,
    /// The second that is meant exactly.
    time: Option<Asn1Time>,
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
        let exact = settings.time.filter(|_| !settings.is_past_second);
        let noted = Noted { findings: Vec::new(), time: exact.map(Asn1Time::from_unix).transpose()? };
        // SAFETY: no preconditions.
        let ctx = non_null(unsafe { openssl_sys::X509_STORE_CTX_new() })?;
        let this = Self { ctx, _trust: trust.clone(), _stacks: stacks, _leaf: leaf.clone(), noted };
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
        // SAFETY: the callback has the right signature.
        unsafe { sys::X509_STORE_CTX_set_verify_cb(ctx, Some(note_finding)) };
        // SAFETY: the pointer is only stored; the callbacks that use it come while this function runs.
        let noted = unsafe { sys::X509_STORE_CTX_set_ex_data(ctx, 0, (&raw mut self.noted).cast()) };
        let verified = match noted {
            // SAFETY: the context has been prepared, and no reference to what is noted is alive.
            1 => unsafe { openssl_sys::X509_verify_cert(ctx) },
            _ => 0,
        };
        let Noted { mut findings, .. } = std::mem::take(&mut self.noted);
        // An error that was passed over is not forgotten by the context, but has been answered by 1.
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

/// The last second of what OpenSSL says is over: the current certificate or revocation list.
///
/// # Safety
/// `ctx` must be that of the running verification.
unsafe fn last_second<'a>(ctx: *mut X509_STORE_CTX, code: c_int) -> Option<&'a Asn1TimeRef> {
    let time = match code {
        X509_V_ERR_CERT_HAS_EXPIRED => {
            // SAFETY: the caller's promise.
            let certificate = unsafe { openssl_sys::X509_STORE_CTX_get_current_cert(ctx) };
            // SAFETY: this error is always about a certificate, which the context keeps.
            unsafe { openssl_sys::X509_getm_notAfter(certificate) }
        }
        X509_V_ERR_CRL_HAS_EXPIRED => {
            // SAFETY: the caller's promise.
            let list = unsafe { sys::X509_STORE_CTX_get0_current_crl(ctx) };
            // SAFETY: this error is always about a list, which the context keeps.
            unsafe { openssl_sys::X509_CRL_get0_nextUpdate(list) }.cast_mut()
        }
        _ => return None,
    };
    // SAFETY: null, or a time that lives as long as what it belongs to.
    (!time.is_null()).then(|| unsafe { Asn1TimeRef::from_ptr(time) })
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
        let Some(noted) = (unsafe { noted.cast::<Noted>().as_mut() }) else { return 0 };
        // SAFETY: OpenSSL passes the context of the running verification.
        let last_second = unsafe { last_second(ctx, code) };
        // RFC 5280 §4.1.2.5: "from notBefore through notAfter, inclusive". OpenSSL's ends a second earlier.
        let is_over = last_second.is_none() || last_second != noted.time.as_deref();
        if is_over && noted.findings.len() < MAX_FINDINGS {
            noted.findings.push(VerifyFinding { code, depth: depth.unsigned_abs(), certificate });
        }
        1
    })
}
