//! Files by study and series: those of a folder, by their headers, and those that a DICOMDIR refers to.
//!
//! A shelf lies over its base, the folder or the DICOMDIR. Its upper level is the base itself: a row a study, a row a
//! series below each. The files of a series are a level of their own, whose path is one that no file can have.

pub(crate) mod aggregate;
mod details;
mod enter;
mod labels;
mod rows;
mod stack;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Effect;
use super::entry::{EntryKind, Found, Stamp};
use super::folder::Row;
use super::model::Model;
use super::msg::{Msg, Severity};
pub(super) use labels::date;

use crate::media::{DicomHeader, Member, Series, Study};

/// Begins the last part of a series' path; no name of a file holds it.
const MARK: u8 = 0;
/// Headers kept, at most: about a hundred megabytes.
const MOST_HEADERS: usize = 200_000;

/// What is grouped.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Base {
    /// The files of a folder, as far as they are known.
    Folder(BTreeMap<PathBuf, Stamp>),
    /// The files that a DICOMDIR refers to.
    Directory(Vec<Member>),
}

/// Files in groups.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shelf {
    /// The folder, or the DICOMDIR.
    pub path: PathBuf,
    base: Base,
    pub studies: Vec<Study>,
    /// Studies whose series are hidden, by UID.
    folded: HashSet<String>,
    /// Where in each series the user is, by the path that stands for it.
    positions: HashMap<PathBuf, usize>,
    /// Of the request that is answered last.
    generation: u64,
    /// Headers that are awaited, of how many.
    pub waiting: (usize, usize),
}

/// What a message is to the shelf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing.
    Nothing,
    /// Its files are others now.
    Files,
    /// The folder on screen is listed.
    Listing,
}

/// Headers by file, with the stamp of the content they were read from; `None` of what has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Headers(HashMap<PathBuf, (Stamp, Option<Arc<DicomHeader>>)>);

impl Headers {
    /// This very content was read.
    fn knows(&self, path: &Path, stamp: Stamp) -> bool {
        self.0.get(path).is_some_and(|(known, _)| *known == stamp)
    }

    fn get(&self, path: &Path, stamp: Stamp) -> Option<&Arc<DicomHeader>> {
        let (known, header) = self.0.get(path)?;
        header.as_ref().filter(|_| *known == stamp)
    }

    fn insert(&mut self, found: Found, header: Option<Arc<DicomHeader>>) {
        if self.0.len() >= MOST_HEADERS {
            self.0.clear();
        }
        self.0.insert(found.path, (found.stamp, header));
    }
}

impl Shelf {
    fn new(path: PathBuf, base: Base, generation: u64) -> Self {
        Self {
            path,
            base,
            studies: Vec::new(),
            folded: HashSet::new(),
            positions: HashMap::new(),
            generation,
            waiting: (0, 0),
        }
    }

    /// The series at the indices of its study and its own.
    pub(crate) fn series(&self, study: usize, series: usize) -> Option<&Series> {
        self.studies.get(study)?.series.get(series)
    }

    /// The series whose files a path stands for.
    fn series_at(&self, path: &Path) -> Option<(usize, usize)> {
        let all = self.studies.iter().enumerate();
        let mut all = all.flat_map(|(s, study)| (0..study.series.len()).map(move |n| (s, n)));
        all.find(|(s, n)| self.series_path(*s, *n).as_deref() == Some(path))
    }

    /// The path that stands for a series.
    fn series_path(&self, study: usize, series: usize) -> Option<PathBuf> {
        let uids = (
            &self.studies.get(study)?.uid,
            &self.series(study, series)?.uid,
        );
        let name = format!("{} {}", uids.0, uids.1).replace('/', "_");
        let mut bytes = vec![MARK];
        bytes.extend(name.as_bytes());
        Some(self.path.join(OsStr::from_bytes(&bytes)))
    }

    fn study_path(&self, study: usize) -> PathBuf {
        let uid = self.studies[study].uid.replace('/', "_");
        let mut bytes = vec![MARK, MARK];
        bytes.extend(uid.as_bytes());
        self.path.join(OsStr::from_bytes(&bytes))
    }

    /// Where the user is in the series of a row: in its middle to begin with.
    fn position(&self, row: &Row, count: usize) -> usize {
        let known = self.positions.get(&row.path).copied();
        known.unwrap_or(count / 2).min(count.saturating_sub(1))
    }
}

/// The base of a path that stands for a series.
pub(super) fn base_of(path: &Path) -> Option<&Path> {
    let name = path.file_name()?.as_bytes();
    name.starts_with(&[MARK]).then(|| path.parent())?
}

impl Model {
    /// The shelf that lies over what is on screen.
    pub(crate) fn shelf_here(&self) -> Option<&Shelf> {
        let dir = &self.folder.dir;
        let fits =
            |shelf: &&Shelf| shelf.path == *dir || base_of(dir) == Some(shelf.path.as_path());
        self.shelf.as_ref().filter(fits)
    }

    /// What is on screen lies in a folder of the file system, not in a series or a DICOMDIR.
    pub(super) fn shows_real_folder(&self) -> bool {
        let shelf = self.shelf_here();
        let indexed = shelf.is_some_and(|shelf| matches!(shelf.base, Base::Directory(_)));
        base_of(&self.folder.dir).is_none() && !indexed
    }

    /// Folder view or study and series view.
    pub(super) fn toggle_series(&mut self) -> Vec<Effect> {
        if matches!(
            self.shelf_here(),
            Some(Shelf {
                base: Base::Directory(_),
                ..
            })
        ) {
            self.say(
                Severity::Info,
                "a DICOMDIR is always shown by study and series",
            );
            return Vec::new();
        }
        self.switches.by_series = !self.switches.by_series;
        if self.switches.by_series {
            return self.shelve();
        }
        let inside = base_of(&self.folder.dir).map(Path::to_owned);
        self.shelf = None;
        self.folder.arrange(None);
        let wish = self.folder.current().map(|row| row.path.clone());
        inside.map_or_else(Vec::new, |base| self.open(base, wish))
    }

