//! Calibration: what labelled images say about the scores of a model under a prompt set.
//!
//! * One condition applies: a temperature (Guo et al. 2017, "On calibration of modern neural networks"), and the probability
//!   from which at most one label in twenty is wrong.
//! * Each condition by itself: a sigmoid of the logit with a common slope and an offset of each condition (Platt 1999), and the
//!   probability from which a condition is said to be there.
//! * The labels that contain the true one nine times in ten: split conformal prediction (Vovk et al. 2005; Lei et al. 2018).

mod fit;
mod mix;

use serde::{Deserialize, Serialize};

use super::Mode;
use super::metrics::{Case, MultiLabelCase};
use crate::prompts::{PromptSet, Prompts};
pub use fit::calibration_error;
use fit::{nonconformity_quantile, platt, temperature};
pub use mix::{ConditionMix, MAX_HARM, MixCalibration, MixCheck};

/// Labelled images without which nothing can be said.
pub const MIN_IMAGES: usize = 20;
/// Labelled images of a condition without which it cannot be calibrated by itself.
pub const MIN_POSITIVES: usize = 10;
/// The largest share of wrong labels among those that are called confident, on the labelled images.
pub const MAX_ERROR: f64 = 0.05;
/// How often the true label shall be among the answers.
pub const COVERAGE: f64 = 0.9;

/// What the scores of one model under one prompt set are worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The model's name.
    pub model: String,
    /// The model's digest.
    pub model_digest: String,
    /// The prompt set's name.
    pub prompts: String,
    /// The prompt set's digest.
    pub prompts_digest: String,
    /// How the conditions relate.
    pub mode: Mode,
    /// The digest of what reviews taught, whose scores it was fitted to; `None` for those of the texts alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned: Option<String>,
    /// When it was fitted: RFC 3339, UTC.
    pub at: String,
    /// The number of labelled images.
    pub images: usize,
    /// Expected calibration error before, over all images.
    pub error_before: f64,
    /// Expected calibration error of images that were held out: the mean of two halves, each with what the other one says.
    pub error_after: f64,
    /// If one condition applies.
    pub single: Option<SingleCalibration>,
    /// If each is decided on by itself: the conditions in the order of the prompt set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<ConditionCalibration>,
}

/// The calibration of exclusive conditions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SingleCalibration {
    /// What logits are divided by.
    pub temperature: f64,
    /// The probability from which a label is confident; `None` if at none few enough are wrong.
    pub confident_from: Option<f64>,
    /// Share of the labelled images whose label is confident.
    pub confident: f64,
    /// Share of these labels that are wrong.
    pub wrong: f64,
    /// What the set of answers needs.
    pub answers: AnswerRule,
    /// What adjusting to another mix of conditions needs; `None` in files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mix: Option<MixCalibration>,
}

/// When a condition belongs to the answers: what it was fitted on and what its quantile is of are different images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerRule {
    /// What logits are divided by.
    pub temperature: f64,
    /// The least probability of an answer.
    pub least: f64,
    /// How often the true label is among the answers.
    pub coverage: f64,
}

/// The calibration of a condition that is decided on by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConditionCalibration {
    /// The condition's name.
    pub condition: String,
    /// The factor of its logit, which all conditions share.
    pub slope: f64,
    /// What is added to it.
    pub offset: f64,
    /// The probability from which it is said to be there.
    pub threshold: f64,
    /// The number of labelled images that show it.
    pub positives: usize,
}

/// Why scores cannot be calibrated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalibrationError {
    /// There are too few labelled images.
    #[error("{0} labelled images are too few; at least {MIN_IMAGES} are needed")]
    TooFew(usize),
    /// A condition has too few of them.
    #[error(
        "`{condition}` has {count} labelled images; each condition needs at least {MIN_POSITIVES} to be decided on by itself"
    )]
    TooFewOfCondition {
        /// The condition's name.
        condition: String,
        /// Its labelled images.
        count: usize,
    },
    /// All have the same label, from which nothing follows about the others.
    #[error("all images have the same label")]
    OneLabel,
    /// All show one condition, so that nothing tells it from its absence.
    #[error(
        "all images show `{0}`; each condition needs images without it to be decided on by itself"
    )]
    OneOfAll(String),
}

