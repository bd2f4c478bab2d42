//! Embeddings of pictures on disk: a picture that went through a model once need not go through it again, whether the
//! program was left, lost its terminal or was killed.
//!
//! An SQLite file. The key of a row is the hash of the picture's content, its frame, and all else that an embedding depends
//! on; no name of a file is in it. What cannot be read is as good as nothing, what cannot be written costs the work a
//! second time. No write-ahead log: home folders lie on network shares, where its shared memory does not work.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use rusqlite::{
    Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params,
};

/// Embeddings kept, at most; of 512 numbers that is 480 MB.
const MOST: i64 = 200_000;
/// How long an embedding waits for others, to be written with them.
const GATHER: Duration = Duration::from_millis(500);
/// How long another process that writes is waited for.
const BUSY: Duration = Duration::from_secs(2);
/// Bytes of a page: of the usual 4096 one row would waste half.
const PAGE: i64 = 16_384;
/// Layout of the file.
const VERSION: i64 = 1;

type Key = [u8; 32];
type Row = (Key, Arc<[f32]>);

/// What embeddings are kept in. The file is opened when it is first needed; who puts does not wait for the disk.
pub struct Embeddings {
    file: PathBuf,
    most: i64,
    /// `None`: it cannot be used.
    open: OnceLock<Option<Open>>,
}

struct Open {
    reader: Mutex<Connection>,
    queue: Sender<Order>,
}

enum Order {
    Put(Row),
    /// Write all that came before; answered by the end of this sender.
    Flush(Sender<()>),
}

impl Embeddings {
    /// In this file, which need not exist, and is readable by its user only. One that is damaged is made anew.
    pub fn at(file: PathBuf) -> Self {
        Self {
            file,
            most: MOST,
            open: OnceLock::new(),
        }
    }

    fn open(&self) -> Option<&Open> {
        let open = || {
            let opened = Open::new(&self.file, self.most);
            let file = self.file.display();
            opened
                .inspect_err(|error| tracing::warn!("embeddings cannot be kept in {file}: {error}"))
                .ok()
        };
        self.open.get_or_init(open).as_ref()
    }

    /// The embedding of a frame, if it is kept. `content` is the hash of the file, `space` all that an embedding depends on but
    /// the picture.
    pub fn get(&self, content: &str, frame: u32, space: &str) -> Option<Vec<f32>> {
        let bytes = self.open()?.get(&key(content, frame, space))?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        let numbers: Vec<f32> = numbers.iter().map(|&n| f32::from_le_bytes(n)).collect();
        (rest.is_empty() && numbers.iter().all(|n| n.is_finite())).then_some(numbers)
    }

    /// Keeps the embedding of a frame.
    pub fn put(&self, content: &str, frame: u32, space: &str, embedding: Arc<[f32]>) {
        if let Some(open) = self.open() {
            let row = (key(content, frame, space), embedding);
            // The thread ends only after this.
            let _ = open.queue.send(Order::Put(row));
        }
    }

    /// Waits until all that was put is written, but not for ever.
    pub fn flush(&self, patience: Duration) {
        if let Some(Some(open)) = self.open.get() {
            let (done, wait) = bounded(0);
            let _ = open.queue.send(Order::Flush(done));
            let _ = wait.recv_timeout(patience);
        }
    }
}

impl Open {
    fn new(file: &Path, most: i64) -> io::Result<Self> {
        if let Some(folder) = file.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        let reader = connect(file).or_else(|error| {
            let damaged = [ErrorCode::NotADatabase, ErrorCode::DatabaseCorrupt];
            if !error
                .sqlite_error_code()
                .is_some_and(|code| damaged.contains(&code))
            {
                return Err(error);
            }
            tracing::warn!("{} is damaged, and made anew", file.display());
            let _ = std::fs::remove_file(file);
            connect(file)
        });
        let reader = reader.map_err(io::Error::other)?;
        let (queue, orders) = unbounded();
        let writer = Writer {
            file: file.to_owned(),
            most,
            told: false,
        };
        thread::Builder::new()
            .name("embeddings".into())
            .spawn(move || writer.run(&orders))?;
        Ok(Self {
            reader: Mutex::new(reader),
            queue,
        })
    }

    fn get(&self, key: &Key) -> Option<Vec<u8>> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let found = reader
            .prepare_cached("SELECT embedding FROM embeddings WHERE key = ?1")
            .and_then(|mut statement| {
                let row = statement.query_row([key.as_slice()], |row| row.get(0));
                row.optional()
            });
        found.unwrap_or_else(|error| {
            tracing::debug!("an embedding cannot be read: {error}");
            None
        })
    }
}

impl std::fmt::Debug for Embeddings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Embeddings")
    }
}

fn key(content: &str, frame: u32, space: &str) -> Key {
    let mut hasher = blake3::Hasher::new();
    for part in [content, space] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.update(&frame.to_le_bytes());
    *hasher.finalize().as_bytes()
}

fn connect(file: &Path) -> rusqlite::Result<Connection> {
    // SQLite would make it as the umask says.
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file);
    if let Err(error) = made
        && error.kind() != ErrorKind::AlreadyExists
    {
        tracing::debug!("{}: {error}", file.display());
    }
    let mut connection = Connection::open(file)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "page_size", PAGE)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = change.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != VERSION {
        change.execute_batch("DROP TABLE IF EXISTS embeddings; CREATE TABLE embeddings (key BLOB NOT NULL UNIQUE, embedding BLOB NOT NULL)")?;
        change.pragma_update(None, "user_version", VERSION)?;
    }
    change.commit()?;
    Ok(connection)
}

