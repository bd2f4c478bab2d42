//! The status line: what the program is doing, or a message.

mod hints;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::Clear;

use super::theme::Looks;
use crate::app::prompt_sets::Rescoring;
use crate::app::results::FileStatus;
use crate::app::status::{EngineState, WatchState};
use crate::app::text::{cut_end, width, wrap, wrap_items};
use crate::app::{InputMode, Model, Severity, VolumeProgress};

/// The spinner, shown while something is under way.
const SPINNER: [&str; 8] = ["⣾", "⣽", "⣻", "⢿", "⡿", "⣟", "⣯", "⣷"];
/// The time that each symbol of the spinner is shown.
const TURN_MS: u128 = 120;
/// Shown first while patient values are shown.
const PATIENT: &str = "patient values shown";
/// Stands before the keys of a review.
const REVIEW: &str = "review:";
/// Separates parts.
const BETWEEN: &str = " │ ";
/// Minimum distance between the last part and the hints.
const APART: usize = 2;
/// Maximum rows of a message.
const MESSAGE_ROWS: usize = 4;

/// Draws the line. Where it is narrow, the hints are left out first, then the less important parts. A message that is too long for
/// it takes rows above, too.
pub(super) fn draw(model: &Model, looks: Looks, area: Rect, frame: &mut Frame) {
    let room = usize::from(area.width).saturating_sub(2);
    let notice = patient(model, room, looks);
    let notice_width: usize = notice.iter().map(|span| width(&span.content)).sum();
    let room = room.saturating_sub(notice_width);
    let mut spans = vec![Span::raw(" ")];
    spans.extend(match model.message() {
        _ if model.viewer().is_typing_frame() => frame_input(model, looks),
        Some(report) if report.severity == Severity::Error => {
            vec![Span::styled(
                cut_end(&format!("✗ {}", report.text), room),
                looks.wrong(),
            )]
        }
        _ if model.mode() == InputMode::Review => vec![Span::styled(REVIEW, looks.accent())],
        Some(report) => vec![Span::styled(cut_end(&report.text, room), Looks::text())],
        None => match model.prompt_sets().fault() {
            Some(fault) => vec![Span::styled(
                cut_end(&format!("✗ {fault}"), room),
                looks.wrong(),
            )],
            None => parts(model, room, looks),
        },
    });
    let used: usize = spans.iter().map(|span| width(&span.content)).sum();
    let hints = match model.mode() {
        InputMode::Review => hints::after_leader(model, room.saturating_sub(used + APART)),
        _ => hints::in_mode(model, room.saturating_sub(used + APART)),
    };
    let blanks = (room + 1).saturating_sub(used + width(&hints));
    spans.splice(1..1, notice);
    spans.push(Span::raw(" ".repeat(blanks)));
    spans.push(Span::styled(hints, looks.dim()));
    frame.render_widget(Line::from(spans), area);
    draw_long_message(model, looks, area, frame);
}

/// Draws a message that is longer than the line, over the rows above it.
fn draw_long_message(model: &Model, looks: Looks, status: Rect, frame: &mut Frame) {
    let columns = usize::from(status.width).saturating_sub(2);
    let is_typing = model.viewer().is_typing_frame();
    let Some(message) = model.message().filter(|_| !is_typing && columns > 0) else {
        return;
    };
    let (text, style) = match message.severity {
        Severity::Error => (format!("✗ {}", message.text), looks.wrong()),
        Severity::Info if model.mode() == InputMode::Review => return,
        Severity::Info => (message.text.clone(), Looks::text()),
    };
    let lines = wrap(&text, columns);
    if lines.len() < 2 {
        return;
    }
    let rows = lines.len().min(MESSAGE_ROWS);
    let mut shown = lines[..rows - 1].to_vec();
    shown.push(cut_end(&lines[rows - 1..].join(" "), columns));
    draw_above(shown, style, status.y + 1, status, frame);
}

