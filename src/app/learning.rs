//! What reviews teach, before it is put into use: which images move, and what it is worth.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::keys::Action;
use super::results::reviews::ImageReviews;
use super::results::{Results, could_be_taught};
use crate::config::BUILTIN;
use crate::engine::learning::{LearnImage, Proposal, UnusedImages};
use crate::learn::{Learned, LearnedSets, patient_marks};
use crate::library::Record;
use crate::prompts::{KINDS, PromptSet};
use crate::scoring::{Decision, Mode};

/// Lines above the list of moved images on a narrow screen, at most.
const MAX_LINES: usize = 24;

/// What is learned for: a model and a prompt set in a mode.
#[derive(Clone, Debug, PartialEq)]
pub struct LearnSubject {
    /// The model's digest.
    pub model_digest: String,
    /// The prompt set's name.
    pub prompts: String,
    /// The prompt set's digest.
    pub prompts_digest: String,
    /// How the conditions relate.
    pub mode: Mode,
}

impl LearnSubject {
    /// What a result is of.
    pub(super) fn of(record: &Record) -> Self {
        Self {
            model_digest: record.model_digest.clone(),
            prompts: record.prompts.clone(),
            prompts_digest: record.prompts_digest.clone(),
            mode: record.mode,
        }
    }

    /// What is learned for where the model tells the kind of an image only, and this set is for findings of that kind.
    pub(super) fn of_findings(record: &Record, set: &PromptSet, mode: Mode) -> Self {
        Self {
            model_digest: record.model_digest.clone(),
            prompts: set.name.clone(),
            prompts_digest: set.digest.clone(),
            mode: mode.for_set(set),
        }
    }

    /// What is in use for it.
    pub(super) fn learned<'a>(&self, all: &'a LearnedSets) -> Option<&'a Learned> {
        all.find(&self.model_digest, &self.prompts_digest, self.mode)
    }

    fn is_of(&self, record: &Record, findings: Option<&PromptSet>) -> bool {
        let is_judged = self.prompts_digest == record.prompts_digest && self.mode == record.mode;
        let is_awaited = findings.is_some_and(|set| set.digest == self.prompts_digest);
        self.model_digest == record.model_digest && (is_judged || is_awaited)
    }
}

/// What the keys of the view may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LearningState {
    /// Put what was learned into use, or take back what is.
    Open,
    /// Nothing: what was learned is being kept or taken back.
    Changing,
    /// Nothing: another process has changed what is in use since it was asked for.
    Outdated,
}

/// The view of before and after.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LearningView {
    /// The number of the request that is to be answered.
    pub generation: u64,
    /// What is learned for.
    pub subject: LearnSubject,
    /// Whether the model judges no findings of the image, so that reviews do not improve scores but begin them.
    pub is_first: bool,
    /// The number of reviews behind the scores in use; `None` if they are zero-shot.
    pub in_use: Option<usize>,
    /// Whether anything learned is in use, and can be undone.
    pub is_in_use: bool,
    /// The answer, once it is there: what is proposed, or why nothing is.
    pub answer: Option<Result<Box<Proposal>, String>>,
    /// Reviewed images that were not sent with the request.
    pub unused: UnusedImages,
    /// What its keys may do.
    pub state: LearningState,
    /// The moved image under the cursor.
    pub cursor: usize,
    /// Lines above the view, where it does not fit on the screen.
    pub scroll: usize,
}

impl LearningView {
    /// The proposal, if there is one.
    pub(crate) fn proposal(&self) -> Option<&Proposal> {
        self.answer.as_ref()?.as_ref().ok().map(AsRef::as_ref)
    }

    /// The moved image under the cursor.
    pub(super) fn current(&self) -> Option<PathBuf> {
        let moved = self.proposal()?.moved.get(self.cursor)?;
        Some(moved.path.clone())
    }

