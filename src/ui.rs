//! Draws the model on the screen. No input or output, no clock.

mod activity;
mod agreement;
mod bar;
mod compare;
mod contact_sheet;
mod grid;
mod histogram;
mod learning;
mod list;
mod neighbours;
mod popup;
mod preview;
mod prompt;
mod result;
mod rules;
mod status;
mod tags;
mod theme;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::app::screen::Overlay;
use crate::app::{EncodedImage, InputMode, Model, result_panel};
use crate::view::Area;
use crate::view::panels::Panels;
use theme::Looks;
pub use theme::name_of;

/// Draws encoded images into a frame. Implemented by whoever encodes them.
pub trait Painter {
    /// Draws an image on the cells of an area of its size.
    fn paint(&self, image: &EncodedImage, area: Rect, buffer: &mut Buffer);
}

/// Draws the model.
pub fn view(model: &Model, frame: &mut Frame, painter: &dyn Painter) {
    let looks = Looks::new(model.env().theme);
    let panels = model.panels();
    if model.tags().panel().is_some() {
        tags::draw(model, looks, frame);
        if let Some(area) = panels.status {
            status::draw(model, looks, rect(area, frame), frame);
        }
        if let Some(popup) = model.popups().current() {
            popup::draw(model, popup, looks, frame);
        }
        return;
    }
    match model.overlay() {
        Some(Overlay::Compare(comparison)) => {
            compare::draw(model, comparison, looks, frame, painter);
        }
        Some(Overlay::Activity(view)) => activity::draw(model, *view, looks, frame),
        Some(Overlay::Agreement(view)) => agreement::draw(model, view, looks, frame),
        Some(Overlay::Learning(view)) => learning::draw(model, view, looks, frame),
        Some(Overlay::Neighbours(view)) => neighbours::draw(model, view, looks, frame, painter),
        None => draw_panels(model, &panels, looks, frame, painter),
    }
    if let Some(area) = panels.status {
        let area = rect(area, frame);
        status::draw(model, looks, area, frame);
        status::draw_digits(model, looks, area, frame);
    }
    if let Some(popup) = model.popups().current() {
        popup::draw(model, popup, looks, frame);
    }
    prompt::draw(model, looks, frame);
}

/// List or grid, image, result.
fn draw_panels(
    model: &Model,
    panels: &Panels,
    looks: Looks,
    frame: &mut Frame,
    painter: &dyn Painter,
) {
    rules::draw(model, panels, looks, frame);
    if model.view() == InputMode::Grid {
        grid::draw(model, looks, frame, painter);
    } else if let Some(area) = panels.list {
        list::draw(model, looks, rect(area, frame), frame);
    }
    if let Some(area) = panels.preview {
        preview::draw(model, looks, rect(area, frame), frame, painter);
    }
    if let Some(area) = panels.result {
        result::draw(model, looks, rect(area, frame), frame);
    }
    if let Some(area) = panels.notice {
        notice(area, looks, frame);
    }
}

/// Draws the notice that results are not a diagnosis, in a row of its own.
fn notice(area: Area, looks: Looks, frame: &mut Frame) {
    let area = rect(area, frame);
    let words = result_panel::notice(usize::from(area.width), 3)
        .into_iter()
        .next();
    let words = Line::styled(words.unwrap_or_default(), looks.dim());
    frame.render_widget(words.centered(), area);
}

/// The part of an area within the screen: a resize may reach the terminal before the model.
fn rect(area: Area, frame: &Frame) -> Rect {
    Rect::new(area.x, area.y, area.width, area.height).intersection(frame.area())
}
