//! The files of a folder or archive from which a model is imported. Nothing outside of it is read: links are followed only
//! to files of the same source, and names that lead out of it are refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::read::GzDecoder;
use rustix::fs::{Mode, OFlags};

use super::HubError;
use crate::encoder::layout::{MACOS_START, is_model_file};

/// Maximum number of files in a source that models may need, blobs not counted.
const MAX_FILES: usize = 10_000;
/// Maximum number of all files in a source: a store of blobs that repositories share has those of data sets, too.
const MAX_ENTRIES: usize = 500_000;
/// Maximum depth of folders in a source; the cache's layout has four.
const MAX_DEPTH: usize = 8;
/// Maximum number of links from a name to its file.
const MAX_LINKS: usize = 4;
/// Bytes that are extracted at a time.
const CHUNK_BYTES: usize = 1 << 18;
/// Maximum size of a file that names a commit.
const MAX_NOTE_BYTES: u64 = 4096;

/// What an archive may become, as a multiple of its size: weights can hardly be compressed.
const MAX_EXPANSION: u64 = 20;
/// What it may become in any case, in bytes.
const MIN_EXPANSION: u64 = 1 << 30;

/// Reads until it is told to stop.
pub(super) struct StoppableReader<'a, R> {
    inner: R,
    stop: &'a AtomicBool,
}

impl<'a, R: Read> StoppableReader<'a, R> {
    pub(super) fn new(inner: R, stop: &'a AtomicBool) -> Self {
        Self { inner, stop }
    }
}

impl<R: Read> Read for StoppableReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("interrupted"));
        }
        self.inner.read(buffer)
    }
}

/// A file or link of a source.
enum SourceEntry {
    /// A file to read; that of an archive has been extracted.
    File(PathBuf),
    /// A link to another name of the source.
    Link(String),
}

/// The files of a source by name, with `/` between the parts of a name.
pub(super) struct SourceTree {
    from: PathBuf,
    entries: BTreeMap<String, SourceEntry>,
    /// The names of links that lead out of the source.
    outside: BTreeSet<String>,
    /// Number of entries that are not blobs.
    count: usize,
}

impl SourceTree {
    /// Lists a folder, or extracts what a model may need of a `.tar`, `.tar.gz` or `.zip` into `scratch`, until `stop` is set.
    pub(super) fn read(from: &Path, scratch: &Path, stop: &AtomicBool) -> Result<Self, HubError> {
        let mut tree = Self {
            from: from.to_owned(),
            entries: BTreeMap::new(),
            outside: BTreeSet::new(),
            count: 0,
        };
        let kind = fs::metadata(from).map_err(|e| HubError::file(from, &e))?;
        if kind.is_dir() {
            tree.add_folder(from, "", 0)?;
            return Ok(tree);
        }
        let file = crate::media::open_file(from).map_err(|e| HubError::file(from, &e))?;
        let size = file.metadata().map_or(0, |data| data.len());
        let mut extracted = Extraction {
            tree: &mut tree,
            scratch,
            free: free_bytes(scratch),
            allowed: size.saturating_mul(MAX_EXPANSION).max(MIN_EXPANSION),
            stop,
        };
        match kind_of(from, &file).map_err(|e| HubError::file(from, &e))? {
            ArchiveKind::Tar => extracted.tar(StoppableReader::new(file, stop))?,
            ArchiveKind::TarGz => {
                extracted.tar(StoppableReader::new(GzDecoder::new(file), stop))?;
            }
            ArchiveKind::Zip => extracted.zip(file)?,
        }
        Ok(tree)
    }

    fn fault(&self, reason: impl Into<String>) -> HubError {
        HubError::File {
            path: self.from.clone(),
            reason: reason.into(),
        }
    }

    fn insert(&mut self, name: String, entry: SourceEntry) -> Result<(), HubError> {
        let is_blob = is_in(&name, &["blobs"]);
        if !is_blob && self.count >= MAX_FILES || self.entries.len() >= MAX_ENTRIES {
            return Err(self.fault(format!(
                "contains more than {MAX_FILES} files that may be models'"
            )));
        }
        self.count += usize::from(!is_blob);
        self.entries.insert(name, entry);
        Ok(())
    }

