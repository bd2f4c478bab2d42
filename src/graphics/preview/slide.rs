//! Whole-slide images: an object stored as tiles is shown as one image, at a resolution that can be assembled while the user
//! waits.
//!
//! A slide has billions of pixels, and a series stores it at several resolutions (levels), each in its own object. An object
//! that is not too large is assembled itself; a larger one is represented by the level of its series that is just large enough
//! for the screen. If there is none, the tile is shown with a note. `inspect` and the model still see a single frame.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::store::FileVersion;
use crate::app::Stamp;
use crate::media::budget::{Reserved, WaitPolicy};
use crate::media::{
    self, Assembled, Frame, Geometry, ImageInfo, ImageSource, MediaError, Mosaic, Spacing,
};

/// Maximum pixels decoded for one image: seconds of work.
const MAX_LEVEL_PIXELS: u64 = 1 << 27;
/// Maximum pixels decoded for a thumbnail.
const MAX_THUMBNAIL_PIXELS: u64 = 1 << 24;
/// Maximum pixels of an assembled image: 48 MB, twice the width and height of any screen.
const MAX_ASSEMBLED_PIXELS: u64 = 1 << 24;
/// Minimum width or height of the chosen level, even on a small screen, so that the user can zoom in.
const MIN_LEVEL_SIDE: u32 = 1024;
/// Maximum number of files in a folder whose headers are read to find the levels of a slide.
const MAX_FILES: usize = 512;
/// Interval at which an unfinished image is shown.
const PARTIAL_INTERVAL: Duration = Duration::from_millis(500);
/// Maximum number of assembled images kept.
const MAX_KEPT: usize = 3;
/// Maximum relative difference in aspect ratio between levels of one slide, which comes from rounding in small ones.
const MAX_SHAPE_DIFFERENCE: f64 = 0.03;

/// An assembled slide.
pub(super) struct Slide {
    /// The assembled image.
    pub frame: Frame,
    /// Its size, and the number of focal planes as `frames`.
    pub info: ImageInfo,
    /// Spacing and orientation of its pixels.
    pub geometry: Geometry,
    /// A note to the user about the image.
    pub note: Option<String>,
    /// Its share of the decoding budget; `None` for an unfinished image, whose memory the decoder still accounts for.
    _held: Option<Reserved<Assembled>>,
}

impl Slide {
    /// An image that is complete, and whose memory is not accounted for, as it is small.
    pub(super) fn whole(frame: Frame, info: ImageInfo, geometry: Geometry, note: String) -> Self {
        Self {
            frame,
            info,
            geometry,
            note: Some(note),
            _held: None,
        }
    }
}

/// How a file is shown.
pub(super) enum SlideView {
    /// As a frame, which is the whole image.
    NotASlide,
    /// As a single tile, with a note that says why.
    TileOnly(String),
    /// As the whole slide, with a note if another level represents the file.
    Whole(Arc<Slide>, Option<String>),
    /// Not at all: the request was overtaken.
    Overtaken,
}

/// A level of a slide: the file that contains it, and its columns and rows.
#[derive(Clone)]
struct Level {
    id: FileVersion,
    size: (u32, u32),
}

/// The slides viewed, the latest last, and the levels of the series searched last.
#[derive(Default)]
pub(super) struct Slides {
    kept: VecDeque<(FileVersion, u32, Arc<Slide>)>,
    levels: Option<(String, Vec<Level>)>,
}

/// Callbacks for the assembly of a slide: whether the request was overtaken, and where unfinished images are shown.
pub(super) struct AssemblyObserver<'a> {
    pub is_overtaken: &'a dyn Fn() -> bool,
    pub on_partial: &'a mut dyn FnMut(&Slide),
}

impl Slides {
    /// How to show focal plane `plane` of a file on `room` screen pixels.
    pub(super) fn view(
        &mut self,
        id: &FileVersion,
        source: &ImageSource,
        (plane, room): (u32, (u32, u32)),
        observer: &mut AssemblyObserver,
    ) -> Result<SlideView, MediaError> {
        let Some(mosaic) = source.mosaic().filter(|_| source.info().frames > 1) else {
            return Ok(SlideView::NotASlide);
        };
        let whole = (mosaic.width, mosaic.height);
        if mosaic.pixels() <= MAX_LEVEL_PIXELS {
            return self.assembled(id, plane, observer, |observer| {
                assemble(source, plane, MAX_ASSEMBLED_PIXELS, observer)
            });
        }
        let levels = self.levels_of(id, source, observer.is_overtaken);
        let Some(levels) = levels else {
            return Ok(SlideView::Overtaken);
        };
        let sizes: Vec<_> = levels.iter().map(|level| level.size).collect();
        let chosen = best_level(&sizes, whole, room).and_then(|at| levels.get(at));
        let view = chosen.map(|level| {
            self.assembled(&level.id, plane, observer, |observer| {
                let source = media::open(&level.id.path)?;
                // The level may have fewer focal planes.
                let planes = source.mosaic().map_or(1, |mosaic| mosaic.planes);
                assemble(
                    &source,
                    plane.min(planes.saturating_sub(1)),
                    MAX_ASSEMBLED_PIXELS,
                    observer,
                )
            })
        });
        Ok(match view {
            Some(Ok(SlideView::Whole(slide, _))) => {
                let size = (slide.info.width, slide.info.height);
                SlideView::Whole(slide, Some(level_note(size, whole)))
            }
            Some(Ok(other)) => other,
            None | Some(Err(_)) => SlideView::TileOnly(format!(
                "one tile of {} × {}: no level in this folder is small enough to show whole",
                whole.0, whole.1
            )),
        })
    }

