//! Requests of components to the application, about what is outside their own state.

use std::path::PathBuf;

use super::effect::Effect;
use super::keys::Action;
use super::msg::Severity;
use super::popup::Popup;

/// A request of a component. The model carries out requests in the order in which they are returned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    /// Perform an effect.
    Effect(Effect),
    /// Show a sentence in the status line.
    Say(Severity, String),
    /// Show a popup.
    Open(Popup),
    /// Close the popup.
    ClosePopup,
    /// Carry out an action as if its key was pressed.
    Act(Action),
    /// Put the cursor of the list on a row.
    SelectRow(usize),
    /// Put the cursor of the list on a file, if it is in the folder on screen.
    SelectFile(PathBuf),
    /// Go to the folder of a file, and put the cursor on it.
    ShowFile(PathBuf),
    /// Classify a file again.
    Retry(PathBuf),
    /// Classify all files that failed again.
    RetryAll,
    /// Open the folder, study, series or file under the cursor.
    EnterRow,
    /// Show the image under the cursor in full screen.
    FullScreen,
    /// Close the comparison or the activity log.
    CloseOverlay,
    /// Close the tags.
    CloseTags,
    /// Copy text to the clipboard.
    Copy {
        /// The text.
        text: String,
        /// What it is, for the user.
        name: String,
    },
    /// Show another image of the series under the cursor, by its place from 0.
    ScrollSeries(usize),
    /// Lay out the view again as the current presentation state specifies.
    ResetPresentation,
}

impl Request {
    /// A sentence of information.
    pub(super) fn info(sentence: impl Into<String>) -> Self {
        Self::Say(Severity::Info, sentence.into())
    }

    /// A sentence about an error.
    pub(super) fn error(sentence: impl Into<String>) -> Self {
        Self::Say(Severity::Error, sentence.into())
    }
}
