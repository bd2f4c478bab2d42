//! The engine thread, which owns the model.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::maps::{PendingCheck, contained};
use super::pool::{FrameInput, OpenedFile, PreparedFrame};
use super::scoring::{FrameResult, Scorers};
use super::shared::{EngineShared, Preparation};
use super::{Event, Factory, Settings};
use crate::encoder::{
    Encoder, EncoderError, PreparedImage, give_up_gpu, gpu_note, is_direction, limit_threads,
    set_cpu_niceness,
};
use crate::library::Failure;
use crate::media::{ErrorKind, FileContent, Picture, Pixels};
use crate::prompts::Prompts;
use crate::scoring::Mode;

/// Maximum batch sizes: larger ones were not faster on any device tried, and cost memory.
const MAX_CPU_BATCH: usize = 64;
const MAX_GPU_BATCH: usize = 256;
/// How long an idle GPU waits for more images: one takes it as long as ten.
const GPU_GATHER_TIME: Duration = Duration::from_millis(20);
/// Batch size before the throughput has been measured.
const INITIAL_BATCH_SIZE: usize = 4;
/// Weight of the newest measurement in the running mean.
const EMA_WEIGHT: f64 = 0.3;

/// Opens the model, and encodes until the queue of prepared frames is closed and empty.
pub(super) fn run(shared: &EngineShared, factory: Factory, cores: usize) {
    let opened = catch_unwind(AssertUnwindSafe(|| {
        limit_threads(cores);
        set_cpu_niceness(shared.settings.niceness());
        (shared.handler)(Event::Loading);
        InferenceWorker::new(shared, factory)
    }));
    let mut worker = match opened {
        Ok(Ok(worker)) => worker,
        Ok(Err(message)) => return shared.fail(message),
        Err(_) => {
            return shared.fail("the model cannot be opened: internal error; see the log".into());
        }
    };
    if catch_unwind(AssertUnwindSafe(|| worker.serve())).is_err() {
        shared.crash();
    }
}

/// Images that go through the model in one forward pass.
struct ImageBatch {
    /// The file and the frame number of each image.
    frames: Vec<(Arc<OpenedFile>, u32)>,
    images: Vec<PreparedImage>,
    started: Instant,
}

/// The engine thread's own state.
pub(super) struct InferenceWorker<'a> {
    pub(super) shared: &'a EngineShared,
    factory: Factory,
    pub(super) encoder: Box<dyn Encoder>,
    /// The key of the model's embeddings in the store; `None` if they are not stored.
    pub(super) embedding_key: Option<String>,
    pub(super) scorers: Arc<Scorers>,
    /// Results of files that have frames still to come, by the generation of the job.
    pub(super) partial: HashMap<u64, Vec<FrameResult>>,
    /// Images per second; `None` before the first batch.
    rate: Option<f64>,
    /// Maximum batch size; lowered when memory runs out.
    batch_limit: usize,
    /// Whether the model runs on the same cores as the decoding threads, which then pause during a forward pass: its threads
    /// wait for each other at every layer, so a core that also decodes delays all of them.
    shares_cpu: bool,
    /// The batch that a GPU is computing.
    pending: Option<ImageBatch>,
    /// The deletion check of a heat map that is under way.
    pub(super) check: Option<PendingCheck>,
}

impl<'a> InferenceWorker<'a> {
    fn new(shared: &'a EngineShared, mut factory: Factory) -> Result<Self, String> {
        let settings = &shared.settings;
        let prompts = settings.prompts.clone();
        let LoadedModel {
            encoder,
            scorers,
            notes,
        } = LoadedModel::open(&mut factory, prompts, settings.mode, shared)?;
        let embedding_key = stored_key(shared, encoder.as_ref());
        let _ = shared.preparation.set(Some(Preparation {
            preprocess: encoder.preprocess(),
            embedding_key: embedding_key.clone(),
        }));
        let shares_cpu = encoder.card().device == "cpu";
        if !shares_cpu {
            shared.prepared.raise_capacity(2 * MAX_GPU_BATCH);
        }
        let limit = if shares_cpu {
            MAX_CPU_BATCH
        } else {
            MAX_GPU_BATCH
        };
        let worker = Self {
            shared,
            factory,
            shares_cpu,
            encoder,
            embedding_key,
            scorers: Arc::new(scorers),
            partial: HashMap::new(),
            rate: None,
            batch_limit: settings.batch_size.unwrap_or(limit).max(1),
            pending: None,
            check: None,
        };
        worker.report_ready(notes);
        Ok(worker)
    }

