//! Results as a table, in one of three formats.

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
    /// The format that a file's extension names, in upper or lower case; JSONL if it has none, `None` if it names no format.
    pub fn of_file(file: &Path) -> Option<Self> {
        let Some(extension) = file.extension() else {
            return Some(Self::Jsonl);
        };
        let extension = extension.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "jsonl" | "ndjson" | "json" => Self::Jsonl,
            "csv" => Self::Csv,
            "parquet" => Self::Parquet,
            _ => return None,
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_format_that_its_extension_names_and_no_other() {
        for (file, format) in [
            ("a.csv", Some(TableFormat::Csv)),
            ("A.CSV", Some(TableFormat::Csv)),
            ("a.b.Parquet", Some(TableFormat::Parquet)),
            ("a.JSONL", Some(TableFormat::Jsonl)),
            ("results", Some(TableFormat::Jsonl)),
            ("/dev/stdout", Some(TableFormat::Jsonl)),
            ("a.txt", None),
            ("a.csv.gz", None),
        ] {
            assert_eq!(TableFormat::of_file(Path::new(file)), format, "{file}");
        }
    }
}
