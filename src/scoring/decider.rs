//! From probabilities to a verdict.

use super::calibration::Calibration;
use super::{DEFAULT_THRESHOLD, Decision, Mode, Score, Verdict, beside_threshold};
use crate::prompts::PromptSet;

/// The scores of one condition.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScoreRow {
    /// The probability; of several frames the mean.
    pub probability: f64,
    /// The highest probability over the frames; `None` unless it is an aggregate.
    pub max: Option<f64>,
    /// The cosine of image and condition.
    pub similarity: f64,
}

/// What a verdict says of a condition besides its scores.
#[derive(Clone, Debug, PartialEq)]
struct DecidedCondition {
    name: String,
    description: String,
    normal: bool,
    other: bool,
    /// See [`Score::threshold`].
    threshold: Option<f64>,
    /// Whether labelled images told its probability.
    calibrated: bool,
    /// The probability from which it is confident as a label.
    min_probability: f64,
    /// The lead over the next condition from which it is.
    min_margin: f64,
}

impl DecidedCondition {
    /// The probability from which it is found, if it is decided on by itself.
    fn found_from(&self) -> f64 {
        self.threshold.unwrap_or(DEFAULT_THRESHOLD)
    }

    /// Says from which probability it is confident, whatever its lead; never without one.
    fn be_confident_from(&mut self, probability: Option<f64>) {
        // More than any probability.
        self.min_probability = probability.unwrap_or(f64::INFINITY);
        self.min_margin = 0.0;
    }

    /// Takes what labelled images say of it as one that is decided on by itself.
    fn calibrate(&mut self, calibration: &Calibration, knows_confidence: bool) {
        let own = calibration.condition(&self.name);
        let normal = calibration.normal_condition(&self.name);
        self.calibrated = own.is_some() || normal.is_some();
        // Beside operating points, only what is normal has none.
        let point = own.map(|own| own.threshold);
        self.threshold = point.or((!self.normal).then_some(DEFAULT_THRESHOLD));
        if knows_confidence {
            let own = own.and_then(|own| own.confidence);
            let own = own.or(normal.map(|own| own.confidence));
            self.be_confident_from(own.and_then(|own| own.confident_from));
        }
    }
}

/// Turns the scores of a prompt set's conditions into verdicts. It needs no model.
#[derive(Clone, Debug, PartialEq)]
pub struct Decider {
    conditions: Vec<DecidedCondition>,
    mode: Mode,
}

impl Decider {
    /// The decider of a prompt set.
    pub fn new(set: &PromptSet, mode: Mode) -> Self {
        let mode = mode.for_set(set);
        let conditions = set.conditions.iter().map(|condition| DecidedCondition {
            name: condition.name.clone(),
            description: condition.description.clone(),
            normal: condition.normal,
            other: condition.other,
            threshold: None,
            calibrated: false,
            min_probability: set.min_probability,
            min_margin: set.min_margin,
        });
        Self {
            conditions: conditions.collect(),
            mode,
        }
    }

    /// The decider whose minimum and thresholds follow from labelled images. Where each condition is decided on by itself, one about
    /// which these say nothing is never confident, unless the calibration is of an earlier version and says nothing of confidence.
    #[must_use]
    pub fn calibrated(mut self, calibration: &Calibration) -> Self {
        if let Some(single) = &calibration.single {
            for condition in &mut self.conditions {
                condition.be_confident_from(single.confident_from);
                condition.calibrated = true;
            }
        }
        if self.mode == Mode::Multi {
            let all = calibration.conditions.iter();
            let knows_confidence = all.clone().any(|own| own.confidence.is_some());
            for condition in &mut self.conditions {
                condition.calibrate(calibration, knows_confidence);
            }
        }
        self
    }

    /// The index of the condition that stands for everything else.
    pub(super) fn other(&self) -> Option<usize> {
        self.conditions.iter().position(|condition| condition.other)
    }

    /// The conditions' names.
    pub(super) fn names(&self) -> Vec<&str> {
        self.conditions
            .iter()
            .map(|own| own.name.as_str())
            .collect()
    }

    /// The scores of a verdict, in the order of the conditions.
    pub fn rows(&self, verdict: &Verdict) -> Box<[ScoreRow]> {
        let row = |condition: &DecidedCondition| {
            let mut scores = verdict.scores.iter();
            let score = scores.find(|score| score.condition == condition.name);
            score.map_or_else(ScoreRow::default, |score| ScoreRow {
                probability: score.probability,
                max: score.max,
                similarity: score.similarity,
            })
        };
        self.conditions.iter().map(row).collect()
    }

