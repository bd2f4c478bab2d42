//! The two hashes that the hub names its files by.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;

use sha1::{Digest, Sha1};
use sha2::Sha256;

use crate::media::open_file;

/// A file's name in the hub's storage, which is its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Etag {
    /// Large files.
    Sha256(String),
    /// Small ones, as git names its blobs.
    GitBlob(String),
}

impl Etag {
    /// Reads a header's value: quoted, perhaps weak.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let text = header.trim().trim_start_matches("W/").trim_matches('"');
        let hex = !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        match text.len() {
            64 if hex => Some(Self::Sha256(text.to_owned())),
            40 if hex => Some(Self::GitBlob(text.to_owned())),
            _ => None,
        }
    }

    /// As the cache names the file.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Sha256(hex) | Self::GitBlob(hex) => hex,
        }
    }

    /// Begins the hash of a file of `length` bytes.
    pub(super) fn hasher(&self, length: u64) -> Hasher {
        match self {
            Self::Sha256(_) => Hasher::Sha256(Box::default()),
            Self::GitBlob(_) => {
                let mut hasher = Sha1::new();
                hasher.update(format!("blob {length}\0"));
                Hasher::GitBlob(Box::new(hasher))
            }
        }
    }

    /// Hash of a file, in the manner of this name.
    pub(super) fn of_file(&self, path: &Path) -> io::Result<String> {
        let file = open_file(path)?;
        let mut hasher = self.hasher(file.metadata()?.len());
        copy(file, &mut hasher)?;
        Ok(hasher.finish())
    }
}

/// One of the two hashes at work.
pub(super) enum Hasher {
    Sha256(Box<Sha256>),
    GitBlob(Box<Sha1>),
}

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::GitBlob(hasher) => hasher.update(bytes),
        }
    }

    /// In hexadecimal digits.
    pub(super) fn finish(self) -> String {
        let hex = |bytes: &[u8]| {
            let mut text = String::with_capacity(2 * bytes.len());
            for byte in bytes {
                // Writing to a string does not fail.
                let _ = fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
            }
            text
        };
        match self {
            Self::Sha256(hasher) => hex(&hasher.finalize()),
            Self::GitBlob(hasher) => hex(&hasher.finalize()),
        }
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads all of `file` into the hash; the number of bytes.
pub(super) fn copy(mut file: impl Read, hasher: &mut Hasher) -> io::Result<u64> {
    io::copy(&mut file, hasher)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_are_those_of_sha256sum_and_git() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"hello\n").unwrap();
        // `sha256sum`, and `git hash-object`, of the same six bytes.
        for name in [
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
            "ce013625030ba8dba906f756967f9e9ca394464a",
        ] {
            let etag = Etag::parse(&format!("\"{name}\"")).unwrap();
            assert_eq!(etag.of_file(file.path()).unwrap(), name);
        }
    }

    #[test]
    fn other_names_are_not_taken_for_hashes() {
        for text in [
            "",
            "\"\"",
            "W/\"abc\"",
            "\"ce013625030ba8dba906f756967f9e9ca394464z\"",
        ] {
            assert_eq!(Etag::parse(text), None, "{text}");
        }
        assert!(Etag::parse("W/\"ce013625030ba8dba906f756967f9e9ca394464a\"").is_some());
    }
}
