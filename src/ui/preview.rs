//! The picture.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui_image::Image;

use super::rules::row;
use super::theme::Looks;
use crate::app::text::{safe_str, wrap};
use crate::app::{Graphic, Model};

/// Draws the picture, or says why there is none. Under a popup nothing is drawn: a terminal's graphics do not yield to text
/// drawn over them, so cells that lie under a popup must belong to no picture.
pub(super) fn draw(model: &Model, looks: Looks, area: Rect, frame: &mut Frame) {
    match model.shown.as_ref().map(|shown| &shown.outcome) {
        _ if model.popup.is_some() => {}
        Some(Ok(preview)) => picture(&preview.graphic, area, frame),
        Some(Err(error)) if is_current(model) => {
            say(
                &[("no preview", false), (&safe_str(&error.message), true)],
                looks,
                area,
                frame,
            );
        }
        None if model.wanted.is_some() => say(&[("loading …", true)], looks, area, frame),
        Some(Err(_)) | None => {}
    }
}

/// What is shown is about the file under the cursor.
fn is_current(model: &Model) -> bool {
    let current = model.file_in_sight();
    model
        .shown
        .as_ref()
        .zip(current)
        .is_some_and(|(shown, (path, _))| shown.key.path == path)
}

fn picture(graphic: &Graphic, area: Rect, frame: &mut Frame) {
    let (cols, rows) = graphic.size();
    if cols > area.width || rows > area.height {
        return;
    }
    let centred = Rect {
        x: area.x + (area.width - cols) / 2,
        y: area.y + (area.height - rows) / 2,
        width: cols,
        height: rows,
    };
    frame.render_widget(Image::new(graphic.protocol()), centred);
}

/// Paragraphs in the middle, each dim or not.
fn say(paragraphs: &[(&str, bool)], looks: Looks, area: Rect, frame: &mut Frame) {
    let columns = usize::from(area.width).saturating_sub(4);
    let wrapped = |(text, dim): &(&str, bool)| {
        let dim = *dim;
        wrap(text, columns).into_iter().map(move |line| (line, dim))
    };
    let lines: Vec<(String, bool)> = paragraphs.iter().flat_map(wrapped).collect();
    let top = usize::from(area.height).saturating_sub(lines.len()) / 2;
    for (i, (line, dim)) in lines.into_iter().enumerate() {
        let style = if dim { looks.dim() } else { Looks::text() };
        frame.render_widget(
            Line::styled(line, style).centered(),
            row(area, (top + i) as u16),
        );
    }
}
