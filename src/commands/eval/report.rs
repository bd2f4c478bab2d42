//! What `eval` reports.

use std::fmt::Write as _;

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::super::mix::MixOptions;
use super::super::progress::ProgressLine;
use super::super::run::Interruption;
use super::super::{Fault, exit, print};
use super::ClassifiedLabels;
use super::adjusted::{AdjustedCases, AdjustedEvaluation};
use super::cases::LabelledCases;
use super::multi_label;
use crate::cli;
use crate::media::{clean, padded};
use crate::scoring::Mode;
use crate::scoring::metrics::{
    Bootstrap, ClassMetrics, Estimate, Evaluation, EvaluationDraws, JudgedCondition, MIN_DRAWS,
    MultiLabelDraws, MultiLabelEvaluation, MultiLabelSummary, PresenceMetrics, SampledMetrics,
};
use crate::scoring::mix::MixError;

/// The report.
#[derive(Debug, Serialize)]
pub(super) struct EvalReport {
    model: String,
    model_digest: String,
    prompts: String,
    prompts_digest: String,
    mode: Mode,
    calibrated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    learned: Option<usize>,
    failed: usize,
    rejected: usize,
    /// Files that are left out as they have the content of another one.
    copies: usize,
    /// Whether images or bootstrap draws are left out because of a signal.
    interrupted: bool,
    seed: u64,
    /// The number of bootstrap draws that were made.
    draws: usize,
    #[serde(flatten)]
    pub(super) metrics: EvalMetrics,
    /// The metrics of probabilities adjusted to the images' mix, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    adjusted: Option<AdjustedEvaluation>,
}

/// The metrics. Those of labels are there if one condition applies to each image, or if each image has one label anyway.
#[derive(Debug, Serialize)]
pub(super) struct EvalMetrics {
    pub(super) cases: usize,
    accuracy: Option<Estimate>,
    balanced_accuracy: Option<Estimate>,
    pub(super) conditions: Vec<ConditionMetrics>,
    confusion: Option<Vec<Vec<usize>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) multi_label: Option<MultiLabelMetrics>,
}

/// The metrics of one condition.
#[derive(Debug, Serialize)]
pub(super) struct ConditionMetrics {
    #[serde(flatten)]
    pub(super) label: ClassMetrics,
    /// Where each condition is decided on by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) presence: Option<PresenceMetrics>,
}

/// The metrics of all conditions together where each is decided on by itself.
#[derive(Debug, Serialize)]
pub(super) struct MultiLabelMetrics {
    /// Images that show several conditions.
    pub(super) with_several: usize,
    /// Images that show none.
    pub(super) without_condition: usize,
    #[serde(flatten)]
    pub(super) summary: MultiLabelSummary,
}

/// All that a report is of, with intervals of the same draws.
struct DrawnMetrics {
    metrics: EvalMetrics,
    adjusted: Option<AdjustedEvaluation>,
    /// The number of draws that were made.
    draws: usize,
}

impl DrawnMetrics {
    /// The metrics of cases as a mode has them; `None` without cases.
    fn new(
        all: &LabelledCases,
        mode: Mode,
        adjusted: Option<AdjustedCases>,
        (arguments, interruption): (&cli::EvalArgs, &Interruption),
    ) -> Option<Self> {
        let bootstrap = Bootstrap {
            draws: arguments.draws,
            seed: arguments.seed,
            groups: all.groups(),
        };
        let verdict = &all.sample()?.verdict;
        let conditions = JudgedCondition::of_verdict(&all.names, &all.normal, verdict);
        let (of_one, of_any) = (all.of_one(), all.of_any());
        let of_labels = |cases| EvaluationDraws::new(&all.names, cases);
        let mut labels = of_one.as_deref().map(of_labels);
        let mut presence =
            (mode == Mode::Multi).then(|| MultiLabelDraws::new(&conditions, &of_any));
        let mut of_adjusted = adjusted
            .as_ref()
            .map(|own| of_labels(&own.cases).among(own.positions.clone()));
        // Percentiles of many draws take a moment, in which a signal must not take the report.
        let (metrics, draws) = ProgressLine::of_draws(arguments.draws, interruption, |progress| {
            let mut drawn: Vec<&mut dyn SampledMetrics> = Vec::new();
            drawn.extend(labels.as_mut().map(|own| own as &mut dyn SampledMetrics));
            drawn.extend(presence.as_mut().map(|own| own as &mut dyn SampledMetrics));
            drawn.extend(
                of_adjusted
                    .as_mut()
                    .map(|own| own as &mut dyn SampledMetrics),
            );
            bootstrap.draw(all.images.len(), &mut drawn, progress);
            let labels = labels.and_then(EvaluationDraws::finish);
            let metrics = match presence {
                None => EvalMetrics::of_labels(labels?),
                Some(presence) => EvalMetrics::of_presence(all, labels, presence.finish()?),
            };
            Some((metrics, of_adjusted.and_then(EvaluationDraws::finish)))
        });
        let (metrics, of_adjusted) = metrics?;
        Some(Self {
            metrics,
            adjusted: adjusted
                .zip(of_adjusted)
                .map(|(own, metrics)| own.with(metrics)),
            draws,
        })
    }
}

