//! `eval`: compares predictions with known labels.

mod adjusted;
pub(super) mod labels;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::comparison::{self, ComparisonRequest};
use super::mix::MixOptions;
use super::progress::ProgressLine;
use super::run::{self, BatchHandler};
use super::{CommandSetup, Fault, exit, print, shown};
use crate::cli;
use crate::engine::{self, Settings};
use crate::jobs::{End, Ended};
use crate::learn::LearnedSets;
use crate::library::{Outcome, Record};
use crate::media::{clean, padded};
use crate::prompts::{PromptSet, Prompts};
use crate::scoring::Decision;
use crate::scoring::calibration::Calibrations;
use crate::scoring::metrics::{Case, Evaluation};
use adjusted::AdjustedEvaluation;
use labels::Labelled;

/// The report to print.
#[derive(Debug, Serialize)]
struct EvalReport {
    model: String,
    model_digest: String,
    prompts: String,
    prompts_digest: String,
    calibrated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    learned: Option<usize>,
    failed: usize,
    rejected: usize,
    interrupted: bool,
    seed: u64,
    draws: usize,
    #[serde(flatten)]
    metrics: Evaluation,
    /// The metrics of probabilities adjusted to the images' mix, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    adjusted: Option<AdjustedEvaluation>,
}

/// Evaluates; returns the exit code.
pub fn run(arguments: &cli::EvalArgs, setup: &CommandSetup) -> Result<u8, Fault> {
    let adjusts = arguments.mix.adjust.is_some();
    if let Some(second) = &setup.prompts.second {
        if adjusts {
            return Err(Fault::usage(
                "--adjust is for one prompt set; two are compared by their scores",
            ));
        }
        return compare(arguments, [&setup.prompts.name, second], setup);
    }
    let (calibrations, learned) = (setup.calibrations(), setup.learned());
    let mix = arguments.mix.adjust.clone().map(|stated| {
        let mix = MixOptions {
            calibrations: learned.calibrations(&calibrations),
            prompts: setup.load_prompts()?,
            stated,
        };
        mix.check(arguments.labelled.mode)?;
        Ok::<_, Fault>(mix)
    });
    let mix = mix.transpose()?;
    let scores = LabelledScores {
        calibrations,
        learned,
        are_stored: true,
    };
    with_outcomes(&arguments.labelled, setup, scores, |classified| {
        print_report(arguments, mix.as_ref(), classified)
    })
}

/// Compares two prompt sets on the labelled images.
fn compare(arguments: &cli::EvalArgs, names: [&str; 2], setup: &CommandSetup) -> Result<u8, Fault> {
    let labelled = &arguments.labelled;
    let sets = comparison::sets(names, setup)?;
    let (files, conditions) = comparison::labelled(&labelled.labels, &sets, &labelled.map)?;
    let request = ComparisonRequest {
        sets,
        files,
        conditions: Some(conditions),
        mode: labelled.mode,
        frames: labelled.frames,
        fit: labelled.fit,
        exact: labelled.exact,
        draws: arguments.draws,
        seed: arguments.seed,
        json: arguments.json,
    };
    comparison::run(&request, setup)
}

/// Labelled images with what the model says of them.
pub(super) struct ClassifiedLabels<'a> {
    /// The prompt set whose conditions are the labels.
    pub set: &'a PromptSet,
    files: &'a [Labelled],
    outcomes: &'a Outcomes,
    pub interrupted: bool,
}

/// How labelled images are scored.
pub(super) struct LabelledScores {
    pub calibrations: Calibrations,
    pub learned: LearnedSets,
    /// Whether results go to the library; only those that `classify` would give may.
    pub are_stored: bool,
}

