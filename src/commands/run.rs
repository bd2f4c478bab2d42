//! Runs jobs for the headless commands: requests files, passes the jobs' commands to the engine and the engine's events to the
//! jobs, and hands each result over.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, never, select, unbounded};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::progress::ProgressLine;
use super::{Fault, exit, leave, on_signals, print, sink};
use crate::engine::phrases::is_about_set;
use crate::engine::{Engine, Event, Factory, Lane, MapRequest, Settings};
use crate::jobs::{Ended, JobCommand, Jobs, Reason};
use crate::learn::LearnedSets;
use crate::library::Library;
use crate::prompts::Prompts;
use crate::scoring::Mode;
use crate::scoring::calibration::Calibrations;

/// How long an interrupted command waits for the current forward pass.
pub(super) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a finished command waits until the library is written.
pub(super) const LIBRARY_TIMEOUT: Duration = Duration::from_secs(60);
/// Number of waiting files from which no more inputs are read. Enough that starting a file never waits for the next input.
const MAX_QUEUED: usize = 64;

/// What labelled images and reviews say about the scores of models and prompt sets.
pub(super) type ScoreFits = (Calibrations, LearnedSets);

/// A message to a command's main loop.
pub(super) enum RunMessage {
    /// An event of the engine.
    Engine(Event),
    /// A signal requests the end.
    Stop,
}

/// Creates the channel for messages.
pub(super) fn messages() -> (Sender<RunMessage>, Receiver<RunMessage>) {
    unbounded()
}

/// How a run over many files ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunEnd {
    /// Every file was classified.
    All,
    /// A signal interrupted it.
    Interrupted,
}

/// Handles the inputs (`I`) and results of a run over many files. `W` tells inputs of the same path apart.
pub(super) trait BatchHandler<I, W> {
    /// Handles an input; returns the file to classify, if there is one.
    fn begin(&mut self, input: I) -> Option<(PathBuf, W)>;

    /// Handles the result of a file.
    fn end(&mut self, ended: Ended<W>, progress: &ProgressLine) -> Result<(), Fault>;

    /// Whether more inputs may begin.
    fn has_room(&self) -> bool {
        true
    }

    /// Called when no more inputs follow.
    fn all_begun(&mut self) {}

    /// Called when no message waits.
    fn pause(&mut self, _: &ProgressLine) -> Result<(), Fault> {
        Ok(())
    }
}

/// Jobs, and the engine that carries them out. Memory is bounded by [`crate::jobs::MAX_RUNNING`]: while results are not read,
/// nothing more is started.
pub(super) struct Run<'a, W> {
    pub(super) jobs: Jobs<W>,
    engine: Engine,
    mode: Mode,
    messages: Receiver<RunMessage>,
    progress: &'a ProgressLine,
    library: Option<Arc<Library>>,
    /// Whether the model is loaded.
    is_ready: bool,
    /// Whether warnings about the prompt sets are printed.
    warns_about_sets: bool,
    /// Whether the files classified so far get another result when the engine has the prompts.
    starts_over: bool,
}

impl<'a, W> Run<'a, W> {
    /// Starts the engine.
    pub(super) fn start(
        factory: Factory,
        settings: Settings,
        (sender, messages): (Sender<RunMessage>, Receiver<RunMessage>),
        progress: &'a ProgressLine,
    ) -> Self {
        let library = settings.library.clone();
        Self {
            jobs: Jobs::default(),
            library,
            mode: settings.mode,
            engine: Engine::start(factory, settings, sink(sender, RunMessage::Engine)),
            messages,
            progress,
            is_ready: false,
            warns_about_sets: true,
            starts_over: false,
        }
    }

    /// Whether one condition applies, or each on its own.
    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// Prints no warnings about the prompt sets: the command's output does not depend on them.
    pub(super) fn ignore_prompt_warnings(&mut self) {
        self.warns_about_sets = false;
    }

    /// The messages to the main loop.
    pub(super) fn messages(&self) -> &Receiver<RunMessage> {
        &self.messages
    }

    /// Asks the engine for a heat map.
    pub(super) fn request_map(&self, request: MapRequest) {
        self.engine.map(request);
    }

