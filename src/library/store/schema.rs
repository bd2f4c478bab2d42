//! The library's file: its tables, their versions, and what becomes of a file that cannot be used.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::{make_folder, measurements};
use crate::watch::is_remote;

/// Marks an SQLite file as a library (`application_id`): "MVTL".
const APPLICATION_ID: i64 = 0x4D56_544C;
/// The first bytes of an SQLite database.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";
/// The extensions of a file that is taken for a damaged library if its first bytes are something else.
const DATABASE_EXTENSIONS: [&str; 3] = ["sqlite3", "sqlite", "db"];
/// Version of the tables (`user_version`).
const SCHEMA_VERSION: i64 = 9;
/// How long to wait for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait before the journal is tried again.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// Page size in bytes: a row of embeddings would waste half of the default 4096.
const PAGE_SIZE: i64 = 16_384;

/// The statements that lead from each version to the next; the first makes the tables.
pub(super) const MIGRATIONS: [&str; SCHEMA_VERSION as usize] = [
    "
CREATE TABLE contents (
    id INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    facts TEXT NOT NULL
) STRICT;
CREATE TABLE files (
    path BLOB PRIMARY KEY,
    content INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE,
    size INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    seen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX files_by_content ON files (content);
CREATE TABLE models (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE embeddings (
    id INTEGER PRIMARY KEY,
    content INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE,
    model INTEGER NOT NULL REFERENCES models,
    frame INTEGER NOT NULL,
    numbers BLOB NOT NULL,
    UNIQUE (content, model, frame)
) STRICT;
CREATE TABLE taken_over (
    key BLOB PRIMARY KEY,
    numbers BLOB NOT NULL
) STRICT, WITHOUT ROWID;
",
    "
CREATE TABLE provenances (
    id INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    model_digest TEXT NOT NULL,
    prompts TEXT NOT NULL,
    prompts_digest TEXT NOT NULL,
    mode TEXT NOT NULL,
    device TEXT NOT NULL,
    UNIQUE (model_digest, prompts_digest, mode, device, model, prompts)
) STRICT;
-- A row's number grows with time; frame -1 is the aggregate of all frames; verdict is JSON, as in a line of output.
CREATE TABLE results (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    content INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE,
    provenance INTEGER NOT NULL REFERENCES provenances,
    frame INTEGER NOT NULL,
    at TEXT NOT NULL,
    verdict TEXT NOT NULL,
    UNIQUE (content, provenance, frame)
) STRICT;
-- What was printed or written, and what was forgotten; at is in seconds since 1970.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    program TEXT NOT NULL,
    hash TEXT,
    frame INTEGER,
    provenance INTEGER REFERENCES provenances,
    decision TEXT,
    label TEXT,
    probability REAL,
    error TEXT
) STRICT;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'the audit is only appended to'); END;
CREATE VIEW audit_log AS
SELECT strftime('%Y-%m-%dT%H:%M:%SZ', at, 'unixepoch') AS at, event, hash, frame, decision, label, probability, error,
    model, model_digest, prompts, prompts_digest, mode, device, program
FROM audit LEFT JOIN provenances ON provenances.id = audit.provenance;
-- Outputs of `watch`, and the lines that each of them has got; inode and born tell a file from another one with its name.
CREATE TABLE outputs (
    id INTEGER PRIMARY KEY,
    name BLOB NOT NULL UNIQUE,
    inode INTEGER,
    born INTEGER
) STRICT;
CREATE TABLE lines (
    output INTEGER NOT NULL REFERENCES outputs ON DELETE CASCADE,
    key BLOB NOT NULL,
    PRIMARY KEY (output, key)
) STRICT, WITHOUT ROWID;
-- Contents by SOP Instance UID, of which there should be one; path is where the content was seen first.
CREATE TABLE instances (
    uid TEXT NOT NULL,
    content INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE,
    path BLOB NOT NULL,
    PRIMARY KEY (uid, content)
) STRICT, WITHOUT ROWID;
",
    "
-- Every version of every review. The last of a content, prompt set and reviewer with state 0 is in force; 1 is undone and can be
-- redone, 2 can not any more. revision grows with every change; path is that of the image when it was reviewed; labels is a
-- JSON array, or NULL if there is no decision.
CREATE TABLE reviews (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    revision INTEGER NOT NULL UNIQUE,
    hash TEXT NOT NULL,
    prompts TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    path BLOB NOT NULL,
    at TEXT NOT NULL,
    labels TEXT,
    note TEXT NOT NULL,
    flagged INTEGER NOT NULL,
    blind INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX reviews_by_content ON reviews (hash, prompts, reviewer, state);
CREATE INDEX reviews_by_reviewer ON reviews (reviewer, state);
-- Images that were drawn at random for a reviewer to label.
CREATE TABLE samples (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hash TEXT NOT NULL,
    prompts TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    at TEXT NOT NULL,
    UNIQUE (hash, prompts, reviewer)
) STRICT;
ALTER TABLE audit ADD COLUMN reviewer TEXT;
DROP VIEW audit_log;
CREATE VIEW audit_log AS
SELECT strftime('%Y-%m-%dT%H:%M:%SZ', at, 'unixepoch') AS at, event, hash, frame, decision, label, probability, error,
    model, model_digest, prompts, prompts_digest, mode, device, reviewer, program
FROM audit LEFT JOIN provenances ON provenances.id = audit.provenance;
",
    measurements::TABLE,
    "
ALTER TABLE results ADD COLUMN calibrated INTEGER NOT NULL DEFAULT 0;
",
    "
-- Versions that one import added have the same number, and are undone and redone together.
ALTER TABLE reviews ADD COLUMN import INTEGER;
",
    "
-- The number of reviews from which the scores were learned; NULL if they are zero-shot.
ALTER TABLE results ADD COLUMN learned INTEGER;
",
    "
-- What tells the image's patient from others, where a table of labels named them: a hash.
ALTER TABLE reviews ADD COLUMN patient TEXT;
",
    "
-- Among the results of a content, the one that was computed last has the highest; 0 before that was noted, where the number tells it.
ALTER TABLE results ADD COLUMN recency INTEGER NOT NULL DEFAULT 0;
",
];

/// Why a library cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// A newer version of the program wrote it.
    #[error(
        "a newer version of this program wrote it (format {0}, this one knows {SCHEMA_VERSION})"
    )]
    Newer(i64),
    /// It is an SQLite file of another program.
    #[error("it is a database, but not a library of this program")]
    Foreign,
    /// It is no database at all.
    #[error("it is not a database, and is left as it is; name another file with --library")]
    NotADatabase,
    /// The file or its folder cannot be made or opened.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// SQLite reports an error.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
}

