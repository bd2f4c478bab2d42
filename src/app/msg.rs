//! All messages, as data. Each says when it is sent.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyEvent, MouseEvent};

use super::entry::{Entry, FoundFile, Stamp};
use super::folder_state::FolderState;
use super::measurement::Measurement;
use super::preview::{Graphics, Previewed, VolumeProgress};
use crate::engine;
use crate::learn::LearnedSets;
use crate::library::mixes::FolderMixes;
use crate::library::{FileWithResult, Review, ReviewChanges, ReviewOutcome, ReviewRequest};
use crate::media::{DicomHeader, MediaError, Member, RelatedObject, TagTree};
use crate::prompts::{PromptSet, Prompts};
use crate::scoring::calibration::Calibrations;
use crate::transfer::Transfer;

/// Something that happened. Sent to the runtime's queue; consumed by [`super::update`] only.
///
/// Paths are absolute, and spelled as the root was: a message about a file under the root starts with the root's own
/// bytes. Names need no cleaning: whatever is shown passes through [`super::text::safe`].
#[derive(Debug)]
pub enum Msg {
    // ── the terminal ──────────────────────────────────────────────────────────────────────────────────────────
    /// A key was pressed or repeats. Releases are not sent.
    Key(KeyEvent),
    /// Text was pasted.
    Pasted(String),
    /// A mouse button or the wheel was used, or the mouse was dragged.
    Mouse {
        /// The event, with its cell.
        event: MouseEvent,
        /// Its time, as in [`Msg::Tick`].
        at: Duration,
    },
    /// The size of the terminal in cells: once before the first frame, then at every change.
    Resized {
        /// Columns.
        cols: u16,
        /// Rows.
        rows: u16,
    },
    /// The graphics protocol is known: sent once, after the terminal has answered or the probe has timed out. No image is
    /// requested before.
    Graphics(Graphics),
    /// The program is in the foreground again after [`super::Effect::Suspend`], or the screen was cleared:
    /// images sent before are gone from the terminal.
    Resumed,
    /// SIGTSTP: the process is asked to stop for a while.
    Stopping,
    /// SIGCONT: the process continues after it was stopped.
    Continued,
    /// SIGTERM, SIGHUP or SIGINT: the program is asked to end; or the terminal is gone.
    Terminated,

    // ── time ──────────────────────────────────────────────────────────────────────────────────────────────────
    /// Time since the start of the program, monotonic. Sent after the delay [`super::Model::next_tick`] asks for, and not
    /// at all while it asks for none.
    Tick(Duration),

    // ── folders ───────────────────────────────────────────────────────────────────────────────────────────────
    /// The state persisted in an earlier run for the folder of a [`super::Effect::List`]. Precedes the listing; not sent for a
    /// folder without persisted state.
    FolderState {
        /// The folder.
        dir: PathBuf,
        /// The number of the request.
        generation: u64,
        /// Its state.
        state: Box<FolderState>,
    },
    /// Part of the answer to [`super::Effect::List`], in any order; `complete` comes with the last part, which may be empty.
    Listed {
        /// The folder.
        dir: PathBuf,
        /// The number of the request.
        generation: u64,
        /// Some of its entries, dotfiles included.
        entries: Vec<Entry>,
        /// This is the last part.
        complete: bool,
    },
    /// The folder of a [`super::Effect::List`] cannot be read (any more).
    ListFailed {
        /// The folder.
        dir: PathBuf,
        /// The number of the request.
        generation: u64,
        /// The reason, as a sentence.
        message: String,
    },
    /// Part of the answer to [`super::Effect::Scan`]: images found under its root. `complete` comes with the last part.
    Scanned {
        /// The number of the request.
        generation: u64,
        /// Some of the images, recognised by their first bytes.
        files: Vec<FoundFile>,
        /// This is the last part.
        complete: bool,
    },
    /// A scan met a folder that may not be read, or a link that leads nowhere.
    Unreadable {
        /// The folder or link.
        path: PathBuf,
        /// The reason.
        error: MediaError,
    },