    /// Whether the model is loaded.
    pub(super) fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Passes the jobs' commands to the engine.
    pub(super) fn carry_out_commands(&mut self) {
        for command in self.jobs.commands() {
            match command {
                // An engine that accepts no more jobs reports that itself.
                JobCommand::Start(job) => drop(self.engine.submit(job)),
                JobCommand::Promote(generation) => self.engine.promote(generation),
                JobCommand::Cancel(generation) => self.engine.cancel(generation),
            }
        }
    }

    /// Changes the prompts, the calibrations and what was learned. `starts_over`: the files classified so far are scored again.
    pub(super) fn use_prompts(
        &mut self,
        prompts: Prompts,
        (calibrations, learned): ScoreFits,
        starts_over: bool,
    ) {
        self.starts_over |= starts_over;
        self.engine.use_calibrations(calibrations);
        self.engine.use_learned(learned);
        self.engine.use_prompts(prompts, self.mode, 0);
    }

    /// Handles an event of the engine; returns the job that ended by it, if any.
    pub(super) fn handle_event(&mut self, event: Event) -> Result<Option<Ended<W>>, Fault> {
        match event {
            Event::Done {
                generation,
                outcomes,
                ..
            } => return Ok(self.jobs.answered(generation, outcomes)),
            Event::Dropped { generation } => return Ok(self.jobs.dropped(generation)),
            Event::Loading => self.progress.message("loading the model"),
            Event::Ready { warnings, .. } => {
                self.is_ready = true;
                self.progress.message("");
                let is_told = |text: &&String| self.warns_about_sets || !is_about_set(text);
                self.progress.suspend(|| {
                    for warning in warnings.iter().filter(is_told) {
                        print::message(format_args!("warning: {warning}"));
                    }
                });
            }
            Event::Failed { message } => {
                self.progress.end();
                return Err(Fault::unusable(message));
            }
            Event::Prompts { warnings, .. } => {
                for warning in warnings {
                    print::message(format_args!("warning: {warning}"));
                }
                if std::mem::take(&mut self.starts_over) {
                    self.jobs.start_over();
                }
            }
            Event::PromptsFailed { message, .. } => {
                print::message(format_args!(
                    "warning: {message}; the prompts stay as they were"
                ));
            }
            Event::Noted { message } => self
                .progress
                .suspend(|| print::message(crate::media::clean(&message))),
            // Only the interface asks for results again.
            Event::Rescored { .. }
            | Event::Recalled { .. }
            | Event::Compared { .. }
            | Event::Explained { .. }
            | Event::Mapped { .. }
            | Event::MapChecked { .. }
            | Event::Learned { .. }
            | Event::Rate { .. } => {}
        }
        Ok(None)
    }

