//! Which pixels an ellipse or a polygon encloses: those whose centres lie within it.

/// What a figure encloses.
pub(super) enum Region {
    /// Centre and half axes.
    Ellipse { center: [f64; 2], half: [f64; 2] },
    /// The corners.
    Polygon(Vec<[f64; 2]>),
}

impl Region {
    /// An ellipse in the rectangle between two corners.
    pub(super) fn ellipse(from: [f64; 2], to: [f64; 2]) -> Self {
        Self::Ellipse {
            center: [0, 1].map(|i| f64::midpoint(from[i], to[i])),
            half: [0, 1].map(|i| (to[i] - from[i]).abs() / 2.0),
        }
    }

    /// A polygon; a point is inside if a line from it to the right crosses the sides an odd number of times.
    pub(super) fn polygon(corners: Vec<[f64; 2]>) -> Self {
        Self::Polygon(corners)
    }

    /// Visits the pixels within the region, of an image of this size, row by row.
    pub(super) fn pixels(&self, width: u32, height: u32, visit: &mut dyn FnMut(u32, u32)) {
        let (top, bottom) = self.rows(height);
        match self {
            Self::Ellipse { center, half } => {
                // Squares decide, not a root: between the middles of pixels they are exact, and the edge belongs to the ellipse.
                let squares = half.map(|half| half * half);
                let limit = squares[0] * squares[1];
                let column = |x: f64| x.clamp(0.0, f64::from(width)) as u32;
                let (left, right) = (center[0] - half[0], center[0] + half[0]);
                for y in top..bottom {
                    for x in column(left.floor())..column(right.ceil()) {
                        let away = [
                            f64::from(x) + 0.5 - center[0],
                            f64::from(y) + 0.5 - center[1],
                        ];
                        let [across, down] = away.map(|away| away * away);
                        if limit > 0.0 && across * squares[1] + down * squares[0] <= limit {
                            visit(x, y);
                        }
                    }
                }
            }
            Self::Polygon(corners) => {
                let mut spans = Vec::new();
                for y in top..bottom {
                    spans_at(corners, f64::from(y) + 0.5, &mut spans);
                    for [left, right] in &spans {
                        // The first centre that is not left of the span, and the first that is beyond it.
                        let first =
                            |edge: f64| (edge - 0.5).ceil().clamp(0.0, f64::from(width)) as u32;
                        for x in first(*left)..first(*right) {
                            visit(x, y);
                        }
                    }
                }
            }
        }
    }

    /// The rows that the region may touch.
    fn rows(&self, height: u32) -> (u32, u32) {
        let (top, bottom) = match self {
            Self::Ellipse { center, half } => (center[1] - half[1], center[1] + half[1]),
            Self::Polygon(corners) => {
                let rows = corners.iter().map(|corner| corner[1]);
                rows.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| {
                    (low.min(y), high.max(y))
                })
            }
        };
        let row = |y: f64| y.clamp(0.0, f64::from(height)) as u32;
        (row(top.floor()), row(bottom.ceil()))
    }
}

/// The parts of the horizontal line at `y` that are within a polygon. Their left ends belong to them.
fn spans_at(corners: &[[f64; 2]], y: f64, spans: &mut Vec<[f64; 2]>) {
    spans.clear();
    let sides = corners.iter().zip(corners.iter().cycle().skip(1));
    let crossing = |(a, b): (&[f64; 2], &[f64; 2])| {
        let crosses = (a[1] > y) != (b[1] > y);
        crosses.then(|| a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]))
    };
    let mut crossings: Vec<f64> = sides.filter_map(crossing).collect();
    crossings.sort_by(f64::total_cmp);
    let (pairs, _) = crossings.as_chunks::<2>();
    spans.extend(pairs);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enclosed(region: &Region, size: (u32, u32)) -> Vec<(u32, u32)> {
        let mut pixels = Vec::new();
        region.pixels(size.0, size.1, &mut |x, y| pixels.push((x, y)));
        pixels
    }

    #[test]
    fn a_rectangle_encloses_the_pixels_whose_centres_lie_in_it() {
        let corners = vec![[1.0, 1.0], [4.0, 1.0], [4.0, 3.0], [1.0, 3.0]];
        let pixels = enclosed(&Region::polygon(corners), (10, 10));
        assert_eq!(pixels, [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2)]);
    }

    #[test]
    fn what_lies_beyond_the_image_is_cut_off() {
        let corners = vec![[-5.0, -5.0], [1e9, -5.0], [1e9, 1e9], [-5.0, 1e9]];
        assert_eq!(enclosed(&Region::polygon(corners), (3, 2)).len(), 6);
        let everywhere = Region::ellipse([-1e6, -1e6], [1e6, 1e6]);
        assert_eq!(enclosed(&everywhere, (3, 2)).len(), 6);
        let beside = Region::ellipse([20.0, 20.0], [30.0, 30.0]);
        assert_eq!(enclosed(&beside, (3, 2)), []);
    }

    #[test]
    fn neighbours_that_share_a_side_share_no_pixel() {
        let left = vec![[0.0, 0.0], [3.5, 0.0], [3.5, 4.0], [0.0, 4.0]];
        let right = vec![[3.5, 0.0], [8.0, 0.0], [8.0, 4.0], [3.5, 4.0]];
        let [left, right] =
            [left, right].map(|corners| enclosed(&Region::polygon(corners), (8, 4)));
        assert_eq!(left.len() + right.len(), 32);
        assert!(left.iter().all(|pixel| !right.contains(pixel)));
    }

    #[test]
    fn the_edge_belongs_to_an_ellipse() {
        // Counted with whole numbers: 9 x² + 4 y² ≤ 78², of which twelve points lie on the edge.
        let region = Region::ellipse([256.5, 256.5], [308.5, 334.5]);
        assert_eq!(enclosed(&region, (512, 512)).len(), 3171);
        let circle = Region::ellipse([0.5, 0.5], [2.5, 2.5]);
        let cross = [(1, 0), (0, 1), (1, 1), (2, 1), (1, 2)];
        assert_eq!(enclosed(&circle, (9, 9)), cross);
    }

    #[test]
    fn a_flat_ellipse_encloses_nothing() {
        assert_eq!(
            enclosed(&Region::ellipse([1.5, 2.5], [6.5, 2.5]), (9, 9)),
            []
        );
        assert_eq!(
            enclosed(&Region::ellipse([1.5, 2.5], [1.5, 7.5]), (9, 9)),
            []
        );
    }
}
