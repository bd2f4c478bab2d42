//! What components ask of the application: whatever lies outside their own state.

use std::path::PathBuf;

use super::effect::Effect;
use super::keys::Action;
use super::msg::Severity;
use super::popup::Popup;

/// A wish of a component. The model carries requests out in the order in which they are returned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    /// Do this to the world.
    Effect(Effect),
    /// Show a sentence in the status line.
    Say(Severity, String),
    /// Show a popup.
    Open(Popup),
    /// Close the popup.
    ClosePopup,
    /// Do what the key of this action does.
    Act(Action),
    /// Put the cursor of the list on a row.
    SelectRow(usize),
    /// Put the cursor of the list on a file, if it is in the folder on screen.
    SelectFile(PathBuf),
    /// Go to the folder of a file, and put the cursor on it.
    ShowFile(PathBuf),
    /// Open the folder, study, series or file under the cursor.
    EnterRow,
    /// Show the image under the cursor on the whole screen.
    FullScreen,
    /// Return from the comparison or the activity log to what was there before.
    CloseOverlay,
    /// Close the tags.
    CloseTags,
    /// Put text into the clipboard. `name`: what it is, for the user.
    Copy {
        /// The text.
        text: String,
        /// What it is.
        name: String,
    },
    /// Show another image of the series under the cursor, by its place from 0.
    ScrollSeries(usize),
    /// Lay the view out anew as the presentation state in force wants it.
    ResetPresentation,
}

impl Request {
    /// A sentence of information.
    pub(super) fn info(sentence: impl Into<String>) -> Self {
        Self::Say(Severity::Info, sentence.into())
    }

    /// A sentence about something that did not work.
    pub(super) fn error(sentence: impl Into<String>) -> Self {
        Self::Say(Severity::Error, sentence.into())
    }
}
