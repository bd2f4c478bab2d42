//! What happens to a file, or to a folder with all files in it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use super::{Ended, Jobs, Phase};

impl<W> Jobs<W> {
    /// A file, or a folder with all in it, is gone. Returns the files whose wanted generation ended by that; those that
    /// are with the engine end when it is through with them.
    pub fn removed(&mut self, path: &Path) -> Vec<Ended<W>> {
        let mut ended = Vec::new();
        for name in self.under(path) {
            let is_running = self
                .files
                .get(&name)
                .is_some_and(|file| file.phase == Phase::Running);
            if !is_running {
                self.withdraw(&name);
            }
            let Some(file) = self.files.remove(&name) else {
                continue;
            };
            match file.phase {
                Phase::Running => self.running.orphan(file.generation, name, file.waiters),
                Phase::Queued | Phase::Waiting { .. } => {
                    ended.push(Ended::gone(name, file.generation, file.waiters));
                }
                Phase::Done | Phase::Failed(_) => {}
            }
        }
        ended
    }

    /// A file, or a folder with all in it, has another name; the content is the same. What is with the engine, which
    /// looks for it under the old name, is queued under the new one. Returns as [`Self::removed`] does what was called
    /// `to` before and is overwritten.
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
                let new = moved(&name, from, to)?;
                Some((name, new))
            })
            .collect();
        for (old, new) in moved {
            // Folders that lie in one another can share a name.
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
        // Who waits for another attempt need not: a new name often says that the file is complete.
        if matches!(file.phase, Phase::Running | Phase::Waiting { .. }) {
            self.renew(old, file.lane);
        }
        let Some(file) = self.files.remove(old) else {
            return;
        };
        if file.phase == Phase::Queued {
            self.queue.push(file.lane, file.generation, new.clone());
        }
        self.files.insert(new, file);
    }

    /// The file `path`, or the files below the folder `path`.
    fn under(&self, path: &Path) -> Vec<PathBuf> {
        below(&self.files, path).cloned().collect()
    }
}

fn below<'a, F>(
    files: &'a BTreeMap<PathBuf, F>,
    path: &'a Path,
) -> impl Iterator<Item = &'a PathBuf> {
    let range = files.range::<Path, _>((Bound::Included(path), Bound::Unbounded));
    range
        .map(|(file, _)| file)
        .take_while(move |file| file.starts_with(path))
}

/// The name of `path` after `from` is called `to`; `None` where it does not lie there.
pub fn moved(path: &Path, from: &Path, to: &Path) -> Option<PathBuf> {
    let rest = path.strip_prefix(from).ok()?;
    Some(if rest.as_os_str().is_empty() {
        to.to_owned()
    } else {
        to.join(rest)
    })
}
