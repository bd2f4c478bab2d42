//! The store of image embeddings on disk: an image that a model has encoded is not encoded again after a restart, even if the
//! program lost its terminal or was killed.
//!
//! It is an SQLite file. A row's key is the hash of the file's content, the frame, and everything else that an embedding
//! depends on; file names are not stored. Errors are not fatal: rows that cannot be read count as missing, and rows that
//! cannot be written are computed again. There is no write-ahead log, as its shared memory does not work on network shares,
//! where home folders may be.

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

/// Maximum number of embeddings: 480 MB if each has 512 numbers.
const MAX_ROWS: i64 = 200_000;
/// How long the writer collects embeddings for one transaction.
const GATHER_TIME: Duration = Duration::from_millis(500);
/// How long to wait for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Page size in bytes: a row would waste half of the default 4096.
const PAGE_SIZE: i64 = 16_384;
/// Version of the file's schema.
const SCHEMA_VERSION: i64 = 1;

type RowKey = [u8; 32];
type EmbeddingRow = (RowKey, Arc<[f32]>);

/// A store of image embeddings. The file is opened on first use; writing happens on a thread of its own.
pub struct EmbeddingStore {
    file: PathBuf,
    max_rows: i64,
    /// Set on first use; `None` if the file cannot be opened.
    open: OnceLock<Option<OpenStore>>,
}

/// An open file: a connection for reading, and the queue of the writer.
struct OpenStore {
    reader: Mutex<Connection>,
    queue: Sender<WriteRequest>,
}

enum WriteRequest {
    Put(EmbeddingRow),
    /// Write everything that was put before, then drop this sender.
    Flush(Sender<()>),
}

impl EmbeddingStore {
    /// A store in `file`, which need not exist and is readable by its user only. A damaged file is replaced by an empty one.
    pub fn at(file: PathBuf) -> Self {
        Self {
            file,
            max_rows: MAX_ROWS,
            open: OnceLock::new(),
        }
    }

    fn open(&self) -> Option<&OpenStore> {
        let open = || {
            let opened = OpenStore::new(&self.file, self.max_rows);
            let file = self.file.display();
            opened
                .inspect_err(|error| tracing::warn!("cannot store embeddings in {file}: {error}"))
                .ok()
        };
        self.open.get_or_init(open).as_ref()
    }

    /// The embedding of a frame, if it is stored. `content` is the hash of the file, `model_key` identifies everything but the
    /// image that an embedding depends on (see [`Encoder::embedding_key`](crate::encoder::Encoder::embedding_key)).
    pub fn get(&self, content: &str, frame: u32, model_key: &str) -> Option<Vec<f32>> {
        let bytes = self.open()?.get(&row_key(content, frame, model_key))?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        let numbers: Vec<f32> = numbers.iter().map(|&n| f32::from_le_bytes(n)).collect();
        (rest.is_empty() && numbers.iter().all(|n| n.is_finite())).then_some(numbers)
    }

    /// Stores the embedding of a frame, without waiting for the disk.
    pub fn put(&self, content: &str, frame: u32, model_key: &str, embedding: Arc<[f32]>) {
        if let Some(open) = self.open() {
            let row = (row_key(content, frame, model_key), embedding);
            // Cannot fail: the writer ends only when this sender is dropped.
            let _ = open.queue.send(WriteRequest::Put(row));
        }
    }

    /// Waits at most `timeout` until everything that was put is written.
    pub fn flush(&self, timeout: Duration) {
        if let Some(Some(open)) = self.open.get() {
            let (done, wait) = bounded(0);
            let _ = open.queue.send(WriteRequest::Flush(done));
            let _ = wait.recv_timeout(timeout);
        }
    }
}

impl OpenStore {
    fn new(file: &Path, max_rows: i64) -> io::Result<Self> {
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
            tracing::warn!("{} is damaged and will be replaced", file.display());
            let _ = std::fs::remove_file(file);
            connect(file)
        });
        let reader = reader.map_err(io::Error::other)?;
        let (queue, requests) = unbounded();
        let writer = EmbeddingWriter {
            file: file.to_owned(),
            max_rows,
            has_warned: false,
        };
        thread::Builder::new()
            .name("embeddings".into())
            .spawn(move || writer.run(&requests))?;
        Ok(Self {
            reader: Mutex::new(reader),
            queue,
        })
    }

    fn get(&self, key: &RowKey) -> Option<Vec<u8>> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let found = reader
            .prepare_cached("SELECT embedding FROM embeddings WHERE key = ?1")
            .and_then(|mut statement| {
                let row = statement.query_row([key.as_slice()], |row| row.get(0));
                row.optional()
            });
        found.unwrap_or_else(|error| {
            tracing::debug!("cannot read an embedding: {error}");
            None
        })
    }
}

impl std::fmt::Debug for EmbeddingStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EmbeddingStore")
    }
}

