//! `train probe`: a direction for each condition, kept where what `learn` learns is kept.

use std::path::PathBuf;

use super::super::output::unwritable;
use super::super::{CommandSetup, Fault, exit, print, shown};
use super::alike::unproved_words;
use super::conditions::TrainedCondition;
use super::data::{self, EncodedImages, ScoredModel};
use super::labels;
use super::report::{ProbeReport, SplitReport};
use crate::cli::ProbeArgs;
use crate::learn::{LearnError, Learned, PatientSplit, Probe, Problem, TrainingGain, Truths};
use crate::library::learned::{self, NotKept};
use crate::library::{NOTICE, now};
use crate::media::clean;
use crate::prompts::PromptSet;
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
    let encoded = data::encode(images, setup, &set, arguments.images.mode)?;
    if encoded.images.is_empty() && encoded.rejected > 0 {
        return Err(Fault::unusable(format!(
            "{} rejects all images under {}; a probe changes scores, not what the model is for: use a model for these images, \
             or `train lora`",
            encoded.model.card.id,
            clean(&set.name)
        )));
    }
    let fitted = FittedProbe::new(arguments, &encoded, &set)?;
    let learned = fitted.learned(&encoded, &set);
    let file = match fitted.unproved {
        Some(_) => None,
        None => keep(arguments, folder, &learned)?,
    };
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
    /// The images that it was fitted on.
    train: Vec<usize>,
    gain: TrainingGain,
    conditions: Vec<TrainedCondition>,
    without_condition: Option<usize>,
    /// Why the built-in model may not judge more images like these by it.
    unproved: Option<String>,
}

impl FittedProbe {
    fn new(arguments: &ProbeArgs, encoded: &EncodedImages, set: &PromptSet) -> Result<Self, Fault> {
        let ScoredModel { problem, mode, .. } = &encoded.model;
        let truths = labels::truths(encoded.images.iter(), set, *mode);
        let (patients, sources) = labels::patients(&encoded.images);
        let split = labels::split(&arguments.images, (&patients, sources), &truths)?;
        let probe = fit(problem, &encoded.embeddings, &truths, &patients, &split);
        let probe = probe.map_err(Fault::unusable)?;
        let rows = || split.held_out.iter().map(|at| &*encoded.embeddings[*at]);
        let before: Vec<Vec<f64>> = rows().map(|row| problem.zero_shot(row)).collect();
        let after: Vec<Vec<f64>> = rows().map(|row| probe.logits(problem, row)).collect();
        let held_out = (split.held_out.as_slice(), patients.as_slice());
        let learned = (0..set.conditions.len()).map(|at| !probe.left_out.contains(&at));
        let learned: Vec<bool> = learned.collect();
        let gain = truths.gain(held_out, [&before, &after], Some(&learned));
        let proof = encoded.kind.as_ref().map(|_| {
            let groups = patient_numbers(&patients);
            let images = (split.held_out.as_slice(), groups.as_slice());
            let names = set.conditions.iter().map(|own| own.name.as_str());
            truths.proof(images, [&before, &after], &names.collect::<Vec<_>>())
        });
        let unproved = proof.and_then(|own| unproved_words(&own, split.held_out.len()));
        let mut conditions = TrainedCondition::of_set(set, &truths, &split);
        TrainedCondition::add_probe(&mut conditions, &probe);
        for (scores, logits) in [("zero_shot", &before), ("probe", &after)] {
            let separations = truths.separations(held_out, logits, None);
            TrainedCondition::add_scores(&mut conditions, scores, separations.as_ref());
        }
        Ok(Self {
            gain,
            conditions,
            without_condition: truths.without_condition(),
            unproved,
            split: SplitReport::new(&arguments.images, &split, sources),
            train: split.train,
            probe,
        })
    }

    fn learned(&self, encoded: &EncodedImages, set: &PromptSet) -> Learned {
        let card = &encoded.model.card;
        let probe = &self.probe;
        let directions = probe.directions.iter().zip(&probe.gates);
        let conditions = set.conditions.iter().zip(directions).enumerate();
        let conditions = conditions.filter(|(at, _)| !probe.left_out.contains(at));
        let conditions = conditions.map(|(_, (own, (direction, gate)))| LearnedCondition {
            condition: own.name.clone(),
            gate: *gate,
            direction: direction.clone().into(),
        });
        let train = self.train.iter();
        let mut shots: Vec<String> = train.map(|at| encoded.contents[*at].clone()).collect();
        shots.sort_unstable();
        Learned {
            format: Learned::FORMAT,
            model: card.id.clone(),
            model_digest: card.digest.clone(),
            prompts: set.name.clone(),
            prompts_digest: set.digest.clone(),
            mode: encoded.model.mode,
            at: now(),
            method: self.probe.method,
            reviews: self.split.train,
            unlabelled: 0,
            held_out: self.probe.gain.clone(),
            conditions: conditions.collect(),
            kind: encoded.kind.clone(),
            shots,
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
        let is_refused =
            self.unproved.is_none() && self.probe.gate <= 0.0 && encoded.kind.is_none();
        ProbeReport {
            model: card.id.clone(),
            model_digest: card.digest.clone(),
            prompts: set.name.clone(),
            prompts_digest: set.digest.clone(),
            mode: encoded.model.mode,
            conditions: self.conditions,
            without_condition: self.without_condition,
            split: self.split,
            failed: encoded.failed,
            copies: encoded.copies,
            rejected: encoded.rejected,
            kind: encoded.kind.clone(),
            other_kinds: encoded.other_kinds,
            unproved: self.unproved,
            method: self.probe.method,
            gate: self.probe.gate,
            candidates: self.probe.candidates,
            before: self.probe.before,
            after: self.probe.after,
            gain: self.gain.balanced_accuracy,
            auroc_gain: self.gain.auroc,
            refusal: is_refused.then(|| self.probe.gain.refusal()),
            kept: file.is_some(),
            file: file.as_deref().map(shown),
            dry_run: arguments.dry_run,
            exported: arguments.export.is_some(),
            notice: NOTICE,
        }
    }
}

/// Fits a probe on a split.
pub(super) fn fit<R: AsRef<[f32]>>(
    problem: &Problem,
    embeddings: &[R],
    truths: &Truths,
    patients: &[String],
    split: &PatientSplit,
) -> Result<Probe, LearnError> {
    let groups = patient_numbers(patients);
    truths.fit_probe(
        problem,
        (embeddings, &groups),
        (&split.train, &split.held_out),
    )
}

/// The patient of each image as a number.
pub(in crate::commands) fn patient_numbers(patients: &[String]) -> Vec<usize> {
    let mut names: Vec<&String> = patients.iter().collect();
    names.sort_unstable();
    names.dedup();
    let number = |own: &String| names.binary_search(&own).unwrap_or(0);
    patients.iter().map(number).collect()
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
    if let Some(file) = &arguments.export {
        learned::export(file, own).map_err(|error| unwritable(file, &error))?;
        return Ok(Some(file.clone()));
    }
    let Some(folder) = folder else {
        return Ok(None);
    };
    let kept = learned::keep(&folder, own).map_err(|error| match error {
        NotKept::Refused(reason) => {
            Fault::unusable(format!("{reason}; --export writes the probe to a file"))
        }
        NotKept::File { .. } => Fault::unusable(error),
    })?;
    Ok(Some(kept))
}
