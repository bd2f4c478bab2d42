//! Exports what people say: reviews and measurements.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::super::library::unusable;
use super::super::{Fault, exit, print};
use super::{ExportError, Exported, TableOutput, output_file, table_format, write_table};
use crate::cli::{ExportArgs, ExportFormat};
use crate::library::export::{FactKind, FactWriter, TableFormat};
use crate::library::{Library, ResultSelection};

/// Writes the reviews or measurements of the selected files, of all authors or only of one; returns the exit code.
pub(super) fn run(
    arguments: &ExportArgs,
    library: &Arc<Library>,
    selection: &ResultSelection,
    (kind, only_of): (FactKind, Option<&str>),
) -> Result<u8, Fault> {
    let given = [
        ("--filter", !arguments.filter.is_empty()),
        ("--all", arguments.all),
        ("--per", arguments.per.is_some()),
        ("--model", selection.model.is_some()),
        ("--format sr", arguments.format == Some(ExportFormat::Sr)),
        (
            "--prompts",
            kind == FactKind::Measurements && selection.prompts.is_some(),
        ),
    ];
    if let Some((flag, _)) = given.iter().find(|(_, is_given)| *is_given) {
        return Err(Fault::usage(format!(
            "{flag} does not apply to {}",
            kind.name()
        )));
    }
    let format = table_format(arguments)?;
    let output = output_file(arguments);
    let exported = write_table(output, format, kind.name(), |out| {
        let rows = match kind {
            FactKind::Reviews => write_reviews(out, format, library, (selection, only_of))?,
            FactKind::Measurements => {
                write_measurements(out, format, library, (selection, only_of))?
            }
        };
        Ok(Exported {
            rows,
            is_interrupted: false,
        })
    })?;
    if exported.rows == 0 {
        print::message(format_args!("the library has no such {}", kind.name()));
    }
    Ok(exit::OK)
}

fn is_by(only_of: Option<&str>, author: &str) -> bool {
    only_of.is_none_or(|only| only == author)
}

fn is_selected(selection: &ResultSelection, path: &Path) -> bool {
    let mut paths = selection.paths.iter();
    selection.paths.is_empty() || paths.any(|selected| path.starts_with(selected))
}

fn write_reviews(
    out: TableOutput,
    format: TableFormat,
    library: &Library,
    (selection, only_of): (&ResultSelection, Option<&str>),
) -> Result<u64, ExportError> {
    let all = library.all_reviews().map_err(unusable(library))?;
    let sampled = all.samples.iter();
    let sampled: HashSet<(&str, &str, &str)> = sampled
        .map(|sample| (&*sample.content, &*sample.prompts, &*sample.reviewer))
        .collect();
    let mut writer = FactWriter::new(out, format, FactKind::Reviews)?;
    let mut rows = 0;
    for review in library.reviews().map_err(unusable(library))? {
        let prompts = selection.prompts.as_ref();
        let is_wanted =
            prompts.is_none_or(|name| *name == review.prompts) && is_by(only_of, &review.reviewer);
        if is_wanted && !review.is_empty() && is_selected(selection, &review.path) {
            let key = (&*review.content, &*review.prompts, &*review.reviewer);
            writer.review(&review, sampled.contains(&key))?;
            rows += 1;
        }
    }
    writer.finish()?;
    Ok(rows)
}

fn write_measurements(
    out: TableOutput,
    format: TableFormat,
    library: &Library,
    (selection, only_of): (&ResultSelection, Option<&str>),
) -> Result<u64, ExportError> {
    let mut writer = FactWriter::new(out, format, FactKind::Measurements)?;
    let mut rows = 0;
    let measured = library.all_measurements().map_err(unusable(library))?;
    for (path, content, measurement) in measured {
        if is_selected(selection, &path) && is_by(only_of, &measurement.author) {
            writer.measurement(&path, &content, &measurement)?;
            rows += 1;
        }
    }
    writer.finish()?;
    Ok(rows)
}