impl EvalMetrics {
    /// Why there are no intervals, or none of means over conditions, if that is for want of draws.
    fn interval_note(&self, draws: usize) -> Option<String> {
        let means = self.multi_label.iter().flat_map(|all| {
            let MultiLabelSummary {
                mean_auroc,
                mean_average_precision,
                ..
            } = all.summary;
            [mean_auroc, mean_average_precision]
        });
        let means = means.chain([self.balanced_accuracy]).flatten();
        let counted = means.filter_map(|own| own.draws).min()?;
        if draws < MIN_DRAWS {
            return Some(format!(
                "note: no intervals: these need at least {MIN_DRAWS} draws, and {draws} were made"
            ));
        }
        let is_enough = counted >= MIN_DRAWS && 2 * counted >= draws;
        (!is_enough).then(|| {
            format!(
                "note: no interval for means over conditions: only {counted} of {draws} draws have all of these; give more images of each, or fewer \
                 conditions"
            )
        })
    }

    fn of_labels(labels: Evaluation) -> Self {
        let conditions = labels.conditions.into_iter();
        let conditions = conditions.map(|label| ConditionMetrics {
            label,
            presence: None,
        });
        Self {
            cases: labels.cases,
            accuracy: Some(labels.accuracy),
            balanced_accuracy: Some(labels.balanced_accuracy),
            conditions: conditions.collect(),
            confusion: Some(labels.confusion),
            multi_label: None,
        }
    }

    /// Of images of which some show several conditions or none.
    fn without_labels(conditions: &[PresenceMetrics], cases: usize) -> Self {
        let of_condition = |own: &PresenceMetrics| ConditionMetrics {
            label: ClassMetrics {
                condition: own.condition.clone(),
                cases: own.positives,
                recall: None,
                precision: None,
                auroc: own.auroc,
            },
            presence: None,
        };
        Self {
            cases,
            accuracy: None,
            balanced_accuracy: None,
            conditions: conditions.iter().map(of_condition).collect(),
            confusion: None,
            multi_label: None,
        }
    }

    fn of_presence(
        all: &LabelledCases,
        labels: Option<Evaluation>,
        presence: MultiLabelEvaluation,
    ) -> Self {
        let mut metrics = match labels {
            Some(labels) => Self::of_labels(labels),
            None => Self::without_labels(&presence.conditions, all.images.len()),
        };
        for (own, presence) in metrics.conditions.iter_mut().zip(presence.conditions) {
            own.presence = Some(presence);
        }
        let count = |is_counted: fn(usize) -> bool| {
            let images = all.images.iter();
            images
                .filter(|(file, _)| is_counted(file.labels.len()))
                .count()
        };
        metrics.multi_label = Some(MultiLabelMetrics {
            with_several: count(|labels| labels > 1),
            without_condition: count(|labels| labels == 0),
            summary: presence.summary,
        });
        metrics
    }
}

