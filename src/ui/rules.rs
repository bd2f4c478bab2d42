//! Titles and the lines between panels.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::rect;
use super::theme::Looks;
use crate::app::browser::folder::RowKind;
use crate::app::sort::Sort;
use crate::app::text::{cut, cut_end, safe, safe_str, width};
use crate::app::{EntryKind, Model, Preview};
use crate::media::FileFormat;
use crate::view::Area;
use crate::view::panels::{Panel, Panels};

/// Draws the titles and lines of all panels.
pub(super) fn draw(model: &Model, panels: &Panels, looks: Looks, frame: &mut Frame) {
    let all = [
        (Panel::List, panels.list),
        (Panel::Preview, panels.preview),
        (Panel::Result, panels.result),
    ];
    for (panel, area) in all {
        let Some(area) = area else { continue };
        if panels.titled {
            let (left, right) = match panel {
                Panel::List => list_title(model, usize::from(area.width)),
                Panel::Preview => preview_title(model, usize::from(area.width)),
                Panel::Result => (result_title(model, panels), String::new()),
            };
            title(
                area,
                &left,
                &right,
                model.screen().focus() == panel,
                looks,
                frame,
            );
        }
        if area.x > 0 {
            separator(area, panels.titled, looks, frame);
        }
    }
}

/// `─ left ─────── right ─` in the row above an area.
pub(super) fn title(
    area: Area,
    left: &str,
    right: &str,
    focused: bool,
    looks: Looks,
    frame: &mut Frame,
) {
    let row = rect(
        Area {
            y: area.y - 1,
            height: 1,
            ..area
        },
        frame,
    );
    let room = usize::from(row.width).saturating_sub(4);
    let right = if fits_beside_name(right, room) {
        right
    } else {
        ""
    };
    let taken = if right.is_empty() {
        0
    } else {
        width(right) + 3
    };
    let left = cut(left, room.saturating_sub(taken));
    if left.is_empty() {
        let line = "─".repeat(usize::from(row.width));
        return frame.render_widget(Span::styled(line, looks.line()), row);
    }
    let name = if focused {
        looks.accent()
    } else {
        Looks::strong()
    };
    let fill = usize::from(row.width).saturating_sub(width(&left) + 3 + taken);
    let mut spans = vec![
        Span::styled("─ ", looks.line()),
        Span::styled(left, name),
        Span::raw(" "),
    ];
    spans.push(Span::styled("─".repeat(fill), looks.line()));
    if taken > 0 {
        spans.extend([
            Span::raw(" "),
            Span::styled(right.to_owned(), looks.dim()),
            Span::styled(" ─", looks.line()),
        ]);
    }
    frame.render_widget(Line::from(spans), row);
}

/// Whether the text on the right of a title leaves some room for the name.
fn fits_beside_name(right: &str, room: usize) -> bool {
    width(right) + 11 <= room
}

/// Draws the line to the left of an area; at its top it joins the titles.
fn separator(area: Area, titled: bool, looks: Looks, frame: &mut Frame) {
    let top = area.y - u16::from(titled);
    for y in top..area.y + area.height {
        let symbol = match (titled && y == top, y) {
            (true, 0) => "┬",
            (true, _) => "├",
            (false, _) => "│",
        };
        let cell = rect(
            Area {
                x: area.x - 1,
                y,
                width: 1,
                height: 1,
            },
            frame,
        );
        frame.render_widget(Span::styled(symbol, looks.line()), cell);
    }
}

/// Longest part shown of a query by which the list is ranked, in columns.
const MAX_QUERY: usize = 20;

