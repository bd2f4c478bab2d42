//! The image, and what is written around it.

use std::path::Path;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;

use super::rules::row;
use super::theme::Looks;
use super::{Painter, contact_sheet, histogram, rect};
use crate::app::text::{cut_end, safe, safe_str, width, wrap};
use crate::app::viewer::Viewer;
use crate::app::viewer::corners::Corners;
use crate::app::{EncodedImage, Model, Preview, PreviewKey, RelatedContent};
use crate::view::Area;
use crate::view::placement::{self, Inset};

/// Separates facts.
const BETWEEN: &str = "  ";
/// Columns between the corners of a row, for the letter there.
const CORNER_GAP: u16 = 6;

/// Draws the image of the file under the cursor, or says why there is none.
pub(super) fn draw(
    model: &Model,
    looks: Looks,
    area: Rect,
    frame: &mut Frame,
    painter: &dyn Painter,
) {
    if !model.contact_sheet().is_empty() {
        return contact_sheet::draw(model, looks, frame, painter);
    }
    let file = model.file_in_sight();
    let path = file.as_ref().map(|file| file.path.as_path());
    draw_viewer(model, (model.viewer(), path), looks, area, frame, painter);
}

/// Draws what a viewer shows, or says why it shows nothing of the file at `path`.
pub(super) fn draw_viewer(
    model: &Model,
    (viewer, path): (&Viewer, Option<&Path>),
    looks: Looks,
    area: Rect,
    frame: &mut Frame,
    painter: &dyn Painter,
) {
    let shown = viewer.shown();
    let has_image = shown.is_some_and(|shown| shown.outcome.is_ok());
    let looks = if has_image || viewer.wants_preview() {
        darken(area, looks, frame)
    } else {
        looks
    };
    match shown.map(|shown| (&shown.key, &shown.outcome)) {
        Some((key, Ok(preview))) => {
            seen(model, viewer, key, preview, looks, area, frame, painter);
        }
        Some((key, Err(error))) if path == Some(key.path.as_path()) => {
            let paragraphs = [("no preview", false), (&*safe_str(&error.message), true)];
            say(&paragraphs, looks, area, frame);
        }
        None if viewer.wants_preview() => say(&[("loading …", true)], looks, area, frame),
        Some((_, Err(_))) | None => {}
    }
}

/// Draws an image with everything around it. Half blocks of another size may stay for a moment after a resize; they are
/// drawn where they fit, without the rest.
#[allow(clippy::too_many_arguments, reason = "what is drawn, how, and where")]
fn seen(
    model: &Model,
    viewer: &Viewer,
    key: &PreviewKey,
    preview: &Preview,
    looks: Looks,
    area: Rect,
    frame: &mut Frame,
    painter: &dyn Painter,
) {
    if (area.width, area.height) != (key.cols, key.rows) {
        return paint(&preview.image, area, frame, painter);
    }
    let letters = preview.scene.letters();
    let area = Area {
        x: area.x,
        y: area.y,
        width: area.width,
        height: area.height,
    };
    let inset = placement::inset(area, key.marks.around(&preview.scene));
    paint(&preview.image, rect(inset.picture, frame), frame, painter);
    if key.is_cells() {
        labels(preview, rect(inset.picture, frame), frame);
    }
    if let Some(area) = inset.legend {
        legend(model, &preview.scene.about, looks, rect(area, frame), frame);
    }
    if let Some(letters) = letters {
        let sides = [letters.left, letters.right, letters.top, letters.bottom];
        sides_of(key, sides, &inset, looks, frame);
    }
    if let Some(corners) = model.corners(viewer, key, preview) {
        corner_texts(&corners, &inset, looks, frame);
    }
    if let Some(area) = inset.facts {
        let facts = model.facts(viewer, key, preview);
        let line = as_many_as_fit(&facts, usize::from(area.width));
        frame.render_widget(
            Line::styled(line, looks.dim()).centered(),
            rect(area, frame),
        );
    }
    if let (Some(area), Some(counts)) = (inset.histogram, &preview.scene.histogram) {
        histogram::draw(counts, &preview.scene, looks, rect(area, frame), frame);
    }
}

/// Draws the texts of related objects over an image made of cells.
fn labels(preview: &Preview, area: Rect, frame: &mut Frame) {
    let (cols, rows) = preview.image.size();
    let picture = centered(area, cols, rows);
    for label in &preview.scene.about.labels {
        let share = |share: f64, length: u16| (share * f64::from(length)) as u16;
        let left = picture.x + share(label.at.0, cols);
        let top = picture.y + share(label.at.1, rows);
        for (y, line) in (top..picture.bottom()).zip(&label.lines) {
            let room = picture.right().saturating_sub(left);
            let text = cut_end(&safe_str(line), usize::from(room));
            let place = Rect::new(left, y, room.min(width(&text) as u16), 1);
            frame.render_widget(Clear, place.intersection(frame.area()));
            frame.render_widget(
                Line::styled(text, Looks::strong()),
                place.intersection(frame.area()),
            );
        }
    }
}

