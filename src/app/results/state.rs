//! The state of a file.

use std::sync::Arc;

use crate::library::{Failure, Record};
use crate::scoring::Decision;

/// The state of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum FileState {
    /// Waits for the engine.
    Queued,
    /// Classified; one record for each frame that was classified, and one for their aggregate.
    Done(Arc<[Record]>),
    /// Classified, but the reviewer works without sight of results: these are the records, which nobody is told of.
    Blind(Arc<[Record]>),
    /// No result, with the reason.
    Failed(Failure),
}

impl FileState {
    /// The record of the file as a whole: the aggregate over its frames, else that of the first frame.
    pub fn record(&self) -> Option<&Record> {
        match self {
            Self::Done(records) => whole(records),
            Self::Blind(_) | Self::Queued | Self::Failed(_) => None,
        }
    }

    /// The same record if it is to be reviewed, which does not depend on whether its verdict may be seen.
    pub fn subject(&self) -> Option<&Record> {
        match self {
            Self::Done(records) | Self::Blind(records) => whole(records),
            Self::Queued | Self::Failed(_) => None,
        }
    }

    /// All records, seen or not; none if there is no result.
    pub fn records(&self) -> Option<&Arc<[Record]>> {
        match self {
            Self::Done(records) | Self::Blind(records) => Some(records),
            Self::Queued | Self::Failed(_) => None,
        }
    }

    /// Hides the verdict, or shows it again.
    pub(in crate::app) fn blinded(self, blind: bool) -> Self {
        match self {
            Self::Done(records) if blind => Self::Blind(records),
            Self::Blind(records) if !blind => Self::Done(records),
            other => other,
        }
    }

    /// The status.
    pub fn status(&self) -> FileStatus {
        match self {
            Self::Queued => FileStatus::Queued,
            Self::Blind(_) => FileStatus::Blind,
            Self::Failed(failure) if !failure.content.is_image() => FileStatus::NotAnImage,
            Self::Failed(_) => FileStatus::Failed,
            Self::Done(_) => match self.record().map(|r| r.verdict.decision) {
                Some(Decision::Confident) => FileStatus::Confident,
                Some(Decision::Rejected) => FileStatus::Rejected,
                Some(Decision::Uncertain) | None => FileStatus::Uncertain,
            },
        }
    }
}

fn whole(records: &[Record]) -> Option<&Record> {
    let aggregate = records.iter().find(|record| record.aggregate.is_some());
    aggregate.or(records.first())
}

/// The status of a file, which decides its symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileStatus {
    /// Classified with confidence.
    Confident,
    /// Classified, but uncertain.
    Uncertain,
    /// Rejected: the model is not meant for the image.
    Rejected,
    /// Classified, but the verdict is hidden from the reviewer.
    Blind,
    /// Waits for the engine.
    Queued,
    /// The image could not be read.
    Failed,
    /// The file does not hold an image.
    NotAnImage,
}
