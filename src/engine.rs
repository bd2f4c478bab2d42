//! Classifies files: jobs in, events out. A pool of threads decodes and preprocesses on the CPU, one thread owns the model. The
//! queues between them have two lanes, so that the file under the cursor overtakes files in bulk.
//!
//! ```text
//! submit ─► jobs (2 lanes) ─► pool: decode, preprocess ─► prepared (2 lanes) ─► engine thread: encode, score ─► Event
//! compare ─► engine thread, between two passes: encode texts, compare ─► Event
//! explain ─► engine thread, between two passes: encode texts, explain ─► Event
//! lint ─► engine thread, between two passes: encode and compare phrases ─► the asking thread
//! map ─► a thread: decode, preprocess ─► engine thread, between two passes: heat map, then its check ─► Event
//! rescore, recall ─► scoring thread: score embeddings that are in memory or in the library ─► Event
//! ```
//!
//! [`crate::jobs`] decides what is submitted, and how much at a time.

pub mod explanation;
mod familiar;
mod lanes;
pub mod learning;
mod lint;
mod maps;
mod nature;
mod outcomes;
pub mod phrases;
mod pool;
mod purpose;
mod rescore;
mod scoring;
mod shared;
mod similar;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use serde::{Deserialize, Serialize};

use crate::encoder::{Encoder, EncoderError};
use crate::learn::LearnedSets;
use crate::library::{Library, Outcome};
use crate::prompts::Prompts;
use crate::scoring::Mode;
use crate::scoring::calibration::Calibrations;
use crate::scoring::heat_map::PlacedMap;
use crate::scoring::heat_map::deletion::DeletionCheck;
use explanation::{ExplanationRequest, PhraseExplanation};
pub use lanes::{Closed, Lane};
use learning::{LearnRequest, Proposal};
pub use lint::PhraseLinter;
pub use maps::MapRequest;
pub use nature::{ImageNature, NatureReader};
pub use pool::StoredFile;
pub(crate) use pool::{Decoding, decode_frame, preprocess_frame};
use rescore::ScoringRequest;
pub use rescore::{ClassifiedFile, RecalledFile};
pub use scoring::{Scorers, check_mode};
use shared::EngineShared;
pub use similar::{QuerySubject, Similarities, SimilarityRequest};
pub use worker::embedding_key;

/// Niceness of the threads that keep a core busy.
const NICENESS: i32 = 5;
/// Niceness of these threads while there is an interface, which decodes images on the same cores.
const NICENESS_BEHIND_INTERFACE: i32 = 10;

/// One file to classify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The file, as its results name it.
    pub path: PathBuf,
    /// Its priority.
    pub lane: Lane,
    /// Identifies the job among all jobs of this engine, and comes back with its result.
    pub generation: u64,
}

/// Which frames of a multi-frame file are classified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum FrameSelection {
    /// The first frame by position (without positions, as stored).
    #[default]
    First,
    /// The middle frame by position.
    Middle,
    /// All frames by position, then their aggregate.
    All,
}

/// How to classify.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The prompt sets.
    pub prompts: Prompts,
    /// Whether one condition applies, or each on its own.
    pub mode: Mode,
    /// What labelled images say about the scores of models and prompt sets.
    pub calibrations: Calibrations,
    /// What was learned from reviews for models and prompt sets.
    pub learned: LearnedSets,
    /// Which frames of multi-frame files.
    pub frames: FrameSelection,
    /// Maximum batch size; `None` means the engine's own.
    pub batch_size: Option<usize>,
    /// Number of decoding threads; `None` means one per core.
    pub decode_threads: Option<usize>,
    /// Whether to decode large JPEGs in full instead of at a reduced scale.
    pub exact: bool,
    /// Target duration of a forward pass over files in bulk; an interactive file waits for one such pass at most.
    pub pass_time: Duration,
    /// The library, which is consulted before a file is opened and before an image is decoded.
    pub library: Option<Arc<Library>>,
    /// Whether results are stored in the library, where they replace earlier ones of the same model and prompts. Embeddings always
    /// are. False where scores are not those that the library should hold, as without what was learned or calibrated.
    pub stores_results: bool,
}

