//! Results of one folder, adjusted to its mix of conditions. They are shown and printed beside the scores, and never stored.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Record;
use crate::prompts::Prompts;
use crate::scoring::calibration::Calibrations;
use crate::scoring::mix::{Adjusted, Adjuster, FolderMix, MixError, StatedMix};
use crate::scoring::{Decision, Mode};

/// The mix under each prompt set that images of a folder were scored by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FolderMixes {
    /// By the digest of the prompt set.
    sets: BTreeMap<String, SetMix>,
}

#[derive(Clone, Debug, PartialEq)]
struct SetMix {
    prompts: String,
    images: usize,
    outcome: Result<Adjuster, MixError>,
}

/// A result with its adjusted probabilities.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AdjustedResult<'a> {
    /// The probabilities.
    #[serde(flatten)]
    pub adjusted: Adjusted,
    /// What they were adjusted to.
    pub mix: &'a FolderMix,
}

impl FolderMixes {
    /// Finds the mixes of images, one record for each. `calibrations`: those that fit the scores in use; `prompts`: the sets that may
    /// have scored them.
    pub fn new<'a>(
        records: impl Iterator<Item = &'a Record>,
        calibrations: &Calibrations,
        prompts: &Prompts,
        stated: Option<&StatedMix>,
    ) -> Self {
        let mut by_set: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
        for record in records.filter(|record| record.verdict.decision != Decision::Rejected) {
            let of_set = by_set.entry(&record.prompts_digest);
            of_set.or_default().push(record);
        }
        let sets = by_set.into_iter().filter_map(|(digest, records)| {
            let first = *records.first()?;
            let set = SetMix {
                prompts: first.prompts.clone(),
                images: records.len(),
                outcome: adjuster(&records, first, calibrations, prompts, stated),
            };
            Some((digest.to_owned(), set))
        });
        Self {
            sets: sets.collect(),
        }
    }

    /// A result, adjusted; `None` if it was rejected, or its prompt set has no mix.
    pub fn adjusted(&self, record: &Record) -> Option<AdjustedResult<'_>> {
        let set = self.sets.get(&record.prompts_digest)?;
        let adjuster = set.outcome.as_ref().ok()?;
        let is_claimed = record.calibrated && record.verdict.decision != Decision::Rejected;
        is_claimed.then(|| AdjustedResult {
            adjusted: adjuster.adjusted(&record.verdict.scores),
            mix: adjuster.mix(),
        })
    }

    /// The mix under a prompt set, by its digest, or why there is none; `None` if no image was scored under it.
    pub fn of_set(&self, digest: &str) -> Option<Result<&FolderMix, &MixError>> {
        let set = self.sets.get(digest)?;
        Some(set.outcome.as_ref().map(Adjuster::mix))
    }

    /// Whether nothing can be adjusted, and why; `None` if something can, or there are no results.
    pub fn failure(&self) -> Option<&MixError> {
        let mut all = self.sets.values();
        if all.clone().any(|set| set.outcome.is_ok()) {
            return None;
        }
        all.find_map(|set| set.outcome.as_ref().err())
    }

    /// A sentence for each prompt set: its mix, or why its images are not adjusted.
    pub fn words(&self) -> Vec<String> {
        let words = self.sets.values().map(|set| {
            let images = match set.images {
                1 => "1 image".to_owned(),
                count => format!("{count} images"),
            };
            let prompts = &set.prompts;
            match &set.outcome {
                Ok(adjuster) => {
                    let mix = adjuster.mix();
                    let how = if mix.estimated { "estimated" } else { "stated" };
                    format!(
                        "adjusted to the {how} mix of {images} under `{prompts}`: {}",
                        shares(mix)
                    )
                }
                Err(error) => format!("{images} not adjusted: {error}"),
            }
        });
        words.collect()
    }
}

/// `94.8 % normal, 5.2 % pneumonia`, the largest share first.
pub fn shares(mix: &FolderMix) -> String {
    let mut shares: Vec<_> = mix.shares.iter().collect();
    shares.sort_by(|a, b| b.share.total_cmp(&a.share));
    let words = shares
        .iter()
        .map(|own| format!("{:.1} % {}", 100.0 * own.share, own.condition));
    words.collect::<Vec<_>>().join(", ")
}

/// The adjuster for images that one set scored, `first` among them.
fn adjuster(
    records: &[&Record],
    first: &Record,
    calibrations: &Calibrations,
    prompts: &Prompts,
    stated: Option<&StatedMix>,
) -> Result<Adjuster, MixError> {
    if first.mode == Mode::Multi {
        return Err(MixError::Multi);
    }
    let (model, digest) = (&first.model_digest, &first.prompts_digest);
    let calibration = calibrations
        .for_results(model, digest, first.mode)
        .filter(|_| first.calibrated)
        // Nor one of what real images teach, of phantoms.
        .filter(|own| !first.synthetic || own.learned.is_some() == first.learned.is_some());
    let set = prompts.sets().iter().find(|set| set.digest == *digest);
    let abnormal = |name: &str| {
        let mut conditions = set.into_iter().flat_map(|set| &set.conditions);
        let own = conditions.find(|condition| condition.name == name);
        own.is_none_or(|own| !own.normal)
    };
    // Results of another model, or from before the calibration, are not comparable.
    let alike = records
        .iter()
        .filter(|record| record.calibrated && record.model_digest == *model);
    let scores = alike.map(|record| &*record.verdict.scores);
    Adjuster::new(&first.prompts, abnormal, calibration, scores, stated)
}
