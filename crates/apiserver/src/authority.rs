//! Our own certificate authority: made once per data folder, so that a kubeconfig stays good.
//!
//! Server certificates are not kept: each start issues a fresh one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleetwright_clock::Clock;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::auth::Identity;
use crate::file::replace_file;

const COMMON_NAME: &str = "fleetwright-ca";
const CA_DAYS: i64 = 3650;
const SERVER_DAYS: i64 = 730;
/// Clocks of clients may be behind ours.
const BACKDATED_DAYS: i64 = 1;

/// A certificate authority and its key.
#[derive(Debug)]
pub struct Authority {
    certificate_pem: String,
    certificate: CertificateDer<'static>,
    key: CaKey,
}

/// What a client signs in with.
pub struct ClientCertificate {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// Its private key, PEM.
    pub key_pem: String,
}

impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientCertificate(..)")
    }
}

/// Whom a client certificate names: the common name is the user, each organisation a group.
pub(crate) fn named_by(certificate: &CertificateDer<'_>) -> Option<Identity> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let subject = parsed.subject();
    let text = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
        attribute.as_str().ok().map(str::to_owned)
    };
    let user = subject.iter_common_name().next().and_then(text).filter(|name| !name.is_empty())?;
    let groups = subject.iter_organization().filter_map(text).collect();
    Some(Identity::new(&user, groups))
}

struct CaKey(KeyPair);

impl std::fmt::Debug for CaKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CaKey(..)")
    }
}

/// There is no usable authority.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file cannot be read or written.
    #[error("cannot use {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// One of the two files is there without the other.
    #[error("{present} is there without {missing}; restore it, or move both away for a new one")]
    Halved {
        /// The file that is there.
        present: PathBuf,
        /// The one that is not.
        missing: PathBuf,
    },
    /// A file does not hold what it should.
    #[error("{path} is not a PEM file of ours: {detail}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Issue(#[from] rcgen::Error),
    /// TLS does not take the certificate.
    #[error("cannot use the certificate for TLS")]
    Tls(#[from] rustls::Error),
}

impl Authority {
    /// Reads `ca.crt` and `ca.key` in `dir`, or makes them (the key readable by its owner only).
    ///
    /// # Errors
    /// When the folder is not writable, a file is damaged, or only one of the two is there.
    pub fn load_or_create(dir: &Path, clock: &dyn Clock) -> Result<Self, AuthorityError> {
        let (crt, key) = (dir.join("ca.crt"), dir.join("ca.key"));
        match (crt.exists(), key.exists()) {
            (true, true) => Self::load(&crt, &key),
            (false, false) => Self::create(&crt, &key, clock),
            (true, false) => Err(AuthorityError::Halved { present: crt, missing: key }),
            // The key is written first: a crash in between leaves a key that nobody has used yet.
            (false, true) => Self::certify(&crt, read_key(&key)?, clock),
        }
    }

    fn load(crt: &Path, key: &Path) -> Result<Self, AuthorityError> {
        let certificate_pem = read(crt)?;
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(|error| malformed(crt, &error))?;
        Ok(Self { certificate_pem, certificate, key: CaKey(read_key(key)?) })
    }

    fn create(crt: &Path, key: &Path, clock: &dyn Clock) -> Result<Self, AuthorityError> {
        let pair = KeyPair::generate()?;
        write(key, &pair.serialize_pem(), 0o600)?;
        Self::certify(crt, pair, clock)
    }

    fn certify(crt: &Path, pair: KeyPair, clock: &dyn Clock) -> Result<Self, AuthorityError> {
        let mut params = ca_params();
        valid_for(&mut params, clock, CA_DAYS);
        let certificate = params.self_signed(&pair)?;
        write(crt, &certificate.pem(), 0o644)?;
        Ok(Self {
            certificate_pem: certificate.pem(),
            certificate: certificate.der().clone(),
            key: CaKey(pair),
        })
    }

    /// The authority's certificate, for kubeconfigs.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// TLS for a server reached as `localhost`, `127.0.0.1`, `::1` and any of `hosts` (names or
    /// addresses), by HTTP/2 or 1.1. The certificate is good for two years.
    ///
    /// # Errors
    /// When a host is no name, or the stored certificate does not belong to the stored key.
    pub fn server_config(
        &self,
        hosts: &[String],
        clock: &dyn Clock,
    ) -> Result<Arc<ServerConfig>, AuthorityError> {
        let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        names.extend(hosts.iter().filter(|host| !host.is_empty()).cloned());
        names.sort();
        names.dedup();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = common_name("fleetwright");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        valid_for(&mut params, clock, SERVER_DAYS);
        let pair = KeyPair::generate()?;
        let issuer_params = ca_params();
        let issuer = Issuer::from_params(&issuer_params, &self.key.0);
        let certificate = params.signed_by(&pair, &issuer)?.der().clone();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pair.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        self.check_issued(&certificate, &provider, clock)?;
        let clients = self.client_verifier(&provider)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![certificate, self.certificate.clone()], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Takes certificates that this authority has issued for clients, and connections without.
    fn client_verifier(
        &self,
        provider: &Arc<rustls::crypto::CryptoProvider>,
    ) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, AuthorityError> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        let provider = Arc::clone(provider);
        let builder =
            rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = builder.allow_unauthenticated().build();
        Ok(verifier.map_err(|error| rustls::Error::General(error.to_string()))?)
    }

