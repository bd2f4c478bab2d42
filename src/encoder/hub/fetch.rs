//! A model comes from the hub into the cache.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::client::{Client, Remote};
use super::hash::{self, Hasher};
use super::{Cache, HubError, MAIN, Snapshot};
use crate::encoder::layout::{MAX_SETTINGS, Needs};

/// Attempts that bring nothing, in a row.
const ATTEMPTS: u32 = 5;
/// The pause after the second of them; it doubles.
const PAUSE: Duration = Duration::from_millis(500);
/// Bytes between two reports.
const CHUNK: usize = 1 << 18;

/// What is to be pulled.
#[derive(Clone, Copy, Debug)]
pub struct Pull<'a> {
    /// Where to.
    pub cache: &'a Cache,
    /// The model.
    pub id: &'a str,
    /// Branch, tag or commit.
    pub revision: Option<&'a str>,
    /// Only what is there already.
    pub offline: bool,
}

/// How far a pull is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// All files of so many bytes are known; what is in the cache counts.
    Sized(u64),
    /// So many bytes more are there.
    Came(u64),
    /// So many bytes were there and turned out to be of no use.
    Lost(u64),
    /// Another program fetches this file; it is waited for.
    Waiting(&'a str),
    /// The next file.
    File(&'a str),
}

type Report<'a> = &'a mut dyn FnMut(Step) -> ControlFlow<()>;

/// Fetches what a model needs and is not there. What was there is hashed again.
pub fn pull(order: &Pull, report: Report) -> Result<Snapshot, HubError> {
    let id = order.id;
    if !super::is_id(id) {
        return Err(HubError::NoId(id.to_owned()));
    }
    let revision = order.revision.unwrap_or(MAIN);
    if !super::is_revision(revision) {
        let (id, revision) = (id.to_owned(), revision.to_owned());
        return Err(HubError::NoRevision { id, revision });
    }
    if order.offline {
        let found = order.cache.find(id, Some(revision));
        return found.ok_or_else(|| HubError::Offline(id.to_owned()));
    }
    let client = Client::new(order.cache, id, revision);
    let info = client.info()?;
    let mut job = Job {
        cache: order.cache,
        id,
        commit: &info.sha,
        client: &client,
        report,
    };
    let names: BTreeSet<String> = info
        .siblings
        .iter()
        .map(|file| file.rfilename.clone())
        .filter(|name| !name.contains('/'))
        .collect();
    job.all(&names)?;
    if revision != info.sha {
        let file = job.model().join("refs").join(revision);
        write_whole(&file, info.sha.as_bytes())?;
    }
    Ok(Snapshot {
        id: id.to_owned(),
        commit: info.sha.clone(),
        folder: job.snapshot(),
    })
}

struct Job<'a> {
    cache: &'a Cache,
    id: &'a str,
    commit: &'a str,
    client: &'a Client,
    report: Report<'a>,
}

