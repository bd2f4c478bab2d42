//! The study browser: files by study and series, those of a folder by their headers, and those that a DICOMDIR refers to.
//!
//! The base of a grouping is the folder or the DICOMDIR. The top level of the grouping replaces the base's own rows: one row
//! for each study, followed by one for each of its series. The files of a series are shown as a folder, under a path that no
//! file can have.

pub(crate) mod aggregate;
mod labels;
mod rows;
mod series;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::browser::folder::{Folder, Row, RowKind};
use super::effect::Effect;
use super::entry::{EntryKind, FoundFile, Stamp};
use super::environment::Environment;
use super::group_path::{base_of, series_path, study_path};
use super::msg::Msg;
use super::results::Results;
use super::text;
use crate::media::{DicomHeader, MediaError, Member, Series, Study, group};
pub(super) use labels::date;
pub(super) use series::Slice;

/// Maximum number of headers kept: about a hundred megabytes.
const MAX_HEADERS: usize = 200_000;

/// The kind of a base.
#[derive(Clone, Debug, PartialEq)]
enum Base {
    /// A folder, with the files listed so far.
    Folder(BTreeMap<PathBuf, Stamp>),
    /// A DICOMDIR, with the files that it refers to.
    Directory(Vec<Member>),
}

/// The files of a base in groups.
#[derive(Clone, Debug, PartialEq)]
struct Grouping {
    /// The folder, or the DICOMDIR.
    path: PathBuf,
    base: Base,
    studies: Vec<Study>,
    /// Studies whose series are hidden, by UID.
    folded: HashSet<String>,
    /// Index of the displayed file of each series, by the path that represents the series.
    positions: HashMap<PathBuf, usize>,
    /// The number that the latest request is answered by.
    generation: u64,
    /// Headers still awaited, of how many.
    awaited: (usize, usize),
}

/// What a message about files means to the study browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FilesChange {
    /// Nothing.
    None,
    /// The files of the base have changed.
    Files,
    /// The folder on screen is listed.
    Listed,
}

/// Headers by file, with the stamp of the content they were read from; `None` of a file without one.
#[derive(Clone, Debug, Default, PartialEq)]
struct HeaderCache(HashMap<PathBuf, (Stamp, Option<Arc<DicomHeader>>)>);

impl HeaderCache {
    /// Whether exactly this content was read.
    fn knows(&self, path: &Path, stamp: Stamp) -> bool {
        self.0.get(path).is_some_and(|(known, _)| *known == stamp)
    }

    fn get(&self, path: &Path, stamp: Stamp) -> Option<&Arc<DicomHeader>> {
        let (known, header) = self.0.get(path)?;
        header.as_ref().filter(|_| *known == stamp)
    }

    fn insert(&mut self, found: FoundFile, header: Option<Arc<DicomHeader>>) {
        if self.0.len() >= MAX_HEADERS {
            self.0.clear();
        }
        self.0.insert(found.path, (found.stamp, header));
    }
}

impl Grouping {
    fn new(path: PathBuf, base: Base, generation: u64) -> Self {
        Self {
            path,
            base,
            studies: Vec::new(),
            folded: HashSet::new(),
            positions: HashMap::new(),
            generation,
            awaited: (0, 0),
        }
    }

    fn is_directory(&self) -> bool {
        matches!(self.base, Base::Directory(_))
    }

    /// The series at the indices of its study and its own.
    fn series(&self, study: usize, series: usize) -> Option<&Series> {
        self.studies.get(study)?.series.get(series)
    }

    /// The series that a path represents.
    fn series_at(&self, path: &Path) -> Option<(usize, usize)> {
        let all = self.studies.iter().enumerate();
        let mut all = all.flat_map(|(s, study)| (0..study.series.len()).map(move |n| (s, n)));
        all.find(|(s, n)| self.series_path(*s, *n).as_deref() == Some(path))
    }

    /// The path that represents a series.
    fn series_path(&self, study: usize, series: usize) -> Option<PathBuf> {
        let uid = &self.series(study, series)?.uid;
        Some(series_path(&self.path, &self.studies[study].uid, uid))
    }

    fn study_path(&self, study: usize) -> PathBuf {
        study_path(&self.path, &self.studies[study].uid)
    }

