//! `classify`: classifies files and folders, and prints the results in the order of the inputs.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crossbeam_channel::{Sender, bounded};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::mix::MixOptions;
use super::print::{self, closed_pipe};
use super::progress::ProgressLine;
use super::run::{self, BatchHandler, Run, RunEnd, RunMessage};
use super::summary::{Summary, is_not_an_image};
use super::{CommandSetup, Fault, exit, leave, on_signals};
use crate::cli;
use crate::engine::Lane;
use crate::jobs::{End, Ended, MAX_RUNNING};
use crate::library::export::ResultWriter;
use crate::library::{AuditEvent, Failure, Outcome, OutputLog};
use crate::media::{clean, walk};
use crate::scoring::Mode;

/// How many files the walk may be ahead of the requests.
const MAX_WALK_AHEAD: usize = 256;
/// Maximum number of files between the first unwritten one and the latest request, because results are written in order.
const MAX_PENDING: usize = 2 * MAX_RUNNING;

/// A file or folder that the walk found.
struct InputFile {
    /// Its number in the order of the inputs, from 0.
    seq: u64,
    path: PathBuf,
    /// Whether it yields a line even if it is not an image: arguments do, other files in folders do not.
    named: bool,
    /// Why it cannot be read.
    failure: Option<Failure>,
}

/// Classifies the arguments; returns the exit code.
pub fn run(arguments: &cli::ClassifyArgs, setup: &CommandSetup) -> Result<u8, Fault> {
    let prompts = setup.load_prompts_by_rules()?;
    let messages = run::messages();
    on_signals(&[SIGINT, SIGTERM], {
        let sender = messages.0.clone();
        move || drop(sender.send(RunMessage::Stop))
    })?;
    let factory = setup.factory(arguments.results.fit);
    let settings = arguments.results.settings(prompts.clone(), setup);
    let library = settings.library.clone();
    let shows_learned = settings.learned.are_for(&prompts);
    let mix = arguments.mix.adjust.clone().map(|stated| MixOptions {
        calibrations: settings.learned.calibrations(&settings.calibrations),
        prompts: prompts.clone(),
        stated,
    });
    if let Some(mix) = &mix {
        mix.check(settings.mode)?;
    }
    let shows_present =
        settings.mode == Mode::Multi && settings.calibrations.have_thresholds(&prompts);
    let progress = ProgressLine::new();
    let mut run = Run::start(factory, settings, messages, &progress);
    let (sender, inputs) = bounded(MAX_WALK_AHEAD);
    let paths = arguments.paths.clone();
    std::thread::spawn(move || walk_inputs(&paths, &sender));
    let out = BufWriter::new(print::stdout());
    let log = library
        .clone()
        .map(|library| OutputLog::new(library, AuditEvent::Printed, None));
    let writer = ResultWriter::new(out, arguments.results.format(), &prompts)
        .showing_learned(shows_learned)
        .showing_present(shows_present)
        .logged(log);
    let mut printer = Printer::new(writer, mix);
    match run.classify_all(Lane::Bulk, &inputs, &mut printer)? {
        RunEnd::Interrupted => {
            let joined = run.shutdown();
            printer.finish(true)?;
            run::flush(library.as_deref(), run::SHUTDOWN_TIMEOUT);
            if !joined {
                // A forward pass cannot be stopped. All finished results have been written.
                leave(exit::INTERRUPTED);
            }
            Ok(exit::INTERRUPTED)
        }
        RunEnd::All => {
            run.finish();
            printer.finish(false)?;
            run::flush(library.as_deref(), run::LIBRARY_TIMEOUT);
            Ok(if printer.summary.has_failures() {
                exit::SOME_FAILED
            } else {
                exit::OK
            })
        }
    }
}

/// Walks the arguments, as fast as the inputs are read.
fn walk_inputs(paths: &[PathBuf], inputs: &Sender<InputFile>) {
    let mut seq = 0;
    for root in paths {
        let is_folder = root.is_dir();
        for found in walk::files(root) {
            let input = match found {
                Ok(path) => InputFile {
                    seq,
                    path,
                    named: !is_folder,
                    failure: None,
                },
                Err(unreadable) => InputFile {
                    seq,
                    path: unreadable.path,
                    named: true,
                    failure: Some(unreadable.error.into()),
                },
            };
            // The channel closes only when the command is ending.
            if inputs.send(input).is_err() {
                return;
            }
            seq += 1;
        }
    }
}

/// A file whose line is not written yet.
struct PendingLine {
    path: PathBuf,
    named: bool,
    outcomes: Option<Vec<Outcome>>,
}

/// Writes the results in the order of the inputs.
struct Printer<W: Write> {
    writer: ResultWriter<W>,
    pending: BTreeMap<u64, PendingLine>,
    /// Number of the next file to write.
    next: u64,
    /// Number of files, once the walk is done.
    total: Option<u64>,
    summary: Summary,
    begun: Instant,
    /// What results are to be adjusted by, once all are there.
    mix: Option<MixOptions>,
    /// The results until then, in the order of the inputs.
    held: Vec<(PathBuf, Vec<Outcome>)>,
}

