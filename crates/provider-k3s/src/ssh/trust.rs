//! Whether a host is the one that was declared: pinned keys, authorities and revocations against what it shows. Pure.

use std::collections::BTreeSet;

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, EcdsaCurve, HashAlg, PublicKeyOrCertificate};

use super::error::HostKeyProblem;
use super::route::Hop;

/// Which host keys are trusted for which hosts. Empty trusts nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostKeys(Vec<Rule>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    /// OpenSSH's host patterns in lower case.
    pub(super) patterns: Vec<String>,
    pub(super) standing: Standing,
    pub(super) key: KeyData,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Pinned,
    Authority,
    Revoked,
}

/// What we can verify, in the order of our liking.
const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
];

impl HostKeys {
    pub(super) fn add(&mut self, rule: Rule) {
        self.0.push(rule);
    }

    /// How many keys it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it trusts nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of<'a>(&'a self, name: &'a str, standing: Standing) -> impl Iterator<Item = &'a KeyData> {
        let fits = move |rule: &&Rule| rule.standing == standing && matches(&rule.patterns, name);
        self.0.iter().filter(fits).map(|rule| &rule.key)
    }

    /// Key algorithms to ask `hop` for: those of its pinned keys first, so that a host with several keys shows a pinned one.
    pub(super) fn algorithms(&self, hop: &Hop) -> Vec<Algorithm> {
        let name = hop.key_name();
        let pinned: Vec<Algorithm> =
            self.of(&name, Standing::Pinned).map(KeyData::algorithm).collect();
        let (first, then): (Vec<_>, Vec<_>) =
            ALGORITHMS.into_iter().partition(|algorithm| pinned.contains(algorithm));
        first.into_iter().chain(then).collect()
    }

    /// Certificate algorithms to ask `hop` for: none unless an authority may vouch for it.
    pub(super) fn certificate_algorithms(&self, hop: &Hop) -> Vec<Algorithm> {
        let name = hop.key_name();
        let vouched = self.of(&name, Standing::Authority).next().is_some();
        if vouched { ALGORITHMS.to_vec() } else { Vec::new() }
    }

    /// Judges what `hop` shows at `now` (seconds since 1970). That it holds the private key is already proven.
    pub(super) fn judge(
        &self,
        hop: &Hop,
        shown: &PublicKeyOrCertificate,
        now: u64,
    ) -> Result<(), HostKeyProblem> {
        let name = hop.key_name();
        let key = shown.public_key().key_data().clone();
        let got = fingerprint(&key);
        let revoked: BTreeSet<String> =
            self.of(&name, Standing::Revoked).map(fingerprint).collect();
        if revoked.contains(&got) {
            return Err(HostKeyProblem::Revoked { got });
        }
        // A certified key may be pinned as well; the pin then stands on its own.
        if self.of(&name, Standing::Pinned).any(|pinned| *pinned == key) {
            return Ok(());
        }
        if let Some(certificate) = shown.certificate() {
            let signer = fingerprint(certificate.signature_key());
            if revoked.contains(&signer) {
                return Err(HostKeyProblem::Revoked { got: signer });
            }
            return self.vouched(hop, certificate, now).map_err(|reason| {
                let key_id = certificate.key_id().chars().take(100).collect();
                HostKeyProblem::Certificate { got, signer, key_id, reason }
            });
        }
        let expected: Vec<String> = self.of(&name, Standing::Pinned).map(fingerprint).collect();
        if expected.is_empty() {
            let authorities = self.of(&name, Standing::Authority).count();
            return Err(HostKeyProblem::Unknown { got, authorities });
        }
        Err(HostKeyProblem::Changed { got, expected })
    }

    /// OpenSSH's PROTOCOL.certkeys; stricter in one point: a certificate that names no host vouches for none.
    fn vouched(&self, hop: &Hop, certificate: &Certificate, now: u64) -> Result<(), String> {
        let name = hop.key_name();
        let signer = certificate.signature_key();
        if !self.of(&name, Standing::Authority).any(|authority| authority == signer) {
            return Err("is of no authority that is declared for it; declare it".to_owned());
        }
        if certificate.verify_signature().is_err() {
            return Err("has a wrong signature: somebody changed it".to_owned());
        }
        if certificate.cert_type() != CertType::Host {
            return Err("is for a user; sign the host's key with `ssh-keygen -h`".to_owned());
        }
        if certificate.critical_options().iter().next().is_some() {
            return Err("has critical options, of which none is known for hosts".to_owned());
        }
        let host = hop.host().to_ascii_lowercase();
        let names = certificate.valid_principals();
        if !names.iter().any(|principal| principal.eq_ignore_ascii_case(&host)) {
            let names = if names.is_empty() { "no host".to_owned() } else { names.join(", ") };
            return Err(format!("is for {names}; sign the host's key with `-n {host}`"));
        }
        if now < certificate.valid_after() {
            return Err("is not valid yet; compare the clocks".to_owned());
        }
        if now >= certificate.valid_before() {
            return Err("has expired; sign the host's key again".to_owned());
        }
        Ok(())
    }
}

fn fingerprint(key: &KeyData) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// Some pattern fits and no negated one does.
fn matches(patterns: &[String], name: &str) -> bool {
    let mut fits = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(not) if glob(not.as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None => fits |= glob(pattern.as_bytes(), name.as_bytes()),
        }
    }
    fits
}

/// `*` stands for any text, `?` for one character. Linear in memory; names and patterns are short.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let mut fits: Vec<bool> = vec![false; name.len() + 1];
    fits[0] = true;
    for &wanted in pattern {
        let mut next = vec![false; name.len() + 1];
        next[0] = wanted == b'*' && fits[0];
        for (at, &byte) in name.iter().enumerate() {
            next[at + 1] = match wanted {
                b'*' => fits[at + 1] || next[at],
                b'?' => fits[at],
                _ => fits[at] && wanted == byte,
            };
        }
        fits = next;
    }
    fits[name.len()]
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
