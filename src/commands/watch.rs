//! `watch`: classifies the files in a folder and those that arrive, and prints results as they come, until a signal.

mod signals;

use std::fs::OpenOptions;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select, unbounded};

use super::print::{self, closed_pipe};
use super::progress::ProgressLine;
use super::run::{self, Run, RunMessage};
use super::summary::{Summary, is_not_an_image};
use super::{CommandSetup, Fault, exit, leave, shown};
use crate::cli;
use crate::engine::Lane;
use crate::jobs::{End, Ended, Reason};
use crate::library::Outcome;
use crate::library::export::{ResultFormat, ResultWriter, WrittenLines};
use crate::prompts::Prompts;
use crate::watch::{self, ReadyKind, Watch, WatchEvent, WatchOptions};

/// Shortest polling interval in seconds: scanning more often is of no use.
const MIN_POLL_INTERVAL: f64 = 0.05;
/// How long the main loop waits when no file is due.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// Watches until a signal; returns the exit code.
pub fn run(arguments: &cli::WatchArgs, setup: &CommandSetup) -> Result<u8, Fault> {
    let poll = arguments.poll.map(interval).transpose()?;
    let prompts = setup.load_prompts_by_rules()?;
    let (writer, written) = open(arguments, &prompts, setup)?;
    let messages = run::messages();
    signals::forward(messages.0.clone())?;
    let (sender, events) = unbounded();
    let watch = Watch::start(
        &arguments.dir,
        WatchOptions { poll },
        Box::new(move |event| drop(sender.send(event))),
    )
    .map_err(Fault::usage)?;
    let factory = setup.factory(arguments.results.fit);
    let settings = arguments.results.settings(prompts, setup);
    let progress = ProgressLine::hidden();
    let mut follower = Follower {
        run: Run::start(factory, settings, messages, &progress),
        writer,
        written,
        watch: Some(watch),
        folder: shown(&arguments.dir),
        begun: Instant::now(),
        summary: Summary::default(),
    };
    let ended = follower.follow(&events)?;
    follower.finish()?;
    if ended == FollowEnd::Drained {
        follower.run.finish();
    } else if !follower.run.shutdown() {
        // A forward pass cannot be stopped. All finished results have been written.
        leave(exit::OK);
    }
    Ok(exit::OK)
}

fn interval(seconds: f64) -> Result<Duration, Fault> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|_| seconds >= MIN_POLL_INTERVAL)
        .ok_or_else(|| {
            let reason = format!("--poll {seconds}: must be at least {MIN_POLL_INTERVAL} seconds");
            Fault::usage(reason)
        })
}

/// A writer of results to a file or stdout.
type OutputWriter = ResultWriter<BufWriter<Box<dyn Write>>>;

/// Opens the output: the end of a file, or stdout. With a library, also finds the lines that the file holds already.
fn open(
    arguments: &cli::WatchArgs,
    prompts: &Prompts,
    setup: &CommandSetup,
) -> Result<(OutputWriter, WrittenLines), Fault> {
    let Some(path) = &arguments.output else {
        let format = arguments.results.format();
        let out = BufWriter::new(print::stdout());
        let writer = ResultWriter::new(out, format, prompts);
        return Ok((writer, WrittenLines::default()));
    };
    let unwritable = |error: io::Error| Fault::usage(format!("{}: {error}", shown(path)));
    let mut options = OpenOptions::new();
    let file = options.create(true).read(true).append(true).open(path);
    let mut file = file.map_err(unwritable)?;
    let format = arguments.results.format.unwrap_or(ResultFormat::Jsonl);
    let is_file = file.metadata().map_err(unwritable)?.is_file();
    let written = if is_file && setup.library.is_some() {
        WrittenLines::recover(&mut file, format).map_err(unwritable)?
    } else {
        WrittenLines::default()
    };
    let has_header = file.metadata().map_err(unwritable)?.len() > 0;
    let out: Box<dyn Write> = Box::new(file);
    let writer = ResultWriter::new(BufWriter::new(out), format, prompts);
    let writer = if has_header {
        writer.without_header()
    } else {
        writer
    };
    Ok((writer, written))
}

/// How following a folder ended.
#[derive(PartialEq, Eq)]
enum FollowEnd {
    /// All accepted files were classified.
    Drained,
    /// A second signal interrupted it.
    Interrupted,
}

/// A watched folder whose files are classified.
struct Follower<'a, W: Write> {
    run: Run<'a, ()>,
    writer: ResultWriter<W>,
    /// The lines of the output file, also those of earlier runs.
    written: WrittenLines,
    /// `None` while the accepted files are being finished.
    watch: Option<Watch>,
    /// The folder's name for messages.
    folder: String,
    begun: Instant,
    summary: Summary,
}

