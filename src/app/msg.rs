//! Everything that can happen to the program, as data. Each message says when it is sent and by whom.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyEvent, MouseEvent};

use super::entry::{Entry, Found, Stamp};
use super::kept::Kept;
use super::picture::{Graphics, Previewed};
use crate::engine;
use crate::media::{DicomHeader, MediaError, Member, RelatedObject, TagTree};

/// What happened. Sent into the runtime's queue by whoever saw it; consumed by [`super::update`] alone.
///
/// Paths are absolute, and spelled as the root was: a message about a file under the root starts with the root's own
/// bytes. Names need no cleaning: whatever is shown passes through [`super::text::safe`].
#[derive(Debug)]
pub enum Msg {
    // ── the terminal ──────────────────────────────────────────────────────────────────────────────────────────
    /// A key went down (repeats are sent again; releases are not sent).
    Key(KeyEvent),
    /// Something happened to the mouse: a button, the wheel, or it moved while a button was down. `at`: as in a tick.
    Mouse {
        /// What and where.
        event: MouseEvent,
        /// When.
        at: Duration,
    },
    /// The terminal has this size: once before the first frame, then at every change. In cells.
    Resized {
        /// Columns.
        cols: u16,
        /// Rows.
        rows: u16,
    },
    /// How pictures reach the screen has been settled: once, after the terminal answered or kept silent. No picture is
    /// asked for before.
    Graphics(Graphics),
    /// The program is in the foreground again after [`super::Effect::Suspend`], or the screen was cleared:
    /// pictures sent before are gone from the terminal.
    Resumed,
    /// Someone outside wants the process to stop for a while: SIGTSTP.
    Stopping,
    /// The process goes on after it was stopped, by whomever: SIGCONT.
    Continued,
    /// Someone outside wants an orderly end (SIGTERM, SIGHUP, SIGINT), or the terminal is gone.
    Terminated,

    // ── time ──────────────────────────────────────────────────────────────────────────────────────────────────
    /// Time since the start of the program, monotonic. Sent after the delay [`super::Model::next_tick`] asks for, and not
    /// at all while it asks for none.
    Tick(Duration),

    // ── folders ───────────────────────────────────────────────────────────────────────────────────────────────
    /// How the folder of a [`super::Effect::List`] was left in an earlier run, before any part of the listing. Not sent of a
    /// folder of which nothing is kept.
    Kept {
        /// The folder that will be read.
        dir: PathBuf,
        /// As asked.
        generation: u64,
        /// How it was left.
        kept: Box<Kept>,
    },
    /// Part of the answer to [`super::Effect::List`], in any order; `complete` comes with the last part, which may be empty.
    Listed {
        /// The folder that was read.
        dir: PathBuf,
        /// As asked.
        generation: u64,
        /// Some of what lies in it, dotfiles included.
        entries: Vec<Entry>,
        /// Nothing more follows.
        complete: bool,
    },
    /// The folder of a [`super::Effect::List`] cannot be read (any more).
    Unlisted {
        /// The folder.
        dir: PathBuf,
        /// As asked.
        generation: u64,
        /// Why, as a sentence.
        message: String,
    },
    /// Part of the answer to [`super::Effect::Scan`]: pictures found under its root. `complete` comes with the last part.
    Scanned {
        /// As asked.
        generation: u64,
        /// Some of the pictures, each told by its first bytes.
        files: Vec<Found>,
        /// Nothing more follows.
        complete: bool,
    },
    /// What a scan met and cannot look into: a folder that may not be read, or a link that leads nowhere.
    Unreadable {
        /// Where.
        path: PathBuf,
        /// Why.
        error: MediaError,
    },

