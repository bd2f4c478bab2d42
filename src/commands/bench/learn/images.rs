//! The images that `bench learn` measures with, encoded by the model.

use std::thread;

use super::super::stages::prepare;
use crate::cli::LearnBenchArgs;
use crate::commands::eval::labels::{self, LabelNames, Labelled};
use crate::commands::progress::ProgressLine;
use crate::commands::{CommandSetup, Fault, print, shown};
use crate::encoder::{Encoder, EncoderError, PreparedImage, Preprocess};
use crate::learn::{Problem, Shot};
use crate::media::{Picture, Pixels};
use crate::phantom::{UnseenCondition, draw_unseen};
use crate::prompts::PromptSet;
use crate::scoring::{Logits, Mode, Scorer};

/// Images of a forward pass.
const BATCH: usize = 32;
/// Columns and rows of a phantom.
const SIDE: u32 = 256;
/// The seed of the first phantom: none that the built-in model was trained on or examined with.
const FIRST_SEED: u64 = 0x1EA2_0000_0000;

/// What little is said of the phantoms' conditions.
const WEAK: &str = r#"
name = "weak"
title = "Conditions that the built-in model was not trained on"
templates = ["{}", "a chest X-ray showing {}"]

[[condition]]
name = "effusion"
description = "Fluid."
phrases = ["a lower lung opacity", "an abnormal lower lung"]

[[condition]]
name = "pneumothorax"
description = "Air."
phrases = ["a clear lung", "an abnormal upper lung"]

[[condition]]
name = "large heart"
description = "A large heart."
phrases = ["a large heart shadow"]

[[condition]]
name = "pacemaker"
description = "Metal."
phrases = ["a small round opacity", "a well-defined opacity"]

[[condition]]
name = "spots"
description = "Many small spots."
phrases = ["several small lung opacities"]
"#;

/// Labelled images as the model has encoded them.
pub(super) struct LabelledImages {
    pub(super) problem: Problem,
    pub(super) prompts: String,
    /// Where they are from.
    pub(super) source: String,
    names: Vec<String>,
    rows: Vec<(Vec<f32>, usize)>,
}

impl LabelledImages {
    /// Reads or draws images, and encodes them and the prompts.
    pub(super) fn read(
        arguments: &LearnBenchArgs,
        setup: &CommandSetup,
        encoder: &mut dyn Encoder,
        progress: &ProgressLine,
    ) -> Result<Self, Fault> {
        let preprocess = encoder.preprocess();
        let (set, source, inputs) = match &arguments.labels {
            None => {
                let set = PromptSet::parse(WEAK, "weak.toml").map_err(Fault::unusable)?;
                progress.message("drawing phantoms");
                let inputs = phantoms(arguments.phantoms, &preprocess)?;
                (set, "phantoms of unseen conditions".to_owned(), inputs)
            }
            Some(path) => {
                let prompts = setup.load_prompts()?;
                let [set] = prompts.sets() else {
                    return Err(Fault::usage(
                        "this needs one prompt set whose conditions are the labels; name it with --prompts",
                    ));
                };
                let names = LabelNames::new(set, &arguments.map)?;
                let files = labels::read(path, &names)?;
                let inputs = files_prepared(&files, &preprocess, progress);
                (set.clone(), shown(path), inputs)
            }
        };
        let rows = encoded(&inputs, encoder, progress)?;
        Self::new(&set, source, rows, encoder)
    }

