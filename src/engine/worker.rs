//! The thread that owns the model.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pool::{Opened, Prepared, Ready};
use super::rescore::{Known, Scorers};
use super::{Event, Factory, Settings, Shared, Wants};
use crate::encoder::{
    Encoder, EncoderError, Input, give_up_gpu, gpu_note, is_direction, limit_threads,
    step_back_on_cpu,
};
use crate::library::{self, Failure, Outcome, Provenance};
use crate::media::{ErrorKind, Picture, Pixels};
use crate::prompts::Prompts;
use crate::scoring::{Mode, Verdict};

/// Batches beyond these gain nothing on any device tried, and cost memory.
const CPU_BATCH: usize = 64;
const GPU_BATCH: usize = 256;
/// How long a GPU that has nothing to do waits for a fuller batch: it takes as long for one picture as for ten.
const GATHER: Duration = Duration::from_millis(20);
/// The first batches, before anything is measured.
const FIRST_BATCH: usize = 4;
/// Weight of the newest measurement in the running mean.
const EMA_WEIGHT: f64 = 0.3;

/// What the rejection of a real picture by a model for phantoms says.
const NOT_FOR_PATIENTS: &str = "the demo model knows only synthetic phantoms; `medivision-tui models pull biomedclip` gets one for real pictures";

/// Reads the model, answers until the queue is closed and empty.
pub(super) fn run(shared: &Shared, factory: Factory, cores: usize) {
    limit_threads(cores);
    step_back_on_cpu(shared.settings.niceness());
    (shared.sink)(Event::Loading);
    let made = catch_unwind(AssertUnwindSafe(|| Worker::new(shared, factory)));
    match made {
        Ok(Ok(mut worker)) => worker.serve(),
        Ok(Err(message)) => shared.fail(message),
        Err(_) => shared.fail("the model could not be read: a fault inside; see the log".into()),
    }
}

/// A frame and its unit embedding.
type FrameResult = (u32, Result<Arc<[f32]>, Failure>);

/// Pictures that go through the model together.
struct Pass {
    /// Where each comes from.
    frames: Vec<(Arc<Opened>, u32)>,
    inputs: Vec<Input>,
    begun: Instant,
}

pub(super) struct Worker<'a> {
    pub(super) shared: &'a Shared,
    factory: Factory,
    pub(super) encoder: Box<dyn Encoder>,
    /// What the model's embeddings belong to; `None`: they are not kept.
    space: Option<String>,
    pub(super) scorers: Scorers,
    /// Files to be scored anew.
    pub(super) again: VecDeque<Known>,
    /// Results of files with several frames, of which more are to come.
    partial: HashMap<*const Opened, Vec<FrameResult>>,
    /// Pictures a second; `None` before the first batch.
    rate: Option<f64>,
    /// Lowered when memory runs out.
    batch_limit: usize,
    /// Model and pool share the cores, and take turns: threads of one pass wait for each other at every layer, so that a
    /// core which also decodes holds up all of them.
    turns: bool,
    /// What a GPU computes meanwhile.
    under_way: Option<Pass>,
}

impl<'a> Worker<'a> {
    fn new(shared: &'a Shared, mut factory: Factory) -> Result<Self, String> {
        let settings = &shared.settings;
        let prompts = settings.prompts.clone();
        let Model {
            encoder,
            scorers,
            notes,
        } = Model::open(&mut factory, prompts, settings.mode)?;
        let space = space(shared, encoder.as_ref());
        let _ = shared.wants.set(Some(Wants {
            preprocess: encoder.preprocess(),
            space: space.clone(),
        }));
        let turns = encoder.card().device == "cpu";
        if !turns {
            shared.prepared.widen(2 * GPU_BATCH);
        }
        let limit = if turns { CPU_BATCH } else { GPU_BATCH };
        let worker = Self {
            shared,
            factory,
            turns,
            encoder,
            space,
            scorers,
            again: VecDeque::new(),
            partial: HashMap::new(),
            rate: None,
            batch_limit: settings.batch_size.unwrap_or(limit).max(1),
            under_way: None,
        };
        worker.ready(notes);
        Ok(worker)
    }

