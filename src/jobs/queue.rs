//! The files that wait to be started, and those that are with the engine.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use super::MAX_RUNNING;
use crate::engine::Lane;

/// The waiting files in two lanes, each ordered by generation, which is the order of the requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct JobQueue {
    interactive: BTreeMap<u64, PathBuf>,
    bulk: BTreeMap<u64, PathBuf>,
}

impl JobQueue {
    fn lane(&mut self, lane: Lane) -> &mut BTreeMap<u64, PathBuf> {
        match lane {
            Lane::Interactive => &mut self.interactive,
            Lane::Bulk => &mut self.bulk,
        }
    }

    /// Adds a file, or renames the one of this generation.
    pub(super) fn push(&mut self, lane: Lane, generation: u64, path: PathBuf) {
        self.lane(lane).insert(generation, path);
    }

    pub(super) fn remove(&mut self, lane: Lane, generation: u64) {
        self.lane(lane).remove(&generation);
    }

    pub(super) fn len(&self) -> usize {
        self.interactive.len() + self.bulk.len()
    }

    /// The oldest generation.
    pub(super) fn oldest(&self) -> Option<u64> {
        let lanes = [&self.interactive, &self.bulk].into_iter();
        lanes.filter_map(|lane| lane.keys().next().copied()).min()
    }

    #[cfg(test)]
    pub(super) fn interactive_is_empty(&self) -> bool {
        self.interactive.is_empty()
    }

    /// Removes and returns the file to start next. None in bulk starts while an interactive one waits.
    pub(super) fn next(&mut self, has_room: impl Fn(Lane) -> bool) -> Option<(Lane, u64, PathBuf)> {
        let lane = if self.interactive.is_empty() {
            Lane::Bulk
        } else {
            Lane::Interactive
        };
        if !has_room(lane) {
            return None;
        }
        let (generation, path) = self.lane(lane).pop_first()?;
        Some((lane, generation, path))
    }
}

/// Who wants the result of a file that is with the engine.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ResultClaim<W> {
    /// This file: it is its wanted generation.
    Wanted(PathBuf),
    /// The waiters of a removed file, if it was read before.
    Orphan { path: PathBuf, waiters: Vec<W> },
    /// Nobody: it only counts towards the limit.
    Disowned,
}

/// The files that are with the engine, by generation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Running<W> {
    files: HashMap<u64, (Lane, ResultClaim<W>)>,
    interactive: usize,
    bulk: usize,
    /// Maximum number of files per lane.
    limit: usize,
}

impl<W> Default for Running<W> {
    fn default() -> Self {
        Self {
            files: HashMap::new(),
            interactive: 0,
            bulk: 0,
            limit: MAX_RUNNING,
        }
    }
}

impl<W> Running<W> {
    #[cfg(test)]
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    fn count(&mut self, lane: Lane) -> &mut usize {
        match lane {
            Lane::Interactive => &mut self.interactive,
            Lane::Bulk => &mut self.bulk,
        }
    }

    pub(super) fn has_room(&self, lane: Lane) -> bool {
        let count = match lane {
            Lane::Interactive => self.interactive,
            Lane::Bulk => self.bulk,
        };
        count < self.limit
    }

    /// The oldest generation that somebody wants.
    pub(super) fn oldest(&self) -> Option<u64> {
        let wanted = self.files.iter();
        let wanted = wanted.filter(|(_, (_, claim))| !matches!(claim, ResultClaim::Disowned));
        wanted.map(|(generation, _)| *generation).min()
    }

    pub(super) fn has_wanted(&self) -> bool {
        let mut claims = self.files.values();
        claims.any(|(_, claim)| !matches!(claim, ResultClaim::Disowned))
    }

    pub(super) fn wanted_count(&self) -> usize {
        let claims = self.files.values();
        claims
            .filter(|(_, claim)| !matches!(claim, ResultClaim::Disowned))
            .count()
    }

    pub(super) fn start(&mut self, generation: u64, lane: Lane, path: PathBuf) {
        self.files
            .insert(generation, (lane, ResultClaim::Wanted(path)));
        *self.count(lane) += 1;
    }

    /// Removes a file that the engine is done with; `None` for a generation that was not started.
    pub(super) fn finish(&mut self, generation: u64) -> Option<ResultClaim<W>> {
        let (lane, claim) = self.files.remove(&generation)?;
        *self.count(lane) -= 1;
        Some(claim)
    }

    /// Removes and returns all files, ordered by generation.
    pub(super) fn take_all(&mut self) -> BTreeMap<u64, ResultClaim<W>> {
        (self.interactive, self.bulk) = (0, 0);
        let files = self.files.drain();
        files
            .map(|(generation, (_, claim))| (generation, claim))
            .collect()
    }

    pub(super) fn promote(&mut self, generation: u64) {
        if let Some((lane, _)) = self.files.get_mut(&generation)
            && *lane == Lane::Bulk
        {
            *lane = Lane::Interactive;
            self.bulk -= 1;
            self.interactive += 1;
        }
    }

    /// Marks a file whose result nobody wants any more.
    pub(super) fn disown(&mut self, generation: u64) {
        if let Some((_, claim)) = self.files.get_mut(&generation) {
            *claim = ResultClaim::Disowned;
        }
    }

    /// Marks a file that was removed while the engine had it.
    pub(super) fn orphan(&mut self, generation: u64, path: PathBuf, waiters: Vec<W>) {
        if let Some((_, claim)) = self.files.get_mut(&generation) {
            *claim = ResultClaim::Orphan { path, waiters };
        }
    }
}
