//! Lists, scans and watches folders, on threads of their own.

use std::fs::{self, DirEntry, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::folder_states::FolderStateStore;
use crate::app::sort::natural;
use crate::app::{Entry, EntryKind, FoundFile, Msg, Severity, Stamp};
use crate::media::{self, Sniffed, clean, sniff, walk};
use crate::watch::{self, ReadyKind, WatchEvent};

/// Entries in the first message, so that the first rows of a huge folder appear while the rest is read.
const FIRST_BATCH: usize = 256;
/// Maximum number of entries in a message. Processing one takes time in proportion to all entries so far, so that messages
/// grow; but meanwhile no key is handled.
const MAX_BATCH: usize = 8000;
/// Bytes read to recognise a format: NIfTI's magic number, the furthest of all, ends at 348.
const MAGIC_BYTES: usize = 352;

/// Niceness of scans, below the interface.
const NICENESS: i32 = 10;

/// Sends a message to the event loop; false if the loop has ended.
pub(super) type MsgSender = Arc<dyn Fn(Msg) -> bool + Send + Sync>;

/// Runs `work` on a thread of its own. Reports an error if no thread can be started.
pub(super) fn spawn(name: &str, send: &MsgSender, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().name(name.into()).spawn(work) {
        send(Msg::Report {
            severity: Severity::Error,
            text: format!("a thread could not be started: {error}"),
        });
    }
}

fn stamp(metadata: &Metadata) -> Stamp {
    Stamp {
        modified: metadata.modified().ok(),
        size: metadata.len(),
    }
}

fn stamp_of_watch(stamp: watch::FileStamp) -> Stamp {
    Stamp {
        modified: stamp.modified,
        size: stamp.size,
    }
}

/// The entry at a path; `None` if it is gone meanwhile. A dangling link is a file with unknown metadata.
pub(super) fn entry(path: PathBuf) -> Option<Entry> {
    let Ok(metadata) = fs::metadata(&path) else {
        let metadata = fs::symlink_metadata(&path).ok()?;
        return Some(unknown(path, metadata.is_dir()));
    };
    Some(Entry {
        kind: kind(metadata.is_dir()),
        stamp: stamp(&metadata),
        path,
    })
}

/// The entry of a folder's item. If its metadata cannot be read, only its kind is known.
fn listed_entry(found: &DirEntry) -> Option<Entry> {
    let kind = found.file_type().ok()?;
    match fs::metadata(found.path()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !kind.is_symlink() => None,
        Err(_) => Some(unknown(found.path(), kind.is_dir())),
        Ok(_) => entry(found.path()),
    }
}

/// An entry whose metadata cannot be read.
fn unknown(path: PathBuf, is_folder: bool) -> Entry {
    Entry {
        kind: kind(is_folder),
        stamp: Stamp::default(),
        path,
    }
}

fn kind(is_folder: bool) -> EntryKind {
    if is_folder {
        EntryKind::Folder
    } else {
        EntryKind::File
    }
}

/// Whether the file is an image by its first bytes, in a supported format or not. Unsupported images and unreadable files
/// count, too, so that they get an error.
fn is_picture(path: &Path) -> bool {
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return false;
    }
    let mut head = Vec::with_capacity(MAGIC_BYTES);
    let read =
        File::open(path).and_then(|file| file.take(MAGIC_BYTES as u64).read_to_end(&mut head));
    read.is_err() || !matches!(sniff(&head), Sniffed::Unknown)
}

fn name(path: &Path) -> &[u8] {
    path.file_name().map_or(b"", |name| name.as_encoded_bytes())
}

/// Lists a folder, after sending its saved state. `latest` is the newest generation requested: an older listing ends early.
pub(super) fn list(
    dir: PathBuf,
    generation: u64,
    store: Option<FolderStateStore>,
    latest: Arc<AtomicU64>,
    send: MsgSender,
) {
    latest.fetch_max(generation, Ordering::Relaxed);
    let answer = Arc::clone(&send);
    spawn("list", &answer, move || {
        if let Some(state) = store.and_then(|store| store.load(&dir)) {
            send(Msg::FolderState {
                dir: dir.clone(),
                generation,
                state: Box::new(state),
            });
        }
        let reading = match fs::read_dir(&dir) {
            Ok(reading) => reading,
            Err(error) => {
                let message = clean(&format!("{}: {}", dir.display(), error));
                send(Msg::ListFailed {
                    dir,
                    generation,
                    message,
                });
                return;
            }
        };
        let part = |entries, complete| {
            send(Msg::Listed {
                dir: dir.clone(),
                generation,
                entries,
                complete,
            })
        };
        let part = |mut entries: Vec<Entry>, complete| {
            // Sorted here rather than on the interface's thread.
            entries.sort_by(|a, b| {
                let names = || natural(name(&a.path), name(&b.path));
                a.kind.cmp(&b.kind).then_with(names)
            });
            part(entries, complete)
        };
        let mut size = FIRST_BATCH;
        let mut entries = Vec::new();
        let found = reading.flatten();
        for entry in found.filter_map(|found| listed_entry(&found)) {
            entries.push(entry);
            if entries.len() == size {
                size = (size * 2).min(MAX_BATCH);
                let superseded = latest.load(Ordering::Relaxed) > generation;
                if superseded || !part(std::mem::take(&mut entries), false) {
                    return;
                }
            }
        }
        part(entries, true);
    });
}

