//! The thread that owns the model.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pool::{Opened, Prepared};
use super::rescore::{Known, Scorers};
use super::{Event, Factory, Shared};
use crate::encoder::{Encoder, EncoderError, Input, gpu_note, limit_threads};
use crate::library::{self, Failure, Outcome, Provenance};
use crate::media::ErrorKind;
use crate::scoring::Verdict;

/// Batches beyond this gain nothing on any device tried, and cost memory.
const BATCH_LIMIT: usize = 64;
/// The first batches, before anything is measured.
const FIRST_BATCH: usize = 4;
/// Weight of the newest measurement in the running mean.
const NEWEST: f64 = 0.3;

/// What the rejection of a real picture by a model for phantoms says.
const NOT_FOR_PATIENTS: &str = "the demo model knows only synthetic phantoms; `medivision-tui models pull biomedclip` gets one for real pictures";

/// Reads the model, answers until the queue is closed and empty.
pub(super) fn run(shared: &Shared, factory: Factory, cores: usize) {
    limit_threads(cores);
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

pub(super) struct Worker<'a> {
    pub(super) shared: &'a Shared,
    pub(super) encoder: Box<dyn Encoder>,
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
}

impl<'a> Worker<'a> {
    fn new(shared: &'a Shared, factory: Factory) -> Result<Self, String> {
        let settings = &shared.settings;
        let mut encoder = factory().map_err(|error| error.to_string())?;
        let mut warnings = Vec::new();
        if let Some((reason, true)) = gpu_note() {
            warnings.push(format!("a GPU is not used: {reason}"));
        }
        let prompts = settings.prompts.clone();
        let (scorers, notes) = Scorers::new(prompts, settings.mode, encoder.as_mut())?;
        warnings.extend(notes);
        let _ = shared.preprocess.set(Some(encoder.preprocess()));
        let card = encoder.card();
        (shared.sink)(Event::Ready {
            model: card.id.clone(),
            device: card.device.clone(),
            prompts: settings.prompts.name().to_owned(),
            synthetic_only: card.synthetic_only,
            warnings,
        });
        let turns = card.device == "cpu";
        let batch_limit = settings.batch_size.unwrap_or(BATCH_LIMIT).max(1);
        Ok(Self {
            shared,
            encoder,
            scorers,
            again: VecDeque::new(),
            partial: HashMap::new(),
            rate: None,
            batch_limit,
            turns,
        })
    }

    fn serve(&mut self) {
        while let Some(batch) = self.next() {
            self.follow_orders();
            if batch.is_empty() {
                continue;
            }
            self.answer(batch);
            let queued = self.shared.open.load(std::sync::atomic::Ordering::Relaxed);
            let images_per_second = self.rate.unwrap_or(0.0);
            (self.shared.sink)(Event::Rate {
                images_per_second,
                queued,
            });
        }
    }

    /// The next batch: on the CPU worth a pass, because the pool gets on with it meanwhile; a GPU takes what is there.
    fn next(&self) -> Option<Vec<Prepared>> {
        let patience = if self.turns {
            self.shared.settings.pass
        } else {
            Duration::ZERO
        };
        let limit = self.batch_size();
        self.shared.prepared.pop_batch(limit, patience)
    }

    /// As many pictures as fit into the time that a pass may take.
    fn batch_size(&self) -> usize {
        let by_time = self.rate.map_or(FIRST_BATCH, |rate| {
            (rate * self.shared.settings.pass.as_secs_f64()) as usize
        });
        by_time.clamp(1, self.batch_limit)
    }

    fn answer(&mut self, batch: Vec<Prepared>) {
        let mut wanted: Vec<(Arc<Opened>, u32)> = Vec::new();
        let mut inputs: Vec<Input> = Vec::new();
        for Prepared { file, frame, input } in batch {
            match input {
                Ok(input) => {
                    wanted.push((file, frame));
                    inputs.push(input);
                }
                Err(failure) => self.frame(&file, frame, Err(failure)),
            }
        }
        if !self
            .shared
            .stopped
            .load(std::sync::atomic::Ordering::Relaxed)
            && !inputs.is_empty()
        {
            self.shared.jobs.hold(self.turns);
            let started = Instant::now();
            let embeddings = self.encode(&inputs);
            self.measure(inputs.len(), started.elapsed());
            self.shared.jobs.hold(false);
            for ((file, frame), embedding) in wanted.iter().zip(embeddings) {
                self.frame(file, *frame, embedding.map(Into::into));
            }
        }
    }

    fn measure(&mut self, pictures: usize, took: Duration) {
        let now = pictures as f64 / took.as_secs_f64().max(1e-6);
        self.rate = Some(self.rate.map_or(now, |mean| mean + NEWEST * (now - mean)));
    }

    /// One embedding or failure per input. Out of memory halves the batch and goes on.
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
                answer => rows.extend(one_each(answer, part.len())),
            }
        }
        rows
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
        if self.shared.wanted(&file.job) {
            let outcomes = self.outcomes(file, results);
            self.shared.done(&file.job, outcomes);
        } else {
            self.shared.skip();
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
        results.sort_by_key(|(frame, _)| *frame);
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
