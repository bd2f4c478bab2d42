//! `export`: writes results from the library.

mod facts;
mod filter;
mod reports;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::library::{existing, unusable};
use super::print::{self, closed_pipe};
use super::progress::ProgressLine;
use super::{CommandSetup, Fault, Reviewer, exit, on_signals, run, shown};
use crate::app::results::reviews::Reviews;
use crate::cli::{ExportArgs, ExportFormat, ExportSubject, GlobalArgs, ReportScope};
use crate::config::{BUILTIN, DEMO};
use crate::files::{self, Access};
use crate::library::export::{FactKind, RESULT_SCHEMA, ResultColumns, TableFormat, TableWriter};
use crate::library::{AuditEvent, Library, OutputLog, ResultSelection};
use crate::paths;
use filter::ResultFilter;
use reports::ReportExport;
use signal_hook::consts::{SIGINT, SIGTERM};

/// Number of results after which progress is shown.
const PROGRESS_STEP: u64 = 1024;

/// What is said when there is nothing to export.
const NO_RESULTS: &str = "the library has no such results";

/// What is exported.
struct Export {
    library: Arc<Library>,
    selection: ResultSelection,
    filter: ResultFilter,
    format: TableFormat,
}

/// How many rows were written, and whether a signal stopped that.
struct Exported {
    rows: u64,
    is_interrupted: bool,
}

impl Export {
    /// Writes the results to `out`.
    fn write(&self, out: impl Write + Send) -> Result<Exported, ExportError> {
        let conditions = self.library.stored_conditions(&self.selection);
        let learned = self.library.has_learned(&self.selection);
        let present = self.library.has_thresholds(&self.selection);
        let columns = ResultColumns {
            conditions: conditions.map_err(unusable(&self.library))?,
            learned: learned.map_err(unusable(&self.library))?,
            present: present.map_err(unusable(&self.library))?,
        };
        let log = OutputLog::new(Arc::clone(&self.library), AuditEvent::Exported, None);
        let mut writer = TableWriter::new(out, self.format, columns, Some(log))?;
        let stopped = stopped_by_signal()?;
        let progress = ProgressLine::new();
        let (mut results, mut fault) = (0, None);
        let (mut last, mut files, mut gone) = (PathBuf::new(), 0_u64, 0_u64);
        let read = self
            .library
            .stored_results(&self.selection, &mut |path, record| {
                if !self.filter.admits(path, &record) {
                    return !stopped.load(Ordering::Relaxed);
                }
                if let Err(error) = writer.write(path, record) {
                    fault = Some(error);
                    return false;
                }
                // The results of a file follow each other.
                if path != last {
                    path.clone_into(&mut last);
                    files += 1;
                    gone += u64::from(path.try_exists().is_ok_and(|exists| !exists));
                }
                results += 1;
                if results % PROGRESS_STEP == 0 {
                    progress.set(results, None);
                }
                !stopped.load(Ordering::Relaxed)
            });
        progress.end();
        if let Some(error) = fault {
            return Err(error.into());
        }
        read.map_err(unusable(&self.library))?;
        writer.finish()?;
        if gone > 0 {
            print::message(format_args!(
                "{gone} of {files} files are not there any more; `library forget` removes what is known of them"
            ));
        }
        Ok(Exported {
            rows: results,
            is_interrupted: stopped.load(Ordering::Relaxed),
        })
    }
}

/// Where a table is written to.
type TableOutput<'a> = Box<dyn Write + Send + 'a>;

/// Writes a table to a file or to stdout. `what`: what its rows are.
fn write_table(
    file: Option<&Path>,
    format: TableFormat,
    what: &str,
    write: impl FnOnce(TableOutput) -> Result<Exported, ExportError>,
) -> Result<Exported, Fault> {
    let Some(file) = file else {
        if format != TableFormat::Parquet {
            return write(Box::new(BufWriter::new(print::stdout()))).or_else(of_stdout);
        }
        if io::stdout().is_terminal() {
            return Err(Fault::usage(
                "Parquet is not for a terminal; give a file by --output",
            ));
        }
        return write(Box::new(BufWriter::new(io::stdout()))).or_else(of_stdout);
    };
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(Fault::usage(format!("{}: no such folder", shown(folder))));
    }
    let written = files::replace(file, Access::Kept, |to| {
        let exported = write(Box::new(to))?;
        if exported.is_interrupted {
            return Err(ExportError::Interrupted(exported));
        }
        Ok(exported)
    });
    let exported = match written {
        Ok(exported) => exported,
        Err(ExportError::Interrupted(exported)) => return Ok(exported),
        Err(ExportError::Output(error)) => {
            return Err(Fault {
                code: exit::SOME_FAILED,
                message: format!("{}: {error}", shown(file)),
            });
        }
        Err(ExportError::Other(fault)) => return Err(fault),
    };
    let rows = exported.rows;
    print::message(format_args!("{rows} {what} in {}", shown(file)));
    Ok(exported)
}

/// The file that `--output` names; `None` for stdout.
fn output_file(arguments: &ExportArgs) -> Option<&Path> {
    let file = arguments.output.as_deref()?;
    let is_stdout = ["-", "/dev/stdout"].iter().any(|name| file == *name);
    (!is_stdout).then_some(file)
}

/// Why an export failed.
enum ExportError {
    /// The output cannot be written.
    Output(io::Error),
    /// A signal ended it; a file is then not replaced.
    Interrupted(Exported),
    Other(Fault),
}

