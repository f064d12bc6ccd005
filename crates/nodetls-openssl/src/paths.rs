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
const MAX_JUDGED: usize = 24;
/// Certificates above the leaf at most.
const MAX_LENGTH: usize = 12;
/// Presented certificates that are considered; a TLS handshake of usual size has room for fewer.
const MAX_PRESENTED: usize = 256;
/// Steps upwards, each of which looks at all issuers of one certificate.
const MAX_STEPS: usize = 4_000;
/// Bytes of certificates, times subtrees that they are held against.
const MAX_CONSTRAINED: usize = 1 << 22;

/// Who may issue.
pub(crate) struct Candidates<'a> {
    leaf: &'a Certificate,
    issuers: Vec<Issuer<'a>>,
    /// Those that a way leads up from, by the names; the shortest ways first.
    nearest_first: Vec<usize>,
}

struct Issuer<'a> {
    certificate: &'a Certificate,
    /// It ends a chain: an anchor that answers to nobody, unless all anchors do.
    is_end: bool,
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
    /// The issuers of a certificate by the names. The leaf is the certificate after the last.
    issuers: HashMap<usize, Vec<usize>>,
    /// Whether a certificate has been signed with a key.
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
        let issuers = issuers(known, trust.ends_chains_at_all());
        Self { leaf, nearest_first: nearest_first(&issuers), issuers }
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
        for candidate in self.issuers_of(path, effort) {
            if effort.judged >= MAX_JUDGED || !self.continues(path, candidate, effort) {
                continue;
            }
            path.push(candidate);
            let found = if self.issuers[candidate].is_end {
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

    /// Who may have issued the last certificate of the path.
    fn issuers_of(&self, path: &[usize], effort: &mut Effort) -> Vec<usize> {
        let subject = self.subject(path);
        let find = || {
            let certificate = self.certificate(subject);
            let has_issued = |index: &usize| certificate.is_issued_by(self.issuers[*index].certificate);
            self.nearest_first.iter().copied().filter(has_issued).collect()
        };
        effort.issuers.entry(subject).or_insert_with(find).clone()
    }

    fn subject(&self, path: &[usize]) -> usize {
        path.last().copied().unwrap_or(self.issuers.len())
    }

    /// Whether the candidate stands for none that is in the path already, has signed its last certificate, and allows
    /// what is below.
    fn continues(&self, path: &[usize], candidate: usize, effort: &mut Effort) -> bool {
        let subject = self.subject(path);
        !path.iter().any(|below| self.are_twins(*below, candidate))
            && self.allows_length(path, candidate)
            && self.has_signed(subject, candidate, effort)
            && self.allows(path, candidate, effort)
    }

    /// Whether names and keys are the same, so that one stands for the other in a chain.
    fn are_twins(&self, one: usize, other: usize) -> bool {
        let [one, other] = [one, other].map(|index| &self.issuers[index]);
        one.key == other.key && one.certificate.has_subject_of(other.certificate)
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

    fn issued_to_others<'b>(&'b self, path: &'b [usize]) -> impl Iterator<Item = &'b usize> {
        path.iter().filter(|below| !self.certificate(**below).is_self_issued())
    }

    /// RFC 5280 §6.1.4 (l): what an authority has issued to itself does not count.
    fn allows_length(&self, path: &[usize], issuer: usize) -> bool {
        let limit = self.issuers[issuer].certificate.path_length();
        limit.is_none_or(|limit| self.issued_to_others(path).count() <= limit)
    }

    fn allows(&self, path: &[usize], issuer: usize, effort: &mut Effort) -> bool {
        let Some(subtrees) = &self.issuers[issuer].subtrees else { return true };
        // RFC 5280 §6.1.3 (b): what an authority has issued to itself is exempt, unless it is the last.
        self.issued_to_others(path)
            .chain([&self.issuers.len()])
            .all(|below| self.allows_names(*below, issuer, subtrees, effort))
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

    fn certificate(&self, index: usize) -> &Certificate {
        self.issuers.get(index).map_or(self.leaf, |issuer| issuer.certificate)
    }

    fn certificates(&self, path: &[usize]) -> Vec<Certificate> {
        path.iter().map(|index| self.certificate(*index).clone()).collect()
    }
}

fn issuers(certificates: Vec<(&Certificate, bool)>, all_anchors_end: bool) -> Vec<Issuer<'_>> {
    let mut keys = HashMap::new();
    let mut issuers = Vec::with_capacity(certificates.len());
    for (index, (certificate, is_anchor)) in certificates.into_iter().enumerate() {
        let key = *keys.entry(certificate.key_bytes()).or_insert(index);
        let is_end = is_anchor && (all_anchors_end || certificate.is_self_issued());
        issuers.push(Issuer { certificate, is_end, key, subtrees: certificate.subtrees() });
    }
    issuers
}

fn nearest_first(issuers: &[Issuer<'_>]) -> Vec<usize> {
    let (mut near, mut others): (Vec<_>, Vec<_>) =
        (0..issuers.len()).partition(|index| issuers[*index].is_end);
    let mut next = 0;
    while let Some(above) = near.get(next) {
        let certificate = issuers[*above].certificate;
        let is_below = |index: &usize| issuers[*index].certificate.is_issued_by(certificate);
        let (below, rest) = others.into_iter().partition::<Vec<_>, _>(is_below);
        near.extend(below);
        others = rest;
        next += 1;
    }
    near
}
