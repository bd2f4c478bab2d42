//! The metrics of probabilities that are adjusted to the mix of the labelled images.

use std::fmt::Write as _;

use serde::Serialize;

use super::super::mix::MixOptions;
use super::Fault;
use super::cases::LabelledCases;
use crate::library::Record;
use crate::library::mixes::{FolderMixes, shares};
use crate::media::clean;
use crate::scoring::metrics::{Case, Evaluation};
use crate::scoring::mix::FolderMix;

/// Results that are adjusted to the images' mix, before metrics are drawn. Labels, of which each image has one, take no part.
pub(super) struct AdjustedCases {
    mix: FolderMix,
    pub(super) cases: Vec<Case>,
    /// Where each of all images is among these; `None` if it cannot be adjusted.
    pub(super) positions: Vec<Option<usize>>,
}

impl AdjustedCases {
    pub(super) fn new(mix: &MixOptions, all: &LabelledCases) -> Result<Self, Fault> {
        let records = || all.images.iter().map(|(_, record)| *record);
        let mixes = mix.mixes(records());
        if let Some(error) = mixes.failure() {
            return Err(Fault::unusable(error));
        }
        let (mut cases, mut positions) = (Vec::new(), Vec::new());
        for (file, record) in &all.images {
            let found = case(&all.names, file.labels[0], record, &mixes);
            positions.push(found.is_some().then_some(cases.len()));
            cases.extend(found);
        }
        let found = records().find_map(|record| Some(mixes.adjusted(record)?.mix.clone()));
        let mix = found.ok_or_else(|| all.none_classified())?;
        Ok(Self {
            mix,
            cases,
            positions,
        })
    }

    /// Together with their metrics.
    pub(super) fn with(self, metrics: Evaluation) -> AdjustedEvaluation {
        AdjustedEvaluation {
            mix: self.mix,
            metrics,
        }
    }
}

/// What adjusting does to the metrics.
#[derive(Debug, Serialize)]
pub(super) struct AdjustedEvaluation {
    mix: FolderMix,
    #[serde(flatten)]
    metrics: Evaluation,
}

impl AdjustedEvaluation {
    /// The lines of the report.
    pub(super) fn table(&self) -> String {
        let share = |value: f64| format!("{:.1} %", value * 100.0);
        let how = if self.mix.estimated {
            "estimated"
        } else {
            "stated"
        };
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "adjusted to the {how} mix: {}",
            clean(&shares(&self.mix))
        );
        for (name, estimate) in [
            ("accuracy", &self.metrics.accuracy),
            ("balanced accuracy", &self.metrics.balanced_accuracy),
        ] {
            let _ = writeln!(out, "{name:<17}  {}", estimate.text(share));
        }
        out
    }
}

/// The adjusted scores and the prediction by them; `None` if it cannot be adjusted.
fn case(names: &[String], truth: usize, record: &Record, mixes: &FolderMixes) -> Option<Case> {
    let own = mixes.adjusted(record)?.adjusted;
    let scores = names.iter().map(|name| {
        let found = own.scores.iter().find(|score| score.condition == *name);
        found.map_or(0.0, |score| score.probability)
    });
    Some(Case {
        truth,
        predicted: names.iter().position(|name| *name == own.label)?,
        scores: scores.collect(),
    })
}
