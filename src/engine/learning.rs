//! From reviewed images to a proposal: what is learned under a prompt set, and which images that moves.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use crate::encoder::{Encoder, ModelCard};
use crate::learn::{
    LearnError, Learned, LearnedSets, Lesson, ReviewedImage, Unproved, learn, refusal,
};
use crate::library::now;
use crate::prompts::{PromptSet, Prompts};
use crate::scoring::calibration::Calibrations;
use crate::scoring::{Decision, Mode, Scorer, Verdict};

use super::nature::ImageNature;
use super::purpose::KindReader;
use super::scoring::Scorers;
/// An image to learn from.
#[derive(Clone, Debug, PartialEq)]
pub struct LearnImage {
    /// A file with it.
    pub path: PathBuf,
    /// `blake3:<hex>` of its content.
    pub content: String,
    /// Its unit embedding.
    pub embedding: Arc<[f32]>,
    /// The conditions that a person says it shows; `None` unless it is reviewed.
    pub labels: Option<Vec<String>>,
    /// What tells its patient from others, see [`patient_marks`](crate::learn::patient_marks).
    pub patients: Vec<String>,
    /// Whether it is marked as synthetic.
    pub synthetic: bool,
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
    /// They are unlike most that are reviewed, and one model does not learn from both.
    pub other_kinds: usize,
}

impl UnusedImages {
    /// Each reason that there is, with its number, as a sentence goes on after `left out`: `3 reviewed images: rejected by the model`.
    pub fn reasons(&self) -> impl Iterator<Item = String> {
        let all = [
            (
                self.not_encoded,
                "no embedding of this model, or outside the folders; classify them first",
            ),
            (self.rejected, "rejected by the model"),
            (self.disputed, "judged differently by several reviewers"),
            (
                self.several_frames,
                "several frames, and a review does not say which one shows it",
            ),
            (
                self.other_labels,
                "labels from which nothing can be learned under this prompt set",
            ),
            (
                self.other_kinds,
                "of another kind than most, or of none that is certain",
            ),
        ];
        let all = all.into_iter().filter(|(count, _)| *count > 0);
        all.map(|(count, why)| match count {
            1 => format!("1 reviewed image: {why}"),
            _ => format!("{count} reviewed images: {why}"),
        })
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
    /// Reviewed images among them that are unlike the most: of another kind, of one that is not certain, or phantoms beside real ones.
    pub other_kinds: usize,
    /// Conditions of the set that are reviewed of too few patients to say how well they are told.
    pub rare: Vec<String>,
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
    /// Tells kinds of image apart.
    pub(super) kinds: &'a KindReader,
    /// The kind of real images of which findings are judged because of reviews, as results are.
    pub(super) taught: Option<&'a str>,
    /// Whether scores that phantoms taught are in use.
    pub(super) phantoms_taught: bool,
}

/// The images from which a model learns.
struct TaughtImages<'a> {
    images: Vec<&'a LearnImage>,
    /// Their kind, if they are real ones and the model is the built-in one: it judges no findings of them unless it is taught well.
    kind: Option<String>,
    /// Labelled images that are left out.
    others: usize,
}

