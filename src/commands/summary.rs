//! Counts of classified, rejected, failed and skipped files, for the last line on stderr.

use std::collections::BTreeMap;

use crate::library::Outcome;
use crate::scoring::Decision;

/// Numbers of files by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FileCounts {
    pub(super) classified: u64,
    pub(super) rejected: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
}

impl FileCounts {
    /// What was added since `earlier`.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            classified: self.classified - earlier.classified,
            rejected: self.rejected - earlier.rejected,
            failed: self.failed - earlier.failed,
            skipped: self.skipped - earlier.skipped,
        }
    }

    /// The numbers as a part of a sentence.
    pub(super) fn sentence(self) -> String {
        let mut parts = vec![format!("{} classified", self.classified)];
        let others = [
            (self.rejected, "rejected"),
            (self.failed, "failed"),
            (self.skipped, "skipped (not images)"),
        ];
        for (count, name) in others.into_iter().filter(|(count, _)| *count > 0) {
            parts.push(format!("{count} {name}"));
        }
        parts.join(", ")
    }
}

/// Counts files by outcome.
#[derive(Debug, Default)]
pub(super) struct Summary {
    classified: u64,
    /// Rejected files by reason.
    rejected: BTreeMap<String, u64>,
    failed: u64,
    skipped: u64,
    /// Files whose lines were written by an earlier run.
    repeated: u64,
}

impl Summary {
    /// Counts a file.
    pub(super) fn add(&mut self, outcomes: &[Outcome]) {
        if outcomes.iter().any(Result::is_err) {
            self.failed += 1;
            return;
        }
        // With several frames, the last outcome is their aggregate and counts for the file.
        match outcomes.last() {
            Some(Ok(record)) if record.verdict.decision == Decision::Rejected => {
                let reason = record.verdict.reason.clone().unwrap_or_default();
                *self.rejected.entry(reason).or_default() += 1;
            }
            _ => self.classified += 1,
        }
    }

    /// Counts a file that is not an image and yields no line.
    pub(super) fn skip(&mut self) {
        self.skipped += 1;
    }

    /// Counts a file whose lines were written by an earlier run.
    pub(super) fn repeat(&mut self) {
        self.repeated += 1;
    }

    /// The numbers so far.
    pub(super) fn counts(&self) -> FileCounts {
        FileCounts {
            classified: self.classified,
            rejected: self.rejected.values().sum(),
            failed: self.failed,
            skipped: self.skipped,
        }
    }

    /// Whether some files failed.
    pub(super) fn has_failures(&self) -> bool {
        self.failed > 0
    }

    /// Whether not every file was classified.
    pub(super) fn is_notable(&self) -> bool {
        self.failed + self.skipped + self.repeated > 0 || !self.rejected.is_empty()
    }

    /// The counts as parts of a sentence.
    pub(super) fn parts(&self) -> Vec<String> {
        let mut parts = vec![format!("{} classified", self.classified)];
        for (reason, count) in &self.rejected {
            parts.push(format!("{count} rejected ({reason})"));
        }
        if self.failed > 0 {
            parts.push(format!("{} failed", self.failed));
        }
        if self.repeated > 0 {
            parts.push(format!("{} written before", self.repeated));
        }
        if self.skipped > 0 {
            parts.push(format!("{} skipped (not images)", self.skipped));
        }
        parts
    }
}

/// Whether the file is not an image at all.
pub(super) fn is_not_an_image(outcomes: &[Outcome]) -> bool {
    let is_none =
        |outcome: &Outcome| matches!(outcome, Err(failure) if !failure.content.is_image());
    outcomes.iter().all(is_none)
}
