//! Folders in the settle machine: scans of the tree, and the removal and renaming of folders with their content.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{
    FileStamp, ReadyKind, Settle, SettlePhase, SettlingFile, StampFn, TreeScan, WatchEvent,
    is_ignored,
};
use crate::paths;

impl Settle {
    /// Applies a scan of the tree or a part of it: finds out what is new, changed, renamed and gone. In the first one
    /// (`at_start`), files for which `is_old` holds have no active writer and need not settle.
    pub fn apply_scan(
        &mut self,
        now: Duration,
        scan: TreeScan,
        at_start: bool,
        is_old: &dyn Fn(&Path, &FileStamp) -> bool,
        stamp_of: &mut StampFn,
    ) {
        for folder in &scan.folders {
            if at_start {
                self.folders.insert(folder.clone());
            } else {
                self.add_folder(folder.clone());
            }
        }
        // A pending departure whose name exists now: another file has it.
        for (path, _) in &scan.files {
            self.finish_departures(path);
        }
        let missing = self.missing(&scan);
        let mut missing: Vec<PathBuf> = missing
            .into_iter()
            .filter(|path| stamp_of(path).is_none())
            .collect();
        for (path, stamp) in scan.files {
            if self.update_known(now, &path, stamp) {
                continue;
            }
            let known = |from: &PathBuf| {
                let reported = self.files.get(from).and_then(|file| file.reported);
                reported.is_some_and(|reported| reported.is_same_file(&stamp))
            };
            if let Some(index) = missing.iter().position(known) {
                self.rename_file(now, &missing.swap_remove(index), path.clone());
                // It may have been written to as well: a scan does not tell.
                let is_touched = |file: &SettlingFile| file.phase == SettlePhase::Touched;
                if self.files.get(&path).is_some_and(is_touched) {
                    let next = (SettlePhase::Unchanged, self.times.settle);
                    self.schedule(now, &path, next);
                }
                continue;
            }
            let is_complete = at_start && is_old(&path, &stamp);
            let kind = match (at_start, is_complete) {
                (true, true) => ReadyKind::Existing,
                (true, false) => ReadyKind::Unsettled,
                (false, _) => ReadyKind::New,
            };
            self.insert(
                now,
                path.clone(),
                kind,
                (SettlePhase::Unchanged, self.times.settle),
            );
            if is_complete {
                self.report(&path, stamp, false);
            } else if let Some(file) = self.files.get_mut(&path) {
                file.last = Some(stamp);
            }
        }
        for path in missing {
            self.remove(&path);
        }
        self.drop_folders(&scan.under, &scan.folders, &scan.unreadable);
        self.note_refused(&scan.under, scan.refused);
    }

    /// Reports each folder that may not be read, once.
    fn note_refused(&mut self, under: &Path, refused: Vec<PathBuf>) {
        let before: Vec<PathBuf> = paths::members_below(&self.refused, under)
            .cloned()
            .collect();
        for path in before.iter().filter(|path| !refused.contains(path)) {
            self.refused.remove(path);
        }
        for path in refused {
            if self.refused.insert(path.clone()) {
                self.events.push(WatchEvent::Refused(path));
            }
        }
    }

    /// Known files under the scanned folder that the scan did not find.
    fn missing(&self, scan: &TreeScan) -> Vec<PathBuf> {
        let found: HashSet<&OsStr> = scan
            .files
            .iter()
            .map(|(path, _)| path.as_os_str())
            .collect();
        paths::keys_below(&self.files, &scan.under)
            .filter(|path| !found.contains(path.as_os_str()))
            .filter(|path| !scan.unreadable.iter().any(|dir| path.starts_with(dir)))
            .cloned()
            .collect()
    }

    /// Removes the known folders under `under` that the scan did not find.
    fn drop_folders(&mut self, under: &Path, found: &[PathBuf], unreadable: &[PathBuf]) {
        let found: BTreeSet<&PathBuf> = found.iter().collect();
        let lost: Vec<PathBuf> = paths::members_below(&self.folders, under)
            .filter(|path| path.as_path() != under && !found.contains(path))
            .filter(|path| !unreadable.iter().any(|dir| path.starts_with(dir)))
            .cloned()
            .collect();
        for path in lost {
            // Folders below a lost one have been removed with it.
            if self.folders.contains(&path) {
                self.remove(&path);
            }
        }
    }

    /// Updates a file with the stamp that a scan found; false if it is not known.
    fn update_known(&mut self, now: Duration, path: &Path, stamp: FileStamp) -> bool {
        let Some(file) = self.files.get_mut(path) else {
            return false;
        };
        if file.phase != SettlePhase::Resting {
            return true;
        }
        match &mut file.reported {
            Some(reported) if *reported == stamp => return true,
            Some(reported) if reported.is_unwritten(&stamp) && reported.may_be_touched(&stamp) => {
                let path = path.to_owned();
                self.events.push(WatchEvent::Touched { path, stamp });
                // Perhaps the content has changed as well, and then its time was set back. Where the time of change means
                // nothing, it has not.
                if !stamp.identifies_file() {
                    *reported = stamp;
                    return true;
                }
            }
            _ => {}
        }
        (file.last, file.since) = (Some(stamp), now);
        self.schedule(now, path, (SettlePhase::Unchanged, self.times.settle));
        true
    }

    /// Adds a folder, and reports it if it is new.
    pub(super) fn add_folder(&mut self, path: PathBuf) {
        if path == self.root || is_ignored(&self.root, &path) {
            return;
        }
        if self.files.contains_key(&path) {
            self.remove(&path);
        }
        if self.folders.insert(path.clone()) {
            self.events.push(WatchEvent::Folder(path));
        }
    }

    /// Renames a folder and everything below it.
    pub(super) fn rename_folder(&mut self, from: &Path, to: &Path) {
        if self.folders.contains(to) {
            self.remove(to);
        }
        let folders: Vec<PathBuf> = paths::members_below(&self.folders, from).cloned().collect();
        for path in folders {
            self.folders.remove(&path);
            self.folders.extend(paths::renamed(&path, from, to));
        }
        let files: Vec<PathBuf> = paths::keys_below(&self.files, from).cloned().collect();
        for path in files {
            let new_path = paths::renamed(&path, from, to);
            let Some((file, new_path)) = self.files.remove(&path).zip(new_path) else {
                continue;
            };
            if let Some(due) = file.due {
                self.due.remove(&(due, path));
                self.due.insert((due, new_path.clone()));
            }
            self.files.insert(new_path, file);
        }
        let (from, to) = (from.to_owned(), to.to_owned());
        self.events.push(WatchEvent::Renamed { from, to });
    }

    /// Removes a file, or a folder with everything below it. Paths that were never reported are reported as removed, too:
    /// the caller may have learnt of them by listing the folder.
    pub(super) fn remove(&mut self, path: &Path) {
        let files: Vec<PathBuf> = paths::keys_below(&self.files, path).cloned().collect();
        for file in &files {
            self.rest(file);
            self.files.remove(file);
        }
        let folders: Vec<PathBuf> = paths::members_below(&self.folders, path).cloned().collect();
        for folder in &folders {
            self.folders.remove(folder);
            self.refused.remove(folder);
        }
        let known = !files.is_empty() || !folders.is_empty();
        if known || path != self.root && !is_ignored(&self.root, path) {
            self.events.push(WatchEvent::Removed(path.to_owned()));
        }
    }
}
