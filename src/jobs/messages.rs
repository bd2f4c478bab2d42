//! What goes into the machine and what comes out of it.

use std::path::PathBuf;

use crate::engine::Job;
use crate::library::Outcome;

/// What the engine is to do. To be carried out in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Classify a file. Answered by [`super::Jobs::answered`] or [`super::Jobs::dropped`] under the same generation, once.
    Start(Job),
    /// A file that was started goes ahead of those in bulk from now on.
    Promote(u64),
    /// The result of a file that was started is no longer wanted.
    Cancel(u64),
}

/// Why a file is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its result is wanted. One that is on its way will do.
    Wanted,
    /// It came, or its content changed, while somebody watched. Results of what it was before are outdated, and who
    /// writes it may not be done.
    Arrived,
}

/// How the wanted generation of a file ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// The engine's outcomes: one, or one per frame and their aggregate.
    Answered(Vec<Outcome>),
    /// The file went before it was read.
    Gone,
}

/// The end of a wanted generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended<W> {
    /// The file, by its present name.
    pub path: PathBuf,
    /// Which of its contents.
    pub generation: u64,
    /// Everyone who asked, in order.
    pub waiters: Vec<W>,
    /// What became of it.
    pub end: End,
    /// The file was still there.
    pub is_there: bool,
    /// The content is that of the result reported before.
    pub is_repeated: bool,
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
        }
    }
}
