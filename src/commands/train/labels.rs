//! The labelled images: from a table, from folders, or from the reviews in the library; and whose they are.

use serde::Serialize;
use std::path::{Path, PathBuf};

use super::super::eval::labels::{self, LabelNames};
use super::super::learn::images::CollectedImages;
use super::super::{CommandSetup, Fault, shown};
use crate::cli::TrainingImagesArgs;
use crate::encoder::Encoder;
use crate::engine;
use crate::learn::{PatientSplit, split_by_patient};
use crate::media;
use crate::prompts::PromptSet;

/// A labelled image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) struct LabelledImage {
    pub(in crate::commands) path: PathBuf,
    /// The index of its condition in the prompt set.
    pub(in crate::commands) label: usize,
    /// What a table says of its patient.
    pub(in crate::commands) patient: Option<String>,
}

/// The only prompt set of the settings.
pub(in crate::commands) fn prompt_set(setup: &CommandSetup) -> Result<PromptSet, Fault> {
    match setup.load_prompts()?.sets() {
        [set] => Ok(set.clone()),
        _ => Err(Fault::usage(
            "this needs one prompt set, whose conditions are the labels; name it with --prompts",
        )),
    }
}

/// Reads the labels that the arguments name, else the reviews of what the model has encoded. Each file once.
pub(super) fn read(
    arguments: &TrainingImagesArgs,
    setup: &CommandSetup,
    set: &PromptSet,
) -> Result<Vec<LabelledImage>, Fault> {
    let mut images = match &arguments.labels {
        Some(path) => {
            let names = LabelNames::new(set, &arguments.map)?;
            let files = labels::read(path, &names)?.into_iter();
            files
                .map(|file| LabelledImage {
                    path: file.path,
                    label: file.label,
                    patient: file.patient,
                })
                .collect()
        }
        None => of_reviews(setup, set)?,
    };
    images.sort_by(|a, b| a.path.cmp(&b.path));
    for pair in images.windows(2) {
        if pair[0].path == pair[1].path && pair[0].label != pair[1].label {
            let path = shown(&pair[0].path);
            return Err(Fault::usage(format!(
                "{path}: the labels name it twice, with different conditions; training takes one for each image"
            )));
        }
    }
    images.dedup_by(|a, b| a.path == b.path);
    Ok(images)
}

/// The images of which reviews say one condition of the set.
fn of_reviews(setup: &CommandSetup, set: &PromptSet) -> Result<Vec<LabelledImage>, Fault> {
    let encoder = setup.source.open(setup.options(None));
    let encoder: Box<dyn Encoder> = encoder.map_err(Fault::unusable)?;
    let key = engine::embedding_key(encoder.as_ref(), false);
    let all = CollectedImages::read((&[], &[]), setup, set, encoder.card(), &key)?;
    let images = all.images.into_iter().filter_map(|image| {
        let labels = image.labels?;
        let [label] = labels.as_slice() else {
            return None;
        };
        let label = set.conditions.iter().position(|own| own.name == *label)?;
        Some(LabelledImage {
            path: image.path,
            label,
            patient: None,
        })
    });
    let images: Vec<LabelledImage> = images.collect();
    if images.is_empty() {
        return Err(Fault::unusable(format!(
            "no image that this model has classified is reviewed under {}; review some, or give labels with --labels",
            media::clean(&set.name)
        )));
    }
    Ok(images)
}

/// How many images' patients are known from where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(in crate::commands) struct PatientSources {
    /// From the PatientID of the DICOM file.
    pub(super) dicom: usize,
    /// From the column `patient` of the table.
    pub(super) table: usize,
    /// Not known: the file stands for its patient.
    pub(super) file: usize,
}

impl PatientSources {
    /// In words.
    pub(super) fn words(self) -> String {
        let parts = [
            (self.dicom, "by PatientID"),
            (self.table, "by the column `patient`"),
            (self.file, "by file"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts
            .map(|(count, words)| format!("{count} {words}"))
            .collect();
        parts.join(", ")
    }
}

/// The patient of each image, for the split alone: the PatientID of a DICOM file, else what the table says, else the file itself.
pub(in crate::commands) fn patients(images: &[LabelledImage]) -> (Vec<String>, PatientSources) {
    let mut sources = PatientSources::default();
    let names = images.iter().map(|image| {
        if let Some(id) = patient_id(&image.path) {
            sources.dicom += 1;
            return format!("id {id}");
        }
        if let Some(patient) = &image.patient {
            sources.table += 1;
            return format!("patient {patient}");
        }
        sources.file += 1;
        format!("file {}", image.path.display())
    });
    (names.collect(), sources)
}

fn patient_id(path: &Path) -> Option<String> {
    let id = media::header(path)?.patient_id.trim().to_owned();
    Some(id).filter(|id| !id.is_empty())
}

/// Splits by patient; an error says what the patients were told by.
pub(super) fn split(
    arguments: &TrainingImagesArgs,
    (patients, sources): (&[String], PatientSources),
    labels: &[usize],
) -> Result<PatientSplit, Fault> {
    let share = f64::from(arguments.held_out) / 100.0;
    split_by_patient(patients, labels, share, arguments.seed).map_err(|error| {
        Fault::usage(format!(
            "{error} ({} images; patients {})",
            labels.len(),
            sources.words()
        ))
    })
}
