//! The metrics of probabilities that are adjusted to the mix of the labelled images.

use std::fmt::Write as _;

use serde::Serialize;

use super::super::mix::MixOptions;
use super::super::progress::ProgressLine;
use super::super::run::Interruption;
use super::Fault;
use super::cases::LabelledCases;
use crate::cli;
use crate::library::Record;
use crate::library::mixes::{FolderMixes, shares};
use crate::media::clean;
use crate::scoring::metrics::{Bootstrap, Case, CaseGroups, Evaluation};
use crate::scoring::mix::FolderMix;

/// What adjusting does to the metrics.
#[derive(Debug, Serialize)]
pub(super) struct AdjustedEvaluation {
    mix: FolderMix,
    #[serde(flatten)]
    metrics: Evaluation,
}

impl AdjustedEvaluation {
    /// Adjusts the results that count. Labels, of which each image has one, take no part.
    pub(super) fn new(
        mix: &MixOptions,
        all: &LabelledCases,
        arguments: &cli::EvalArgs,
        interruption: &Interruption,
    ) -> Result<Self, Fault> {
        let records = || all.images.iter().map(|(_, record)| *record);
        let mixes = mix.mixes(records());
        if let Some(error) = mixes.failure() {
            return Err(Fault::unusable(error));
        }
        let cases = all.images.iter().zip(all.patients());
        let cases = cases.filter_map(|((file, record), patient)| {
            let case = case(&all.names, file.labels[0], record, &mixes)?;
            Some((case, patient))
        });
        let (cases, patients): (Vec<Case>, Vec<usize>) = cases.unzip();
        let bootstrap = Bootstrap {
            draws: arguments.draws,
            seed: arguments.seed,
            groups: CaseGroups::new(patients),
        };
        let (metrics, _) = ProgressLine::of_draws(arguments.draws, interruption, |progress| {
            Evaluation::drawing(&all.names, &cases, &bootstrap, progress)
        });
        let found = records().find_map(|record| Some(mixes.adjusted(record)?.mix.clone()));
        let (Some(metrics), Some(mix)) = (metrics, found) else {
            return Err(all.none_classified());
        };
        Ok(Self { mix, metrics })
    }

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
