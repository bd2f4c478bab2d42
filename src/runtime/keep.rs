//! How folders were left, kept between starts: one small file a folder, named by a hash of the folder's path.
//!
//! A file is written beside its place and then renamed, so that whoever reads it meanwhile, another process too, finds it
//! whole; of two that write the same folder the last one stays. The newest [`MOST`] are kept.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::app::Kept;
use crate::media::read_file;

/// Folders kept, at most.
const MOST: usize = 1000;
/// Bytes read of a file, at most; those written have a few hundred.
const LARGEST: u64 = 64 * 1024;

/// Where it is kept how folders were left.
#[derive(Clone, Debug)]
pub struct Store(PathBuf);

impl Store {
    /// In this folder, which need not exist.
    pub fn at(place: PathBuf) -> Self {
        Self(place)
    }

    /// How a folder was left; `None`: nothing is known of it. What cannot be read is as good as nothing, and logged.
    pub fn load(&self, folder: &Path) -> Option<Kept> {
        let file = self.file(folder).ok()?;
        match read(&file) {
            Ok(kept) => Some(kept),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                let file = file.display();
                tracing::warn!("how a folder was left cannot be read from {file}: {error}");
                None
            }
        }
    }

    /// Writes how a folder was left. Only its user may read it: names of files may tell of patients.
    pub fn save(&self, folder: &Path, kept: &Kept) -> io::Result<()> {
        let file = self.file(folder)?;
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&self.0)?;
        let known = file.exists();
        // Made with mode 0600.
        let mut written = tempfile::NamedTempFile::new_in(&self.0)?;
        written.write_all(&serde_json::to_vec(kept)?)?;
        written.persist(&file)?;
        if !known {
            self.forget_oldest()?;
        }
        Ok(())
    }

    /// The same folder has the same file, by whichever links it is reached.
    fn file(&self, folder: &Path) -> io::Result<PathBuf> {
        let path = fs::canonicalize(folder)?;
        let hash = blake3::hash(path.as_os_str().as_encoded_bytes());
        Ok(self.0.join(format!("{}.json", &hash.to_hex()[..32])))
    }

    /// Takes those away that were written longest ago, and with them what a process that was killed has left over.
    fn forget_oldest(&self) -> io::Result<()> {
        let aged = |entry: fs::DirEntry| {
            // Another process may have taken it away.
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            Some((modified.ok()?, entry.path()))
        };
        let files = fs::read_dir(&self.0)?.flatten().filter_map(aged);
        let mut files: Vec<(SystemTime, PathBuf)> = files.collect();
        files.sort();
        let surplus = files.len().saturating_sub(MOST);
        for (_, file) in &files[..surplus] {
            match fs::remove_file(file) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

fn read(file: &Path) -> io::Result<Kept> {
    Ok(serde_json::from_slice(&read_file(file, LARGEST)?)?)
}

/// The thread that writes.
pub(super) struct Keeper {
    store: Store,
    queue: Sender<(PathBuf, Kept)>,
    /// Its other end goes with the thread.
    ended: Receiver<()>,
}

impl Keeper {
    pub(super) fn start(store: Store) -> io::Result<Self> {
        let (queue, orders) = unbounded::<(PathBuf, Kept)>();
        let (end, ended) = bounded(0);
        let writer = store.clone();
        thread::Builder::new().name("keep".into()).spawn(move || {
            let _end: Sender<()> = end;
            for (folder, kept) in orders {
                match writer.save(&folder, &kept) {
                    // It has gone meanwhile.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => tracing::warn!("how a folder was left cannot be kept: {error}"),
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

    pub(super) fn store(&self) -> Store {
        self.store.clone()
    }

    pub(super) fn keep(&self, folder: PathBuf, kept: Kept) {
        // The thread ends only after this.
        let _ = self.queue.send((folder, kept));
    }

    /// Waits until all is written, but not for ever: the disk may be another machine's.
    pub(super) fn finish(self, patience: Duration) {
        drop(self.queue);
        let _ = self.ended.recv_timeout(patience);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::app::{Filter, Layout, Look, Name};

    fn kept(cursor: &str) -> Kept {
        Kept {
            cursor: Some(Name::Text(cursor.to_owned())),
            ..Kept::default()
        }
    }

    /// A store, and two folders to keep.
    fn place() -> (tempfile::TempDir, Store, [PathBuf; 2]) {
        let home = tempfile::tempdir().unwrap();
        let folders = ["a", "b"].map(|name| home.path().join(name));
        for folder in &folders {
            fs::create_dir(folder).unwrap();
        }
        let store = Store::at(home.path().join("state/folders"));
        (home, store, folders)
    }

    fn files(store: &Store) -> Vec<PathBuf> {
        let files = fs::read_dir(&store.0).unwrap();
        files.map(|file| file.unwrap().path()).collect()
    }

    #[test]
    fn what_is_written_is_read_and_only_by_its_user() {
        let (home, store, [a, b]) = place();
        assert_eq!(store.load(&a), None);
        let all = Kept {
            cursor: Some(Name::Bytes(vec![b'x', 0xff])),
            look: Look {
                hidden: true,
                filter: Filter::new("im !12"),
                ..Look::default()
            },
            layout: Layout {
                list: Some(100.0 / 3.0),
                grid: true,
                tiles: 4,
                series: true,
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
    fn what_is_damaged_is_as_good_as_nothing_and_mended_by_the_next() {
        let (_home, store, [a, _]) = place();
        store.save(&a, &kept("x")).unwrap();
        let file = files(&store).remove(0);
        let whole = fs::read(&file).unwrap();
        for text in [&b""[..], b"{", b"[1]", b"\xff", &whole[..whole.len() / 2]] {
            fs::write(&file, text).unwrap();
            assert_eq!(store.load(&a), None, "{text:?}");
        }
        // What a later version knows, and what it no longer does.
        fs::write(&file, br#"{"cursor": "y", "colour": 3}"#).unwrap();
        assert_eq!(store.load(&a), Some(kept("y")));
        store.save(&a, &kept("z")).unwrap();
        assert_eq!(store.load(&a), Some(kept("z")));
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let (_home, store, [a, b]) = place();
        store.save(&a, &kept("x")).unwrap();
        let old = files(&store).remove(0);
        for n in 0..MOST {
            let file = fs::File::create(store.0.join(format!("{n}.json"))).unwrap();
            let second = if n == 7 { 1 } else { 2 };
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            file.set_modified(time).unwrap();
        }
        store.save(&b, &kept("y")).unwrap();
        assert_eq!(files(&store).len(), MOST);
        assert!(old.exists() && !store.0.join("7.json").exists());
        assert_eq!(store.load(&b), Some(kept("y")));
    }

    #[test]
    fn many_write_at_once_and_each_reader_finds_a_whole_file() {
        let (_home, store, [a, b]) = place();
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
    fn all_that_was_given_is_written_before_the_end() {
        let (_home, store, [a, b]) = place();
        let keeper = Keeper::start(store.clone()).unwrap();
        let gone = a.join("gone");
        for folder in [&a, &gone, &b] {
            keeper.keep(folder.clone(), kept("x"));
        }
        keeper.finish(Duration::from_secs(60));
        assert!([a, b].iter().all(|dir| store.load(dir) == Some(kept("x"))));
    }
}
