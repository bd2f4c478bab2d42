//! The labelled images: from a table, from folders, or from the reviews in the library; and whose they are.

use serde::Serialize;
use std::path::{Path, PathBuf};

use super::super::eval::labels::{self, LabelNames};
use super::super::learn::images::CollectedImages;
use super::super::{CommandSetup, Fault, print, shown};
use crate::cli::TrainingImagesArgs;
use crate::encoder::Encoder;
use crate::engine;
use crate::learn::{PatientSplit, Truths};
use crate::media;
use crate::prompts::PromptSet;
use crate::scoring::Mode;

/// A labelled image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) struct LabelledImage {
    pub(in crate::commands) path: PathBuf,
    /// The indices of its conditions in the prompt set: one, unless each is decided on by itself.
    pub(in crate::commands) labels: Vec<usize>,
    /// What a table says of its patient, or what tells it from others where labels of a table were imported as reviews.
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

/// Reads the labels of a table or of folders.
pub(in crate::commands) fn read_files(
    (path, map): (&Path, &[(String, String)]),
    set: &PromptSet,
    mode: Mode,
) -> Result<Vec<LabelledImage>, Fault> {
    let names = LabelNames::new(set, map)?;
    let files = labels::read_as(path, &names, mode)?.into_iter();
    let files = files.map(|file| LabelledImage {
        path: file.path,
        labels: file.labels,
        patient: file.patient,
    });
    Ok(files.collect())
}

/// What images show, of one mode.
pub(in crate::commands) fn truths<'a>(
    images: impl Iterator<Item = &'a LabelledImage>,
    set: &PromptSet,
    mode: Mode,
) -> Truths {
    match mode {
        Mode::Single => Truths::One(images.map(|image| image.labels[0]).collect()),
        Mode::Multi => Truths::Any {
            conditions: set.conditions.len(),
            shown: images.map(|image| image.labels.clone()).collect(),
        },
    }
}

/// Reads the labels that the arguments name, else the reviews of what the model has encoded. Each file once.
pub(super) fn read(
    arguments: &TrainingImagesArgs,
    setup: &CommandSetup,
    set: &PromptSet,
) -> Result<Vec<LabelledImage>, Fault> {
    let mode = arguments.mode.for_set(set);
    let mut images = match &arguments.labels {
        Some(path) => read_files((path, &arguments.map), set, mode)?,
        None => of_reviews(setup, set, mode)?,
    };
    images.sort_by(|a, b| a.path.cmp(&b.path));
    join_rows(images)
}

/// Each file once, with the patient that any of its rows names.
fn join_rows(mut images: Vec<LabelledImage>) -> Result<Vec<LabelledImage>, Fault> {
    let mut fault = None;
    images.dedup_by(|row, first| {
        if row.path != first.path {
            return false;
        }
        if let [Some(a), Some(b)] = [&first.patient, &row.patient]
            && a != b
        {
            let reason = labels::two_patients([a, b]);
            fault.get_or_insert(format!("{}: {reason}", shown(&row.path)));
        }
        first.patient = first.patient.take().or(row.patient.take());
        true
    });
    fault.map_or(Ok(images), |reason| Err(Fault::usage(reason)))
}

/// The images of which reviews say one condition of the set; where each is decided on by itself, any number of conditions of the set that
/// do not contradict each other.
fn of_reviews(
    setup: &CommandSetup,
    set: &PromptSet,
    mode: Mode,
) -> Result<Vec<LabelledImage>, Fault> {
    let encoder = setup.source.open(setup.options(None));
    let encoder: Box<dyn Encoder> = encoder.map_err(Fault::unusable)?;
    let key = engine::embedding_key(encoder.as_ref(), false);
    let all = CollectedImages::read((&[], &[], mode), setup, set, encoder.card(), &key)?;
    let condition = |label: &String| set.conditions.iter().position(|own| own.name == *label);
    let mut contradictory = 0;
    let images = all.images.into_iter().filter_map(|image| {
        let labels = image.labels?;
        // A label that the set has no more may have been another name of a condition: such a review says nothing of its absence.
        let mut labels: Vec<usize> = labels.iter().map(condition).collect::<Option<_>>()?;
        labels.sort_unstable();
        if mode == Mode::Multi && labels::contradiction(set, &labels).is_some() {
            contradictory += 1;
            return None;
        }
        let is_meant = mode == Mode::Multi || labels.len() == 1;
        is_meant.then_some(LabelledImage {
            patient: all.patients.get(&image.content).cloned(),
            path: image.path,
            labels,
        })
    });
    let images: Vec<LabelledImage> = images.collect();
    if contradictory > 0 {
        print::message(format_args!(
            "{contradictory} images left out: their reviews say that they are normal, and show another condition"
        ));
    }
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
    truths: &Truths,
) -> Result<PatientSplit, Fault> {
    let share = f64::from(arguments.held_out) / 100.0;
    truths
        .split(patients, share, arguments.seed)
        .map_err(|error| {
            Fault::usage(format!(
                "{error} ({} images; patients {})",
                truths.len(),
                sources.words()
            ))
        })
}
