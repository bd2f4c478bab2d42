//! What learning is worth: labelled images scored without their labels, by the texts alone and with what was learned.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::HeldOut;
use crate::scoring::metrics::{Estimate, estimate};

/// Bootstrap draws for the intervals.
const DRAWS: usize = 1000;
/// Images below which nothing is said of how good scores are.
const MIN_IMAGES: usize = 10;
/// The least probability that counts: an image is not infinitely wrong.
const MIN_PROBABILITY: f64 = 1e-12;

/// Accuracy and log-loss of labelled images, each scored without its label. Intervals are of 95 %, by bootstrap over images.
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

/// Balanced accuracy, and what guessing gets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BalancedAccuracy {
    /// By the texts, with its interval.
    pub before: Estimate,
    /// With what was learned.
    pub after: Estimate,
    /// That of a guess: 0.5 of two conditions.
    pub chance: f64,
}

/// An image: shares of right decisions and losses, before and after.
#[derive(Clone, Copy, Debug, Default)]
struct HeldOutScore {
    right: [f64; 2],
    loss: [f64; 2],
}

impl LearningGain {
    /// Compares images. Each has one entry for each problem that it took part in: one where conditions exclude each other, one for
    /// each condition otherwise. `None` without any.
    pub(super) fn new(images: &[Vec<&HeldOut>]) -> Option<Self> {
        let scores: Vec<HeldOutScore> = images.iter().filter_map(|all| score(all)).collect();
        if scores.is_empty() {
            return None;
        }
        let mean = |pick: &dyn Fn(&HeldOutScore) -> f64| {
            scores.iter().map(pick).sum::<f64>() / scores.len() as f64
        };
        let sides: [Recalls; 2] = [false, true].map(|after| Recalls::new(images, after));
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let (mut accuracy, mut loss) = (Vec::new(), Vec::new());
        let mut balanced: [Vec<f64>; 2] = Default::default();
        for _ in 0..DRAWS {
            let (mut right, mut lost) = (0.0, 0.0);
            let mut counts = [sides[0].empty(), sides[1].empty()];
            for _ in 0..scores.len() {
                let at = rng.random_range(0..scores.len());
                let drawn = &scores[at];
                right += drawn.right[1] - drawn.right[0];
                lost += drawn.loss[0] - drawn.loss[1];
                for (counts, side) in counts.iter_mut().zip(&sides) {
                    counts.add(&side.images[at]);
                }
            }
            for (values, counts) in balanced.iter_mut().zip(&counts) {
                values.push(counts.mean());
            }
            accuracy.push(right / scores.len() as f64);
            loss.push(lost / scores.len() as f64);
        }
        let counts = sides.each_ref().map(Recalls::counts);
        let [balanced_before, balanced_after] = balanced;
        let [before, after] = [0, 1].map(|at| mean(&|own| own.right[at]));
        let [loss_before, loss_after] = [0, 1].map(|at| mean(&|own| own.loss[at]));
        Some(Self {
            images: scores.len(),
            accuracy_before: before,
            accuracy_after: after,
            accuracy_gain: estimate(after - before, accuracy),
            log_loss_before: loss_before,
            log_loss_after: loss_after,
            log_loss_gain: estimate(loss_before - loss_after, loss),
            balanced_accuracy: Some(BalancedAccuracy {
                before: estimate(counts[0].mean(), balanced_before),
                after: estimate(counts[1].mean(), balanced_after),
                chance: counts[1].chance(),
            }),
        })
    }

    /// Whether there are enough images to tell, and their balanced accuracy is above that of a guess with 95 % confidence: that with what
    /// was learned, or by the texts where nothing of that is used.
    pub fn beats_chance(&self, uses_learned: bool) -> bool {
        let is_above = |own: BalancedAccuracy| {
            let used = if uses_learned { own.after } else { own.before };
            used.low.is_some_and(|low| low > own.chance)
        };
        self.images >= MIN_IMAGES && self.balanced_accuracy.is_some_and(is_above)
    }
}

/// Each image's decisions: the index of the problem, that of the true condition, and whether it was found.
struct Recalls {
    images: Vec<Vec<(usize, usize, bool)>>,
    problems: usize,
    conditions: usize,
}

impl Recalls {
    fn new(images: &[Vec<&HeldOut>], after: bool) -> Self {
        let decisions = |all: &Vec<&HeldOut>| {
            let all = all.iter().enumerate();
            all.map(|(problem, own)| {
                let probabilities = if after { &own.after } else { &own.before };
                (problem, own.truth, is_right(own.truth, probabilities))
            })
            .collect()
        };
        let all = || images.iter().flatten();
        Self {
            images: images.iter().map(decisions).collect(),
            problems: images.iter().map(Vec::len).max().unwrap_or(0),
            conditions: all().map(|own| own.after.len()).max().unwrap_or(0),
        }
    }

