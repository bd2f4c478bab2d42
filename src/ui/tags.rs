//! The tags of a file.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::rect;
use super::rules::{row, title};
use super::theme::Looks;
use crate::app::Model;
use crate::app::keys::Action;
use crate::app::tags::{Fold, TagListing, TagPanel, shown_value};
use crate::app::text::{cut, cut_end, pad, safe, safe_str, width, wrap};
use crate::media::TagRow;

/// Columns of `(0010,0010)` and a blank.
const ID: usize = 12;
/// Columns of `PN` and a blank.
const VR: usize = 3;
/// Columns of indentation a level of nesting.
const INDENT: usize = 2;
/// Shown where a line of a value ends.
const LINE_END: &str = " ↵ ";

/// The columns to the left of the value. Where the screen is narrow, the VR is left out first, then the tag.
struct TagColumns {
    id: bool,
    vr: bool,
    /// Columns of cursor, indentation, fold mark, tag, VR and name together.
    left: usize,
}

impl TagColumns {
    fn new(width: usize) -> Self {
        let (id, vr, left) = match width {
            0..44 => (false, false, width / 2),
            44..64 => (true, false, 32),
            64..100 => (true, true, 44),
            100..150 => (true, true, 56),
            _ => (true, true, 70),
        };
        Self { id, vr, left }
    }
}

/// Draws the panel.
pub(super) fn draw(model: &Model, looks: Looks, frame: &mut Frame) {
    let (Some(tags), Some(areas)) = (model.tags().panel(), model.tags().areas(model.env())) else {
        return;
    };
    if let Some(area) = areas.title {
        let (left, right) = titles(tags);
        title(
            crate::view::Area {
                y: area.y + 1,
                ..area
            },
            &left,
            &right,
            true,
            looks,
            frame,
        );
    }
    let rows = rect(areas.rows, frame);
    match tags.listing() {
        TagListing::Underway => middle(&["reading …"], looks, rows, frame),
        TagListing::Failed(message) => middle(&["no tags", message], looks, rows, frame),
        TagListing::Done(_) if tags.rows().is_empty() => {
            middle(&["This file has no tags."], looks, rows, frame);
        }
        TagListing::Done(_) if tags.place().1 == 0 => {
            middle(&["nothing found"], looks, rows, frame);
        }
        TagListing::Done(_) => tree(model, tags, looks, rows, frame),
    }
    if let Some(area) = areas.value {
        value(model, tags, looks, rect(area, frame), frame);
    }
    if let Some(area) = areas.search {
        search(model, tags, looks, rect(area, frame), frame);
    }
}

fn titles(tags: &TagPanel) -> (String, String) {
    let name = tags.path().file_name().map_or_else(String::new, safe);
    let (cursor, count) = tags.place();
    let place = if count == 0 {
        String::new()
    } else {
        format!("{}/{count}", cursor + 1)
    };
    (format!("Tags · {name}"), place)
}

/// Draws words in the middle.
fn middle(words: &[&str], looks: Looks, area: Rect, frame: &mut Frame) {
    let columns = usize::from(area.width).saturating_sub(4);
    let lines: Vec<String> = words
        .iter()
        .flat_map(|words| wrap(words, columns))
        .collect();
    let top = usize::from(area.height).saturating_sub(lines.len()) / 2;
    for (i, line) in lines.into_iter().enumerate() {
        let line = Line::styled(line, looks.dim()).centered();
        frame.render_widget(line, row(area, (top + i) as u16));
    }
}

fn tree(model: &Model, tags: &TagPanel, looks: Looks, area: Rect, frame: &mut Frame) {
    let columns = TagColumns::new(usize::from(area.width));
    let rows = tags.shown().take(usize::from(area.height));
    for (line, (current, fold, tag)) in rows.enumerate() {
        let spans = spans(
            model,
            tag,
            current,
            fold,
            &columns,
            usize::from(area.width),
            looks,
        );
        frame.render_widget(Line::from(spans), row(area, line as u16));
    }
}

