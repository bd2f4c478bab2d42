//! The two kinds of hashes that name files on the hub.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;

use sha1::{Digest, Sha1};
use sha2::Sha256;

use crate::media::open_file;

/// A file's name in the hub's storage: its hash in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Etag {
    /// SHA-256 of the content, for large files.
    Sha256(String),
    /// Git's blob hash (SHA-1 of a header and the content), for small files; of some mirrors, the content's plain SHA-1.
    GitBlob(String),
    /// A mirror's name for the file that is not a hash of its content, as `huggingface_hub` accepts any.
    Opaque(String),
}

/// The longest name that is not a hash.
const MAX_OPAQUE_LENGTH: usize = 100;

impl Etag {
    /// Parses the value of an `ETag` header: quoted, and perhaps marked as weak (`W/`).
    pub(super) fn parse(header: &str) -> Option<Self> {
        let text = header.trim().trim_start_matches("W/").trim_matches('"');
        let is_hex = !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        match text.len() {
            64 if is_hex => Some(Self::Sha256(text.to_owned())),
            40 if is_hex => Some(Self::GitBlob(text.to_owned())),
            _ => None,
        }
    }

    /// As [`Self::parse`], also of a mirror's header that has no hash, if it can be the name of a file. Nobody says that two files do not
    /// have the same: `file` becomes a part of the name.
    pub(super) fn of_header(header: &str, file: &str) -> Option<Self> {
        let opaque = || {
            let text = header.trim().trim_start_matches("W/").trim_matches('"');
            let is_name = (1..=MAX_OPAQUE_LENGTH).contains(&text.len())
                && !text.starts_with(['.', '-'])
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
            is_name.then(|| Self::Opaque(format!("{text}-{file}")))
        };
        Self::parse(header).or_else(opaque)
    }

    /// The file's name in the cache.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Sha256(hex) | Self::GitBlob(hex) => hex,
            Self::Opaque(name) => name,
        }
    }

    /// A hasher of this kind for a file of `length` bytes.
    pub(super) fn hasher(&self, length: u64) -> Hasher {
        match self {
            Self::Sha256(_) | Self::Opaque(_) => Hasher::Sha256(Box::default()),
            Self::GitBlob(_) => Self::git_hasher(length),
        }
    }

    /// A hasher of Git's kind for a file of `length` bytes.
    pub(super) fn git_hasher(length: u64) -> Hasher {
        let mut hasher = Sha1::new();
        hasher.update(format!("blob {length}\0"));
        Hasher::GitBlob(Box::new((hasher, Sha1::new())))
    }

    /// The name of a file with the hashed content: this one's, if it may be; else its hash.
    pub(super) fn name_of(&self, hasher: Hasher) -> String {
        match (self, hasher) {
            (Self::Opaque(name), _) => name.clone(),
            (Self::GitBlob(name), Hasher::GitBlob(both)) => {
                let (git, plain) = *both;
                let plain = hex(&plain.finalize());
                if plain == *name {
                    plain
                } else {
                    hex(&git.finalize())
                }
            }
            (_, hasher) => hasher.finish(),
        }
    }

    /// The hash of a file, of this kind.
    pub(super) fn hash_file(&self, path: &Path) -> io::Result<String> {
        let file = open_file(path)?;
        let mut hasher = self.hasher(file.metadata()?.len());
        copy(file, &mut hasher)?;
        Ok(self.name_of(hasher))
    }
}

/// A hash that is being computed.
pub(super) enum Hasher {
    Sha256(Box<Sha256>),
    /// Git's, and the content's plain SHA-1.
    GitBlob(Box<(Sha1, Sha1)>),
}

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::GitBlob(both) => {
                both.0.update(bytes);
                both.1.update(bytes);
            }
        }
    }

    /// The hash in hexadecimal digits.
    pub(super) fn finish(self) -> String {
        match self {
            Self::Sha256(hasher) => hex(&hasher.finalize()),
            Self::GitBlob(both) => hex(&both.0.finalize()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
    }
    text
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

/// Hashes all of `file`; returns the number of bytes.
pub(super) fn copy(mut file: impl Read, hasher: &mut Hasher) -> io::Result<u64> {
    io::copy(&mut file, hasher)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_equal_those_of_sha256sum_and_git() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"hello\n").unwrap();
        // `sha256sum`, `sha1sum`, and `git hash-object`, of the same six bytes.
        for name in [
            "f572d396fae9206628714fb2ce00f72e94f2258f",
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
            "ce013625030ba8dba906f756967f9e9ca394464a",
        ] {
            let etag = Etag::parse(&format!("\"{name}\"")).unwrap();
            assert_eq!(etag.hash_file(file.path()).unwrap(), name);
        }
    }

    #[test]
    fn other_names_are_not_mistaken_for_hashes() {
        for text in [
            "",
            "\"\"",
            "W/\"abc\"",
            "\"ce013625030ba8dba906f756967f9e9ca394464z\"",
        ] {
            assert_eq!(Etag::parse(text), None, "{text}");
        }
        assert!(Etag::parse("W/\"ce013625030ba8dba906f756967f9e9ca394464a\"").is_some());
        for (header, name) in [
            (
                "\"d41d8cd98f00b204e9800998ecf8427e-12\"",
                Some("d41d8cd98f00b204e9800998ecf8427e-12-a.bin"),
            ),
            ("W/\"v.1_2\"", Some("v.1_2-a.bin")),
            ("\"../../x\"", None),
            ("\".x\"", None),
            ("\"\"", None),
        ] {
            let etag = Etag::of_header(header, "a.bin");
            assert_eq!(etag.as_ref().map(Etag::name), name, "{header}");
        }
    }
}