    /// Says that the model answers; `notes` after what there is to say of its device.
    fn ready(&self, notes: Vec<String>) {
        let mut warnings = notes;
        if let Some((reason, true)) = gpu_note() {
            warnings.insert(0, format!("a GPU is not used: {reason}"));
        }
        let card = self.encoder.card();
        (self.shared.sink)(Event::Ready {
            model: card.id.clone(),
            device: card.device.clone(),
            prompts: self.scorers.prompts.name().to_owned(),
            synthetic_only: card.synthetic_only,
            warnings,
        });
    }

    /// A GPU's first picture takes a fifth of a second: that is spent before somebody waits for it.
    fn warm_up(&mut self) {
        let blank = Picture {
            width: 1,
            height: 1,
            pixels: Pixels::Luma(vec![0]),
        };
        if let Ok(input) = self.encoder.preprocess().apply(&blank) {
            // What is wrong shows with the first picture, where it has its remedy.
            let _ = catch_unwind(AssertUnwindSafe(|| self.encoder.encode_images(&[input])));
        }
    }

    fn serve(&mut self) {
        if !self.turns {
            self.warm_up();
        }
        while let Some(batch) = self.next() {
            self.follow_orders();
            let waiting = self.under_way.is_some();
            match self.sort_out(batch) {
                Some(pass) if self.turns => self.compute(pass),
                Some(pass) => self.begin(pass),
                None if waiting => self.finish(),
                None => continue,
            }
            let queued = self.shared.open().len();
            let images_per_second = self.rate.unwrap_or(0.0);
            (self.shared.sink)(Event::Rate {
                images_per_second,
                queued,
            });
        }
    }

    /// The next batch: on the CPU worth a pass, because the pool gets on with it meanwhile. While a GPU computes, only a batch
    /// that is worth its while is brought to it; else it is first asked for its answer.
    fn next(&self) -> Option<Vec<Prepared>> {
        let limit = self.batch_size();
        if self.under_way.is_some() {
            return Some(self.shared.prepared.poll_batch(limit));
        }
        let patience = if self.turns {
            self.shared.settings.pass
        } else {
            GATHER
        };
        self.shared.prepared.pop_batch(limit, patience)
    }

    /// As many pictures as fit into the time that a pass may take.
    fn batch_size(&self) -> usize {
        let by_time = self.rate.map_or(FIRST_BATCH, |rate| {
            (rate * self.shared.settings.pass.as_secs_f64()) as usize
        });
        by_time.clamp(1, self.batch_limit)
    }

    /// Answers for what is known, and reports what could not be prepared; the rest makes a pass, if there is any and somebody
    /// waits for it.
    fn sort_out(&mut self, batch: Vec<Prepared>) -> Option<Pass> {
        let mut pass = Pass {
            frames: Vec::with_capacity(batch.len()),
            inputs: Vec::with_capacity(batch.len()),
            begun: Instant::now(),
        };
        for Prepared { file, frame, input } in batch {
            match input {
                Ok(Ready::Input(input)) => {
                    pass.frames.push((file, frame));
                    pass.inputs.push(input);
                }
                Ok(Ready::Embedding(known)) => self.frame(&file, frame, Ok(known)),
                Err(failure) => self.frame(&file, frame, Err(failure)),
            }
        }
        let stopped = &self.shared.stopped;
        let stopped = stopped.load(std::sync::atomic::Ordering::Relaxed);
        (!stopped && !pass.inputs.is_empty()).then_some(pass)
    }

    /// A whole pass.
    fn compute(&mut self, pass: Pass) {
        self.shared.jobs.pause_bulk(self.turns);
        let rows = self.encode(&pass.inputs);
        self.shared.jobs.pause_bulk(false);
        self.deliver(pass, rows);
    }

    /// Begins a pass on a GPU, and delivers the one before while that one runs.
    fn begin(&mut self, mut pass: Pass) {
        let before = self.under_way.take();
        let answer = catch_unwind(AssertUnwindSafe(|| self.encoder.begin(&pass.inputs)));
        let count = before.as_ref().map(|before| before.inputs.len());
        match answer {
            Ok(Ok(rows)) if rows.as_ref().map(Vec::len) == count => {
                pass.begun = Instant::now();
                self.under_way = Some(pass);
                if let (Some(before), Some(rows)) = (before, rows) {
                    self.deliver(before, rows.into_iter().map(Ok).collect());
                }
            }
            // Which of the two it was does not matter: each is computed by itself, where a fault has its remedy.
            _ => {
                for pass in before.into_iter().chain([pass]) {
                    self.compute(pass);
                }
            }
        }
    }

