//! Embeddings × prompts → probabilities and a decision.
//!
//! CLIP models follow Radford et al. 2021: softmax over `logit_scale × cosine`, where a condition's embedding is the mean of
//! its texts' unit embeddings, scaled to unit length. SigLIP models follow Zhai et al. 2023: sigmoid of `scale × cosine +
//! bias`.

pub mod agreement;
pub mod calibration;
pub mod comparison;
mod decider;
pub mod explanation;
pub mod familiar;
pub mod heat_map;
pub mod known;
pub mod label_shift;
pub mod learned;
pub mod metrics;
pub mod mix;
mod percent;

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use crate::prompts::PromptSet;
use calibration::Calibration;
pub use decider::{Decider, ScoreRow};
use known::KnownImages;
use learned::LearnedCondition;
pub use percent::{percent, whole_percent};

/// How the conditions of a prompt set relate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Exactly one applies: softmax over all of them.
    #[default]
    Single,
    /// Each is present or absent independently.
    Multi,
}

impl Mode {
    /// The mode in which a set is scored when this one is wanted: an exhaustive set is always a choice of one.
    #[must_use]
    pub fn for_set(self, set: &PromptSet) -> Self {
        if set.is_exhaustive() {
            Self::Single
        } else {
            self
        }
    }
}

/// A model's parameters from cosine to logit; they also imply how a logit becomes a probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Logits {
    /// The factor of the cosine.
    pub scale: f64,
    /// The added bias. Models that have one were trained with a sigmoid (SigLIP), the others with a softmax.
    pub bias: Option<f64>,
}

impl Logits {
    /// The logit of a cosine similarity.
    fn of(self, similarity: f64) -> f64 {
        self.scale * similarity + self.bias.unwrap_or(0.0)
    }

    /// Whether [`Mode::Multi`] needs phrases for the absence of a condition: without a bias there is nothing else to compare
    /// its presence with.
    pub fn needs_absent_phrases(self) -> bool {
        self.bias.is_none()
    }
}

/// The score of one condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The condition's name.
    pub condition: String,
    /// The probability; in an aggregate the mean over the frames.
    pub probability: f64,
    /// The highest probability over the frames; only in an aggregate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The cosine of image and condition, before `logit_scale`.
    pub similarity: f64,
    /// The operating point: the probability from which the condition counts as present. Only where each condition is decided on by
    /// itself, and labelled images told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Whether the condition says that there is no finding. Not part of a result.
    #[serde(skip)]
    pub normal: bool,
    /// Whether labelled images told its probability. Not part of a result, which says it of the label.
    #[serde(skip)]
    pub calibrated: bool,
}

impl Score {
    /// Whether the condition counts as present, if it is decided on by itself.
    pub fn is_present(&self) -> bool {
        self.probability >= self.threshold.unwrap_or(DEFAULT_THRESHOLD)
    }

    /// The probability on a scale on which every operating point is one half, so that conditions can be compared.
    pub fn beside_threshold(&self) -> f64 {
        beside_threshold(self.probability, self.threshold)
    }
}

/// The operating point of a condition without labelled images.
const DEFAULT_THRESHOLD: f64 = 0.5;

/// See [`Score::beside_threshold`].
fn beside_threshold(probability: f64, threshold: Option<f64>) -> f64 {
    let threshold = threshold.unwrap_or(DEFAULT_THRESHOLD);
    if probability >= threshold {
        0.5 + 0.5 * (probability - threshold) / (1.0 - threshold).max(f64::MIN_POSITIVE)
    } else {
        0.5 * probability / threshold
    }
}

/// How certain a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// The label's probability and its lead over the next condition both reach the prompt set's minimum, or what labelled images say.
    Confident,
    /// At least one of them does not.
    Uncertain,
    /// The model is not meant for this image.
    Rejected,
}

impl Decision {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Confident => "confident",
            Self::Uncertain => "uncertain",
            Self::Rejected => "rejected",
        }
    }
}

