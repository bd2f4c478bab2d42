//! The contact sheet of the folder or study under the cursor: small images of what is most worth looking at.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::browser::folder::{Row, RowKind};
use super::context::FileContext;
use super::entry::{EntryKind, FoundFile};
use super::environment::Environment;
use super::preview::{Graphics, PreviewKey, Previewed, Quality};
use super::results::{FileState, FileStatus, accepted};
use super::tiles::TileCache;
use crate::view::Area;
use crate::view::sheet::Sheet;

/// How long a sheet stays as it is while results change: it is to be looked at, and choosing takes time in a large folder.
const MIN_AGE: Duration = Duration::from_secs(1);

/// The images on the sheet. It is chosen once the cursor has rested, from all images known below the folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ContactSheet {
    /// The row that it is of.
    row: Option<PathBuf>,
    area: Area,
    files: Vec<FoundFile>,
    /// The number of images chosen from.
    images: usize,
    is_ranked: bool,
    /// Whether results were hidden from the reader, who must not learn from the choice.
    is_blind: bool,
    /// The revision of the results, and the time, when it was chosen.
    chosen: (u64, Duration),
}

/// An image to choose, with its urgency; `None` if nothing says it.
struct Candidate<'a> {
    path: &'a Path,
    urgency: Option<f64>,
}

impl ContactSheet {
    /// Follows the cursor, the results and the room. `area`: where the sheet is drawn, if anywhere. Returns the keys of the
    /// images to request: half blocks, then images in the terminal's protocol at half the resolution.
    pub(super) fn follow(
        &mut self,
        context: FileContext<'_>,
        area: Option<Area>,
    ) -> Vec<PreviewKey> {
        let row = context.folder().current();
        let (Some(row), Some(area)) = (row.filter(|row| has_sheet(row)), area) else {
            *self = Self::default();
            return Vec::new();
        };
        let is_same = self.row.as_ref() == Some(&row.path)
            && (self.area, self.is_blind) == (area, context.results.is_blind());
        if !is_same {
            *self = Self::default();
        }
        let now = context.env.now;
        let is_stale = self.chosen.0 != context.results.revision()
            && now.saturating_sub(self.chosen.1) >= MIN_AGE;
        if context.browser.has_rested() && (!is_same || self.row.is_none() || is_stale) {
            self.choose(row, area, context);
        }
        self.wanted(context.env)
    }

    fn choose(&mut self, row: &Row, area: Area, context: FileContext<'_>) {
        let room = Sheet::contact(area).count();
        let candidates = candidates(row, context);
        let (images, is_ranked) = (
            candidates.len(),
            candidates.iter().any(|image| image.urgency.is_some()),
        );
        let chosen = choose(candidates, room).into_iter();
        let found = chosen.map(|path| FoundFile {
            path: path.to_owned(),
            stamp: context.stamp_in(row, path),
        });
        *self = Self {
            row: Some(row.path.clone()),
            area,
            files: found.collect(),
            images,
            is_ranked,
            is_blind: context.results.is_blind(),
            chosen: (context.results.revision(), context.env.now),
        };
    }

    /// The time until it follows the results, if they have changed since it was chosen.
    pub(super) fn next_tick(&self, revision: u64) -> Option<Duration> {
        (self.row.is_some() && self.chosen.0 != revision).then_some(MIN_AGE)
    }

    fn wanted(&self, env: &Environment) -> Vec<PreviewKey> {
        let qualities: &[Quality] = match env.graphics {
            Some(Graphics::Halfblocks) => &[Quality::Full],
            _ => &[Quality::Fast, Quality::Half],
        };
        let keys = qualities.iter().flat_map(|quality| {
            let files = self.files.iter();
            files.filter_map(|file| self.key(file, *quality, env))
        });
        keys.collect()
    }

    fn key(&self, file: &FoundFile, quality: Quality, env: &Environment) -> Option<PreviewKey> {
        let room = Sheet::contact(self.area).image(0);
        env.small_preview(file.clone(), (room.width, room.height), quality)
    }

    /// The image of a file in the best quality available, or its error; `None` if it has not arrived.
    pub(super) fn tile<'a>(
        &self,
        file: &FoundFile,
        tiles: &'a TileCache,
        env: &Environment,
    ) -> Option<&'a Previewed> {
        tiles.best(&self.key(file, Quality::Half, env)?, true)
    }

    /// The files with the cells of their tiles, and those of the images in them.
    pub(crate) fn tiles(&self) -> impl Iterator<Item = (&FoundFile, Area, Area)> {
        let sheet = Sheet::contact(self.area);
        let files = self.files.iter().enumerate();
        files.map(move |(slot, file)| (file, sheet.tile(slot), sheet.image(slot)))
    }

    /// The file whose tile is at a cell.
    pub(super) fn file_at(&self, at: (u16, u16)) -> Option<&Path> {
        let mut tiles = self.tiles();
        let (file, ..) = tiles.find(|(_, tile, _)| tile.contains(at))?;
        Some(&file.path)
    }

    /// Whether nothing is on it.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether its images are ordered by urgency, rather than spread evenly over the names.
    pub(crate) fn is_ranked(&self) -> bool {
        self.is_ranked
    }

    /// `12 of 4310, most urgent first`: what it shows of how many, and by which choice; without the choice if `short`.
    pub(crate) fn title(&self, short: bool) -> String {
        let shown = self.files.len();
        let count = match self.images {
            0 => return String::new(),
            all if all == shown => format!("{all}"),
            all => format!("{shown} of {all}"),
        };
        match (self.is_ranked, shown) {
            _ if short => count,
            (true, 2..) => format!("{count}, most urgent first"),
            (false, 2..) if shown < self.images => format!("{count}, evenly spread"),
            _ => count,
        }
    }
}