    /// Conditions without an image take no part.
    fn new(
        set: &PromptSet,
        source: String,
        rows: Vec<(Vec<f32>, usize)>,
        encoder: &mut dyn Encoder,
    ) -> Result<Self, Fault> {
        let card = encoder.card();
        let logits = Logits {
            scale: card.logit_scale,
            bias: card.logit_bias,
        };
        let scorer = Scorer::new(set, Mode::Single, logits, |texts| {
            encoder.encode_texts(texts)
        });
        let scorer = scorer.map_err(Fault::unusable)?;
        let has_images = |at: &usize| rows.iter().any(|(_, label)| label == at);
        let kept: Vec<usize> = (0..set.conditions.len()).filter(has_images).collect();
        if kept.len() < 2 {
            return Err(Fault::usage(
                "there must be images of at least two conditions",
            ));
        }
        let texts: Vec<Vec<f32>> = scorer.texts().map(|own| own.present.to_vec()).collect();
        let place = |label: usize| kept.iter().position(|own| *own == label);
        let rows = rows.into_iter();
        Ok(Self {
            problem: Problem {
                texts: kept.iter().map(|at| texts[*at].clone()).collect(),
                offsets: vec![0.0; kept.len()],
                scale: logits.scale,
            },
            prompts: set.name.clone(),
            source,
            names: kept
                .iter()
                .map(|at| set.conditions[*at].name.clone())
                .collect(),
            rows: rows
                .filter_map(|(row, label)| Some((row, place(label)?)))
                .collect(),
        })
    }

    pub(super) fn shots(&self) -> impl Iterator<Item = Shot<'_>> {
        let all = self.rows.iter();
        all.map(|(row, label)| Shot { row, label: *label })
    }

    /// The number of images of each condition.
    pub(super) fn counts(&self) -> Vec<(String, usize)> {
        let names = self.names.iter().enumerate();
        names
            .map(|(at, name)| {
                let own = self.rows.iter().filter(|(_, label)| *label == at);
                (name.clone(), own.count())
            })
            .collect()
    }
}

/// Draws phantoms on all cores: so many of each condition, each of a seed of its own.
fn phantoms(each: u32, preprocess: &Preprocess) -> Result<Vec<(PreparedImage, usize)>, Fault> {
    let count = each as usize * UnseenCondition::ALL.len();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let one = |index: usize| {
        let label = index % UnseenCondition::ALL.len();
        let seed = FIRST_SEED + index as u64;
        let phantom = draw_unseen(UnseenCondition::ALL[label], seed, SIDE);
        let picture = Picture {
            width: phantom.width,
            height: phantom.height,
            pixels: Pixels::Luma(phantom.to_luma8()),
        };
        Ok((preprocess.apply(&picture)?, label))
    };
    let share = count.div_ceil(threads);
    let parts = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|part| {
                let range = part * share..count.min((part + 1) * share);
                let one = &one;
                scope.spawn(move || range.map(one).collect::<Result<Vec<_>, EncoderError>>())
            })
            .collect();
        let joined = workers.into_iter().map(|worker| {
            let ended = worker.join();
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        joined.collect::<Result<Vec<_>, _>>()
    });
    let parts = parts.map_err(Fault::unusable)?;
    Ok(parts.into_iter().flatten().collect())
}

/// Encodes prepared images, each with its label.
pub(in crate::commands::bench) fn encoded(
    inputs: &[(PreparedImage, usize)],
    encoder: &mut dyn Encoder,
    progress: &ProgressLine,
) -> Result<Vec<(Vec<f32>, usize)>, Fault> {
    let mut rows = Vec::with_capacity(inputs.len());
    for chunk in inputs.chunks(BATCH) {
        progress.set(rows.len() as u64, Some(inputs.len() as u64));
        let batch: Vec<PreparedImage> = chunk.iter().map(|(input, _)| input.clone()).collect();
        let encoded = encoder.encode_images(&batch).map_err(Fault::unusable)?;
        let labels = chunk.iter().map(|(_, label)| *label);
        rows.extend(encoded.into_iter().zip(labels));
    }
    Ok(rows)
}

/// Prepares files; those that cannot be read are named and left out.
pub(in crate::commands::bench) fn files_prepared(
    files: &[Labelled],
    preprocess: &Preprocess,
    progress: &ProgressLine,
) -> Vec<(PreparedImage, usize)> {
    let mut inputs = Vec::new();
    for (at, file) in files.iter().enumerate() {
        progress.set(at as u64, Some(files.len() as u64));
        match prepare(&file.path, preprocess, false) {
            Ok(prepared) => inputs.extend(prepared.input.map(|input| (input, file.label))),
            Err(error) => progress.suspend(|| {
                print::message(format_args!("{}: {error}", shown(&file.path)));
            }),
        }
    }
    inputs
}
