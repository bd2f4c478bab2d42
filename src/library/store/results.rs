//! Results in the library, and the audit of what was printed and written.

use std::collections::HashMap;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde::Serialize;

use super::Library;
use super::stored::verdict_json;
use super::writer::Ids;
use super::writer::WriteRequest;
use crate::library::{AggregateRecord, Outcome, Record, json};
use crate::scoring::{Decision, Verdict};

/// Version of the program in the audit.
pub(super) const PROGRAM: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
/// The frame number of an aggregate.
const AGGREGATE: i64 = -1;
/// Maximum number of results that [`Library::changes`] reads at once.
const MAX_CHANGES: u32 = 10_000;

/// A file whose content has got a result.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileWithResult {
    /// The file, as the library knows it.
    pub path: PathBuf,
    /// `blake3:<hex>` of its content.
    pub content: String,
}

/// What happened to a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditEvent {
    /// It was printed on stdout.
    Printed,
    /// It was written to a file.
    Written,
    /// It was exported from the library.
    Exported,
}

/// An entry of the audit.
#[derive(Clone, Debug)]
pub(super) struct AuditEntry {
    event: AuditEvent,
    /// Seconds since 1970.
    at: i64,
    /// The content; `None` if the file could not be read.
    hash: Option<String>,
    frame: Option<i64>,
    source: Option<Arc<ResultSource>>,
    decision: String,
    label: Option<String>,
    probability: Option<f64>,
    error: Option<String>,
}

/// What a result came from besides the image.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ResultSource {
    model: String,
    model_digest: String,
    prompts: String,
    prompts_digest: String,
    mode: String,
    device: String,
}

impl ResultSource {
    fn of(record: &Record) -> Self {
        Self {
            model: record.model.clone(),
            model_digest: record.model_digest.clone(),
            prompts: record.prompts.clone(),
            prompts_digest: record.prompts_digest.clone(),
            mode: json::name(&record.mode),
            device: record.device.clone(),
        }
    }

    fn of_aggregate(record: &AggregateRecord) -> Self {
        Self {
            model: record.model.clone(),
            model_digest: record.model_digest.clone(),
            prompts: record.prompts.clone(),
            prompts_digest: record.prompts_digest.clone(),
            mode: json::name(&record.mode),
            device: record.device.clone(),
        }
    }

    /// Whether a record has this source.
    fn is_of(&self, record: &Record) -> bool {
        self.model_digest == record.model_digest
            && self.prompts_digest == record.prompts_digest
            && self.mode == json::name(&record.mode)
            && self.device == record.device
            && self.model == record.model
            && self.prompts == record.prompts
    }

    /// The number of the source, which is added if it is new.
    fn id(&self, change: &Transaction) -> rusqlite::Result<i64> {
        let mut statement = change.prepare_cached(
            "INSERT INTO provenances (model, model_digest, prompts, prompts_digest, mode, device)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET mode = excluded.mode RETURNING id",
        )?;
        let parameters = params![
            self.model,
            self.model_digest,
            self.prompts,
            self.prompts_digest,
            self.mode,
            self.device
        ];
        statement.query_row(parameters, |row| row.get(0))
    }
}

/// The numbers of result sources, as far as they were looked up. They are never removed.
#[derive(Default)]
pub(super) struct SourceIds(HashMap<ResultSource, i64>);

impl SourceIds {
    fn id(&mut self, change: &Transaction, source: &ResultSource) -> rusqlite::Result<i64> {
        if let Some(id) = self.0.get(source) {
            return Ok(*id);
        }
        let id = source.id(change)?;
        self.0.insert(source.clone(), id);
        Ok(id)
    }
}

