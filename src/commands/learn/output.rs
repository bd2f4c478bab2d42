//! What `learn` prints.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::shown;
use crate::engine::learning::{ImageScore, MovedImage, Proposal, UnusedImages};
use crate::learn::Method;
use crate::library::NOTICE;
use crate::media::clean;
use crate::scoring::Mode;

/// Moved images that a table names.
const MAX_SHOWN: usize = 20;

/// What was learned, and what became of it.
pub(super) struct LearnReport<'a> {
    pub(super) proposal: &'a Proposal,
    pub(super) left_out: UnusedImages,
    /// What is in use; `None` if scores are zero-shot.
    pub(super) in_use: Option<String>,
    /// Where it is kept.
    pub(super) file: Option<String>,
    pub(super) dry_run: bool,
}

impl LearnReport<'_> {
    pub(super) fn json(&self) -> Value {
        let Proposal {
            learned,
            images,
            other_labels: _,
            other_kinds: _,
            rare: _,
            moved,
            was_calibrated,
        } = self.proposal;
        let gates = learned.conditions.iter();
        let gates = gates.map(|own| json!({"condition": own.condition, "gate": own.gate}));
        json!({
            "model": learned.model,
            "model_digest": learned.model_digest,
            "prompts": learned.prompts,
            "prompts_digest": learned.prompts_digest,
            "mode": learned.mode,
            "learned": learned.reviews,
            "unlabelled": learned.unlabelled,
            "method": learned.method,
            "gates": gates.collect::<Vec<_>>(),
            "held_out": learned.held_out,
            "kind": learned.kind,
            "rare": self.proposal.rare,
            "images": images,
            "moved": moved.iter().map(moved_json).collect::<Vec<_>>(),
            "left_out": self.left_out,
            "was_calibrated": was_calibrated,
            "kept": self.file.is_some(),
            "refusal": (!learned.changes_results()).then(|| learned.held_out.refusal()),
            "file": self.file,
            "notice": NOTICE,
        })
    }

    pub(super) fn table(&self) -> String {
        let mut out = String::new();
        self.head(&mut out);
        self.worth(&mut out);
        self.moves(&mut out);
        let learned = &self.proposal.learned;
        let undo = match learned.mode {
            Mode::Single => "`learn --undo`",
            Mode::Multi => "`learn --undo --mode multi`",
        };
        let words = match &self.file {
            Some(file) => format!("kept in {file}; {undo} takes it back"),
            None if !learned.changes_results() => {
                let why = format!("not kept: {}", learned.held_out.refusal());
                match &self.in_use {
                    Some(words) => format!(
                        "{why}; as before, {}, and {undo} takes that back",
                        clean(words)
                    ),
                    None => why,
                }
            }
            None if self.dry_run => "not kept (--dry-run)".to_owned(),
            None => "not kept".to_owned(),
        };
        if self.proposal.was_calibrated && learned.changes_results() {
            out.push_str(
                "scores were calibrated; learned scores are not, until `calibrate` is run again\n",
            );
        }
        out.push_str(&words);
        out.push('\n');
        out
    }

    fn head(&self, out: &mut String) {
        let learned = &self.proposal.learned;
        let how = match learned.method {
            Method::Transport => format!("and {} images without review", learned.unlabelled),
            Method::Ridge | Method::Gda => "alone".to_owned(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "model {}, prompts {}: learned from {} {how}",
            clean(&learned.model),
            clean(&learned.prompts),
            counted(learned.reviews, "review"),
        );
        let gates = learned.conditions.iter();
        let gates: Vec<f64> = gates.map(|own| own.gate).collect();
        let is_common = gates
            .windows(2)
            .all(|pair| pair[0].to_bits() == pair[1].to_bits());
        if let Some(gate) = gates.first().filter(|_| is_common) {
            let _ = writeln!(
                out,
                "share of what was learned  {gate:.2}, the rest is zero-shot"
            );
        } else {
            for own in &learned.conditions {
                let _ = writeln!(
                    out,
                    "share of what was learned  {:.2} {}",
                    own.gate,
                    clean(&own.condition)
                );
            }
        }
        for words in self.left_out.reasons() {
            let _ = writeln!(out, "left out: {words}");
        }
    }

    /// What it is worth.
    fn worth(&self, out: &mut String) {
        let worth = &self.proposal.learned.held_out;
        let share = |value: f64| format!("{:.1} %", value * 100.0);
        let points = |value: f64| format!("{:+.1}", value * 100.0);
        let _ = writeln!(
            out,
            "reviewed images, each scored without its own review (95 % interval):"
        );
        let _ = writeln!(
            out,
            "  accuracy  {} zero-shot, {} learned: {} points",
            share(worth.accuracy_before),
            share(worth.accuracy_after),
            worth.accuracy_gain.text(points)
        );
        let _ = writeln!(
            out,
            "  log-loss  {:.3} zero-shot, {:.3} learned: {}",
            worth.log_loss_before,
            worth.log_loss_after,
            worth.change_of_loss(3)
        );
        if let Some(tempered) = worth.log_loss_tempered {
            let _ = writeln!(
                out,
                "            {tempered:.3} zero-shot at its best temperature"
            );
        }
        if let Some(balanced) = worth.balanced_accuracy {
            let _ = writeln!(
                out,
                "  balanced accuracy  {} % zero-shot, {} % learned, where guessing gets {:.0} %",
                balanced
                    .before
                    .text(|value| format!("{:.1}", value * 100.0)),
                balanced.after.text(|value| format!("{:.1}", value * 100.0)),
                balanced.chance * 100.0
            );
            if let Some(gain) = balanced.gain {
                let _ = writeln!(out, "                     {} points", gain.text(points));
            }
            if self.proposal.learned.changes_scores() && worth.may_be_chance() {
                let _ = writeln!(
                    out,
                    "                     the interval reaches 0: that labels get better may be chance"
                );
            }
        }
        if let Some(kind) = &self.proposal.learned.kind {
            let _ = writeln!(out, "findings are judged of this kind: {}", clean(kind));
        }
        let rare = &self.proposal.rare;
        if !rare.is_empty() {
            let rare: Vec<String> = rare.iter().map(|name| clean(name)).collect();
            let _ = writeln!(
                out,
                "how well these are told is not known, as reviewed images of fewer than three patients show them: {}",
                rare.join(", ")
            );
        }
    }

    fn moves(&self, out: &mut String) {
        let Proposal { images, moved, .. } = self.proposal;
        let _ = writeln!(
            out,
            "{} of {} get another label",
            moved.len(),
            counted(*images, "image")
        );
        for image in moved.iter().take(MAX_SHOWN) {
            let said = match &image.labels {
                Some(labels) if labels.is_empty() => "  (reviewed: none)".to_owned(),
                Some(labels) => format!("  (reviewed: {})", clean(&labels.join(", "))),
                None => String::new(),
            };
            let _ = writeln!(
                out,
                "  {} → {}  {}{said}",
                score(&image.before),
                score(&image.after),
                shown(&image.path)
            );
        }
        if moved.len() > MAX_SHOWN {
            let _ = writeln!(
                out,
                "  … and {} more (--json lists all)",
                moved.len() - MAX_SHOWN
            );
        }
    }
}

/// `1 review`, `2 reviews`.
fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn score(score: &ImageScore) -> String {
    format!("{} {:.1} %", clean(&score.label), score.probability * 100.0)
}

fn moved_json(image: &MovedImage) -> Value {
    let side = |score: &ImageScore| {
        json!({
            "label": score.label,
            "probability": score.probability,
            "decision": score.decision,
        })
    };
    json!({
        "path": image.path.to_string_lossy(),
        "before": side(&image.before),
        "after": side(&image.after),
        "reviewed": image.labels,
    })
}
