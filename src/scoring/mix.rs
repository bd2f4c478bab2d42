//! A folder's mix: probabilities for images among which conditions are rarer or more frequent than among those that a calibration was
//! fitted to (label shift). See [`super::label_shift`] for the arithmetic. Scores have
//! to be calibrated for it, and corrected for what texts favour ([`MixCalibration`]).

mod stated;

use serde::Serialize;

use super::calibration::{Calibration, MixCalibration, MixCheck};
use super::label_shift::{ConditionGroups, posterior, shares};
use super::{Mode, Score};
pub use stated::{StatedMix, StatedMixError};

/// Images without which a mix is not estimated.
pub const MIN_IMAGES: usize = 10;

/// Why probabilities cannot be adjusted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MixError {
    /// Scores are no probabilities.
    #[error(
        "scores under `{0}` are not calibrated, and adjusting mere scores makes them worse; run `calibrate` with this prompt set first"
    )]
    NotCalibrated(String),
    /// The calibration does not say for which mix it is.
    #[error(
        "the calibration for `{0}` does not say for which mix it is; run `calibrate` on labelled images"
    )]
    WithoutMix(String),
    /// On labelled images it does harm.
    #[error(
        "adjusting is not offered under `{prompts}`: in the check of its calibration, with {:.0} % normal images, it made {:.1} % of \
         labels right instead of {:.1} %",
        100.0 * .check.normal, 100.0 * .check.after, 100.0 * .check.before
    )]
    Harmful {
        /// The prompt set.
        prompts: String,
        /// The check that it failed.
        check: MixCheck,
    },
    /// Conditions are decided on separately.
    #[error(
        "each condition is decided on by itself in multi mode, where images have no mix that sums to 1; use --mode single"
    )]
    Multi,
    /// There are too few images.
    #[error(
        "a mix cannot be estimated from {0} images under `{1}`; at least {MIN_IMAGES} are needed, or state it"
    )]
    TooFew(usize, String),
    /// What was stated does not fit the prompt set.
    #[error(transparent)]
    Stated(#[from] StatedMixError),
}

/// A condition and its share of images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// The condition's name.
    pub condition: String,
    /// From 0 to 1.
    pub share: f64,
}

/// The mix that probabilities were adjusted to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FolderMix {
    /// The images that it was estimated from, or that it was stated for.
    pub images: usize,
    /// Whether no share was stated.
    pub estimated: bool,
    /// The conditions, in the order of the prompt set. Their shares sum to 1.
    pub shares: Vec<Share>,
}

/// A result, adjusted to a folder's mix.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Adjusted {
    /// The most probable condition.
    pub label: String,
    /// Its probability.
    pub probability: f64,
    /// All conditions, the highest probability first. They sum to 1.
    pub scores: Vec<AdjustedScore>,
}

/// The adjusted probability of a condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AdjustedScore {
    /// The condition's name.
    pub condition: String,
    /// The probability.
    pub probability: f64,
}

/// Adjusts the results under one prompt set to the mix of their folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Adjuster {
    calibration: MixCalibration,
    mix: FolderMix,
}

impl Adjuster {
    /// Finds the mix of images, each with its calibrated scores in any order. `prompts`: the set's name, for errors; `abnormal`: which
    /// conditions are findings.
    ///
    /// # Errors
    ///
    /// Fails unless there is a calibration of exclusive conditions that knows its own mix; with too few images, unless all shares
    /// follow from what was stated; and if that does not fit the conditions.
    pub fn new<'a>(
        prompts: &str,
        abnormal: impl Fn(&str) -> bool,
        calibration: Option<&Calibration>,
        images: impl Iterator<Item = &'a [Score]>,
        stated: Option<&StatedMix>,
    ) -> Result<Self, MixError> {
        let calibration = calibration.ok_or_else(|| MixError::NotCalibrated(prompts.to_owned()))?;
        if calibration.mode == Mode::Multi {
            return Err(MixError::Multi);
        }
        let own = calibration.single.as_ref().and_then(|own| own.mix.clone());
        let calibration = own.ok_or_else(|| MixError::WithoutMix(prompts.to_owned()))?;
        if let Some(check) = calibration.failed_check() {
            return Err(MixError::Harmful {
                prompts: prompts.to_owned(),
                check,
            });
        }
        let names = calibration.conditions.iter();
        let names: Vec<&str> = names.map(|own| own.condition.as_str()).collect();
        let groups = match stated {
            Some(stated) => stated.groups(&names, abnormal)?,
            None => ConditionGroups::free(names.len()),
        };
        let rows: Vec<Vec<f64>> = images
            .map(|scores| calibration.corrected(&in_order(&names, scores)))
            .collect();
        if rows.len() < MIN_IMAGES && !groups.are_all_stated() {
            return Err(MixError::TooFew(rows.len(), prompts.to_owned()));
        }
        let weighted = rows.iter().map(|row| (&**row, 1.0));
        let shares = shares(weighted, &calibration.shares(), &groups);
        let shares = names.iter().zip(shares).map(|(name, share)| Share {
            condition: (*name).to_owned(),
            share,
        });
        let mix = FolderMix {
            images: rows.len(),
            estimated: stated.is_none(),
            shares: shares.collect(),
        };
        Ok(Self { calibration, mix })
    }

    /// The mix.
    pub fn mix(&self) -> &FolderMix {
        &self.mix
    }

    /// The scores of an image, corrected for what texts favour, in the mix of the calibration.
    pub fn corrected(&self, scores: &[Score]) -> Adjusted {
        self.in_mix(scores, &self.calibration.shares())
    }

    /// Adjusts the calibrated scores of an image.
    pub fn adjusted(&self, scores: &[Score]) -> Adjusted {
        let shares: Vec<f64> = self.mix.shares.iter().map(|own| own.share).collect();
        self.in_mix(scores, &shares)
    }

    fn in_mix(&self, scores: &[Score], shares: &[f64]) -> Adjusted {
        let names = self.calibration.conditions.iter();
        let names: Vec<&str> = names.map(|own| own.condition.as_str()).collect();
        let corrected = self.calibration.corrected(&in_order(&names, scores));
        let probabilities = posterior(&corrected, &self.calibration.shares(), shares);
        let all = names.iter().zip(probabilities);
        let mut scores: Vec<AdjustedScore> = all
            .map(|(name, probability)| AdjustedScore {
                condition: (*name).to_owned(),
                probability,
            })
            .collect();
        scores.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        let first = scores.first();
        Adjusted {
            label: first.map_or_else(String::new, |first| first.condition.clone()),
            probability: first.map_or(0.0, |first| first.probability),
            scores,
        }
    }
}

/// The probabilities of scores in the order of conditions; 0 for one without a score.
fn in_order(names: &[&str], scores: &[Score]) -> Vec<f64> {
    let of = |name: &&str| {
        let found = scores.iter().find(|score| score.condition == *name);
        found.map_or(0.0, |score| score.probability)
    };
    names.iter().map(of).collect()
}

#[cfg(test)]
#[path = "mix/tests.rs"]
mod tests;