    /// Waits for the pass that a GPU computes.
    fn finish(&mut self) {
        let Some(pass) = self.under_way.take() else {
            return;
        };
        match catch_unwind(AssertUnwindSafe(|| self.encoder.finish())) {
            Ok(Ok(Some(rows))) if rows.len() == pass.inputs.len() => {
                self.deliver(pass, rows.into_iter().map(Ok).collect());
            }
            _ => self.compute(pass),
        }
    }

    fn deliver(&mut self, pass: Pass, rows: Vec<Result<Vec<f32>, Failure>>) {
        let took = pass.begun.elapsed().as_secs_f64();
        let now = pass.inputs.len() as f64 / took.max(1e-6);
        self.rate = Some(
            self.rate
                .map_or(now, |mean| mean + EMA_WEIGHT * (now - mean)),
        );
        for ((file, frame), row) in pass.frames.iter().zip(rows) {
            let row: Result<Arc<[f32]>, Failure> = row.and_then(usable).map(Into::into);
            if let (Some(kept), Some(space), Ok(row)) =
                (&self.shared.settings.kept, &self.space, &row)
            {
                kept.put(&file.content, *frame, space, Arc::clone(row));
            }
            self.frame(file, *frame, row);
        }
    }

    /// One embedding or failure per input. Out of memory halves the batch and goes on; a lost GPU makes way for the CPU.
    fn encode(&mut self, inputs: &[Input]) -> Vec<Result<Vec<f32>, Failure>> {
        let mut rows = Vec::with_capacity(inputs.len());
        while rows.len() < inputs.len() {
            let rest = &inputs[rows.len()..];
            let part = &rest[..rest.len().min(self.batch_limit)];
            match catch_unwind(AssertUnwindSafe(|| self.encoder.encode_images(part))) {
                Ok(Err(EncoderError::OutOfMemory(reason))) if part.len() > 1 => {
                    self.batch_limit = part.len() / 2;
                    tracing::warn!("{reason}; going on with batches of {}", self.batch_limit);
                }
                Ok(Err(EncoderError::DeviceLost(reason))) if self.fail_over(&reason) => {}
                answer => rows.extend(one_each(answer, part.len())),
            }
        }
        rows
    }

    /// Opens the model anew, on the CPU. False: that is where it was, or it cannot be opened.
    fn fail_over(&mut self, reason: &str) -> bool {
        if self.turns {
            return false;
        }
        tracing::warn!("the GPU was lost: {reason}");
        give_up_gpu(reason);
        let prompts = self.scorers.prompts.clone();
        match Model::open(&mut self.factory, prompts, self.scorers.mode) {
            Ok(model) => {
                // Freeing what lies on a GPU that is gone can end the process.
                std::mem::forget(std::mem::replace(&mut self.encoder, model.encoder));
                self.space = space(self.shared, self.encoder.as_ref());
                self.scorers = model.scorers;
                (self.turns, self.rate) = (true, None);
                self.batch_limit = self.batch_limit.min(CPU_BATCH);
                self.ready(Vec::new());
                true
            }
            Err(message) => {
                self.turns = true;
                self.shared.fail(format!(
                    "the GPU was lost ({reason}), and the CPU cannot take over: {message}"
                ));
                false
            }
        }
    }

    /// A model for phantoms rejects every other picture.
    fn fit_for(&self, file: &Opened, verdict: Verdict) -> Verdict {
        if self.encoder.card().synthetic_only && !file.info.synthetic {
            verdict.reject(NOT_FOR_PATIENTS.to_owned())
        } else {
            verdict
        }
    }