    /// Those of all images.
    fn counts(&self) -> RecallCounts {
        let mut counts = self.empty();
        self.images.iter().for_each(|own| counts.add(own));
        counts
    }

    fn empty(&self) -> RecallCounts {
        RecallCounts {
            conditions: self.conditions,
            counts: vec![(0, 0); self.problems * self.conditions],
        }
    }
}

/// By problem and true condition: images that are right, and all.
struct RecallCounts {
    conditions: usize,
    counts: Vec<(usize, usize)>,
}

impl RecallCounts {
    fn add(&mut self, image: &[(usize, usize, bool)]) {
        for (problem, truth, is_right) in image {
            let (right, all) = &mut self.counts[problem * self.conditions + truth];
            *right += usize::from(*is_right);
            *all += 1;
        }
    }

    /// The mean over problems of what `of` says of the recalls of its conditions that have images.
    fn mean_of(&self, of: impl Fn(&[f64]) -> f64) -> f64 {
        let problems = self.counts.chunks(self.conditions.max(1)).map(|counts| {
            let known = counts.iter().filter(|(_, all)| *all > 0);
            let recalls: Vec<f64> = known
                .map(|(right, all)| *right as f64 / *all as f64)
                .collect();
            of(&recalls)
        });
        let values: Vec<f64> = problems.collect();
        values.iter().sum::<f64>() / values.len().max(1) as f64
    }

    /// The balanced accuracy.
    fn mean(&self) -> f64 {
        self.mean_of(|recalls| recalls.iter().sum::<f64>() / recalls.len().max(1) as f64)
    }

    /// That of a guess.
    fn chance(&self) -> f64 {
        self.mean_of(|recalls| 1.0 / recalls.len().max(1) as f64)
    }
}

/// Whether the probability of the true condition is above all others.
fn is_right(truth: usize, probabilities: &[f64]) -> bool {
    let mut others = probabilities.iter().enumerate();
    others.all(|(class, other)| class == truth || *other < probabilities[truth])
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

#[cfg(test)]
mod tests {
    use super::*;

    /// An image of a condition among three, which what was learned finds or takes for another.
    fn held_out(truth: usize, is_found: bool) -> HeldOut {
        let mut after = vec![0.2; 3];
        after[if is_found { truth } else { (truth + 1) % 3 }] = 0.6;
        HeldOut {
            truth,
            before: vec![1.0 / 3.0; 3],
            after,
        }
    }

    fn gain(images: &[HeldOut]) -> LearningGain {
        let images: Vec<Vec<&HeldOut>> = images.iter().map(|own| vec![own]).collect();
        LearningGain::new(&images).unwrap()
    }

    #[test]
    fn balanced_accuracy_counts_each_condition_that_has_images_alike() {
        let mut images = vec![held_out(0, true); 30];
        images.extend([held_out(2, true), held_out(2, false)]);
        let balanced = gain(&images).balanced_accuracy.unwrap();
        assert!((balanced.after.value - 0.75).abs() < 1e-9);
        assert!(
            (balanced.before.value - 0.0).abs() < 1e-9,
            "a tie is not right"
        );
        assert!((balanced.chance - 0.5).abs() < 1e-9, "of two conditions");
        // Of problems by themselves it is the mean.
        let (right, wrong) = (held_out(0, true), held_out(1, false));
        let both = LearningGain::new(&[vec![&right, &wrong], vec![&right, &wrong]]).unwrap();
        let after = both.balanced_accuracy.unwrap().after;
        assert!((after.value - 0.5).abs() < 1e-9);
    }

    #[test]
    fn chance_is_beaten_by_enough_images_only_and_not_by_the_most_frequent_condition() {
        let both = |count: usize| {
            let images = (0..count).map(|at| held_out(at % 2, true));
            gain(&images.collect::<Vec<_>>())
        };
        assert!(both(10).beats_chance(true) && !both(8).beats_chance(true));
        assert!(!both(10).beats_chance(false), "the texts do not");
        let mut images = vec![held_out(0, true); 90];
        images.extend(vec![held_out(1, false); 10]);
        let frequent = gain(&images);
        assert!(frequent.accuracy_after > 0.89 && !frequent.beats_chance(true));
    }
}
