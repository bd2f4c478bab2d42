//! Assembles images that are stored in tiles, whole or reduced, on several threads. The work can be cancelled.

mod canvas;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::error::{ErrorKind, MediaError};
use crate::{Frame, limits};
use canvas::{MosaicCanvas, Patch};

/// Largest number of threads that decode tiles: the interface needs its share of the CPU.
const MAX_THREADS: usize = 4;

/// An image that an object stores in tiles (PS3.3 C.7.6.17.3): the Total Pixel Matrix of a slide at one resolution.
#[derive(Clone, Debug, PartialEq)]
pub struct Mosaic {
    /// Columns of the whole image.
    pub width: u32,
    /// Rows of the whole image.
    pub height: u32,
    /// Number of planes, each a whole image: optical paths, focal planes, segments.
    pub planes: u32,
    /// Whether the object is one resolution level of the slide, and not an image of its label or an overview of the
    /// glass.
    pub is_level: bool,
    /// Whether the object stores colours, of which some tiles may be grey by chance: glass is white.
    pub(crate) is_color: bool,
    /// Colour of the parts without a tile.
    pub(crate) background: [u8; 3],
    /// All tiles, in the order of the frames.
    pub(crate) tiles: Vec<Tile>,
}

/// A frame and its position in the mosaic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    /// Index of the frame, from 0.
    pub frame: u32,
    /// Plane that the tile belongs to, from 0.
    pub plane: u32,
    /// Column of its first pixel, from 0.
    pub x: u32,
    /// Row of its first pixel, from 0.
    pub y: u32,
}

/// An assembled plane of a mosaic.
#[derive(Clone, Debug)]
pub struct Assembled {
    /// The assembled frame.
    pub frame: Frame,
    /// Number of tiles that could not be decoded; their places stay empty.
    pub damaged: usize,
}

/// Progress of assembling a mosaic.
pub struct MosaicProgress<'a> {
    /// Number of tiles done.
    pub done: usize,
    /// Number of all tiles.
    pub total: usize,
    canvas: &'a Mutex<Option<MosaicCanvas>>,
}

impl MosaicProgress<'_> {
    /// A copy of what has been assembled so far; `None` before the first tile.
    pub fn picture(&self) -> Option<Frame> {
        lock(self.canvas).as_ref().map(MosaicCanvas::frame)
    }
}

impl Mosaic {
    /// Number of pixels of the whole image.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Number of tiles of a plane.
    pub fn tiles(&self, plane: u32) -> usize {
        self.of_plane(plane).count()
    }

    /// The tiles of a plane.
    pub(crate) fn of_plane(&self, plane: u32) -> impl Iterator<Item = Tile> {
        let tiles = self.tiles.iter().copied();
        tiles.filter(move |tile| tile.plane == plane)
    }

    /// Columns and rows of the image reduced by `divisor`.
    pub fn reduced(&self, divisor: u32) -> (u32, u32) {
        (
            self.width.div_ceil(divisor.max(1)),
            self.height.div_ceil(divisor.max(1)),
        )
    }

    /// Assembles a plane from the tiles that `decode` returns, on `threads` threads, each pixel being the mean of
    /// `divisor` × `divisor`. `watch` is called after each tile that the calling thread decodes; when it returns false,
    /// the work stops and the result is `None`.
    pub(crate) fn assemble(
        &self,
        plane: u32,
        divisor: u32,
        threads: usize,
        decode: impl Fn(u32) -> Result<Frame, MediaError> + Sync,
        watch: &mut dyn FnMut(&MosaicProgress) -> bool,
    ) -> Result<Option<Assembled>, MediaError> {
        let divisor = divisor.max(1);
        let size = self.reduced(divisor);
        limits::check_size(size.0, size.1)?;
        let tiles: Vec<Tile> = self.of_plane(plane).collect();
        let canvas = Mutex::new(None);
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let stopped = AtomicBool::new(false);
        let faults: Mutex<Vec<MediaError>> = Mutex::default();
        let decode_next = || -> bool {
            let tile = tiles.get(next.fetch_add(1, Ordering::Relaxed));
            let Some(tile) = tile.filter(|_| !stopped.load(Ordering::Relaxed)) else {
                return false;
            };
            match decode(tile.frame) {
                Ok(frame) => self.draw(&canvas, &frame, *tile, divisor),
                Err(error) => lock(&faults).push(error),
            }
            done.fetch_add(1, Ordering::Relaxed);
            true
        };
        on_threads(threads.min(tiles.len()), decode_next, || {
            let progress = MosaicProgress {
                done: done.load(Ordering::Relaxed),
                total: tiles.len(),
                canvas: &canvas,
            };
            if !watch(&progress) {
                stopped.store(true, Ordering::Relaxed);
            }
        });
        if stopped.into_inner() {
            return Ok(None);
        }
        assembled(canvas, faults).map(Some)
    }

    /// Draws a tile; the first one creates the canvas.
    fn draw(&self, canvas: &Mutex<Option<MosaicCanvas>>, frame: &Frame, tile: Tile, divisor: u32) {
        let patch = Patch::new(frame, tile, divisor, (self.width, self.height));
        let mut canvas = lock(canvas);
        let canvas = canvas.get_or_insert_with(|| {
            let first = if self.is_color { None } else { frame.grey() };
            MosaicCanvas::new(first, self.reduced(divisor), self.background)
        });
        canvas.draw(patch, frame);
    }
}

/// Calls `next` on several threads, until it returns false, and `after` each call by this one.
fn on_threads(threads: usize, next: impl Fn() -> bool + Sync, mut after: impl FnMut()) {
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| while next() {});
        }
        while next() {
            after();
        }
    });
}

/// The result of assembling: an error if no tile could be decoded.
fn assembled(
    canvas: Mutex<Option<MosaicCanvas>>,
    faults: Mutex<Vec<MediaError>>,
) -> Result<Assembled, MediaError> {
    let faults = faults.into_inner().unwrap_or_else(PoisonError::into_inner);
    let canvas = canvas.into_inner().unwrap_or_else(PoisonError::into_inner);
    match canvas {
        Some(canvas) => Ok(Assembled {
            frame: canvas.into_frame(),
            damaged: faults.len(),
        }),
        None => Err(faults.into_iter().next().unwrap_or_else(|| {
            MediaError::new(ErrorKind::Malformed, "DICOM: no tile lies in the image")
        })),
    }
}

/// Number of threads that decode tiles, unless there is too little memory for so many.
pub(crate) fn threads() -> usize {
    thread::available_parallelism().map_or(1, |count| count.get().min(MAX_THREADS))
}

/// Locks a mutex. A panic elsewhere cannot leave its content inconsistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