impl LibraryError {
    /// Whether it failed for want of space.
    pub fn is_full_disk(&self) -> bool {
        match self {
            Self::Io(error) => error.kind() == io::ErrorKind::StorageFull,
            Self::Sqlite(error) => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
            Self::Newer(_) | Self::Foreign | Self::NotADatabase => false,
        }
    }

    /// Whether the file is not a sound database.
    fn is_damage(&self) -> bool {
        let Self::Sqlite(error) = self else {
            return false;
        };
        matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
        )
    }
}

/// Opens the file, or makes it. A damaged library is set aside, never overwritten; `report` is told. Any other file stays.
pub(super) fn open(file: &Path, report: &dyn Fn(String)) -> Result<Connection, LibraryError> {
    make_folder(file)?;
    match prepare(file) {
        Err(error) if error.is_damage() => {
            if !is_database(file)? {
                return Err(LibraryError::NotADatabase);
            }
            let aside = set_aside(file)?;
            report(format!(
                "the library {} is damaged ({error}); it was renamed to {}, and a new one begun",
                file.display(),
                aside.display()
            ));
            prepare(file)
        }
        other => other,
    }
}

/// Opens the file, and makes or migrates its tables.
pub(super) fn prepare(file: &Path) -> Result<Connection, LibraryError> {
    let mut connection = connect(file)?;
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let pragma = |name| change.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 =
        change.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && tables > 0 {
        return Err(LibraryError::Foreign);
    }
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    let Some(missing) = MIGRATIONS.get(done..) else {
        return Err(LibraryError::Newer(version));
    };
    for migration in missing {
        change.execute_batch(migration)?;
    }
    change.pragma_update(None, "application_id", APPLICATION_ID)?;
    change.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    change.commit()?;
    Ok(connection)
}

