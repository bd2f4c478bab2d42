//! Labelled images that have a result, as cases.

use super::super::{Fault, print, shown};
use super::ClassifiedLabels;
use super::labels::LabelledEach;
use crate::library::Record;
use crate::scoring::Decision;
use crate::scoring::metrics::{Case, MultiLabelCase};

/// Labelled images with their results, and what became of the others.
pub(in crate::commands) struct LabelledCases<'a> {
    /// The conditions' names.
    pub(in crate::commands) names: Vec<String>,
    /// Whether each says that there is no finding.
    pub(in crate::commands) normal: Vec<bool>,
    /// Labels and results.
    pub(in crate::commands) images: Vec<(&'a LabelledEach, &'a Record)>,
    pub(in crate::commands) failed: usize,
    /// The reasons why images were rejected.
    pub(super) rejected: Vec<String>,
}

impl ClassifiedLabels<'_> {
    /// The images that have a result; errors are printed.
    pub(in crate::commands) fn cases(&self) -> LabelledCases<'_> {
        let conditions = self.set.conditions.iter();
        let mut all = LabelledCases {
            names: conditions.clone().map(|own| own.name.clone()).collect(),
            normal: conditions.map(|own| own.normal).collect(),
            images: Vec::new(),
            failed: 0,
            rejected: Vec::new(),
        };
        for (index, outcome) in self.outcomes {
            let file = &self.files[*index];
            match outcome {
                // As everywhere, files that are not images count only if they were named.
                Err(failure) if !failure.content.is_image() && !file.named => {}
                Err(failure) => {
                    all.failed += 1;
                    let (path, reason) = (shown(&file.path), &failure.message);
                    print::message(format_args!("{path}: {reason}"));
                }
                Ok(record) if record.verdict.decision == Decision::Rejected => {
                    let reason = record.verdict.reason.clone();
                    all.rejected.push(reason.unwrap_or_default());
                }
                Ok(record) => all.images.push((file, record)),
            }
        }
        all
    }
}

impl LabelledCases<'_> {
    /// The last of the results.
    pub(in crate::commands) fn sample(&self) -> Option<&Record> {
        self.images.last().map(|(_, record)| *record)
    }

    /// The cases, if one condition applies to each.
    pub(in crate::commands) fn of_one(&self) -> Option<Vec<Case>> {
        let is_of_one = |(file, _): &(&LabelledEach, &Record)| file.labels.len() == 1;
        let case = |(file, record): &(&LabelledEach, &Record)| {
            Case::of(&self.names, file.labels[0], &record.verdict)
        };
        let images = || self.images.iter();
        images()
            .all(is_of_one)
            .then(|| images().filter_map(case).collect())
    }

    /// The cases where each condition is decided on by itself.
    pub(in crate::commands) fn of_any(&self) -> Vec<MultiLabelCase> {
        let cases = self.images.iter();
        let cases = cases
            .map(|(file, record)| MultiLabelCase::of(&self.names, &file.labels, &record.verdict));
        cases.collect()
    }

    /// The error if no image could be classified.
    pub(in crate::commands) fn none_classified(&self) -> Fault {
        let why = match self.rejected.first() {
            Some(reason) => format!("{} rejected, because {reason}", self.rejected.len()),
            None => format!("{} failed", self.failed),
        };
        Fault::unusable(format!("no image could be classified: {why}"))
    }
}