impl Settings {
    fn niceness(&self) -> i32 {
        if self.pass_time > INTERACTIVE_PASS_TIME {
            NICENESS
        } else {
            NICENESS_BEHIND_INTERFACE
        }
    }
}

/// [`Settings::pass_time`] while a user may be waiting for the file under the cursor.
pub const INTERACTIVE_PASS_TIME: Duration = Duration::from_millis(300);
/// [`Settings::pass_time`] without a user: larger batches cost less time per image, and more memory.
pub const BULK_PASS_TIME: Duration = Duration::from_millis(800);

/// A message of the engine, delivered to its handler from the engine's threads.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The model is being opened.
    Loading,
    /// The model is ready. Sent again when its device was lost and another takes over, with the reason among the warnings.
    Ready {
        /// The model's name.
        model: String,
        /// The model's device.
        device: String,
        /// The prompt set's name.
        prompts: String,
        /// Whether it is the built-in model, which judges findings of phantoms only.
        is_builtin: bool,
        /// What the user should know, one sentence each.
        warnings: Vec<String>,
    },
    /// The model or the prompts cannot be used. No job will be classified any more.
    Failed {
        /// What failed, why, and what to do.
        message: String,
    },
    /// A job has finished, with one outcome, or one per frame and their aggregate. Every job ends with exactly one `Done` or
    /// `Dropped`.
    Done {
        /// The job's file.
        path: PathBuf,
        /// The job's generation.
        generation: u64,
        /// At least one.
        outcomes: Vec<Outcome>,
    },
    /// A job ended without a result, because it was cancelled or there is no model.
    Dropped {
        /// The job's generation.
        generation: u64,
    },
    /// [`Engine::use_prompts`] has taken effect: later results are scored with these prompts.
    Prompts {
        /// The prompt set's name.
        prompts: String,
        /// Whether one condition applies, or each on its own.
        mode: Mode,
        /// What the user should know, one sentence each.
        warnings: Vec<String>,
        /// The number of the request.
        revision: u64,
    },
    /// [`Engine::use_prompts`] failed; the previous prompts and mode stay in use.
    PromptsFailed {
        /// The number of the request.
        revision: u64,
        /// What failed, why, and what to do.
        message: String,
    },
    /// Part of the result of [`Engine::rescore`].
    Rescored {
        /// Files with their new results.
        files: Vec<ClassifiedFile>,
        /// How many files are still to come.
        left: usize,
    },
    /// The result of [`Engine::recall`].
    Recalled {
        /// Files with the results that follow from the library.
        files: Vec<RecalledFile>,
        /// The other files.
        missing: Vec<PathBuf>,
    },
    /// The result of [`Engine::learn`].
    Learned {
        /// The number of the request.
        generation: u64,
        /// What was learned and what it changes, or why nothing was.
        outcome: Result<Box<Proposal>, String>,
    },
    /// The result of [`Engine::compare`].
    Compared {
        /// The number of the request.
        generation: u64,
        /// The similarities, or why there are none.
        outcome: Result<Similarities, String>,
    },
    /// The result of [`Engine::explain`].
    Explained {
        /// The number of the request.
        generation: u64,
        /// What the phrases contribute, or why that cannot be said.
        outcome: Result<PhraseExplanation, String>,
    },
    /// The result of [`Engine::map`]. Its deletion check follows in [`Event::MapChecked`].
    Mapped {
        /// The number of the request.
        generation: u64,
        /// The map, or why there is none.
        outcome: Result<Arc<PlacedMap>, String>,
    },
    /// The deletion check of a map, which shows whether to believe it.
    MapChecked {
        /// The number of the request.
        generation: u64,
        /// The check, or why it failed.
        outcome: Result<DeletionCheck, String>,
    },
    /// Reviews have changed what is done from now on.
    Noted {
        /// What, in a sentence.
        message: String,
    },
    /// The throughput, sent after each batch.
    Rate {
        /// Images per second through the model, as a running mean.
        images_per_second: f64,
        /// Jobs that are waiting or in progress.
        queued: usize,
    },
}

