//! The results of images under each of the prompt sets that are compared.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use super::super::progress::ProgressLine;
use super::super::run::{BatchHandler, Interruption};
use super::super::{Fault, exit, print, shown};
use super::files::{ComparedFile, is_normal};
use super::report::{ChangedFile, ComparisonReport, FileLabel};
use super::{ComparisonRequest, PLACEBOS};
use crate::engine::Scorers;
use crate::jobs::{End, Ended};
use crate::learn::{patient_groups, patient_marks};
use crate::library::{Failure, Record, path_text};
use crate::media::{clean, patient_mark};
use crate::scoring::comparison::SetComparison;
use crate::scoring::metrics::{Bootstrap, Case, CaseGroups, MultiLabelCase};
use crate::scoring::{Decision, Verdict};

/// The results of files under the first set, by the index of the file.
pub(super) struct CollectedRecords {
    /// Number of files.
    count: usize,
    records: BTreeMap<usize, Arc<[Record]>>,
    failures: BTreeMap<usize, Failure>,
}

impl CollectedRecords {
    /// Of so many files.
    pub(super) fn new(count: usize) -> Self {
        Self {
            count,
            records: BTreeMap::new(),
            failures: BTreeMap::new(),
        }
    }
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

impl ScoredFile {
    fn is_rejected_by(&self, set: usize) -> bool {
        self.records[set].verdict.decision == Decision::Rejected
    }
}

/// All images with results.
pub(super) struct ScoredFiles {
    files: Vec<ScoredFile>,
    failed: usize,
}

impl ScoredFiles {
    /// Scores all images by all sets, and prints which failed.
    pub(super) fn new(
        scorers: &[Scorers],
        request: &ComparisonRequest,
        collected: &CollectedRecords,
    ) -> Self {
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
        Self {
            files: files.collect(),
            failed,
        }
    }

    /// What is printed.
    pub(super) fn report(
        &self,
        request: &ComparisonRequest,
        interruption: &Interruption,
    ) -> Result<ComparisonReport, Fault> {
        let Some(first) = self.files.first() else {
            let message = format!("no image could be classified: {} failed", self.failed);
            return Err(Fault {
                code: if self.failed > 0 {
                    exit::SOME_FAILED
                } else {
                    exit::UNUSABLE
                },
                message,
            });
        };
        let rejected = |set: usize| {
            let files = self.files.iter();
            files.filter(|file| file.is_rejected_by(set)).count()
        };
        let changed = self.files.iter().filter_map(|file| {
            let [a, b] = [0, 1].map(|set| FileLabel::of(&file.records[set]));
            let compared = &request.files[file.index];
            let truth = compared.labels.as_ref().zip(request.conditions.as_ref());
            let (path, path_bytes) = path_text(&compared.path);
            (a.label != b.label).then(|| ChangedFile {
                path,
                path_bytes,
                truth: truth.map(|(labels, names)| label_cell(labels, names)),
                a,
                b,
            })
        });
        let (kept, comparison, draws) = match &request.conditions {
            Some(names) => self.compare(request, names, interruption)?,
            None => (0, None, request.draws),
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
            interrupted: interruption.is_there(),
            rejected: [rejected(0), rejected(1)],
            changed: changed.collect(),
            labelled: request.conditions.as_ref().map(|_| kept),
            placebos: request.conditions.as_ref().map(|_| PLACEBOS),
            seed: request.seed,
            draws,
            comparison,
        })
    }

