//! Embeddings × prompts → probabilities and a decision. Formulas are those of Radford et al. 2021 (softmax over
//! `logit_scale × cosine`), texts being ensembled as there: the mean of unit embeddings, made unit again. SigLIP's are
//! those of Zhai et al. 2023 (sigmoid of `scale × cosine + bias`).

pub mod metrics;

use serde::{Deserialize, Serialize, Serializer};

use crate::prompts::PromptSet;

/// How the conditions relate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One of the conditions applies: softmax over all.
    #[default]
    Single,
    /// Each condition is present or absent, independently of the others.
    Multi,
}

/// How a model turns a cosine into a logit, and a logit into a probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Logits {
    /// Factor of the cosine.
    pub scale: f64,
    /// What is added; models that have it were trained with a sigmoid (SigLIP), the others with a softmax.
    pub bias: Option<f64>,
}

impl Logits {
    fn of(self, similarity: f64) -> f64 {
        self.scale * similarity + self.bias.unwrap_or(0.0)
    }

    /// Whether a condition can be judged alone without phrases for its absence.
    pub fn knows_absence(self) -> bool {
        self.bias.is_some()
    }
}

/// One condition's score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// The condition's name.
    pub condition: String,
    /// Probability; the mean over the frames in an aggregate.
    pub probability: f64,
    /// Highest over the frames; only in an aggregate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Cosine of picture and condition, before `logit_scale`.
    pub similarity: f64,
}

/// How far to trust a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Probable enough, and well ahead of the next.
    Confident,
    /// One of the two is missing.
    Uncertain,
    /// The model is not meant for this picture.
    Rejected,
}

/// What the model says of one picture. Serialised, a rejected one claims nothing: label, description and probability are
/// null, and the scores stay for the record.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The condition that won.
    pub label: String,
    /// The set's sentence for it.
    pub description: String,
    /// Its probability.
    pub probability: f64,
    /// How far to trust it.
    pub decision: Decision,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// All conditions, highest probability first.
    pub scores: Vec<Score>,
    /// How likely anything but health is: where one of all holds, what the normal conditions leave; where each stands alone,
    /// the highest of the abnormal ones. Orders files; not part of a result.
    pub urgency: f64,
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

/// One condition, ready to be compared with pictures.
#[derive(Clone, Debug)]
struct Target {
    name: String,
    description: String,
    normal: bool,
    present: Vec<f32>,
    absent: Option<Vec<f32>>,
}

/// A prompt set in a model's space.
#[derive(Clone, Debug)]
pub struct Scorer {
    targets: Vec<Target>,
    logits: Logits,
    mode: Mode,
    min_probability: f64,
    min_margin: f64,
}

impl Scorer {
    /// Encodes a set's texts through `encode` (texts in, unit vectors out).
    pub fn new<E>(
        set: &PromptSet,
        mode: Mode,
        logits: Logits,
        mut encode: impl FnMut(&[String]) -> Result<Vec<Vec<f32>>, E>,
    ) -> Result<Self, E> {
        let mut targets = Vec::with_capacity(set.conditions.len());
        for condition in &set.conditions {
            let present = mean_direction(&encode(&set.texts(&condition.phrases))?);
            let absent = match mode {
                Mode::Multi if logits.knows_absence() => None,
                Mode::Single => None,
                Mode::Multi => Some(mean_direction(&encode(&set.texts(&condition.absent))?)),
            };
            targets.push(Target {
                name: condition.name.clone(),
                description: condition.description.clone(),
                normal: condition.normal,
                present,
                absent,
            });
        }
        let (min_probability, min_margin) = (set.min_probability, set.min_margin);
        Ok(Self {
            targets,
            logits,
            mode,
            min_probability,
            min_margin,
        })
    }

    /// Scores a picture's unit embedding.
    pub fn verdict(&self, embedding: &[f32]) -> Verdict {
        let similarities: Vec<f64> = self
            .targets
            .iter()
            .map(|target| dot(embedding, &target.present))
            .collect();
        let probabilities = match self.mode {
            Mode::Single => softmax(
                &similarities
                    .iter()
                    .map(|&s| self.logits.of(s))
                    .collect::<Vec<_>>(),
            ),
            Mode::Multi => self
                .targets
                .iter()
                .zip(&similarities)
                .map(|(target, &present)| self.alone(target, present, embedding))
                .collect(),
        };
        let rows = probabilities
            .into_iter()
            .zip(similarities)
            .map(|(p, s)| (p, None, s))
            .collect();
        self.decide(rows)
    }