/// Opens the model. Called on the engine thread; again if the model's device is lost.
pub type Factory = Box<dyn FnMut() -> Result<Box<dyn Encoder>, EncoderError> + Send>;
/// Receives the events.
pub type EventHandler = Arc<dyn Fn(Event) + Send + Sync>;

/// A running engine. Dropping it stops it without waiting.
pub struct Engine {
    shared: Arc<EngineShared>,
    /// Requests for the scoring thread, which ends with this sender.
    scoring: Option<Sender<ScoringRequest>>,
    threads: Vec<JoinHandle<()>>,
    /// Disconnects when the last thread has ended.
    ended: Receiver<()>,
}

impl Engine {
    /// Starts the threads and returns immediately; `factory` opens the model on the engine thread.
    pub fn start(factory: Factory, settings: Settings, handler: EventHandler) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let decoders = settings.decode_threads.unwrap_or(cores).max(1);
        let shared = Arc::new(EngineShared::new(settings, handler, decoders));
        let (alive, ended) = bounded::<()>(0);
        let spawn = |name: String, body: Box<dyn FnOnce() + Send>| {
            let alive = alive.clone();
            thread::Builder::new().name(name).spawn(move || {
                let _alive = alive;
                body();
            })
        };
        let mut threads = Vec::with_capacity(decoders + 1);
        let engine = Arc::clone(&shared);
        let result = spawn("engine".into(), {
            Box::new(move || worker::run(&engine, factory, cores))
        });
        match result {
            Ok(handle) => threads.push(handle),
            Err(error) => shared.fail(format!("cannot start the engine thread: {error}")),
        }
        let (scoring, requests) = unbounded();
        let scores = Arc::clone(&shared);
        match spawn(
            "score".into(),
            Box::new(move || rescore::run(&scores, &requests)),
        ) {
            Ok(handle) => threads.push(handle),
            Err(error) => shared.fail(format!("cannot start the scoring thread: {error}")),
        }
        for index in 0..decoders {
            let pool = Arc::clone(&shared);
            match spawn(
                format!("decode-{index}"),
                Box::new(move || {
                    let _ = rustix::process::nice(pool.settings.niceness());
                    pool::run(&pool);
                }),
            ) {
                Ok(handle) => threads.push(handle),
                // With fewer threads it is only slower.
                Err(error) if index > 0 => {
                    tracing::warn!("cannot start a decoding thread: {error}");
                    shared.decoder_ended();
                }
                Err(error) => {
                    shared.decoder_ended();
                    shared.fail(format!("cannot start a decoding thread: {error}"));
                }
            }
        }
        Self {
            shared,
            scoring: Some(scoring),
            threads,
            ended,
        }
    }

    /// Queues a job, without waiting. Fails if the engine accepts no more jobs.
    pub fn submit(&self, job: Job) -> Result<(), Closed> {
        self.shared.submit(job)
    }

    /// Moves an unfinished job to the interactive lane, whichever queue it is in.
    pub fn promote(&self, generation: u64) {
        let shared = &self.shared;
        match shared.open_jobs().get_mut(&generation) {
            Some(job) => job.lane = Lane::Interactive,
            None => return,
        }
        shared.jobs.promote(|job| job.generation == generation);
        let of_job = |prepared: &pool::PreparedFrame| prepared.file.job.generation == generation;
        shared.prepared.promote(of_job);
    }

    /// Cancels a job unless it is finished.
    pub fn cancel(&self, generation: u64) {
        if let Some(job) = self.shared.open_jobs().get_mut(&generation) {
            job.is_cancelled = true;
        }
    }

    /// Changes the prompts and the mode. Answered by [`Event::Prompts`] or [`Event::PromptsFailed`], which follows all results under the
    /// previous prompts, with the number `revision`. A later call supersedes one that has not taken effect.
    pub fn use_prompts(&self, prompts: Prompts, mode: Mode, revision: u64) {
        self.shared.request_prompts(prompts, mode, revision);
    }

    /// Scores files again from the embeddings in their records, in the order given. Answered by [`Event::Rescored`] in parts.
    /// Files that another model encoded are left out. A later call supersedes an unfinished one.
    pub fn rescore(&self, files: Vec<ClassifiedFile>) {
        self.score(ScoringRequest::Rescore(files));
    }

    /// Scores files from what the library holds of them, without opening them. Answered by one [`Event::Recalled`], once the
    /// model is open or has failed. A few hundred files at a time, as they are answered together.
    pub fn recall(&self, files: Vec<PathBuf>) {
        self.score(ScoringRequest::Recall(files));
    }

    /// Learns from images and their reviews. Answered by [`Event::Learned`], once the model is open.
    pub fn learn(&self, request: LearnRequest) {
        self.score(ScoringRequest::Learn(Box::new(request)));
    }

    /// Scores with what was learned from now on, as soon as [`Self::use_prompts`] takes effect, which has to follow.
    pub fn use_learned(&self, learned: LearnedSets) {
        self.shared.set_learned(learned);
    }

    /// Calibrates with these from now on, as soon as [`Self::use_prompts`] takes effect, which has to follow.
    pub fn use_calibrations(&self, calibrations: Calibrations) {
        self.shared.set_calibrations(calibrations);
    }

    /// Compares images with a query, between two forward passes. Answered by [`Event::Compared`], once the model is open. A later
    /// call supersedes one that has not begun.
    pub fn compare(&self, request: SimilarityRequest) {
        self.shared.request_comparison(request);
    }

    /// Explains the scores of an image by its phrases, between two forward passes. Answered by [`Event::Explained`], once the model is
    /// open. A later call supersedes one that has not begun.
    pub fn explain(&self, request: ExplanationRequest) {
        self.shared.request_explanation(request);
    }

    /// Asks the model about phrases from other threads.
    pub fn linter(&self) -> PhraseLinter {
        PhraseLinter::new(&self.shared)
    }

    /// Makes a heat map, between two forward passes. Answered by [`Event::Mapped`] and then by [`Event::MapChecked`], once the model
    /// is open. A later call supersedes an unfinished one, which may then go unanswered; its generation must be higher.
    pub fn map(&self, request: MapRequest) {
        maps::prepare(&self.shared, request);
    }

    fn score(&self, request: ScoringRequest) {
        if let Some(scoring) = &self.scoring {
            // Fails only when the engine is ending.
            let _ = scoring.send(request);
        }
    }

    /// Accepts no more jobs, finishes those it has, and joins the threads.
    pub fn finish(mut self) {
        self.shared.jobs.close();
        self.scoring = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }

    /// Drops queued jobs and waits at most `timeout` for the threads. False if they are still running, as during a long
    /// forward pass.
    pub fn shutdown(mut self, timeout: Duration) -> bool {
        self.stop();
        self.scoring = None;
        // Nothing is ever sent: the channel only disconnects.
        let has_ended = self.ended.recv_timeout(timeout)
            == Err(crossbeam_channel::RecvTimeoutError::Disconnected);
        if has_ended {
            for thread in self.threads.drain(..) {
                let _ = thread.join();
            }
        }
        has_ended
    }

    /// Accepts no more jobs and drops those queued, without waiting.
    pub fn stop(&self) {
        self.shared.is_stopped.store(true, Ordering::Relaxed);
        self.shared.jobs.close();
        self.shared.prepared.close();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
#[path = "engine/tests.rs"]
mod tests;
