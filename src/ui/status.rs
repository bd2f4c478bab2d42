//! The last row: what the program is doing, or what it has to say.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::theme::Looks;
use crate::app::keys::Action;
use crate::app::model::{EngineState, WatchState};
use crate::app::results::{FileState, Standing};
use crate::app::text::{cut_end, width};
use crate::app::{Model, Severity};

/// Turns while something is under way.
const SPINNER: [&str; 8] = ["⣾", "⣽", "⣻", "⢿", "⡿", "⣟", "⣯", "⣷"];
/// How long each of them stands.
const TURN_MS: u128 = 120;
/// Between parts.
const BETWEEN: &str = " │ ";
/// Between the last part and the hints, at least.
const APART: usize = 2;

/// Draws it. Where it gets narrow, the hints go first, then the parts that matter less.
pub(super) fn draw(model: &Model, looks: Looks, area: Rect, frame: &mut Frame) {
    let room = usize::from(area.width).saturating_sub(2);
    let mut spans = vec![Span::raw(" ")];
    spans.extend(match &model.report {
        Some(report) if report.severity == Severity::Error => {
            vec![Span::styled(
                cut_end(&format!("✗ {}", report.text), room),
                looks.wrong(),
            )]
        }
        Some(report) => vec![Span::styled(cut_end(&report.text, room), looks.text())],
        None => parts(model, room, looks),
    });
    let used: usize = spans.iter().map(|span| width(&span.content)).sum();
    let hints = hints(model, room.saturating_sub(used + APART));
    let blanks = (room + 1).saturating_sub(used + width(&hints));
    spans.push(Span::raw(" ".repeat(blanks)));
    spans.push(Span::styled(hints, looks.dim()));
    frame.render_widget(Line::from(spans), area);
}

/// What fits of engine, queue and watch.
fn parts(model: &Model, room: usize, looks: Looks) -> Vec<Span<'static>> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut used = 0;
    let all = engine(model, looks)
        .into_iter()
        .chain(queue(model, looks))
        .chain(watch(model, looks));
    for part in all {
        let between = if used == 0 { 0 } else { width(BETWEEN) };
        if used + between + width(&part.content) > room {
            continue;
        }
        if between > 0 {
            spans.push(Span::styled(BETWEEN, looks.line()));
        }
        used += between + width(&part.content);
        spans.push(part);
    }
    spans
}

fn engine(model: &Model, looks: Looks) -> Vec<Span<'static>> {
    match &model.engine {
        EngineState::Loading => vec![Span::styled(
            format!("{} loading model", spinner(model)),
            looks.text(),
        )],
        EngineState::Failed(_) => vec![Span::styled("✗ no model", looks.wrong())],
        EngineState::Ready {
            model,
            device,
            prompts,
            ..
        } => vec![
            Span::styled(cut_end(model, 24), looks.strong()),
            Span::styled(cut_end(device, 12), looks.text()),
            Span::styled(cut_end(prompts, 24), looks.text()),
        ],
    }
}

fn queue(model: &Model, looks: Looks) -> Option<Span<'static>> {
    let queued = model.queued();
    if queued == 0 || matches!(model.engine, EngineState::Failed(_)) {
        return None;
    }
    let ready = matches!(model.engine, EngineState::Ready { .. });
    let turning = if ready {
        format!("{} ", spinner(model))
    } else {
        String::new()
    };
    let rate = match model.rate.filter(|rate| rate.is_finite() && *rate > 0.0) {
        Some(rate) if rate < 9.95 => format!(", {rate:.1} images/s"),
        Some(rate) => format!(", {rate:.0} images/s"),
        None => String::new(),
    };
    Some(Span::styled(
        format!("{turning}{queued} queued{rate}"),
        looks.text(),
    ))
}

fn watch(model: &Model, looks: Looks) -> Option<Span<'static>> {
    match &model.watch {
        WatchState::Starting => None,
        WatchState::On { polling: false } => Some(Span::styled("watching", looks.text())),
        WatchState::On { polling: true } => Some(Span::styled("polling", looks.text())),
        WatchState::Off => Some(Span::styled("not watching", looks.doubt())),
        WatchState::Failed(_) => Some(Span::styled("✗ not watching", looks.wrong())),
    }
}

/// The keys that help right now, as many as fit.
fn hints(model: &Model, room: usize) -> String {
    let failed = model.current_state().map(FileState::standing) == Some(Standing::Failed)
        || matches!(model.engine, EngineState::Failed(_))
        || matches!(model.watch, WatchState::Failed(_));
    let hints: &[(Action, &str)] = if model.popup.is_some() {
        &[(Action::Back, "back")]
    } else if failed {
        &[(Action::Why, "why"), (Action::Help, "help")]
    } else {
        &[(Action::Help, "help"), (Action::Quit, "quit")]
    };
    let mut text = String::new();
    for (action, what) in hints {
        let Some(key) = model.keymap.key(*action) else {
            continue;
        };
        let more = format!("{}{key} {what}", if text.is_empty() { "" } else { "  " });
        if width(&text) + width(&more) <= room {
            text.push_str(&more);
        }
    }
    text
}

fn spinner(model: &Model) -> &'static str {
    SPINNER[(model.now.as_millis() / TURN_MS) as usize % SPINNER.len()]
}
