//! The training: epochs of steps, the judgement after each on images that are held out, and the end.

use std::f64::consts::PI;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::TrainingImages;
use super::augment::augment;
use super::base::{FineTuner, Version};
use super::low_rank::generator;
use super::step::{Prototypes, StepBatch};
use super::step_targets::StepTargets;
use crate::encoder::{EncoderError, PreparedImage};
use crate::learn::{HeldOutFigures, Problem, Truths};

/// Share of the steps in which the learning rate rises.
const WARM_UP: f64 = 0.1;
/// Time between two saved states within an epoch.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);
/// Streams of random numbers: the order of an epoch, and the changes of the images of a step, one stream each.
const ORDER_STREAM: u64 = 3;
const IMAGE_STREAMS: u64 = 1000;

/// What is learned from. Images are named by their index.
pub struct TrainingData<'a> {
    /// The images.
    pub images: &'a dyn TrainingImages,
    /// What each image shows.
    pub truths: &'a Truths,
    /// The images that are trained on.
    pub train: &'a [usize],
    /// The images that judge each epoch.
    pub held_out: &'a [usize],
    /// The fixed texts of the conditions.
    pub problem: &'a Problem,
    /// The base's unit embedding of each image.
    pub embeddings: &'a [Vec<f32>],
}

/// How good the model is after an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochFigures {
    /// The epoch, from 1; 0 is the base.
    pub epoch: usize,
    /// The mean loss of its steps.
    pub loss: Option<f64>,
    /// On the images held out, of the conditions that are trained.
    pub held_out: HeldOutFigures,
}

impl EpochFigures {
    fn is_better_than(&self, other: &Self) -> bool {
        let [own, other] = [&self.held_out, &other.held_out];
        let by_quality = own.quality().total_cmp(&other.quality());
        by_quality
            .then(other.log_loss.total_cmp(&own.log_loss))
            .is_gt()
    }
}

/// What happens during training.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainingEvent<'a> {
    /// A step ended.
    Step {
        /// Steps done.
        done: u64,
        /// Steps of the whole training, if it does not end early.
        total: u64,
        /// The mean loss of this epoch so far.
        loss: f64,
    },
    /// An epoch, or the judgement of the base, ended.
    Epoch {
        /// All figures so far, the newest last.
        history: &'a [EpochFigures],
        /// The index of the best.
        best: usize,
    },
}

/// Where the state of a training is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainingState {
    /// The file.
    pub file: PathBuf,
    /// What the training depends on; a state of another one is refused.
    pub fingerprint: String,
}

/// How a training ended.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingEnd {
    /// The figures of the base and of each epoch.
    pub history: Vec<EpochFigures>,
    /// The index of the best; 0: no epoch was better than the base.
    pub best: usize,
    /// Whether the observer stopped it; the state is kept.
    pub is_interrupted: bool,
}

/// How far a training is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct TrainingProgress {
    /// Steps done.
    pub(super) step: u64,
    pub(super) history: Vec<EpochFigures>,
    /// The index of the best.
    pub(super) best: usize,
    /// Whether it ended early.
    pub(super) has_ended: bool,
    /// The sum of the losses of the images of this epoch, and their number.
    pub(super) losses: (f64, usize),
}

/// Trains until the last epoch, or until several brought nothing new. The observer may stop it after each step; with a state,
/// the next call goes on from there. The best weights stay in `tuner`.
///
/// # Errors
///
/// Fails if an image cannot be read, the device fails, or the state is damaged, cannot be written or belongs to another training.
pub fn train(
    tuner: &mut FineTuner,
    data: &TrainingData,
    state: Option<&TrainingState>,
    observe: &mut dyn FnMut(TrainingEvent) -> ControlFlow<()>,
) -> Result<TrainingEnd, EncoderError> {
    let progress = match state {
        Some(state) => tuner.resume(state)?,
        None => None,
    };
    let mut training = LoraTraining {
        prototypes: tuner.prototypes(data.problem)?,
        targets: StepTargets::new(data),
        trained: data.truths.learnable(data.train),
        per_epoch: data.train.len().div_ceil(tuner.settings.batch.max(1)) as u64,
        progress: progress.unwrap_or_default(),
        order: (u64::MAX, Vec::new()),
        tuner,
        data,
        state,
        saved: Instant::now(),
    };
    if training.progress.history.is_empty() {
        training.judge(Version::Base, None)?;
    }
    training.report(observe);
    let flow = training.run(observe)?;
    Ok(TrainingEnd {
        history: training.progress.history,
        best: training.progress.best,
        is_interrupted: flow.is_break(),
    })
}

/// A training in progress.
struct LoraTraining<'a> {
    tuner: &'a mut FineTuner,
    data: &'a TrainingData<'a>,
    prototypes: Prototypes,
    targets: StepTargets<'a>,
    /// Of each condition, whether it is trained; without: all.
    trained: Option<Vec<bool>>,
    /// Steps of an epoch.
    per_epoch: u64,
    progress: TrainingProgress,
    /// An epoch, and the order of its images.
    order: (u64, Vec<usize>),
    state: Option<&'a TrainingState>,
    saved: Instant,
}

