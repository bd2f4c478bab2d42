//! Results as a Parquet file: the columns of a CSV, with types.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as PhysicalType};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use serde_json::Value;

use super::{FIRST_COLUMNS, LEARNED_COLUMN, RESULT_COLUMNS, ResultColumns};
use crate::library::{OutputLog, Record};

/// Rows that are held in memory and written together: about 50 MB.
const GROUP_ROWS: usize = 50_000;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnType {
    Text,
    Integer,
    Number,
    Flag,
}

impl ColumnType {
    fn of_result(column: &str) -> Self {
        match column {
            "frame" | "width" | "height" | "frames" | LEARNED_COLUMN => Self::Integer,
            "probability" => Self::Number,
            "calibrated" => Self::Flag,
            _ => Self::Text,
        }
    }

    fn physical(self) -> PhysicalType {
        match self {
            Self::Text => PhysicalType::BYTE_ARRAY,
            Self::Integer => PhysicalType::INT32,
            Self::Number => PhysicalType::DOUBLE,
            Self::Flag => PhysicalType::BOOLEAN,
        }
    }
}

/// The values of a column; `None` is null.
enum ColumnValues {
    Text(Vec<Option<ByteArray>>),
    Integer(Vec<Option<i32>>),
    Number(Vec<Option<f64>>),
    Flag(Vec<Option<bool>>),
}

impl ColumnValues {
    fn new(of: ColumnType) -> Self {
        match of {
            ColumnType::Text => Self::Text(Vec::new()),
            ColumnType::Integer => Self::Integer(Vec::new()),
            ColumnType::Number => Self::Number(Vec::new()),
            ColumnType::Flag => Self::Flag(Vec::new()),
        }
    }

    fn push(&mut self, value: Option<&Value>) {
        match self {
            Self::Text(values) => {
                values.push(value.and_then(Value::as_str).map(ByteArray::from));
            }
            Self::Integer(values) => {
                let value = value.and_then(Value::as_i64);
                values.push(value.and_then(|value| i32::try_from(value).ok()));
            }
            Self::Number(values) => values.push(value.and_then(Value::as_f64)),
            Self::Flag(values) => values.push(value.and_then(Value::as_bool)),
        }
    }

    /// Writes and removes all values.
    fn write(&mut self, to: &mut ColumnWriter) -> Result<(), ParquetError> {
        /// Where there is a value, and the values.
        fn split<T>(values: &mut Vec<Option<T>>) -> (Vec<i16>, Vec<T>) {
            let levels = values.iter().map(|value| i16::from(value.is_some()));
            let levels = levels.collect();
            (levels, values.drain(..).flatten().collect())
        }
        match (self, to) {
            (Self::Text(values), ColumnWriter::ByteArrayColumnWriter(writer)) => {
                let (levels, values) = split(values);
                writer.write_batch(&values, Some(&levels), None)?;
            }
            (Self::Integer(values), ColumnWriter::Int32ColumnWriter(writer)) => {
                let (levels, values) = split(values);
                writer.write_batch(&values, Some(&levels), None)?;
            }
            (Self::Number(values), ColumnWriter::DoubleColumnWriter(writer)) => {
                let (levels, values) = split(values);
                writer.write_batch(&values, Some(&levels), None)?;
            }
            (Self::Flag(values), ColumnWriter::BoolColumnWriter(writer)) => {
                let (levels, values) = split(values);
                writer.write_batch(&values, Some(&levels), None)?;
            }
            _ => return Err(ParquetError::General("a column of another type".into())),
        }
        Ok(())
    }
}

/// Writes rows of typed columns to a Parquet file.
pub(super) struct ParquetTable<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    columns: Vec<ColumnValues>,
    rows: usize,
}