    /// Adds a folder's files. Other things than files, folders and links are left out.
    fn add_folder(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), HubError> {
        if depth > MAX_DEPTH {
            return Ok(());
        }
        let entries = fs::read_dir(folder).map_err(|e| HubError::file(folder, &e))?;
        for entry in entries {
            let entry = entry.map_err(|e| HubError::file(folder, &e))?;
            let (path, Ok(own)) = (entry.path(), entry.file_name().into_string()) else {
                continue;
            };
            if is_foreign(&own) {
                continue;
            }
            let name = format!("{prefix}{own}");
            let kind = entry.file_type().map_err(|e| HubError::file(&path, &e))?;
            if kind.is_dir() {
                self.add_folder(&path, &format!("{name}/"), depth + 1)?;
            } else if is_needed(&name) && kind.is_symlink() {
                let target = fs::read_link(&path).map_err(|e| HubError::file(&path, &e))?;
                self.add_link(name, &target)?;
            } else if is_needed(&name) && kind.is_file() {
                self.insert(name, SourceEntry::File(path))?;
            }
        }
        Ok(())
    }

    /// Adds a link. One that leads out of the source is only noted, so that its name is missing.
    fn add_link(&mut self, name: String, target: &Path) -> Result<(), HubError> {
        let folder = Path::new(&name).parent().unwrap_or(Path::new(""));
        match resolved(folder, target) {
            Some(target) => self.insert(name, SourceEntry::Link(target)),
            None if self.outside.len() >= MAX_FILES => Ok(()),
            None => {
                self.outside.insert(name);
                Ok(())
            }
        }
    }

    /// All names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The files directly in a folder; `""` is the source itself. Links that lead to no file of the source are not among them.
    pub(super) fn files_in(&self, folder: &str) -> BTreeSet<String> {
        let prefix = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        let own = |name: &str| {
            let rest = name.strip_prefix(&prefix)?;
            (!rest.contains('/') && self.find(name).is_some()).then(|| rest.to_owned())
        };
        self.names().filter_map(own).collect()
    }

    /// A file's name in a folder that leads, perhaps by other links, out of the source.
    pub(super) fn link_out_of(&self, folder: &str) -> Option<&str> {
        let leads_out = |name: &str| {
            let mut name = name;
            for _ in 0..=MAX_LINKS {
                if self.outside.contains(name) {
                    return true;
                }
                match self.entries.get(name) {
                    Some(SourceEntry::Link(target)) => name = target,
                    _ => return false,
                }
            }
            false
        };
        let all = self.names().chain(self.outside.iter().map(String::as_str));
        let mut names = all.filter_map(|name| {
            let (own, rest) = name.rsplit_once('/').unwrap_or(("", name));
            (own == folder && leads_out(name)).then_some(rest)
        });
        names.next()
    }

    /// The path of a file, and the last part of the name that the first link leads to.
    fn find(&self, name: &str) -> Option<(&Path, Option<String>)> {
        let (mut name, mut blob) = (name, None);
        for _ in 0..=MAX_LINKS {
            match self.entries.get(name)? {
                SourceEntry::File(path) => return Some((path, blob)),
                SourceEntry::Link(target) => {
                    let last = target.rsplit('/').next().unwrap_or_default();
                    blob.get_or_insert_with(|| last.to_owned());
                    name = target;
                }
            }
        }
        None
    }

    /// Opens a file; also returns the name of its blob, if it is a link to one.
    pub(super) fn open(&self, name: &str) -> Result<(File, Option<String>), HubError> {
        let (path, blob) = self
            .find(name)
            .ok_or_else(|| self.fault(format!("{name} is missing, or is a link out of it")))?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty());
        let file = File::from(file.map_err(|e| HubError::file(path, &e.into()))?);
        let is_file = file.metadata().is_ok_and(|data| data.is_file());
        if !is_file {
            return Err(self.fault(format!("{name} is not a file")));
        }
        Ok((file, blob))
    }

    /// The text of a small file.
    pub(super) fn small(&self, name: &str) -> Option<String> {
        let (file, _) = self.open(name).ok()?;
        let mut text = String::new();
        file.take(MAX_NOTE_BYTES).read_to_string(&mut text).ok()?;
        Some(text)
    }
}

