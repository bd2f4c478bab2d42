//! Further attempts at files that may pass: when they are due, and when there are none any more.

use std::time::Duration;

use super::{Ended, Jobs, Phase, retry};

impl<W> Jobs<W> {
    /// Time passes: files whose time has come are queued for their next attempt. `now` is since any fixed moment.
    pub fn tick(&mut self, now: Duration) {
        for path in std::mem::take(&mut self.undated) {
            let Some(file) = self.files.get_mut(&path) else {
                continue;
            };
            if let Phase::Waiting { outcomes, due } = &mut file.phase {
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

    /// How long after `now` [`Self::tick`] has something to do.
    pub fn next_tick(&self, now: Duration) -> Option<Duration> {
        if !self.undated.is_empty() {
            return Some(Duration::ZERO);
        }
        let (due, _) = self.due.first()?;
        Some(due.saturating_sub(now))
    }

    /// Nothing is tried again from now on. Returns what waited for another attempt, with the outcomes of the last one.
    pub fn drain(&mut self) -> Vec<Ended<W>> {
        self.is_draining = true;
        self.undated.clear();
        self.due.clear();
        let mut ended = Vec::new();
        for (path, file) in &mut self.files {
            if let Phase::Waiting { outcomes, .. } = &mut file.phase {
                let outcomes = std::mem::take(outcomes);
                ended.push(file.end(path.clone(), outcomes));
            }
        }
        ended
    }
}