    /// Index of the displayed file of the series of a row: initially its middle.
    fn position(&self, row: &Row, count: usize) -> usize {
        let known = self.positions.get(&row.path).copied();
        known.unwrap_or(count / 2).min(count.saturating_sub(1))
    }

    /// The last known stamp of a file.
    fn stamp_of(&self, path: &Path, results: &Results) -> Stamp {
        match &self.base {
            Base::Folder(files) => files.get(path).copied().unwrap_or_default(),
            Base::Directory(_) => results.stamp(path).unwrap_or_default(),
        }
    }
}

/// The state of the study browser.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct StudyBrowser {
    /// Whether folders are shown by study and series.
    enabled: bool,
    headers: HeaderCache,
    /// The base last grouped; it may be another than the one on screen.
    grouping: Option<Grouping>,
}

impl StudyBrowser {
    /// `enabled`: whether folders are grouped from the start.
    pub(super) fn new(enabled: bool) -> Self {
        Self {
            enabled,
            ..Self::default()
        }
    }

    /// Whether folders are shown by study and series.
    pub(super) fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether the rows have a fixed order: there is a grouping, and it is not the worklist that is on screen.
    pub(crate) fn fixes_order(&self, folder: &Folder) -> bool {
        self.grouping.is_some() && !folder.is_worklist()
    }

    /// The grouping of the folder or DICOMDIR on screen.
    fn here(&self, folder: &Folder) -> Option<&Grouping> {
        let dir = folder.dir();
        let grouping = self.grouping.as_ref().filter(|_| !folder.is_worklist());
        grouping.filter(|grouping| {
            grouping.path == dir || base_of(dir) == Some(grouping.path.as_path())
        })
    }

    /// Whether studies, series or files of one are on screen.
    pub(super) fn is_shown(&self, folder: &Folder) -> bool {
        self.here(folder).is_some()
    }

    /// Whether the files of one series are on screen.
    pub(super) fn shows_series(&self, folder: &Folder) -> bool {
        let here = self.here(folder);
        here.is_some_and(|grouping| grouping.series_at(folder.dir()).is_some())
    }

    /// Whether a DICOMDIR is on screen.
    pub(super) fn shows_directory(&self, folder: &Folder) -> bool {
        self.here(folder).is_some_and(Grouping::is_directory)
    }

    /// Whether a folder of the file system is on screen, rather than a series, a DICOMDIR or the worklist.
    pub(super) fn shows_real_folder(&self, folder: &Folder) -> bool {
        !folder.is_worklist() && base_of(folder.dir()).is_none() && !self.shows_directory(folder)
    }

    /// The path to open instead: for a series of a folder that is no longer grouped, that folder.
    pub(super) fn resolve(&self, dir: PathBuf) -> PathBuf {
        let grouped = |base: &Path| self.grouping.as_ref().is_some_and(|g| g.path == base);
        match base_of(&dir) {
            Some(base) if !grouped(base) => base.to_owned(),
            _ => dir,
        }
    }

    /// Headers still awaited for the base on screen, of how many.
    pub(crate) fn awaited_headers(&self, folder: &Folder) -> Option<(usize, usize)> {
        let grouping = self.here(folder)?;
        (grouping.awaited.0 > 0).then_some(grouping.awaited)
    }

    /// The title of what is on screen: the base and the series.
    pub(crate) fn title(&self, folder: &Folder, env: &Environment) -> String {
        let dir = folder.dir();
        let Some(base) = base_of(dir) else {
            return env.show_path(dir);
        };
        let series = self.here(folder).and_then(|grouping| {
            let (study, series) = grouping.series_at(dir)?;
            grouping.series(study, series)
        });
        let name = |series| labels::series_name(series, env.show_phi);
        let name = series.map_or_else(String::new, name);
        format!("{} › {name}", env.show_path(base))
    }

    // ── grouping ──────────────────────────────────────────────────────────────────────────────────────────────

    /// Switches grouping of folders on.
    pub(super) fn enable(
        &mut self,
        folder: &mut Folder,
        results: &Results,
        env: &mut Environment,
    ) -> Vec<Effect> {
        self.enabled = true;
        self.group_by_series(folder, results, env)
    }

    /// Switches grouping of folders off. Returns the folder to open if a series of it is on screen.
    pub(super) fn disable(&mut self, folder: &mut Folder) -> Option<PathBuf> {
        self.enabled = false;
        self.grouping = None;
        folder.arrange(None);
        base_of(folder.dir()).map(Path::to_owned)
    }

