//! The view of the nearest reviewed images: opens it from the explanation of a result, and goes to an image.

use crossterm::event::{KeyCode, KeyEvent};

use super::Model;
use crate::app::effect::Effect;
use crate::app::keys::Action;
use crate::app::msg::Severity;
use crate::app::neighbours::NeighbourView;
use crate::app::popup::Popup;
use crate::app::preview::Previewed;
use crate::app::screen::Overlay;
use crate::library::neighbours::Neighbour;

impl Model {
    /// Opens the view if an explanation is open that has neighbours; false otherwise.
    pub(super) fn open_neighbours(&mut self, action: Action) -> bool {
        let Some(Popup::Phrases(table)) = self.popups.current() else {
            return false;
        };
        if !matches!(action, Action::Enter | Action::NextPanel) || table.neighbours().is_none() {
            return false;
        }
        let Some(neighbours) = table.neighbours().cloned() else {
            return false;
        };
        let view = NeighbourView::new(table.subject.clone(), neighbours);
        self.popups.close_all();
        self.viewer.stop();
        self.message = None;
        self.screen
            .open_overlay(Overlay::Neighbours(Box::new(view)));
        true
    }

    /// Handles the keys that mean something else in the view: those that enter and leave a folder move right and left, except for
    /// Enter and Backspace.
    pub(super) fn press_in_neighbours(&mut self, key: KeyEvent) -> Option<Vec<Effect>> {
        let tiles = match (key.code, self.env.keymap.action(key)) {
            (KeyCode::Enter, Some(Action::Enter)) | (KeyCode::Backspace, Some(Action::Leave)) => {
                return None;
            }
            (_, Some(Action::Enter)) => 1,
            (_, Some(Action::Leave)) => -1,
            _ => return None,
        };
        self.screen.neighbours_mut()?.move_by(tiles);
        Some(Vec::new())
    }

    /// Carries out an action in the view.
    pub(super) fn act_in_neighbours(&mut self, action: Action) -> Vec<Effect> {
        let Some(view) = self.screen.neighbours_mut() else {
            return Vec::new();
        };
        match action {
            Action::Enter => {
                let Some(neighbour) = view.current().cloned() else {
                    return Vec::new();
                };
                if neighbour.is_missing {
                    let shown = self.env.show_path(&neighbour.path);
                    let words = format!("{shown} is missing: the library knows it from earlier");
                    self.say(Severity::Info, &words);
                    return Vec::new();
                }
                self.show_file(&neighbour.path)
            }
            Action::Leave => {
                self.screen.close_overlay();
                Vec::new()
            }
            _ => {
                view.act(action, &self.env);
                Vec::new()
            }
        }
    }

    /// The image of a neighbour, or its error; `None` if it has not arrived.
    pub(crate) fn neighbour_tile(&self, neighbour: &Neighbour) -> Option<&Previewed> {
        NeighbourView::tile(neighbour, &self.tiles, &self.results, &self.env)
    }
}
