//! What the images of a step are trained towards: what is true of each, how much that counts, and the zero-shot probabilities.

use std::ops::Range;

use tch::{Kind, Tensor};

use super::epochs::TrainingData;
use crate::encoder::EncoderError;
use crate::learn::{Problem, Truths};
use crate::scoring::softmax;

/// The most that an image of a rare condition counts.
const MAX_WEIGHT: f64 = 10.0;

/// The targets of all images.
pub(super) struct StepTargets<'a> {
    data: &'a TrainingData<'a>,
    weights: TruthWeights,
}

/// How much images count, so that what is rare counts as much as what is frequent.
enum TruthWeights {
    /// By condition.
    One(Vec<f32>),
    /// By condition, for images without it and with it; zeros for one of which too few images tell anything.
    Any(Vec<[f32; 2]>),
}

/// The targets of a step's images.
pub(super) enum BatchTargets {
    /// One condition applies to each.
    One {
        /// Its index.
        labels: Vec<i64>,
        /// How much each image counts.
        weights: Vec<f32>,
        /// The zero-shot probabilities, image after image.
        zero_shot: Vec<f32>,
    },
    /// Each condition is decided on by itself. All are image after image.
    Any {
        /// 1 where it is present, else 0.
        shown: Vec<f32>,
        /// How much that counts.
        weights: Vec<f32>,
        /// The zero-shot probability of its presence.
        zero_shot: Vec<f32>,
    },
}

impl<'a> StepTargets<'a> {
    pub(super) fn new(data: &'a TrainingData<'a>) -> Self {
        let weights = match data.truths {
            Truths::One(labels) => TruthWeights::One(class_weights(data, labels)),
            Truths::Any { shown, .. } => TruthWeights::Any(presence_weights(data, shown)),
        };
        Self { data, weights }
    }

    /// Those of some of the images.
    pub(super) fn of(&self, images: &[usize]) -> BatchTargets {
        let TrainingData {
            problem,
            embeddings,
            truths,
            ..
        } = self.data;
        let logits = images.iter().map(|at| problem.zero_shot(&embeddings[*at]));
        match &self.weights {
            TruthWeights::One(weights) => {
                let labels = || images.iter().map(|at| truths.of(*at)[0]);
                let before = logits.flat_map(|own| softmax(&own));
                BatchTargets::One {
                    weights: labels().map(|label| weights[label]).collect(),
                    labels: labels().map(|label| label as i64).collect(),
                    zero_shot: before.map(|p| p as f32).collect(),
                }
            }
            TruthWeights::Any(weights) => {
                let mut targets = (Vec::new(), Vec::new());
                for at in images {
                    for (condition, weights) in weights.iter().enumerate() {
                        let is_shown = truths.of(*at).contains(&condition);
                        targets.0.push(f32::from(u8::from(is_shown)));
                        targets.1.push(weights[usize::from(is_shown)]);
                    }
                }
                let before = logits.flatten().map(|own| 1.0 / (1.0 + (-own).exp()));
                BatchTargets::Any {
                    shown: targets.0,
                    weights: targets.1,
                    zero_shot: before.map(|p| p as f32).collect(),
                }
            }
        }
    }
}

/// Makes all conditions count alike, however frequent they are.
fn class_weights(data: &TrainingData, labels: &[usize]) -> Vec<f32> {
    let mut counts = vec![0_usize; data.problem.texts.len()];
    for at in data.train {
        counts[labels[*at]] += 1;
    }
    let present = counts.iter().filter(|count| **count > 0).count().max(1);
    let even = data.train.len() as f64 / present as f64;
    counts.iter().map(|count| weight(even, *count)).collect()
}

/// Makes the presence of a condition count as much as its absence.
fn presence_weights(data: &TrainingData, shown: &[Vec<usize>]) -> Vec<[f32; 2]> {
    let Problem { texts, .. } = data.problem;
    let learnable = data.truths.learnable(data.train).unwrap_or_default();
    let weights = (0..texts.len()).map(|condition| {
        let shows = |at: &&usize| shown[**at].contains(&condition);
        let present = data.train.iter().filter(shows).count();
        let even = data.train.len() as f64 / 2.0;
        if learnable.get(condition) == Some(&true) {
            [data.train.len() - present, present].map(|count| weight(even, count))
        } else {
            [0.0; 2]
        }
    });
    weights.collect()
}

fn weight(even: f64, count: usize) -> f32 {
    (even / count.max(1) as f64).min(MAX_WEIGHT) as f32
}

