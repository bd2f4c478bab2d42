//! The scoring thread: results from embeddings that are in memory or in the library. It needs no model, and so waits for no
//! forward pass.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::learning::LearnRequest;
use super::pool;
use super::scoring::Scorers;
use super::shared::EngineShared;
use super::{Event, NICENESS};
use crate::library::{FileIdentity, Outcome, Record};
use crate::paths;

/// Files scored again per event: a few milliseconds of work for this thread and for the one that takes the results.
const RESCORE_BATCH: usize = 256;
/// Interval at which the library is asked for new reviews.
const REVIEW_INTERVAL: Duration = Duration::from_secs(2);

/// A classified file.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassifiedFile {
    /// The file, as its results name it.
    pub path: PathBuf,
    /// The generation of the job that classified it; returned unchanged.
    pub generation: u64,
    /// The results: one, or one per frame and their aggregate.
    pub records: Arc<[Record]>,
}

/// A file whose result follows from what the library holds.
#[derive(Clone, Debug, PartialEq)]
pub struct RecalledFile {
    /// The file, as it was asked for.
    pub path: PathBuf,
    /// The file now, whose content the library knows.
    pub identity: FileIdentity,
    /// The results: one, or one per frame and their aggregate.
    pub records: Arc<[Record]>,
}

/// A request for the scoring thread.
pub(super) enum ScoringRequest {
    Rescore(Vec<ClassifiedFile>),
    Recall(Vec<PathBuf>),
    Learn(Box<LearnRequest>),
}

/// Serves requests until their channel is closed or the engine stops.
pub(super) fn run(shared: &EngineShared, requests: &Receiver<ScoringRequest>) {
    let _ = rustix::process::nice(NICENESS);
    let mut to_rescore: VecDeque<ClassifiedFile> = VecDeque::new();
    while !shared.is_stopped.load(Ordering::Relaxed) {
        let request = if to_rescore.is_empty() {
            match requests.recv_timeout(REVIEW_INTERVAL) {
                Ok(request) => Some(request),
                Err(RecvTimeoutError::Timeout) => {
                    // It is tried again.
                    let _ = catch_unwind(AssertUnwindSafe(|| note_reviews(shared)));
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        } else {
            requests.try_recv().ok()
        };
        match request {
            Some(ScoringRequest::Rescore(files)) => to_rescore = files.into(),
            Some(ScoringRequest::Recall(paths)) => {
                let missing = || Event::Recalled {
                    files: Vec::new(),
                    missing: paths.clone(),
                };
                contained(shared, || recall(shared, &paths), missing);
            }
            Some(ScoringRequest::Learn(request)) => {
                let refused = || Event::Learned {
                    generation: request.generation,
                    outcome: Err("internal error; see the log".to_owned()),
                };
                contained(shared, || learn(shared, &request), refused);
            }
            None => {
                let part: Vec<ClassifiedFile> = to_rescore
                    .drain(..RESCORE_BATCH.min(to_rescore.len()))
                    .collect();
                let left = to_rescore.len();
                let none = || Event::Rescored {
                    files: Vec::new(),
                    left,
                };
                contained(shared, || rescore(shared, part, left), none);
            }
        }
    }
}

/// Does work that sends its answer; if it panics, sends the other one.
fn contained(shared: &EngineShared, work: impl FnOnce(), answer: impl FnOnce() -> Event) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        (shared.handler)(answer());
    }
}

/// Follows the reviews in the library, whichever process adds them.
fn note_reviews(shared: &EngineShared) {
    if let Some(library) = &shared.settings.library {
        for message in shared.familiar.update(library) {
            (shared.handler)(Event::Noted { message });
        }
    }
}

/// Scores files again; so many are left after them.
fn rescore(shared: &EngineShared, part: Vec<ClassifiedFile>, left: usize) {
    let mut stored = Vec::new();
    shared.with_scorers(|scorers| {
        let rescored = part.into_iter().filter_map(|file| {
            let records = scorers?.rescored(&file.records)?;
            stored.push(Arc::clone(&records));
            Some(ClassifiedFile { records, ..file })
        });
        Event::Rescored {
            files: rescored.collect(),
            left,
        }
    });
    shared.store(stored);
}

/// Looks files up in the library.
fn recall(shared: &EngineShared, paths: &[PathBuf]) {
    let known: Vec<_> = paths
        .iter()
        .map(|path| (path.clone(), known_file(shared, path)))
        .collect();
    let mut stored = Vec::new();
    shared.with_scorers(|scorers| {
        let (mut files, mut missing) = (Vec::new(), Vec::new());
        for (path, known) in known {
            let recalled = known.zip(scorers).and_then(|((identity, file), scorers)| {
                let records = records(&path, file, scorers)?;
                Some((identity, records))
            });
            match recalled {
                Some((identity, records)) => {
                    stored.push(Arc::clone(&records));
                    files.push(RecalledFile {
                        path,
                        identity,
                        records,
                    });
                }
                None => missing.push(path),
            }
        }
        Event::Recalled { files, missing }
    });
    // They may be stored already, but of other prompts.
    shared.store(stored);
}

/// Learns from reviews. The model's texts are encoded by then, or there is no model.
fn learn(shared: &EngineShared, request: &LearnRequest) {
    let scorers = shared.current_scorers();
    let outcome = match scorers {
        Some(scorers) => scorers.proposal(request),
        None => Err("there is no model yet to learn with".to_owned()),
    };
    (shared.handler)(Event::Learned {
        generation: request.generation,
        outcome: outcome.map(Box::new),
    });
}

/// What the library holds of a file; `None` unless that suffices for its result.
fn known_file(shared: &EngineShared, path: &Path) -> Option<(FileIdentity, pool::StoredFile)> {
    let absolute = paths::absolute(path).ok()?;
    let identity = FileIdentity::of(&absolute)?;
    let stored = pool::stored_file(shared, &absolute, identity)?;
    Some((identity, stored))
}

fn records(path: &Path, file: pool::StoredFile, scorers: &Scorers) -> Option<Arc<[Record]>> {
    let results = file.embeddings.into_iter();
    let results = results
        .map(|(frame, embedding)| (frame, Ok(embedding)))
        .collect();
    let outcomes = scorers.outcomes(path, &file.content, &file.order, results);
    outcomes.into_iter().map(Outcome::ok).collect()
}
