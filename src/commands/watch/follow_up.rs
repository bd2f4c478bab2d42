//! What is done with a file once its lines are written: it is moved, and commands are run on its results.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::metrics::WatchMetrics;
use super::moves::{MovableFile, MoveTarget, Moved};
use super::reported::ReportedFile;
use crate::commands::{Fault, exit, print, shown};
use crate::exec::{CommandLine, CommandRunner, FinishedRun, RunFailure, RunLimits};
use crate::library::{Library, Outcome, Record, StudyKey};
use crate::media;
use crate::rules::{RuleAction, Rules};
use crate::watch::WriterPresence;

/// Number of files from which their lines are flushed, and the files followed up, although more results are there; and of those
/// that are moved together when a study is released.
const MAX_PENDING: usize = 64;

/// A command to run on a result.
struct PendingRun {
    command: CommandLine,
    record: Record,
}

/// A file whose lines are written, but perhaps not flushed.
struct PendingFile {
    path: PathBuf,
    runs: Vec<PendingRun>,
    /// The file, if it is to be moved.
    to_move: Option<MovableFile>,
}

/// Moves files, and runs the commands of `--exec` and of rules.
pub(super) struct FollowUps {
    target: Option<MoveTarget>,
    command: Option<CommandLine>,
    rules: Rules,
    runner: CommandRunner,
    /// The commands for the current file.
    runs: Vec<PendingRun>,
    pending: Vec<PendingFile>,
    /// Files that are moved once the lines of their studies are written.
    held: HashMap<StudyKey, BTreeMap<PathBuf, MovableFile>>,
    /// Files whose studies have their lines, to be moved a few at a time: signals must be heard meanwhile.
    released: VecDeque<MovableFile>,
    /// Files that are not moved yet because of their writers, and when they are tried again.
    postponed: Vec<(Duration, MovableFile)>,
    /// Whether it was said that it is unknown which files are being written.
    has_warned: bool,
    metrics: WatchMetrics,
    /// The library, which knows files by their paths.
    library: Option<Arc<Library>>,
}

impl FollowUps {
    /// Prepares the command `exec`, the moves to `move_to`, each if given, and the commands of the rules, for the folder `watched`.
    pub(super) fn new(
        exec: Option<&str>,
        move_to: Option<&Path>,
        watched: &Path,
        rules: Rules,
        (metrics, library): (WatchMetrics, Option<Arc<Library>>),
    ) -> Result<Self, Fault> {
        let wrong = |option: &str, value: &dyn std::fmt::Display, reason: String| {
            Fault::usage(format!("{option} {value}: {reason}"))
        };
        let command = exec.map(|text| {
            CommandLine::parse(text).map_err(|reason| wrong("--exec", &media::clean(text), reason))
        });
        let target = move_to.map(|template| {
            MoveTarget::new(template, watched)
                .map_err(|reason| wrong("--move-to", &shown(template), reason))
        });
        let runner = CommandRunner::new(RunLimits::default()).map_err(|error| Fault {
            code: exit::SOME_FAILED,
            message: format!("commands cannot be run: {error}"),
        })?;
        Ok(Self {
            target: target.transpose()?,
            command: command.transpose()?,
            rules,
            runner,
            runs: Vec::new(),
            pending: Vec::new(),
            held: HashMap::new(),
            released: VecDeque::new(),
            postponed: Vec::new(),
            has_warned: false,
            metrics,
            library,
        })
    }

    /// Applies other rules to the lines that follow.
    pub(super) fn use_rules(&mut self, rules: &Rules) {
        self.rules = rules.clone();
    }

