//! What the phrases of a prompt set contribute to the scores of an image, beside random words.

use std::sync::Arc;

use serde::Serialize;

use super::Event;
use super::maps::contained;
use super::worker::InferenceWorker;
use crate::encoder::{Encoder, EncoderError};
use crate::library::neighbours::{NeighbourQuery, Neighbours};
use crate::prompts::{PromptSet, placebo};
use crate::scoring::explanation::{ConditionTexts, PhraseShare, explain, explain_placebo};
use crate::scoring::{Logits, Score};

/// Images below which there are no percentiles.
const MIN_COMPARED: usize = 10;

/// An image whose scores are to be explained.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplanationRequest {
    /// The digest of the prompt set that the image was scored by.
    pub prompts_digest: String,
    /// Its scores; `None` if they are learned: what is explained are the texts, by which it is scored anew.
    pub scores: Option<Vec<Score>>,
    /// Its unit embedding.
    pub embedding: Arc<[f32]>,
    /// `blake3:<hex>` of its content.
    pub content: String,
    /// The name of the prompt set under which its neighbours were reviewed.
    pub prompts: String,
    /// The labels that these may have, in the order in which they are listed.
    pub labels: Vec<String>,
    /// Whose reviews count before those of others.
    pub reviewer: String,
    /// The unit embeddings of the images that it is compared with.
    pub others: Vec<Arc<[f32]>>,
    /// The number that the answer carries.
    pub generation: u64,
}

/// What phrases contribute to the scores of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct PhraseExplanation {
    /// The number of images that the percentiles refer to.
    pub compared: usize,
    /// The conditions, the most probable first.
    pub conditions: Vec<ExplainedScore>,
    /// The nearest reviewed images, or why they are not known; none without a library.
    pub neighbours: Result<Neighbours, String>,
}

/// Said of a condition whose probability does not follow from its phrases.
pub const BY_DISTANCE: &str =
    "Its probability is told by the distance to what the model knows, not by these phrases.";

/// The score of a condition as a sum over phrases.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedScore {
    /// The condition.
    pub condition: String,
    /// Its probability.
    pub probability: f64,
    /// The sum of the contributions and, where the model has one, its bias.
    pub logit: f64,
    /// The bias of a SigLIP model, alike for all conditions; `None` for other models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bias: Option<f64>,
    /// The logit less the mean over the phrases of the other conditions.
    pub lead: f64,
    /// Whether its probability is told by the distance to what the model knows, and not by its phrases.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_distance: bool,
    /// Its presence against its absence; `None` for a condition without `absent` phrases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pair: Option<SimilarityPair>,
    /// The probability from which it counts as present, where labelled images told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Its phrases.
    pub phrases: Vec<ExplainedPhrase>,
    /// As many phrases of random words.
    pub placebo: PlaceboScore,
}

/// The cosines of an image with the texts for a condition's presence and for its absence (CheXzero, Tiu et al. 2022): what decides
/// where each condition is decided on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SimilarityPair {
    /// With the texts for its presence, cos⁺.
    pub present: f64,
    /// With those for its absence, cos⁻.
    pub absent: f64,
    /// Δ = cos⁺ − cos⁻.
    pub delta: f64,
}

impl SimilarityPair {
    /// In words, with three digits: `Δ +0.031 (present 0.284, absent 0.253)`.
    pub fn words(&self) -> String {
        format!(
            "Δ {:+.3} (present {:.3}, absent {:.3})",
            self.delta, self.present, self.absent
        )
    }
}

/// What a phrase contributes, in logits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedPhrase {
    /// The phrase.
    pub phrase: String,
    /// Its part of the logit.
    pub contribution: f64,
    /// Its part of the lead.
    pub lead: f64,
    /// Share of the compared images to which the phrase contributes less; `None` if too few are known.
    pub percentile: Option<f64>,
}

/// Phrases of random words in place of a condition's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlaceboScore {
    /// The phrases.
    pub phrases: Vec<String>,
    /// What the logit would be.
    pub logit: f64,
    /// What the lead would be.
    pub lead: f64,
}

/// A condition's phrases, and as many of random words.
struct ExplainedCondition {
    name: String,
    by_distance: bool,
    phrases: Vec<String>,
    texts: ConditionTexts,
    /// Those for its absence, if there are any.
    absent: Option<ConditionTexts>,
    placebo: ConditionTexts,
    placebo_phrases: Vec<String>,
}

/// The phrases of a prompt set, as a model has encoded them.
pub struct EncodedSet {
    conditions: Vec<ExplainedCondition>,
}

impl EncodedSet {
    /// Encodes the phrases of a set, and as many of random words.
    ///
    /// # Errors
    ///
    /// Those of the model.
    pub fn new(set: &PromptSet, encoder: &mut dyn Encoder) -> Result<Self, EncoderError> {
        // The same words for the same set every time.
        let mut random = placebo::Placebo::new(0, |words| encoder.unknown_words(words));
        let knows = encoder.card().builtin.is_some();
        let mut conditions = Vec::with_capacity(set.conditions.len());
        for condition in &set.conditions {
            let placebo_phrases = random.phrases(condition.phrases.len());
            let mut texts = |phrases: &[String]| {
                let rows = encoder.encode_texts(&set.texts(phrases))?;
                Ok::<_, EncoderError>(ConditionTexts::new(rows, phrases.len()))
            };
            conditions.push(ExplainedCondition {
                name: condition.name.clone(),
                by_distance: condition.other && knows,
                phrases: condition.phrases.clone(),
                texts: texts(&condition.phrases)?,
                absent: match condition.absent.as_slice() {
                    [] => None,
                    absent => Some(texts(absent)?),
                },
                placebo: texts(&placebo_phrases)?,
                placebo_phrases,
            });
        }
        Ok(Self { conditions })
    }

