//! Results as a table, in one of three formats.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;

use super::{ParquetWriter, ResultColumns, ResultFormat, ResultWriter};
use crate::library::{OutputLog, Record};

/// The format of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TableFormat {
    /// One JSON object per line.
    #[default]
    Jsonl,
    /// A header, then one row per result.
    Csv,
    /// A Parquet file with the columns of a CSV.
    Parquet,
}

impl TableFormat {
    /// The format that a file's extension names, else JSONL.
    pub fn of_file(file: &Path) -> Self {
        match file.extension().and_then(OsStr::to_str) {
            Some("csv") => Self::Csv,
            Some("parquet") => Self::Parquet,
            _ => Self::Jsonl,
        }
    }
}

/// Writes results to `W` as a table.
pub struct TableWriter<W: Write + Send>(Format<W>);

enum Format<W: Write + Send> {
    Lines(ResultWriter<W>),
    Parquet(ParquetWriter<W>),
}

impl<W: Write + Send> TableWriter<W> {
    /// A writer to `out`; a CSV or Parquet file has these columns among others. `log` is told what was written.
    pub fn new(
        out: W,
        format: TableFormat,
        columns: ResultColumns,
        log: Option<OutputLog>,
    ) -> io::Result<Self> {
        let format = match format {
            TableFormat::Jsonl => ResultFormat::Jsonl,
            TableFormat::Csv => ResultFormat::Csv,
            TableFormat::Parquet => {
                let writer = ParquetWriter::new(out, columns, log)?;
                return Ok(Self(Format::Parquet(writer)));
            }
        };
        let writer = ResultWriter::with_columns(out, format, columns);
        Ok(Self(Format::Lines(writer.logged(log))))
    }

    /// Writes the result of a file.
    pub fn write(&mut self, path: &Path, record: Record) -> io::Result<()> {
        match &mut self.0 {
            Format::Lines(writer) => writer.write(path, &Ok(record)).map(drop),
            Format::Parquet(writer) => writer.write(record),
        }
    }

    /// Writes what is left.
    pub fn finish(self) -> io::Result<()> {
        match self.0 {
            Format::Lines(mut writer) => writer.finish(),
            Format::Parquet(writer) => writer.finish(),
        }
    }
}
