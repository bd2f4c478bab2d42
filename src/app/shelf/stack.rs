//! The files of a study or series: scrolled as one stack, classified together.

use std::path::PathBuf;

use super::super::entry::{Found, Stamp};
use super::super::folder::{Row, Stands};
use super::super::keys::Action;
use super::super::model::Model;
use super::super::picture::Stack;
use super::super::viewer::film::Jump;
use super::{Base, base_of, labels};
use crate::media::{Member, Series, Study};

/// Files of a series by which its window is chosen, at most.
const SAMPLE: usize = 16;

impl Model {
    /// The files that a row of a study or series stands for.
    pub(crate) fn stack_of(&self, row: &Row) -> Vec<&Member> {
        let Some(shelf) = self.shelf_here() else {
            return Vec::new();
        };
        let all: &[Series] = match row.stands {
            Stands::Study(study) => shelf.studies.get(study).map_or(&[], |study| &study.series),
            Stands::Series(study, series) => shelf
                .series(study, series)
                .map_or(&[], std::slice::from_ref),
            Stands::Itself | Stands::Missing => &[],
        };
        all.iter().flat_map(|series| &series.members).collect()
    }

    /// The files of the DICOMDIR's study that the file in sight belongs to, or of the folder that is grouped; `None` where
    /// nothing is.
    pub(in crate::app) fn files_of_study(&self) -> Option<Vec<Found>> {
        let shelf = self.shelf_here()?;
        let (path, _) = self.file_in_sight()?;
        let found = |member: &Member| Found {
            path: member.path.clone(),
            stamp: self.stamp_of(shelf, &member.path),
        };
        let members = |study: &Study| {
            let all = study
                .series
                .iter()
                .flat_map(|series| series.members.clone());
            all.filter(|member| member.present).collect::<Vec<_>>()
        };
        let mut studies = shelf.studies.iter().map(members);
        let study = studies.find(|members| members.iter().any(|member| member.path == path))?;
        Some(study.iter().map(found).collect())
    }

    /// Where in the stack of the series under the cursor the user is, from 0, and how many files it has.
    pub(crate) fn place_in_stack(&self) -> Option<(usize, usize)> {
        let row = self.folder.current()?;
        let Stands::Series(study, series) = row.stands else {
            return None;
        };
        let shelf = self.shelf_here()?;
        let count = shelf.series(study, series)?.members.len();
        Some((shelf.position(row, count), count))
    }

    /// What the picture of a study or series is called; `None` on other rows.
    pub(crate) fn show_stack(&self) -> Option<String> {
        let row = self.folder.current()?;
        let shelf = self.shelf_here()?;
        match row.stands {
            Stands::Study(_) => Some(row.shown.trim_start_matches(['▾', '▸', ' ']).to_owned()),
            Stands::Series(study, series) => {
                let name =
                    labels::series_name(shelf.series(study, series)?, self.switches.show_phi);
                let (at, count) = self.place_in_stack()?;
                Some(format!("{name} · {}/{count}", at + 1))
            }
            Stands::Itself | Stands::Missing => None,
        }
    }

    /// Scrolls the stack of the series under the cursor; false when there is none. A single file is no stack: it may have
    /// frames.
    pub(in crate::app) fn scroll_stack(&mut self, action: Action) -> bool {
        let Some((at, count)) = self.place_in_stack().filter(|(_, count)| *count > 1) else {
            return false;
        };
        let last = count.saturating_sub(1);
        if action == Action::FrameJump {
            self.viewer.film = None;
            self.viewer.jump = Some(Jump::default());
            return true;
        }
        let to = match action {
            Action::FrameNext => (at + 1).min(last),
            Action::FramePrevious => at.saturating_sub(1),
            Action::FrameFirst => 0,
            Action::FrameLast => last,
            _ => return false,
        };
        self.viewer.film = None;
        self.scroll_to(to);
        true
    }

    /// Shows another file of the series under the cursor.
    pub(in crate::app) fn scroll_to(&mut self, place: usize) {
        let path = self.folder.current().map(|row| row.path.clone());
        if let (Some(shelf), Some(path)) = (&mut self.shelf, path) {
            shelf.positions.insert(path, place);
        }
    }