    /// Notes a line that was written for the current file. `--exec` is for every line, rules are for the one that counts for the file.
    pub(super) fn add_line(&mut self, outcome: &Outcome, counts_for_file: bool) {
        let Ok(record) = outcome else { return };
        let actions = if counts_for_file {
            self.rules.actions(record.traits(), &record.verdict)
        } else {
            Vec::new()
        };
        let of_rules = actions.into_iter().filter_map(|action| match action {
            // It was checked when the settings were read.
            RuleAction::Exec(text) => CommandLine::parse(text).ok(),
            RuleAction::Bell => None,
        });
        let commands = self.command.iter().cloned().chain(of_rules);
        self.runs.extend(commands.map(|command| PendingRun {
            command,
            record: record.clone(),
        }));
    }

    /// Notes that the current file is done. It is moved if it is `reported`, whether or not lines were written: a restarted watch
    /// finds the lines of a file that it was killed before moving. If its `study` waits for lines, it is moved after [`Self::release`]:
    /// a restarted watch gathers series from the files that are there.
    pub(super) fn end_file(
        &mut self,
        path: &Path,
        reported: Option<ReportedFile>,
        study: Option<StudyKey>,
        outcomes: &[Outcome],
    ) {
        let runs = std::mem::take(&mut self.runs);
        let mut to_move = reported
            .filter(|_| self.target.is_some())
            .and_then(|reported| MovableFile::new(path, reported, outcomes));
        if let Some(study) = study
            && let Some(file) = to_move.take()
        {
            let held = self.held.entry(study).or_default();
            held.insert(path.to_owned(), file);
        }
        if !runs.is_empty() || to_move.is_some() {
            self.pending.push(PendingFile {
                path: path.to_owned(),
                runs,
                to_move,
            });
        }
    }

    /// Notes that all lines of a study are written: its files can be moved.
    pub(super) fn release(&mut self, study: &StudyKey) {
        let files = self.held.remove(study).unwrap_or_default();
        self.released.extend(files.into_values());
    }

    /// Whether released files remain to be moved.
    pub(super) fn is_behind(&self) -> bool {
        !self.released.is_empty()
    }

    /// Whether so many files wait for [`Self::carry_out`] that it should not be put off.
    pub(super) fn is_urgent(&self) -> bool {
        self.pending.len() >= MAX_PENDING || self.is_behind()
    }

    /// Moves the files whose lines are written, then runs the commands on their results; tries those again whose moves were put off
    /// until `now`. The lines must have been flushed.
    pub(super) fn carry_out(&mut self, now: Duration) {
        let postponed = std::mem::take(&mut self.postponed).into_iter();
        let (due, later): (Vec<_>, Vec<_>) = postponed.partition(|(due, _)| *due <= now);
        self.postponed = later;
        for (_, file) in due {
            self.move_file(file, now);
        }
        let count = self.released.len().min(MAX_PENDING);
        let released: Vec<MovableFile> = self.released.drain(..count).collect();
        for file in released {
            self.move_file(file, now);
        }
        for file in std::mem::take(&mut self.pending) {
            let moved = file.to_move.and_then(|file| self.move_file(file, now));
            let path = moved.as_ref().unwrap_or(&file.path);
            for run in &file.runs {
                self.run_command(path, run);
            }
        }
    }

    /// When there is something to move that was put off.
    pub(super) fn next_due(&self) -> Option<Duration> {
        if self.is_behind() {
            return Some(Duration::ZERO);
        }
        self.postponed.iter().map(|(due, _)| *due).min()
    }

    /// Moves a file, or puts that off; returns its new path.
    fn move_file(&mut self, file: MovableFile, now: Duration) -> Option<PathBuf> {
        match self.target.as_ref()?.move_file(&file) {
            Ok(Moved::To(path)) => {
                self.metrics.count_move("moved");
                if let Some(library) = &self.library {
                    library.note_moved(&file.path, &path);
                }
                Some(path)
            }
            Ok(Moved::Stays) => {
                self.metrics.count_move("changed");
                let path = shown(&file.path);
                tracing::info!("{path} was not moved: it is not the file that was classified");
                None
            }
            Ok(Moved::Gone) => None,
            Ok(Moved::Later(wait, writer)) => {
                self.postpone(file, now + wait, writer);
                None
            }
            Err(error) => {
                self.metrics.count_move("failed");
                print::message(format_args!("warning: {error}"));
                None
            }
        }
    }

