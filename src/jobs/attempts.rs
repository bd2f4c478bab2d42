//! Further attempts at files that failed: when they are due, and how they are given up at the end.

use std::time::Duration;

use super::{Ended, JobPhase, Jobs, retry};

impl<W> Jobs<W> {
    /// Queues the files whose next attempt is due. `now` is relative to any fixed moment.
    pub fn tick(&mut self, now: Duration) {
        for path in std::mem::take(&mut self.undated) {
            let Some(file) = self.files.get_mut(&path) else {
                continue;
            };
            if let JobPhase::Waiting { outcomes, due } = &mut file.phase {
                let failure = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
                let wait = failure.and_then(|f| retry::wait(f, file.attempts.saturating_sub(1)));
                let at = now + wait.unwrap_or_default();
                *due = Some(at);
                self.due.insert((at, path));
            }
        }
        while self.due.first().is_some_and(|(due, _)| *due <= now) {
            if let Some((_, path)) = self.due.pop_first() {
                self.enqueue(&path);
            }
        }
    }

    /// How long after `now` [`Self::tick`] has to be called next.
    pub fn next_tick(&self, now: Duration) -> Option<Duration> {
        if !self.undated.is_empty() {
            return Some(Duration::ZERO);
        }
        let (due, _) = self.due.first()?;
        Some(due.saturating_sub(now))
    }

    /// Gives up further attempts. Returns the ends of the files that waited for one, with the outcomes of their last attempt.
    pub fn drain(&mut self) -> Vec<Ended<W>> {
        self.is_draining = true;
        self.undated.clear();
        self.due.clear();
        let mut ended = Vec::new();
        for (path, file) in &mut self.files {
            if let JobPhase::Waiting { outcomes, .. } = &mut file.phase {
                let outcomes = std::mem::take(outcomes);
                ended.push(file.end(path.clone(), outcomes));
            }
        }
        ended
    }
}
