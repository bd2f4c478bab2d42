//! Objects related to the image under the cursor (presentation states, segmentations, structure sets): which there are, and
//! which are drawn over it. The model never sees them.

mod choices;
mod presentation;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::browser::folder::{Folder, Listing};
use super::effect::Effect;
use super::entry::{EntryKind, FoundFile, Stamp};
use super::environment::Environment;
use super::keys::Action;
use super::preview::OverlaidObjects;
use super::results::Results;
use super::studies::StudyBrowser;
use super::viewer::Viewer;
use crate::media::{RelatedKind, RelatedObject};
pub(super) use choices::legend_words;
use presentation::AppliedState;

/// Maximum number of files remembered as searched.
const MAX_SEARCHED: usize = 200_000;
/// Maximum number of files of a folder that is searched without a key press: a few bytes of each are read.
const MAX_SEARCHED_UNASKED: usize = 5_000;
/// The initial opacity of colours, in percent.
const DEFAULT_OPACITY: u8 = 50;
/// The step of the opacity, and its minimum, in percent.
const OPACITY_STEP: u8 = 10;

/// An object and the file that it is in.
#[derive(Clone, Debug, PartialEq)]
struct ObjectFile {
    file: FoundFile,
    object: Arc<RelatedObject>,
}

/// What is known of related objects, and which are switched on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RelatedObjects {
    /// All that were found, in the order of their kinds, dates and names.
    found: Vec<ObjectFile>,
    /// Files that were searched, with the stamp of what was read.
    searched: HashMap<PathBuf, Stamp>,
    /// The folder last searched without a key press, and its number of files.
    searched_folder: Option<(PathBuf, usize)>,
    /// The number that the search under way is answered by.
    search: Option<u64>,
    /// Files of the objects that are on, in the order in which they were switched on; the first is drawn lowest.
    on: Vec<PathBuf>,
    /// Opacity of the colours of segmentations, in percent.
    opacity: u8,
    /// The presentation state that laid out the view.
    applied: Option<AppliedState>,
}

impl Default for RelatedObjects {
    fn default() -> Self {
        Self {
            found: Vec::new(),
            searched: HashMap::new(),
            searched_folder: None,
            search: None,
            on: Vec::new(),
            opacity: DEFAULT_OPACITY,
            applied: None,
        }
    }
}

impl RelatedObjects {
    fn is_on(&self, path: &Path) -> bool {
        self.on.iter().any(|on| on == path)
    }

    /// The objects related to the image shown.
    fn about(&self, viewer: &Viewer) -> Vec<&ObjectFile> {
        let image = viewer.image();
        let Some(target) = image.and_then(|image| image.scene.about.target.as_ref()) else {
            return Vec::new();
        };
        // A segmentation is itself an image, and shares its own position in the patient.
        let concerns = |found: &&ObjectFile| {
            found.object.concerns(target) && Some(found.file.path.as_path()) != viewer.file()
        };
        self.found.iter().filter(concerns).collect()
    }

    /// The number of objects related to the image shown, with the key that lists them.
    pub(super) fn fact(&self, viewer: &Viewer, env: &Environment) -> Option<String> {
        let count = self.about(viewer).len();
        let key = env.keymap.key(Action::Related).filter(|_| count > 0)?;
        let what = if count == 1 { "object" } else { "objects" };
        Some(format!("{key}: {count} {what}"))
    }

    /// What is drawn over images, as far as it is switched on.
    pub(super) fn overlaid(&self, viewer: &Viewer, env: &Environment) -> OverlaidObjects {
        let stamp = |path: &PathBuf| {
            let found = self.found.iter().find(|found| found.file.path == *path)?;
            Some((path.clone(), found.file.stamp))
        };
        let objects: Vec<_> = self.on.iter().filter_map(stamp).collect();
        if objects.is_empty() || !viewer.shows_overlays() {
            return OverlaidObjects::default();
        }
        OverlaidObjects {
            objects,
            opacity: self.opacity,
            show_phi: env.show_phi,
        }
    }

    // ── search ────────────────────────────────────────────────────────────────────────────────────────────────

