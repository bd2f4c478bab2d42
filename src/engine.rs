//! Files in, outcomes out. A pool decodes and prepares on the CPU, one thread owns the model; between them bounded
//! queues with two lanes, so that the file under the cursor goes ahead of a long batch.
//!
//! ```text
//! submit ─► jobs (2 lanes) ─► pool: decode, preprocess ─► prepared (2 lanes) ─► engine thread: encode, score ─► Event
//! ```

mod lanes;
pub mod phrases;
mod pool;
mod rescore;
mod worker;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
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

/// Jobs that may wait per lane before `submit` blocks: paths are small, and the producer should run ahead.
const JOBS: usize = 1024;
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
    /// What asked for it; see [`Engine::cancel`].
    pub generation: u64,
}

/// Which frames of a file are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Frames {
    /// The first by position (of those that have none, as stored).
    #[default]
    First,
    /// The one in the middle, by position.
    Middle,
    /// Each, by position, then their aggregate.
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
    /// A file is through: one outcome, or one per frame and their aggregate.
    Done {
        /// The job's file.
        path: PathBuf,
        /// The job's generation.
        generation: u64,
        /// At least one.
        outcomes: Vec<Outcome>,
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
    /// Files accepted and not yet through.
    open: AtomicUsize,
    /// Generations below this one are no longer wanted.
    wanted_from: AtomicU64,
    /// Drop what is queued.
    stopped: AtomicBool,
    /// What the engine's thread is to do between two batches.
    orders: Mutex<VecDeque<Order>>,
}

impl Shared {
    fn wanted(&self, job: &Job) -> bool {
        !self.stopped.load(Ordering::Relaxed)
            && job.generation >= self.wanted_from.load(Ordering::Relaxed)
    }

    /// Reports a file and forgets it.
    fn done(&self, job: &Job, outcomes: Vec<Outcome>) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        (self.sink)(Event::Done {
            path: job.path.clone(),
            generation: job.generation,
            outcomes,
        });
    }

    /// Forgets a file that nobody waits for.
    fn skip(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    fn submit(&self, job: Job) -> Result<(), Closed> {
        let lane = job.lane;
        self.open.fetch_add(1, Ordering::Relaxed);
        if lane == Lane::Bulk {
            self.prepared.announce();
        }
        self.jobs.push(lane, job).inspect_err(|_| {
            self.skip();
            if lane == Lane::Bulk {
                self.prepared.settle();
            }
        })
    }

    fn order(&self, order: Order) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.push_back(order);
        drop(orders);
        self.prepared.stir();
    }

    /// Says that a decoding thread has ended; after the last one nothing more is prepared.
    fn leave(&self) {
        if self.workers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.prepared.close();
        }
    }

    /// The model cannot be used: nothing more is taken, and whoever waits for it is freed.
    fn fail(&self, message: String) {
        let _ = self.wants.set(None);
        self.jobs.close();
        (self.sink)(Event::Failed { message });
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
            jobs: Lanes::new(JOBS),
            prepared: Lanes::new(PREPARED),
            wants: OnceLock::new(),
            workers: AtomicUsize::new(workers),
            open: AtomicUsize::new(0),
            wanted_from: AtomicU64::new(0),
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

    /// Hands a file over; blocks while the lane is full, so it is not for the interface's thread.
    pub fn submit(&self, job: Job) -> Result<(), Closed> {
        self.shared.submit(job)
    }

    /// A handle for other threads that submit.
    pub fn submitter(&self) -> Submitter {
        Submitter(Arc::clone(&self.shared))
    }

    /// Drops jobs of generations before `generation`, as far as they have not begun.
    pub fn cancel(&self, generation: u64) {
        self.shared
            .wanted_from
            .fetch_max(generation, Ordering::Relaxed);
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

/// Submits jobs from another thread.
#[derive(Clone)]
pub struct Submitter(Arc<Shared>);

impl Submitter {
    /// As [`Engine::submit`].
    pub fn submit(&self, job: Job) -> Result<(), Closed> {
        self.0.submit(job)
    }
}

#[cfg(test)]
#[path = "engine/tests.rs"]
mod tests;
