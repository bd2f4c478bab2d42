//! Files in, outcomes out. A pool decodes and prepares on the CPU, one thread owns the model; between them bounded
//! queues with two lanes, so that the file under the cursor goes ahead of a long batch.
//!
//! ```text
//! submit ─► jobs (2 lanes) ─► pool: decode, preprocess ─► prepared (2 lanes) ─► engine thread: encode, score ─► Event
//! ```
//!
//! [`crate::jobs`] decides what is submitted, and bounds how much.

mod lanes;
pub mod phrases;
mod pool;
mod rescore;
mod worker;

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use serde::{Deserialize, Serialize};

use crate::encoder::{Encoder, EncoderError, Preprocess};
use crate::library::{Embeddings, Outcome};
use crate::prompts::Prompts;
use crate::scoring::Mode;
use lanes::Lanes;
pub use lanes::{Closed, Lane};
pub(crate) use pool::{Decoding, apply, decode};
pub use rescore::Known;
use rescore::Order;

/// Prepared pictures that may wait per lane: two full batches, so that the model never waits for a slow decode.
const PREPARED: usize = 64;
/// How much below other programs the threads run that keep a core busy (`nice`).
const NICENESS: i32 = 5;
/// The same where someone waits: below the interface, and the pictures that it shows, on the same cores.
const NICENESS_BEHIND_INTERFACE: i32 = 10;

/// One file to classify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The file, as results shall name it.
    pub path: PathBuf,
    /// Who goes first.
    pub lane: Lane,
    /// Names the job, and comes back with its answer. No other job of the engine has it.
    pub generation: u64,
}

/// Which frames of a file are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Frames {
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
    /// One condition of many, or each alone.
    pub mode: Mode,
    /// Frames of multi-frame files.
    pub frames: Frames,
    /// Upper limit of a batch; `None`: by measurement.
    pub batch_size: Option<usize>,
    /// Threads that decode; `None`: one per core.
    pub jobs: Option<usize>,
    /// Decode large JPEGs whole, not at reduced scale.
    pub exact: bool,
    /// How long a pass over files in bulk may take; an interactive one never waits longer.
    pub pass: Duration,
    /// Where embeddings are kept, and looked for before a picture is decoded; not those of phantoms.
    pub kept: Option<Arc<Embeddings>>,
}

impl Settings {
    fn niceness(&self) -> i32 {
        if self.pass > PROMPT {
            NICENESS
        } else {
            NICENESS_BEHIND_INTERFACE
        }
    }
}

/// A pass where someone waits for the file under the cursor.
pub const PROMPT: Duration = Duration::from_millis(300);
/// A pass where nobody does: large ones cost less a picture, and memory.
pub const BULK: Duration = Duration::from_millis(800);

/// What the engine says; delivered to the sink from its threads.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The model is being read.
    Loading,
    /// The model answers from now on. Said a second time, with the reason among the warnings, when its device was lost and
    /// another goes on.
    Ready {
        /// Its name.
        model: String,
        /// Its device.
        device: String,
        /// Name of the prompt set.
        prompts: String,
        /// The model knows phantoms only: a real one is needed for patients' pictures.
        synthetic_only: bool,
        /// What the user should know, one sentence each.
        warnings: Vec<String>,
    },
    /// The model or the prompts cannot be used. Nothing more will come.
    Failed {
        /// What, why, and what to do.
        message: String,
    },
    /// A file is through: one outcome, or one per frame and their aggregate. Each job ends by this or by `Dropped`, once.
    Done {
        /// The job's file.
        path: PathBuf,
        /// The job's generation.
        generation: u64,
        /// At least one.
        outcomes: Vec<Outcome>,
    },
    /// A file was let go without an answer: it was cancelled, or there is no model.
    Dropped {
        /// The job's generation.
        generation: u64,
    },
    /// The answer to [`Engine::use_prompts`]: what is answered from now on is scored by these.
    Prompts {
        /// Name of the prompt set.
        prompts: String,
        /// What the user should know, one sentence each.
        warnings: Vec<String>,
    },
    /// The same, when they cannot be used; those before stay.
    PromptsFailed {
        /// What, why, and what to do.
        message: String,
    },
    /// Part of the answer to [`Engine::rescore`].
    Rescored {
        /// Files with their new results.
        files: Vec<Known>,
        /// How many are still to come.
        left: usize,
    },
    /// After each batch.
    Rate {
        /// Pictures a second through the model, a running mean.
        images_per_second: f64,
        /// Files waiting or at work.
        queued: usize,
    },
}

