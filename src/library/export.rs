//! Output formats of results, one line each: JSON, CSV (RFC 4180), or a table for people. The table is written by hand because
//! its lines appear as results arrive, whereas table libraries (`comfy-table`) need all rows first.

mod facts;
mod parquet;
pub mod report;
mod table;
mod written;

use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::mixes::{AdjustedResult, FolderMixes};
use super::{AggregateRecord, Failure, Outcome, OutputLog, Record, path_text};
use crate::library::json;
use crate::media::{clean, padded};
use crate::prompts::Prompts;
use crate::scoring::{Decision, Verdict, percent};
pub use facts::{FactKind, FactWriter};
pub use parquet::ParquetWriter;
pub use table::{TableFormat, TableWriter};
pub use written::WrittenLines;

/// The output format of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ResultFormat {
    /// Aligned columns, for people.
    Table,
    /// One JSON object per line.
    Jsonl,
    /// A header, then one row per result.
    Csv,
}

/// The JSON schema of a line of [`ResultFormat::Jsonl`].
pub const RESULT_SCHEMA: &str = include_str!("export/result.schema.json");

/// The first columns of a CSV, in the contract's order.
const FIRST_COLUMNS: [&str; 21] = [
    "path",
    "frame",
    "label",
    "description",
    "probability",
    "decision",
    "reason",
    "content",
    "kind",
    "width",
    "height",
    "frames",
    "modality",
    "body_part",
    "model",
    "model_digest",
    "prompts",
    "prompts_digest",
    "mode",
    "calibrated",
    "device",
];
/// The columns after them.
const RESULT_COLUMNS: [&str; 2] = ["at", "notice"];
/// The columns of failures, before those of the conditions.
const FAILURE_COLUMNS: [&str; 2] = ["error_kind", "error_message"];

/// The last column, where some scores were learned from reviews: the number of reviews, empty for zero-shot.
const LEARNED_COLUMN: &str = "learned";

/// The column after it, where operating points are known: the conditions that reach theirs.
const PRESENT_COLUMN: &str = "present";
/// The columns after these, where results are adjusted to their folder's mix, and what the columns of conditions begin with.
const ADJUSTED_COLUMNS: [&str; 2] = ["adjusted_label", "adjusted_probability"];
const ADJUSTED_CONDITION: &str = "adjusted:";

/// The columns of a table that not all tables have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultColumns {
    /// The conditions that have one, with their probabilities.
    pub conditions: Vec<String>,
    /// Whether there is one for the number of reviews from which scores were learned.
    pub learned: bool,
    /// Whether there is one for the conditions that reach their operating points.
    pub present: bool,
}

impl ResultColumns {
    /// The names and values of the last columns, for a result or a failure.
    fn last(&self, cells: &Value, verdict: Option<&Verdict>) -> Vec<(&'static str, Option<Value>)> {
        let learned = self
            .learned
            .then(|| (LEARNED_COLUMN, cells.get(LEARNED_COLUMN).cloned()));
        let present = self
            .present
            .then(|| (PRESENT_COLUMN, verdict.and_then(present)));
        learned.into_iter().chain(present).collect()
    }
}

/// The conditions that reach their operating points; `None` where these are not known.
fn present(verdict: &Verdict) -> Option<Value> {
    verdict.scores.iter().find_map(|score| score.threshold)?;
    Some(Value::from(verdict.present().join("; ")))
}

/// First characters by which a spreadsheet takes a text for a formula.
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Width of the table's label column, in terminal cells.
const LABEL_CELLS: usize = 16;

/// Writes outcomes to `out`, one line each.
pub struct ResultWriter<W: Write> {
    out: W,
    format: ResultFormat,
    /// Columns of a CSV.
    columns: ResultColumns,
    has_header: bool,
    /// The lines that need not be written again.
    written: WrittenLines,
    /// Tells the library what was written.
    log: Option<OutputLog>,
    /// What results are adjusted to; `None` if they are not.
    mixes: Option<FolderMixes>,
}

/// A line with what its scores are adjusted to.
#[derive(Serialize)]
struct AdjustedLine<'a> {
    #[serde(flatten)]
    record: &'a Record,
    /// `None` if it cannot be adjusted.
    adjusted: Option<AdjustedResult<'a>>,
}