/// The name that a relative path leads to from a folder of the source; `None` if it leads out of it.
fn resolved(folder: &Path, target: &Path) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.components().chain(target.components()) {
        match part {
            Component::Normal(name) => parts.push(name.to_str()?),
            Component::CurDir => {}
            Component::ParentDir => drop(parts.pop()?),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

/// The name of an archive's member; `None` if it is absolute or contains `..`.
fn member_name(path: &Path) -> Option<String> {
    let is_inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    is_inside.then(|| resolved(Path::new(""), path)).flatten()
}

/// Whether a model may need a member of an archive: a file of the cache's layout, or one with a name that models' files have.
fn is_needed(name: &str) -> bool {
    let own = name.rsplit('/').next().unwrap_or_default();
    let is_foreign = name.split('/').any(is_foreign);
    !is_foreign && (is_in(name, &["blobs", "refs"]) || is_model_file(own))
}

/// Whether a name lies below a folder with one of these names.
fn is_in(name: &str, folders: &[&str]) -> bool {
    let mut own = name.rsplit('/').skip(1);
    own.any(|folder| folders.contains(&folder))
}

/// Whether a file or folder belongs to something else than a model: the cache's data sets, what runs on the hub, locks, and what macOS adds.
fn is_foreign(own: &str) -> bool {
    let starts = ["datasets--", "spaces--", MACOS_START];
    starts.iter().any(|start| own.starts_with(start)) || [".locks", "__MACOSX"].contains(&own)
}

enum ArchiveKind {
    Tar,
    TarGz,
    Zip,
}

/// The kind of an archive, by its first bytes.
fn kind_of(path: &Path, mut file: &File) -> io::Result<ArchiveKind> {
    let mut head = Vec::new();
    file.take(512).read_to_end(&mut head)?;
    file.rewind()?;
    let is_checkpoint = path.extension().is_some_and(|e| e == "pt" || e == "pth");
    match &head[..] {
        [0x1f, 0x8b, ..] => Ok(ArchiveKind::TarGz),
        [b'P', b'K', 3, 4, ..] if !is_checkpoint => Ok(ArchiveKind::Zip),
        _ if head.get(257..262) == Some(b"ustar") => Ok(ArchiveKind::Tar),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "neither a folder nor a .tar, .tar.gz or .zip archive",
        )),
    }
}

fn free_bytes(folder: &Path) -> u64 {
    // Not every file system knows its free space; then only writing shows whether it suffices.
    let disk = rustix::fs::statvfs(folder);
    disk.map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Extracts an archive's members into numbered files, so that their names never become paths.
struct Extraction<'a> {
    tree: &'a mut SourceTree,
    scratch: &'a Path,
    /// Bytes that may still be written.
    free: u64,
    /// Bytes that the archive may still become.
    allowed: u64,
    stop: &'a AtomicBool,
}

