//! What a calibration must know so that its probabilities can be adjusted to another mix of conditions.
//!
//! A temperature leaves a condition that the texts favour favoured, and adjusting such probabilities makes them worse. Temperature and an
//! offset of each condition together (bias-corrected temperature scaling) are what label-shift adaptation needs (Alexandari, Kundaje
//! and Shrikumar 2020, "Maximum likelihood with bias-corrected calibration is hard-to-beat at label shift adaptation"). The mix that
//! they stand for is the mean probability over the labelled images, as there, not the frequency of labels.
//!
//! Some scores cannot be corrected so simply. What adjusting is worth is therefore checked on labelled images that took no part, and
//! it is not offered where it does harm.

use serde::{Deserialize, Serialize};

use super::super::metrics::Case;
use super::fit::lowest;
use super::{MIN_PROBABILITY, logarithms, tempered};
use crate::scoring::label_shift::{self, ConditionGroups, posterior};
use crate::scoring::softmax_in_place;

/// Most steps of iterative scaling while a slope is sought, each search beginning where the last one ended.
const SCALING_STEPS: usize = 20;
/// Most steps of iterative scaling for the slope that was found.
const FINAL_STEPS: usize = 400;
/// The largest change of an offset in a step after which iterative scaling ends.
const LEAST_CHANGE: f64 = 1e-6;
/// The shares of normal images in which adjusting is checked.
const CHECKED_SHARES: [f64; 4] = [0.5, 0.8, 0.95, 1.0];
/// How much smaller the share of right labels may become in a check.
pub const MAX_HARM: f64 = 0.01;

/// How calibrated probabilities are corrected, condition by condition, and the mix that they then stand for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixCalibration {
    /// The factor of the logarithm of a calibrated probability.
    pub slope: f64,
    /// The conditions, in the order of the prompt set.
    pub conditions: Vec<ConditionMix>,
    /// What adjusting does to labelled images that took no part, in several mixes.
    pub checks: Vec<MixCheck>,
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

/// What adjusting does where so many images are normal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixCheck {
    /// The share of normal images.
    pub normal: f64,
    /// The share of right labels without adjusting.
    pub before: f64,
    /// The share of right labels after adjusting to the mix that the images themselves tell.
    pub after: f64,
}

impl MixCalibration {
    /// The check in which adjusting did most harm, if that is more than [`MAX_HARM`] in any.
    pub fn failed_check(&self) -> Option<MixCheck> {
        let failed = self.checks.iter().copied();
        let failed = failed.filter(|check| check.after < check.before - MAX_HARM);
        failed.min_by(|a, b| (a.after - a.before).total_cmp(&(b.after - b.before)))
    }

    /// The corrected probabilities of conditions from calibrated ones, in the order of [`Self::conditions`]. They sum to 1.
    pub fn corrected(&self, calibrated: &[f64]) -> Vec<f64> {
        let offsets: Vec<f64> = self.conditions.iter().map(|own| own.offset).collect();
        let mut probabilities = Vec::new();
        correct(
            &mut probabilities,
            &logarithms(calibrated),
            self.slope,
            &offsets,
        );
        probabilities
    }

    /// The mix that corrected probabilities stand for.
    pub fn shares(&self) -> Vec<f64> {
        self.conditions.iter().map(|own| own.share).collect()
    }
}

/// Makes `probabilities` the corrected ones for the logarithms of calibrated ones.
fn correct(probabilities: &mut Vec<f64>, logarithms: &[f64], slope: f64, offsets: &[f64]) {
    let logits = logarithms.iter().zip(offsets);
    probabilities.clear();
    probabilities.extend(logits.map(|(logarithm, offset)| slope * logarithm + offset));
    softmax_in_place(probabilities);
}

/// Fits slope and offsets to the scores of labelled images, which `temperature` makes calibrated, and checks what adjusting is worth on
/// each of their halves that has both normal and other images: in others there is no mix to check.
/// `normal`: which conditions are no finding.
pub(super) fn fit(
    names: &[String],
    normal: &[bool],
    (cases, halves): (&[&Case], &[Vec<&Case>; 2]),
    temperature: f64,
) -> MixCalibration {
    let is_normal = |case: &Case| normal.get(case.truth).copied().unwrap_or(false);
    let checked = [(0, 1), (1, 0)].into_iter().filter_map(|(from, on)| {
        let on = &halves[on];
        let normals = on.iter().filter(|case| is_normal(case)).count();
        let has_both = (1..on.len()).contains(&normals);
        has_both.then(|| (fit_one(names, &halves[from], temperature), on))
    });
    let checked: Vec<(MixCalibration, &Vec<&Case>)> = checked.collect();
    let check = |share: f64| {
        let mut all = RightLabels::default();
        for (fitted, on) in &checked {
            all.add(fitted, on, &weights(on, is_normal, share), temperature);
        }
        MixCheck {
            normal: share,
            before: all.before / all.weight,
            after: all.after / all.weight,
        }
    };
    MixCalibration {
        checks: if checked.is_empty() {
            Vec::new()
        } else {
            CHECKED_SHARES.map(check).to_vec()
        },
        ..fit_one(names, cases, temperature)
    }
}

