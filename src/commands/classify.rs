//! `classify`: files and folders in, one line each out, in the order of the inputs.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::print::{self, closed_pipe};
use super::progress::Progress;
use super::{Fault, Setup, exit, leave, on_signals, sink};
use crate::cli;
use crate::engine::{Engine, Event, Job, Lane, Submitter};
use crate::library::export::Writer;
use crate::library::{Failure, Outcome};
use crate::media::walk;

/// How long an interrupted command waits for the pass that is running.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the parts of the command tell its main loop.
enum Note {
    /// A file was handed over; `seq` counts the files from 0.
    Fed {
        seq: u64,
        path: PathBuf,
        named: bool,
    },
    /// A part of the walk failed.
    Lost {
        seq: u64,
        path: PathBuf,
        failure: Failure,
    },
    /// There are no more files than this.
    FedAll(u64),
    /// The engine says something; a job's generation is its `seq`.
    Engine(Event),
    /// Ctrl-C.
    Interrupted,
}

/// Classifies; the exit code.
pub fn run(arguments: &cli::Classify, setup: &Setup) -> Result<u8, Fault> {
    let prompts = setup.load_prompts()?;
    let (sender, notes) = unbounded();
    let engine = Engine::start(
        setup.factory(arguments.results.fit),
        arguments.results.settings(prompts.clone()),
        sink(sender.clone(), Note::Engine),
    );
    on_signals(&[SIGINT, SIGTERM], {
        let sender = sender.clone();
        move || drop(sender.send(Note::Interrupted))
    })?;
    let (paths, submitter) = (arguments.paths.clone(), engine.submitter());
    std::thread::spawn(move || feed(&paths, &submitter, &sender));
    let out = BufWriter::new(print::stdout());
    let mut printer = Printer::new(Writer::new(out, arguments.results.format(), &prompts));
    let ended = printer.follow(&notes)?;
    if ended == Ended::Interrupted {
        let joined = engine.shutdown(PATIENCE);
        printer.leave(true)?;
        if !joined {
            // A forward pass cannot be stopped; everything finished is written.
            leave(exit::INTERRUPTED);
        }
        return Ok(exit::INTERRUPTED);
    }
    engine.finish();
    printer.leave(false)?;
    Ok(if printer.failed > 0 {
        exit::SOME_FAILED
    } else {
        exit::OK
    })
}

/// Walks the inputs and hands the files to the engine, as fast as it takes them.
fn feed(paths: &[PathBuf], submitter: &Submitter, notes: &Sender<Note>) {
    let mut seq = 0;
    for root in paths {
        let named = !root.is_dir();
        for found in walk::files(root) {
            let note = match &found {
                Ok(path) => Note::Fed {
                    seq,
                    path: path.clone(),
                    named,
                },
                Err(lost) => Note::Lost {
                    seq,
                    path: lost.path.clone(),
                    failure: lost.error.clone().into(),
                },
            };
            // Both channels close only when the command is ending.
            if notes.send(note).is_err() {
                return;
            }
            if let Ok(path) = found
                && submitter
                    .submit(Job {
                        path,
                        lane: Lane::Bulk,
                        generation: seq,
                    })
                    .is_err()
            {
                return;
            }
            seq += 1;
        }
    }
    let _ = notes.send(Note::FedAll(seq));
}

#[derive(PartialEq, Eq)]
enum Ended {
    All,
    Interrupted,
}

/// A file from its hand-over until its line is written.
struct Pending {
    path: PathBuf,
    named: bool,
    outcomes: Option<Vec<Outcome>>,
}

/// Puts the outcomes back into the order of the inputs.
struct Printer<W: Write> {
    writer: Writer<W>,
    pending: BTreeMap<u64, Pending>,
    next: u64,
    total: Option<u64>,
    classified: u64,
    failed: u64,
    passed_over: u64,
    progress: Progress,
    begun: Instant,
}

