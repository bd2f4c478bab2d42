//! Assembles images that are stored in tiles, whole or reduced, on several threads. The work can be cancelled.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::error::{ErrorKind, MediaError};
use crate::grey::canvas::GreyCanvas;
use crate::{Frame, Picture, Pixels, limits};

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
        self.tiles.iter().filter(|tile| tile.plane == plane).count()
    }

    /// Columns and rows of the image reduced by `divisor`.
    pub fn reduced(&self, divisor: u32) -> (u32, u32) {
        (
            self.width.div_ceil(divisor.max(1)),
            self.height.div_ceil(divisor.max(1)),
        )
    }

    /// Assembles a plane from the tiles that `decode` returns, each pixel being the mean of `divisor` × `divisor`.
    /// `watch` is called after each tile that the calling thread decodes; when it returns false, the work stops and
    /// the result is `None`.
    pub(crate) fn assemble(
        &self,
        plane: u32,
        divisor: u32,
        decode: impl Fn(u32) -> Result<Frame, MediaError> + Sync,
        watch: &mut dyn FnMut(&MosaicProgress) -> bool,
    ) -> Result<Option<Assembled>, MediaError> {
        let divisor = divisor.max(1);
        let (width, height) = self.reduced(divisor);
        limits::check_size(width, height)?;
        let tiles: Vec<Tile> = self
            .tiles
            .iter()
            .copied()
            .filter(|tile| tile.plane == plane)
            .collect();
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
                Ok(frame) => {
                    let patch = Patch::of(&frame, *tile, divisor, (self.width, self.height));
                    let mut canvas = lock(&canvas);
                    let canvas = canvas.get_or_insert_with(|| {
                        MosaicCanvas::new(&frame, (width, height), self.background)
                    });
                    canvas.put(&patch);
                }
                Err(error) => lock(&faults).push(error),
            }
            done.fetch_add(1, Ordering::Relaxed);
            true
        };
        let helpers = thread::available_parallelism()
            .map_or(1, usize::from)
            .min(MAX_THREADS)
            - 1;
        thread::scope(|scope| {
            for _ in 0..helpers.min(tiles.len().saturating_sub(1)) {
                scope.spawn(|| while decode_next() {});
            }
            while decode_next() {
                let progress = MosaicProgress {
                    done: done.load(Ordering::Relaxed),
                    total: tiles.len(),
                    canvas: &canvas,
                };
                if !watch(&progress) {
                    stopped.store(true, Ordering::Relaxed);
                }
            }
        });
        if stopped.into_inner() {
            return Ok(None);
        }
        let faults = faults.into_inner().unwrap_or_else(PoisonError::into_inner);
        let canvas = canvas.into_inner().unwrap_or_else(PoisonError::into_inner);
        match canvas {
            Some(canvas) => Ok(Some(Assembled {
                frame: canvas.into_frame(),
                damaged: faults.len(),
            })),
            None => Err(faults.into_iter().next().unwrap_or_else(|| {
                MediaError::new(ErrorKind::Malformed, "DICOM: no tile lies in the image")
            })),
        }
    }
}

/// Locks a mutex. A panic elsewhere cannot leave its content inconsistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A reduced tile and its position in the reduced image.
struct Patch {
    x: u32,
    y: u32,
    width: u32,
    values: PatchValues,
}

/// The pixels of a [`Patch`].
enum PatchValues {
    /// Interleaved RGB.
    Color(Vec<u8>),
    /// Stored values.
    Grey(Vec<f64>),
}

impl Patch {
    /// Reduces a tile to the pixels whose centres lie in it, each the mean of the part of its block that lies in the
    /// tile.
    fn of(frame: &Frame, tile: Tile, divisor: u32, whole: (u32, u32)) -> Self {
        let size = match frame {
            Frame::Grey(grey) => (grey.width, grey.height),
            Frame::Color(picture) => (picture.width, picture.height),
        };
        let columns = blocks(tile.x, size.0, divisor, whole.0);
        let rows = blocks(tile.y, size.1, divisor, whole.1);
        let values = match frame {
            Frame::Grey(grey) => PatchValues::Grey(means(&columns, &rows, |x, y| {
                [grey
                    .stored(y as usize * grey.width as usize + x as usize)
                    .unwrap_or_default()]
            })),
            Frame::Color(picture) => PatchValues::Color(colors(picture, &columns, &rows)),
        };
        Self {
            x: columns.first,
            y: rows.first,
            width: columns.spans.len() as u32,
            values,
        }
    }
}

/// The reduced pixels that a tile covers along one axis: the first of them, and for each the range of the tile's
/// pixels that it is made of.
struct Blocks {
    first: u32,
    spans: Vec<(u32, u32)>,
}