impl Extraction<'_> {
    fn refuse(&self, path: &Path) -> HubError {
        let name = crate::media::clean(&path.to_string_lossy());
        self.tree
            .fault(format!("contains `{name}`, which leads out of it"))
    }

    fn extract(&mut self, name: String, size: u64, member: &mut dyn Read) -> Result<(), HubError> {
        let folder = self.scratch;
        if size > self.free {
            return Err(HubError::NoSpace {
                folder: folder.to_owned(),
                need: size,
                free: self.free,
            });
        }
        if size > self.allowed {
            return Err(self.tree.fault(format!(
                "becomes more than {MAX_EXPANSION} times its size, as no model does"
            )));
        }
        self.free -= size;
        self.allowed -= size;
        let path = folder.join(self.tree.entries.len().to_string());
        let fault = |e: io::Error| HubError::file(&path, &e);
        let mut file = File::create(&path).map_err(fault)?;
        let mut member = StoppableReader::new(member.take(size), self.stop);
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut written = 0;
        loop {
            let read = member.read(&mut buffer);
            let count = read.map_err(|e| self.tree.fault(format!("is damaged: {name}: {e}")))?;
            if count == 0 {
                break;
            }
            file.write_all(&buffer[..count]).map_err(fault)?;
            written += count as u64;
        }
        if written != size {
            return Err(self.tree.fault(format!("is damaged: {name} ends early")));
        }
        self.tree.insert(name, SourceEntry::File(path))
    }

    fn tar(&mut self, file: impl Read) -> Result<(), HubError> {
        let from = self.tree.from.clone();
        let fault = |e: io::Error| HubError::file(&from, &e);
        let mut archive = tar::Archive::new(file);
        for member in archive.entries().map_err(fault)? {
            let mut member = member.map_err(fault)?;
            let path = member.path().map_err(fault)?.into_owned();
            let kind = member.header().entry_type();
            if kind.is_dir() {
                continue;
            }
            let name = member_name(&path).ok_or_else(|| self.refuse(&path))?;
            if !is_needed(&name) {
                continue;
            }
            if kind.is_symlink() || kind.is_hard_link() {
                let target = member.link_name().map_err(fault)?.unwrap_or_default();
                if kind.is_symlink() {
                    self.tree.add_link(name, &target)?;
                } else if let Some(target) = member_name(&target) {
                    self.tree.insert(name, SourceEntry::Link(target))?;
                }
            } else if kind.is_file() {
                let size = member.size();
                self.extract(name, size, &mut member)?;
            }
        }
        Ok(())
    }

    fn zip(&mut self, file: File) -> Result<(), HubError> {
        /// The kind of file in a Unix mode that says that it is a symbolic link.
        const LINK: u32 = 0o120_000;
        let from = self.tree.from.clone();
        let fault = |e: zip::result::ZipError| HubError::File {
            path: from.clone(),
            reason: e.to_string(),
        };
        let mut archive = zip::ZipArchive::new(io::BufReader::new(file)).map_err(fault)?;
        for index in 0..archive.len() {
            let mut member = archive.by_index(index).map_err(fault)?;
            let path = PathBuf::from(member.name());
            if member.is_dir() {
                continue;
            }
            let name = member_name(&path).ok_or_else(|| self.refuse(&path))?;
            if !is_needed(&name) {
                continue;
            }
            if member
                .unix_mode()
                .is_some_and(|mode| mode & 0o170_000 == LINK)
            {
                let mut target = String::new();
                let read = (&mut member)
                    .take(MAX_NOTE_BYTES)
                    .read_to_string(&mut target);
                read.map_err(|e| HubError::file(&from, &e))?;
                self.tree.add_link(name, Path::new(&target))?;
            } else {
                let size = member.size();
                self.extract(name, size, &mut member)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_archive_only_what_a_model_may_need_is_extracted() {
        for name in [
            "m/config.json",
            "merges.txt",
            "m/model-00001-of-00002.safetensors",
            "best.pt",
            "models--a--b/blobs/0123",
            "blobs/0123",
            "models--a--b/refs/main",
            "hub/models--a--b/snapshots/c/config.json",
        ] {
            assert!(is_needed(name), "{name}");
        }
        for name in [
            "photos/a.jpg",
            "m/README.md",
            "m/flax_model.msgpack",
            "m/._model.pt",
            "__MACOSX/m/model.pt",
            "datasets--a--b/blobs/0123",
            "models--a--b/snapshots/c/README.md",
            ".locks/models--a--b/0123.lock",
            "refs",
        ] {
            assert!(!is_needed(name), "{name}");
        }
    }

    #[test]
    fn a_link_that_leads_out_is_named_even_behind_another() {
        let mut tree = SourceTree {
            from: PathBuf::from("m"),
            entries: BTreeMap::new(),
            outside: BTreeSet::new(),
            count: 0,
        };
        let add = |tree: &mut SourceTree, name: &str, target: &str| {
            tree.add_link(name.to_owned(), Path::new(target)).unwrap();
        };
        add(&mut tree, "m/snapshots/c/a.json", "../../blobs/a");
        add(&mut tree, "m/snapshots/c/w.bin", "../../blobs/w");
        add(&mut tree, "m/blobs/w", "../../../blobs/w");
        assert_eq!(tree.link_out_of("m/snapshots/c"), Some("w.bin"));
        assert_eq!(tree.link_out_of("m/snapshots/d"), None);
    }
}
