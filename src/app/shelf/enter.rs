//! Into a study, a series, a DICOMDIR.

use std::path::Path;

use super::super::entry::EntryKind;
use super::super::folder::{Reading, Stands};
use super::super::model::Model;
use super::super::{Effect, text};
use super::{Base, Shelf, base_of};
use crate::media::{MediaError, Member};

impl Model {
    /// Into a DICOMDIR, a study or a series; `None`: the row is none of these.
    pub(in crate::app) fn enter_shelf(&mut self) -> Option<Vec<Effect>> {
        let row = self.folder.current()?;
        let (path, stands) = (row.path.clone(), row.stands);
        match stands {
            Stands::Study(study) => {
                let shelf = self.shelf.as_mut()?;
                let uid = shelf.studies.get(study)?.uid.clone();
                if !shelf.folded.remove(&uid) {
                    shelf.folded.insert(uid);
                }
                self.arrange();
                Some(Vec::new())
            }
            Stands::Series(..) => Some(self.open(path, None)),
            Stands::Itself if row.kind == EntryKind::File && self.is_directory(&path) => {
                Some(self.open(path, None))
            }
            Stands::Itself | Stands::Missing => None,
        }
    }

    /// A file that is called as an index is (PS3.10 8.6), or was found to be one.
    pub(crate) fn is_directory(&self, path: &Path) -> bool {
        let called = path
            .file_stem()
            .is_some_and(|name| name.eq_ignore_ascii_case("DICOMDIR"));
        called || self.results.is_index(path)
    }

    /// Opens a place that is no folder: a series, or a DICOMDIR. `None`: it is a folder.
    pub(in crate::app) fn open_shelf(&mut self, place: &Path) -> Option<Vec<Effect>> {
        let base = base_of(place);
        let known = self.shelf.as_ref().is_some_and(|shelf| {
            let indexed = matches!(shelf.base, Base::Directory(_));
            Some(shelf.path.as_path()) == base || (indexed && shelf.path == place)
        });
        if known {
            self.folder.reading = Reading::Complete;
            self.arrange();
            return Some(Vec::new());
        }
        if base.is_some() || !self.is_directory(place) {
            return None;
        }
        let generation = self.folder.generation;
        self.shelf = Some(Shelf::new(
            place.to_owned(),
            Base::Directory(Vec::new()),
            generation,
        ));
        Some(vec![Effect::Directory {
            path: place.to_owned(),
            generation,
        }])
    }

    pub(in crate::app) fn directory_read(
        &mut self,
        generation: u64,
        outcome: Result<Vec<Member>, MediaError>,
    ) {
        let Some(shelf) = self
            .shelf
            .as_mut()
            .filter(|shelf| shelf.generation == generation)
        else {
            return;
        };
        match outcome {
            Ok(members) => {
                shelf.base = Base::Directory(members);
                self.folder.reading = Reading::Complete;
                self.regroup();
            }
            Err(error) => self.folder.reading = Reading::Failed(text::safe_str(&error.message)),
        }
    }
}
