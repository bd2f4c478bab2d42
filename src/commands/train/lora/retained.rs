//! What a model that was fine-tuned from the built-in one still does: it tells kinds of image, by which it decides what it judges, and
//! finds the conditions of phantoms.

use serde::Serialize;

use super::super::super::bench::phantoms::{SIDE, drawn};
use super::super::images::PreparedImages;
use super::Tuning;
use crate::commands::Fault;
use crate::commands::train::ScoredModel;
use crate::encoder::finetune::TrainingImages;
use crate::encoder::{Encoder, EncoderError, PreparedImage, Preprocess};
use crate::engine::{ImageNature, NatureReader};
use crate::learn::{LearnedSets, Truths};
use crate::phantom::{Anatomy, PhantomCondition, Plan, draw};
use crate::prompts::{self, PromptSet};
use crate::scoring::Mode;
use crate::scoring::calibration::Calibrations;

/// The seeds of the phantoms: none that the built-in model was trained on or examined with.
const FIRST_SEED: u64 = 0x7EA2_0000_0000;
/// Phantoms of each row of [`CELLS`].
const OF_EACH: usize = 32;
/// Images of other kinds that are looked at.
const MAX_OTHERS: usize = 256;
/// What the phantoms show, and the kind that each is of.
const CELLS: [(Anatomy, PhantomCondition, &str); 7] = [
    (Anatomy::Chest, PhantomCondition::Normal, "chest radiograph"),
    (
        Anatomy::Chest,
        PhantomCondition::Pneumonia,
        "chest radiograph",
    ),
    (Anatomy::Chest, PhantomCondition::Tumor, "chest radiograph"),
    (Anatomy::Head, PhantomCondition::Normal, "brain MRI"),
    (Anatomy::Head, PhantomCondition::Tumor, "brain MRI"),
    (Anatomy::Limb, PhantomCondition::Normal, "limb radiograph"),
    (Anatomy::Limb, PhantomCondition::Fracture, "limb radiograph"),
];

/// What is retained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::commands::train) struct RetainedSkills {
    /// The images held out of whose kind the model is sure, so that it judges them; `None` if it was trained with phantoms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands::train) judged: Option<usize>,
    /// The images of other kinds that were looked at, and how many of them it takes for the kind that it was trained with.
    pub(in crate::commands::train) others: usize,
    pub(in crate::commands::train) others_judged: usize,
    /// Phantoms that were drawn.
    pub(in crate::commands::train) phantoms: usize,
    /// How many of them have their kind told for certain, by the base and by the model.
    pub(in crate::commands::train) kinds_before: usize,
    pub(in crate::commands::train) kinds_after: usize,
    /// The balanced accuracy of their conditions under the prompt set `general`, by the base and by the model.
    pub(in crate::commands::train) phantoms_before: f64,
    pub(in crate::commands::train) phantoms_after: f64,
}

impl RetainedSkills {
    /// Why the model is of no use, if it is sure of the kind of less than half of so many images held out: it would judge few.
    pub(super) fn lost_kind(&self, held_out: usize) -> Option<String> {
        let judged = self.judged.filter(|judged| 2 * judged < held_out)?;
        Some(format!(
            "the fine-tuned model is sure of the kind of only {judged} of the {held_out} images held out, and would judge no others: train \
             with a lower --rate or fewer --epochs, or use `train probe`, which leaves the images' embeddings as they are"
        ))
    }
}

/// Phantoms to look at, and what they are scored by.
pub(super) struct PhantomCheck {
    images: Vec<PreparedImage>,
    truths: Truths,
    model: ScoredModel,
    /// Tells the fine-tuned model kinds of image: its texts are those of the base, and no calibration is for its images.
    reader: Option<NatureReader>,
}