/// Makes the model, on the engine thread; once more if its device is lost.
pub type Factory = Box<dyn FnMut() -> Result<Box<dyn Encoder>, EncoderError> + Send>;
/// Receives the events.
pub type Sink = Arc<dyn Fn(Event) + Send + Sync>;

/// What a picture is prepared for.
struct Wants {
    preprocess: Preprocess,
    /// What kept embeddings must belong to; `None`: none are kept.
    space: Option<String>,
}

/// What is wanted of a job that is not through.
#[derive(Clone, Copy)]
struct Wish {
    lane: Lane,
    is_cancelled: bool,
}

/// What all threads of one engine share.
struct Shared {
    settings: Settings,
    sink: Sink,
    jobs: Lanes<Job>,
    prepared: Lanes<pool::Prepared>,
    /// What the model wants, as soon as it is known.
    wants: OnceLock<Option<Wants>>,
    /// Decoding threads still running.
    workers: AtomicUsize,
    /// Jobs accepted and not yet through, by generation.
    open: Mutex<HashMap<u64, Wish>>,
    /// Drop what is queued.
    stopped: AtomicBool,
    /// What the engine's thread is to do between two batches.
    orders: Mutex<VecDeque<Order>>,
}

impl Shared {
    /// Only whole entries are added, changed and removed: a panic elsewhere leaves the map whole.
    fn open(&self) -> MutexGuard<'_, HashMap<u64, Wish>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_wanted(&self, job: &Job) -> bool {
        let is_cancelled = || {
            let open = self.open();
            open.get(&job.generation).is_some_and(|w| w.is_cancelled)
        };
        !self.stopped.load(Ordering::Relaxed) && !is_cancelled()
    }

    /// The lane that a job is in now.
    fn lane(&self, job: &Job) -> Lane {
        let open = self.open();
        open.get(&job.generation).map_or(job.lane, |wish| wish.lane)
    }

    /// Reports a file and forgets it.
    fn done(&self, job: &Job, outcomes: Vec<Outcome>) {
        self.open().remove(&job.generation);
        (self.sink)(Event::Done {
            path: job.path.clone(),
            generation: job.generation,
            outcomes,
        });
    }

    /// Forgets a file that nobody waits for.
    fn skip(&self, job: &Job) {
        self.open().remove(&job.generation);
        let generation = job.generation;
        (self.sink)(Event::Dropped { generation });
    }

    fn submit(&self, job: Job) -> Result<(), Closed> {
        let (lane, generation) = (job.lane, job.generation);
        let wish = Wish {
            lane,
            is_cancelled: false,
        };
        self.open().insert(generation, wish);
        if lane == Lane::Bulk {
            self.prepared.expect_bulk();
        }
        self.jobs.push(lane, job).inspect_err(|_| {
            self.open().remove(&generation);
            if lane == Lane::Bulk {
                self.prepared.resolve_bulk();
            }
        })
    }

    fn order(&self, order: Order) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.push_back(order);
        drop(orders);
        self.prepared.wake();
    }

    /// Says that a decoding thread has ended; after the last one nothing more is prepared.
    fn leave(&self) {
        if self.workers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.prepared.close();
        }
    }

    /// The model cannot be used: nothing more is taken, and whoever waits for it is freed.
    fn fail(&self, message: String) {
        // Before files are dropped for it.
        (self.sink)(Event::Failed { message });
        let _ = self.wants.set(None);
        self.jobs.close();
    }
}

/// A running engine. Dropping it stops it without waiting.
pub struct Engine {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// Disconnects when the last thread has ended.
    ended: Receiver<()>,
}