    /// Begins to group the files of the folder on screen that are listed so far, if grouping is enabled.
    pub(super) fn group_by_series(
        &mut self,
        folder: &mut Folder,
        results: &Results,
        env: &mut Environment,
    ) -> Vec<Effect> {
        if !self.enabled || folder.is_worklist() || base_of(folder.dir()).is_some() {
            return Vec::new();
        }
        let files = folder.visible_entries();
        let files = files.filter(|row| row.kind == EntryKind::File);
        let files = files.map(|row| (row.path.clone(), row.stamp)).collect();
        let dir = folder.dir().to_owned();
        let old = self.grouping.take().filter(|old| old.path == dir);
        let mut grouping = Grouping::new(dir, Base::Folder(files), 0);
        if let Some(old) = old {
            // Rows stay as they are until the headers are there.
            (grouping.folded, grouping.positions, grouping.studies) =
                (old.folded, old.positions, old.studies);
        }
        self.grouping = Some(grouping);
        self.request_headers(folder, results, env)
    }

    /// Requests the headers that are not known yet; groups when there are none.
    fn request_headers(
        &mut self,
        folder: &mut Folder,
        results: &Results,
        env: &mut Environment,
    ) -> Vec<Effect> {
        let Some(grouping) = &mut self.grouping else {
            return Vec::new();
        };
        let Base::Folder(files) = &grouping.base else {
            return Vec::new();
        };
        let unknown = files
            .iter()
            .filter(|(path, stamp)| !self.headers.knows(path, **stamp));
        let unknown = unknown.map(|(path, stamp)| FoundFile {
            path: path.clone(),
            stamp: *stamp,
        });
        let files: Vec<FoundFile> = unknown.collect();
        let generation = env.next_generation();
        grouping.generation = generation;
        grouping.awaited = (files.len(), files.len());
        if files.is_empty() {
            self.regroup(folder, results, env);
            return Vec::new();
        }
        vec![Effect::Headers { files, generation }]
    }

    /// Adds headers that were read.
    pub(super) fn headers_read(
        &mut self,
        (generation, complete): (u64, bool),
        read: Vec<(FoundFile, Option<DicomHeader>)>,
        folder: &mut Folder,
        results: &Results,
        env: &mut Environment,
    ) -> Vec<Effect> {
        let count = read.len();
        for (found, header) in read {
            self.headers.insert(found, header.map(Arc::new));
        }
        let requested = |grouping: &&mut Grouping| grouping.generation == generation;
        let Some(grouping) = self.grouping.as_mut().filter(requested) else {
            return Vec::new();
        };
        grouping.awaited.0 = grouping.awaited.0.saturating_sub(count);
        if !complete {
            return Vec::new();
        }
        grouping.awaited = (0, 0);
        // Files may have arrived meanwhile.
        self.request_headers(folder, results, env)
    }