    /// Reads the files that objects about the image may be in and that were not searched yet: those of its study, or of the
    /// folder on screen.
    pub(super) fn search(
        &mut self,
        folder: &Folder,
        studies: &StudyBrowser,
        results: &Results,
        env: &mut Environment,
    ) -> Option<Effect> {
        let in_sight = studies.file_in_sight(folder, results);
        let of_study = in_sight.and_then(|file| studies.files_of_study(&file, folder, results));
        let candidates = of_study.unwrap_or_else(|| {
            if folder.is_worklist() {
                let dir = folder.current().and_then(|row| row.path.parent());
                return dir.map_or_else(Vec::new, |dir| results.files_in(dir));
            }
            let files = folder.visible_entries();
            let files = files.filter(|row| row.kind == EntryKind::File);
            files.map(super::browser::folder::Row::found).collect()
        });
        let unknown = |file: &FoundFile| self.searched.get(&file.path) != Some(&file.stamp);
        let files: Vec<FoundFile> = candidates.into_iter().filter(unknown).collect();
        if files.is_empty() || self.search.is_some() {
            return None;
        }
        let generation = env.next_generation();
        self.search = Some(generation);
        Some(Effect::Related { files, generation })
    }

    /// Searches the folder of the displayed image without a key press, so that the number of its related objects can be shown.
    pub(super) fn search_automatically(
        &mut self,
        viewer: &Viewer,
        folder: &Folder,
        studies: &StudyBrowser,
        results: &Results,
        env: &mut Environment,
    ) -> Option<Effect> {
        let image = viewer.image();
        let has_target = image.is_some_and(|image| image.scene.about.target.is_some());
        let here = (folder.dir().to_owned(), folder.count());
        if !has_target
            || *folder.listing() != Listing::Complete
            || folder.is_worklist()
            || here.1 > MAX_SEARCHED_UNASKED
            || self.searched_folder.as_ref() == Some(&here)
        {
            return None;
        }
        self.searched_folder = Some(here);
        self.search(folder, studies, results, env)
    }

    /// Adds the objects that were found. Files that arrived meanwhile are searched when the list is opened or the folder
    /// visited again.
    pub(super) fn objects_read(
        &mut self,
        (generation, complete): (u64, bool),
        read: Vec<(FoundFile, Option<RelatedObject>)>,
    ) {
        for (file, object) in read {
            self.insert(file, object);
        }
        if complete && self.search == Some(generation) {
            self.search = None;
        }
    }

    fn insert(&mut self, file: FoundFile, object: Option<RelatedObject>) {
        if self.searched.len() >= MAX_SEARCHED {
            self.searched.clear();
        }
        self.forget(&file.path);
        self.searched.insert(file.path.clone(), file.stamp);
        let Some(object) = object else { return };
        let new = ObjectFile {
            file,
            object: Arc::new(object),
        };
        let key = |found: &ObjectFile| {
            let object = &found.object;
            (object.kind, object.date.clone(), found.file.path.clone())
        };
        let at = self.found.partition_point(|known| key(known) < key(&new));
        self.found.insert(at, new);
    }

    fn forget(&mut self, path: &Path) {
        self.searched.remove(path);
        self.found.retain(|found| found.file.path != path);
    }

    // ── changes on disk ───────────────────────────────────────────────────────────────────────────────────────

    /// Forgets what was read from an older content of a file.
    pub(super) fn modified(&mut self, path: &Path, stamp: Stamp) {
        if self.searched.get(path).is_some_and(|known| *known != stamp) {
            self.removed(path);
        }
    }

    /// Forgets a file that was removed.
    pub(super) fn removed(&mut self, path: &Path) {
        self.forget(path);
        self.on.retain(|on| on != path);
        self.searched_folder = None;
    }

    // ── choice ────────────────────────────────────────────────────────────────────────────────────────────────

    /// Switches an object about the image shown on or off, by its place in the list. Returns whether it is on.
    pub(super) fn toggle(&mut self, chosen: usize, viewer: &Viewer) -> bool {
        let about = self.about(viewer);
        let Some(found) = about.get(chosen) else {
            return false;
        };
        let path = found.file.path.clone();
        // An image is presented in one way at a time.
        let mut off = Vec::new();
        if found.object.kind == RelatedKind::Presentation {
            let states = about
                .iter()
                .filter(|other| other.object.kind == found.object.kind);
            off.extend(states.map(|other| other.file.path.clone()));
        }
        if self.is_on(&path) {
            self.on.retain(|on| *on != path);
            return false;
        }
        self.on.retain(|on| !off.contains(on));
        self.on.push(path);
        true
    }

    /// Makes the colours of segmentations more opaque or less.
    pub(super) fn change_opacity(&mut self, more: bool) {
        self.opacity = if more {
            (self.opacity + OPACITY_STEP).min(100)
        } else {
            let less = self.opacity.saturating_sub(OPACITY_STEP);
            less.max(OPACITY_STEP)
        };
    }
}
