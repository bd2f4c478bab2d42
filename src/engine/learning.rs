//! From reviewed images to a proposal: what is learned under a prompt set, and which images that moves.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use crate::encoder::{Encoder, ModelCard};
use crate::learn::{Learned, LearnedSets, ReviewedImage, learn};
use crate::library::now;
use crate::media::DicomOrigin;
use crate::prompts::{PromptSet, Prompts};
use crate::scoring::calibration::Calibrations;
use crate::scoring::{Decision, Mode, Scorer, Verdict};

use super::scoring::Scorers;

/// An image to learn from.
#[derive(Clone, Debug, PartialEq)]
pub struct LearnImage {
    /// A file with it.
    pub path: PathBuf,
    /// Its unit embedding.
    pub embedding: Arc<[f32]>,
    /// The conditions that a person says it shows; `None` unless it is reviewed.
    pub labels: Option<Vec<String>>,
    /// Its study, else its series; `None` if it is of none.
    pub study: Option<String>,
}

/// The study that an image belongs to, else its series.
pub fn study(origin: &DicomOrigin) -> Option<String> {
    origin.study.as_ref().or(origin.series.as_ref()).cloned()
}

/// Reviewed images that take no part, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UnusedImages {
    /// The model has not encoded them; or a table labels them, but they lie outside the folders that were named.
    pub not_encoded: usize,
    /// The model rejects them.
    pub rejected: usize,
    /// Several people say different things.
    pub disputed: usize,
    /// They have several frames, and a review does not say which of them shows it.
    pub several_frames: usize,
    /// Their labels are no conditions of the set, or where one applies not one of them.
    pub other_labels: usize,
}

impl UnusedImages {
    /// Each reason that there is, with its number, as a sentence goes on after `left out: 3 reviewed images`.
    pub fn reasons(&self) -> impl Iterator<Item = (usize, &'static str)> {
        let all = [
            (
                self.not_encoded,
                "have no embedding of this model, or are outside the folders; classify them first",
            ),
            (self.rejected, "are rejected by the model"),
            (self.disputed, "are judged differently by several reviewers"),
            (
                self.several_frames,
                "have several frames, and a review does not say which one shows it",
            ),
            (
                self.other_labels,
                "have labels from which nothing can be learned under this prompt set",
            ),
        ];
        all.into_iter().filter(|(count, _)| *count > 0)
    }
}

/// A request to learn.
#[derive(Clone, Debug, PartialEq)]
pub struct LearnRequest {
    /// The name of the prompt set, one of those in use.
    pub prompts: String,
    /// The images, each content once.
    pub images: Vec<LearnImage>,
    /// The number that the answer carries.
    pub generation: u64,
}

/// The label and the score of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageScore {
    /// The label.
    pub label: String,
    /// Its probability.
    pub probability: f64,
    /// How certain it is.
    pub decision: Decision,
}

impl From<Verdict> for ImageScore {
    fn from(verdict: Verdict) -> Self {
        Self {
            label: verdict.label,
            probability: verdict.probability,
            decision: verdict.decision,
        }
    }
}

/// An image whose label would change.
#[derive(Clone, Debug, PartialEq)]
pub struct MovedImage {
    /// A file with it.
    pub path: PathBuf,
    /// Its result as it is.
    pub before: ImageScore,
    /// Its result with what was learned.
    pub after: ImageScore,
    /// What a person says; `None` unless it is reviewed.
    pub labels: Option<Vec<String>>,
}

/// What was learned, and what it would change.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// What was learned.
    pub learned: Learned,
    /// The number of images that were looked at.
    pub images: usize,
    /// Reviewed images among them from whose labels nothing can be learned under the prompt set.
    pub other_labels: usize,
    /// Those whose label changes, the surest new label first; none if no score would change.
    pub moved: Vec<MovedImage>,
    /// Whether the scores as they are were calibrated; learned ones are not until they are calibrated anew.
    pub was_calibrated: bool,
}

/// A model and a prompt set, with the scorers that follow from them.
pub(super) struct LearningSubject<'a> {
    pub(super) card: &'a ModelCard,
    pub(super) set: &'a PromptSet,
    /// Scores by the texts alone, not calibrated.
    pub(super) zero_shot: &'a Scorer,
    /// Scores as results do.
    pub(super) in_use: &'a Scorer,
}

impl LearningSubject<'_> {
    /// Learns from the reviews of these images.
    ///
    /// # Errors
    ///
    /// Says why nothing can be learned.
    pub(super) fn propose(&self, images: &[LearnImage]) -> Result<Proposal, String> {
        let reviewed = images.iter().map(|image| ReviewedImage {
            embedding: &image.embedding,
            labels: image.labels.as_deref(),
            study: image.study.as_deref(),
        });
        let reviewed: Vec<ReviewedImage> = reviewed.collect();
        let lesson = learn(self.zero_shot, &reviewed).map_err(|error| error.to_string())?;
        let learned = Learned {
            format: Learned::FORMAT,
            model: self.card.id.clone(),
            model_digest: self.card.digest.clone(),
            prompts: self.set.name.clone(),
            prompts_digest: self.set.digest.clone(),
            mode: self.zero_shot.mode(),
            at: now(),
            method: lesson.method,
            reviews: lesson.reviews,
            unlabelled: lesson.unlabelled,
            held_out: lesson.comparison,
            conditions: lesson.conditions,
        };
        let scorer = self.zero_shot.clone().learning(&learned.conditions);
        let looked_at = if learned.changes_scores() {
            images
        } else {
            &[]
        };
        let moved = looked_at.iter().filter_map(|image| {
            let before = self.in_use.verdict(&image.embedding);
            let after = scorer.verdict(&image.embedding);
            (before.label != after.label).then(|| MovedImage {
                path: image.path.clone(),
                before: before.into(),
                after: after.into(),
                labels: image.labels.clone(),
            })
        });
        let mut moved: Vec<MovedImage> = moved.collect();
        moved.sort_by(|a, b| b.after.probability.total_cmp(&a.after.probability));
        Ok(Proposal {
            learned,
            images: images.len(),
            other_labels: lesson.other_labels,
            moved,
            was_calibrated: self.in_use.is_calibrated(),
        })
    }
}

/// Learns with a model that is open already, under the only set of these prompts. `calibrations` and `learned` are those in use.
///
/// # Errors
///
/// Says why the prompts cannot be encoded, or nothing can be learned.
pub fn propose(
    encoder: &mut dyn Encoder,
    prompts: &Prompts,
    mode: Mode,
    fits: (&Calibrations, &LearnedSets),
    images: Vec<LearnImage>,
) -> Result<Proposal, String> {
    let (scorers, _) = Scorers::new(prompts.clone(), mode, fits, encoder)?;
    let name = prompts.sets().first().map(|set| set.name.clone());
    scorers.proposal(&LearnRequest {
        prompts: name.unwrap_or_default(),
        images,
        generation: 0,
    })
}
