//! The layout of the panels. `update` needs it as much as the view does: it requests a preview in exactly the size in which it
//! will be drawn, and scrolls by the rows available.

use super::Area;

/// A panel that can have the focus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Panel {
    /// The files.
    #[default]
    List,
    /// The image.
    Preview,
    /// The result.
    Result,
}

/// The areas of the panels and the status line; a hidden panel has none. Areas are those of the contents: if `titled`, the row
/// above each is the panel's title, and the column to the left of each but the first is a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Panels {
    /// The files.
    pub list: Option<Area>,
    /// The image.
    pub preview: Option<Area>,
    /// The result.
    pub result: Option<Area>,
    /// The notice that results are not a diagnosis, if the list shows results and the result panel is hidden.
    pub notice: Option<Area>,
    /// The status line, in the last row.
    pub status: Option<Area>,
    /// Whether panels have a row for their title.
    pub titled: bool,
}

/// Minimum columns and rows for three panels side by side.
const WIDE: (u16, u16) = (150, 24);
/// Minimum columns and rows for list and image side by side, with the result below the image.
const STACKED: (u16, u16) = (64, 16);
/// Minimum columns of list and image, wherever the line between them is dragged.
const MIN_PANEL_WIDTH: u16 = 20;
/// Minimum rows of a list with a notice below it.
const NOTICE_ROWS: u16 = 8;
/// Minimum rows of a body with titles.
const TITLED_ROWS: u16 = 6;

/// Lays out the panels on a screen of `cols` × `rows`. `has_images`: whether the terminal shows images, or has not been
/// probed yet. `split`: the width of the list in columns that the user chose, if another panel is beside it.
pub fn panels(cols: u16, rows: u16, focus: Panel, has_images: bool, split: Option<u16>) -> Panels {
    around(cols, rows, |body, body_rows| {
        arrange(body, body_rows, focus, has_images, split)
    })
}

/// The image alone, with its title and the status line.
pub fn image_alone(cols: u16, rows: u16) -> Panels {
    around(cols, rows, |body, _| Panels {
        preview: Some(body),
        ..Panels::default()
    })
}

/// The list alone, with its title and the status line.
pub fn list_alone(cols: u16, rows: u16) -> Panels {
    around(cols, rows, |body, _| Panels {
        list: Some(body),
        ..Panels::default()
    })
}

/// Adds title and status line to the layout of what is between them.
fn around(cols: u16, rows: u16, arrange: impl FnOnce(Area, u16) -> Panels) -> Panels {
    if cols == 0 || rows == 0 {
        return Panels::default();
    }
    let with_status = rows >= 2;
    let body_rows = rows - u16::from(with_status);
    let titled = body_rows >= TITLED_ROWS;
    let top = u16::from(titled);
    let body = Area {
        x: 0,
        y: top,
        width: cols,
        height: body_rows - top,
    };
    let mut panels = Panels {
        titled,
        ..arrange(body, body_rows)
    };
    if with_status {
        panels.status = Some(Area {
            x: 0,
            y: rows - 1,
            width: cols,
            height: 1,
        });
    }
    panels
}

/// The panels of a body; `body` excludes its first title row.
fn arrange(
    body: Area,
    body_rows: u16,
    focus: Panel,
    has_images: bool,
    split: Option<u16>,
) -> Panels {
    if (body.width, body_rows) >= (STACKED.0, 0) && body.width >= STACKED.0 {
        let wide = has_images && body.width >= WIDE.0 && body_rows >= WIDE.1;
        let list = if wide {
            (body.width * 3 / 10).clamp(48, 72)
        } else {
            (body.width * 21 / 40).clamp(32, 64)
        };
        let result = (body.width / 4).clamp(42, 60);
        let taken = if wide { result } else { 0 };
        let list = split.map_or(list, |split| {
            split.clamp(MIN_PANEL_WIDTH, body.width - taken - 1 - MIN_PANEL_WIDTH)
        });
        let (list, rest) = split_columns(body, list);
        let list = Some(list);
        if wide {
            let (preview, result) = split_columns(rest, rest.width - taken);
            return Panels {
                list,
                preview: Some(preview),
                result: Some(result),
                ..Panels::default()
            };
        }
        if has_images && body_rows >= STACKED.1 {
            let (preview, result) = split_rows(rest, (body_rows * 9 / 20).clamp(8, 18));
            return Panels {
                list,
                preview: Some(preview),
                result: Some(result),
                ..Panels::default()
            };
        }
        if has_images && focus == Panel::Preview {
            return Panels {
                list,
                preview: Some(rest),
                ..Panels::default()
            };
        }
        return Panels {
            list,
            result: Some(rest),
            ..Panels::default()
        };
    }
    match focus {
        Panel::Preview if has_images => Panels {
            preview: Some(body),
            ..Panels::default()
        },
        Panel::Result => Panels {
            result: Some(body),
            ..Panels::default()
        },
        Panel::List | Panel::Preview => {
            let noticed = u16::from(body.height >= NOTICE_ROWS);
            let list = Area {
                height: body.height - noticed,
                ..body
            };
            Panels {
                list: Some(list),
                notice: (noticed > 0).then_some(Area {
                    y: list.y + list.height,
                    height: noticed,
                    ..list
                }),
                ..Panels::default()
            }
        }
    }
}