impl PhantomCheck {
    /// Draws the phantoms, for a training under a set in a mode.
    pub(super) fn new(
        encoder: &mut dyn Encoder,
        (trained, mode): (&PromptSet, Mode),
    ) -> Result<Self, Fault> {
        let fits = (&Calibrations::default(), &LearnedSets::default());
        let reader = NatureReader::new(encoder, trained, mode, fits).map_err(Fault::unusable)?;
        let set = general()?;
        let preprocess: Preprocess = encoder.preprocess();
        let label = |condition: PhantomCondition| {
            let name = condition.name();
            set.conditions.iter().position(|own| own.name == name)
        };
        let labels = (0..OF_EACH * CELLS.len()).map(|at| label(CELLS[at % CELLS.len()].1));
        let labels: Option<Vec<usize>> = labels.collect();
        let labels = labels.ok_or_else(|| Fault::unusable("`general` lacks a condition"))?;
        let images = drawn(0..labels.len(), &preprocess, &|at| {
            let (anatomy, condition, _) = CELLS[at % CELLS.len()];
            draw(&Plan {
                anatomy,
                condition,
                seed: FIRST_SEED + at as u64,
                width: SIDE,
                height: SIDE,
                level: 0.0,
            })
        })?;
        Ok(Self {
            images,
            truths: Truths::One(labels),
            reader,
            model: ScoredModel::new(encoder, &set, Mode::Single).map_err(Fault::unusable)?,
        })
    }

    fn balanced_accuracy(&self, rows: &[Vec<f32>]) -> f64 {
        let all: Vec<usize> = (0..rows.len()).collect();
        let logits = rows.iter().map(|row| self.model.problem.zero_shot(row));
        let logits: Vec<Vec<f64>> = logits.collect();
        self.truths.figures(&all, &logits, None).balanced_accuracy
    }
}

impl TrainingImages for PhantomCheck {
    fn image(&self, index: usize) -> Result<PreparedImage, EncoderError> {
        Ok(self.images[index].clone())
    }
}

/// The built-in set, whatever the user's own of that name says.
fn general() -> Result<PromptSet, Fault> {
    let text = prompts::built_in_text("general").unwrap_or_default();
    PromptSet::parse(text, "general.toml (built in)").map_err(Fault::unusable)
}

/// Of phantoms in the order of [`CELLS`], those whose kind is told for certain.
fn kinds_told(rows: &[Vec<f32>], reader: &NatureReader) -> usize {
    let all = rows.iter().zip(CELLS.iter().cycle());
    let told = all.filter(|(row, (_, _, kind))| is_of_kind(row, reader, kind));
    told.count()
}

fn is_of_kind(row: &[f32], reader: &NatureReader, kind: &str) -> bool {
    reader.nature(row, false) == ImageNature::Kind(kind.to_owned())
}

impl Tuning<'_> {
    /// Looks at what the model still does. `base` tells the base kinds.
    pub(super) fn retained(
        &self,
        check: &PhantomCheck,
        base: &NatureReader,
    ) -> Result<RetainedSkills, Fault> {
        let tuned = check.reader.as_ref().unwrap_or(base);
        let encode = |images: Result<Vec<PreparedImage>, EncoderError>| {
            let rows = images.and_then(|images| self.tuner.encode_best(&images));
            rows.map_err(Fault::unusable)
        };
        let some = |own: &PreparedImages, which: &[usize]| -> Result<Vec<_>, EncoderError> {
            which.iter().map(|at| own.image(*at)).collect()
        };
        let of_kind = |rows: &[Vec<f32>]| {
            let kind = self.alike.kind.as_deref()?;
            let own = rows.iter().filter(|row| is_of_kind(row, tuned, kind));
            Some(own.count())
        };
        let held_out = encode(some(&self.images, &self.split.held_out))?;
        let first: Vec<usize> = (0..self.others.images.len().min(MAX_OTHERS)).collect();
        let others = encode(some(&self.others, &first))?;
        let before = self.tuner.encode_base(check, check.images.len());
        let before = before.map_err(Fault::unusable)?;
        let after = encode(Ok(check.images.clone()))?;
        Ok(RetainedSkills {
            judged: of_kind(&held_out),
            others: others.len(),
            others_judged: of_kind(&others).unwrap_or(0),
            phantoms: check.images.len(),
            kinds_before: kinds_told(&before, base),
            kinds_after: kinds_told(&after, tuned),
            phantoms_before: check.balanced_accuracy(&before),
            phantoms_after: check.balanced_accuracy(&after),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_no_longer_knows_the_kind_is_of_no_use() {
        let skills = |judged| RetainedSkills {
            judged,
            others: 0,
            others_judged: 0,
            phantoms: 224,
            kinds_before: 224,
            kinds_after: 0,
            phantoms_before: 1.0,
            phantoms_after: 0.2,
        };
        assert_eq!(skills(Some(12)).lost_kind(24), None);
        let lost = skills(Some(11)).lost_kind(24).unwrap();
        assert!(lost.contains("only 11 of the 24 images"), "{lost}");
        assert_eq!(skills(None).lost_kind(24), None, "taught by phantoms");
    }
}
