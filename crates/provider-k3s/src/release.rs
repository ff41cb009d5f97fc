//! Files of K3s's releases, fetched on our side: the binary, the archive of images, the install script.
//!
//! `mirror.rs` says where a file is, `fetch.rs` gets it in parts, over a way out that bounds each answer. What arrives is checked
//! against the digest that the publisher names before anybody sees it. With a folder for them, files are fetched once and memory
//! stays small; without one, the two last used are held in memory.

mod error;
mod fetch;
mod mirror;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use fleetwright_provider::HttpOut;
use tokio::sync::Mutex as AsyncMutex;

pub use self::error::ReleaseError;
use self::fetch::{Fetcher, Wish};
pub use self::mirror::{Mirror, MirrorError};
use crate::hosts::{Arch, Artifact, Content, Digest, Fetched, K3sVersion, Packing, Release};

/// A list of digests or a script: far more than either is.
const MOST_TEXT_BYTES: usize = 1 << 20;
/// A binary is about 70 MiB.
const MOST_BINARY_BYTES: u64 = 256 << 20;
/// An archive of images is 200 to 700 MiB, by how it is packed.
const MOST_IMAGES_BYTES: u64 = 1 << 30;
/// How many files are held in memory when there is no folder for them.
const HELD: usize = 2;

/// The files of all releases.
#[derive(Debug)]
pub struct Releases {
    fetcher: Fetcher,
    folder: Option<PathBuf>,
    /// Lists of digests by address; a release that is out does not change.
    lists: Mutex<BTreeMap<String, Arc<str>>>,
    /// What is held in memory, the last used last. Its lock lets one fetch what many hosts need.
    held: AsyncMutex<Vec<Fetched>>,
}

impl Releases {
    /// Files come through `http`, and are kept in `folder`, which is ours alone.
    #[must_use]
    pub fn new(http: HttpOut, folder: Option<PathBuf>) -> Self {
        let (lists, held) = (Mutex::default(), AsyncMutex::default());
        Self { fetcher: Fetcher::new(http), folder, lists, held }
    }

    /// What a file of this release is, by its publisher's digest. Asked once, then remembered.
    ///
    /// # Errors
    /// [`ReleaseError`] when the list of digests cannot be had, or does not hold the file.
    pub async fn release(
        &self,
        artifact: Artifact,
        version: K3sVersion,
        arch: Arch,
        mirror: &Mirror,
    ) -> Result<Release, ReleaseError> {
        let url = mirror.file(version, &format!("sha256sum-{}.txt", arch.word()))?;
        let key = url.to_string();
        let known = self.lists.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let list = match known {
            Some(list) => list,
            None => {
                let text = self.fetcher.text(&url, mirror, MOST_TEXT_BYTES).await?;
                let list: Arc<str> = text.into();
                let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
                lists.insert(key.clone(), Arc::clone(&list));
                list
            }
        };
        let name = name(artifact, arch);
        let digest = digest_of(&list, &name).ok_or(ReleaseError::Unlisted { name, url: key })?;
        Ok(Release { arch, digest })
    }

    /// The file itself, whole and checked.
    ///
    /// # Errors
    /// [`ReleaseError`] when it cannot be had, is not what its publisher says, or cannot be kept.
    pub async fn fetch(
        &self,
        artifact: Artifact,
        version: K3sVersion,
        arch: Arch,
        mirror: &Mirror,
    ) -> Result<Fetched, ReleaseError> {
        let release = self.release(artifact, version, arch, mirror).await?;
        let mut held = self.held.lock().await;
        if let Some(at) = held.iter().position(|held| *held.digest() == release.digest) {
            let again = held.remove(at);
            held.push(again.clone());
            return Ok(again);
        }
        let wish = Wish {
            url: mirror.file(version, &name(artifact, arch))?,
            release: &release,
            folder: self.folder.as_deref(),
            most: match artifact {
                Artifact::Binary => MOST_BINARY_BYTES,
                Artifact::Images(_) => MOST_IMAGES_BYTES,
            },
        };
        let fetched = self.fetcher.file(&wish, mirror).await?;
        if self.folder.is_none() {
            if held.len() >= HELD {
                held.remove(0);
            }
            held.push(fetched.clone());
        }
        Ok(fetched)
    }

    /// K3s's binary.
    ///
    /// # Errors
    /// As [`Releases::fetch`].
    pub async fn binary(
        &self,
        version: K3sVersion,
        arch: Arch,
        mirror: &Mirror,
    ) -> Result<Fetched, ReleaseError> {
        self.fetch(Artifact::Binary, version, arch, mirror).await
    }

    /// The archive of images, in its smallest form.
    ///
    /// # Errors
    /// As [`Releases::fetch`].
    pub async fn images(
        &self,
        version: K3sVersion,
        arch: Arch,
        mirror: &Mirror,
    ) -> Result<Fetched, ReleaseError> {
        self.fetch(Artifact::Images(Packing::Zstd), version, arch, mirror).await
    }

    /// The install script of this version. Nobody publishes its digest: it is as good as the server it comes from.
    ///
    /// # Errors
    /// [`ReleaseError`] when it cannot be had.
    pub async fn install_script(
        &self,
        version: K3sVersion,
        mirror: &Mirror,
    ) -> Result<Content, ReleaseError> {
        let url = mirror.install_script(version)?;
        Ok(Content::new(self.fetcher.text(&url, mirror, MOST_TEXT_BYTES).await?))
    }
}

/// The names of K3s's release files.
fn name(artifact: Artifact, arch: Arch) -> String {
    match (artifact, arch) {
        (Artifact::Binary, Arch::Amd64) => "k3s".to_owned(),
        (Artifact::Binary, Arch::Arm64) => "k3s-arm64".to_owned(),
        (Artifact::Binary, Arch::Arm) => "k3s-armhf".to_owned(),
        (Artifact::Images(packing), arch) => {
            format!("k3s-airgap-images-{}.{}", arch.word(), packing.suffix())
        }
    }
}

/// A line of `sha256sum`: the digest, then the name, which may have a `*` before it.
fn digest_of(list: &str, name: &str) -> Option<Digest> {
    list.lines().find_map(|line| {
        let (digest, of) = line.split_once(' ')?;
        (of.trim().trim_start_matches('*') == name).then(|| Digest::parse(digest).ok())?
    })
}

#[cfg(test)]
mod tests;
