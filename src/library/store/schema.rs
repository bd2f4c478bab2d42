//! The library's file: its tables, their versions, and what becomes of a file that cannot be used.

use std::fmt::Write as _;
use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::{damage, make_folder, measurements};
use crate::paths;
use crate::watch::is_remote;

/// Marks an SQLite file as a library (`application_id`): "MVTL".
const APPLICATION_ID: i64 = 0x4D56_544C;
/// Version of the tables (`user_version`).
const SCHEMA_VERSION: i64 = 9;
/// Bytes that SQLite needs for the memory that the users of a library share, and for a page of its journal.
const MIN_FREE: u64 = 64 << 10;
/// Permissions of the file and its journals.
const PRIVATE: u32 = 0o600;
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
-- A row's number grows with time; frame -1 is the aggregate of all frames; verdict is JSON, as in a line of output, in `multi` mode with what that leaves
-- out of the scores.
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
    /// An earlier version of the program wrote it, and it may not be written.
    #[error(
        "an earlier version of this program wrote it (format {0}), and it may not be written to be brought up to date"
    )]
    Older(i64),
    /// It may not be written.
    #[error("it may only be read")]
    ReadOnly,
    /// Its disk is full.
    #[error("its disk is full; make room there")]
    FullDisk,
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
            Self::FullDisk => true,
            Self::Io(error) => error.kind() == io::ErrorKind::StorageFull,
            Self::Sqlite(error) => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
            _ => false,
        }
    }

    /// Whether the file is not a sound database.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Sqlite(error) if is_damage(error))
    }

    /// The same error of the library in `file`, by its cause where SQLite says only what failed.
    #[must_use]
    pub fn at(self, file: &Path) -> Self {
        let Self::Sqlite(error) = &self else {
            return self;
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::FullDisk,
            // It cannot make or enlarge a journal.
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) if is_full(file) => {
                Self::FullDisk
            }
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::CannotOpen) if is_in_read_only_folder(file) => Self::ReadOnly,
            _ => self,
        }
    }

    /// Whether the file, its folder or its file system may not be written.
    pub(super) fn denies_writing(&self) -> bool {
        match self {
            Self::ReadOnly => true,
            Self::Io(error) => matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ),
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied)
            ),
            _ => false,
        }
    }
}

/// Whether an error means that the file is not a sound database.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
    )
}

/// Whether the disk of a library has no space for a journal.
fn is_full(file: &Path) -> bool {
    let file = paths::link_target(file);
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    rustix::fs::statvfs(folder.unwrap_or(Path::new(".")))
        .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < MIN_FREE)
}

/// Whether a library is there, but no journal can be made beside it.
fn is_in_read_only_folder(file: &Path) -> bool {
    let file = paths::link_target(file);
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    file.exists() && rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_err()
}

/// Opens the file, or makes it. A damaged library is set aside, never overwritten; `report` is told. Any other file stays.
pub(super) fn open(file: &Path, report: &dyn Fn(String)) -> Result<Connection, LibraryError> {
    make_folder(file)?;
    match prepare(file) {
        Err(error) if error.is_damage() => damage::begin_anew(file, &error.to_string(), report),
        other => other,
    }
}

/// Opens the file, and makes or migrates its tables.
pub(super) fn prepare(file: &Path) -> Result<Connection, LibraryError> {
    let mut connection = connect(file)?;
    if stated(&connection)? == (APPLICATION_ID, SCHEMA_VERSION) {
        return Ok(connection);
    }
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (application, version) = stated(&change)?;
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

/// The application and the version that a file states. Fails if its list of tables cannot be read.
fn stated(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get(0));
    Ok((pragma("application_id")?, pragma("user_version")?))
}

/// Opens a library that may not be written, to read it.
pub(super) fn read_only(file: &Path) -> Result<Connection, LibraryError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let uri = uri(file)?;
    let open = |name: &str| -> rusqlite::Result<_> {
        let connection = Connection::open_with_flags(name, flags)?;
        let stated = stated(&connection)?;
        Ok((connection, stated))
    };
    let mut journal = paths::link_target(file).into_os_string();
    journal.push("-wal");
    let is_in_use = std::fs::metadata(journal).is_ok_and(|journal| journal.len() > 0);
    let (connection, (application, version)) = match open(&uri) {
        // Where the memory that readers share cannot be made, only what nobody changes can be read.
        Err(error) if !is_damage(&error) && !is_in_use => open(&format!("{uri}?immutable=1"))?,
        other => other?,
    };
    match version {
        _ if application != APPLICATION_ID => Err(LibraryError::Foreign),
        SCHEMA_VERSION => Ok(connection),
        newer if newer > SCHEMA_VERSION => Err(LibraryError::Newer(newer)),
        older => Err(LibraryError::Older(older)),
    }
}

/// The URI by which SQLite finds a file.
fn uri(file: &Path) -> io::Result<String> {
    let mut uri = "file:".to_owned();
    for byte in std::path::absolute(file)?.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    Ok(uri)
}

/// Opens a connection. On network shares there is no write-ahead log, as its shared memory does not work there.
pub(super) fn connect(file: &Path) -> Result<Connection, LibraryError> {
    make_private(&paths::link_target(file))?;
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

/// Makes the file, if there is none, so that only its user reads it: SQLite would create it with the permissions that the umask leaves,
/// and its journals have those of the file.
fn make_private(file: &Path) -> io::Result<()> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE)
        .open(file);
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Nobody has anything in an empty file yet.
            let found = file.metadata()?;
            if found.is_file() && found.len() == 0 {
                std::fs::set_permissions(file, Permissions::from_mode(PRIVATE))?;
            }
            Ok(())
        }
        made => made.map(drop),
    }
}

/// The journal that works on the file system of the library.
pub(super) fn journal_mode(file: &Path) -> &'static str {
    if is_remote(file) { "DELETE" } else { "WAL" }
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
