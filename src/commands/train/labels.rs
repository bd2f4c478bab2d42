//! The labelled images: from a table, from folders, or from the reviews in the library; and whose they are.

use serde::Serialize;
use std::path::{Path, PathBuf};

use super::super::eval::labels::{self, LabelNames};
use super::super::learn::copies::Copies;
use super::super::learn::images::CollectedImages;
use super::super::{CommandSetup, Fault, print};
use crate::cli::TrainingImagesArgs;
use crate::encoder::Encoder;
use crate::engine;
use crate::learn::{PatientSplit, Truths, patient_groups, patient_marks};
use crate::media::{self, DicomOrigin, patient_mark};
use crate::prompts::PromptSet;
use crate::scoring::Mode;

/// A labelled image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) struct LabelledImage {
    pub(in crate::commands) path: PathBuf,
    /// The indices of its conditions in the prompt set: one, unless each is decided on by itself.
    pub(in crate::commands) labels: Vec<usize>,
    /// What tells its patient from others, as tables name them.
    pub(in crate::commands) patients: Vec<String>,
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
        patients: file
            .patient
            .as_deref()
            .and_then(patient_mark)
            .into_iter()
            .collect(),
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

/// Reads the labels that the arguments name, else the reviews of what the model has encoded. Each file once, in the order of the paths.
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
    Ok(images)
}

/// Of images with their contents, whether each is the first with its own; it gets the patients of its copies.
///
/// # Errors
///
/// Fails if copies have different labels.
pub(super) fn first_of_copies(
    images: &mut [(LabelledImage, String)],
    set: &PromptSet,
) -> Result<Vec<bool>, Fault> {
    let mut copies = Copies::default();
    let is_first = images.iter().map(|(image, content)| {
        let labels = image.labels.iter();
        let labels: Vec<String> = labels
            .map(|label| set.conditions[*label].name.clone())
            .collect();
        copies.add(content, &image.path, (&labels, &image.patients))
    });
    let is_first = is_first.collect::<Result<Vec<bool>, Fault>>()?;
    for (image, content) in images {
        image.patients = copies.patients(content).to_vec();
    }
    Ok(is_first)
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
            patients: all
                .patients
                .get(&image.content)
                .cloned()
                .unwrap_or_default(),
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
    /// From the PatientID of the DICOM file, or its study where it has none.
    pub(super) dicom: usize,
    /// From the column `patient` of a table.
    pub(super) table: usize,
    /// Not known: the file stands for its patient.
    pub(super) file: usize,
}

impl PatientSources {
    /// In words.
    pub(super) fn words(self) -> String {
        let parts = [
            (self.dicom, "by PatientID or study"),
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

/// A name for the patient of each image: that of the first file of it. Images are of one patient if a table says so, or the DICOM files do.
/// Each image counts once among the sources.
pub(in crate::commands) fn patients(images: &[LabelledImage]) -> (Vec<String>, PatientSources) {
    let mut sources = PatientSources::default();
    let marks = images.iter().map(|image| {
        let named = image.patients.iter().map(String::as_str);
        let marks = patient_marks(named, &origin(&image.path));
        if marks.len() > image.patients.len() {
            sources.dicom += 1;
        } else if marks.is_empty() {
            sources.file += 1;
        } else {
            sources.table += 1;
        }
        marks
    });
    let groups = patient_groups(&marks.collect::<Vec<_>>());
    let mut names: Vec<String> = Vec::new();
    for (image, group) in images.iter().zip(&groups) {
        if *group == names.len() {
            names.push(format!("file {}", image.path.display()));
        }
    }
    let of_image = groups.into_iter().map(|group| names[group].clone());
    (of_image.collect(), sources)
}

/// What a DICOM file says of its patient and study; nothing of other files.
fn origin(path: &Path) -> DicomOrigin {
    let Some(header) = media::header(path) else {
        return DicomOrigin::default();
    };
    let identifier = |uid: String| Some(uid).filter(|uid| !uid.is_empty());
    DicomOrigin {
        patient: patient_mark(&header.patient_id),
        study: identifier(header.study),
        series: identifier(header.series),
        ..DicomOrigin::default()
    }
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