/// Whether a row is shown by a contact sheet: a folder or a study. A series is shown as a stack.
pub(crate) fn has_sheet(row: &Row) -> bool {
    match row.represents {
        RowKind::Entry => row.kind == EntryKind::Folder,
        RowKind::Study(_) => true,
        RowKind::Series(..) | RowKind::Missing => false,
    }
}

/// The images of a row, except those that cannot be read. There may be all that are known: none of them is copied.
fn candidates<'a>(row: &Row, context: FileContext<'a>) -> Vec<Candidate<'a>> {
    let results = context.results;
    let candidate = |path: &'a Path, state: Option<&FileState>| {
        let status = state.map(FileState::status);
        let is_seen = !matches!(status, Some(FileStatus::Failed | FileStatus::NotAnImage));
        is_seen.then(|| Candidate {
            path,
            urgency: state
                .and_then(accepted)
                .and_then(|record| record.verdict.urgency),
        })
    };
    if row.represents == RowKind::Entry {
        let images = results.images_below(&row.path);
        return images
            .filter_map(|(path, _, state)| candidate(path, Some(state)))
            .collect();
    }
    let members = context.studies.members(row, context.folder());
    let present = members.into_iter().filter(|member| member.present);
    present
        .filter_map(|member| candidate(&member.path, results.get(&member.path)))
        .collect()
}

/// The `room` most urgent images, the most urgent first; without any urgency as many, evenly spread over the paths.
fn choose(mut images: Vec<Candidate<'_>>, room: usize) -> Vec<&Path> {
    let is_ranked = images.iter().any(|image| image.urgency.is_some());
    if is_ranked {
        if room < images.len() {
            images.select_nth_unstable_by(room, most_urgent);
            images.truncate(room);
        }
        images.sort_unstable_by(most_urgent);
        return images.into_iter().map(|image| image.path).collect();
    }
    let count = images.len();
    let room = room.min(count);
    let steps = room.saturating_sub(1).max(1);
    let wanted: Vec<usize> = (0..room).map(|n| n * (count - 1) / steps).collect();
    put_in_place(&mut images, &wanted, 0);
    let chosen = wanted.iter().filter_map(|at| images.get(*at));
    chosen.map(|image| image.path).collect()
}

fn most_urgent(a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
    let rank = |image: &Candidate<'_>| image.urgency.unwrap_or(-1.0);
    let ranks = rank(b).total_cmp(&rank(a));
    ranks.then_with(|| by_path(a, b))
}

fn by_path(a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
    a.path.as_os_str().cmp(b.path.as_os_str())
}

/// Puts the images in place that sorting them by path would put at the indices `wanted`, which are sorted and counted from `first`
/// on: in less time than sorting takes.
fn put_in_place(images: &mut [Candidate<'_>], wanted: &[usize], first: usize) {
    let middle = wanted.len() / 2;
    let Some(at) = wanted.get(middle).map(|at| at - first) else {
        return;
    };
    images.select_nth_unstable_by(at, by_path);
    put_in_place(&mut images[..at], &wanted[..middle], first);
    put_in_place(&mut images[at + 1..], &wanted[middle + 1..], first + at + 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 10] = ["00", "01", "02", "03", "04", "05", "06", "07", "08", "09"];

    fn images(urgencies: &[Option<f64>]) -> Vec<Candidate<'static>> {
        let image = |(name, urgency): (&'static &str, &Option<f64>)| Candidate {
            path: Path::new(*name),
            urgency: *urgency,
        };
        let mut images: Vec<Candidate<'_>> = NAMES.iter().zip(urgencies).map(image).collect();
        // They come in no order.
        images.rotate_left(urgencies.len() / 3);
        images
    }

    fn names<'a>(paths: &[&'a Path]) -> Vec<&'a str> {
        paths.iter().filter_map(|path| path.to_str()).collect()
    }

    #[test]
    fn the_most_urgent_come_first_and_those_without_a_result_last() {
        let urgencies = [Some(0.1), None, Some(0.9), Some(0.5), None, Some(0.9)];
        for (room, expected) in [
            (0, &[][..]),
            (3, &["02", "05", "03"]),
            (5, &["02", "05", "03", "00", "01"]),
            (9, &["02", "05", "03", "00", "01", "04"]),
        ] {
            assert_eq!(names(&choose(images(&urgencies), room)), expected, "{room}");
        }
    }

    #[test]
    fn without_results_they_are_spread_evenly_from_the_first_to_the_last() {
        for (count, room, expected) in [
            (0, 4, &[][..]),
            (1, 4, &["00"]),
            (3, 4, &["00", "01", "02"]),
            (10, 4, &["00", "03", "06", "09"]),
            (10, 1, &["00"]),
        ] {
            let chosen = choose(images(&vec![None; count]), room);
            assert_eq!(names(&chosen), expected, "{count} {room}");
        }
    }
}
