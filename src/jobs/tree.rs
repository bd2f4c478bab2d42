//! Removing and renaming a file, or a folder with all files in it.

use std::path::{Path, PathBuf};

use super::{Ended, JobPhase, Jobs};
use crate::paths;

impl<W> Jobs<W> {
    /// A file, or a folder with everything in it, is gone. Returns the wanted generations that ended by this; those that
    /// are with the engine end when it is done with them.
    pub fn removed(&mut self, path: &Path) -> Vec<Ended<W>> {
        let mut ended = Vec::new();
        for name in self.under(path) {
            let is_running = self
                .files
                .get(&name)
                .is_some_and(|file| file.phase == JobPhase::Running);
            if !is_running {
                self.withdraw(&name);
            }
            let Some(file) = self.files.remove(&name) else {
                continue;
            };
            match file.phase {
                JobPhase::Running => self.running.orphan(file.generation, name, file.waiters),
                JobPhase::Queued | JobPhase::Waiting { .. } => {
                    ended.push(Ended::gone(name, file.generation, file.waiters));
                }
                JobPhase::Done | JobPhase::Failed(_) => {}
            }
        }
        ended
    }

    /// A file, or a folder with everything in it, was renamed; the content is the same. Files with the engine, which would
    /// look for them under the old name, are queued again. Files called `to` before are overwritten: their ends are
    /// returned as by [`Self::removed`].
    pub fn renamed(&mut self, from: &Path, to: &Path) -> Vec<Ended<W>> {
        if from == to {
            return Vec::new();
        }
        let is_nested = to.starts_with(from) || from.starts_with(to);
        let mut ended = if is_nested {
            Vec::new()
        } else {
            self.removed(to)
        };
        let moved: Vec<(PathBuf, PathBuf)> = self
            .under(from)
            .into_iter()
            .filter_map(|name| {
                let new = paths::renamed(&name, from, to)?;
                Some((name, new))
            })
            .collect();
        for (old, new) in moved {
            // If one folder lies in the other, the new name may exist.
            if self.files.contains_key(&new) {
                ended.extend(self.removed(&new));
            }
            self.rename_file(&old, new);
        }
        ended
    }

    fn rename_file(&mut self, old: &Path, new: PathBuf) {
        let Some(file) = self.files.get(old) else {
            return;
        };
        // Those that wait for another attempt start at once: a rename often means that the file is complete.
        if matches!(file.phase, JobPhase::Running | JobPhase::Waiting { .. }) {
            self.renew(old, file.lane);
        }
        let Some(file) = self.files.remove(old) else {
            return;
        };
        if file.phase == JobPhase::Queued {
            self.queue.push(file.lane, file.generation, new.clone());
        }
        self.files.insert(new, file);
    }

    /// The results of a renamed file, or of all files in a renamed folder, are wanted under the new names, and are not repetitions.
    /// Returns these names, to be [requested](Self::request) if they are there. One that is not, because it was renamed again, is
    /// still known, so that the next [rename](Self::renamed) finds it.
    pub fn start_over_below(&mut self, path: &Path) -> Vec<PathBuf> {
        let names = self.under(path);
        for name in &names {
            if let Some(file) = self.files.get_mut(name) {
                file.reported = None;
            }
        }
        names
    }

    /// The file `path`, or the files below the folder `path`.
    fn under(&self, path: &Path) -> Vec<PathBuf> {
        paths::keys_below(&self.files, path).cloned().collect()
    }
}