/// Classifies labelled images, passes them to `report`, and returns its exit code, or that of an interruption.
pub(super) fn with_outcomes(
    arguments: &cli::LabelledArgs,
    setup: &CommandSetup,
    scores: LabelledScores,
    report: impl FnOnce(&ClassifiedLabels) -> Result<u8, Fault>,
) -> Result<u8, Fault> {
    let prompts = setup.load_prompts()?;
    let (mut files, names) = labels::read_any(&arguments.labels, prompts.sets(), &arguments.map)?;
    let settings = Settings {
        prompts: prompts.clone(),
        mode: arguments.mode,
        calibrations: scores.calibrations,
        learned: scores.learned,
        frames: arguments.frames,
        batch_size: None,
        decode_threads: None,
        exact: arguments.exact,
        pass_time: engine::BULK_PASS_TIME,
        library: setup.library_with_messages(),
        stores_results: scores.are_stored,
    };
    let inputs = run::inputs(files.iter().map(|file| file.path.clone()).enumerate());
    let collected = Collected {
        count: files.len(),
        outcomes: Outcomes::new(),
    };
    let factory = setup.factory(arguments.fit);
    run::classify_and_report(
        factory,
        settings,
        &inputs,
        collected,
        |collected, interrupted| {
            let set = set_in_use(&prompts, &collected.outcomes)?;
            take_labels_of(&mut files, &names, set)?;
            report(&ClassifiedLabels {
                set,
                files: &files,
                outcomes: &collected.outcomes,
                interrupted,
            })
        },
    )
}

/// The prompt set of all results. Where one is chosen for each image, these must agree: figures are of one set.
fn set_in_use<'a>(prompts: &'a Prompts, outcomes: &Outcomes) -> Result<&'a PromptSet, Fault> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for record in outcomes.values().flatten() {
        *counts.entry(&record.prompts).or_default() += 1;
    }
    let mut in_use = prompts
        .sets()
        .iter()
        .filter(|set| counts.contains_key(&*set.name));
    match (prompts.sets(), in_use.next(), in_use.next()) {
        ([only], ..) | (_, Some(only), None) => Ok(only),
        ([first, ..], None, _) => Ok(first),
        _ => {
            let counts = counts
                .iter()
                .map(|(name, count)| format!("{} {count}", clean(name)));
            let counts: Vec<String> = counts.collect();
            Err(Fault::usage(format!(
                "these images choose several prompt sets ({}), and this is about one; name it with --prompts, or give the images of one",
                counts.join(", ")
            )))
        }
    }
}

/// Makes the labels of files, which are indices among `names`, those of the conditions of a set.
fn take_labels_of(files: &mut [Labelled], names: &[String], set: &PromptSet) -> Result<(), Fault> {
    for file in files {
        let name = &names[file.label];
        let own = set.conditions.iter().position(|c| c.name == *name);
        file.label = own.ok_or_else(|| {
            Fault::usage(format!(
                "{}: `{}` is not a condition of {}, which these images choose; use --map, or name a prompt set with --prompts",
                shown(&file.path),
                clean(name),
                clean(&set.name)
            ))
        })?;
    }
    Ok(())
}

/// The outcome of each file, by its index among the files.
type Outcomes = BTreeMap<usize, Outcome>;

/// Collects the outcomes.
struct Collected {
    /// Number of files.
    count: usize,
    outcomes: Outcomes,
}

impl BatchHandler<(usize, PathBuf), usize> for Collected {
    fn begin(&mut self, (index, path): (usize, PathBuf)) -> Option<(PathBuf, usize)> {
        Some((path, index))
    }

    /// With several frames, the last outcome is their aggregate.
    fn end(&mut self, ended: Ended<usize>, progress: &ProgressLine) -> Result<(), Fault> {
        if let End::Answered(mut all) = ended.end
            && let Some(last) = all.pop()
        {
            let index = ended.waiters.into_iter();
            self.outcomes
                .extend(index.map(|index| (index, last.clone())));
        }
        progress.set(self.outcomes.len() as u64, Some(self.count as u64));
        Ok(())
    }
}

/// Labelled images as cases, and what became of the others.
pub(super) struct LabelledCases<'a> {
    /// The conditions' names.
    pub names: Vec<String>,
    pub cases: Vec<Case>,
    pub failed: usize,
    /// The reasons why images were rejected.
    rejected: Vec<String>,
    /// The last of the results.
    pub sample: Option<&'a Record>,
}

