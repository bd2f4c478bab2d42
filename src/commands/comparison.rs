//! Compares two prompt sets on the same images: `prompts compare`, and `eval` with two sets.

mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::eval::labels::{self, LabelNames, Labelled};
use super::progress::ProgressLine;
use super::run::{self, BatchHandler, Run, RunEnd, RunMessage};
use super::{CommandSetup, Fault, exit, leave, on_signals, print, shown};
use crate::config::Folders;
use crate::encoder::{Encoder, Fit};
use crate::engine::{self, Factory, FrameSelection, Lane, Scorers, Settings};
use crate::jobs::{End, Ended};
use crate::library::{Failure, Record};
use crate::media::walk;
use crate::prompts::placebo::Placebo;
use crate::prompts::{PromptSet, Prompts};
use crate::scoring::calibration::Calibrations;
use crate::scoring::comparison::SetComparison;
use crate::scoring::metrics::Case;
use crate::scoring::{Decision, Mode};
use report::{ChangedFile, ComparisonReport, FileLabel};

/// Sets of random words whose mean is the placebo: one alone may be lucky.
const PLACEBOS: u64 = 5;

/// What is compared, and on what.
pub(super) struct ComparisonRequest {
    /// The two sets.
    pub sets: [PromptSet; 2],
    pub files: Vec<ComparedFile>,
    /// The names of the conditions that labels are indices of; `None` without labels.
    pub conditions: Option<Vec<String>>,
    pub mode: Mode,
    pub frames: FrameSelection,
    pub fit: Option<Fit>,
    pub exact: bool,
    pub draws: usize,
    pub seed: u64,
    pub json: bool,
}

/// An image.
pub(super) struct ComparedFile {
    path: PathBuf,
    /// The index of its condition, if it is known.
    label: Option<usize>,
    /// Whether it was named, rather than being found in a folder.
    named: bool,
}

impl From<Labelled> for ComparedFile {
    fn from(file: Labelled) -> Self {
        Self {
            path: file.path,
            label: Some(file.label),
            named: file.named,
        }
    }
}

/// The two sets by name or file.
pub(super) fn sets(names: [&str; 2], setup: &CommandSetup) -> Result<[PromptSet; 2], Fault> {
    let folder = setup.folders.as_ref().map(Folders::prompts);
    let set = |name: &str| {
        let prompts = Prompts::select(name, folder.as_deref()).map_err(Fault::unusable)?;
        match prompts.sets() {
            [set] => Ok(set.clone()),
            _ => Err(Fault::usage(
                "two prompt sets are compared; `auto` is not one of them",
            )),
        }
    };
    let sets = [set(names[0])?, set(names[1])?];
    if sets[0].digest == sets[1].digest {
        return Err(Fault::usage(format!(
            "{} and {} are the same set",
            names[0], names[1]
        )));
    }
    Ok(sets)
}

/// All images with labels, and the conditions that these may be: those of the first set, then what only the second one has.
pub(super) fn labelled(
    labels: &Path,
    sets: &[PromptSet; 2],
    map: &[(String, String)],
) -> Result<(Vec<ComparedFile>, Vec<String>), Fault> {
    let mut all = sets[0].clone();
    let is_known = |name: &str| sets[0].conditions.iter().any(|c| c.name == name);
    let more = sets[1].conditions.iter().filter(|c| !is_known(&c.name));
    all.conditions.extend(more.cloned());
    let names = LabelNames::new(&all, map)?;
    let files = labels::read(labels, &names)?;
    let conditions = all.conditions.into_iter().map(|condition| condition.name);
    Ok((
        files.into_iter().map(ComparedFile::from).collect(),
        conditions.collect(),
    ))
}

/// The files of arguments, without labels. Folders that cannot be read are printed.
pub(super) fn unlabelled(paths: &[PathBuf]) -> Vec<ComparedFile> {
    let mut files = Vec::new();
    for root in paths {
        let named = !root.is_dir();
        for found in walk::files(root) {
            match found {
                Ok(path) => files.push(ComparedFile {
                    path,
                    label: None,
                    named,
                }),
                Err(error) => print::message(format_args!(
                    "{}: {}",
                    shown(&error.path),
                    error.error.message
                )),
            }
        }
    }
    files
}

/// Those of the labelled files that are one of the paths or lie below it.
pub(super) fn below(
    files: Vec<ComparedFile>,
    paths: &[PathBuf],
) -> Result<Vec<ComparedFile>, Fault> {
    let full = |path: &Path| std::fs::canonicalize(path);
    let mut roots = Vec::with_capacity(paths.len());
    for path in paths {
        let root = full(path).map_err(|error| Fault::usage(format!("{}: {error}", shown(path))))?;
        roots.push(root);
    }
    let is_below = |file: &ComparedFile| {
        full(&file.path).is_ok_and(|path| roots.iter().any(|root| path.starts_with(root)))
    };
    let kept: Vec<ComparedFile> = files.into_iter().filter(is_below).collect();
    if kept.is_empty() {
        return Err(Fault::usage(
            "none of the labelled files is below the paths",
        ));
    }
    Ok(kept)
}