/// Draws lines so that they end above the row `below`.
fn draw_above(lines: Vec<String>, style: Style, below: u16, status: Rect, frame: &mut Frame) {
    let rows = lines.len() as u16;
    let area = Rect {
        y: below.saturating_sub(rows),
        height: rows.min(below),
        ..status
    };
    frame.render_widget(Clear, area);
    let lines = lines.into_iter().map(|line| Line::raw(format!(" {line}")));
    frame.render_widget(lines.collect::<Text>().style(style), area);
}

/// Draws the names of the conditions with their digits above the status line, where neither that nor the result panel has room for
/// them.
pub(super) fn draw_digits(model: &Model, looks: Looks, status: Rect, frame: &mut Frame) {
    let columns = usize::from(status.width).saturating_sub(2);
    let named = model.digit_names();
    if model.mode() != InputMode::Review
        || width(&named.join("  ")) + width(REVIEW) + APART <= columns
    {
        return;
    }
    let lines = wrap_items(named.into_iter(), columns);
    draw_above(lines, looks.accent(), status.y, status, frame);
}

/// The number of a frame or image as it is typed.
fn frame_input(model: &Model, looks: Looks) -> Vec<Span<'static>> {
    let Some((typed, counted, count)) = model.frame_input() else {
        return Vec::new();
    };
    let mut spans = vec![
        Span::styled(format!("{counted} (1–{count}): "), looks.accent()),
        Span::styled(format!("{typed}▏"), Looks::text()),
    ];
    if model.viewer().has_refused_key() {
        let words = format!("  a number from 1 to {count}");
        spans.push(Span::styled(words, looks.doubt()));
    }
    spans
}

/// A part and its priority: on a narrow line, the parts with the highest numbers are left out first.
type StatusPart = (u8, Span<'static>);

/// The parts for engine, queue and watch that fit.
fn parts(model: &Model, room: usize, looks: Looks) -> Vec<Span<'static>> {
    let mut all = engine(model, looks);
    all.extend(volume(model));
    all.extend(headers(model));
    all.extend(rescoring(model));
    all.extend(model_progress(model));
    all.extend(queue(model));
    all.extend(failures(model, looks));
    all.extend(rejections(model));
    if model.results().is_blind() {
        all.push((0, Span::styled("blind", looks.doubt())));
    }
    all.extend(watch(model, looks).map(|span| (2, span)));
    joined(all, room, looks)
}

/// How much of a volume has been read.
fn volume(model: &Model) -> Option<StatusPart> {
    let VolumeProgress { part, done, all } = model.viewer().volume_progress()?;
    let words = format!("{} reading {} {done}/{all}", spinner(model), part.name());
    Some((0, Span::styled(words, Looks::text())))
}

/// Joins parts with a separator; where there is no room for all, some are left out.
fn joined(mut all: Vec<StatusPart>, room: usize, looks: Looks) -> Vec<Span<'static>> {
    let total = |parts: &[StatusPart]| -> usize {
        let widths: usize = parts.iter().map(|(_, span)| width(&span.content)).sum();
        widths + width(BETWEEN) * parts.len().saturating_sub(1)
    };
    while total(&all) > room {
        let Some(last) = (0..all.len()).max_by_key(|at| all[*at].0) else {
            break;
        };
        all.remove(last);
    }
    let mut spans = Vec::new();
    for (_, span) in all {
        if !spans.is_empty() {
            spans.push(Span::styled(BETWEEN, looks.line()));
        }
        spans.push(span);
    }
    spans
}

/// The state of the engine, as far as it fits.
pub(super) fn engine_words(model: &Model, room: usize, looks: Looks) -> Line<'static> {
    let mut all = engine(model, looks);
    all.extend(queue(model));
    Line::from(joined(all, room, looks))
}

fn engine(model: &Model, looks: Looks) -> Vec<StatusPart> {
    match model.engine() {
        EngineState::Loading => {
            let text = format!("{} loading model", spinner(model));
            vec![(0, Span::styled(text, Looks::text()))]
        }
        EngineState::Failed(_) => vec![(0, Span::styled("✗ no model", looks.wrong()))],
        EngineState::Ready {
            model,
            device,
            prompts,
            ..
        } => vec![
            (0, Span::styled(cut_end(model, 24), Looks::strong())),
            (4, Span::styled(cut_end(device, 12), Looks::text())),
            (5, Span::styled(cut_end(prompts, 24), Looks::text())),
        ],
    }
}

