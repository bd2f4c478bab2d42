//! Aggregated results of a series.

use crate::app::results::{FileState, FileStatus, Results};
use crate::media::Member;

/// Aggregated results of the files of a study or series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aggregate {
    /// Number of files.
    pub files: usize,
    /// Files with a result that is not rejected.
    pub counted: usize,
    /// Files that wait for the engine.
    pub queued: usize,
    /// Rejected files.
    pub rejected: usize,
    /// Images without a result, because they are damaged, say.
    pub failed: usize,
    /// Files that are no images, such as presentation states.
    pub others: usize,
    /// Mean probability of each condition over `counted` files, the highest first.
    pub means: Vec<(String, f64)>,
}

impl Aggregate {
    /// Aggregates the results of files.
    pub(crate) fn of<'a>(members: impl IntoIterator<Item = &'a Member>, results: &Results) -> Self {
        let mut sum = Self::default();
        for member in members {
            sum.files += 1;
            if let Some(state) = results.get(&member.path) {
                sum.add(state);
            }
        }
        for (_, mean) in &mut sum.means {
            *mean /= sum.counted.max(1) as f64;
        }
        sum.means.sort_by(|a, b| b.1.total_cmp(&a.1));
        sum
    }

    /// Files that have been answered.
    pub fn answered(&self) -> usize {
        self.counted + self.rejected + self.failed + self.others
    }

    /// The leading condition and its mean probability.
    pub fn leading(&self) -> Option<(&str, f64)> {
        self.means
            .first()
            .map(|(label, mean)| (label.as_str(), *mean))
    }

    fn add(&mut self, state: &FileState) {
        match state.status() {
            FileStatus::Queued => self.queued += 1,
            FileStatus::Blind => {}
            FileStatus::Failed => self.failed += 1,
            FileStatus::NotAnImage => self.others += 1,
            FileStatus::Rejected => self.rejected += 1,
            FileStatus::Confident | FileStatus::Uncertain => {
                let Some(record) = state.record() else { return };
                self.counted += 1;
                for score in &record.verdict.scores {
                    let known = self
                        .means
                        .iter_mut()
                        .find(|(label, _)| *label == score.condition);
                    match known {
                        Some((_, sum)) => *sum += score.probability,
                        None => self
                            .means
                            .push((score.condition.clone(), score.probability)),
                    }
                }
            }
        }
    }
}
