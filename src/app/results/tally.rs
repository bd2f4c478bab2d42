//! The images below a folder, counted.

use std::collections::BTreeMap;

use super::reviews::NONE;
use super::{FileState, FileStatus};
use crate::app::urgency::{LevelCounts, UrgencyLevel};
use crate::config::BUILTIN;
use crate::library::Record;
use crate::prompts::KINDS;
use crate::scoring::Decision;

/// The images below a folder, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All images, those that failed included, but not files that are none.
    pub pictures: usize,
    /// By status.
    pub statuses: BTreeMap<FileStatus, usize>,
    /// By label, without rejected images.
    pub labels: BTreeMap<String, LevelCounts>,
    /// Images that the reviewer has decided on.
    pub reviewed: usize,
    /// Images of which only the kind is told, as their model judges no findings of them.
    pub unjudged: usize,
}

impl Tally {
    /// The number of images with a status.
    pub fn count(&self, status: FileStatus) -> usize {
        self.statuses.get(&status).copied().unwrap_or(0)
    }

    /// Files that proved to be no images, such as presentation states.
    pub fn others(&self) -> usize {
        self.count(FileStatus::NotAnImage)
    }

    /// Whether nothing is counted.
    pub(super) fn is_empty(&self) -> bool {
        self.statuses.is_empty()
    }

    /// The images that are not rejected, by the level of their urgency.
    pub fn levels(&self) -> LevelCounts {
        let mut sum = LevelCounts::default();
        self.labels.values().for_each(|counts| sum.merge(*counts));
        sum
    }

    pub(in crate::app) fn add(&mut self, state: &FileState, is_reviewed: bool) {
        self.pictures += usize::from(state.status() != FileStatus::NotAnImage);
        self.reviewed += usize::from(is_reviewed);
        self.unjudged += usize::from(is_unjudged(state));
        *self.statuses.entry(state.status()).or_default() += 1;
        if let Some((label, level)) = claim(state) {
            match self.labels.get_mut(label) {
                Some(counts) => counts.add(level),
                None => self.labels.entry(label.to_owned()).or_default().add(level),
            }
        }
    }

    pub(super) fn subtract(&mut self, state: &FileState, was_reviewed: bool) {
        let image = usize::from(state.status() != FileStatus::NotAnImage);
        self.pictures = self.pictures.saturating_sub(image);
        self.reviewed = self.reviewed.saturating_sub(usize::from(was_reviewed));
        self.unjudged = self
            .unjudged
            .saturating_sub(usize::from(is_unjudged(state)));
        subtract_one(&mut self.statuses, state.status());
        if let Some((label, level)) = claim(state)
            && let Some(counts) = self.labels.get_mut(label)
        {
            counts.subtract(level);
            if counts.total() == 0 {
                self.labels.remove(label);
            }
        }
    }
}

fn subtract_one(counts: &mut BTreeMap<FileStatus, usize>, key: FileStatus) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

/// Whether only the kind of the image is told, as its model judges no findings of it.
fn is_unjudged(state: &FileState) -> bool {
    accepted(state).is_some_and(tells_kind_only)
}

/// Whether a result is of a model that judges no findings of the image, and so tells its kind.
pub(crate) fn tells_kind_only(record: &Record) -> bool {
    record.model == BUILTIN && record.prompts == KINDS
}

/// Whether a result was rejected only because its model judges no findings of real images unless reviews teach it.
pub fn could_be_taught(record: &Record) -> bool {
    record.model == BUILTIN
        && !record.synthetic
        && record.prompts != KINDS
        && record.verdict.decision == Decision::Rejected
}

/// The result, unless there is none to be seen or the image was rejected.
pub(crate) fn accepted(state: &FileState) -> Option<&Record> {
    let record = state.record();
    record.filter(|record| record.verdict.decision != Decision::Rejected)
}

/// The label and its urgency.
fn claim(state: &FileState) -> Option<(&str, UrgencyLevel)> {
    let verdict = &accepted(state)?.verdict;
    let label = verdict.claimed_label().unwrap_or(NONE);
    Some((label, UrgencyLevel::of(verdict.urgency)))
}
