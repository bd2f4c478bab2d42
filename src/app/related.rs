//! Objects about the picture under the cursor: presentation states, segmentations, structure sets. Which there are, and which
//! are drawn over it. The model never sees them.

mod arrange;
mod words;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Effect;
use super::entry::{EntryKind, Found, Stamp};
use super::folder::Reading;
use super::keys::Action;
use super::model::Model;
use super::msg::Severity;
use super::picker::{Choice, What};
use super::picture::Overlaid;
use crate::media::{RelatedKind, RelatedObject};
use arrange::Arranged;

/// Files that are remembered as searched, at most.
const MAX_SEARCHED: usize = 200_000;
/// Files of a folder that are searched without being asked for: a few bytes of each are read.
const MAX_UNASKED: usize = 5_000;
/// The opacity of colours to begin with, its steps, and its bounds, in percent.
const OPACITY: u8 = 50;
const OPACITY_STEP: u8 = 10;

/// An object and the file that it is in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub file: Found,
    pub object: Arc<RelatedObject>,
}

/// What is known of related objects, and which are switched on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RelatedObjects {
    /// All that were found, in the order of their kinds, dates and names.
    items: Vec<Item>,
    /// Files that were searched, with the stamp of what was read.
    searched: HashMap<PathBuf, Stamp>,
    /// The folder searched unasked last, and how many files it had.
    latest: Option<(PathBuf, usize)>,
    /// Of the search that is under way.
    search: Option<u64>,
    /// Files of the objects that are on, the one switched on first lowest.
    on: Vec<PathBuf>,
    /// Of the colours of segmentations, in percent.
    opacity: u8,
    /// The presentation state that laid out the view.
    arranged: Option<Arranged>,
}

impl Default for RelatedObjects {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            searched: HashMap::new(),
            latest: None,
            search: None,
            on: Vec::new(),
            opacity: OPACITY,
            arranged: None,
        }
    }
}

impl RelatedObjects {
    pub(crate) fn is_on(&self, path: &Path) -> bool {
        self.on.iter().any(|on| on == path)
    }

    fn insert(&mut self, file: Found, object: Option<RelatedObject>) {
        if self.searched.len() >= MAX_SEARCHED {
            self.searched.clear();
        }
        self.forget(&file.path);
        self.searched.insert(file.path.clone(), file.stamp);
        let Some(object) = object else { return };
        let item = Item {
            file,
            object: Arc::new(object),
        };
        let key = |item: &Item| {
            let object = &item.object;
            (object.kind, object.date.clone(), item.file.path.clone())
        };
        let at = self.items.partition_point(|known| key(known) < key(&item));
        self.items.insert(at, item);
    }

    /// The content of a file is another, or gone.
    fn forget(&mut self, path: &Path) {
        self.searched.remove(path);
        self.items.retain(|item| item.file.path != path);
    }
}

impl Model {
    /// The objects about the image that is shown.
    pub(crate) fn related_here(&self) -> Vec<&Item> {
        let known = self.viewer.known.as_ref();
        let Some(target) = known.and_then(|known| known.scene.about.target.as_ref()) else {
            return Vec::new();
        };
        // A segmentation is itself a picture, and shares its own place in the patient.
        let itself = self.viewer.file.as_ref().map(|(path, _)| path);
        let all = self.related.items.iter();
        all.filter(|item| item.object.concerns(target) && Some(&item.file.path) != itself)
            .collect()
    }

    /// What is drawn over pictures, as far as it is switched on.
    pub(crate) fn overlaid(&self) -> Overlaid {
        let stamp = |path: &PathBuf| {
            let mut items = self.related.items.iter();
            let item = items.find(|item| item.file.path == *path)?;
            Some((path.clone(), item.file.stamp))
        };
        let objects: Vec<_> = self.related.on.iter().filter_map(stamp).collect();
        if objects.is_empty() || !self.viewer.overlays {
            return Overlaid::default();
        }
        Overlaid {
            objects,
            opacity: self.related.opacity,
            show_phi: self.switches.show_phi,
        }
    }

    // ── search ────────────────────────────────────────────────────────────────────────────────────────────────

    /// The files among which objects about the image are sought: those of its study, or of the folder on screen.
    fn related_candidates(&self) -> Vec<Found> {
        if let Some(files) = self.files_of_study() {
            return files;
        }
        let files = self.folder.visible_entries();
        let files = files.filter(|row| row.kind == EntryKind::File);
        let found = files.map(|row| Found {
            path: row.path.clone(),
            stamp: row.stamp,
        });
        found.collect()
    }

