//! The status line: what the program is doing, or a message.

use crossterm::event::KeyCode;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::Clear;

use super::theme::Looks;
use crate::app::keys::Action;
use crate::app::popup::PickerKind;
use crate::app::prompt_sets::Rescoring;
use crate::app::results::{FileState, FileStatus};
use crate::app::review_keys;
use crate::app::status::{EngineState, WatchState};
use crate::app::text::{cut_end, width, wrap_items};
use crate::app::viewer::measure::Pointer;
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
/// Keys of the ruler.
const RULER: [(Action, &str); 5] = [
    (Action::Enter, "set point"),
    (Action::NextPanel, "other figure"),
    (Action::Measurements, "list"),
    (Action::Back, "end"),
    (Action::Help, "help"),
];
/// Keys while a figure is edited.
const EDITING: [(Action, &str); 4] = [
    (Action::NextPanel, "next point"),
    (Action::Enter, "done"),
    (Action::Remove, "remove"),
    (Action::Back, "end"),
];
/// Keys of the probe.
const PROBE: [(Action, &str); 3] = [
    (Action::Ruler, "measure"),
    (Action::Back, "end"),
    (Action::Help, "help"),
];
/// Minimum distance between the last part and the hints.
const APART: usize = 2;

/// Draws the line. Where it is narrow, the hints are left out first, then the less important parts.
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
        InputMode::Review => leader_hints(model, room.saturating_sub(used + APART)),
        _ => hints(model, room.saturating_sub(used + APART)),
    };
    let blanks = (room + 1).saturating_sub(used + width(&hints));
    spans.splice(1..1, notice);
    spans.push(Span::raw(" ".repeat(blanks)));
    spans.push(Span::styled(hints, looks.dim()));
    frame.render_widget(Line::from(spans), area);
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
    let rows = lines.len() as u16;
    let area = Rect {
        y: status.y.saturating_sub(rows),
        height: rows.min(status.y),
        ..status
    };
    frame.render_widget(Clear, area);
    let lines = lines.into_iter().map(|line| Line::raw(format!(" {line}")));
    frame.render_widget(lines.collect::<Text>().style(looks.accent()), area);
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
        WatchState::On { polling: false } => Some(Span::styled("watching", Looks::text())),
        WatchState::On { polling: true } => Some(Span::styled("polling", Looks::text())),
        WatchState::Off => Some(Span::styled("not watching", looks.doubt())),
        WatchState::Failed(_) => Some(Span::styled("✗ not watching", looks.wrong())),
    }
}

/// The keys after the review leader, as many as fit.
fn leader_hints(model: &Model, room: usize) -> String {
    let named = model.digit_names();
    let joined = named.join("  ");
    let digits = match model.review_conditions().len() {
        0 => None,
        _ if !named.is_empty() && width(&joined) <= room => Some(joined),
        // They have rows of their own.
        _ if !named.is_empty() => None,
        1 => Some("1 condition".to_owned()),
        n => Some(format!("1–{n} conditions")),
    };
    let mut text = String::new();
    for hint in digits.into_iter().chain(review_keys::hints()) {
        let gap = if text.is_empty() { "" } else { "  " };
        if width(&text) + width(gap) + width(&hint) > room {
            break;
        }
        text = format!("{text}{gap}{hint}");
    }
    text
}

