//! Files that hold secrets: made of Secrets when they are written, told by their digests otherwise.

use std::collections::BTreeMap;

use fleetwright_provider::{Access, Secret};
use serde_json::Value;

use crate::body::SecretNames;
use crate::hosts::{Content, ManagedFile};
use crate::wanted::SecretDigests;

/// What the Secrets that a declaration names become.
#[derive(Debug, Default)]
pub(crate) struct SecretFiles {
    pub(crate) contents: BTreeMap<ManagedFile, Content>,
    /// Field of the object, and what is wrong with the Secret that it names.
    pub(crate) missing: BTreeMap<String, String>,
}

const REGISTRIES: &str = "registries.yaml";
const DATASTORE: &str = "datastore-endpoint";
/// Keys of a Secret for S3, and K3s's own; the first three must be there.
const S3: [(&str, &str); 6] = [
    ("bucket", "etcd-s3-bucket"),
    ("access-key", "etcd-s3-access-key"),
    ("secret-key", "etcd-s3-secret-key"),
    ("endpoint", "etcd-s3-endpoint"),
    ("region", "etcd-s3-region"),
    ("folder", "etcd-s3-folder"),
];
const NEEDED_FOR_S3: usize = 3;

impl SecretFiles {
    pub(crate) fn of(access: &Access, names: &SecretNames) -> Self {
        let mut files = Self::default();
        let SecretNames { registries, s3, datastore } = names;
        if let Some(name) = registries
            && let Some(data) = files.data(access, ("spec.k3s.registriesSecretRef", name))
            && let Some(text) = files.key(data, ("spec.k3s.registriesSecretRef", name), REGISTRIES)
        {
            files.put(ManagedFile::Registries, text.expose().to_owned());
        }
        if let Some(name) = datastore
            && let Some(data) = files.data(access, ("spec.k3s.datastore.secretRef", name))
            && let Some(text) = files.key(data, ("spec.k3s.datastore.secretRef", name), DATASTORE)
        {
            let line = format!("datastore-endpoint: {}\n", quoted(text));
            files.put(ManagedFile::Datastore, line);
        }
        if let Some(name) = s3
            && let Some(data) = files.data(access, ("spec.k3s.backup.s3SecretRef", name))
        {
            files.s3(data, name);
        }
        files
    }

    pub(crate) fn digests(&self) -> SecretDigests {
        let of = |file| self.contents.get(&file).map(|content: &Content| content.digest().clone());
        SecretDigests {
            registries: of(ManagedFile::Registries),
            s3: of(ManagedFile::SnapshotStore),
            datastore: of(ManagedFile::Datastore),
        }
    }

    fn put(&mut self, file: ManagedFile, text: String) {
        self.contents.insert(file, Content::new(text));
    }

    fn s3(&mut self, data: &BTreeMap<String, Secret>, name: &str) {
        let at = ("spec.k3s.backup.s3SecretRef", name);
        let mut text = String::from("etcd-s3: \"true\"\n");
        for (number, (key, setting)) in S3.into_iter().enumerate() {
            let found =
                if number < NEEDED_FOR_S3 { self.key(data, at, key) } else { data.get(key) };
            if let Some(value) = found {
                text.push_str(&format!("{setting}: {}\n", quoted(value)));
            }
        }
        self.put(ManagedFile::SnapshotStore, text);
    }

    fn data<'a>(
        &mut self,
        access: &'a Access,
        (field, name): (&str, &str),
    ) -> Option<&'a BTreeMap<String, Secret>> {
        let found = access.own_secrets.get(name);
        if found.is_none() {
            let why = format!("Secret {}/{name} is not there; make it", access.namespace);
            self.missing.insert(field.to_owned(), why);
        }
        found
    }

    fn key<'a>(
        &mut self,
        data: &'a BTreeMap<String, Secret>,
        (field, name): (&str, &str),
        key: &str,
    ) -> Option<&'a Secret> {
        let found = data.get(key);
        if found.is_none() {
            let why = format!("Secret {name} has no key {key}; add it");
            self.missing.insert(field.to_owned(), why);
        }
        found
    }
}

/// As YAML and JSON alike.
fn quoted(text: &Secret) -> String {
    Value::String(text.expose().trim_end_matches('\n').to_owned()).to_string()
}
