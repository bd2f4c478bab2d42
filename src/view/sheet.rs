//! Where the tiles of the grid lie.

use super::Area;

/// Minimum columns of a tile, by size.
const WIDTHS: [u16; 5] = [12, 18, 26, 38, 58];
/// The largest size of tiles; the smallest is 0.
pub const MAX_SIZE: usize = WIDTHS.len() - 1;
/// The size to begin with.
pub const DEFAULT_SIZE: usize = 1;
/// Rows for the name and for what the model says.
pub const CAPTION: u16 = 2;
/// Columns of a tile that are not its image's: the cursor on the left, a blank on the right.
const AROUND: u16 = 2;
/// Tiles of a contact sheet below which they are made smaller, so that more fit.
const MIN_CONTACT_TILES: usize = 8;
/// From so many rows on one is kept for the notice.
const NOTICE_ROWS: u16 = 12;

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
    /// Rows of a tile below its image.
    caption: u16,
    /// What results are not for, below all tiles.
    pub notice: Option<Area>,
}

impl Sheet {
    /// Fills an area with tiles of a size.
    pub fn new(area: Area, size: usize) -> Self {
        let width = WIDTHS[size.min(MAX_SIZE)];
        let noticed = area.height >= NOTICE_ROWS;
        let height = area.height - u16::from(noticed);
        // Cells are about twice as high as wide: an image as high as wide.
        let least = (width - AROUND) / 2 + CAPTION;
        Self {
            notice: noticed.then_some(Area {
                y: area.y + height,
                height: 1,
                ..area
            }),
            ..Self::filled(Area { height, ..area }, (width, least), CAPTION)
        }
    }

    /// Fills the area of an image with small tiles, whose captions have one row: the smallest if there is room for few.
    pub fn contact(area: Area) -> Self {
        let width = WIDTHS[DEFAULT_SIZE];
        let sheet = Self::filled(area, (width, (width - AROUND) / 2 + 1), 1);
        if sheet.count() >= MIN_CONTACT_TILES {
            sheet
        } else {
            // Flatter than images are high: rather two rows of them than one.
            Self::filled(area, (WIDTHS[0], WIDTHS[0] * 5 / 12), 1)
        }
    }

    /// Fills an area with tiles of at least so many columns and rows.
    fn filled(area: Area, (width, height): (u16, u16), caption: u16) -> Self {
        let columns = (area.width / width).max(1);
        let rows = (area.height / height).max(1);
        Self {
            origin: (area.x, area.y),
            columns: usize::from(columns),
            rows: usize::from(rows),
            tile: (area.width / columns, area.height / rows),
            caption,
            notice: None,
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

    /// The cells of its image.
    pub fn image(&self, slot: usize) -> Area {
        let tile = self.tile(slot);
        Area {
            x: tile.x + 1,
            y: tile.y,
            width: tile.width.saturating_sub(AROUND),
            height: tile.height.saturating_sub(self.caption),
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
            let area = Area {
                x: 0,
                y: 1,
                width,
                height,
            };
            let sheets = (0..WIDTHS.len()).map(|size| Sheet::new(area, size));
            for sheet in sheets.chain([Sheet::contact(area)]) {
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
        assert_eq!(Sheet::new(area(80, 22), DEFAULT_SIZE).count(), 8);
        assert!(Sheet::new(area(120, 38), DEFAULT_SIZE).count() >= 18);
        assert!(Sheet::new(area(200, 58), DEFAULT_SIZE).count() >= 50);
        assert_eq!(Sheet::contact(area(37, 11)).count(), 6);
        assert_eq!(Sheet::contact(area(69, 47)).count(), 15);
    }
}