/// The classification of one image. If it is rejected, label, description and probability are serialised as null; the scores
/// stay for the record.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The winning condition.
    pub label: String,
    /// The prompt set's description of it.
    pub description: String,
    /// Its probability.
    pub probability: f64,
    /// Whether labelled images told its probability. Not part of the serialised verdict: results say it beside it.
    pub calibrated: bool,
    /// How certain it is.
    pub decision: Decision,
    /// Why the image was rejected.
    pub reason: Option<String>,
    /// All conditions, the highest probability first.
    pub scores: Vec<Score>,
    /// How likely it is that the image is abnormal: in `single` mode 1 less that of the normal conditions, in `multi` mode the
    /// highest among the abnormal conditions, on the scale of [`Score::beside_threshold`]. `None` if the prompt set does not tell
    /// normal from abnormal. Sorts files; not part of a result.
    pub urgency: Option<f64>,
    /// The conditions of which one is the true one with a probability of [`calibration::COVERAGE`], the most probable first; empty
    /// unless calibrated. Not part of a result.
    pub answers: Vec<String>,
    /// Whether each condition was decided on by itself, none is found, and none says so: the label is no more than the most probable
    /// one. Not part of a result.
    pub none_applies: bool,
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// The contract's fields, in its order.
        #[derive(Serialize)]
        struct Fields<'a> {
            label: Option<&'a str>,
            description: Option<&'a str>,
            probability: Option<f64>,
            decision: Decision,
            reason: &'a Option<String>,
            scores: &'a [Score],
        }
        let is_claimed = self.decision != Decision::Rejected;
        let fields = Fields {
            label: is_claimed.then_some(&self.label),
            description: is_claimed.then_some(&self.description),
            probability: is_claimed.then_some(self.probability),
            decision: self.decision,
            reason: &self.reason,
            scores: &self.scores,
        };
        fields.serialize(serializer)
    }
}

/// A condition's embeddings, to be compared with those of images.
#[derive(Clone, Debug)]
struct EncodedCondition {
    present: Vec<f32>,
    absent: Option<Vec<f32>>,
}

/// What reviews taught about a condition.
#[derive(Clone, Debug)]
struct LearnedLogit {
    gate: f64,
    direction: Vec<f32>,
}

/// The texts of a condition as a model has encoded them.
#[derive(Clone, Copy, Debug)]
pub struct EncodedTexts<'a> {
    /// The condition's name.
    pub name: &'a str,
    /// The unit embedding of its presence.
    pub present: &'a [f32],
    /// That of its absence; `None` unless it is compared with that.
    pub absent: Option<&'a [f32]>,
    /// Whether a distance tells it besides, as it stands for everything that the model does not know.
    pub by_distance: bool,
}

/// Scores images against a prompt set whose texts a model has encoded.
#[derive(Clone, Debug)]
pub struct Scorer {
    conditions: Vec<EncodedCondition>,
    logits: Logits,
    mode: Mode,
    decider: Decider,
    calibration: Option<Calibration>,
    /// What reviews taught, by condition; empty where nothing did.
    learned: Vec<Option<LearnedLogit>>,
    /// Tells the condition at an index by the distance to what the model knows, not by phrases.
    other: Option<(usize, Arc<KnownImages>)>,
}

impl Scorer {
    /// Encodes the texts of a set with `encode`, which returns a unit vector per text.
    pub fn new<E>(
        set: &PromptSet,
        mode: Mode,
        logits: Logits,
        mut encode: impl FnMut(&[String]) -> Result<Vec<Vec<f32>>, E>,
    ) -> Result<Self, E> {
        let mode = mode.for_set(set);
        let mut conditions = Vec::with_capacity(set.conditions.len());
        for condition in &set.conditions {
            let present = mean_direction(&encode(&set.texts(&condition.phrases))?);
            // Each condition's own pair, for every family: the cosines of presence and absence differ less between models than a
            // single one.
            let has_pair = mode == Mode::Multi && !condition.absent.is_empty();
            let absent = if has_pair {
                Some(mean_direction(&encode(&set.texts(&condition.absent))?))
            } else {
                None
            };
            conditions.push(EncodedCondition { present, absent });
        }
        Ok(Self {
            conditions,
            logits,
            mode,
            decider: Decider::new(set, mode),
            calibration: None,
            learned: Vec::new(),
            other: None,
        })
    }

    /// Tells the condition that stands for everything else also by the distance to what the model knows.
    #[must_use]
    pub fn knowing(self, known: Option<Arc<KnownImages>>) -> Self {
        let at = self.decider.other();
        Self {
            other: at.zip(known),
            ..self
        }
    }

    /// Applies what reviews taught about conditions; where that is nothing, the texts alone score. A calibration is for either one
    /// or the other.
    #[must_use]
    pub fn learning(self, learned: &[LearnedCondition]) -> Self {
        let length = |direction: &[f32]| {
            let texts = self.conditions.first();
            texts.is_some_and(|own| own.present.len() == direction.len())
        };
        let of_condition = |name: &str| {
            let mut all = learned.iter();
            let own = all.find(|own| own.condition == name && own.gate > 0.0)?;
            length(&own.direction.0).then(|| LearnedLogit {
                gate: own.gate,
                direction: own.direction.0.clone(),
            })
        };
        let all = self.decider.names().into_iter().map(of_condition);
        let all: Vec<Option<LearnedLogit>> = all.collect();
        let learned = if all.iter().any(Option::is_some) {
            all
        } else {
            Vec::new()
        };
        Self { learned, ..self }
    }

