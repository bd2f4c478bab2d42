//! Display shutters, which hide parts of a frame.

use std::ops::Range;

/// The display shutter of a presentation state, which hides part of a frame (PS3.3 C.7.6.11 and C.7.6.15).
#[derive(Clone, Debug, PartialEq)]
pub struct Shutter {
    /// Colour of the hidden part.
    pub color: [u8; 3],
    pub(crate) openings: Vec<Opening>,
}

/// A shape outside which the frame is hidden. Columns and rows count from 1, as in PS3.3.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Opening {
    /// First and last visible column and row.
    Rectangle { columns: [f64; 2], rows: [f64; 2] },
    /// Column and row of the centre, radius in columns, and the height of a pixel divided by its width.
    Circle {
        center: [f64; 2],
        radius: f64,
        aspect: f64,
    },
    /// Vertices, column and row.
    Polygon(Vec<[f64; 2]>),
    /// An overlay plane whose ones are hidden.
    Bitmap(crate::OverlayPlane),
}

impl Shutter {
    /// Iterates over those of `columns` that are hidden in row `y`: they lie outside at least one opening.
    pub fn hidden(&self, y: u32, columns: Range<u32>) -> impl Iterator<Item = u32> + use<> {
        let mut hidden = vec![false; columns.len()];
        for opening in &self.openings {
            let visible = opening.visible(y, columns.clone());
            for (hidden, visible) in hidden.iter_mut().zip(visible) {
                *hidden |= !visible;
            }
        }
        let all = columns.zip(hidden);
        all.filter_map(|(x, hidden)| hidden.then_some(x))
    }
}

impl Opening {
    /// Whether each of `columns` is visible through the opening in row `y`.
    fn visible(&self, y: u32, columns: Range<u32>) -> Vec<bool> {
        let first = f64::from(columns.start) + 1.0;
        if let Opening::Bitmap(plane) = self {
            return columns.map(|x| !plane.covers(x, y)).collect();
        }
        let mut seen = vec![false; columns.len()];
        for [from, to] in self.spans(f64::from(y) + 1.0) {
            let end = ((to - first).floor() + 1.0).clamp(0.0, seen.len() as f64) as usize;
            let start = ((from - first).ceil().max(0.0) as usize).min(end);
            seen[start..end].fill(true);
        }
        seen
    }

    /// The visible column ranges of a row, both ends included. Rows and columns count from 1.
    fn spans(&self, row: f64) -> Vec<[f64; 2]> {
        match self {
            Opening::Rectangle { columns, rows } => {
                let seen = (rows[0]..=rows[1]).contains(&row);
                seen.then_some(*columns).into_iter().collect()
            }
            Opening::Circle {
                center,
                radius,
                aspect,
            } => {
                let down = (row - center[1]) * aspect;
                let half = (radius * radius - down * down).sqrt();
                let span = [center[0] - half, center[0] + half];
                (!half.is_nan()).then_some(span).into_iter().collect()
            }
            Opening::Polygon(corners) => spans_inside(corners, row),
            Opening::Bitmap(_) => Vec::new(),
        }
    }
}

/// The ranges in which a row lies inside a polygon or on its edge: between pairs of the edges it crosses.
fn spans_inside(corners: &[[f64; 2]], row: f64) -> Vec<[f64; 2]> {
    let (mut crossings, mut spans) = (Vec::new(), Vec::new());
    for ([ax, ay], [bx, by]) in corners.iter().zip(corners.iter().cycle().skip(1)) {
        if (*ay > row) != (*by > row) {
            crossings.push((bx - ax) * (row - ay) / (by - ay) + ax);
        }
        let on_row = |y: f64| (y - row).abs() < 1e-9;
        match (on_row(*ay), on_row(*by)) {
            (true, true) => spans.push([ax.min(*bx), ax.max(*bx)]),
            (true, false) => spans.push([*ax, *ax]),
            (false, _) => {}
        }
    }
    crossings.sort_by(f64::total_cmp);
    spans.extend(crossings.as_chunks::<2>().0);
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shutter_hides_what_lies_outside_any_of_its_openings() {
        let rectangle = Opening::Rectangle {
            columns: [2.0, 4.0],
            rows: [1.0, 3.0],
        };
        let circle = Opening::Circle {
            center: [3.0, 2.0],
            radius: 1.0,
            aspect: 1.0,
        };
        let seen = |openings: &[Opening]| {
            let shutter = Shutter {
                color: [0; 3],
                openings: openings.to_vec(),
            };
            let row = |y| {
                let mut row = *b"#####";
                shutter.hidden(y, 0..5).for_each(|x| row[x as usize] = b'.');
                String::from_utf8_lossy(&row).into_owned()
            };
            (0..4).map(row).collect::<Vec<String>>().join(" ")
        };
        let [first, second] = [&rectangle, &circle].map(std::slice::from_ref);
        assert_eq!(seen(first), ".###. .###. .###. .....");
        assert_eq!(seen(second), "..#.. .###. ..#.. .....");
        assert_eq!(seen(&[rectangle, circle]), "..#.. .###. ..#.. .....");
        let triangle = Opening::Polygon(vec![[1.0, 1.0], [4.0, 1.0], [1.0, 4.0]]);
        assert_eq!(seen(&[triangle]), "####. ###.. ##... #....");
        assert_eq!(
            seen(&[Opening::Polygon(Vec::new())]),
            "..... ..... ..... ....."
        );
    }
}