impl Job<'_> {
    fn model(&self) -> PathBuf {
        self.cache.model(self.id)
    }

    fn snapshot(&self) -> PathBuf {
        self.model().join("snapshots").join(self.commit)
    }

    fn tell(&mut self, step: Step) -> Result<(), HubError> {
        match (self.report)(step) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(HubError::Interrupted),
        }
    }

    /// The small files first, as they say which weights are wanted.
    fn all(&mut self, names: &BTreeSet<String>) -> Result<(), HubError> {
        let layout = |reason: String| HubError::Layout {
            id: self.id.to_owned(),
            reason,
        };
        let needs = Needs::of(names).map_err(layout)?;
        for name in needs.settings() {
            let remote = self.client.head(self.commit, name)?;
            if remote.size > MAX_SETTINGS {
                let size = super::bytes(remote.size);
                return Err(layout(format!(
                    "its {name} is to have {size}; such files are small"
                )));
            }
            self.room(std::slice::from_ref(&remote))?;
            self.file(&remote)?;
        }
        let snapshot = self.snapshot();
        let weights = needs
            .weights(&snapshot)
            .map_err(|reason| HubError::Layout {
                id: self.id.to_owned(),
                reason,
            })?;
        let mut remotes = Vec::new();
        for name in &weights {
            remotes.push(self.client.head(self.commit, name)?);
        }
        self.tell(Step::Sized(remotes.iter().map(|remote| remote.size).sum()))?;
        self.room(&remotes)?;
        for remote in &remotes {
            self.file(remote)?;
        }
        Ok(())
    }

    fn blob(&self, remote: &Remote) -> PathBuf {
        self.model().join("blobs").join(remote.etag.name())
    }

    fn partial(&self, remote: &Remote) -> PathBuf {
        let name = format!("{}.incomplete", remote.etag.name());
        self.model().join("blobs").join(name)
    }

    /// Whether what is still to come fits.
    fn room(&self, remotes: &[Remote]) -> Result<(), HubError> {
        let length = |path: &Path| fs::metadata(path).map_or(0, |data| data.len());
        let missing = |remote: &Remote| {
            let have = length(&self.blob(remote)).max(length(&self.partial(remote)));
            remote.size.saturating_sub(have)
        };
        let need: u64 = remotes.iter().map(missing).sum();
        let folder = self.cache.root().to_owned();
        fs::create_dir_all(&folder).map_err(|e| HubError::file(&folder, &e))?;
        let free = match rustix::fs::statvfs(&folder) {
            Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
            // Not every file system tells; then the writing will.
            Err(_) => return Ok(()),
        };
        if need > free {
            return Err(HubError::NoSpace { folder, need, free });
        }
        Ok(())
    }

    /// One file, under its lock, checked, linked.
    fn file(&mut self, remote: &Remote) -> Result<(), HubError> {
        self.tell(Step::File(&remote.name))?;
        let blob = self.blob(remote);
        make_parent(&blob)?;
        let _lock = self.lock(remote)?;
        if !self.is_there(&blob, remote)? {
            self.fetch(remote)?;
            let partial = self.partial(remote);
            fs::rename(&partial, &blob).map_err(|e| HubError::file(&blob, &e))?;
        }
        link(&self.snapshot().join(&remote.name), remote.etag.name())
    }

    /// Two programs at one file would spoil it for both; the second waits and finds it done.
    fn lock(&mut self, remote: &Remote) -> Result<File, HubError> {
        let path = self.cache.lock(self.id, &remote.etag);
        make_parent(&path)?;
        let fault = |error: &io::Error| HubError::file(&path, error);
        let file = File::create(&path).map_err(|e| fault(&e))?;
        if file.try_lock().is_err() {
            self.tell(Step::Waiting(&remote.name))?;
            file.lock().map_err(|e| fault(&e))?;
        }
        Ok(file)
    }

    fn is_there(&mut self, blob: &Path, remote: &Remote) -> Result<bool, HubError> {
        let length = match fs::metadata(blob) {
            Ok(data) => data.len(),
            Err(_) => return Ok(false),
        };
        if length == remote.size {
            let found = remote
                .etag
                .of_file(blob)
                .map_err(|e| HubError::file(blob, &e))?;
            if found == remote.etag.name() {
                self.tell(Step::Came(length))?;
                return Ok(true);
            }
        }
        fs::remove_file(blob).map_err(|e| HubError::file(blob, &e))?;
        Ok(false)
    }

    /// Brings the partial file to its full length and checks it.
    fn fetch(&mut self, remote: &Remote) -> Result<(), HubError> {
        let path = self.partial(remote);
        let (mut idle, mut longest) = (0, fs::metadata(&path).map_or(0, |data| data.len()));
        loop {
            let (mut part, reason) = match self.attempt(remote, &path)? {
                (part, None) => (part, String::new()),
                (part, Some(reason)) => (part, reason),
            };
            if part.length == remote.size {
                part.file
                    .sync_data()
                    .map_err(|e| HubError::file(&path, &e))?;
                let found = std::mem::replace(&mut part.hasher, remote.etag.hasher(0)).finish();
                if found == remote.etag.name() {
                    return Ok(());
                }
                fs::remove_file(&path).map_err(|e| HubError::file(&path, &e))?;
                return Err(HubError::Damaged {
                    file: remote.name.clone(),
                    found,
                    expected: remote.etag.name().to_owned(),
                });
            }
            // What comes again after a new start from 0 is nothing new.
            idle = if part.length > longest { 0 } else { idle + 1 };
            longest = longest.max(part.length);
            if idle >= ATTEMPTS {
                let file = remote.name.clone();
                return Err(HubError::Broken { file, reason });
            }
            if idle > 1 {
                std::thread::sleep(PAUSE * 2_u32.pow(idle - 2));
            }
        }
    }

    /// One request, from where the partial file ends; and why it ended early.
    fn attempt(
        &mut self,
        remote: &Remote,
        path: &Path,
    ) -> Result<(Part, Option<String>), HubError> {
        let mut part = Part::open(path, remote)?;
        self.tell(Step::Came(part.length))?;
        if part.length == remote.size {
            return Ok((part, None));
        }
        let (answer, continued) = match self.client.get(self.commit, &remote.name, part.length)? {
            Ok(answer) => answer,
            Err(reason) => {
                self.tell(Step::Lost(part.length))?;
                return Ok((part, Some(reason)));
            }
        };
        if !continued && part.length > 0 {
            self.tell(Step::Lost(part.length))?;
            part.restart(path, remote)?;
        }
        let mut body = answer.into_body().into_reader();
        let mut buffer = vec![0; CHUNK];
        let reason = loop {
            let room = (remote.size - part.length).min(CHUNK as u64) as usize;
            if room == 0 {
                return Ok((part, None));
            }
            match body.read(&mut buffer[..room]) {
                Ok(0) => break "the connection ended early".to_owned(),
                Ok(count) => {
                    part.append(&buffer[..count], path, remote)?;
                    self.tell(Step::Came(count as u64))?;
                }
                Err(error) => break error.to_string(),
            }
        };
        self.tell(Step::Lost(part.length))?;
        Ok((part, Some(reason)))
    }
}

