//! The results in the library, for export.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params_from_iter};
use serde::{Deserialize, Serialize};

use super::{ImageFacts, Library, LibraryError};
use crate::library::{NOTICE, Record, path_text};
use crate::scoring::{Decision, Mode, Score, Verdict};

/// Which results are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultSelection {
    /// Absolute paths of files, and of folders with all below them; empty for all.
    pub paths: Vec<PathBuf>,
    /// Only those of the model with this name.
    pub model: Option<String>,
    /// Only those of the prompt set with this name.
    pub prompts: Option<String>,
    /// Whether all results of a frame are wanted, not only the one that was computed last.
    pub all: bool,
    /// Whether they are wanted by Study Instance UID first; results without one come first.
    pub by_study: bool,
}

/// A verdict as it is stored.
#[derive(Deserialize)]
struct StoredVerdict {
    label: Option<String>,
    description: Option<String>,
    probability: Option<f64>,
    decision: Decision,
    reason: Option<String>,
    scores: Vec<Score>,
    /// See [`VerdictToStore`]; `None` in `single` mode, and where an earlier version stored it.
    normal: Option<Vec<String>>,
    calibrated: Option<Vec<String>>,
}

/// A verdict to be stored where each condition is decided on by itself: its fields in a line of output, and what these leave out of the scores.
#[derive(Serialize)]
struct VerdictToStore<'a> {
    #[serde(flatten)]
    verdict: &'a Verdict,
    /// The conditions that say that there is no finding.
    normal: Vec<&'a str>,
    /// The conditions whose probabilities labelled images told.
    calibrated: Vec<&'a str>,
}

/// The verdict of a result as JSON, as [`StoredVerdict`] reads it.
pub(super) fn verdict_json(record: &Record) -> serde_json::Result<String> {
    let verdict = &record.verdict;
    if record.mode == Mode::Single {
        // Of one condition that applies, the label says all.
        return serde_json::to_string(verdict);
    }
    let named = |is_meant: fn(&Score) -> bool| {
        let scores = verdict.scores.iter().filter(|score| is_meant(score));
        scores.map(|score| score.condition.as_str()).collect()
    };
    serde_json::to_string(&VerdictToStore {
        verdict,
        normal: named(|score| score.normal),
        calibrated: named(|score| score.calibrated),
    })
}

impl StoredVerdict {
    /// The scores with what the lists say of them. Where there are none, only operating points tell it: beside them only the normal
    /// condition has none.
    fn scores(&mut self, is_calibrated: bool) -> Vec<Score> {
        let mut scores = std::mem::take(&mut self.scores);
        let has_points = scores.iter().any(|score| score.threshold.is_some());
        for score in &mut scores {
            let is_in = |list: &Option<Vec<String>>| {
                let list = list.as_ref()?;
                Some(list.contains(&score.condition))
            };
            let by_points = has_points && score.threshold.is_none();
            let (normal, calibrated) = (is_in(&self.normal), is_in(&self.calibrated));
            score.normal = normal.unwrap_or(by_points);
            score.calibrated = calibrated.unwrap_or(is_calibrated);
        }
        scores
    }
}

/// A result, the file that it is of, and its frame.
type StoredResult = (PathBuf, i64, Record);

const FROM: &str = "FROM files
JOIN contents ON contents.id = files.content
JOIN results ON results.content = files.content
JOIN provenances ON provenances.id = results.provenance";

impl ResultSelection {
    /// The condition in SQL, and its parameters.
    pub(super) fn condition(&self) -> (String, Vec<rusqlite::types::Value>) {
        let (mut terms, mut values) = (Vec::new(), Vec::new());
        let mut bind = |value: rusqlite::types::Value| {
            values.push(value);
            format!("?{}", values.len())
        };
        let mut paths = Vec::new();
        for path in &self.paths {
            let bytes = path.as_os_str().as_bytes();
            let bytes = bytes.strip_suffix(b"/").unwrap_or(bytes);
            // All below a folder: from `folder/` to before `folder0`, as `0` follows `/`.
            let [below, behind] = [b"/", b"0"].map(|end| [bytes, end].concat());
            let [path, below, behind] =
                [bytes.to_vec(), below, behind].map(|bytes| bind(bytes.into()));
            paths.push(format!(
                "files.path = {path} OR files.path >= {below} AND files.path < {behind}"
            ));
        }
        if !paths.is_empty() {
            terms.push(format!("({})", paths.join(" OR ")));
        }
        for (column, name) in [("model", &self.model), ("prompts", &self.prompts)] {
            if let Some(name) = name {
                terms.push(format!(
                    "provenances.{column} = {}",
                    bind(name.clone().into())
                ));
            }
        }
        if terms.is_empty() {
            return (String::new(), values);
        }
        (format!("WHERE {}", terms.join(" AND ")), values)
    }
}

impl Library {
    /// The names of all conditions in the selected results, in the order of the results that have them.
    ///
    /// # Errors
    ///
    /// Fails if the file is not a library, or damaged.
    pub fn stored_conditions(
        &self,
        selection: &ResultSelection,
    ) -> Result<Vec<String>, LibraryError> {
        let connection = self.reader()?;
        let (condition, values) = selection.condition();
        // Results of one prompt set have the same conditions.
        let sql = format!(
            "SELECT verdict FROM results WHERE id IN (SELECT min(results.id) {FROM} {condition} GROUP BY results.provenance) ORDER BY id"
        );
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut conditions = Vec::new();
        while let Some(row) = rows.next()? {
            let mut scores = stored_verdict(row, 0)?.scores;
            scores.sort_by(|a, b| a.condition.cmp(&b.condition));
            for score in scores {
                if !conditions.contains(&score.condition) {
                    conditions.push(score.condition);
                }
            }
        }
        Ok(conditions)
    }

