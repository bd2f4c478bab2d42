//! Reviews and measurements as tables.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::parquet::{ColumnType, ParquetTable};
use super::table::TableFormat;
use crate::library::{Review, StoredMeasurement, json, path_text};

/// A column: its name, where its value is in the JSON of a row, and its type.
type FactColumn = (&'static str, &'static str, ColumnType);

/// What a table is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactKind {
    /// What reviewers say, one row per image, prompt set and reviewer.
    Reviews,
    /// Lengths, angles and regions, one row each.
    Measurements,
}

const REVIEW_COLUMNS: [FactColumn; 10] = [
    ("path", "/path", ColumnType::Text),
    ("content", "/content", ColumnType::Text),
    ("prompts", "/prompts", ColumnType::Text),
    ("reviewer", "/reviewer", ColumnType::Text),
    ("at", "/at", ColumnType::Text),
    ("labels", "/labels", ColumnType::Text),
    ("note", "/note", ColumnType::Text),
    ("flagged", "/flagged", ColumnType::Flag),
    ("blind", "/blind", ColumnType::Flag),
    ("sampled", "/sampled", ColumnType::Flag),
];

const MEASUREMENT_COLUMNS: [FactColumn; 19] = [
    ("path", "/path", ColumnType::Text),
    ("content", "/content", ColumnType::Text),
    ("key", "/key", ColumnType::Text),
    ("frame", "/frame", ColumnType::Integer),
    ("kind", "/kind", ColumnType::Text),
    ("points", "/points", ColumnType::Text),
    ("length", "/length/value", ColumnType::Number),
    ("length_unit", "/length/unit", ColumnType::Text),
    ("degrees", "/degrees", ColumnType::Number),
    ("area", "/area/value", ColumnType::Number),
    ("area_unit", "/area/unit", ColumnType::Text),
    ("pixels", "/statistics/pixels", ColumnType::Integer),
    ("mean", "/statistics/mean", ColumnType::Number),
    ("deviation", "/statistics/deviation", ColumnType::Number),
    ("min", "/statistics/min", ColumnType::Number),
    ("max", "/statistics/max", ColumnType::Number),
    ("unit", "/unit", ColumnType::Text),
    ("author", "/author", ColumnType::Text),
    ("at", "/at", ColumnType::Text),
];

impl FactKind {
    fn columns(self) -> &'static [FactColumn] {
        match self {
            Self::Reviews => &REVIEW_COLUMNS,
            Self::Measurements => &MEASUREMENT_COLUMNS,
        }
    }

    /// What its rows are.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reviews => "reviews",
            Self::Measurements => "measurements",
        }
    }
}

/// A row about a file.
#[derive(Debug, Serialize)]
struct OfFile<'a, T: Serialize> {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    content: &'a str,
    #[serde(flatten)]
    fact: T,
}

impl<'a, T: Serialize> OfFile<'a, T> {
    fn new(path: &Path, content: &'a str, fact: T) -> Self {
        let (path, path_bytes) = path_text(path);
        Self {
            path,
            path_bytes,
            content,
            fact,
        }
    }
}

/// What a review says, as it is exported.
#[derive(Debug, Serialize)]
struct ExportedReview<'a> {
    prompts: &'a str,
    reviewer: &'a str,
    at: &'a str,
    /// Empty if the image shows none of the conditions; null if that is not decided.
    labels: &'a Option<Vec<String>>,
    note: &'a str,
    flagged: bool,
    blind: bool,
    sampled: bool,
}

/// Writes reviews or measurements to `W`.
pub struct FactWriter<W: Write + Send> {
    kind: FactKind,
    out: FactOutput<W>,
}

enum FactOutput<W: Write + Send> {
    Lines(W),
    Csv(Box<csv::Writer<W>>),
    Parquet(Box<ParquetTable<W>>),
}

impl<W: Write + Send> FactWriter<W> {
    /// A writer to `out`. Lists are texts in CSV and Parquet: labels with `; ` between them, points as JSON.
    pub fn new(out: W, format: TableFormat, kind: FactKind) -> io::Result<Self> {
        let columns = kind.columns();
        let out = match format {
            TableFormat::Jsonl => FactOutput::Lines(out),
            TableFormat::Csv => {
                let mut writer = csv::Writer::from_writer(out);
                writer.write_record(columns.iter().map(|(name, ..)| *name))?;
                FactOutput::Csv(Box::new(writer))
            }
            TableFormat::Parquet => {
                let columns = columns
                    .iter()
                    .map(|(name, _, of)| ((*name).to_owned(), *of));
                let columns: Vec<_> = columns.collect();
                FactOutput::Parquet(Box::new(ParquetTable::new(out, kind.name(), &columns)?))
            }
        };
        Ok(Self { kind, out })
    }

    /// Writes a review. `sampled`: whether the image was drawn at random for the reviewer.
    pub fn review(&mut self, review: &Review, sampled: bool) -> io::Result<()> {
        let fact = ExportedReview {
            prompts: &review.prompts,
            reviewer: &review.reviewer,
            at: &review.at,
            labels: &review.labels,
            note: &review.note,
            flagged: review.flagged,
            blind: review.blind,
            sampled,
        };
        self.write(&OfFile::new(&review.path, &review.content, fact))
    }

    /// Writes a measurement on a file.
    pub fn measurement(
        &mut self,
        path: &Path,
        content: &str,
        measurement: &StoredMeasurement,
    ) -> io::Result<()> {
        self.write(&OfFile::new(path, content, measurement))
    }

    fn write(&mut self, row: &impl Serialize) -> io::Result<()> {
        let cells = |row: &Value| {
            let columns = self.kind.columns().iter();
            let cells = columns.map(|(_, pointer, of)| cell(row.pointer(pointer), *of));
            cells.collect::<Vec<Option<Value>>>()
        };
        match &mut self.out {
            FactOutput::Lines(out) => {
                out.write_all(json::line(row)?.as_bytes())?;
                out.write_all(b"\n")
            }
            FactOutput::Csv(writer) => {
                let cells = cells(&serde_json::to_value(row)?);
                let texts = cells.into_iter().map(|cell| match cell {
                    Some(Value::String(text)) => text,
                    Some(value) => value.to_string(),
                    None => String::new(),
                });
                Ok(writer.write_record(texts)?)
            }
            FactOutput::Parquet(table) => {
                let cells = cells(&serde_json::to_value(row)?);
                table.write(cells.iter().map(Option::as_ref)).map(drop)
            }
        }
    }

    /// Writes what is left.
    pub fn finish(self) -> io::Result<()> {
        match self.out {
            FactOutput::Lines(mut out) => out.flush(),
            FactOutput::Csv(mut writer) => writer.flush(),
            FactOutput::Parquet(table) => table.finish(),
        }
    }
}

/// A value as a column holds it.
fn cell(value: Option<&Value>, of: ColumnType) -> Option<Value> {
    let value = value.filter(|value| !value.is_null())?;
    Some(match (value, of) {
        (Value::Array(items), ColumnType::Text) if items.iter().all(Value::is_string) => {
            let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            items.join("; ").into()
        }
        (Value::Array(_), ColumnType::Text) => value.to_string().into(),
        _ => value.clone(),
    })
}
