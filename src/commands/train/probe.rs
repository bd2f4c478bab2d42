//! `train probe`: a direction for each condition, kept where what `learn` learns is kept.

use std::path::PathBuf;

use super::super::{CommandSetup, Fault, exit, print, shown};
use super::data::{self, EncodedImages};
use super::labels;
use super::report::{ProbeReport, SplitReport, condition_counts};
use crate::cli::ProbeArgs;
use crate::learn::{Learned, Probe, Shot, compare, fit_probe};
use crate::library::{NOTICE, learned, now};
use crate::media::clean;
use crate::prompts::PromptSet;
use crate::scoring::Mode;
use crate::scoring::learned::LearnedCondition;

/// Carries the command out; returns the exit code.
pub(super) fn run(arguments: &ProbeArgs, setup: &CommandSetup) -> Result<u8, Fault> {
    let folder = setup.library.as_deref().map(learned::folder);
    if folder.is_none() && arguments.export.is_none() && !arguments.dry_run {
        return Err(Fault::usage(
            "a probe is kept with the library, and --library is none; write it to a file with --export",
        ));
    }
    let set = labels::prompt_set(setup)?;
    let images = labels::read(&arguments.images, setup, &set)?;
    let encoded = data::encode(images, setup, &set)?;
    if encoded.images.is_empty() && encoded.rejected > 0 {
        return Err(Fault::unusable(format!(
            "{} rejects all images under {}; a probe changes scores, not what the model is for: use a model for these images, \
             or `train lora`",
            encoded.model.card.id,
            clean(&set.name)
        )));
    }
    let fitted = FittedProbe::new(arguments, &encoded)?;
    let learned = fitted.learned(&encoded, &set);
    let file = keep(arguments, folder, &learned)?;
    let report = fitted.report(arguments, &encoded, &set, file);
    if arguments.images.json {
        print::json(&report)?;
    } else {
        print::lines(&report.table())?;
    }
    Ok(if encoded.failed > 0 {
        exit::SOME_FAILED
    } else {
        exit::OK
    })
}

/// A probe with the split that it was fitted on.
struct FittedProbe {
    probe: Probe,
    split: SplitReport,
    gain: crate::scoring::metrics::Estimate,
}

impl FittedProbe {
    fn new(arguments: &ProbeArgs, encoded: &EncodedImages) -> Result<Self, Fault> {
        let labels: Vec<usize> = encoded.images.iter().map(|image| image.label).collect();
        let (patients, sources) = labels::patients(&encoded.images);
        let split = labels::split(&arguments.images, (&patients, sources), &labels)?;
        let problem = &encoded.model.problem;
        let (probe, gain) = fit(problem, &encoded.embeddings, &labels, &patients, &split)
            .map_err(Fault::unusable)?;
        let split = SplitReport::new(&arguments.images, &split, sources);
        Ok(Self { probe, split, gain })
    }

    fn learned(&self, encoded: &EncodedImages, set: &PromptSet) -> Learned {
        let card = &encoded.model.card;
        let conditions = set.conditions.iter().zip(&self.probe.directions);
        let conditions = conditions.map(|(own, direction)| LearnedCondition {
            condition: own.name.clone(),
            gate: self.probe.gate,
            direction: direction.clone().into(),
        });
        Learned {
            format: Learned::FORMAT,
            model: card.id.clone(),
            model_digest: card.digest.clone(),
            prompts: set.name.clone(),
            prompts_digest: set.digest.clone(),
            mode: Mode::Single,
            at: now(),
            method: self.probe.method,
            reviews: self.split.train,
            unlabelled: 0,
            held_out: self.probe.gain.clone(),
            conditions: conditions.collect(),
            kinds: Vec::new(),
        }
    }

    fn report(
        self,
        arguments: &ProbeArgs,
        encoded: &EncodedImages,
        set: &PromptSet,
        file: Option<PathBuf>,
    ) -> ProbeReport {
        let card = &encoded.model.card;
        let labels = encoded.images.iter().map(|image| image.label);
        ProbeReport {
            model: card.id.clone(),
            model_digest: card.digest.clone(),
            prompts: set.name.clone(),
            prompts_digest: set.digest.clone(),
            conditions: condition_counts(set, labels),
            split: self.split,
            failed: encoded.failed,
            rejected: encoded.rejected,
            method: self.probe.method,
            gate: self.probe.gate,
            candidates: self.probe.candidates,
            before: self.probe.before,
            after: self.probe.after,
            gain: self.gain,
            kept: file.is_some(),
            file: file.as_deref().map(shown),
            dry_run: arguments.dry_run,
            exported: arguments.export.is_some(),
            notice: NOTICE,
        }
    }
}

/// Fits a probe on a split; what it gains over the texts in balanced accuracy on the images held out, over patients.
pub(super) fn fit<R: AsRef<[f32]>>(
    problem: &crate::learn::Problem,
    embeddings: &[R],
    labels: &[usize],
    patients: &[String],
    split: &crate::learn::PatientSplit,
) -> Result<(Probe, crate::scoring::metrics::Estimate), crate::learn::LearnError> {
    let mut names: Vec<&String> = patients.iter().collect();
    names.sort_unstable();
    names.dedup();
    let shot = |at: &usize| Shot {
        row: embeddings[*at].as_ref(),
        label: labels[*at],
        group: names.binary_search(&&patients[*at]).unwrap_or(0),
    };
    let train: Vec<Shot> = split.train.iter().map(shot).collect();
    let held_out: Vec<Shot> = split.held_out.iter().map(shot).collect();
    let probe = fit_probe(problem, &train, &held_out)?;
    let logits: Vec<[Vec<f64>; 2]> = held_out
        .iter()
        .map(|shot| [problem.zero_shot(shot.row), probe.logits(problem, shot.row)])
        .collect();
    let cases: Vec<(&str, usize, [&[f64]; 2])> = split
        .held_out
        .iter()
        .zip(&logits)
        .map(|(at, [before, after])| {
            let both = [before.as_slice(), after.as_slice()];
            (patients[*at].as_str(), labels[*at], both)
        })
        .collect();
    let gain = compare(&cases, 0);
    Ok((probe, gain))
}

/// Puts the probe into use, or writes it to a file, unless that is not wanted or would change nothing; returns its file.
fn keep(
    arguments: &ProbeArgs,
    folder: Option<PathBuf>,
    own: &Learned,
) -> Result<Option<PathBuf>, Fault> {
    if arguments.dry_run || !own.changes_results() {
        return Ok(None);
    }
    let fault = |path: &std::path::Path, error: std::io::Error| {
        Fault::unusable(format!("{}: {error}", shown(path)))
    };
    if let Some(file) = &arguments.export {
        learned::write(file, own).map_err(|error| fault(file, error))?;
        return Ok(Some(file.clone()));
    }
    let Some(folder) = folder else {
        return Ok(None);
    };
    let saved = learned::save(&folder, own).map_err(|error| fault(&folder, error))?;
    Ok(Some(saved))
}
