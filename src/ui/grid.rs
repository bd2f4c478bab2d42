//! The files as small images, each with its state, label and probability.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::bar::upright_bars;
use super::list::{ListFigure, flag, name_style, nothing};
use super::rules::row;
use super::theme::Looks;
use super::{Painter, notice, preview, rect};
use crate::app::browser::folder::{Row, RowKind};
use crate::app::popup::{failure_words, kind_word};
use crate::app::results::reviews::label_shown;
use crate::app::results::{FileState, FileStatus};
use crate::app::studies::aggregate::Aggregate;
use crate::app::text::{cut, cut_end, safe_str, width};
use crate::app::{EntryKind, Model, Previewed};
use crate::scoring::whole_percent;
use crate::view::Area;

/// Maximum number of conditions whose bars a tile has room for.
const MAX_TILE_BARS: usize = 6;

/// Draws the tiles.
pub(super) fn draw(model: &Model, looks: Looks, frame: &mut Frame, painter: &dyn Painter) {
    if let Some(words) = model.nothing_to_list() {
        return nothing(&words, looks, rect(model.env().body(), frame), frame);
    }
    let sheet = model.grid().sheet(model.env());
    let first = model.grid().first_row(model.env());
    let files = model.folder().rows_from(first).take(sheet.count());
    for (slot, file) in files.enumerate() {
        let current = first + slot == model.folder().cursor();
        let picture = sheet.image(slot);
        inside(model, file, looks, picture, frame, painter);
        caption(model, file, current, looks, sheet.tile(slot), frame);
    }
    if let Some(area) = sheet.notice {
        notice(area, looks, frame);
    }
}

/// Draws the image of a tile, or words instead.
fn inside(
    model: &Model,
    file: &Row,
    looks: Looks,
    area: Area,
    frame: &mut Frame,
    painter: &dyn Painter,
) {
    let words = if model.has_tile(file) {
        "…".to_owned()
    } else {
        about(model, file)
    };
    picture(model.tile(file), &words, looks, area, frame, painter);
}

/// Draws a small image, or why there is none; `words` until it arrives.
pub(super) fn picture(
    tile: Option<&Previewed>,
    words: &str,
    looks: Looks,
    area: Area,
    frame: &mut Frame,
    painter: &dyn Painter,
) {
    let area = rect(area, frame);
    let words = match tile.map(|tile| &tile.outcome) {
        Some(Ok(tile)) => {
            preview::darken(area, looks, frame);
            return preview::paint(&tile.image, area, frame, painter);
        }
        Some(Err(error)) if error.content.is_image() => kind_word(error.kind),
        // The caption says what it is.
        Some(Err(_)) => "",
        None => words,
    };
    let middle = row(area, area.height.saturating_sub(1) / 2);
    let words = cut_end(words, usize::from(area.width));
    frame.render_widget(Line::styled(words, looks.dim()).centered(), middle);
}

/// The words in a tile without an image.
fn about(model: &Model, file: &Row) -> String {
    match (file.kind, file.represents) {
        (_, RowKind::Missing) => "missing".to_owned(),
        (EntryKind::Folder, RowKind::Entry) if model.results().get(&file.path).is_some() => {
            String::new()
        }
        (EntryKind::Folder, RowKind::Entry) => match model.results().tally(&file.path) {
            Some(tally) if tally.pictures == 1 => "1 image".to_owned(),
            Some(tally) if tally.pictures > 1 => format!("{} images", tally.pictures),
            _ => "folder".to_owned(),
        },
        (EntryKind::Folder, _) => match model.studies().members(file, model.folder()).len() {
            1 => "1 file".to_owned(),
            files => format!("{files} files"),
        },
        (EntryKind::File, _) => String::new(),
    }
}

/// Draws name, symbol, label and probability; the cursor is at the left of the whole tile.
fn caption(model: &Model, file: &Row, current: bool, looks: Looks, tile: Area, frame: &mut Frame) {
    let area = rect(tile, frame);
    if current {
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
    let lines = [
        name(model, file, current, columns, looks),
        said(model, file, columns, looks),
    ];
    let below = area.height.min(lines.len() as u16);
    for (i, line) in lines.into_iter().take(usize::from(below)).enumerate() {
        let at = area.height - below + i as u16;
        frame.render_widget(line, row(text, at));
    }
}

fn name(model: &Model, file: &Row, current: bool, columns: usize, looks: Looks) -> Line<'static> {
    let mark = flag(model, file, looks);
    let marked = !mark.content.trim().is_empty();
    let shown = match (file.kind, file.represents) {
        (EntryKind::Folder, RowKind::Entry) => format!("{}/", file.shown),
        (_, RowKind::Entry) => file.shown.clone(),
        _ => file.shown.trim_start_matches(['▾', '▸', ' ']).to_owned(),
    };
    let shown = cut(&shown, columns.saturating_sub(usize::from(marked)));
    let name = Span::styled(shown, name_style(model, file, current, looks));
    if marked {
        Line::from(vec![mark, name])
    } else {
        Line::from(name)
    }
}

/// Symbol, label and number, as in the list.
fn said(model: &Model, file: &Row, columns: usize, looks: Looks) -> Line<'static> {
    let state = model.results().get(&file.path);
    let status = state.map(FileState::status);
    let (words, figure) = match (state, state.and_then(FileState::record)) {
        _ if file.represents != RowKind::Entry && file.kind == EntryKind::Folder => {
            let sum = Aggregate::of(
                model.studies().members(file, model.folder()),
                model.results(),
            );
            match sum.leading().filter(|_| sum.queued == 0) {
                Some((label, mean)) => (safe_str(label), format!("⌀{}", whole_percent(mean))),
                None => (String::new(), String::new()),
            }
        }
        (Some(_), Some(_)) if status == Some(FileStatus::Rejected) => {
            ("rejected".to_owned(), "–".to_owned())
        }
        (Some(_), Some(record)) => {
            let ListFigure {
                conditions, text, ..
            } = ListFigure::of(model, model.folder().similarity(file), record);
            let figure = match conditions.len() {
                1..=MAX_TILE_BARS => {
                    let bars = upright_bars(conditions.iter().copied(), conditions.len());
                    format!("{bars} {text}")
                }
                _ => text,
            };
            (label_shown(record), figure)
        }
        (Some(FileState::Failed(failure)), _) => {
            let words = failure_words(failure.kind, failure.content);
            (words.to_owned(), String::new())
        }
        (Some(FileState::Queued), _) => ("queued".to_owned(), String::new()),
        _ => (String::new(), String::new()),
    };
    let symbol = Looks::symbol(status);
    let left = if status.is_some() { 2 } else { 0 };
    let room = columns.saturating_sub(left + width(&figure) + usize::from(!figure.is_empty()));
    let words = match status {
        // As in the list.
        Some(FileStatus::Uncertain) if width(&words) < room => format!("{words}?"),
        _ => cut_end(&words, room),
    };
    let blanks = columns.saturating_sub(left + width(&words) + width(&figure));
    let mark = if left > 0 {
        format!("{symbol} ")
    } else {
        String::new()
    };
    let style = match status {
        Some(FileStatus::Confident | FileStatus::Uncertain) | None => Looks::text(),
        _ => looks.status(status),
    };
    Line::from(vec![
        Span::styled(mark, looks.status(status)),
        Span::styled(words, style),
        Span::raw(" ".repeat(blanks)),
        Span::styled(figure, style),
    ])
}
