//! `watch`: classifies the files in a folder and those that arrive, and prints results as they come, until a signal.

mod output;
mod signals;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select, unbounded};

use super::print;
use super::progress::ProgressLine;
use super::run::{self, Run, RunMessage};
use super::summary::{Summary, is_not_an_image};
use super::{CommandSetup, Fault, exit, leave, shown};
use crate::cli;
use crate::engine::Lane;
use crate::jobs::{End, Ended, Reason};
use crate::library::{Outcome, RequestProgress, StableSeries};
use crate::prompts::Prompts;
use crate::watch::{self, ReadyKind, Watch, WatchEvent, WatchOptions};
use output::WatchOutput;

/// Shortest polling interval in seconds: scanning more often is of no use.
const MIN_POLL_INTERVAL: f64 = 0.05;
/// How long the main loop waits when no file is due.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// Reads the settings again.
pub type SettingsReader<'a> = &'a dyn Fn() -> Result<CommandSetup, Fault>;

/// Watches until a signal; returns the exit code. `reread` is called when SIGHUP requests it.
pub fn run(
    arguments: &cli::WatchArgs,
    setup: &CommandSetup,
    reread: SettingsReader,
) -> Result<u8, Fault> {
    let poll = arguments.poll.map(interval).transpose()?;
    let prompts = setup.load_prompts_by_rules()?;
    let settings = arguments.results.settings(prompts.clone(), setup);
    if let Some(library) = &settings.library {
        library.report_conflicts_to(Box::new(|sentence| {
            print::message(format_args!("warning: {}", crate::media::clean(sentence)));
        }));
    }
    let series = arguments
        .stable_after
        .map(|after| StableSeries::new(after, &prompts, settings.mode));
    let output = WatchOutput::open(arguments, &prompts, settings.library.clone())?;
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
    let progress = ProgressLine::hidden();
    let mut follower = Follower {
        run: Run::start(factory, settings, messages, &progress),
        reloading: Reloading {
            reread,
            setup: setup.clone(),
            prompts,
        },
        output,
        watch: Some(watch),
        folder: shown(&arguments.dir),
        begun: Instant::now(),
        is_scanned: false,
        series,
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

/// What SIGHUP reloads.
struct Reloading<'a> {
    reread: SettingsReader<'a>,
    /// The settings in use.
    setup: CommandSetup,
    /// The prompts in use.
    prompts: Prompts,
}

impl Reloading<'_> {
    /// Reads settings and prompts again; returns the prompts if they are others. What cannot be read stays as it is.
    fn changed_prompts(&mut self) -> Option<Prompts> {
        let read = (self.reread)().and_then(|setup| Ok((setup.load_prompts_by_rules()?, setup)));
        match read {
            Err(fault) => {
                let message = fault.message;
                print::message(format_args!(
                    "warning: {message}; the settings stay as they were"
                ));
                None
            }
            Ok((prompts, setup)) => {
                for key in self.setup.fixed_changes(&setup) {
                    print::message(format_args!(
                        "warning: `{key}` takes effect when the watch is started again"
                    ));
                }
                self.setup.prompts = setup.prompts;
                self.setup.rules = setup.rules;
                let is_changed = prompts != self.prompts;
                self.prompts = prompts;
                print::message("the settings were read again");
                is_changed.then(|| self.prompts.clone())
            }
        }
    }
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
struct Follower<'a> {
    run: Run<'a, ()>,
    reloading: Reloading<'a>,
    output: WatchOutput,
    /// `None` while the accepted files are being finished.
    watch: Option<Watch>,
    /// The folder's name for messages.
    folder: String,
    begun: Instant,
    /// Whether the first scan is done.
    is_scanned: bool,
    /// The series and studies that get lines, if they do.
    series: Option<StableSeries>,
    summary: Summary,
}

impl Follower<'_> {
    fn follow(&mut self, events: &Receiver<WatchEvent>) -> Result<FollowEnd, Fault> {
        while self.watch.is_some() || !self.run.jobs.is_idle() {
            let now = self.begun.elapsed();
            self.run.jobs.tick(now);
            self.run.carry_out_commands();
            self.write_aggregates(now)?;
            if self.run.messages().is_empty() && events.is_empty() {
                self.output.flush()?;
            }
            let series = self.series.as_ref().filter(|_| self.is_scanned);
            let series_due = series.and_then(|series| series.next_due(now));
            let due = self.run.jobs.next_tick(now).unwrap_or(MAX_WAIT);
            let due = due.min(series_due.unwrap_or(MAX_WAIT));
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
                    Ok(RunMessage::Reload) => self.reload()?,
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
            WatchEvent::Scanned => self.is_scanned = true,
            WatchEvent::Folder(_) => {}
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
        // With several frames, the last outcome is their aggregate and counts for the file.
        if let (Some(series), Some(Ok(record))) = (&mut self.series, outcomes.last()) {
            series.add(self.begun.elapsed(), path, record);
        }
        let mut is_new = false;
        for outcome in outcomes {
            is_new |= self.output.write(path, outcome)?;
        }
        if is_new {
            self.summary.add(outcomes);
        } else {
            self.summary.repeat();
        }
        Ok(())
    }

    /// Writes the lines of the series and studies that have become quiet. Before the first scan is done, more of their instances may
    /// be there.
    fn write_aggregates(&mut self, now: Duration) -> Result<(), Fault> {
        let Some(series) = self.series.as_mut().filter(|series| series.is_due(now)) else {
            return Ok(());
        };
        if !self.is_scanned {
            return Ok(());
        }
        let progress = RequestProgress {
            newest: self.run.jobs.newest_generation(),
            oldest_pending: self.run.jobs.oldest_pending(),
        };
        for line in series.due(now, progress) {
            self.output.write_aggregate(&line)?;
        }
        Ok(())
    }

    /// Applies the settings and prompts as they are now, and opens the output again.
    fn reload(&mut self) -> Result<(), Fault> {
        if let Some(prompts) = self.reloading.changed_prompts() {
            if let Some(series) = &mut self.series {
                series.use_prompts(&prompts);
            }
            self.run.use_prompts(prompts);
        }
        self.output.reopen(&self.reloading.prompts)
    }

    /// Writes the remaining results, and prints the summary.
    fn finish(&mut self) -> Result<(), Fault> {
        self.output.finish()?;
        if self.summary.is_notable() || io::stderr().is_terminal() {
            print::message(self.summary.parts().join(", "));
        }
        Ok(())
    }
}
