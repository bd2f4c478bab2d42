//! What learning is worth: labelled images scored without their labels, by the texts alone and with what was learned.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::HeldOut;
use super::chance::{BalancedAccuracy, is_right};
use super::gain::{loss, tempered};
use crate::scoring::metrics::{Estimate, estimate};

/// Bootstrap draws for the intervals.
const DRAWS: usize = 1000;

/// Accuracy and log-loss of labelled images, each scored without its label. Intervals are of 95 %, by bootstrap over patients, or images
/// of which none is known; none of one patient.
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
    /// The log-loss by the texts at the temperature that suits these images best. `None` in files of earlier
    /// versions.
    #[serde(default)]
    pub log_loss_tempered: Option<f64>,
}

/// An image: shares of right decisions and losses, before and after.
#[derive(Clone, Copy, Debug, Default)]
struct HeldOutScore {
    right: [f64; 2],
    loss: [f64; 2],
}

impl LearningGain {
    /// Compares images. Each has one entry for each problem that it took part in: one where conditions exclude each other, one for
    /// each condition otherwise; `groups` has the number of its patient. `None` without any.
    pub(super) fn new(images: &[Vec<&HeldOut>], groups: &[usize]) -> Option<Self> {
        let mut scores: BTreeMap<usize, Vec<HeldOutScore>> = BTreeMap::new();
        for (all, group) in images.iter().zip(groups) {
            scores.entry(*group).or_default().extend(score(all));
        }
        let patients: Vec<Vec<HeldOutScore>> = scores.into_values().collect();
        let count = patients.iter().map(Vec::len).sum::<usize>();
        if count == 0 {
            return None;
        }
        let mean = |pick: &dyn Fn(&HeldOutScore) -> f64| {
            patients.iter().flatten().map(pick).sum::<f64>() / count as f64
        };
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let (mut accuracy, mut loss) = (Vec::new(), Vec::new());
        // One patient says nothing of how far others would lie from it.
        let draws = if patients.len() > 1 { DRAWS } else { 0 };
        for _ in 0..draws {
            let (mut right, mut lost, mut images) = (0.0, 0.0, 0);
            for _ in 0..patients.len() {
                for drawn in &patients[rng.random_range(0..patients.len())] {
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
            log_loss_tempered: Some(tempered_loss(images)),
        })
    }

    /// `less by 0.30 (0.20 to 0.41)`, or `worse by` so much: how the log-loss changes, with so many decimals.
    pub fn change_of_loss(&self, decimals: usize) -> String {
        let show = |value: f64| format!("{value:.decimals$}");
        let gain = self.log_loss_gain;
        if gain.value >= 0.0 {
            return format!("less by {}", gain.text(show));
        }
        let more = Estimate {
            value: -gain.value,
            low: gain.high.map(|high| -high),
            high: gain.low.map(|low| -low),
            draws: gain.draws,
        };
        format!("worse by {}", more.text(show))
    }

    /// Why what was learned is not used, where it is not, as a sentence goes on after `what was learned is not used:`.
    pub fn refusal(&self) -> &'static str {
        let falls = |own: BalancedAccuracy| own.gain.is_some_and(|gain| gain.value < 0.0);
        let is_tempered = |loss: f64| self.log_loss_after >= loss;
        if self.log_loss_after < self.log_loss_before && self.balanced_accuracy.is_some_and(falls) {
            "probabilities fit better, but fewer labels are right"
        } else if self.log_loss_after < self.log_loss_before
            && self.log_loss_tempered.is_some_and(is_tempered)
        {
            "it changes how sure scores are and tells nothing better apart, which `calibrate` does as well"
        } else {
            "it is no better than zero-shot on images that took no part"
        }
    }

    /// Whether chance may explain what the labels gain: the interval of balanced accuracy reaches 0.
    pub fn may_be_chance(&self) -> bool {
        let gain = self.balanced_accuracy.and_then(|own| own.gain);
        gain.is_some_and(|gain| gain.low.is_none_or(|low| low <= 0.0))
    }
}

/// The mean log-loss by the texts, each problem at its best temperature.
fn tempered_loss(images: &[Vec<&HeldOut>]) -> f64 {
    let problems = images.iter().map(Vec::len).max().unwrap_or(0);
    let mut losses = vec![0.0; images.len()];
    for problem in 0..problems {
        let own = images.iter().enumerate();
        let own = own.filter_map(|(at, all)| Some((at, *all.get(problem)?)));
        let own: Vec<(usize, &HeldOut)> = own.collect();
        let rows = tempered(own.iter().map(|(_, image)| *image));
        for ((at, image), row) in own.into_iter().zip(rows) {
            losses[at] += loss(&row, image.truth) / images[at].len() as f64;
        }
    }
    let count = images.iter().filter(|all| !all.is_empty()).count();
    losses.iter().sum::<f64>() / count.max(1) as f64
}

fn score(all: &[&HeldOut]) -> Option<HeldOutScore> {
    let mut sum = HeldOutScore::default();
    for held_out in all {
        for (at, probabilities) in [&held_out.before, &held_out.after].into_iter().enumerate() {
            let is_right = is_right(held_out.truth, probabilities);
            sum.right[at] += f64::from(u8::from(is_right)) / all.len() as f64;
            sum.loss[at] += loss(probabilities, held_out.truth) / all.len() as f64;
        }
    }
    (!all.is_empty()).then_some(sum)
}
