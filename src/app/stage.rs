//! What fills the screen: the three panels, or something instead of them.

use crossterm::event::KeyEvent;

use super::Effect;
use super::keys::Action;
use super::layout::{self, Area};
use super::model::Model;
use super::picture::Graphics;

/// What fills the screen. A picture on the whole screen lies over each of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Stage {
    /// List, picture and result.
    #[default]
    Panels,
    /// The files as small pictures.
    Grid,
}

impl Model {
    /// The picture has the whole screen.
    pub(crate) fn is_whole(&self) -> bool {
        self.viewer.whole && self.graphics != Some(Graphics::None)
    }

    /// The files are shown as small pictures.
    pub(crate) fn shows_grid(&self) -> bool {
        self.stage == Stage::Grid && !self.is_whole()
    }

    /// All between title and status line.
    pub(crate) fn stage_area(&self) -> Area {
        layout::list_alone(self.cols, self.rows)
            .list
            .unwrap_or_default()
    }

    /// Puts this on the screen, or the panels where it is there already.
    pub(super) fn toggle_stage(&mut self, stage: Stage) {
        // Nothing of the viewer's goes on behind it.
        (self.viewer.film, self.viewer.pointer) = (None, None);
        self.viewer.whole = false;
        self.stage = if self.stage == stage {
            Stage::Panels
        } else {
            stage
        };
    }

    /// A key that means something else here than among the panels; `None`: it does not.
    pub(super) fn press_on_stage(&mut self, key: KeyEvent) -> Option<Vec<Effect>> {
        match self.stage {
            Stage::Grid if !self.is_whole() => self.press_in_grid(key),
            _ => None,
        }
    }

    /// An action that does something else here than among the panels; `None`: it does not.
    pub(super) fn act_on_stage(&mut self, action: Action) -> Option<Vec<Effect>> {
        if self.popup.is_some() || self.tags.is_some() || self.is_whole() {
            return None;
        }
        match self.stage {
            Stage::Panels => None,
            Stage::Grid => self.act_in_grid(action),
        }
    }

    /// Back to the panels; false when they are there.
    pub(super) fn leave_stage(&mut self) -> bool {
        std::mem::take(&mut self.stage) != Stage::Panels
    }
}
