//! `bench train`: what a probe and fine-tuning gain on images that took no part, and what fine-tuning forgets.

mod samples;

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::time::Instant;

use serde::Serialize;

use crate::cli::TrainBenchArgs;
use crate::commands::progress::ProgressLine;
use crate::commands::train::{ScoredModel, WORTHWHILE_GAIN, gain, prompt_set};
use crate::commands::{CommandSetup, Fault, exit, print};
use crate::encoder::finetune::{
    FineTuner, LoraSettings, TrainingData, TrainingEnd, TrainingEvent, train,
};
use crate::encoder::{ModelOptions, Precision};
use crate::learn::{HeldOutFigures, Problem, Shot, compare, fit_probe};
use crate::library::NOTICE;
use crate::media::clean;
use crate::prompts::PromptSet;
use crate::scoring::metrics::{Estimate, bootstrap_mean};
use samples::{BenchSamples, TestImages};

/// The most points that may be forgotten, from 0 to 1.
const MAX_FORGOTTEN: f64 = 0.01;

/// What was measured.
#[derive(Serialize)]
struct TrainBenchReport {
    model: String,
    model_digest: String,
    device: String,
    prompts: String,
    /// Where the images are from.
    images: String,
    settings: LoraSettings,
    seeds: Vec<SeedReport>,
    /// Balanced accuracy gained by fine-tuning over the probe, from −1 to 1: mean and interval over seeds.
    lora_over_probe: Estimate,
    /// Balanced accuracy lost by fine-tuning on phantoms as they were; `None` with images of the user's.
    forgotten: Option<Estimate>,
    /// Whether fine-tuning gains at least two points over the probe and forgets at most one.
    is_worthwhile: bool,
    notice: &'static str,
}

/// What was measured with one seed.
#[derive(Serialize)]
struct SeedReport {
    seed: u64,
    /// Images learned from, held out to choose the epoch, and tested on.
    train: usize,
    held_out: usize,
    test: usize,
    /// On the images tested on.
    zero_shot: HeldOutFigures,
    probe: HeldOutFigures,
    lora: HeldOutFigures,
    /// Balanced accuracy gained, with an interval over patients.
    probe_gain: Estimate,
    lora_gain: Estimate,
    lora_over_probe: Estimate,
    /// On phantoms as they were, zero-shot and fine-tuned.
    original: Option<[HeldOutFigures; 2]>,
    epochs: usize,
    best_epoch: usize,
    seconds: f64,
}

/// Measures; returns the exit code.
pub fn run(arguments: &TrainBenchArgs, setup: &CommandSetup) -> Result<u8, Fault> {
    let progress = ProgressLine::new();
    progress.message("loading the model");
    let set = prompt_set(setup)?;
    let model = {
        let options = ModelOptions {
            precision: Precision::F32,
            ..setup.options(None)
        };
        let mut encoder = setup.source.open(options).map_err(Fault::unusable)?;
        ScoredModel::new(encoder.as_mut(), &set).map_err(Fault::unusable)?
    };
    let mut bench = TrainBench {
        arguments,
        setup,
        set,
        model,
        progress: &progress,
        device: String::new(),
    };
    let mut seeds = Vec::new();
    for seed in 0..arguments.seeds {
        seeds.push(bench.measure(seed)?);
    }
    progress.end();
    let report = bench.report(seeds);
    if arguments.json {
        print::json(&report)?;
    } else {
        print::lines(&report.table())?;
    }
    Ok(exit::OK)
}

/// A measurement in progress.
struct TrainBench<'a> {
    arguments: &'a TrainBenchArgs,
    setup: &'a CommandSetup,
    set: PromptSet,
    model: ScoredModel,
    progress: &'a ProgressLine,
    device: String,
}

