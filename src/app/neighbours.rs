//! The view of the reviewed images that are most similar to an image: small images, a row for each label.

use std::path::Path;

use super::entry::FoundFile;
use super::environment::Environment;
use super::keys::Action;
use super::preview::{Graphics, PreviewKey, Previewed, Quality};
use super::results::Results;
use super::tiles::TileCache;
use crate::library::neighbours::{NEAREST, Neighbour, Neighbours};
use crate::view::Area;
use crate::view::sheet::{self, Sheet};

/// Rows for what the view is about.
const HEAD: u16 = 2;

/// A tile of the view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NeighbourTile<'a> {
    /// The image.
    pub neighbour: &'a Neighbour,
    /// Whether it is under the cursor.
    pub is_current: bool,
    /// Its cells with the caption.
    pub tile: Area,
    /// Those of the image.
    pub image: Area,
}

/// The state of the view.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NeighbourView {
    /// The file that they are neighbours of; safe to show.
    pub subject: String,
    neighbours: Neighbours,
    cursor: usize,
    /// The first row of tiles on screen.
    top: usize,
}

impl NeighbourView {
    /// The view of the neighbours of a file.
    pub(super) fn new(subject: String, neighbours: Neighbours) -> Self {
        Self {
            subject,
            neighbours,
            cursor: 0,
            top: 0,
        }
    }

    /// The number of reviewed images that were compared.
    pub(crate) fn compared(&self) -> usize {
        self.neighbours.compared
    }

    /// The neighbour under the cursor.
    pub(crate) fn current(&self) -> Option<&Neighbour> {
        self.neighbours.nearest.get(self.cursor)
    }

    /// The layout of the tiles: as large as a row for each label allows.
    pub(crate) fn sheet(env: &Environment) -> Sheet {
        let body = env.body();
        let head = HEAD.min(body.height);
        let area = Area {
            y: body.y + head,
            height: body.height - head,
            ..body
        };
        let sizes = (0..=sheet::DEFAULT_SIZE).rev();
        let mut sheets = sizes.map(|size| Sheet::new(area, size));
        let fits = |sheet: &Sheet| sheet.columns > NEAREST;
        let roomy = sheets.find(fits);
        roomy.unwrap_or_else(|| Sheet::new(area, 0))
    }

    /// The neighbours by rows of tiles, by their indices: each label begins a row.
    fn rows(&self, columns: usize) -> Vec<Vec<usize>> {
        let indices: Vec<usize> = (0..self.neighbours.nearest.len()).collect();
        let label = |at: usize| &self.neighbours.nearest[at].label;
        let labels = indices.chunk_by(|a, b| label(*a) == label(*b));
        let rows = labels.flat_map(|own| own.chunks(columns.max(1)));
        rows.map(<[usize]>::to_vec).collect()
    }

    /// The row of tiles and the column of the cursor.
    fn place(&self, rows: &[Vec<usize>]) -> (usize, usize) {
        let found = rows.iter().enumerate().find_map(|(row, own)| {
            let column = own.iter().position(|at| *at == self.cursor)?;
            Some((row, column))
        });
        found.unwrap_or_default()
    }

    /// Moves the cursor by tiles in reading order.
    pub(super) fn move_by(&mut self, tiles: isize) {
        let last = self.neighbours.nearest.len().saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(tiles).min(last);
    }

    /// Moves the cursor.
    pub(super) fn act(&mut self, action: Action, env: &Environment) {
        let sheet = Self::sheet(env);
        let rows = self.rows(sheet.columns);
        let (row, column) = self.place(&rows);
        let target = match action {
            Action::First => 0,
            Action::Last => rows.len().saturating_sub(1),
            _ => row.saturating_add_signed(action.distance(sheet.rows)),
        };
        let target = target.min(rows.len().saturating_sub(1));
        let Some(own) = rows.get(target).filter(|_| target != row) else {
            return;
        };
        self.cursor = own[column.min(own.len() - 1)];
    }

    /// Chooses the tile at a cell; false if there is none.
    pub(super) fn click(&mut self, at: (u16, u16), env: &Environment) -> bool {
        let places = self.places(env);
        let sheet = Self::sheet(env);
        let found = places
            .iter()
            .find(|(_, slot)| sheet.tile(*slot).contains(at));
        if let Some((index, _)) = found {
            self.cursor = *index;
        }
        found.is_some()
    }

    /// Scrolls the cursor into view. Returns the keys of the images to request.
    pub(super) fn follow(&mut self, results: &Results, env: &Environment) -> Vec<PreviewKey> {
        let sheet = Self::sheet(env);
        let rows = self.rows(sheet.columns);
        let (row, _) = self.place(&rows);
        let lowest = (row + 1).saturating_sub(sheet.rows);
        let end = rows.len().saturating_sub(sheet.rows);
        self.top = self.top.clamp(lowest, row.max(lowest)).min(end);
        let qualities: &[Quality] = match env.graphics {
            Some(Graphics::Halfblocks) => &[Quality::Full],
            _ => &[Quality::Fast, Quality::Half],
        };
        let places = self.places(env);
        let keys = qualities.iter().flat_map(|quality| {
            let places = places.iter();
            places.filter_map(|(index, _)| {
                let neighbour = &self.neighbours.nearest[*index];
                key(neighbour, *quality, results, env)
            })
        });
        keys.collect()
    }

    /// The image of a neighbour in the best quality available, or its error; `None` if it has not arrived.
    pub(super) fn tile<'a>(
        neighbour: &Neighbour,
        tiles: &'a TileCache,
        results: &Results,
        env: &Environment,
    ) -> Option<&'a Previewed> {
        tiles.best(&key(neighbour, Quality::Half, results, env)?, true)
    }

    /// The neighbours on screen, by index, with the slot of each.
    fn places(&self, env: &Environment) -> Vec<(usize, usize)> {
        let sheet = Self::sheet(env);
        let rows = self.rows(sheet.columns).into_iter();
        let shown = rows.skip(self.top).take(sheet.rows).enumerate();
        let places = shown.flat_map(|(row, own)| {
            let first = row * sheet.columns;
            own.into_iter()
                .enumerate()
                .map(move |(column, index)| (index, first + column))
        });
        places.collect()
    }

    /// The tiles on screen.
    pub(crate) fn tiles(&self, env: &Environment) -> Vec<NeighbourTile<'_>> {
        let sheet = Self::sheet(env);
        let places = self.places(env).into_iter();
        let tiles = places.map(|(index, slot)| NeighbourTile {
            neighbour: &self.neighbours.nearest[index],
            is_current: index == self.cursor,
            tile: sheet.tile(slot),
            image: sheet.image(slot),
        });
        tiles.collect()
    }

    /// Whether there are tiles below those on screen.
    pub(crate) fn has_more(&self, env: &Environment) -> bool {
        let sheet = Self::sheet(env);
        self.rows(sheet.columns).len() > self.top + sheet.rows
    }
}

/// The key of the image of a neighbour; `None` if it has none.
fn key(
    neighbour: &Neighbour,
    quality: Quality,
    results: &Results,
    env: &Environment,
) -> Option<PreviewKey> {
    if neighbour.is_missing {
        return None;
    }
    let path: &Path = &neighbour.path;
    let file = FoundFile {
        path: path.to_owned(),
        // The images of other folders are not watched.
        stamp: results.stamp(path).unwrap_or_default(),
    };
    let room = NeighbourView::sheet(env).image(0);
    env.small_preview(file, (room.width, room.height), quality)
}
