//! Keys of tests: ours, those of hosts, those of strangers.

use fleetwright_provider::Secret;
use fleetwright_provider_k3s::ssh::Identity;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};

/// Keys are made of one number, so that a test can name them.
pub(crate) const OURS: u8 = 1;
pub(crate) const HOST: u8 = 2;
pub(crate) const STRANGER: u8 = 3;
pub(crate) const AUTHORITY: u8 = 4;

pub(crate) fn key(seed: u8) -> PrivateKey {
    let pair = Ed25519Keypair::from_seed(&[seed; 32]);
    PrivateKey::new(KeypairData::Ed25519(pair), "").expect("key")
}

pub(crate) fn public(seed: u8) -> String {
    key(seed).public_key().to_openssh().expect("line")
}

pub(crate) fn identity(seed: u8) -> Identity {
    let text = key(seed).to_openssh(LineEnding::LF).expect("text");
    Identity::read(&Secret::new(text.to_string()), None).expect("identity")
}
