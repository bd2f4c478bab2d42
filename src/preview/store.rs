//! What is kept of files: a few that are open, and decoded frames up to a number of bytes.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::Stamp;
use crate::media::{self, Frame, MediaError, Options, Source};

/// Files kept open: the one looked at and those just before it.
const OPEN: usize = 3;

/// A file with this content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Id {
    pub path: PathBuf,
    pub stamp: Stamp,
}

/// Open files and decoded frames, the oldest first.
pub(super) struct Store {
    sources: VecDeque<(Id, Arc<Source>)>,
    frames: VecDeque<(Id, u32, Frame)>,
    /// Bytes of decoded frames kept, at most, unless a single one is larger.
    limit: usize,
}

impl Store {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            sources: VecDeque::new(),
            frames: VecDeque::new(),
            limit,
        }
    }

    /// The file, opened if it is not.
    pub(super) fn source(&mut self, id: &Id) -> Result<Arc<Source>, MediaError> {
        if let Some(at) = self.sources.iter().position(|(known, _)| known == id)
            && let Some(hit) = self.sources.remove(at)
        {
            let source = Arc::clone(&hit.1);
            self.sources.push_back(hit);
            return Ok(source);
        }
        let source = Arc::new(open(&id.path)?);
        self.sources.push_back((id.clone(), Arc::clone(&source)));
        while self.sources.len() > OPEN {
            self.sources.pop_front();
        }
        Ok(source)
    }

    /// The frame, decoded if it is not kept; it is then the last to be dropped.
    pub(super) fn frame(&mut self, id: &Id, number: u32) -> Result<Frame, MediaError> {
        if let Some(at) = self.position(id, number)
            && let Some(hit) = self.frames.remove(at)
        {
            let frame = hit.2.clone();
            self.frames.push_back(hit);
            return Ok(frame);
        }
        let frame = self.source(id)?.decode(&Options {
            frame: number,
            spread: true,
            ..Options::default()
        })?;
        self.frames.push_back((id.clone(), number, frame.clone()));
        while self.frames.len() > 1 && self.bytes() > self.limit {
            self.frames.pop_front();
        }
        Ok(frame)
    }

    pub(super) fn has(&self, id: &Id, number: u32) -> bool {
        self.position(id, number).is_some()
    }

    /// That many frames of this size can be kept together.
    pub(super) fn has_room_for(&self, count: usize, bytes: usize) -> bool {
        bytes.saturating_mul(count) <= self.limit
    }

    /// Bytes of the frames kept.
    pub(super) fn bytes(&self) -> usize {
        self.frames.iter().map(|(_, _, frame)| frame.bytes()).sum()
    }

    fn position(&self, id: &Id, number: u32) -> Option<usize> {
        self.frames
            .iter()
            .position(|(known, at, _)| known == id && *at == number)
    }
}

fn open(path: &Path) -> Result<Source, MediaError> {
    media::open(path)
}
