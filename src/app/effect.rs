//! All effects, as data. The runtime carries them out and answers with messages.

use std::path::PathBuf;

use super::entry::{Found, Stamp};
use super::folder_state::Kept;
use super::preview::PreviewKey;
use crate::engine::ClassifiedFile;
use crate::jobs::JobCommand;
use crate::prompts::Prompts;

/// What [`super::update`] wants done. No effect blocks the loop.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Read one folder, not those below. Answered by [`super::Msg::Kept`] where it was left in an earlier run, then by
    /// [`super::Msg::Listed`] parts (a few entries first, so that the first
    /// rows of a huge folder are shown at once) or [`super::Msg::Unlisted`]. A later request supersedes an
    /// unfinished one.
    List {
        /// The folder.
        dir: PathBuf,
        /// The number that the answer carries.
        generation: u64,
    },
    /// Persist how a folder was left. Not answered.
    Keep {
        /// The folder.
        dir: PathBuf,
        /// How it was left.
        kept: Kept,
    },
    /// Find all images under a folder, recursively, as `classify` would: dotfiles skipped, links to folders not
    /// followed. Answered by [`super::Msg::Scanned`]; several may be under way at once.
    Scan {
        /// The folder.
        root: PathBuf,
        /// The number that the answer carries.
        generation: u64,
    },
    /// Decode and encode a file for the terminal. Only the latest request counts: a busy worker
    /// drops the waiting one when another comes. Answered by [`super::Msg::Previewed`].
    Preview(PreviewKey),
    /// Files that may be looked at next, the likeliest first: their first frames are decoded while no preview is wanted.
    /// Replaces the previous list. Not answered.
    Nearby(Vec<(PathBuf, Stamp)>),
    /// Drop the waiting preview request, if any.
    Unpreview,
    /// Encode small images of the first frames of files, without annotations. Replaces the requests that still
    /// wait. Each is answered by a [`super::Msg::Tile`], roughly in this order.
    Tiles(Vec<PreviewKey>),
    /// Hand files to the engine, or change what it does with those it has. Each file started is answered by
    /// `Event::Done` or `Event::Dropped` of its generation.
    Jobs(Vec<JobCommand>),
    /// Read the tags of a file. Answered by [`super::Msg::Tags`].
    Tags {
        /// The file.
        path: PathBuf,
        /// The number that the answer carries.
        generation: u64,
    },
    /// Read the headers of files, to group them. Answered by [`super::Msg::Headers`] parts. A later request supersedes an
    /// unfinished one; what was read until then is still answered.
    Headers {
        /// The files.
        files: Vec<Found>,
        /// The number that the answer carries.
        generation: u64,
    },
    /// Find the objects among files that are about images: presentation states, segmentations, structure sets. Answered by
    /// [`super::Msg::Related`] parts. A later request supersedes an unfinished one.
    Related {
        /// The files.
        files: Vec<Found>,
        /// The number that the answer carries.
        generation: u64,
    },
    /// Read a DICOMDIR. Answered by [`super::Msg::Directory`].
    Directory {
        /// The file.
        path: PathBuf,
        /// The number that the answer carries.
        generation: u64,
    },
    /// Read the prompt sets that can be chosen. Answered by [`super::Msg::PromptSets`].
    PromptSets,
    /// Score by these prompts from now on. Answered by `Event::Prompts` or `Event::PromptsFailed`.
    UsePrompts(Prompts),
    /// Score classified files again, by the prompts in force. Answered by `Event::Rescored` parts.
    Rescore(Vec<ClassifiedFile>),
    /// List the models that can be chosen. Answered by [`super::Msg::Models`].
    Models,
    /// Download a model from the hub. Answered by [`super::Msg::Pulling`] and finally [`super::Msg::Pulled`].
    Pull {
        /// The model.
        id: String,
        /// The number that the answers carry.
        serial: u64,
    },
    /// Stop the download. What has come is kept. Not answered.
    StopPull,
    /// Start an engine for another model beside the one in use. Answered by [`super::Msg::OtherEngine`]; a later request
    /// supersedes an unfinished one.
    UseModel {
        /// What `--model` would be.
        id: String,
        /// The number that the engine's events carry.
        serial: u64,
    },
    /// Replace the engine in use, which ends, by the one that was started for another model.
    AdoptEngine {
        /// The number it was started with.
        serial: u64,
    },
    /// End the engine that was started for another model and failed.
    DropEngine {
        /// The number it was started with.
        serial: u64,
    },
    /// Put text into the clipboard of the user's terminal (OSC 52). The terminal does not tell whether it does so.
    Copy(String),
    /// Watch a folder, recursively. Answered by [`super::Msg::Watching`] or [`super::Msg::WatchFailed`], then by what
    /// happens there.
    Watch {
        /// The folder.
        root: PathBuf,
    },
    /// Stop watching.
    Unwatch,
    /// Restore the terminal and stop the process, as Ctrl-Z does; [`super::Msg::Resumed`] follows on return.
    Suspend,
    /// Set the terminal up again after the process was stopped; [`super::Msg::Resumed`] follows.
    Resume,
    /// Clear the screen, which another program may have written to; [`super::Msg::Resumed`] follows.
    Redraw,
    /// End the program: cancel, restore the terminal, close the queues, join the engine.
    Quit,
}
