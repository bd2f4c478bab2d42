//! What people have said and measured, on its way into the library: at the end, it is waited for.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::measurements::MeasurementWriter;
use super::reviews::ReviewWriter;
use crate::library::Library;

/// How long to wait for a library that other processes hold: a little longer than the library itself tries to store a review.
pub const STORE_TIMEOUT: Duration = Duration::from_secs(70);

/// The requests to a thread that are not stored.
#[derive(Clone, Default)]
pub(super) struct Backlog(Arc<Mutex<BacklogState>>);

#[derive(Default)]
struct BacklogState {
    unstored: usize,
    /// Why the last one of them that failed did.
    reason: Option<String>,
}

impl Backlog {
    /// Ignores poisoning: a number and a text are whole at any time.
    fn state(&self) -> MutexGuard<'_, BacklogState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request.
    pub(super) fn add(&self) {
        self.state().unstored += 1;
    }

    /// Notes that a request is stored, or that the user knows why it is not.
    pub(super) fn settle(&self) {
        let mut state = self.state();
        state.unstored = state.unstored.saturating_sub(1);
    }

    /// Notes why a request is not stored, of which nobody has heard.
    pub(super) fn fail(&self, reason: String) {
        self.state().reason = Some(reason);
    }

    /// The number of requests that are not stored.
    pub(super) fn unstored(&self) -> usize {
        self.state().unstored
    }
}

/// The threads that store reviews and measurements, and the one that writes the library.
#[derive(Clone, Default)]
pub struct Storing {
    /// `None` without a library, as the others.
    pub(super) reviews: Option<ReviewWriter>,
    pub(super) measurements: Option<MeasurementWriter>,
    pub(super) library: Option<Arc<Library>>,
}

/// What is not in the library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unstored {
    /// Number of changes of reviews.
    pub reviews: usize,
    /// Number of measurements, added, changed or removed.
    pub measurements: usize,
    /// Whether results or embeddings are missing, which can be computed again.
    pub results: bool,
    /// Whether it may follow yet, as the time was up.
    pub may_follow: bool,
    /// Why not, if that is known.
    reason: Option<String>,
    /// The library's file.
    file: String,
}

impl Storing {
    /// Waits at most `timeout` until everything requested so far is stored.
    ///
    /// # Errors
    ///
    /// Says what is not stored.
    pub fn finish(&self, timeout: Duration) -> Result<(), Unstored> {
        let until = Instant::now() + timeout;
        let left = || until.saturating_duration_since(Instant::now());
        let has_reviews = self.reviews.as_ref().is_none_or(|own| own.finish(left()));
        let own = self.measurements.as_ref();
        let has_measurements = own.is_none_or(|own| own.finish(left()));
        let has_results = self.library.as_ref().is_none_or(|own| own.flush(left()));
        let may_follow = !has_reviews || !has_measurements || left().is_zero();
        let backlogs = [
            self.reviews.as_ref().map(|own| &own.backlog),
            self.measurements.as_ref().map(|own| &own.backlog),
        ];
        let [reviews, measurements] = backlogs.map(|own| own.map_or(0, Backlog::unstored));
        if reviews + measurements == 0 && has_results {
            return Ok(());
        }
        let mut reasons = backlogs.into_iter().flatten();
        let file = self.library.as_ref().map(|own| own.file().display());
        Err(Unstored {
            reviews,
            measurements,
            results: !has_results,
            may_follow,
            reason: reasons.find_map(|own| own.state().reason.clone()),
            file: file.map_or_else(String::new, |file| file.to_string()),
        })
    }
}

impl Unstored {
    /// What it is, such as `2 reviews and 1 measurement`.
    pub fn names(&self) -> String {
        let counted = [(self.reviews, "review"), (self.measurements, "measurement")];
        let counted = counted.into_iter().filter(|(count, _)| *count > 0);
        let names = counted.map(|(count, name)| match count {
            1 => format!("1 {name}"),
            count => format!("{count} {name}s"),
        });
        let names: Vec<String> = names.collect();
        if names.is_empty() {
            return "what was computed last".to_owned();
        }
        names.join(" and ")
    }

    /// A sentence that asks for patience.
    pub fn notice(&self) -> String {
        let (names, file) = (self.names(), &self.file);
        format!("{file}: waiting for another process, to store {names}; Ctrl-C gives that up")
    }
}

impl fmt::Display for Unstored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (names, file) = (self.names(), &self.file);
        let is_one = self.reviews + self.measurements <= 1;
        let are = if is_one { "is" } else { "are" };
        match &self.reason {
            Some(reason) => write!(f, "{names} {are} not stored: {reason}"),
            None if self.may_follow => {
                write!(
                    f,
                    "{names} {are} not stored: another process was using {file}"
                )
            }
            None => write!(f, "{names} {are} not stored: {file} could not be written"),
        }
    }
}

#[cfg(test)]
#[path = "storing/tests.rs"]
mod tests;
