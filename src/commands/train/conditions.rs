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

/// A condition and the number of its images. All else is only where each condition is decided on by itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::commands) struct ConditionReport {
    condition: String,
    /// Images that show it.
    images: usize,
    /// Images that do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    absent: Option<usize>,
    /// Whether there were enough of both to learn from; otherwise it stays zero-shot.
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

impl ConditionReport {
    /// The conditions of a set.
    pub(in crate::commands) fn of_set(
        set: &PromptSet,
        truths: &Truths,
        split: &PatientSplit,
    ) -> Vec<Self> {
        let counts = truths.counts(set.conditions.len());
        let learnable = truths.learnable(&split.train);
        let all = set.conditions.iter().zip(counts).enumerate();
        all.map(|(at, (own, images))| Self {
            condition: own.name.clone(),
            images,
            absent: learnable.is_some().then(|| truths.len() - images),
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

    /// `12 pneumonia, 7 tumor`: those that images show.
    pub(super) fn words(all: &[Self]) -> String {
        let counts = all.iter().filter(|own| own.images > 0);
        let counts: Vec<String> = counts
            .map(|own| format!("{} {}", own.images, clean(&own.condition)))
            .collect();
        counts.join(", ")
    }

    /// A table of the conditions with their separation; nothing where one condition applies.
    pub(in crate::commands) fn table(all: &[Self]) -> String {
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
            let mut name = own.condition.as_str();
            let mut images = own.images.to_string();
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
                let name = padded(&clean(name), width);
                let _ = writeln!(
                    out,
                    "{name}  {images:>6}  –           the images held out all show it, or none does"
                );
            }
        }
        for (own, _) in told.iter().filter(|(own, _)| own.trained == Some(false)) {
            let _ = writeln!(
                out,
                "{} stays zero-shot: too few images ({} with it, {} without; at least {MIN_PRESENCE_IMAGES} of each to learn from, and for a \
                 probe one of each held out)",
                clean(&own.condition),
                own.images,
                own.absent.unwrap_or_default()
            );
        }
        out
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
