//! The line being typed: in the last row, or above the palette.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::rules::row;
use super::theme::Looks;
use super::{popup, rect};
use crate::app::Model;
use crate::app::keys::PaletteEntry;
use crate::app::line::{self, Purpose};
use crate::app::popup::{content_rows, content_width};
use crate::app::text::{cut_end, safe_str, width};

/// Minimum columns for the text; a hint that leaves fewer is not shown.
const TYPED: usize = 12;
/// Rows of the palette, including the line.
const PALETTE_ROWS: u16 = 16;

/// Columns for the candidates of a completion.
const CANDIDATES: usize = 40;

/// What may be typed in a query.
const FIND_HINT: &str = "words or image names, + and - between them  ";

/// What names a file, and so its format.
const EXPORT_HINT: &str = ".jsonl, .csv or .parquet  ";

/// Draws the line, with the terminal's cursor in it.
pub(super) fn draw(model: &Model, looks: Looks, frame: &mut Frame) {
    let Some(line) = model.line() else { return };
    match line.purpose() {
        Purpose::Filter => {
            let shown = format!(
                "{} of {}  ",
                model.folder().len(),
                model.folder().unfiltered_count()
            );
            let hint = candidates(line, CANDIDATES).map_or(shown.clone(), |all| shown + &all);
            in_status(model, line, (" filter: ", &hint), looks, frame);
        }
        Purpose::Find | Purpose::Export => {
            let Some(area) = model.panels().status else {
                return;
            };
            let area = rect(area, frame);
            frame.render_widget(ratatui::widgets::Clear, area);
            let (before, hint) = if line.purpose() == Purpose::Find {
                (" find: ", FIND_HINT)
            } else {
                (" export to: ", EXPORT_HINT)
            };
            input(line, before, hint, looks, area, frame);
        }
        Purpose::Palette => palette(model, line, looks, frame),
        Purpose::CopyTo | Purpose::MoveTo => {
            let verb = if line.purpose() == Purpose::CopyTo {
                "copy"
            } else {
                "move"
            };
            let count = model.files_to_transfer().len();
            let files = if count == 1 { "file" } else { "files" };
            let unseen = match model.browser().marked_out_of_sight() {
                0 => String::new(),
                unseen => format!(" ({unseen} not in this list)"),
            };
            let before = format!(" {verb} {count} {files}{unseen} to: ");
            let hint = candidates(line, CANDIDATES).unwrap_or("Tab completes  ".to_owned());
            in_status(model, line, (&before, &hint), looks, frame);
        }
        Purpose::OpenWith => {
            let hint = "less, vim -R {path}, …; & at its end: in the background  ";
            in_status(model, line, (" open with: ", hint), looks, frame);
        }
        Purpose::SaveView => {
            let hint = candidates(line, CANDIDATES).unwrap_or_default();
            in_status(model, line, (" save view as: ", &hint), looks, frame);
        }
        Purpose::View => in_status(model, line, (" view: ", ""), looks, frame),
        Purpose::Bookmark => {
            let words = (" bookmark this folder as (a letter): ", "");
            in_status(model, line, words, looks, frame);
        }
        Purpose::Note => in_status(model, line, (" note: ", ""), looks, frame),
        Purpose::Sample => {
            let words = (" images to draw at random: ", "");
            in_status(model, line, words, looks, frame);
        }
    }
}

/// The candidates of a completion, the one inserted in brackets and always among them; `None` while none are shown.
fn candidates(line: &line::Line, columns: usize) -> Option<String> {
    let (all, inserted) = line.candidates()?;
    let mut text = String::new();
    for (at, candidate) in all.iter().enumerate().skip(inserted.unwrap_or(0)) {
        let name = safe_str(candidate.trim_end());
        let name = if inserted == Some(at) {
            format!("[{name}]  ")
        } else {
            format!("{name}  ")
        };
        if width(&text) + width(&name) > columns && !text.is_empty() {
            text.push_str("…  ");
            break;
        }
        text.push_str(&name);
    }
    Some(text)
}

/// Draws the line instead of the status line, with words before it and a hint at the end.
fn in_status(
    model: &Model,
    typed: &line::Line,
    (before, hint): (&str, &str),
    looks: Looks,
    frame: &mut Frame,
) {
    if let Some(area) = model.panels().status {
        let area = rect(area, frame);
        frame.render_widget(ratatui::widgets::Clear, area);
        input(typed, before, hint, looks, area, frame);
    }
}

fn palette(model: &Model, typed: &line::Line, looks: Looks, frame: &mut Frame) {
    let offers = typed.palette(&model.env().keymap);
    let rows = PALETTE_ROWS.min(content_rows(frame.area().height));
    let page = usize::from(rows.saturating_sub(1));
    let first = (typed.chosen() + 1).saturating_sub(page);
    let size = (content_width(frame.area().width), rows);
    let area = popup::open("Commands", size, first + page < offers.len(), looks, frame);
    let hint = candidates(typed, CANDIDATES).unwrap_or_default();
    input(typed, ": ", &hint, looks, row(area, 0), frame);
    if offers.is_empty() {
        let words = Line::styled("No command has such a name.", looks.dim());
        frame.render_widget(words, row(area, 1));
    }
    for (i, offer) in offers.iter().enumerate().skip(first).take(page) {
        let at = row(area, (i - first) as u16 + 1);
        let line = offered(offer, i == typed.chosen(), usize::from(at.width), looks);
        frame.render_widget(line, at);
    }
}

/// A row of the palette: what an action does, and its key.
fn offered(offer: &PaletteEntry, chosen: bool, columns: usize, looks: Looks) -> Line<'static> {
    let key = offer.key.clone().unwrap_or_default();
    let words = cut_end(&offer.words, columns.saturating_sub(width(&key) + 1));
    let blanks = columns.saturating_sub(width(&words) + width(&key));
    let style = if chosen {
        Looks::cursor()
    } else {
        Looks::text()
    };
    Line::from(vec![
        Span::styled(words, style),
        Span::raw(" ".repeat(blanks)),
        Span::styled(key, looks.accent()),
    ])
}

/// Draws the text with a label before it and a hint at the right end.
fn input(
    typed: &line::Line,
    before: &str,
    hint: &str,
    looks: Looks,
    area: Rect,
    frame: &mut Frame,
) {
    let columns = usize::from(area.width).saturating_sub(width(before) + 1);
    let hint = if columns < width(hint) + TYPED {
        ""
    } else {
        hint
    };
    let room = columns.saturating_sub(width(hint)).max(1);
    let scroll = typed.input().visual_scroll(room);
    let text: String = safe_str(typed.input().value())
        .chars()
        .skip(scroll)
        .collect();
    let text = cut_end(&text, room);
    let blanks = (room + 1).saturating_sub(width(&text));
    let line = Line::from(vec![
        Span::styled(before.to_owned(), looks.accent()),
        Span::raw(text),
        Span::raw(" ".repeat(blanks)),
        Span::styled(hint.to_owned(), looks.dim()),
    ]);
    frame.render_widget(line, area);
    let column = width(before) + typed.input().visual_cursor().saturating_sub(scroll);
    let x = area.x + (column as u16).min(area.width.saturating_sub(1));
    frame.set_cursor_position(Position::new(x, area.y));
}