impl AuditEntry {
    /// The entry of an outcome at the present time. `last` is the source of the entry before, which is shared if it is the same.
    pub(super) fn new(
        event: AuditEvent,
        outcome: &Outcome,
        last: &mut Option<Arc<ResultSource>>,
    ) -> Self {
        let record = match outcome {
            Ok(record) => record,
            Err(failure) => {
                return Self {
                    event,
                    at: seconds_now(),
                    hash: None,
                    frame: None,
                    source: None,
                    decision: "failed".to_owned(),
                    label: None,
                    probability: None,
                    error: Some(json::name(&failure.kind)),
                };
            }
        };
        let source = match last.take().filter(|last| last.is_of(record)) {
            Some(last) => last,
            None => Arc::new(ResultSource::of(record)),
        };
        *last = Some(Arc::clone(&source));
        let frame = frame_number(record);
        Self::of_verdict(event, &record.content, frame, source, &record.verdict)
    }

    /// The entry of the aggregate over a series or study at the present time.
    pub(super) fn of_aggregate(event: AuditEvent, record: &AggregateRecord) -> Self {
        let source = Arc::new(ResultSource::of_aggregate(record));
        Self::of_verdict(event, &record.content, AGGREGATE, source, &record.verdict)
    }

    fn of_verdict(
        event: AuditEvent,
        content: &str,
        frame: i64,
        source: Arc<ResultSource>,
        verdict: &Verdict,
    ) -> Self {
        let is_claimed = verdict.decision != Decision::Rejected;
        Self {
            event,
            at: seconds_now(),
            hash: Some(content.to_owned()),
            frame: Some(frame),
            source: Some(source),
            decision: json::name(&verdict.decision),
            label: is_claimed.then(|| verdict.label.clone()),
            probability: is_claimed.then_some(verdict.probability),
            error: None,
        }
    }
}

/// The present time in seconds since 1970.
fn seconds_now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs().cast_signed())
}

fn frame_number(record: &Record) -> i64 {
    record.frame.map_or(AGGREGATE, i64::from)
}

impl Library {
    /// Stores results of contents that the library knows, one slice per file. One with the same content, frame, model, prompts,
    /// mode and device as one that is stored already replaces it; if it says the same, it only becomes the last one.
    pub fn put_results(&self, files: Vec<Arc<[Record]>>) {
        self.send(|| WriteRequest::Results(files));
    }

    /// The files whose content got a result, or another one than before, after position `since`, in this process or another, by
    /// path, and the position after these; of more than ten thousand results, the first ones. With `i64::MAX`, the newest position only. `None` if the
    /// library cannot be read. Costs some microseconds if there is nothing new.
    pub fn changes(&self, since: i64) -> Option<(Vec<FileWithResult>, i64)> {
        self.open()?.query(|reader| {
            let newest = "SELECT ifnull(max(id), 0) FROM results";
            let newest: i64 = reader
                .prepare_cached(newest)?
                .query_row([], |row| row.get(0))?;
            // The newest results may have been forgotten.
            if since >= newest {
                return Ok(Some((Vec::new(), newest)));
            }
            let last =
                "SELECT max(id) FROM (SELECT id FROM results WHERE id > ?1 ORDER BY id LIMIT ?2)";
            let last: i64 = reader
                .prepare_cached(last)?
                .query_row(params![since, MAX_CHANGES], |row| row.get(0))?;
            let files = files_with_results(reader, since, last)?;
            Ok(Some((files, last)))
        })
    }
}

/// The files with results after position `since`, up to position `last`, by path.
fn files_with_results(
    reader: &Connection,
    since: i64,
    last: i64,
) -> rusqlite::Result<Vec<FileWithResult>> {
    let mut statement = reader.prepare_cached(
        "SELECT DISTINCT path, hash FROM results
         JOIN files ON files.content = results.content
         JOIN contents ON contents.id = results.content
         WHERE results.id > ?1 AND results.id <= ?2 ORDER BY path",
    )?;
    let files = statement.query_map(params![since, last], |row| {
        Ok(FileWithResult {
            path: PathBuf::from(std::ffi::OsString::from_vec(row.get(0)?)),
            content: row.get(1)?,
        })
    })?;
    files.collect()
}

