//! The descriptions of actions in the help and the command palette, with their current keys.

use super::{Action, Keymap, PRESETS};

/// All actions with their descriptions, under the headings of the help and in its order.
pub(in crate::app) const HELP: [(&str, &[(Action, &str)]); 8] = [
    (
        "Move",
        &[
            (Action::Down, "down"),
            (Action::Up, "up"),
            (Action::First, "first"),
            (Action::Last, "last"),
            (Action::HalfDown, "half a page down"),
            (Action::HalfUp, "half a page up"),
            (Action::PageDown, "a page down"),
            (Action::PageUp, "a page up"),
            (Action::Enter, "open folder or image"),
            (Action::Leave, "leave folder, image"),
            (Action::NextNew, "next unseen"),
            (Action::PreviousNew, "previous unseen"),
            (Action::Search, "filter, search tags"),
            (Action::Find, "find by meaning"),
            (Action::MoreLikeThis, "more like this image"),
            (Action::Sort, "sort by …"),
            (Action::SortReversed, "reverse sort order"),
            (Action::SortUrgency, "sort by urgency"),
            (Action::SortUncertainty, "sort by uncertainty"),
            (Action::SortNewest, "sort by time, newest first"),
            (Action::SortLabel, "sort by label"),
            (Action::SortProbability, "sort by probability"),
            (Action::SortName, "sort by name"),
            (Action::SortSize, "sort by size"),
            (Action::Worklist, "worklist of images"),
        ],
    ),
    (
        "Image",
        &[
            (Action::ZoomIn, "zoom in, out"),
            (Action::ZoomFit, "fit to pane"),
            (Action::ZoomActual, "actual size (1:1)"),
            (Action::PanLeft, "pan"),
            (Action::RotateRight, "rotate right, left"),
            (Action::Flip, "mirror"),
            (Action::ResetView, "reset view"),
            (Action::Whole, "full screen"),
            (Action::Overlays, "annotations, overlays"),
            (Action::HeatMap, "heat map, the next one"),
            (Action::Related, "related objects"),
            (Action::Probe, "pixel value (probe)"),
            (Action::Ruler, "measure a distance"),
            (Action::MeasureAngle, "measure an angle"),
            (Action::MeasureEllipse, "measure in an ellipse"),
            (Action::MeasurePolygon, "measure in a polygon"),
            (Action::Measurements, "list of measurements"),
            (Action::Remove, "remove measurement"),
            (Action::Reformat, "sagittal, coronal, axial"),
            (Action::Planes, "three planes, or one"),
            (Action::Slab, "slab: bright, dark, off"),
            (Action::Histogram, "histogram"),
        ],
    ),
    (
        "Window",
        &[
            (Action::Window1, "presets"),
            (Action::WindowSoftTissue, "soft tissue (CT)"),
            (Action::WindowLung, "lung (CT)"),
            (Action::WindowLiver, "liver (CT)"),
            (Action::WindowBone, "bone (CT)"),
            (Action::WindowBrain, "brain (CT)"),
            (Action::WindowAuto, "automatic"),
            (Action::LevelDown, "level down, up"),
            (Action::LevelDownCoarse, "level, coarse steps"),
            (Action::WindowNarrower, "narrower, wider"),
            (Action::WindowNarrowerCoarse, "width, coarse steps"),
            (Action::Invert, "invert"),
        ],
    ),
    (
        "Frames",
        &[
            (Action::FrameNext, "next, previous"),
            (Action::FrameFirst, "first, last"),
            (Action::FrameJump, "go to frame number"),
            (Action::Cine, "play, stop"),
            (Action::CineSlower, "slower, faster"),
        ],
    ),
    (
        "Classify",
        &[
            (Action::Classify, "this file (again)"),
            (Action::ClassifyAll, "all, recursively"),
            (Action::Mark, "mark or unmark"),
            (Action::MarkRange, "mark up to here"),
            (Action::UnmarkAll, "unmark all"),
            (Action::ClassifyMarked, "marked files"),
            (Action::Why, "failure, or phrases"),
            (Action::Adjust, "adjust to the mix"),
            (Action::Watch, "watch on or off"),
            (Action::PromptSet, "prompt set"),
            (Action::EditPrompts, "edit the prompt set"),
            (Action::DraftPrompts, "draft phrases for it"),
            (Action::LabelChanges, "labels that changed"),
            (Action::Model, "model"),
        ],
    ),
    (
        "Review",
        &[
            (Action::Review, "review: a key follows"),
            (Action::ReviewAccept, "accept the result"),
            (Action::ReviewNone, "none of the conditions"),
            (Action::ReviewNote, "note on the image"),
            (Action::ReviewFlag, "flag"),
            (Action::ReviewNext, "next unreviewed"),
            (Action::ReviewUndo, "undo a review"),
            (Action::ReviewRedo, "redo a review"),
            (Action::ReviewClear, "clear the review"),
            (Action::ReviewSample, "random sample to label"),
            (Action::ReviewLabels, "one label or several"),
            (Action::ReviewBlind, "hide results (blind)"),
            (Action::ReviewAgreement, "agreement, confusions"),
            (Action::ReviewErrors, "reviews that disagree"),
            (Action::ReviewLearn, "learn from reviews"),
        ],
    ),
    (
        "Files",
        &[
            (Action::Files, "files and views: menu"),
            (Action::OpenWith, "open with a program"),
            (Action::CopyTo, "copy to a folder"),
            (Action::MoveTo, "move to a folder"),
            (Action::UndoFiles, "undo a copy or move"),
            (Action::StopFiles, "stop copying, moving"),
            (Action::SaveView, "save filter and order"),
            (Action::Views, "saved views"),
            (Action::Bookmark, "bookmark this folder"),
            (Action::Bookmarks, "go to a bookmark"),
        ],
    ),
    (
        "Screen",
        &[
            (Action::NextPanel, "next panel"),
            (Action::Hidden, "show hidden files"),
            (Action::View, "view menu"),
            (Action::Tags, "tags of the file"),
            (Action::Copy, "copy path or value"),
            (Action::Grid, "grid of images"),
            (Action::Compare, "compare two files"),
            (Action::Link, "link both sides"),
            (Action::Activity, "activity"),
            (Action::Failures, "files that failed"),
            (Action::Export, "export the list to a file"),
            (Action::Series, "group by series"),
            (Action::Patient, "show patient values"),
            (Action::Palette, "command palette"),
            (Action::Help, "this help"),
            (Action::Back, "back"),
            (Action::Suspend, "suspend"),
            (Action::Redraw, "redraw"),
            (Action::Quit, "quit"),
        ],
    ),
];

