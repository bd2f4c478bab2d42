//! The part of a file that has been downloaded.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use super::HubError;
use super::client::RemoteFile;
use super::hash::{self, Hasher};

/// A file that is being downloaded, with the hash of the bytes so far.
pub(super) struct PartialFile {
    pub(super) file: File,
    pub(super) length: u64,
    pub(super) hasher: Hasher,
}

impl PartialFile {
    /// Opens the file that an earlier attempt left, if any, and hashes it. One that is too long is emptied.
    pub(super) fn open(path: &Path, remote: &RemoteFile) -> Result<Self, HubError> {
        let fault = |error: io::Error| HubError::file(path, &error);
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(fault)?;
        let mut part = Self {
            file,
            length: 0,
            hasher: remote.etag.hasher(remote.size),
        };
        let length = part.file.metadata().map_err(fault)?.len();
        if length > remote.size {
            part.restart(path, remote)?;
        } else {
            part.length = hash::copy(&part.file, &mut part.hasher).map_err(fault)?;
        }
        Ok(part)
    }

    /// Empties the file.
    pub(super) fn restart(&mut self, path: &Path, remote: &RemoteFile) -> Result<(), HubError> {
        self.file.set_len(0).map_err(|e| HubError::file(path, &e))?;
        self.length = 0;
        self.hasher = remote.etag.hasher(remote.size);
        Ok(())
    }

    pub(super) fn append(
        &mut self,
        bytes: &[u8],
        path: &Path,
        remote: &RemoteFile,
    ) -> Result<(), HubError> {
        self.file
            .write_all(bytes)
            .map_err(|error| match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => HubError::NoSpace {
                    folder: path.parent().unwrap_or(path).to_owned(),
                    need: remote.size - self.length,
                    free: 0,
                },
                _ => HubError::file(path, &error),
            })?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }
}