    /// An assembled plane of a file: from the cache, or made by `make`.
    fn assembled(
        &mut self,
        id: &FileVersion,
        plane: u32,
        observer: &mut AssemblyObserver,
        make: impl FnOnce(&mut AssemblyObserver) -> Result<Option<Slide>, MediaError>,
    ) -> Result<SlideView, MediaError> {
        let known = |(kept, at, _): &(FileVersion, u32, Arc<Slide>)| kept == id && *at == plane;
        let slide = match self.kept.iter().position(known) {
            Some(at) => self.kept.remove(at).map(|(.., slide)| slide),
            None => make(observer)?.map(Arc::new),
        };
        let Some(slide) = slide else {
            return Ok(SlideView::Overtaken);
        };
        self.kept.push_back((id.clone(), plane, Arc::clone(&slide)));
        while self.kept.len() > MAX_KEPT {
            self.kept.pop_front();
        }
        Ok(SlideView::Whole(slide, None))
    }

    /// The levels, in the same folder, of the slide that a file belongs to; `None` if the request was overtaken.
    fn levels_of(
        &mut self,
        id: &FileVersion,
        source: &ImageSource,
        overtaken: &dyn Fn() -> bool,
    ) -> Option<Vec<Level>> {
        let series = source.series().unwrap_or_default();
        if let Some((known, levels)) = &self.levels
            && *known == series
        {
            return Some(levels.clone());
        }
        let mut levels = Vec::new();
        for path in files_beside(&id.path) {
            if overtaken() {
                return None;
            }
            let same = !series.is_empty()
                && media::header(&path).is_some_and(|header| header.series == series);
            if same && path != id.path {
                levels.extend(level(&path));
            }
        }
        self.levels = Some((series, levels.clone()));
        Some(levels)
    }
}

/// A thumbnail of a slide, if it has few enough pixels to decode.
pub(super) fn thumbnail(source: &ImageSource, side: u32) -> Option<Slide> {
    let mosaic = source.mosaic().filter(|_| source.info().frames > 1)?;
    if mosaic.pixels() > MAX_THUMBNAIL_PIXELS {
        return None;
    }
    let mut observer = AssemblyObserver {
        is_overtaken: &|| false,
        on_partial: &mut |_| {},
    };
    let max_pixels = u64::from(side)
        .saturating_mul(u64::from(side))
        .saturating_mul(4);
    assemble(
        source,
        0,
        max_pixels.min(MAX_ASSEMBLED_PIXELS),
        &mut observer,
    )
    .ok()?
}

/// Assembles a plane of an object, reduced to at most `max_pixels`; `None` if the request was overtaken.
fn assemble(
    source: &ImageSource,
    plane: u32,
    max_pixels: u64,
    observer: &mut AssemblyObserver,
) -> Result<Option<Slide>, MediaError> {
    let Some(mosaic) = source.mosaic() else {
        return Ok(None);
    };
    let divisor = divisor(mosaic, max_pixels);
    let slide = |frame: Frame, note: Option<String>, held: Option<Reserved<Assembled>>| {
        let (width, height) = mosaic.reduced(divisor);
        let info = ImageInfo {
            width,
            height,
            frames: mosaic.planes,
            ..source.info().clone()
        };
        Slide {
            frame,
            info,
            geometry: reduced(source.geometry(0), divisor),
            note,
            _held: held,
        }
    };
    let overtaken = observer.is_overtaken;
    let wait = WaitPolicy {
        urgent: true,
        cancelled: overtaken,
    };
    let mut shown = Instant::now();
    let made = source.assemble(plane, divisor, wait, &mut |progress| {
        if overtaken() {
            return false;
        }
        if shown.elapsed() >= PARTIAL_INTERVAL
            && let Some(frame) = progress.picture()
        {
            let percent = progress.done * 100 / progress.total.max(1);
            let note = format!("assembling … {percent} %");
            (observer.on_partial)(&slide(frame, Some(note), None));
            shown = Instant::now();
        }
        true
    })?;
    Ok(made.map(|made| {
        let damaged = match made.damaged {
            0 => None,
            1 => Some("one tile cannot be decoded".to_owned()),
            count => Some(format!("{count} tiles cannot be decoded")),
        };
        let bytes = made.frame.bytes() as u64;
        slide(made.frame.clone(), damaged, Some(made.keep(bytes)))
    }))
}

