//! The images that `bench train` measures with.

use std::ops::Range;
use std::path::Path;

use super::super::phantoms::{SIDE, drawn};
use crate::commands::train::{patients, prepare, read_files, truths};
use crate::commands::{Fault, print, shown};
use crate::encoder::finetune::TrainingImages;
use crate::encoder::{EncoderError, PreparedImage, Preprocess};
use crate::learn::Truths;
use crate::phantom::{Anatomy, PhantomCondition, Plan, draw_shifted_with, draw_with};
use crate::prompts::PromptSet;
use crate::scoring::Mode;

/// The seeds of the phantoms: none that the built-in model was trained on or examined with. Draws are this far apart.
const FIRST_SEED: u64 = 0x7EA1_0000_0000;
const SEED_DISTANCE: u64 = 1 << 24;
/// Phantoms tested on, for each one that is trained with.
const TEST_SHARE: f64 = 0.3;
/// The share of the images held out to choose the epoch.
const HELD_OUT_SHARE: f64 = 0.15;

/// Images in memory, and which of them are for what.
pub(super) struct BenchSamples {
    images: Vec<PreparedImage>,
    pub(super) truths: Truths,
    pub(super) patients: Vec<String>,
    pub(super) train: Vec<usize>,
    pub(super) held_out: Vec<usize>,
    pub(super) test: Vec<usize>,
}

/// Images tested on.
pub(super) struct TestImages {
    pub(super) images: Vec<PreparedImage>,
    pub(super) truths: Truths,
}

impl TrainingImages for BenchSamples {
    fn image(&self, index: usize) -> Result<PreparedImage, EncoderError> {
        Ok(self.images[index].clone())
    }
}

impl TrainingImages for TestImages {
    fn image(&self, index: usize) -> Result<PreparedImage, EncoderError> {
        Ok(self.images[index].clone())
    }
}

