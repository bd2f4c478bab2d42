//! Two files side by side.

use ratatui::Frame;
use ratatui::text::{Line, Span};

use super::result::{line, name_width};
use super::rules::{row, title};
use super::theme::Looks;
use super::{Painter, notice, preview, rect};
use crate::app::Model;
use crate::app::compare::Compare;
use crate::app::text::{safe, safe_str, wrap};
use crate::view::Area;

/// Draws both sides.
pub(super) fn draw(
    model: &Model,
    compare: &Compare,
    looks: Looks,
    frame: &mut Frame,
    painter: &dyn Painter,
) {
    let places = model.sides();
    let Some(lines) = model.comparison() else {
        return;
    };
    for (side, (place, lines)) in places.sides.iter().zip(&lines).enumerate() {
        if place.picture.y > 0 {
            let [this, other] = [side, 1 - side].map(|side| &compare.files[side]);
            let prompts = model.compared_prompts();
            let name = match this.file_name() {
                Some(name) if prompts.is_some() || other.file_name() != Some(name) => safe(name),
                _ => model.show_path(this),
            };
            // What tells the sides apart comes first.
            let (left, right) = match &prompts {
                Some(prompts) => (&prompts[side], name.as_str()),
                None => (&name, ""),
            };
            let chosen = prompts.is_none() && compare.chosen == side;
            title(place.picture, left, right, chosen, looks, frame);
        }
        image(model, side, looks, place.picture, frame, painter);
        let area = rect(place.scores, frame);
        let inner = ratatui::layout::Rect {
            x: area.x + 1,
            width: area.width.saturating_sub(2),
            ..area
        }
        .intersection(area);
        let columns = usize::from(inner.width);
        let names = name_width(lines, columns);
        for (i, detail) in lines.iter().take(usize::from(area.height)).enumerate() {
            let at = row(inner, i as u16);
            frame.render_widget(line(detail, names, columns, looks), at);
        }
    }
    between(model, looks, frame);
    if let Some(area) = places.notice {
        notice(area, looks, frame);
    }
}

/// The line between the sides.
fn between(model: &Model, looks: Looks, frame: &mut Frame) {
    let right = model.sides().sides[1];
    let top = right.picture.y;
    for y in top.saturating_sub(1)..right.scores.y + right.scores.height {
        let cell = Area {
            x: right.picture.x.saturating_sub(1),
            y,
            width: 1,
            height: 1,
        };
        let symbol = if y < top { "┬" } else { "│" };
        frame.render_widget(Span::styled(symbol, looks.line()), rect(cell, frame));
    }
}

fn image(
    model: &Model,
    side: usize,
    looks: Looks,
    area: Area,
    frame: &mut Frame,
    painter: &dyn Painter,
) {
    let area = rect(area, frame);
    let looks = preview::darken(area, looks, frame);
    let words = match model.side_picture(side).map(|shown| &shown.outcome) {
        Some(Ok(shown)) => return preview::paint(&shown.image, area, frame, painter),
        Some(Err(error)) => safe_str(&error.message),
        None => "loading …".to_owned(),
    };
    let lines = wrap(&words, usize::from(area.width).saturating_sub(2));
    let top = usize::from(area.height).saturating_sub(lines.len()) / 2;
    for (i, words) in lines.into_iter().enumerate() {
        let line = Line::styled(words, looks.dim()).centered();
        frame.render_widget(line, row(area, (top + i) as u16));
    }
}
