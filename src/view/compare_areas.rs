//! The layout of the comparison.

use super::Area;

/// Minimum rows of a comparison with a row for the notice.
const NOTICE_ROWS: u16 = 12;

/// The areas of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SideAreas {
    /// The image.
    pub image: Area,
    /// The scores below it.
    pub scores: Area,
}

/// The areas of both sides, and below them the notice that results are not a diagnosis. The column between the sides is a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompareAreas {
    /// Left and right.
    pub sides: [SideAreas; 2],
    /// The notice in the last row, if there is room.
    pub notice: Option<Area>,
}

impl CompareAreas {
    /// Divides an area between two images and up to `lines` rows of scores below each.
    pub fn new(area: Area, lines: usize) -> Self {
        let noticed = area.height >= NOTICE_ROWS;
        let height = area.height - u16::from(noticed);
        let left = area.width.saturating_sub(1) / 2;
        // Images keep half of the room.
        let scores = (lines as u16).min(height / 2);
        let side = |x, width| {
            let whole = Area {
                x,
                width,
                y: area.y,
                height,
            };
            SideAreas {
                image: Area {
                    height: height - scores,
                    ..whole
                },
                scores: Area {
                    y: area.y + height - scores,
                    height: scores,
                    ..whole
                },
            }
        };
        let right = area.width.saturating_sub(left + 1);
        Self {
            sides: [side(area.x, left), side(area.x + left + 1, right)],
            notice: noticed.then_some(Area {
                y: area.y + height,
                height: 1,
                ..area
            }),
        }
    }
}
