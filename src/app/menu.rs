//! The view menu: other ways to look at what is there.

use super::Effect;
use super::keys::Action;
use super::model::Model;
use super::popup::{Popup, content_rows};

/// An entry: the key inside the menu, what it does, the action.
pub(crate) const ENTRIES: [(char, &str, Action); 4] = [
    ('t', "tags of the file", Action::Tags),
    ('s', "by study and series", Action::Series),
    ('h', "histogram", Action::Histogram),
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

impl Switches {
    /// Whether the entry's action is in force; `None` of one that switches nothing.
    pub(crate) fn on(self, action: Action) -> Option<bool> {
        match action {
            Action::Series => Some(self.by_series),
            Action::Patient => Some(self.show_phi),
            _ => None,
        }
    }
}

impl Model {
    pub(super) fn open_menu(&mut self) {
        self.popup_scroll = 0;
        self.popup = Some(Popup::View {
            entry: 0,
            switches: self.switches,
        });
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
        let page = usize::from(content_rows(self.rows)).max(1);
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
        // On a very low screen the entry under the cursor is scrolled into sight.
        if let Some(Popup::View { entry, .. }) = &self.popup {
            self.popup_scroll = (entry + 1).saturating_sub(page);
        }
        Vec::new()
    }
}
