//! Where `watch` writes its lines: stdout, or a file that may be rotated while it runs.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::line_file::{self, LineFile};
use crate::cli;
use crate::commands::print;
use crate::commands::run::ScoreFits;
use crate::commands::{Fault, shown};
use crate::library::export::{ResultFormat, ResultWriter, WrittenLines};
use crate::library::{AggregateRecord, AuditEvent, Library, Outcome, OutputId, OutputLog};
use crate::prompts::Prompts;
use crate::scoring::Mode;

/// The output of `watch`. With a library, each line is written once, also by several runs.
pub(super) struct WatchOutput {
    writer: ResultWriter<BufWriter<Box<dyn Write>>>,
    /// The file; `None` for stdout.
    file: Option<OutputFile>,
    format: ResultFormat,
    library: Option<Arc<Library>>,
    prompts: Prompts,
    /// Which columns a new CSV has that not all have.
    shows: ShownColumns,
    /// Whether lines are buffered.
    is_buffering: bool,
    /// Whether the reader of the pipe that it is has gone.
    is_closed: bool,
}

/// Columns of a CSV that not all have.
#[derive(Clone, Copy, Default)]
pub(super) struct ShownColumns {
    learned: bool,
    present: bool,
}

/// The columns that results have under these prompts.
pub(super) fn shown_columns(mode: Mode, fits: &ScoreFits, prompts: &Prompts) -> ShownColumns {
    let (calibrations, learned) = fits;
    ShownColumns {
        learned: learned.are_for(prompts),
        present: mode == Mode::Multi && calibrations.have_thresholds(prompts),
    }
}

/// A file of lines.
struct OutputFile {
    path: PathBuf,
    id: OutputId,
    file: LineFile,
}

impl WatchOutput {
    /// Opens the end of the file, or stdout.
    pub(super) fn open(
        arguments: &cli::WatchArgs,
        prompts: &Prompts,
        library: Option<Arc<Library>>,
        shows: ShownColumns,
    ) -> Result<Self, Fault> {
        if let Some(path) = &arguments.output {
            let format = arguments.results.format.unwrap_or(ResultFormat::Jsonl);
            // A pipe has a reader from here until it is open.
            let _open = wait_for_reader(path)?;
            return open_file(path, format, prompts, (library, shows))
                .map_err(|error| Fault::usage(format!("{}: {error}", shown(path))));
        }
        let format = arguments.results.format();
        let out: Box<dyn Write> = Box::new(print::stdout());
        let mut writer = ResultWriter::new(BufWriter::new(out), format, prompts)
            .showing_learned(shows.learned)
            .showing_present(shows.present);
        if let Some(library) = &library {
            let id = OutputId::stdout(&arguments.dir);
            let written = WrittenLines::remembered(library.lines(&id));
            let log = OutputLog::new(Arc::clone(library), AuditEvent::Printed, Some(id));
            writer = writer.following(written).logged(Some(log));
        }
        Ok(Self {
            writer,
            file: None,
            format,
            library,
            prompts: prompts.clone(),
            shows,
            is_buffering: false,
            is_closed: false,
        })
    }

    /// Whether the reader of the pipe that it is has gone: nothing can be written any more.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// The fault of an error; notes that the reader of a pipe has gone.
    fn fault(&mut self, error: &io::Error) -> Fault {
        self.is_closed |= error.kind() == ErrorKind::BrokenPipe;
        Fault::output(error)
    }

    /// Opens the file again by its name, because it may have been renamed (by logrotate). A new file goes on where the old one
    /// ended. Writes to stdout go on as before.
    pub(super) fn reopen(&mut self, prompts: &Prompts, shows: ShownColumns) -> Result<(), Fault> {
        self.flush()?;
        (self.prompts, self.shows) = (prompts.clone(), shows);
        let Some(OutputFile { path, file, .. }) = &self.file else {
            return Ok(());
        };
        if !file.is_regular() && file.is_at(path) {
            // The pipe or device that is open.
            return Ok(());
        }
        let name = shown(path);
        if let Err(error) = self.open_again() {
            print::message(format_args!(
                "warning: {name} cannot be opened again: {error}; results go on to the file opened before"
            ));
        }
        Ok(())
    }

    /// Opens the file again by its name.
    fn open_again(&mut self) -> io::Result<()> {
        let Some(OutputFile { path, id, file }) = &self.file else {
            return Ok(());
        };
        let kept = (self.library.clone(), self.shows);
        // It may be the same file.
        file.unlock();
        let mut new = match open_file(path, self.format, &self.prompts, kept) {
            Ok(new) => new,
            Err(error) => {
                file.lock()?;
                return Err(error);
            }
        };
        let keys: Vec<_> = self.writer.written().keys().collect();
        if let (Some(library), Some(file)) = (&self.library, &new.file)
            && file.id != *id
        {
            library.output_goes_on(file.id.clone(), keys.clone());
        }
        new.writer.written_mut().extend(keys);
        *self = new;
        Ok(())
    }

