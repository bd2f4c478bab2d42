//! The volume last reformatted, and how it is put together from the files of a stack.

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::slide::Slide;
use crate::app::{FoundFile, Reformat, VolumePart, VolumeProgress, VolumeView, text};
use crate::media::budget::{self, Evict, Reserved, WaitPolicy};
use crate::media::volume::{Lattice, Projection, ReformatPlane, Slab, SlicePlace, Volume};
use crate::media::{self, DecodeOptions, ErrorKind, Frame, ImageInfo, ImageSource, MediaError};

/// The share of the decoding budget that a volume may take, so that other images can still be decoded.
const MAX_BUDGET_SHARE: u64 = 2;
/// Interval between two reports of progress, and time before the first.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// The volume made of a stack.
struct StackVolume {
    stack: Arc<[FoundFile]>,
    volume: Arc<Volume>,
}

/// The volume made last; dropped when a decode needs its memory.
#[derive(Default)]
struct VolumeCache(Mutex<Option<StackVolume>>);

impl VolumeCache {
    fn lock(&self) -> MutexGuard<'_, Option<StackVolume>> {
        // A panic while the lock is held leaves the content consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Evict for VolumeCache {
    fn evict(&self) {
        *self.lock() = None;
    }
}

/// Is told how much of a volume has been read.
pub type OnVolume = Box<dyn Fn(VolumeProgress) + Send>;

/// Makes reformats.
pub(super) struct Volumes {
    cache: Arc<VolumeCache>,
    on_progress: OnVolume,
}

impl Default for Volumes {
    fn default() -> Self {
        let cache = Arc::new(VolumeCache::default());
        let weak: Weak<VolumeCache> = Arc::downgrade(&cache);
        budget::decoding().register(weak);
        Self {
            cache,
            on_progress: Box::new(|_| {}),
        }
    }
}

/// A frame of a stack.
struct StackFrame {
    file: FoundFile,
    number: u32,
}

impl Volumes {
    /// Tells `on_progress` how much of a volume that takes long has been read.
    pub(super) fn set_progress(&mut self, on_progress: OnVolume) {
        self.on_progress = on_progress;
    }

    /// The plane or planes that are requested, for `room` screen pixels, and how they lie in their volume; `None` if they were
    /// overtaken meanwhile.
    pub(super) fn reformat(
        &self,
        reformat: &Reformat,
        info: &ImageInfo,
        room: (u32, u32),
        overtaken: &dyn Fn() -> bool,
    ) -> Result<Option<(Slide, VolumeView)>, MediaError> {
        let Some(volume) = self.volume(&reformat.stack, overtaken)? else {
            return Ok(None);
        };
        let lattice = volume.lattice();
        let (size, axes) = (lattice.size(), lattice.axes(reformat.plane));
        let at = reformat.at.unwrap_or(size.map(|count| count / 2));
        let at = [0, 1, 2].map(|axis| at[axis].min(size[axis] - 1));
        let plane = if reformat.all_planes {
            volume
                .side_by_side(reformat.plane, at, reformat.slab, room)
                .map(|(grey, geometry, panels)| (grey, geometry, Some(panels)))
        } else {
            let plane = volume.reformat(reformat.plane, at[axes.through], reformat.slab);
            plane.map(|(grey, geometry)| (grey, geometry, None))
        };
        let (grey, geometry, panels) = plane.ok_or_else(|| {
            MediaError::new(ErrorKind::Internal, "the plane lies outside the volume")
        })?;
        let info = ImageInfo {
            width: grey.width,
            height: grey.height,
            frames: 1,
            ..info.clone()
        };
        let place = (at[axes.through] + 1, size[axes.through]);
        let note = if panels.is_some() {
            // Each panel has a label of its own.
            slab_words(reformat.slab).map_or_else(
                || "three planes".to_owned(),
                |slab| format!("three planes, {slab}"),
            )
        } else {
            note(reformat.plane, place, reformat.slab)
        };
        let thickness = reformat
            .slab
            .map_or(lattice.steps()[axes.through], |slab| slab.thickness_mm);
        let view = VolumeView {
            size,
            axes,
            at,
            thickness,
            panels,
        };
        Ok(Some((
            Slide::whole(Frame::Grey(grey), info, geometry, note),
            view,
        )))
    }

