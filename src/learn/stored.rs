//! What was learned from reviews, as it is stored.

use serde::{Deserialize, Serialize};

use super::{LearningGain, Method};
use crate::media::clean;
use crate::prompts::Prompts;
use crate::scoring::Mode;
use crate::scoring::calibration::{Calibration, Calibrations};
use crate::scoring::learned::LearnedCondition;

/// The version of the format.
const FORMAT: u32 = 1;

/// Why what images of the kind `by` teach does not take the place of what those of the kind `in_use` have taught; `None` for phantoms, and
/// for models that judge all images alike. Nothing where both are the same.
pub fn refusal(in_use: Option<&str>, by: Option<&str>, mode: Mode) -> Option<String> {
    if in_use == by {
        return None;
    }
    let taught = match in_use {
        Some(kind) => format!("findings of the kind {} are", clean(kind)),
        None => "scores that phantoms taught are".to_owned(),
    };
    let others = match by {
        Some(kind) => format!("images of the kind {}", clean(kind)),
        None => "phantoms".to_owned(),
    };
    let mode = match mode {
        Mode::Single => "",
        Mode::Multi => " --mode multi",
    };
    Some(format!(
        "{taught} in use under this prompt set, and what {others} teach would replace them: undo that first (`learn --undo{mode}`), or use a \
         prompt set of its own"
    ))
}

/// What was learned from reviews for one model under one prompt set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    /// The version of the format.
    pub format: u32,
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
    /// When it was learned: RFC 3339, UTC.
    pub at: String,
    /// How.
    pub method: Method,
    /// The number of reviewed images.
    pub reviews: usize,
    /// The number of images without a review that took part.
    pub unlabelled: usize,
    /// What it is worth.
    pub held_out: LearningGain,
    /// The conditions for which something was learned.
    pub conditions: Vec<LearnedCondition>,
    /// The kind of the real images from which the built-in model learned, as its set `kinds` names it: of this kind it then judges
    /// findings under the prompt set. `None` for other models, which judge findings of all images, and for what phantoms taught.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The contents (`blake3:<hex>`) of the labelled images, in order: figures on these are too good. Empty in files of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shots: Vec<String>,
}

/// Why a file with what was learned is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LearnedError {
    /// Another version of the program wrote it.
    #[error("it has format {0}; this program knows format {FORMAT}")]
    Format(u32),
    /// It was learned with another model.
    #[error(
        "it was learned with the model {found}, and this is {wanted}; what one model has learned means nothing to another"
    )]
    Model {
        /// Its model.
        found: String,
        /// The model in use.
        wanted: String,
    },
    /// It was learned under another prompt set.
    #[error("it was learned under another prompt set ({found}), or another version of {wanted}")]
    Prompts {
        /// Its prompt set.
        found: String,
        /// The prompt set in use.
        wanted: String,
    },
    /// Its numbers do not fit together.
    #[error("`{0}` has no sound gate or direction")]
    Unsound(String),
    /// It is about a condition that the prompt set does not have.
    #[error("`{0}` is not a condition of the prompt set")]
    Condition(String),
    /// Its directions are not those of the model's embeddings.
    #[error("its directions have {found} numbers, and embeddings of the model have {wanted}")]
    Length {
        /// Their numbers.
        found: usize,
        /// The model's.
        wanted: usize,
    },
}

/// What learned scores are to apply to.
#[derive(Clone, Copy, Debug)]
pub struct LearnedFor<'a> {
    /// The model's name and digest.
    pub model: [&'a str; 2],
    /// The prompt set's name and digest.
    pub prompts: [&'a str; 2],
    /// The names of the prompt set's conditions.
    pub conditions: &'a [&'a str],
    /// The numbers of an embedding.
    pub dimension: usize,
}

impl Learned {
    /// The version of the format that is written.
    pub const FORMAT: u32 = FORMAT;

    /// Whether it is for results of this model, prompt set and mode.
    pub fn is_for(&self, model_digest: &str, prompts_digest: &str, mode: Mode) -> bool {
        self.model_digest == model_digest
            && self.prompts_digest == prompts_digest
            && self.mode == mode
    }

    /// Whether any result differs from zero-shot: by a score, or because findings are judged at all.
    pub fn changes_results(&self) -> bool {
        self.kind.is_some() || self.changes_scores()
    }

    /// Whether any score differs from zero-shot.
    pub fn changes_scores(&self) -> bool {
        self.conditions.iter().any(|own| own.gate > 0.0)
    }

    /// The same kind of image, with scores by the texts alone.
    #[must_use]
    pub fn by_texts(mut self) -> Self {
        for own in &mut self.conditions {
            own.gate = 0.0;
        }
        self
    }

    /// Checks that it can be used.
    ///
    /// # Errors
    ///
    /// Fails if it is of another format, or damaged.
    pub fn check(&self) -> Result<(), LearnedError> {
        if self.format != FORMAT {
            return Err(LearnedError::Format(self.format));
        }
        let length = self
            .conditions
            .first()
            .map_or(0, |own| own.direction.0.len());
        for own in &self.conditions {
            let is_sound = (0.0..=1.0).contains(&own.gate) && own.direction.0.len() == length;
            if !is_sound {
                return Err(LearnedError::Unsound(own.condition.clone()));
            }
        }
        Ok(())
    }

