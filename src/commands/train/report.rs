//! What `train` prints.

use std::fmt::Write as _;

use serde::Serialize;

use super::alike::left_out_words;
use super::conditions::{TrainedCondition, TrainingKind};
use super::labels::PatientSources;
use crate::cli::TrainingImagesArgs;
use crate::learn::{HeldOutFigures, Method, PatientSplit, ProbeMethod};
use crate::media::clean;
use crate::scoring::Mode;
use crate::scoring::metrics::Estimate;

/// The gain of fine-tuning over a probe from which it is worth its cost.
pub(in crate::commands) const WORTHWHILE_GAIN: f64 = 0.02;

/// How images were split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct SplitReport {
    /// Images learned from, and held out.
    pub(super) train: usize,
    pub(super) held_out: usize,
    /// Patients of each.
    pub(super) train_patients: usize,
    pub(super) held_out_patients: usize,
    /// By what patients were told apart.
    pub(super) patients_by: PatientSources,
    pub(super) seed: u64,
}

impl SplitReport {
    pub(super) fn new(
        arguments: &TrainingImagesArgs,
        split: &PatientSplit,
        patients_by: PatientSources,
    ) -> Self {
        Self {
            train: split.train.len(),
            held_out: split.held_out.len(),
            train_patients: split.patients[0],
            held_out_patients: split.patients[1],
            patients_by,
            seed: arguments.seed,
        }
    }

    /// In a sentence.
    pub(super) fn words(&self) -> String {
        format!(
            "{} images of {} patients to learn from, {} of {} held out (patients told apart {}; seed {})",
            self.train,
            self.train_patients,
            self.held_out,
            self.held_out_patients,
            self.patients_by.words(),
            self.seed
        )
    }
}

/// What `train probe` prints.
#[derive(Serialize)]
pub(super) struct ProbeReport {
    pub(super) model: String,
    pub(super) model_digest: String,
    pub(super) prompts: String,
    pub(super) prompts_digest: String,
    pub(super) mode: Mode,
    pub(super) conditions: Vec<TrainedCondition>,
    /// Images that show none of them, where each is decided on by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) without_condition: Option<usize>,
    pub(super) split: SplitReport,
    /// Files that could not be read.
    pub(super) failed: usize,
    /// Files that were left out, as they have the content of another one.
    pub(super) copies: usize,
    /// Images that the model rejects.
    pub(super) rejected: usize,
    /// The kind of the images, if they are real ones and the model is the built-in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    /// Images that were left out, as they are of other kinds.
    pub(super) other_kinds: usize,
    /// Why findings of that kind are not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unproved: Option<String>,
    pub(super) method: Method,
    /// The share of what was learned; the rest is zero-shot. The mean over conditions where each is decided on by itself.
    pub(super) gate: f64,
    pub(super) candidates: Vec<ProbeMethod>,
    /// On the images held out, zero-shot and with the probe.
    pub(super) before: HeldOutFigures,
    pub(super) after: HeldOutFigures,
    /// Balanced accuracy gained on them, from −1 to 1.
    pub(super) gain: Estimate,
    /// The mean area gained, where each condition is decided on by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) auroc_gain: Option<Estimate>,
    /// Why the probe is not used where it is not, though findings can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<&'static str>,
    pub(super) kept: bool,
    pub(super) file: Option<String>,
    #[serde(skip)]
    pub(super) dry_run: bool,
    #[serde(skip)]
    pub(super) exported: bool,
    pub(super) notice: &'static str,
}