    /// A certificate for a client: whoever shows it is `user`, in `group`, on the cluster at the
    /// root of the server's paths. It cannot be taken back before its end, short of a new authority.
    ///
    /// # Errors
    /// When the certificate cannot be made.
    pub fn issue_client(
        &self,
        user: &str,
        group: &str,
        days: u16,
        clock: &dyn Clock,
    ) -> Result<ClientCertificate, AuthorityError> {
        let mut params = CertificateParams::default();
        let mut name = common_name(user);
        name.push(DnType::OrganizationName, group);
        params.distinguished_name = name;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        valid_for(&mut params, clock, i64::from(days));
        let pair = KeyPair::generate()?;
        let issuer_params = ca_params();
        let issuer = Issuer::from_params(&issuer_params, &self.key.0);
        let certificate_pem = params.signed_by(&pair, &issuer)?.pem();
        Ok(ClientCertificate { certificate_pem, key_pem: pair.serialize_pem() })
    }

    /// A `ca.crt` that belongs to another key would fail every client with a riddle; fail here.
    fn check_issued(
        &self,
        certificate: &CertificateDer<'static>,
        provider: &Arc<rustls::crypto::CryptoProvider>,
        clock: &dyn Clock,
    ) -> Result<(), AuthorityError> {
        use rustls::client::danger::ServerCertVerifier;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(provider),
        )
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
        let name = rustls::pki_types::ServerName::try_from("localhost")
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let seconds = u64::try_from(clock.now().as_second()).unwrap_or_default();
        let now =
            rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        verifier.verify_server_cert(certificate, &[], &name, &[], now)?;
        Ok(())
    }
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(COMMON_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn valid_for(params: &mut CertificateParams, clock: &dyn Clock, days: i64) {
    let date = |offset_days: i64| {
        let instant = clock.now() + jiff::SignedDuration::from_hours(24 * offset_days);
        let date = instant.to_zoned(jiff::tz::TimeZone::UTC).date();
        let month = u8::try_from(date.month()).unwrap_or(1);
        let day = u8::try_from(date.day()).unwrap_or(1);
        rcgen::date_time_ymd(i32::from(date.year()), month, day)
    };
    params.not_before = date(-BACKDATED_DAYS);
    params.not_after = date(days);
}

fn read_key(path: &Path) -> Result<KeyPair, AuthorityError> {
    KeyPair::from_pem(&read(path)?).map_err(|error| malformed(path, &error))
}

fn read(path: &Path) -> Result<String, AuthorityError> {
    fs::read_to_string(path)
        .map_err(|source| AuthorityError::File { path: path.to_owned(), source })
}

fn malformed(path: &Path, detail: &dyn std::fmt::Display) -> AuthorityError {
    AuthorityError::Malformed { path: path.to_owned(), detail: detail.to_string() }
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), AuthorityError> {
    replace_file(path, text, mode)
        .map_err(|source| AuthorityError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use fleetwright_clock::SystemClock;

    use super::*;

    #[test]
    fn a_second_start_keeps_the_authority_and_its_key_stays_private() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let first = Authority::load_or_create(dir.path(), &SystemClock).expect("made");
        let again = Authority::load_or_create(dir.path(), &SystemClock).expect("loaded");
        assert_eq!(first.ca_pem(), again.ca_pem());
        again.server_config(&["hub.example.com".to_owned()], &SystemClock).expect("issued");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(dir.path().join("ca.key")).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_certificate_of_another_key_is_refused_at_the_start() {
        let (one, other) = (tempfile::tempdir().expect("a"), tempfile::tempdir().expect("b"));
        Authority::load_or_create(one.path(), &SystemClock).expect("made");
        Authority::load_or_create(other.path(), &SystemClock).expect("made");
        fs::copy(other.path().join("ca.crt"), one.path().join("ca.crt")).expect("copied");
        let mixed = Authority::load_or_create(one.path(), &SystemClock).expect("both readable");
        assert!(matches!(mixed.server_config(&[], &SystemClock), Err(AuthorityError::Tls(_))));
    }

    #[test]
    fn a_certificate_without_its_key_is_not_replaced() {
        let dir = tempfile::tempdir().expect("temporary folder");
        Authority::load_or_create(dir.path(), &SystemClock).expect("made");
        fs::remove_file(dir.path().join("ca.key")).expect("removed");
        let error = Authority::load_or_create(dir.path(), &SystemClock).expect_err("refused");
        assert!(matches!(error, AuthorityError::Halved { .. }), "{error}");
    }
}