impl From<io::Error> for ExportError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<Fault> for ExportError {
    fn from(fault: Fault) -> Self {
        Self::Other(fault)
    }
}

fn of_stdout(error: ExportError) -> Result<Exported, Fault> {
    match error {
        ExportError::Output(error) => closed_pipe(error).map(|()| Exported {
            rows: 0,
            is_interrupted: false,
        }),
        ExportError::Interrupted(exported) => Ok(exported),
        ExportError::Other(fault) => Err(fault),
    }
}

/// A flag that SIGINT and SIGTERM set.
fn stopped_by_signal() -> Result<Arc<AtomicBool>, Fault> {
    let stopped = Arc::new(AtomicBool::new(false));
    on_signals(&[SIGINT, SIGTERM], {
        let stopped = Arc::clone(&stopped);
        move || stopped.store(true, Ordering::Relaxed)
    })?;
    Ok(stopped)
}

/// The name by which the library knows a model.
fn stored_name(model: String) -> String {
    if model == DEMO {
        return BUILTIN.to_owned();
    }
    model
}

/// Exports structured reports; returns the exit code.
fn run_reports(
    arguments: &ExportArgs,
    library: &Arc<Library>,
    selection: &ResultSelection,
    filter: &ResultFilter,
    setup: &CommandSetup,
) -> Result<u8, Fault> {
    let folder = output_file(arguments);
    let folder = folder.ok_or_else(|| Fault::usage("reports need a folder: --output DIR"))?;
    let export = ReportExport {
        library,
        selection,
        filter,
        scope: arguments.per.unwrap_or(ReportScope::Instance),
        with_identity: setup.show_phi,
        folder,
        only_of: only_of(setup),
    };
    let stopped = stopped_by_signal()?;
    let done = export.write(&stopped)?;
    run::flush(Some(library), run::LIBRARY_TIMEOUT);
    if done.is_empty() {
        print::message(NO_RESULTS);
    }
    Ok(done.code())
}

/// The reviewer whose reviews and measurements alone are exported: one who works blind.
fn only_of(setup: &CommandSetup) -> Option<&str> {
    let Reviewer { name, blind } = &setup.reviewer;
    blind.then_some(name.as_str())
}

/// The format of a table: as named, else by the extension of the file.
fn table_format(arguments: &ExportArgs) -> Result<TableFormat, Fault> {
    Ok(match arguments.format {
        Some(ExportFormat::Csv) => TableFormat::Csv,
        Some(ExportFormat::Parquet) => TableFormat::Parquet,
        Some(ExportFormat::Jsonl | ExportFormat::Sr) => TableFormat::Jsonl,
        None => {
            let output = output_file(arguments);
            let named = output.map_or(Some(TableFormat::Jsonl), TableFormat::of_file);
            named.ok_or_else(|| {
                let file = output.map(shown).unwrap_or_default();
                Fault::usage(format!(
                    "{file}: the extension names no format; use .jsonl, .csv or .parquet, or --format"
                ))
            })?
        }
    })
}

/// Exports results; returns the exit code.
pub fn run(arguments: &ExportArgs, global: &GlobalArgs, setup: &CommandSetup) -> Result<u8, Fault> {
    if arguments.schema {
        print::write(RESULT_SCHEMA.as_bytes())?;
        return Ok(exit::OK);
    }
    let filter = ResultFilter::parse(&arguments.filter)?;
    let library = existing(setup)?;
    if let Some(file) = output_file(arguments).filter(|file| library.owns(file)) {
        let file = shown(file);
        return Err(Fault::usage(format!(
            "{file}: belongs to the library itself; name another file"
        )));
    }
    let absolute = |path: &PathBuf| {
        paths::absolute(path).map_err(|error| Fault::usage(format!("{}: {error}", shown(path))))
    };
    let paths = arguments.paths.iter().map(absolute);
    let given = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    let selection = ResultSelection {
        paths: paths.collect::<Result<_, _>>()?,
        model: given(&global.model).map(stored_name),
        prompts: given(&global.prompts.first().cloned()),
        all: arguments.all,
        by_study: arguments.per == Some(ReportScope::Study),
    };
    let kind = match arguments.what {
        ExportSubject::Results => None,
        ExportSubject::Reviews => Some(FactKind::Reviews),
        ExportSubject::Measurements => Some(FactKind::Measurements),
    };
    if let Some(kind) = kind {
        return facts::run(arguments, &library, &selection, (kind, only_of(setup)));
    }
    let mut reviews = Reviews::new(setup.reviewer.name.clone());
    if let Some(prompts) = setup.all_prompts() {
        reviews = reviews.under(prompts);
    }
    reviews.apply(library.all_reviews().map_err(unusable(&library))?);
    let filter = filter.with_reviews(reviews);
    let format = match arguments.format {
        Some(ExportFormat::Sr) => {
            return run_reports(arguments, &library, &selection, &filter, setup);
        }
        _ => table_format(arguments)?,
    };
    if arguments.per.is_some() {
        return Err(Fault::usage("--per is for --format sr"));
    }
    let export = Export {
        library: Arc::clone(&library),
        selection,
        filter,
        format,
    };
    let output = output_file(arguments);
    let exported = write_table(output, format, "results", |out| export.write(out))?;
    run::flush(Some(&library), run::LIBRARY_TIMEOUT);
    if exported.is_interrupted {
        return Ok(exit::INTERRUPTED);
    }
    if exported.rows == 0 {
        print::message(NO_RESULTS);
    }
    Ok(exit::OK)
}
