//! The activity view: engine, throughput, and the log with the newest entry first.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Sparkline;

use super::rect;
use super::rules::{row, title};
use super::status::engine_words;
use super::theme::Looks;
use crate::app::activity::{ActivityView, Incident, LogEntry, SPAN};
use crate::app::popup::kind_word;
use crate::app::result_panel::{notice, sentence};
use crate::app::results::FileStatus;
use crate::app::text::{cut, cut_end, pad, safe, wrap};
use crate::app::{Model, Severity};
use crate::scoring::percent;
use crate::view::activity_areas;

/// Width of an age.
const AGE: usize = 6;

/// Draws the view.
pub(super) fn draw(model: &Model, view: ActivityView, looks: Looks, frame: &mut Frame) {
    let areas = activity_areas(model.env().body());
    let log = model.activity();
    let head = rect(areas.head, frame);
    if areas.head.y > 0 && areas.head.height > 0 {
        title(areas.head, "Activity", "", true, looks, frame);
    }
    let columns = usize::from(inner(head).width);
    let lines = [engine_words(model, columns, looks), counts(model, columns)];
    for (i, line) in lines.into_iter().enumerate() {
        frame.render_widget(line, row(inner(head), i as u16));
    }
    if let Some(area) = areas.throughput {
        let counts = log.throughput(usize::from(area.width));
        let most = counts.iter().max().copied().unwrap_or_default();
        let seconds = SPAN.as_secs();
        let right = format!("most in {seconds} s: {most}");
        title(area, "Throughput", &right, false, looks, frame);
        let mut bars = vec![0; usize::from(area.width) - counts.len()];
        bars.extend(counts);
        let sparkline = Sparkline::default().data(bars).style(looks.plain_blue());
        frame.render_widget(sparkline, rect(area, frame));
    }
    let at = log.cursor(view);
    if areas.titled {
        let right = if log.len() == 0 {
            String::new()
        } else {
            format!("{}/{}", at + 1, log.len())
        };
        title(areas.log, "Newest first", &right, false, looks, frame);
    }
    let area = rect(areas.log, frame);
    let rows = log.newest_first().enumerate().skip(view.top());
    for (i, (n, entry)) in rows.take(usize::from(area.height)).enumerate() {
        let columns = usize::from(area.width);
        frame.render_widget(
            entry_line(model, entry, n == at, columns, looks),
            row(area, i as u16),
        );
    }
    if let Some(area) = areas.message {
        let area = inner(rect(area, frame));
        for (i, words) in in_full(log.current(view), area).into_iter().enumerate() {
            frame.render_widget(Line::styled(words, looks.dim()), row(area, i as u16));
        }
    }
    if let Some(area) = areas.notice {
        let area = rect(area, frame);
        let words = notice(usize::from(area.width), 3).into_iter().next();
        let words = Line::styled(words.unwrap_or_default(), looks.dim());
        frame.render_widget(words.centered(), area);
    }
}

/// The area without its first and last column.
fn inner(area: Rect) -> Rect {
    Rect {
        x: area.x + 1,
        width: area.width.saturating_sub(2),
        ..area
    }
    .intersection(area)
}

fn counts(model: &Model, columns: usize) -> Line<'static> {
    let counts = model.activity().counts();
    let words = format!(
        "{} arrived, {} classified, {} failed, {} queued",
        counts.arrived,
        counts.classified,
        model.results().count(FileStatus::Failed),
        model.results().queued_count()
    );
    Line::raw(cut_end(&words, columns))
}

/// The message of an entry in full.
fn in_full(entry: Option<&LogEntry>, area: Rect) -> Vec<String> {
    let words = match entry.map(|entry| &entry.what) {
        Some(Incident::Failed { message, .. }) => sentence(message),
        Some(Incident::Said(_, words)) => sentence(words),
        _ => String::new(),
    };
    let mut lines = wrap(&words, usize::from(area.width));
    lines.truncate(usize::from(area.height));
    lines
}

/// A line of the log: age, file, what happened.
fn entry_line(
    model: &Model,
    entry: &LogEntry,
    current: bool,
    columns: usize,
    looks: Looks,
) -> Line<'static> {
    let cursor = if current {
        Span::styled("▌", looks.accent())
    } else {
        Span::raw(" ")
    };
    let age = entry
        .at
        .map_or_else(String::new, |at| age(model.now().saturating_sub(at)));
    let age = Span::styled(format!("{age:>AGE$} "), looks.dim());
    let (symbol, style, words) = about(&entry.what, looks);
    let mut spans = vec![cursor, age, Span::styled(format!("{symbol} "), style)];
    let room = columns.saturating_sub(AGE + 4);
    let name = entry.what.path().map(|path| {
        let relative = path.strip_prefix(&model.env().root).unwrap_or(path);
        safe(relative.as_os_str())
    });
    let name_style = if current {
        Looks::cursor()
    } else {
        Looks::text()
    };
    let Some(name) = name else {
        spans.push(Span::styled(cut_end(&words, room), name_style));
        return Line::from(spans);
    };
    let width = room / 2;
    let shown = cut(&name, width.saturating_sub(1));
    let blanks = pad("", width - crate::app::text::width(&shown));
    spans.push(Span::styled(shown, name_style));
    spans.push(Span::raw(blanks));
    spans.push(Span::styled(cut_end(&words, room - width), style));
    Line::from(spans)
}

/// Symbol, style and words for what happened.
fn about(what: &Incident, looks: Looks) -> (&'static str, ratatui::style::Style, String) {
    let stands = |status| (Looks::symbol(Some(status)), looks.status(Some(status)));
    match what {
        Incident::Arrived(_) => ("+", looks.accent(), "new".to_owned()),
        Incident::Changed(_) => ("+", looks.accent(), "changed".to_owned()),
        Incident::Removed(_) => ("–", looks.dim(), "removed".to_owned()),
        Incident::Classified {
            label,
            probability,
            status,
            ..
        } => {
            let (symbol, style) = stands(*status);
            let words = match status {
                FileStatus::Rejected => "rejected".to_owned(),
                FileStatus::Uncertain => format!("{label}? {}", percent(*probability)),
                _ => format!("{label} {}", percent(*probability)),
            };
            (symbol, style, words)
        }
        Incident::Failed { kind, message, .. } => {
            let (symbol, style) = stands(FileStatus::Failed);
            (symbol, style, format!("{}: {message}", kind_word(*kind)))
        }
        Incident::Recalled(1) => (" ", looks.dim(), "1 result from the library".to_owned()),
        Incident::Recalled(n) => (" ", looks.dim(), format!("{n} results from the library")),
        Incident::Said(Severity::Error, words) => ("✗", looks.wrong(), words.clone()),
        Incident::Said(Severity::Info, words) => (" ", looks.dim(), words.clone()),
    }
}

/// An age in its largest unit.
fn age(age: Duration) -> String {
    match age.as_secs() {
        0 => "now".to_owned(),
        s @ 1..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min", s / 60),
        s => format!("{} h", s / 3600),
    }
}