    /// Goes on in a new file if the one that was opened is not at its name any more: lines in a file without a name would be lost.
    fn follow_name(&mut self) -> Result<(), Fault> {
        let Some(OutputFile { path, file, .. }) = &self.file else {
            return Ok(());
        };
        if self.is_buffering || !file.is_regular() || file.is_at(path) {
            return Ok(());
        }
        let name = shown(path);
        print::message(format_args!(
            "warning: {name} was removed, renamed or replaced; results go on in a new file of this name"
        ));
        self.open_again().map_err(|error| Fault::output(&error))
    }

    /// Forgets the line of an outcome, because an equal one would be about another content.
    pub(super) fn forget(&mut self, path: &Path, outcome: &Outcome) {
        self.writer.written_mut().forget(path, outcome);
    }

    /// Writes a line; false if it was written before.
    pub(super) fn write(&mut self, path: &Path, outcome: &Outcome) -> Result<bool, Fault> {
        self.follow_name()?;
        self.is_buffering = true;
        let written = self.writer.write(path, outcome);
        written.map_err(|error| self.fault(&error))
    }

    /// Writes the line of a series or study; false if it was written before.
    pub(super) fn write_aggregate(&mut self, record: &AggregateRecord) -> Result<bool, Fault> {
        self.follow_name()?;
        self.is_buffering = true;
        let written = self.writer.write_aggregate(record);
        written.map_err(|error| self.fault(&error))
    }

    /// Writes what is buffered.
    pub(super) fn flush(&mut self) -> Result<(), Fault> {
        self.is_buffering = false;
        let flushed = self.writer.flush();
        flushed.map_err(|error| self.fault(&error))
    }

    /// Writes the rest, and the header of a CSV without lines.
    pub(super) fn finish(&mut self) -> Result<(), Fault> {
        let finished = self.writer.finish();
        finished.map_err(|error| self.fault(&error))
    }
}

/// Opens the end of a file, and mends it. With a library, also finds the lines that it holds.
fn open_file(
    path: &Path,
    format: ResultFormat,
    prompts: &Prompts,
    (library, shows): (Option<Arc<Library>>, ShownColumns),
) -> io::Result<WatchOutput> {
    let mut file = LineFile::open(path)?;
    let id = OutputId::file(path, &file.metadata()?);
    let mut written = WrittenLines::default();
    if file.is_regular() {
        let lines = WrittenLines::recover(file.file_mut(), format)?;
        if let Some(library) = &library {
            written = lines;
            written.extend(library.lines(&id));
        }
    }
    let header = match format {
        ResultFormat::Csv if file.is_regular() => csv_header(file.file_mut())?,
        _ => None,
    };
    let has_lines = file.metadata()?.len() > 0;
    let out: Box<dyn Write> = Box::new(file.writer()?);
    let mut writer = ResultWriter::new(BufWriter::new(out), format, prompts)
        .showing_learned(shows.learned)
        .showing_present(shows.present)
        .following(written);
    if let Some(header) = header {
        writer = writer.with_header(&header);
    } else if has_lines {
        writer = writer.without_header();
    }
    let log = library.clone();
    let log = log.map(|library| OutputLog::new(library, AuditEvent::Written, None));
    Ok(WatchOutput {
        writer: writer.logged(log),
        file: Some(OutputFile {
            path: path.to_owned(),
            id,
            file,
        }),
        format,
        library,
        prompts: prompts.clone(),
        shows,
        is_buffering: false,
        is_closed: false,
    })
}

/// Waits until a process reads the pipe at `path`, if one is there; returns its other end.
fn wait_for_reader(path: &Path) -> Result<Option<File>, Fault> {
    let waits = || {
        let name = shown(path);
        print::message(format_args!("waiting for a process that reads {name}"));
    };
    line_file::wait_for_reader(path, waits)
        .map_err(|error| Fault::usage(format!("{}: {error}", shown(path))))
}

/// The first row of a file; `None` if it is empty.
fn csv_header(file: &mut File) -> io::Result<Option<csv::StringRecord>> {
    io::Seek::rewind(file)?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(&*file);
    // What is not a row of text is not a header, and stays where it is.
    Ok(reader.records().next().and_then(Result::ok))
}
