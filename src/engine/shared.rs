//! The state that the threads of one engine share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use super::explanation::ExplanationRequest;
use super::familiar::Familiarity;
use super::lanes::{Closed, Lane, Lanes};
use super::lint::LintRequest;
use super::maps::PreparedMap;
use super::pool;
use super::scoring::Scorers;
use super::similar::SimilarityRequest;
use super::{Event, EventHandler, Job, Settings};
use crate::encoder::Preprocess;
use crate::learn::LearnedSets;
use crate::library::{Outcome, Record};
use crate::prompts::Prompts;
use crate::scoring::Mode;
use crate::scoring::calibration::Calibrations;

/// Prepared frames that may wait per lane: as many as the largest batch on a CPU, so that the model rarely waits for a decode.
/// Raised when the model runs on a GPU.
const PREPARED_CAPACITY: usize = 64;
/// What the decoding threads need to know of the model.
pub(super) struct Preparation {
    pub(super) preprocess: Preprocess,
    /// The key of the model's embeddings in the store; `None` if they are not stored.
    pub(super) embedding_key: Option<String>,
}

/// The state of an unfinished job.
#[derive(Clone, Copy)]
pub(super) struct OpenJob {
    pub(super) lane: Lane,
    pub(super) is_cancelled: bool,
}

/// The state that all threads of one engine share.
pub(super) struct EngineShared {
    pub(super) settings: Settings,
    pub(super) handler: EventHandler,
    pub(super) jobs: Lanes<Job>,
    pub(super) prepared: Lanes<pool::PreparedFrame>,
    /// Set once the model is open, to `None` if it cannot be used.
    pub(super) preparation: OnceLock<Option<Preparation>>,
    /// Decoding threads still running.
    pub(super) decoders: AtomicUsize,
    /// Jobs that were accepted and are not finished, by generation.
    pub(super) open_jobs: Mutex<HashMap<u64, OpenJob>>,
    /// Whether queued jobs are to be dropped.
    pub(super) is_stopped: AtomicBool,
    /// Whether the model cannot be used (any more).
    pub(super) has_failed: AtomicBool,
    /// The prompts in use, as the model has encoded them; `None` before the model is open.
    pub(super) scorers: RwLock<Option<Arc<Scorers>>>,
    /// The prompts and the mode to use from the next batch on.
    pub(super) next_prompts: Mutex<Option<(Prompts, Mode, u64)>>,
    /// The query to answer before the next batch.
    pub(super) next_comparison: Mutex<Option<SimilarityRequest>>,
    /// The image to explain before the next batch.
    pub(super) next_explanation: Mutex<Option<ExplanationRequest>>,
    /// The draft to look at before the next batch.
    pub(super) next_lint: Mutex<Option<LintRequest>>,
    /// The image to map before the next batch.
    pub(super) next_map: Mutex<Option<PreparedMap>>,
    /// The generation of the map that was requested last.
    pub(super) latest_map: AtomicU64,
    /// What labelled images say about the scores of models and prompt sets.
    pub(super) calibrations: RwLock<Calibrations>,
    /// What was learned from reviews.
    pub(super) learned: RwLock<LearnedSets>,
    /// Which images are like those that people have reviewed.
    pub(super) familiar: Arc<Familiarity>,
}

impl EngineShared {
    /// The state of an engine with so many decoding threads, none of which runs.
    pub(super) fn new(settings: Settings, handler: EventHandler, decoders: usize) -> Self {
        let (calibrations, learned) = (settings.calibrations.clone(), settings.learned.clone());
        Self {
            settings,
            handler,
            // `crate::jobs` bounds it.
            jobs: Lanes::new(usize::MAX),
            prepared: Lanes::new(PREPARED_CAPACITY),
            preparation: OnceLock::new(),
            decoders: AtomicUsize::new(decoders),
            open_jobs: Mutex::default(),
            is_stopped: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            scorers: RwLock::default(),
            next_prompts: Mutex::default(),
            next_comparison: Mutex::default(),
            next_explanation: Mutex::default(),
            next_lint: Mutex::default(),
            next_map: Mutex::default(),
            latest_map: AtomicU64::new(0),
            calibrations: RwLock::new(calibrations),
            learned: RwLock::new(learned),
            familiar: Arc::default(),
        }
    }

