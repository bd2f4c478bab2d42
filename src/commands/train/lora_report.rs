//! What `train lora` prints, and the card of the model that it writes.

use std::fmt::Write as _;

use serde::Serialize;

use super::alike::left_out_words;
use super::conditions::{TrainedCondition, TrainingKind};
use super::lora::RetainedSkills;
use super::report::{
    SplitReport, WORTHWHILE_GAIN, area_gain, copies_line, figures_line, gain, heading, mode_option,
};
use crate::encoder::finetune::{EpochFigures, LoraSettings};
use crate::learn::HeldOutFigures;
use crate::media::clean;
use crate::scoring::Mode;
use crate::scoring::metrics::Estimate;

/// Loss of balanced accuracy on phantoms from which they are forgotten.
const FORGOTTEN: f64 = 0.01;

/// What `train lora` prints, and writes beside the model.
#[derive(Serialize)]
pub(super) struct LoraReport {
    /// The base's name and digest.
    pub(super) base: String,
    pub(super) base_digest: String,
    pub(super) device: String,
    pub(super) prompts: String,
    pub(super) prompts_digest: String,
    pub(super) mode: Mode,
    pub(super) conditions: Vec<TrainedCondition>,
    /// Images that show none of them, where each is decided on by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) without_condition: Option<usize>,
    pub(super) split: SplitReport,
    pub(super) failed: usize,
    /// Files that were left out, as they have the content of another one.
    pub(super) copies: usize,
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
    /// The mean areas gained, where each condition is decided on by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) auroc_gain_over_zero_shot: Option<Estimate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) auroc_gain_over_probe: Option<Estimate>,
    /// The kind of the real images that the built-in model was trained with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    /// Labelled images that were left out, as they are of other kinds.
    pub(super) other_kinds: usize,
    /// Why findings of that kind are not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unproved: Option<String>,
    /// What is left of what the built-in model does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retained: Option<RetainedSkills>,
    /// What was written; `None` if no epoch was better than the base, or findings are not told better than by guessing.
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
        let names = [self.base.as_str(), &self.prompts];
        let images = (self.conditions.as_slice(), self.without_condition);
        let mut out = heading(names, self.mode, images, &self.split);
        figures_line(&mut out, "zero-shot", &self.zero_shot);
        if let Some(probe) = &self.probe {
            figures_line(&mut out, "probe", probe);
        }
        figures_line(&mut out, "fine-tuned", &self.lora);
        let gained = |over: Option<&Estimate>, area: Option<&Estimate>, other: &str| {
            let area = area.map(|own| format!("{} AUROC, ", area_gain(own)));
            over.map(|own| {
                format!(
                    "{}{} points over {other}",
                    area.unwrap_or_default(),
                    gain(own)
                )
            })
        };
        let zero_shot = (&self.gain_over_zero_shot, &self.auroc_gain_over_zero_shot);
        let both = [
            gained(Some(zero_shot.0), zero_shot.1.as_ref(), "zero-shot"),
            gained(
                self.gain_over_probe.as_ref(),
                self.auroc_gain_over_probe.as_ref(),
                "the probe",
            ),
        ];
        for (name, words) in ["gained", ""].iter().zip(both) {
            if let Some(words) = words {
                let _ = writeln!(out, "{name:<18} {words}");
            }
        }
        out.push_str(&TrainedCondition::table(
            &self.conditions,
            TrainingKind::Lora,
        ));
        let eval = match self.mode {
            Mode::Single => " with `eval`",
            Mode::Multi => "",
        };
        let _ = writeln!(
            out,
            "the images held out also chose the epoch; judge the model on others{eval}"
        );
        out.push_str(&copies_line(self.copies));
        if let Some(words) = left_out_words(self.kind.as_deref(), self.other_kinds) {
            let _ = writeln!(out, "{words}");
        }
        for words in self.limits().into_iter().chain(self.advice()) {
            let _ = writeln!(out, "{words}");
        }
        let words = match &self.model {
            Some(model) => format!(
                "written to {} ({}; the adapter alone: {}); use it with --model {}{}",
                model.path,
                model.layout,
                model.adapter,
                model.path,
                mode_option(self.mode)
            ),
            None if self.best_epoch > 0 => format!(
                "nothing was written: {}",
                self.unproved.as_deref().unwrap_or("no reason is known")
            ),
            None => {
                let words = "nothing was written: no epoch was better than zero-shot on the images held out";
                // The base judges none of them, however well it could.
                let way = self.kind.as_ref().map_or_else(String::new, |kind| {
                    format!("; `train probe` or `learn` let the model judge images of the kind {kind} as it is")
                });
                format!("{words}{way}")
            }
        };
        out.push_str(&words);
        out.push('\n');
        out
    }

    /// Which images the model judges, and what is left of what the built-in model does; nothing of another base.
    pub(super) fn limits(&self) -> Vec<String> {
        let (Some(own), Some(_)) = (&self.retained, &self.model) else {
            return Vec::new();
        };
        let mut all = Vec::new();
        if let (Some(kind), Some(judged)) = (&self.kind, own.judged) {
            all.push(format!(
                "judges findings of real images only of the kind {kind}, under {}: it is sure of the kind of {judged} of the {} images held out, \
                 and of others it tells the kind",
                clean(&self.prompts),
                self.split.held_out
            ));
        } else {
            all.push("judges findings of phantoms, and of real images tells the kind".to_owned());
        }
        if own.others_judged > 0 {
            all.push(format!(
                "takes {} of {} images of other kinds for this kind",
                own.others_judged, own.others
            ));
        }
        all.push(format!(
            "of {} phantoms the kind is told of {} (before: {}), and their conditions with a balanced accuracy of {:.1} % (before: {:.1} %)",
            own.phantoms,
            own.kinds_after,
            own.kinds_before,
            own.phantoms_after * 100.0,
            own.phantoms_before * 100.0
        ));
        if own.phantoms_before - own.phantoms_after > FORGOTTEN {
            all.push("do not use it for phantoms: it has forgotten them".to_owned());
        }
        all
    }

    /// What speaks against the fine-tuned model, if anything.
    pub(super) fn advice(&self) -> Option<String> {
        let value = |own: &Option<Estimate>| own.as_ref().map(|own| own.value);
        probe_advice(
            value(&self.gain_over_probe)?,
            value(&self.auroc_gain_over_probe),
        )
    }

    /// What the card says of the mode; nothing where one condition applies.
    fn mode_words(&self) -> &'static str {
        match self.mode {
            Mode::Single => "",
            Mode::Multi => {
                "- Mode: multi. Each condition was trained by itself, its presence against its absence; use the model with \
                 `--mode multi`.\n"
            }
        }
    }

    /// The model's card.
    pub(super) fn card(&self) -> String {
        let mut out = format!(
            "---\nbase_model: {base}\ntags: [medical, research-only, lora]\n---\n\n\
             # Fine-tuned from {base}\n\n\
             **Research use only; not a diagnosis.** No claim is made beyond the images that the figures are of.\n\n\
             - Base: {base} (`{digest}`); its licence applies to this model, too.\n\
             - Prompts: {prompts} (`{prompts_digest}`), fixed during training.\n\
             - Images: {images}. {split}.\n{mode}\
             - Training: LoRA of rank {rank} in {matrices} matrices of the image tower, at most {epochs} epochs, the best being {best}. \
             Images were never mirrored or turned.\n\n\
",
            base = clean(&self.base),
            digest = self.base_digest,
            prompts = clean(&self.prompts),
            prompts_digest = self.prompts_digest,
            images = TrainedCondition::words(&self.conditions, self.without_condition),
            mode = self.mode_words(),
            split = self.split.words(),
            rank = self.settings.rank,
            matrices = self.matrices,
            epochs = self.settings.epochs,
            best = self.best_epoch,
        );
        let [head, line] = match self.mode {
            Mode::Single => ["", ""],
            Mode::Multi => [" mean AUROC |", "---|"],
        };
        let _ = write!(
            out,
            "| on the images held out |{head} balanced accuracy | log-loss |\n|---|{line}---|---|\n"
        );
        let rows = [
            ("zero-shot", Some(&self.zero_shot)),
            ("linear probe", self.probe.as_ref()),
            ("this model", Some(&self.lora)),
        ];
        for (name, figures) in rows {
            if let Some(own) = figures {
                let accuracy = own.balanced_accuracy * 100.0;
                let area = own.auroc.map(|area| format!(" {area:.3} |"));
                let area = area.unwrap_or_default();
                let _ = writeln!(
                    out,
                    "| {name} |{area} {accuracy:.1} % | {:.3} |",
                    own.log_loss
                );
            }
        }
        let _ = write!(
            out,
            "\nGained over zero-shot: {}{} points (95 % interval by bootstrap over patients). These images also chose the epoch, which \
             flatters the model a little.\n",
            self.auroc_gain_over_zero_shot
                .as_ref()
                .map_or_else(String::new, |own| format!("{} AUROC, ", area_gain(own))),
            gain(&self.gain_over_zero_shot)
        );
        for words in self.limits().into_iter().chain(self.advice()) {
            let _ = writeln!(out, "\n{}.", capitalised(&words));
        }
        out
    }
}

