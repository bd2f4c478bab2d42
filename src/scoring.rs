//! Embeddings × prompts → probabilities and a decision.

use serde::{Deserialize, Serialize};

/// How the conditions relate: one of them (softmax over all), or each alone (present or absent).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode { #[default] Single, Multi }

/// One condition's score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    pub condition: String,
    pub probability: f64,
    /// Highest over the frames; only in an aggregate over frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Cosine of image and condition, before `logit_scale`.
    pub similarity: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision { Confident, Uncertain, Rejected }

/// What the model says of one picture; scores are sorted, highest probability first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    pub label: String,
    pub description: String,
    pub probability: f64,
    pub decision: Decision,
    pub reason: Option<String>,
    pub scores: Vec<Score>,
}
