//! Menus, whose entries have letters of their own: the view menu (views, annotations and tools), that of sort orders, and that
//! of files and saved views.

use super::PopupLine;
use crate::app::keys::Action;

/// An entry: its key inside the menu, what it does, its action.
pub(crate) type MenuEntry = (char, &'static str, Action);

/// A menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MenuKind {
    /// Views, annotations and tools.
    View,
    /// Sort orders.
    Sort,
    /// What is done with files, and where to go.
    Files,
}

const VIEWS: [MenuEntry; 19] = [
    ('w', "worklist of all images", Action::Worklist),
    ('g', "grid of small images", Action::Grid),
    ('c', "compare two files", Action::Compare),
    ('a', "activity", Action::Activity),
    ('f', "files that failed", Action::Failures),
    ('d', "labels that changed", Action::LabelChanges),
    ('s', "group by study and series", Action::Series),
    ('t', "tags of the file", Action::Tags),
    ('z', "image in full screen", Action::Whole),
    ('h', "histogram", Action::Histogram),
    ('o', "annotations and overlays", Action::Overlays),
    ('r', "related objects", Action::Related),
    ('b', "pixel value (probe)", Action::Probe),
    ('m', "measure a distance", Action::Ruler),
    ('l', "list of measurements", Action::Measurements),
    (
        'n',
        "next plane: sagittal, coronal, axial",
        Action::Reformat,
    ),
    ('3', "three planes side by side", Action::Planes),
    ('x', "play the frames", Action::Cine),
    ('p', "show patient values", Action::Patient),
];

const ORDERS: [MenuEntry; 7] = [
    (
        'u',
        "urgency: the most likely abnormal first",
        Action::SortUrgency,
    ),
    (
        'c',
        "uncertainty: the closest decisions first",
        Action::SortUncertainty,
    ),
    ('t', "time: the newest first", Action::SortNewest),
    ('l', "label", Action::SortLabel),
    (
        'p',
        "probability or score: the highest first",
        Action::SortProbability,
    ),
    ('n', "name", Action::SortName),
    ('s', "size: the largest first", Action::SortSize),
];

const FILES: [MenuEntry; 9] = [
    ('o', "open with a program", Action::OpenWith),
    ('c', "copy to a folder", Action::CopyTo),
    ('m', "move to a folder", Action::MoveTo),
    ('u', "undo the last copy or move", Action::UndoFiles),
    ('x', "stop copying or moving", Action::StopFiles),
    ('s', "save filter and order as a view", Action::SaveView),
    ('v', "saved views", Action::Views),
    ('b', "bookmark this folder", Action::Bookmark),
    ('j', "jump to a bookmark", Action::Bookmarks),
];

impl MenuKind {
    /// The title in the frame.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::View => "View",
            Self::Sort => "Sort by",
            Self::Files => "Files and views",
        }
    }

    /// The action that opens the menu, and closes it again.
    pub(super) fn action(self) -> Action {
        match self {
            Self::View => Action::View,
            Self::Sort => Action::Sort,
            Self::Files => Action::Files,
        }
    }

    /// The entries, in order.
    pub(crate) fn entries(self) -> &'static [MenuEntry] {
        match self {
            Self::View => &VIEWS,
            Self::Sort => &ORDERS,
            Self::Files => &FILES,
        }
    }

    /// The action of the entry with a letter.
    pub(super) fn with_letter(self, letter: char) -> Option<Action> {
        let mut entries = self.entries().iter();
        let found = entries.find(|(key, ..)| *key == letter);
        found.map(|(.., action)| *action)
    }

    /// The entry that an action moves the cursor to.
    pub(super) fn moved(self, entry: usize, action: Action) -> usize {
        let last = self.entries().len() - 1;
        match action {
            Action::Down => (entry + 1).min(last),
            Action::Up => entry.saturating_sub(1),
            Action::First => 0,
            Action::Last => last,
            _ => entry,
        }
    }

    /// The lines of the menu.
    pub(super) fn lines(self, entry: usize, switches: &[Switch]) -> Vec<PopupLine> {
        let all = self.entries().iter().zip(switches).enumerate();
        all.map(|(at, ((key, what, _), on))| PopupLine::Choice(at == entry, *key, what, *on))
            .collect()
    }
}

/// Whether the option that an entry switches is on; `None` if the entry switches nothing.
pub(crate) type Switch = Option<bool>;