/// Splits an area into left and right of a line one column wide.
fn split_columns(area: Area, left: u16) -> (Area, Area) {
    let right = area.width.saturating_sub(left + 1);
    (
        Area {
            width: left,
            ..area
        },
        Area {
            x: area.x + left + 1,
            width: right,
            ..area
        },
    )
}

/// Splits an area into above and below a title one row high.
fn split_rows(area: Area, below: u16) -> (Area, Area) {
    let above = area.height.saturating_sub(below + 1);
    (
        Area {
            height: above,
            ..area
        },
        Area {
            y: area.y + above + 1,
            height: below,
            ..area
        },
    )
}

impl Panel {
    /// The next panel, in order. The image is skipped if there are no images.
    #[must_use]
    pub fn next(self, has_images: bool) -> Self {
        match self {
            Self::List if !has_images => Self::Result,
            Self::List => Self::Preview,
            Self::Preview => Self::Result,
            Self::Result => Self::List,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cells of a panel, including its title and the line to its left.
    fn cells(area: Area, titled: bool) -> Vec<(u16, u16)> {
        let (top, left) = (area.y - u16::from(titled), area.x.saturating_sub(1));
        (top..area.y + area.height)
            .flat_map(|y| (left..area.x + area.width).map(move |x| (x, y)))
            .collect()
    }

    #[test]
    fn at_every_size_panels_stay_on_screen_and_apart() {
        for (cols, rows) in (0..220)
            .step_by(7)
            .flat_map(|c| (0..70).step_by(3).map(move |r| (c, r)))
        {
            let focuses = [Panel::List, Panel::Preview, Panel::Result];
            let splits = [None, Some(0), Some(70), Some(500)];
            for (focus, split) in focuses
                .into_iter()
                .flat_map(|focus| splits.map(|split| (focus, split)))
            {
                let panels = panels(cols, rows, focus, true, split);
                let mut taken = std::collections::HashSet::new();
                let titled = [panels.list, panels.preview, panels.result]
                    .map(|area| area.map(|area| (area, panels.titled)));
                let notice = panels.notice.map(|area| (area, false));
                for (area, titled) in titled.into_iter().flatten().chain(notice) {
                    assert!(area.width > 0 && area.height > 0, "{cols}×{rows}: {area:?}");
                    for cell in cells(area, titled) {
                        assert!(cell.0 < cols && cell.1 < rows, "{cols}×{rows}: {area:?}");
                        assert!(taken.insert(cell), "{cols}×{rows}: {cell:?} twice");
                    }
                }
            }
        }
    }

    #[test]
    fn a_small_terminal_shows_the_panel_in_focus_and_a_large_one_all() {
        let small = panels(30, 8, Panel::Result, true, None);
        assert!(small.list.is_none() && small.result.is_some());
        for (cols, rows) in [(80, 24), (120, 40), (200, 60)] {
            let large = panels(cols, rows, Panel::List, true, None);
            assert!(
                large.list.is_some() && large.preview.is_some() && large.result.is_some(),
                "{cols}×{rows}"
            );
        }
        assert_eq!(
            panels(20, 5, Panel::List, true, None)
                .list
                .map(|a| a.height),
            Some(4)
        );
    }

    #[test]
    fn the_line_beside_the_list_lies_where_it_is_wished_as_far_as_there_is_room() {
        let list = |cols, split| {
            let panels = panels(cols, 40, Panel::List, true, split);
            panels.list.map(|area| area.width)
        };
        assert_eq!(list(80, Some(30)), Some(30));
        assert_eq!(list(80, Some(3)), Some(MIN_PANEL_WIDTH));
        assert_eq!(list(80, Some(79)), Some(80 - 1 - MIN_PANEL_WIDTH));
        assert_eq!(list(200, Some(100)), Some(100));
        assert_eq!(list(200, Some(199)), Some(200 - 50 - 1 - MIN_PANEL_WIDTH));
        assert_eq!(list(40, Some(10)), Some(40), "it stands alone");
    }

    #[test]
    fn wherever_there_are_results_the_notice_has_room() {
        for (cols, rows) in [(60, 20), (30, 12), (63, 40), (80, 24), (200, 60)] {
            let panels = panels(cols, rows, Panel::List, true, None);
            assert!(
                panels.result.is_some() || panels.notice.is_some(),
                "{cols}×{rows}"
            );
        }
    }

    #[test]
    fn tab_visits_every_panel_and_comes_round() {
        let after = |focus: Panel, has_images| {
            let order = std::iter::successors(Some(focus), |focus| Some(focus.next(has_images)));
            order.take(4).collect::<Vec<_>>()
        };
        let (list, image, result) = (Panel::List, Panel::Preview, Panel::Result);
        assert_eq!(after(list, true), [list, image, result, list]);
        assert_eq!(after(list, false), [list, result, list, result]);
    }
}
