//! How good scores are on labelled images that took no part.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::scoring::metrics::{Estimate, estimate};
use crate::scoring::softmax;

/// Bootstrap draws for an interval.
pub(super) const DRAWS: usize = 1000;

/// How good logits are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HeldOutFigures {
    /// Number of images.
    pub images: usize,
    /// The mean over conditions of the share of their images that get their label, from 0 to 1. Where each condition is decided on by
    /// itself, the mean over conditions of the mean of two shares: of images with it that score one half or more, and of images
    /// without it that score less.
    pub balanced_accuracy: f64,
    /// The mean negative logarithm of the probability of what is true, over images, and over conditions where each is decided on by
    /// itself.
    pub log_loss: f64,
    /// The mean area under the receiver operating characteristic over conditions; only where each is decided on by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auroc: Option<f64>,
}

impl HeldOutFigures {
    /// The figures of images, each with the index of its condition and its logits.
    pub fn of(images: impl IntoIterator<Item = (usize, Vec<f64>)>) -> Self {
        let (mut cases, mut loss) = (Vec::new(), 0.0);
        for (truth, logits) in images {
            loss -= softmax(&logits)[truth].max(f64::MIN_POSITIVE).ln();
            cases.push((truth, is_right(truth, &logits)));
        }
        Self {
            images: cases.len(),
            balanced_accuracy: balanced_accuracy(cases.iter().copied()),
            log_loss: loss / cases.len().max(1) as f64,
            auroc: None,
        }
    }

    /// What tells of two sets of scores the better one: the area where each condition is decided on by itself, as a threshold of one half
    /// means little before it is calibrated, else the accuracy.
    pub fn quality(&self) -> f64 {
        self.auroc.unwrap_or(self.balanced_accuracy)
    }
}

/// Whether the logit of the true condition is above all others.
fn is_right(truth: usize, logits: &[f64]) -> bool {
    let mut others = logits.iter().enumerate();
    others.all(|(class, other)| class == truth || *other < logits[truth])
}

fn balanced_accuracy(cases: impl Iterator<Item = (usize, bool)>) -> f64 {
    let mut by_class: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for (truth, is_right) in cases {
        let (right, all) = by_class.entry(truth).or_default();
        *right += usize::from(is_right);
        *all += 1;
    }
    let shares = by_class
        .values()
        .map(|(right, all)| *right as f64 / *all as f64);
    shares.sum::<f64>() / by_class.len().max(1) as f64
}

/// The balanced accuracy that the second logits of images have more than the first, with an interval of 95 % by bootstrap over
/// patients. `images`: patient, index of the condition, and both logits.
pub fn compare(images: &[(&str, usize, [&[f64]; 2])], seed: u64) -> Estimate {
    let mut patients: BTreeMap<&str, Vec<(usize, [bool; 2])>> = BTreeMap::new();
    for (patient, truth, logits) in images {
        let right = logits.map(|own| is_right(*truth, own));
        patients.entry(patient).or_default().push((*truth, right));
    }
    let patients: Vec<Vec<(usize, [bool; 2])>> = patients.into_values().collect();
    let gain = |drawn: &mut dyn Iterator<Item = usize>| {
        let cases: Vec<(usize, [bool; 2])> =
            drawn.flat_map(|at| patients[at].iter().copied()).collect();
        let [before, after] = [0, 1].map(|side: usize| {
            balanced_accuracy(cases.iter().map(|(truth, right)| (*truth, right[side])))
        });
        after - before
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let count = patients.len();
    let draws = (0..DRAWS).map(|_| gain(&mut (0..count).map(|_| rng.random_range(0..count))));
    let draws: Vec<f64> = draws.collect();
    estimate(gain(&mut (0..count)), draws)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_conditions_count_as_much_as_frequent_ones() {
        let right = vec![2.0, 0.0];
        let images = [(0, right.clone()), (0, right.clone()), (1, right.clone())];
        let figures = HeldOutFigures::of(images);
        assert_eq!((figures.images, figures.balanced_accuracy), (3, 0.5));
        // A tie is no decision for the truth.
        assert!(HeldOutFigures::of([(0, vec![1.0, 1.0])]).balanced_accuracy < 0.5);
    }

    #[test]
    fn an_interval_is_wider_over_few_patients() {
        let (good, bad) = ([1.0, 0.0], [0.0, 1.0]);
        let names: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        let of = |per_patient: usize| {
            let images: Vec<(&str, usize, [&[f64]; 2])> = (0..40)
                .map(|at| {
                    let after = if (at / per_patient).is_multiple_of(2) {
                        &good
                    } else {
                        &bad
                    };
                    (names[at / per_patient].as_str(), 0, [&bad[..], &after[..]])
                })
                .collect();
            let gain = compare(&images, 1);
            (gain.value, gain.high.unwrap() - gain.low.unwrap())
        };
        let (alone, many) = (of(1), of(10));
        assert!((alone.0 - 0.5).abs() < 1e-9 && (many.0 - 0.5).abs() < 1e-9);
        assert!(many.1 > 1.5 * alone.1, "{alone:?} {many:?}");
    }
}
