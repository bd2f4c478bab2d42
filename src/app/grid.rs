//! The files of the list as small pictures: the same rows, cursor and marks, in two dimensions.

use crossterm::event::{KeyCode, KeyEvent};

use super::Effect;
use super::act;
use super::entry::{EntryKind, Stamp};
use super::folder::{Row, Stands};
use super::keys::Action;
use super::layout::Panel;
use super::model::Model;
use super::picture::{Graphics, Marks, Overlaid, PreviewKey, Quality, View};
use super::results::{FileState, Standing};
use crate::view::Area;

/// Columns of a tile at least, by size.
const WIDTHS: [u16; 5] = [12, 18, 26, 38, 58];
/// The size to begin with.
const USUAL: usize = 1;
/// Rows for the name and for what the model says.
pub const CAPTION: u16 = 2;
/// Columns of a tile that are not its picture's: the cursor on the left, a blank on the right.
const AROUND: u16 = 2;
/// From so many rows on one is kept for the notice.
const NOTICE_ROWS: u16 = 12;

/// How the files are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    /// Index into [`WIDTHS`].
    size: usize,
    /// The first row of tiles on screen.
    top: usize,
    /// The first row when the cursor last came to rest, if it still is that.
    settled: Option<usize>,
}

impl Default for Grid {
    fn default() -> Self {
        Self {
            size: USUAL,
            top: 0,
            settled: None,
        }
    }
}

impl Grid {
    /// With tiles of a size, from 1.
    pub(super) fn of(tiles: u8) -> Self {
        Self {
            size: usize::from(tiles).clamp(1, WIDTHS.len()) - 1,
            ..Self::default()
        }
    }

    /// The size of the tiles, from 1.
    pub(super) fn tiles(&self) -> u8 {
        self.size as u8 + 1
    }
}

/// How tiles lie on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// Where the first tile begins.
    origin: (u16, u16),
    /// Tiles beside each other.
    pub columns: usize,
    /// Tiles below each other.
    pub rows: usize,
    /// Columns and rows of a tile.
    tile: (u16, u16),
    /// What results are not for, below all tiles.
    pub notice: Option<Area>,
}

impl Sheet {
    /// Fills an area with tiles of a size.
    fn new(area: Area, size: usize) -> Self {
        let width = WIDTHS[size.min(WIDTHS.len() - 1)];
        let noticed = area.height >= NOTICE_ROWS;
        let height = area.height - u16::from(noticed);
        // Cells are about twice as high as wide: a picture as high as wide.
        let least = (width - AROUND) / 2 + CAPTION;
        let columns = (area.width / width).max(1);
        let rows = (height / least).max(1);
        Self {
            origin: (area.x, area.y),
            columns: usize::from(columns),
            rows: usize::from(rows),
            tile: (area.width / columns, height / rows),
            notice: noticed.then_some(Area {
                y: area.y + height,
                height: 1,
                ..area
            }),
        }
    }

    /// Tiles on screen.
    pub fn count(&self) -> usize {
        self.columns * self.rows
    }

    /// The cells of a tile, counted from the first on screen, row by row.
    pub fn tile(&self, slot: usize) -> Area {
        let (width, height) = self.tile;
        let (column, row) = (slot % self.columns, slot / self.columns);
        Area {
            x: self.origin.0 + column as u16 * width,
            y: self.origin.1 + row as u16 * height,
            width,
            height,
        }
    }

    /// The cells of its picture.
    pub fn picture(&self, slot: usize) -> Area {
        let tile = self.tile(slot);
        Area {
            x: tile.x + 1,
            y: tile.y,
            width: tile.width.saturating_sub(AROUND),
            height: tile.height.saturating_sub(CAPTION),
        }
    }
}

impl Model {
    /// How tiles lie on the screen.
    pub(crate) fn sheet(&self) -> Sheet {
        Sheet::new(self.stage_area(), self.grid.size)
    }

    /// The row of the first tile on screen, from 0.
    pub(crate) fn first_tile(&self) -> usize {
        self.grid.top * self.sheet().columns
    }