    /// Groups the files of the base again.
    fn regroup(&mut self, folder: &mut Folder, results: &Results, env: &Environment) {
        let Some(grouping) = &mut self.grouping else {
            return;
        };
        let members = match &grouping.base {
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
        grouping.studies = group(members);
        self.arrange(folder, results, env);
    }

    // ── changes on disk ───────────────────────────────────────────────────────────────────────────────────────

    /// Updates the base's files by a message, before the folder on screen handles it.
    pub(super) fn note(&mut self, msg: &Msg, folder: &Folder) -> FilesChange {
        if let Msg::Listed {
            dir,
            generation,
            complete: true,
            ..
        } = msg
            && (folder.generation(), folder.dir()) == (*generation, dir)
        {
            return FilesChange::Listed;
        }
        let show_hidden = folder.options().hidden;
        let Some(Grouping {
            path: base,
            base: Base::Folder(files),
            ..
        }) = &mut self.grouping
        else {
            return FilesChange::None;
        };
        let here = |path: &Path| {
            let hidden = path
                .file_name()
                .is_some_and(|n| n.as_bytes().starts_with(b"."));
            path.parent() == Some(base.as_path()) && (show_hidden || !hidden)
        };
        let mut insert =
            |path: &PathBuf, stamp: Stamp| files.insert(path.clone(), stamp) != Some(stamp);
        let changed = match msg {
            Msg::Appeared { entry, .. } if entry.kind == EntryKind::File && here(&entry.path) => {
                insert(&entry.path, entry.stamp)
            }
            Msg::Modified { path, stamp, .. } if here(path) => insert(path, *stamp),
            Msg::Removed { path } => files.remove(path).is_some(),
            Msg::Renamed { from, to } => {
                let is_new =
                    to.kind == EntryKind::File && here(&to.path) && insert(&to.path, to.stamp);
                files.remove(from).is_some() || is_new
            }
            _ => false,
        };
        if changed {
            FilesChange::Files
        } else {
            FilesChange::None
        }
    }

    /// Acts on a change after the folder on screen has handled it. While headers are being read, this is postponed until they
    /// are complete.
    pub(super) fn follow(
        &mut self,
        change: FilesChange,
        folder: &mut Folder,
        results: &Results,
        env: &mut Environment,
    ) -> Vec<Effect> {
        let reading = self.awaited_headers(folder).is_some();
        match change {
            FilesChange::Listed => self.group_by_series(folder, results, env),
            FilesChange::Files if !reading && self.is_shown(folder) => {
                self.request_headers(folder, results, env)
            }
            FilesChange::Files | FilesChange::None => Vec::new(),
        }
    }

    // ── into a study, a series, a DICOMDIR ────────────────────────────────────────────────────────────────────

    /// Folds or unfolds the study of a row; false if the row is not a study.
    pub(super) fn toggle_study(
        &mut self,
        folder: &mut Folder,
        results: &Results,
        env: &Environment,
    ) -> bool {
        let Some(RowKind::Study(study)) = folder.current().map(|row| row.represents) else {
            return false;
        };
        let grouping = self.grouping.as_mut();
        if let Some((grouping, uid)) = grouping.and_then(|grouping| {
            let uid = grouping.studies.get(study)?.uid.clone();
            Some((grouping, uid))
        }) {
            if !grouping.folded.remove(&uid) {
                grouping.folded.insert(uid);
            }
            self.arrange(folder, results, env);
        }
        true
    }

    /// Whether a row is entered as a folder is: a series, or a DICOMDIR.
    pub(super) fn opens(row: &Row, results: &Results) -> bool {
        match row.represents {
            RowKind::Series(..) => true,
            RowKind::Entry => row.kind == EntryKind::File && is_directory(&row.path, results),
            RowKind::Study(_) | RowKind::Missing => false,
        }
    }

    /// Fills the folder on screen if it is a series or a DICOMDIR; `None`: it is a folder, and has to be listed.
    pub(super) fn open(
        &mut self,
        folder: &mut Folder,
        results: &Results,
        env: &Environment,
    ) -> Option<Vec<Effect>> {
        let place = folder.dir().to_owned();
        let base = base_of(&place);
        let known = self.grouping.as_ref().is_some_and(|grouping| {
            Some(grouping.path.as_path()) == base
                || (grouping.is_directory() && grouping.path == place)
        });
        if known {
            folder.complete();
            self.arrange(folder, results, env);
            return Some(Vec::new());
        }
        if base.is_some() || !is_directory(&place, results) {
            return None;
        }
        let generation = folder.generation();
        let base = Base::Directory(Vec::new());
        self.grouping = Some(Grouping::new(place.clone(), base, generation));
        Some(vec![Effect::Directory {
            path: place,
            generation,
        }])
    }

    /// Shows the files that a DICOMDIR refers to, or why it cannot be read.
    pub(super) fn directory_read(
        &mut self,
        generation: u64,
        outcome: Result<Vec<Member>, MediaError>,
        folder: &mut Folder,
        results: &Results,
        env: &Environment,
    ) {
        let requested = |grouping: &&mut Grouping| grouping.generation == generation;
        let Some(grouping) = self.grouping.as_mut().filter(requested) else {
            return;
        };
        match outcome {
            Ok(members) => {
                grouping.base = Base::Directory(members);
                folder.complete();
                self.regroup(folder, results, env);
            }
            Err(error) => folder.fail(text::safe_str(&error.message)),
        }
    }
}

/// Whether a file is a DICOMDIR, by its name (PS3.10 8.6) or its content.
pub(super) fn is_directory(path: &Path, results: &Results) -> bool {
    let name = path.file_stem();
    name.is_some_and(|name| name.eq_ignore_ascii_case("DICOMDIR")) || results.is_directory(path)
}
