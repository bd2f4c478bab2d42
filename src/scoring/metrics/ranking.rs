//! The order of cases by their scores, and what follows from it and from what is said of them.

use super::{BootstrapSample, Case};

/// The cases by rising score of one class. Made once, so that no draw has to sort them.
pub(crate) struct Ranking(Vec<RankedCase>);

struct RankedCase {
    index: u32,
    /// Whether it is of the class.
    is_positive: bool,
    /// Whether it has the same score as the case before.
    is_tied: bool,
}

impl Ranking {
    /// A ranking for each class.
    pub(in crate::scoring) fn of_classes(cases: &[Case], classes: usize) -> Vec<Self> {
        let ranking = |class: usize| {
            let all = cases.iter();
            Self::new(all.map(|case| (case.scores[class], case.truth == class)))
        };
        (0..classes).map(ranking).collect()
    }

    /// Ranks cases, each with its score and whether it is of the class.
    pub(crate) fn new(cases: impl Iterator<Item = (f64, bool)>) -> Self {
        let cases: Vec<(f64, bool)> = cases.collect();
        let score = |index: u32| cases[index as usize].0;
        let mut order: Vec<u32> = (0..cases.len() as u32).collect();
        order.sort_by(|&a, &b| score(a).total_cmp(&score(b)));
        let mut before = None;
        let ranked = order.into_iter().map(|index| RankedCase {
            index,
            is_positive: cases[index as usize].1,
            is_tied: before
                .replace(index)
                .is_some_and(|before| score(before).total_cmp(&score(index)).is_eq()),
        });
        Self(ranked.collect())
    }

    /// The area of a sample, see [`Self::auroc_counting`].
    pub(in crate::scoring) fn auroc(&self, sample: &BootstrapSample) -> Option<f64> {
        self.auroc_counting(&sample.counts)
    }

    /// The probability that a case of the class has a higher score than any other case, ties counting half (Mann & Whitney).
    /// `counts`: how often each case counts. `None` without cases of the class, or of others.
    pub(crate) fn auroc_counting(&self, counts: &[u32]) -> Option<f64> {
        let (mut positives, mut negatives, mut wins) = (0_u64, 0_u64, 0.0);
        for tied in self.0.chunk_by(|_, next| next.is_tied) {
            let [positive, negative] = counted(tied, counts);
            wins += positive as f64 * (negatives as f64 + negative as f64 / 2.0);
            positives += positive;
            negatives += negative;
        }
        (positives > 0 && negatives > 0).then(|| wins / (positives as f64 * negatives as f64))
    }

    /// Average precision: the mean over cases of the class of the precision at their score, cases with the same score being one step
    /// (the sum of (Rₙ − Rₙ₋₁) Pₙ over thresholds, as scikit-learn's `average_precision_score`). `counts` and `None`: see
    /// [`Self::auroc_counting`].
    fn average_precision_counting(&self, counts: &[u32]) -> Option<f64> {
        let (mut positives, mut all, mut sum) = (0_u64, 0_u64, 0.0);
        for tied in self.0.chunk_by(|_, next| next.is_tied).rev() {
            let [positive, negative] = counted(tied, counts);
            positives += positive;
            all += positive + negative;
            if positive > 0 {
                sum += positive as f64 * positives as f64 / all as f64;
            }
        }
        (positives > 0 && all > positives).then(|| sum / positives as f64)
    }
}

/// How many of the cases are of the class, and how many are not.
fn counted(cases: &[RankedCase], counts: &[u32]) -> [u64; 2] {
    let (mut positive, mut negative) = (0, 0);
    for case in cases {
        let count = u64::from(counts[case.index as usize]);
        if case.is_positive {
            positive += count;
        } else {
            negative += count;
        }
    }
    [positive, negative]
}

/// The scores of cases for one condition that is decided on by itself.
pub(crate) struct PresenceScores {
    ranking: Ranking,
    /// Whether each case shows it, and whether it is said to.
    cases: Vec<[bool; 2]>,
}

/// How often a condition is shown and said: the four cells of its table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PresenceCounts {
    pub(crate) true_positives: u64,
    pub(crate) false_negatives: u64,
    pub(crate) false_positives: u64,
    pub(crate) true_negatives: u64,
}

impl PresenceScores {
    /// Of cases, each with its score, whether it shows the condition, and whether it is said to.
    pub(crate) fn new(cases: impl Iterator<Item = (f64, [bool; 2])>) -> Self {
        let (scores, cases): (Vec<f64>, Vec<[bool; 2]>) = cases.unzip();
        let ranked = scores.into_iter().zip(&cases);
        Self {
            ranking: Ranking::new(ranked.map(|(score, [is_shown, _])| (score, *is_shown))),
            cases,
        }
    }

    /// See [`Ranking::auroc_counting`].
    pub(crate) fn auroc_counting(&self, counts: &[u32]) -> Option<f64> {
        self.ranking.auroc_counting(counts)
    }

    /// See [`Ranking::average_precision_counting`].
    pub(super) fn average_precision_counting(&self, counts: &[u32]) -> Option<f64> {
        self.ranking.average_precision_counting(counts)
    }

    /// How often the condition is shown and said. `counts`: how often each case counts.
    pub(crate) fn counts(&self, counts: &[u32]) -> PresenceCounts {
        let mut all = PresenceCounts::default();
        for (case, count) in self.cases.iter().zip(counts) {
            let cell = match case {
                [true, true] => &mut all.true_positives,
                [true, false] => &mut all.false_negatives,
                [false, true] => &mut all.false_positives,
                [false, false] => &mut all.true_negatives,
            };
            *cell += u64::from(*count);
        }
        all
    }
}

impl PresenceCounts {
    /// Share of the cases with the condition that are said to show it; `None` without any.
    pub(crate) fn sensitivity(self) -> Option<f64> {
        share(self.true_positives, self.false_negatives)
    }

    /// Share of the cases without the condition that are not said to show it; `None` without any.
    pub(crate) fn specificity(self) -> Option<f64> {
        share(self.true_negatives, self.false_positives)
    }

    /// Share of the cases said to show the condition that do; `None` without any.
    pub(crate) fn precision(self) -> Option<f64> {
        share(self.true_positives, self.false_positives)
    }
}

/// The share of the first in both; `None` if both are 0.
fn share(part: u64, rest: u64) -> Option<f64> {
    (part + rest > 0).then(|| part as f64 / (part + rest) as f64)
}