    /// Classifies all inputs. Failures are final, because nobody is writing the files.
    pub(super) fn classify_all<I>(
        &mut self,
        lane: Lane,
        inputs: &Receiver<I>,
        batch: &mut impl BatchHandler<I, W>,
    ) -> Result<RunEnd, Fault> {
        let mut has_more = true;
        while has_more || !self.is_ready || !self.jobs.is_idle() {
            self.carry_out_commands();
            if self.messages.is_empty() {
                batch.pause(self.progress)?;
            }
            let reads_input = has_more && batch.has_room() && self.jobs.queued_count() < MAX_QUEUED;
            let closed = never();
            let inputs = if reads_input { inputs } else { &closed };
            select! {
                recv(self.messages) -> message => match message {
                    Ok(RunMessage::Engine(event)) => {
                        if let Some(ended) = self.handle_event(event)? {
                            // The same path may be requested again, and is then read again.
                            self.jobs.forget(&ended.path);
                            batch.end(ended, self.progress)?;
                        }
                    }
                    Ok(RunMessage::Stop) => return Ok(RunEnd::Interrupted),
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

    /// Ends the engine after its current files.
    pub(super) fn finish(self) {
        self.engine.finish();
        flush(self.library.as_deref(), LIBRARY_TIMEOUT);
        self.progress.end();
    }

    /// Ends the engine. False if a forward pass is still running and was left behind.
    pub(super) fn shutdown(self) -> bool {
        self.progress.end();
        let ended = self.engine.shutdown(SHUTDOWN_TIMEOUT);
        flush(self.library.as_deref(), SHUTDOWN_TIMEOUT);
        ended
    }
}

/// What a report knows of signals.
#[derive(Default)]
pub(super) struct Interruption {
    /// Whether a signal ended the classification.
    run: AtomicBool,
    is_reporting: AtomicBool,
    is_drawing: AtomicBool,
    /// Whether a signal ended the bootstrap draws.
    draws: AtomicBool,
}

impl Interruption {
    /// Whether images, or draws, are left out because of a signal.
    pub(super) fn is_there(&self) -> bool {
        self.left_out_images() || self.draws.load(Ordering::Relaxed)
    }

    /// Whether images are left out because of a signal.
    pub(super) fn left_out_images(&self) -> bool {
        self.run.load(Ordering::Relaxed)
    }

    /// Does work that can be ended after any bootstrap draw: a signal lets `goes_on` break, and the report is of the draws until then.
    pub(super) fn while_drawing<T>(
        &self,
        work: impl FnOnce(&dyn Fn() -> ControlFlow<()>) -> T,
    ) -> T {
        self.is_drawing.store(true, Ordering::Relaxed);
        let goes_on = || {
            if self.draws.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let done = work(&goes_on);
        self.is_drawing.store(false, Ordering::Relaxed);
        done
    }

    /// Handles a signal; returns whether it ends the classification. While the report is made, it ends the draws, else the program.
    fn handle_signal(&self) -> bool {
        if !self.is_reporting.load(Ordering::Relaxed) {
            return true;
        }
        let ends_draws = self.is_drawing.load(Ordering::Relaxed);
        if !ends_draws || self.draws.swap(true, Ordering::Relaxed) {
            leave(exit::INTERRUPTED);
        }
        false
    }
}

/// Classifies all inputs, and lets `report` print what came of them. A signal ends the run; one that comes while the report is made
/// ends its bootstrap draws, else the program. Returns the report's exit code, or that of an interruption.
pub(super) fn classify_and_report<I, W, B: BatchHandler<I, W>>(
    factory: Factory,
    settings: Settings,
    inputs: &Receiver<I>,
    mut batch: B,
    report: impl FnOnce(&B, &Interruption) -> Result<u8, Fault>,
) -> Result<u8, Fault> {
    let messages = messages();
    let interruption = Arc::new(Interruption::default());
    on_signals(&[SIGINT, SIGTERM], {
        let (sender, interruption) = (messages.0.clone(), Arc::clone(&interruption));
        move || {
            if interruption.handle_signal() {
                drop(sender.send(RunMessage::Stop));
            }
        }
    })?;
    let progress = ProgressLine::new();
    let mut run = Run::start(factory, settings, messages, &progress);
    let ended = run.classify_all(Lane::Bulk, inputs, &mut batch)?;
    progress.end();
    interruption.is_reporting.store(true, Ordering::Relaxed);
    if ended == RunEnd::All {
        run.finish();
        let code = report(&batch, &interruption)?;
        return Ok(if interruption.is_there() {
            exit::INTERRUPTED
        } else {
            code
        });
    }
    interruption.run.store(true, Ordering::Relaxed);
    let has_ended = run.shutdown();
    if let Err(fault) = report(&batch, &interruption) {
        print::message(format_args!("interrupted: {}", fault.message));
    }
    if !has_ended {
        leave(exit::INTERRUPTED);
    }
    Ok(exit::INTERRUPTED)
}

/// Waits at most `timeout` until the library is written.
pub(super) fn flush(library: Option<&Library>, timeout: Duration) {
    if let Some(library) = library {
        library.flush(timeout);
    }
}

/// A closed channel with all of these, for [`Run::classify_all`].
pub(super) fn inputs<I>(all: impl IntoIterator<Item = I>) -> Receiver<I> {
    let (sender, receiver) = unbounded();
    for input in all {
        // Cannot fail: the receiver is in scope.
        let _ = sender.send(input);
    }
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_during_the_draws_ends_these_and_not_the_report() {
        let interruption = Interruption::default();
        assert!(interruption.handle_signal(), "images are classified");
        interruption.is_reporting.store(true, Ordering::Relaxed);
        let drawn = interruption.while_drawing(|goes_on| {
            let draws = (0..10).take_while(|draw| {
                if *draw == 3 {
                    assert!(!interruption.handle_signal());
                }
                goes_on().is_continue()
            });
            draws.count()
        });
        assert_eq!(drawn, 3);
        assert!(interruption.is_there() && !interruption.left_out_images());
    }
}