    /// Compares the sets on the labelled images that neither of the two rejects, each content once; also returns the number of these, and
    /// of the bootstrap draws.
    fn compare(
        &self,
        request: &ComparisonRequest,
        names: &[String],
        interruption: &Interruption,
    ) -> Result<(usize, Option<SetComparison>, usize), Fault> {
        let labelled = self.labelled(request)?;
        let bootstrap = |patients: &[Vec<String>]| Bootstrap {
            draws: request.draws,
            seed: request.seed,
            groups: CaseGroups::new(patient_groups(patients)),
        };
        let of_one = labelled.iter().all(|own| own.labels.len() == 1);
        if of_one {
            let case = |labels: &[usize], verdict: &Verdict| Case::of(names, labels[0], verdict);
            let (patients, by_set) = by_set(&labelled, case);
            let [a, b, placebos @ ..] = by_set.as_slice() else {
                return Ok((patients.len(), None, 0));
            };
            let bootstrap = bootstrap(&patients);
            let (compared, made) =
                ProgressLine::of_draws(request.draws, interruption, |progress| {
                    SetComparison::new(names.len(), (a, b), placebos, &bootstrap, progress)
                });
            return Ok((patients.len(), compared, made));
        }
        let case =
            |labels: &[usize], verdict: &Verdict| Some(MultiLabelCase::of(names, labels, verdict));
        let (patients, by_set) = by_set(&labelled, case);
        let [a, b, placebos @ ..] = by_set.as_slice() else {
            return Ok((patients.len(), None, 0));
        };
        let normal = names.iter().map(|name| {
            let mut own = request.sets.iter().filter_map(|set| is_normal(set, name));
            own.any(|is_normal| is_normal)
        });
        let normal: Vec<bool> = normal.collect();
        let bootstrap = bootstrap(&patients);
        let (compared, made) = ProgressLine::of_draws(request.draws, interruption, |progress| {
            SetComparison::of_each(&normal, (a, b), placebos, &bootstrap, progress)
        });
        Ok((patients.len(), compared, made))
    }

    /// The labelled images that neither of the two sets rejects, each content once. An error names copies with different labels.
    fn labelled<'a>(
        &'a self,
        request: &'a ComparisonRequest,
    ) -> Result<Vec<LabelledRecords<'a>>, Fault> {
        let mut firsts: HashMap<&str, &ComparedFile> = HashMap::new();
        let mut labelled = Vec::new();
        for file in &self.files {
            let compared = &request.files[file.index];
            let (Some(labels), false, false) = (
                compared.labels.as_deref(),
                file.is_rejected_by(0),
                file.is_rejected_by(1),
            ) else {
                continue;
            };
            match firsts.insert(&file.records[0].content, compared) {
                Some(first) if first.labels != compared.labels => {
                    return Err(Fault::usage(format!(
                        "{} and {} have the same content and different labels; correct one of them, or leave both out",
                        shown(&first.path),
                        shown(&compared.path)
                    )));
                }
                Some(first)
                    if let [Some(a), Some(b)] = [&first.patient, &compared.patient]
                        && a != b =>
                {
                    return Err(Fault::usage(format!(
                        "{} and {} have the same content and different patients, `{}` and `{}`; correct one of them, or leave both out",
                        shown(&first.path),
                        shown(&compared.path),
                        clean(a),
                        clean(b)
                    )));
                }
                Some(_) => {}
                None => labelled.push(LabelledRecords {
                    labels,
                    patient: compared.patient.as_deref(),
                    records: &file.records,
                }),
            }
        }
        Ok(labelled)
    }
}

/// The labels of an image, and its results under each set.
struct LabelledRecords<'a> {
    labels: &'a [usize],
    patient: Option<&'a str>,
    records: &'a [Record],
}

/// What tells the patients of the images that are cases under all sets, and the cases of each set.
fn by_set<C>(
    labelled: &[LabelledRecords],
    case: impl Fn(&[usize], &Verdict) -> Option<C>,
) -> (Vec<Vec<String>>, Vec<Vec<C>>) {
    let mut by_set: Vec<Vec<C>> = Vec::new();
    let mut patients = Vec::new();
    for own in labelled {
        let cases = own.records.iter();
        let cases = cases.map(|record| case(own.labels, &record.verdict));
        let Some(cases) = cases.collect::<Option<Vec<C>>>() else {
            continue;
        };
        by_set.resize_with(cases.len(), Vec::new);
        for (all, case) in by_set.iter_mut().zip(cases) {
            all.push(case);
        }
        let named = own.patient.and_then(patient_mark);
        patients.push(patient_marks(named.as_deref(), &own.records[0].origin));
    }
    (patients, by_set)
}

/// What an image shows, as a table names it.
fn label_cell(labels: &[usize], names: &[String]) -> String {
    let names: Vec<&str> = labels.iter().map(|label| names[*label].as_str()).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join("; ")
    }
}
