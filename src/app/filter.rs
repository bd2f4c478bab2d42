//! The filter for names.

use frizbee::{Config, Matcher};
use serde::{Deserialize, Serialize};

/// A fuzzy pattern for names: its letters in order, anything between them. Of several words each must match;
/// `'word`, `^word`, `word$` and `!word` mean "as written", "at the start", "at the end" and "not". A lowercase letter matches
/// an uppercase letter too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Filter(String);

impl Filter {
    /// The pattern as typed.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The pattern as typed.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether every name passes.
    pub fn is_empty(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// Whether each of the names passes; `None` if all do.
    pub fn passes<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Option<Vec<bool>> {
        if self.is_empty() {
            return None;
        }
        let names: Vec<&str> = names.into_iter().collect();
        let mut passes = vec![false; names.len()];
        for found in self.matcher().match_list(&names) {
            passes[found.index as usize] = true;
        }
        Some(passes)
    }

    /// The indices of the names that pass, the best match first; `None` if all do.
    pub fn best(&self, names: &[&str]) -> Option<Vec<usize>> {
        if self.is_empty() {
            return None;
        }
        let found = self.matcher().match_list(names).into_iter();
        Some(found.map(|found| found.index as usize).collect())
    }

    fn matcher(&self) -> Matcher {
        Matcher::from_query(&self.0, &Config::default())
    }
}
