//! Which results are exported: those that a filter of the list would show.

use std::path::Path;

use super::super::Fault;
use crate::app::Filter;
use crate::app::results::FileState;
use crate::app::results::reviews::Judged;
use crate::library::Record;

/// A filter of results, with the terms of the list's.
#[derive(Debug, Default)]
pub(super) struct ResultFilter(Filter);

impl ResultFilter {
    /// Parses a filter; an empty one lets all results pass.
    ///
    /// # Errors
    ///
    /// Says which term is wrong, or asks for what the library does not store.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let filter = Filter::new(text);
        if let Some(fault) = filter.fault() {
            return Err(Fault::usage(format!("--filter: {fault}")));
        }
        if filter.compares_urgency() {
            return Err(Fault::usage(
                "--filter: the library does not store urgency; use label: and p>",
            ));
        }
        if filter.concerns_reviews() {
            return Err(Fault::usage(
                "--filter: reviews are not exported, and cannot be filtered by here",
            ));
        }
        Ok(Self(filter))
    }

    /// Whether the result of a file passes. Words are looked for in the whole path.
    pub(super) fn admits(&self, path: &Path, record: &Record) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let state = FileState::Done([record.clone()].into());
        let judged = Judged {
            state: &state,
            reviews: None,
        };
        self.0.admits(&path.to_string_lossy(), Some(judged))
    }
}