    /// Puts the scorers into use, and sends [`Event::Ready`] with a warning about the device, if there is one, followed by `notes`.
    fn report_ready(&self, notes: Vec<String>) {
        let mut warnings = notes;
        if let Some((reason, true)) = gpu_note() {
            warnings.insert(0, format!("no GPU is used: {reason}"));
        }
        let card = self.encoder.card();
        let ready = Event::Ready {
            model: card.id.clone(),
            device: card.device.clone(),
            prompts: self.scorers.prompts.name().to_owned(),
            is_builtin: card.builtin.is_some(),
            warnings,
        };
        let scorers = Arc::clone(&self.scorers);
        self.shared.publish_scorers(scorers, ready);
    }

    /// Uses the prompts that were requested last, if any.
    fn change_prompts(&mut self) {
        let Some((prompts, mode, revision)) = self.shared.requested_prompts() else {
            return;
        };
        let name = prompts.name().to_owned();
        let (calibrations, learned) = (self.shared.calibrations(), self.shared.learned());
        let fits = (&calibrations, &learned);
        let encoder = self.encoder.as_mut();
        match contained(|| Scorers::new(prompts, mode, fits, encoder)) {
            Ok((scorers, warnings)) => {
                let familiar = Arc::clone(&self.shared.familiar);
                self.scorers = Arc::new(scorers.knowing(familiar));
                let event = Event::Prompts {
                    prompts: name,
                    mode,
                    warnings,
                    revision,
                };
                let scorers = Arc::clone(&self.scorers);
                self.shared.publish_scorers(scorers, event);
            }
            Err(message) => {
                (self.shared.handler)(Event::PromptsFailed { revision, message });
            }
        }
    }

    /// Answers the query that was requested last, if any.
    fn compare(&mut self) {
        let Some(request) = self.shared.requested_comparison() else {
            return;
        };
        let generation = request.generation;
        let encoder = self.encoder.as_mut();
        let compared = catch_unwind(AssertUnwindSafe(|| request.compare(encoder)));
        let failed = || Err("the query cannot be encoded: internal error; see the log".into());
        let outcome = compared.unwrap_or_else(|_| failed());
        (self.shared.handler)(Event::Compared {
            generation,
            outcome,
        });
    }

    /// Encodes a blank image: a GPU's first forward pass takes a fifth of a second longer, which is spent before a user waits.
    fn warm_up(&mut self) {
        let blank = Picture {
            width: 1,
            height: 1,
            pixels: Pixels::Luma(vec![0]),
        };
        if let Ok(image) = self.encoder.preprocess().apply(&blank) {
            // An error will occur again with the first real image, and is handled there.
            let _ = catch_unwind(AssertUnwindSafe(|| self.encoder.encode_images(&[image])));
        }
    }

    /// The loop of the engine thread.
    fn serve(&mut self) {
        if !self.shares_cpu {
            self.warm_up();
        }
        while let Some(frames) = self.next_frames() {
            self.change_prompts();
            self.compare();
            self.explain();
            self.lint();
            self.advance_maps();
            let has_pending = self.pending.is_some();
            match self.make_batch(frames) {
                Some(batch) if self.shares_cpu => self.compute(batch),
                Some(batch) => self.begin_pass(batch),
                None if has_pending => self.finish_pass(),
                None => continue,
            }
            let queued = self.shared.open_jobs().len();
            let images_per_second = self.rate.unwrap_or(0.0);
            (self.shared.handler)(Event::Rate {
                images_per_second,
                queued,
            });
        }
    }

    /// The next frames, `None` at the end. On the CPU, waits up to the duration of a forward pass to fill a batch, while the
    /// pool uses the cores. While a GPU computes, returns only what is worth another pass, or nothing, so that the pending
    /// pass is finished first.
    fn next_frames(&self) -> Option<Vec<PreparedFrame>> {
        let limit = self.batch_size();
        if self.pending.is_some() {
            return Some(self.shared.prepared.poll_batch(limit));
        }
        if self.check.is_some() && !self.shared.prepared.is_closed() {
            return Some(self.shared.prepared.poll_batch(limit));
        }
        let gather_time = if self.shares_cpu {
            self.shared.settings.pass_time
        } else {
            GPU_GATHER_TIME
        };
        self.shared.prepared.pop_batch(limit, gather_time)
    }