impl TrainBench<'_> {
    fn settings(&self, seed: u64) -> LoraSettings {
        LoraSettings {
            epochs: self.arguments.epochs.into(),
            rate: self.arguments.rate,
            blocks: self.arguments.blocks,
            seed,
            ..LoraSettings::default()
        }
    }

    fn measure(&mut self, seed: u64) -> Result<SeedReport, Fault> {
        let begun = Instant::now();
        let source = &self.setup.source;
        let mut tuner = FineTuner::open(source, self.setup.device, self.settings(seed))
            .map_err(Fault::unusable)?;
        self.device = tuner.device();
        self.progress.message("reading images");
        let preprocess = tuner.preprocess();
        let (samples, original) = match &self.arguments.labels {
            None => BenchSamples::shifted(self.arguments.phantoms, seed, &preprocess, &self.set)?,
            Some(path) => {
                let map = &self.arguments.map;
                let samples = BenchSamples::labelled((path, map), seed, &preprocess, &self.set)?;
                (samples, None)
            }
        };
        let embeddings = tuner.encode_base(&samples, samples.labels.len());
        let embeddings = embeddings.map_err(Fault::unusable)?;
        let end = self.train(&mut tuner, &samples, &embeddings)?;
        let problem = &self.model.problem;
        let zero_shot = |rows: &[Vec<f32>]| -> Vec<Vec<f64>> {
            rows.iter().map(|row| problem.zero_shot(row)).collect()
        };
        let tested = samples.tested();
        let tuned = tuner.encode_best(&tested.images).map_err(Fault::unusable)?;
        let test = samples.test.iter();
        let before: Vec<Vec<f64>> = test.map(|at| problem.zero_shot(&embeddings[*at])).collect();
        let probe = probed(problem, &samples, &embeddings)?;
        let tuned = zero_shot(&tuned);
        let original = original.map(|own| -> Result<[HeldOutFigures; 2], Fault> {
            let base = tuner.encode_base(&own, own.labels.len());
            let best = tuner.encode_best(&own.images);
            let [base, best] = [base, best].map(|rows| rows.map_err(Fault::unusable));
            Ok([
                figures(&own.labels, &zero_shot(&base?)),
                figures(&own.labels, &zero_shot(&best?)),
            ])
        });
        let gain = |a: &[Vec<f64>], b: &[Vec<f64>]| compared(&tested, a, b);
        Ok(SeedReport {
            seed,
            train: samples.train.len(),
            held_out: samples.held_out.len(),
            test: samples.test.len(),
            zero_shot: figures(&tested.labels, &before),
            probe: figures(&tested.labels, &probe),
            lora: figures(&tested.labels, &tuned),
            probe_gain: gain(&before, &probe),
            lora_gain: gain(&before, &tuned),
            lora_over_probe: gain(&probe, &tuned),
            original: original.transpose()?,
            epochs: end.history.len() - 1,
            best_epoch: end.best,
            seconds: begun.elapsed().as_secs_f64(),
        })
    }

    fn train(
        &self,
        tuner: &mut FineTuner,
        samples: &BenchSamples,
        embeddings: &[Vec<f32>],
    ) -> Result<TrainingEnd, Fault> {
        let data = TrainingData {
            images: samples,
            labels: &samples.labels,
            train: &samples.train,
            held_out: &samples.held_out,
            problem: &self.model.problem,
            embeddings,
        };
        let progress = self.progress;
        let mut observe = |event: TrainingEvent| {
            if let TrainingEvent::Step { done, total, loss } = event {
                progress.message(&format!("loss {loss:.3}"));
                progress.set(done, Some(total));
            }
            ControlFlow::Continue(())
        };
        train(tuner, &data, None, &mut observe).map_err(Fault::unusable)
    }

    fn report(self, seeds: Vec<SeedReport>) -> TrainBenchReport {
        let over: Vec<f64> = seeds.iter().map(|own| own.lora_over_probe.value).collect();
        let lora_over_probe = bootstrap_mean(&over);
        let forgotten: Vec<f64> = seeds
            .iter()
            .filter_map(|own| own.original.as_ref())
            .map(|[base, tuned]| base.balanced_accuracy - tuned.balanced_accuracy)
            .collect();
        let forgotten = (!forgotten.is_empty()).then(|| bootstrap_mean(&forgotten));
        let is_kept = forgotten
            .as_ref()
            .is_none_or(|own| own.value <= MAX_FORGOTTEN);
        let images = match &self.arguments.labels {
            None => "phantoms of another contrast, noise and proportions".to_owned(),
            Some(path) => crate::commands::shown(path),
        };
        TrainBenchReport {
            settings: self.settings(0),
            model: self.model.card.id,
            model_digest: self.model.card.digest,
            device: self.device,
            prompts: self.set.name,
            images,
            is_worthwhile: lora_over_probe.value >= WORTHWHILE_GAIN && is_kept,
            lora_over_probe,
            forgotten,
            seeds,
            notice: NOTICE,
        }
    }
}