/// The most useful keys in the current mode, as many as fit.
fn hints(model: &Model, room: usize) -> String {
    let failed = model.current_state().map(FileState::status) == Some(FileStatus::Failed)
        || model.engine().has_failed()
        || model.prompt_sets().fault().is_some()
        || matches!(model.watch(), WatchState::Failed(_));
    let hints: &[(Action, &str)] = match model.mode() {
        InputMode::Picker => picker_hints(model.popups().picker()),
        InputMode::Reading | InputMode::Menu | InputMode::Review => &[(Action::Back, "back")],
        _ if model.tags().panel().is_some() => &[
            (Action::Back, "back"),
            (Action::Search, "search"),
            (Action::Copy, "copy"),
            (Action::Patient, "patient"),
        ],
        _ if model.viewer().is_typing_frame() => &[(Action::Enter, "go"), (Action::Back, "cancel")],
        InputMode::Compare => &[
            (Action::FrameNext, "page"),
            (Action::Link, "link"),
            (Action::NextPanel, "other side"),
            (Action::Enter, "go to file"),
            (Action::Back, "back"),
            (Action::Help, "help"),
        ],
        InputMode::Grid => &[
            (Action::Enter, "open"),
            (Action::ZoomIn, "larger"),
            (Action::ZoomOut, "smaller"),
            (Action::Back, "list"),
            (Action::Help, "help"),
        ],
        InputMode::FullScreen | InputMode::Panels(_) if model.viewer().pointer().is_some() => {
            pointer_hints(model.viewer().pointer())
        }
        InputMode::FullScreen | InputMode::Panels(_)
            if model.viewer().volume_progress().is_some() =>
        {
            &[(Action::Back, "cancel")]
        }
        InputMode::FullScreen | InputMode::Panels(_) if model.viewer().is_reformatting() => &[
            (Action::Reformat, "next plane"),
            (Action::Planes, "three planes"),
            (Action::FrameNext, "page"),
            (Action::Slab, "slab"),
            (Action::CineFaster, "thicker"),
            (Action::Back, "end"),
        ],
        InputMode::FullScreen | InputMode::Panels(_) if model.viewer().is_playing() => &[
            (Action::Cine, "stop"),
            (Action::CineSlower, "slower"),
            (Action::CineFaster, "faster"),
        ],
        InputMode::Activity if model.results().count(FileStatus::Failed) > 0 => &[
            (Action::NextNew, "next failed"),
            (Action::Why, "why"),
            (Action::Classify, "retry"),
            (Action::ClassifyAll, "retry all"),
            (Action::Help, "help"),
        ],
        InputMode::Agreement => &[
            (Action::Enter, "images"),
            (Action::Back, "back"),
            (Action::Help, "help"),
        ],
        InputMode::Learning | InputMode::Neighbours => &[
            (Action::Enter, "image"),
            (Action::Back, "back"),
            (Action::Help, "help"),
        ],
        InputMode::FullScreen => &[
            (Action::Down, "next"),
            (Action::ZoomIn, "zoom"),
            (Action::Ruler, "measure"),
            (Action::Back, "back"),
            (Action::Help, "help"),
        ],
        _ if failed => &[(Action::Why, "why"), (Action::Help, "help")],
        _ if model.folder().is_worklist() || model.folder().similarity_order().is_some() => {
            worklist_hints(model)
        }
        _ if model.engine().is_builtin() => &[
            (Action::Model, "medical model"),
            (Action::Help, "help"),
            (Action::Quit, "quit"),
        ],
        _ => &[(Action::Help, "help"), (Action::Quit, "quit")],
    };
    let mut text = String::new();
    for (action, what) in hints {
        let Some(key) = model.env().keymap.key_like(*action, KeyCode::Enter) else {
            continue;
        };
        let more = format!("{}{key} {what}", if text.is_empty() { "" } else { "  " });
        if width(&text) + width(&more) <= room {
            text.push_str(&more);
        }
    }
    text
}

/// The keys of a picker.
fn picker_hints(kind: Option<PickerKind>) -> &'static [(Action, &'static str)] {
    match kind {
        Some(PickerKind::Failures) => &[
            (Action::Enter, "show"),
            (Action::Classify, "retry"),
            (Action::ClassifyAll, "retry all"),
            (Action::Back, "back"),
        ],
        Some(PickerKind::Measurements) => &[
            (Action::Enter, "edit"),
            (Action::Remove, "remove"),
            (Action::Back, "back"),
        ],
        Some(PickerKind::Prompts) => &[
            (Action::Enter, "choose"),
            (Action::EditPrompts, "edit"),
            (Action::DraftPrompts, "draft"),
            (Action::Back, "back"),
        ],
        Some(PickerKind::Views | PickerKind::Bookmarks) => &[
            (Action::Enter, "open"),
            (Action::Remove, "remove"),
            (Action::Back, "back"),
        ],
        _ => &[(Action::Enter, "choose"), (Action::Back, "back")],
    }
}

/// The keys of the worklist, and of a list ranked by similarity: Esc undoes the last thing first.
fn worklist_hints(model: &Model) -> &'static [(Action, &'static str)] {
    if model.folder().similarity_order().is_some() {
        &[
            (Action::Back, "end ranking"),
            (Action::Find, "find"),
            (Action::Help, "help"),
        ]
    } else if !model.folder().options().filter.is_empty() {
        &[
            (Action::Back, "clear filter"),
            (Action::Sort, "sort"),
            (Action::Help, "help"),
        ]
    } else {
        &[
            (Action::Back, "leave"),
            (Action::Search, "filter"),
            (Action::Sort, "sort"),
            (Action::Help, "help"),
        ]
    }
}

/// The keys of what the pointer is used for.
fn pointer_hints(pointer: Option<&Pointer>) -> &'static [(Action, &'static str)] {
    if pointer.is_some_and(Pointer::is_editing) {
        &EDITING
    } else if pointer.is_some_and(Pointer::is_measuring) {
        &RULER
    } else {
        &PROBE
    }
}

fn spinner(model: &Model) -> &'static str {
    SPINNER[(model.env().now.as_millis() / TURN_MS) as usize % SPINNER.len()]
}