    /// Probability of one condition whatever the others are: softmax over present and absent, or a sigmoid.
    fn alone(&self, target: &Target, present: f64, embedding: &[f32]) -> f64 {
        match &target.absent {
            Some(absent) => {
                let absent = dot(embedding, absent);
                softmax(&[self.logits.of(present), self.logits.of(absent)])[0]
            }
            None => 1.0 / (1.0 + (-self.logits.of(present)).exp()),
        }
    }

    /// Joins the frames of one file: mean and highest probability, mean similarity.
    pub fn aggregate(&self, frames: &[Verdict]) -> Verdict {
        let count = frames.len().max(1) as f64;
        let rows = self
            .targets
            .iter()
            .map(|target| {
                let of = |verdict: &Verdict, value: fn(&Score) -> f64| {
                    verdict
                        .scores
                        .iter()
                        .find(|s| s.condition == target.name)
                        .map_or(0.0, value)
                };
                let mean = frames.iter().map(|v| of(v, |s| s.probability)).sum::<f64>() / count;
                let similarity =
                    frames.iter().map(|v| of(v, |s| s.similarity)).sum::<f64>() / count;
                let max = frames
                    .iter()
                    .map(|v| of(v, |s| s.probability))
                    .fold(0.0, f64::max);
                (mean, Some(max), similarity)
            })
            .collect();
        self.decide(rows)
    }

    /// Label and decision from (probability, max, similarity) per target.
    fn decide(&self, rows: Vec<(f64, Option<f64>, f64)>) -> Verdict {
        let winner = self.winner(&rows.iter().map(|row| row.0).collect::<Vec<_>>());
        let probability = rows[winner].0;
        let next = rows
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != winner)
            .map(|(_, row)| row.0);
        let lead = probability - next.fold(0.0, f64::max);
        let sure = probability >= self.min_probability && lead >= self.min_margin;
        let urgency = self.urgency(&rows.iter().map(|row| row.0).collect::<Vec<_>>());
        let mut scores: Vec<Score> = self
            .targets
            .iter()
            .zip(rows)
            .map(|(target, (probability, max, similarity))| Score {
                condition: target.name.clone(),
                probability,
                max,
                similarity,
            })
            .collect();
        scores.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        Verdict {
            label: self.targets[winner].name.clone(),
            description: self.targets[winner].description.clone(),
            probability,
            decision: if sure {
                Decision::Confident
            } else {
                Decision::Uncertain
            },
            reason: None,
            scores,
            urgency,
        }
    }

    fn urgency(&self, probabilities: &[f64]) -> f64 {
        let of = |normal: bool| {
            let both = self.targets.iter().zip(probabilities);
            both.filter(move |(target, _)| target.normal == normal)
                .map(|(_, probability)| *probability)
        };
        match self.mode {
            Mode::Single => 1.0 - of(true).sum::<f64>(),
            Mode::Multi => of(false).fold(0.0, f64::max),
        }
    }

    /// `single`: the highest. `multi`: the highest abnormal one if it is likelier than not, else the normal one.
    fn winner(&self, probabilities: &[f64]) -> usize {
        let highest = |abnormal_only: bool| {
            (0..self.targets.len())
                .filter(|&index| !(abnormal_only && self.targets[index].normal))
                .reduce(|best, index| {
                    if probabilities[index] > probabilities[best] {
                        index
                    } else {
                        best
                    }
                })
        };
        let overall = highest(false).unwrap_or(0);
        match self.mode {
            Mode::Single => overall,
            Mode::Multi => {
                let found = highest(true).filter(|&index| probabilities[index] >= 0.5);
                found
                    .or_else(|| self.targets.iter().position(|target| target.normal))
                    .unwrap_or(overall)
            }
        }
    }
}

impl Verdict {
    /// The same scores, marked as not meant for this picture.
    #[must_use]
    pub fn reject(self, reason: String) -> Self {
        Self {
            decision: Decision::Rejected,
            reason: Some(reason),
            ..self
        }
    }
}

/// Mean of unit vectors, made unit again; zeros when they cancel out.
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

/// Numerically safe softmax.
fn softmax(logits: &[f64]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - highest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
#[path = "scoring/tests.rs"]
mod tests;
