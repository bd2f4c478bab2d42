//! Where the parts of the tags lie.

use super::Area;

/// From this many rows on, the value under the cursor has rows of its own.
const ROWS_WITH_VALUE: u16 = 16;
/// Rows for that value, at most.
const VALUE_ROWS: u16 = 4;
/// A body lower than this has no row to spare for a title.
const TITLED_ROWS: u16 = 6;

/// Areas of the tags, from the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagAreas {
    /// The title.
    pub title: Option<Area>,
    /// The tree.
    pub rows: Area,
    /// The value under the cursor; the row above it is a line.
    pub value: Option<Area>,
    /// The search.
    pub search: Option<Area>,
}

/// Divides a screen of `cols` × `rows`; `None` where there is no room at all. `searching`: the search has a row.
pub fn tag_areas(cols: u16, rows: u16, searching: bool) -> Option<TagAreas> {
    let body = rows
        .checked_sub(u16::from(rows >= 2))
        .filter(|n| *n > 0 && cols > 0)?;
    let part = |y: u16, height: u16| Area {
        x: 0,
        y,
        width: cols,
        height,
    };
    let top = u16::from(body >= TITLED_ROWS);
    let bottom = u16::from(searching && body > top + 1);
    let value = if body >= ROWS_WITH_VALUE {
        VALUE_ROWS + 1
    } else {
        0
    };
    let tree = body - top - bottom - value;
    Some(TagAreas {
        title: (top > 0).then(|| part(0, 1)),
        rows: part(top, tree),
        value: (value > 0).then(|| part(top + tree + 1, VALUE_ROWS)),
        search: (bottom > 0).then(|| part(body - 1, 1)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_fill_the_screen_but_for_the_status_line() {
        for (cols, rows) in [(1, 1), (30, 8), (20, 5), (80, 16), (80, 17), (200, 60)] {
            for searching in [false, true] {
                let all = tag_areas(cols, rows, searching).expect("room");
                let heights = [all.title, Some(all.rows), all.search]
                    .into_iter()
                    .flatten();
                let value = all.value.map_or(0, |area| area.height + 1);
                let sum: u16 = heights.map(|area| area.height).sum();
                assert_eq!(sum + value + u16::from(rows >= 2), rows, "{cols}×{rows}");
                assert!(all.rows.height > 0, "{cols}×{rows}");
            }
        }
        assert_eq!(tag_areas(0, 9, false), None);
        assert_eq!(tag_areas(9, 0, false), None);
    }
}