    /// Moves the cursor.
    pub(super) fn act(&mut self, action: Action, page: usize) {
        let count = self.proposal().map_or(0, |own| own.moved.len());
        let last = count.saturating_sub(1);
        self.scroll = match action {
            Action::First => 0,
            Action::Last => MAX_LINES + count,
            _ => self
                .scroll
                .saturating_add_signed(action.distance(page))
                .min(MAX_LINES + count),
        };
        self.cursor = match action {
            Action::First => 0,
            Action::Last => last,
            _ => self
                .cursor
                .saturating_add_signed(action.distance(page))
                .min(last),
        };
    }
}

/// The images below a folder that were scored for this subject, each content once, with what the reviewer says of them; where the
/// reviewer says nothing, what others say who agree. Beside them the reviewed ones that take no part.
pub(super) fn images(
    results: &Results,
    dir: &Path,
    subject: &LearnSubject,
) -> (Vec<LearnImage>, UnusedImages) {
    let (mut images, mut unused) = (Vec::new(), UnusedImages::default());
    let mut seen = HashSet::new();
    // Of copies the first by path stands for all, and the results have no order.
    let mut all: Vec<_> = results.judged_below(dir).collect();
    all.sort_unstable_by_key(|(path, _)| *path);
    for (path, judged) in all {
        let is_of = |own: &&Record| subject.is_of(own, results.reviews().findings_set(own));
        let Some(record) = judged.state.subject().filter(is_of) else {
            continue;
        };
        if !seen.insert(&record.content) {
            continue;
        }
        let reviews = judged.reviews;
        let own = reviews.and_then(|reviews| reviews.labels());
        let said = match (own, reviews) {
            (None, Some(reviews)) if !results.is_blind() => what_others_say(reviews),
            (own, _) => Ok(own),
        };
        let Ok(labels) = said else {
            unused.disputed += 1;
            continue;
        };
        let is_reviewed = usize::from(labels.is_some());
        let named = reviews.into_iter().flat_map(ImageReviews::patients);
        let records = judged.state.records().map_or(&[][..], AsRef::as_ref);
        let mut embeddings = records.iter().filter_map(|own| own.embedding.clone());
        match (embeddings.next(), embeddings.next()) {
            _ if record.verdict.decision == Decision::Rejected && !could_be_taught(record) => {
                unused.rejected += is_reviewed;
            }
            (Some(embedding), None) => images.push(LearnImage {
                path: path.to_owned(),
                content: record.content.clone(),
                embedding,
                labels: labels.map(<[String]>::to_vec),
                patients: patient_marks(named, &record.origin),
                synthetic: record.synthetic,
            }),
            (None, _) => unused.not_encoded += is_reviewed,
            (Some(_), Some(_)) => unused.several_frames += is_reviewed,
        }
    }
    (images, unused)
}

/// The number of reviews behind the scores of real images, or of phantoms, for this subject, and whether any has a score for it; `None` for the number if
/// scores are zero-shot.
pub(super) fn in_use(
    results: &Results,
    dir: &Path,
    subject: &LearnSubject,
    is_synthetic: bool,
) -> (Option<usize>, bool) {
    let judged = results.judged_below(dir);
    let records = judged.filter_map(|(_, judged)| judged.state.subject());
    let records = records.filter(|own| own.synthetic == is_synthetic);
    let own = records.filter(|own| subject.is_of(own, None) && !could_be_taught(own));
    let mut own = own
        .filter(|own| own.verdict.decision != Decision::Rejected)
        .peekable();
    let is_judged = own.peek().is_some();
    (own.find_map(|record| record.learned), is_judged)
}

/// Whether the model judges findings of such images only where reviews taught it.
pub(super) fn judges_only_if_taught(record: &Record, subject: &LearnSubject) -> bool {
    record.model == BUILTIN && !record.synthetic && subject.prompts != KINDS
}

/// The labels that all others give; an error if they differ.
fn what_others_say(reviews: &ImageReviews) -> Result<Option<&[String]>, ()> {
    let as_set = |labels: &[String]| labels.iter().cloned().collect::<BTreeSet<String>>();
    let mut all = reviews
        .others
        .iter()
        .filter_map(|own| own.labels.as_deref());
    let Some(first) = all.next() else {
        return Ok(None);
    };
    let agree = all.all(|labels| as_set(labels) == as_set(first));
    if agree { Ok(Some(first)) } else { Err(()) }
}
