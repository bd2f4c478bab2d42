//! Adjusting results to the mix of their folder: what the commands that offer it share.

use super::Fault;
use crate::library::Record;
use crate::library::mixes::FolderMixes;
use crate::prompts::{PromptSet, Prompts};
use crate::scoring::Mode;
use crate::scoring::calibration::Calibrations;
use crate::scoring::mix::{MixError, StatedMix};

/// What results are to be adjusted by.
pub(super) struct MixOptions {
    /// The calibrations that fit the scores in use.
    pub(super) calibrations: Calibrations,
    pub(super) prompts: Prompts,
    /// The mix, if the user states it.
    pub(super) stated: Option<StatedMix>,
}

impl MixOptions {
    /// Refuses before any image is read what cannot be adjusted afterwards.
    pub(super) fn check(&self, mode: Mode) -> Result<(), Fault> {
        if self
            .prompts
            .sets()
            .iter()
            .all(|set| mode.for_set(set) == Mode::Multi)
        {
            return Err(Fault::usage(MixError::Multi.to_string()));
        }
        if let Some(stated) = &self.stated {
            let fits = |set: &PromptSet| {
                let conditions = set.conditions.iter();
                let names: Vec<&str> = conditions.clone().map(|own| own.name.as_str()).collect();
                let abnormal = |name: &str| {
                    let mut own = conditions.clone().filter(|own| own.name == name);
                    own.all(|own| !own.normal)
                };
                stated.check(&names, abnormal)
            };
            let mut faults = self.prompts.sets().iter().map(|set| fits(set).err());
            // With several sets, those that it fits are adjusted.
            if let Some(Some(fault)) = faults.next()
                && faults.all(|fault| fault.is_some())
            {
                return Err(Fault::usage(format!("--adjust: {fault}")));
            }
        }
        let calibrated = |digest: &str| {
            let mut all = self.calibrations.0.iter();
            let singles = all.by_ref().filter(|one| one.prompts_digest == digest);
            let mut singles = singles.filter_map(|one| one.single.as_ref());
            singles.any(|single| single.mix.is_some())
        };
        match self.prompts.sets() {
            sets if sets.iter().any(|set| calibrated(&set.digest)) => Ok(()),
            [set] => Err(Fault::unusable(MixError::NotCalibrated(set.name.clone()))),
            _ => Err(Fault::unusable(
                "no prompt set is calibrated, and adjusting mere scores makes them worse; name a set with --prompts, and run `calibrate` \
                 with it first",
            )),
        }
    }

    /// The mixes of images, one record for each.
    pub(super) fn mixes<'a>(&self, records: impl Iterator<Item = &'a Record>) -> FolderMixes {
        FolderMixes::new(
            records,
            &self.calibrations,
            &self.prompts,
            self.stated.as_ref(),
        )
    }
}