impl<W: Write> Follower<'_, W> {
    fn follow(&mut self, events: &Receiver<WatchEvent>) -> Result<FollowEnd, Fault> {
        while self.watch.is_some() || !self.run.jobs.is_idle() {
            let now = self.begun.elapsed();
            self.run.jobs.tick(now);
            self.run.carry_out_commands();
            if self.run.messages().is_empty() && events.is_empty() {
                self.writer.flush().or_else(closed_pipe)?;
            }
            let due = self.run.jobs.next_tick(now).unwrap_or(MAX_WAIT);
            let closed = never();
            let events = if self.watch.is_some() {
                events
            } else {
                &closed
            };
            select! {
                recv(self.run.messages()) -> message => match message {
                    Ok(RunMessage::Engine(event)) => {
                        if let Some(ended) = self.run.handle_event(event)? {
                            self.end(ended)?;
                        }
                    }
                    Ok(RunMessage::Stop) if self.watch.is_none() => {
                        return Ok(FollowEnd::Interrupted);
                    }
                    Ok(RunMessage::Stop) => self.stop(events)?,
                    Err(_) => break,
                },
                recv(events) -> event => {
                    if let Ok(event) = event {
                        self.handle_watch_event(event);
                    } else {
                        print::message("warning: the watch ended because of an internal error");
                        self.stop(events)?;
                    }
                },
                default(due) => {}
            }
        }
        Ok(FollowEnd::Drained)
    }

    fn handle_watch_event(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Ready { path, kind, .. } => {
                let reason = match kind {
                    ReadyKind::Existing => Reason::Wanted,
                    ReadyKind::New | ReadyKind::Changed => Reason::Arrived,
                };
                self.run.jobs.request(&path, Lane::Bulk, reason, ());
            }
            WatchEvent::Touched { path, .. } => drop(self.run.jobs.touched(&path, ())),
            // A file that was removed before it was read yields no line.
            WatchEvent::Removed(path) => drop(self.run.jobs.removed(&path)),
            WatchEvent::Renamed { from, to } => drop(self.run.jobs.renamed(&from, &to)),
            WatchEvent::Started { polling } => {
                let how = if polling { " by polling" } else { "" };
                let folder = &self.folder;
                print::message(format_args!("watching {folder}{how}; press Ctrl-C to stop"));
            }
            WatchEvent::Refused(path) => {
                print::message(format_args!("warning: {}", watch::refusal(&path)));
            }
            WatchEvent::Problem(text) => print::message(format_args!("warning: {text}")),
            WatchEvent::Folder(_) | WatchEvent::Scanned => {}
        }
    }

    /// Stops accepting files, and ends those that wait for another attempt with their last outcome.
    fn stop(&mut self, events: &Receiver<WatchEvent>) -> Result<(), Fault> {
        self.watch = None;
        // Files that the watch reported before it ended are accepted.
        for event in events.try_iter() {
            self.handle_watch_event(event);
        }
        for ended in self.run.jobs.drain() {
            self.end(ended)?;
        }
        Ok(())
    }

    /// Writes the result of a file, unless its content already has a line.
    fn end(&mut self, ended: Ended<()>) -> Result<(), Fault> {
        match ended.end {
            End::Answered(outcomes) if !ended.is_repeated => {
                self.write_line(&ended.path, &outcomes)
            }
            End::Answered(_) | End::Gone => Ok(()),
        }
    }

    fn write_line(&mut self, path: &Path, outcomes: &[Outcome]) -> Result<(), Fault> {
        if is_not_an_image(outcomes) {
            self.summary.skip();
            return Ok(());
        }
        let (writer, written) = (&mut self.writer, &mut self.written);
        let new = outcomes
            .iter()
            .filter(|outcome| written.insert(path, outcome));
        let new: Vec<&Outcome> = new.collect();
        if new.is_empty() {
            return Ok(());
        }
        self.summary.add(outcomes);
        new.into_iter()
            .try_for_each(|outcome| writer.write(path, outcome))
            .or_else(closed_pipe)
    }

    /// Writes the remaining results, and prints the summary.
    fn finish(&mut self) -> Result<(), Fault> {
        self.writer.finish().or_else(closed_pipe)?;
        if self.summary.is_notable() || io::stderr().is_terminal() {
            print::message(self.summary.parts().join(", "));
        }
        Ok(())
    }
}