    /// The number of images whose forward pass takes [`Settings::pass_time`], as measured, within the limits.
    fn batch_size(&self) -> usize {
        let by_time = self.rate.map_or(INITIAL_BATCH_SIZE, |rate| {
            (rate * self.shared.settings.pass_time.as_secs_f64()) as usize
        });
        by_time.clamp(1, self.batch_limit)
    }

    /// Records the frames that have an embedding or a failure already; the others become a batch. `None` if there are none, or
    /// the engine is stopping.
    fn make_batch(&mut self, frames: Vec<PreparedFrame>) -> Option<ImageBatch> {
        let mut batch = ImageBatch {
            frames: Vec::with_capacity(frames.len()),
            images: Vec::with_capacity(frames.len()),
            started: Instant::now(),
        };
        for PreparedFrame { file, frame, input } in frames {
            match input {
                Ok(FrameInput::Image(image)) => {
                    batch.frames.push((file, frame));
                    batch.images.push(image);
                }
                Ok(FrameInput::Embedding(row)) => self.record_frame(&file, frame, Ok(row)),
                Err(failure) => self.record_frame(&file, frame, Err(failure)),
            }
        }
        let is_stopped = self
            .shared
            .is_stopped
            .load(std::sync::atomic::Ordering::Relaxed);
        (!is_stopped && !batch.images.is_empty()).then_some(batch)
    }

    /// Runs one forward pass to its end.
    fn compute(&mut self, batch: ImageBatch) {
        if self.shares_cpu {
            self.shared.jobs.pause_bulk();
        }
        let rows = self.encode(&batch.images);
        self.shared.jobs.resume_bulk();
        self.deliver(batch, rows);
    }

    /// Starts a forward pass on a GPU, and delivers the previous one while it runs.
    fn begin_pass(&mut self, mut batch: ImageBatch) {
        let previous = self.pending.take();
        let rows = catch_unwind(AssertUnwindSafe(|| self.encoder.begin_pass(&batch.images)));
        let count = previous.as_ref().map(|previous| previous.images.len());
        match rows {
            Ok(Ok(rows)) if rows.as_ref().map(Vec::len) == count => {
                batch.started = Instant::now();
                self.pending = Some(batch);
                if let (Some(previous), Some(rows)) = (previous, rows) {
                    self.deliver(previous, rows.into_iter().map(Ok).collect());
                }
            }
            // Either of the two may have failed: each is computed again on its own, where errors are handled.
            _ => {
                for batch in previous.into_iter().chain([batch]) {
                    self.compute(batch);
                }
            }
        }
    }

    /// Waits for the pending pass of a GPU, and delivers it.
    fn finish_pass(&mut self) {
        let Some(batch) = self.pending.take() else {
            return;
        };
        match catch_unwind(AssertUnwindSafe(|| self.encoder.finish_pass())) {
            Ok(Ok(Some(rows))) if rows.len() == batch.images.len() => {
                self.deliver(batch, rows.into_iter().map(Ok).collect());
            }
            _ => self.compute(batch),
        }
    }

    /// Updates the measured throughput, stores the embeddings, and records the frames.
    fn deliver(&mut self, batch: ImageBatch, rows: Vec<Result<Vec<f32>, Failure>>) {
        let seconds = batch.started.elapsed().as_secs_f64();
        let rate = batch.images.len() as f64 / seconds.max(1e-6);
        self.rate = Some(
            self.rate
                .map_or(rate, |mean| mean + EMA_WEIGHT * (rate - mean)),
        );
        for ((file, frame), row) in batch.frames.iter().zip(rows) {
            let row: Result<Arc<[f32]>, Failure> = row.and_then(check_embedding).map(Into::into);
            if let (Some(library), Some(key), Ok(row)) =
                (&self.shared.settings.library, &self.embedding_key, &row)
            {
                let content = Arc::clone(&file.content);
                library.put_embedding(content, *frame, key, Arc::clone(row));
            }
            self.record_frame(file, *frame, row);
        }
    }