    /// Begins to group the files of the folder on screen, as far as they are listed.
    pub(super) fn shelve(&mut self) -> Vec<Effect> {
        if !self.switches.by_series || base_of(&self.folder.dir).is_some() {
            return Vec::new();
        }
        let files = self
            .folder
            .visible_entries()
            .filter(|row| row.kind == EntryKind::File);
        let files = files.map(|row| (row.path.clone(), row.stamp)).collect();
        let dir = self.folder.dir.clone();
        let old = self.shelf.take().filter(|shelf| shelf.path == dir);
        let mut shelf = Shelf::new(dir, Base::Folder(files), 0);
        if let Some(old) = old {
            // Rows stay as they are until the headers are there.
            (shelf.folded, shelf.positions, shelf.studies) =
                (old.folded, old.positions, old.studies);
        }
        self.shelf = Some(shelf);
        self.read_headers()
    }

    /// Asks for the headers that are not known yet; groups when there are none.
    fn read_headers(&mut self) -> Vec<Effect> {
        let generation = self.next_generation();
        let Some(Shelf {
            base: Base::Folder(files),
            ..
        }) = &self.shelf
        else {
            return Vec::new();
        };
        let unknown = |(path, stamp): &(&PathBuf, &Stamp)| !self.headers.knows(path, **stamp);
        let unknown: Vec<Found> = files
            .iter()
            .filter(unknown)
            .map(|(path, stamp)| Found {
                path: path.clone(),
                stamp: *stamp,
            })
            .collect();
        if let Some(shelf) = &mut self.shelf {
            shelf.generation = generation;
            shelf.waiting = (unknown.len(), unknown.len());
        }
        if unknown.is_empty() {
            self.regroup();
            return Vec::new();
        }
        vec![Effect::Headers {
            files: unknown,
            generation,
        }]
    }

    pub(super) fn headers_read(
        &mut self,
        generation: u64,
        read: Vec<(Found, Option<DicomHeader>)>,
        complete: bool,
    ) -> Vec<Effect> {
        let count = read.len();
        for (found, header) in read {
            self.headers.insert(found, header.map(Arc::new));
        }
        let asked = |shelf: &&mut Shelf| shelf.generation == generation;
        let Some(shelf) = self.shelf.as_mut().filter(asked) else {
            return Vec::new();
        };
        shelf.waiting.0 = shelf.waiting.0.saturating_sub(count);
        if !complete {
            return Vec::new();
        }
        shelf.waiting = (0, 0);
        // Files may have come meanwhile.
        self.read_headers()
    }

    /// Listens to what is said of files, for those of the shelf's folder.
    pub(super) fn shelf_hears(&mut self, msg: &Msg) -> Heard {
        if let Msg::Listed {
            dir,
            generation,
            complete: true,
            ..
        } = msg
            && (self.folder.generation, &self.folder.dir) == (*generation, dir)
        {
            return Heard::Listing;
        }
        let show_hidden = self.folder.look().hidden;
        let Some(Shelf {
            path: base,
            base: Base::Folder(files),
            ..
        }) = &mut self.shelf
        else {
            return Heard::Nothing;
        };
        let here = |path: &Path| {
            let hidden = path
                .file_name()
                .is_some_and(|n| n.as_bytes().starts_with(b"."));
            path.parent() == Some(base.as_path()) && (show_hidden || !hidden)
        };
        let mut put =
            |path: &PathBuf, stamp: Stamp| files.insert(path.clone(), stamp) != Some(stamp);
        let touched = match msg {
            Msg::Appeared { entry, .. } if entry.kind == EntryKind::File && here(&entry.path) => {
                put(&entry.path, entry.stamp)
            }
            Msg::Modified { path, stamp, .. } if here(path) => put(path, *stamp),
            Msg::Removed { path } => files.remove(path).is_some(),
            Msg::Renamed { from, to } => {
                let come = to.kind == EntryKind::File && here(&to.path) && put(&to.path, to.stamp);
                files.remove(from).is_some() || come
            }
            _ => false,
        };
        if touched {
            Heard::Files
        } else {
            Heard::Nothing
        }
    }

    /// What was heard is acted on: headers are asked for, unless some are being read, after which it is looked again.
    pub(super) fn shelf_follows(&mut self, heard: Heard) -> Vec<Effect> {
        let reading = self.headers_awaited().is_some();
        match heard {
            Heard::Listing => self.shelve(),
            Heard::Files if !reading && self.shelf_here().is_some() => self.read_headers(),
            Heard::Files | Heard::Nothing => Vec::new(),
        }
    }

    /// Headers that are awaited, of how many.
    pub(crate) fn headers_awaited(&self) -> Option<(usize, usize)> {
        let shelf = self.shelf_here()?;
        (shelf.waiting.0 > 0).then_some(shelf.waiting)
    }

    /// What is on screen, for its title: the base, and the series.
    pub(crate) fn show_place(&self) -> String {
        let dir = &self.folder.dir;
        let Some(base) = base_of(dir) else {
            return self.show_path(dir);
        };
        let series = self.shelf_here().and_then(|shelf| {
            let (study, series) = shelf.series_at(dir)?;
            shelf.series(study, series)
        });
        let name = |series| labels::series_name(series, self.switches.show_phi);
        let name = series.map_or_else(String::new, name);
        format!("{} › {name}", self.show_path(base))
    }
}