/// The warning that values that identify the patient are shown: it is always visible.
fn patient(model: &Model, room: usize, looks: Looks) -> Vec<Span<'static>> {
    if !model.env().show_phi {
        return Vec::new();
    }
    let words = if room < 2 * PATIENT.len() {
        "⚠"
    } else {
        PATIENT
    };
    vec![
        Span::styled(words, looks.doubt()),
        Span::styled(BETWEEN, looks.line()),
    ]
}

fn headers(model: &Model) -> Option<StatusPart> {
    let (waiting, all) = model.studies().awaited_headers(model.folder())?;
    let text = format!("{} reading headers {}/{all}", spinner(model), all - waiting);
    Some((1, Span::styled(text, Looks::text())))
}

fn rescoring(model: &Model) -> Option<StatusPart> {
    let Rescoring { done, all } = model.prompt_sets().rescoring()?;
    let text = format!("{} rescoring {done}/{all}", spinner(model));
    Some((1, Span::styled(text, Looks::text())))
}

/// The model that is being downloaded, and the one that is being loaded.
fn model_progress(model: &Model) -> Vec<StatusPart> {
    let pull = model.models().pull().map(|pull| {
        let (name, progress) = (pull.name(), pull.progress());
        format!("{} downloading {name}: {progress}", spinner(model))
    });
    let loading = model
        .models()
        .loading()
        .map(|name| format!("{} loading {}", spinner(model), cut_end(&name, 24)));
    let words = pull.into_iter().chain(loading);
    words
        .map(|text| (1, Span::styled(text, Looks::text())))
        .collect()
}

fn queue(model: &Model) -> Vec<StatusPart> {
    let queued = model.results().queued_count();
    if queued == 0 || model.engine().has_failed() {
        return Vec::new();
    }
    let turning = match model.engine() {
        EngineState::Ready { .. } => format!("{} ", spinner(model)),
        _ => String::new(),
    };
    let waiting = format!("{turning}{queued} queued");
    let mut parts = vec![(1, Span::styled(waiting, Looks::text()))];
    if let Some(rate) = model.rate().filter(|rate| rate.is_finite() && *rate > 0.0) {
        let digits = usize::from(rate < 9.95);
        let text = format!("{rate:.digits$} images/s");
        parts.push((3, Span::styled(text, Looks::text())));
    }
    parts
}

/// The number of files that failed, once nothing is queued.
fn failures(model: &Model, looks: Looks) -> Option<StatusPart> {
    let results = model.results();
    let failed = results.count(FileStatus::Failed);
    (failed > 0 && results.queued_count() == 0)
        .then(|| (2, Span::styled(format!("{failed} failed"), looks.wrong())))
}

/// The number of images that were rejected, once nothing is queued, unless the list says so.
fn rejections(model: &Model) -> Option<StatusPart> {
    let results = model.results();
    let rejected = results.count(FileStatus::Rejected);
    let in_list = model.folder().banner().is_some() && matches!(model.view(), InputMode::Panels(_));
    if rejected == 0 || results.queued_count() > 0 || in_list {
        return None;
    }
    let words = format!("{rejected} rejected");
    Some((3, Span::styled(words, Looks::text())))
}

fn watch(model: &Model, looks: Looks) -> Option<Span<'static>> {
    match model.watch() {
        WatchState::Starting => None,
        WatchState::On { .. } if !model.is_below_root() => {
            let words = "outside the watched folder";
            Some(Span::styled(words, Looks::text()))
        }
        WatchState::On { polling: false } => Some(Span::styled("watching", Looks::text())),
        WatchState::On { polling: true } => Some(Span::styled("polling", Looks::text())),
        WatchState::Off => Some(Span::styled("not watching", looks.doubt())),
        WatchState::Failed(_) => Some(Span::styled("✗ not watching", looks.wrong())),
    }
}

fn spinner(model: &Model) -> &'static str {
    SPINNER[(model.env().now.as_millis() / TURN_MS) as usize % SPINNER.len()]
}