/// Prints errors and the report; returns the exit code.
pub(super) fn print(
    arguments: &cli::EvalArgs,
    mix: Option<&MixOptions>,
    classified: &ClassifiedLabels,
) -> Result<u8, Fault> {
    let all = classified.cases()?;
    let interruption = classified.interruption;
    if mix.is_some() && classified.mode == Mode::Multi {
        return Err(Fault::usage(MixError::Multi.to_string()));
    }
    let adjusted = mix.map(|mix| AdjustedCases::new(mix, &all)).transpose()?;
    let context = (arguments, interruption);
    let drawn = DrawnMetrics::new(&all, classified.mode, adjusted, context);
    let (Some(drawn), Some(record)) = (drawn, all.sample()) else {
        return Err(all.none_classified());
    };
    let DrawnMetrics {
        metrics,
        adjusted,
        draws,
    } = drawn;
    let report = EvalReport {
        model: record.model.clone(),
        model_digest: record.model_digest.clone(),
        prompts: record.prompts.clone(),
        prompts_digest: record.prompts_digest.clone(),
        mode: record.mode,
        // In `multi` mode a label about which labelled images said too little is not.
        calibrated: all.images.iter().any(|(_, record)| record.calibrated),
        learned: record.learned,
        failed: all.failed,
        rejected: all.rejected.len(),
        copies: all.copies,
        interrupted: interruption.is_there(),
        seed: arguments.seed,
        draws,
        metrics,
        adjusted,
    };
    if arguments.json {
        print::json(&report)?;
    } else {
        print::lines(&table(&report))?;
    }
    Ok(if all.failed > 0 {
        exit::SOME_FAILED
    } else {
        exit::OK
    })
}

/// The name of a mode, as options have it.
fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Single => "single",
        Mode::Multi => "multi",
    }
}

/// `, 3 copies left out`; nothing without any.
pub(in crate::commands) fn copies_words(copies: usize) -> String {
    match copies {
        0 => String::new(),
        1 => ", 1 copy left out".to_owned(),
        count => format!(", {count} copies left out"),
    }
}

/// `, learned from 23 reviews`; nothing where scores are zero-shot.
fn learned_words(reviews: Option<usize>) -> String {
    match reviews {
        None => String::new(),
        Some(1) => ", learned from 1 review".to_owned(),
        Some(count) => format!(", learned from {count} reviews"),
    }
}

fn percent(value: Option<f64>) -> String {
    value.map_or("–".into(), |value| format!("{:.1} %", value * 100.0))
}

fn table(report: &EvalReport) -> String {
    let metrics = &report.metrics;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "model {}, prompts {}, mode {}, {}{}",
        clean(&report.model),
        clean(&report.prompts),
        mode_name(report.mode),
        if report.calibrated {
            "calibrated"
        } else {
            "not calibrated"
        },
        learned_words(report.learned)
    );
    let _ = writeln!(
        out,
        "{} classified, {} rejected, {} failed{}{}",
        metrics.cases,
        report.rejected,
        report.failed,
        copies_words(report.copies),
        if report.interrupted {
            ", interrupted"
        } else {
            ""
        }
    );
    for (name, estimate) in [
        ("accuracy", &metrics.accuracy),
        ("balanced accuracy", &metrics.balanced_accuracy),
    ] {
        if let Some(estimate) = estimate {
            let share = estimate.text(|value| format!("{:.1} %", value * 100.0));
            let _ = writeln!(out, "{name:<17}  {share}");
        }
    }
    let names = metrics.conditions.iter();
    let width = names.map(|own| own.label.condition.width()).max();
    let width = width.unwrap_or(0).max("condition".len());
    match &metrics.multi_label {
        Some(all) => multi_label::table(&mut out, all, &metrics.conditions, width),
        None => label_rows(&mut out, &metrics.conditions, width),
    }
    if let Some(adjusted) = &report.adjusted {
        let _ = write!(out, "\n{}", adjusted.table());
    }
    if let Some(note) = metrics.interval_note(report.draws) {
        let _ = writeln!(out, "{note}");
    }
    if let Some(confusion) = &metrics.confusion {
        let _ = writeln!(out, "\nrows: truth, columns: prediction, in the same order");
        for (own, row) in metrics.conditions.iter().zip(confusion) {
            out.push_str(&padded(&own.label.condition, width));
            for count in row {
                let _ = write!(out, "{count:7}");
            }
            out.push('\n');
        }
    }
    out
}

/// How well each label is told from the others.
fn label_rows(out: &mut String, conditions: &[ConditionMetrics], width: usize) {
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "\n{}  cases   recall  precision  AUROC",
        padded("condition", width)
    );
    for ConditionMetrics { label, .. } in conditions {
        let _ = writeln!(
            out,
            "{}  {:5}  {:>7}  {:>9}  {}",
            padded(&label.condition, width),
            label.cases,
            percent(label.recall),
            percent(label.precision),
            area(label.auroc.as_ref()),
        );
    }
}

/// An area with its interval.
pub(super) fn area(estimate: Option<&Estimate>) -> String {
    let text = |estimate: &Estimate| estimate.text(|value| format!("{value:.3}"));
    estimate.map_or("–".into(), text)
}
