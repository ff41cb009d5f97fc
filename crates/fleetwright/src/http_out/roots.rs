//! Which certificate authorities are trusted: those of this machine, and those that the environment names.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// As in every AWS tool, but that it adds to the machine's authorities instead of replacing them.
const AWS_BUNDLE: &str = "AWS_CA_BUNDLE";
/// As in OpenSSL: stands for the machine's authorities.
const OPENSSL_BUNDLE: &str = "SSL_CERT_FILE";

/// The authorities of this machine and of the bundles in the environment.
pub(super) fn of_this_machine() -> anyhow::Result<RootCertStore> {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // The loader below takes this one for the machine's authorities, and would pass over one that it cannot read.
    if let Some(path) = named(OPENSSL_BUNDLE) {
        bundle(OPENSSL_BUNDLE, &path)?;
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, _left) = roots.add_parsable_certificates(found.certs);
    if let (0, Some(error)) = (taken, found.errors.first()) {
        bail!("cannot read the system's certificate authorities: {error}");
    }
    if let Some(path) = named(AWS_BUNDLE) {
        add(&mut roots, AWS_BUNDLE, &path)?;
    }
    Ok(roots)
}

/// Only these.
pub(super) fn only(pem: &str) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for found in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(found.context("reading a certificate authority")?)?;
    }
    Ok(roots)
}

pub(super) fn add(roots: &mut RootCertStore, variable: &str, path: &Path) -> anyhow::Result<()> {
    for certificate in bundle(variable, path)? {
        roots.add(certificate).with_context(|| {
            format!("{variable}: {} holds a certificate that is none", path.display())
        })?;
    }
    Ok(())
}

fn bundle(variable: &str, path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let shown = path.display();
    let pem = std::fs::read(path)
        .with_context(|| format!("{variable} names {shown}, which cannot be read"))?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .with_context(|| format!("{variable} names {shown}, which is no PEM"))?;
    if found.is_empty() {
        bail!("{variable} names {shown}, which holds no certificate (PEM)");
    }
    Ok(found)
}
