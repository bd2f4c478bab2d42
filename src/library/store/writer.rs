//! The thread that writes the library.

use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, Sender};
use rusqlite::{
    Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params,
};

use super::lines::OutputLines;
use super::notices::Notices;
use super::results::{self, SourceIds};
use super::{
    FileIdentity, ImageContent, LibraryError, LineKey, OutputId, damage, lines, schema, vanished,
};
use crate::library::Record;

/// How long requests are collected for one transaction.
const GATHER_TIME: Duration = Duration::from_millis(500);
/// Maximum number of requests in one transaction, so that other processes get their turn.
const MAX_GATHERED: usize = 2000;

/// How long a write waits for other processes, longer than any of theirs takes but for `library vacuum` of a large file.
pub(super) const MAX_BUSY_TIME: Duration = Duration::from_secs(60);
/// Maximum number of results: about 0.6 GB if each has four conditions. The oldest are removed.
const MAX_RESULTS: i64 = 1_000_000;

/// Something to write.
pub(super) enum WriteRequest {
    /// The content of a file.
    File {
        path: PathBuf,
        identity: FileIdentity,
        content: Arc<ImageContent>,
    },
    /// A file that was moved.
    Moved { from: PathBuf, to: PathBuf },
    /// The embedding of a frame.
    Embedding {
        content: Arc<ImageContent>,
        frame: u32,
        model_key: String,
        numbers: Arc<[f32]>,
    },
    /// The DICOM instance in a file.
    Instance {
        path: PathBuf,
        content: Arc<ImageContent>,
    },
    /// The results of files, one slice each.
    Results(Vec<Arc<[Record]>>),
    /// Lines that were printed or written.
    Lines(OutputLines),
    /// An output, and all lines that it has got.
    Output(OutputId, Vec<LineKey>),
    /// The file turned out to be damaged when it was read, for this reason: set it aside.
    Damaged(String),
    /// Write everything before, then say whether all was written since this was last asked.
    Flush(Sender<bool>),
}

/// The writing thread's state.
pub(super) struct LibraryWriter {
    connection: Connection,
    /// The connection by which others read.
    reader: Arc<Mutex<Connection>>,
    file: PathBuf,
    /// Device and inode of the file that is open.
    opened: Option<(u64, u64)>,
    max_embeddings: i64,
    sources: SourceIds,
    notices: Arc<Notices>,
}