    /// Scrolls so that the cursor is in sight.
    pub(super) fn fit_grid(&mut self) {
        let sheet = self.sheet();
        let row = self.folder.cursor() / sheet.columns;
        let end = self
            .folder
            .len()
            .div_ceil(sheet.columns)
            .saturating_sub(sheet.rows);
        let lowest = (row + 1).saturating_sub(sheet.rows);
        self.grid.top = self.grid.top.clamp(lowest, row).min(end);
    }

    /// What the tiles show. While they scroll, half blocks; once they rest, pictures of the terminal's own protocol, with
    /// pixels twice as large: so many at once would take long to send. Then those of the next page.
    pub(super) fn grid_targets(&mut self) -> Vec<PreviewKey> {
        if self.rest.rested {
            self.grid.settled = Some(self.grid.top);
        } else if self.grid.settled != Some(self.grid.top) {
            self.grid.settled = None;
        }
        let sheet = self.sheet();
        let (first, count) = (self.first_tile(), sheet.count());
        let model = &*self;
        let keys = |quality, first| {
            let rows = model.folder.rows_from(first).take(count);
            rows.filter_map(move |row| model.tile_key(row, quality))
        };
        let fast = match model.graphics {
            Some(Graphics::Halfblocks) => Quality::Full,
            _ => Quality::Fast,
        };
        let mut targets: Vec<PreviewKey> = keys(fast, first).collect();
        if fast == Quality::Fast && model.grid.settled.is_some() {
            targets.extend(keys(Quality::Half, first));
        }
        targets.extend(keys(fast, first + count));
        targets
    }

    /// What the tile of a row is asked for with; `None`: it has no picture.
    fn tile_key(&self, row: &Row, quality: Quality) -> Option<PreviewKey> {
        let (path, stamp) = self.tile_file(row)?;
        let room = self.sheet().picture(0);
        self.small_key(path, stamp, (room.width, room.height), quality)
    }

    /// A file seen as it asks to be, with nothing around it.
    pub(super) fn small_key(
        &self,
        path: std::path::PathBuf,
        stamp: Stamp,
        (cols, rows): (u16, u16),
        quality: Quality,
    ) -> Option<PreviewKey> {
        let graphics = self.graphics.filter(|g| *g != Graphics::None)?;
        let key = PreviewKey {
            path,
            stamp,
            frame: 0,
            view: View::default(),
            for_series: None,
            stack: None,
            marks: Marks::default(),
            related: Overlaid::default(),
            cols,
            rows,
            graphics,
            quality,
            epoch: 0,
        };
        let epoch = if key.is_cells() { 0 } else { self.epoch };
        (cols > 0 && rows > 0).then_some(PreviewKey { epoch, ..key })
    }

    /// The file whose picture stands for a row.
    fn tile_file(&self, row: &Row) -> Option<(std::path::PathBuf, Stamp)> {
        if row.stands != Stands::Itself {
            return self.member_in_sight(row).or_else(|| {
                let there = row.kind == EntryKind::File && row.stands != Stands::Missing;
                there.then(|| (row.path.clone(), row.stamp))
            });
        }
        let standing = self.results.get(&row.path).map(FileState::standing);
        let picture = row.kind == EntryKind::File
            && !self.is_other(row)
            && standing != Some(Standing::NoPicture);
        picture.then(|| (row.path.clone(), row.stamp))
    }

    /// The picture of a row's tile, as good as it may be drawn now; `Err` says why there is none, `None`: it is awaited, or
    /// there is none to wait for.
    pub(crate) fn tile_of(&self, row: &Row) -> Option<&super::picture::Previewed> {
        let key = self.tile_key(row, Quality::Half)?;
        // On the move only cells are drawn.
        let still = self.grid.settled.is_some();
        self.tiles.best(&key, still)
    }

    /// A picture is to come.
    pub(crate) fn awaits_tile(&self, row: &Row) -> bool {
        self.tile_key(row, Quality::Fast).is_some()
    }