    /// The volume of a stack; `None` if it was overtaken meanwhile.
    fn volume(
        &self,
        stack: &Arc<[FoundFile]>,
        overtaken: &dyn Fn() -> bool,
    ) -> Result<Option<Arc<Volume>>, MediaError> {
        if let Some(known) = &*self.cache.lock()
            && known.stack == *stack
        {
            return Ok(Some(Arc::clone(&known.volume)));
        }
        *self.cache.lock() = None;
        let refuse = |error: media::volume::VolumeError| {
            MediaError::new(ErrorKind::Unsupported, format!("no reformat: {error}"))
        };
        let progress = ProgressReport::new(&self.on_progress);
        let (mut places, mut frames) = (Vec::new(), Vec::new());
        for (done, file) in stack.iter().enumerate() {
            if overtaken() {
                return Ok(None);
            }
            progress.report(VolumePart::Headers, done, stack.len());
            let source = media::open(&file.path)?;
            for number in 0..source.info().frames {
                places.push(place(file, &source, number));
                let file = file.clone();
                frames.push(StackFrame { file, number });
            }
        }
        let lattice = Lattice::new(&places).map_err(refuse)?;
        let wait = WaitPolicy {
            urgent: true,
            cancelled: overtaken,
        };
        let mut slices: Vec<Reserved<Frame>> = Vec::with_capacity(frames.len());
        let mut open: Option<(FoundFile, ImageSource)> = None;
        for at in lattice.order() {
            if overtaken() {
                return Ok(None);
            }
            let StackFrame { file, number } = &frames[*at];
            if open.as_ref().is_none_or(|(known, _)| known != file) {
                open = Some((file.clone(), media::open(&file.path)?));
            }
            let Some((_, source)) = &open else { continue };
            let options = DecodeOptions {
                frame: *number,
                parallel: true,
                ..DecodeOptions::default()
            };
            let frame = match source.frame_reserved(&options, wait) {
                Err(_) if overtaken() => return Ok(None),
                frame => frame?,
            };
            let bytes = frame.bytes() as u64;
            check_size(bytes, frames.len())?;
            slices.push(frame.keep(bytes));
            progress.report(VolumePart::Slices, slices.len(), frames.len());
        }
        let volume = Arc::new(Volume::new(lattice, slices).map_err(refuse)?);
        *self.cache.lock() = Some(StackVolume {
            stack: Arc::clone(stack),
            volume: Arc::clone(&volume),
        });
        Ok(Some(volume))
    }
}

/// Reports progress at intervals, the first after one.
struct ProgressReport<'a> {
    on_progress: &'a OnVolume,
    last: Cell<Instant>,
}

impl<'a> ProgressReport<'a> {
    fn new(on_progress: &'a OnVolume) -> Self {
        Self {
            on_progress,
            last: Cell::new(Instant::now()),
        }
    }

    fn report(&self, part: VolumePart, done: usize, all: usize) {
        if self.last.get().elapsed() >= PROGRESS_INTERVAL {
            self.last.set(Instant::now());
            (self.on_progress)(VolumeProgress { part, done, all });
        }
    }
}

/// Refuses a volume of slices of `bytes` each that would take too large a share of the budget.
fn check_size(bytes: u64, slices: usize) -> Result<(), MediaError> {
    let (needed, limit) = (
        bytes.saturating_mul(slices as u64),
        budget::decoding().total() / MAX_BUDGET_SHARE,
    );
    if needed <= limit {
        return Ok(());
    }
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let words = format!(
        "no reformat: {slices} slices take {} MiB, more than half of the decoding budget, which is {} MiB (--memory)",
        mib(needed),
        mib(limit)
    );
    Err(MediaError::new(ErrorKind::TooLarge, words))
}

fn place(file: &FoundFile, source: &ImageSource, number: u32) -> SlicePlace {
    let info = source.info();
    let name = file.path.file_name().map_or_else(String::new, text::safe);
    SlicePlace {
        name: if info.frames > 1 {
            format!("{name} frame {}", number + 1)
        } else {
            name
        },
        size: (info.width, info.height),
        geometry: source.geometry(number),
    }
}

/// `sagittal 257/512, brightest of 10 mm`.
fn note(plane: ReformatPlane, (at, count): (u32, u32), slab: Option<Slab>) -> String {
    let slab = slab_words(slab).map_or_else(String::new, |words| format!(", {words}"));
    format!("{} {at}/{count}{slab}", plane.name())
}

/// `brightest of 10 mm`.
fn slab_words(slab: Option<Slab>) -> Option<String> {
    let slab = slab?;
    let which = match slab.projection {
        Projection::Maximum => "brightest",
        Projection::Minimum => "darkest",
    };
    Some(format!("{which} of {} mm", slab.thickness_mm))
}