impl<W: Write> BatchHandler<InputFile, u64> for Printer<W> {
    fn begin(&mut self, input: InputFile) -> Option<(PathBuf, u64)> {
        let is_readable = input.failure.is_none();
        let pending = PendingLine {
            path: input.path.clone(),
            named: input.named,
            outcomes: input.failure.map(|failure| vec![Err(failure)]),
        };
        self.pending.insert(input.seq, pending);
        is_readable.then_some((input.path, input.seq))
    }

    fn end(&mut self, ended: Ended<u64>, progress: &ProgressLine) -> Result<(), Fault> {
        if let End::Answered(outcomes) = ended.end {
            for seq in ended.waiters {
                if let Some(pending) = self.pending.get_mut(&seq) {
                    pending.outcomes = Some(outcomes.clone());
                }
            }
        }
        progress.suspend(|| self.print(false))?;
        progress.set(self.next, self.total);
        Ok(())
    }

    fn all_begun(&mut self) {
        self.total = self.pending.keys().next_back().map(|last| last + 1);
    }

    fn has_room(&self) -> bool {
        self.pending.len() < MAX_PENDING
    }

    fn pause(&mut self, progress: &ProgressLine) -> Result<(), Fault> {
        // Unreadable files are finished without a job that ends.
        let is_finished = |pending: &PendingLine| pending.outcomes.is_some();
        if self.pending.get(&self.next).is_some_and(is_finished) {
            progress.suspend(|| self.print(false))?;
        }
        self.writer.flush().or_else(closed_pipe)
    }
}

impl<W: Write> Printer<W> {
    fn new(writer: ResultWriter<W>, mix: Option<MixOptions>) -> Self {
        Self {
            writer,
            pending: BTreeMap::new(),
            next: 0,
            total: None,
            summary: Summary::default(),
            begun: Instant::now(),
            mix,
            held: Vec::new(),
        }
    }

    /// Writes the finished files that are next in order; with `gaps`, all finished files.
    fn print(&mut self, gaps: bool) -> Result<(), Fault> {
        let finished: Vec<u64> = if gaps {
            self.pending
                .iter()
                .filter(|(_, p)| p.outcomes.is_some())
                .map(|(seq, _)| *seq)
                .collect()
        } else {
            let from = self.next;
            let in_order = self
                .pending
                .iter()
                .zip(from..)
                .take_while(|((seq, p), at)| *seq == at && p.outcomes.is_some());
            in_order.map(|((seq, _), _)| *seq).collect()
        };
        for seq in finished {
            if let Some(PendingLine {
                path,
                named,
                outcomes: Some(outcomes),
            }) = self.pending.remove(&seq)
            {
                self.next = seq + 1;
                self.write_line(path, named, outcomes)?;
            }
        }
        Ok(())
    }

    fn write_line(
        &mut self,
        path: PathBuf,
        named: bool,
        outcomes: Vec<Outcome>,
    ) -> Result<(), Fault> {
        if !named && is_not_an_image(&outcomes) {
            self.summary.skip();
            return Ok(());
        }
        self.summary.add(&outcomes);
        if self.mix.is_some() {
            self.held.push((path, outcomes));
            return Ok(());
        }
        self.write_outcomes(&path, &outcomes)
    }

    fn write_outcomes(&mut self, path: &Path, outcomes: &[Outcome]) -> Result<(), Fault> {
        let writer = &mut self.writer;
        outcomes
            .iter()
            .try_for_each(|outcome| writer.write(path, outcome).map(drop))
            .or_else(closed_pipe)
    }

    /// Writes the results that waited for the mix of all of them.
    fn write_adjusted(&mut self) -> Result<(), Fault> {
        let Some(mix) = self.mix.take() else {
            return Ok(());
        };
        let held = std::mem::take(&mut self.held);
        // With several frames, the last outcome is their aggregate.
        let records = held
            .iter()
            .filter_map(|(_, outcomes)| outcomes.last()?.as_ref().ok());
        let mixes = mix.mixes(records);
        for words in mixes.words() {
            print::message(clean(&words));
        }
        self.writer.adjust(mixes);
        held.iter()
            .try_for_each(|(path, outcomes)| self.write_outcomes(path, outcomes))
    }

    /// Writes the remaining results, and prints the summary.
    fn finish(&mut self, interrupted: bool) -> Result<(), Fault> {
        self.print(interrupted)?;
        self.write_adjusted()?;
        self.writer.finish().or_else(closed_pipe)?;
        let seconds = self.begun.elapsed().as_secs_f64();
        let mut parts = self.summary.parts();
        if interrupted {
            parts.push("interrupted".into());
        }
        let worth_telling = self.summary.is_notable() || interrupted || io::stderr().is_terminal();
        if worth_telling {
            print::message(format_args!("{} in {seconds:.1} s", parts.join(", ")));
        }
        Ok(())
    }
}