    /// Notes a frame's result; reports the file with its last one.
    fn frame(&mut self, file: &Arc<Opened>, frame: u32, result: Result<Arc<[f32]>, Failure>) {
        let key = Arc::as_ptr(file);
        let results = self.partial.entry(key).or_default();
        results.push((frame, result));
        if results.len() < file.frames {
            return;
        }
        let results = self.partial.remove(&key).unwrap_or_default();
        if self.shared.is_wanted(&file.job) {
            let outcomes = self.outcomes(file, results);
            self.shared.done(&file.job, outcomes);
        } else {
            self.shared.skip(&file.job);
        }
    }

    /// One outcome per frame, and their aggregate when all frames were asked for and there are several.
    fn outcomes(&self, file: &Opened, mut results: Vec<FrameResult>) -> Vec<Outcome> {
        let dicom = file.info.dicom.as_ref();
        let (set, scorer) = self.scorers.choose(
            dicom.and_then(|d| d.modality.as_deref()),
            dicom.and_then(|d| d.body_part.as_deref()),
        );
        let provenance = Provenance {
            card: self.encoder.card(),
            prompts: &self.scorers.prompts.sets()[set],
            mode: self.scorers.mode,
        };
        let record = |frame, verdict, embedding| {
            library::record(
                &file.job.path,
                &file.info,
                &file.content,
                frame,
                self.fit_for(file, verdict),
                embedding,
                &provenance,
            )
        };
        // Frames that failed do not wait for the model and come before those that did.
        results.sort_by_key(|(frame, _)| file.order.position(*frame));
        let several = results.len() > 1;
        let mut verdicts: Vec<Verdict> = Vec::new();
        let mut outcomes: Vec<Outcome> = Vec::new();
        for (frame, result) in results {
            outcomes.push(result.map(|embedding| {
                let verdict = scorer.verdict(&embedding);
                verdicts.push(verdict.clone());
                record(Some(frame), verdict, Some(embedding))
            }));
        }
        // A file of which nothing can be shown failed once, not once a frame.
        if verdicts.is_empty() {
            outcomes.truncate(1);
        }
        if several && !verdicts.is_empty() {
            outcomes.push(Ok(record(None, scorer.aggregate(&verdicts), None)));
        }
        outcomes
    }
}

/// What the embeddings belong to that are kept of a model; `None`: none are.
fn space(shared: &Shared, encoder: &dyn Encoder) -> Option<String> {
    let Settings { exact, kept, .. } = &shared.settings;
    let keeps = kept.is_some() && !encoder.card().synthetic_only;
    keeps.then(|| format!("{} {exact}", encoder.space()))
}

/// A model that was read, and the prompts in its space.
struct Model {
    encoder: Box<dyn Encoder>,
    scorers: Scorers,
    /// What the user should know of the prompts, one sentence each.
    notes: Vec<String>,
}

impl Model {
    fn open(factory: &mut Factory, prompts: Prompts, mode: Mode) -> Result<Self, String> {
        let mut encoder = factory().map_err(|error| error.to_string())?;
        let (scorers, notes) = Scorers::new(prompts, mode, encoder.as_mut())?;
        Ok(Self {
            encoder,
            scorers,
            notes,
        })
    }
}

/// Refuses an embedding that would make the first condition of any set the likeliest.
fn usable(embedding: Vec<f32>) -> Result<Vec<f32>, Failure> {
    if is_direction(&embedding) {
        return Ok(embedding);
    }
    Err(Failure {
        kind: ErrorKind::Internal,
        message: "the model's embedding of this image is not finite, or zero".to_owned(),
        not_picture: false,
    })
}

/// What a pass over `count` pictures brought: as many embeddings, or as many failures.
fn one_each(
    answer: std::thread::Result<Result<Vec<Vec<f32>>, EncoderError>>,
    count: usize,
) -> Vec<Result<Vec<f32>, Failure>> {
    let message = match answer {
        Ok(Ok(rows)) if rows.len() == count => return rows.into_iter().map(Ok).collect(),
        Ok(Ok(rows)) => format!("the model gave {} answers for {count} pictures", rows.len()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the model failed on this batch: a fault inside; see the log".to_owned(),
    };
    let failure = Failure {
        kind: ErrorKind::Internal,
        message,
        not_picture: false,
    };
    vec![Err(failure); count]
}