    /// Notes that a file is to be moved at `due`, instead of what was noted for it before.
    fn postpone(&mut self, file: MovableFile, due: Duration, writer: WriterPresence) {
        let path = shown(&file.path);
        if writer == WriterPresence::Present {
            tracing::info!("{path} is not moved yet: a process has it open for writing");
        } else if !std::mem::replace(&mut self.has_warned, true) {
            print::message(format_args!(
                "warning: {path}: the system does not say whether this file is still being written; such files are moved once \
                 they have not changed for 10 minutes"
            ));
        }
        self.postponed.retain(|(_, other)| other.path != file.path);
        self.postponed.push((due, file));
    }

    /// Forgets the files that wait for [`Self::carry_out`], whose lines could not be written.
    pub(super) fn forget_pending(&mut self) {
        self.pending.clear();
    }

    /// Gives up the moves that were put off, and the commands that were never begun although their lines are written.
    pub(super) fn finish(&mut self) {
        for file in std::mem::take(&mut self.pending) {
            for run in file.runs {
                self.handle_finished(&FinishedRun {
                    path: file.path.clone(),
                    command: run.command.to_string(),
                    result: Err(RunFailure::Interrupted),
                });
            }
        }
        let held = std::mem::take(&mut self.held);
        let held: usize = held.values().map(BTreeMap::len).sum();
        let held = held + std::mem::take(&mut self.released).len();
        let postponed = std::mem::take(&mut self.postponed).len();
        for (count, reason) in [
            (held, "with the others of their series"),
            (postponed, "as a process may have been writing until now"),
        ] {
            let files = if count == 1 { "file is" } else { "files are" };
            if count > 0 {
                print::message(format_args!(
                    "{count} {files} moved after the next start, {reason}"
                ));
            }
        }
    }

    fn run_command(&mut self, path: &Path, run: &PendingRun) {
        if let Err(error) = self.runner.run(&run.command, path, &run.record) {
            self.metrics.count_exec("failed");
            let (path, command) = (shown(path), run.command.to_string());
            let command = media::clean(&command);
            print::message(format_args!(
                "warning: {path}: `{command}` cannot be run: {error}"
            ));
        }
    }

    /// Whether more results may be accepted: not while many commands wait.
    pub(super) fn has_room(&self) -> bool {
        self.runner.has_room()
    }

    /// Number of commands that run or wait.
    pub(super) fn unfinished_count(&self) -> usize {
        self.runner.unfinished_count()
    }

    /// The commands that ended, for [`Self::handle_finished`].
    pub(super) fn finished(&self) -> &Receiver<FinishedRun> {
        self.runner.finished()
    }

    /// Counts a command that ended, and warns if it failed.
    pub(super) fn handle_finished(&self, run: &FinishedRun) {
        let failure = match &run.result {
            Ok(()) => return self.metrics.count_exec("succeeded"),
            Err(failure) => failure,
        };
        self.metrics.count_exec(match failure {
            RunFailure::NotStarted(_) | RunFailure::Status(_) => "failed",
            RunFailure::TimedOut(_) => "timed_out",
            RunFailure::Interrupted => "interrupted",
        });
        let (path, command) = (shown(&run.path), media::clean(&run.command));
        print::message(format_args!("warning: {path}: `{command}`: {failure}"));
    }

    /// Ends the commands that run or wait, and says so of each.
    pub(super) fn interrupt(&mut self) {
        self.runner.stop();
        self.handle_all_finished();
    }

    /// Handles all commands that have ended.
    pub(super) fn handle_all_finished(&self) {
        for run in self.finished().try_iter() {
            self.handle_finished(&run);
        }
    }
}
