//! The images to learn from: what the library holds of them, and what people say they show.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use super::super::eval::labels::{self, LabelNames};
use super::super::library::{existing, unusable};
use super::super::reviews::content;
use super::super::{CommandSetup, Fault, shown};
use super::copies::Copies;
use crate::app::results::could_be_taught;
use crate::app::results::reviews::findings_set;
use crate::encoder::ModelCard;
use crate::engine::learning::{LearnImage, UnusedImages, patient};
use crate::library::{Library, Record, ResultSelection, Review};
use crate::media::patient_mark;
use crate::paths;
use crate::prompts::{KINDS, PromptSet, Prompts};
use crate::scoring::{Decision, Mode};

/// The images to learn from.
pub(in crate::commands) struct CollectedImages {
    pub(in crate::commands) images: Vec<LearnImage>,
    pub(super) left_out: UnusedImages,
    /// What tells the patients of contents, where tables or reviews name them.
    pub(in crate::commands) patients: HashMap<String, String>,
}

impl CollectedImages {
    /// Reads them from the library: those below some paths, all without; tables among these say labels, which the pairs map to
    /// conditions, several of a file where each is decided on by itself. `key`: that of the model's embeddings.
    pub(in crate::commands) fn read(
        (paths, map, mode): (&[PathBuf], &[(String, String)], Mode),
        setup: &CommandSetup,
        set: &PromptSet,
        card: &ModelCard,
        key: &str,
    ) -> Result<Self, Fault> {
        let library = existing(setup)?;
        let mut folders = Vec::new();
        let mut reviews = library.reviews().map_err(unusable(&library))?;
        let mut patients = named_patients(&mut reviews, &setup.reviewer.name);
        let mut said = decisions(reviews, &set.name, &setup.reviewer.name);
        let mut in_tables = HashSet::new();
        for path in paths {
            let absolute = paths::absolute(path).unwrap_or_else(|_| path.clone());
            if absolute.is_file() {
                for row in table(&library, &absolute, (map, mode), set)? {
                    in_tables.insert(row.content.clone());
                    let patient = row.patient.as_deref().and_then(patient_mark);
                    patients.extend(patient.map(|own| (row.content.clone(), own)));
                    said.insert(row.content, Said::Labels(row.labels));
                }
            } else if absolute.is_dir() {
                folders.push(absolute);
            } else {
                return Err(Fault::usage(format!("{}: no such folder", shown(path))));
            }
        }
        let images = library.embedded_images(key, &folders);
        let images = images.map_err(unusable(&library))?;
        let all = setup.all_prompts();
        let results = results(&library, (set, all.as_ref()), card, &folders)?;
        let mut collected = Self {
            images: Vec::new(),
            left_out: UnusedImages::default(),
            patients,
        };
        for image in images {
            let result = results.get(&image.content);
            let labels = match said.remove(&image.content) {
                Some(Said::Labels(labels)) => Some(labels),
                Some(Said::Disputed) => {
                    collected.left_out.disputed += 1;
                    continue;
                }
                None if result.is_none() => continue,
                None => None,
            };
            if result == Some(&StoredJudgement::Rejected) {
                collected.left_out.rejected += usize::from(labels.is_some());
                continue;
            }
            if image.frames > 1 {
                collected.left_out.several_frames += usize::from(labels.is_some());
                continue;
            }
            let named = collected.patients.get(&image.content).cloned();
            collected.images.push(LearnImage {
                patient: named.or_else(|| patient(&image.origin)),
                synthetic: image.synthetic,
                path: image.path,
                content: image.content,
                embedding: image.embedding,
                labels,
            });
        }
        // Reviews of images outside the folders are not asked for; a table is.
        let is_missing = |content: &&String| folders.is_empty() || in_tables.contains(*content);
        collected.left_out.not_encoded = said.keys().filter(is_missing).count();
        Ok(collected)
    }
}

/// What people say about an image.
enum Said {
    Labels(Vec<String>),
    Disputed,
}

