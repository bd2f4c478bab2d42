//! Counts of classified, rejected, failed and skipped files, for the last line on stderr.

use std::collections::BTreeMap;

use crate::library::Outcome;
use crate::scoring::Decision;

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