/// Actions that share a line of the help with another.
const SAME_LINE: [(Action, &[Action]); 12] = [
    (Action::ZoomIn, &[Action::ZoomOut]),
    (
        Action::PanLeft,
        &[Action::PanRight, Action::PanUp, Action::PanDown],
    ),
    (Action::RotateRight, &[Action::RotateLeft]),
    (Action::HeatMap, &[Action::HeatMapNext]),
    (Action::Window1, &PRESETS),
    (Action::LevelDown, &[Action::LevelUp]),
    (Action::LevelDownCoarse, &[Action::LevelUpCoarse]),
    (Action::WindowNarrower, &[Action::WindowWider]),
    (Action::WindowNarrowerCoarse, &[Action::WindowWiderCoarse]),
    (Action::FrameNext, &[Action::FramePrevious]),
    (Action::FrameFirst, &[Action::FrameLast]),
    (Action::CineSlower, &[Action::CineFaster]),
];

impl Action {
    /// The other actions in the same line of the help.
    pub(in crate::app) fn same_line(self) -> &'static [Self] {
        let found = SAME_LINE.iter().find(|(first, _)| *first == self);
        found.map_or(&[], |(_, others)| others)
    }
}

/// One line of the help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelpLine {
    /// The heading of a group.
    Heading(&'static str),
    /// Keys, the most important first, and what they do.
    Binding(Vec<String>, &'static str),
    /// An empty line.
    Gap,
}

impl Keymap {
    /// The keys shown in the line of an action: all its keys if it has the line to itself, else the first key of each action in
    /// it.
    pub(in crate::app) fn help_keys(&self, action: Action) -> Vec<String> {
        let others = action.same_line();
        if others.is_empty() {
            let keys = self.keys.get(&action).into_iter().flatten();
            return keys.map(|key| key.show()).collect();
        }
        let keys: Vec<String> = std::iter::once(&action)
            .chain(others)
            .filter_map(|action| self.key(*action))
            .collect();
        abbreviated(&keys).map_or(keys, |short| vec![short])
    }
}

/// Consecutive digits as `1 – 9`, or arrows of all four directions as one entry; `None` for other keys.
fn abbreviated(keys: &[String]) -> Option<String> {
    let [first, .., last] = keys else { return None };
    let digits: Option<Vec<u32>> = keys.iter().map(|key| key.parse().ok()).collect();
    let consecutive =
        digits.is_some_and(|digits| digits.windows(2).all(|pair| pair[1] == pair[0] + 1));
    if consecutive && keys.len() > 2 {
        return Some(format!("{first} – {last}"));
    }
    let arrows = ["←", "→", "↑", "↓"];
    let prefix = first.strip_suffix(arrows[0])?;
    let all = keys.len() == arrows.len()
        && keys
            .iter()
            .zip(arrows)
            .all(|(key, arrow)| key.strip_prefix(prefix) == Some(arrow));
    all.then(|| format!("{prefix}{}", arrows.concat()))
}

/// An action in the palette.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaletteEntry {
    /// The action.
    pub action: Action,
    /// Its heading and description.
    pub words: String,
    /// Other names that find it.
    pub synonyms: &'static str,
    /// Its first key.
    pub key: Option<String>,
}

