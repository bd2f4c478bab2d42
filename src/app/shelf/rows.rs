//! The rows of a shelf: studies with their series, or the files of one series.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::entry::{EntryKind, Stamp};
use super::super::folder::{Reading, Row, Stands};
use super::super::model::Model;
use super::{Base, Shelf, labels};
use crate::media::{Member, Series, group};

impl Model {
    /// Groups anew what the shelf holds.
    pub(super) fn regroup(&mut self) {
        let Some(shelf) = &mut self.shelf else { return };
        let members = match &shelf.base {
            Base::Directory(members) => members.clone(),
            Base::Folder(files) => {
                let member = |(path, stamp): (&PathBuf, &Stamp)| {
                    let header = self.headers.get(path, *stamp)?;
                    (!header.series.is_empty()).then(|| Member {
                        path: path.clone(),
                        present: true,
                        header: Arc::clone(header),
                    })
                };
                files.iter().filter_map(member).collect()
            }
        };
        shelf.studies = group(members);
        self.arrange();
    }

    /// Puts the rows of the shelf on screen.
    pub(in crate::app) fn arrange(&mut self) {
        let Some(shelf) = self.shelf_here() else {
            return;
        };
        let rows = if shelf.path == self.folder.dir {
            if shelf.waiting.0 > 0 && shelf.studies.is_empty() {
                return;
            }
            self.upper_rows(shelf)
        } else {
            let Some((study, series)) = shelf.series_at(&self.folder.dir) else {
                self.folder.reading = Reading::Failed("Its files are gone.".to_owned());
                self.folder.arrange(Some(Vec::new()));
                return;
            };
            let series = shelf.series(study, series);
            series.map_or_else(Vec::new, |series| self.member_rows(shelf, series))
        };
        self.folder.arrange(Some(rows));
    }

    /// Folders, studies with their series, and what belongs to none.
    fn upper_rows(&self, shelf: &Shelf) -> Vec<Row> {
        let grouped: HashSet<&Path> = shelf
            .studies
            .iter()
            .flat_map(|study| &study.series)
            .flat_map(|series| &series.members)
            .map(|member| member.path.as_path())
            .collect();
        let (mut rows, loose): (Vec<Row>, Vec<Row>) = self
            .folder
            .visible_entries()
            .filter(|row| !grouped.contains(row.path.as_path()))
            .cloned()
            .partition(|row| row.kind == EntryKind::Folder);
        for (s, study) in shelf.studies.iter().enumerate() {
            let folded = shelf.folded.contains(&study.uid);
            rows.push(Row {
                path: shelf.study_path(s),
                shown: labels::study(study, s, folded, self.switches.show_phi),
                kind: EntryKind::Folder,
                stamp: Stamp::default(),
                stands: Stands::Study(s),
            });
            if folded {
                continue;
            }
            let series = study.series.iter().enumerate();
            rows.extend(series.filter_map(|(n, series)| {
                Some(Row {
                    path: shelf.series_path(s, n)?,
                    shown: labels::series(series, self.switches.show_phi),
                    kind: EntryKind::Folder,
                    stamp: Stamp::default(),
                    stands: Stands::Series(s, n),
                })
            }));
        }
        rows.extend(loose);
        rows
    }

    fn member_rows(&self, shelf: &Shelf, series: &Series) -> Vec<Row> {
        let row = |member: &Member| Row {
            shown: labels::member(member),
            kind: EntryKind::File,
            stamp: self.stamp_of(shelf, &member.path),
            stands: if member.present {
                Stands::Itself
            } else {
                Stands::Missing
            },
            path: member.path.clone(),
        };
        series.members.iter().map(row).collect()
    }

    pub(super) fn stamp_of(&self, shelf: &Shelf, path: &Path) -> Stamp {
        match &shelf.base {
            Base::Folder(files) => files.get(path).copied().unwrap_or_default(),
            Base::Directory(_) => self.results.stamp(path).unwrap_or_default(),
        }
    }
}