    // ── the watch ─────────────────────────────────────────────────────────────────────────────────────────────
    /// The watch requested by [`super::Effect::Watch`] has started.
    Watching {
        /// The folder tree is scanned at intervals, as its file system sends no notifications.
        polling: bool,
    },
    /// The watch could not be set up, or failed.
    WatchFailed {
        /// The reason and what to do, as a sentence.
        message: String,
    },
    /// A file is new and complete (settled), or a folder is new. Files that existed when the watch began are sent as
    /// [`Msg::Modified`], because the listing or the scan may have missed them.
    Appeared {
        /// The file or folder.
        entry: Entry,
        /// It may be an image: its content has not been read.
        picture: bool,
    },
    /// A file is complete and has this content: it changed, or it existed when the watch began.
    Modified {
        /// The file.
        path: PathBuf,
        /// Its content now.
        stamp: Stamp,
        /// It may be an image: its first bytes are those of an image, or have not been read.
        picture: bool,
    },
    /// Permissions or times of a file changed, but not its content.
    Touched {
        /// The file.
        path: PathBuf,
        /// Its content now.
        stamp: Stamp,
    },
    /// A file or folder, with everything below it, was deleted or moved out of the watched tree.
    Removed {
        /// The file or folder.
        path: PathBuf,
    },
    /// A file or folder was renamed or moved within the watched tree; its content is the same.
    Renamed {
        /// Its former path.
        from: PathBuf,
        /// The file or folder at its new path.
        to: Entry,
    },

    // ── images ──────────────────────────────────────────────────────────────────────────────────────────────
    /// The answer to [`super::Effect::Preview`]. A request superseded by a later one may go unanswered.
    Previewed(Box<Previewed>),
    /// A volume for a reformat is being read, which [`Msg::Previewed`] ends.
    VolumeProgress(VolumeProgress),
    /// The answer to [`super::Effect::PreviewSide`]. A request superseded by a later one may go unanswered.
    SidePreviewed {
        /// The side.
        side: usize,
        /// The image.
        previewed: Box<Previewed>,
    },
    /// Part of the answer to [`super::Effect::Tiles`], in any order. Superseded requests go unanswered.
    Tile(Box<Previewed>),

    /// The answer to [`super::Effect::Measurements`]; not sent if there are none.
    Measurements {
        /// The file.
        file: FoundFile,
        /// Its measurements, in the order in which they were made.
        all: Vec<Measurement>,
    },

    // ── objects ───────────────────────────────────────────────────────────────────────────────────────────────
    /// The answer to [`super::Effect::Tags`].
    Tags {
        /// The number of the request.
        generation: u64,
        /// The tags, or why they cannot be read.
        outcome: Result<Arc<TagTree>, MediaError>,
    },
    /// Part of the answer to [`super::Effect::Headers`]. `complete` comes with the last part, unless the request was
    /// superseded.
    Headers {
        /// The number of the request.
        generation: u64,
        /// Files and their headers; `None` for a file that is not DICOM, or cannot be read.
        read: Vec<(FoundFile, Option<DicomHeader>)>,
        /// This is the last part.
        complete: bool,
    },
    /// Part of the answer to [`super::Effect::Related`]. `complete` comes with the last part, unless the request was
    /// superseded.
    Related {
        /// The number of the request.
        generation: u64,
        /// Files and the objects in them; `None` for a file that holds no such object.
        read: Vec<(FoundFile, Option<RelatedObject>)>,
        /// This is the last part.
        complete: bool,
    },
    /// The answer to [`super::Effect::Directory`].
    Directory {
        /// The number of the request.
        generation: u64,
        /// The files that the DICOMDIR refers to, or why it cannot be read.
        outcome: Result<Vec<Member>, MediaError>,
    },

