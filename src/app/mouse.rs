//! What the mouse does: a click selects, or places the pointer on the picture, a second one opens, the wheel scrolls what lies under it, and the line between list and
//! picture is dragged.

use std::time::Duration;

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::Effect;
use super::act;
use super::keys::Action;
use super::layout::Panel;
use super::model::Model;
use super::popup::{self, Popup};
use super::stage::Over;
use crate::view::Area;

/// A second click on the same cell within this opens.
const DOUBLE: Duration = Duration::from_millis(400);
/// Rows a notch of the wheel.
const NOTCH: isize = 3;

/// What the mouse has begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mouse {
    /// The line between list and picture follows it.
    dragging: bool,
    /// Where and when a button went down last.
    last: Option<((u16, u16), Duration)>,
}

impl Area {
    /// The cell is one of its.
    fn holds(self, (x, y): (u16, u16)) -> bool {
        let across = (self.x..self.x.saturating_add(self.width)).contains(&x);
        across && (self.y..self.y.saturating_add(self.height)).contains(&y)
    }
}

impl Model {
    pub(super) fn moused(&mut self, event: MouseEvent, now: Duration) -> Vec<Effect> {
        let at = (event.column, event.row);
        match event.kind {
            // What is typed goes on.
            _ if self.prompt.is_some() => Vec::new(),
            MouseEventKind::ScrollDown => self.wheel(at, 1),
            MouseEventKind::ScrollUp => self.wheel(at, -1),
            MouseEventKind::Down(MouseButton::Left) => {
                let again = self
                    .mouse
                    .last
                    .is_some_and(|(last, then)| last == at && now.saturating_sub(then) <= DOUBLE);
                // A third click is a first one again.
                self.mouse.last = (!again).then_some((at, now));
                if let Some(popup) = &self.popup {
                    let lines = self.popup_lines(popup).len();
                    let inside = popup::inside(self.cols, self.rows, lines);
                    return self.click_popup(inside, at);
                }
                if self.tags.is_some() {
                    return Vec::new();
                }
                self.click(at, again)
            }
            MouseEventKind::Drag(MouseButton::Left) if self.mouse.dragging => {
                self.split = Some(f64::from(at.0) * 100.0 / f64::from(self.cols.max(1)));
                Vec::new()
            }
            MouseEventKind::Up(_) => {
                self.mouse.dragging = false;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn click(&mut self, at: (u16, u16), again: bool) -> Vec<Effect> {
        let chosen = match self.over() {
            Some(Over::Compare(_)) => {
                let side = self.side_at(at);
                side.inspect(|side| self.choose_side(*side)).is_some()
            }
            Some(Over::Activity(_)) => self.choose_entry(at),
            None if self.shows_grid() => self.choose_tile(at),
            None => return self.click_panel(at, again),
        };
        if chosen && again {
            act::act(self, Action::Enter)
        } else {
            Vec::new()
        }
    }

    /// Beside a popup a click takes it away; an entry of the menu is chosen by one.
    fn click_popup(&mut self, inside: Area, at: (u16, u16)) -> Vec<Effect> {
        let frame = Area {
            x: inside.x.saturating_sub(1),
            y: inside.y.saturating_sub(1),
            width: inside.width + 2,
            height: inside.height + 2,
        };
        if !frame.holds(at) {
            self.popup = None;
        } else if inside.holds(at)
            && let Some(Popup::View { entry, .. }) = &mut self.popup
        {
            *entry = self.popup_scroll + usize::from(at.1 - inside.y);
            return act::act(self, Action::Enter);
        }
        Vec::new()
    }

    fn click_panel(&mut self, at: (u16, u16), again: bool) -> Vec<Effect> {
        let panels = self.panels();
        if self.on_divider(at) {
            self.mouse.dragging = true;
            return Vec::new();
        }
        if self.point_with_mouse(at) {
            return Vec::new();
        }
        for (panel, area) in [
            (Panel::Preview, panels.preview),
            (Panel::Result, panels.result),
        ] {
            if area.is_some_and(|area| area.holds(at)) {
                // The focus decides what is folded away: what was clicked stays where it is.
                if panels.list.is_some() && self.panels_with(panel) == panels {
                    self.focus = panel;
                }
                return Vec::new();
            }
        }
        let Some(area) = panels.list.filter(|area| area.holds(at)) else {
            return Vec::new();
        };
        if self.panels_with(Panel::List) == panels {
            self.focus = Panel::List;
        }
        let row = self.folder.offset() + usize::from(at.1 - area.y);
        if row >= self.folder.len() {
            return Vec::new();
        }
        self.folder.go_to(row);
        if !again {
            return Vec::new();
        }
        self.enter_tile()
    }

    fn wheel(&mut self, at: (u16, u16), way: isize) -> Vec<Effect> {
        let step = if way > 0 { Action::Down } else { Action::Up };
        if self.popup.is_some() || self.tags.is_some() {
            return self.repeat(step);
        }
        match self.over() {
            Some(Over::Compare(_)) => {
                let Some(side) = self.side_at(at) else {
                    return Vec::new();
                };
                self.choose_side(side);
                return act::act(self, step);
            }
            Some(Over::Activity(_)) => return self.repeat(step),
            None if self.shows_grid() => return act::act(self, step),
            None => {}
        }
        let panels = self.panels();
        let under = |area: Option<Area>| area.filter(|area| area.holds(at));
        if let Some(area) = under(panels.list) {
            self.folder.scroll_by(way * NOTCH, usize::from(area.height));
        } else if under(panels.result).is_some() {
            let (page, lines) = self.result_extent();
            let scroll = self.result_scroll.saturating_add_signed(way * NOTCH);
            self.result_scroll = scroll.min(lines.saturating_sub(page));
        } else if under(panels.preview).is_some() {
            let paged = self.viewer.frames() > 1 || self.place_in_stack().is_some();
            let action = match (paged, way > 0) {
                (true, true) => Action::FrameNext,
                (true, false) => Action::FramePrevious,
                (false, true) => Action::ZoomOut,
                (false, false) => Action::ZoomIn,
            };
            return act::act(self, action);
        }
        Vec::new()
    }

    fn repeat(&mut self, step: Action) -> Vec<Effect> {
        let steps = 0..NOTCH;
        steps.flat_map(|_| act::act(self, step)).collect()
    }

    /// The line between the list and what is beside it.
    fn on_divider(&self, (x, y): (u16, u16)) -> bool {
        let panels = self.panels();
        let Some(list) = panels.list.filter(|_| self.shows_panels()) else {
            return false;
        };
        let beside = panels.preview.or(panels.result).is_some();
        beside && x == list.x + list.width && y < list.y + list.height
    }

    fn side_at(&self, at: (u16, u16)) -> Option<usize> {
        let sides = self.sides().sides;
        let found = |side: &super::compare::Side| side.picture.holds(at) || side.scores.holds(at);
        sides.iter().position(found)
    }

    fn choose_tile(&mut self, at: (u16, u16)) -> bool {
        let sheet = self.sheet();
        let Some(slot) = (0..sheet.count()).find(|slot| sheet.tile(*slot).holds(at)) else {
            return false;
        };
        let row = self.first_tile() + slot;
        let there = row < self.folder.len();
        if there {
            self.folder.go_to(row);
        }
        there
    }
}
