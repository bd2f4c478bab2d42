//! The labelled images that `bench learn` and `bench adjust` measure with, encoded by the model.

use std::path::Path;
use std::thread;

use crate::commands::bench::stages::prepare;
use crate::commands::eval::labels::{self, LabelNames, Labelled};
use crate::commands::progress::ProgressLine;
use crate::commands::{CommandSetup, Fault, print, shown};
use crate::encoder::{Encoder, EncoderError, PreparedImage, Preprocess};
use crate::learn::{Problem, Shot};
use crate::media::{Picture, Pixels};
use crate::phantom::{
    Anatomy, Phantom, PhantomCondition, Plan, UnseenCondition, draw, draw_unseen,
};
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

/// The conditions of [`VAGUE`].
const KNOWN: [PhantomCondition; 4] = [
    PhantomCondition::Pneumonia,
    PhantomCondition::Tumor,
    PhantomCondition::Fracture,
    PhantomCondition::Normal,
];

/// What little is said of them.
const VAGUE: &str = r#"
name = "vague"
title = "The conditions of `general`, poorly described"
templates = ["{}", "a medical image showing {}"]

[[condition]]
name = "pneumonia"
description = "Hazy."
phrases = ["a hazy area", "an abnormal lung"]

[[condition]]
name = "tumor"
description = "Round."
phrases = ["a round area", "something unusual"]

[[condition]]
name = "fracture"
description = "A line."
phrases = ["a dark line", "an abnormal bone"]

[[condition]]
name = "normal"
description = "Nothing."
phrases = ["nothing unusual", "an image of a body part"]
normal = true
"#;

/// Which labelled images to measure with.
pub(in crate::commands::bench) struct LabelledSource<'a> {
    /// Where they are, if they are the user's.
    pub labels: Option<&'a Path>,
    /// Labels in the data, and the conditions that they are.
    pub map: &'a [(String, String)],
    /// Otherwise which phantoms are drawn.
    pub drawn: PhantomSubject,
    /// And how many of each condition.
    pub phantoms: u32,
}

/// Phantoms with prompts that say little of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::commands::bench) enum PhantomSubject {
    /// Chests with conditions that the built-in model was not trained on.
    Unseen,
    /// Chests, heads and limbs with the conditions of the set `general`.
    Known,
}

impl PhantomSubject {
    fn set(self) -> Result<PromptSet, Fault> {
        let (text, name) = match self {
            Self::Unseen => (WEAK, "weak.toml"),
            Self::Known => (VAGUE, "vague.toml"),
        };
        PromptSet::parse(text, name).map_err(Fault::unusable)
    }

    fn words(self) -> &'static str {
        match self {
            Self::Unseen => "phantoms of unseen conditions",
            Self::Known => "phantoms",
        }
    }

    fn conditions(self) -> usize {
        match self {
            Self::Unseen => UnseenCondition::ALL.len(),
            Self::Known => KNOWN.len(),
        }
    }

    /// Draws the phantom of a condition, by its index.
    fn draw(self, condition: usize, seed: u64) -> Phantom {
        match self {
            Self::Unseen => draw_unseen(UnseenCondition::ALL[condition], seed, SIDE),
            Self::Known => {
                let condition = KNOWN[condition];
                let parts = [Anatomy::Chest, Anatomy::Head, Anatomy::Limb];
                let parts = parts.map(|part| (part, part.conditions().contains(&condition)));
                let parts: Vec<Anatomy> = parts
                    .into_iter()
                    .filter_map(|(part, can)| can.then_some(part))
                    .collect();
                draw(&Plan {
                    anatomy: parts[seed as usize / KNOWN.len() % parts.len()],
                    condition,
                    seed,
                    width: SIDE,
                    height: SIDE,
                    level: 0.0,
                })
            }
        }
    }
}

/// Labelled images as the model has encoded them.
pub(in crate::commands::bench) struct LabelledImages {
    pub(in crate::commands::bench) problem: Problem,
    pub(in crate::commands::bench) prompts: String,
    /// Where they are from.
    pub(in crate::commands::bench) source: String,
    /// The conditions' names, and which are no finding.
    pub(in crate::commands::bench) names: Vec<String>,
    pub(in crate::commands::bench) normal: Vec<bool>,
    rows: Vec<(Vec<f32>, usize)>,
}

impl LabelledImages {
    /// Reads or draws images, and encodes them and the prompts.
    pub(in crate::commands::bench) fn read(
        from: &LabelledSource<'_>,
        setup: &CommandSetup,
        encoder: &mut dyn Encoder,
        progress: &ProgressLine,
    ) -> Result<Self, Fault> {
        let preprocess = encoder.preprocess();
        let (set, source, inputs) = match from.labels {
            None => {
                let set = from.drawn.set()?;
                progress.message("drawing phantoms");
                let inputs = phantoms(from.drawn, from.phantoms, &preprocess)?;
                (set, from.drawn.words().to_owned(), inputs)
            }
            Some(path) => {
                let prompts = setup.load_prompts()?;
                let [set] = prompts.sets() else {
                    return Err(Fault::usage(
                        "this needs one prompt set whose conditions are the labels; name it with --prompts",
                    ));
                };
                let names = LabelNames::new(set, from.map)?;
                let files = labels::read(path, &names)?;
                let inputs = files_prepared(&files, &preprocess, progress);
                (set.clone(), shown(path), inputs)
            }
        };
        let mut rows = Vec::with_capacity(inputs.len());
        let total = inputs.len() as u64;
        for chunk in inputs.chunks(BATCH) {
            progress.set(rows.len() as u64, Some(total));
            let batch: Vec<PreparedImage> = chunk.iter().map(|(input, _)| input.clone()).collect();
            let encoded = encoder.encode_images(&batch).map_err(Fault::unusable)?;
            rows.extend(
                encoded
                    .into_iter()
                    .zip(chunk.iter().map(|(_, label)| *label)),
            );
        }
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
            normal: kept.iter().map(|at| set.conditions[*at].normal).collect(),
            rows: rows
                .filter_map(|(row, label)| Some((row, place(label)?)))
                .collect(),
        })
    }

    pub(in crate::commands::bench) fn shots(&self) -> impl Iterator<Item = Shot<'_>> {
        let all = self.rows.iter();
        all.map(|(row, label)| Shot { row, label: *label })
    }

    /// The number of images of each condition.
    pub(in crate::commands::bench) fn counts(&self) -> Vec<(String, usize)> {
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
fn phantoms(
    drawn: PhantomSubject,
    each: u32,
    preprocess: &Preprocess,
) -> Result<Vec<(PreparedImage, usize)>, Fault> {
    let count = each as usize * drawn.conditions();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let one = |index: usize| {
        let label = index % drawn.conditions();
        let seed = FIRST_SEED + index as u64;
        let phantom = drawn.draw(label, seed);
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

/// Prepares files; those that cannot be read are named and left out.
fn files_prepared(
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