    /// The row of the series under the cursor, if it has files to play one after the other.
    pub(in crate::app) fn series_to_play(&self) -> Option<PathBuf> {
        let row = self.folder.current()?;
        self.place_in_stack()?;
        let members = self.stack_of(row).into_iter();
        let several = members.filter(|member| member.present).nth(1).is_some();
        several.then(|| row.path.clone())
    }

    /// The next file of the series, the first one after the last.
    pub(in crate::app) fn turn_stack(&mut self) {
        let next = self.place_in_stack().and_then(|(at, count)| {
            let members = self.stack_of(self.folder.current()?);
            let mut places = (at + 1..count).chain(0..at);
            places.find(|place| members[*place].present)
        });
        if let Some(next) = next {
            self.scroll_to(next);
        }
    }

    /// The file of the series in `row` that is in sight.
    pub(crate) fn member_in_sight(&self, row: &Row) -> Option<(PathBuf, Stamp)> {
        let Stands::Series(study, series) = row.stands else {
            return None;
        };
        let shelf = self.shelf_here()?;
        let series = shelf.series(study, series)?;
        let at = shelf.position(row, series.members.len());
        let member = series.members.get(at).filter(|member| member.present)?;
        Some((member.path.clone(), self.stamp_of(shelf, &member.path)))
    }

    /// The series under the cursor, or on screen, with a sample of its files.
    pub(crate) fn stack_looked_at(&self) -> Option<Stack> {
        let shelf = self.shelf_here()?;
        let row = self.folder.current()?;
        let (path, (study, series)) = match row.stands {
            Stands::Series(study, series) => (&row.path, (study, series)),
            _ if base_of(&self.folder.dir).is_some() => {
                (&self.folder.dir, shelf.series_at(&self.folder.dir)?)
            }
            _ => return None,
        };
        let members = &shelf.series(study, series)?.members;
        let (last, count) = (members.len().checked_sub(1)?, members.len().min(SAMPLE));
        if last == 0 {
            return None;
        }
        let sample = (0..count).filter_map(|n| members.get(n * last / (count - 1)));
        let sample = sample.filter(|member| member.present);
        Some(Stack {
            path: path.clone(),
            sample: sample
                .map(|member| (member.path.clone(), self.stamp_of(shelf, &member.path)))
                .collect(),
        })
    }

    /// The files next to the one in sight, in the series under the cursor.
    pub(crate) fn members_nearby(&self) -> Vec<(PathBuf, Stamp)> {
        let (Some(row), Some(shelf), Some((at, _))) = (
            self.folder.current(),
            self.shelf_here(),
            self.place_in_stack(),
        ) else {
            return Vec::new();
        };
        let members = self.stack_of(row);
        let steps = [at.checked_add(1), at.checked_sub(1)].into_iter().flatten();
        steps
            .filter_map(|at| members.get(at))
            .filter(|member| member.present)
            .map(|member| (member.path.clone(), self.stamp_of(shelf, &member.path)))
            .collect()
    }

    /// The files that a row of a study or series stands for, to be classified.
    pub(in crate::app) fn found_in(&self, row: &Row) -> Vec<Found> {
        self.as_found(self.stack_of(row))
    }

    /// All files on screen that no folder holds together: those of a series, or of a DICOMDIR.
    pub(in crate::app) fn found_on_shelf(&self) -> Option<Vec<Found>> {
        let shelf = self.shelf_here()?;
        let members = match shelf.series_at(&self.folder.dir) {
            Some((study, series)) => shelf.series(study, series)?.members.iter().collect(),
            None => match &shelf.base {
                Base::Directory(members) => members.iter().collect(),
                Base::Folder(_) => return None,
            },
        };
        Some(self.as_found(members))
    }

    fn as_found(&self, members: Vec<&Member>) -> Vec<Found> {
        let Some(shelf) = self.shelf_here() else {
            return Vec::new();
        };
        let found = |member: &Member| Found {
            stamp: self.stamp_of(shelf, &member.path),
            path: member.path.clone(),
        };
        members
            .into_iter()
            .filter(|member| member.present)
            .map(found)
            .collect()
    }
}
