//! Two files side by side.

use ratatui::Frame;
use ratatui::text::{Line, Span};

use super::result::{line, name_width};
use super::rules::{row, title};
use super::theme::Looks;
use super::{Painter, notice, preview, rect};
use crate::app::Model;
use crate::app::compare::Comparison;
use crate::app::text::{safe, safe_str, wrap};
use crate::view::{Area, CompareAreas};

/// Draws both sides.
pub(super) fn draw(
    model: &Model,
    comparison: &Comparison,
    looks: Looks,
    frame: &mut Frame,
    painter: &dyn Painter,
) {
    let areas = comparison.areas(model.results(), model.env());
    let lines = comparison.scores(model.results());
    for (side, (area, lines)) in areas.sides.iter().zip(&lines).enumerate() {
        if area.image.y > 0 {
            let [this, other] = [side, 1 - side].map(|side| &comparison.files()[side]);
            let prompts = comparison.prompt_sets(model.results());
            let name = match this.file_name() {
                Some(name) if prompts.is_some() || other.file_name() != Some(name) => safe(name),
                _ => model.env().show_path(this),
            };
            // What distinguishes the sides comes first.
            let (left, right) = match &prompts {
                Some(prompts) => (&prompts[side], name.as_str()),
                None => (&name, ""),
            };
            let chosen = prompts.is_none() && comparison.chosen() == side;
            title(area.image, left, right, chosen, looks, frame);
        }
        image(model, side, looks, area.image, frame, painter);
        let scores = rect(area.scores, frame);
        let inner = ratatui::layout::Rect {
            x: scores.x + 1,
            width: scores.width.saturating_sub(2),
            ..scores
        }
        .intersection(scores);
        let columns = usize::from(inner.width);
        let names = name_width(lines, columns);
        for (i, detail) in lines.iter().take(usize::from(scores.height)).enumerate() {
            let at = row(inner, i as u16);
            frame.render_widget(line(detail, names, columns, looks), at);
        }
    }
    between(&areas, looks, frame);
    if let Some(area) = areas.notice {
        notice(area, looks, frame);
    }
}

/// The line between the sides.
fn between(areas: &CompareAreas, looks: Looks, frame: &mut Frame) {
    let right = areas.sides[1];
    let top = right.image.y;
    for y in top.saturating_sub(1)..right.scores.y + right.scores.height {
        let cell = Area {
            x: right.image.x.saturating_sub(1),
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
    let words = match model.side_image(side).map(|shown| &shown.outcome) {
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