/// What tells the patients of contents, as tables named them whose labels were imported: those of this reviewer, else of others.
fn named_patients(reviews: &mut [Review], reviewer: &str) -> HashMap<String, String> {
    reviews.sort_by_key(|review| review.reviewer == reviewer);
    let named = reviews.iter().filter_map(|review| {
        let patient = review.patient.clone()?;
        Some((review.content.clone(), patient))
    });
    named.collect()
}

/// What is said of each content under a prompt set: by this reviewer, else by others where they agree.
fn decisions(all: Vec<Review>, set: &str, reviewer: &str) -> HashMap<String, Said> {
    let mut by_content: BTreeMap<String, Vec<Review>> = BTreeMap::new();
    for review in all {
        if review.prompts == set && review.labels.is_some() {
            let of_content = by_content.entry(review.content.clone());
            of_content.or_default().push(review);
        }
    }
    let decided = by_content.into_iter().map(|(content, reviews)| {
        let own = reviews.iter().find(|review| review.reviewer == reviewer);
        let labels = |review: &Review| {
            let mut labels = review.labels.clone().unwrap_or_default();
            labels.sort();
            labels
        };
        let first = labels(own.unwrap_or(&reviews[0]));
        let agree = own.is_some() || reviews.iter().all(|review| labels(review) == first);
        let said = if agree {
            Said::Labels(first)
        } else {
            Said::Disputed
        };
        (content, said)
    });
    decided.collect()
}

/// What a table says of an image.
struct TaughtRow {
    content: String,
    labels: Vec<String>,
    /// What the column `patient` says.
    patient: Option<String>,
}

/// The rows of a table, by content. Copies of an image with different labels are an error.
fn table(
    library: &Library,
    file: &std::path::Path,
    (map, mode): (&[(String, String)], Mode),
    set: &PromptSet,
) -> Result<Vec<TaughtRow>, Fault> {
    let mut copies = Copies::default();
    let names = LabelNames::new(set, map)?;
    let files = labels::read_as(file, &names, mode.for_set(set))?.into_iter();
    let of_file = files.map(|file| {
        let path = &file.path;
        let absolute = paths::absolute(path).unwrap_or_else(|_| path.clone());
        let content = content(library, &absolute)
            .map_err(|error| Fault::unusable(format!("{}: {error}", shown(path))))?;
        let labels = file.labels.into_iter();
        let labels: Vec<String> = labels
            .map(|label| set.conditions[label].name.clone())
            .collect();
        copies.add(&content, &absolute, &labels)?;
        let patient = file.patient;
        Ok(TaughtRow {
            content,
            labels,
            patient,
        })
    });
    of_file.collect()
}

/// How this model has judged an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StoredJudgement {
    /// It says what the image shows, or would say it if it had learned to.
    Judged,
    /// It rejects the image.
    Rejected,
}

/// How this model has judged the images that it has classified under the prompt set, and those of which it tells the kind where this
/// is the set for findings of that kind.
fn results(
    library: &Library,
    (set, all): (&PromptSet, Option<&Prompts>),
    card: &ModelCard,
    folders: &[PathBuf],
) -> Result<HashMap<String, StoredJudgement>, Fault> {
    let mut found = HashMap::new();
    let mut add = |record: Record| {
        let findings = all.and_then(|all| findings_set(all, &record));
        let is_awaited = || findings.is_some_and(|own| own.name == set.name);
        if record.model_digest != card.digest || !(record.prompts == set.name || is_awaited()) {
            return;
        }
        let is_rejected = record.verdict.decision == Decision::Rejected;
        let judgement = if is_rejected && !could_be_taught(&record) {
            StoredJudgement::Rejected
        } else {
            StoredJudgement::Judged
        };
        found.insert(record.content, judgement);
    };
    // Kinds before findings, which are the answer where both are known.
    let kinds = card.builtin.is_some().then_some(KINDS);
    for name in kinds.into_iter().chain([set.name.as_str()]) {
        let selection = ResultSelection {
            paths: folders.to_vec(),
            prompts: Some(name.to_owned()),
            all: true,
            ..ResultSelection::default()
        };
        let read = library.stored_results(&selection, &mut |_, record| {
            add(record);
            true
        });
        read.map_err(unusable(library))?;
    }
    Ok(found)
}
