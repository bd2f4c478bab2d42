//! What images are to the built-in model, which learns from those that are alike: from phantoms, or from real images of one kind.

use std::collections::BTreeMap;

use super::purpose::KindReader;
use super::scoring::Scorers;
use crate::encoder::Encoder;
use crate::learn::LearnedSets;
use crate::prompts::{PromptSet, Prompts};
use crate::scoring::Mode;
use crate::scoring::calibration::Calibrations;

/// What an image is to the built-in model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageNature {
    /// It is marked as synthetic.
    Phantom,
    /// A real image of a kind that is certain.
    Kind(String),
    /// Another real image.
    Unclear,
}

impl ImageNature {
    /// That of most; of equally many a clear one. `None` of none.
    pub fn of_most<'a>(all: impl Iterator<Item = &'a Self>) -> Option<&'a Self> {
        let mut counts: BTreeMap<&Self, usize> = BTreeMap::new();
        for own in all {
            *counts.entry(own).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(own, count)| {
            let is_clear = **own != Self::Unclear;
            (*count, is_clear)
        });
        most.map(|(own, _)| own)
    }
}

/// Tells what images are to the built-in model, or to one that was fine-tuned from it.
#[derive(Clone)]
pub struct NatureReader(KindReader);

impl NatureReader {
    /// That of an open model, for training under a prompt set. `calibrations` and `learned` are those in use. `None` where it does not matter:
    /// for other models, and under the set `kinds`, which is learned from images of all kinds.
    ///
    /// # Errors
    ///
    /// A sentence, if the set cannot be used with this model in this mode.
    pub fn new(
        encoder: &mut dyn Encoder,
        set: &PromptSet,
        mode: Mode,
        (calibrations, learned): (&Calibrations, &LearnedSets),
    ) -> Result<Option<Self>, String> {
        if encoder.card().builtin.is_none() || set.tells_kinds() {
            return Ok(None);
        }
        let prompts = Prompts::only(set.clone());
        let (scorers, _) = Scorers::new(prompts, mode, (calibrations, learned), encoder)?;
        Ok(Some(Self(scorers.into_kinds())))
    }

    /// What an image with this unit embedding is.
    pub fn nature(&self, embedding: &[f32], is_synthetic: bool) -> ImageNature {
        self.0.nature(embedding, is_synthetic)
    }
}

impl KindReader {
    /// What an image with this unit embedding is to the built-in model.
    pub(super) fn nature(&self, embedding: &[f32], is_synthetic: bool) -> ImageNature {
        if is_synthetic {
            return ImageNature::Phantom;
        }
        let kind = self.certain_kind(embedding);
        kind.map_or(ImageNature::Unclear, ImageNature::Kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_most_are_decides_and_of_equally_many_what_is_clear() {
        let chest = || ImageNature::Kind("chest radiograph".to_owned());
        let of_most = |all: &[ImageNature]| ImageNature::of_most(all.iter()).cloned();
        assert_eq!(of_most(&[]), None);
        assert_eq!(
            of_most(&[ImageNature::Phantom, chest(), chest()]),
            Some(chest())
        );
        assert_eq!(
            of_most(&[ImageNature::Unclear, chest(), ImageNature::Unclear, chest()]),
            Some(chest())
        );
        assert_eq!(
            of_most(&[ImageNature::Unclear, ImageNature::Unclear, chest()]),
            Some(ImageNature::Unclear)
        );
    }
}
