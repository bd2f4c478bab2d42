//! What is kept of files: a few that are open, and decoded frames up to a number of bytes.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::app::Stamp;
use crate::media::budget::{self, Evict, Reserved, WaitPolicy};
use crate::media::{self, DecodeOptions, Frame, ImageSource, MediaError};

/// Files kept open: the one looked at and those just before it.
const MAX_OPEN: usize = 3;

/// A file with this content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Id {
    pub path: PathBuf,
    pub stamp: Stamp,
}

/// Open files and decoded frames, the oldest first.
pub(super) struct Store {
    sources: VecDeque<(Id, Arc<ImageSource>)>,
    frames: Arc<Frames>,
    /// Bytes of decoded frames kept, at most, unless a single one is larger.
    limit: usize,
}

/// Frames of files by their numbers, the oldest first.
type Decoded = VecDeque<(Id, u32, Arc<Reserved<Frame>>)>;

/// Decoded frames, given up when a decode needs their memory.
#[derive(Default)]
struct Frames(Mutex<Decoded>);

impl Frames {
    fn lock(&self) -> MutexGuard<'_, Decoded> {
        // A panic elsewhere leaves the list whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Evict for Frames {
    fn evict(&self) {
        self.lock().clear();
    }
}

impl Store {
    pub(super) fn new(limit: usize) -> Self {
        let frames = Arc::new(Frames::default());
        let weak: Weak<Frames> = Arc::downgrade(&frames);
        budget::decoding().register(weak);
        Self {
            sources: VecDeque::new(),
            frames,
            limit,
        }
    }

    /// The file, opened if it is not.
    pub(super) fn source(&mut self, id: &Id) -> Result<Arc<ImageSource>, MediaError> {
        if let Some(at) = self.sources.iter().position(|(known, _)| known == id)
            && let Some(hit) = self.sources.remove(at)
        {
            let source = Arc::clone(&hit.1);
            self.sources.push_back(hit);
            return Ok(source);
        }
        let source = Arc::new(open(&id.path)?);
        self.sources.push_back((id.clone(), Arc::clone(&source)));
        while self.sources.len() > MAX_OPEN {
            self.sources.pop_front();
        }
        Ok(source)
    }

    /// The frame, decoded if it is not kept; it is then the last to be dropped.
    pub(super) fn frame(
        &mut self,
        id: &Id,
        number: u32,
        wait: WaitPolicy,
    ) -> Result<Arc<Reserved<Frame>>, MediaError> {
        if let Some(frame) = self.known(id, number) {
            return Ok(frame);
        }
        let options = DecodeOptions {
            frame: number,
            parallel: true,
            ..DecodeOptions::default()
        };
        let frame = self.source(id)?.frame_reserved(&options, wait)?;
        let bytes = frame.bytes() as u64;
        let frame = Arc::new(frame.keep(bytes));
        let mut frames = self.frames.lock();
        frames.push_back((id.clone(), number, Arc::clone(&frame)));
        while frames.len() > 1 && bytes_of(&frames) > self.limit {
            frames.pop_front();
        }
        Ok(frame)
    }

    /// The frame at a position, of which nothing is kept that was not before. Where memory is short it is an error.
    pub(super) fn peek(&self, id: &Id, position: u32) -> Result<Arc<Reserved<Frame>>, MediaError> {
        let known = self.sources.iter().find(|(known, _)| known == id);
        let source = match known {
            Some((_, source)) => Arc::clone(source),
            None => Arc::new(open(&id.path)?),
        };
        let number = source.frame_order().number(position);
        if let Some(frame) = self.known(id, number) {
            return Ok(frame);
        }
        let options = DecodeOptions {
            frame: number,
            ..DecodeOptions::default()
        };
        let wait = WaitPolicy {
            urgent: false,
            cancelled: &|| true,
        };
        source.frame_reserved(&options, wait).map(Arc::new)
    }

    /// The frame if it is kept; it is then the last to be dropped.
    fn known(&self, id: &Id, number: u32) -> Option<Arc<Reserved<Frame>>> {
        let mut frames = self.frames.lock();
        let at = position(&frames, id, number)?;
        let hit = frames.remove(at)?;
        let frame = Arc::clone(&hit.2);
        frames.push_back(hit);
        Some(frame)
    }

    pub(super) fn has(&self, id: &Id, number: u32) -> bool {
        position(&self.frames.lock(), id, number).is_some()
    }

    /// That many frames of this size can be kept together.
    pub(super) fn has_room_for(&self, count: usize, bytes: usize) -> bool {
        bytes.saturating_mul(count) <= self.limit
    }

    /// Bytes of the frames kept.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        bytes_of(&self.frames.lock())
    }
}

fn position(frames: &Decoded, id: &Id, number: u32) -> Option<usize> {
    frames
        .iter()
        .position(|(known, at, _)| known == id && *at == number)
}

fn bytes_of(frames: &Decoded) -> usize {
    frames.iter().map(|(_, _, frame)| frame.bytes()).sum()
}

fn open(path: &Path) -> Result<ImageSource, MediaError> {
    media::open(path)
}
