//! Trains the built-in model: a small CLIP on labelled public images and phantoms, from random weights, with a fixed seed.
//!
//! ```text
//! cargo run --release --example train-builtin -- DATA OUT [--minutes N] [--exclude-source NAME]… [--device cpu]
//! cargo run --release --example train-builtin -- DATA OUT --finish
//! cargo run --release --example train-builtin -- DATA OUT --measure
//! ```
//!
//! DATA holds `manifest.csv` and the sources' tar files. OUT receives the model in open_clip's layout, weights in f16, every few
//! minutes, and `training.safetensors`, from which the same command resumes after any interruption; without that file it starts
//! anew. The learning rate follows the steps, or the minutes (150 unless given) where those pass faster, so that a slow machine
//! ends in time, after fewer steps. A GPU is used if there is one (`--device` chooses): it takes larger batches, fewer steps, and six
//! minutes unless `--minutes` says otherwise. Sources named by `--exclude-source` are not trained on. At its end it writes what ships beside
//! the weights, as `--finish` does for a training that was ended early: `known.safetensors` and `calibrations.toml`. `--measure`
//! prints the figures of the model in OUT. What ships are `open_clip_config.json`, `tokenizer.json`,
//! `open_clip_model.safetensors` and these two.

mod augment;
mod claims;
mod control;
mod facts;
mod finish;
mod loss;
mod measure;
mod model;
mod outliers;
mod pairs;
mod pool;
mod state;
mod statements;
mod texts;

use std::error::Error;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use medivision_tui::encoder::{
    Device, EncoderError, Tokenizer, Towers, limit_threads, resolve_device,
};
use medivision_tui::prompts::{self, KINDS, PromptSet};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tch::Tensor;

use loss::Questions;
use measure::Exam;
use model::{MEAN, SIDE, STD, Variables, unit_rows};
use pool::{Batch, Pool};
use state::Training;

const SEED: u64 = 20_261_127;
/// Number of phantoms for training.
const PHANTOMS: usize = 9_000;
/// How a device is trained on.
struct Recipe {
    /// Steps of a whole training.
    steps: i64,
    /// How many times as large as the least batch a batch is.
    times: usize,
    learning_rate: f64,
    /// Minutes of a whole training, unless others are given.
    minutes: f64,
    /// Steps between two short examinations.
    exam_steps: i64,
}

impl Recipe {
    fn of(device: tch::Device) -> Self {
        if !device.is_cuda() {
            return CPU_RECIPE;
        }
        // All batches have the same size.
        tch::Cuda::cudnn_set_benchmark(true);
        GPU_RECIPE
    }
}

const CPU_RECIPE: Recipe = Recipe {
    steps: 14_000,
    times: 1,
    learning_rate: 2.0e-3,
    minutes: 150.0,
    exam_steps: 1000,
};
const GPU_RECIPE: Recipe = Recipe {
    steps: 7000,
    times: 3,
    learning_rate: 3.0e-3,
    minutes: 6.0,
    exam_steps: 2000,
};
/// Batches that wait for their step, for each thread that makes them.
const WAITING_BATCHES: usize = 2;
const WARM_UP_STEPS: f64 = 300.0;
/// CLIP's own maximum of the factor from cosine to logit.
const MAX_SCALE: f64 = 100.0;
/// Time between two checkpoints.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(180);
/// Steps between two lines of progress.
const PROGRESS_STEPS: i64 = 50;
/// A step that takes longer was interrupted, by a laptop's sleep for example, and counts only this much.
const MAX_STEP_SECONDS: f64 = 20.0;

const USAGE: &str = "usage: train-builtin DATA OUT [--minutes N] [--exclude-source NAME]... [--device D] | train-builtin DATA OUT --finish | train-builtin DATA OUT --measure";

/// The command line.
struct Arguments {
    data: PathBuf,
    out: PathBuf,
    minutes: Option<f64>,
    device: Device,
    excluded: Vec<String>,
    task: Task,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq)]
enum Task {
    Train,
    Finish,
    Measure,
}