impl<W: Write> Printer<W> {
    fn new(writer: Writer<W>) -> Self {
        Self {
            writer,
            pending: BTreeMap::new(),
            next: 0,
            total: None,
            classified: 0,
            failed: 0,
            passed_over: 0,
            progress: Progress::new(),
            begun: Instant::now(),
        }
    }

    /// Takes notes until all files are through.
    fn follow(&mut self, notes: &Receiver<Note>) -> Result<Ended, Fault> {
        let mut ready = false;
        while !(ready && self.total == Some(self.next)) {
            // The engine keeps a sender, so the channel lives as long as this loop.
            let Ok(note) = notes.recv() else { break };
            match note {
                Note::Fed { seq, path, named } => {
                    self.pending.insert(
                        seq,
                        Pending {
                            path,
                            named,
                            outcomes: None,
                        },
                    );
                }
                Note::Lost { seq, path, failure } => {
                    let outcomes = Some(vec![Err(failure)]);
                    self.pending.insert(
                        seq,
                        Pending {
                            path,
                            named: true,
                            outcomes,
                        },
                    );
                }
                Note::FedAll(total) => self.total = Some(total),
                Note::Interrupted => return Ok(Ended::Interrupted),
                Note::Engine(Event::Loading) => self.progress.message("reading the model"),
                Note::Engine(Event::Ready { warnings, .. }) => {
                    ready = true;
                    self.progress.message("");
                    self.warn(&warnings);
                }
                Note::Engine(Event::Failed { message }) => {
                    self.progress.end();
                    return Err(Fault::unusable(message));
                }
                Note::Engine(Event::Done {
                    generation,
                    outcomes,
                    ..
                }) => {
                    if let Some(pending) = self.pending.get_mut(&generation) {
                        pending.outcomes = Some(outcomes);
                    }
                }
                // Prompts stay what they are.
                Note::Engine(_) => {}
            }
            self.print(false)?;
            self.progress.set(self.next, self.total);
            if notes.is_empty() {
                self.flush()?;
            }
        }
        Ok(Ended::All)
    }

    fn warn(&self, warnings: &[String]) {
        self.progress.around(|| {
            for warning in warnings {
                print::message(format_args!("warning: {warning}"));
            }
        });
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

    fn line(
        &mut self,
        path: &std::path::Path,
        named: bool,
        outcomes: &[Outcome],
    ) -> Result<(), Fault> {
        let passed_over =
            |outcome: &Outcome| matches!(outcome, Err(failure) if failure.not_picture);
        if !named && outcomes.iter().all(passed_over) {
            self.passed_over += 1;
            return Ok(());
        }
        if outcomes.iter().any(Result::is_err) {
            self.failed += 1;
        } else {
            self.classified += 1;
        }
        let writer = &mut self.writer;
        self.progress
            .around(|| {
                outcomes
                    .iter()
                    .try_for_each(|outcome| writer.write(path, outcome))
            })
            .or_else(closed_pipe)
    }

    fn flush(&mut self) -> Result<(), Fault> {
        self.writer.flush().or_else(closed_pipe)
    }

    /// Writes what is left and says on stderr how it went.
    fn leave(&mut self, interrupted: bool) -> Result<(), Fault> {
        self.progress.end();
        self.print(interrupted)?;
        self.writer.finish().or_else(closed_pipe)?;
        let seconds = self.begun.elapsed().as_secs_f64();
        let mut parts = vec![format!("{} classified", self.classified)];
        if self.failed > 0 {
            parts.push(format!("{} failed", self.failed));
        }
        if self.passed_over > 0 {
            parts.push(format!("{} passed over (no pictures)", self.passed_over));
        }
        if interrupted {
            parts.push("interrupted".into());
        }
        let worth_telling =
            self.failed + self.passed_over > 0 || interrupted || io::stderr().is_terminal();
        if worth_telling {
            print::message(format_args!("{} in {seconds:.1} s", parts.join(", ")));
        }
        Ok(())
    }
}
