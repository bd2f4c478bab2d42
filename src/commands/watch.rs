//! `watch`: what is in a folder and what arrives there, a line each as results come, until a signal.

mod signals;

use std::fs::OpenOptions;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select, unbounded};

use super::print::{self, closed_pipe};
use super::progress::Progress;
use super::run::{self, Note, Run};
use super::summary::{Summary, is_no_image};
use super::{Fault, Setup, exit, leave, shown};
use crate::cli;
use crate::engine::Lane;
use crate::jobs::{End, Ended, Reason};
use crate::library::Outcome;
use crate::library::export::{Format, Writer};
use crate::prompts::Prompts;
use crate::watch::{self, ReadyKind, Watch, WatchEvent, WatchOptions};

/// Reading a tree more often than this only heats the disk.
const SHORTEST_POLL: f64 = 0.05;
/// How long the main loop waits when no file is due.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// Watches until it is told to stop; the exit code.
pub fn run(arguments: &cli::Watch, setup: &Setup) -> Result<u8, Fault> {
    let poll = arguments.poll.map(interval).transpose()?;
    let prompts = setup.load_prompts()?;
    let writer = open(arguments, &prompts)?;
    let notes = run::notes();
    signals::forward(notes.0.clone())?;
    let (sender, events) = unbounded();
    let watch = Watch::start(
        &arguments.dir,
        WatchOptions { poll },
        Box::new(move |event| drop(sender.send(event))),
    )
    .map_err(Fault::usage)?;
    let factory = setup.factory(arguments.results.fit);
    let settings = arguments.results.settings(prompts);
    let progress = Progress::none();
    let mut follower = Follower {
        run: Run::start(factory, settings, notes, &progress),
        writer,
        watch: Some(watch),
        shown: shown(&arguments.dir),
        begun: Instant::now(),
        summary: Summary::default(),
    };
    let ended = follower.follow(&events)?;
    follower.leave()?;
    if ended == FollowEnd::Drained {
        follower.run.finish();
    } else if !follower.run.shutdown() {
        // A forward pass cannot be stopped; everything finished is written.
        leave(exit::OK);
    }
    Ok(exit::OK)
}

fn interval(seconds: f64) -> Result<Duration, Fault> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|_| seconds >= SHORTEST_POLL)
        .ok_or_else(|| {
            let reason = format!("--poll {seconds}: at least {SHORTEST_POLL} seconds are needed");
            Fault::usage(reason)
        })
}

/// Where the lines go: to the end of a file, or to stdout.
fn open(
    arguments: &cli::Watch,
    prompts: &Prompts,
) -> Result<Writer<BufWriter<Box<dyn Write>>>, Fault> {
    let Some(path) = &arguments.output else {
        let format = arguments.results.format();
        let out = BufWriter::new(print::stdout());
        return Ok(Writer::new(out, format, prompts));
    };
    let unwritable = |error: io::Error| Fault::usage(format!("{}: {error}", shown(path)));
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).open(path);
    let file = file.map_err(unwritable)?;
    let has_header = file.metadata().map_err(unwritable)?.len() > 0;
    let out: Box<dyn Write> = Box::new(file);
    let format = arguments.results.format.unwrap_or(Format::Jsonl);
    let writer = Writer::new(BufWriter::new(out), format, prompts);
    Ok(if has_header {
        writer.without_header()
    } else {
        writer
    })
}

#[derive(PartialEq, Eq)]
enum FollowEnd {
    /// Everything accepted is through.
    Drained,
    /// A second signal came before that.
    AtOnce,
}

struct Follower<'a, W: Write> {
    run: Run<'a, ()>,
    writer: Writer<W>,
    /// `None` while what was accepted is being finished.
    watch: Option<Watch>,
    /// The folder, for messages.
    shown: String,
    begun: Instant,
    summary: Summary,
}

impl<W: Write> Follower<'_, W> {
    fn follow(&mut self, events: &Receiver<WatchEvent>) -> Result<FollowEnd, Fault> {
        while self.watch.is_some() || !self.run.jobs.is_idle() {
            let now = self.begun.elapsed();
            self.run.jobs.tick(now);
            self.run.carry_out();
            if self.run.notes().is_empty() && events.is_empty() {
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
                recv(self.run.notes()) -> note => match note {
                    Ok(Note::Engine(event)) => {
                        if let Some(ended) = self.run.heard(event)? {
                            self.end(ended)?;
                        }
                    }
                    Ok(Note::Stop) if self.watch.is_none() => return Ok(FollowEnd::AtOnce),
                    Ok(Note::Stop) => self.stop(events)?,
                    Err(_) => break,
                },
                recv(events) -> event => {
                    if let Ok(event) = event {
                        self.seen(event);
                    } else {
                        print::message("warning: the watch ended by a fault inside; see the log");
                        self.stop(events)?;
                    }
                },
                default(due) => {}
            }
        }
        Ok(FollowEnd::Drained)
    }

    fn seen(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Ready { path, kind, .. } => {
                let reason = match kind {
                    ReadyKind::Existing => Reason::Wanted,
                    ReadyKind::New | ReadyKind::Changed => Reason::Arrived,
                };
                self.run.jobs.request(&path, Lane::Bulk, reason, ());
            }
            WatchEvent::Touched { path, .. } => drop(self.run.jobs.touched(&path, ())),
            // Nobody is told of a file that went unread.
            WatchEvent::Removed(path) => drop(self.run.jobs.removed(&path)),
            WatchEvent::Renamed { from, to } => drop(self.run.jobs.renamed(&from, &to)),
            WatchEvent::Standing { polling } => {
                let how = if polling {
                    ", reading it repeatedly"
                } else {
                    ""
                };
                let folder = &self.shown;
                print::message(format_args!("watching {folder}{how}; Ctrl-C ends it"));
            }
            WatchEvent::Refused(path) => {
                print::message(format_args!("warning: {}", watch::refusal(&path)));
            }
            WatchEvent::Problem(text) => print::message(format_args!("warning: {text}")),
            WatchEvent::Folder(_) | WatchEvent::Scanned => {}
        }
    }

    /// Accepts nothing more. What would be tried again counts as it is.
    fn stop(&mut self, events: &Receiver<WatchEvent>) -> Result<(), Fault> {
        self.watch = None;
        // Files that the watch reported before it ended are accepted.
        for event in events.try_iter() {
            self.seen(event);
        }
        for ended in self.run.jobs.drain() {
            self.end(ended)?;
        }
        Ok(())
    }

    /// Writes what became of a file, unless this content has its line.
    fn end(&mut self, ended: Ended<()>) -> Result<(), Fault> {
        match ended.end {
            End::Answered(outcomes) if !ended.is_repeated => self.line(&ended.path, &outcomes),
            End::Answered(_) | End::Gone => Ok(()),
        }
    }

    fn line(&mut self, path: &Path, outcomes: &[Outcome]) -> Result<(), Fault> {
        if is_no_image(outcomes) {
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
    fn leave(&mut self) -> Result<(), Fault> {
        self.writer.finish().or_else(closed_pipe)?;
        if self.summary.is_notable() || io::stderr().is_terminal() {
            print::message(self.summary.parts().join(", "));
        }
        Ok(())
    }
}
