//! The main loop of `watch`.

mod lines;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select};

use super::follow_up::FollowUps;
use super::output::{WatchOutput, shown_columns};
use super::reloading::{Reloading, ScoreChange};
use super::reported::{ReportCause, ReportedFile};
use super::reports::{Reports, WatchNumbers};
use super::signals::WatchSignal;
use crate::commands::run::{Run, RunMessage};
use crate::commands::summary::Summary;
use crate::commands::{Fault, print};
use crate::engine::Lane;
use crate::jobs::Reason;
use crate::library::StableSeries;
use crate::watch::{self, Watch, WatchEvent};

/// How long the main loop waits when no file is due.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// How following a folder ended.
#[derive(PartialEq, Eq)]
pub(super) enum FollowEnd {
    /// All accepted files were classified.
    Drained,
    /// A second signal interrupted it.
    Interrupted,
}

/// A watched folder whose files are classified.
pub(super) struct Follower<'a> {
    /// A file's waiters are the reports of the watch, the newest last.
    pub(super) run: Run<'a, ReportedFile>,
    /// Signals have a channel of their own, so that they are heard while results are not accepted.
    pub(super) signals: Receiver<WatchSignal>,
    pub(super) reloading: Reloading<'a>,
    pub(super) output: WatchOutput,
    /// `None` while the accepted files are being finished.
    pub(super) watch: Option<Watch>,
    /// Whether the watch's thread has ended by itself.
    pub(super) has_lost_watch: bool,
    /// The folder's name for messages.
    pub(super) folder: String,
    pub(super) begun: Instant,
    /// Whether the first scan is done.
    pub(super) is_scanned: bool,
    /// The series and studies that get lines, if they do.
    pub(super) series: Option<StableSeries>,
    pub(super) summary: Summary,
    pub(super) reports: Reports,
    pub(super) follow_ups: FollowUps,
}

