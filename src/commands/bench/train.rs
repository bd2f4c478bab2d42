//! `bench train`: what a probe and fine-tuning gain on images that took no part, and what fine-tuning forgets.

mod report;
mod samples;

use std::ops::ControlFlow;
use std::time::Instant;

use crate::cli::TrainBenchArgs;
use crate::commands::progress::ProgressLine;
use crate::commands::train::{ScoredModel, patient_numbers, prompt_set};
use crate::commands::{CommandSetup, Fault, exit, print};
use crate::encoder::finetune::{
    FineTuner, LoraSettings, TrainingData, TrainingEnd, TrainingEvent, train,
};
use crate::encoder::{EncoderError, ModelOptions, Precision};
use crate::learn::{HeldOutFigures, Probe, Problem};
use crate::prompts::PromptSet;
use crate::scoring::Mode;
use report::{SeedReport, TestLogits, TrainBenchReport};
use samples::BenchSamples;

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
        ScoredModel::new(encoder.as_mut(), &set, arguments.mode).map_err(Fault::unusable)?
    };
    let mut bench = TrainBench {
        arguments,
        setup,
        set,
        model,
        progress: &progress,
        device: String::new(),
        settings: LoraSettings::default(),
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
    /// Those of the last seed.
    settings: LoraSettings,
}

impl TrainBench<'_> {
    fn settings_of(&self, seed: u64) -> LoraSettings {
        LoraSettings {
            rate: self.arguments.rate,
            blocks: self.arguments.blocks,
            seed,
            ..LoraSettings::default()
        }
    }

    fn measure(&mut self, seed: u64) -> Result<SeedReport, Fault> {
        let begun = Instant::now();
        let source = &self.setup.source;
        let mut tuner = FineTuner::open(source, self.setup.device, self.settings_of(seed))
            .map_err(Fault::unusable)?;
        self.device = tuner.device();
        self.progress.message("reading images");
        let preprocess = tuner.preprocess();
        let subject = (&self.set, self.model.mode);
        let (samples, original) = match &self.arguments.labels {
            None => BenchSamples::shifted(self.arguments.phantoms, seed, &preprocess, subject)?,
            Some(path) => {
                let labels = (path.as_path(), self.arguments.map.as_slice());
                let samples = BenchSamples::labelled(labels, seed, &preprocess, subject)?;
                (samples, None)
            }
        };
        let epochs = self.arguments.epochs.map(usize::from);
        tuner.set_epochs(
            epochs.unwrap_or_else(|| tuner.settings().usual_epochs(samples.train.len())),
        );
        let embeddings = tuner.encode_base(&samples, samples.truths.len());
        let embeddings = embeddings.map_err(Fault::unusable)?;
        // In seconds, so that labels of which nothing can be learned are told before minutes of training.
        let problem = &self.model.problem;
        let probe = fitted(problem, &samples, &embeddings)?;
        let end = self.train(&mut tuner, &samples, &embeddings)?;
        let zero_shot = |rows: &[Vec<f32>]| -> Vec<Vec<f64>> {
            rows.iter().map(|row| problem.zero_shot(row)).collect()
        };
        let tuned = tuner.encode_best(&samples.tested());
        let test = samples.test.iter();
        let before: Vec<Vec<f64>> = test.map(|at| problem.zero_shot(&embeddings[*at])).collect();
        let test = samples.test.iter();
        let logits = TestLogits {
            zero_shot: before,
            probe: test
                .map(|at| probe.logits(problem, &embeddings[*at]))
                .collect(),
            lora: zero_shot(&tuned.map_err(Fault::unusable)?),
        };
        let original = original.map(|own| -> Result<[HeldOutFigures; 2], Fault> {
            let base = tuner.encode_base(&own, own.truths.len());
            let best = tuner.encode_best(&own.images);
            let all: Vec<usize> = (0..own.truths.len()).collect();
            let figures = |rows: Result<Vec<Vec<f32>>, EncoderError>| {
                let rows = rows.map_err(Fault::unusable)?;
                Ok(own.truths.figures(&all, &zero_shot(&rows), None))
            };
            Ok([figures(base)?, figures(best)?])
        });
        self.settings = tuner.settings().clone();
        let mut report = SeedReport::new(seed, &self.set, &samples, (&probe, &logits));
        report.original = original.transpose()?;
        report.epochs = end.history.len() - 1;
        report.best_epoch = end.best;
        report.seconds = begun.elapsed().as_secs_f64();
        Ok(report)
    }

    fn train(
        &self,
        tuner: &mut FineTuner,
        samples: &BenchSamples,
        embeddings: &[Vec<f32>],
    ) -> Result<TrainingEnd, Fault> {
        let data = TrainingData {
            images: samples,
            truths: &samples.truths,
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
        let images = match (&self.arguments.labels, self.model.mode) {
            (None, Mode::Single) => "phantoms of another contrast, noise and proportions".to_owned(),
            (None, Mode::Multi) => {
                "phantoms of another contrast, noise and proportions, of whose chests a quarter show two conditions"
                    .to_owned()
            }
            (Some(path), _) => crate::commands::shown(path),
        };
        let mut report = TrainBenchReport::new(self.model.mode, seeds);
        report.settings = self.settings;
        report.model = self.model.card.id;
        report.model_digest = self.model.card.digest;
        report.device = self.device;
        report.prompts = self.set.name;
        report.images = images;
        report
    }
}

/// A probe on what is not tested on.
fn fitted(
    problem: &Problem,
    samples: &BenchSamples,
    embeddings: &[Vec<f32>],
) -> Result<Probe, Fault> {
    let groups = patient_numbers(&samples.patients);
    let sides = (samples.train.as_slice(), samples.held_out.as_slice());
    let fitted = samples
        .truths
        .fit_probe(problem, (embeddings, &groups), sides);
    fitted.map_err(Fault::unusable)
}
