//! The view menu: views, annotations and tools.

use super::PopupLine;
use crate::app::keys::Action;

/// An entry: its key inside the menu, what it does, its action.
pub(crate) const ENTRIES: [(char, &str, Action); 14] = [
    ('g', "grid of small images", Action::Grid),
    ('c', "compare two files", Action::Compare),
    ('a', "activity", Action::Activity),
    ('f', "files that failed", Action::Failures),
    ('s', "group by study and series", Action::Series),
    ('t', "tags of the file", Action::Tags),
    ('z', "image in full screen", Action::Whole),
    ('h', "histogram", Action::Histogram),
    ('o', "annotations and overlays", Action::Overlays),
    ('r', "related objects", Action::Related),
    ('b', "pixel value (probe)", Action::Probe),
    ('m', "measure a distance", Action::Ruler),
    ('x', "play the frames", Action::Cine),
    ('p', "show patient values", Action::Patient),
];

/// Whether the option that an entry switches is on; `None` if the entry switches nothing.
pub(crate) type Switch = Option<bool>;

/// The action of the entry with a letter.
pub(super) fn with_letter(letter: char) -> Option<Action> {
    let found = ENTRIES.iter().find(|(key, ..)| *key == letter);
    found.map(|(.., action)| *action)
}

/// The entry that an action moves the cursor to.
pub(super) fn moved(entry: usize, action: Action) -> usize {
    match action {
        Action::Down => (entry + 1).min(ENTRIES.len() - 1),
        Action::Up => entry.saturating_sub(1),
        Action::First => 0,
        Action::Last => ENTRIES.len() - 1,
        _ => entry,
    }
}

/// The lines of the menu.
pub(super) fn lines(entry: usize, switches: &[Switch]) -> Vec<PopupLine> {
    let all = ENTRIES.iter().zip(switches).enumerate();
    all.map(|(at, ((key, what, _), on))| PopupLine::Choice(at == entry, *key, what, *on))
        .collect()
}