/// Opens a connection. On network shares there is no write-ahead log, as its shared memory does not work there.
pub(super) fn connect(file: &Path) -> Result<Connection, LibraryError> {
    // SQLite itself would create it with the permissions that the umask leaves.
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file);
    if let Err(error) = made
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error.into());
    }
    let connection = Connection::open(file)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    let began = Instant::now();
    // SQLite does not wait for a lock that it needs to change the journal: while the first process makes the library, or the
    // last one leaves it, that fails at once.
    while let Err(error) = connection.pragma_update(None, "journal_mode", journal_mode(file)) {
        if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy)
            || began.elapsed() >= BUSY_TIMEOUT
        {
            return Err(error.into());
        }
        std::thread::sleep(BUSY_PAUSE);
    }
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

/// The journal that works on the file system of the library.
pub(super) fn journal_mode(file: &Path) -> &'static str {
    if is_remote(file) { "DELETE" } else { "WAL" }
}

/// Whether a file was an SQLite database, by its first bytes or, where these are damaged, by its name.
fn is_database(file: &Path) -> io::Result<bool> {
    let mut first = Vec::new();
    std::fs::File::open(file)?
        .take(SQLITE_MAGIC.len() as u64)
        .read_to_end(&mut first)?;
    let extension = file.extension().and_then(|extension| extension.to_str());
    Ok(first == SQLITE_MAGIC || extension.is_some_and(|e| DATABASE_EXTENSIONS.contains(&e)))
}

/// Renames a damaged file, with its journals.
fn set_aside(file: &Path) -> io::Result<PathBuf> {
    let time = Timestamp::now().strftime("%Y%m%dT%H%M%S").to_string();
    let named = |suffix: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let aside = (0..1000)
        .map(|n| match n {
            0 => named(&format!(".damaged-{time}")),
            n => named(&format!(".damaged-{time}-{n}")),
        })
        .find(|path| !path.exists())
        .unwrap_or_else(|| named(".damaged"));
    std::fs::rename(file, &aside)?;
    for journal in ["-wal", "-shm", "-journal"] {
        let mut name = aside.clone().into_os_string();
        name.push(journal);
        match std::fs::rename(named(journal), name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

/// Takes over the embeddings of an earlier version's file, and removes that. Which contents they belong to shows only when
/// those are seen again (see [`previous_key`]). An unreadable file is left alone.
pub(super) fn take_over(connection: &mut Connection, previous: &Path) -> Result<(), LibraryError> {
    if !previous.exists() {
        return Ok(());
    }
    let name = previous.to_string_lossy();
    if connection
        .execute("ATTACH ?1 AS previous", [&*name])
        .is_err()
    {
        return Ok(());
    }
    let copied = connection.execute(
        "INSERT OR IGNORE INTO main.taken_over SELECT key, embedding FROM previous.embeddings",
        [],
    );
    connection.execute("DETACH previous", [])?;
    match copied {
        Ok(_) => std::fs::remove_file(previous).map_err(LibraryError::Io),
        Err(error) => {
            tracing::debug!("{name} cannot be taken over: {error}");
            Ok(())
        }
    }
}

/// The key of an embedding in an earlier version's file.
pub(super) fn previous_key(hash: &str, frame: u32, model_key: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in [hash, model_key] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.update(&frame.to_le_bytes());
    *hasher.finalize().as_bytes()
}
