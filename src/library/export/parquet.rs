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

use super::{FIRST_COLUMNS, RESULT_COLUMNS};
use crate::library::{OutputLog, Record};

/// Rows that are held in memory and written together: about 50 MB.
const GROUP_ROWS: usize = 50_000;

/// The values of a column; `None` is null.
enum ColumnValues {
    Text(Vec<Option<ByteArray>>),
    Integer(Vec<Option<i32>>),
    Number(Vec<Option<f64>>),
}

impl ColumnValues {
    fn of(column: &str) -> Self {
        match column {
            "frame" | "width" | "height" | "frames" => Self::Integer(Vec::new()),
            "probability" => Self::Number(Vec::new()),
            _ => Self::Text(Vec::new()),
        }
    }

    fn physical_type(&self) -> PhysicalType {
        match self {
            Self::Text(_) => PhysicalType::BYTE_ARRAY,
            Self::Integer(_) => PhysicalType::INT32,
            Self::Number(_) => PhysicalType::DOUBLE,
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
            _ => return Err(ParquetError::General("a column of another type".into())),
        }
        Ok(())
    }
}

/// Writes results to a Parquet file.
pub struct ParquetWriter<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    /// The columns of results, then one per condition.
    columns: Vec<ColumnValues>,
    conditions: Vec<String>,
    rows: usize,
    /// Tells the library what was written.
    log: Option<OutputLog>,
}

impl<W: Write + Send> ParquetWriter<W> {
    /// A writer to `out` with the columns of a CSV, among them one for each of these conditions.
    /// Tells `log` of each of them.
    pub fn new(out: W, conditions: Vec<String>, log: Option<OutputLog>) -> io::Result<Self> {
        let columns = result_columns().map(ColumnValues::of);
        let numbers = conditions.iter().map(|_| ColumnValues::Number(Vec::new()));
        let columns: Vec<ColumnValues> = columns.chain(numbers).collect();
        let names = result_columns().map(ToOwned::to_owned);
        let names = names.chain(conditions.iter().map(|name| format!("p:{name}")));
        let fields = names.zip(&columns).map(|(name, values)| {
            let physical = values.physical_type();
            let logical = (physical == PhysicalType::BYTE_ARRAY).then_some(LogicalType::String);
            Type::primitive_type_builder(&name, physical)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(logical)
                .build()
                .map(Arc::new)
        });
        let fields = fields.collect::<Result<_, _>>().map_err(io_error)?;
        let schema = Type::group_type_builder("results").with_fields(fields);
        let schema = schema.build().map_err(io_error)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("medivision-tui ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        Ok(Self {
            writer: SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))
                .map_err(io_error)?,
            columns,
            conditions,
            rows: 0,
            log,
        })
    }

    /// Adds a result.
    pub fn write(&mut self, record: Record) -> io::Result<()> {
        let cells = serde_json::to_value(&record)?;
        let scores = &record.verdict.scores;
        let values = result_columns().map(|column| cells.get(column).cloned());
        let probabilities = self.conditions.iter().map(|condition| {
            let score = scores.iter().find(|score| score.condition == *condition);
            score.map(|score| score.probability.into())
        });
        let values = values.chain(probabilities);
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.push(value.as_ref());
        }
        if let Some(log) = &mut self.log {
            log.add(None, &Ok(record));
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS {
            self.write_group()?;
        }
        Ok(())
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
        if let Some(log) = &mut self.log {
            log.flushed();
        }
        Ok(())
    }

    /// Writes the rest; the file is complete then.
    pub fn finish(mut self) -> io::Result<()> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.writer.close().map(drop).map_err(io_error)
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