/// The blocks of a tile that begins at `from` and has `length` pixels, in an image of `whole` pixels along this axis.
fn blocks(from: u32, length: u32, divisor: u32, whole: u32) -> Blocks {
    let (from, end) = (
        u64::from(from),
        (u64::from(from) + u64::from(length)).min(u64::from(whole)),
    );
    let size = u64::from(divisor);
    let middle = |block: u64| (block * size + size / 2).min(u64::from(whole).saturating_sub(1));
    let mut first = from / size;
    if middle(first) < from {
        first += 1;
    }
    let spans = (first..)
        .take_while(|block| block * size < end && middle(*block) < end)
        .map(|block| {
            let start = (block * size).max(from) - from;
            let stop = (block * size + size).min(end) - from;
            (start as u32, stop as u32)
        });
    Blocks {
        first: first as u32,
        spans: spans.collect(),
    }
}

/// The mean of each block of values, `N` channels a pixel.
fn means<const N: usize>(
    columns: &Blocks,
    rows: &Blocks,
    value: impl Fn(u32, u32) -> [f64; N],
) -> Vec<f64> {
    let mut out = Vec::with_capacity(columns.spans.len() * rows.spans.len() * N);
    for &(top, bottom) in &rows.spans {
        for &(left, right) in &columns.spans {
            let mut sum = [0.0; N];
            for y in top..bottom {
                for x in left..right {
                    for (sum, value) in sum.iter_mut().zip(value(x, y)) {
                        *sum += value;
                    }
                }
            }
            let count = f64::from((bottom - top) * (right - left)).max(1.0);
            out.extend(sum.map(|sum| sum / count));
        }
    }
    out
}

/// The mean of each block of a colour tile, in integer arithmetic.
fn colors(picture: &Picture, columns: &Blocks, rows: &Blocks) -> Vec<u8> {
    let rgb;
    let bytes = match &picture.pixels {
        Pixels::Rgb(bytes) => bytes,
        Pixels::Luma(_) => {
            rgb = picture.to_rgb();
            &rgb
        }
    };
    let stride = picture.width as usize * 3;
    let mut out = Vec::with_capacity(columns.spans.len() * rows.spans.len() * 3);
    for &(top, bottom) in &rows.spans {
        for &(left, right) in &columns.spans {
            let mut sum = [0_u32; 3];
            for y in top..bottom {
                let row = y as usize * stride;
                let pixels = bytes.get(row + left as usize * 3..row + right as usize * 3);
                for pixel in pixels.unwrap_or_default().chunks_exact(3) {
                    for (sum, value) in sum.iter_mut().zip(pixel) {
                        *sum += u32::from(*value);
                    }
                }
            }
            let count = ((bottom - top) * (right - left)).max(1);
            out.extend(sum.map(|sum| ((sum + count / 2) / count) as u8));
        }
    }
    out
}

/// A mosaic being assembled.
enum MosaicCanvas {
    Color {
        width: u32,
        height: u32,
        bytes: Vec<u8>,
    },
    Grey(GreyCanvas),
}

impl MosaicCanvas {
    /// Creates an empty canvas, grey or colour as `frame` is.
    fn new(frame: &Frame, (width, height): (u32, u32), background: [u8; 3]) -> Self {
        match frame {
            Frame::Grey(grey) => MosaicCanvas::Grey(GreyCanvas::new(grey, width, height)),
            Frame::Color(_) => MosaicCanvas::Color {
                width,
                height,
                bytes: background.repeat(width as usize * height as usize),
            },
        }
    }

    fn put(&mut self, patch: &Patch) {
        match (self, &patch.values) {
            (MosaicCanvas::Color { width, bytes, .. }, PatchValues::Color(values)) => {
                let row_bytes = (patch.width as usize * 3).max(1);
                for (y, row) in values.chunks_exact(row_bytes).enumerate() {
                    let start = ((patch.y as usize + y) * *width as usize + patch.x as usize) * 3;
                    if let Some(place) = bytes.get_mut(start..start + row.len()) {
                        place.copy_from_slice(row);
                    }
                }
            }
            (MosaicCanvas::Grey(canvas), PatchValues::Grey(values)) => {
                canvas.put((patch.x, patch.y), patch.width, values);
            }
            // A tile that is grey where the first was coloured, or the reverse, is left out.
            (MosaicCanvas::Color { .. }, PatchValues::Grey(_))
            | (MosaicCanvas::Grey(_), PatchValues::Color(_)) => {}
        }
    }

    fn frame(&self) -> Frame {
        match self {
            MosaicCanvas::Color {
                width,
                height,
                bytes,
            } => color(*width, *height, bytes.clone()),
            MosaicCanvas::Grey(canvas) => Frame::Grey(canvas.clone().finish()),
        }
    }

