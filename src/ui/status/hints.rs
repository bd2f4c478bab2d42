//! The keys named at the right end of the status line.

use crossterm::event::KeyCode;

use crate::app::keys::Action;
use crate::app::popup::PickerKind;
use crate::app::results::{FileState, FileStatus};
use crate::app::review_keys;
use crate::app::status::WatchState;
use crate::app::text::width;
use crate::app::viewer::measure::Pointer;
use crate::app::{InputMode, Model};

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

/// The keys after the review leader, as many as fit.
pub(super) fn after_leader(model: &Model, room: usize) -> String {
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
pub(super) fn in_mode(model: &Model, room: usize) -> String {
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
