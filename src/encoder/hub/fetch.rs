//! Downloads a model from the hub into the cache.

mod usable;

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::client::{HubClient, RemoteFile, RequestError};
use super::disk::{link, link_target, make_parent, write_atomically};
use super::partial::PartialFile;
use super::retry::{self, MAX_IDLE_ATTEMPTS, ProgressCallback, retry};
use super::{HubCache, HubError, MAIN, Snapshot};
use crate::encoder::layout::{MAX_SETTINGS_BYTES, NeededFiles};
use crate::encoder::{catalog, checkpoint};

/// Bytes that are read, and reported, at a time.
const CHUNK_BYTES: usize = 1 << 18;

/// Which model to download, and how.
#[derive(Clone, Copy, Debug)]
pub struct PullOptions<'a> {
    /// The destination.
    pub cache: &'a HubCache,
    /// The model's id.
    pub id: &'a str,
    /// Branch, tag or commit; `None` means [`MAIN`].
    pub revision: Option<&'a str>,
    /// Whether to use the cache only.
    pub offline: bool,
}

/// The progress of a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullProgress<'a> {
    /// The weights' total size in bytes, those already in the cache included.
    Total(u64),
    /// This many more bytes are present.
    Received(u64),
    /// This many of the bytes that were present will be read or downloaded again.
    Discarded(u64),
    /// Another program is downloading this file; waiting for it.
    Waiting(&'a str),
    /// The next file begins.
    File(&'a str),
    /// The hub failed or asked to wait; the next attempt is made after this time.
    Pausing(Duration),
}

/// Downloads the files that a model needs and that are missing, its tokenizer included if the catalogue says that another
/// repository has it. Files already in the cache are hashed again.
pub fn pull(options: &PullOptions, report: ProgressCallback) -> Result<Snapshot, HubError> {
    let entry = catalog::find(options.id);
    if let Some(tokenizer) = entry.and_then(|entry| entry.tokenizer.as_deref()) {
        let options = PullOptions {
            id: tokenizer,
            revision: None,
            ..*options
        };
        pull_part(&options, RepositoryPart::Tokenizer, report)?;
    }
    pull_part(options, RepositoryPart::Model, report)
}

/// Which files of a repository are needed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RepositoryPart {
    Model,
    Tokenizer,
}

fn pull_part(
    options: &PullOptions,
    part: RepositoryPart,
    report: ProgressCallback,
) -> Result<Snapshot, HubError> {
    let id = options.id;
    if !super::is_id(id) {
        return Err(HubError::InvalidId(id.to_owned()));
    }
    let revision = options.revision.unwrap_or(MAIN);
    if !super::is_revision(revision) {
        let (id, revision) = (id.to_owned(), revision.to_owned());
        return Err(HubError::NoRevision { id, revision });
    }
    if options.offline {
        let found = options.cache.find(id, options.revision);
        let is_whole = |snapshot: &Snapshot| match part {
            RepositoryPart::Model => snapshot.is_complete(),
            RepositoryPart::Tokenizer => checkpoint::has_tokenizer(&snapshot.folder),
        };
        return found
            .filter(is_whole)
            .ok_or_else(|| HubError::Offline(id.to_owned()));
    }
    let client = HubClient::new(options.cache, id, revision)?;
    let info = retry(report, || client.info())?;
    let mut puller = Puller {
        cache: options.cache,
        id,
        commit: &info.sha,
        client: &client,
        report,
        created: Vec::new(),
    };
    let names: BTreeSet<String> = info
        .siblings
        .iter()
        .map(|file| file.rfilename.clone())
        .filter(|name| !name.contains('/'))
        .collect();
    match part {
        RepositoryPart::Model => puller.pull_all(&names)?,
        RepositoryPart::Tokenizer => {
            let files = NeededFiles::of_tokenizer(&names);
            puller.pull_settings(files.map_err(|reason| puller.layout(reason))?)?;
        }
    }
    if revision != info.sha {
        let file = puller.model_folder().join("refs").join(revision);
        write_atomically(&file, info.sha.as_bytes())?;
    }
    Ok(Snapshot {
        id: id.to_owned(),
        commit: info.sha.clone(),
        folder: puller.snapshot_folder(),
    })
}

/// A download in progress.
struct Puller<'a> {
    cache: &'a HubCache,
    id: &'a str,
    commit: &'a str,
    client: &'a HubClient,
    report: ProgressCallback<'a>,
    /// Files and links that this download has added to the cache.
    created: Vec<PathBuf>,
}

