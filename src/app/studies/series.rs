//! The files of a study or series: scrolled as one stack, classified together.

use std::path::{Path, PathBuf};

use super::{Base, Grouping, StudyBrowser, labels};
use crate::app::browser::folder::{Folder, Row, RowKind};
use crate::app::entry::{EntryKind, FoundFile, Stamp};
use crate::app::environment::Environment;
use crate::app::group_path::base_of;
use crate::app::preview::SeriesStack;
use crate::app::results::Results;
use crate::media::{Geometry, Member, Series};

/// Maximum number of files of a series from which its window is computed.
const MAX_SAMPLE: usize = 16;

/// A file of a series, and how its image lies in the patient, as far as its header says.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::app) struct Slice {
    pub file: FoundFile,
    pub geometry: Geometry,
}

impl Slice {
    /// Distance of another slice along the normal of this one, in millimetres; `None` unless they are parallel.
    pub(in crate::app) fn distance(&self, other: &Self) -> Option<f64> {
        let depth = self.geometry.depth()?;
        self.geometry
            .depth_of(&other.geometry)
            .map(|other| other - depth)
    }
}

impl Grouping {
    fn found(&self, member: &Member, results: &Results) -> FoundFile {
        FoundFile {
            path: member.path.clone(),
            stamp: self.stamp_of(&member.path, results),
        }
    }

    /// Those of the files that are there.
    fn found_all<'a>(
        &self,
        members: impl IntoIterator<Item = &'a Member>,
        results: &Results,
    ) -> Vec<FoundFile> {
        let present = members.into_iter().filter(|member| member.present);
        present.map(|member| self.found(member, results)).collect()
    }
}

impl StudyBrowser {
    /// The files of a row that is a study or series.
    pub(crate) fn members(&self, row: &Row, folder: &Folder) -> Vec<&Member> {
        let Some(grouping) = self.here(folder) else {
            return Vec::new();
        };
        let all: &[Series] = match row.represents {
            RowKind::Study(study) => grouping
                .studies
                .get(study)
                .map_or(&[], |study| &study.series),
            RowKind::Series(study, series) => {
                let series = grouping.series(study, series);
                series.map_or(&[], std::slice::from_ref)
            }
            RowKind::Entry | RowKind::Missing => &[],
        };
        all.iter().flat_map(|series| &series.members).collect()
    }

    /// The last known stamp of a file of a row that is a study or series; `None` of any other row.
    pub(in crate::app) fn stamp_in(
        &self,
        row: &Row,
        path: &Path,
        folder: &Folder,
        results: &Results,
    ) -> Option<Stamp> {
        match row.represents {
            RowKind::Study(_) | RowKind::Series(..) => {
                Some(self.here(folder)?.stamp_of(path, results))
            }
            RowKind::Entry | RowKind::Missing => None,
        }
    }

    /// The files of a row that is a study or series, as far as they are there, to be classified.
    pub(in crate::app) fn found_in(
        &self,
        row: &Row,
        folder: &Folder,
        results: &Results,
    ) -> Vec<FoundFile> {
        let members = self.members(row, folder);
        self.here(folder)
            .map_or_else(Vec::new, |grouping| grouping.found_all(members, results))
    }

    /// All files on screen if they are those of a series or a DICOMDIR; `None` if a folder is on screen.
    pub(in crate::app) fn found_on_screen(
        &self,
        folder: &Folder,
        results: &Results,
    ) -> Option<Vec<FoundFile>> {
        let grouping = self.here(folder)?;
        let members = match grouping.series_at(folder.dir()) {
            Some((study, series)) => &grouping.series(study, series)?.members,
            None => match &grouping.base {
                Base::Directory(members) => members,
                Base::Folder(_) => return None,
            },
        };
        Some(grouping.found_all(members, results))
    }

    /// The files of the study that a file belongs to; `None` where nothing is grouped.
    pub(in crate::app) fn files_of_study(
        &self,
        file: &FoundFile,
        folder: &Folder,
        results: &Results,
    ) -> Option<Vec<FoundFile>> {
        let grouping = self.here(folder)?;
        let members = |study: &crate::media::Study| {
            let all = study.series.iter().flat_map(|series| &series.members);
            grouping.found_all(all, results)
        };
        let mut studies = grouping.studies.iter().map(members);
        studies.find(|files| files.iter().any(|known| known.path == file.path))
    }

    /// The files of the series that a file belongs to, as far as they are there, in order; `None` where nothing is grouped.
    pub(in crate::app) fn slices(
        &self,
        path: &Path,
        folder: &Folder,
        results: &Results,
    ) -> Option<Vec<Slice>> {
        let grouping = self.here(folder)?;
        let mut all = grouping.studies.iter().flat_map(|study| &study.series);
        let series = all.find(|series| series.members.iter().any(|m| m.path == path))?;
        let present = series.members.iter().filter(|member| member.present);
        let slice = |member: &Member| Slice {
            file: grouping.found(member, results),
            geometry: Geometry {
                position: member.header.position,
                orientation: member.header.orientation,
                ..Geometry::default()
            },
        };
        Some(present.map(slice).collect())
    }