/// Compares and prints; returns the exit code.
pub(super) fn run(request: &ComparisonRequest, setup: &CommandSetup) -> Result<u8, Fault> {
    let settings = Settings {
        prompts: Prompts::only(request.sets[0].clone()),
        mode: request.mode,
        calibrations: setup.calibrations(),
        frames: request.frames,
        batch_size: None,
        decode_threads: None,
        exact: request.exact,
        pass_time: engine::BULK_PASS_TIME,
        library: setup.library_with_messages(),
    };
    let messages = run::messages();
    on_signals(&[SIGINT, SIGTERM], {
        let sender = messages.0.clone();
        move || drop(sender.send(RunMessage::Stop))
    })?;
    let (opened, opening) = bounded(1);
    let factory = also_scoring(setup.factory(request.fit), request, opened);
    let progress = ProgressLine::new();
    let mut run = Run::start(factory, settings, messages, &progress);
    let inputs = run::inputs(
        request
            .files
            .iter()
            .map(|file| file.path.clone())
            .enumerate(),
    );
    let mut collected = CollectedRecords {
        count: request.files.len(),
        records: BTreeMap::new(),
        failures: BTreeMap::new(),
    };
    let ended = run.classify_all(Lane::Bulk, &inputs, &mut collected)?;
    progress.end();
    if ended == RunEnd::Interrupted {
        if !run.shutdown() {
            leave(exit::INTERRUPTED);
        }
        return Ok(exit::INTERRUPTED);
    }
    run.finish();
    let scored = scored(&opening, request, &collected)?;
    let report = scored.report(request)?;
    report.print(request.json)?;
    Ok(if report.failed > 0 {
        exit::SOME_FAILED
    } else {
        exit::OK
    })
}

/// The scorers of both sets, then those of the placebos; or why there are none.
type OpenedScorers = Result<Vec<Scorers>, String>;

/// A factory that also encodes the sets and placebos, on the thread that owns the model.
fn also_scoring(
    mut open: Factory,
    request: &ComparisonRequest,
    opened: Sender<OpenedScorers>,
) -> Factory {
    let (sets, mode) = (request.sets.clone(), request.mode);
    let has_labels = request.conditions.is_some();
    Box::new(move || {
        let mut encoder = open()?;
        let scorers = encoded(&sets, mode, has_labels, encoder.as_mut());
        // When a GPU was lost and the model is opened again, nobody waits for it any more.
        let _ = opened.try_send(scorers);
        Ok(encoder)
    })
}

/// Encodes the sets. None is calibrated: what labelled images said of one set is not known of the others.
fn encoded(
    sets: &[PromptSet; 2],
    mode: Mode,
    has_labels: bool,
    encoder: &mut dyn Encoder,
) -> OpenedScorers {
    let mut all: Vec<PromptSet> = sets.to_vec();
    let seeds = if has_labels { 0..PLACEBOS } else { 0..0 };
    for seed in seeds {
        let mut placebo = Placebo::new(seed, |words| encoder.unknown_words(words));
        all.push(placebo.set(&sets[1]));
    }
    let none = Calibrations::default();
    let mut scorers = Vec::with_capacity(all.len());
    for set in all {
        let (own, warnings) = Scorers::new(Prompts::only(set), mode, &none, encoder)?;
        // The engine tells those of the first set.
        if scorers.len() == 1 {
            for warning in warnings {
                print::message(format_args!("warning: {warning}"));
            }
        }
        scorers.push(own);
    }
    Ok(scorers)
}

/// The results of files under the first set, by the index of the file.
struct CollectedRecords {
    count: usize,
    records: BTreeMap<usize, Arc<[Record]>>,
    failures: BTreeMap<usize, Failure>,
}

impl BatchHandler<(usize, PathBuf), usize> for CollectedRecords {
    fn begin(&mut self, (index, path): (usize, PathBuf)) -> Option<(PathBuf, usize)> {
        Some((path, index))
    }

