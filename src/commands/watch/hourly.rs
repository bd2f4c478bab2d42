//! The hourly line in the log.

use std::time::Duration;

use super::reports::WatchNumbers;
use crate::commands::summary::FileCounts;

const INTERVAL: Duration = Duration::from_secs(3600);

/// Summarises each hour in which something happened.
#[derive(Debug)]
pub(super) struct HourlySummary {
    next: Duration,
    last: FileCounts,
}

impl Default for HourlySummary {
    fn default() -> Self {
        Self {
            next: INTERVAL,
            last: FileCounts::default(),
        }
    }
}

impl HourlySummary {
    /// When [`Self::tick`] has something to do.
    pub(super) fn next_due(&self) -> Duration {
        self.next
    }

    /// The sentence about the last hour, once it is over; `None` if nothing happened and nothing waits.
    pub(super) fn tick(&mut self, now: Duration, state: &WatchNumbers) -> Option<String> {
        if now < self.next {
            return None;
        }
        self.next = now + INTERVAL;
        let recent = state.files.since(self.last);
        self.last = state.files;
        let waiting = state.waiting + state.retrying;
        if recent == FileCounts::default() && waiting == 0 {
            return None;
        }
        let (recent, all) = (recent.sentence(), state.files.sentence());
        Some(format!(
            "in the last hour: {recent}; since the start: {all}; {waiting} waiting"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(classified: u64, rejected: u64, waiting: usize) -> WatchNumbers {
        let files = FileCounts {
            classified,
            rejected,
            ..FileCounts::default()
        };
        WatchNumbers {
            files,
            waiting,
            ..WatchNumbers::default()
        }
    }

    #[test]
    fn each_hour_in_which_something_happened_gets_one_sentence() {
        let mut summary = HourlySummary::default();
        let mut tick =
            |minutes: u64, state| summary.tick(Duration::from_secs(60 * minutes), &state);
        assert_eq!(tick(59, state(5, 0, 0)), None);
        let first = "in the last hour: 5 classified; since the start: 5 classified; 0 waiting";
        assert_eq!(tick(60, state(5, 0, 0)).as_deref(), Some(first));
        assert_eq!(tick(61, state(6, 0, 0)), None);
        let second = "in the last hour: 2 classified, 1 rejected; since the start: 7 classified, 1 rejected; 3 waiting";
        assert_eq!(tick(120, state(7, 1, 3)).as_deref(), Some(second));
        assert_eq!(tick(180, state(7, 1, 0)), None, "nothing happened");
        assert!(
            tick(240, state(7, 1, 1)).is_some(),
            "something waits for an hour"
        );
    }
}
