//! What reviewers say about images: the reviews of all images that the library knows, and what they mean beside a result.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use jiff::tz::TimeZone;

use super::FileState;
use crate::app::results::tally::tells_kind_only;
use crate::app::text;
use crate::library::{Record, Review, ReviewChanges};
use crate::prompts::{PromptSet, Prompts};

/// What reviewers say about an image under one prompt set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageReviews {
    /// What the reviewer at the keyboard says.
    pub mine: Option<Review>,
    /// What others say, one review each.
    pub others: Vec<Review>,
    /// Whether the image was drawn at random for the reviewer to label.
    pub sampled: bool,
}

impl ImageReviews {
    /// Whether the reviewer has decided what the image shows.
    pub fn is_decided(&self) -> bool {
        self.labels().is_some()
    }

    /// What the reviewer says the image shows.
    pub fn labels(&self) -> Option<&[String]> {
        self.mine.as_ref()?.labels.as_deref()
    }

    /// Whether the reviewer has flagged the image.
    pub fn is_flagged(&self) -> bool {
        self.mine.as_ref().is_some_and(|review| review.flagged)
    }

    /// What tells the image's patient from others, as a table of labels said.
    pub fn patients(&self) -> impl Iterator<Item = &str> {
        let all = self.mine.iter().chain(&self.others);
        all.filter_map(|review| review.patient.as_deref())
    }

    /// Whether they are of the question that the result answers, and not of findings where it tells a kind only.
    pub fn are_of(&self, record: &Record) -> bool {
        let mut all = self.mine.iter().chain(&self.others);
        all.all(|review| review.prompts == record.prompts)
    }

    /// Whether the reviewer says the same as the result; `None` if either says nothing.
    pub fn agrees(&self, record: &Record) -> Option<bool> {
        let claim = record.claim().filter(|_| self.are_of(record))?;
        let labels = self.labels()?;
        let same = claim.len() == labels.len()
            && claim
                .iter()
                .all(|label| labels.iter().any(|own| own == label));
        Some(same)
    }
}

/// What is said of an image that shows none of the conditions, as a label.
pub(in crate::app) const NONE: &str = "none";

/// Labels in words.
pub(in crate::app) fn label_words(labels: &[String]) -> String {
    match labels {
        [] => "none of the conditions".to_owned(),
        labels => text::safe_str(&labels.join(", ")),
    }
}

/// The label of a result, safe to show; the labels, where an image may have several.
pub(crate) fn label_shown(record: &Record) -> String {
    match record.claim() {
        Some(claimed) if claimed.is_empty() => NONE.to_owned(),
        Some(claimed) => text::safe_str(&claimed.join(", ")),
        None => text::safe_str(&record.verdict.label),
    }
}

/// The set under which an image is reviewed where that is not the one of its result: if the model tells its kind only and a set is
/// chosen for each image, the set for findings of the most likely kind.
pub fn findings_set<'a>(prompts: &'a Prompts, record: &Record) -> Option<&'a PromptSet> {
    if !prompts.is_auto() || !tells_kind_only(record) {
        return None;
    }
    let kinds = prompts.sets().get(prompts.kinds()?)?;
    let is_named = |name: &str| {
        let mut conditions = kinds.conditions.iter();
        conditions.any(|own| own.name == name && !own.other)
    };
    // Where it takes an image for none of them, a person knows better, but most likely it is one of those.
    let scores = record.verdict.scores.iter();
    let likely = scores
        .filter(|score| is_named(&score.condition))
        .max_by(|a, b| a.probability.total_cmp(&b.probability))?;
    let kind = Some(likely.condition.as_str());
    let set = prompts
        .sets()
        .get(prompts.choose(record.traits().with_kind(kind)))?;
    (set.name != record.prompts).then_some(set)
}

