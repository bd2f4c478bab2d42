//! The nearest reviewed images, as small images with label, cosine and name.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::rules::{row, title};
use super::theme::Looks;
use super::{Painter, grid, notice, rect};
use crate::app::Model;
use crate::app::neighbours::{NeighbourTile, NeighbourView};
use crate::app::text::{cut, cut_end, pad, safe, safe_str, width};

/// Draws the view.
pub(super) fn draw(
    model: &Model,
    view: &NeighbourView,
    looks: Looks,
    frame: &mut Frame,
    painter: &dyn Painter,
) {
    let body = model.env().body();
    if body.y > 0 && body.height > 0 {
        let more = if view.has_more(model.env()) {
            "▾ more"
        } else {
            ""
        };
        title(body, "Nearest reviewed images", more, true, looks, frame);
    }
    let area = rect(body, frame);
    for (at, line) in head(view, usize::from(area.width).saturating_sub(2), looks)
        .into_iter()
        .enumerate()
    {
        let text = Rect {
            x: area.x + 1,
            width: area.width.saturating_sub(2),
            ..area
        };
        frame.render_widget(line, row(text.intersection(area), at as u16));
    }
    for tile in view.tiles(model.env()) {
        let words = if tile.neighbour.is_missing {
            "missing"
        } else {
            "…"
        };
        let image = model.neighbour_tile(tile.neighbour);
        grid::picture(image, words, looks, tile.image, frame, painter);
        caption(&tile, looks, frame);
    }
    if let Some(area) = NeighbourView::sheet(model.env()).notice {
        notice(area, looks, frame);
    }
}

/// What the view is about, and what it does not say.
fn head(view: &NeighbourView, columns: usize, looks: Looks) -> [Line<'static>; 2] {
    let images = match view.compared() {
        1 => "1 reviewed image".to_owned(),
        count => format!("{count} reviewed images"),
    };
    let about = format!("of {images}, by cosine with {}", view.subject);
    let meaning = match view.current() {
        Some(own) if own.is_near_copy => "A near-identical copy: it is no evidence of its own.",
        Some(own) if own.is_missing => "The file is missing; the library knows the image.",
        _ => "Each with the label that a person gave it. Similar images need not show the same.",
    };
    [
        Line::styled(cut_end(&about, columns), Looks::text()),
        Line::styled(cut_end(meaning, columns), looks.dim()),
    ]
}

/// Label and cosine, then the name; the cursor is at the left of the whole tile.
fn caption(tile: &NeighbourTile<'_>, looks: Looks, frame: &mut Frame) {
    let area = rect(tile.tile, frame);
    if tile.is_current {
        for y in 0..area.height {
            let edge = Rect { width: 1, ..area };
            frame.render_widget(Span::styled("▌", looks.accent()), row(edge, y));
        }
    }
    let text = Rect {
        x: area.x + 1,
        width: area.width.saturating_sub(2),
        ..area
    }
    .intersection(area);
    let columns = usize::from(text.width);
    let own = tile.neighbour;
    let figure = if own.is_near_copy {
        format!("copy {:.2}", own.similarity)
    } else {
        format!("{:.2}", own.similarity)
    };
    let label = own.label.as_deref().map_or("none".to_owned(), safe_str);
    let room = columns.saturating_sub(width(&figure) + 1);
    let label = pad(&cut_end(&label, room), room);
    let name = own.path.file_name().map_or_else(String::new, safe);
    let style = if tile.is_current {
        Looks::cursor()
    } else {
        Looks::text()
    };
    let lines = [
        Line::from(vec![
            Span::styled(label, style),
            Span::raw(" "),
            Span::styled(figure, looks.accent()),
        ]),
        Line::styled(cut(&name, columns), looks.dim()),
    ];
    let below = area.height.min(lines.len() as u16);
    for (at, line) in lines.into_iter().take(usize::from(below)).enumerate() {
        frame.render_widget(line, row(text, area.height - below + at as u16));
    }
}
