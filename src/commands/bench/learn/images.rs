//! The labelled images that `bench learn` and `bench adjust` measure with, encoded by the model.

use std::collections::{BTreeSet, HashMap};
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
    rows: Vec<LabelledRow>,
}

/// An image in numbers.
pub(in crate::commands::bench) struct LabelledRow {
    /// Its unit embedding.
    pub(in crate::commands::bench) embedding: Vec<f32>,
    /// What sees no finding: see [`statistics`].
    statistics: Vec<f32>,
    /// The index of its condition.
    pub(in crate::commands::bench) label: usize,
    /// The patient, where that is known.
    patient: Option<String>,
}

/// An image that is ready for the model, with the index of its condition and perhaps the patient.
pub(in crate::commands::bench) struct LabelledInput {
    pub(in crate::commands::bench) image: PreparedImage,
    pub(in crate::commands::bench) label: usize,
    pub(in crate::commands::bench) patient: Option<String>,
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
        rows: Vec<LabelledRow>,
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
        let has_images = |at: &usize| rows.iter().any(|row| row.label == *at);
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
                .filter_map(|row| {
                    let label = place(row.label)?;
                    Some(LabelledRow { label, ..row })
                })
                .collect(),
        })
    }

    pub(in crate::commands::bench) fn shots(&self) -> impl Iterator<Item = Shot<'_>> {
        self.shots_of(|row| &row.embedding)
    }

    /// The images in the same order, as the control sees them, with a problem whose texts say nothing.
    pub(in crate::commands::bench) fn control(&self) -> (Problem, impl Iterator<Item = Shot<'_>>) {
        let length = self.rows.first().map_or(0, |row| row.statistics.len());
        let conditions = self.problem.texts.len();
        let problem = Problem {
            texts: vec![vec![0.0; length]; conditions],
            offsets: vec![0.0; conditions],
            scale: 1.0,
        };
        (problem, self.shots_of(|row| &row.statistics))
    }

    /// Images of one patient have the same group.
    fn shots_of<'a>(
        &'a self,
        numbers: impl Fn(&'a LabelledRow) -> &'a [f32],
    ) -> impl Iterator<Item = Shot<'a>> {
        let mut first: HashMap<&str, usize> = HashMap::new();
        let all = self.rows.iter().enumerate();
        all.map(move |(at, row)| Shot {
            row: numbers(row),
            label: row.label,
            group: match row.patient.as_deref() {
                Some(patient) => *first.entry(patient).or_insert(at),
                None => at,
            },
        })
    }

    /// A condition whose images are all of one patient.
    pub(in crate::commands::bench) fn of_one_patient(&self) -> Option<&str> {
        let of = |label: usize| {
            let own = self.shots().filter(move |shot| shot.label == label);
            own.map(|shot| shot.group)
                .collect::<BTreeSet<usize>>()
                .len()
        };
        let at = (0..self.names.len()).find(|label| of(*label) < 2)?;
        Some(&self.names[at])
    }

    /// The number of patients; `None` if some are not known.
    pub(in crate::commands::bench) fn patients(&self) -> Option<usize> {
        let patients = self.rows.iter().map(|row| row.patient.as_deref());
        let patients: Option<BTreeSet<&str>> = patients.collect();
        patients.map(|all| all.len())
    }

    /// The number of images of each condition.
    pub(in crate::commands::bench) fn counts(&self) -> Vec<(String, usize)> {
        let names = self.names.iter().enumerate();
        names
            .map(|(at, name)| {
                let own = self.rows.iter().filter(|row| row.label == at);
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
    mut prepare: impl FnMut(Range<usize>) -> Result<Vec<LabelledInput>, Fault>,
) -> Result<Vec<LabelledRow>, Fault> {
    let mut rows = Vec::with_capacity(count);
    for start in (0..count).step_by(BATCH) {
        progress.set(start as u64, Some(count as u64));
        let prepared = prepare(start..count.min(start + BATCH))?;
        let facts = prepared.iter().map(|own| {
            let statistics = statistics(own.image.bytes());
            (statistics, own.label, own.patient.clone())
        });
        let facts: Vec<(Vec<f32>, usize, Option<String>)> = facts.collect();
        let inputs: Vec<PreparedImage> = prepared.into_iter().map(|own| own.image).collect();
        if inputs.is_empty() {
            continue;
        }
        let encoded = encoder.encode_images(&inputs).map_err(Fault::unusable)?;
        let both = encoded.into_iter().zip(facts);
        rows.extend(
            both.map(|(embedding, (statistics, label, patient))| LabelledRow {
                embedding,
                statistics,
                label,
                patient,
            }),
        );
    }
    Ok(rows)
}

/// Mean and deviation of the grey values of an RGB image, five quantiles, the shares of black and of white, and the mean step between
/// neighbours, from 0 to 1. What labels these tell is a property of how images were made, not of what they show.
fn statistics(bytes: &[u8]) -> Vec<f32> {
    let pixels = bytes.chunks_exact(3);
    let grey = pixels.map(|p| (p.iter().map(|own| f32::from(*own)).sum::<f32>() / 765.0).min(1.0));
    let grey: Vec<f32> = grey.collect();
    let count = grey.len().max(1) as f32;
    let mean = |values: &mut dyn Iterator<Item = f32>| values.sum::<f32>() / count;
    let middle = mean(&mut grey.iter().copied());
    let deviation = mean(&mut grey.iter().map(|own| (own - middle).powi(2))).sqrt();
    let steps = mean(&mut grey.windows(2).map(|pair| (pair[0] - pair[1]).abs()));
    let mut sorted = grey.clone();
    sorted.sort_unstable_by(f32::total_cmp);
    let quantile = |share: f32| sorted.get((share * (count - 1.0)) as usize).copied();
    let share =
        |test: fn(f32) -> bool| mean(&mut grey.iter().map(|own| f32::from(u8::from(test(*own)))));
    let quantiles = [0.05, 0.25, 0.5, 0.75, 0.95].map(|at| quantile(at).unwrap_or_default());
    let black = share(|own| own < 0.04);
    let white = share(|own| own > 0.96);
    let mut all = vec![middle, deviation, black, white, steps];
    all.extend(quantiles);
    all
}

/// Draws phantoms of the conditions in turn, each of a seed of its own.
fn phantoms(
    subject: PhantomSubject,
    range: Range<usize>,
    preprocess: &Preprocess,
) -> Result<Vec<LabelledInput>, Fault> {
    let label = |index: usize| index % subject.conditions();
    let images = drawn(range.clone(), preprocess, &|index| {
        subject.draw(label(index), FIRST_SEED + index as u64)
    })?;
    let inputs = images.into_iter().zip(range.map(label));
    let inputs = inputs.map(|(image, label)| LabelledInput {
        image,
        label,
        patient: None,
    });
    Ok(inputs.collect())
}

/// Prepares files; those that cannot be read are named and left out.
pub(in crate::commands::bench) fn files_prepared(
    files: &[Labelled],
    preprocess: &Preprocess,
    progress: &ProgressLine,
) -> Vec<LabelledInput> {
    let mut inputs = Vec::new();
    for file in files {
        match prepare(&file.path, preprocess, false) {
            Ok(prepared) => inputs.extend(prepared.input.map(|image| LabelledInput {
                image,
                label: file.label,
                patient: file.patient.clone(),
            })),
            Err(error) => progress.suspend(|| {
                print::message(format_args!("{}: {error}", shown(&file.path)));
            }),
        }
    }
    inputs
}