    /// Whether any of the selected results was learned from reviews.
    ///
    /// # Errors
    ///
    /// Fails if the file is not a library, or damaged.
    pub fn has_learned(&self, selection: &ResultSelection) -> Result<bool, LibraryError> {
        let (condition, values) = selection.condition();
        let joint = if condition.is_empty() { "WHERE" } else { "AND" };
        let sql = format!(
            "SELECT EXISTS (SELECT 1 {FROM} {condition} {joint} results.learned IS NOT NULL)"
        );
        let connection = self.reader()?;
        Ok(connection.query_row(&sql, params_from_iter(values), |row| row.get(0))?)
    }

    /// Whether any of the selected results has operating points.
    ///
    /// # Errors
    ///
    /// Fails if the file is not a library, or damaged.
    pub fn has_thresholds(&self, selection: &ResultSelection) -> Result<bool, LibraryError> {
        let (condition, values) = selection.condition();
        let joint = if condition.is_empty() { "WHERE" } else { "AND" };
        let sql = format!(
            "SELECT EXISTS (SELECT 1 {FROM} {condition} {joint} mode = 'multi' AND results.verdict LIKE '%\"threshold\":%')"
        );
        let connection = self.reader()?;
        Ok(connection.query_row(&sql, params_from_iter(values), |row| row.get(0))?)
    }

    /// Passes the selected results to `take`, by path (bytewise; if wanted, by study first), then by frame, with the aggregate of several frames last, then by the
    /// time of their computation. Their paths are absolute; they have no embedding, and no urgency. Ends early when `take` returns
    /// false. Others can write meanwhile.
    ///
    /// # Errors
    ///
    /// Fails if the file is not a library, or damaged.
    pub fn stored_results(
        &self,
        selection: &ResultSelection,
        take: &mut dyn FnMut(&Path, Record) -> bool,
    ) -> Result<(), LibraryError> {
        let connection = self.reader()?;
        let (condition, values) = selection.condition();
        let study = if selection.by_study {
            "contents.facts ->> '$.origin.study',"
        } else {
            ""
        };
        let sql = format!(
            "SELECT files.path, results.frame, results.verdict, results.at, contents.hash, contents.facts, model, model_digest,
                prompts, prompts_digest, mode, device, results.calibrated, results.learned
             {FROM} {condition} ORDER BY {study} files.path, results.frame < 0, results.frame, results.recency,
                results.id"
        );
        for_each(&connection, &sql, values, selection.all, take)?;
        Ok(())
    }
}

fn for_each(
    connection: &Connection,
    sql: &str,
    values: Vec<rusqlite::types::Value>,
    all: bool,
    take: &mut dyn FnMut(&Path, Record) -> bool,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    // The result that may not be the last one of its frame.
    let mut held: Option<StoredResult> = None;
    while let Some(row) = rows.next()? {
        let result = stored_result(row)?;
        if let Some((path, frame, record)) = held.replace(result) {
            let is_last = held
                .as_ref()
                .is_none_or(|next| (&next.0, next.1) != (&path, frame));
            if (all || is_last) && !take(&path, record) {
                return Ok(());
            }
        }
    }
    if let Some((path, _, record)) = held {
        take(&path, record);
    }
    Ok(())
}

fn stored_result(row: &Row) -> rusqlite::Result<StoredResult> {
    let path = PathBuf::from(OsString::from_vec(row.get(0)?));
    let number: i64 = row.get(1)?;
    let frame = u32::try_from(number).ok();
    let mode: Mode = parsed(10, &format!("\"{}\"", row.get::<_, String>(10)?))?;
    let mut verdict = stored_verdict(row, 2)?;
    let scores = verdict.scores(row.get(12)?);
    let none_applies =
        mode == Mode::Multi && !scores.iter().any(|own| own.is_present() || own.normal);
    let facts: ImageFacts = parsed(5, &row.get::<_, String>(5)?)?;
    let (shown, path_bytes) = path_text(&path);
    let record = Record {
        path: shown,
        path_bytes,
        frame,
        aggregate: frame.is_none().then_some("mean"),
        verdict: Verdict {
            label: verdict.label.unwrap_or_default(),
            description: verdict.description.unwrap_or_default(),
            probability: verdict.probability.unwrap_or(f64::NAN),
            calibrated: row.get(12)?,
            decision: verdict.decision,
            reason: verdict.reason,
            scores,
            urgency: None,
            answers: Vec::new(),
            none_applies,
        },
        content: row.get(4)?,
        kind: facts.kind,
        width: facts.width,
        height: facts.height,
        frames: facts.frames,
        modality: facts.modality,
        body_part: facts.body_part,
        model: row.get(6)?,
        model_digest: row.get(7)?,
        prompts: row.get(8)?,
        prompts_digest: row.get(9)?,
        mode,
        calibrated: row.get(12)?,
        learned: row.get::<_, Option<u32>>(13)?.map(|count| count as usize),
        device: row.get(11)?,
        at: row.get(3)?,
        notice: NOTICE,
        origin: facts.origin,
        synthetic: facts.synthetic,
        embedding: None,
    };
    Ok((path, number, record))
}

fn stored_verdict(row: &Row, column: usize) -> rusqlite::Result<StoredVerdict> {
    parsed(column, &row.get::<_, String>(column)?)
}

fn parsed<T: serde::de::DeserializeOwned>(column: usize, json: &str) -> rusqlite::Result<T> {
    let wrong = |error: serde_json::Error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    };
    serde_json::from_str(json).map_err(wrong)
}
