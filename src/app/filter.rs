//! The filter of a list: words that names match, and terms about results.

mod completion;
mod dates;
mod terms;

use frizbee::{Config, Matcher};
use serde::{Deserialize, Serialize};

use super::results::reviews::Judged;
pub use completion::{Completions, Vocabulary};
use terms::{ParsedFilter, ResultTerm};

/// What the rows of a list must satisfy.
///
/// Words are a fuzzy pattern for names: their letters in order, anything between them. Of several words each must match;
/// `'word`, `^word`, `word$` and `!word` mean "as written", "at the start", "at the end" and "not". A lowercase letter matches
/// an uppercase letter too. Terms such as `label:pneumonia`, `urgency>0.9` or `error` concern the result; `!` before a term
/// negates it; `reviewed`, `flagged`, `disagrees` and `review:pneumonia` concern the review; `date:2026-11` and
/// `date>2026-11-01` the time of the last change, by which the newest come first. Words and terms must all hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Filter {
    /// As typed.
    text: String,
    terms: ParsedFilter,
}

impl From<String> for Filter {
    fn from(text: String) -> Self {
        let terms = ParsedFilter::parse(&text);
        Self { text, terms }
    }
}

impl From<Filter> for String {
    fn from(filter: Filter) -> Self {
        filter.text
    }
}

impl Filter {
    /// The filter as typed.
    pub fn new(text: &str) -> Self {
        Self::from(text.to_owned())
    }

    /// The filter as typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether every row passes.
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// What is wrong with a term, and what may be meant. No row passes a filter with such a term.
    pub fn fault(&self) -> Option<&str> {
        self.terms.fault.as_deref()
    }

    /// Whether results or reviews decide which rows pass.
    pub fn needs_results(&self) -> bool {
        !self.terms.on_results.is_empty()
    }

    /// Whether a term compares the urgency.
    pub fn compares_urgency(&self) -> bool {
        let terms = &self.terms.on_results;
        terms.iter().any(ResultTerm::is_about_urgency)
    }

    /// Whether a term compares the time of the last change.
    pub fn compares_dates(&self) -> bool {
        let terms = &self.terms.on_results;
        terms.iter().any(ResultTerm::is_about_dates)
    }

    /// Whether each of the names passes, with the state of its file; `None` if all do. A row without a state, such as a folder,
    /// passes no term about results.
    pub fn passes<'a, S>(&self, rows: impl IntoIterator<Item = (&'a str, S)>) -> Option<Vec<bool>>
    where
        S: FnOnce() -> Option<Judged<'a>>,
    {
        if self.is_empty() {
            return None;
        }
        let (names, states): (Vec<&str>, Vec<S>) = rows.into_iter().unzip();
        let mut passes = vec![self.terms.fault.is_none(); names.len()];
        if !self.terms.words.is_empty() && self.terms.fault.is_none() {
            passes.fill(false);
            for found in matcher(&self.terms.words).match_list(&names) {
                passes[found.index as usize] = true;
            }
        }
        // Results are looked up only for names that match: that is what takes time in a long list.
        for (passes, state) in passes.iter_mut().zip(states) {
            *passes = *passes && self.holds(state);
        }
        Some(passes)
    }

    /// Whether a row with this name and state passes.
    pub fn admits(&self, name: &str, state: Option<Judged>) -> bool {
        self.passes([(name, || state)])
            .is_none_or(|passes| passes[0])
    }

    fn holds<'a>(&self, state: impl FnOnce() -> Option<Judged<'a>>) -> bool {
        let terms = &self.terms.on_results;
        terms.is_empty()
            || state().is_some_and(|judged| terms.iter().all(|term| term.holds(judged)))
    }
}

/// The indices of the names that match a pattern of words, the best match first; `None` if all do.
pub fn best_matches(words: &str, names: &[&str]) -> Option<Vec<usize>> {
    if words.trim().is_empty() {
        return None;
    }
    let found = matcher(words).match_list(names).into_iter();
    Some(found.map(|found| found.index as usize).collect())
}

fn matcher(words: &str) -> Matcher {
    Matcher::from_query(words, &Config::default())
}