impl LoraTraining<'_> {
    fn total(&self) -> u64 {
        self.per_epoch * self.tuner.settings.epochs as u64
    }

    fn run(
        &mut self,
        observe: &mut dyn FnMut(TrainingEvent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, EncoderError> {
        while self.progress.step < self.total() && !self.progress.has_ended {
            let batch = self.next_batch()?;
            let (number, images) = (self.progress.step, batch.images.len());
            let rate = self.rate(number);
            let loss = self.tuner.step(&batch, &self.prototypes, (number, rate))?;
            let (sum, count) = &mut self.progress.losses;
            *sum += loss * images as f64;
            *count += images;
            let loss = *sum / *count as f64;
            self.progress.step += 1;
            let is_epoch = self.progress.step.is_multiple_of(self.per_epoch);
            if is_epoch {
                self.progress.losses = (0.0, 0);
                self.judge(Version::Current, Some(loss))?;
                self.end_early();
            }
            if is_epoch || self.saved.elapsed() >= SAVE_INTERVAL {
                self.save()?;
            }
            if is_epoch {
                self.report(observe);
            }
            let event = TrainingEvent::Step {
                done: self.progress.step,
                total: self.total(),
                loss,
            };
            if observe(event).is_break() {
                self.save()?;
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn report(&self, observe: &mut dyn FnMut(TrainingEvent) -> ControlFlow<()>) {
        // A stop is asked for again after the next step.
        let _ = observe(TrainingEvent::Epoch {
            history: &self.progress.history,
            best: self.progress.best,
        });
    }

    fn save(&mut self) -> Result<(), EncoderError> {
        if let Some(state) = self.state {
            self.tuner.save_state(state, &self.progress)?;
        }
        self.saved = Instant::now();
        Ok(())
    }

    /// Rises linearly, then falls along half a cosine.
    fn rate(&self, step: u64) -> f64 {
        let (step, total) = (step as f64, self.total() as f64);
        let warm = (total * WARM_UP).max(1.0);
        let share = if step < warm {
            (step + 1.0) / (warm + 1.0)
        } else {
            0.5 * (1.0 + (PI * (step - warm) / (total - warm).max(1.0)).cos())
        };
        self.tuner.settings.rate * share
    }

    /// Adds the figures of a version on the images held out, and keeps the factors if they are the best.
    fn judge(&mut self, version: Version, loss: Option<f64>) -> Result<(), EncoderError> {
        let (data, held_out) = (self.data, self.data.held_out);
        let rows = if version == Version::Base {
            let all = held_out.iter();
            all.map(|at| data.embeddings[*at].clone()).collect()
        } else {
            self.tuner.embeddings(version, held_out.len(), &mut |at| {
                data.images.image(held_out[at])
            })?
        };
        let logits: Vec<Vec<f64>> = rows.iter().map(|row| data.problem.zero_shot(row)).collect();
        let figures = EpochFigures {
            epoch: self.progress.history.len(),
            loss,
            held_out: data
                .truths
                .figures(held_out, &logits, self.trained.as_deref()),
        };
        let best = self.progress.history.get(self.progress.best);
        if best.is_none_or(|best| figures.is_better_than(best)) {
            self.progress.best = self.progress.history.len();
            if version == Version::Current {
                self.tuner.keep_as_best()?;
            }
        }
        self.progress.history.push(figures);
        Ok(())
    }

    /// Ends the training if for too many epochs neither accuracy (or area) nor log-loss reached a new best: on few images these move in
    /// steps, between which log-loss shows that something is still learned.
    fn end_early(&mut self) {
        let history = &self.progress.history;
        let losses = history.iter().map(|own| own.held_out.log_loss).enumerate();
        let least = losses
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map_or(0, |own| own.0);
        let newest = self.progress.best.max(least);
        let since = history.len().saturating_sub(newest + 1);
        self.progress.has_ended = since >= self.tuner.settings.patience.max(1);
    }

    /// The images of the next step, changed at random.
    fn next_batch(&mut self) -> Result<StepBatch, EncoderError> {
        let (epoch, settings) = (self.progress.step / self.per_epoch, &self.tuner.settings);
        if self.order.0 != epoch {
            let mut order = self.data.train.to_vec();
            order.shuffle(&mut generator(settings.seed, ORDER_STREAM, epoch));
            self.order = (epoch, order);
        }
        let start = (self.progress.step % self.per_epoch) as usize * settings.batch.max(1);
        let end = self.order.1.len().min(start + settings.batch.max(1));
        let chosen = &self.order.1[start..end];
        Ok(StepBatch {
            targets: self.targets.of(chosen),
            images: self.images(chosen)?,
        })
    }

    /// Reads and changes images on all cores.
    fn images(&self, chosen: &[usize]) -> Result<Vec<PreparedImage>, EncoderError> {
        let (settings, step) = (&self.tuner.settings, self.progress.step);
        let preprocess = &self.tuner.base.preprocess;
        let sides = (preprocess.width(), preprocess.height());
        let (seed, is_changed, images) = (settings.seed, settings.augment, self.data.images);
        let one = |(place, at): (usize, &usize)| {
            let image = images.image(*at)?;
            if !is_changed {
                return Ok(image);
            }
            let mut rng = generator(seed, IMAGE_STREAMS + place as u64, step);
            Ok(augment(&image, sides, &mut rng))
        };
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let share = chosen.len().div_ceil(threads).max(1);
        let parts = thread::scope(|scope| {
            let workers: Vec<_> = chosen
                .chunks(share)
                .enumerate()
                .map(|(part, chunk)| {
                    let one = &one;
                    scope.spawn(move || {
                        let numbered = (part * share..).zip(chunk);
                        numbered.map(one).collect::<Result<Vec<_>, EncoderError>>()
                    })
                })
                .collect();
            let joined = workers.into_iter().map(|worker| {
                let ended = worker.join();
                ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            joined.collect::<Result<Vec<_>, _>>()
        });
        Ok(parts?.into_iter().flatten().collect())
    }
}
