//! Which results are exported: those that a filter of the list would show.

use std::path::Path;
use std::time::SystemTime;

use jiff::tz::TimeZone;

use super::super::Fault;
use crate::app::Filter;
use crate::app::results::FileState;
use crate::app::results::reviews::{Judged, Reviews};
use crate::library::Record;

/// A filter of results, with the terms of the list's.
#[derive(Debug)]
pub(super) struct ResultFilter {
    filter: Filter,
    reviews: Reviews,
    /// The time zone of this machine.
    zone: TimeZone,
}

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
        Ok(Self {
            filter,
            reviews: Reviews::default(),
            zone: TimeZone::system(),
        })
    }

    /// The same filter, which knows these reviews.
    pub(super) fn with_reviews(self, reviews: Reviews) -> Self {
        Self { reviews, ..self }
    }

    /// The reviews that it knows.
    pub(super) fn reviews(&self) -> &Reviews {
        &self.reviews
    }

    /// When a file was changed last, if the filter asks for it; `None` if the file is gone.
    fn modified(&self, path: &Path) -> Option<SystemTime> {
        let is_needed = self.filter.compares_dates();
        let found = is_needed.then(|| std::fs::metadata(path).ok()).flatten();
        found?.modified().ok()
    }

    /// Whether the result of a file passes. Words are looked for in the whole path.
    pub(super) fn admits(&self, path: &Path, record: &Record) -> bool {
        if self.filter.is_empty() {
            return true;
        }
        let state = FileState::Done([record.clone()].into());
        let reviews = self.reviews.of_result(record);
        let judged = Judged {
            state: &state,
            reviews: reviews.as_deref(),
            modified: self.modified(path),
            zone: &self.zone,
        };
        self.filter.admits(&path.to_string_lossy(), Some(judged))
    }
}