impl<W: Write> ResultWriter<W> {
    /// A writer to `out`; a CSV has one column for each condition of `prompts`.
    pub fn new(out: W, format: ResultFormat, prompts: &Prompts) -> Self {
        let mut conditions = Vec::new();
        for condition in prompts.sets().iter().flat_map(|set| &set.conditions) {
            if !conditions.contains(&condition.name) {
                conditions.push(condition.name.clone());
            }
        }
        let columns = ResultColumns {
            conditions,
            ..ResultColumns::default()
        };
        Self::with_columns(out, format, columns)
    }

    /// A writer to `out`; a CSV has these columns among others.
    pub fn with_columns(out: W, format: ResultFormat, columns: ResultColumns) -> Self {
        Self {
            out,
            format,
            columns,
            has_header: false,
            written: WrittenLines::default(),
            log: None,
            mixes: None,
        }
    }

    /// Writes beside all scores what they are adjusted to a folder's mix. To be called before anything is written.
    pub fn adjust(&mut self, mixes: FolderMixes) {
        self.mixes = Some(mixes);
    }

    /// Adds a column to a CSV for the number of reviews from which scores were learned.
    #[must_use]
    pub fn showing_learned(mut self, learned: bool) -> Self {
        self.columns.learned = learned;
        self
    }

    /// Adds a column to a CSV for the conditions that reach their operating points.
    #[must_use]
    pub fn showing_present(mut self, present: bool) -> Self {
        self.columns.present = present;
        self
    }

    /// Leaves out lines that were written before.
    #[must_use]
    pub fn following(mut self, written: WrittenLines) -> Self {
        self.written = written;
        self
    }

    /// Tells `log` of each line, once it is flushed.
    #[must_use]
    pub fn logged(mut self, log: Option<OutputLog>) -> Self {
        self.log = log;
        self
    }

    /// The lines that were written, also before.
    pub fn written(&self) -> &WrittenLines {
        &self.written
    }

    /// Appends to a CSV that has this header: what has a column in it keeps that, and the rest has none.
    #[must_use]
    pub fn with_header(mut self, header: &csv::StringRecord) -> Self {
        let conditions = header.iter().filter_map(|column| column.strip_prefix("p:"));
        self.columns = ResultColumns {
            conditions: conditions.map(ToOwned::to_owned).collect(),
            learned: header.iter().any(|column| column == LEARNED_COLUMN),
            present: header.iter().any(|column| column == PRESENT_COLUMN),
        };
        self.without_header()
    }

    /// Leaves out the header, because the output is appended to a file that has it already.
    #[must_use]
    pub fn without_header(mut self) -> Self {
        self.has_header = true;
        self
    }

    /// The same, to be added to.
    pub fn written_mut(&mut self) -> &mut WrittenLines {
        &mut self.written
    }

    /// Writes one outcome; false if its line was written before.
    pub fn write(&mut self, path: &Path, outcome: &Outcome) -> io::Result<bool> {
        let key = self.written.key(path, outcome);
        if key.is_some_and(|key| !self.written.insert(key)) {
            return Ok(false);
        }
        self.line(path, outcome)?;
        if self.log.as_mut().is_some_and(|log| log.add(key, outcome)) {
            self.flush()?;
        }
        Ok(true)
    }

    /// Writes the line of a series or study; false if it was written before.
    pub fn write_aggregate(&mut self, record: &AggregateRecord) -> io::Result<bool> {
        let key = self.written.aggregate_key(record);
        if key.is_some_and(|key| !self.written.insert(key)) {
            return Ok(false);
        }
        match self.format {
            ResultFormat::Jsonl => writeln!(self.out, "{}", json::line(record)?)?,
            ResultFormat::Csv => {
                let cells = serde_json::to_value(record).map_err(io::Error::other)?;
                self.csv_row(&cells, Some(&record.verdict), None)?;
            }
            ResultFormat::Table => {
                let kind = if record.series.is_some() {
                    "series"
                } else {
                    "study"
                };
                let about = format!("  ({kind}, {} images, mean)", record.instances);
                self.table_row(&record.verdict, None, &clean(&record.path), &about)?;
            }
        }
        let log = self.log.as_mut();
        if log.is_some_and(|log| log.add_aggregate(key, record)) {
            self.flush()?;
        }
        Ok(true)
    }