/// The results of fitting, without where they come from.
#[derive(Clone, Debug, PartialEq)]
pub struct FittedCalibration {
    /// See [`Calibration::error_before`].
    pub error_before: f64,
    /// See [`Calibration::error_after`].
    pub error_after: f64,
    /// See [`Calibration::single`].
    pub single: Option<SingleCalibration>,
    /// See [`Calibration::conditions`].
    pub conditions: Vec<ConditionCalibration>,
}

/// Fits the scores of labelled images of which one condition applies, and which must be in no order that their labels depend on.
/// `normal`: which of the conditions are no finding.
///
/// # Errors
///
/// Fails if there are too few images.
pub fn fit(
    names: &[String],
    normal: &[bool],
    cases: &[Case],
) -> Result<FittedCalibration, CalibrationError> {
    check_labels(cases, |case| case.truth)?;
    Ok(fit_single(names, normal, cases))
}

/// The same where each condition is decided on by itself. Normal ones are not calibrated.
///
/// # Errors
///
/// Fails if there are too few images, or too few of a condition.
pub fn fit_each(
    names: &[String],
    normal: &[bool],
    cases: &[MultiLabelCase],
) -> Result<FittedCalibration, CalibrationError> {
    check_labels(cases, |case| &case.shown)?;
    let abnormal: Vec<usize> = (0..names.len()).filter(|at| !normal[*at]).collect();
    for at in &abnormal {
        let count = cases.iter().filter(|case| case.shown[*at]).count();
        if count < MIN_POSITIVES {
            return Err(CalibrationError::TooFewOfCondition {
                condition: names[*at].clone(),
                count,
            });
        }
        if count == cases.len() {
            return Err(CalibrationError::OneOfAll(names[*at].clone()));
        }
    }
    Ok(fit_presence(names, &abnormal, cases))
}

/// Fails if labels say too little.
fn check_labels<'a, C, L: PartialEq>(
    cases: &'a [C],
    label: impl Fn(&'a C) -> L,
) -> Result<(), CalibrationError> {
    if cases.len() < MIN_IMAGES {
        return Err(CalibrationError::TooFew(cases.len()));
    }
    let first = label(&cases[0]);
    if cases.iter().all(|case| label(case) == first) {
        return Err(CalibrationError::OneLabel);
    }
    Ok(())
}

fn fit_single(names: &[String], normal: &[bool], cases: &[Case]) -> FittedCalibration {
    let halves = halves(cases);
    let held_out = [(0, 1), (1, 0)].map(|(from, on)| {
        let found = temperature(&halves[from]);
        calibration_error(&tops(&halves[on], found))
    });
    let found = temperature(cases);
    let tops = tops(cases, found);
    let (confident_from, confident, wrong) = confident_from(&tops);
    let answers = AnswerRule {
        temperature: temperature(&halves[0]),
        least: 0.0,
        coverage: COVERAGE,
    };
    let scores = halves[1].iter().map(|case| {
        let probabilities = tempered(&case.scores, answers.temperature);
        1.0 - probabilities[case.truth]
    });
    let quantile = nonconformity_quantile(scores.collect(), COVERAGE);
    FittedCalibration {
        error_before: calibration_error(&self::tops(cases, 1.0)),
        error_after: f64::midpoint(held_out[0], held_out[1]),
        single: Some(SingleCalibration {
            temperature: found,
            confident_from,
            confident,
            wrong,
            answers: AnswerRule {
                least: (1.0 - quantile).max(0.0),
                ..answers
            },
            mix: Some(mix::fit(names, normal, cases, found)),
        }),
        conditions: Vec::new(),
    }
}

/// Every other case, and those between them.
fn halves<C: Clone>(cases: &[C]) -> [Vec<C>; 2] {
    let half = |first: usize| cases.iter().skip(first).step_by(2).cloned().collect();
    [half(0), half(1)]
}