impl Engine {
    /// Starts the threads and returns at once; the model is made by `factory` behind it.
    pub fn start(factory: Factory, settings: Settings, sink: Sink) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let workers = settings.jobs.unwrap_or(cores).max(1);
        let shared = Arc::new(Shared {
            settings,
            sink,
            // The producer bounds it.
            jobs: Lanes::new(usize::MAX),
            prepared: Lanes::new(PREPARED),
            wants: OnceLock::new(),
            workers: AtomicUsize::new(workers),
            open: Mutex::default(),
            stopped: AtomicBool::new(false),
            orders: Mutex::default(),
        });
        let (alive, ended) = bounded::<()>(0);
        let spawn = |name: String, body: Box<dyn FnOnce() + Send>| {
            let alive = alive.clone();
            thread::Builder::new().name(name).spawn(move || {
                let _alive = alive;
                body();
            })
        };
        let mut threads = Vec::with_capacity(workers + 1);
        let engine = Arc::clone(&shared);
        let result = spawn("engine".into(), {
            Box::new(move || worker::run(&engine, factory, cores))
        });
        match result {
            Ok(handle) => threads.push(handle),
            Err(error) => shared.fail(format!("no thread could be started: {error}")),
        }
        for index in 0..workers {
            let pool = Arc::clone(&shared);
            match spawn(
                format!("decode-{index}"),
                Box::new(move || {
                    let _ = rustix::process::nice(pool.settings.niceness());
                    pool::run(&pool);
                }),
            ) {
                Ok(handle) => threads.push(handle),
                // One fewer is slower, not wrong.
                Err(error) if index > 0 => {
                    tracing::warn!("a decoding thread could not be started: {error}");
                    shared.leave();
                }
                Err(error) => {
                    shared.leave();
                    shared.fail(format!("no thread could be started: {error}"));
                }
            }
        }
        Self {
            shared,
            threads,
            ended,
        }
    }

    /// Hands a file over, without waiting. Fails when the engine takes nothing more.
    pub fn submit(&self, job: Job) -> Result<(), Closed> {
        self.shared.submit(job)
    }

    /// Lets a job that is not through go ahead of those in bulk, as far as it has come.
    pub fn promote(&self, generation: u64) {
        let shared = &self.shared;
        match shared.open().get_mut(&generation) {
            Some(wish) => wish.lane = Lane::Interactive,
            None => return,
        }
        shared.jobs.promote(|job| job.generation == generation);
        let of_job = |prepared: &pool::Prepared| prepared.file.job.generation == generation;
        shared.prepared.promote(of_job);
    }

    /// Lets a job go, unless it is through.
    pub fn cancel(&self, generation: u64) {
        if let Some(wish) = self.shared.open().get_mut(&generation) {
            wish.is_cancelled = true;
        }
    }

    /// Scores by other prompts from now on. Answered by [`Event::Prompts`] or [`Event::PromptsFailed`]; every result of before
    /// has been delivered by then.
    pub fn use_prompts(&self, prompts: Prompts) {
        self.shared.order(Order::Prompts(prompts));
    }

    /// Scores files anew from the embeddings in their records, among the batches. Answered by [`Event::Rescored`] parts; other
    /// prompts make an unfinished request pointless. Records of another model are left out.
    pub fn rescore(&self, files: Vec<Known>) {
        self.shared.order(Order::Rescore(files));
    }

    /// Takes no more jobs, finishes those it has, and joins the threads.
    pub fn finish(mut self) {
        self.shared.jobs.close();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }

    /// Drops what is queued and waits at most `wait`. False when a forward pass is still running then.
    pub fn shutdown(mut self, wait: Duration) -> bool {
        self.stop();
        // Nothing is ever sent: the channel only disconnects.
        let ended =
            self.ended.recv_timeout(wait) == Err(crossbeam_channel::RecvTimeoutError::Disconnected);
        if ended {
            for thread in self.threads.drain(..) {
                let _ = thread.join();
            }
        }
        ended
    }

    /// Takes no more jobs and drops what is queued, without waiting.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
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