impl Follower<'_> {
    /// Follows the folder until a signal, finishes the accepted files and their commands, and makes the last reports.
    pub(super) fn follow_to_end(
        &mut self,
        events: &Receiver<WatchEvent>,
    ) -> Result<FollowEnd, Fault> {
        let mut ended = self.follow(events)?;
        if ended == FollowEnd::Drained {
            self.follow_up()?;
            ended = self.finish_commands();
        }
        if ended == FollowEnd::Interrupted {
            self.follow_ups.interrupt();
        }
        self.finish()?;
        Ok(ended)
    }

    /// Follows the folder until a signal, then finishes the accepted files.
    fn follow(&mut self, events: &Receiver<WatchEvent>) -> Result<FollowEnd, Fault> {
        while self.watch.is_some() || !self.run.jobs.is_idle() || self.follow_ups.is_behind() {
            let now = self.begun.elapsed();
            self.run.jobs.tick(now);
            self.run.carry_out_commands();
            self.write_aggregates(now)?;
            // No results are accepted while many commands wait.
            let has_room = self.follow_ups.has_room();
            let is_pause = !has_room || self.run.messages().is_empty() && events.is_empty();
            if is_pause || self.follow_ups.is_urgent() {
                self.follow_up()?;
            }
            self.report();
            let due = self.next_due(now);
            let closed = never();
            let events = if self.watch.is_some() {
                events
            } else {
                &closed
            };
            let no_messages = never();
            let messages = if has_room {
                self.run.messages()
            } else {
                &no_messages
            };
            select! {
                recv(messages) -> message => match message {
                    Ok(RunMessage::Engine(event)) => {
                        if let Some(ended) = self.run.handle_event(event)? {
                            self.end(ended)?;
                        }
                    }
                    // Signals come by their own channel.
                    Ok(RunMessage::Stop) => {}
                    Err(_) => break,
                },
                recv(self.signals) -> signal => match signal {
                    Ok(WatchSignal::Stop) if self.watch.is_none() => {
                        return Ok(FollowEnd::Interrupted);
                    }
                    Ok(WatchSignal::Stop) => self.stop(events)?,
                    Ok(WatchSignal::Reload) => self.reload()?,
                    Err(_) => break,
                },
                recv(events) -> event => {
                    if let Ok(event) = event {
                        self.handle_watch_event(event);
                    } else {
                        let rest = "the next start finds what has arrived since";
                        print::message(format_args!("the watch ended because of an internal error; {rest}"));
                        self.has_lost_watch = true;
                        self.stop(events)?;
                    }
                },
                recv(self.follow_ups.finished()) -> run => {
                    if let Ok(run) = run {
                        self.follow_ups.handle_finished(&run);
                    }
                }
                default(due) => {}
            }
        }
        Ok(FollowEnd::Drained)
    }

    /// How long after `now` something is due, if nothing happens before.
    fn next_due(&self, now: Duration) -> Duration {
        let series = self.series.as_ref().filter(|_| self.is_scanned);
        let due = [
            self.run.jobs.next_tick(now),
            series.and_then(|series| series.next_due(now)),
            Some(self.reports.next_due(now)),
            self.follow_ups
                .next_due()
                .map(|due| due.saturating_sub(now)),
        ];
        due.into_iter().flatten().min().unwrap_or(MAX_WAIT)
    }

    /// Flushes the lines, then moves their files and runs commands on them.
    fn follow_up(&mut self) -> Result<(), Fault> {
        let _blocked = self.reports.may_block();
        self.output.flush()?;
        self.follow_ups.carry_out(self.begun.elapsed());
        Ok(())
    }

    /// Ends what was begun before a fault: lines that are written have their commands, which no later start would run.
    pub(super) fn give_up(&mut self, fault: &Fault) {
        self.watch = None;
        self.reports.stopping();
        if self.follow_up().is_err() {
            // Their lines are not written, and follow after the next start.
            self.follow_ups.forget_pending();
        }
        let count = self.follow_ups.unfinished_count();
        if count > 0 && !self.output.is_closed() {
            let commands = if count == 1 { "command" } else { "commands" };
            print::message(format_args!(
                "{}; {count} {commands} for lines that are written come to an end first",
                fault.message
            ));
        }
        if self.finish_commands() == FollowEnd::Interrupted {
            self.follow_ups.interrupt();
        }
        let state = self.state();
        self.reports.finish(&state);
        self.follow_ups.finish();
    }

    /// Waits for the commands, whose time is limited.
    fn finish_commands(&mut self) -> FollowEnd {
        while self.follow_ups.unfinished_count() > 0 {
            self.report();
            let due = self.reports.next_due(self.begun.elapsed());
            select! {
                recv(self.follow_ups.finished()) -> run => {
                    if let Ok(run) = run {
                        self.follow_ups.handle_finished(&run);
                    }
                }
                recv(self.signals) -> signal => {
                    if signal == Ok(WatchSignal::Stop) {
                        return FollowEnd::Interrupted;
                    }
                }
                default(due) => {}
            }
        }
        self.follow_ups.handle_all_finished();
        FollowEnd::Drained
    }

    /// Makes the reports that are due.
    fn report(&mut self) {
        let now = self.begun.elapsed();
        if self
            .reports
            .is_due(now, self.is_scanned && self.run.is_ready())
        {
            let state = self.state();
            self.reports.tick(now, &state);
        }
    }

    fn state(&self) -> WatchNumbers {
        WatchNumbers {
            files: self.summary.counts(),
            waiting: self.run.jobs.pending_count(),
            retrying: self.run.jobs.retrying_count(),
            commands: self.follow_ups.unfinished_count(),
            is_scanned: self.is_scanned,
            is_model_ready: self.run.is_ready(),
        }
    }

    fn handle_watch_event(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Ready {
                path,
                kind,
                stamp,
                is_closed,
            } => {
                let (report, reason) = ReportedFile::ready(kind, stamp, is_closed);
                self.run.jobs.request(&path, Lane::Bulk, reason, report);
            }
            WatchEvent::Touched { path, stamp } => {
                let report = ReportedFile::new(stamp, ReportCause::Touched);
                self.run.jobs.touched(&path, report);
            }
            // A file that was removed before it was read yields no line.
            WatchEvent::Removed(path) => drop(self.run.jobs.removed(&path)),
            WatchEvent::Renamed { from, to } => self.handle_rename(&from, &to),
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

    /// Requests the results of renamed files again: each owes a line under its new name.
    fn handle_rename(&mut self, from: &Path, to: &Path) {
        drop(self.run.jobs.renamed(from, to));
        for path in self.run.jobs.start_over_below(to) {
            // Otherwise it is gone again, or has yet another name, as the next event will say.
            if let Some(stamp) = watch::stamp_of(&path) {
                let report = ReportedFile::new(stamp, ReportCause::Renamed);
                let jobs = &mut self.run.jobs;
                jobs.request(&path, Lane::Bulk, Reason::Wanted, report);
            }
        }
    }

    /// Stops accepting files, and ends those that wait for another attempt with their last outcome.
    fn stop(&mut self, events: &Receiver<WatchEvent>) -> Result<(), Fault> {
        self.watch = None;
        self.reports.stopping();
        // Files that the watch reported before it ended are accepted.
        for event in events.try_iter() {
            self.handle_watch_event(event);
        }
        for ended in self.run.jobs.drain() {
            self.end(ended)?;
        }
        Ok(())
    }

    /// Applies the settings, the prompts, the calibrations and what was learned as they are now, and opens the output again.
    fn reload(&mut self) -> Result<(), Fault> {
        self.reports.reloading();
        let _blocked = self.reports.may_block();
        let change = self.reloading.read_again();
        if change != ScoreChange::None {
            let Reloading { prompts, fits, .. } = &self.reloading;
            let (calibrations, learned) = fits;
            if let Some(series) = &mut self.series {
                series.use_prompts(prompts);
                series.use_calibrations(learned.calibrations(calibrations));
            }
            // A line is owed once for each set of prompts, however it is calibrated.
            let starts_over = change == ScoreChange::Prompts;
            self.run
                .use_prompts(prompts.clone(), fits.clone(), starts_over);
        }
        self.follow_ups.use_rules(&self.reloading.setup.rules);
        let Reloading { prompts, fits, .. } = &self.reloading;
        let shows = shown_columns(self.run.mode(), fits, prompts);
        self.output.reopen(prompts, shows)?;
        self.reports.reloaded();
        Ok(())
    }

    /// Writes the remaining results, and prints the summary.
    fn finish(&mut self) -> Result<(), Fault> {
        let blocked = self.reports.may_block();
        self.output.finish()?;
        drop(blocked);
        let state = self.state();
        self.reports.finish(&state);
        self.follow_ups.finish();
        if self.summary.is_notable() || io::stderr().is_terminal() {
            print::message(self.summary.parts().join(", "));
        }
        Ok(())
    }
}
