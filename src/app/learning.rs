//! What reviews teach, before it is put into use: which images move, and what it is worth.

use std::path::{Path, PathBuf};

use super::keys::Action;
use super::results::Results;
use crate::engine::learning::{LearnImage, Proposal};
use crate::library::Record;
use crate::scoring::{Decision, Mode};

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

    fn is_of(&self, record: &Record) -> bool {
        self.model_digest == record.model_digest
            && self.prompts_digest == record.prompts_digest
            && self.mode == record.mode
    }
}

/// The view of before and after.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LearningView {
    /// The number of the request that is to be answered.
    pub generation: u64,
    /// What is learned for.
    pub subject: LearnSubject,
    /// The number of reviews behind the scores in use; `None` if they are zero-shot.
    pub in_use: Option<usize>,
    /// The answer, once it is there: what is proposed, or why nothing is.
    pub answer: Option<Result<Box<Proposal>, String>>,
    /// The moved image under the cursor.
    pub cursor: usize,
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
        let last = self.proposal().map_or(0, |own| own.moved.len());
        let last = last.saturating_sub(1);
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
/// reviewer says nothing, what others say who agree.
pub(super) fn images(results: &Results, dir: &Path, subject: &LearnSubject) -> Vec<LearnImage> {
    let mut seen = std::collections::HashSet::new();
    let images = results.judged_below(dir).filter_map(|(path, judged)| {
        let record = judged.state.subject()?;
        let is_scored = subject.is_of(record) && record.verdict.decision != Decision::Rejected;
        let mut records = judged.state.records()?.iter().filter(|_| is_scored);
        let embedding = records.find_map(|record| record.embedding.clone())?;
        if !seen.insert(record.content.clone()) {
            return None;
        }
        let own = judged.reviews.and_then(|reviews| reviews.labels());
        let others = || {
            let mut all = judged.reviews?.others.iter();
            let first = all.find_map(|review| review.labels.as_deref())?;
            let agree = |labels: &[String]| labels == first;
            all.filter_map(|review| review.labels.as_deref())
                .all(agree)
                .then_some(first)
        };
        let labels = own.or_else(|| others().filter(|_| !results.is_blind()));
        Some(LearnImage {
            path: path.to_owned(),
            embedding,
            labels: labels.map(<[String]>::to_vec),
        })
    });
    images.collect()
}
