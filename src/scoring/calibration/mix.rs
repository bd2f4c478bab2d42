//! What a calibration must know so that its probabilities can be adjusted to another mix of conditions.
//!
//! A temperature leaves a condition that the texts favour favoured, and adjusting such probabilities makes them worse. Temperature and an
//! offset of each condition together (bias-corrected temperature scaling) are what label-shift adaptation needs (Alexandari, Kundaje
//! and Shrikumar 2020, "Maximum likelihood with bias-corrected calibration is hard-to-beat at label shift adaptation"). The mix that
//! they stand for is the mean probability over the labelled images, as there, not the frequency of labels.

use serde::{Deserialize, Serialize};

use super::super::metrics::Case;
use super::fit::lowest;
use super::{MIN_PROBABILITY, tempered};
use crate::scoring::softmax;

/// Steps of iterative scaling while a slope is sought, each search beginning where the last one ended.
const SCALING_STEPS: usize = 20;
/// Steps of iterative scaling for the slope that was found.
const FINAL_STEPS: usize = 400;

/// How calibrated probabilities are corrected, condition by condition, and the mix that they then stand for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixCalibration {
    /// The factor of the logarithm of a calibrated probability.
    pub slope: f64,
    /// The conditions, in the order of the prompt set.
    pub conditions: Vec<ConditionMix>,
}

/// A condition in the labelled images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConditionMix {
    /// The condition's name.
    pub condition: String,
    /// What is added to its logit.
    pub offset: f64,
    /// Its share: the mean corrected probability over the labelled images.
    pub share: f64,
}

impl MixCalibration {
    /// The corrected probabilities of conditions from calibrated ones, in the order of [`Self::conditions`]. They sum to 1.
    pub fn corrected(&self, calibrated: &[f64]) -> Vec<f64> {
        let offsets = self.conditions.iter().map(|own| own.offset);
        corrected(calibrated, self.slope, offsets)
    }

    /// The mix that corrected probabilities stand for.
    pub fn shares(&self) -> Vec<f64> {
        self.conditions.iter().map(|own| own.share).collect()
    }
}

fn corrected(calibrated: &[f64], slope: f64, offsets: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let logits = calibrated.iter().zip(offsets);
    let logits = logits.map(|(p, offset)| slope * p.max(f64::MIN_POSITIVE).ln() + offset);
    softmax(&logits.collect::<Vec<_>>())
}

/// Fits slope and offsets to the scores of labelled images, which `temperature` makes calibrated.
pub(super) fn fit(names: &[String], cases: &[Case], temperature: f64) -> MixCalibration {
    let targets = Targets::new(names.len(), cases);
    let rows: Vec<Vec<f64>> = cases
        .iter()
        .map(|case| tempered(&case.scores, temperature))
        .collect();
    let mut offsets = vec![0.0; names.len()];
    let slope = lowest(|slope| {
        targets.scale(&rows, slope, &mut offsets, SCALING_STEPS);
        targets.loss(&rows, slope, &offsets)
    });
    targets.scale(&rows, slope, &mut offsets, FINAL_STEPS);
    let shares = mean_probabilities(&rows, slope, &offsets);
    let each = names.iter().zip(offsets).zip(shares);
    MixCalibration {
        slope,
        conditions: each
            .map(|((name, offset), share)| ConditionMix {
                condition: name.clone(),
                offset,
                share,
            })
            .collect(),
    }
}

/// The labels, each a little uncertain: as if every condition had been seen once more among all images (after Platt 1999). Without
/// that, a condition that scores separate without error, or that no image shows, would have no finite offset.
struct Targets {
    /// By condition: the sum over all images.
    sums: Vec<f64>,
    truths: Vec<usize>,
    /// The part of each label that is spread evenly.
    uncertainty: f64,
}

impl Targets {
    fn new(conditions: usize, cases: &[Case]) -> Self {
        let (count, classes) = (cases.len() as f64, conditions as f64);
        let uncertainty = classes / (count + classes);
        let mut sums = vec![uncertainty * count / classes; conditions];
        for case in cases {
            sums[case.truth] += 1.0 - uncertainty;
        }
        Self {
            sums,
            truths: cases.iter().map(|case| case.truth).collect(),
            uncertainty,
        }
    }

    /// Moves offsets towards those with which the mean probabilities are those of the targets: the most likely ones for this slope.
    /// Generalised iterative scaling (Darroch and Ratcliff 1972), which never makes the targets less likely.
    fn scale(&self, rows: &[Vec<f64>], slope: f64, offsets: &mut [f64], steps: usize) {
        for _ in 0..steps {
            let found = mean_probabilities(rows, slope, offsets);
            for ((offset, target), found) in offsets.iter_mut().zip(&self.sums).zip(found) {
                let found = found * rows.len() as f64;
                *offset += (target / found.max(MIN_PROBABILITY)).ln();
            }
        }
    }

    fn loss(&self, rows: &[Vec<f64>], slope: f64, offsets: &[f64]) -> f64 {
        let losses = rows.iter().zip(&self.truths).map(|(row, truth)| {
            let probabilities = corrected(row, slope, offsets.iter().copied());
            let each = self.uncertainty / probabilities.len() as f64;
            let logs = probabilities.iter().enumerate().map(|(at, p)| {
                let own = if at == *truth {
                    1.0 - self.uncertainty
                } else {
                    0.0
                };
                (each + own) * p.max(f64::MIN_POSITIVE).ln()
            });
            -logs.sum::<f64>()
        });
        losses.sum()
    }
}

fn mean_probabilities(rows: &[Vec<f64>], slope: f64, offsets: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; offsets.len()];
    for row in rows {
        let probabilities = corrected(row, slope, offsets.iter().copied());
        for (sum, p) in sums.iter_mut().zip(probabilities) {
            *sum += p / rows.len() as f64;
        }
    }
    sums
}