    /// How the conditions relate.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The model's parameters from cosine to logit.
    pub fn logits(&self) -> Logits {
        self.logits
    }

    /// The conditions' texts, in the order of the prompt set.
    pub fn texts(&self) -> impl Iterator<Item = EncodedTexts<'_>> {
        let names = self.decider.names().into_iter();
        let other = self.other.as_ref().map(|(at, _)| *at);
        let both = names.zip(&self.conditions).enumerate();
        both.map(move |(at, (name, condition))| EncodedTexts {
            name,
            present: &condition.present,
            absent: condition.absent.as_deref(),
            by_distance: other == Some(at),
        })
    }

    /// Applies what labelled images say about the scores.
    #[must_use]
    pub fn calibrated(self, calibration: Option<Calibration>) -> Self {
        Self {
            decider: match &calibration {
                Some(calibration) => self.decider.calibrated(calibration),
                None => self.decider,
            },
            calibration,
            ..self
        }
    }

    /// Whether the probabilities are calibrated: in `multi` mode those of the conditions about which labels said enough, see
    /// [`Verdict::calibrated`].
    pub fn is_calibrated(&self) -> bool {
        self.calibration.is_some()
    }

    /// The direction along which a condition scores against its alternative: its texts' less those of its absence, or where it has
    /// none less the mean of the other conditions. Not a unit vector. `None` for a condition that is not told by texts.
    pub fn direction(&self, condition: usize) -> Option<Vec<f32>> {
        let told = |at: &usize| self.other.as_ref().is_none_or(|(other, _)| other != at);
        let own = Some(condition).filter(told);
        let own = own.and_then(|at| self.conditions.get(at))?;
        let others: Vec<&Vec<f32>> = match &own.absent {
            Some(absent) => vec![absent],
            None => (0..self.conditions.len())
                .filter(|at| *at != condition && told(at))
                .map(|at| &self.conditions[at].present)
                .collect(),
        };
        let share = 1.0 / others.len().max(1) as f32;
        let mut direction = own.present.clone();
        for other in others {
            for (own, other) in direction.iter_mut().zip(other) {
                *own -= share * other;
            }
        }
        Some(direction)
    }

    /// Scores an image by its unit embedding.
    pub fn verdict(&self, embedding: &[f32]) -> Verdict {
        let similarities: Vec<f64> = self
            .conditions
            .iter()
            .map(|condition| dot(embedding, &condition.present))
            .collect();
        let probabilities = match self.mode {
            Mode::Single => self.exclusive(&similarities, embedding),
            Mode::Multi => similarities
                .iter()
                .enumerate()
                .map(|(at, &present)| self.probability_alone(at, present, embedding))
                .collect(),
        };
        let Some(calibration) = &self.calibration else {
            return self.decided(probabilities, similarities);
        };
        let answers = calibration.answers(&probabilities);
        let names = self.decider.names();
        let probabilities = calibration.probabilities(probabilities, &names);
        let mut answers: Vec<usize> = answers;
        answers.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]));
        let answers = answers.iter().map(|at| names[*at].to_owned()).collect();
        Verdict {
            answers,
            ..self.decided(probabilities, similarities)
        }
    }

    /// Softmax over the conditions. What the softmax leaves to the known ones goes to the one that stands for everything else, as
    /// far as the distance says so. What was learned tells the known ones apart, and leaves the share of that one as the texts say.
    fn exclusive(&self, similarities: &[f64], embedding: &[f32]) -> Vec<f64> {
        let logits: Vec<f64> = similarities.iter().map(|&s| self.logits.of(s)).collect();
        let learned = logits.iter().enumerate();
        let learned = learned.map(|(at, logit)| self.with_learned(at, *logit, embedding));
        let mut learned: Vec<f64> = learned.collect();
        let Some((at, known)) = &self.other else {
            return softmax(&learned);
        };
        let mut probabilities = softmax(&logits);
        if self.learned.iter().any(Option::is_some) {
            learned[*at] = f64::NEG_INFINITY;
            let by_texts = probabilities[*at];
            probabilities = softmax(&learned);
            for probability in &mut probabilities {
                *probability *= 1.0 - by_texts;
            }
            probabilities[*at] = by_texts;
        }
        let other = known.probability_of_other(embedding);
        for probability in &mut probabilities {
            *probability *= 1.0 - other;
        }
        probabilities[*at] += other;
        probabilities
    }

    fn decided(&self, probabilities: Vec<f64>, similarities: Vec<f64>) -> Verdict {
        let rows = probabilities.into_iter().zip(similarities);
        let rows = rows.map(|(probability, similarity)| ScoreRow {
            probability,
            max: None,
            similarity,
        });
        self.decider.decide(rows.collect())
    }

    /// The logit of a condition, mixed with what reviews taught about it.
    fn with_learned(&self, at: usize, logit: f64, embedding: &[f32]) -> f64 {
        match self.learned.get(at) {
            Some(Some(own)) => {
                let learned = self.logits.scale * dot(embedding, &own.direction);
                (1.0 - own.gate) * logit + own.gate * learned
            }
            _ => logit,
        }
    }

    /// The probability of one condition independently of the others: softmax over present and absent, or a sigmoid.
    fn probability_alone(&self, at: usize, present: f64, embedding: &[f32]) -> f64 {
        let condition = &self.conditions[at];
        if let Some(Some(_)) = self.learned.get(at) {
            let absent = condition.absent.as_ref();
            let absent = absent.map_or(0.0, |absent| self.logits.of(dot(embedding, absent)));
            let logit = self.logits.of(present) - absent;
            return 1.0 / (1.0 + (-self.with_learned(at, logit, embedding)).exp());
        }
        match &condition.absent {
            Some(absent) => {
                let absent = dot(embedding, absent);
                softmax(&[self.logits.of(present), self.logits.of(absent)])[0]
            }
            None => 1.0 / (1.0 + (-self.logits.of(present)).exp()),
        }
    }

    /// Aggregates the frames of one file: mean and highest probability, mean similarity.
    pub fn aggregate(&self, frames: &[Verdict]) -> Verdict {
        let frames: Vec<_> = frames
            .iter()
            .map(|frame| self.decider.rows(frame))
            .collect();
        self.decider.aggregate(frames.iter().map(AsRef::as_ref))
    }
}

