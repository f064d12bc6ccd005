//! Other chains than the one that OpenSSL has built.
//!
//! From the leaf upwards, every certificate that may have issued the one below is tried, anchors first, until a chain
//! is acceptable. A hostile peer chooses most of these certificates, so that the work is bounded: by the number of
//! signatures checked, of chains judged, of certificates considered, and by the length of a chain.

use std::collections::HashMap;

use crate::issuance::Subtrees;
use crate::{Certificate, TrustStore, VerifyReport, VerifySettings};

/// Signatures that are checked at most.
const MAX_SIGNATURES: usize = 100;
/// Chains that are judged at most.
const MAX_JUDGED: usize = 48;
/// Certificates above the leaf at most.
const MAX_LENGTH: usize = 12;
/// Presented certificates that are considered; a TLS handshake of usual size has room for fewer.
const MAX_PRESENTED: usize = 256;
/// Steps upwards, each of which looks at all candidates.
const MAX_STEPS: usize = 256;
/// Bytes of certificates, times subtrees that they are held against.
const MAX_CONSTRAINED: usize = 1 << 22;

/// Who may issue.
pub(crate) struct Candidates<'a> {
    leaf: &'a Certificate,
    issuers: Vec<Issuer<'a>>,
}

struct Issuer<'a> {
    certificate: &'a Certificate,
    is_anchor: bool,
    /// The first issuer with the same key.
    key: usize,
    subtrees: Option<Subtrees>,
}

/// What is left of the bounds, and what is known already.
#[derive(Default)]
struct Effort {
    steps: usize,
    judged: usize,
    constrained: usize,
    /// Whether a certificate has been signed with a key. The leaf is the certificate after the last.
    signatures: HashMap<(usize, usize), bool>,
    /// Whether the names of a certificate are in the subtrees of an issuer.
    names: HashMap<(usize, usize), bool>,
}

impl<'a> Candidates<'a> {
    /// Those that are valid at this time and may issue: no chain with another one is acceptable.
    pub(crate) fn new(
        leaf: &'a Certificate,
        presented: &'a [Certificate],
        trust: &'a TrustStore,
        settings: &VerifySettings,
    ) -> Self {
        let anchors = trust.certificates();
        let mut known: Vec<_> = anchors.iter().map(|anchor| (anchor, true)).collect();
        for certificate in presented.iter().take(MAX_PRESENTED) {
            if certificate != leaf && !known.iter().any(|(known, _)| *known == certificate) {
                known.push((certificate, false));
            }
        }
        if !leaf.is_current(settings.time) {
            known.clear();
        }
        known.retain(|(issuer, is_anchor)| {
            issuer.is_current(settings.time) && (*is_anchor || issuer.may_issue(settings))
        });
        Self { leaf, issuers: issuers(known) }
    }

    /// The first chain that `accept` accepts; it is given the issuers, the leaf's own first and an anchor last.
    pub(crate) fn find(
        &self,
        mut accept: impl FnMut(&[Certificate]) -> Option<VerifyReport>,
    ) -> Option<VerifyReport> {
        self.extend(&mut Vec::new(), &mut Effort::default(), &mut accept)
    }

    fn extend(
        &self,
        path: &mut Vec<usize>,
        effort: &mut Effort,
        accept: &mut dyn FnMut(&[Certificate]) -> Option<VerifyReport>,
    ) -> Option<VerifyReport> {
        effort.steps += 1;
        if path.len() >= MAX_LENGTH || effort.steps > MAX_STEPS {
            return None;
        }
        for candidate in 0..self.issuers.len() {
            if effort.judged >= MAX_JUDGED || !self.continues(path, candidate, effort) {
                continue;
            }
            path.push(candidate);
            let found = if self.ends_with(candidate) {
                effort.judged += 1;
                accept(&self.certificates(path))
            } else {
                self.extend(path, effort, accept)
            };
            path.pop();
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Whether the candidate has issued the last certificate of the path, stands for none that is in it already, and
    /// allows the names below.
    fn continues(&self, path: &[usize], candidate: usize, effort: &mut Effort) -> bool {
        let subject = path.last().copied().unwrap_or(self.issuers.len());
        let issuer = self.issuers[candidate].certificate;
        self.certificate(subject).is_issued_by(issuer)
            && !path.iter().any(|below| self.certificate(*below).is_twin_of(issuer))
            && self.has_signed(subject, candidate, effort)
            && self.allows(path, candidate, effort)
    }

    fn has_signed(&self, subject: usize, issuer: usize, effort: &mut Effort) -> bool {
        let made = (subject, self.issuers[issuer].key);
        if let Some(known) = effort.signatures.get(&made) {
            return *known;
        }
        if effort.signatures.len() >= MAX_SIGNATURES {
            return false;
        }
        let signed = self.certificate(subject).is_signed_by(self.certificate(issuer));
        effort.signatures.insert(made, signed);
        signed
    }

    fn allows(&self, path: &[usize], issuer: usize, effort: &mut Effort) -> bool {
        let Some(subtrees) = &self.issuers[issuer].subtrees else { return true };
        // RFC 5280 §6.1.3 (b): what an authority has issued to itself is exempt, unless it is the last.
        let bound = path.iter().filter(|below| !self.certificate(**below).is_self_issued());
        bound.chain([&self.issuers.len()]).all(|below| self.allows_names(*below, issuer, subtrees, effort))
    }

    /// What it would take too long to find out is left to the judgement.
    fn allows_names(&self, below: usize, issuer: usize, subtrees: &Subtrees, effort: &mut Effort) -> bool {
        if let Some(known) = effort.names.get(&(below, issuer)) {
            return *known;
        }
        let certificate = self.certificate(below);
        let cost = certificate.der_length().saturating_mul(subtrees.count());
        if cost > MAX_CONSTRAINED - effort.constrained {
            return true;
        }
        effort.constrained += cost;
        let allowed = subtrees.allow(certificate);
        effort.names.insert((below, issuer), allowed);
        allowed
    }

    /// An anchor that answers to nobody ends a chain. Others are trusted too, but OpenSSL goes on from there.
    fn ends_with(&self, candidate: usize) -> bool {
        let Issuer { certificate, is_anchor, .. } = self.issuers[candidate];
        is_anchor && certificate.is_self_issued()
    }

    fn certificate(&self, index: usize) -> &Certificate {
        self.issuers.get(index).map_or(self.leaf, |issuer| issuer.certificate)
    }

    fn certificates(&self, path: &[usize]) -> Vec<Certificate> {
        path.iter().map(|index| self.certificate(*index).clone()).collect()
    }
}

fn issuers(certificates: Vec<(&Certificate, bool)>) -> Vec<Issuer<'_>> {
    let mut keys = HashMap::new();
    let mut issuers = Vec::with_capacity(certificates.len());
    for (index, (certificate, is_anchor)) in certificates.into_iter().enumerate() {
        let key = *keys.entry(certificate.key_bytes()).or_insert(index);
        issuers.push(Issuer { certificate, is_anchor, key, subtrees: certificate.subtrees() });
    }
    issuers
}
