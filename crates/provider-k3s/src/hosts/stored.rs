//! Bytes of a large file that we hold, in memory or in a file, read part by part so that memory stays small.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::digest::{Blob, Digest};
use super::facts::Arch;
use super::plan::Reason;

/// Where the bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored(Place);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Memory(Blob),
    File { path: PathBuf, bytes: u64 },
}

impl Stored {
    /// Held in memory.
    #[must_use]
    pub fn memory(bytes: impl Into<Bytes>) -> Self {
        Self(Place::Memory(Blob::new(bytes)))
    }

    /// In a file of this length, which nobody changes meanwhile; what is sent is checked on the host in any case.
    #[must_use]
    pub fn file(path: &Path, bytes: u64) -> Self {
        Self(Place::File { path: path.to_owned(), bytes })
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.0 {
            Place::Memory(blob) => blob.len() as u64,
            Place::File { bytes, .. } => *bytes,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// At most `most` bytes from `offset` on; none when it begins behind the end. A few MiB of a file that was just written come
    /// from memory, so this does not wait for disks.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn part(&self, offset: u64, most: usize) -> Result<Blob, io::Error> {
        match &self.0 {
            Place::Memory(blob) => {
                Ok(usize::try_from(offset).map_or(Blob::new(""), |offset| blob.part(offset, most)))
            }
            Place::File { path, .. } => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(offset))?;
                let mut part = Vec::new();
                file.take(most as u64).read_to_end(&mut part)?;
                Ok(Blob::new(part))
            }
        }
    }
}

/// A file of a release, as its publisher made it: checked against the published digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    arch: Arch,
    digest: Digest,
    stored: Stored,
}

impl Fetched {
    /// Checks bytes against the digest that the publisher names.
    ///
    /// # Errors
    /// [`Reason::Digest`] when they differ.
    pub fn new(arch: Arch, published: Digest, bytes: impl Into<Bytes>) -> Result<Self, Reason> {
        let bytes = bytes.into();
        let got = Digest::of(&bytes);
        if got != published {
            let (got, expected) = (got.to_string(), published.to_string());
            return Err(Reason::Digest { got, expected });
        }
        Ok(Self { arch, digest: published, stored: Stored::memory(bytes) })
    }

    /// A file that was checked while it was written.
    pub(crate) fn checked(arch: Arch, digest: Digest, stored: Stored) -> Self {
        Self { arch, digest, stored }
    }

    /// Which machines it is for.
    #[must_use]
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// Its digest, as published.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Its bytes.
    #[must_use]
    pub fn stored(&self) -> &Stored {
        &self.stored
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_file_and_of_memory_are_the_same() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("k3s");
        std::fs::write(&path, "abcdef").expect("written");
        for stored in [Stored::file(&path, 6), Stored::memory("abcdef")] {
            assert_eq!(stored.len(), 6);
            for (offset, most, wanted) in [(0, 4, "abcd"), (4, 4, "ef"), (6, 4, ""), (99, 9, "")] {
                assert_eq!(stored.part(offset, most).expect("part"), Blob::new(wanted));
            }
        }
        assert!(Stored::file(&path.join("gone"), 6).part(0, 1).is_err());
    }

    #[test]
    fn a_file_that_is_not_what_was_published_never_leaves_us() {
        let wrong = Fetched::new(Arch::Amd64, Digest::of(""), "k3s").expect_err("wrong");
        assert_eq!(
            wrong.to_string(),
            "the file's digest is 86bd33ebf64e01aaafb7dab419436ac025d04abd933bbbb124ddb25c30b59dd7, its publisher says \
             e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855; fetch it again"
        );
    }
}
