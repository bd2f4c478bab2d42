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
use crate::engine::learning::{LearnImage, UnusedImages};
use crate::learn::patient_marks;
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
    pub(in crate::commands) patients: HashMap<String, Vec<String>>,
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
        let reviews = library.reviews().map_err(unusable(&library))?;
        let mut patients = named_patients(&reviews);
        let mut said = decisions(reviews, &set.name, &setup.reviewer.name);
        let (mut in_tables, mut copies) = (HashSet::new(), Copies::default());
        for path in paths {
            let absolute = paths::absolute(path).unwrap_or_else(|_| path.clone());
            if absolute.is_file() {
                for (content, labels) in table(&library, &absolute, (map, mode), set, &mut copies)?
                {
                    in_tables.insert(content.clone());
                    said.insert(content, Said::Labels(labels));
                }
            } else if absolute.is_dir() {
                folders.push(absolute);
            } else {
                return Err(Fault::usage(format!("{}: no such folder", shown(path))));
            }
        }
        for content in &in_tables {
            let named = copies.patients(content).iter().cloned();
            patients.entry(content.clone()).or_default().extend(named);
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
            let named = collected.patients.get(&image.content);
            let named = named.into_iter().flatten().map(String::as_str);
            let patients = patient_marks(named, &image.origin);
            collected.images.push(LearnImage {
                patients,
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

/// What tells the patients of contents, as tables named them whose labels were imported.
fn named_patients(reviews: &[Review]) -> HashMap<String, Vec<String>> {
    let mut named: HashMap<String, Vec<String>> = HashMap::new();
    for review in reviews {
        if let Some(patient) = &review.patient {
            let of_content = named.entry(review.content.clone()).or_default();
            of_content.push(patient.clone());
        }
    }
    named
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

/// The contents that a table labels, each once, with their labels. Copies of an image with different labels are an error, also those in
/// other tables.
fn table(
    library: &Library,
    file: &std::path::Path,
    (map, mode): (&[(String, String)], Mode),
    set: &PromptSet,
    copies: &mut Copies,
) -> Result<Vec<(String, Vec<String>)>, Fault> {
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
        let patient = file.patient.as_deref().and_then(patient_mark);
        copies.add(&content, &absolute, (&labels, patient.as_slice()))?;
        Ok((content, labels))
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