/// The place, the order and with it the number shown, how many files are marked, the filter and how many rows it hides. Where there is no room for all, the
/// filter is left out first, and the number of hidden rows last.
fn list_title(model: &Model, columns: usize) -> (String, String) {
    let folder = model.folder();
    let look = folder.options();
    let is_filtered = !look.filter.is_empty();
    let filter = is_filtered.then(|| format!("“{}”", safe_str(look.filter.text())));
    let hidden = is_filtered.then(|| {
        let hidden = folder.unfiltered_count().saturating_sub(folder.len());
        format!("{hidden} hidden")
    });
    let marked = model.browser().marked_count();
    let marked = (marked > 0).then(|| format!("{marked} marked"));
    let found = folder.similarity_order();
    let is_sorted = look.sort != Sort::default() && !model.studies().fixes_order(folder);
    let arrow = if look.sort.reversed { "↑" } else { "↓" };
    let order = match found {
        Some(query) => Some(format!("↓ like “{}”", cut_end(&safe_str(query), MAX_QUERY))),
        None => is_sorted.then(|| format!("{arrow} {}", look.sort.by.name())),
    };
    let place = format!("{}/{}", folder.cursor() + 1, folder.len());
    let place = (!folder.is_empty()).then_some(place);
    let variants = [
        vec![&filter, &hidden, &marked, &order, &place],
        vec![&hidden, &marked, &order, &place],
        vec![&hidden, &marked, &order],
        vec![&hidden, &marked, &place],
        vec![&hidden, &marked],
        vec![&hidden],
    ];
    let room = columns.saturating_sub(4);
    let right = variants.into_iter().find_map(|parts| {
        let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        Some(parts.join("  ")).filter(|right| fits_beside_name(right, room))
    });
    let left = if folder.is_worklist() {
        format!("{} › worklist", model.env().show_path(folder.dir()))
    } else {
        model.studies().title(folder, model.env())
    };
    (left, right.unwrap_or_default())
}

/// The title of the image; while the one under the cursor is not there yet, it says so.
fn preview_title(model: &Model, columns: usize) -> (String, String) {
    let current = model.folder().current();
    let name = model
        .studies()
        .image_title(model.folder(), model.env())
        .unwrap_or_else(|| current.map_or_else(String::new, |row| row.shown.clone()));
    let Some(shown) = model.viewer().shown() else {
        let folder = current
            .is_some_and(|row| row.kind == EntryKind::Folder && row.represents == RowKind::Entry);
        let name = if folder { format!("{name}/") } else { name };
        let room = columns.saturating_sub(4);
        let titles = [false, true].map(|short| model.contact_sheet().title(short));
        let right = titles
            .into_iter()
            .find(|title| fits_beside_name(title, room));
        return (name, right.unwrap_or_default());
    };
    if model
        .file_in_sight()
        .is_some_and(|file| file.path != shown.key.path)
    {
        let old = shown.key.path.file_name().map_or_else(String::new, safe);
        return (format!("{old} → {name} …"), String::new());
    }
    (
        name,
        shown
            .outcome
            .as_ref()
            .map_or_else(|_| String::new(), |preview| about(preview, shown.key.frame)),
    )
}

fn about(preview: &Preview, frame: u32) -> String {
    let info = &preview.info;
    let modality = info
        .dicom
        .as_ref()
        .and_then(|dicom| dicom.modality.as_deref());
    let kind = match (info.kind, modality) {
        (FileFormat::Jpeg, _) => "JPEG".to_owned(),
        (FileFormat::Png, _) => "PNG".to_owned(),
        (FileFormat::Dicom, Some(modality)) => cut_end(&safe_str(modality), 16),
        (FileFormat::Dicom, None) => "DICOM".to_owned(),
    };
    let frames = if info.frames > 1 {
        format!(" {}/{}", frame + 1, info.frames)
    } else {
        String::new()
    };
    format!("{kind} {} × {}{frames}", info.width, info.height)
}

/// The file's name where no other panel shows it.
fn result_title(model: &Model, panels: &Panels) -> String {
    match model.folder().current() {
        Some(row) if panels.preview.is_none() => row.shown.clone(),
        _ => "Result".to_owned(),
    }
}

/// The row at `at` of an area; empty beyond its end.
pub(super) fn row(area: Rect, at: u16) -> Rect {
    Rect {
        y: area.y.saturating_add(at),
        height: 1,
        ..area
    }
    .intersection(area)
}