fn row_key(content: &str, frame: u32, model_key: &str) -> RowKey {
    let mut hasher = blake3::Hasher::new();
    for part in [content, model_key] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.update(&frame.to_le_bytes());
    *hasher.finalize().as_bytes()
}

/// Opens the file, creates it or its table if need be.
fn connect(file: &Path) -> rusqlite::Result<Connection> {
    // SQLite itself would create it with the permissions that the umask leaves.
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
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = change.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != SCHEMA_VERSION {
        change.execute_batch("DROP TABLE IF EXISTS embeddings; CREATE TABLE embeddings (key BLOB NOT NULL UNIQUE, embedding BLOB NOT NULL)")?;
        change.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    change.commit()?;
    Ok(connection)
}

/// The writing thread, with a connection of its own.
struct EmbeddingWriter {
    file: PathBuf,
    max_rows: i64,
    /// Whether the user has been warned that writing fails.
    has_warned: bool,
}

impl EmbeddingWriter {
    fn run(mut self, requests: &Receiver<WriteRequest>) {
        let mut connection = None;
        while let Ok(first) = requests.recv() {
            let (mut rows, mut waiting) = (Vec::new(), Vec::new());
            let until = Instant::now() + GATHER_TIME;
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    WriteRequest::Put(row) => rows.push(row),
                    WriteRequest::Flush(done) => {
                        waiting.push(done);
                        break;
                    }
                }
                next = requests.recv_deadline(until).ok();
            }
            if let Err(error) = self.write(&mut connection, &rows) {
                connection = None;
                if !std::mem::replace(&mut self.has_warned, true) {
                    let file = self.file.display();
                    tracing::warn!("cannot store embeddings in {file}: {error}");
                }
            }
        }
    }

    fn write(
        &self,
        connection: &mut Option<Connection>,
        rows: &[EmbeddingRow],
    ) -> rusqlite::Result<()> {
        let connection = match connection {
            Some(connection) => connection,
            none => none.insert(connect(&self.file)?),
        };
        let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (key, embedding) in rows {
            put(&change, key, embedding)?;
        }
        // The oldest rows have the lowest numbers.
        change.execute(
            "DELETE FROM embeddings WHERE rowid <= (SELECT max(rowid) FROM embeddings) - ?1",
            [self.max_rows],
        )?;
        change.commit()
    }
}

fn put(change: &Transaction, key: &RowKey, embedding: &[f32]) -> rusqlite::Result<()> {
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
    fn embeddings_are_there_after_a_restart_in_a_private_file() {
        let (_home, path) = file();
        let kept = EmbeddingStore::at(path.clone());
        assert_eq!(kept.get("blake3:1", 0, "m"), None);
        kept.put("blake3:1", 0, "m", row(1));
        kept.put("blake3:1", 7, "m", row(2));
        kept.put("blake3:1", 0, "n", row(3));
        kept.put("blake3:1", 0, "m", row(4));
        kept.flush(LONG);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        for kept in [&kept, &EmbeddingStore::at(path.clone())] {
            let get = |frame, space| kept.get("blake3:1", frame, space);
            assert_eq!(get(0, "m"), Some(row(4).to_vec()), "the last one counts");
            assert_eq!(get(7, "m"), Some(row(2).to_vec()));
            assert_eq!(get(0, "n"), Some(row(3).to_vec()));
            assert_eq!((get(1, "m"), kept.get("blake3:2", 0, "m")), (None, None));
        }
    }

    #[test]
    fn the_oldest_embeddings_are_removed_beyond_the_limit() {
        let (_home, path) = file();
        let kept = EmbeddingStore {
            max_rows: 10,
            ..EmbeddingStore::at(path)
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
    fn a_damaged_file_is_replaced_and_so_is_one_of_another_version() {
        let (home, path) = file();
        std::fs::create_dir(home.path().join("state")).unwrap();
        std::fs::write(&path, vec![b'x'; 5000]).unwrap();
        let kept = EmbeddingStore::at(path.clone());
        kept.put("a", 0, "m", row(1));
        kept.flush(LONG);
        assert!(kept.get("a", 0, "m").is_some());
        drop(kept);
        let other = Connection::open(&path).unwrap();
        other.pragma_update(None, "user_version", 99).unwrap();
        drop(other);
        assert_eq!(EmbeddingStore::at(path.clone()).get("a", 0, "m"), None);
    }

    #[test]
    fn a_store_that_cannot_be_opened_stores_nothing_and_blocks_nobody() {
        let (home, path) = file();
        std::fs::write(home.path().join("state"), "a file").unwrap();
        let kept = EmbeddingStore::at(path);
        kept.put("a", 0, "m", row(1));
        kept.flush(LONG);
        assert_eq!(kept.get("a", 0, "m"), None);
    }

    #[test]
    fn several_stores_write_and_read_one_file_at_once() {
        let (_home, path) = file();
        let stores: Vec<_> = (0..3).map(|_| EmbeddingStore::at(path.clone())).collect();
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
