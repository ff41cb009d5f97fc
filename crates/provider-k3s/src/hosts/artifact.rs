//! What is too large for one message: K3s's binary and its archive of images. Sent in parts, and put in place when whole.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::script::BINARY;

/// How an archive of images is packed; K3s tells it by the file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Packing {
    /// `.tar.zst`, the smallest.
    Zstd,
    /// `.tar.gz`.
    Gzip,
    /// `.tar`.
    Plain,
}

impl Packing {
    /// The end of the file's name, without its first dot.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Zstd => "tar.zst",
            Self::Gzip => "tar.gz",
            Self::Plain => "tar",
        }
    }
}

/// One large file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Artifact {
    /// K3s itself.
    Binary,
    /// The images of K3s's own components, for hosts without a registry.
    Images(Packing),
}

impl Artifact {
    /// Every one there is.
    pub const ALL: [Self; 4] = [
        Self::Binary,
        Self::Images(Packing::Zstd),
        Self::Images(Packing::Gzip),
        Self::Images(Packing::Plain),
    ];

    /// Where it lies. K3s imports whatever archive lies in the folder of images when it starts.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Binary => BINARY,
            Self::Images(Packing::Zstd) => {
                "/var/lib/rancher/k3s/agent/images/fleetwright-airgap-images.tar.zst"
            }
            Self::Images(Packing::Gzip) => {
                "/var/lib/rancher/k3s/agent/images/fleetwright-airgap-images.tar.gz"
            }
            Self::Images(Packing::Plain) => {
                "/var/lib/rancher/k3s/agent/images/fleetwright-airgap-images.tar"
            }
        }
    }

    /// As deeds name it: `binary`, `images.tar.zst`, …
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Images(Packing::Zstd) => "images.tar.zst",
            Self::Images(Packing::Gzip) => "images.tar.gz",
            Self::Images(Packing::Plain) => "images.tar",
        }
    }

    pub(super) fn mode(self) -> &'static str {
        match self {
            Self::Binary => "755",
            Self::Images(_) => "600",
        }
    }

    pub(super) fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|artifact| artifact.path() == path)
    }
}

impl TryFrom<String> for Artifact {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|artifact| artifact.word() == word);
        known.ok_or_else(|| format!("{word:?} is no large file of ours"))
    }
}

impl From<Artifact> for String {
    fn from(artifact: Artifact) -> Self {
        artifact.word().to_owned()
    }
}

impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Binary => "k3s",
            Self::Images(_) => "the images",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_keeps_the_end_of_its_name() {
        for packing in [Packing::Zstd, Packing::Gzip, Packing::Plain] {
            let artifact = Artifact::Images(packing);
            assert!(artifact.path().ends_with(&format!("images.{}", packing.suffix())));
            assert_eq!(artifact.word(), format!("images.{}", packing.suffix()));
            assert_eq!(Artifact::at(artifact.path()), Some(artifact));
        }
        assert_eq!(Artifact::at("/etc/passwd"), None);
    }
}
