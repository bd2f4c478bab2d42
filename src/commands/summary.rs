//! Counts of classified, rejected, failed and skipped files, for the last line on stderr.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::library::Outcome;
use crate::scoring::Decision;

/// Maximum number of reasons for rejecting files that are told.
const MAX_REASONS: usize = 5;

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
        parts.extend(rejected_parts(&self.rejected));
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

/// The numbers of rejected files by reason, the most frequent first; of many reasons how many others there are, as a longer line would
/// be cut.
pub(super) fn rejected_parts(rejected: &BTreeMap<String, u64>) -> Vec<String> {
    let mut reasons: Vec<(&String, u64)> = rejected.iter().map(|own| (own.0, *own.1)).collect();
    reasons.sort_by_key(|(_, count)| Reverse(*count));
    let (told, others) = reasons.split_at(reasons.len().min(MAX_REASONS));
    let told = told.iter();
    let mut parts: Vec<String> = told
        .map(|(reason, count)| format!("{count} rejected ({reason})"))
        .collect();
    let files: u64 = others.iter().map(|(_, count)| count).sum();
    match others.len() {
        0 => {}
        1 => parts.push(format!("{files} rejected for another reason")),
        reasons => parts.push(format!("{files} rejected for {reasons} other reasons")),
    }
    parts
}

/// Whether the file is not an image at all.
pub(super) fn is_not_an_image(outcomes: &[Outcome]) -> bool {
    let is_none =
        |outcome: &Outcome| matches!(outcome, Err(failure) if !failure.content.is_image());
    outcomes.iter().all(is_none)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_reasons_are_told_and_the_others_counted() {
        let reasons = |count: u64| {
            let reasons = (1..=count).map(|own| (format!("reason {own}"), own));
            rejected_parts(&reasons.collect())
        };
        assert_eq!(
            reasons(2),
            ["2 rejected (reason 2)", "1 rejected (reason 1)"]
        );
        assert_eq!(reasons(6)[5], "1 rejected for another reason");
        let many = reasons(60);
        assert_eq!(many.len(), 6);
        assert_eq!(many[0], "60 rejected (reason 60)");
        assert_eq!(many[5], "1540 rejected for 55 other reasons");
        assert_eq!(reasons(0), [""; 0]);
    }
}
