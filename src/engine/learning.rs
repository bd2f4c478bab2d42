//! From reviewed images to a proposal: what is learned under a prompt set, and which images that moves.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use crate::encoder::{Encoder, ModelCard};
use crate::learn::{Learned, LearnedSets, LearningGain, ReviewedImage, learn};
use crate::library::now;
use crate::media::DicomOrigin;
use crate::prompts::{PromptSet, Prompts};
use crate::scoring::calibration::Calibrations;
use crate::scoring::{Decision, Mode, Scorer, Verdict};

use super::purpose::KindReader;
use super::scoring::Scorers;

/// A kind of image is taught if one labelled image in so many is of it: a few misread ones teach nothing.
const KIND_SHARE: usize = 10;

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
    /// Whether it is marked as synthetic.
    pub synthetic: bool,
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
    /// Tells kinds of image apart.
    pub(super) kinds: &'a KindReader,
    /// The kinds of real images of which findings are judged because of reviews, as results are.
    pub(super) taught: &'a [String],
}

/// The images from which a model learns, and what the built-in model is taught by real ones.
struct TaughtImages<'a> {
    /// Each with its kind, if it is a real one of which the kind is certain, and the model is the built-in one.
    images: Vec<(&'a LearnImage, Option<String>)>,
    /// The kinds of real images of which findings are taught.
    kinds: Vec<String>,
    /// Whether the labelled images are real ones and the model is the built-in one, which judges no findings unless it is taught well.
    must_earn: bool,
}

impl LearningSubject<'_> {
    /// Learns from the reviews of these images.
    ///
    /// # Errors
    ///
    /// Says why nothing can be learned.
    pub(super) fn propose(&self, images: &[LearnImage]) -> Result<Proposal, String> {
        let taught = self.taught_images(images);
        let reviewed = taught.images.iter().map(|(image, _)| ReviewedImage {
            embedding: &image.embedding,
            labels: image.labels.as_deref(),
            study: image.study.as_deref(),
        });
        let reviewed: Vec<ReviewedImage> = reviewed.collect();
        let lesson = learn(self.zero_shot, &reviewed).map_err(|error| error.to_string())?;
        if taught.must_earn {
            let uses_learned = lesson.conditions.iter().any(|own| own.gate > 0.0);
            check_earned(&lesson.comparison, uses_learned, &taught.kinds)?;
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
            kinds: taught.kinds.clone(),
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
            moved,
            was_calibrated: self.in_use.is_calibrated(),
        })
    }

    /// Leaves out images without a label that are unlike the labelled ones: for the built-in model, those of other kinds, or synthetic
    /// ones beside real ones.
    fn taught_images<'a>(&self, images: &'a [LearnImage]) -> TaughtImages<'a> {
        let is_builtin = self.card.builtin.is_some();
        let kind = |image: &LearnImage| {
            let is_read = is_builtin && !image.synthetic;
            is_read.then(|| self.kinds.certain_kind(&image.embedding))?
        };
        let all: Vec<(&LearnImage, Option<String>)> =
            images.iter().map(|image| (image, kind(image))).collect();
        if !is_builtin {
            return TaughtImages {
                images: all,
                kinds: Vec::new(),
                must_earn: false,
            };
        }
        let labelled = || all.iter().filter(|(image, _)| image.labels.is_some());
        let real = || labelled().filter(|(image, _)| !image.synthetic);
        let kinds = frequent(
            real().filter_map(|(_, kind)| kind.as_deref()),
            real().count(),
        );
        let has_phantoms = labelled().any(|(image, _)| image.synthetic);
        let must_earn = real().next().is_some();
        let takes_part = |(image, kind): &(&LearnImage, Option<String>)| {
            let is_alike = match kind {
                _ if image.synthetic => has_phantoms,
                Some(kind) => kinds.contains(kind),
                None => false,
            };
            image.labels.is_some() || is_alike
        };
        TaughtImages {
            images: all.iter().filter(|own| takes_part(own)).cloned().collect(),
            kinds,
            must_earn,
        }
    }

    /// The images whose label changes, the surest new label first.
    fn moved(&self, taught: &TaughtImages, learned: &Learned) -> Vec<MovedImage> {
        let scorer = self.zero_shot.clone().learning(&learned.conditions);
        let moved = taught.images.iter().filter_map(|(image, kind)| {
            let is_real = self.card.builtin.is_some() && !image.synthetic;
            if is_real && !kind.as_ref().is_some_and(|own| taught.kinds.contains(own)) {
                return None;
            }
            let before = self.before(image, kind.as_deref())?;
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

    /// What is said of an image as things are: its kind, where the built-in model judges no findings of it.
    fn before(&self, image: &LearnImage, kind: Option<&str>) -> Option<Verdict> {
        let has_earned = |kind: &str| {
            let facts = self.card.builtin.as_ref();
            self.taught.iter().any(|own| own == kind)
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

/// The kinds of which at least one in [`KIND_SHARE`] labelled images is, by name.
fn frequent<'a>(kinds: impl Iterator<Item = &'a str>, images: usize) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    kinds.for_each(|kind| *counts.entry(kind).or_default() += 1);
    let frequent = counts
        .into_iter()
        .filter(|(_, count)| count * KIND_SHARE >= images);
    frequent.map(|(kind, _)| kind.to_owned()).collect()
}

/// Whether the built-in model may judge findings of real images by what it was taught.
fn check_earned(gain: &LearningGain, uses_learned: bool, kinds: &[String]) -> Result<(), String> {
    if kinds.is_empty() {
        return Err("the kind of the reviewed images is not certain, so that it could not be told which others are like them".to_owned());
    }
    if gain.beats_chance(uses_learned) {
        return Ok(());
    }
    let percent = |share: f64| format!("{:.0}", share * 100.0);
    let found = gain.balanced_accuracy.map_or_else(String::new, |own| {
        let used = if uses_learned { own.after } else { own.before };
        format!(
            ": balanced accuracy {} %, where guessing gets {} %",
            used.text(percent),
            percent(own.chance)
        )
    });
    Err(format!(
        "{} reviewed images do not show that findings can be told from each other{found}; review more images of each condition",
        gain.images
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