/// An anatomy and what it shows.
type Cell = (Anatomy, &'static [PhantomCondition]);

const NORMAL: &[PhantomCondition] = &[PhantomCondition::Normal];
const PNEUMONIA: &[PhantomCondition] = &[PhantomCondition::Pneumonia];
const TUMOR: &[PhantomCondition] = &[PhantomCondition::Tumor];
const FRACTURE: &[PhantomCondition] = &[PhantomCondition::Fracture];

/// The anatomies with their conditions, each condition equally often.
const CELLS: [Cell; 12] = [
    (Anatomy::Chest, PNEUMONIA),
    (Anatomy::Chest, TUMOR),
    (Anatomy::Limb, FRACTURE),
    (Anatomy::Chest, NORMAL),
    (Anatomy::Chest, PNEUMONIA),
    (Anatomy::Head, TUMOR),
    (Anatomy::Limb, FRACTURE),
    (Anatomy::Head, NORMAL),
    (Anatomy::Chest, PNEUMONIA),
    (Anatomy::Head, TUMOR),
    (Anatomy::Limb, FRACTURE),
    (Anatomy::Limb, NORMAL),
];

/// The same where an image may show several: in a chest each of its conditions is as likely with the other as without it.
const CELLS_OF_SEVERAL: [Cell; 8] = [
    (Anatomy::Chest, NORMAL),
    (Anatomy::Limb, FRACTURE),
    (Anatomy::Chest, PNEUMONIA),
    (Anatomy::Head, TUMOR),
    (Anatomy::Chest, TUMOR),
    (Anatomy::Limb, NORMAL),
    (
        Anatomy::Chest,
        &[PhantomCondition::Pneumonia, PhantomCondition::Tumor],
    ),
    (Anatomy::Head, NORMAL),
];

/// What phantoms show, by their index.
struct PhantomPlans {
    cells: &'static [Cell],
    /// The indices of each cell's conditions.
    labels: Vec<Vec<usize>>,
    mode: Mode,
    conditions: usize,
    first_seed: u64,
}

impl PhantomPlans {
    fn new(set: &PromptSet, mode: Mode, seed: u64) -> Result<Self, Fault> {
        let label = |condition: &PhantomCondition| {
            let name = condition.name();
            let found = set.conditions.iter().position(|own| own.name == name);
            found.ok_or_else(|| {
                Fault::usage(format!(
                    "phantoms are measured under the prompt set `general`: `{}` has no condition `{name}`",
                    set.name,
                ))
            })
        };
        let cells: &[Cell] = match mode {
            Mode::Single => &CELLS,
            Mode::Multi => &CELLS_OF_SEVERAL,
        };
        let labels = cells.iter().map(|(_, own)| own.iter().map(label).collect());
        Ok(Self {
            labels: labels.collect::<Result<_, Fault>>()?,
            cells,
            mode,
            conditions: set.conditions.len(),
            first_seed: FIRST_SEED + seed * SEED_DISTANCE,
        })
    }

    /// The plan of a phantom, and what it shows besides.
    fn plan(&self, index: usize) -> (Plan, &'static [PhantomCondition]) {
        let (anatomy, conditions) = self.cells[index % self.cells.len()];
        let plan = Plan {
            anatomy,
            condition: conditions[0],
            seed: self.first_seed + index as u64,
            width: SIDE,
            height: SIDE,
            level: 0.0,
        };
        (plan, &conditions[1..])
    }

    fn truths(&self, range: Range<usize>) -> Truths {
        let labels = range.map(|at| &self.labels[at % self.labels.len()]);
        match self.mode {
            Mode::Single => Truths::One(labels.map(|own| own[0]).collect()),
            Mode::Multi => Truths::Any {
                conditions: self.conditions,
                shown: labels.cloned().collect(),
            },
        }
    }
}

impl BenchSamples {
    /// Shifted phantoms to train with, as many again by a share to test on, and as many as those without a shift.
    pub(super) fn shifted(
        count: u32,
        seed: u64,
        preprocess: &Preprocess,
        (set, mode): (&PromptSet, Mode),
    ) -> Result<(Self, Option<TestImages>), Fault> {
        let plans = PhantomPlans::new(set, mode, seed)?;
        let count = count as usize;
        let tested = (count as f64 * TEST_SHARE) as usize;
        let all = drawn(0..count + tested, preprocess, &|at| {
            let (plan, others) = plans.plan(at);
            draw_shifted_with(&plan, others)
        })?;
        // Others than those trained with, so that what is remembered of these plays no part.
        let unshifted = count + tested..count + 2 * tested;
        let original = drawn(unshifted.clone(), preprocess, &|at| {
            let (plan, others) = plans.plan(at);
            draw_with(&plan, others)
        })?;
        let original = TestImages {
            images: original,
            truths: plans.truths(unshifted),
        };
        let patients = (0..all.len()).map(|at| at.to_string()).collect();
        let test = (count..count + tested).collect();
        let truths = plans.truths(0..all.len());
        let samples = Self::split((all, truths, patients), test, seed)?;
        Ok((samples, Some(original)))
    }

    /// Labelled images of the user's, of which some patients take no part until the end.
    pub(super) fn labelled(
        labels: (&Path, &[(String, String)]),
        seed: u64,
        preprocess: &Preprocess,
        (set, mode): (&PromptSet, Mode),
    ) -> Result<Self, Fault> {
        let files = read_files(labels, set, mode)?;
        let (all_patients, _) = patients(&files);
        let (mut images, mut kept, mut patients) = (Vec::new(), Vec::new(), Vec::new());
        for (file, patient) in files.into_iter().zip(all_patients) {
            match prepare(&file.path, preprocess) {
                Ok(image) => {
                    images.push(image);
                    kept.push(file);
                    patients.push(patient);
                }
                Err(error) => print::message(format_args!("{}: {error}", shown(&file.path))),
            }
        }
        let truths = truths(kept.iter(), set, mode);
        let split = truths.split(&patients, TEST_SHARE, seed);
        let test = split.map_err(Fault::usage)?.held_out;
        Self::split((images, truths, patients), test, seed)
    }

    /// Splits what is not tested on.
    fn split(
        (images, truths, patients): (Vec<PreparedImage>, Truths, Vec<String>),
        test: Vec<usize>,
        seed: u64,
    ) -> Result<Self, Fault> {
        let rest: Vec<usize> = (0..truths.len())
            .filter(|at| test.binary_search(at).is_err())
            .collect();
        let rest_patients: Vec<String> = rest.iter().map(|at| patients[*at].clone()).collect();
        let split = truths.subset(&rest);
        let split = split.split(&rest_patients, HELD_OUT_SHARE, seed);
        let split = split.map_err(Fault::usage)?;
        let of_all = |side: Vec<usize>| side.into_iter().map(|at| rest[at]).collect();
        Ok(Self {
            train: of_all(split.train),
            held_out: of_all(split.held_out),
            test,
            images,
            truths,
            patients,
        })
    }

    /// The images tested on.
    pub(super) fn tested(&self) -> Vec<PreparedImage> {
        let test = self.test.iter();
        test.map(|at| self.images[*at].clone()).collect()
    }
}
