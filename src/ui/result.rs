//! The result panel.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::bar::bar;
use super::rules::row;
use super::theme::Looks;
use crate::app::Model;
use crate::app::result_panel::{Detail, notice};
use crate::app::text::{cut, cut_end, pad, width};
use crate::app::urgency::UrgencyLevel;

/// Maximum columns of a name beside a bar.
const NAME: usize = 24;
/// Columns of `100.0%`.
const FIGURE: usize = 6;
/// Minimum columns for the name in a headline; a word that leaves fewer is not shown, as the symbol means the same.
const HEAD: usize = 6;

/// Draws the panel: its lines, and below them, always visible, the notice that results are not a diagnosis.
pub(super) fn draw(model: &Model, looks: Looks, area: Rect, frame: &mut Frame) {
    let inner = Rect {
        x: area.x + 1,
        width: area.width.saturating_sub(2),
        ..area
    }
    .intersection(area);
    let columns = usize::from(inner.width);
    let details = model.result_lines(columns);
    let notice = notice(columns, usize::from(area.height));
    let page = usize::from(area.height).saturating_sub(notice.len());
    let first = model
        .result_scroll()
        .min(details.len().saturating_sub(page));
    let names = name_width(&details, columns);
    for (i, detail) in details.iter().skip(first).take(page).enumerate() {
        frame.render_widget(line(detail, names, columns, looks), row(inner, i as u16));
    }
    for (i, text) in notice.into_iter().enumerate() {
        frame.render_widget(
            Line::styled(text, looks.dim()),
            row(inner, (page + i) as u16),
        );
    }
    let edge = Rect {
        x: area.right().saturating_sub(1),
        width: 1,
        ..area
    }
    .intersection(area);
    if first > 0 {
        frame.render_widget(Span::styled("▴", looks.accent()), row(edge, 0));
    }
    if first + page < details.len() && page > 0 {
        frame.render_widget(
            Span::styled("▾", looks.accent()),
            row(edge, (page - 1) as u16),
        );
    }
}

/// Columns for the names beside bars: those of the longest name, as far as bars and figures keep their room.
pub(super) fn name_width(details: &[Detail], columns: usize) -> usize {
    let names = details.iter().filter_map(|detail| match detail {
        Detail::Bar { name, .. } | Detail::Label { name, .. } => Some(width(name)),
        _ => None,
    });
    let longest = names.max().unwrap_or(0).min(NAME).min(columns / 2);
    longest.min(columns.saturating_sub(FIGURE + 2))
}

/// A bar in parts, in the styles of the levels of urgency, the highest first. The parts end at whole cells.
fn parts(bar: &str, shares: [f64; 4], looks: Looks) -> [Span<'static>; 4] {
    let cells: Vec<char> = bar.chars().collect();
    let mut sum = 0.0;
    let ends = shares.map(|share| {
        sum += share;
        (sum * cells.len() as f64).round() as usize
    });
    // The rest of the bar is empty.
    let bounds = [0, ends[0], ends[1], ends[2], cells.len()];
    [0, 1, 2, 3].map(|part| {
        let end = bounds[part + 1].min(cells.len());
        let text: String = cells[bounds[part].min(end)..end].iter().collect();
        Span::styled(text, looks.urgency(UrgencyLevel::ALL[part]).0)
    })
}

pub(super) fn line(detail: &Detail, names: usize, columns: usize, looks: Looks) -> Line<'static> {
    match detail {
        Detail::Headline(status, text, word) => {
            let style = looks.status(*status);
            let symbol = if status.is_some() {
                format!("{} ", Looks::symbol(*status))
            } else {
                String::new()
            };
            let room = columns.saturating_sub(width(&symbol) + width(word) + 2);
            let word = if word.is_empty() || room < HEAD.min(width(text)) {
                String::new()
            } else {
                format!("  {word}")
            };
            let text = cut_end(text, columns.saturating_sub(width(&symbol) + width(&word)));
            let text = Span::styled(text, Looks::strong());
            Line::from(vec![
                Span::styled(symbol, style),
                text,
                Span::styled(word, style),
            ])
        }
        Detail::Text(text) => Line::styled(text.clone(), Looks::text()),
        Detail::Aside(text) => Line::styled(text.clone(), looks.dim()),
        Detail::Warning(text) => Line::styled(text.clone(), looks.doubt()),
        Detail::Bar {
            name,
            share,
            figure,
        } => {
            let gap = if names > 0 { " " } else { "" };
            let room = columns.saturating_sub(names + gap.len() + 1 + FIGURE);
            let style = if share.is_some() {
                looks.plain_blue()
            } else {
                looks.dim()
            };
            Line::from(vec![
                Span::raw(pad(name, names)),
                Span::styled(format!("{gap}{} ", bar(*share, room)), style),
                Span::raw(format!("{figure:>FIGURE$}")),
            ])
        }
        Detail::Label {
            name,
            shares,
            count,
            level,
        } => {
            let gap = if names > 0 { " " } else { "" };
            let room = columns.saturating_sub(names + gap.len() + 1 + FIGURE);
            let drawn = bar(Some(shares.iter().sum()), room);
            let mut spans = vec![Span::raw(format!("{}{gap}", pad(name, names)))];
            spans.extend(parts(&drawn, *shares, looks));
            let (style, mark) = looks.urgency(*level);
            spans.push(Span::styled(format!("{count:>FIGURE$}{mark}"), style));
            Line::from(spans)
        }
        Detail::Fact(name, value) => {
            let label = format!("{name:<10}");
            let value = cut(value, columns.saturating_sub(width(&label)));
            Line::from(vec![Span::styled(label, looks.dim()), Span::raw(value)])
        }
        Detail::Gap => Line::default(),
    }
}
