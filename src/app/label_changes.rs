//! What a change of prompts, or what was learned, does to the labels.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::popup::Choice;
use super::results::reviews::label_shown;
use super::results::{FileState, Results};
use crate::engine::ClassifiedFile;
use crate::library::Record;
use crate::scoring::Decision;

/// Maximum number of files listed.
const MAX_LISTED: usize = 1000;
/// The label of a rejected image.
const REJECTED: &str = "rejected";

/// A file with another label than before.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LabelChange {
    path: PathBuf,
    before: String,
    after: String,
}

/// The labels before, while results are scored again.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LabelSnapshot {
    labels: HashMap<PathBuf, String>,
    /// What changed, if the outcome is to be told.
    told: Option<String>,
}

/// What the last change did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelChanges {
    before: Option<LabelSnapshot>,
    changes: Vec<LabelChange>,
    /// Number of files that were scored again; 0 before the first change.
    compared: usize,
}

impl LabelChanges {
    /// Notes the labels before files are scored again; `told` says what changed, if the outcome is to be told. If an earlier change is still under way, its beginning stays.
    pub(super) fn begin(&mut self, files: &[ClassifiedFile], told: Option<String>) {
        let known = |file: &ClassifiedFile| {
            let state = FileState::Done(file.records.clone());
            Some((file.path.clone(), label(state.record()?)))
        };
        let labels = || files.iter().filter_map(known).collect();
        // Nothing is finished that has no files.
        let before = self
            .before
            .take()
            .filter(|before| !before.labels.is_empty());
        self.before = Some(LabelSnapshot {
            labels: before.map_or_else(labels, |before| before.labels),
            told,
        });
    }

    /// Forgets all of it: another model's labels are no change of prompts.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Compares the labels once all files are scored. Returns what is told, if anything.
    pub(super) fn finish(&mut self, results: &Results) -> Option<String> {
        let before = self.before.take()?;
        let mut changes: Vec<LabelChange> = Vec::new();
        let mut compared = 0;
        for (path, before) in before.labels {
            // Hidden from a blind reader, or gone.
            let Some(record) = results.get(&path).and_then(FileState::record) else {
                continue;
            };
            compared += 1;
            let after = label(record);
            if after != before {
                changes.push(LabelChange {
                    path,
                    before,
                    after,
                });
            }
        }
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        (self.changes, self.compared) = (changes, compared);
        let told = before.told.filter(|_| compared > 0)?;
        Some(match self.changes.len() {
            0 => format!("{told}; no label changed"),
            count => format!("{told}; {count} of {compared} labels changed"),
        })
    }

    /// Why there is nothing to list, if so.
    pub(super) fn nothing_to_list(&self) -> Option<&'static str> {
        if self.compared == 0 {
            Some("no other prompts were used on these images yet")
        } else if self.changes.is_empty() {
            Some("no label changed")
        } else {
            None
        }
    }

    /// Number of files whose label changed.
    pub(super) fn count(&self) -> usize {
        self.changes.len()
    }

    /// The file in a row of the list.
    pub(super) fn path(&self, row: usize) -> Option<&Path> {
        self.changes.get(row).map(|change| change.path.as_path())
    }

    /// The files whose label changed, by path.
    pub(super) fn choices(&self, env: &Environment) -> Vec<Choice> {
        let all = format!(
            "{} of {} labels changed. Enter shows the file.",
            self.changes.len(),
            self.compared
        );
        let listed = self.changes.iter().take(MAX_LISTED);
        listed
            .map(|change| Choice {
                name: env.show_path(&change.path),
                beside: format!("{} → {}", change.before, change.after),
                about: vec![all.clone()],
                ..Choice::default()
            })
            .collect()
    }
}

/// The label of a result; safe to show.
fn label(record: &Record) -> String {
    if record.verdict.decision == Decision::Rejected {
        REJECTED.to_owned()
    } else {
        label_shown(record)
    }
}