impl Verdict {
    /// The label; `None` where none applies, or the image was rejected.
    pub fn claimed_label(&self) -> Option<&str> {
        let is_claimed = self.decision != Decision::Rejected && !self.none_applies;
        is_claimed.then_some(self.label.as_str())
    }

    /// The conditions that count as present, if each is decided on by itself: the abnormal ones that reach their operating points or
    /// 50 %, else the normal one, if there is one. None of a rejected image.
    pub fn present(&self) -> Vec<&str> {
        if self.decision == Decision::Rejected {
            return Vec::new();
        }
        let found = self.scores.iter();
        let found = found.filter(|score| !score.normal && score.is_present());
        let found: Vec<&str> = found.map(|score| score.condition.as_str()).collect();
        // As it is the label where nothing is found.
        let is_label = |score: &&Score| score.normal && score.condition == self.label;
        let normal = self.scores.iter().find(is_label);
        match normal {
            Some(normal) if found.is_empty() => vec![&normal.condition],
            _ => found,
        }
    }

    /// Marks the verdict as rejected; the scores stay.
    #[must_use]
    pub fn reject(self, reason: String) -> Self {
        Self {
            decision: Decision::Rejected,
            reason: Some(reason),
            ..self
        }
    }
}

/// The mean of unit vectors, scaled to unit length; zeros if they cancel out.
fn mean_direction(rows: &[Vec<f32>]) -> Vec<f32> {
    let mut sum = vec![0.0_f64; rows.first().map_or(0, Vec::len)];
    for row in rows {
        for (total, &value) in sum.iter_mut().zip(row) {
            *total += f64::from(value);
        }
    }
    let norm = sum.iter().map(|v| v * v).sum::<f64>().sqrt();
    sum.iter()
        .map(|&v| if norm > 0.0 { (v / norm) as f32 } else { 0.0 })
        .collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(&x, &y)| f64::from(x) * f64::from(y))
        .sum()
}

/// Softmax that does not overflow.
pub(crate) fn softmax(logits: &[f64]) -> Vec<f64> {
    let mut probabilities = logits.to_vec();
    softmax_in_place(&mut probabilities);
    probabilities
}

/// The same in place of the logits.
fn softmax_in_place(logits: &mut [f64]) {
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for own in &mut *logits {
        *own = (*own - highest).exp();
    }
    let sum: f64 = logits.iter().sum();
    for own in logits {
        *own /= sum;
    }
}

#[cfg(test)]
#[path = "scoring/tests.rs"]
mod tests;
