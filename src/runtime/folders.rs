//! What the application asks of the file system, answered from threads of its own.

use std::fs::{self, DirEntry, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::keep::Store;
use crate::app::sort::natural;
use crate::app::{Entry, EntryKind, Found, Msg, Severity, Stamp};
use crate::media::{self, Sniffed, clean, sniff, walk};
use crate::watch::{self, ReadyKind, WatchEvent};

/// Entries in the first message: the first rows of a huge folder are seen while the rest is read.
const FIRST: usize = 256;
/// Entries in any message. Each costs time in proportion to all that is there, so that they grow; while one is taken in no key
/// is.
const PART: usize = 8000;
/// Bytes by which a format is told; NIfTI's mark, the furthest of those known, ends at 348.
const HEAD: usize = 352;

/// How much below the interface a long search runs (`nice`).
const NICENESS: i32 = 10;

/// Where messages go; false when the loop has ended.
pub(super) type Send = Arc<dyn Fn(Msg) -> bool + std::marker::Send + Sync>;

/// Runs `work` on a thread of its own; that none could be started is said like any other failure.
pub(super) fn spawn(name: &str, send: &Send, work: impl FnOnce() + std::marker::Send + 'static) {
    if let Err(error) = thread::Builder::new().name(name.into()).spawn(work) {
        send(Msg::Report {
            severity: Severity::Error,
            text: format!("no thread could be started: {error}"),
        });
    }
}

fn stamp(metadata: &Metadata) -> Stamp {
    Stamp {
        modified: metadata.modified().ok(),
        size: metadata.len(),
    }
}

fn watched(stamp: watch::FileStamp) -> Stamp {
    Stamp {
        modified: stamp.modified,
        size: stamp.size,
    }
}

/// What lies at a path; `None` when it has gone meanwhile. A link that leads nowhere is a file of which nothing is known.
fn entry(path: PathBuf) -> Option<Entry> {
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

/// The same of a part of a folder, which may tell no more than what it holds.
fn listed(found: &DirEntry) -> Option<Entry> {
    let kind = found.file_type().ok()?;
    match fs::metadata(found.path()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !kind.is_symlink() => None,
        Err(_) => Some(unknown(found.path(), kind.is_dir())),
        Ok(_) => entry(found.path()),
    }
}

/// Something that is there, and cannot be looked at.
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

/// Whether the first bytes are an image's, of a format that is decoded or not: what is not decoded gets its error, and so does
/// a file that cannot be read.
fn is_picture(path: &Path) -> bool {
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return false;
    }
    let mut head = Vec::with_capacity(HEAD);
    let read = File::open(path).and_then(|file| file.take(HEAD as u64).read_to_end(&mut head));
    read.is_err() || !matches!(sniff(&head), Sniffed::Unknown)
}

fn name(path: &Path) -> &[u8] {
    path.file_name().map_or(b"", |name| name.as_encoded_bytes())
}

/// Reads one folder, after how it was left. `latest` holds the newest generation asked for: an older reading ends early.
pub(super) fn list(
    dir: PathBuf,
    generation: u64,
    store: Option<Store>,
    latest: Arc<AtomicU64>,
    send: Send,
) {
    latest.fetch_max(generation, Ordering::Relaxed);
    let answer = Arc::clone(&send);
    spawn("list", &answer, move || {
        if let Some(kept) = store.and_then(|store| store.load(&dir)) {
            send(Msg::Kept {
                dir: dir.clone(),
                generation,
                kept: Box::new(kept),
            });
        }
        let reading = match fs::read_dir(&dir) {
            Ok(reading) => reading,
            Err(error) => {
                let message = clean(&format!("{}: {}", dir.display(), error));
                send(Msg::Unlisted {
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
            // Sorted here, not by the one who draws.
            entries.sort_by(|a, b| {
                let names = || natural(name(&a.path), name(&b.path));
                a.kind.cmp(&b.kind).then_with(names)
            });
            part(entries, complete)
        };
        let mut size = FIRST;
        let mut entries = Vec::new();
        for found in reading.flatten().filter_map(|found| listed(&found)) {
            entries.push(found);
            if entries.len() == size {
                size = (size * 2).min(PART);
                let superseded = latest.load(Ordering::Relaxed) > generation;
                if superseded || !part(std::mem::take(&mut entries), false) {
                    return;
                }
            }
        }
        part(entries, true);
    });
}

/// Finds the images below a folder, and what cannot be looked into.
pub(super) fn scan(root: PathBuf, generation: u64, send: Send) {
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
            files.push(Found { path, stamp });
            if files.len() == PART && !part(std::mem::take(&mut files), false) {
                return;
            }
        }
        part(files, true);
    });
}

/// Sends on what the watch says.
pub(super) fn watch_sink(send: Send) -> watch::EventSink {
    Box::new(move |event| {
        if let Some(msg) = message(event) {
            send(msg);
        }
    })
}

/// What the watch says, as a message.
fn message(event: WatchEvent) -> Option<Msg> {
    Some(match event {
        WatchEvent::Standing { polling } => Msg::Watching { polling },
        WatchEvent::Scanned => return None,
        // The engine looks into it.
        WatchEvent::Ready {
            path,
            kind: ReadyKind::New,
            stamp,
        } => Msg::Appeared {
            entry: Entry {
                path,
                kind: EntryKind::File,
                stamp: watched(stamp),
            },
            picture: true,
        },
        // Of what was there, all files of the tree, most may be none.
        WatchEvent::Ready { path, kind, stamp } => Msg::Modified {
            picture: kind == ReadyKind::Changed || is_picture(&path),
            stamp: watched(stamp),
            path,
        },
        WatchEvent::Touched { path, stamp } => Msg::Touched {
            path,
            stamp: watched(stamp),
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

    /// All that is said until the end of a listing or scan.
    fn said(begin: impl FnOnce(Send)) -> Vec<Msg> {
        let (sender, said) = crossbeam_channel::unbounded();
        begin(Arc::new(move |msg| sender.send(msg).is_ok()));
        said.iter().collect()
    }

    #[test]
    fn a_link_that_leads_nowhere_is_listed_and_told_of_as_classify_does() {
        let folder = tempfile::tempdir().unwrap();
        let (image, link) = (folder.path().join("a.png"), folder.path().join("gone.png"));
        image::GrayImage::new(2, 2).save(&image).unwrap();
        symlink("nowhere", &link).unwrap();
        let dir = folder.path().to_owned();
        let listed = said(|send| list(dir.clone(), 1, None, Arc::default(), send));
        let [Msg::Listed { entries, .. }] = &listed[..] else {
            panic!("{listed:?}");
        };
        let files = entries.iter().map(|entry| (&entry.path, entry.kind));
        assert_eq!(
            files.collect::<Vec<_>>(),
            [(&image, EntryKind::File), (&link, EntryKind::File)]
        );
        let scanned = said(|send| scan(dir, 2, send));
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
