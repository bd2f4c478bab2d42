//! Measurements on images, kept by content, so that they are found again under any name of the file.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rusqlite::{Transaction, params};
use serde::Serialize;

use super::writer::Ids;
use super::{ImageContent, Library, LibraryError};
use crate::media::measure::{Figure, FigureKind, Measured};

/// A measurement as the library holds it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoredMeasurement {
    /// Identifies it in all libraries.
    pub key: String,
    /// Index of the frame in the order of storage, from 0.
    pub frame: u32,
    /// The figure, in pixels.
    #[serde(flatten)]
    pub figure: Figure,
    /// What it measures.
    #[serde(flatten)]
    pub measured: Measured,
    /// The unit of the values within, such as `HU`.
    pub unit: Option<String>,
    /// Who made it, or changed it last.
    pub author: String,
    /// When: RFC 3339, UTC, whole seconds.
    pub at: String,
}

/// A file, its content (`blake3:<hex>`), and a measurement on it.
pub type MeasuredFile = (PathBuf, String, StoredMeasurement);

/// The table, from its migration on.
pub(super) const TABLE: &str = "
-- key identifies a measurement in all libraries; points and measured are JSON.
CREATE TABLE measurements (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    content INTEGER NOT NULL REFERENCES contents ON DELETE CASCADE,
    frame INTEGER NOT NULL,
    kind TEXT NOT NULL,
    points TEXT NOT NULL,
    measured TEXT NOT NULL,
    unit TEXT,
    author TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;
CREATE INDEX measurements_by_content ON measurements (content);
";

impl Library {
    /// The measurements of a content, in the order in which they were made. What cannot be read is left out.
    pub fn measurements(&self, hash: &str) -> Vec<StoredMeasurement> {
        let read = || {
            self.open()?.query(|reader| {
                let mut statement = reader.prepare_cached(
                    "SELECT key, frame, kind, points, measured, unit, author, at FROM measurements
                     JOIN contents ON contents.id = measurements.content
                     WHERE contents.hash = ?1 ORDER BY measurements.id",
                )?;
                let rows = statement.query_map([hash], |row| Ok(from_row(row)))?;
                let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
                let read = rows.into_iter().filter_map(|row| {
                    row.inspect_err(|error| tracing::debug!("a measurement is unreadable: {error}"))
                        .ok()
                });
                Ok(Some(read.collect()))
            })
        };
        read().unwrap_or_default()
    }

    /// All measurements on files, with the files and their contents: by path, then in the order in which they were made.
    ///
    /// # Errors
    ///
    /// Fails if the file is not a library, or damaged.
    pub fn all_measurements(&self) -> Result<Vec<MeasuredFile>, LibraryError> {
        let connection = self.reader()?;
        let mut statement = connection.prepare(
            "SELECT key, frame, kind, points, measured, unit, author, at, files.path, contents.hash FROM measurements
             JOIN contents ON contents.id = measurements.content
             JOIN files ON files.content = measurements.content ORDER BY files.path, measurements.id",
        )?;
        let rows = statement.query_map([], |row| {
            let path = PathBuf::from(OsString::from_vec(row.get(8)?));
            Ok((path, row.get(9)?, from_row(row)))
        })?;
        let mut files = Vec::new();
        for row in rows {
            let (path, content, measurement) = row?;
            match measurement {
                Ok(measurement) => files.push((path, content, measurement)),
                Err(error) => tracing::warn!("a measurement is unreadable: {error}"),
            }
        }
        Ok(files)
    }

    /// Stores a measurement on a content, or its new state, and waits until the disk has it.
    ///
    /// # Errors
    ///
    /// Fails if the library cannot be used, or another process holds it for over a minute.
    pub fn put_measurement(
        &self,
        content: &ImageContent,
        measurement: &StoredMeasurement,
    ) -> Result<(), LibraryError> {
        self.write_durably(|change| put(change, content, measurement))
    }

    /// Removes a measurement by its key, and waits until the disk has that.
    ///
    /// # Errors
    ///
    /// As [`Self::put_measurement`].
    pub fn remove_measurement(&self, key: &str) -> Result<(), LibraryError> {
        self.write_durably(|change| remove(change, key))
    }
}

fn from_row(row: &rusqlite::Row) -> Result<StoredMeasurement, Box<dyn std::error::Error>> {
    let kind: FigureKind = serde_json::from_value(row.get::<_, String>(2)?.into())?;
    let points: Vec<[f64; 2]> = serde_json::from_str(&row.get::<_, String>(3)?)?;
    let figure = Figure { kind, points };
    if !figure.is_complete() {
        return Err(format!("{:?} of {} points", kind, figure.points.len()).into());
    }
    Ok(StoredMeasurement {
        key: row.get(0)?,
        frame: row.get(1)?,
        figure,
        measured: serde_json::from_str(&row.get::<_, String>(4)?)?,
        unit: row.get(5)?,
        author: row.get(6)?,
        at: row.get(7)?,
    })
}

/// Writes a measurement.
fn put(
    change: &Transaction,
    content: &ImageContent,
    measurement: &StoredMeasurement,
) -> rusqlite::Result<()> {
    let content = Ids::default().content(change, content)?;
    let json = |value: Result<String, serde_json::Error>| {
        value.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    };
    let Figure { kind, points } = &measurement.figure;
    let kind = json(serde_json::to_string(kind))?;
    let mut statement = change.prepare_cached(
        "INSERT INTO measurements (key, content, frame, kind, points, measured, unit, author, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (key) DO UPDATE SET points = excluded.points, measured = excluded.measured,
             unit = excluded.unit, author = excluded.author, at = excluded.at",
    )?;
    statement.execute(params![
        measurement.key,
        content,
        measurement.frame,
        kind.trim_matches('"'),
        json(serde_json::to_string(points))?,
        json(serde_json::to_string(&measurement.measured))?,
        measurement.unit,
        measurement.author,
        measurement.at,
    ])?;
    Ok(())
}

/// Removes a measurement.
fn remove(change: &Transaction, key: &str) -> rusqlite::Result<()> {
    change
        .prepare_cached("DELETE FROM measurements WHERE key = ?1")?
        .execute([key])?;
    Ok(())
}
