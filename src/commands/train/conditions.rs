//! What is reported of each condition: its images, and where each is decided on by itself, how well scores tell its presence.

use std::fmt::Write as _;

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::learn::{MIN_PRESENCE_IMAGES, PatientSplit, Probe, Separation, Separations, Truths};
use crate::media::{clean, padded};
use crate::prompts::PromptSet;
use crate::scoring::metrics::Estimate;

/// The scores that are compared, by their names in JSON and in a table.
const SCORES: [(&str, &str); 3] = [
    ("zero_shot", "zero-shot"),
    ("probe", "probe"),
    ("lora", "fine-tuned"),
];

/// What is reported: how what was not trained is scored, and what the images judged on were kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) enum TrainingKind {
    /// A probe, judged on images held out.
    Probe,
    /// Fine-tuning, judged on images held out.
    Lora,
    /// Both, judged on images that took no part.
    Bench,
}

/// A condition and the number of its images. All else is only where each condition is decided on by itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::commands) struct TrainedCondition {
    condition: String,
    /// Images that show it.
    images: usize,
    /// Images that do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    absent: Option<usize>,
    /// Images that show it, and that do not, among those learned from.
    #[serde(skip_serializing_if = "Option::is_none")]
    learned_from: Option<[usize; 2]>,
    /// Whether there were enough of these to learn from.
    #[serde(skip_serializing_if = "Option::is_none")]
    trained: Option<bool>,
    /// The share of what the probe learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<f64>,
    /// How well its presence is told on the images that took no part.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_out: Option<ScoreSeparations>,
}

/// The separation by each of the scores; `None` where all of the images show the condition, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(in crate::commands) struct ScoreSeparations {
    zero_shot: Option<Separation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<Separation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lora: Option<Separation>,
}

impl ScoreSeparations {
    /// `scores`: `zero_shot`, `probe` or `lora`.
    pub(in crate::commands) fn add(&mut self, scores: &str, found: Option<Separation>) {
        match scores {
            "zero_shot" => self.zero_shot = found,
            "probe" => self.probe = found,
            _ => self.lora = found,
        }
    }

    fn all(&self) -> [Option<Separation>; 3] {
        [self.zero_shot, self.probe, self.lora]
    }
}

impl TrainedCondition {
    /// The conditions of a set.
    pub(in crate::commands) fn of_set(
        set: &PromptSet,
        truths: &Truths,
        split: &PatientSplit,
    ) -> Vec<Self> {
        let counts = truths.counts(set.conditions.len());
        let learnable = truths.learnable(&split.train);
        let present = truths.subset(&split.train).counts(set.conditions.len());
        let learned_from = |at: usize| [present[at], split.train.len() - present[at]];
        let all = set.conditions.iter().zip(counts).enumerate();
        all.map(|(at, (own, images))| Self {
            condition: own.name.clone(),
            images,
            absent: learnable.is_some().then(|| truths.len() - images),
            learned_from: learnable.is_some().then(|| learned_from(at)),
            trained: learnable.as_ref().map(|own| own[at]),
            gate: None,
            held_out: learnable.is_some().then(ScoreSeparations::default),
        })
        .collect()
    }

    /// Adds the share of what a probe learned of each.
    pub(in crate::commands) fn add_gates(all: &mut [Self], probe: &Probe) {
        for (own, gate) in all.iter_mut().zip(&probe.gates) {
            own.gate = own.absent.map(|_| *gate);
        }
    }

    /// The same of a probe that was trained, and of which conditions.
    pub(super) fn add_probe(all: &mut [Self], probe: &Probe) {
        Self::add_gates(all, probe);
        for (at, own) in all.iter_mut().enumerate() {
            own.trained = own.trained.map(|_| !probe.left_out.contains(&at));
        }
    }

    /// Adds how well scores tell each.
    pub(in crate::commands) fn add_scores(
        all: &mut [Self],
        scores: &str,
        found: Option<&Separations>,
    ) {
        let Some(found) = found else { return };
        for (own, separation) in all.iter_mut().zip(&found.conditions) {
            if let Some(held_out) = &mut own.held_out {
                held_out.add(scores, *separation);
            }
        }
    }

    /// `12 pneumonia, 7 tumor, 5 with none of the conditions`: those that images show, and how many show none.
    pub(super) fn words(all: &[Self], without: Option<usize>) -> String {
        let counts = all.iter().filter(|own| own.images > 0);
        let counts = counts.map(|own| format!("{} {}", own.images, clean(&own.condition)));
        let without = without.map(|own| format!("{own} with none of the conditions"));
        counts.chain(without).collect::<Vec<_>>().join(", ")
    }

    /// A table of the conditions with their separation; nothing where one condition applies.
    pub(in crate::commands) fn table(all: &[Self], kind: TrainingKind) -> String {
        let mut out = String::new();
        let told = all.iter().filter_map(|own| Some((own, own.held_out?)));
        let told: Vec<(&Self, ScoreSeparations)> = told.collect();
        if told.is_empty() {
            return out;
        }
        let names = told.iter().map(|(own, _)| own.condition.width());
        let width = names.max().unwrap_or(0).max("condition".len());
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{}  images  scores      AUROC                   balanced accuracy",
            padded("condition", width)
        );
        for (own, held_out) in &told {
            own.rows(&mut out, held_out, (width, kind));
        }
        for (own, _) in told.iter().filter(|(own, _)| own.trained == Some(false)) {
            let _ = writeln!(out, "{}", own.left_out(kind));
        }
        out
    }

    /// The rows of a table: one for each of the scores.
    fn rows(
        &self,
        out: &mut String,
        held_out: &ScoreSeparations,
        (width, kind): (usize, TrainingKind),
    ) {
        let mut name = self.condition.as_str();
        let mut images = self.images.to_string();
        for ((_, scores), found) in SCORES.iter().zip(held_out.all()) {
            if let Some(found) = found {
                let name = padded(&clean(std::mem::take(&mut name)), width);
                let _ = writeln!(
                    out,
                    "{name}  {:>6}  {scores:<10}  {:<22}  {}",
                    std::mem::take(&mut images),
                    area(&found.auroc),
                    share(&found.balanced_accuracy)
                );
            }
        }
        if held_out.zero_shot.is_none() {
            let judged = match kind {
                TrainingKind::Probe | TrainingKind::Lora => "held out",
                TrainingKind::Bench => "tested on",
            };
            let name = padded(&clean(name), width);
            let _ = writeln!(
                out,
                "{name}  {images:>6}  –           the images {judged} all show it, or none does"
            );
        }
    }

    /// Why it was not trained, and what becomes of it.
    fn left_out(&self, kind: TrainingKind) -> String {
        let [present, absent] = self.learned_from.unwrap_or_default();
        let (fate, and_held_out) = match kind {
            TrainingKind::Probe => ("stays zero-shot", ", and one of each held out"),
            TrainingKind::Lora => ("was not trained on; its scores move with the model", ""),
            TrainingKind::Bench => (
                "was not trained on; the probe leaves it zero-shot, and fine-tuned scores move with the model",
                "",
            ),
        };
        format!(
            "{} {fate}: too few images to learn from ({present} with it, {absent} without; at least {MIN_PRESENCE_IMAGES} of \
             each{and_held_out})",
            clean(&self.condition)
        )
    }
}

/// An area and its interval.
pub(in crate::commands) fn area(estimate: &Estimate) -> String {
    estimate.text(|value| format!("{value:.3}"))
}

/// A share in percent and its interval.
pub(in crate::commands) fn share(estimate: &Estimate) -> String {
    estimate.text(|value| format!("{:.1} %", value * 100.0))
}
