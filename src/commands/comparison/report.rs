//! What a comparison prints.

use std::fmt::Write as _;

use serde::Serialize;

use super::super::{Fault, print};
use crate::library::{NOTICE, Record};
use crate::media::{clean, padded};
use crate::scoring::Decision;
use crate::scoring::comparison::{DecidingMetric, PairedMetric, SetComparison};

/// What became of an image under one set.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct FileLabel {
    /// `None` if it was rejected.
    pub(super) label: Option<String>,
    probability: Option<f64>,
    decision: Decision,
}

impl FileLabel {
    pub(super) fn of(record: &Record) -> Self {
        let verdict = &record.verdict;
        let is_claimed = verdict.decision != Decision::Rejected;
        Self {
            label: is_claimed.then(|| verdict.label.clone()),
            probability: is_claimed.then_some(verdict.probability),
            decision: verdict.decision,
        }
    }

    fn words(&self) -> String {
        match (&self.label, self.probability) {
            (Some(label), Some(probability)) => format!("{} {probability:.2}", clean(label)),
            _ => "rejected".to_owned(),
        }
    }
}

/// A file whose label changes.
#[derive(Debug, Serialize)]
pub(super) struct ChangedFile {
    pub(super) path: String,
    /// Its bytes in base64, if they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path_bytes: Option<String>,
    /// Its label, if that is known.
    pub(super) truth: Option<String>,
    pub(super) a: FileLabel,
    pub(super) b: FileLabel,
}

#[derive(Debug, Serialize)]
pub(super) struct ComparisonReport {
    pub(super) model: String,
    pub(super) model_digest: String,
    /// The names of the two sets.
    pub(super) prompts: [String; 2],
    pub(super) prompts_digests: [String; 2],
    /// Images that both sets have a result for.
    pub(super) images: usize,
    pub(super) failed: usize,
    /// Whether some images are left out because the user interrupted the command.
    pub(super) interrupted: bool,
    /// How many of them each set rejects.
    pub(super) rejected: [usize; 2],
    pub(super) changed: Vec<ChangedFile>,
    /// Labelled images that neither set rejects; `None` without labels.
    pub(super) labelled: Option<usize>,
    /// Sets of random words; `None` without labels.
    pub(super) placebos: Option<u64>,
    pub(super) seed: u64,
    pub(super) draws: usize,
    /// The paired differences; `None` without labels.
    pub(super) comparison: Option<SetComparison>,
}

impl ComparisonReport {
    pub(super) fn print(&self, json: bool) -> Result<(), Fault> {
        if json {
            print::json(self)
        } else {
            print::lines(&self.table())
        }
    }

    fn table(&self) -> String {
        let [a, b] = self.prompts.each_ref().map(|name| clean(name));
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "model {}; A: {a}, B: {b}", clean(&self.model));
        let _ = writeln!(
            out,
            "{} images, {} failed; rejected by A {}, by B {}{}",
            self.images,
            self.failed,
            self.rejected[0],
            self.rejected[1],
            if self.interrupted {
                "; interrupted"
            } else {
                ""
            }
        );
        let _ = writeln!(
            out,
            "{} of {} labels change",
            self.changed.len(),
            self.images
        );
        for file in &self.changed {
            let truth = file.truth.as_deref();
            let truth = truth.map_or_else(String::new, |truth| {
                format!("   (labelled {})", clean(truth))
            });
            let _ = writeln!(
                out,
                "  {}: {} → {}{truth}",
                clean(&file.path),
                file.a.words(),
                file.b.words()
            );
        }
        match &self.comparison {
            Some(comparison) => differences(&mut out, comparison),
            None if self.labelled == Some(0) => {
                out.push_str(
                    "\nno labelled image is accepted by both sets, so nothing can be measured\n",
                );
            }
            None => {}
        }
        let _ = writeln!(out, "\n{NOTICE}");
        out
    }
}

fn differences(out: &mut String, comparison: &SetComparison) {
    let _ = writeln!(
        out,
        "\n{} labelled images, scores before calibration",
        comparison.cases
    );
    let _ = writeln!(
        out,
        "{:<20}      A       B  placebo   B − A                      B − placebo",
        ""
    );
    let (accuracy, rule) = match comparison.verdict_by {
        DecidingMetric::Accuracy => ("accuracy", "accuracy"),
        DecidingMetric::Auroc => ("exact match", "AUROC"),
    };
    let rows = [
        (accuracy, Some(&comparison.accuracy)),
        ("balanced accuracy", comparison.balanced_accuracy.as_ref()),
        ("AUROC", comparison.auroc.as_ref()),
        ("calibration error", Some(&comparison.calibration_error)),
    ];
    for (name, metric) in rows {
        let Some(metric) = metric else { continue };
        out.push_str(&row(name, metric));
    }
    let Some(verdict) = comparison.verdict else {
        return;
    };
    let _ = writeln!(
        out,
        "\nB: {} (the rule: the lower bound of the paired difference of {rule} is above 0, against A and against the mean\n\
         of sets of the same size in which random words replace all phrases but the conditions' names)",
        verdict.words()
    );
}

fn row(name: &str, metric: &PairedMetric) -> String {
    let signed = |value: f64| format!("{value:+.3}");
    let against_a = padded(&metric.b_minus_a.text(signed), 27);
    format!(
        "{name:<20}{:7.3} {:7.3} {:8.3}   {against_a}{}\n",
        metric.a,
        metric.b,
        metric.placebo,
        metric.b_minus_placebo.text(signed)
    )
}
