//! `classify`: files and folders in, one line each out, in the order of the inputs.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crossbeam_channel::{Sender, bounded};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::print::{self, closed_pipe};
use super::progress::Progress;
use super::run::{self, Batch, Note, Run, RunEnd};
use super::summary::{Summary, is_no_image};
use super::{Fault, Setup, exit, leave, on_signals};
use crate::cli;
use crate::engine::Lane;
use crate::jobs::{End, Ended, MAX_RUNNING};
use crate::library::export::ResultWriter;
use crate::library::{Failure, Outcome};
use crate::media::walk;

/// Files that are found ahead of those that are handed over.
const FOUND_AHEAD: usize = 256;
/// Results that may wait for an earlier one, so that they are written in order.
const MAX_PENDING: usize = 2 * MAX_RUNNING;

/// What the walk met; `seq` counts the lines from 0.
struct Input {
    seq: u64,
    path: PathBuf,
    /// It is an argument, not something met in a folder.
    named: bool,
    /// Why it cannot be looked into.
    lost: Option<Failure>,
}

/// Classifies; the exit code.
pub fn run(arguments: &cli::Classify, setup: &Setup) -> Result<u8, Fault> {
    let prompts = setup.load_prompts()?;
    let notes = run::notes();
    on_signals(&[SIGINT, SIGTERM], {
        let sender = notes.0.clone();
        move || drop(sender.send(Note::Stop))
    })?;
    let factory = setup.factory(arguments.results.fit);
    let settings = arguments.results.settings(prompts.clone());
    let progress = Progress::new();
    let mut run = Run::start(factory, settings, notes, &progress);
    let (sender, inputs) = bounded(FOUND_AHEAD);
    let paths = arguments.paths.clone();
    std::thread::spawn(move || find(&paths, &sender));
    let out = BufWriter::new(print::stdout());
    let mut printer = Printer::new(ResultWriter::new(out, arguments.results.format(), &prompts));
    match run.through(Lane::Bulk, &inputs, &mut printer)? {
        RunEnd::Interrupted => {
            let joined = run.shutdown();
            printer.leave(true)?;
            if !joined {
                // A forward pass cannot be stopped; everything finished is written.
                leave(exit::INTERRUPTED);
            }
            Ok(exit::INTERRUPTED)
        }
        RunEnd::All => {
            run.finish();
            printer.leave(false)?;
            Ok(if printer.summary.has_failures() {
                exit::SOME_FAILED
            } else {
                exit::OK
            })
        }
    }
}

/// Walks the inputs, as fast as they are taken.
fn find(paths: &[PathBuf], inputs: &Sender<Input>) {
    let mut seq = 0;
    for root in paths {
        let is_folder = root.is_dir();
        for found in walk::files(root) {
            let input = match found {
                Ok(path) => Input {
                    seq,
                    path,
                    named: !is_folder,
                    lost: None,
                },
                Err(lost) => Input {
                    seq,
                    path: lost.path,
                    named: true,
                    lost: Some(lost.error.into()),
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

/// A file from its beginning until its line is written.
struct Pending {
    path: PathBuf,
    named: bool,
    outcomes: Option<Vec<Outcome>>,
}

/// Puts the outcomes back into the order of the inputs.
struct Printer<W: Write> {
    writer: ResultWriter<W>,
    pending: BTreeMap<u64, Pending>,
    next: u64,
    /// How many lines there will be, once that is known.
    total: Option<u64>,
    summary: Summary,
    begun: Instant,
}

impl<W: Write> Batch<u64> for Printer<W> {
    type Input = Input;

    fn begin(&mut self, input: Input) -> Option<(PathBuf, u64)> {
        let is_file = input.lost.is_none();
        let pending = Pending {
            path: input.path.clone(),
            named: input.named,
            outcomes: input.lost.map(|failure| vec![Err(failure)]),
        };
        self.pending.insert(input.seq, pending);
        is_file.then_some((input.path, input.seq))
    }

    fn end(&mut self, ended: Ended<u64>, progress: &Progress) -> Result<(), Fault> {
        if let End::Answered(outcomes) = ended.end {
            for seq in ended.waiters {
                if let Some(pending) = self.pending.get_mut(&seq) {
                    pending.outcomes = Some(outcomes.clone());
                }
            }
        }
        progress.around(|| self.print(false))?;
        progress.set(self.next, self.total);
        Ok(())
    }

    fn all_begun(&mut self) {
        self.total = self.pending.keys().next_back().map(|last| last + 1);
    }

    fn has_room(&self) -> bool {
        self.pending.len() < MAX_PENDING
    }

    fn pause(&mut self, progress: &Progress) -> Result<(), Fault> {
        // What cannot be looked into has no end to wait for.
        let is_next = |pending: &Pending| pending.outcomes.is_some();
        if self.pending.get(&self.next).is_some_and(is_next) {
            progress.around(|| self.print(false))?;
        }
        self.writer.flush().or_else(closed_pipe)
    }
}

impl<W: Write> Printer<W> {
    fn new(writer: ResultWriter<W>) -> Self {
        Self {
            writer,
            pending: BTreeMap::new(),
            next: 0,
            total: None,
            summary: Summary::default(),
            begun: Instant::now(),
        }
    }

    /// Writes what is next in order; with `gaps`, everything that is finished.
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
            if let Some(Pending {
                path,
                named,
                outcomes: Some(outcomes),
            }) = self.pending.remove(&seq)
            {
                self.next = seq + 1;
                self.line(&path, named, &outcomes)?;
            }
        }
        Ok(())
    }

    fn line(&mut self, path: &Path, named: bool, outcomes: &[Outcome]) -> Result<(), Fault> {
        if !named && is_no_image(outcomes) {
            self.summary.skip();
            return Ok(());
        }
        self.summary.add(outcomes);
        let writer = &mut self.writer;
        outcomes
            .iter()
            .try_for_each(|outcome| writer.write(path, outcome))
            .or_else(closed_pipe)
    }

    /// Writes what is left and says on stderr how it went.
    fn leave(&mut self, interrupted: bool) -> Result<(), Fault> {
        self.print(interrupted)?;
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