impl ClassifiedLabels<'_> {
    /// The images that have a result; errors are printed.
    pub(super) fn cases(&self) -> LabelledCases<'_> {
        let names: Vec<String> = self.set.conditions.iter().map(|c| c.name.clone()).collect();
        let mut all = LabelledCases {
            names,
            cases: Vec::new(),
            failed: 0,
            rejected: Vec::new(),
            sample: None,
        };
        for (index, outcome) in self.outcomes {
            let file = &self.files[*index];
            match outcome {
                // As everywhere, files that are not images count only if they were named.
                Err(failure) if !failure.content.is_image() && !file.named => {}
                Err(failure) => {
                    all.failed += 1;
                    let (path, reason) = (shown(&file.path), &failure.message);
                    print::message(format_args!("{path}: {reason}"));
                }
                Ok(record) if record.verdict.decision == Decision::Rejected => {
                    let reason = record.verdict.reason.clone();
                    all.rejected.push(reason.unwrap_or_default());
                }
                Ok(record) => {
                    all.sample = Some(record);
                    all.cases
                        .extend(Case::of(&all.names, file.label, &record.verdict));
                }
            }
        }
        all
    }
}

impl LabelledCases<'_> {
    /// The error if no image could be classified.
    pub(super) fn none_classified(&self) -> Fault {
        let why = match self.rejected.first() {
            Some(reason) => format!("{} rejected, because {reason}", self.rejected.len()),
            None => format!("{} failed", self.failed),
        };
        Fault::unusable(format!("no image could be classified: {why}"))
    }
}

/// Prints errors and the report; returns the exit code.
fn print_report(
    arguments: &cli::EvalArgs,
    mix: Option<&MixOptions>,
    classified: &ClassifiedLabels,
) -> Result<u8, Fault> {
    let all = classified.cases();
    let adjusted = mix
        .map(|mix| AdjustedEvaluation::new(mix, classified, &all, arguments))
        .transpose()?;
    let metrics = ProgressLine::of_draws(arguments.draws, |progress| {
        let (draws, seed) = (arguments.draws, arguments.seed);
        Evaluation::with_progress(&all.names, &all.cases, draws, seed, progress)
    });
    let (Some(metrics), Some(record)) = (metrics, all.sample) else {
        return Err(all.none_classified());
    };
    let report = EvalReport {
        model: record.model.clone(),
        model_digest: record.model_digest.clone(),
        prompts: record.prompts.clone(),
        prompts_digest: record.prompts_digest.clone(),
        calibrated: record.calibrated,
        learned: record.learned,
        failed: all.failed,
        rejected: all.rejected.len(),
        interrupted: classified.interrupted,
        seed: arguments.seed,
        draws: arguments.draws,
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
    let share = |value: f64| format!("{:.1} %", value * 100.0);
    let area = |value: f64| format!("{value:.3}");
    let width = metrics.conditions.iter().map(|c| c.condition.width()).max();
    let width = width.unwrap_or(0).max(9);
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "model {}, prompts {}{}",
        report.model,
        report.prompts,
        learned_words(report.learned)
    );
    let _ = writeln!(
        out,
        "{} classified, {} rejected, {} failed{}",
        metrics.cases,
        report.rejected,
        report.failed,
        if report.interrupted {
            ", interrupted"
        } else {
            ""
        }
    );
    let _ = writeln!(out, "accuracy           {}", metrics.accuracy.text(share));
    let _ = writeln!(
        out,
        "balanced accuracy  {}",
        metrics.balanced_accuracy.text(share)
    );
    let _ = writeln!(
        out,
        "\n{}  cases   recall  precision  AUROC",
        padded("condition", width)
    );
    for class in &metrics.conditions {
        let area = class
            .auroc
            .as_ref()
            .map_or("–".into(), |estimate| estimate.text(area));
        let _ = writeln!(
            out,
            "{}  {:5}  {:>7}  {:>9}  {area}",
            padded(&class.condition, width),
            class.cases,
            percent(class.recall),
            percent(class.precision),
        );
    }
    if let Some(adjusted) = &report.adjusted {
        let _ = write!(out, "\n{}", adjusted.table());
    }
    let _ = writeln!(out, "\nrows: truth, columns: prediction, in the same order");
    for (class, row) in metrics.conditions.iter().zip(&metrics.confusion) {
        out.push_str(&padded(&class.condition, width));
        for count in row {
            let _ = write!(out, "{count:7}");
        }
        out.push('\n');
    }
    out
}
