//! Everything the program may do to the world, as data. The runtime carries it out and answers with messages.

use std::path::PathBuf;

use super::entry::{Found, Stamp};
use super::kept::Kept;
use super::picture::PreviewKey;
use crate::engine::Known;
use crate::jobs::JobCommand;
use crate::prompts::Prompts;

/// What [`super::update`] asks the shell to do. None of it blocks the loop.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Read one folder, not those below. Answered by [`super::Msg::Kept`] where it was left in an earlier run, then by
    /// [`super::Msg::Listed`] parts (a few entries at first, so that the first
    /// rows of a huge folder are seen at once, then ever more) or [`super::Msg::Unlisted`]. A later request makes an
    /// unfinished one pointless.
    List {
        /// The folder.
        dir: PathBuf,
        /// Comes back with the answer.
        generation: u64,
    },
    /// Keep how a folder was left. Not answered.
    Keep {
        /// The folder.
        dir: PathBuf,
        /// How it was left.
        kept: Kept,
    },
    /// Find all pictures under a folder, recursively, as `classify` would: dotfiles skipped, links to folders not
    /// followed. Answered by [`super::Msg::Scanned`]; several may be under way at once.
    Scan {
        /// Where to begin.
        root: PathBuf,
        /// Comes back with the answer.
        generation: u64,
    },
    /// Decode a file and make it ready for the terminal. Only the latest request matters: a worker that is still busy
    /// forgets the one that waits when the next comes. Answered by [`super::Msg::Previewed`].
    Preview(PreviewKey),
    /// Files that may be looked at next, the likeliest first: their first frames are decoded while no preview is wanted.
    /// Takes the place of those told before. Not answered.
    Nearby(Vec<(PathBuf, Stamp)>),
    /// Nothing is to be previewed: a waiting request may be forgotten.
    Unpreview,
    /// Decode files and make small pictures of them, of frame 0 as it asks to be seen, without marks; instead of those that still
    /// wait. Answered by a [`super::Msg::Tile`] each, about in this order.
    Tiles(Vec<PreviewKey>),
    /// Hand files to the engine, or change what it does with those that it has. Each that is started is answered by
    /// `Event::Done` or `Event::Dropped` of its generation.
    Jobs(Vec<JobCommand>),
    /// Read the tags of a file. Answered by [`super::Msg::Tags`].
    Tags {
        /// The file.
        path: PathBuf,
        /// Comes back with the answer.
        generation: u64,
    },
    /// Read the headers of files, to group them. Answered by [`super::Msg::Headers`] parts. A later request makes an unfinished
    /// one pointless; what was read until then is answered all the same.
    Headers {
        /// The files.
        files: Vec<Found>,
        /// Comes back with the answer.
        generation: u64,
    },
    /// Find the objects among files that are about images: presentation states, segmentations, structure sets. Answered by
    /// [`super::Msg::Related`] parts. A later request makes an unfinished one pointless.
    Related {
        /// The files.
        files: Vec<Found>,
        /// Comes back with the answer.
        generation: u64,
    },
    /// Read a DICOMDIR. Answered by [`super::Msg::Directory`].
    Directory {
        /// The file.
        path: PathBuf,
        /// Comes back with the answer.
        generation: u64,
    },
    /// Read the prompt sets that can be chosen. Answered by [`super::Msg::PromptSets`].
    PromptSets,
    /// Score by these from now on. Answered by `Event::Prompts` or `Event::PromptsFailed`.
    UsePrompts(Prompts),
    /// Score anew what is classified, by the prompts in force. Answered by `Event::Rescored` parts.
    Rescore(Vec<Known>),
    /// Look which models can be chosen. Answered by [`super::Msg::Models`].
    Models,
    /// Fetch a model from the hub. Answered by [`super::Msg::Pulling`] and at the end [`super::Msg::Pulled`].
    Pull {
        /// The model.
        id: String,
        /// Comes back with the answers.
        serial: u64,
    },
    /// Stop fetching; nothing more need be answered. What has come is kept.
    StopPull,
    /// Start an engine for another model beside the one in use. Answered by [`super::Msg::OtherEngine`]; a later request
    /// makes an unfinished one pointless.
    UseModel {
        /// What `--model` would be.
        id: String,
        /// Comes back with all that the engine says.
        serial: u64,
    },
    /// Let the engine that was started for another model take over from the one in use, which ends.
    AdoptEngine {
        /// As it was started.
        serial: u64,
    },
    /// Let go of the engine that was started for another model: it failed.
    DropEngine {
        /// As it was started.
        serial: u64,
    },
    /// Put text into the clipboard of whoever sits at the terminal (OSC 52). Whether the terminal does so, it does not say.
    Copy(String),
    /// Begin to watch a folder, recursively. Answered by [`super::Msg::Watching`] or [`super::Msg::WatchFailed`], then by what
    /// happens there.
    Watch {
        /// The folder.
        root: PathBuf,
    },
    /// Stop watching.
    Unwatch,
    /// Give the terminal back and stop the process, as Ctrl-Z does; [`super::Msg::Resumed`] follows on return.
    Suspend,
    /// Take the terminal again, which someone else has had while the process was stopped; [`super::Msg::Resumed`] follows.
    Resume,
    /// Clear the screen, which someone else may have written to; [`super::Msg::Resumed`] follows.
    Redraw,
    /// Leave: cancel, restore the terminal, close the queues, join the engine.
    Quit,
}