/// Stores the results of one file.
pub(super) fn put<'a>(
    change: &Transaction,
    ids: &mut Ids<'a>,
    sources: &mut SourceIds,
    records: &'a [Record],
) -> rusqlite::Result<()> {
    let Some(first) = records.first() else {
        return Ok(());
    };
    let Some(content) = ids.known_content(change, &first.content)? else {
        return Ok(());
    };
    let source = sources.id(change, &ResultSource::of(first))?;
    let (others, last) = recency(change, content, source)?;
    let mut stored = change.prepare_cached(
        "SELECT id, recency, verdict = ?4 AND calibrated = ?5 AND learned IS ?6 FROM results
         WHERE content = ?1 AND provenance = ?2 AND frame = ?3",
    )?;
    // What differs gets a new number, by which other processes see it.
    let mut replace = change.prepare_cached(
        "INSERT OR REPLACE INTO results (content, provenance, frame, verdict, calibrated, learned, at, recency)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let mut touch =
        change.prepare_cached("UPDATE results SET at = ?2, recency = ?3 WHERE id = ?1")?;
    for record in records {
        let verdict = verdict_json(record);
        let verdict =
            verdict.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        let frame = frame_number(record);
        let learned = record.learned.map(|count| count as i64);
        let result = params![content, source, frame, verdict, record.calibrated, learned];
        let found = stored.query_row(result, |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get(2)?))
        });
        match found.optional()? {
            Some((_, recency, true)) if others.is_none_or(|others| others < recency) => {}
            Some((id, _, true)) => {
                touch.execute(params![id, record.at, last + 1])?;
            }
            _ => {
                replace.execute(params![
                    content,
                    source,
                    frame,
                    verdict,
                    record.calibrated,
                    learned,
                    record.at,
                    last + 1
                ])?;
            }
        }
    }
    Ok(())
}

/// How recent the newest result of a content is from other sources, and from any.
fn recency(
    change: &Transaction,
    content: i64,
    source: i64,
) -> rusqlite::Result<(Option<i64>, i64)> {
    let mut statement = change.prepare_cached(
        "SELECT max(recency) FILTER (WHERE provenance <> ?2), ifnull(max(recency), 0) FROM results
         WHERE content = ?1",
    )?;
    statement.query_row([content, source], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Forgets the oldest results beyond so many.
pub(super) fn forget_oldest(change: &Transaction, max: i64) -> rusqlite::Result<()> {
    // Two queries, of which each reads one row; a query with both would read all.
    let numbers =
        "SELECT ifnull((SELECT max(id) FROM results) - (SELECT min(id) FROM results) + 1, 0)";
    let numbers: i64 = change
        .prepare_cached(numbers)?
        .query_row([], |row| row.get(0))?;
    // Results that were replaced leave gaps, so that the others must be counted, which takes milliseconds.
    if numbers <= max {
        return Ok(());
    }
    change.execute(
        "DELETE FROM results WHERE id IN (
             SELECT id FROM results ORDER BY id LIMIT max(0, (SELECT count(*) FROM results) - ?1))",
        [max],
    )?;
    Ok(())
}

/// Adds an entry to the audit.
pub(super) fn audit(
    change: &Transaction,
    sources: &mut SourceIds,
    entry: &AuditEntry,
) -> rusqlite::Result<()> {
    let source = entry.source.as_ref();
    let source = source
        .map(|source| sources.id(change, source))
        .transpose()?;
    let mut statement = change.prepare_cached(
        "INSERT INTO audit
         (at, event, program, hash, frame, provenance, decision, label, probability, error)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    statement.execute(params![
        entry.at,
        json::name(&entry.event),
        PROGRAM,
        entry.hash,
        entry.frame,
        source,
        entry.decision,
        entry.label,
        entry.probability,
        entry.error
    ])?;
    Ok(())
}

/// Removes a content from the audit, which keeps only that something was forgotten.
pub(super) fn audit_forgotten(change: &Transaction, hash: &str) -> rusqlite::Result<()> {
    change.execute("DELETE FROM audit WHERE hash = ?1", [hash])?;
    change.execute(
        "INSERT INTO audit (at, event, program) VALUES (unixepoch(), 'forgotten', ?1)",
        [PROGRAM],
    )?;
    Ok(())
}
