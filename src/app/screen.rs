//! The layers of the screen: the three panels or the grid; over these a comparison or the activity log; over all a full-screen
//! image.

use super::activity::ActivityView;
use super::agreement::AgreementView;
use super::compare::Comparison;
use super::environment::Environment;
use super::learning::LearningView;
use super::mode::InputMode;
use super::neighbours::NeighbourView;
use super::preview::Graphics;
use crate::view::panels::{self, Panel, Panels};

/// A layer over panels and grid.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Overlay {
    /// Two files side by side.
    Compare(Box<Comparison>),
    /// The activity log.
    Activity(ActivityView),
    /// The agreement of reviews with results.
    Agreement(Box<AgreementView>),
    /// What reviews teach.
    Learning(Box<LearningView>),
    /// The nearest reviewed images.
    Neighbours(Box<NeighbourView>),
}

/// The state of the screen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ScreenState {
    /// Whether the grid is shown instead of the panels.
    grid: bool,
    overlay: Option<Overlay>,
    /// Whether an image fills the screen.
    full: bool,
    focus: Panel,
    /// Width of the list that the user chose, in percent of the columns.
    split: Option<f64>,
}

impl ScreenState {
    /// Creates a screen without overlays. `split`: the width of the list in percent of the columns; `None` to choose it
    /// automatically.
    pub(super) fn new(grid: bool, split: Option<f64>) -> Self {
        Self {
            grid,
            overlay: None,
            full: false,
            focus: Panel::List,
            split,
        }
    }

    /// The mode of the top layer.
    pub(super) fn mode(&self, env: &Environment) -> InputMode {
        match &self.overlay {
            _ if self.full && env.graphics != Some(Graphics::None) => InputMode::FullScreen,
            Some(Overlay::Compare(_)) => InputMode::Compare,
            Some(Overlay::Activity(_)) => InputMode::Activity,
            Some(Overlay::Agreement(_)) => InputMode::Agreement,
            Some(Overlay::Learning(_)) => InputMode::Learning,
            Some(Overlay::Neighbours(_)) => InputMode::Neighbours,
            None if self.grid => InputMode::Grid,
            None => InputMode::Panels(self.focus),
        }
    }

    /// The areas of the panels; in modes other than [`InputMode::Panels`] one panel fills the screen.
    pub(crate) fn panels(&self, env: &Environment) -> Panels {
        match self.mode(env) {
            InputMode::FullScreen => panels::image_alone(env.cols, env.rows),
            InputMode::Panels(focus) => self.panels_with(focus, env),
            _ => panels::list_alone(env.cols, env.rows),
        }
    }

    /// The areas of the panels with the focus on one of them.
    pub(super) fn panels_with(&self, focus: Panel, env: &Environment) -> Panels {
        let columns = |percent: f64| (percent / 100.0 * f64::from(env.cols)).round() as u16;
        let split = self.split.map(columns);
        panels::panels(env.cols, env.rows, focus, may_show_images(env), split)
    }

    /// The panel that has the focus.
    pub(crate) fn focus(&self) -> Panel {
        self.focus
    }

    /// Moves the focus.
    pub(super) fn set_focus(&mut self, panel: Panel) {
        self.focus = panel;
    }

    /// Moves the focus to the panel after this one.
    pub(super) fn focus_after(&mut self, panel: Panel, env: &Environment) {
        self.focus = panel.next(may_show_images(env));
    }

    /// Moves the focus to the list; false if it was there already.
    pub(super) fn focus_list(&mut self) -> bool {
        std::mem::replace(&mut self.focus, Panel::List) != Panel::List
    }

    /// Width of the list that the user chose, in percent of the columns.
    pub(super) fn split(&self) -> Option<f64> {
        self.split
    }

    /// Sets the width of the list in percent of the columns.
    pub(super) fn set_split(&mut self, percent: f64) {
        self.split = Some(percent);
    }

    /// Whether the grid is on, even if an overlay or image covers it.
    pub(super) fn has_grid(&self) -> bool {
        self.grid
    }

    /// Shows the grid, or the panels if the grid is shown. Closes any overlay.
    pub(super) fn toggle_grid(&mut self) {
        self.full = false;
        self.grid = self.overlay.is_some() || !self.grid;
        self.overlay = None;
    }

    /// Shows the panels.
    pub(super) fn leave_grid(&mut self) {
        self.grid = false;
    }

    /// The overlay, if one is open.
    pub(crate) fn overlay(&self) -> Option<&Overlay> {
        self.overlay.as_ref()
    }

    /// Opens an overlay instead of any other.
    pub(super) fn open_overlay(&mut self, overlay: Overlay) {
        self.full = false;
        self.overlay = Some(overlay);
    }

    /// Closes the overlay; false if none is open.
    pub(super) fn close_overlay(&mut self) -> bool {
        self.overlay.take().is_some()
    }

    /// The comparison, if it is open.
    pub(crate) fn comparison(&self) -> Option<&Comparison> {
        match &self.overlay {
            Some(Overlay::Compare(comparison)) => Some(comparison),
            _ => None,
        }
    }

    /// The comparison, if it is open.
    pub(super) fn comparison_mut(&mut self) -> Option<&mut Comparison> {
        match &mut self.overlay {
            Some(Overlay::Compare(comparison)) => Some(comparison),
            _ => None,
        }
    }

    /// The activity view, if it is open.
    pub(super) fn activity_mut(&mut self) -> Option<&mut ActivityView> {
        match &mut self.overlay {
            Some(Overlay::Activity(view)) => Some(view),
            _ => None,
        }
    }

    /// The agreement view, if it is open.
    pub(super) fn agreement_mut(&mut self) -> Option<&mut AgreementView> {
        match &mut self.overlay {
            Some(Overlay::Agreement(view)) => Some(view),
            _ => None,
        }
    }

    /// The view of what reviews teach, if it is open.
    pub(super) fn learning_mut(&mut self) -> Option<&mut LearningView> {
        match &mut self.overlay {
            Some(Overlay::Learning(view)) => Some(view),
            _ => None,
        }
    }

    /// The nearest reviewed images, if they are open.
    pub(super) fn neighbours_mut(&mut self) -> Option<&mut NeighbourView> {
        match &mut self.overlay {
            Some(Overlay::Neighbours(view)) => Some(view),
            _ => None,
        }
    }

    /// Whether an image fills the screen.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Switches the full-screen image on or off.
    pub(super) fn set_full(&mut self, full: bool) {
        self.full = full;
    }

    /// Switches the full-screen image off; false if it was off already.
    pub(super) fn leave_full(&mut self) -> bool {
        std::mem::take(&mut self.full)
    }

    /// Closes the overlay, else the grid; false if only the panels are shown.
    pub(super) fn back(&mut self) -> bool {
        self.close_overlay() || std::mem::take(&mut self.grid)
    }
}

/// Whether the terminal shows images, or has not been probed yet.
fn may_show_images(env: &Environment) -> bool {
    env.graphics != Some(Graphics::None)
}
