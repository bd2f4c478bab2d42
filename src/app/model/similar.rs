//! The search by similarity: to words, to images, or to a sum of them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Model;
use crate::app::browser::folder::RowKind;
use crate::app::effect::Effect;
use crate::app::keys::Action;
use crate::app::line::Purpose;
use crate::app::msg::Severity;
use crate::app::results::{FileState, Results};
use crate::app::status::EngineState;
use crate::app::text;
use crate::engine::{QuerySubject, Similarities, SimilarityRequest};
use crate::library::Record;
use crate::library::search::{split_query, split_weight};
use crate::scoring::Decision;

/// A query that is being answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PendingQuery {
    generation: u64,
    /// As typed.
    text: String,
    /// The folder whose images are compared.
    dir: PathBuf,
    is_worklist: bool,
}

impl Model {
    /// Begins to type a query, if images can be ranked here.
    pub(super) fn begin_find(&mut self) {
        if self.can_rank() {
            self.open_line(Purpose::Find);
        }
    }

    /// Ranks the images by their similarity to the one under the cursor.
    pub(super) fn find_like_current(&mut self) -> Vec<Effect> {
        if !self.can_rank() {
            return Vec::new();
        }
        let row = self.folder().current();
        let row = row.filter(|row| row.represents == RowKind::Entry);
        let like = row.and_then(|row| {
            let embedding = embedding(&self.results, &row.path)?;
            Some((row.shown.clone(), embedding))
        });
        let Some((name, embedding)) = like else {
            let words = "only a classified image can be compared with others";
            self.say(Severity::Info, words);
            return Vec::new();
        };
        self.compare(name, vec![(QuerySubject::Image(embedding), 1.0)])
    }

    /// Ranks the images by their similarity to a query; an empty one returns to the order before.
    pub(super) fn find(&mut self, query: &str) -> Vec<Effect> {
        if query.trim().is_empty() {
            self.leave_similarity();
            return Vec::new();
        }
        match self.terms(query) {
            Ok(terms) => self.compare(query.trim().to_owned(), terms),
            Err(wrong) => {
                self.say(Severity::Error, &wrong);
                Vec::new()
            }
        }
    }

    /// Returns to the order before the search.
    pub(super) fn leave_similarity(&mut self) {
        self.query = None;
        self.browser.folder.leave_similarity(&self.results);
    }

    /// Whether the images here can be ranked; if not, reports why.
    fn can_rank(&mut self) -> bool {
        if self.studies.fixes_order(self.folder()) {
            self.say(
                Severity::Info,
                "series cannot be sorted: they have a fixed order",
            );
            return false;
        }
        if !matches!(self.engine, EngineState::Ready { .. }) {
            self.say(Severity::Info, "there is no model to search with yet");
            return false;
        }
        true
    }

    /// The terms of a query. A term that is the name of an image here is that image, any other a text.
    fn terms(&self, query: &str) -> Result<Vec<(QuerySubject, f64)>, String> {
        let mut terms = Vec::new();
        for term in split_query(query.split_whitespace().map(OsStr::new))? {
            let words = term.words.join(OsStr::new(" "));
            let (weight, rest) = split_weight(&words);
            let image = |name: &OsStr| embedding(&self.results, &self.folder().dir().join(name));
            let (subject, weight) = match (image(&words), image(rest)) {
                (Some(embedding), _) => (QuerySubject::Image(embedding), 1.0),
                (None, Some(embedding)) => (QuerySubject::Image(embedding), weight),
                (None, None) => {
                    let text = rest.to_string_lossy().into_owned();
                    (QuerySubject::Text(text), weight)
                }
            };
            let sign = if term.is_subtracted { -1.0 } else { 1.0 };
            terms.push((subject, sign * weight));
        }
        Ok(terms)
    }

    /// Requests the similarities of the images here.
    fn compare(&mut self, text: String, terms: Vec<(QuerySubject, f64)>) -> Vec<Effect> {
        let rows = self.folder().visible_entries();
        let images = rows.filter_map(|row| {
            let embedding = embedding(&self.results, &row.path)?;
            Some((row.path.clone(), embedding))
        });
        let images: Vec<_> = images.collect();
        if images.is_empty() {
            let words = "no image here has been classified yet";
            self.say(Severity::Info, words);
            return Vec::new();
        }
        let generation = self.env.next_generation();
        self.query = Some(PendingQuery {
            generation,
            text,
            dir: self.folder().dir().to_owned(),
            is_worklist: self.folder().is_worklist(),
        });
        let request = SimilarityRequest {
            terms,
            images,
            generation,
        };
        vec![Effect::Compare(request)]
    }

    /// Ranks the images, if they are still those on screen.
    pub(super) fn compared(&mut self, generation: u64, outcome: Result<Similarities, String>) {
        let query = self.query.take_if(|query| query.generation == generation);
        let Some(query) = query else { return };
        let folder = &mut self.browser.folder;
        if folder.dir() != query.dir || folder.is_worklist() != query.is_worklist {
            return;
        }
        let found = match outcome {
            Ok(found) => found,
            Err(message) => return self.say(Severity::Error, &message),
        };
        let count = found.images.len();
        let text = text::safe_str(&query.text);
        let similarities = found.images.into_iter().collect();
        folder.rank_by_similarity(query.text, similarities, &self.results);
        let key = self.env.key(Action::Back);
        let words = match found.warnings.first() {
            Some(warning) => warning.clone(),
            None => format!("{count} images ranked by similarity to “{text}”; {key} returns"),
        };
        self.say(Severity::Info, &words);
    }
}

/// The embedding of an image, unless the model is not meant for it.
fn embedding(results: &Results, path: &Path) -> Option<Arc<[f32]>> {
    let FileState::Done(records) = results.get(path)? else {
        return None;
    };
    let claimed = |record: &&Record| record.verdict.decision != Decision::Rejected;
    records
        .iter()
        .filter(claimed)
        .find_map(|record| record.embedding.clone())
}
