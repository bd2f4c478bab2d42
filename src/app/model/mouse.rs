//! The mouse: a click selects, or places the pointer on the image; a second one opens; the wheel scrolls what lies under it.
//! Dragging moves the line between list and image, pans the image, or changes its window.

use std::path::Path;
use std::time::Duration;

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::Model;
use crate::app::browser::folder::lines::ListLine;
use crate::app::context::FileContext;
use crate::app::effect::Effect;
use crate::app::keys::Action;
use crate::app::mode::InputMode;
use crate::app::viewer::drag::ImageDrag;
use crate::view::Area;
use crate::view::panels::Panel;

/// Maximum time between the clicks of a double click.
const DOUBLE_CLICK: Duration = Duration::from_millis(400);
/// Rows per notch of the wheel.
const NOTCH: isize = 3;

/// The state of the mouse between events.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Mouse {
    drag: Option<Drag>,
    /// Where and when a button went down last.
    last: Option<((u16, u16), Duration)>,
}

/// What follows the mouse while a button is held.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Drag {
    /// The line between list and image.
    Divider,
    /// The image or its window, and the cell where the button went down.
    Image(ImageDrag, (u16, u16)),
    /// The same on a side of the comparison.
    Side(usize, ImageDrag, (u16, u16)),
}

impl Model {
    /// Handles a mouse event. `now`: as in a tick.
    pub(super) fn mouse(&mut self, event: MouseEvent, now: Duration) -> Vec<Effect> {
        let at = (event.column, event.row);
        match event.kind {
            // What is typed goes on.
            _ if self.mode() == InputMode::Line => {}
            MouseEventKind::ScrollDown => return self.wheel(at, 1, event.modifiers),
            MouseEventKind::ScrollUp => return self.wheel(at, -1, event.modifiers),
            // Terminals that use the right button themselves pass the left one with a modifier.
            MouseEventKind::Down(MouseButton::Right) => self.begin_window_drag(at),
            MouseEventKind::Down(MouseButton::Left) if drags_window(event.modifiers) => {
                self.begin_window_drag(at);
            }
            MouseEventKind::Down(MouseButton::Left) => {
                let again = self.mouse.last.is_some_and(|(last, then)| {
                    last == at && now.saturating_sub(then) <= DOUBLE_CLICK
                });
                // A third click is a first one again.
                self.mouse.last = (!again).then_some((at, now));
                return self.click(at, again);
            }
            MouseEventKind::Drag(_) => self.drag_to(at),
            MouseEventKind::Up(_) => {
                if let Some(Drag::Image(ImageDrag::Pointer, _)) = self.mouse.drag.take() {
                    let requests = self.viewer.release();
                    return self.carry_out(requests);
                }
            }
            _ => {}
        }
        Vec::new()
    }

    fn drag_to(&mut self, at: (u16, u16)) {
        match self.mouse.drag {
            Some(Drag::Divider) => {
                let cols = f64::from(self.env.cols.max(1));
                self.screen.set_split(f64::from(at.0) * 100.0 / cols);
            }
            Some(Drag::Image(drag, from)) => {
                let context = self.viewer_context();
                self.viewer.drag(drag, (from, at), &context);
            }
            Some(Drag::Side(side, drag, from)) => {
                let files = FileContext {
                    browser: &self.browser,
                    studies: &self.studies,
                    results: &self.results,
                    env: &self.env,
                };
                if let Some(comparison) = self.screen.comparison_mut() {
                    comparison.drag(side, drag, (from, at), files);
                }
            }
            None => {}
        }
    }

    /// Begins to drag on the side of the comparison at a cell.
    fn begin_side_drag(&mut self, at: (u16, u16), window: bool) {
        let files = self.files();
        let drag = self.screen.comparison().and_then(|comparison| {
            let side = comparison.side_at(at, &self.results, &self.env)?;
            let drag = comparison.begin_drag(side, window, files)?;
            Some(Drag::Side(side, drag, at))
        });
        self.mouse.drag = drag;
    }

    /// Begins to change the window, if the cell is of the image.
    fn begin_window_drag(&mut self, at: (u16, u16)) {
        if self.mode() == InputMode::Compare {
            return self.begin_side_drag(at, true);
        }
        let shown = matches!(self.mode(), InputMode::FullScreen | InputMode::Panels(_));
        let on_image = self.panels().preview.is_some_and(|area| area.contains(at));
        if shown && on_image {
            let drag = self.viewer.begin_window_drag();
            self.mouse.drag = drag.map(|drag| Drag::Image(drag, at));
        }
    }

