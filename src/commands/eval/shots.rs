//! Images from which the scores were learned: figures on them are too good.

use super::super::{Fault, print};
use super::{ClassifiedLabels, LabelledCases};
use crate::app::results::taught_by;
use crate::learn::{LearnedSets, TaughtBy};
use crate::library::Record;
use crate::scoring::{Decision, Mode};

/// Whether the scores of a result were learned from the image itself, or may have been.
fn is_shot(record: &Record, learned: &LearnedSets) -> bool {
    taught_by(record, learned) != TaughtBy::Others
}

impl LabelledCases<'_> {
    /// Leaves out the images from which the scores were learned, and says how many. Fails if there are no others.
    pub(in crate::commands) fn leave_out_shots(
        &mut self,
        learned: &LearnedSets,
    ) -> Result<(), Fault> {
        let all = self.images.len();
        self.images.retain(|(_, record)| !is_shot(record, learned));
        let count = all - self.images.len();
        if count > 0 && self.images.is_empty() {
            return Err(Fault::unusable(
                "the scores were learned from all of these images, and would be taken to be better than they are; use others",
            ));
        }
        if count > 0 {
            print::message(format_args!(
                "left out: {count} of {all} images, from which the scores were learned"
            ));
        }
        Ok(())
    }
}

impl ClassifiedLabels<'_> {
    /// Says of how many images figures are too good, as the scores were learned from them, and how many labels of the others are right.
    pub(super) fn note_shots(&self, learned: &LearnedSets) {
        let all = self.outcomes.iter().filter_map(|(at, outcome)| {
            let record = outcome.as_ref().ok()?;
            let is_judged = record.verdict.decision != Decision::Rejected;
            is_judged.then(|| (&self.files[*at], record))
        });
        let (shots, others): (Vec<_>, Vec<_>) = all.partition(|own| is_shot(own.1, learned));
        if shots.is_empty() {
            return;
        }
        let right = others.iter().filter(|(file, record)| {
            let labels = file.labels.iter();
            let mut names = labels.map(|label| &self.set.conditions[*label].name);
            names.any(|name| *name == record.verdict.label)
        });
        let of_others = match self.mode {
            Mode::Single => format!(
                "; of the other {}, {} have the right label",
                others.len(),
                right.count()
            ),
            Mode::Multi => String::new(),
        };
        print::message(format_args!(
            "note: the scores were learned from {} of these {} images, and figures on them are too good{of_others}",
            shots.len(),
            shots.len() + others.len()
        ));
    }
}
