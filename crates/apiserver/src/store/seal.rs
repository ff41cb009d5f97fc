//! Encryption of Secrets at rest: AES-256-GCM under a key in a file of its own beside the data.
//!
//! A sealed record is `\x01`, 12 bytes of nonce, the ciphertext and its tag. The record's key goes
//! into the tag, so that one Secret cannot be put in place of another. A plain record begins with
//! `{`, which is how records of older files are told apart.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest as _, Sha256};

use crate::file::replace_file;

const SEALED: u8 = 1;
const KEY_BYTES: usize = 32;

/// The key that Secrets are sealed with.
pub(super) struct Seal {
    key: LessSafeKey,
    random: SystemRandom,
    /// Tells keys apart without telling anything else.
    pub(super) id: u64,
}

/// There is no usable key.
#[derive(Debug, thiserror::Error)]
pub(super) enum SealError {
    #[error("{0} is missing")]
    Missing(PathBuf),
    #[error("{0} does not hold 64 hexadecimal digits")]
    Malformed(PathBuf),
    #[error("the operating system gave no random bytes")]
    Random,
    #[error("cannot use {path}")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Where the key of a data file is: `state.redb` has `state.key`.
pub(super) fn key_path(data: &Path) -> PathBuf {
    data.with_extension("key")
}

impl Seal {
    /// Reads the key of a data file, or, where `create` allows it, makes one that only its owner
    /// can read.
    pub(super) fn of(data: &Path, create: bool) -> Result<Self, SealError> {
        let path = key_path(data);
        let file = |source| SealError::File { path: path.clone(), source };
        match fs::read_to_string(&path) {
            Ok(text) => {
                let bytes = unhex(text.trim()).ok_or_else(|| SealError::Malformed(path.clone()))?;
                Self::new(bytes).ok_or(SealError::Malformed(path))
            }
            Err(error) if error.kind() == ErrorKind::NotFound && create => {
                let mut bytes = [0; KEY_BYTES];
                SystemRandom::new().fill(&mut bytes).map_err(|_told| SealError::Random)?;
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                replace_file(&path, &format!("{hex}\n"), 0o600).map_err(file)?;
                Self::new(bytes).ok_or(SealError::Random)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Err(SealError::Missing(path)),
            Err(error) => Err(file(error)),
        }
    }

    fn new(bytes: [u8; KEY_BYTES]) -> Option<Self> {
        let digest = Sha256::digest([&b"fleetwright key id"[..], &bytes].concat());
        let id = u64::from_be_bytes(digest.first_chunk().copied()?);
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).ok()?);
        Some(Self { key, random: SystemRandom::new(), id })
    }

    /// The record to store for `plain` under `name`. None when there is no randomness left.
    pub(super) fn seal(&self, name: &str, plain: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        let mut out = Vec::with_capacity(1 + NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
        out.push(SEALED);
        out.extend_from_slice(&nonce);
        let mut body = plain.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce, Aad::from(name.as_bytes()), &mut body).ok()?;
        out.append(&mut body);
        Some(out)
    }

    /// What was sealed. None when it is not what was sealed under this name and key.
    pub(super) fn open(&self, name: &str, record: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = record.strip_prefix(&[SEALED])?.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = body.to_vec();
        let plain = self.key.open_in_place(nonce, Aad::from(name.as_bytes()), &mut body).ok()?;
        Some(plain.to_vec())
    }
}

pub(super) fn is_sealed(record: &[u8]) -> bool {
    record.first() == Some(&SEALED)
}

fn unhex(text: &str) -> Option<[u8; KEY_BYTES]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if text.len() != 2 * KEY_BYTES {
        return None;
    }
    let mut out = [0; KEY_BYTES];
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_opens_under_its_own_name_and_key_only() {
        let (one, two) = (Seal::new([1; 32]).expect("a key"), Seal::new([2; 32]).expect("a key"));
        let sealed = one.seal("a", b"{\"k\":1}").expect("sealed");
        assert!(is_sealed(&sealed) && !sealed.windows(3).any(|part| part == b"\"k\""));
        assert_eq!(one.open("a", &sealed).as_deref(), Some(&b"{\"k\":1}"[..]));
        assert_eq!(one.open("b", &sealed), None);
        assert_eq!(two.open("a", &sealed), None);
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert_eq!(one.open("a", &flipped), None, "byte {at}");
        }
        assert_eq!(one.open("a", &sealed[..5]), None);
        assert_ne!(one.id, two.id);
    }
}