fn spans(
    model: &Model,
    tag: &TagRow,
    current: bool,
    fold: Fold,
    columns: &TagColumns,
    width: usize,
    looks: Looks,
) -> Vec<Span<'static>> {
    let cursor = if current {
        Span::styled("▌", looks.accent())
    } else {
        Span::raw(" ")
    };
    let mark = match fold {
        Fold::Leaf => "  ",
        Fold::Folded => "▸ ",
        Fold::Open => "▾ ",
    };
    // Deep nesting must leave room for the name.
    let indent = (INDENT * usize::from(tag.depth)).min(columns.left / 4);
    let mut left = vec![
        cursor,
        Span::raw(" ".repeat(indent)),
        Span::styled(mark, looks.dim()),
    ];
    let item = tag.id.is_empty();
    if columns.id && !item {
        left.push(Span::styled(pad(&tag.id, ID), looks.dim()));
    }
    if columns.vr && !item {
        left.push(Span::styled(
            pad(&cut_end(&tag.vr, VR - 1), VR),
            looks.dim(),
        ));
    }
    let used: usize = left.iter().map(|span| self::width(&span.content)).sum();
    let room = columns.left.saturating_sub(used + 1);
    let name = tag.title(model.env().show_phi);
    let name = if tag.private {
        format!("⟨{name}⟩")
    } else {
        name.to_owned()
    };
    let name = cut_end(&safe_str(&name), room);
    let blanks = " ".repeat((room + 1).saturating_sub(self::width(&name)));
    left.push(Span::styled(name, name_style(tag, current, looks)));
    left.push(Span::raw(blanks));
    left.extend(value_spans(
        model,
        tag,
        width.saturating_sub(columns.left),
        looks,
    ));
    left
}

fn name_style(tag: &TagRow, current: bool, looks: Looks) -> ratatui::style::Style {
    if current {
        Looks::cursor()
    } else if tag.private || tag.id.is_empty() {
        looks.dim()
    } else {
        Looks::text()
    }
}

/// The value on one line, with its meaning.
fn value_spans(model: &Model, tag: &TagRow, room: usize, looks: Looks) -> Vec<Span<'static>> {
    let value = shown_value(tag, model.env().show_phi);
    let masked = tag.identifying && !model.env().show_phi;
    let value = one_line(value, room);
    let value = cut_end(&value, room);
    let left = room.saturating_sub(width(&value) + 2);
    let style = if masked || tag.described {
        looks.dim()
    } else {
        Looks::text()
    };
    let mut spans = vec![Span::styled(value, style)];
    if !tag.meaning.is_empty() && !masked && left > 8 {
        let meaning = cut_end(&safe_str(&tag.meaning), left);
        spans.push(Span::styled(format!("  {meaning}"), looks.dim()));
    }
    spans
}

/// The lines of a value in one, not much longer than can be seen.
fn one_line(value: &str, room: usize) -> String {
    let seen: String = value.chars().take(2 * room + 1).collect();
    seen.lines()
        .map(safe_str)
        .collect::<Vec<_>>()
        .join(LINE_END)
}

/// Draws the value under the cursor, as far as it fits, below a line that names it.
fn value(model: &Model, tags: &TagPanel, looks: Looks, area: Rect, frame: &mut Frame) {
    let columns = usize::from(area.width).saturating_sub(2);
    let Some(tag) = tags.current() else {
        return;
    };
    let above = crate::view::Area {
        x: area.x,
        y: area.y,
        width: area.width,
        height: area.height,
    };
    title(above, &safe_str(&tag.name), &tag.id, false, looks, frame);
    let masked = tag.identifying && !model.env().show_phi;
    let value = shown_value(tag, model.env().show_phi);
    let page = usize::from(area.height);
    let seen: String = value.chars().take(columns * (page + 1)).collect();
    let seen = seen.lines().map(safe_str).collect::<Vec<_>>().join("\n");
    let mut lines = wrap(&seen, columns);
    if masked {
        let how = model.env().keymap.key(Action::Patient);
        lines.extend(
            how.map(|key| format!("Masked: may identify the patient. {key} shows such values.")),
        );
    } else if !tag.meaning.is_empty() {
        lines.extend(wrap(&safe_str(&tag.meaning), columns));
    }
    let more = lines.len() > page || seen.len() < value.len();
    let style = if masked { looks.dim() } else { Looks::text() };
    for (i, line) in lines.into_iter().take(page).enumerate() {
        let line = if more && i + 1 == page {
            cut(&format!("{line} …"), columns)
        } else {
            line
        };
        frame.render_widget(Line::styled(format!(" {line}"), style), row(area, i as u16));
    }
}

fn search(model: &Model, tags: &TagPanel, looks: Looks, area: Rect, frame: &mut Frame) {
    let found = match tags.matches(model.env().show_phi) {
        _ if tags.search().trim().is_empty() => String::new(),
        1 => "1 match".to_owned(),
        n => format!("{n} matches"),
    };
    let room = usize::from(area.width).saturating_sub(width(&found) + 4);
    let text = cut(&safe_str(tags.search()), room);
    let caret = if tags.is_typing() { "▏" } else { " " };
    let blanks = room.saturating_sub(width(&text));
    let spans = vec![
        Span::styled(" /", looks.accent()),
        Span::raw(text),
        Span::styled(caret, looks.accent()),
        Span::raw(" ".repeat(blanks)),
        Span::styled(found, looks.dim()),
    ];
    frame.render_widget(Line::from(spans), area);
}
