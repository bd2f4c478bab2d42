//! Two files side by side.

use ratatui::Frame;
use ratatui::text::Span;

use super::result::{line, name_width};
use super::rules::{row, title};
use super::theme::Looks;
use super::{Painter, notice, preview, rect};
use crate::app::Model;
use crate::app::compare::Comparison;
use crate::app::text::safe;
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
            let [this, other] = [side, 1 - side].map(|side| comparison.files()[side]);
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
        let shown = (
            comparison.viewer(side),
            Some(comparison.files()[side].as_path()),
        );
        let image = rect(area.image, frame);
        preview::draw_viewer(model, shown, looks, image, frame, painter);
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
    let linked = comparison.is_linked() && comparison.prompt_sets(model.results()).is_none();
    between(&areas, linked, looks, frame);
    if let Some(area) = areas.notice {
        notice(area, looks, frame);
    }
}

/// The line between the sides, with a sign while they are linked.
fn between(areas: &CompareAreas, linked: bool, looks: Looks, frame: &mut Frame) {
    let right = areas.sides[1];
    let top = right.image.y;
    for y in top.saturating_sub(1)..right.scores.y + right.scores.height {
        let cell = Area {
            x: right.image.x.saturating_sub(1),
            y,
            width: 1,
            height: 1,
        };
        let symbol = match (y < top, linked) {
            (true, _) => "┬",
            (false, true) if y == top => "∞",
            (false, _) => "│",
        };
        frame.render_widget(Span::styled(symbol, looks.line()), rect(cell, frame));
    }
}