    fn line(&mut self, path: &Path, outcome: &Outcome) -> io::Result<()> {
        match self.format {
            ResultFormat::Jsonl => {
                let line = match outcome {
                    Ok(record) => match &self.mixes {
                        None => json::line(record),
                        Some(mixes) => json::line(&AdjustedLine {
                            record,
                            adjusted: mixes.adjusted(record),
                        }),
                    },
                    Err(failure) => json::line(&error_object(path, failure)),
                };
                writeln!(self.out, "{}", line?)
            }
            ResultFormat::Csv => self.csv(path, outcome),
            ResultFormat::Table => self.table(path, outcome),
        }
    }

    /// Flushes; first writes the header of a CSV if there were no results.
    pub fn finish(&mut self) -> io::Result<()> {
        if self.format == ResultFormat::Csv {
            self.csv_header()?;
        }
        self.flush()
    }

    /// Flushes buffered output.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()?;
        if let Some(log) = &mut self.log {
            log.flushed();
        }
        Ok(())
    }

    fn csv_header(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.has_header, true) {
            return Ok(());
        }
        let conditions = self.columns.conditions.iter();
        let conditions = conditions.map(|name| format!("p:{name}"));
        let last = self.columns.last(&Value::Null, None);
        let last = last.into_iter().map(|(name, _)| name.to_owned());
        let adjusted = self.mixes.iter().flat_map(|_| {
            let conditions = self.columns.conditions.iter();
            let conditions = conditions.map(|name| format!("{ADJUSTED_CONDITION}{name}"));
            let first = ADJUSTED_COLUMNS.iter().map(ToString::to_string);
            first.chain(conditions)
        });
        let header: Vec<String> = FIRST_COLUMNS
            .iter()
            .chain(&RESULT_COLUMNS)
            .chain(&FAILURE_COLUMNS)
            .map(ToString::to_string)
            .chain(conditions)
            .chain(last)
            .chain(adjusted)
            .collect();
        self.row(&header)
    }

    fn csv(&mut self, path: &Path, outcome: &Outcome) -> io::Result<()> {
        match outcome {
            Ok(record) => {
                let cells = serde_json::to_value(record).map_err(io::Error::other)?;
                self.csv_row(&cells, Some(&record.verdict), Some(record))
            }
            Err(failure) => {
                let cells = json!({
                    "path": path_text(path).0,
                    "error_kind": failure.kind,
                    "error_message": failure.message,
                });
                self.csv_row(&cells, None, None)
            }
        }
    }

    /// Writes a row with the values of an object that have a column, and what a verdict says. `record`: what may be adjusted.
    fn csv_row(
        &mut self,
        cells: &Value,
        verdict: Option<&Verdict>,
        record: Option<&Record>,
    ) -> io::Result<()> {
        self.csv_header()?;
        let mut row: Vec<String> = FIRST_COLUMNS
            .iter()
            .chain(&RESULT_COLUMNS)
            .chain(&FAILURE_COLUMNS)
            .map(|column| cell(cells.get(*column)))
            .collect();
        for condition in &self.columns.conditions {
            let mut scores = verdict.iter().flat_map(|verdict| &verdict.scores);
            row.push(
                scores
                    .find(|score| &score.condition == condition)
                    .map(|score| number(score.probability))
                    .unwrap_or_default(),
            );
        }
        let last = self.columns.last(cells, verdict);
        row.extend(last.iter().map(|(_, value)| cell(value.as_ref())));
        if let Some(mixes) = &self.mixes {
            let result = record.and_then(|record| mixes.adjusted(record));
            row.extend(self.adjusted_cells(result.as_ref()));
        }
        self.row(&row)
    }

    /// The cells of [`ADJUSTED_COLUMNS`] and of all conditions; empty without a result.
    fn adjusted_cells(&self, result: Option<&AdjustedResult<'_>>) -> Vec<String> {
        let own = result.map(|result| &result.adjusted);
        let label = own.map(|own| json!(own.label));
        let probability = own.map(|own| json!(own.probability));
        let conditions = self.columns.conditions.iter().map(|condition| {
            let mut scores = own.into_iter().flat_map(|own| &own.scores);
            let score = scores.find(|score| score.condition == *condition);
            score.map_or_else(String::new, |score| number(score.probability))
        });
        let first = [label, probability].map(|value| cell(value.as_ref()));
        first.into_iter().chain(conditions).collect()
    }

    fn row(&mut self, cells: &[String]) -> io::Result<()> {
        csv_row(&mut self.out, cells)
    }

    fn table(&mut self, path: &Path, outcome: &Outcome) -> io::Result<()> {
        let path = clean(&path.to_string_lossy());
        match outcome {
            Ok(record) => {
                let frame = match record.frame {
                    None => format!("  ({} frames, mean)", record.frames),
                    Some(frame) if record.frames > 1 => {
                        format!("  (frame {} of {})", frame + 1, record.frames)
                    }
                    Some(_) => String::new(),
                };
                self.table_row(&record.verdict, Some(record), &path, &frame)
            }
            Err(failure) => {
                self.table_header()?;
                let adjusted = self.adjusted_text(None);
                writeln!(
                    self.out,
                    "{:<12}{:LABEL_CELLS$}{:>6}  {adjusted}{path}: {}",
                    "failed",
                    "",
                    "",
                    clean(&failure.message)
                )
            }
        }
    }

    fn table_header(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.has_header, true) {
            return Ok(());
        }
        let label = padded("LABEL", LABEL_CELLS);
        let adjusted = match &self.mixes {
            Some(_) => format!("{}{:>6}  ", padded("ADJUSTED", LABEL_CELLS), "P"),
            None => String::new(),
        };
        writeln!(
            self.out,
            "{:<12}{label}{:>6}  {adjusted}FILE",
            "DECISION", "P"
        )
    }

    /// The columns of the adjusted label and its probability; nothing unless results are adjusted.
    fn adjusted_text(&self, record: Option<&Record>) -> String {
        let Some(mixes) = &self.mixes else {
            return String::new();
        };
        let result = record.and_then(|record| mixes.adjusted(record));
        let (label, probability) = match result {
            Some(AdjustedResult { adjusted, .. }) => (
                clean(&adjusted.label),
                format!("{:.1}%", adjusted.probability * 100.0),
            ),
            None => ("-".to_owned(), String::new()),
        };
        format!("{}{probability:>6}  ", padded(&label, LABEL_CELLS))
    }

    fn table_row(
        &mut self,
        verdict: &Verdict,
        record: Option<&Record>,
        path: &str,
        about: &str,
    ) -> io::Result<()> {
        self.table_header()?;
        let adjusted = self.adjusted_text(record);
        let TableRow {
            decision,
            label,
            probability,
        } = TableRow::of(verdict);
        let label = padded(&clean(&label), LABEL_CELLS);
        writeln!(
            self.out,
            "{decision:<12}{label}{probability:>6}  {adjusted}{path}{about}"
        )
    }
}