    // ── choices ───────────────────────────────────────────────────────────────────────────────────────────────
    /// The answer to [`super::Effect::PromptSets`].
    PromptSets(Vec<super::NamedPromptSet>),
    /// A file of the prompts in use was edited.
    PromptsEdited {
        /// The number of the [`super::Effect::UsePrompts`]; 0 for the prompts of the start.
        revision: u64,
        /// The prompts as they are now; `None` if those in use still are.
        prompts: Option<Prompts>,
        /// What is wrong in a file, whose earlier content stays in use; `None` if all are right.
        fault: Option<String>,
    },
    /// The answer to [`super::Effect::EditPrompts`], once the editor has ended.
    PromptSetEdited(
        /// The set as it is now; `None` if nothing was changed. Or why it cannot be edited or used, as a sentence.
        Result<Option<PromptSet>, String>,
    ),
    /// The answer to [`super::Effect::DraftPrompts`]; not sent if it was stopped.
    Drafted {
        /// The number of the request.
        serial: u64,
        /// The set, or the reason of the failure and what to do.
        outcome: Result<Box<super::DraftedSet>, String>,
    },
    /// The answer to [`super::Effect::SaveDraft`].
    DraftSaved(
        /// The set's name, or why it is not saved.
        Result<String, super::UnsavedDraft>,
    ),
    /// The answer to [`super::Effect::Models`].
    Models(Vec<super::OfferedModel>),
    /// Progress of [`super::Effect::Pull`].
    Pulling {
        /// The number of the request.
        serial: u64,
        /// Bytes downloaded.
        came: u64,
        /// Bytes in total, once known.
        size: Option<u64>,
        /// Another process downloads the same model; this one waits for it.
        waits: bool,
    },
    /// The end of [`super::Effect::Pull`].
    Pulled {
        /// The number of the request.
        serial: u64,
        /// Success, or the reason of the failure and what to do.
        outcome: Result<(), String>,
    },

    /// Another process, or this one, has added results for these files to the library.
    LibraryChanged(Vec<FileWithResult>),

    /// Reviews were changed, by this process or another; at the start: all that the library knows.
    ReviewsChanged(ReviewChanges),
    /// The success of [`super::Effect::Review`].
    Reviewed {
        /// The request.
        request: ReviewRequest,
        /// What it has done.
        outcome: ReviewOutcome,
    },
    /// The failure of [`super::Effect::Review`].
    ReviewFailed {
        /// What is to be shown again.
        before: Option<Box<Review>>,
        /// The reason, as a sentence.
        message: String,
    },

    /// The answer to [`super::Effect::Adjust`].
    Adjusted {
        /// The number of the request.
        generation: u64,
        /// The mixes, and what results are adjusted to them.
        mixes: Box<FolderMixes>,
    },

    /// The answer to [`super::Effect::KeepLearned`] and [`super::Effect::UndoLearned`].
    LearnedKept {
        /// All that is to be used now, unless nothing was there to change, and a sentence about it; or why nothing could be changed.
        outcome: Result<(Option<LearnedSets>, String), String>,
    },

    /// The files with what was learned hold something else than at the last report, or anything at the start.
    LearnedFiles {
        /// All that they hold.
        learned: LearnedSets,
        /// Whether the engine uses it already; else another process has changed it.
        is_in_use: bool,
        /// The files that cannot be used, a sentence each.
        faults: Vec<String>,
    },

    /// The same of the files with calibrations.
    CalibrationFiles {
        /// All that they hold.
        calibrations: Calibrations,
        /// Whether scores follow them already; else another process has changed them.
        is_in_use: bool,
        /// The files that cannot be used, a sentence each.
        faults: Vec<String>,
    },

    // ── the engine ────────────────────────────────────────────────────────────────────────────────────────────
    /// An event of the engine in use at the start.
    Engine(engine::Event),
    /// An event of an engine that [`super::Effect::UseModel`] started.
    OtherEngine {
        /// The number of the request.
        serial: u64,
        /// The event.
        event: engine::Event,
    },

    // ── places and files ──────────────────────────────────────────────────────────────────────────────────────
    /// The answer to [`super::Effect::Places`]: saved views and bookmarks, or why they cannot be read or changed and what to do.
    Places(Result<super::Places, String>),
    /// The answer to [`super::Effect::Folders`].
    Folders {
        /// The path of the request.
        typed: String,
        /// Paths that begin with it, each of a folder.
        found: Vec<String>,
    },
    /// The answer to [`super::Effect::Transfer`] and [`super::Effect::UndoTransfer`].
    Transferred {
        /// Whether it was taken back.
        is_undo: bool,
        /// What was done; or why nothing was.
        outcome: Result<Transfer, String>,
        /// The files that there are now, with their contents.
        placed: Vec<Entry>,
    },

    // ── anything else ─────────────────────────────────────────────────────────────────────────────────────────
    /// A sentence for the status line.
    Report {
        /// Whether something went wrong.
        severity: Severity,
        /// One sentence.
        text: String,
    },
}

/// How serious a sentence in the status line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Information.
    Info,
    /// Something failed.
    Error,
}