    fn into_frame(self) -> Frame {
        match self {
            MosaicCanvas::Color {
                width,
                height,
                bytes,
            } => color(width, height, bytes),
            MosaicCanvas::Grey(canvas) => Frame::Grey(canvas.finish()),
        }
    }
}

fn color(width: u32, height: u32, bytes: Vec<u8>) -> Frame {
    Frame::Color(Arc::new(Picture {
        width,
        height,
        pixels: Pixels::Rgb(bytes),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A mosaic of square tiles of side `tile`.
    fn mosaic(size: (u32, u32), tile: u32) -> Mosaic {
        let columns = size.0.div_ceil(tile);
        let tiles = (0..columns * size.1.div_ceil(tile)).map(|frame| Tile {
            frame,
            plane: 0,
            x: frame % columns * tile,
            y: frame / columns * tile,
        });
        Mosaic {
            width: size.0,
            height: size.1,
            planes: 1,
            is_level: true,
            background: [255; 3],
            tiles: tiles.collect(),
        }
    }

    /// The colour of a pixel: red rises with the column, green with the row.
    fn pixel(x: u32, y: u32) -> [u8; 3] {
        [x as u8, y as u8, 7]
    }

    fn tile(mosaic: &Mosaic, frame: u32, side: u32) -> Frame {
        let at = mosaic.tiles[frame as usize];
        let rows =
            (at.y..at.y + side).flat_map(|y| (at.x..at.x + side).flat_map(move |x| pixel(x, y)));
        color(side, side, rows.collect())
    }

    fn assembled(mosaic: &Mosaic, side: u32, divisor: u32) -> Arc<Picture> {
        let decode = |frame| Ok(tile(mosaic, frame, side));
        let result = mosaic.assemble(0, divisor, decode, &mut |_| true);
        match result.expect("tiles").expect("a picture").frame {
            Frame::Color(picture) => picture,
            Frame::Grey(_) => panic!("colour"),
        }
    }

    #[test]
    fn tiles_lie_side_by_side_and_are_cut_at_the_edge() {
        let picture = assembled(&mosaic((20, 13), 8), 8, 1);
        let expected: Vec<u8> = (0..13)
            .flat_map(|y| (0..20).flat_map(move |x| pixel(x, y)))
            .collect();
        assert_eq!((picture.width, picture.height), (20, 13));
        assert!(picture.pixels.bytes() == expected);
    }

    #[test]
    fn a_pixel_of_a_reduced_mosaic_is_the_mean_of_its_block() {
        let picture = assembled(&mosaic((16, 8), 8), 8, 4);
        assert_eq!((picture.width, picture.height), (4, 2));
        // The mean of columns 0 to 3 is 1.5, and likewise of rows.
        let expected = [
            [2, 2, 7],
            [6, 2, 7],
            [10, 2, 7],
            [14, 2, 7],
            [2, 6, 7],
            [6, 6, 7],
            [10, 6, 7],
            [14, 6, 7],
        ];
        assert_eq!(picture.pixels.bytes(), expected.concat());
    }

    #[test]
    fn damaged_tiles_are_counted_and_left_empty() {
        let whole = mosaic((16, 8), 8);
        let broken = |frame| match frame {
            0 => Err(MediaError::new(ErrorKind::Truncated, "cut")),
            _ => Ok(tile(&whole, frame, 8)),
        };
        let made = whole
            .assemble(0, 1, broken, &mut |_| true)
            .expect("one is whole");
        let made = made.expect("a picture");
        let Frame::Color(picture) = made.frame else {
            panic!("colour")
        };
        assert_eq!(
            (made.damaged, &picture.pixels.bytes()[..3]),
            (1, &[255; 3][..])
        );
        let none = |_| Err(MediaError::new(ErrorKind::Truncated, "cut"));
        let error = whole
            .assemble(0, 1, none, &mut |_| true)
            .expect_err("nothing is left");
        assert_eq!(error.kind, ErrorKind::Truncated);
    }

    #[test]
    fn work_ends_once_it_is_cancelled() {
        let many = mosaic((800, 800), 8);
        let decode = |frame| Ok(tile(&many, frame, 8));
        let mut seen = 0;
        let made = many.assemble(0, 1, decode, &mut |progress| {
            assert!(progress.picture().is_some());
            seen = progress.done;
            false
        });
        assert!(
            made.expect("no fault").is_none() && seen < 10_000,
            "{seen} tiles"
        );
    }

    proptest! {
        /// Every pixel is covered, whatever the sizes.
        #[test]
        fn every_pixel_gets_its_tile(width in 1_u32..60, height in 1_u32..60, side in 1_u32..20, divisor in 1_u32..9) {
            let mosaic = mosaic((width, height), side);
            let picture = assembled(&mosaic, side, divisor);
            let blue = picture.pixels.bytes().chunks_exact(3).all(|pixel| pixel[2] == 7);
            prop_assert!(blue);
        }
    }
}
