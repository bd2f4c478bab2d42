//! Marks on files: one by one, from one to another, and classifying what is marked.

use super::entry::{EntryKind, Found};
use super::model::Model;
use super::msg::Severity;
use crate::engine::Lane;

impl Model {
    /// Marks the file under the cursor, or takes its mark away; the cursor goes on.
    pub(super) fn mark(&mut self) {
        let Some(row) = self
            .folder
            .current()
            .filter(|row| row.kind == EntryKind::File)
        else {
            return;
        };
        if !self.marked.remove(&row.path) {
            self.marked.insert(row.path.clone());
        }
        self.mark_end = Some(row.path.clone());
        self.folder.go_by(1);
    }

    /// Marks all files from the one that was marked last to the one under the cursor, in the order shown.
    pub(super) fn mark_range(&mut self) {
        let end = self.mark_end.as_deref();
        let Some(from) = end.and_then(|path| self.folder.find(path)) else {
            return self.say(Severity::Info, "mark one end of the range first");
        };
        let to = self.folder.cursor();
        let (first, last) = (from.min(to), from.max(to));
        let rows = self.folder.rows_from(first).take(last - first + 1);
        let files: Vec<_> = rows
            .filter(|row| row.kind == EntryKind::File)
            .map(|row| row.path.clone())
            .collect();
        let text = format!("{} files marked", files.len());
        self.marked.extend(files);
        self.mark_end = self.folder.current().map(|row| row.path.clone());
        self.say(Severity::Info, &text);
    }

    /// Classifies what is marked, in whichever folder, and takes the marks away.
    pub(super) fn classify_marked(&mut self) {
        if self.marked.is_empty() {
            return self.say(Severity::Info, "nothing is marked");
        }
        let here = self.folder.rows().map(|row| (&row.path, row.stamp));
        let here: std::collections::HashMap<_, _> = here.collect();
        let stamp = |path: &std::path::PathBuf| {
            here.get(path).copied().or_else(|| self.results.stamp(path))
        };
        let found: Vec<Found> = self
            .marked
            .iter()
            .map(|path| Found {
                path: path.clone(),
                stamp: stamp(path).unwrap_or_default(),
            })
            .collect();
        if !self.without_model() {
            self.marked.clear();
            self.ask(found, Lane::Interactive);
        }
    }
}
