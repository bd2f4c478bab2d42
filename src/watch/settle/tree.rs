//! The part of the machine that knows folders: whole readings of the tree, and what happens to a folder with all in
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{File, Look, News, Phase, Settle, Stamp, Sweep, WatchEvent, is_passing};

impl Settle {
    /// Takes in a reading of the tree or a part of it: finds what is new, changed, renamed and gone. `at_start` is for
    /// the first: `is_old` then tells files that nobody can still be writing, which need not settle.
    pub fn swept(
        &mut self,
        now: Duration,
        sweep: Sweep,
        at_start: bool,
        is_old: &dyn Fn(&Path, &Stamp) -> bool,
        look: &mut Look,
    ) {
        for folder in &sweep.folders {
            if at_start {
                self.folders.insert(folder.clone());
            } else {
                self.folder(folder.clone());
            }
        }
        // A name that was left and is there now belongs to another file.
        for (path, _) in &sweep.files {
            self.depart_at(path);
        }
        let missing = self.missing(&sweep);
        let mut missing: Vec<PathBuf> = missing
            .into_iter()
            .filter(|path| look(path).is_none())
            .collect();
        for (path, stamp) in sweep.files {
            if self.files.contains_key(&path) {
                self.seen(now, &path, stamp);
                continue;
            }
            let known = |from: &PathBuf| {
                let reported = self.files.get(from).and_then(|file| file.reported);
                reported.is_some_and(|reported| reported.is_same_file(&stamp))
            };
            if let Some(index) = missing.iter().position(known) {
                self.rename_file(now, &missing.swap_remove(index), path);
                continue;
            }
            let news = if at_start { News::There } else { News::New };
            self.insert(
                now,
                path.clone(),
                news,
                (Phase::Unchanged, self.times.settle),
            );
            if at_start && is_old(&path, &stamp) {
                self.report(&path, stamp);
            } else if let Some(file) = self.files.get_mut(&path) {
                file.last = Some(stamp);
            }
        }
        for path in missing {
            self.gone(&path);
        }
        self.drop_folders(&sweep.under, &sweep.folders, &sweep.unreadable);
        self.note_refused(&sweep.under, sweep.refused);
    }

    /// Tells once of each folder that may not be read.
    fn note_refused(&mut self, under: &Path, refused: Vec<PathBuf>) {
        let before: Vec<PathBuf> = at(&self.refused, under).cloned().collect();
        for path in before.iter().filter(|path| !refused.contains(path)) {
            self.refused.remove(path);
        }
        for path in refused {
            if self.refused.insert(path.clone()) {
                self.out.push(WatchEvent::Refused(path));
            }
        }
    }

    /// Known files under the sweep's folder that it did not find.
    fn missing(&self, sweep: &Sweep) -> Vec<PathBuf> {
        let found: BTreeSet<&Path> = sweep.files.iter().map(|(path, _)| path.as_path()).collect();
        below(&self.files, &sweep.under)
            .filter(|path| !found.contains(path.as_path()))
            .filter(|path| !sweep.unreadable.iter().any(|dir| path.starts_with(dir)))
            .cloned()
            .collect()
    }

    fn drop_folders(&mut self, under: &Path, found: &[PathBuf], unreadable: &[PathBuf]) {
        let found: BTreeSet<&PathBuf> = found.iter().collect();
        let lost: Vec<PathBuf> = at(&self.folders, under)
            .filter(|path| path.as_path() != under && !found.contains(path))
            .filter(|path| !unreadable.iter().any(|dir| path.starts_with(dir)))
            .cloned()
            .collect();
        for path in lost {
            // Those below another that is lost have gone with it.
            if self.folders.contains(&path) {
                self.gone(&path);
            }
        }
    }

    /// A known file as a sweep saw it.
    fn seen(&mut self, now: Duration, path: &Path, stamp: Stamp) {
        let Some(file) = self.files.get_mut(path) else {
            return;
        };
        if file.phase != Phase::Resting {
            return;
        }
        match &mut file.reported {
            Some(reported) if *reported == stamp => {
                let before = std::mem::replace(reported, stamp);
                if before.status_changed != stamp.status_changed {
                    let path = path.to_owned();
                    self.out.push(WatchEvent::Touched { path, stamp });
                }
            }
            _ => {
                file.last = Some(stamp);
                self.wait(now, path, (Phase::Unchanged, self.times.settle));
            }
        }
    }

    pub(super) fn folder(&mut self, path: PathBuf) {
        if path == self.root || is_passing(&self.root, &path) {
            return;
        }
        if self.files.contains_key(&path) {
            self.gone(&path);
        }
        if self.folders.insert(path.clone()) {
            self.out.push(WatchEvent::Folder(path));
        }
    }

    pub(super) fn rename_folder(&mut self, from: &Path, to: &Path) {
        if self.folders.contains(to) {
            self.gone(to);
        }
        let moved = |path: &Path| path.strip_prefix(from).map(|rest| join(to, rest));
        let folders: Vec<PathBuf> = at(&self.folders, from).cloned().collect();
        for path in folders {
            self.folders.remove(&path);
            self.folders.extend(moved(&path));
        }
        let files: Vec<PathBuf> = below(&self.files, from).cloned().collect();
        for path in files {
            let (Some(file), Ok(path_now)) = (self.files.remove(&path), moved(&path)) else {
                continue;
            };
            if let Some(due) = file.due {
                self.due.remove(&(due, path));
                self.due.insert((due, path_now.clone()));
            }
            self.files.insert(path_now, file);
        }
        let (from, to) = (from.to_owned(), to.to_owned());
        self.out.push(WatchEvent::Renamed { from, to });
    }

    /// A file, or a folder with all below it, is gone. Told also of what was never reported: who reads the folder by other
    /// means may know it.
    pub(super) fn gone(&mut self, path: &Path) {
        let files: Vec<PathBuf> = below(&self.files, path).cloned().collect();
        for file in &files {
            self.rest(file);
            self.files.remove(file);
        }
        let folders: Vec<PathBuf> = at(&self.folders, path).cloned().collect();
        for folder in &folders {
            self.folders.remove(folder);
            self.refused.remove(folder);
        }
        let known = !files.is_empty() || !folders.is_empty();
        if known || path != self.root && !is_passing(&self.root, path) {
            self.out.push(WatchEvent::Removed(path.to_owned()));
        }
    }
}

/// The file `path`, or the files below the folder `path`.
fn below<'a>(
    files: &'a BTreeMap<PathBuf, File>,
    path: &'a Path,
) -> impl Iterator<Item = &'a PathBuf> {
    let range = files.range::<Path, _>((Bound::Included(path), Bound::Unbounded));
    range
        .map(|(file, _)| file)
        .take_while(move |file| file.starts_with(path))
}

/// The folder `path` and those below it.
fn at<'a>(folders: &'a BTreeSet<PathBuf>, path: &'a Path) -> impl Iterator<Item = &'a PathBuf> {
    let range = folders.range::<Path, _>((Bound::Included(path), Bound::Unbounded));
    range.take_while(move |folder| folder.starts_with(path))
}

/// As [`Path::join`], without the slash that joining nothing would leave.
pub(super) fn join(to: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() {
        to.to_owned()
    } else {
        to.join(rest)
    }
}