/// The highest probability of each case at a temperature, and whether its label is right.
fn tops(cases: &[Case], temperature: f64) -> Vec<(f64, bool)> {
    let top = |case: &Case| {
        let highest = tempered(&case.scores, temperature)
            .into_iter()
            .fold(0.0, f64::max);
        (highest, case.predicted == case.truth)
    };
    cases.iter().map(top).collect()
}

/// The least probability from which at most [`MAX_ERROR`] are wrong, if there are any such cases, the share of cases above it,
/// and the share of these that are wrong. Never below one half: such a label is more likely wrong than right.
fn confident_from(tops: &[(f64, bool)]) -> (Option<f64>, f64, f64) {
    let mut sorted = tops.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut wrong, mut found) = (0, None);
    for (at, (probability, is_right)) in sorted.iter().enumerate() {
        wrong += usize::from(!is_right);
        // Equal probabilities are on the same side.
        let is_last = sorted
            .get(at + 1)
            .is_none_or(|(next, _)| next < probability);
        let share = wrong as f64 / (at + 1) as f64;
        if is_last && share <= MAX_ERROR && *probability >= 0.5 {
            found = Some((*probability, (at + 1) as f64 / sorted.len() as f64, share));
        }
    }
    match found {
        Some((from, share, wrong)) => (Some(from), share, wrong),
        None => (None, 0.0, 0.0),
    }
}

fn fit_presence(
    names: &[String],
    abnormal: &[usize],
    cases: &[MultiLabelCase],
) -> FittedCalibration {
    let halves = halves(cases);
    let held_out = [(0, 1), (1, 0)].map(|(from, on)| {
        let found = platt(&halves[from], abnormal);
        calibration_error(&decisions(&halves[on], abnormal, &found))
    });
    let (slope, offsets) = platt(cases, abnormal);
    let one = (1.0, vec![0.0; abnormal.len()]);
    let error_before = calibration_error(&decisions(cases, abnormal, &one));
    let conditions = abnormal.iter().zip(offsets).map(|(at, offset)| {
        let of_case = |case: &MultiLabelCase| {
            let probability = shifted(case.scores[*at], slope, offset);
            (probability, case.shown[*at])
        };
        let of_cases: Vec<(f64, bool)> = cases.iter().map(of_case).collect();
        ConditionCalibration {
            condition: names[*at].clone(),
            slope,
            offset,
            threshold: best_threshold(&of_cases),
            positives: of_cases.iter().filter(|(_, is_there)| *is_there).count(),
        }
    });
    FittedCalibration {
        error_before,
        error_after: f64::midpoint(held_out[0], held_out[1]),
        single: None,
        conditions: conditions.collect(),
    }
}

/// Each condition of each case: its probability, and whether it is there.
fn decisions(
    cases: &[MultiLabelCase],
    conditions: &[usize],
    (slope, offsets): &(f64, Vec<f64>),
) -> Vec<(f64, bool)> {
    let of_case = |case: &MultiLabelCase| {
        let each = conditions.iter().zip(offsets);
        let each = each.map(|(at, offset)| {
            let probability = shifted(case.scores[*at], *slope, *offset);
            (probability, case.shown[*at])
        });
        each.collect::<Vec<_>>()
    };
    cases.iter().flat_map(of_case).collect()
}

/// The probability that separates cases best: with the largest sum of sensitivity and specificity (Youden 1950), in the middle
/// between the cases on both sides.
fn best_threshold(cases: &[(f64, bool)]) -> f64 {
    let mut sorted = cases.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let positives = sorted
        .iter()
        .filter(|(_, is_there)| *is_there)
        .count()
        .max(1) as f64;
    let negatives = (sorted.len() as f64 - positives).max(1.0);
    let (mut hits, mut alarms) = (0.0, 0.0);
    let (mut best, mut threshold) = (f64::NEG_INFINITY, 0.5);
    for pair in sorted.windows(2) {
        let (probability, is_there) = pair[0];
        if is_there {
            hits += 1.0;
        } else {
            alarms += 1.0;
        }
        let gain = hits / positives - alarms / negatives;
        if pair[1].0 < probability && gain > best {
            (best, threshold) = (gain, f64::midpoint(probability, pair[1].0));
        }
    }
    threshold
}