/// Device and inode of the file at a path; `None` if there is none.
fn device_and_inode(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

impl LibraryWriter {
    pub(super) fn new(
        connection: Connection,
        reader: Arc<Mutex<Connection>>,
        file: PathBuf,
        max_embeddings: i64,
        notices: Arc<Notices>,
    ) -> Self {
        Self {
            connection,
            reader,
            opened: device_and_inode(&file),
            file,
            max_embeddings,
            sources: SourceIds::default(),
            notices,
        }
    }

    /// Writes until the queue is closed.
    pub(super) fn run(mut self, requests: &Receiver<WriteRequest>) {
        let mut has_lost = false;
        while let Ok(first) = requests.recv() {
            let (mut gathered, mut waiting) = (Vec::new(), Vec::new());
            let until = Instant::now() + GATHER_TIME;
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    WriteRequest::Flush(done) => {
                        waiting.push(done);
                        break;
                    }
                    request => gathered.push(request),
                }
                if gathered.len() >= MAX_GATHERED {
                    break;
                }
                next = requests.recv_deadline(until).ok();
            }
            // What was begun is undone when the transaction is dropped.
            let written = catch_unwind(AssertUnwindSafe(|| self.write_or_begin_anew(&gathered)));
            let failure = match written {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.at(&self.file).to_string()),
                Err(_) => Some("internal error; see the log".to_owned()),
            };
            if let Some(failure) = failure {
                has_lost = true;
                let file = self.file.display();
                self.notices.report_fault(format!(
                    "the library {file} cannot be written: {failure}; results are shown, but not remembered"
                ));
            } else if device_and_inode(&self.file) != self.opened {
                has_lost |= !gathered.is_empty();
                // SQLite goes on writing to the file that it has open.
                let file = self.file.display();
                self.notices.report_fault(format!(
                    "the library {file} was removed or replaced; results are not remembered until the program is started again"
                ));
            }
            if !waiting.is_empty() {
                // The process may end without closing the file.
                let checkpoint = "PRAGMA wal_checkpoint(PASSIVE)";
                let _ = self.connection.query_row(checkpoint, [], |_| Ok(()));
            }
            for done in waiting {
                // Whoever does not wait any more has not heard it.
                has_lost &= done.send(!has_lost).is_err();
            }
        }
    }

    /// Writes, to a new file if the present one turns out to be damaged.
    fn write_or_begin_anew(&mut self, requests: &[WriteRequest]) -> Result<(), LibraryError> {
        let seen = requests.iter().find_map(|request| match request {
            WriteRequest::Damaged(reason) => Some(reason.clone()),
            _ => None,
        });
        if let Some(reason) = seen {
            self.begin_anew(&reason)?;
        }
        match self.write_patiently(requests) {
            Err(error) if schema::is_damage(&error) => {
                self.begin_anew(&error.to_string())?;
                Ok(self.write_patiently(requests)?)
            }
            done => Ok(done?),
        }
    }

    /// Sets the file aside and goes on with a new one, unless another process has done that.
    fn begin_anew(&mut self, reason: &str) -> Result<(), LibraryError> {
        if device_and_inode(&self.file) != self.opened {
            return Ok(());
        }
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        // Closed first: SQLite finds the journals of what it closes by their names.
        *reader = Connection::open_in_memory()?;
        self.connection = Connection::open_in_memory()?;
        let report = |sentence| self.notices.report_fault(sentence);
        *reader = damage::begin_anew(&self.file, reason, &report)?;
        self.connection = schema::connect(&self.file)?;
        self.opened = device_and_inode(&self.file);
        self.sources = SourceIds::default();
        Ok(())
    }

    /// Writes, once another process lets it.
    fn write_patiently(&mut self, requests: &[WriteRequest]) -> rusqlite::Result<()> {
        let until = Instant::now() + MAX_BUSY_TIME;
        loop {
            match self.write(requests) {
                Err(error) if is_busy(&error) && Instant::now() < until => {}
                done => return done,
            }
        }
    }

    fn write(&mut self, requests: &[WriteRequest]) -> rusqlite::Result<()> {
        if requests.is_empty() {
            return Ok(());
        }
        // Numbers looked up in a transaction that failed may not exist.
        let mut sources = std::mem::take(&mut self.sources);
        let behavior = TransactionBehavior::Immediate;
        let change = self.connection.transaction_with_behavior(behavior)?;
        let mut ids = Ids::default();
        let (mut added, mut has_results) = (false, false);
        let mut seen = HashSet::new();
        let mut conflicts = Vec::new();
        for request in requests {
            match request {
                WriteRequest::File {
                    path,
                    identity,
                    content,
                } => {
                    put_file(&change, &mut ids, path, *identity, content)?;
                    seen.insert(ids.content(&change, content)?);
                }
                WriteRequest::Moved { from, to } => {
                    let mut statement = change
                        .prepare_cached("UPDATE OR REPLACE files SET path = ?2 WHERE path = ?1")?;
                    statement.execute([path_bytes(from), path_bytes(to)])?;
                }
                WriteRequest::Embedding {
                    content,
                    frame,
                    model_key,
                    numbers,
                } => {
                    let content = ids.content(&change, content)?;
                    let model = ids.model(&change, model_key)?;
                    put_embedding(&change, (content, model, *frame), numbers)?;
                    added = true;
                }
                WriteRequest::Instance { path, content } => {
                    let conflict = put_instance(&change, &mut ids, path, content)?;
                    conflicts.extend(conflict);
                }
                WriteRequest::Results(files) => {
                    for records in files {
                        results::put(&change, &mut ids, &mut sources, records)?;
                    }
                    has_results = true;
                }
                WriteRequest::Lines(lines) => lines::put(&change, &mut sources, lines)?,
                WriteRequest::Output(output, keys) => lines::replace(&change, output, keys)?,
                WriteRequest::Damaged(_) | WriteRequest::Flush(_) => {}
            }
        }
        if has_results {
            results::forget_oldest(&change, MAX_RESULTS)?;
        }
        if added {
            // The oldest have the lowest numbers. What people have reviewed is worth most, and little.
            change.execute(
                "DELETE FROM embeddings WHERE id <= (SELECT max(id) FROM embeddings) - ?1
                 AND NOT EXISTS (SELECT 1 FROM contents JOIN reviews USING (hash)
                     WHERE contents.id = embeddings.content)",
                [self.max_embeddings],
            )?;
        }
        change.commit()?;
        self.sources = sources;
        // What it takes to ask the file system must not keep other processes waiting.
        if let Err(error) = vanished::drop_names(&self.connection, &seen) {
            tracing::debug!("names of files that are gone stay in the library: {error}");
        }
        for conflict in conflicts {
            self.notices.report_conflict(&conflict);
        }
        Ok(())
    }
}

/// Whether another process was writing.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(
        code,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// The numbers of contents and models, as far as one transaction has looked them up.
