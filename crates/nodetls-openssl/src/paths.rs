//! Other chains than the one that OpenSSL has built.
//!
//! From the leaf upwards, every certificate that may have issued the one below is tried, anchors first, until a chain
//! is acceptable. A hostile peer chooses most of these certificates, so that the work is bounded: by the number of
//! signatures checked, of chains judged, of certificates considered, and by the length of a chain.

use std::collections::HashMap;

use crate::{Certificate, TrustStore, VerifyReport};

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

/// Who may issue.
pub(crate) struct Candidates<'a> {
    leaf: &'a Certificate,
    /// With whether it is an anchor.
    issuers: Vec<(&'a Certificate, bool)>,
}

/// What is left of the bounds, and what is known already.
#[derive(Default)]
struct Effort {
    steps: usize,
    judged: usize,
    /// Whether the key of the second has signed the first. The leaf is the certificate after the last.
    signatures: HashMap<(usize, usize), bool>,
}

impl<'a> Candidates<'a> {
    /// Those that are valid at this time; no chain with another one is acceptable.
    pub(crate) fn new(
        leaf: &'a Certificate,
        presented: &'a [Certificate],
        trust: &'a TrustStore,
        time: Option<i64>,
    ) -> Self {
        let anchors = trust.certificates();
        let mut issuers: Vec<_> = anchors.iter().map(|anchor| (anchor, true)).collect();
        for certificate in presented.iter().take(MAX_PRESENTED) {
            if certificate != leaf && !issuers.iter().any(|(known, _)| *known == certificate) {
                issuers.push((certificate, false));
            }
        }
        issuers.retain(|(issuer, _)| issuer.is_current(time));
        if !leaf.is_current(time) {
            issuers.clear();
        }
        Self { leaf, issuers }
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

    /// Whether the candidate has issued the last certificate of the path, and stands for none that is in it already.
    fn continues(&self, path: &[usize], candidate: usize, effort: &mut Effort) -> bool {
        let subject = path.last().copied().unwrap_or(self.issuers.len());
        let (issuer, _) = self.issuers[candidate];
        self.certificate(subject).is_issued_by(issuer)
            && !path.iter().any(|below| self.certificate(*below).is_twin_of(issuer))
            && self.has_signed(subject, candidate, effort)
    }

    fn has_signed(&self, subject: usize, issuer: usize, effort: &mut Effort) -> bool {
        if let Some(known) = effort.signatures.get(&(subject, issuer)) {
            return *known;
        }
        if effort.signatures.len() >= MAX_SIGNATURES {
            return false;
        }
        let signed = self.certificate(subject).is_signed_by(self.certificate(issuer));
        effort.signatures.insert((subject, issuer), signed);
        signed
    }

    /// An anchor that answers to nobody ends a chain. Others are trusted too, but OpenSSL goes on from there.
    fn ends_with(&self, candidate: usize) -> bool {
        let (certificate, is_anchor) = self.issuers[candidate];
        is_anchor && certificate.is_self_issued()
    }

    fn certificate(&self, index: usize) -> &Certificate {
        self.issuers.get(index).map_or(self.leaf, |(certificate, _)| certificate)
    }

    fn certificates(&self, path: &[usize]) -> Vec<Certificate> {
        path.iter().map(|index| self.certificate(*index).clone()).collect()
    }
}