impl Calibration {
    /// Whether it is for results of this model, prompt set and mode.
    pub fn is_for(&self, model_digest: &str, prompts_digest: &str, mode: Mode) -> bool {
        self.model_digest == model_digest
            && self.prompts_digest == prompts_digest
            && self.mode == mode
    }

    /// The probabilities of conditions, in their order, from their scores. `names`: the conditions' names.
    pub(crate) fn probabilities(&self, scores: Vec<f64>, names: &[&str]) -> Vec<f64> {
        if let Some(single) = &self.single {
            return tempered(&scores, single.temperature);
        }
        let both = scores.into_iter().zip(names);
        both.map(|(score, name)| {
            let own = self.condition(name);
            own.map_or(score, |own| shifted(score, own.slope, own.offset))
        })
        .collect()
    }

    /// Which conditions are among the answers, by their scores; the leading one always is. Empty unless one of them applies.
    pub(super) fn answers(&self, scores: &[f64]) -> Vec<usize> {
        let Some(single) = &self.single else {
            return Vec::new();
        };
        let probabilities = tempered(scores, single.answers.temperature);
        let highest = probabilities.iter().copied().fold(0.0, f64::max);
        let all = probabilities.iter().enumerate();
        let kept = all.filter(|(_, p)| **p >= single.answers.least || **p >= highest);
        kept.map(|(at, _)| at).collect()
    }

    /// What is known of a condition that is decided on by itself.
    pub(super) fn condition(&self, name: &str) -> Option<&ConditionCalibration> {
        self.conditions.iter().find(|own| own.condition == name)
    }
}

/// Calibrations of several models and prompt sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibrations(pub Vec<Calibration>);

impl Calibrations {
    /// Whether conditions of one of these sets have operating points, with any model.
    pub fn have_thresholds(&self, prompts: &Prompts) -> bool {
        let has = |one: &Calibration| !one.conditions.is_empty();
        let is_for = |one: &Calibration, set: &PromptSet| one.prompts_digest == set.digest;
        let mut sets = prompts.sets().iter();
        sets.any(|set| self.0.iter().any(|one| has(one) && is_for(one, set)))
    }

    /// The one for results of this model, prompt set and mode, where only one can be.
    pub fn for_results(
        &self,
        model_digest: &str,
        prompts_digest: &str,
        mode: Mode,
    ) -> Option<&Calibration> {
        let mut all = self.0.iter();
        all.find(|one| one.is_for(model_digest, prompts_digest, mode))
    }

    /// The one for results of this model, prompt set and mode, as far as the texts alone score or as what reviews taught, which
    /// has the digest `learned`. One is never taken for the other.
    pub fn find(
        &self,
        model_digest: &str,
        prompts_digest: &str,
        mode: Mode,
        learned: Option<&str>,
    ) -> Option<&Calibration> {
        let mut all = self.0.iter();
        all.find(|one| {
            one.is_for(model_digest, prompts_digest, mode) && one.learned.as_deref() == learned
        })
    }
}

/// Probabilities whose logits are divided by a temperature. Dividing the logarithms of a softmax is the same.
fn tempered(probabilities: &[f64], temperature: f64) -> Vec<f64> {
    let logits = probabilities
        .iter()
        .map(|p| p.max(f64::MIN_POSITIVE).ln() / temperature);
    super::softmax(&logits.collect::<Vec<_>>())
}

/// A probability with another slope and offset of its logit.
fn shifted(probability: f64, slope: f64, offset: f64) -> f64 {
    1.0 / (1.0 + (-(slope * logit(probability) + offset)).exp())
}

/// Probabilities nearer to 0 or 1 are taken for these.
const MIN_PROBABILITY: f64 = 1e-15;

/// The logit of a probability, finite also at 0 and 1.
fn logit(probability: f64) -> f64 {
    let probability = probability.clamp(MIN_PROBABILITY, 1.0 - MIN_PROBABILITY);
    (probability / (1.0 - probability)).ln()
}

#[cfg(test)]
mod tests;