/// A file that is not whole yet.
struct Part {
    file: File,
    length: u64,
    hasher: Hasher,
}

impl Part {
    /// Opens what an earlier attempt left, and hashes it.
    fn open(path: &Path, remote: &Remote) -> Result<Self, HubError> {
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

    fn restart(&mut self, path: &Path, remote: &Remote) -> Result<(), HubError> {
        self.file.set_len(0).map_err(|e| HubError::file(path, &e))?;
        self.length = 0;
        self.hasher = remote.etag.hasher(remote.size);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8], path: &Path, remote: &Remote) -> Result<(), HubError> {
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

fn make_parent(path: &Path) -> Result<(), HubError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(|e| HubError::file(parent, &e))
}

/// Puts a small file in place in one step.
fn write_whole(path: &Path, content: &[u8]) -> Result<(), HubError> {
    make_parent(path)?;
    let partial = beside(path);
    let done = fs::write(&partial, content).and_then(|()| fs::rename(&partial, path));
    done.map_err(|e| HubError::file(path, &e))
}

/// Links a snapshot's file to its blob, whatever was there.
fn link(path: &Path, blob: &str) -> Result<(), HubError> {
    make_parent(path)?;
    let target = Path::new("../../blobs").join(blob);
    if fs::read_link(path).is_ok_and(|now| now == target) {
        return Ok(());
    }
    let partial = beside(path);
    let _ = fs::remove_file(&partial);
    let done =
        std::os::unix::fs::symlink(&target, &partial).and_then(|()| fs::rename(&partial, path));
    done.map_err(|e| HubError::file(path, &e))
}

/// A name of this process's own in the same folder.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}", std::process::id()))
}
