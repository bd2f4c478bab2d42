//! From the ends of jobs to lines: which are written, and what is done with their files.

use std::path::Path;
use std::time::Duration;

use super::Follower;
use crate::commands::Fault;
use crate::commands::summary::is_not_an_image;
use crate::commands::watch::reported::{self, ReportedFile};
use crate::engine::Lane;
use crate::jobs::{End, Ended, Reason};
use crate::library::{Outcome, RequestProgress};
use crate::media::ErrorKind;
use crate::watch;

impl Follower<'_> {
    /// Writes the result of a file, unless its content already has a line.
    pub(super) fn end(&mut self, ended: Ended<ReportedFile>) -> Result<(), Fault> {
        let End::Answered(outcomes) = &ended.end else {
            return Ok(());
        };
        if is_missing(outcomes) && self.accept_absence(&ended) {
            return Ok(());
        }
        if !ended.is_repeated {
            self.write_line(&ended.path, outcomes, &ended.waiters)?;
        }
        // Files that failed may be incomplete; at the end, further attempts were given up. The next watch makes them.
        let is_final = self.watch.is_some() || outcomes.iter().all(Result::is_ok);
        let may_move = ended.is_there && is_final && !is_not_an_image(outcomes);
        let reported = ended.waiters.last().filter(|_| may_move).copied();
        let record = outcomes.last().and_then(|outcome| outcome.as_ref().ok());
        let study = self.series.as_ref().zip(record);
        let study = study.and_then(|(series, record)| series.waiting_study(record));
        self.follow_ups
            .end_file(&ended.path, reported, study, outcomes);
        Ok(())
    }

    /// Accepts that a file was not there when its turn came: it was removed or renamed, as an event that is still to come will say,
    /// and yields no line. If it is there again, it is read again. False if it was tried again already.
    fn accept_absence(&mut self, ended: &Ended<ReportedFile>) -> bool {
        if watch::stamp_of(&ended.path).is_none() {
            return true;
        }
        for report in ended.waiters.iter().filter(|_| !ended.has_arrived) {
            let jobs = &mut self.run.jobs;
            jobs.request(&ended.path, Lane::Bulk, Reason::Arrived, *report);
        }
        !ended.has_arrived && !ended.waiters.is_empty()
    }

    /// Writes the lines of a file, unless they were written before. `reports`: those that they answer.
    fn write_line(
        &mut self,
        path: &Path,
        outcomes: &[Outcome],
        reports: &[ReportedFile],
    ) -> Result<(), Fault> {
        if is_not_an_image(outcomes) {
            self.summary.skip();
            return Ok(());
        }
        // With several frames, the last outcome is their aggregate and counts for the file.
        if let (Some(series), Some(Ok(record))) = (&mut self.series, outcomes.last()) {
            if reported::are_of_rename(reports) {
                series.note_renamed(path, record);
            }
            series.add(self.begun.elapsed(), path, record);
        }
        let mut new_lines = 0;
        let _blocked = self.reports.may_block();
        // Nobody waits for a result that other prompts have led to: commands have been run on the one before.
        let runs_commands = !reports.is_empty();
        let is_new_content = reported::are_of_new_content(reports);
        for (at, outcome) in outcomes.iter().enumerate() {
            // An error does not say which content it is about.
            if outcome.is_err() && is_new_content {
                self.output.forget(path, outcome);
            }
            if self.output.write(path, outcome)? {
                new_lines += 1;
                if runs_commands {
                    self.follow_ups.add_line(outcome, at + 1 == outcomes.len());
                }
            }
        }
        if new_lines > 0 {
            self.summary.add(outcomes);
            self.reports.metrics().count_lines(new_lines, outcomes);
        } else {
            self.summary.repeat();
        }
        Ok(())
    }

    /// Writes the lines of the series and studies that have become quiet. Before the first scan is done, more of their instances may
    /// be there.
    pub(super) fn write_aggregates(&mut self, now: Duration) -> Result<(), Fault> {
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
        let _blocked = self.reports.may_block();
        for line in series.due(now, progress) {
            if self.output.write_aggregate(&line)? {
                self.reports.metrics().count_lines(1, &[]);
            }
        }
        for study in series.take_quiet() {
            self.follow_ups.release(&study);
        }
        Ok(())
    }
}

/// Whether a file was not there when it was to be read.
fn is_missing(outcomes: &[Outcome]) -> bool {
    let is_missing =
        |outcome: &Outcome| matches!(outcome, Err(failure) if failure.kind == ErrorKind::NotFound);
    outcomes.iter().all(is_missing)
}