impl<W: Write + Send> ParquetTable<W> {
    /// A writer to `out` with columns of these names and types.
    pub(super) fn new(out: W, name: &str, columns: &[(String, ColumnType)]) -> io::Result<Self> {
        let fields = columns.iter().map(|(name, of)| {
            let logical = (*of == ColumnType::Text).then_some(LogicalType::String);
            Type::primitive_type_builder(name, of.physical())
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(logical)
                .build()
                .map(Arc::new)
        });
        let fields = fields.collect::<Result<_, _>>().map_err(io_error)?;
        let schema = Type::group_type_builder(name).with_fields(fields);
        let schema = schema.build().map_err(io_error)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("medivision-tui ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let columns = columns.iter().map(|(_, of)| ColumnValues::new(*of));
        Ok(Self {
            writer: SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))
                .map_err(io_error)?,
            columns: columns.collect(),
            rows: 0,
        })
    }

    /// Adds a row, with a value or none for each column. Returns whether all rows so far are written.
    pub(super) fn write<'a>(
        &mut self,
        values: impl IntoIterator<Item = Option<&'a Value>>,
    ) -> io::Result<bool> {
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.push(value);
        }
        self.rows += 1;
        let is_full = self.rows >= GROUP_ROWS;
        if is_full {
            self.write_group()?;
        }
        Ok(is_full)
    }

    fn write_group(&mut self) -> io::Result<()> {
        self.rows = 0;
        let mut group = self.writer.next_row_group().map_err(io_error)?;
        for values in &mut self.columns {
            let Some(mut column) = group.next_column().map_err(io_error)? else {
                break;
            };
            values.write(column.untyped()).map_err(io_error)?;
            column.close().map_err(io_error)?;
        }
        group.close().map_err(io_error)?;
        Ok(())
    }

    /// Writes the rest; the file is complete then.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.writer.close().map(drop).map_err(io_error)
    }
}

/// Writes results to a Parquet file.
pub struct ParquetWriter<W: Write + Send> {
    /// The columns of results, then one per condition, then the last ones.
    table: ParquetTable<W>,
    of_results: ResultColumns,
    /// Tells the library what was written.
    log: Option<OutputLog>,
}

impl<W: Write + Send> ParquetWriter<W> {
    /// A writer to `out` with the columns of a CSV, these among them.
    /// Tells `log` of each of them.
    pub fn new(out: W, of_results: ResultColumns, log: Option<OutputLog>) -> io::Result<Self> {
        let columns = result_columns().map(|name| (name.to_owned(), ColumnType::of_result(name)));
        let numbers = of_results
            .conditions
            .iter()
            .map(|name| (format!("p:{name}"), ColumnType::Number));
        let last = of_results.last(&Value::Null, None);
        let last = last
            .into_iter()
            .map(|(name, _)| (name.to_owned(), ColumnType::of_result(name)));
        let columns: Vec<_> = columns.chain(numbers).chain(last).collect();
        Ok(Self {
            table: ParquetTable::new(out, "results", &columns)?,
            of_results,
            log,
        })
    }

    /// Adds a result.
    pub fn write(&mut self, record: Record) -> io::Result<()> {
        let cells = serde_json::to_value(&record)?;
        let scores = &record.verdict.scores;
        let conditions = self.of_results.conditions.iter();
        let probabilities = conditions.map(|condition| {
            let score = scores.iter().find(|score| score.condition == *condition);
            score.map(|score| Value::from(score.probability))
        });
        let probabilities: Vec<Option<Value>> = probabilities.collect();
        let values = result_columns().map(|column| cells.get(column));
        let values = values.chain(probabilities.iter().map(Option::as_ref));
        let last = self.of_results.last(&cells, Some(&record.verdict));
        let values = values.chain(last.iter().map(|(_, value)| value.as_ref()));
        let is_written = self.table.write(values)?;
        if let Some(log) = &mut self.log {
            log.add(None, &Ok(record));
            if is_written {
                log.flushed();
            }
        }
        Ok(())
    }

    /// Writes the rest; the file is complete then.
    pub fn finish(self) -> io::Result<()> {
        self.table.finish()?;
        if let Some(mut log) = self.log {
            log.flushed();
        }
        Ok(())
    }
}

fn result_columns() -> impl Iterator<Item = &'static str> {
    FIRST_COLUMNS.into_iter().chain(RESULT_COLUMNS)
}

/// Unwraps the I/O error, so that callers recognise a closed pipe.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        other => io::Error::other(other),
    }
}