/// Names under which other viewers and editors know an action.
const SYNONYMS: [(Action, &str); 42] = [
    (Action::OpenWith, "run shell edit program external !"),
    (Action::CopyTo, "cp duplicate paste"),
    (Action::MoveTo, "mv rename cut paste"),
    (Action::UndoFiles, "revert"),
    (Action::StopFiles, "cancel abort"),
    (Action::SaveView, "save-view preset query"),
    (Action::Views, "view preset query"),
    (Action::Bookmark, "mark set"),
    (Action::Bookmarks, "jump goto go"),
    (Action::Ruler, "ruler length caliper"),
    (Action::MeasureAngle, "cobb"),
    (Action::MeasureEllipse, "roi mean area circle oval"),
    (Action::MeasurePolygon, "roi mean area freehand"),
    (Action::Remove, "delete"),
    (Action::Reformat, "mpr reformat plane"),
    (Action::Planes, "mpr orthogonal cross"),
    (Action::Slab, "mip minip projection thickness"),
    (Action::Probe, "hounsfield hu"),
    (Action::ZoomActual, "100%"),
    (Action::ZoomFit, "best fit"),
    (Action::ResetView, "original"),
    (Action::Flip, "flip"),
    (Action::Overlays, "text tags info"),
    (
        Action::HeatMap,
        "saliency attention attribution explain cam",
    ),
    (Action::Adjust, "prior prevalence label shift bayes"),
    (Action::Related, "segmentation contours presentation"),
    (Action::Whole, "maximize"),
    (Action::Invert, "negative"),
    (Action::WindowSoftTissue, "abdomen mediastinum"),
    (Action::WindowBone, "bones"),
    (Action::WindowBrain, "head"),
    (Action::FrameNext, "slice"),
    (Action::Cine, "cine movie film"),
    (Action::Grid, "thumbnails tiles"),
    (Action::Compare, "side by side"),
    (Action::Search, "find"),
    (Action::Tags, "header dicom dump"),
    (Action::Patient, "phi anonymize"),
    (Action::Series, "stack"),
    (Action::Classify, "predict"),
    (Action::Copy, "yank"),
    (Action::Quit, "exit"),
];

impl Keymap {
    /// Every action, bound or not, in the order of the help. Actions that share a line there have their names as descriptions.
    pub fn palette(&self) -> Vec<PaletteEntry> {
        let mut entries = Vec::new();
        for (heading, actions) in HELP {
            for (first, what) in actions {
                let others = first.same_line();
                for action in std::iter::once(first).chain(others) {
                    let name = self.names.get(action).map(|name| name.replace('-', " "));
                    let words = match name {
                        Some(name) if !others.is_empty() => format!("{heading}: {name}"),
                        _ => format!("{heading}: {what}"),
                    };
                    let known = SYNONYMS.iter().find(|(of, _)| of == action);
                    entries.push(PaletteEntry {
                        action: *action,
                        words,
                        synonyms: known.map_or("", |(_, synonyms)| *synonyms),
                        key: self.key(*action),
                    });
                }
            }
        }
        entries.retain(|entry| entry.action != Action::Palette);
        entries
    }
}
