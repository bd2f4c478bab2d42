//! Pickers: lists of choices, with details about the one under the cursor.

use super::PopupLine;
use crate::app::keys::Action;
use crate::app::text;

/// Minimum rows of the list on a low screen; details are cut instead.
const MIN_ROWS: usize = 4;

/// What is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PickerKind {
    /// The current prompt set.
    Prompts,
    /// The model in use.
    Model,
    /// Objects related to the image, each of which can be switched on.
    Related,
    /// A measurement on the image, to edit or remove.
    Measurements,
    /// A file that failed, to go to or to try again.
    Failures,
    /// A file whose label changed with the prompts, to go to.
    Changes,
    /// A saved view, to open or remove.
    Views,
    /// A bookmark, to go to or remove.
    Bookmarks,
}

impl PickerKind {
    /// The action that opens the picker, and closes it again.
    pub(super) fn action(self) -> Action {
        match self {
            Self::Prompts => Action::PromptSet,
            Self::Model => Action::Model,
            Self::Related => Action::Related,
            Self::Measurements => Action::Measurements,
            Self::Failures => Action::Failures,
            Self::Changes => Action::LabelChanges,
            Self::Views => Action::Views,
            Self::Bookmarks => Action::Bookmarks,
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Prompts => "Prompt set",
            Self::Model => "Model",
            Self::Related => "Related objects",
            Self::Measurements => "Measurements",
            Self::Failures => "Files that failed",
            Self::Changes => "Labels that changed",
            Self::Views => "Saved views",
            Self::Bookmarks => "Bookmarks",
        }
    }
}

/// A choice; all of it safe to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    pub name: String,
    /// A word or two, shown at the right end.
    pub beside: String,
    /// Paragraphs below the list while the cursor is here.
    pub about: Vec<String>,
    /// Why it cannot be used, shown first.
    pub fault: Option<String>,
    /// Whether it is the current choice.
    pub current: bool,
}

/// The lines of a list with the cursor on `chosen`, in `width` columns and at most `page` rows. `choices`: `None` while they
/// are being read.
pub(super) fn lines(
    choices: Option<&[Choice]>,
    chosen: usize,
    width: usize,
    page: usize,
) -> Vec<PopupLine> {
    let Some(choices) = choices else {
        return vec![PopupLine::Aside("Reading …".to_owned())];
    };
    if choices.is_empty() {
        return vec![PopupLine::Aside("Nothing here.".to_owned())];
    }
    let chosen = chosen.min(choices.len() - 1);
    let about = choices.get(chosen);
    let mut about = about.map_or_else(Vec::new, |choice| details(choice, width));
    let room = page.saturating_sub(about.len() + 1);
    let rows = choices.len().min(room.max(MIN_ROWS).min(page));
    let first = (chosen + 1).saturating_sub(rows);
    let mut lines: Vec<PopupLine> = (first..choices.len().min(first + rows))
        .map(|at| PopupLine::Pick {
            chosen: at == chosen,
            current: choices[at].current,
            name: choices[at].name.clone(),
            beside: choices[at].beside.clone(),
        })
        .collect();
    about.truncate(page.saturating_sub(lines.len() + 1));
    if !about.is_empty() {
        lines.push(PopupLine::Text(String::new()));
        lines.extend(about);
    }
    lines
}

/// The details of a choice, in lines of a width.
fn details(choice: &Choice, width: usize) -> Vec<PopupLine> {
    let mut lines = Vec::new();
    if let Some(fault) = &choice.fault {
        // Below the first word, not below its sign.
        let mut wrapped = text::wrap(fault, width.saturating_sub(2)).into_iter();
        lines.extend(wrapped.next().map(PopupLine::Kind));
        lines.extend(wrapped.map(|line| PopupLine::Text(format!("  {line}"))));
    }
    for paragraph in &choice.about {
        let wrapped = text::wrap(paragraph, width).into_iter();
        lines.extend(wrapped.map(PopupLine::Aside));
    }
    lines
}