    // ── the watch ─────────────────────────────────────────────────────────────────────────────────────────────
    /// The watch asked for by [`super::Effect::Watch`] stands.
    Watching {
        /// The folder tree is read again and again, because its file system tells nothing by itself.
        polling: bool,
    },
    /// The watch could not be set up, or broke.
    WatchFailed {
        /// Why, and what to do, as a sentence.
        message: String,
    },
    /// A file is new and complete (settled), or a folder is new. What was there when the watch began is sent as
    /// [`Msg::Modified`]: the listing or the scan may have come too early for it.
    Appeared {
        /// The file or folder.
        entry: Entry,
        /// It may be an image: nobody has looked into it.
        picture: bool,
    },
    /// A file has this content and is complete: it changed, or it was there when the watch began.
    Modified {
        /// The file.
        path: PathBuf,
        /// What it looks like now.
        stamp: Stamp,
        /// It may be an image: its first bytes are an image's, or nobody has looked into it.
        picture: bool,
    },
    /// Rights or times of a file changed, and its content did not.
    Touched {
        /// The file.
        path: PathBuf,
        /// What it looks like now.
        stamp: Stamp,
    },
    /// A file or folder is gone (deleted, or moved out of the watched tree); all under it with it.
    Removed {
        /// What is gone.
        path: PathBuf,
    },
    /// A file or folder has another name or place inside the watched tree; its content is the same.
    Renamed {
        /// Where it was.
        from: PathBuf,
        /// What and where it is now.
        to: Entry,
    },

    // ── pictures ──────────────────────────────────────────────────────────────────────────────────────────────
    /// The answer to [`super::Effect::Preview`]. Requests that were overtaken by a later one may go unanswered.
    Previewed(Box<Previewed>),
    /// Part of the answer to [`super::Effect::Tiles`], in any order. What was overtaken by a later request goes unanswered.
    Tile(Box<Previewed>),

    // ── objects ───────────────────────────────────────────────────────────────────────────────────────────────
    /// The answer to [`super::Effect::Tags`].
    Tags {
        /// As asked.
        generation: u64,
        /// The tags, or why there are none.
        outcome: Result<Arc<TagTree>, MediaError>,
    },
    /// Part of the answer to [`super::Effect::Headers`]. `complete` comes with the last part, unless the request was superseded.
    Headers {
        /// As asked.
        generation: u64,
        /// Files and their headers; `None` of what is no DICOM file, or has none that can be read.
        read: Vec<(Found, Option<DicomHeader>)>,
        /// Nothing more follows.
        complete: bool,
    },
    /// Part of the answer to [`super::Effect::Related`]. `complete` comes with the last part, unless the request was superseded.
    Related {
        /// As asked.
        generation: u64,
        /// Files, and what they are about; `None` of those that are no such objects.
        read: Vec<(Found, Option<RelatedObject>)>,
        /// Nothing more follows.
        complete: bool,
    },
    /// The answer to [`super::Effect::Directory`].
    Directory {
        /// As asked.
        generation: u64,
        /// The files that it refers to, or why it cannot be read.
        outcome: Result<Vec<Member>, MediaError>,
    },

    // ── choices ───────────────────────────────────────────────────────────────────────────────────────────────
    /// The answer to [`super::Effect::PromptSets`].
    PromptSets(Vec<super::Named>),

    /// The answer to [`super::Effect::Models`].
    Models(Vec<super::Offered>),
    /// How far [`super::Effect::Pull`] has come.
    Pulling {
        /// As asked.
        serial: u64,
        /// Bytes that are there.
        came: u64,
        /// Bytes in all, once that is known.
        size: Option<u64>,
        /// Another program fetches the same; that is waited for.
        waits: bool,
    },
    /// The end of [`super::Effect::Pull`].
    Pulled {
        /// As asked.
        serial: u64,
        /// Or why not, and what to do.
        outcome: Result<(), String>,
    },

    // ── the engine ────────────────────────────────────────────────────────────────────────────────────────────
    /// The engine says something: it loads, is ready, failed, finished a file, measured its rate.
    Engine(engine::Event),
    /// The same of an engine that [`super::Effect::UseModel`] started.
    OtherEngine {
        /// As asked.
        serial: u64,
        /// What it says.
        event: engine::Event,
    },

    // ── anything else ─────────────────────────────────────────────────────────────────────────────────────────
    /// The shell has something to tell the user; it is shown in the status line for a while.
    Report {
        /// Whether something went wrong.
        severity: Severity,
        /// One sentence.
        text: String,
    },
}

/// How much a report matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something did not work.
    Error,
}