/// The state of a file with the reviews of the image.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// The state.
    pub state: &'a FileState,
    /// The reviews, if there are any.
    pub reviews: Option<&'a ImageReviews>,
    /// When the file was changed last, where known.
    pub modified: Option<SystemTime>,
    /// The time zone whose days these are.
    pub zone: &'a TimeZone,
}

impl Judged<'_> {
    /// Whether the reviewer says the same as the result; `None` if either says nothing, or the result is hidden.
    pub fn agrees(self) -> Option<bool> {
        self.reviews?.agrees(self.state.record()?)
    }
}

/// The reviews of all images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reviews {
    reviewer: String,
    /// The prompts in use; `None` if they do not matter.
    prompts: Option<Prompts>,
    /// By content, then by prompt set.
    images: HashMap<String, HashMap<String, Arc<ImageReviews>>>,
}

impl Reviews {
    /// No reviews yet.
    pub fn new(reviewer: String) -> Self {
        Self {
            reviewer,
            prompts: None,
            images: HashMap::new(),
        }
    }

    /// The same, where these prompts are in use.
    #[must_use]
    pub fn under(self, prompts: Prompts) -> Self {
        let prompts = Some(prompts);
        Self { prompts, ..self }
    }

    /// Notes the prompts in use.
    pub(super) fn use_prompts(&mut self, prompts: Prompts) {
        self.prompts = Some(prompts);
    }

    /// The set under which the image is reviewed, where that is not the one of its result.
    pub fn findings_set(&self, record: &Record) -> Option<&PromptSet> {
        findings_set(self.prompts.as_ref()?, record)
    }

    /// The name of the set under which the image is reviewed.
    pub fn set_of<'a>(&'a self, record: &'a Record) -> &'a str {
        let findings = self.findings_set(record);
        findings.map_or(&record.prompts, |set| &set.name)
    }

    /// The reviewer at the keyboard.
    pub fn reviewer(&self) -> &str {
        &self.reviewer
    }

    /// The reviews of the image that a result is of, under its own set if there are any, else under [`Self::set_of`] it.
    pub fn of_result(&self, record: &Record) -> Option<Arc<ImageReviews>> {
        let own = self.images.get(&record.content)?.get(&record.prompts);
        own.cloned().or_else(|| self.of(record))
    }

    /// The reviews of the image that a result is of, under [`Self::set_of`] it.
    pub fn of(&self, record: &Record) -> Option<Arc<ImageReviews>> {
        let sets = self.images.get(&record.content)?;
        sets.get(self.set_of(record)).cloned()
    }

    /// What reviewers say about a content, under all prompt sets.
    pub fn of_content(&self, content: &str) -> impl Iterator<Item = &Review> {
        let images = self.images.get(content).into_iter();
        let images = images.flat_map(HashMap::values);
        images.flat_map(|image| image.mine.iter().chain(&image.others))
    }

    /// Applies changes. Returns the contents that they concern.
    pub fn apply(&mut self, changes: ReviewChanges) -> HashSet<String> {
        let mut contents = HashSet::new();
        for sample in changes.samples {
            if sample.reviewer == self.reviewer {
                self.image(&sample.content, &sample.prompts).sampled = true;
                contents.insert(sample.content);
            }
        }
        for review in changes.reviews {
            contents.insert(review.content.clone());
            let is_own = review.reviewer == self.reviewer;
            let image = self.image(&review.content, &review.prompts);
            if is_own {
                image.mine = Some(review).filter(|review| !review.is_empty());
                continue;
            }
            image
                .others
                .retain(|other| other.reviewer != review.reviewer);
            if !review.is_empty() {
                image.others.push(review);
                image.others.sort_by(|a, b| a.reviewer.cmp(&b.reviewer));
            }
        }
        contents
    }

    fn image(&mut self, content: &str, prompts: &str) -> &mut ImageReviews {
        let sets = self.images.entry(content.to_owned()).or_default();
        Arc::make_mut(sets.entry(prompts.to_owned()).or_default())
    }
}
