//! The view menu: other ways to look at what is there.

use super::Effect;
use super::keys::Action;
use super::model::Model;
use super::popup::{Popup, content_rows};
use super::stage::Over;
use super::viewer::measure::Tool;

/// An entry: the key inside the menu, what it does, the action.
pub(crate) const ENTRIES: [(char, &str, Action); 13] = [
    ('g', "grid of small images", Action::Grid),
    ('c', "compare two files", Action::Compare),
    ('a', "activity", Action::Activity),
    ('s', "by study and series", Action::Series),
    ('t', "tags of the file", Action::Tags),
    ('z', "image on the whole screen", Action::Whole),
    ('h', "histogram", Action::Histogram),
    ('o', "facts, letters, overlay planes", Action::Overlays),
    ('r', "objects about the image", Action::Related),
    ('b', "value under a cursor", Action::Probe),
    ('m', "measure a distance", Action::Ruler),
    ('x', "play the frames", Action::Cine),
    ('p', "show patient values", Action::Patient),
];

/// Whether what an entry switches is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// Files are grouped by study and series.
    pub by_series: bool,
    /// Values that identify the patient are shown.
    pub show_phi: bool,
}

impl Model {
    pub(super) fn open_menu(&mut self) {
        self.popup_scroll = 0;
        self.popup = Some(Popup::View {
            entry: 0,
            on: ENTRIES.map(|(.., action)| self.is_on(action)),
        });
    }

    /// Whether an entry's action is in force; `None` of one that switches nothing.
    fn is_on(&self, action: Action) -> Option<bool> {
        let holds = |tool: fn(&Tool) -> bool| {
            let pointer = self.viewer.pointer.as_ref();
            pointer.is_some_and(|pointer| tool(&pointer.tool))
        };
        Some(match action {
            Action::Grid => self.shows_grid(),
            Action::Compare => matches!(self.over(), Some(Over::Compare(_))),
            Action::Activity => matches!(self.over(), Some(Over::Activity(_))),
            Action::Series => self.switches.by_series,
            Action::Patient => self.switches.show_phi,
            Action::Whole => self.viewer.whole,
            Action::Histogram => self.viewer.histogram,
            Action::Overlays => self.viewer.overlays,
            Action::Probe => holds(|tool| matches!(tool, Tool::Probe)),
            Action::Ruler => holds(|tool| matches!(tool, Tool::Ruler(_))),
            Action::Cine => self.viewer.film.is_some(),
            _ => return None,
        })
    }

    /// A letter while the menu is open; `None` when it is not, or the letter means nothing there.
    pub(super) fn choose_in_menu(&mut self, letter: char) -> Option<Vec<Effect>> {
        if !matches!(self.popup, Some(Popup::View { .. })) {
            return None;
        }
        let (.., action) = ENTRIES.iter().find(|(key, ..)| *key == letter)?;
        self.popup = None;
        Some(super::act::act(self, *action))
    }

    /// An action while the menu is open: the choice moves, or is made.
    pub(super) fn act_in_menu(&mut self, action: Action) -> Vec<Effect> {
        let Some(Popup::View { entry, .. }) = &mut self.popup else {
            return Vec::new();
        };
        match action {
            Action::Down => *entry = (*entry + 1).min(ENTRIES.len() - 1),
            Action::Up => *entry = entry.saturating_sub(1),
            Action::First => *entry = 0,
            Action::Last => *entry = ENTRIES.len() - 1,
            Action::Enter => {
                let (.., action) = ENTRIES[*entry];
                self.popup = None;
                return super::act::act(self, action);
            }
            Action::View | Action::Leave => self.popup = None,
            _ => {}
        }
        self.scroll_menu();
        Vec::new()
    }

    /// On a very low screen the entry under the cursor is scrolled into sight.
    pub(super) fn scroll_menu(&mut self) {
        let page = usize::from(content_rows(self.rows)).max(1);
        if let Some(Popup::View { entry, .. }) = &self.popup {
            self.popup_scroll = (entry + 1).saturating_sub(page);
        }
    }
}
