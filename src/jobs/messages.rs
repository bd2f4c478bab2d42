//! The input and output of the state machine.

use std::path::PathBuf;

use crate::engine::Job;
use crate::library::Outcome;

/// A command for the engine. Commands are to be carried out in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobCommand {
    /// Classify a file, then call [`super::Jobs::answered`] or [`super::Jobs::dropped`] once with its generation.
    Start(Job),
    /// Move the started file of this generation to the interactive lane.
    Promote(u64),
    /// Cancel the started file of this generation: its result is no longer wanted.
    Cancel(u64),
}

/// Why a file is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its result is wanted; a pending one will do.
    Wanted,
    /// It appeared or its content changed under a watch. Results of its earlier content are outdated, and its writer may
    /// not be done.
    Arrived,
}

/// How the wanted generation of a file ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// The engine's outcomes: one, or one per frame and their aggregate.
    Answered(Vec<Outcome>),
    /// The file was removed before it was read.
    Gone,
}

/// The end of a wanted generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended<W> {
    /// The file, under its current name.
    pub path: PathBuf,
    /// The generation that ended.
    pub generation: u64,
    /// Everyone who requested it, in order.
    pub waiters: Vec<W>,
    /// How it ended.
    pub end: End,
    /// Whether the file still existed.
    pub is_there: bool,
    /// Whether the content is the same as that of the result reported before.
    pub is_repeated: bool,
    /// Whether it was requested because the file had [arrived](Reason::Arrived).
    pub has_arrived: bool,
}

impl<W> Ended<W> {
    pub(super) fn gone(path: PathBuf, generation: u64, waiters: Vec<W>) -> Self {
        Self {
            path,
            generation,
            waiters,
            end: End::Gone,
            is_there: false,
            is_repeated: false,
            has_arrived: false,
        }
    }
}
