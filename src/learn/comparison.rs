//! What learning is worth: labelled images scored without their labels, by the texts alone and with what was learned.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::HeldOut;
use super::chance::{BalancedAccuracy, is_right};
use crate::scoring::metrics::{Estimate, estimate};

/// Bootstrap draws for the intervals.
const DRAWS: usize = 1000;
/// The least probability that counts: an image is not infinitely wrong.
const MIN_PROBABILITY: f64 = 1e-12;

/// Accuracy and log-loss of labelled images, each scored without its label. Intervals are of 95 %, by bootstrap over studies, or images
/// that are of none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearningGain {
    /// Number of images.
    pub images: usize,
    /// Share of right labels, by the texts.
    pub accuracy_before: f64,
    /// Share of right labels, with what was learned.
    pub accuracy_after: f64,
    /// The difference of these.
    pub accuracy_gain: Estimate,
    /// Mean negative logarithm of the probability of the true condition, by the texts.
    pub log_loss_before: f64,
    /// The same, with what was learned.
    pub log_loss_after: f64,
    /// How much it fell.
    pub log_loss_gain: Estimate,
    /// The mean over the conditions that reviews name of the share of their images that are right; of several problems the mean. `None` in files of earlier versions.
    #[serde(default)]
    pub balanced_accuracy: Option<BalancedAccuracy>,
}

/// An image: shares of right decisions and losses, before and after.
#[derive(Clone, Copy, Debug, Default)]
struct HeldOutScore {
    right: [f64; 2],
    loss: [f64; 2],
}

impl LearningGain {
    /// Compares images. Each has one entry for each problem that it took part in: one where conditions exclude each other, one for
    /// each condition otherwise; `groups` has the number of its study. `None` without any.
    pub(super) fn new(images: &[Vec<&HeldOut>], groups: &[usize]) -> Option<Self> {
        let mut scores: BTreeMap<usize, Vec<HeldOutScore>> = BTreeMap::new();
        for (all, group) in images.iter().zip(groups) {
            scores.entry(*group).or_default().extend(score(all));
        }
        let studies: Vec<Vec<HeldOutScore>> = scores.into_values().collect();
        let count = studies.iter().map(Vec::len).sum::<usize>();
        if count == 0 {
            return None;
        }
        let mean = |pick: &dyn Fn(&HeldOutScore) -> f64| {
            studies.iter().flatten().map(pick).sum::<f64>() / count as f64
        };
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let (mut accuracy, mut loss) = (Vec::new(), Vec::new());
        for _ in 0..DRAWS {
            let (mut right, mut lost, mut images) = (0.0, 0.0, 0);
            for _ in 0..studies.len() {
                for drawn in &studies[rng.random_range(0..studies.len())] {
                    right += drawn.right[1] - drawn.right[0];
                    lost += drawn.loss[0] - drawn.loss[1];
                    images += 1;
                }
            }
            let images = f64::from(images.max(1));
            accuracy.push(right / images);
            loss.push(lost / images);
        }
        let [before, after] = [0, 1].map(|at| mean(&|own| own.right[at]));
        let [loss_before, loss_after] = [0, 1].map(|at| mean(&|own| own.loss[at]));
        Some(Self {
            images: count,
            accuracy_before: before,
            accuracy_after: after,
            accuracy_gain: estimate(after - before, accuracy),
            log_loss_before: loss_before,
            log_loss_after: loss_after,
            log_loss_gain: estimate(loss_before - loss_after, loss),
            balanced_accuracy: Some(BalancedAccuracy::new(images, groups)),
        })
    }
}

fn score(all: &[&HeldOut]) -> Option<HeldOutScore> {
    let mut sum = HeldOutScore::default();
    for held_out in all {
        for (at, probabilities) in [&held_out.before, &held_out.after].into_iter().enumerate() {
            let truth = probabilities[held_out.truth];
            let is_right = is_right(held_out.truth, probabilities);
            sum.right[at] += f64::from(u8::from(is_right)) / all.len() as f64;
            sum.loss[at] -= truth.max(MIN_PROBABILITY).ln() / all.len() as f64;
        }
    }
    (!all.is_empty()).then_some(sum)
}