    fn click(&mut self, at: (u16, u16), again: bool) -> Vec<Effect> {
        let chosen = match self.mode() {
            InputMode::Review => {
                self.leader.end();
                return Vec::new();
            }
            InputMode::Line
            | InputMode::Tags
            | InputMode::TagSearch
            | InputMode::Agreement
            | InputMode::Learning => {
                return Vec::new();
            }
            InputMode::Reading | InputMode::Menu | InputMode::Picker => {
                return self.click_popup(at);
            }
            InputMode::FullScreen | InputMode::Panels(_) => return self.click_panel(at, again),
            InputMode::Compare => {
                self.begin_side_drag(at, false);
                self.click_side(at)
            }
            InputMode::Activity => {
                let view = self.screen.activity_mut();
                view.is_some_and(|view| view.click(at, &self.activity, &self.env))
            }
            InputMode::Neighbours => {
                let view = self.screen.neighbours_mut();
                view.is_some_and(|view| view.click(at, &self.env))
            }
            InputMode::Grid => {
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
            self.mouse.drag = Some(Drag::Divider);
            return Vec::new();
        }
        let context = self.viewer_context();
        if panels.preview.is_some_and(|area| area.contains(at))
            && let Some((requests, drag)) = self.viewer.click(at, &context)
        {
            self.mouse.drag = drag.map(|drag| Drag::Image(drag, at));
            return self.carry_out(requests);
        }
        if panels.preview.is_some_and(|area| area.contains(at)) {
            let drag = self.viewer.begin_pan(&context);
            self.mouse.drag = drag.map(|drag| Drag::Image(drag, at));
        }
        if again
            && panels.preview.is_some_and(|area| area.contains(at))
            && let Some(path) = self.contact_sheet.file_at(at).map(Path::to_owned)
        {
            return self.show_file(&path);
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
        let line = self.folder().offset() + usize::from(at.1 - area.y);
        let Some(ListLine::Row(row)) = self.folder().line(line) else {
            return Vec::new();
        };
        self.browser.folder.go_to(row);
        if again { self.enter_row() } else { Vec::new() }
    }

    fn wheel(&mut self, at: (u16, u16), way: isize, modifiers: KeyModifiers) -> Vec<Effect> {
        let step = if way > 0 { Action::Down } else { Action::Up };
        match self.mode() {
            InputMode::Compare if self.click_side(at) => self.wheel_on_side(way, modifiers),
            InputMode::Line | InputMode::Compare => Vec::new(),
            InputMode::Grid => self.act(step),
            InputMode::FullScreen | InputMode::Panels(_) => self.wheel_in_panel(at, way, modifiers),
            _ => (0..NOTCH).flat_map(|_| self.act(step)).collect(),
        }
    }

    /// Pages the stacks of the comparison, or goes to another file on the chosen side; with Ctrl zooms.
    fn wheel_on_side(&mut self, way: isize, modifiers: KeyModifiers) -> Vec<Effect> {
        let files = self.files();
        let comparison = self.screen.comparison();
        let has_stack = comparison.is_some_and(|comparison| comparison.has_stack(files));
        self.act(
            match (modifiers.contains(KeyModifiers::CONTROL), has_stack) {
                (true, _) if way > 0 => Action::ZoomOut,
                (true, _) => Action::ZoomIn,
                (false, true) if way > 0 => Action::FrameNext,
                (false, true) => Action::FramePrevious,
                (false, false) if way > 0 => Action::Down,
                (false, false) => Action::Up,
            },
        )
    }

    fn wheel_in_panel(
        &mut self,
        at: (u16, u16),
        way: isize,
        modifiers: KeyModifiers,
    ) -> Vec<Effect> {
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
            return self.wheel_on_image(way, modifiers);
        }
        Vec::new()
    }

    /// Pages the stack shown, or zooms an image that belongs to none; with Ctrl it always zooms.
    fn wheel_on_image(&mut self, way: isize, modifiers: KeyModifiers) -> Vec<Effect> {
        if !modifiers.contains(KeyModifiers::CONTROL) {
            let series = self.studies.position(self.folder());
            if let Some(requests) = self.viewer.page_by(way, series) {
                return self.carry_out(requests);
            }
            if self.studies.shows_series(self.folder()) {
                // The rows are the images of one series.
                self.browser.folder.go_by(way);
                return Vec::new();
            }
        }
        self.act(if way > 0 {
            Action::ZoomOut
        } else {
            Action::ZoomIn
        })
    }

    /// Whether a cell is of the line between the list and what is beside it.
    fn is_divider(&self, (x, y): (u16, u16)) -> bool {
        let panels = self.panels();
        let is_view = matches!(self.view(), InputMode::Panels(_));
        let Some(list) = panels.list.filter(|_| is_view) else {
            return false;
        };
        let beside = panels.preview.or(panels.result).is_some();
        beside && x == list.x + list.width && y < list.y + list.height
    }
}

/// Whether the left button changes the window when it is held with these keys.
fn drags_window(modifiers: KeyModifiers) -> bool {
    modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT)
}
