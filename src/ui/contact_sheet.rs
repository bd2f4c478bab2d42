//! The contact sheet of a folder or study: small images with what makes them worth looking at.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::rules::row;
use super::theme::Looks;
use super::{Painter, grid, rect};
use crate::app::results::reviews::label_shown;
use crate::app::results::{FileState, accepted};
use crate::app::text::{cut, cut_end, safe, width};
use crate::app::urgency::UrgencyLevel;
use crate::app::{FoundFile, Model};
use crate::scoring::whole_percent;

/// Minimum columns of a label beside its number.
const MIN_LABEL: usize = 4;

/// Draws the images and their captions.
pub(super) fn draw(model: &Model, looks: Looks, frame: &mut Frame, painter: &dyn Painter) {
    for (file, tile, image) in model.contact_sheet().tiles() {
        grid::picture(model.contact_tile(file), "…", looks, image, frame, painter);
        let tile = rect(tile, frame);
        let last = row(tile, tile.height.saturating_sub(1));
        let text = Rect {
            x: last.x + 1,
            width: last.width.saturating_sub(2),
            ..last
        };
        let words = caption(model, file, usize::from(text.width), looks);
        frame.render_widget(words, text.intersection(tile));
    }
}

/// The label and the urgency by which images are ordered; without a result, the name.
fn caption(model: &Model, file: &FoundFile, columns: usize, looks: Looks) -> Line<'static> {
    let state = model.results().get(&file.path);
    let status = state.map(FileState::status);
    let mut spans = Vec::new();
    if status.is_some() {
        spans.push(Span::styled(Looks::symbol(status), looks.status(status)));
        spans.push(Span::raw(" "));
    }
    let room = columns.saturating_sub(spans.len());
    let record = state.and_then(accepted);
    let Some(record) = record.filter(|_| model.contact_sheet().is_ranked()) else {
        let name = file.path.file_name().map_or_else(String::new, safe);
        spans.push(Span::styled(cut(&name, room), looks.dim()));
        return Line::from(spans);
    };
    let urgency = record.verdict.urgency;
    let (style, mark) = looks.urgency(UrgencyLevel::of(urgency));
    let figure = urgency.map_or_else(|| "–".to_owned(), whole_percent) + mark;
    let beside = room.saturating_sub(width(&figure) + 1);
    let label = if beside < MIN_LABEL {
        String::new()
    } else {
        cut_end(&label_shown(record), beside)
    };
    let blanks = room.saturating_sub(width(&label) + width(&figure));
    spans.push(Span::raw(format!("{label}{}", " ".repeat(blanks))));
    spans.push(Span::styled(figure, style));
    Line::from(spans)
}
