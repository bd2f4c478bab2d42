//! The files that the library is asked for, before anything is computed: what it knows is shown without having been requested.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};

use super::entry::{FoundFile, Stamp};
use super::results::Certainty;
use crate::jobs::Reason;
use crate::paths;

/// Files in a request: few enough that other ones soon have their turn.
const MAX_REQUESTED: usize = 256;

/// How often the list is sorted while all its results come from the library: for 100,000 files, this takes 50 ms each time.
const SORTS: usize = 16;

/// How a file is requested from the engine if the library does not know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fallback {
    pub reason: Reason,
    pub certainty: Certainty,
}

/// A file that the library is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lookup {
    /// The content that is known of.
    pub stamp: Stamp,
    /// `None` if nothing is done when the library does not know it.
    pub otherwise: Option<Fallback>,
}

/// The files to ask the library for, some at a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RecallQueue {
    /// Whether there is a library.
    enabled: bool,
    waiting: HashMap<PathBuf, Lookup>,
    /// The order of `waiting`. May hold files that are no longer in there.
    order: VecDeque<PathBuf>,
    /// The files of the current request.
    requested: HashMap<PathBuf, Lookup>,
    /// Whether a request is under way, also if all its files are gone meanwhile.
    is_requested: bool,
    /// Results that the library gave since nothing was waiting.
    recalled: usize,
    /// Those of them whose files are not yet at their places in the list.
    unsorted: usize,
}

impl RecallQueue {
    /// An empty queue; nothing is ever added if there is no library.
    pub(super) fn new(enabled: bool) -> Self {
        Self {
            enabled,
            ..Self::default()
        }
    }

    /// Whether there is a library.
    pub(super) fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Adds a file.
    pub(super) fn add(&mut self, found: FoundFile, otherwise: Option<Fallback>) {
        if !self.enabled {
            return;
        }
        let FoundFile { path, stamp } = found;
        let merged = |before: &Lookup| Lookup {
            stamp,
            otherwise: otherwise.or(before.otherwise),
        };
        if let Some(lookup) = self.requested.get_mut(&path)
            && lookup.stamp == stamp
        {
            *lookup = merged(lookup);
            return;
        }
        let before = self.requested.remove(&path);
        if let Some(lookup) = self.waiting.get_mut(&path) {
            *lookup = merged(lookup);
            return;
        }
        let otherwise = otherwise.or(before.and_then(|lookup| lookup.otherwise));
        self.order.push_back(path.clone());
        self.waiting.insert(path, Lookup { stamp, otherwise });
    }

    /// Whether there is nothing to ask for: nothing waits, or a request is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.is_requested || self.waiting.is_empty()
    }

    /// The next files to ask for, those in `first` before others; `None` if it [is idle](Self::is_idle).
    pub(super) fn next(&mut self, first: &HashSet<PathBuf>) -> Option<Vec<PathBuf>> {
        if self.is_idle() {
            return None;
        }
        let mut paths = Vec::new();
        for path in first {
            if let Some((path, lookup)) = self.waiting.remove_entry(path) {
                self.requested.insert(path.clone(), lookup);
                paths.push(path);
            }
        }
        while paths.len() < MAX_REQUESTED
            && let Some(path) = self.order.pop_front()
        {
            if let Some(lookup) = self.waiting.remove(&path) {
                self.requested.insert(path.clone(), lookup);
                paths.push(path);
            }
        }
        if self.waiting.is_empty() {
            self.order.clear();
        }
        self.is_requested = true;
        Some(paths)
    }

    /// Ends the request under way; what is left of it is to be taken by [`Self::take`] before.
    pub(super) fn answered(&mut self) {
        self.requested.clear();
        self.is_requested = false;
    }

    /// Takes a file of the request under way; `None` if its answer is of no interest any more.
    pub(super) fn take(&mut self, path: &Path) -> Option<Lookup> {
        self.requested.remove(path)
    }

    /// Counts results that the library gave. When nothing is left to ask for, returns their number, and begins anew.
    pub(super) fn count(&mut self, recalled: usize) -> Option<usize> {
        self.recalled += recalled;
        let all = self.recalled;
        if all == 0 || !self.waiting.is_empty() {
            return None;
        }
        self.recalled = 0;
        Some(all)
    }

    /// Counts results whose files are not at their places in a list of so many rows. Returns whether to sort it now, after which
    /// the count begins anew.
    pub(super) fn needs_sorting(&mut self, changed: usize, rows: usize) -> bool {
        self.unsorted += changed;
        let is_due = self.waiting.is_empty() || self.unsorted >= rows / SORTS;
        let needs_sorting = is_due && self.unsorted > 0;
        if needs_sorting {
            self.unsorted = 0;
        }
        needs_sorting
    }

    /// Forgets the request under way, whose engine is gone: its files wait again.
    pub(super) fn restart(&mut self) {
        self.is_requested = false;
        for (path, lookup) in self.requested.drain() {
            self.order.push_front(path.clone());
            self.waiting.insert(path, lookup);
        }
    }

    /// Removes and returns all files, because there is no engine to ask.
    pub(super) fn take_all(&mut self) -> Vec<(PathBuf, Lookup)> {
        self.restart();
        let mut waiting = std::mem::take(&mut self.waiting);
        let order = std::mem::take(&mut self.order).into_iter();
        order
            .filter_map(|path| waiting.remove_entry(&path))
            .collect()
    }

    /// Drops a file.
    pub(super) fn forget(&mut self, path: &Path) {
        self.waiting.remove(path);
        self.requested.remove(path);
    }

    /// Drops a file, or all files below a folder.
    pub(super) fn removed(&mut self, path: &Path) {
        if self.waiting.remove(path).is_some() || self.requested.remove(path).is_some() {
            return;
        }
        self.waiting.retain(|file, _| !file.starts_with(path));
        self.requested.retain(|file, _| !file.starts_with(path));
    }

    /// Asks for a renamed file, or all files below a renamed folder, under the new name.
    pub(super) fn renamed(&mut self, from: &Path, to: &Path) {
        let below = |map: &HashMap<PathBuf, Lookup>| -> Vec<PathBuf> {
            if map.contains_key(from) {
                return vec![from.to_owned()];
            }
            let files = map.keys().filter(|file| file.starts_with(from));
            files.cloned().collect()
        };
        let mut moved = below(&self.waiting);
        moved.extend(below(&self.requested));
        for old in moved {
            let lookup = self.waiting.remove(&old);
            let lookup = lookup.or_else(|| self.requested.remove(&old));
            if let (Some(lookup), Some(path)) = (lookup, paths::renamed(&old, from, to)) {
                let stamp = lookup.stamp;
                self.add(FoundFile { path, stamp }, lookup.otherwise);
            }
        }
    }
}
