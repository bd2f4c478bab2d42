//! The popup, above everything else.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear};

use super::rules::row;
use super::theme::Looks;
use crate::app::Model;
use crate::app::keys::HelpLine;
use crate::app::popup::{Popup, PopupLine, content_rows};
use crate::app::text::{cut_end, width};

/// Maximum columns for the keys in the help.
const KEYS: usize = 13;

/// Draws the popup in the middle.
pub(super) fn draw(model: &Model, popup: &Popup, looks: Looks, frame: &mut Frame) {
    let screen = frame.area();
    let lines = model.popup_lines(popup);
    let rows = (lines.len() as u16).min(content_rows(screen.height));
    let page = usize::from(rows);
    let first = model
        .popups()
        .scroll()
        .min(lines.len().saturating_sub(page));
    let inside = open(
        popup.title(),
        (popup.content_width(screen.width), rows),
        first + page < lines.len(),
        looks,
        frame,
    );
    for (i, text) in lines.iter().skip(first).take(page).enumerate() {
        frame.render_widget(
            line(text, usize::from(inside.width), looks),
            row(inside, i as u16),
        );
    }
}

/// Draws an empty frame in the middle with room for so many columns and rows of text, and returns the area of that. `more`: there is text
/// below.
pub(super) fn open(
    title: &str,
    (columns, rows): (u16, u16),
    more: bool,
    looks: Looks,
    frame: &mut Frame,
) -> Rect {
    let screen = frame.area();
    let (outer_width, outer_height) = (columns + 4, rows + 2);
    let outer = Rect {
        x: screen.width.saturating_sub(outer_width) / 2,
        y: screen.height.saturating_sub(outer_height) / 2,
        width: outer_width,
        height: outer_height,
    }
    .intersection(screen);
    let mut block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(looks.line());
    block = block.title(Span::styled(format!(" {title} "), looks.accent()));
    if more {
        block = block.title_bottom(Line::styled(" ▾ more ", looks.accent()).right_aligned());
    }
    frame.render_widget(Clear, outer);
    let inside = block.inner(outer);
    frame.render_widget(block, outer);
    Rect {
        x: inside.x + 1,
        width: inside.width.saturating_sub(2),
        ..inside
    }
    .intersection(inside)
}

fn line(text: &PopupLine, columns: usize, looks: Looks) -> Line<'static> {
    match text {
        PopupLine::Subject(text) => Line::styled(text.clone(), Looks::strong()),
        PopupLine::Kind(text) => Line::styled(format!("✗ {text}"), looks.wrong()),
        PopupLine::Text(text) => Line::styled(text.clone(), Looks::text()),
        PopupLine::Aside(text) => Line::styled(text.clone(), looks.dim()),
        PopupLine::Choice(current, key, what, on) => {
            let style = if *current {
                Looks::cursor()
            } else {
                Looks::text()
            };
            let on = match on {
                Some(true) => "  ✓ on",
                Some(false) => "  off",
                None => "",
            };
            // The description takes precedence; a cut word would say nothing.
            let room = columns.saturating_sub(3);
            let on = if width(what) + width(on) > room {
                ""
            } else {
                on
            };
            Line::from(vec![
                Span::styled(format!("{key}  "), looks.accent()),
                Span::styled(cut_end(what, room), style),
                Span::styled(on, looks.dim()),
            ])
        }
        PopupLine::Pick {
            chosen,
            current,
            name,
            beside,
        } => {
            let cursor = if *chosen { "▌" } else { " " };
            let mark = if *current { "● " } else { "  " };
            // The name takes precedence.
            let beside = if columns < width(beside) + width(name) + 4 {
                ""
            } else {
                beside
            };
            let name = cut_end(name, columns.saturating_sub(width(beside) + 3));
            let blanks = columns.saturating_sub(3 + width(&name) + width(beside));
            let style = if *chosen {
                Looks::cursor()
            } else {
                Looks::text()
            };
            Line::from(vec![
                Span::styled(cursor, looks.accent()),
                Span::styled(mark, looks.accent()),
                Span::styled(name, style),
                Span::raw(" ".repeat(blanks)),
                Span::styled(beside.to_owned(), looks.dim()),
            ])
        }
        PopupLine::Help(cells) => {
            let room = columns / cells.len().max(1);
            Line::from(
                cells
                    .iter()
                    .flat_map(|cell| help(cell, room, looks))
                    .collect::<Vec<_>>(),
            )
        }
    }
}

/// A cell of the help in exactly `columns`: keys, then what they do.
fn help(cell: &HelpLine, columns: usize, looks: Looks) -> Vec<Span<'static>> {
    let fill = |used: usize| Span::raw(" ".repeat(columns.saturating_sub(used)));
    match cell {
        HelpLine::Gap => vec![fill(0)],
        HelpLine::Heading(heading) => {
            vec![
                Span::styled(*heading, Looks::strong()),
                fill(width(heading)),
            ]
        }
        HelpLine::Binding(keys, what) => {
            let room = KEYS.min(columns / 3 + 1);
            let keys = as_many_as_fit(keys, room);
            let blanks = " ".repeat(room - width(&keys) + 1);
            let what = cut_end(what, columns.saturating_sub(room + 1));
            let used = room + 1 + width(&what);
            vec![
                Span::styled(keys, looks.accent()),
                Span::raw(blanks),
                Span::raw(what),
                fill(used),
            ]
        }
    }
}

/// The first key, and as many others as fit.
fn as_many_as_fit(keys: &[String], columns: usize) -> String {
    let mut text = String::new();
    for key in keys {
        if text.is_empty() {
            text = cut_end(key, columns);
        } else if width(&text) + 1 + width(key) <= columns {
            text = format!("{text} {key}");
        }
    }
    text
}