/// What speaks for the probe, given what fine-tuning gained over it: in balanced accuracy, and where that decides, in mean AUROC.
fn probe_advice(gain: f64, area: Option<f64>) -> Option<String> {
    let over = area.unwrap_or(gain);
    let size = |value: f64| match area {
        Some(_) => format!("{value:.3} AUROC"),
        None => format!("{:.1} points", value * 100.0),
    };
    let merit = if over >= WORTHWHILE_GAIN {
        return None;
    } else if over <= -WORTHWHILE_GAIN {
        format!("is better by {}", size(-over))
    } else {
        format!("does as well within {}", size(WORTHWHILE_GAIN))
    };
    Some(format!(
        "`train probe` {merit}, in seconds and with the model as it is: prefer it"
    ))
}

/// The same with a capital letter.
fn capitalised(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|own| own.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_that_is_better_is_not_said_to_do_as_well() {
        let advice = |gain, area| probe_advice(gain, area).unwrap_or_default();
        assert!(advice(-0.29, None).starts_with("`train probe` is better by 29.0 points, in"));
        assert!(advice(0.5, Some(-0.125)).starts_with("`train probe` is better by 0.125 AUROC"));
        assert!(advice(0.01, None).starts_with("`train probe` does as well within 2.0 points"));
        assert!(advice(-0.3, Some(0.01)).starts_with("`train probe` does as well within 0.020"));
        assert_eq!(advice(0.03, None), "");
    }
}