    /// Explains the scores of an image, compared with others.
    pub fn explain(
        &self,
        logits: Logits,
        scores: &[Score],
        embedding: &[f32],
        others: &[Arc<[f32]>],
    ) -> PhraseExplanation {
        let texts: Vec<ConditionTexts> = self.conditions.iter().map(|c| c.texts.clone()).collect();
        let others = if others.len() >= MIN_COMPARED {
            others
        } else {
            &[]
        };
        let all = explain(&texts, logits, embedding);
        let explained = self.conditions.iter().zip(all).enumerate();
        let explained = explained.map(|(at, (condition, shares))| {
            let placebo = explain_placebo(&texts, at, &condition.placebo, logits, embedding);
            let mut scores = scores.iter();
            let score = scores.find(|score| score.condition == condition.name);
            let pair = condition.pair(embedding);
            let parts = (shares.as_slice(), placebo.as_slice(), pair);
            condition.explained(logits, score, parts, others)
        });
        let mut conditions: Vec<ExplainedScore> = explained.collect();
        conditions.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        PhraseExplanation {
            compared: others.len(),
            conditions,
            neighbours: Ok(Neighbours::default()),
        }
    }
}

impl ExplainedCondition {
    fn pair(&self, embedding: &[f32]) -> Option<SimilarityPair> {
        let absent = self.absent.as_ref()?.similarity(embedding);
        let present = self.texts.similarity(embedding);
        Some(SimilarityPair {
            present,
            absent,
            delta: present - absent,
        })
    }

    fn explained(
        &self,
        logits: Logits,
        score: Option<&Score>,
        (shares, placebo, pair): (&[PhraseShare], &[PhraseShare], Option<SimilarityPair>),
        others: &[Arc<[f32]>],
    ) -> ExplainedScore {
        let bias = logits.bias.unwrap_or(0.0);
        let sum = |shares: &[PhraseShare], part: fn(&PhraseShare) -> f64| {
            shares.iter().map(part).sum::<f64>()
        };
        // Of each compared image, what each phrase contributes.
        let elsewhere: Vec<Vec<f64>> = others
            .iter()
            .map(|row| self.texts.contributions(logits, row))
            .collect();
        let phrases = self.phrases.iter().zip(shares).enumerate();
        let phrases = phrases.map(|(at, (phrase, share))| {
            let lower = elsewhere
                .iter()
                .filter(|parts| parts[at] < share.contribution);
            let count = lower.count() as f64;
            ExplainedPhrase {
                phrase: phrase.clone(),
                contribution: share.contribution,
                lead: share.lead,
                percentile: (!others.is_empty()).then(|| count / others.len() as f64),
            }
        });
        ExplainedScore {
            condition: self.name.clone(),
            probability: score.map_or(0.0, |score| score.probability),
            logit: sum(shares, |share| share.contribution) + bias,
            bias: logits.bias,
            lead: sum(shares, |share| share.lead),
            by_distance: self.by_distance,
            pair,
            threshold: score.and_then(|score| score.threshold),
            phrases: phrases.collect(),
            placebo: PlaceboScore {
                phrases: self.placebo_phrases.clone(),
                logit: sum(placebo, |share| share.contribution) + bias,
                lead: sum(placebo, |share| share.lead),
            },
        }
    }
}

impl InferenceWorker<'_> {
    /// Explains the image that was requested last, if any.
    pub(super) fn explain(&mut self) {
        let Some(request) = self.shared.requested_explanation() else {
            return;
        };
        let generation = request.generation;
        let outcome = contained(|| self.explanation(&request));
        (self.shared.handler)(Event::Explained {
            generation,
            outcome,
        });
    }

    fn explanation(&mut self, request: &ExplanationRequest) -> Result<PhraseExplanation, String> {
        let card = self.encoder.card();
        let logits = Logits {
            scale: card.logit_scale,
            bias: card.logit_bias,
        };
        if request.embedding.len() != card.dimension {
            return Err("another model has encoded this image".to_owned());
        }
        let digest = &request.prompts_digest;
        let mut sets = self.scorers.prompts.sets().iter();
        let set = sets.find(|set| set.digest == *digest);
        let set = set.ok_or("the prompts have changed")?;
        let encoded = EncodedSet::new(set, self.encoder.as_mut());
        let encoded = encoded.map_err(|error| error.to_string())?;
        let scores = match &request.scores {
            Some(scores) => scores,
            None => &self.scorers.scores_by_texts(digest, &request.embedding),
        };
        let own = encoded.explain(logits, scores, &request.embedding, &request.others);
        Ok(PhraseExplanation {
            neighbours: self.neighbours(request),
            ..own
        })
    }

    fn neighbours(&self, request: &ExplanationRequest) -> Result<Neighbours, String> {
        let library = &self.shared.settings.library;
        let (Some(library), Some(model_key)) = (library, &self.embedding_key) else {
            return Ok(Neighbours::default());
        };
        let labels: Vec<&str> = request.labels.iter().map(String::as_str).collect();
        let query = NeighbourQuery {
            content: &request.content,
            embedding: &request.embedding,
            prompts: &request.prompts,
            reviewer: &request.reviewer,
            labels: &labels,
            model_key,
        };
        library
            .neighbours(&query)
            .map_err(|error| error.to_string())
    }
}
