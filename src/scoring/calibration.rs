//! Calibration: what labelled images say about the scores of a model under a prompt set.
//!
//! * One condition applies: a temperature (Guo et al. 2017, "On calibration of modern neural networks").
//! * Each condition by itself: a sigmoid of the logit with a common slope and an offset of each condition (Platt 1999), and the
//!   probability from which a condition is said to be there.
//! * The probability from which at most one label in twenty is wrong: a confident one.
//! * The labels that contain the true one nine times in ten: split conformal prediction (Vovk et al. 2005; Lei et al. 2018).

mod check;
mod confidence;
mod fit;
mod mix;
mod presence;

use serde::{Deserialize, Serialize};

use super::Mode;
use super::metrics::{Case, CaseGroups, MultiLabelCase};
use crate::prompts::{PromptSet, Prompts};
pub use confidence::{LabelConfidence, MIN_BACKING};
pub use fit::calibration_error;
use fit::{is_at_bound, nonconformity_quantile, temperature};
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
    /// How images were fitted to the model's input, if not as the model specifies; `None`: as it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<String>,
    /// Whether all images were marked as synthetic. A model that tells phantoms from real images has one for either.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub synthetic: bool,
    /// When it was fitted: RFC 3339, UTC.
    pub at: String,
    /// The number of labelled images.
    pub images: usize,
    /// Expected calibration error before, over all images.
    pub error_before: f64,
    /// Expected calibration error of images that were held out: of two halves together, each with what the other one says. (Files of
    /// earlier versions: the mean of both.)
    pub error_after: f64,
    /// If one condition applies.
    pub single: Option<SingleCalibration>,
    /// If each is decided on by itself: the conditions in the order of the prompt set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<ConditionCalibration>,
    /// If each is decided on by itself: those that say that there is no finding.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub normal: Vec<NormalCalibration>,
    /// If each is decided on by itself: the conditions about which labels say too little.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutCondition>,
}

/// The calibration of exclusive conditions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SingleCalibration {
    /// What logits are divided by.
    pub temperature: f64,
    /// The probability from which a label is confident, see [`LabelConfidence`]; `None` if from none.
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
    /// From when the label is confident; `None` in files of earlier versions, where the prompt set's minimum stays in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<LabelConfidence>,
}

/// The calibration of a condition that says that there is no finding, and has no operating point: it is said where nothing is found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NormalCalibration {
    /// The condition's name.
    pub condition: String,
    /// The factor of its logit.
    pub slope: f64,
    /// What is added to it.
    pub offset: f64,
    /// The number of labelled images that show it.
    pub positives: usize,
    /// From when the label is confident.
    pub confidence: LabelConfidence,
}

/// A condition that is not calibrated, as too few of the labelled images show it, or all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOutCondition {
    /// The condition's name.
    pub condition: String,
    /// The number of labelled images that show it.
    pub positives: usize,
}

/// The conditions whose scores are calibrated.
#[derive(Clone, Copy, Debug)]
pub struct CalibratedConditions<'a> {
    /// Their names.
    pub names: &'a [String],
    /// Which of them are no finding.
    pub normal: &'a [bool],
    /// The probability below which no label is confident: the prompt set's minimum.
    pub min_probability: f64,
}

/// Why scores cannot be calibrated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalibrationError {
    /// There are too few labelled images.
    #[error("{0} labelled images are too few; at least {MIN_IMAGES} are needed")]
    TooFew(usize),
    /// All are of one patient, so that nothing can be held out.
    #[error("all images are of one patient; images of others are needed to check what is found")]
    OnePatient,
    /// Each finding has too few of them; the one that has most.
    #[error(
        "too few images show a finding: `{condition}`, which most show, has {count}, and at least {MIN_POSITIVES} must show one for it to be \
         decided on by itself"
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
    /// All show the only finding that enough images show, so that nothing tells it from its absence.
    #[error(
        "all images show `{0}`, and too few another finding; one needs images with and without it to be decided on by itself"
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
    /// See [`Calibration::normal`].
    pub normal: Vec<NormalCalibration>,
    /// See [`Calibration::left_out`].
    pub left_out: Vec<LeftOutCondition>,
}

/// Fits the scores of labelled images of which one condition applies, and which must be in no order that their labels depend on.
/// Images of a group are held out together.
///
/// # Errors
///
/// Fails if there are too few images.
pub fn fit(
    of: &CalibratedConditions,
    cases: &[Case],
    groups: &CaseGroups,
) -> Result<FittedCalibration, CalibrationError> {
    check_labels(cases, groups, |case| case.truth)?;
    Ok(fit_single(of, cases, groups))
}