    /// Ignores poisoning: entries are only inserted, changed and removed whole, so a panic leaves the map consistent.
    pub(super) fn open_jobs(&self) -> MutexGuard<'_, HashMap<u64, OpenJob>> {
        self.open_jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a job is unfinished, and neither cancelled nor dropped by [`Engine::stop`](super::Engine::stop).
    pub(super) fn is_wanted(&self, job: &Job) -> bool {
        let is_cancelled = || {
            let open = self.open_jobs();
            open.get(&job.generation).is_none_or(|job| job.is_cancelled)
        };
        !self.is_stopped.load(Ordering::Relaxed) && !is_cancelled()
    }

    /// A job's current lane, which [`Engine::promote`](super::Engine::promote) may have changed.
    pub(super) fn lane(&self, job: &Job) -> Lane {
        let open = self.open_jobs();
        open.get(&job.generation).map_or(job.lane, |open| open.lane)
    }

    /// Ends a job with its outcomes, unless it has ended.
    pub(super) fn finish_job(&self, job: &Job, outcomes: Vec<Outcome>) {
        let ended = self.open_jobs().remove(&job.generation);
        if ended.is_some() {
            (self.handler)(Event::Done {
                path: job.path.clone(),
                generation: job.generation,
                outcomes,
            });
        }
    }

    /// Ends a job that is no longer wanted, unless it has ended.
    pub(super) fn drop_job(&self, job: &Job) {
        let generation = job.generation;
        let ended = self.open_jobs().remove(&generation);
        if ended.is_some() {
            (self.handler)(Event::Dropped { generation });
        }
    }

    pub(super) fn submit(&self, job: Job) -> Result<(), Closed> {
        let (lane, generation) = (job.lane, job.generation);
        let open = OpenJob {
            lane,
            is_cancelled: false,
        };
        self.open_jobs().insert(generation, open);
        if lane == Lane::Bulk {
            self.prepared.expect_bulk();
        }
        self.jobs.push(lane, job).inspect_err(|_| {
            self.open_jobs().remove(&generation);
            if lane == Lane::Bulk {
                self.prepared.resolve_bulk();
            }
        })
    }

    /// Asks the engine thread to use other prompts or another mode, and wakes it.
    pub(super) fn request_prompts(&self, prompts: Prompts, mode: Mode, revision: u64) {
        let next = &self.next_prompts;
        *next.lock().unwrap_or_else(PoisonError::into_inner) = Some((prompts, mode, revision));
        self.prepared.wake();
    }

    /// Takes the prompts that were requested last, if any.
    pub(super) fn requested_prompts(&self) -> Option<(Prompts, Mode, u64)> {
        let mut next = self
            .next_prompts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        next.take()
    }

