//! Caches of open files and decoded frames.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::app::Stamp;
use crate::media::budget::{self, Evict, Reserved, WaitPolicy};
use crate::media::{self, DecodeOptions, Frame, ImageSource, MediaError};

/// Maximum number of files kept open: the one viewed and those before it.
const MAX_OPEN: usize = 3;

/// A file in a certain version: a changed file has another stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileVersion {
    pub path: PathBuf,
    pub stamp: Stamp,
}

/// Open files and decoded frames, the least recently used first.
pub(super) struct FrameStore {
    sources: VecDeque<(FileVersion, Arc<ImageSource>)>,
    frames: Arc<DecodedFrames>,
    /// Maximum bytes of decoded frames, unless a single one is larger.
    limit: usize,
}

/// Frames by file and frame number, the least recently used first.
type FrameList = VecDeque<(FileVersion, u32, Arc<Reserved<Frame>>)>;

/// Decoded frames, dropped when a decode needs their memory.
#[derive(Default)]
struct DecodedFrames(Mutex<FrameList>);

impl DecodedFrames {
    fn lock(&self) -> MutexGuard<'_, FrameList> {
        // A panic while the lock is held leaves the list consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Evict for DecodedFrames {
    fn evict(&self) {
        self.lock().clear();
    }
}

impl FrameStore {
    pub(super) fn new(limit: usize) -> Self {
        let frames = Arc::new(DecodedFrames::default());
        let weak: Weak<DecodedFrames> = Arc::downgrade(&frames);
        budget::decoding().register(weak);
        Self {
            sources: VecDeque::new(),
            frames,
            limit,
        }
    }

    /// Returns the file, and opens it if necessary.
    pub(super) fn source(&mut self, id: &FileVersion) -> Result<Arc<ImageSource>, MediaError> {
        if let Some(at) = self.sources.iter().position(|(known, _)| known == id)
            && let Some(hit) = self.sources.remove(at)
        {
            let source = Arc::clone(&hit.1);
            self.sources.push_back(hit);
            return Ok(source);
        }
        let source = Arc::new(media::open(&id.path)?);
        self.sources.push_back((id.clone(), Arc::clone(&source)));
        while self.sources.len() > MAX_OPEN {
            self.sources.pop_front();
        }
        Ok(source)
    }

    /// Returns the frame, and decodes it if it is not cached. It becomes the most recently used.
    pub(super) fn frame(
        &mut self,
        id: &FileVersion,
        number: u32,
        wait: WaitPolicy,
    ) -> Result<Arc<Reserved<Frame>>, MediaError> {
        if let Some(frame) = self.cached(id, number) {
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

    /// Returns the frame at a position without adding to the caches. Fails when memory is short.
    pub(super) fn peek(
        &self,
        id: &FileVersion,
        position: u32,
    ) -> Result<Arc<Reserved<Frame>>, MediaError> {
        let known = self.sources.iter().find(|(known, _)| known == id);
        let source = match known {
            Some((_, source)) => Arc::clone(source),
            None => Arc::new(media::open(&id.path)?),
        };
        let number = source.frame_order().number(position);
        if let Some(frame) = self.cached(id, number) {
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

    /// The cached frame, if any. It becomes the most recently used.
    fn cached(&self, id: &FileVersion, number: u32) -> Option<Arc<Reserved<Frame>>> {
        let mut frames = self.frames.lock();
        let at = position(&frames, id, number)?;
        let hit = frames.remove(at)?;
        let frame = Arc::clone(&hit.2);
        frames.push_back(hit);
        Some(frame)
    }

    pub(super) fn has(&self, id: &FileVersion, number: u32) -> bool {
        position(&self.frames.lock(), id, number).is_some()
    }

    /// Whether `count` frames of `bytes` each fit into the cache.
    pub(super) fn has_room_for(&self, count: usize, bytes: usize) -> bool {
        bytes.saturating_mul(count) <= self.limit
    }

    /// Bytes of the cached frames.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        bytes_of(&self.frames.lock())
    }
}

fn position(frames: &FrameList, id: &FileVersion, number: u32) -> Option<usize> {
    frames
        .iter()
        .position(|(known, at, _)| known == id && *at == number)
}

fn bytes_of(frames: &FrameList) -> usize {
    frames.iter().map(|(_, _, frame)| frame.bytes()).sum()
}