/// The same where each condition is decided on by itself. Those that too few images show are left out.
///
/// # Errors
///
/// Fails if there are too few images, or too few of every condition.
pub fn fit_each(
    of: &CalibratedConditions,
    cases: &[MultiLabelCase],
    groups: &CaseGroups,
) -> Result<FittedCalibration, CalibrationError> {
    check_labels(cases, groups, |case| &case.shown)?;
    presence::fit(of, cases, groups)
}

/// Fails if labels say too little.
fn check_labels<'a, C, L: PartialEq>(
    cases: &'a [C],
    groups: &CaseGroups,
    label: impl Fn(&'a C) -> L,
) -> Result<(), CalibrationError> {
    if cases.len() < MIN_IMAGES {
        return Err(CalibrationError::TooFew(cases.len()));
    }
    let first = label(&cases[0]);
    if cases.iter().all(|case| label(case) == first) {
        return Err(CalibrationError::OneLabel);
    }
    if groups.members(cases.len()).len() < 2 {
        return Err(CalibrationError::OnePatient);
    }
    Ok(())
}

fn fit_single(of: &CalibratedConditions, cases: &[Case], groups: &CaseGroups) -> FittedCalibration {
    let all: Vec<&Case> = cases.iter().collect();
    let halves = halves(cases, groups);
    let held_out = [(0, 1), (1, 0)].map(|(from, on)| {
        let found = temperature(&halves[from]);
        tops(&halves[on], found)
    });
    let found = temperature(&all);
    let confidence = LabelConfidence::of(&tops(&all, found), of.min_probability);
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
        error_before: calibration_error(&tops(&all, 1.0)),
        error_after: calibration_error(&held_out.concat()),
        single: Some(SingleCalibration {
            temperature: found,
            confident_from: confidence.confident_from,
            confident: confidence.confident,
            wrong: confidence.wrong,
            answers: AnswerRule {
                least: (1.0 - quantile).max(0.0),
                ..answers
            },
            mix: Some(mix::fit(of.names, of.normal, (&all, &halves), found)),
        }),
        conditions: Vec::new(),
        normal: Vec::new(),
        left_out: Vec::new(),
    }
}

/// Two halves of the cases, no group in both.
fn halves<'a, C>(cases: &'a [C], groups: &CaseGroups) -> [Vec<&'a C>; 2] {
    let halves = groups.halves(cases.len());
    halves.map(|half| half.into_iter().map(|at| &cases[at]).collect())
}

/// The highest probability of each case at a temperature, and whether its label is right.
fn tops(cases: &[&Case], temperature: f64) -> Vec<(f64, bool)> {
    let top = |case: &&Case| {
        let highest = tempered(&case.scores, temperature)
            .into_iter()
            .fold(0.0, f64::max);
        (highest, case.predicted == case.truth)
    };
    cases.iter().map(top).collect()
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
            let own = self.sigmoid(name);
            own.map_or(score, |(slope, offset)| shifted(score, slope, offset))
        })
        .collect()
    }

    /// Slope and offset of the logit of a condition that is decided on by itself; `None` if it is not calibrated.
    fn sigmoid(&self, name: &str) -> Option<(f64, f64)> {
        let own = self.condition(name).map(|own| (own.slope, own.offset));
        own.or_else(|| {
            self.normal_condition(name)
                .map(|own| (own.slope, own.offset))
        })
    }

    /// Whether a temperature or a slope lies at the end of the range in which it is sought, so that a better one may lie beyond.
    pub fn is_at_bound(&self) -> bool {
        let single = self.single.iter().map(|own| own.temperature);
        let conditions = self.conditions.iter().map(|own| own.slope);
        let normal = self.normal.iter().map(|own| own.slope);
        single.chain(conditions).chain(normal).any(is_at_bound)
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

    /// The same of one that says that there is no finding.
    pub(super) fn normal_condition(&self, name: &str) -> Option<&NormalCalibration> {
        self.normal.iter().find(|own| own.condition == name)
    }
}

/// Calibrations of several models and prompt sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibrations(pub Vec<Calibration>);

impl Calibrations {
    /// Those whose images were fitted to the model's input in this way; `None`: as the model specifies.
    #[must_use]
    pub fn of_fit(mut self, fit: Option<&str>) -> Self {
        self.0.retain(|one| one.fit.as_deref() == fit);
        self
    }

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
    let mut logits = logarithms(probabilities);
    for own in &mut logits {
        *own /= temperature;
    }
    super::softmax_in_place(&mut logits);
    logits
}

/// The logarithms of probabilities, finite also where these are not above 0.
fn logarithms(probabilities: &[f64]) -> Vec<f64> {
    let all = probabilities.iter();
    all.map(|p| p.max(f64::MIN_POSITIVE).ln()).collect()
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