impl LearningSubject<'_> {
    /// Learns from the reviews of these images. Their order does not matter: folds and sums follow their contents, so that the same
    /// reviews teach the same, wherever the files are and whatever they are called.
    ///
    /// # Errors
    ///
    /// Says why nothing can be learned.
    pub(super) fn propose(&self, images: &[LearnImage]) -> Result<Proposal, String> {
        let mut images: Vec<&LearnImage> = images.iter().collect();
        images.sort_by(|a, b| a.content.cmp(&b.content));
        let taught = self.taught_images(&images)?;
        let reviewed = taught.images.iter().map(|image| ReviewedImage {
            embedding: &image.embedding,
            labels: image.labels.as_deref(),
            patients: &image.patients,
        });
        let reviewed: Vec<ReviewedImage> = reviewed.collect();
        let lesson = learn(self.zero_shot, &reviewed).map_err(|error| error.to_string())?;
        if taught.kind.is_some() {
            check_earned(&lesson)?;
        }
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
            kind: taught.kind.clone(),
            shots: contents_of(&taught.images, &lesson.shots),
        };
        let moved = if learned.changes_results() {
            self.moved(&taught, &learned)
        } else {
            Vec::new()
        };
        Ok(Proposal {
            learned,
            images: taught.images.len(),
            other_labels: lesson.other_labels,
            other_kinds: taught.others,
            rare: lesson.rare,
            moved,
            was_calibrated: self.is_calibrated(taught.kind.as_deref()),
        })
    }

    /// The images that are alike. The built-in model learns from phantoms, or from real images of one kind: the kind of most that are
    /// labelled, as there is no telling by one what the labels of another are worth.
    fn taught_images<'a>(&self, images: &[&'a LearnImage]) -> Result<TaughtImages<'a>, String> {
        // Kinds themselves are learned from images of all kinds.
        if self.card.builtin.is_none() || self.set.tells_kinds() {
            return Ok(TaughtImages {
                images: images.to_vec(),
                kind: None,
                others: 0,
            });
        }
        let all: Vec<(&LearnImage, ImageNature)> = images
            .iter()
            .map(|image| {
                let nature = self.kinds.nature(&image.embedding, image.synthetic);
                (*image, nature)
            })
            .collect();
        // "None of them" may mean that it is of another kind.
        let shown = all.iter().filter(|(image, _)| {
            image.labels.as_ref().is_some_and(|labels| {
                !labels.is_empty() && labels.iter().all(|label| self.has_condition(label))
            })
        });
        let Some(nature) = ImageNature::of_most(shown.map(|(_, nature)| nature)) else {
            return Err(LearnError::NoLabels.to_string());
        };
        let kind = match nature {
            ImageNature::Phantom => None,
            ImageNature::Kind(kind) => Some(kind.clone()),
            ImageNature::Unclear => return Err("the kind of most reviewed images is not certain, so that it could not be told which others are like them".to_owned()),
        };
        self.check_replaced(kind.as_deref())?;
        let is_alike = |own: &&(&LearnImage, ImageNature)| own.1 == *nature;
        let (alike, others): (Vec<_>, Vec<_>) = all.iter().partition(is_alike);
        let is_labelled = |own: &&(&LearnImage, ImageNature)| own.0.labels.is_some();
        Ok(TaughtImages {
            images: alike.into_iter().map(|(image, _)| *image).collect(),
            others: others.into_iter().filter(is_labelled).count(),
            kind,
        })
    }

    /// Fails if images of a kind, or phantoms, would replace what others have taught.
    fn check_replaced(&self, kind: Option<&str>) -> Result<(), String> {
        let in_use = match self.taught {
            None if !self.phantoms_taught => return Ok(()),
            taught => taught,
        };
        refusal(in_use, kind, self.zero_shot.mode()).map_or(Ok(()), Err)
    }

    fn has_condition(&self, label: &str) -> bool {
        self.set.conditions.iter().any(|own| own.name == label)
    }

    /// The images whose label changes, the surest new label first.
    fn moved(&self, taught: &TaughtImages, learned: &Learned) -> Vec<MovedImage> {
        let scorer = self.zero_shot.clone().learning(&learned.conditions);
        let moved = taught.images.iter().filter_map(|image| {
            let before = self.before(image, taught.kind.as_deref())?;
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
        moved
    }

    /// Whether the scores of such images are calibrated as they are. The built-in model has none for real images until it is taught; what
    /// is in use without that is meant for phantoms.
    fn is_calibrated(&self, kind: Option<&str>) -> bool {
        (kind.is_none() || self.taught == kind) && self.in_use.is_calibrated()
    }

    /// What is said of an image as things are: its kind, where the built-in model judges no findings of it.
    fn before(&self, image: &LearnImage, kind: Option<&str>) -> Option<Verdict> {
        let has_earned = |kind: &str| {
            let facts = self.card.builtin.as_ref();
            self.taught == Some(kind)
                || facts.is_some_and(|facts| facts.has_earned(kind, &self.set.name))
        };
        match kind {
            Some(kind) if !has_earned(kind) => {
                self.kinds.kind(std::iter::once(&image.embedding[..]))
            }
            _ => Some(self.in_use.verdict(&image.embedding)),
        }
    }
}

/// The contents of some of the images, in order.
fn contents_of(images: &[&LearnImage], indices: &[usize]) -> Vec<String> {
    let mut contents: Vec<String> = indices
        .iter()
        .map(|at| images[*at].content.clone())
        .collect();
    contents.sort_unstable();
    contents
}

/// Whether the built-in model may judge findings of real images by what it was taught.
fn check_earned(lesson: &Lesson) -> Result<(), String> {
    let images = lesson.comparison.images;
    let conditions = match &lesson.unproved {
        None => return Ok(()),
        Some(Unproved::TooFew {
            patients,
            condition,
        }) => {
            let of = condition.as_ref().map_or_else(
                || "of each of two conditions".to_owned(),
                |name| format!("with {name}, and three without"),
            );
            return Err(format!(
                "to tell whether findings can be told, ten reviewed images of as many patients are needed, three {of}; there are {images} of {patients}"
            ));
        }
        Some(Unproved::OneSided(conditions)) => {
            return Err(format!(
                "no reviewed image shows {0}, or all do: nothing is known of how well {0} can be told; review images with and without, or use a prompt set without",
                conditions.join(", ")
            ));
        }
        Some(Unproved::Guessed(conditions)) if conditions.is_empty() => "findings".to_owned(),
        Some(Unproved::Guessed(conditions)) => conditions.join(", "),
    };
    let percent = |share: f64| format!("{:.0}", share * 100.0);
    let found = lesson
        .comparison
        .balanced_accuracy
        .map_or_else(String::new, |own| {
            let uses_learned = lesson.conditions.iter().any(|own| own.gate > 0.0);
            let used = if uses_learned { own.after } else { own.before };
            format!(
                " (balanced accuracy {} %, where guessing gets {} %)",
                used.text(percent),
                percent(own.chance)
            )
        });
    Err(format!(
        "{images} reviewed images do not show that {conditions} can be told better than by guessing{found}; review more images of each condition"
    ))
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

#[cfg(test)]
mod tests;
