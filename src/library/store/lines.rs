//! Which lines an output of `watch` has got, and the audit of every line.

use std::collections::HashSet;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use rusqlite::{OptionalExtension, Transaction, params};

use super::Library;
use super::results::{self, AuditEntry, AuditEvent, ResultSource, SourceIds};
use super::writer::WriteRequest;
use crate::library::{AggregateRecord, Outcome, Record};
use crate::paths;

/// Number of lines after which the library is told of them at the latest.
const MAX_WAITING: usize = 256;

/// What a line is about: content, then file, frame, model and prompts, or file and error. Lines with the same key are the same.
/// The first 8 bytes depend on the content only.
pub type LineKey = [u8; 16];

/// An output of `watch`: stdout or a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputId {
    name: Vec<u8>,
    file: FileBirth,
}

/// What tells a file from another one that gets its name later. All `None` for stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct FileBirth {
    inode: Option<i64>,
    /// Nanoseconds since 1970; `None` if the file system does not say.
    born: Option<i64>,
}

impl OutputId {
    /// The stdout of `watch` on a folder.
    pub fn stdout(folder: &Path) -> Self {
        Self {
            name: name(b"stdout of ", folder),
            file: FileBirth::default(),
        }
    }

    /// A file with these metadata.
    pub fn file(path: &Path, metadata: &Metadata) -> Self {
        let born = metadata.created().ok();
        let born = born.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            name: name(b"file ", path),
            file: FileBirth {
                inode: Some(metadata.ino().cast_signed()),
                born: born.and_then(|since| i64::try_from(since.as_nanos()).ok()),
            },
        }
    }
}

fn name(kind: &[u8], path: &Path) -> Vec<u8> {
    let absolute = paths::absolute(path).unwrap_or_else(|_| path.to_owned());
    [kind, absolute.as_os_str().as_bytes()].concat()
}

/// Lines of an output.
#[derive(Debug)]
pub(super) struct OutputLines {
    /// The output that remembers its lines, if it does.
    output: Option<OutputId>,
    /// The keys of the lines, if they are remembered.
    keys: Vec<LineKey>,
    entries: Vec<AuditEntry>,
}

/// Tells the library which lines were printed or written.
#[derive(Debug)]
pub struct OutputLog {
    library: Arc<Library>,
    event: AuditEvent,
    /// The output whose lines are remembered; `None` if they need not be.
    output: Option<OutputId>,
    /// The source of the last entry, as most have the same.
    last: Option<Arc<ResultSource>>,
    keys: Vec<LineKey>,
    /// Lines that may not have left the program yet.
    entries: Vec<AuditEntry>,
}

impl OutputLog {
    /// A log of lines to which `event` happens; those of `output` are remembered.
    pub fn new(library: Arc<Library>, event: AuditEvent, output: Option<OutputId>) -> Self {
        Self {
            library,
            event,
            output,
            last: None,
            keys: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// Notes a line that is about to be written. True if there are so many that the output should be flushed.
    pub(in crate::library) fn add(&mut self, key: Option<LineKey>, outcome: &Outcome) -> bool {
        let entry = AuditEntry::new(self.event, outcome, &mut self.last);
        self.push(key, entry)
    }

    /// Notes results that have been written together.
    pub fn add_written(&mut self, records: impl IntoIterator<Item = Record>) {
        for record in records {
            if self.add(None, &Ok(record)) {
                self.flushed();
            }
        }
    }

    /// As [`Self::add`], for the line of a series or study.
    pub(in crate::library) fn add_aggregate(
        &mut self,
        key: Option<LineKey>,
        record: &AggregateRecord,
    ) -> bool {
        let entry = AuditEntry::of_aggregate(self.event, record);
        self.push(key, entry)
    }

    fn push(&mut self, key: Option<LineKey>, entry: AuditEntry) -> bool {
        self.entries.push(entry);
        if self.output.is_some() {
            self.keys.extend(key);
        }
        self.entries.len() >= MAX_WAITING
    }

    /// Tells the library of all lines: they have been written.
    pub fn flushed(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        let lines = OutputLines {
            output: self.output.clone(),
            keys: std::mem::take(&mut self.keys),
            entries: std::mem::take(&mut self.entries),
        };
        self.library.send(|| WriteRequest::Lines(lines));
    }
}

impl Library {
    /// The keys of the lines that an output has got; none if it is another file than then.
    pub fn lines(&self, output: &OutputId) -> HashSet<LineKey> {
        let found = self.open().and_then(|open| {
            open.query(|reader| {
                let mut statement = reader.prepare(
                    "SELECT id FROM outputs WHERE name = ?1 AND inode IS ?2 AND born IS ?3",
                )?;
                let FileBirth { inode, born } = output.file;
                let id: Option<i64> = statement
                    .query_row(params![output.name, inode, born], |row| row.get(0))
                    .optional()?;
                let mut statement = reader.prepare("SELECT key FROM lines WHERE output = ?1")?;
                let keys = statement.query_map([id], |row| row.get(0))?;
                keys.collect::<Result<HashSet<LineKey>, _>>().map(Some)
            })
        });
        found.unwrap_or_default()
    }

    /// Notes that an output goes on in another file, as after its rotation: these lines need not be written to it again. Waits
    /// until that is stored.
    pub fn output_goes_on(&self, output: OutputId, keys: Vec<LineKey>) {
        self.send(|| WriteRequest::Output(output, keys));
        self.flush(super::FLUSH_TIMEOUT);
    }
}

/// Stores lines.
pub(super) fn put(
    change: &Transaction,
    sources: &mut SourceIds,
    lines: &OutputLines,
) -> rusqlite::Result<()> {
    for entry in &lines.entries {
        results::audit(change, sources, entry)?;
    }
    match &lines.output {
        Some(output) => put_keys(change, output, &lines.keys),
        None => Ok(()),
    }
}

fn put_keys(change: &Transaction, output: &OutputId, keys: &[LineKey]) -> rusqlite::Result<()> {
    let FileBirth { inode, born } = output.file;
    let id: i64 = change.query_row(
        "INSERT INTO outputs (name, inode, born) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET inode = excluded.inode, born = excluded.born RETURNING id",
        params![output.name, inode, born],
        |row| row.get(0),
    )?;
    let mut statement =
        change.prepare_cached("INSERT OR IGNORE INTO lines (output, key) VALUES (?1, ?2)")?;
    for key in keys {
        statement.execute(params![id, key.as_slice()])?;
    }
    Ok(())
}

/// Replaces the lines of an output.
pub(super) fn replace(
    change: &Transaction,
    output: &OutputId,
    keys: &[LineKey],
) -> rusqlite::Result<()> {
    change.execute("DELETE FROM outputs WHERE name = ?1", [&output.name])?;
    put_keys(change, output, keys)
}

/// Removes the lines about a content.
pub(super) fn forget(change: &Transaction, hash: &str) -> rusqlite::Result<()> {
    let of_content = content_part(hash);
    change.execute(
        "DELETE FROM lines WHERE substr(key, 1, 8) = ?1",
        [of_content.as_slice()],
    )?;
    Ok(())
}

/// The first part of the keys of lines about a content.
pub(in crate::library) fn content_part(hash: &str) -> [u8; 8] {
    let mut part = [0; 8];
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(hash.as_bytes())
        .finalize_xof()
        .fill(&mut part);
    part
}