/// The smallest power of two that reduces an image to at most `max_pixels`.
fn divisor(mosaic: &Mosaic, max_pixels: u64) -> u32 {
    let fits = |divisor: &u32| {
        let (width, height) = mosaic.reduced(*divisor);
        u64::from(width) * u64::from(height) <= max_pixels.max(1)
    };
    (0..31)
        .map(|power| 1 << power)
        .find(fits)
        .unwrap_or(1 << 31)
}

/// The geometry of a reduced image: larger pixels, and no position, because the slide does not begin where its first tile does.
fn reduced(geometry: Geometry, divisor: u32) -> Geometry {
    let factor = f64::from(divisor);
    let larger = |spacing: Spacing| Spacing {
        rows_mm: spacing.rows_mm * factor,
        columns_mm: spacing.columns_mm * factor,
        ..spacing
    };
    Geometry {
        spacing: geometry.spacing.map(larger),
        position: None,
        ..geometry
    }
}

/// A note that a level represents a larger one, with the reduction.
fn level_note(seen: (u32, u32), whole: (u32, u32)) -> String {
    let ratio = f64::from(whole.0) / f64::from(seen.0.max(1));
    format!("1:{ratio:.0} of {} × {}", whole.0, whole.1)
}

/// The index of the smallest level that fills the room, else of the largest; only levels with the aspect ratio of the whole
/// count.
fn best_level(levels: &[(u32, u32)], whole: (u32, u32), room: (u32, u32)) -> Option<usize> {
    let shape = |size: (u32, u32)| f64::from(size.0) / f64::from(size.1.max(1));
    let pixels = |size: (u32, u32)| u64::from(size.0) * u64::from(size.1);
    let fills = |size: (u32, u32)| {
        size.0 >= room.0.max(MIN_LEVEL_SIDE) || size.1 >= room.1.max(MIN_LEVEL_SIDE)
    };
    let all = levels.iter().copied().enumerate();
    let usable = all.filter(|(_, size)| {
        let same = (shape(*size) / shape(whole) - 1.0).abs() <= MAX_SHAPE_DIFFERENCE;
        same && pixels(*size) <= MAX_LEVEL_PIXELS
    });
    let smallest = usable.clone().filter(|(_, size)| fills(*size));
    let chosen = smallest.min_by_key(|(_, size)| pixels(*size));
    let chosen = chosen.or_else(|| usable.max_by_key(|(_, size)| pixels(*size)));
    chosen.map(|(at, _)| at)
}

/// The level in a file; `None` if it contains none.
fn level(path: &Path) -> Option<Level> {
    let metadata = fs::metadata(path).ok()?;
    let source = media::open(path).ok()?;
    let mosaic = source.mosaic().filter(|mosaic| mosaic.is_level)?;
    Some(Level {
        size: (mosaic.width, mosaic.height),
        id: FileVersion {
            path: path.to_owned(),
            stamp: Stamp {
                modified: metadata.modified().ok(),
                size: metadata.len(),
            },
        },
    })
}

/// Up to [`MAX_FILES`] files of the same folder, sorted by name.
fn files_beside(path: &Path) -> Vec<std::path::PathBuf> {
    let entries = path.parent().and_then(|folder| fs::read_dir(folder).ok());
    let mut files: Vec<_> = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .take(MAX_FILES)
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_level_that_fills_the_room_is_chosen() {
        let whole = (100_000, 80_000);
        let levels = [
            (400, 320),
            (25_000, 20_000),
            (1562, 1250),
            (6250, 5000),
            (600, 100),
        ];
        let chosen = |room| best_level(&levels, whole, room).map(|at| levels[at]);
        assert_eq!(chosen((800, 600)), Some((1562, 1250)));
        assert_eq!(chosen((1600, 1400)), Some((6250, 5000)));
        assert_eq!(
            chosen((9000, 9000)),
            Some((6250, 5000)),
            "the largest there is"
        );
        assert_eq!(best_level(&[(25_000, 20_000)], whole, (800, 600)), None);
        assert_eq!(
            best_level(&[(600, 100)], whole, (800, 600)),
            None,
            "a label"
        );
    }

    #[test]
    fn a_level_shown_for_a_slide_says_so() {
        assert_eq!(
            level_note((1562, 1250), (100_000, 80_000)),
            "1:64 of 100000 × 80000"
        );
    }
}
