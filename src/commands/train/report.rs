//! What `train` prints.

use std::fmt::Write as _;

use serde::Serialize;

use super::labels::PatientSources;
use crate::cli::TrainingImagesArgs;
use crate::encoder::finetune::{EpochFigures, LoraSettings};
use crate::learn::{HeldOutFigures, Method, PatientSplit, ProbeMethod};
use crate::media::clean;
use crate::prompts::PromptSet;
use crate::scoring::metrics::Estimate;

/// The gain of fine-tuning over a probe from which it is worth its cost.
pub(in crate::commands) const WORTHWHILE_GAIN: f64 = 0.02;

/// A condition and the number of its images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct ConditionCount {
    pub(super) condition: String,
    pub(super) images: usize,
}

/// Counts images by condition.
pub(super) fn condition_counts(
    set: &PromptSet,
    labels: impl Iterator<Item = usize>,
) -> Vec<ConditionCount> {
    let mut counts = vec![0; set.conditions.len()];
    labels.for_each(|label| counts[label] += 1);
    let all = set.conditions.iter().zip(counts);
    all.map(|(own, images)| ConditionCount {
        condition: own.name.clone(),
        images,
    })
    .collect()
}

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
    pub(super) conditions: Vec<ConditionCount>,
    pub(super) split: SplitReport,
    /// Files that could not be read.
    pub(super) failed: usize,
    /// Images that the model rejects.
    pub(super) rejected: usize,
    pub(super) method: Method,
    /// The share of what was learned; the rest is zero-shot.
    pub(super) gate: f64,
    pub(super) candidates: Vec<ProbeMethod>,
    /// On the images held out, zero-shot and with the probe.
    pub(super) before: HeldOutFigures,
    pub(super) after: HeldOutFigures,
    /// Balanced accuracy gained on them, from −1 to 1.
    pub(super) gain: Estimate,
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
        let mut out = heading(&self.model, &self.prompts, &self.conditions, &self.split);
        let name = method(self.method);
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "method             {name}, {:.2} of it, the rest is zero-shot",
            self.gate
        );
        figures_line(&mut out, "zero-shot", &self.before);
        figures_line(&mut out, "probe", &self.after);
        let _ = writeln!(out, "gained             {} points", gain(&self.gain));
        if self.rejected > 0 {
            let _ = writeln!(
                out,
                "{} images left out: the model rejects them",
                self.rejected
            );
        }
        let words = match &self.file {
            Some(file) if self.exported => {
                format!("written to {file}; `learn --import` puts it into use")
            }
            Some(file) => format!("in use, kept in {file}; `learn --undo` takes it back"),
            None if self.gate <= 0.0 => {
                "not kept: the probe is no better than zero-shot on the images held out".to_owned()
            }
            None if self.dry_run => "not kept (--dry-run)".to_owned(),
            None => "not kept".to_owned(),
        };
        out.push_str(&words);
        out.push('\n');
        out
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

fn heading(
    model: &str,
    prompts: &str,
    conditions: &[ConditionCount],
    split: &SplitReport,
) -> String {
    let counts = conditions.iter().filter(|own| own.images > 0);
    let counts: Vec<String> = counts
        .map(|own| format!("{} {}", own.images, clean(&own.condition)))
        .collect();
    format!(
        "model {}, prompts {}: {}\n{}\n",
        clean(model),
        clean(prompts),
        counts.join(", "),
        split.words()
    )
}

fn figures_line(out: &mut String, name: &str, figures: &HeldOutFigures) {
    let _ = writeln!(
        out,
        "{name:<18} balanced accuracy {:5.1} %, log-loss {:.3}",
        figures.balanced_accuracy * 100.0,
        figures.log_loss
    );
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

/// What `train lora` prints, and writes beside the model.
#[derive(Serialize)]
pub(super) struct LoraReport {
    /// The base's name and digest.
    pub(super) base: String,
    pub(super) base_digest: String,
    pub(super) device: String,
    pub(super) prompts: String,
    pub(super) prompts_digest: String,
    pub(super) conditions: Vec<ConditionCount>,
    pub(super) split: SplitReport,
    pub(super) failed: usize,
    pub(super) settings: LoraSettings,
    /// Matrices changed, and numbers trained for them.
    pub(super) matrices: usize,
    pub(super) numbers: usize,
    /// The base, index 0, and each epoch.
    pub(super) history: Vec<EpochFigures>,
    pub(super) best_epoch: usize,
    /// On the images held out, which also chose the epoch.
    pub(super) zero_shot: HeldOutFigures,
    pub(super) probe: Option<HeldOutFigures>,
    pub(super) lora: HeldOutFigures,
    pub(super) gain_over_zero_shot: Estimate,
    pub(super) gain_over_probe: Option<Estimate>,
    /// What was written; `None` if no epoch was better than the base.
    pub(super) model: Option<WrittenModel>,
    pub(super) seconds: f64,
    pub(super) notice: &'static str,
}

/// A fine-tuned model on disk.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct WrittenModel {
    pub(super) path: String,
    pub(super) digest: String,
    pub(super) adapter: String,
    pub(super) layout: &'static str,
    /// The least cosine between embeddings of the model as it was trained, and as both were opened again.
    pub(super) least_cosine: f64,
}

