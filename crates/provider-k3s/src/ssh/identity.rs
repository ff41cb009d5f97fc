//! Our own key, read from memory and never from a file.

use std::fmt;
use std::sync::Arc;

use fleetwright_names::sha256_hex;
use fleetwright_provider::Secret;
use russh::keys::{self, HashAlg, PrivateKey, PrivateKeyWithHashAlg};

use super::error::SshError;

/// A private key that opens hosts. Prints as its fingerprint.
#[derive(Clone)]
pub struct Identity {
    key: Arc<PrivateKey>,
    /// Of the text that it was read from. Never shown.
    digest: String,
}

impl Identity {
    /// Reads a key in OpenSSH's, PKCS#8's or SEC 1's text form: Ed25519 or ECDSA.
    ///
    /// # Errors
    /// [`SshError::Identity`] when the text is no such key, is an RSA key, or the passphrase is missing or wrong.
    pub fn read(key: &Secret, passphrase: Option<&Secret>) -> Result<Self, SshError> {
        let read = keys::decode_secret_key(key.expose(), passphrase.map(Secret::expose));
        let key_read = read.map_err(|error| refused(&error, passphrase.is_some()))?;
        if key_read.algorithm().is_rsa() {
            return Err(SshError::Identity { reason: RSA.to_owned() });
        }
        Ok(Self { key: Arc::new(key_read), digest: sha256_hex(key.expose()) })
    }

    /// Fingerprint of its public half, `SHA256:…`.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Tells this key from every other, the private half included: the public half alone proves nothing, since anybody may write
    /// somebody else's beside a private half of his own.
    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    pub(super) fn signer(&self) -> PrivateKeyWithHashAlg {
        PrivateKeyWithHashAlg::new(Arc::clone(&self.key), None)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.fingerprint())
    }
}

const RSA: &str = "RSA is not supported; make one with `ssh-keygen -t ed25519`";

/// Errors of the decoder may quote what they read, so only their kind is repeated.
fn refused(error: &keys::Error, with_passphrase: bool) -> SshError {
    let reason = match error {
        keys::Error::KeyIsEncrypted => "it has a passphrase, and none was given",
        keys::Error::UnsupportedKeyType { .. } => RSA,
        _ if with_passphrase => {
            "the passphrase is wrong, or it is no private key of type Ed25519 or ECDSA"
        }
        _ => "it is no private key of type Ed25519 or ECDSA in OpenSSH or PEM form",
    };
    SshError::Identity { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use russh::keys::ssh_key::LineEnding;
    use russh::keys::{Algorithm, PrivateKey};

    use super::*;

    fn written(passphrase: Option<&str>) -> (Secret, String) {
        let mut rng = russh::keys::key::safe_rng();
        let mut key = PrivateKey::random(&mut rng, Algorithm::Ed25519).expect("key");
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        if let Some(passphrase) = passphrase {
            key = key.encrypt(&mut rng, passphrase).expect("encrypted");
        }
        let text = key.to_openssh(LineEnding::LF).expect("text");
        (Secret::new(text.to_string()), fingerprint)
    }

    fn reason(key: &Secret, passphrase: Option<&str>) -> String {
        let passphrase = passphrase.map(|text| Secret::new(text.to_owned()));
        let Err(error) = Identity::read(key, passphrase.as_ref()) else {
            return "accepted".to_owned();
        };
        error.to_string()
    }

    #[test]
    fn a_key_is_read_from_memory_and_shows_only_its_fingerprint() {
        let (text, fingerprint) = written(None);
        let identity = Identity::read(&text, None).expect("identity");
        assert_eq!(format!("{identity:?}"), format!("Identity({fingerprint})"));
    }

    #[test]
    fn a_forged_private_half_is_another_key() {
        let (text, fingerprint) = written(None);
        let one = Identity::read(&text, None).expect("identity");
        let same = Identity::read(&text, None).expect("identity");
        assert_eq!(one.digest(), same.digest());
        // Whatever its fingerprint says.
        let forged = Identity { digest: sha256_hex("junk"), ..one.clone() };
        assert_eq!(forged.fingerprint(), fingerprint);
        assert_ne!(forged.digest(), one.digest());
        assert!(!format!("{one:?}").contains(one.digest()));
    }

    #[test]
    fn a_passphrase_opens_its_key_and_no_other_does() {
        let (text, fingerprint) = written(Some("correct horse"));
        let right = Secret::new("correct horse".to_owned());
        assert_eq!(Identity::read(&text, Some(&right)).expect("key").fingerprint(), fingerprint);
        assert_eq!(
            reason(&text, Some("battery")),
            "the private key cannot be used: the passphrase is wrong, or it is no private key of type Ed25519 or ECDSA"
        );
        assert_eq!(
            reason(&text, None),
            "the private key cannot be used: it has a passphrase, and none was given"
        );
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_quoted() {
        let text = Secret::new("hunter2 is not a key".to_owned());
        assert!(!reason(&text, None).contains("hunter2"), "{}", reason(&text, None));
        let rsa = Secret::new("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n".to_owned());
        assert_eq!(
            reason(&rsa, None),
            "the private key cannot be used: RSA is not supported; make one with `ssh-keygen -t ed25519`"
        );
    }
}
