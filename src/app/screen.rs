//! What fills the screen: the three panels or the grid; a comparison or the activity log over these; an image over all.

use super::activity::ActivityView;
use super::compare::Comparison;
use super::environment::Environment;
use super::mode::Mode;
use super::preview::Graphics;
use crate::view::panels::{self, Panel, Panels};

/// What lies over panels and grid.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Overlay {
    /// Two files side by side.
    Compare(Comparison),
    /// The activity log.
    Activity(ActivityView),
}

/// The state of the screen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Screen {
    /// The files are shown as small images, instead of the panels.
    grid: bool,
    overlay: Option<Overlay>,
    /// An image has the whole screen.
    full: bool,
    focus: Panel,
    /// Percent of the columns that the list is wished to have.
    split: Option<f64>,
}

impl Screen {
    /// Begins with the grid, or with the list at a width in percent.
    pub(super) fn new(grid: bool, split: Option<f64>) -> Self {
        Self {
            grid,
            overlay: None,
            full: false,
            focus: Panel::List,
            split,
        }
    }

    /// The mode of what fills the screen.
    pub(super) fn mode(&self, env: &Environment) -> Mode {
        match &self.overlay {
            _ if self.full && env.graphics != Some(Graphics::None) => Mode::FullScreen,
            Some(Overlay::Compare(_)) => Mode::Compare,
            Some(Overlay::Activity(_)) => Mode::Activity,
            None if self.grid => Mode::Grid,
            None => Mode::Panels(self.focus),
        }
    }

    /// Where the panels lie; for an image, all of the screen.
    pub(crate) fn panels(&self, env: &Environment) -> Panels {
        match self.mode(env) {
            Mode::FullScreen => panels::picture_alone(env.cols, env.rows),
            Mode::Panels(focus) => self.panels_with(focus, env),
            _ => panels::list_alone(env.cols, env.rows),
        }
    }

    /// Where the panels lie with the focus on one of them.
    pub(super) fn panels_with(&self, focus: Panel, env: &Environment) -> Panels {
        let columns = |percent: f64| (percent / 100.0 * f64::from(env.cols)).round() as u16;
        let split = self.split.map(columns);
        panels::panels(env.cols, env.rows, focus, has_images(env), split)
    }

    /// The panel that has the focus.
    pub(crate) fn focus(&self) -> Panel {
        self.focus
    }

    /// Moves the focus.
    pub(super) fn set_focus(&mut self, panel: Panel) {
        self.focus = panel;
    }

    /// Moves the focus to the panel after the list, or after the one that has it.
    pub(super) fn focus_after(&mut self, panel: Panel, env: &Environment) {
        self.focus = self.panels(env).next(panel, has_images(env));
    }

    /// Moves the focus to the list; false when it is there.
    pub(super) fn focus_list(&mut self) -> bool {
        std::mem::replace(&mut self.focus, Panel::List) != Panel::List
    }

    /// Percent of the columns that the list is wished to have.
    pub(super) fn split(&self) -> Option<f64> {
        self.split
    }

    /// Gives the list a width in percent of the columns.
    pub(super) fn set_split(&mut self, percent: f64) {
        self.split = Some(percent);
    }

    /// Whether files are shown as small images, be it behind something else.
    pub(super) fn has_grid(&self) -> bool {
        self.grid
    }

    /// Shows the grid, or the panels instead.
    pub(super) fn toggle_grid(&mut self) {
        self.full = false;
        self.grid = self.overlay.is_some() || !self.grid;
        self.overlay = None;
    }

    /// Shows the panels.
    pub(super) fn leave_grid(&mut self) {
        self.grid = false;
    }

    /// What lies over panels and grid.
    pub(crate) fn overlay(&self) -> Option<&Overlay> {
        self.overlay.as_ref()
    }

    /// Lays something over panels and grid.
    pub(super) fn lay_over(&mut self, overlay: Overlay) {
        self.full = false;
        self.overlay = Some(overlay);
    }

    /// Removes what lies over panels and grid; false when there is nothing.
    pub(super) fn close_overlay(&mut self) -> bool {
        self.overlay.take().is_some()
    }

    /// The comparison, if one lies over panels and grid.
    pub(crate) fn comparison(&self) -> Option<&Comparison> {
        match &self.overlay {
            Some(Overlay::Compare(comparison)) => Some(comparison),
            _ => None,
        }
    }

    /// The comparison, to be changed.
    pub(super) fn comparison_mut(&mut self) -> Option<&mut Comparison> {
        match &mut self.overlay {
            Some(Overlay::Compare(comparison)) => Some(comparison),
            _ => None,
        }
    }

    /// The activity view, if it lies over panels and grid, to be changed.
    pub(super) fn activity_mut(&mut self) -> Option<&mut ActivityView> {
        match &mut self.overlay {
            Some(Overlay::Activity(view)) => Some(view),
            _ => None,
        }
    }

    /// Whether an image has the whole screen.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Gives the image the whole screen, or ends that.
    pub(super) fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// Ends an image on the whole screen; false when there is none.
    pub(super) fn leave_full(&mut self) -> bool {
        std::mem::take(&mut self.full)
    }

    /// Back by one, from an overlay or the grid; false when the panels are there.
    pub(super) fn back(&mut self) -> bool {
        self.close_overlay() || std::mem::take(&mut self.grid)
    }
}

/// Whether the terminal shows images, or may prove to.
fn has_images(env: &Environment) -> bool {
    env.graphics != Some(Graphics::None)
}