/// Draws the legend of the colours over an image, as far as it fits; without any, why nothing is drawn.
fn legend(model: &Model, about: &RelatedContent, looks: Looks, area: Rect, frame: &mut Frame) {
    let columns = usize::from(area.width);
    let mut spans = Vec::new();
    let mut used = 0;
    for (at, entry) in about.legend.iter().enumerate() {
        let words = model.legend_words(entry);
        let more = format!("+{}", about.legend.len() - at);
        let last = at + 1 == about.legend.len();
        let reserve = if last {
            0
        } else {
            width(BETWEEN) + width(&more)
        };
        if used + width(&words) + 2 + reserve > columns && at > 0 {
            spans.push(Span::styled(more, looks.dim()));
            break;
        }
        spans.push(Span::styled("■ ", looks.of_picture(entry.color)));
        let words = cut_end(&words, columns.saturating_sub(2));
        used += width(&words) + 2 + width(BETWEEN);
        spans.push(Span::raw(words));
        spans.extend((!last).then(|| Span::raw(BETWEEN)));
    }
    if let (true, Some((path, remark))) = (spans.is_empty(), about.remarks.first()) {
        let name = path.file_name().map_or_else(String::new, safe);
        let text = format!("{name}: {}", safe_str(remark));
        spans.push(Span::styled(cut_end(&text, columns), looks.doubt()));
    }
    frame.render_widget(Line::from(spans).centered(), area);
}

/// Draws the patient directions at the sides.
fn sides_of(key: &PreviewKey, sides: [String; 4], inset: &Inset, looks: Looks, frame: &mut Frame) {
    let [left, right, top, bottom] = key.view.aim.turn.sides(sides);
    // Two letters fit beside the image; the most important come first.
    let shown = |text: String| safe_str(&text).chars().take(2).collect::<String>();
    for (text, area) in [(top, inset.above), (bottom, inset.below)] {
        if let Some(area) = area {
            let line = Line::styled(shown(text), looks.accent()).centered();
            frame.render_widget(line, rect(area, frame));
        }
    }
    let beside = |area: Area| row(rect(area, frame), area.height.saturating_sub(1) / 2);
    let (left_row, right_row) = (inset.left.map(beside), inset.right.map(beside));
    if let Some(area) = left_row {
        frame.render_widget(Line::styled(shown(left), looks.accent()), area);
    }
    if let Some(area) = right_row {
        let line = Line::styled(shown(right), looks.accent()).right_aligned();
        frame.render_widget(line, area);
    }
}

/// Writes the corners beside the letters above and below the image.
fn corner_texts(corners: &Corners, inset: &Inset, looks: Looks, frame: &mut Frame) {
    let rows = [
        (inset.above, &corners.top_left, &corners.top_right),
        (inset.below, &corners.bottom_left, &corners.bottom_right),
    ];
    for (area, left, right) in rows {
        let Some(area) = area else { continue };
        let half = area.width.saturating_sub(CORNER_GAP) / 2;
        let part = |x: u16| {
            rect(
                Area {
                    x,
                    width: half,
                    ..area
                },
                frame,
            )
        };
        let parts = [part(area.x), part(area.x + area.width - half)];
        let [left, right] = [left, right].map(|parts| {
            let safe: Vec<String> = parts.iter().map(|part| safe_str(part)).collect();
            Line::styled(as_many_as_fit(&safe, usize::from(half)), looks.dim())
        });
        frame.render_widget(left, parts[0]);
        frame.render_widget(right.right_aligned(), parts[1]);
    }
}

/// The first fact, and as many others as fit.
fn as_many_as_fit(facts: &[String], columns: usize) -> String {
    let mut line = String::new();
    for fact in facts {
        if line.is_empty() {
            line = cut_end(fact, columns);
        } else if width(&line) + width(BETWEEN) + width(fact) <= columns {
            line = format!("{line}{BETWEEN}{fact}");
        }
    }
    line
}

/// Draws a dark background for images. Returns the looks of text on it.
pub(super) fn darken(area: Rect, looks: Looks, frame: &mut Frame) -> Looks {
    let (looks, ground) = looks.around_images();
    if let Some(ground) = ground {
        frame.buffer_mut().set_style(area, ground);
    }
    looks
}

/// Draws an image in the middle of its area, if it fits.
pub(super) fn paint(image: &EncodedImage, area: Rect, frame: &mut Frame, painter: &dyn Painter) {
    let (cols, rows) = image.size();
    if cols <= area.width && rows <= area.height {
        painter.paint(image, centered(area, cols, rows), frame.buffer_mut());
    }
}

/// An area of `cols` × `rows` cells in the middle of another.
fn centered(area: Rect, cols: u16, rows: u16) -> Rect {
    Rect {
        x: area.x + area.width.saturating_sub(cols) / 2,
        y: area.y + area.height.saturating_sub(rows) / 2,
        width: cols.min(area.width),
        height: rows.min(area.height),
    }
}

/// Draws paragraphs in the middle, each dim or not.
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
