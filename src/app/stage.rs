//! What fills the screen: the three panels, or something instead of them.

use crossterm::event::KeyEvent;

use super::Effect;
use super::activity::Place;
use super::compare::Compare;
use super::keys::Action;
use super::layout;
use super::model::Model;
use super::picture::Graphics;
use crate::view::Area;

/// What fills the screen. An image on the whole screen lies over it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stage {
    /// The files are shown as small pictures, instead of the panels.
    pub grid: bool,
    /// Lies over panels and grid.
    pub over: Option<Over>,
}

/// What lies over panels and grid.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Over {
    /// Two files side by side.
    Compare(Compare),
    /// What happened.
    Activity(Place),
}

impl Model {
    /// The picture has the whole screen.
    pub(crate) fn is_whole(&self) -> bool {
        self.viewer.whole && self.graphics != Some(Graphics::None)
    }

    /// What lies over panels and grid, and is to be seen.
    pub(crate) fn over(&self) -> Option<&Over> {
        self.stage.over.as_ref().filter(|_| !self.is_whole())
    }

    /// The files are to be seen as small pictures.
    pub(crate) fn shows_grid(&self) -> bool {
        self.stage.grid && self.stage.over.is_none() && !self.is_whole()
    }

    /// List, picture and result are to be seen.
    pub(crate) fn shows_panels(&self) -> bool {
        !self.stage.grid && self.stage.over.is_none() && !self.is_whole()
    }

    /// All between title and status line.
    pub(crate) fn stage_area(&self) -> Area {
        layout::list_alone(self.cols, self.rows)
            .list
            .unwrap_or_default()
    }

    /// Grid or panels.
    pub(super) fn toggle_grid(&mut self) {
        self.clear_stage();
        self.stage.grid = self.stage.over.is_some() || !self.stage.grid;
        self.stage.over = None;
    }

    /// Lays something over panels and grid.
    pub(super) fn lay_over(&mut self, over: Over) {
        self.clear_stage();
        self.stage.over = Some(over);
    }

    /// Nothing of the viewer's goes on behind what is laid over it.
    fn clear_stage(&mut self) {
        (self.viewer.film, self.viewer.pointer) = (None, None);
        self.viewer.whole = false;
    }

    /// Back by one; false when the panels are there.
    pub(super) fn leave_stage(&mut self) -> bool {
        self.stage.over.take().is_some() || std::mem::take(&mut self.stage.grid)
    }

    /// A key that means something else here than among the panels; `None`: it does not.
    pub(super) fn press_on_stage(&mut self, key: KeyEvent) -> Option<Vec<Effect>> {
        match self.over() {
            Some(Over::Compare(_)) => self.press_in_comparison(key),
            None if self.shows_grid() => self.press_in_grid(key),
            Some(Over::Activity(_)) | None => None,
        }
    }

    /// An action that does something else here than among the panels; `None`: it does not.
    pub(super) fn act_on_stage(&mut self, action: Action) -> Option<Vec<Effect>> {
        if self.popup.is_some() || self.tags.is_some() || is_global(action) {
            return None;
        }
        match self.over() {
            Some(Over::Compare(_)) => self.act_in_comparison(action),
            Some(Over::Activity(_)) => Some(self.act_in_activity(action)),
            None if self.shows_grid() => self.act_in_grid(action),
            None => None,
        }
    }
}

/// It does the same wherever the cursor is.
fn is_global(action: Action) -> bool {
    matches!(
        action,
        Action::Quit
            | Action::Suspend
            | Action::Back
            | Action::Patient
            | Action::View
            | Action::Help
            | Action::Palette
            | Action::Watch
            | Action::PromptSet
            | Action::Grid
            | Action::Compare
            | Action::Activity
    )
}