/// The thread that writes, with a connection of its own.
struct Writer {
    file: PathBuf,
    most: i64,
    /// It has been said that nothing can be written.
    told: bool,
}

impl Writer {
    fn run(mut self, orders: &Receiver<Order>) {
        let mut connection = None;
        while let Ok(first) = orders.recv() {
            let (mut rows, mut waiting) = (Vec::new(), Vec::new());
            let until = Instant::now() + GATHER;
            let mut next = Some(first);
            while let Some(order) = next {
                match order {
                    Order::Put(row) => rows.push(row),
                    Order::Flush(done) => {
                        waiting.push(done);
                        break;
                    }
                }
                next = orders.recv_deadline(until).ok();
            }
            if let Err(error) = self.write(&mut connection, &rows) {
                connection = None;
                if !std::mem::replace(&mut self.told, true) {
                    let file = self.file.display();
                    tracing::warn!("embeddings cannot be kept in {file}: {error}");
                }
            }
        }
    }

    fn write(&self, connection: &mut Option<Connection>, rows: &[Row]) -> rusqlite::Result<()> {
        let connection = match connection {
            Some(connection) => connection,
            none => none.insert(connect(&self.file)?),
        };
        let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (key, embedding) in rows {
            put(&change, key, embedding)?;
        }
        // The oldest have the lowest numbers.
        change.execute(
            "DELETE FROM embeddings WHERE rowid <= (SELECT max(rowid) FROM embeddings) - ?1",
            [self.most],
        )?;
        change.commit()
    }
}

fn put(change: &Transaction, key: &Key, embedding: &[f32]) -> rusqlite::Result<()> {
    let bytes: Vec<u8> = embedding.iter().flat_map(|n| n.to_le_bytes()).collect();
    let mut statement = change
        .prepare_cached("INSERT OR REPLACE INTO embeddings (key, embedding) VALUES (?1, ?2)")?;
    statement.execute(params![key.as_slice(), bytes])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn row(n: u32) -> Arc<[f32]> {
        [n as f32, 0.5, -1e-30].into()
    }

    fn file() -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("state/embeddings.sqlite3");
        (home, file)
    }

    #[test]
    fn what_was_put_is_there_for_the_next_and_nobody_else_may_read_it() {
        let (_home, path) = file();
        let kept = Embeddings::at(path.clone());
        assert_eq!(kept.get("blake3:1", 0, "m"), None);
        kept.put("blake3:1", 0, "m", row(1));
        kept.put("blake3:1", 7, "m", row(2));
        kept.put("blake3:1", 0, "n", row(3));
        kept.put("blake3:1", 0, "m", row(4));
        kept.flush(LONG);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        for kept in [&kept, &Embeddings::at(path.clone())] {
            let get = |frame, space| kept.get("blake3:1", frame, space);
            assert_eq!(get(0, "m"), Some(row(4).to_vec()), "the last one");
            assert_eq!(get(7, "m"), Some(row(2).to_vec()));
            assert_eq!(get(0, "n"), Some(row(3).to_vec()));
            assert_eq!((get(1, "m"), kept.get("blake3:2", 0, "m")), (None, None));
        }
    }

    #[test]
    fn the_oldest_make_way() {
        let (_home, path) = file();
        let kept = Embeddings {
            most: 10,
            ..Embeddings::at(path)
        };
        for n in 0..25 {
            kept.put(&n.to_string(), 0, "m", row(n));
        }
        kept.flush(LONG);
        let there: Vec<u32> = (0..25)
            .filter(|n| kept.get(&n.to_string(), 0, "m").is_some())
            .collect();
        assert_eq!(there, (15..25).collect::<Vec<_>>());
    }

    #[test]
    fn a_damaged_file_is_made_anew_and_another_layout_too() {
        let (home, path) = file();
        std::fs::create_dir(home.path().join("state")).unwrap();
        std::fs::write(&path, vec![b'x'; 5000]).unwrap();
        let kept = Embeddings::at(path.clone());
        kept.put("a", 0, "m", row(1));
        kept.flush(LONG);
        assert!(kept.get("a", 0, "m").is_some());
        drop(kept);
        let other = Connection::open(&path).unwrap();
        other.pragma_update(None, "user_version", 99).unwrap();
        drop(other);
        assert_eq!(Embeddings::at(path.clone()).get("a", 0, "m"), None);
    }

    #[test]
    fn where_nothing_can_be_kept_nothing_is_and_nobody_waits() {
        let (home, path) = file();
        std::fs::write(home.path().join("state"), "a file").unwrap();
        let kept = Embeddings::at(path);
        kept.put("a", 0, "m", row(1));
        kept.flush(LONG);
        assert_eq!(kept.get("a", 0, "m"), None);
    }

    #[test]
    fn several_processes_put_and_get_at_once() {
        let (_home, path) = file();
        let stores: Vec<_> = (0..3).map(|_| Embeddings::at(path.clone())).collect();
        thread::scope(|scope| {
            for (own, kept) in stores.iter().enumerate() {
                scope.spawn(move || {
                    for n in 0..200 {
                        kept.put(&format!("{own} {n}"), 0, "m", row(n));
                        kept.get(&format!("{} {n}", (own + 1) % 3), 0, "m");
                    }
                    kept.flush(LONG);
                });
            }
        });
        let all = (0..3).flat_map(|own| (0..200).map(move |n| format!("{own} {n}")));
        assert!(
            all.into_iter()
                .all(|name| stores[0].get(&name, 0, "m").is_some())
        );
    }
}
