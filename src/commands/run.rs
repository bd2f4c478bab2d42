//! Drives jobs for the commands: files in, what the jobs want done carried out by the engine, what the engine says told to
//! the jobs, each end out.

use std::path::PathBuf;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, never, select, unbounded};

use super::progress::Progress;
use super::{Fault, print, sink};
use crate::engine::{Engine, Event, Factory, Lane, Settings};
use crate::jobs::{Ended, JobCommand, Jobs, Reason};

/// How long an interrupted command waits for the pass that is running.
pub(super) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);
/// Files that wait to be started before no more are taken in: starting never waits for the next one.
const QUEUE_LENGTH: usize = 64;

/// What reaches a command's main loop.
pub(super) enum Note {
    /// The engine says something.
    Engine(Event),
    /// A signal asks for the end.
    Stop,
}

/// Where notes go in, and where they come out.
pub(super) fn notes() -> (Sender<Note>, Receiver<Note>) {
    unbounded()
}

/// How a run over many files ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunEnd {
    /// Every file is through.
    All,
    /// A signal came before that.
    Interrupted,
}

/// Where the inputs of a run over many files come from and where its results go. `W` tells files of the same name apart.
pub(super) trait Batch<W> {
    /// An input: a file, or something else about the inputs.
    type Input;

    /// Takes an input; the file to classify, if it is one.
    fn begin(&mut self, input: Self::Input) -> Option<(PathBuf, W)>;

    /// Takes what became of a file.
    fn end(&mut self, ended: Ended<W>, progress: &Progress) -> Result<(), Fault>;

    /// More files may begin.
    fn has_room(&self) -> bool {
        true
    }

    /// No more inputs follow.
    fn all_begun(&mut self) {}

    /// Nothing else is to be done at the moment.
    fn pause(&mut self, _: &Progress) -> Result<(), Fault> {
        Ok(())
    }
}

/// Jobs, and the engine that does them. Memory is bounded by [`crate::jobs::MAX_RUNNING`]: while nobody takes results,
/// nothing more is started.
pub(super) struct Run<'a, W> {
    pub(super) jobs: Jobs<W>,
    engine: Engine,
    notes: Receiver<Note>,
    progress: &'a Progress,
    /// The model answers.
    is_ready: bool,
}

impl<'a, W> Run<'a, W> {
    /// Starts the engine.
    pub(super) fn start(
        factory: Factory,
        settings: Settings,
        (sender, notes): (Sender<Note>, Receiver<Note>),
        progress: &'a Progress,
    ) -> Self {
        Self {
            jobs: Jobs::default(),
            engine: Engine::start(factory, settings, sink(sender, Note::Engine)),
            notes,
            progress,
            is_ready: false,
        }
    }

    /// What reaches the main loop.
    pub(super) fn notes(&self) -> &Receiver<Note> {
        &self.notes
    }

    /// Has the engine do what the jobs want.
    pub(super) fn carry_out(&mut self) {
        for command in self.jobs.commands() {
            match command {
                // An engine that takes nothing more says so itself.
                JobCommand::Start(job) => drop(self.engine.submit(job)),
                JobCommand::Promote(generation) => self.engine.promote(generation),
                JobCommand::Cancel(generation) => self.engine.cancel(generation),
            }
        }
    }

    /// Takes in what the engine says; a file whose wanted result ended by that.
    pub(super) fn heard(&mut self, event: Event) -> Result<Option<Ended<W>>, Fault> {
        match event {
            Event::Done {
                generation,
                outcomes,
                ..
            } => return Ok(self.jobs.answered(generation, outcomes)),
            Event::Dropped { generation } => return Ok(self.jobs.dropped(generation)),
            Event::Loading => self.progress.message("reading the model"),
            Event::Ready { warnings, .. } => {
                self.is_ready = true;
                self.progress.message("");
                self.progress.around(|| {
                    for warning in warnings {
                        print::message(format_args!("warning: {warning}"));
                    }
                });
            }
            Event::Failed { message } => {
                self.progress.end();
                return Err(Fault::unusable(message));
            }
            // Prompts stay what they are.
            Event::Prompts { .. }
            | Event::PromptsFailed { .. }
            | Event::Rescored { .. }
            | Event::Rate { .. } => {}
        }
        Ok(None)
    }

    /// Classifies all inputs. Nobody writes them meanwhile: nothing is tried again.
    pub(super) fn through<B: Batch<W>>(
        &mut self,
        lane: Lane,
        inputs: &Receiver<B::Input>,
        batch: &mut B,
    ) -> Result<RunEnd, Fault> {
        let mut has_more = true;
        while has_more || !self.is_ready || !self.jobs.is_idle() {
            self.carry_out();
            if self.notes.is_empty() {
                batch.pause(self.progress)?;
            }
            let takes = has_more && batch.has_room() && self.jobs.queued_count() < QUEUE_LENGTH;
            let closed = never();
            let inputs = if takes { inputs } else { &closed };
            select! {
                recv(self.notes) -> note => match note {
                    Ok(Note::Engine(event)) => {
                        if let Some(ended) = self.heard(event)? {
                            // Asked about again, it is read again.
                            self.jobs.forget(&ended.path);
                            batch.end(ended, self.progress)?;
                        }
                    }
                    Ok(Note::Stop) => return Ok(RunEnd::Interrupted),
                    // The engine keeps a sender, so the channel lives as long as this loop.
                    Err(_) => break,
                },
                recv(inputs) -> input => {
                    if let Ok(input) = input {
                        if let Some((path, waiter)) = batch.begin(input) {
                            self.jobs.request(&path, lane, Reason::Wanted, waiter);
                        }
                    } else {
                        has_more = false;
                        batch.all_begun();
                    }
                },
            }
        }
        Ok(RunEnd::All)
    }

    /// Ends the engine after what it has.
    pub(super) fn finish(self) {
        self.progress.end();
        self.engine.finish();
    }

    /// Ends the engine. False when a pass is still running and was left behind.
    pub(super) fn shutdown(self) -> bool {
        self.progress.end();
        self.engine.shutdown(SHUTDOWN_TIMEOUT)
    }
}

/// All of these, for [`Run::through`].
pub(super) fn inputs<I>(all: impl IntoIterator<Item = I>) -> Receiver<I> {
    let (sender, receiver) = unbounded();
    for input in all {
        // The receiver is here.
        let _ = sender.send(input);
    }
    receiver
}