    /// Checks that it is for this model and prompt set.
    ///
    /// # Errors
    ///
    /// Says for which it is.
    pub fn check_for(&self, subject: &LearnedFor) -> Result<(), LearnedError> {
        self.check()?;
        let ([model, model_digest], [prompts, prompts_digest]) = (subject.model, subject.prompts);
        if self.model_digest != model_digest {
            return Err(LearnedError::Model {
                found: self.model.clone(),
                wanted: model.to_owned(),
            });
        }
        if self.prompts_digest != prompts_digest {
            return Err(LearnedError::Prompts {
                found: self.prompts.clone(),
                wanted: prompts.to_owned(),
            });
        }
        self.check_shape(subject.conditions, subject.dimension)
    }

    /// Checks that it is about these conditions, and about embeddings of so many numbers.
    ///
    /// # Errors
    ///
    /// Says what does not fit.
    pub fn check_shape(&self, conditions: &[&str], dimension: usize) -> Result<(), LearnedError> {
        for own in &self.conditions {
            let found = own.direction.0.len();
            if !conditions.contains(&own.condition.as_str()) {
                return Err(LearnedError::Condition(own.condition.clone()));
            }
            if found != dimension {
                let wanted = dimension;
                return Err(LearnedError::Length { found, wanted });
            }
        }
        Ok(())
    }

    /// Why what images of a kind teach, or phantoms (`None`), does not take the place of this unasked: other images taught it.
    pub fn refuses(&self, kind: Option<&str>) -> Option<String> {
        refusal(self.kind.as_deref(), kind, self.mode)
    }

    /// What is in use with it, as a sentence goes on.
    pub fn words(&self) -> String {
        let reviews = self.reviews;
        let scores = match reviews {
            1 => "scores are learned from 1 review".to_owned(),
            _ => format!("scores are learned from {reviews} reviews"),
        };
        match (&self.kind, self.changes_scores()) {
            (None, true) => scores,
            (None, false) => "the texts alone score".to_owned(),
            (Some(kind), true) => format!("findings of the kind {kind} are judged, and {scores}"),
            (Some(kind), false) => {
                format!("findings of the kind {kind} are judged by the texts alone")
            }
        }
    }

    /// `blake3:<hex>` of what changes scores: two with the same digest give the same scores.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in [&self.model_digest, &self.prompts_digest] {
            hasher.update(part.as_bytes());
        }
        for own in &self.conditions {
            hasher.update(&(own.condition.len() as u64).to_le_bytes());
            hasher.update(own.condition.as_bytes());
            hasher.update(&own.gate.to_le_bytes());
            for number in &own.direction.0 {
                hasher.update(&number.to_le_bytes());
            }
        }
        format!("blake3:{}", hasher.finalize().to_hex())
    }
}

/// What taught the score of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaughtBy {
    /// Other images, or none: it is zero-shot.
    Others,
    /// The image itself, among others.
    Itself,
    /// What is no longer in use, so that nothing is known of its images.
    Unknown,
}

/// What was learned for several models and prompt sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LearnedSets(pub Vec<Learned>);

impl LearnedSets {
    /// What is used for results of this model, prompt set and mode; `None` if no result would differ.
    pub fn find(&self, model_digest: &str, prompts_digest: &str, mode: Mode) -> Option<&Learned> {
        let mut all = self.0.iter();
        let found = all.find(|own| own.is_for(model_digest, prompts_digest, mode));
        found.filter(|own| own.changes_results())
    }

    /// What a score of an image was learned from, where `reviews` taught it; what it gets right on an image that taught it says little.
    /// `content`: `blake3:<hex>` of the file.
    pub fn taught_by(
        &self,
        [model_digest, prompts_digest]: [&str; 2],
        mode: Mode,
        (content, reviews): (&str, Option<usize>),
    ) -> TaughtBy {
        let Some(reviews) = reviews else {
            return TaughtBy::Others;
        };
        match self.find(model_digest, prompts_digest, mode) {
            Some(own) if own.reviews != reviews => TaughtBy::Unknown,
            Some(own) => {
                let shot = own
                    .shots
                    .binary_search_by(|shot| shot.as_str().cmp(content));
                if own.changes_scores() && shot.is_ok() {
                    TaughtBy::Itself
                } else {
                    TaughtBy::Others
                }
            }
            None => TaughtBy::Unknown,
        }
    }

    /// Of which kinds findings are judged, as ever, but all scores by the texts alone.
    #[must_use]
    pub fn by_texts(self) -> Self {
        Self(self.0.into_iter().map(Learned::by_texts).collect())
    }

    /// Whether something was learned for one of these prompt sets, by any model.
    pub fn are_for(&self, prompts: &Prompts) -> bool {
        let mut sets = prompts.sets().iter();
        sets.any(|set| self.0.iter().any(|own| own.prompts_digest == set.digest))
    }

    /// The calibrations that fit the scores in use: those of zero-shot scores where nothing was learned, else those of exactly what was.
    #[must_use]
    pub fn calibrations(&self, all: &Calibrations) -> Calibrations {
        let fits = |one: &&Calibration| {
            let in_use = self.find(&one.model_digest, &one.prompts_digest, one.mode);
            in_use.map(Learned::digest) == one.learned
        };
        Calibrations(all.0.iter().filter(fits).cloned().collect())
    }
}