impl BatchTargets {
    /// The share in the loss of the images in `range`, whose logits these are, `[n, conditions]`: cross-entropy, as a weighted mean over
    /// the batch, and the divergence from the zero-shot probabilities times `zero_shot_weight`.
    pub(super) fn loss(
        &self,
        logits: &Tensor,
        range: Range<usize>,
        zero_shot_weight: f64,
    ) -> Result<Tensor, EncoderError> {
        let (n, conditions) = logits.size2()?;
        let columns = conditions as usize;
        let cells = range.start * columns..range.end * columns;
        let vector = |values: &[f32]| -> Result<Tensor, EncoderError> {
            Ok(Tensor::f_from_slice(values)?.f_to_device(logits.device())?)
        };
        let table = |values: &[f32]| -> Result<Tensor, EncoderError> {
            Ok(vector(&values[cells.clone()])?.f_view([n, conditions])?) // [n, conditions]
        };
        // The divergence from the zero-shot probabilities is less their entropy, which does not change.
        let (entropy, divergence, count) = match self {
            Self::One {
                labels,
                weights,
                zero_shot,
            } => {
                let logs = logits.f_log_softmax(-1, Kind::Float)?; // [n, conditions]
                let labels = Tensor::f_from_slice(&labels[range.clone()])?;
                let labels = labels.f_view([n, 1])?.f_to_device(logits.device())?;
                let of_truth = logs.f_gather(1, &labels, false)?.f_view([n])?; // [n]
                let own = of_truth.f_mul(&vector(&weights[range])?)?;
                let divergence = table(zero_shot)?.f_mul(&logs)?;
                (own, divergence, weights.len())
            }
            Self::Any {
                shown,
                weights,
                zero_shot,
            } => {
                let expected = |share: Tensor| cross_entropy(logits, &share);
                let own = expected(table(shown)?)?.f_mul(&table(weights)?)?;
                (own, expected(table(zero_shot)?)?, shown.len())
            }
        };
        let sum = |values: &Tensor| -> Result<Tensor, EncoderError> {
            Ok(values.f_sum(Kind::Float)?.f_neg()?)
        };
        let (Self::One { weights, .. } | Self::Any { weights, .. }) = self;
        let total: f32 = weights.iter().sum();
        let entropy = sum(&entropy)?.f_div_scalar(f64::from(total.max(f32::MIN_POSITIVE)))?;
        let share = zero_shot_weight / count as f64;
        Ok(entropy.f_add(&sum(&divergence)?.f_mul_scalar(share)?)?)
    }
}

/// The mean logarithm of the probabilities of presence and absence, where presence has this share; all `[n, conditions]`.
fn cross_entropy(logits: &Tensor, share: &Tensor) -> Result<Tensor, EncoderError> {
    let present = logits.f_log_sigmoid()?.f_mul(share)?;
    let absent = logits.f_neg()?.f_log_sigmoid()?;
    let rest = share.f_neg()?.f_add_scalar(1.0)?;
    Ok(present.f_add(&absent.f_mul(&rest)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_of_conditions_by_themselves_equals_the_one_computed_by_hand() {
        // Two images of two conditions, the second of which is not trained.
        let targets = BatchTargets::Any {
            shown: vec![1.0, 0.0, 0.0, 1.0],
            weights: vec![3.0, 0.0, 1.0, 0.0],
            zero_shot: vec![0.5, 0.2, 0.9, 1.0],
        };
        let logits = [[2.0_f64, -1.0], [1.0, 0.0]];
        let log_of = |logit: f64| -(1.0 + (-logit).exp()).ln();
        // Presence of the first in the first image counts three, its absence in the second one.
        let truth = -(3.0 * log_of(2.0) + log_of(-1.0)) / 4.0;
        let kept = [(2.0, 0.5), (-1.0, 0.2), (1.0, 0.9), (0.0, 1.0)]
            .map(|(logit, p)| -(p * log_of(logit) + (1.0 - p) * log_of(-logit)));
        let expected = truth + 0.25 * kept.iter().sum::<f64>() / 4.0;
        let loss = |range: Range<usize>| {
            let rows = Tensor::from_slice2(&logits[range.clone()]).to_kind(Kind::Float);
            let loss = targets.loss(&rows, range, 0.25).unwrap();
            loss.double_value(&[])
        };
        assert!((loss(0..2) - expected).abs() < 1e-5, "{}", loss(0..2));
        // Shares of micro-batches add up.
        assert!((loss(0..1) + loss(1..2) - expected).abs() < 1e-5);
    }
}