impl Puller<'_> {
    fn model_folder(&self) -> PathBuf {
        self.cache.model_folder(self.id)
    }

    fn snapshot_folder(&self) -> PathBuf {
        self.model_folder().join("snapshots").join(self.commit)
    }

    fn report_step(&mut self, step: PullProgress) -> Result<(), HubError> {
        retry::report_step(self.report, step)
    }

    /// The hash and size of a file on the hub.
    fn head(&mut self, name: &str) -> Result<RemoteFile, HubError> {
        retry(self.report, || self.client.head(self.commit, name))
    }

    fn layout(&self, reason: String) -> HubError {
        HubError::Layout {
            id: self.id.to_owned(),
            reason,
        }
    }

    /// Downloads small files.
    fn pull_settings(&mut self, names: Vec<&str>) -> Result<(), HubError> {
        for name in names {
            let remote = self.head(name)?;
            if remote.size > MAX_SETTINGS_BYTES {
                let size = super::format_bytes(remote.size);
                return Err(self.layout(format!(
                    "its {name} has {size}, far more than such a file needs"
                )));
            }
            self.check_space(std::slice::from_ref(&remote))?;
            self.pull_file(&remote)?;
        }
        Ok(())
    }

    /// Downloads the small files, then the weights that they name.
    fn pull_all(&mut self, names: &BTreeSet<String>) -> Result<(), HubError> {
        let needs = NeededFiles::of(names).map_err(|reason| self.layout(reason))?;
        self.pull_settings(needs.settings().collect())?;
        let weights = self.weights_of_usable(&needs).inspect_err(|error| {
            // Otherwise it would count as downloaded in part.
            if matches!(error, HubError::Layout { .. }) {
                self.remove_created();
            }
        })?;
        let mut remotes = Vec::new();
        for name in &weights {
            remotes.push(self.head(name)?);
        }
        let total = remotes.iter().map(|remote| remote.size).sum();
        self.report_step(PullProgress::Total(total))?;
        self.check_space(&remotes)?;
        for remote in &remotes {
            self.pull_file(remote)?;
        }
        Ok(())
    }

    fn blob(&self, remote: &RemoteFile) -> PathBuf {
        self.model_folder().join("blobs").join(remote.etag.name())
    }

    /// The part of a file that has been downloaded: the next download resumes it.
    fn partial(&self, remote: &RemoteFile) -> PathBuf {
        let name = format!("{}.incomplete", remote.etag.name());
        self.model_folder().join("blobs").join(name)
    }

    /// The same where no lock keeps other programs from writing to it.
    fn own_partial(&self, remote: &RemoteFile) -> PathBuf {
        let name = format!("{}.{}.incomplete", remote.etag.name(), std::process::id());
        self.model_folder().join("blobs").join(name)
    }

    /// Fails if the bytes that are still to be downloaded do not fit on the disk.
    fn check_space(&self, remotes: &[RemoteFile]) -> Result<(), HubError> {
        let length = |path: &Path| fs::metadata(path).map_or(0, |data| data.len());
        let missing = |remote: &RemoteFile| {
            let have = length(&self.blob(remote)).max(length(&self.partial(remote)));
            remote.size.saturating_sub(have)
        };
        let need: u64 = remotes.iter().map(missing).sum();
        let folder = self.cache.root().to_owned();
        fs::create_dir_all(&folder).map_err(|e| HubError::file(&folder, &e))?;
        let free = match rustix::fs::statvfs(&folder) {
            Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
            // Not every file system knows its free space; then only writing shows whether it suffices.
            Err(_) => return Ok(()),
        };
        if need > free {
            return Err(HubError::NoSpace { folder, need, free });
        }
        Ok(())
    }

    /// Makes sure that a file is in the cache: downloaded under its lock, checked, and linked into the snapshot.
    fn pull_file(&mut self, remote: &RemoteFile) -> Result<(), HubError> {
        self.report_step(PullProgress::File(&remote.name))?;
        let blob = self.blob(remote);
        if self.is_there(&blob, remote)? {
            return Ok(());
        }
        make_parent(&blob)?;
        let lock = self.lock(remote)?;
        if !self.has_intact(&blob, remote)? {
            let partial = if lock.is_some() {
                self.partial(remote)
            } else {
                self.own_partial(remote)
            };
            let fetched = self.fetch(remote, &partial);
            if fetched.is_err() && lock.is_none() {
                // Nothing resumes it.
                let _ = fs::remove_file(&partial);
            }
            fetched?;
            fs::rename(&partial, &blob).map_err(|e| HubError::file(&blob, &e))?;
            self.created.push(blob);
        }
        let name = self.snapshot_folder().join(&remote.name);
        link(&name, remote.etag.name())?;
        self.created.push(name);
        Ok(())
    }

    /// Locks a file against other programs: two writers would damage it. The second one waits, then finds it complete. `None` on a file
    /// system without locks.
    fn lock(&mut self, remote: &RemoteFile) -> Result<Option<File>, HubError> {
        let path = self.cache.lock_file(self.id, &remote.etag);
        make_parent(&path)?;
        let fault = |error: &io::Error| HubError::file(&path, error);
        let file = File::create(&path).map_err(|e| fault(&e))?;
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
        }
        self.report_step(PullProgress::Waiting(&remote.name))?;
        file.lock().map_err(|e| fault(&e))?;
        Ok(Some(file))
    }

    /// Whether the snapshot has the file, and its blob matches its hash: then nothing needs to be written, and the cache may be read-only.
    fn is_there(&mut self, blob: &Path, remote: &RemoteFile) -> Result<bool, HubError> {
        let link = fs::read_link(self.snapshot_folder().join(&remote.name));
        let is_linked = link.is_ok_and(|target| target == link_target(remote.etag.name()));
        let is_whole = fs::metadata(blob).is_ok_and(|data| data.len() == remote.size);
        let is_intact = is_linked
            && is_whole
            && remote
                .etag
                .hash_file(blob)
                .is_ok_and(|found| found == remote.etag.name());
        if is_intact {
            self.report_step(PullProgress::Received(remote.size))?;
        }
        Ok(is_intact)
    }

    /// Whether the blob is present and matches its hash; removes it if it does not match.
    fn has_intact(&mut self, blob: &Path, remote: &RemoteFile) -> Result<bool, HubError> {
        let length = match fs::metadata(blob) {
            Ok(data) => data.len(),
            Err(_) => return Ok(false),
        };
        if length == remote.size {
            let found = remote
                .etag
                .hash_file(blob)
                .map_err(|e| HubError::file(blob, &e))?;
            if found == remote.etag.name() {
                self.report_step(PullProgress::Received(length))?;
                return Ok(true);
            }
        }
        fs::remove_file(blob).map_err(|e| HubError::file(blob, &e))?;
        Ok(false)
    }

    /// Downloads the missing bytes of the partial file, in as many attempts as it takes, and checks its hash.
    fn fetch(&mut self, remote: &RemoteFile, path: &Path) -> Result<(), HubError> {
        let (mut idle, mut longest) = (0, fs::metadata(path).map_or(0, |data| data.len()));
        loop {
            let (mut part, failure) = self.attempt(remote, path)?;
            let FailedTransfer {
                reason,
                retry_after,
            } = failure.unwrap_or_default();
            if part.length == remote.size {
                part.file
                    .sync_data()
                    .map_err(|e| HubError::file(path, &e))?;
                let hasher = std::mem::replace(&mut part.hasher, remote.etag.hasher(0));
                let found = remote.etag.name_of(hasher);
                if found == remote.etag.name() {
                    return Ok(());
                }
                fs::remove_file(path).map_err(|e| HubError::file(path, &e))?;
                return Err(HubError::Damaged {
                    file: remote.name.clone(),
                    found,
                    expected: remote.etag.name().to_owned(),
                    mirror: self.client.mirror().map(str::to_owned),
                });
            }
            // Bytes that are downloaded again after a restart from 0 are not progress.
            idle = if part.length > longest { 0 } else { idle + 1 };
            longest = longest.max(part.length);
            let broken = |reason| HubError::Broken {
                file: remote.name.clone(),
                reason,
            };
            if idle >= MAX_IDLE_ATTEMPTS {
                return Err(broken(reason));
            }
            let time = retry::pause_after(idle, retry_after)
                .map_err(|asked| broken(format!("{reason}, and {asked}")))?;
            if !time.is_zero() {
                retry::pause(self.report, time)?;
            }
        }
    }

    /// Makes one request for the bytes after the partial file; also returns why the transfer ended early, if it did.
    fn attempt(
        &mut self,
        remote: &RemoteFile,
        path: &Path,
    ) -> Result<(PartialFile, Option<FailedTransfer>), HubError> {
        let mut part = PartialFile::open(path, remote)?;
        self.report_step(PullProgress::Received(part.length))?;
        if part.length == remote.size {
            return Ok((part, None));
        }
        let (response, is_continued) = match self.client.get(self.commit, remote, part.length) {
            Ok(response) => response,
            Err(RequestError::Permanent(error)) => return Err(error),
            Err(RequestError::Temporary {
                reason,
                retry_after,
                ..
            }) => {
                self.report_step(PullProgress::Discarded(part.length))?;
                let failure = FailedTransfer {
                    reason,
                    retry_after,
                };
                return Ok((part, Some(failure)));
            }
        };
        if !is_continued && part.length > 0 {
            self.report_step(PullProgress::Discarded(part.length))?;
            part.restart(path, remote)?;
        }
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; CHUNK_BYTES];
        let reason = loop {
            let missing = (remote.size - part.length).min(CHUNK_BYTES as u64) as usize;
            if missing == 0 {
                return Ok((part, None));
            }
            match body.read(&mut buffer[..missing]) {
                Ok(0) => break "the connection ended early".to_owned(),
                Ok(count) => {
                    part.append(&buffer[..count], path, remote)?;
                    self.report_step(PullProgress::Received(count as u64))?;
                }
                Err(error) => break error.to_string(),
            }
        };
        self.report_step(PullProgress::Discarded(part.length))?;
        let failure = FailedTransfer {
            reason,
            retry_after: None,
        };
        Ok((part, Some(failure)))
    }
}

/// Why a transfer ended early.
#[derive(Default)]
struct FailedTransfer {
    reason: String,
    /// How long the hub asks to wait.
    retry_after: Option<Duration>,
}