    /// One embedding or failure per image. Running out of memory halves the batch size; when the GPU is lost, the CPU takes
    /// over.
    fn encode(&mut self, images: &[PreparedImage]) -> Vec<Result<Vec<f32>, Failure>> {
        let mut rows = Vec::with_capacity(images.len());
        while rows.len() < images.len() {
            let rest = &images[rows.len()..];
            let part = &rest[..rest.len().min(self.batch_limit)];
            match catch_unwind(AssertUnwindSafe(|| self.encoder.encode_images(part))) {
                Ok(Err(EncoderError::OutOfMemory(reason))) if part.len() > 1 => {
                    self.batch_limit = part.len() / 2;
                    tracing::warn!("{reason}; continuing with batches of {}", self.batch_limit);
                }
                Ok(Err(EncoderError::DeviceLost(reason))) if self.fail_over(&reason) => {}
                result => rows.extend(one_per_image(result, part.len())),
            }
        }
        rows
    }

    /// Opens the model again on the CPU. False if it was there already, or cannot be opened.
    fn fail_over(&mut self, reason: &str) -> bool {
        if self.shares_cpu {
            return false;
        }
        tracing::warn!("the GPU was lost: {reason}");
        give_up_gpu(reason);
        let prompts = self.scorers.prompts.clone();
        match LoadedModel::open(&mut self.factory, prompts, self.scorers.mode, self.shared) {
            Ok(model) => {
                // Freeing tensors on a lost GPU can abort the process, so they are leaked.
                std::mem::forget(std::mem::replace(&mut self.encoder, model.encoder));
                self.embedding_key = stored_key(self.shared, self.encoder.as_ref());
                self.scorers = Arc::new(model.scorers);
                (self.shares_cpu, self.rate) = (true, None);
                self.batch_limit = self.batch_limit.min(MAX_CPU_BATCH);
                self.report_ready(Vec::new());
                true
            }
            Err(message) => {
                self.shares_cpu = true;
                self.shared.fail(format!(
                    "the GPU was lost ({reason}), and the CPU cannot take over: {message}"
                ));
                false
            }
        }
    }
}

/// The key under which a model's embeddings are stored; `exact` as in [`Settings`].
pub fn embedding_key(encoder: &dyn Encoder, exact: bool) -> String {
    format!("{} {exact}", encoder.embedding_key())
}

/// The key under which a model's embeddings are stored; `None` if they are not stored.
fn stored_key(shared: &EngineShared, encoder: &dyn Encoder) -> Option<String> {
    let Settings { exact, library, .. } = &shared.settings;
    library.is_some().then(|| embedding_key(encoder, *exact))
}

/// An open model, and the prompts that it has encoded.
struct LoadedModel {
    encoder: Box<dyn Encoder>,
    scorers: Scorers,
    /// What the user should know about the prompts, one sentence each.
    notes: Vec<String>,
}

impl LoadedModel {
    fn open(
        factory: &mut Factory,
        prompts: Prompts,
        mode: Mode,
        shared: &EngineShared,
    ) -> Result<Self, String> {
        let mut encoder = factory().map_err(|error| error.to_string())?;
        let (calibrations, learned) = (shared.calibrations(), shared.learned());
        let fits = (&calibrations, &learned);
        let (scorers, mut notes) = Scorers::new(prompts, mode, fits, encoder.as_mut())?;
        if let Some(library) = &shared.settings.library
            && encoder.card().builtin.is_none()
        {
            let key = embedding_key(encoder.as_ref(), shared.settings.exact);
            notes.extend(shared.familiar.begin(library, key));
        }
        Ok(Self {
            encoder,
            scorers: scorers.knowing(Arc::clone(&shared.familiar)),
            notes,
        })
    }
}

/// Refuses an embedding that is zero or not finite: it would make the first condition of any set the likeliest.
fn check_embedding(embedding: Vec<f32>) -> Result<Vec<f32>, Failure> {
    if is_direction(&embedding) {
        return Ok(embedding);
    }
    Err(Failure {
        kind: ErrorKind::Internal,
        message: "the model's embedding of this image is zero or not finite".to_owned(),
        content: FileContent::Image,
    })
}

/// The result of a forward pass over `count` images, as one embedding or failure per image.
fn one_per_image(
    result: std::thread::Result<Result<Vec<Vec<f32>>, EncoderError>>,
    count: usize,
) -> Vec<Result<Vec<f32>, Failure>> {
    let message = match result {
        Ok(Ok(rows)) if rows.len() == count => return rows.into_iter().map(Ok).collect(),
        Ok(Ok(rows)) => format!(
            "the model returned {} embeddings for {count} images",
            rows.len()
        ),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the model failed on this batch: internal error; see the log".to_owned(),
    };
    let failure = Failure {
        kind: ErrorKind::Internal,
        message,
        content: FileContent::Image,
    };
    vec![Err(failure); count]
}
