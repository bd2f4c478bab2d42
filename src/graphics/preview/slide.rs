//! Slides: what an object stores in tiles is seen as one image, at a resolution that can be assembled while one waits.
//!
//! A slide has billions of pixels, and a series holds it at several resolutions (levels), each an object. An object that is
//! not too large is assembled itself; for a larger one stands the level of its series that is just large enough for the
//! screen. Where there is none, the tile is shown and says so. What `inspect` and the model see stays a single frame.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::store::Id;
use crate::app::Stamp;
use crate::media::budget::{Reserved, WaitPolicy};
use crate::media::{
    self, Assembled, Frame, Geometry, ImageInfo, ImageSource, MediaError, Mosaic, Spacing,
};

/// Pixels of a level that are decoded for one image: seconds of work.
const MAX_LEVEL_PIXELS: u64 = 1 << 27;
/// The same for a small image among many.
const MAX_SMALL_PIXELS: u64 = 1 << 24;
/// Pixels of an assembled image: 48 MB, twice what any screen has across and down.
const MAX_PIXELS: u64 = 1 << 24;
/// A level is chosen for a room of so many pixels across and down, at least: there should be something to zoom into.
const MIN_ROOM: u32 = 1024;
/// Files of a folder whose headers are read to find the levels of a slide.
const MAX_FILES: usize = 512;
/// How often an unfinished image is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(500);
/// Assembled images kept.
const MAX_KEPT: usize = 3;
/// Levels of one slide have one shape, but for the rounding of small ones.
const SAME_SHAPE: f64 = 0.03;

/// A slide as it is seen.
pub(super) struct Slide {
    /// The assembled image.
    pub frame: Frame,
    /// Its size, and how many there are over one another.
    pub info: ImageInfo,
    /// How its pixels lie.
    pub geometry: Geometry,
    /// What the user should know of it.
    pub note: Option<String>,
    /// Its part of the memory for decoding; an unfinished image is counted with the one it becomes.
    _held: Option<Reserved<Assembled>>,
}

/// What a file is seen as.
pub(super) enum Seen {
    /// A frame, which is all of its image.
    Frame,
    /// A frame, which is a part only: why.
    Tile(String),
    /// The whole slide, and what else the user should know of it.
    Whole(Arc<Slide>, Option<String>),
    /// Nothing: it was overtaken.
    Overtaken,
}

/// An object that can be assembled, and the file it is in.
#[derive(Clone)]
struct Level {
    id: Id,
    size: (u32, u32),
}

/// Slides looked at, the latest last, and the levels of the last series that was searched for.
#[derive(Default)]
pub(super) struct Slides {
    kept: VecDeque<(Id, u32, Arc<Slide>)>,
    levels: Option<(String, Vec<Level>)>,
}

/// What watches the work: whether it is still wanted, and who is shown what is there meanwhile.
pub(super) struct Watch<'a> {
    pub overtaken: &'a dyn Fn() -> bool,
    pub partly: &'a mut dyn FnMut(&Slide),
}

impl Slides {
    /// The image of a file at `plane` for `room` screen pixels.
    pub(super) fn look(
        &mut self,
        id: &Id,
        source: &ImageSource,
        (plane, room): (u32, (u32, u32)),
        watch: &mut Watch,
    ) -> Result<Seen, MediaError> {
        let Some(mosaic) = source.mosaic().filter(|_| source.info().frames > 1) else {
            return Ok(Seen::Frame);
        };
        let whole = (mosaic.width, mosaic.height);
        if mosaic.pixels() <= MAX_LEVEL_PIXELS {
            return self.assembled(id, plane, watch, |watch| {
                assemble(source, plane, MAX_PIXELS, watch)
            });
        }
        let levels = self.levels_of(id, source, watch.overtaken);
        let Some(levels) = levels else {
            return Ok(Seen::Overtaken);
        };
        let sizes: Vec<_> = levels.iter().map(|level| level.size).collect();
        let chosen = fitting(&sizes, whole, room).and_then(|at| levels.get(at));
        let seen = chosen.map(|level| {
            self.assembled(&level.id, plane, watch, |watch| {
                let source = media::open(&level.id.path)?;
                // The level may have fewer focal planes.
                let planes = source.mosaic().map_or(1, |mosaic| mosaic.planes);
                assemble(
                    &source,
                    plane.min(planes.saturating_sub(1)),
                    MAX_PIXELS,
                    watch,
                )
            })
        });
        Ok(match seen {
            Some(Ok(Seen::Whole(slide, _))) => {
                let size = (slide.info.width, slide.info.height);
                Seen::Whole(slide, Some(standing_for(size, whole)))
            }
            Some(Ok(other)) => other,
            None | Some(Err(_)) => Seen::Tile(format!(
                "tile of {} × {}: no level here is small enough to be seen whole",
                whole.0, whole.1
            )),
        })
    }

    /// An assembled plane of a file: the one that is kept, or what `make` makes.
    fn assembled(
        &mut self,
        id: &Id,
        plane: u32,
        watch: &mut Watch,
        make: impl FnOnce(&mut Watch) -> Result<Option<Slide>, MediaError>,
    ) -> Result<Seen, MediaError> {
        let known = |(kept, at, _): &(Id, u32, Arc<Slide>)| kept == id && *at == plane;
        let slide = match self.kept.iter().position(known) {
            Some(at) => self.kept.remove(at).map(|(.., slide)| slide),
            None => make(watch)?.map(Arc::new),
        };
        let Some(slide) = slide else {
            return Ok(Seen::Overtaken);
        };
        self.kept.push_back((id.clone(), plane, Arc::clone(&slide)));
        while self.kept.len() > MAX_KEPT {
            self.kept.pop_front();
        }
        Ok(Seen::Whole(slide, None))
    }

