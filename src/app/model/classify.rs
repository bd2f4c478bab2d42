//! Classifies files on request, watches for new ones, and deals with those that failed.

use std::path::PathBuf;

use super::Model;
use crate::app::browser::folder::{Listing, RowKind};
use crate::app::effect::Effect;
use crate::app::entry::{EntryKind, FoundFile};
use crate::app::msg::Severity;
use crate::app::popup::{Explanation, PickerKind, Popup, kind_word};
use crate::app::results::{FileState, FileStatus};
use crate::app::status::{EngineState, WatchState};
use crate::app::text;
use crate::engine::Lane;

impl Model {
    // ── classify and watch ────────────────────────────────────────────────────────────────────────────────────

    /// Whether there is no model; if so, reports it.
    pub(super) fn says_no_model(&mut self) -> bool {
        let failed = self.engine.has_failed();
        if failed {
            self.say(Severity::Error, "there is no model to classify with");
        }
        failed
    }

    pub(super) fn classify_current(&mut self) -> Vec<Effect> {
        let folder = self.folder();
        let Some(row) = folder.current() else {
            return Vec::new();
        };
        if row.represents == RowKind::Entry && row.kind == EntryKind::Folder {
            let dir = row.path.clone();
            return self.classify_under(dir);
        }
        let files: Vec<FoundFile> = if row.represents == RowKind::Entry {
            vec![row.found()]
        } else {
            self.studies.found_in(row, folder, &self.results)
        };
        self.classify(files);
        Vec::new()
    }

    /// Classifies the marked files in all folders, and removes the marks.
    pub(super) fn classify_marked(&mut self) {
        if self.browser.marked().is_empty() {
            return self.say(Severity::Info, "nothing is marked");
        }
        let files = self.browser.marked_files(&self.results);
        if !self.engine.has_failed() {
            let _ = self.browser.clear_marks();
        }
        self.classify(files);
    }

    pub(super) fn classify_all(&mut self) -> Vec<Effect> {
        let folder = self.folder();
        if let Some(files) = self.studies.found_on_screen(folder, &self.results) {
            self.classify(files);
            return Vec::new();
        }
        let dir = folder.dir().to_owned();
        self.classify_under(dir)
    }

    fn classify_under(&mut self, dir: PathBuf) -> Vec<Effect> {
        if self.says_no_model() {
            return Vec::new();
        }
        vec![self.scan(dir, true)]
    }

    pub(super) fn toggle_watch(&mut self) -> Vec<Effect> {
        match self.watch {
            WatchState::Starting | WatchState::On { .. } => {
                self.watch = WatchState::Off;
                vec![Effect::StopWatch]
            }
            WatchState::Off | WatchState::Failed(_) => self.start_watch(),
        }
    }

    // ── failures ──────────────────────────────────────────────────────────────────────────────────────────────

    /// Opens the list of files that failed.
    pub(super) fn open_failures(&mut self) {
        if self.results.count(FileStatus::Failed) == 0 {
            self.say(Severity::Info, "no file failed");
        } else {
            self.open_picker(PickerKind::Failures);
        }
    }

    /// Classifies all files that failed again.
    pub(super) fn retry_all(&mut self) -> Vec<Effect> {
        let failed = self.results.failed().into_iter();
        let paths = failed.map(|(path, _)| path.to_owned()).collect();
        self.retry(paths)
    }

    /// Classifies files again. What could not even be read is searched for images.
    pub(super) fn retry(&mut self, paths: Vec<PathBuf>) -> Vec<Effect> {
        if paths.is_empty() {
            self.say(Severity::Info, "no file failed");
            return Vec::new();
        }
        if self.says_no_model() {
            return Vec::new();
        }
        let words = match paths.len() {
            1 => "1 file is tried again".to_owned(),
            n => format!("{n} files are tried again"),
        };
        self.say(Severity::Info, &words);
        let (mut files, mut effects) = (Vec::new(), Vec::new());
        for path in paths {
            if self.results.is_unreadable(&path) {
                self.results.forget(&path);
                self.browser.folder.rerank(&path, &self.results);
                effects.push(self.scan(path, false));
            } else if let Some(stamp) = self.results.stamp(&path) {
                files.push(FoundFile { path, stamp });
            }
        }
        let lane = if files.len() == 1 {
            Lane::Interactive
        } else {
            Lane::Bulk
        };
        self.request(files, lane);
        effects
    }

    /// Opens the details of what failed, looking at the nearest first: the file, the folder, the model, the preview,
    /// the prompts, the watch.
    ///
    /// Where nothing has failed, explains the scores of the file.
    pub(super) fn explain(&mut self) -> Vec<Effect> {
        match self.failure() {
            Some(explanation) => self.popups.open(Popup::Explanation(explanation)),
            None => return self.explain_scores(),
        }
        Vec::new()
    }

    fn failure(&self) -> Option<Explanation> {
        let plain = |subject: &str, message: &str| Explanation {
            subject: subject.to_owned(),
            kind: None,
            message: message.to_owned(),
            advice: None,
        };
        let current = self.folder().current();
        if let (Some(row), Some(FileState::Failed(failure))) = (current, self.current_state()) {
            return Some(Explanation::of_failure(&row.path, failure, &self.env));
        }
        if let Listing::Failed(message) = self.folder().listing() {
            return Some(plain(&self.env.show_path(self.folder().dir()), message));
        }
        if let EngineState::Failed(message) = &self.engine {
            let lines = message.lines().map(text::safe_str);
            return Some(Explanation {
                kind: Some("no model"),
                ..plain("Model", &lines.collect::<Vec<_>>().join("\n"))
            });
        }
        if let (Some(row), Some(shown)) = (current, self.viewer.shown())
            && let Err(error) = &shown.outcome
        {
            let message = text::safe_str(&error.message);
            return Some(Explanation {
                kind: Some(kind_word(error.kind)),
                ..plain(&self.env.show_path(&row.path), &message)
            });
        }
        if let Some(fault) = self.prompt_sets.fault() {
            let earlier = "The prompts as they were before stay in use.";
            return Some(Explanation {
                advice: Some(earlier.to_owned()),
                ..plain("Prompts", fault)
            });
        }
        match &self.watch {
            WatchState::Failed(message) => Some(plain("Watch", message)),
            _ => None,
        }
    }
}