/// The logits of the tested images by a probe.
fn probed(
    problem: &Problem,
    samples: &BenchSamples,
    embeddings: &[Vec<f32>],
) -> Result<Vec<Vec<f64>>, Fault> {
    let shots = |images: &[usize]| {
        let both = images.iter().zip(samples.patient_numbers(images));
        let shots = both.map(|(at, group)| Shot {
            row: &embeddings[*at],
            label: samples.labels[*at],
            group,
        });
        shots.collect::<Vec<Shot>>()
    };
    let (train, held_out) = (shots(&samples.train), shots(&samples.held_out));
    let probe = fit_probe(problem, &train, &held_out).map_err(Fault::unusable)?;
    let test = samples.test.iter();
    Ok(test
        .map(|at| probe.logits(problem, &embeddings[*at]))
        .collect())
}

fn figures(labels: &[usize], logits: &[Vec<f64>]) -> HeldOutFigures {
    HeldOutFigures::of(labels.iter().copied().zip(logits.iter().cloned()))
}

fn compared(tested: &TestImages, before: &[Vec<f64>], after: &[Vec<f64>]) -> Estimate {
    let names = tested.patients.iter().zip(&tested.labels);
    let cases = names.zip(before.iter().zip(after));
    let cases: Vec<(&str, usize, [&[f64]; 2])> = cases
        .map(|((patient, label), (before, after))| {
            let both = [before.as_slice(), after.as_slice()];
            (patient.as_str(), *label, both)
        })
        .collect();
    compare(&cases, 0)
}

impl TrainBenchReport {
    fn table(&self) -> String {
        // Writing to a string cannot fail.
        let mut out = String::new();
        let _ = writeln!(
            out,
            "model {}, prompts {}; {}",
            clean(&self.model),
            clean(&self.prompts),
            self.images
        );
        for own in &self.seeds {
            let percent = |figures: &HeldOutFigures| figures.balanced_accuracy * 100.0;
            let _ = writeln!(
                out,
                "\nseed {}: {} images to learn from, {} held out, {} tested; best epoch {} of {}, {:.0} s",
                own.seed,
                own.train,
                own.held_out,
                own.test,
                own.best_epoch,
                own.epochs,
                own.seconds
            );
            let _ = writeln!(
                out,
                "  balanced accuracy  zero-shot {:.1} %  probe {:.1} %  fine-tuned {:.1} %",
                percent(&own.zero_shot),
                percent(&own.probe),
                percent(&own.lora)
            );
            let _ = writeln!(
                out,
                "  points gained      probe {}  fine-tuned {}  fine-tuned over probe {}",
                gain(&own.probe_gain),
                gain(&own.lora_gain),
                gain(&own.lora_over_probe)
            );
            if let Some([base, tuned]) = &own.original {
                let _ = writeln!(
                    out,
                    "  phantoms as they were  zero-shot {:.1} %  fine-tuned {:.1} %",
                    percent(base),
                    percent(tuned)
                );
            }
        }
        let _ = writeln!(
            out,
            "\nfine-tuned over probe: {} points (mean over seeds)",
            gain(&self.lora_over_probe)
        );
        if let Some(own) = &self.forgotten {
            let _ = writeln!(out, "forgotten: {} points", gain(own));
        }
        out.push_str(if self.is_worthwhile {
            "fine-tuning gains at least two points over the probe, and forgets at most one\n"
        } else {
            "fine-tuning is not worth its cost here: it gains less than two points over the probe, or forgets more than one\n"
        });
        out
    }
}