#[derive(Default)]
pub(super) struct Ids<'a> {
    contents: HashMap<&'a str, i64>,
    models: HashMap<&'a str, i64>,
}

impl<'a> Ids<'a> {
    /// The number of a content, which is added if it is new.
    pub(super) fn content(
        &mut self,
        change: &Transaction,
        content: &'a ImageContent,
    ) -> rusqlite::Result<i64> {
        if let Some(id) = self.contents.get(content.hash.as_str()) {
            return Ok(*id);
        }
        let facts = serde_json::to_string(&content.facts);
        let facts = facts.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        let mut statement = change.prepare_cached(
            "INSERT INTO contents (hash, facts) VALUES (?1, ?2)
             ON CONFLICT (hash) DO UPDATE SET facts = excluded.facts RETURNING id",
        )?;
        let id = statement.query_row(params![content.hash, facts], |row| row.get(0))?;
        self.contents.insert(&content.hash, id);
        Ok(id)
    }

    /// The number of a content, if there is one.
    pub(super) fn known_content(
        &mut self,
        change: &Transaction,
        hash: &'a str,
    ) -> rusqlite::Result<Option<i64>> {
        if let Some(id) = self.contents.get(hash) {
            return Ok(Some(*id));
        }
        let mut statement = change.prepare_cached("SELECT id FROM contents WHERE hash = ?1")?;
        let id = statement.query_row([hash], |row| row.get(0)).optional()?;
        if let Some(id) = id {
            self.contents.insert(hash, id);
        }
        Ok(id)
    }

    /// The number of a model, which is added if it is new.
    fn model(&mut self, change: &Transaction, key: &'a str) -> rusqlite::Result<i64> {
        if let Some(id) = self.models.get(key) {
            return Ok(*id);
        }
        let mut statement = change.prepare_cached(
            "INSERT INTO models (key) VALUES (?1)
             ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING id",
        )?;
        let id = statement.query_row([key], |row| row.get(0))?;
        self.models.insert(key, id);
        Ok(id)
    }
}

fn put_file<'a>(
    change: &Transaction,
    ids: &mut Ids<'a>,
    path: &Path,
    identity: FileIdentity,
    content: &'a ImageContent,
) -> rusqlite::Result<()> {
    let content = ids.content(change, content)?;
    let seen = SystemTime::now().duration_since(UNIX_EPOCH);
    let seen = seen.map_or(0, |since| since.as_secs().cast_signed());
    let FileIdentity {
        size,
        modified,
        changed,
        inode,
    } = identity;
    let mut statement = change.prepare_cached(
        "INSERT OR REPLACE INTO files (path, content, size, modified, changed, inode, seen)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let path = path_bytes(path);
    statement.execute(params![path, content, size, modified, changed, inode, seen])?;
    Ok(())
}

/// Notes the instance in a file. Returns a sentence if another content has its SOP Instance UID.
fn put_instance<'a>(
    change: &Transaction,
    ids: &mut Ids<'a>,
    path: &Path,
    content: &'a ImageContent,
) -> rusqlite::Result<Option<String>> {
    let Some(uid) = &content.facts.origin.instance else {
        return Ok(None);
    };
    let content = ids.content(change, content)?;
    let own = path_bytes(path);
    let mut statement = change.prepare_cached(
        "INSERT INTO instances (uid, content, path) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?;
    if statement.execute(params![uid, content, own])? == 0 {
        return Ok(None);
    }
    let mut statement = change.prepare_cached(
        "SELECT path FROM instances WHERE uid = ?1 AND content <> ?2 ORDER BY content DESC LIMIT 1",
    )?;
    let other: Option<Vec<u8>> = statement
        .query_row(params![uid, content], |row| row.get(0))
        .optional()?;
    Ok(other.map(|other| {
        let name = path.display();
        if other == own {
            return format!(
                "{name}: was replaced by another content with the same SOP Instance UID"
            );
        }
        let other = Path::new(std::ffi::OsStr::from_bytes(&other)).display();
        format!("{name}: has the SOP Instance UID of {other}, but another content")
    }))
}

fn put_embedding(
    change: &Transaction,
    (content, model, frame): (i64, i64, u32),
    numbers: &[f32],
) -> rusqlite::Result<()> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    let mut statement = change.prepare_cached(
        "INSERT OR REPLACE INTO embeddings (content, model, frame, numbers) VALUES (?1, ?2, ?3, ?4)",
    )?;
    statement.execute(params![content, model, frame, bytes])?;
    Ok(())
}

/// A path as the library stores it.
pub(super) fn path_bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}