/// Finds the images below a folder, and reports files and folders that cannot be read.
pub(super) fn scan(root: PathBuf, generation: u64, send: MsgSender) {
    let answer = Arc::clone(&send);
    spawn("scan", &answer, move || {
        let _ = rustix::process::nice(NICENESS);
        let part = |files, complete| {
            send(Msg::Scanned {
                generation,
                files,
                complete,
            })
        };
        let mut files = Vec::new();
        for found in walk::files(&root) {
            let path = match found {
                Ok(path) if is_picture(&path) => path,
                Ok(_) => continue,
                Err(walk::Unreadable { path, error }) => {
                    send(Msg::Unreadable { path, error });
                    continue;
                }
            };
            let Ok(metadata) = fs::metadata(&path) else {
                if let Err(error) = media::open(&path) {
                    send(Msg::Unreadable { path, error });
                }
                continue;
            };
            let stamp = stamp(&metadata);
            files.push(FoundFile { path, stamp });
            if files.len() == MAX_BATCH && !part(std::mem::take(&mut files), false) {
                return;
            }
        }
        part(files, true);
    });
}

/// Sends the events of a watch as messages.
pub(super) fn watch_sink(send: MsgSender) -> watch::EventSink {
    Box::new(move |event| {
        if let Some(msg) = message(event) {
            send(msg);
        }
    })
}

/// The message for an event of a watch.
fn message(event: WatchEvent) -> Option<Msg> {
    Some(match event {
        WatchEvent::Started { polling } => Msg::Watching { polling },
        WatchEvent::Scanned => return None,
        // Whether it is an image is found out by the engine.
        WatchEvent::Ready {
            path,
            kind: ReadyKind::New,
            stamp,
            ..
        } => Msg::Appeared {
            entry: Entry {
                path,
                kind: EntryKind::File,
                stamp: stamp_of_watch(stamp),
            },
            picture: true,
        },
        // The existing files are all files of the tree, most of which may not be images.
        WatchEvent::Ready {
            path, kind, stamp, ..
        } => Msg::Modified {
            picture: kind == ReadyKind::Changed || is_picture(&path),
            stamp: stamp_of_watch(stamp),
            path,
        },
        WatchEvent::Touched { path, stamp } => Msg::Touched {
            path,
            stamp: stamp_of_watch(stamp),
        },
        WatchEvent::Folder(path) => Msg::Appeared {
            entry: entry(path)?,
            picture: false,
        },
        WatchEvent::Refused(path) => Msg::Report {
            severity: Severity::Error,
            text: watch::refusal(&path),
        },
        WatchEvent::Removed(path) => Msg::Removed { path },
        WatchEvent::Renamed { from, to } => Msg::Renamed {
            from,
            to: entry(to)?,
        },
        WatchEvent::Problem(text) => Msg::Report {
            severity: Severity::Error,
            text,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::media::ErrorKind;

    /// All messages of a listing or scan.
    fn messages(begin: impl FnOnce(MsgSender)) -> Vec<Msg> {
        let (sender, messages) = crossbeam_channel::unbounded();
        begin(Arc::new(move |msg| sender.send(msg).is_ok()));
        messages.iter().collect()
    }

    #[test]
    fn a_dangling_link_is_listed_and_reported_as_classify_does() {
        let folder = tempfile::tempdir().unwrap();
        let (image, link) = (folder.path().join("a.png"), folder.path().join("gone.png"));
        image::GrayImage::new(2, 2).save(&image).unwrap();
        symlink("nowhere", &link).unwrap();
        let dir = folder.path().to_owned();
        let listed = messages(|send| list(dir.clone(), 1, None, Arc::default(), send));
        let [Msg::Listed { entries, .. }] = &listed[..] else {
            panic!("{listed:?}");
        };
        let files = entries.iter().map(|entry| (&entry.path, entry.kind));
        assert_eq!(
            files.collect::<Vec<_>>(),
            [(&image, EntryKind::File), (&link, EntryKind::File)]
        );
        let scanned = messages(|send| scan(dir, 2, send));
        let [
            Msg::Unreadable { path, error },
            Msg::Scanned {
                files,
                complete: true,
                ..
            },
        ] = &scanned[..]
        else {
            panic!("{scanned:?}");
        };
        assert_eq!((path, error.kind), (&link, ErrorKind::NotFound));
        assert!(files.iter().map(|found| &found.path).eq([&image]));
    }
}