impl LoraReport {
    pub(super) fn table(&self) -> String {
        let mut out = heading(&self.base, &self.prompts, &self.conditions, &self.split);
        figures_line(&mut out, "zero-shot", &self.zero_shot);
        if let Some(probe) = &self.probe {
            figures_line(&mut out, "probe", probe);
        }
        figures_line(&mut out, "fine-tuned", &self.lora);
        let over = gain(&self.gain_over_zero_shot);
        let _ = writeln!(out, "gained             {over} points over zero-shot");
        if let Some(over) = &self.gain_over_probe {
            let _ = writeln!(
                out,
                "                   {} points over the probe",
                gain(over)
            );
        }
        out.push_str(
            "the images held out also chose the epoch; judge the model on others with `eval`\n",
        );
        if let Some(words) = self.advice() {
            let _ = writeln!(out, "{words}");
        }
        let words = match &self.model {
            Some(model) => format!(
                "written to {} ({}; the adapter alone: {}); use it with --model {}",
                model.path, model.layout, model.adapter, model.path
            ),
            None => {
                "nothing was written: no epoch was better than zero-shot on the images held out"
                    .to_owned()
            }
        };
        out.push_str(&words);
        out.push('\n');
        out
    }

    /// What speaks against the fine-tuned model, if anything.
    pub(super) fn advice(&self) -> Option<String> {
        let over = self.gain_over_probe.as_ref()?;
        (over.value < WORTHWHILE_GAIN).then(|| {
            format!(
                "`train probe` does as well within {:.0} points, in seconds and with the model as it is: prefer it",
                WORTHWHILE_GAIN * 100.0
            )
        })
    }

    /// The model's card.
    pub(super) fn card(&self) -> String {
        let mut out = format!(
            "---\nbase_model: {base}\ntags: [medical, research-only, lora]\n---\n\n\
             # Fine-tuned from {base}\n\n\
             **Research use only; not a diagnosis.** No claim is made beyond the images that the figures are of.\n\n\
             - Base: {base} (`{digest}`); its licence applies to this model, too.\n\
             - Prompts: {prompts} (`{prompts_digest}`), fixed during training.\n\
             - Images: {images}. {split}.\n\
             - Training: LoRA of rank {rank} in {matrices} matrices of the image tower, at most {epochs} epochs, the best being {best}. \
             Images were never mirrored or turned.\n\n\
             | on the images held out | balanced accuracy | log-loss |\n|---|---|---|\n",
            base = clean(&self.base),
            digest = self.base_digest,
            prompts = clean(&self.prompts),
            prompts_digest = self.prompts_digest,
            images = self
                .conditions
                .iter()
                .map(|own| format!("{} {}", own.images, clean(&own.condition)))
                .collect::<Vec<_>>()
                .join(", "),
            split = self.split.words(),
            rank = self.settings.rank,
            matrices = self.matrices,
            epochs = self.settings.epochs,
            best = self.best_epoch,
        );
        let rows = [
            ("zero-shot", Some(&self.zero_shot)),
            ("linear probe", self.probe.as_ref()),
            ("this model", Some(&self.lora)),
        ];
        for (name, figures) in rows {
            if let Some(own) = figures {
                let accuracy = own.balanced_accuracy * 100.0;
                let _ = writeln!(out, "| {name} | {accuracy:.1} % | {:.3} |", own.log_loss);
            }
        }
        let _ = write!(
            out,
            "\nGained over zero-shot: {} points (95 % interval by bootstrap over patients). These images also chose the epoch, which \
             flatters the model a little.\n",
            gain(&self.gain_over_zero_shot)
        );
        if let Some(words) = self.advice() {
            let _ = writeln!(out, "\n{words}.");
        }
        out
    }
}
