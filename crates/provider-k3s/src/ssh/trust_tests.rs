//! Cases of trust: who is let through, and what a person reads who is not.

use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::{PrivateKey, PublicKey};

use super::*;

const NOW: u64 = 1_800_000_000;

fn key(seed: u8) -> PrivateKey {
    use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
    let pair = Ed25519Keypair::from_seed(&[seed; 32]);
    PrivateKey::new(KeypairData::Ed25519(pair), "").expect("key")
}

fn line(key: &PrivateKey) -> String {
    key.public_key().to_openssh().expect("line")
}

fn seen(key: &PrivateKey) -> PublicKeyOrCertificate {
    PublicKey::new(key.public_key().key_data().clone(), "").into()
}

fn hop() -> Hop {
    Hop::new("10.0.0.11", "root").expect("hop")
}

/// A host certificate for `key` by `signer`; `change` makes it special.
fn certified(
    key: &PrivateKey,
    signer: &PrivateKey,
    change: impl FnOnce(&mut Builder),
) -> PublicKeyOrCertificate {
    certified_as(CertType::Host, key, signer, change)
}

fn certified_as(
    kind: CertType,
    key: &PrivateKey,
    signer: &PrivateKey,
    change: impl FnOnce(&mut Builder),
) -> PublicKeyOrCertificate {
    let (from, until) = (NOW - 100, NOW + 100);
    let public = key.public_key().key_data().clone();
    let mut builder = Builder::new(vec![1; 16], public, from, until).expect("builder");
    builder.cert_type(kind).expect("type");
    builder.key_id("store-17").expect("id");
    change(&mut builder);
    builder.sign(signer).expect("signed").into()
}

fn for_host(builder: &mut Builder) {
    builder.valid_principal("10.0.0.11").expect("principal");
}

/// What `lines` of a known_hosts file say to `shown`.
fn judged(lines: &str, shown: &PublicKeyOrCertificate) -> String {
    let keys = HostKeys::from_known_hosts(lines).expect("lines");
    match keys.judge(&hop(), shown, NOW) {
        Ok(()) => "trusted".to_owned(),
        Err(problem) => problem.to_string(),
    }
}

#[test]
fn a_pinned_key_is_trusted_for_its_host_and_port_only() {
    let pinned = format!("10.0.0.11 {}", line(&key(1)));
    assert_eq!(judged(&pinned, &seen(&key(1))), "trusted");
    let elsewhere = format!("[10.0.0.11]:2222,10.0.0.12 {}", line(&key(1)));
    assert!(judged(&elsewhere, &seen(&key(1))).starts_with("no host key is pinned for it;"));
}

#[test]
fn a_changed_key_names_both_fingerprints_and_what_to_do() {
    let pinned = format!("10.0.0.11 {}", line(&key(1)));
    assert_eq!(
        judged(&pinned, &seen(&key(2))),
        "its host key has changed: pinned is SHA256:fe85JkIjo8VPe+XqXJGH5Mau1EMFdK1OdKvJUFicyA8, it showed \
         SHA256:4A9jyZBOhnKZvcGQ6TRFbf5Gymb41AfYvYaVmWHD+G4. Either it was installed anew, then pin its new key, or somebody \
         stands between us: find out before you change anything"
    );
}

#[test]
fn an_unknown_host_is_refused_and_told_how_to_be_pinned() {
    assert_eq!(
        judged("", &seen(&key(1))),
        "no host key is pinned for it; it showed SHA256:fe85JkIjo8VPe+XqXJGH5Mau1EMFdK1OdKvJUFicyA8. Compare that with \
         `ssh-keygen -lf` on the host itself, then pin the key, or declare the authority that signed it"
    );
    let authority = format!("@cert-authority * {}", line(&key(9)));
    assert!(judged(&authority, &seen(&key(1))).starts_with(
        "no host key is pinned for it and it has no certificate of the declared authority; it showed"
    ));
    // Nor does it help to show the authority's own key.
    assert!(judged(&authority, &seen(&key(9))).starts_with("no host key is pinned"));
}

#[test]
fn an_authority_vouches_for_the_hosts_that_its_certificate_names() {
    let authority = format!("@cert-authority 10.0.0.* {}", line(&key(9)));
    assert_eq!(judged(&authority, &certified(&key(1), &key(9), for_host)), "trusted");
    let other = |builder: &mut Builder| {
        builder.valid_principal("10.0.0.12").expect("principal");
    };
    let said = judged(&authority, &certified(&key(1), &key(9), other));
    assert!(said.ends_with("is for 10.0.0.12; sign the host's key with `-n 10.0.0.11`"), "{said}");
    let everywhere = |builder: &mut Builder| {
        builder.all_principals_valid().expect("all");
    };
    let said = judged(&authority, &certified(&key(1), &key(9), everywhere));
    assert!(said.ends_with("is for no host; sign the host's key with `-n 10.0.0.11`"), "{said}");
}