    /// The levels of the slide that a file belongs to, found in its folder; `None` when it was overtaken.
    fn levels_of(
        &mut self,
        id: &Id,
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

/// A small image of a slide among others, where it costs little.
pub(super) fn small(source: &ImageSource, side: u32) -> Option<Slide> {
    let mosaic = source.mosaic().filter(|_| source.info().frames > 1)?;
    if mosaic.pixels() > MAX_SMALL_PIXELS {
        return None;
    }
    let mut watch = Watch {
        overtaken: &|| false,
        partly: &mut |_| {},
    };
    let most = u64::from(side)
        .saturating_mul(u64::from(side))
        .saturating_mul(4);
    assemble(source, 0, most.min(MAX_PIXELS), &mut watch).ok()?
}

/// Assembles a plane of an object, reduced to at most `most` pixels; `None` when it was overtaken.
fn assemble(
    source: &ImageSource,
    plane: u32,
    most: u64,
    watch: &mut Watch,
) -> Result<Option<Slide>, MediaError> {
    let Some(mosaic) = source.mosaic() else {
        return Ok(None);
    };
    let divisor = divisor(mosaic, most);
    let seen = |frame: Frame, note: Option<String>, held: Option<Reserved<Assembled>>| {
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
    let overtaken = watch.overtaken;
    let wait = WaitPolicy {
        urgent: true,
        cancelled: overtaken,
    };
    let mut shown = Instant::now();
    let made = source.assemble(plane, divisor, wait, &mut |progress| {
        if overtaken() {
            return false;
        }
        if shown.elapsed() >= SHOWN_EVERY
            && let Some(frame) = progress.picture()
        {
            let percent = progress.done * 100 / progress.total.max(1);
            let note = format!("assembling … {percent} %");
            (watch.partly)(&seen(frame, Some(note), None));
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
        seen(made.frame.clone(), damaged, Some(made.keep(bytes)))
    }))
}

/// The smallest power of two by which an image has to be reduced.
fn divisor(mosaic: &Mosaic, most: u64) -> u32 {
    let fits = |divisor: &u32| {
        let (width, height) = mosaic.reduced(*divisor);
        u64::from(width) * u64::from(height) <= most.max(1)
    };
    (0..31)
        .map(|power| 1 << power)
        .find(fits)
        .unwrap_or(1 << 31)
}

/// Larger pixels; where the whole begins is not where its first tile does.
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

fn standing_for(seen: (u32, u32), whole: (u32, u32)) -> String {
    let ratio = f64::from(whole.0) / f64::from(seen.0.max(1));
    format!("1:{ratio:.0} of {} × {}", whole.0, whole.1)
}

/// The smallest level that fills the room, else the largest, of those that have the shape of the whole.
fn fitting(levels: &[(u32, u32)], whole: (u32, u32), room: (u32, u32)) -> Option<usize> {
    let shape = |size: (u32, u32)| f64::from(size.0) / f64::from(size.1.max(1));
    let pixels = |size: (u32, u32)| u64::from(size.0) * u64::from(size.1);
    let fills = |size: (u32, u32)| size.0 >= room.0.max(MIN_ROOM) || size.1 >= room.1.max(MIN_ROOM);
    let all = levels.iter().copied().enumerate();
    let usable = all.filter(|(_, size)| {
        let same = (shape(*size) / shape(whole) - 1.0).abs() <= SAME_SHAPE;
        same && pixels(*size) <= MAX_LEVEL_PIXELS
    });
    let smallest = usable.clone().filter(|(_, size)| fills(*size));
    let chosen = smallest.min_by_key(|(_, size)| pixels(*size));
    let chosen = chosen.or_else(|| usable.max_by_key(|(_, size)| pixels(*size)));
    chosen.map(|(at, _)| at)
}

/// A file as a level; `None` if it is none.
fn level(path: &Path) -> Option<Level> {
    let metadata = fs::metadata(path).ok()?;
    let source = media::open(path).ok()?;
    let mosaic = source.mosaic().filter(|mosaic| mosaic.is_level)?;
    Some(Level {
        size: (mosaic.width, mosaic.height),
        id: Id {
            path: path.to_owned(),
            stamp: Stamp {
                modified: metadata.modified().ok(),
                size: metadata.len(),
            },
        },
    })
}

/// The files of a folder by their names, as far as they are looked at.
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
        let chosen = |room| fitting(&levels, whole, room).map(|at| levels[at]);
        assert_eq!(chosen((800, 600)), Some((1562, 1250)));
        assert_eq!(chosen((1600, 1400)), Some((6250, 5000)));
        assert_eq!(
            chosen((9000, 9000)),
            Some((6250, 5000)),
            "the largest there is"
        );
        assert_eq!(fitting(&[(25_000, 20_000)], whole, (800, 600)), None);
        assert_eq!(fitting(&[(600, 100)], whole, (800, 600)), None, "a label");
    }

    #[test]
    fn what_stands_for_a_slide_says_so() {
        assert_eq!(
            standing_for((1562, 1250), (100_000, 80_000)),
            "1:64 of 100000 × 80000"
        );
    }
}