    /// In the grid a row has neighbours on all sides: the keys that go into a folder and out of it move right and left. Enter
    /// and Backspace still do that.
    pub(super) fn press_in_grid(&mut self, key: KeyEvent) -> Option<Vec<Effect>> {
        match (key.code, self.keymap.action(key)) {
            (KeyCode::Enter, Some(Action::Enter)) | (KeyCode::Backspace, Some(Action::Leave)) => {
                return None;
            }
            (_, Some(Action::Enter)) => self.folder.go_by(1),
            (_, Some(Action::Leave)) => self.folder.go_by(-1),
            _ => return None,
        }
        Some(Vec::new())
    }

    /// What an action does in the grid; `None`: the same as in the list.
    pub(super) fn act_in_grid(&mut self, action: Action) -> Option<Vec<Effect>> {
        match action {
            Action::Down
            | Action::Up
            | Action::HalfDown
            | Action::HalfUp
            | Action::PageDown
            | Action::PageUp => {
                let rows = act::distance(action, self.sheet().rows);
                self.go_by_tiles(rows);
            }
            Action::Enter => return Some(self.enter_tile()),
            Action::ZoomIn => self.grid.size = (self.grid.size + 1).min(WIDTHS.len() - 1),
            Action::ZoomOut => self.grid.size = self.grid.size.saturating_sub(1),
            Action::ZoomFit => self.grid.size = USUAL,
            Action::NextPanel => {}
            Action::Whole => self.viewer.whole = self.file_in_sight().is_some(),
            _ => return None,
        }
        Some(Vec::new())
    }

    /// The cursor to another row of tiles, in the same column as far as there is one.
    fn go_by_tiles(&mut self, rows: isize) {
        let columns = self.sheet().columns;
        let cursor = self.folder.cursor();
        let last = self.folder.len().saturating_sub(1) / columns;
        let row = (cursor / columns).saturating_add_signed(rows).min(last);
        self.folder.go_to(row * columns + cursor % columns);
    }

    /// Into a folder or a series; the picture of a file gets the whole screen.
    pub(super) fn enter_tile(&mut self) -> Vec<Effect> {
        if let Some(effects) = self.enter_shelf() {
            return effects;
        }
        match self.folder.current() {
            Some(row) if row.kind == EntryKind::Folder => {
                let dir = row.path.clone();
                self.open(dir, None)
            }
            Some(_) if self.graphics == Some(Graphics::None) => {
                self.stage.grid = false;
                self.focus = self.panels().next(Panel::List, self.graphics);
                Vec::new()
            }
            Some(_) => {
                self.viewer.whole = true;
                Vec::new()
            }
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_every_size_tiles_stay_in_their_area_and_apart() {
        for (width, height) in (1..220)
            .step_by(13)
            .flat_map(|w| (1..70).step_by(5).map(move |h| (w, h)))
        {
            for size in 0..WIDTHS.len() {
                let area = Area {
                    x: 0,
                    y: 1,
                    width,
                    height,
                };
                let sheet = Sheet::new(area, size);
                let mut taken = std::collections::HashSet::new();
                for slot in 0..sheet.count() {
                    let tile = sheet.tile(slot);
                    assert!(tile.width > 0 && tile.height > 0, "{area:?} {sheet:?}");
                    for y in tile.y..tile.y + tile.height {
                        for x in tile.x..tile.x + tile.width {
                            assert!(x < width && y < height + 1, "{area:?} {tile:?}");
                            assert!(taken.insert((x, y)), "{area:?} {tile:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn many_are_seen_at_a_glance_on_a_usual_screen() {
        let area = |width, height| Area {
            x: 0,
            y: 1,
            width,
            height,
        };
        assert_eq!(Sheet::new(area(80, 22), USUAL).count(), 8);
        assert!(Sheet::new(area(120, 38), USUAL).count() >= 18);
        assert!(Sheet::new(area(200, 58), USUAL).count() >= 50);
    }
}
