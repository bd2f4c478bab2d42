//! A folder's mix: probabilities for images among which conditions are rarer or more frequent than among those that a calibration was
//! fitted to (label shift).
//!
//! Where the images of a condition look alike whatever their share, a probability for another mix follows from Bayes' rule: it is
//! proportional to `p(condition | image) × share here ÷ share there`. The shares here are the most likely ones, found by expectation
//! maximisation over the images without any label (Saerens, Latinne and Decaestecker 2002, "Adjusting the outputs of a classifier to
//! new a priori probabilities", equations 2.4 and 4.2), or they are stated. Two things make that safe: `p` is corrected for what texts
//! favour ([`MixCalibration`]), and the shares begin with [`PRIOR_IMAGES`] images of the calibration's mix, a Dirichlet prior that
//! keeps few images from being taken for all.

mod stated;

use serde::Serialize;

use super::calibration::{Calibration, MixCalibration};
use super::{Mode, Score};
pub use stated::{StatedMix, StatedMixError};

/// As many images of the calibration's mix are counted beside those of the folder.
pub const PRIOR_IMAGES: f64 = 2.0;
/// Images without which a mix is not estimated.
pub const MIN_IMAGES: usize = 10;
/// Steps of expectation maximisation at most.
const MAX_STEPS: usize = 2000;
/// A step that changes no share by more is the last one.
const TOLERANCE: f64 = 1e-7;

/// Why probabilities cannot be adjusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MixError {
    /// Scores are no probabilities.
    #[error(
        "scores under `{0}` are not calibrated, and adjusting mere scores makes them worse; run `calibrate` with this prompt set first"
    )]
    NotCalibrated(String),
    /// The calibration does not say for which mix it is.
    #[error("the calibration for `{0}` was made by an earlier version; run `calibrate` again")]
    OldCalibration(String),
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
        let calibration = own.ok_or_else(|| MixError::OldCalibration(prompts.to_owned()))?;
        let names = calibration.conditions.iter();
        let names: Vec<&str> = names.map(|own| own.condition.as_str()).collect();
        let groups = match stated {
            Some(stated) => stated.groups(&names, abnormal)?,
            None => Groups::free(names.len()),
        };
        let rows: Vec<Vec<f64>> = images
            .map(|scores| calibration.corrected(&in_order(&names, scores)))
            .collect();
        if rows.len() < MIN_IMAGES && !groups.are_all_stated() {
            return Err(MixError::TooFew(rows.len(), prompts.to_owned()));
        }
        let shares = shares(&rows, &calibration.shares(), &groups);
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

    /// Adjusts the calibrated scores of an image.
    pub fn adjusted(&self, scores: &[Score]) -> Adjusted {
        let names = self.calibration.conditions.iter();
        let names: Vec<&str> = names.map(|own| own.condition.as_str()).collect();
        let corrected = self.calibration.corrected(&in_order(&names, scores));
        let shares: Vec<f64> = self.mix.shares.iter().map(|own| own.share).collect();
        let probabilities = posterior(&corrected, &self.calibration.shares(), &shares);
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

/// Probabilities under a mix from those under another one (Saerens et al. 2002, equation 2.4). Conditions without a share there keep
/// their probability from being multiplied beyond bounds.
pub fn posterior(probabilities: &[f64], there: &[f64], here: &[f64]) -> Vec<f64> {
    const MIN_SHARE: f64 = 1e-9;
    let both = there.iter().zip(here);
    let weighted = probabilities
        .iter()
        .zip(both)
        .map(|(p, (there, here))| p * here / there.max(MIN_SHARE));
    let weighted: Vec<f64> = weighted.collect();
    let sum: f64 = weighted.iter().sum();
    if sum > 0.0 && sum.is_finite() {
        weighted.iter().map(|own| own / sum).collect()
    } else {
        // What was stated rules out all that is possible: only the shares are left.
        here.to_vec()
    }
}

/// Conditions whose shares together are known. Each condition is in exactly one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Groups(Vec<Group>);

#[derive(Clone, Debug, PartialEq)]
struct Group {
    /// Indices of the conditions.
    members: Vec<usize>,
    /// Their share together.
    total: f64,
}

impl Groups {
    /// One group of all: nothing is known.
    fn free(conditions: usize) -> Self {
        Self(vec![Group {
            members: (0..conditions).collect(),
            total: 1.0,
        }])
    }

    /// Whether no share is to be estimated.
    fn are_all_stated(&self) -> bool {
        let is_stated = |group: &Group| group.members.len() == 1 || group.total <= 0.0;
        self.0.iter().all(is_stated)
    }
}

/// The most probable shares of conditions among images (Saerens et al. 2002, equation 4.2), with a Dirichlet prior of
/// [`PRIOR_IMAGES`] images of the mix `there`, and with the totals of groups as they were stated. `rows`: the probabilities of each
/// image under the mix `there`.
fn shares(rows: &[Vec<f64>], there: &[f64], groups: &Groups) -> Vec<f64> {
    let mut shares = there.to_vec();
    normalise(&mut shares, groups);
    for _ in 0..MAX_STEPS {
        let mut next: Vec<f64> = there.iter().map(|share| share * PRIOR_IMAGES).collect();
        for row in rows {
            for (sum, p) in next.iter_mut().zip(posterior(row, there, &shares)) {
                *sum += p;
            }
        }
        normalise(&mut next, groups);
        let steps = next
            .iter()
            .zip(&shares)
            .map(|(next, last)| (next - last).abs());
        let step = steps.fold(0.0, f64::max);
        shares = next;
        if step < TOLERANCE {
            break;
        }
    }
    shares
}

/// Scales the conditions of each group to its total.
fn normalise(shares: &mut [f64], groups: &Groups) {
    for Group { members, total } in &groups.0 {
        let sum: f64 = members.iter().map(|at| shares[*at]).sum();
        for at in members {
            shares[*at] = if sum > 0.0 {
                total * shares[*at] / sum
            } else {
                total / members.len() as f64
            };
        }
    }
}

#[cfg(test)]
#[path = "mix/tests.rs"]
mod tests;
