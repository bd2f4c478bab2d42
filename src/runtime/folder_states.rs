//! Saves folder states between starts: one small file per folder, named by a hash of the folder's path.
//!
//! Files are replaced atomically, so that readers, in other processes too, always find a complete one; of two writers the last
//! one wins. The newest [`MAX_FOLDERS`] are kept.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::app::FolderState;
use crate::media::read_file;

/// Maximum number of folders whose state is kept.
const MAX_FOLDERS: usize = 1000;
/// Maximum size of a file that is read; those written have a few hundred bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// The saved folder states.
#[derive(Clone, Debug)]
pub struct FolderStateStore(PathBuf);

impl FolderStateStore {
    /// A store in this folder, which need not exist.
    pub fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Loads the state of a folder; `None` if there is none. Unreadable files are logged and count as none.
    pub fn load(&self, folder: &Path) -> Option<FolderState> {
        let file = self.file(folder).ok()?;
        match read(&file) {
            Ok(kept) => Some(kept),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                let file = file.display();
                tracing::warn!("the state of a folder cannot be read from {file}: {error}");
                None
            }
        }
    }

    /// Saves the state of a folder. Only the user may read it, because file names may identify patients.
    pub fn save(&self, folder: &Path, kept: &FolderState) -> io::Result<()> {
        let file = self.file(folder)?;
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&self.0)?;
        let known = file.exists();
        // Created with mode 0600.
        let mut written = tempfile::NamedTempFile::new_in(&self.0)?;
        written.write_all(&serde_json::to_vec(kept)?)?;
        written.persist(&file)?;
        if !known {
            self.remove_oldest()?;
        }
        Ok(())
    }

    /// The file for a folder. It is the same for every path that leads to the folder through links.
    fn file(&self, folder: &Path) -> io::Result<PathBuf> {
        let path = fs::canonicalize(folder)?;
        let hash = blake3::hash(path.as_os_str().as_encoded_bytes());
        Ok(self.0.join(format!("{}.json", &hash.to_hex()[..32])))
    }

    /// Removes the files written longest ago, which in time includes temporary files of killed processes.
    fn remove_oldest(&self) -> io::Result<()> {
        let aged = |entry: fs::DirEntry| {
            // Another process may have removed it.
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            Some((modified.ok()?, entry.path()))
        };
        let files = fs::read_dir(&self.0)?.flatten().filter_map(aged);
        let mut files: Vec<(SystemTime, PathBuf)> = files.collect();
        files.sort();
        let surplus = files.len().saturating_sub(MAX_FOLDERS);
        for (_, file) in &files[..surplus] {
            match fs::remove_file(file) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

fn read(file: &Path) -> io::Result<FolderState> {
    Ok(serde_json::from_slice(&read_file(file, MAX_FILE_BYTES)?)?)
}

/// The thread that saves folder states.
pub(super) struct FolderStateWriter {
    store: FolderStateStore,
    queue: Sender<(PathBuf, FolderState)>,
    /// Disconnects when the thread ends.
    ended: Receiver<()>,
}

impl FolderStateWriter {
    pub(super) fn start(store: FolderStateStore) -> io::Result<Self> {
        let (queue, states) = unbounded::<(PathBuf, FolderState)>();
        let (end, ended) = bounded(0);
        let writer = store.clone();
        thread::Builder::new().name("keep".into()).spawn(move || {
            let _end: Sender<()> = end;
            for (folder, kept) in states {
                match writer.save(&folder, &kept) {
                    // The folder is gone meanwhile.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => tracing::warn!("the state of a folder cannot be saved: {error}"),
                    Ok(()) => {}
                }
            }
        })?;
        Ok(Self {
            store,
            queue,
            ended,
        })
    }

    pub(super) fn store(&self) -> FolderStateStore {
        self.store.clone()
    }

    /// Queues the state of a folder to be saved.
    pub(super) fn save(&self, folder: PathBuf, kept: FolderState) {
        // Cannot fail: the thread ends only after this sender is dropped.
        let _ = self.queue.send((folder, kept));
    }

    /// Waits until everything is saved, but no longer than `timeout`: the disk may be on another machine.
    pub(super) fn finish(self, timeout: Duration) {
        drop(self.queue);
        let _ = self.ended.recv_timeout(timeout);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::app::{FileName, Filter, ListOptions, ScreenLayout};

    fn kept(cursor: &str) -> FolderState {
        FolderState {
            cursor: Some(FileName::Text(cursor.to_owned())),
            ..FolderState::default()
        }
    }

    /// A store, and two folders.
    fn store_and_folders() -> (tempfile::TempDir, FolderStateStore, [PathBuf; 2]) {
        let home = tempfile::tempdir().unwrap();
        let folders = ["a", "b"].map(|name| home.path().join(name));
        for folder in &folders {
            fs::create_dir(folder).unwrap();
        }
        let store = FolderStateStore::at(home.path().join("state/folders"));
        (home, store, folders)
    }

    fn files(store: &FolderStateStore) -> Vec<PathBuf> {
        let files = fs::read_dir(&store.0).unwrap();
        files.map(|file| file.unwrap().path()).collect()
    }

    #[test]
    fn a_saved_state_is_loaded_and_readable_by_its_user_only() {
        let (home, store, [a, b]) = store_and_folders();
        assert_eq!(store.load(&a), None);
        let all = FolderState {
            cursor: Some(FileName::Bytes(vec![b'x', 0xff])),
            options: ListOptions {
                hidden: true,
                filter: Filter::new("im !12"),
                ..ListOptions::default()
            },
            layout: ScreenLayout {
                list: Some(100.0 / 3.0),
                grid: true,
                tiles: 4,
                series: true,
                mode: crate::scoring::Mode::Multi,
            },
        };
        store.save(&a, &all).unwrap();
        assert_eq!(store.load(&a), Some(all.clone()));
        assert_eq!(store.load(&b), None);
        let link = home.path().join("link");
        std::os::unix::fs::symlink(&a, &link).unwrap();
        assert_eq!(store.load(&link), Some(all), "the same folder");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&store.0), mode(&files(&store)[0])), (0o700, 0o600));
        let text = fs::read_to_string(&files(&store)[0]).unwrap();
        assert!(!text.contains(a.to_str().unwrap()), "{text}");
    }

    #[test]
    fn a_damaged_file_counts_as_none_and_is_replaced_by_the_next_save() {
        let (_home, store, [a, _]) = store_and_folders();
        store.save(&a, &kept("x")).unwrap();
        let file = files(&store).remove(0);
        let whole = fs::read(&file).unwrap();
        for text in [&b""[..], b"{", b"[1]", b"\xff", &whole[..whole.len() / 2]] {
            fs::write(&file, text).unwrap();
            assert_eq!(store.load(&a), None, "{text:?}");
        }
        // A later version may add keys and drop others.
        fs::write(&file, br#"{"cursor": "y", "colour": 3}"#).unwrap();
        assert_eq!(store.load(&a), Some(kept("y")));
        store.save(&a, &kept("z")).unwrap();
        assert_eq!(store.load(&a), Some(kept("z")));
    }

    #[test]
    fn the_oldest_files_are_removed_when_there_are_too_many() {
        let (_home, store, [a, b]) = store_and_folders();
        store.save(&a, &kept("x")).unwrap();
        let old = files(&store).remove(0);
        for n in 0..MAX_FOLDERS {
            let file = fs::File::create(store.0.join(format!("{n}.json"))).unwrap();
            let second = if n == 7 { 1 } else { 2 };
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            file.set_modified(time).unwrap();
        }
        store.save(&b, &kept("y")).unwrap();
        assert_eq!(files(&store).len(), MAX_FOLDERS);
        assert!(old.exists() && !store.0.join("7.json").exists());
        assert_eq!(store.load(&b), Some(kept("y")));
    }

    #[test]
    fn readers_find_a_complete_file_while_many_write() {
        let (_home, store, [a, b]) = store_and_folders();
        store.save(&a, &kept("0")).unwrap();
        let long = "x".repeat(5000);
        thread::scope(|scope| {
            for writer in 0..4 {
                let (store, long, folder) = (&store, &long, if writer == 3 { &b } else { &a });
                scope.spawn(move || {
                    for n in 0..50 {
                        let name = format!("{writer} {n} {long}");
                        store.save(folder, &kept(&name)).unwrap();
                    }
                });
            }
            for _ in 0..200 {
                assert!(store.load(&a).is_some());
            }
        });
        assert_eq!(files(&store).len(), 2, "nothing is left over");
        assert_eq!(store.load(&b), Some(kept(&format!("3 49 {long}"))));
    }

    #[test]
    fn every_queued_state_is_saved_before_the_end() {
        let (_home, store, [a, b]) = store_and_folders();
        let writer = FolderStateWriter::start(store.clone()).unwrap();
        let gone = a.join("gone");
        for folder in [&a, &gone, &b] {
            writer.save(folder.clone(), kept("x"));
        }
        writer.finish(Duration::from_secs(60));
        assert!([a, b].iter().all(|dir| store.load(dir) == Some(kept("x"))));
    }
}
