//! The rows of a folder grouped by study and series: studies with their series, or the files of one series.

use std::collections::HashSet;
use std::path::Path;

use super::{Grouping, StudyBrowser, labels};
use crate::app::browser::folder::{Folder, Row, RowKind};
use crate::app::entry::{EntryKind, Stamp};
use crate::app::environment::Environment;
use crate::app::results::Results;
use crate::media::{Member, Series};

impl StudyBrowser {
    /// Arranges the rows of the folder by study and series, if it is grouped.
    pub(in crate::app) fn arrange(
        &self,
        folder: &mut Folder,
        results: &Results,
        env: &Environment,
    ) {
        let Some(grouping) = self.here(folder) else {
            return;
        };
        if grouping.path == folder.dir() {
            if grouping.awaited.0 > 0 && grouping.studies.is_empty() {
                return;
            }
            let rows = grouping.top_rows(folder, env);
            return folder.arrange(Some(rows));
        }
        let Some((study, series)) = grouping.series_at(folder.dir()) else {
            folder.fail("Its files are gone.".to_owned());
            return folder.arrange(Some(Vec::new()));
        };
        let series = grouping.series(study, series);
        let rows = series.map_or_else(Vec::new, |series| grouping.member_rows(series, results));
        folder.arrange(Some(rows));
    }
}

impl Grouping {
    /// The rows of the top level: folders, studies with their series, and the files that belong to none.
    fn top_rows(&self, folder: &Folder, env: &Environment) -> Vec<Row> {
        let series = self.studies.iter().flat_map(|study| &study.series);
        let members = series.flat_map(|series| &series.members);
        let grouped: HashSet<&Path> = members.map(|member| member.path.as_path()).collect();
        let ungrouped = folder
            .visible_entries()
            .filter(|row| !grouped.contains(row.path.as_path()));
        let (mut rows, files): (Vec<Row>, Vec<Row>) = ungrouped
            .cloned()
            .partition(|row| row.kind == EntryKind::Folder);
        let row = |path, shown, kind| {
            Row::in_group(path, shown, EntryKind::Folder, Stamp::default(), kind)
        };
        for (s, study) in self.studies.iter().enumerate() {
            let folded = self.folded.contains(&study.uid);
            let label = labels::study(study, s, folded, env.show_phi);
            rows.push(row(self.study_path(s), label, RowKind::Study(s)));
            if folded {
                continue;
            }
            let series = study.series.iter().enumerate();
            rows.extend(series.filter_map(|(n, series)| {
                let label = labels::series(series, env.show_phi);
                Some(row(self.series_path(s, n)?, label, RowKind::Series(s, n)))
            }));
        }
        rows.extend(files);
        rows
    }

    /// The rows of the files of a series.
    fn member_rows(&self, series: &Series, results: &Results) -> Vec<Row> {
        let row = |member: &Member| {
            let kind = if member.present {
                RowKind::Entry
            } else {
                RowKind::Missing
            };
            Row::in_group(
                member.path.clone(),
                labels::member(member),
                EntryKind::File,
                self.stamp_of(&member.path, results),
                kind,
            )
        };
        series.members.iter().map(row).collect()
    }
}
