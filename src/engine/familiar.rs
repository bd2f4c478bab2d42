//! Which images are like those that people have reviewed under a prompt set. The built-in model has a rule of its own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError, RwLock};

use crate::library::{Library, Review, ReviewPosition};
use crate::prompts::{KINDS, PromptSet};
use crate::scoring::familiar::FamiliarImages;

/// What people have accepted, as far as it is known, and the rules that follow from it.
#[derive(Default)]
pub(super) struct Familiarity {
    progress: Mutex<ReviewProgress>,
    /// By the name of the prompt set.
    rules: RwLock<HashMap<String, FamiliarRule>>,
}

/// How far the reviews were read.
#[derive(Default)]
struct ReviewProgress {
    /// The key of the embeddings that the rules are fitted to.
    model_key: String,
    position: ReviewPosition,
    /// By the name of the prompt set: content and reviewer of each review that accepts an image, with its time.
    accepted: HashMap<String, BTreeMap<(String, String), String>>,
}

/// The rule of a prompt set.
struct FamiliarRule {
    /// The images that people have accepted: they are never strange.
    accepted: HashSet<String>,
    images: FamiliarImages,
}

impl Familiarity {
    /// Fits the rules to the embeddings with this key, of which [`Library::embedding`] tells. Returns a sentence about each rule.
    pub(super) fn begin(&self, library: &Library, model_key: String) -> Vec<String> {
        self.rules
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = ReviewProgress {
            model_key,
            ..ReviewProgress::default()
        };
        self.update(library)
    }

    /// Reads the reviews that have changed, and fits the rules of their prompt sets anew, in less than a second for each. Costs
    /// microseconds if nothing has changed. Returns a sentence about each rule that is in force from now on.
    pub(super) fn update(&self, library: &Library) -> Vec<String> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if progress.model_key.is_empty() {
            return Vec::new();
        }
        let Some((changes, position)) = library.review_changes(progress.position) else {
            return Vec::new();
        };
        progress.position = position;
        let mut changed = HashSet::new();
        for review in changes.reviews {
            let set = review.prompts.clone();
            if progress.note(review) {
                changed.insert(set);
            }
        }
        let mut begun = Vec::new();
        for set in changed {
            let accepted = progress.accepted.get(&set);
            let rule = accepted
                .and_then(|accepted| FamiliarRule::fit(accepted, library, &progress.model_key));
            if let Some((words, count)) = self.replace(&set, rule) {
                begun.push(format!(
                    "images unlike the {count} that were reviewed under {words} are rejected"
                ));
            }
        }
        begun
    }

    /// Puts a rule into force, or ends it; the set's name and the number of images if there was none before.
    fn replace(&self, set: &str, rule: Option<FamiliarRule>) -> Option<(String, usize)> {
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        let count = rule.as_ref().map(|rule| rule.images.count());
        let before = match rule {
            Some(rule) => rules.insert(set.to_owned(), rule),
            None => rules.remove(set),
        };
        count
            .filter(|_| before.is_none())
            .map(|count| (set.to_owned(), count))
    }

    /// Why an image is strange under a prompt set; `None` unless there is a rule, and no frame is like the images that it is
    /// about. A set that has a condition for all other images needs no rule.
    pub(super) fn reason<'a>(
        &self,
        set: &PromptSet,
        content: &str,
        mut embeddings: impl Iterator<Item = &'a [f32]>,
    ) -> Option<String> {
        if set.is_exhaustive() {
            return None;
        }
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        let rule = rules.get(&set.name)?;
        let is_strange =
            !rule.accepted.contains(content) && embeddings.all(|row| rule.images.is_strange(row));
        is_strange.then(|| {
            let count = rule.images.count();
            format!(
                "unlike the {count} images that were reviewed under {}; reviewing it overrules this",
                set.name
            )
        })
    }
}

impl ReviewProgress {
    /// Notes a review; whether it changes what is accepted. A review without a label says that no condition fits, which may be
    /// because the image is of another kind; one under [`KINDS`] says only what an image is.
    fn note(&mut self, review: Review) -> bool {
        if review.prompts == KINDS {
            return false;
        }
        let is_accepted = review.labels.is_some_and(|labels| !labels.is_empty());
        let key = (review.content, review.reviewer);
        let of_set = self.accepted.entry(review.prompts).or_default();
        if is_accepted {
            of_set.insert(key, review.at).is_none()
        } else {
            of_set.remove(&key).is_some()
        }
    }
}

impl FamiliarRule {
    /// Fits the images accepted last. `accepted`: see [`ReviewProgress::accepted`].
    fn fit(
        accepted: &BTreeMap<(String, String), String>,
        library: &Library,
        model_key: &str,
    ) -> Option<Self> {
        let mut by_time: Vec<(&String, &String)> = accepted
            .iter()
            .map(|((content, _), at)| (at, content))
            .collect();
        by_time.sort_unstable_by(|a, b| b.cmp(a));
        let mut seen = HashSet::new();
        let contents = by_time.into_iter().map(|(_, content)| content.as_str());
        let contents = contents.filter(|content| seen.insert((*content).to_owned()));
        let rows = library.embeddings_of(model_key, contents.collect(), FamiliarImages::MAX_IMAGES);
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let images = FamiliarImages::fit(&rows)?;
        Some(Self {
            accepted: seen,
            images,
        })
    }
}

#[cfg(test)]
mod tests;
