//! The labelled images that `bench learn` and `bench adjust` measure with, encoded by the model.

use std::ops::Range;
use std::path::Path;

use crate::commands::bench::phantoms::{SIDE, drawn};
use crate::commands::bench::stages::prepare;
use crate::commands::eval::labels::{self, LabelNames, Labelled};
use crate::commands::progress::ProgressLine;
use crate::commands::{CommandSetup, Fault, print, shown};
use crate::encoder::{Encoder, PreparedImage, Preprocess};
use crate::learn::{Problem, Shot};
use crate::phantom::{
    Anatomy, Phantom, PhantomCondition, Plan, UnseenCondition, draw, draw_unseen,
};
use crate::prompts::PromptSet;
use crate::scoring::{Logits, Mode, Scorer};

/// Images of a forward pass.
const BATCH: usize = 32;
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
        let (set, source, rows) = match from.labels {
            None => {
                let set = from.drawn.set()?;
                progress.message("drawing and encoding phantoms");
                let count = from.phantoms as usize * from.drawn.conditions();
                let rows = encoded(count, encoder, progress, |range| {
                    phantoms(from.drawn, range, &preprocess)
                })?;
                (set, from.drawn.words().to_owned(), rows)
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
                let rows = encoded(files.len(), encoder, progress, |range| {
                    Ok(files_prepared(&files[range], &preprocess, progress))
                })?;
                (set.clone(), shown(path), rows)
            }
        };
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
        let all = self.rows.iter().enumerate();
        all.map(|(group, (row, label))| Shot {
            row,
            label: *label,
            group,
        })
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

/// Encodes so many images, each with its label. `prepare` makes those of a range; only these are in memory at a time.
pub(in crate::commands::bench) fn encoded(
    count: usize,
    encoder: &mut dyn Encoder,
    progress: &ProgressLine,
    mut prepare: impl FnMut(Range<usize>) -> Result<Vec<(PreparedImage, usize)>, Fault>,
) -> Result<Vec<(Vec<f32>, usize)>, Fault> {
    let mut rows = Vec::with_capacity(count);
    for start in (0..count).step_by(BATCH) {
        progress.set(start as u64, Some(count as u64));
        let prepared = prepare(start..count.min(start + BATCH))?;
        let (inputs, labels): (Vec<PreparedImage>, Vec<usize>) = prepared.into_iter().unzip();
        if !inputs.is_empty() {
            let encoded = encoder.encode_images(&inputs).map_err(Fault::unusable)?;
            rows.extend(encoded.into_iter().zip(labels));
        }
    }
    Ok(rows)
}

/// Draws phantoms of the conditions in turn, each of a seed of its own.
fn phantoms(
    subject: PhantomSubject,
    range: Range<usize>,
    preprocess: &Preprocess,
) -> Result<Vec<(PreparedImage, usize)>, Fault> {
    drawn(range, preprocess, &|index| {
        let label = index % subject.conditions();
        let seed = FIRST_SEED + index as u64;
        (subject.draw(label, seed), label)
    })
}

/// Prepares files; those that cannot be read are named and left out.
pub(in crate::commands::bench) fn files_prepared(
    files: &[Labelled],
    preprocess: &Preprocess,
    progress: &ProgressLine,
) -> Vec<(PreparedImage, usize)> {
    let mut inputs = Vec::new();
    for file in files {
        match prepare(&file.path, preprocess, false) {
            Ok(prepared) => inputs.extend(prepared.input.map(|input| (input, file.label))),
            Err(error) => progress.suspend(|| {
                print::message(format_args!("{}: {error}", shown(&file.path)));
            }),
        }
    }
    inputs
}