#[test]
fn certificates_of_others_for_users_and_out_of_time_are_refused() {
    let authority = format!("@cert-authority * {}", line(&key(9)));
    let end = |shown: &PublicKeyOrCertificate, wanted: &str| {
        let said = judged(&authority, shown);
        assert!(said.ends_with(wanted), "{said}");
    };
    end(
        &certified(&key(1), &key(8), for_host),
        "is of no authority that is declared for it; declare it",
    );
    end(
        &certified_as(CertType::User, &key(1), &key(9), for_host),
        "is for a user; sign the host's key with `ssh-keygen -h`",
    );
    let critical = |builder: &mut Builder| {
        for_host(builder);
        builder.critical_option("force-command", "true").expect("option");
    };
    end(
        &certified(&key(1), &key(9), critical),
        "has critical options, of which none is known for hosts",
    );
    let shown = certified(&key(1), &key(9), for_host);
    let keys = HostKeys::from_known_hosts(&authority).expect("lines");
    let at = |now: u64| keys.judge(&hop(), &shown, now).map_err(|problem| problem.to_string());
    assert_eq!(at(NOW - 100), Ok(()));
    assert_eq!(at(NOW + 99), Ok(()));
    assert!(at(NOW - 101).expect_err("early").ends_with("is not valid yet; compare the clocks"));
    assert!(at(NOW + 100).expect_err("late").ends_with("has expired; sign the host's key again"));
}

#[test]
fn a_certificate_that_was_changed_is_refused() {
    let PublicKeyOrCertificate::Certificate(signed) = certified(&key(1), &key(9), |builder| {
        builder.valid_principal("10.0.0.99").expect("principal");
    }) else {
        unreachable!("a certificate was made");
    };
    let mut bytes = signed.to_bytes().expect("bytes");
    let at = bytes.windows(9).position(|part| part == b"10.0.0.99").expect("principal");
    bytes[at..at + 9].copy_from_slice(b"10.0.0.11");
    let forged = russh::keys::Certificate::from_bytes(&bytes).expect("forged");
    let authority = format!("@cert-authority * {}", line(&key(9)));
    let said = judged(&authority, &forged.into());
    assert!(said.ends_with("has a wrong signature: somebody changed it"), "{said}");
}

#[test]
fn what_is_revoked_is_refused_whatever_else_is_said() {
    let (host, ca) = (line(&key(1)), line(&key(9)));
    let lines = format!("10.0.0.11 {host}\n@revoked * {host}\n@cert-authority * {ca}");
    assert!(judged(&lines, &seen(&key(1))).starts_with("its host key SHA256:fe85JkIj"));
    assert!(judged(&lines, &certified(&key(1), &key(9), for_host)).contains("is revoked"));
    let lines = format!("@cert-authority * {ca}\n@revoked * {ca}");
    assert!(judged(&lines, &certified(&key(1), &key(9), for_host)).contains("is revoked"));
}

#[test]
fn a_pinned_key_stays_trusted_inside_a_certificate_of_a_stranger() {
    let lines = format!("10.0.0.11 {}\n@cert-authority * {}", line(&key(1)), line(&key(9)));
    assert_eq!(judged(&lines, &certified(&key(1), &key(8), for_host)), "trusted");
}

#[test]
fn a_host_is_asked_first_for_the_kind_of_key_that_is_pinned() {
    const P384: &str = "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBEFIrQcuzJqcbfLam6BmHL11QdXg0UozZSj0kb\
                        0DcWbMNrkPaDfx11Of2rp8miG78Ydj/LI6pwh3RmaQKLMU21X71HQH43VBrsTTTdvC/3JGNEq2+LqWkzeg/tBODFgqnw==";
    let mut keys = HostKeys::default();
    let asked = |keys: &HostKeys| -> Vec<String> {
        keys.algorithms(&hop()).iter().map(ToString::to_string).collect()
    };
    assert_eq!(asked(&keys)[0], "ssh-ed25519");
    keys.pin("10.0.0.11", P384).expect("pinned");
    assert_eq!(asked(&keys)[0], "ecdsa-sha2-nistp384");
    assert_eq!(asked(&keys).len(), 4);
    assert_eq!(keys.certificate_algorithms(&hop()), []);
    keys.authority(&line(&key(9))).expect("authority");
    assert_eq!(keys.certificate_algorithms(&hop()).len(), 4);
}

#[test]
fn patterns_are_those_of_openssh() {
    let fits = |patterns: &str, name: &str| {
        let patterns: Vec<String> = patterns.split(',').map(str::to_owned).collect();
        matches(&patterns, name)
    };
    assert!(fits("*", "anything"));
    assert!(fits("*.store.example", "a.b.store.example"));
    assert!(!fits("*.store.example", "store.example"));
    assert!(fits("10.0.0.1?", "10.0.0.17"));
    assert!(!fits("10.0.0.1?", "10.0.0.1"));
    assert!(fits("a,b,*c*", "xcx"));
    assert!(!fits("*.example,!bad.example", "bad.example"));
    assert!(!fits("!bad.example", "good.example"));
    assert!(!fits("", "x"));
}
