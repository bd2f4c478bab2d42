//! The images that `bench train` measures with.

use std::path::Path;

use super::super::phantoms::{SIDE, drawn};
use crate::commands::eval::labels::{self, LabelNames};
use crate::commands::train::{LabelledImage, patients, prepare};
use crate::commands::{Fault, print, shown};
use crate::encoder::finetune::TrainingImages;
use crate::encoder::{EncoderError, PreparedImage, Preprocess};
use crate::learn::split_by_patient;
use crate::phantom::{Anatomy, PhantomCondition, Plan, draw, draw_shifted};
use crate::prompts::PromptSet;

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
    pub(super) labels: Vec<usize>,
    patients: Vec<String>,
    pub(super) train: Vec<usize>,
    pub(super) held_out: Vec<usize>,
    pub(super) test: Vec<usize>,
}

/// Images tested on.
pub(super) struct TestImages {
    pub(super) images: Vec<PreparedImage>,
    pub(super) labels: Vec<usize>,
    pub(super) patients: Vec<String>,
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

/// The anatomies with their conditions, each condition equally often.
const CELLS: [(Anatomy, PhantomCondition); 12] = [
    (Anatomy::Chest, PhantomCondition::Pneumonia),
    (Anatomy::Chest, PhantomCondition::Tumor),
    (Anatomy::Limb, PhantomCondition::Fracture),
    (Anatomy::Chest, PhantomCondition::Normal),
    (Anatomy::Chest, PhantomCondition::Pneumonia),
    (Anatomy::Head, PhantomCondition::Tumor),
    (Anatomy::Limb, PhantomCondition::Fracture),
    (Anatomy::Head, PhantomCondition::Normal),
    (Anatomy::Chest, PhantomCondition::Pneumonia),
    (Anatomy::Head, PhantomCondition::Tumor),
    (Anatomy::Limb, PhantomCondition::Fracture),
    (Anatomy::Limb, PhantomCondition::Normal),
];

impl BenchSamples {
    /// Shifted phantoms to train with, as many again by a share to test on, and as many as those without a shift.
    pub(super) fn shifted(
        count: u32,
        seed: u64,
        preprocess: &Preprocess,
        set: &PromptSet,
    ) -> Result<(Self, Option<TestImages>), Fault> {
        let label = |condition: PhantomCondition| {
            let found = set
                .conditions
                .iter()
                .position(|own| own.name == condition.name());
            found.ok_or_else(|| {
                Fault::usage(format!(
                    "phantoms are measured under the prompt set `general`: `{}` has no condition `{}`",
                    set.name,
                    condition.name()
                ))
            })
        };
        let labels: Result<Vec<usize>, Fault> = CELLS.iter().map(|own| label(own.1)).collect();
        let labels = labels?;
        let plan = |index: usize| {
            let (anatomy, condition) = CELLS[index % CELLS.len()];
            Plan {
                anatomy,
                condition,
                seed: FIRST_SEED + seed * SEED_DISTANCE + index as u64,
                width: SIDE,
                height: SIDE,
                level: 0.0,
            }
        };
        let count = count as usize;
        let tested = (count as f64 * TEST_SHARE) as usize;
        let all = drawn(0..count + tested, preprocess, &|at| {
            (draw_shifted(&plan(at)), labels[at % labels.len()])
        })?;
        // Others than those trained with, so that what is remembered of these plays no part.
        let original = drawn(0..tested, preprocess, &|at| {
            let at = count + tested + at;
            (draw(&plan(at)), labels[at % labels.len()])
        })?;
        let (images, labels): (Vec<PreparedImage>, Vec<usize>) = all.into_iter().unzip();
        let patients = (0..images.len()).map(|at| at.to_string()).collect();
        let test = (count..count + tested).collect();
        let samples = Self::split((images, labels, patients), test, seed)?;
        let (images, labels): (Vec<PreparedImage>, Vec<usize>) = original.into_iter().unzip();
        let original = TestImages {
            images,
            labels,
            patients: Vec::new(),
        };
        Ok((samples, Some(original)))
    }

    /// Labelled images of the user's, of which some patients take no part until the end.
    pub(super) fn labelled(
        (path, map): (&Path, &[(String, String)]),
        seed: u64,
        preprocess: &Preprocess,
        set: &PromptSet,
    ) -> Result<Self, Fault> {
        let names = LabelNames::new(set, map)?;
        let files = labels::read(path, &names)?.into_iter();
        let files: Vec<LabelledImage> = files
            .map(|file| LabelledImage {
                path: file.path,
                label: file.label,
                patient: file.patient,
            })
            .collect();
        let (all_patients, _) = patients(&files);
        let (mut images, mut labels, mut patients) = (Vec::new(), Vec::new(), Vec::new());
        for (file, patient) in files.into_iter().zip(all_patients) {
            match prepare(&file.path, preprocess) {
                Ok(image) => {
                    images.push(image);
                    labels.push(file.label);
                    patients.push(patient);
                }
                Err(error) => print::message(format_args!("{}: {error}", shown(&file.path))),
            }
        }
        let split = split_by_patient(&patients, &labels, TEST_SHARE, seed);
        let test = split.map_err(Fault::usage)?.held_out;
        Self::split((images, labels, patients), test, seed)
    }

    /// Splits what is not tested on.
    fn split(
        (images, labels, patients): (Vec<PreparedImage>, Vec<usize>, Vec<String>),
        test: Vec<usize>,
        seed: u64,
    ) -> Result<Self, Fault> {
        let rest: Vec<usize> = (0..labels.len())
            .filter(|at| test.binary_search(at).is_err())
            .collect();
        let rest_patients: Vec<String> = rest.iter().map(|at| patients[*at].clone()).collect();
        let rest_labels: Vec<usize> = rest.iter().map(|at| labels[*at]).collect();
        let split = split_by_patient(&rest_patients, &rest_labels, HELD_OUT_SHARE, seed);
        let split = split.map_err(Fault::usage)?;
        let of_all = |side: Vec<usize>| side.into_iter().map(|at| rest[at]).collect();
        Ok(Self {
            train: of_all(split.train),
            held_out: of_all(split.held_out),
            test,
            images,
            labels,
            patients,
        })
    }

    /// The images tested on.
    pub(super) fn tested(&self) -> TestImages {
        let test = || self.test.iter();
        TestImages {
            images: test().map(|at| self.images[*at].clone()).collect(),
            labels: test().map(|at| self.labels[*at]).collect(),
            patients: test().map(|at| self.patients[*at].clone()).collect(),
        }
    }

    /// A number for the patient of each of these images.
    pub(super) fn patient_numbers(&self, images: &[usize]) -> Vec<usize> {
        let mut names: Vec<&String> = self.patients.iter().collect();
        names.sort_unstable();
        names.dedup();
        let number = |at: &usize| names.binary_search(&&self.patients[*at]).unwrap_or(0);
        images.iter().map(number).collect()
    }
}