    fn end(&mut self, ended: Ended<usize>, progress: &ProgressLine) -> Result<(), Fault> {
        if let End::Answered(outcomes) = ended.end {
            let mut records = Vec::new();
            let mut failure = None;
            for outcome in outcomes {
                match outcome {
                    Ok(record) => records.push(record),
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
            let records: Arc<[Record]> = records.into();
            for index in ended.waiters {
                if let Some(error) = failure.as_ref().filter(|_| records.is_empty()) {
                    self.failures.insert(index, error.clone());
                } else {
                    self.records.insert(index, Arc::clone(&records));
                }
            }
        }
        let done = self.records.len() + self.failures.len();
        progress.set(done as u64, Some(self.count as u64));
        Ok(())
    }
}

/// The results of a file under each set: the two, then the placebos.
struct ScoredFile {
    index: usize,
    records: Vec<Record>,
}

struct ScoredFiles {
    files: Vec<ScoredFile>,
    failed: usize,
}

/// Scores all images by all sets, and prints which failed.
fn scored(
    opening: &Receiver<OpenedScorers>,
    request: &ComparisonRequest,
    collected: &CollectedRecords,
) -> Result<ScoredFiles, Fault> {
    let scorers = opening.try_recv();
    let scorers = scorers.map_err(|_| Fault::unusable("the model's texts are missing"))?;
    let scorers = scorers.map_err(Fault::unusable)?;
    let mut failed = 0;
    for (index, failure) in &collected.failures {
        let file = &request.files[*index];
        // As everywhere, files that are not images count only if they were named.
        if failure.content.is_image() || file.named {
            failed += 1;
            print::message(format_args!("{}: {}", shown(&file.path), failure.message));
        }
    }
    let files = collected.records.iter().filter_map(|(&index, records)| {
        let by_set = scorers
            .iter()
            .map(|scorers| scorers.rescored(records)?.last().cloned());
        let records: Option<Vec<Record>> = by_set.collect();
        Some(ScoredFile {
            index,
            records: records?,
        })
    });
    Ok(ScoredFiles {
        files: files.collect(),
        failed,
    })
}

impl ScoredFiles {
    fn report(&self, request: &ComparisonRequest) -> Result<ComparisonReport, Fault> {
        let Some(first) = self.files.first() else {
            return Err(Fault::unusable(format!(
                "no image could be classified: {} failed",
                self.failed
            )));
        };
        let is_rejected = |record: &Record| record.verdict.decision == Decision::Rejected;
        let rejected = |set: usize| {
            self.files
                .iter()
                .filter(|file| is_rejected(&file.records[set]))
                .count()
        };
        let changed = self.files.iter().filter_map(|file| {
            let [a, b] = [0, 1].map(|set| FileLabel::of(&file.records[set]));
            let compared = &request.files[file.index];
            let truth = compared.label.zip(request.conditions.as_ref());
            (a.label != b.label).then(|| ChangedFile {
                path: shown(&compared.path),
                truth: truth.map(|(label, names)| names[label].clone()),
                a,
                b,
            })
        });
        let (kept, comparison) = match &request.conditions {
            Some(names) => self.compare(request, names),
            None => (0, None),
        };
        let names = [0, 1].map(|set: usize| first.records[set].prompts.clone());
        let digests = [0, 1].map(|set: usize| first.records[set].prompts_digest.clone());
        Ok(ComparisonReport {
            model: first.records[0].model.clone(),
            model_digest: first.records[0].model_digest.clone(),
            prompts: names,
            prompts_digests: digests,
            images: self.files.len(),
            failed: self.failed,
            rejected: [rejected(0), rejected(1)],
            changed: changed.collect(),
            labelled: request.conditions.as_ref().map(|_| kept),
            placebos: request.conditions.as_ref().map(|_| PLACEBOS),
            seed: request.seed,
            draws: request.draws,
            comparison,
        })
    }

    /// Compares the sets on the labelled images that none of them rejects; also returns the number of these.
    fn compare(
        &self,
        request: &ComparisonRequest,
        names: &[String],
    ) -> (usize, Option<SetComparison>) {
        let mut by_set: Vec<Vec<Case>> = Vec::new();
        let mut kept = 0;
        for file in &self.files {
            let Some(truth) = request.files[file.index].label else {
                continue;
            };
            let cases: Option<Vec<Case>> = file
                .records
                .iter()
                .map(|record| case(names, truth, record))
                .collect();
            let Some(cases) = cases else { continue };
            by_set.resize_with(cases.len(), Vec::new);
            for (own, case) in by_set.iter_mut().zip(cases) {
                own.push(case);
            }
            kept += 1;
        }
        let [a, b, placebos @ ..] = by_set.as_slice() else {
            return (kept, None);
        };
        let compared =
            SetComparison::new(names.len(), (a, b), placebos, request.draws, request.seed);
        (kept, compared)
    }
}

/// The scores and the prediction of a labelled image; `None` if it was rejected.
fn case(names: &[String], truth: usize, record: &Record) -> Option<Case> {
    let verdict = &record.verdict;
    if verdict.decision == Decision::Rejected {
        return None;
    }
    let scores = names.iter().map(|name| {
        let mut scores = verdict.scores.iter();
        let found = scores.find(|score| score.condition == *name);
        found.map_or(0.0, |score| score.probability)
    });
    Some(Case {
        truth,
        predicted: names.iter().position(|name| *name == verdict.label)?,
        scores: scores.collect(),
    })
}