impl ProbeReport {
    pub(super) fn table(&self) -> String {
        let names = [self.model.as_str(), &self.prompts];
        let images = (self.conditions.as_slice(), self.without_condition);
        let mut out = heading(names, self.mode, images, &self.split);
        let name = method(self.method);
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "method             {name}, {:.2} of it, the rest is zero-shot",
            self.gate
        );
        figures_line(&mut out, "zero-shot", &self.before);
        figures_line(&mut out, "probe", &self.after);
        if let Some(own) = &self.auroc_gain {
            let _ = writeln!(out, "gained             {} AUROC", area_gain(own));
        }
        let _ = writeln!(out, "gained             {} points", gain(&self.gain));
        out.push_str(&TrainedCondition::table(
            &self.conditions,
            TrainingKind::Probe,
        ));
        out.push_str(&copies_line(self.copies));
        if self.rejected > 0 {
            let _ = writeln!(
                out,
                "{} images left out: the model rejects them",
                self.rejected
            );
        }
        if let Some(words) = left_out_words(self.kind.as_deref(), self.other_kinds) {
            let _ = writeln!(out, "{words}");
        }
        if let (Some(kind), None) = (&self.kind, &self.unproved) {
            let by = if self.gate > 0.0 {
                ""
            } else {
                ", by the texts alone, than which the probe is no better"
            };
            let _ = writeln!(
                out,
                "findings of real images are judged only of the kind {kind}{by}"
            );
        }
        let words = match (&self.file, &self.unproved) {
            (Some(file), _) if self.exported => {
                format!("written to {file}; `learn --import` puts it into use")
            }
            (Some(file), _) => {
                let mode = mode_option(self.mode);
                format!("in use, kept in {file}; `learn --undo{mode}` takes it back")
            }
            (None, Some(reason)) => format!("not kept: {reason}"),
            (None, None) if self.refusal.is_some() => {
                format!("not kept: {}", self.refusal.unwrap_or_default())
            }
            (None, None) if self.dry_run => "not kept (--dry-run)".to_owned(),
            (None, None) => "not kept".to_owned(),
        };
        out.push_str(&words);
        out.push('\n');
        out
    }
}

/// Says that copies were left out; nothing of none.
pub(super) fn copies_line(copies: usize) -> String {
    match copies {
        0 => String::new(),
        1 => "1 file left out: it has the content of another one\n".to_owned(),
        _ => format!("{copies} files left out: they have the content of other ones\n"),
    }
}

/// A method's name in a sentence.
pub(super) fn method(method: Method) -> &'static str {
    match method {
        Method::Transport => "optimal transport",
        Method::Ridge => "ridge regression from the prompts",
        Method::Gda => "discriminant analysis beside the prompts",
    }
}

/// How a command is told the mode.
pub(super) fn mode_option(mode: Mode) -> &'static str {
    match mode {
        Mode::Single => "",
        Mode::Multi => " --mode multi",
    }
}

/// What was trained with; `without`: images that show none of the conditions.
pub(super) fn heading(
    [model, prompts]: [&str; 2],
    mode: Mode,
    (conditions, without): (&[TrainedCondition], Option<usize>),
    split: &SplitReport,
) -> String {
    let mode = match mode {
        Mode::Single => "",
        Mode::Multi => ", each condition by itself",
    };
    format!(
        "model {}, prompts {}{mode}: {}\n{}\n",
        clean(model),
        clean(prompts),
        TrainedCondition::words(conditions, without),
        split.words()
    )
}

pub(super) fn figures_line(out: &mut String, name: &str, figures: &HeldOutFigures) {
    let area = figures.auroc;
    let area = area.map_or_else(String::new, |area| format!("mean AUROC {area:.3}, "));
    let _ = writeln!(
        out,
        "{name:<18} {area}balanced accuracy {:5.1} %, log-loss {:.3}",
        figures.balanced_accuracy * 100.0,
        figures.log_loss
    );
}

/// A gain in area with its interval.
pub(in crate::commands) fn area_gain(estimate: &Estimate) -> String {
    estimate.text(|value| format!("{value:+.3}"))
}

/// A gain in points with its interval.
pub(in crate::commands) fn gain(estimate: &Estimate) -> String {
    let points = |value: f64| format!("{:+.1}", value * 100.0);
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => format!(
            "{} ({} to {})",
            points(estimate.value),
            points(low),
            points(high)
        ),
        _ => points(estimate.value),
    }
}