fn fit_one(names: &[String], cases: &[&Case], temperature: f64) -> MixCalibration {
    let targets = Targets::new(names.len(), cases);
    let rows: Vec<Vec<f64>> = cases
        .iter()
        .map(|case| logarithms(&tempered(&case.scores, temperature)))
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
        checks: Vec::new(),
    }
}

/// For how many images each case counts, if so many of as many images are normal. There must be both normal and other ones.
fn weights(cases: &[&Case], is_normal: impl Fn(&Case) -> bool, share: f64) -> Vec<f64> {
    let count = cases.len() as f64;
    let normals = cases.iter().filter(|case| is_normal(case)).count() as f64;
    let weight = |case: &&Case| {
        if is_normal(case) {
            share * count / normals
        } else {
            (1.0 - share) * count / (count - normals)
        }
    };
    cases.iter().map(weight).collect()
}

/// The weights of images with right labels before and after adjusting, and of all images.
#[derive(Default)]
struct RightLabels {
    before: f64,
    after: f64,
    weight: f64,
}

impl RightLabels {
    /// Adds cases, adjusted to the mix that they themselves tell.
    fn add(&mut self, fitted: &MixCalibration, cases: &[&Case], weights: &[f64], temperature: f64) {
        let there = fitted.shares();
        let rows = cases
            .iter()
            .map(|case| fitted.corrected(&tempered(&case.scores, temperature)));
        let rows: Vec<Vec<f64>> = rows.collect();
        let weighted = rows.iter().map(AsRef::as_ref).zip(weights.iter().copied());
        let here = label_shift::shares(weighted, &there, &ConditionGroups::free(there.len()));
        for ((case, row), weight) in cases.iter().zip(&rows).zip(weights) {
            let adjusted = posterior(row, &there, &here);
            let is_right = adjusted.iter().all(|p| *p <= adjusted[case.truth]);
            // All are summed in the same order, so that no share exceeds 1.
            self.before += if case.predicted == case.truth {
                *weight
            } else {
                0.0
            };
            self.after += if is_right { *weight } else { 0.0 };
            self.weight += weight;
        }
    }
}

/// The labels of the images, and how many have each.
struct Targets {
    truths: Vec<usize>,
    /// By condition.
    counts: Vec<f64>,
}

impl Targets {
    /// A condition that no image shows counts for half an image: without that it would have no finite offset.
    fn new(conditions: usize, cases: &[&Case]) -> Self {
        const UNSEEN: f64 = 0.5;
        let mut counts = vec![0.0_f64; conditions];
        for case in cases {
            counts[case.truth] += 1.0;
        }
        Self {
            counts: counts.into_iter().map(|count| count.max(UNSEEN)).collect(),
            truths: cases.iter().map(|case| case.truth).collect(),
        }
    }

    /// `rows`: logarithms of calibrated probabilities. Moves offsets towards those with which each condition is as frequent as among the labels: the most likely ones for this slope.
    /// Generalised iterative scaling (Darroch and Ratcliff 1972), which never makes the labels less likely.
    fn scale(&self, rows: &[Vec<f64>], slope: f64, offsets: &mut [f64], steps: usize) {
        for _ in 0..steps {
            let found = mean_probabilities(rows, slope, offsets);
            let mut largest = 0.0_f64;
            for ((offset, count), found) in offsets.iter_mut().zip(&self.counts).zip(found) {
                let found = found * rows.len() as f64;
                let change = (count / found.max(MIN_PROBABILITY)).ln();
                *offset += change;
                largest = largest.max(change.abs());
            }
            if largest < LEAST_CHANGE {
                break;
            }
        }
    }

    fn loss(&self, rows: &[Vec<f64>], slope: f64, offsets: &[f64]) -> f64 {
        let mut probabilities = Vec::new();
        let losses = rows.iter().zip(&self.truths).map(|(row, truth)| {
            correct(&mut probabilities, row, slope, offsets);
            -probabilities[*truth].max(f64::MIN_POSITIVE).ln()
        });
        losses.sum()
    }
}

fn mean_probabilities(rows: &[Vec<f64>], slope: f64, offsets: &[f64]) -> Vec<f64> {
    let (mut sums, mut probabilities) = (vec![0.0; offsets.len()], Vec::new());
    for row in rows {
        correct(&mut probabilities, row, slope, offsets);
        for (sum, p) in sums.iter_mut().zip(&probabilities) {
            *sum += p / rows.len() as f64;
        }
    }
    sums
}