    /// Aggregates images, each with its scores in the order of the conditions: mean and highest probability, mean similarity.
    pub fn aggregate<'a>(&self, images: impl Iterator<Item = &'a [ScoreRow]>) -> Verdict {
        let mut sums = vec![ScoreRow::default(); self.conditions.len()];
        let mut count = 0;
        for image in images {
            count += 1;
            for (sum, row) in sums.iter_mut().zip(image) {
                sum.probability += row.probability;
                sum.similarity += row.similarity;
                let highest = row.max.unwrap_or(row.probability);
                sum.max = Some(sum.max.unwrap_or(0.0).max(highest));
            }
        }
        let count = f64::from(count.max(1));
        let means = sums.into_iter().map(|sum| ScoreRow {
            probability: sum.probability / count,
            max: Some(sum.max.unwrap_or(0.0)),
            similarity: sum.similarity / count,
        });
        self.decide(means.collect())
    }

    /// The verdict for the scores of each condition.
    pub(super) fn decide(&self, rows: Vec<ScoreRow>) -> Verdict {
        let probabilities: Vec<f64> = rows.iter().map(|row| row.probability).collect();
        let winner = self.winner(&probabilities);
        let probability = probabilities[winner];
        let others = probabilities.iter().enumerate();
        let others = others.filter(|(index, _)| *index != winner);
        let next = others.map(|(_, other)| *other).fold(0.0, f64::max);
        let label = &self.conditions[winner];
        let is_confident =
            probability >= label.min_probability && probability - next >= label.min_margin;
        let urgency = self.urgency(&probabilities);
        let mut scores: Vec<Score> = self
            .conditions
            .iter()
            .zip(rows)
            .map(|(condition, row)| Score {
                condition: condition.name.clone(),
                probability: row.probability,
                max: row.max,
                similarity: row.similarity,
                threshold: condition.threshold,
                normal: condition.normal,
                calibrated: condition.calibrated,
            })
            .collect();
        scores.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        Verdict {
            label: label.name.clone(),
            description: label.description.clone(),
            probability,
            calibrated: label.calibrated,
            decision: if is_confident {
                Decision::Confident
            } else {
                Decision::Uncertain
            },
            reason: None,
            scores,
            urgency,
            answers: Vec::new(),
            none_applies: self.mode == Mode::Multi
                && !label.normal
                && probability < label.found_from(),
        }
    }

    /// See [`Verdict::urgency`].
    fn urgency(&self, probabilities: &[f64]) -> Option<f64> {
        let with_normal = |normal: bool| {
            let both = self.conditions.iter().zip(probabilities);
            both.filter(move |(condition, _)| condition.normal == normal)
        };
        match self.mode {
            // The conditions share all of the probability: without a normal one among them they say nothing of health.
            Mode::Single => {
                let normal = with_normal(true).map(|(_, probability)| *probability);
                normal.reduce(|a, b| a + b).map(|sum| 1.0 - sum)
            }
            Mode::Multi => {
                let abnormal = with_normal(false);
                let all = abnormal.map(|(condition, p)| beside_threshold(*p, condition.threshold));
                all.reduce(f64::max)
            }
        }
    }

    /// The index of the winning condition. `single`: the most probable one. `multi`: see [`label_of_each`].
    fn winner(&self, probabilities: &[f64]) -> usize {
        match self.mode {
            Mode::Single => highest(probabilities, |_| true).unwrap_or(0),
            Mode::Multi => label_of_each(
                probabilities,
                |at| self.conditions[at].normal,
                |at| self.conditions[at].found_from(),
            ),
        }
    }
}

/// The index of the first condition with the highest probability among some.
fn highest(probabilities: &[f64], is_meant: impl Fn(usize) -> bool) -> Option<usize> {
    let meant = (0..probabilities.len()).filter(|index| is_meant(*index));
    meant.reduce(|best, index| {
        if probabilities[index] > probabilities[best] {
            index
        } else {
            best
        }
    })
}

/// The index of the label where each condition is decided on by itself: the most probable abnormal one of those that reach their
/// threshold, else the normal one, else the most probable one.
pub(super) fn label_of_each(
    probabilities: &[f64],
    is_normal: impl Fn(usize) -> bool,
    threshold: impl Fn(usize) -> f64,
) -> usize {
    let is_found = |at: usize| !is_normal(at) && probabilities[at] >= threshold(at);
    highest(probabilities, is_found)
        .or_else(|| (0..probabilities.len()).find(|at| is_normal(*at)))
        .or_else(|| highest(probabilities, |_| true))
        .unwrap_or(0)
}