    /// Reads what the candidates are about that were not searched yet.
    fn search_related(&mut self) -> Vec<Effect> {
        let unknown = |file: &Found| self.related.searched.get(&file.path) != Some(&file.stamp);
        let files = self.related_candidates().into_iter();
        let files: Vec<Found> = files.filter(unknown).collect();
        if files.is_empty() || self.related.search.is_some() {
            return Vec::new();
        }
        let generation = self.next_generation();
        self.related.search = Some(generation);
        vec![Effect::Related { files, generation }]
    }

    /// Searches a folder once a picture of it was looked at for a while, so that it can be told what belongs to it.
    pub(super) fn search_unasked(&mut self) -> Vec<Effect> {
        let known = self.viewer.known.as_ref();
        let of_study = known.is_some_and(|known| known.scene.about.target.is_some());
        let here = (self.folder.dir.clone(), self.folder.count());
        let listed = self.folder.reading == Reading::Complete;
        if !of_study
            || !self.rest.rested
            || !listed
            || here.1 > MAX_UNASKED
            || self.related.latest.as_ref() == Some(&here)
        {
            return Vec::new();
        }
        self.related.latest = Some(here);
        self.search_related()
    }

    pub(super) fn related_read(
        &mut self,
        generation: u64,
        read: Vec<(Found, Option<RelatedObject>)>,
        complete: bool,
    ) -> Vec<Effect> {
        for (file, object) in read {
            self.related.insert(file, object);
        }
        if complete && self.related.search == Some(generation) {
            self.related.search = None;
        }
        // Files may have come meanwhile; they are searched when the list is opened, or the folder looked at again.
        Vec::new()
    }

    /// What was read of a file is not what it holds now.
    pub(super) fn is_other_content(&self, path: &Path, stamp: Stamp) -> bool {
        let known = self.related.searched.get(path);
        known.is_some_and(|known| *known != stamp)
    }

    /// A file has another content, or is gone: what is known of it is not so any more.
    pub(super) fn related_changed(&mut self, path: &Path) {
        self.related.forget(path);
        self.related.on.retain(|on| on != path);
        self.related.latest = None;
    }

    // ── choice ────────────────────────────────────────────────────────────────────────────────────────────────

    /// Opens the list, and searches for what came since.
    pub(super) fn choose_related(&mut self) -> Vec<Effect> {
        if self.viewer.known.is_none() {
            self.say(Severity::Info, "objects belong to a picture: there is none");
            return Vec::new();
        }
        let effects = self.search_related();
        self.open_picker(What::Related);
        effects
    }

    /// The objects about the image; `None` while they are sought, and none was found yet.
    pub(super) fn related_choices(&self) -> Option<Vec<Choice>> {
        let here = self.related_here();
        if here.is_empty() && self.related.search.is_some() {
            return None;
        }
        Some(
            here.into_iter()
                .map(|item| self.related_choice(item))
                .collect(),
        )
    }

    /// Switches an object on or off; the list stays open.
    pub(super) fn pick_related(&mut self, chosen: usize) {
        let here = self.related_here();
        let Some(item) = here.get(chosen) else { return };
        let path = item.file.path.clone();
        if self.related.is_on(&path) {
            self.related.on.retain(|on| *on != path);
            return;
        }
        // A picture is presented in one way at a time.
        let mut off = Vec::new();
        if item.object.kind == RelatedKind::Presentation {
            let states = here
                .iter()
                .filter(|other| other.object.kind == item.object.kind);
            off.extend(states.map(|other| other.file.path.clone()));
        }
        self.related.on.retain(|on| !off.contains(on));
        self.related.on.push(path);
        if !self.viewer.overlays {
            self.viewer.overlays = true;
        }
    }

    /// The view as the presentation state in force wants it.
    pub(super) fn arrange_anew(&mut self) {
        self.related.arranged = None;
    }

    /// More or less of the picture is hidden by colours.
    pub(super) fn change_opacity(&mut self, action: Action) {
        let opacity = self.related.opacity;
        self.related.opacity = match action {
            Action::ZoomIn => (opacity + OPACITY_STEP).min(100),
            _ => opacity.saturating_sub(OPACITY_STEP).max(OPACITY_STEP),
        };
    }
}