/// A verdict's cells in the table. A rejected image has no label: the model is not meant for it.
struct TableRow {
    decision: &'static str,
    label: String,
    probability: String,
}

impl TableRow {
    fn of(verdict: &Verdict) -> Self {
        let (decision, has_label) = match verdict.decision {
            Decision::Confident => ("confident", true),
            Decision::Uncertain => ("uncertain", true),
            Decision::Rejected => ("rejected", false),
        };
        Self {
            decision,
            label: match verdict.claimed_label() {
                Some(label) => label.to_owned(),
                None if has_label => "none".into(),
                None => "-".into(),
            },
            probability: if has_label {
                percent(verdict.probability)
            } else {
                String::new()
            },
        }
    }
}

/// The JSON object of a failed file.
pub fn error_object(path: &Path, failure: &Failure) -> Value {
    let (path, path_bytes) = path_text(path);
    let mut object = Map::new();
    object.insert("path".into(), json!(path));
    if let Some(bytes) = path_bytes {
        object.insert("path_bytes".into(), json!(bytes));
    }
    object.insert("error".into(), json!(failure));
    Value::Object(object)
}

/// Writes a row of a CSV.
pub fn csv_row(
    out: &mut impl Write,
    cells: impl IntoIterator<Item = impl AsRef<[u8]>>,
) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(out);
    writer.write_record(cells).map_err(io_error)?;
    writer.flush()
}

/// Unwraps the I/O error, so that callers recognise a closed pipe.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// A JSON scalar as a CSV cell. A quote before text that a spreadsheet could run as a formula disarms it.
pub fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) if text.starts_with(FORMULA_STARTS) => format!("'{text}"),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A number as a CSV cell: a tiny one with an exponent, as in JSON, not with a hundred zeros.
fn number(value: f64) -> String {
    const SMALLEST_PLAIN: f64 = 1e-5;
    if value != 0.0 && value.abs() < SMALLEST_PLAIN {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}

#[cfg(test)]
#[path = "export/tests.rs"]
pub(crate) mod tests;