    /// The file under the cursor, or the displayed file of the series there.
    pub(in crate::app) fn file_in_sight(
        &self,
        folder: &Folder,
        results: &Results,
    ) -> Option<FoundFile> {
        let row = folder.current()?;
        if row.kind == EntryKind::File {
            return Some(row.found());
        }
        self.member_in_sight(row, folder, results)
    }

    /// The displayed file of the series in `row`.
    pub(in crate::app) fn member_in_sight(
        &self,
        row: &Row,
        folder: &Folder,
        results: &Results,
    ) -> Option<FoundFile> {
        let RowKind::Series(study, series) = row.represents else {
            return None;
        };
        let grouping = self.here(folder)?;
        let series = grouping.series(study, series)?;
        let at = grouping.position(row, series.members.len());
        let member = series.members.get(at).filter(|member| member.present)?;
        Some(grouping.found(member, results))
    }

    /// The files one step away from the displayed one: in the stack of a series, or in the list.
    pub(in crate::app) fn nearby(
        &self,
        folder: &Folder,
        results: &Results,
    ) -> Vec<(PathBuf, Stamp)> {
        let steps = |at: usize| [at.checked_add(1), at.checked_sub(1)].into_iter().flatten();
        let pair = |found: FoundFile| (found.path, found.stamp);
        let (row, grouping) = (folder.current(), self.here(folder));
        if let (Some((at, _)), Some(row), Some(grouping)) = (self.position(folder), row, grouping) {
            let members = self.members(row, folder);
            let members = steps(at).filter_map(|at| members.get(at).copied());
            let found = grouping.found_all(members, results).into_iter();
            return found.map(pair).collect();
        }
        let rows = steps(folder.cursor()).filter_map(|at| folder.rows_from(at).next());
        let files = rows.filter(|row| row.kind == EntryKind::File);
        files.map(|row| pair(row.found())).collect()
    }

    /// The position of the displayed file in the series under the cursor, from 0, and the number of its files.
    pub(in crate::app) fn position(&self, folder: &Folder) -> Option<(usize, usize)> {
        let row = folder.current()?;
        let RowKind::Series(study, series) = row.represents else {
            return None;
        };
        let grouping = self.here(folder)?;
        let count = grouping.series(study, series)?.members.len();
        Some((grouping.position(row, count), count))
    }

    /// Shows another file of the series under the cursor, by its place from 0.
    pub(in crate::app) fn scroll_to(&mut self, place: usize, folder: &Folder) {
        let path = folder.current().map(|row| row.path.clone());
        if let (Some(grouping), Some(path)) = (&mut self.grouping, path) {
            grouping.positions.insert(path, place);
        }
    }

    /// Shows the next file of the series under the cursor, the first one after the last.
    pub(in crate::app) fn scroll_on(&mut self, folder: &Folder) {
        let next = self.position(folder).and_then(|(at, count)| {
            let members = self.members(folder.current()?, folder);
            let mut places = (at + 1..count).chain(0..at);
            places.find(|place| members[*place].present)
        });
        if let Some(next) = next {
            self.scroll_to(next, folder);
        }
    }

    /// The row of the series under the cursor, if it has files to play one after the other.
    pub(in crate::app) fn series_to_play(&self, folder: &Folder) -> Option<PathBuf> {
        let row = folder.current()?;
        self.position(folder)?;
        let members = self.members(row, folder).into_iter();
        let several = members.filter(|member| member.present).nth(1).is_some();
        several.then(|| row.path.clone())
    }

    /// The title of the image of a study or series; `None` on other rows.
    pub(crate) fn image_title(&self, folder: &Folder, env: &Environment) -> Option<String> {
        let row = folder.current()?;
        let grouping = self.here(folder)?;
        match row.represents {
            RowKind::Study(_) => Some(row.shown.trim_start_matches(['▾', '▸', ' ']).to_owned()),
            RowKind::Series(study, series) => {
                let name = labels::series_name(grouping.series(study, series)?, env.show_phi);
                let (at, count) = self.position(folder)?;
                Some(format!("{name} · {}/{count}", at + 1))
            }
            RowKind::Entry | RowKind::Missing => None,
        }
    }

    /// The series under the cursor, or on screen, with a sample of its files.
    pub(in crate::app) fn stack(&self, folder: &Folder, results: &Results) -> Option<SeriesStack> {
        let grouping = self.here(folder)?;
        let row = folder.current()?;
        let (path, (study, series)) = match row.represents {
            RowKind::Series(study, series) => (row.path.as_path(), (study, series)),
            _ if base_of(folder.dir()).is_some() => {
                (folder.dir(), grouping.series_at(folder.dir())?)
            }
            _ => return None,
        };
        let members = &grouping.series(study, series)?.members;
        let (last, count) = (members.len().checked_sub(1)?, members.len().min(MAX_SAMPLE));
        if last == 0 {
            return None;
        }
        let sample = (0..count).filter_map(|n| members.get(n * last / (count - 1)));
        let sample = grouping.found_all(sample, results).into_iter();
        Some(SeriesStack {
            path: path.to_owned(),
            sample: sample.map(|found| (found.path, found.stamp)).collect(),
        })
    }
}
