//! The images below a folder, counted.

use std::collections::BTreeMap;

use super::{FileState, FileStatus};
use crate::scoring::Decision;

/// The images below a folder, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All images.
    pub pictures: usize,
    /// By status.
    pub statuses: BTreeMap<FileStatus, usize>,
    /// By label, without rejected images.
    pub labels: BTreeMap<String, usize>,
    /// Images that the reviewer has decided on.
    pub reviewed: usize,
}

impl Tally {
    /// The number of images with a status.
    pub fn count(&self, status: FileStatus) -> usize {
        self.statuses.get(&status).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, state: &FileState, is_reviewed: bool) {
        self.pictures += 1;
        self.reviewed += usize::from(is_reviewed);
        *self.statuses.entry(state.status()).or_default() += 1;
        if let Some(label) = claim(state) {
            *self.labels.entry(label.to_owned()).or_default() += 1;
        }
    }

    pub(super) fn subtract(&mut self, state: &FileState, was_reviewed: bool) {
        self.pictures = self.pictures.saturating_sub(1);
        self.reviewed = self.reviewed.saturating_sub(usize::from(was_reviewed));
        subtract_one(&mut self.statuses, &state.status());
        if let Some(label) = claim(state) {
            subtract_one(&mut self.labels, label);
        }
    }
}

fn subtract_one<K: Ord + std::borrow::Borrow<Q>, Q: Ord + ?Sized>(
    counts: &mut BTreeMap<K, usize>,
    key: &Q,
) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// The label, unless the image was rejected.
fn claim(state: &FileState) -> Option<&str> {
    let record = state
        .record()
        .filter(|r| r.verdict.decision != Decision::Rejected)?;
    Some(&record.verdict.label)
}
