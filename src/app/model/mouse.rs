//! The mouse: a click selects, or places the pointer on the image; a second one opens; the wheel scrolls what lies under it;
//! the line between list and image is dragged.

use std::time::Duration;

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::Model;
use crate::app::effect::Effect;
use crate::app::keys::Action;
use crate::app::mode::Mode;
use crate::view::Area;
use crate::view::panels::Panel;

/// Maximum time between the clicks of a double click.
const DOUBLE_CLICK: Duration = Duration::from_millis(400);
/// Rows per notch of the wheel.
const NOTCH: isize = 3;

/// The state of the mouse between events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mouse {
    /// The line between list and image follows it.
    dragging: bool,
    /// Where and when a button went down last.
    last: Option<((u16, u16), Duration)>,
}

impl Model {
    /// Handles a mouse event. `now`: as in a tick.
    pub(super) fn mouse(&mut self, event: MouseEvent, now: Duration) -> Vec<Effect> {
        let at = (event.column, event.row);
        match event.kind {
            // What is typed goes on.
            _ if self.mode() == Mode::Line => {}
            MouseEventKind::ScrollDown => return self.wheel(at, 1),
            MouseEventKind::ScrollUp => return self.wheel(at, -1),
            MouseEventKind::Down(MouseButton::Left) => {
                let again = self.mouse.last.is_some_and(|(last, then)| {
                    last == at && now.saturating_sub(then) <= DOUBLE_CLICK
                });
                // A third click is a first one again.
                self.mouse.last = (!again).then_some((at, now));
                return self.click(at, again);
            }
            MouseEventKind::Drag(MouseButton::Left) if self.mouse.dragging => {
                let cols = f64::from(self.env.cols.max(1));
                self.screen.set_split(f64::from(at.0) * 100.0 / cols);
            }
            MouseEventKind::Up(_) => self.mouse.dragging = false,
            _ => {}
        }
        Vec::new()
    }

    fn click(&mut self, at: (u16, u16), again: bool) -> Vec<Effect> {
        let chosen = match self.mode() {
            Mode::Review => {
                self.leader.end();
                return Vec::new();
            }
            Mode::Line | Mode::Tags | Mode::TagSearch | Mode::Agreement => return Vec::new(),
            Mode::Reading | Mode::Menu | Mode::Picker => return self.click_popup(at),
            Mode::FullScreen | Mode::Panels(_) => return self.click_panel(at, again),
            Mode::Compare => self.click_side(at),
            Mode::Activity => {
                let view = self.screen.activity_mut();
                view.is_some_and(|view| view.click(at, &self.activity, &self.env))
            }
            Mode::Grid => {
                let row = self.grid.row_at(at, self.files());
                row.inspect(|row| self.browser.folder.go_to(*row)).is_some()
            }
        };
        if chosen && again {
            self.act(Action::Enter)
        } else {
            Vec::new()
        }
    }

    fn click_popup(&mut self, at: (u16, u16)) -> Vec<Effect> {
        let popup = self.popups.current();
        let lines = popup.map_or(0, |popup| self.popup_lines(popup).len());
        let outcome = self.popups.click(at, lines, &self.env);
        self.follow_popup(outcome)
    }

    /// Chooses the side of the comparison at a cell; false when there is none.
    fn click_side(&mut self, at: (u16, u16)) -> bool {
        let Some(comparison) = self.screen.comparison_mut() else {
            return false;
        };
        let Some(side) = comparison.side_at(at, &self.results, &self.env) else {
            return false;
        };
        let requests = comparison.choose(side);
        self.carry_out(requests);
        true
    }

    fn click_panel(&mut self, at: (u16, u16), again: bool) -> Vec<Effect> {
        let panels = self.panels();
        if self.is_divider(at) {
            self.mouse.dragging = true;
            return Vec::new();
        }
        let context = self.viewer_context();
        if self.viewer.click(at, &context) {
            return Vec::new();
        }
        // The focus decides what is folded away: what was clicked stays where it is.
        let stays = |model: &Self, panel| model.screen.panels_with(panel, &model.env) == panels;
        for (panel, area) in [
            (Panel::Preview, panels.preview),
            (Panel::Result, panels.result),
        ] {
            if area.is_some_and(|area| area.contains(at)) {
                if panels.list.is_some() && stays(self, panel) {
                    self.screen.set_focus(panel);
                }
                return Vec::new();
            }
        }
        let Some(area) = panels.list.filter(|area| area.contains(at)) else {
            return Vec::new();
        };
        if stays(self, Panel::List) {
            self.screen.set_focus(Panel::List);
        }
        let row = self.folder().offset() + usize::from(at.1 - area.y);
        if row >= self.folder().len() {
            return Vec::new();
        }
        self.browser.folder.go_to(row);
        if again { self.enter_row() } else { Vec::new() }
    }

    fn wheel(&mut self, at: (u16, u16), way: isize) -> Vec<Effect> {
        let step = if way > 0 { Action::Down } else { Action::Up };
        match self.mode() {
            Mode::Compare if self.click_side(at) => self.act(step),
            Mode::Line | Mode::Compare => Vec::new(),
            Mode::Grid => self.act(step),
            Mode::FullScreen | Mode::Panels(_) => self.wheel_in_panel(at, way),
            _ => (0..NOTCH).flat_map(|_| self.act(step)).collect(),
        }
    }

    fn wheel_in_panel(&mut self, at: (u16, u16), way: isize) -> Vec<Effect> {
        let panels = self.panels();
        let under = |area: Option<Area>| area.filter(|area| area.contains(at));
        if let Some(area) = under(panels.list) {
            let rows = usize::from(area.height);
            self.browser.folder.scroll_by(way * NOTCH, rows);
        } else if under(panels.result).is_some() {
            let (page, lines) = self.result_extent();
            let scroll = self.result_scroll.saturating_add_signed(way * NOTCH);
            self.result_scroll = scroll.min(lines.saturating_sub(page));
        } else if under(panels.preview).is_some() {
            let has_series = self.studies.position(self.folder()).is_some();
            let paged = self.viewer.frames() > 1 || has_series;
            return self.act(match (paged, way > 0) {
                (true, true) => Action::FrameNext,
                (true, false) => Action::FramePrevious,
                (false, true) => Action::ZoomOut,
                (false, false) => Action::ZoomIn,
            });
        }
        Vec::new()
    }

    /// Whether a cell is of the line between the list and what is beside it.
    fn is_divider(&self, (x, y): (u16, u16)) -> bool {
        let panels = self.panels();
        let is_view = matches!(self.view(), Mode::Panels(_));
        let Some(list) = panels.list.filter(|_| is_view) else {
            return false;
        };
        let beside = panels.preview.or(panels.result).is_some();
        beside && x == list.x + list.width && y < list.y + list.height
    }
}