    /// What was learned from reviews, as it is now.
    pub(super) fn learned(&self) -> LearnedSets {
        let learned = self.learned.read();
        learned.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The calibrations, as they are now.
    pub(super) fn calibrations(&self) -> Calibrations {
        let calibrations = self.calibrations.read();
        calibrations.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_calibrations(&self, calibrations: Calibrations) {
        let current = self.calibrations.write();
        *current.unwrap_or_else(PoisonError::into_inner) = calibrations;
    }

    pub(super) fn set_learned(&self, learned: LearnedSets) {
        *self.learned.write().unwrap_or_else(PoisonError::into_inner) = learned;
    }

    /// Asks the engine thread to compare images with a query, and wakes it.
    pub(super) fn request_comparison(&self, request: SimilarityRequest) {
        let next = &self.next_comparison;
        *next.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
        self.wake();
    }

    /// Takes the query that was requested last, if any.
    pub(super) fn requested_comparison(&self) -> Option<SimilarityRequest> {
        let next = self.next_comparison.lock();
        next.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Asks the engine thread to explain an image, and wakes it.
    pub(super) fn request_explanation(&self, request: ExplanationRequest) {
        let next = &self.next_explanation;
        *next.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
        self.wake();
    }

    /// Takes the image to be explained, if there is one.
    pub(super) fn requested_explanation(&self) -> Option<ExplanationRequest> {
        let next = self.next_explanation.lock();
        next.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Hands a draft to the engine thread, and wakes it.
    pub(super) fn request_lint(&self, request: LintRequest) {
        let next = &self.next_lint;
        *next.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
        self.wake();
    }

    /// Takes the draft to be looked at, if there is one.
    pub(super) fn requested_lint(&self) -> Option<LintRequest> {
        let next = self.next_lint.lock();
        next.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Hands an image to be mapped to the engine thread, and wakes it.
    pub(super) fn put_map(&self, prepared: PreparedMap) {
        let next = self.next_map.lock();
        let mut next = next.unwrap_or_else(PoisonError::into_inner);
        // A decoding thread that was overtaken must not replace what was requested later.
        let waits = next.as_ref().map(|other| other.request.generation);
        if waits.is_none_or(|waits| waits < prepared.request.generation) {
            *next = Some(prepared);
        }
        drop(next);
        self.wake();
    }

    /// Takes the image to be mapped, if there is one.
    pub(super) fn prepared_map(&self) -> Option<PreparedMap> {
        let next = self.next_map.lock();
        next.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Puts scorers into use, and sends an event about that. Events of [`Self::with_scorers`] before it are about the previous
    /// scorers, those after it about these.
    pub(super) fn publish_scorers(&self, scorers: Arc<Scorers>, event: Event) {
        let mut current = self.scorers.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(scorers);
        (self.handler)(event);
    }

    /// The scorers in use. What is done with them may be out of date when it is done.
    pub(super) fn current_scorers(&self) -> Option<Arc<Scorers>> {
        let current = self.scorers.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends the event that `work` makes with the scorers in use.
    pub(super) fn with_scorers(&self, work: impl FnOnce(Option<&Scorers>) -> Event) {
        let current = self.scorers.read().unwrap_or_else(PoisonError::into_inner);
        (self.handler)(work(current.as_deref()));
    }

    /// Stores results in the library, one slice per file, if they are meant for it.
    pub(super) fn store(&self, files: Vec<Arc<[Record]>>) {
        if let Some(library) = &self.settings.library
            && self.settings.stores_results
            && files.iter().any(|records| !records.is_empty())
        {
            library.put_results(files);
        }
    }

    /// Notes that a decoding thread has ended; closes the queue of prepared frames after the last one.
    pub(super) fn decoder_ended(&self) {
        if self.decoders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.prepared.close();
        }
    }

    /// Reports that the model cannot be used, refuses further jobs, and releases the decoding threads that wait for it.
    pub(super) fn fail(&self, message: String) {
        self.has_failed.store(true, Ordering::SeqCst);
        // Before any job is dropped because of it.
        (self.handler)(Event::Failed { message });
        let _ = self.preparation.set(None);
        self.jobs.close();
        self.refuse_requests();
    }

    /// As [`Self::fail`], for an engine thread that has panicked: ends the jobs too, which would wait for it for ever.
    pub(super) fn crash(&self) {
        self.fail("the engine has ended: internal error; see the log".to_owned());
        // Nobody takes frames any more, nor resumes what was paused.
        self.prepared.close();
        self.jobs.resume_bulk();
        let open = std::mem::take(&mut *self.open_jobs());
        for generation in open.into_keys() {
            (self.handler)(Event::Dropped { generation });
        }
    }

    /// Wakes the engine thread for a request; refuses it if that thread will not serve it.
    fn wake(&self) {
        self.prepared.wake();
        if self.has_failed.load(Ordering::SeqCst) {
            self.refuse_requests();
        }
    }

    /// Answers the requests that wait. Prompts are kept: they are for the next model, too.
    fn refuse_requests(&self) {
        let reason = || "there is no model".to_owned();
        if let Some(request) = self.requested_comparison() {
            (self.handler)(Event::Compared {
                generation: request.generation,
                outcome: Err(reason()),
            });
        }
        if let Some(request) = self.requested_explanation() {
            (self.handler)(Event::Explained {
                generation: request.generation,
                outcome: Err(reason()),
            });
        }
        if let Some(prepared) = self.prepared_map() {
            (self.handler)(Event::Mapped {
                generation: prepared.request.generation,
                outcome: Err(reason()),
            });
        }
        if let Some(request) = self.requested_lint() {
            request.refuse(reason());
        }
    }
}