impl Arguments {
    fn parse() -> Result<Self, Box<dyn Error>> {
        let (mut folders, mut excluded, mut minutes, mut task) =
            (Vec::new(), Vec::new(), None, Task::Train);
        let mut device = Device::Auto;
        let mut all = std::env::args().skip(1);
        while let Some(argument) = all.next() {
            match argument.as_str() {
                "--minutes" => minutes = Some(all.next().ok_or(USAGE)?.parse()?),
                "--device" => device = all.next().ok_or(USAGE)?.parse()?,
                "--exclude-source" => excluded.push(all.next().ok_or(USAGE)?),
                "--finish" => task = Task::Finish,
                "--measure" => task = Task::Measure,
                _ if argument.starts_with('-') => return Err(USAGE.into()),
                _ => folders.push(PathBuf::from(argument)),
            }
        }
        let [data, out] = <[PathBuf; 2]>::try_from(folders).map_err(|_| USAGE)?;
        Ok(Self {
            data,
            out,
            minutes,
            device,
            excluded,
            task,
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse()?;
    wait_without_spinning()?;
    limit_threads(std::thread::available_parallelism().map_or(1, |n| n.get().min(2)));
    let mut sets = prompts::all(None)?;
    sets.retain(|set| !prompts::WITHOUT_PHANTOMS.contains(&&*set.name));
    let Arguments { data, out, .. } = &arguments;
    match arguments.task {
        Task::Train => {
            train(&arguments, &sets)?;
            finish::finish(data, out, &sets)
        }
        Task::Finish => finish::finish(data, out, &sets),
        Task::Measure => {
            let exam = Exam::new(data, out, 900, 1, true)?;
            eprint!("{}", exam.report(out, &sets)?);
            Ok(())
        }
    }
}

/// Starts the program again with libtorch's threads told to sleep while they wait. Otherwise they take the time of the thread that
/// prepares images, and on a machine that does other work, too, most of the time is lost.
fn wait_without_spinning() -> Result<(), Box<dyn Error>> {
    const SETTING: &str = "OMP_WAIT_POLICY";
    if std::env::var_os(SETTING).is_some() {
        return Ok(());
    }
    let mut command = std::process::Command::new(std::env::current_exe()?);
    let command = command.args(std::env::args_os().skip(1));
    Err(command
        .env(SETTING, "passive")
        .env("GOMP_SPINCOUNT", "0")
        .exec()
        .into())
}

/// The files beside the weights.
struct ModelFiles {
    config: String,
    tokenizer: String,
}

impl ModelFiles {
    /// The settings of a model that knows the words of all texts.
    fn new(sets: &[PromptSet]) -> Self {
        let words = texts::words(sets);
        Self {
            config: model::config_json(words.len() + 4),
            tokenizer: model::tokenizer_json(&words),
        }
    }

    fn write(&self, out: &Path) -> Result<(), Box<dyn Error>> {
        model::write(&out.join("open_clip_config.json"), self.config.as_bytes())?;
        model::write(&out.join("tokenizer.json"), self.tokenizer.as_bytes())
    }
}

fn train(arguments: &Arguments, sets: &[PromptSet]) -> Result<(), Box<dyn Error>> {
    // Kinds are asked for in the words of `claims`, of which the set has some.
    let asked: Vec<PromptSet> = sets
        .iter()
        .filter(|set| set.name != KINDS)
        .cloned()
        .collect();
    let out = &arguments.out;
    std::fs::create_dir_all(out).map_err(|e| format!("{}: {e}", out.display()))?;
    // What an earlier training knew.
    match std::fs::remove_file(out.join(finish::KNOWN)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let settings = ModelFiles::new(&asked);
    let tokenizer = Tokenizer::from_json(settings.tokenizer.as_bytes(), model::CONTEXT)?;
    let (weights, checkpoint) = (
        out.join("open_clip_model.safetensors"),
        out.join("training.safetensors"),
    );
    let device = resolve_device(arguments.device)?;
    let recipe = Recipe::of(device);
    // On the CPU, so that the weights are the same on every device.
    tch::manual_seed(SEED as i64);
    let mut training = Training::new(Variables::random(tokenizer.vocabulary()).on(device));
    if checkpoint.exists() {
        training.resume(&checkpoint)?;
        eprintln!(
            "resumed after step {} and {:.0} minutes",
            training.step,
            training.seconds / 60.0
        );
    }
    settings.write(out)?;
    let clip = training.variables.towers(&settings.config)?;
    training.variables.export(&weights)?;
    eprintln!(
        "{} values, {} words, {device:?}; reading images and drawing phantoms",
        training.variables.count(),
        tokenizer.vocabulary()
    );
    let pool = Pool::new(&arguments.data, &arguments.excluded, PHANTOMS, SEED)?;
    let exam = Exam::new(&arguments.data, out, 180, 4, false)?;
    eprintln!("{} images", pool.len());
    let budget = arguments.minutes.unwrap_or(recipe.minutes) * 60.0;
    let made = |step: i64| -> Result<(Batch, Questions), EncoderError> {
        let batch = pool.batch(recipe.times, &mut random(step, 0));
        let questions = Questions::draw(&asked, &batch.facts, &tokenizer, &mut random(step, 1))?;
        Ok((batch, questions))
    };
    std::thread::scope(|scope| {
        let first = training.step;
        let batches = start_workers(scope, first, &made);
        let mut saved = Instant::now();
        let mut sums = Progress::default();
        loop {
            let progress =
                (training.step as f64 / recipe.steps as f64).max(training.seconds / budget);
            let is_over = progress >= 1.0;
            if is_over || saved.elapsed() >= CHECKPOINT_INTERVAL {
                training.save(&checkpoint)?;
                training.variables.export(&weights)?;
                saved = Instant::now();
            }
            if is_over || (training.step % recipe.exam_steps == 0 && training.step > first) {
                training.variables.export(&weights)?;
                eprint!("{}", exam.report(out, sets)?);
            }
            if is_over {
                break;
            }
            let started = Instant::now();
            let worker = (training.step - first) as usize % batches.len();
            let (batch, questions) = batches[worker].recv()??;
            let count = batch.facts.len();
            let loss = step(
                &mut training,
                &clip,
                batch,
                &questions,
                (progress, &recipe, device),
            )?;
            let seconds = started.elapsed().as_secs_f64().min(MAX_STEP_SECONDS);
            training.seconds += seconds;
            sums.add(loss, count, seconds);
            if training.step % PROGRESS_STEPS == 0 {
                let scale = clip.logit_scale().double_value(&[]).exp();
                eprintln!(
                    "{} scale {scale:.1} {}",
                    training.line(progress),
                    sums.line()
                );
                sums = Progress::default();
            }
        }
        drop(batches);
        Ok(())
    })
}

/// Makes batches on all cores but one. The batches of the steps from `first` on come from the receivers in turn, so that they do not
/// depend on the number of cores.
fn start_workers<'scope, T: Send + 'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    first: i64,
    made: &'scope (impl Fn(i64) -> T + Sync),
) -> Vec<Receiver<T>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let count = cores.saturating_sub(1).max(1);
    let worker = |index: usize| {
        let (sender, receiver) = std::sync::mpsc::sync_channel(WAITING_BATCHES);
        scope.spawn(move || {
            let mut steps = (first + index as i64..).step_by(count);
            // It ends with the receiver.
            steps
                .try_for_each(|step| sender.send(made(step)).map_err(drop))
                .ok()
        });
        receiver
    };
    (0..count).map(worker).collect()
}

/// Sums since the last line of progress.
#[derive(Default)]
struct Progress {
    steps: usize,
    loss: f64,
    images: usize,
    seconds: f64,
}

impl Progress {
    fn add(&mut self, loss: f64, images: usize, seconds: f64) {
        self.steps += 1;
        self.loss += loss;
        self.images += images;
        self.seconds += seconds;
    }

    fn line(&self) -> String {
        let mean = self.loss / self.steps.max(1) as f64;
        format!(
            "loss {mean:.3} {:.0} images/s",
            self.images as f64 / self.seconds.max(1e-9)
        )
    }
}

/// The random numbers of a step, for one of several purposes.
fn random(step: i64, purpose: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED.wrapping_add(step as u64));
    rng.set_stream(purpose);
    rng
}

/// One step of training; returns its loss. `progress`: from 0 to 1.
fn step(
    training: &mut Training,
    clip: &Towers,
    batch: Batch,
    questions: &Questions,
    (progress, recipe, device): (f64, &Recipe, tch::Device),
) -> Result<f64, Box<dyn Error>> {
    let shape = [batch.facts.len() as i64, 3, SIDE, SIDE];
    let pixels = Tensor::from_slice(&batch.bytes)
        .view(shape)
        .to_device(device); // [batch, 3, SIDE, SIDE]
    let pixels = (pixels.to_kind(tch::Kind::Float) / 255.0 - MEAN) / STD; // [batch, 3, SIDE, SIDE]
    let images = unit_rows(&clip.image_features(&pixels)?); // [batch, d]
    let loss = questions.loss(clip, &images)?; // scalar
    let warm = ((training.step + 1) as f64 / WARM_UP_STEPS).min(1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress.min(1.0)).cos());
    training.descend(&loss, recipe.learning_rate * warm * (0.01 + 0.99 * cosine));
    tch::no_grad(|| {
        let _ = clip
            .logit_scale()
            .shallow_clone()
            .clamp_(0.0, MAX_SCALE.ln());
    });
    Ok(loss.double_value(&[]))
}
