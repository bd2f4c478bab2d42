//! Heat maps: which regions of an image raise or lower the score of a condition, and the check that decides whether one is shown.
//!
//! The score is that of a condition against its alternative: `scale · e·(t⁺ − t⁻)` for an image *e*, where *t⁻* is its absence or the
//! mean of the other conditions. A map says what goes with the score, not why the image has it; so each is checked by deleting what it
//! marks (Petsiuk et al. 2018, RISE), and withdrawn if that lowers the score no faster than deleting anything.

pub mod deletion;
pub mod tint;

use serde::{Deserialize, Serialize};

/// How to make a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum MapChoice {
    /// The model's own decomposition if it has one, else occlusion.
    #[default]
    Auto,
    /// The model's own decomposition.
    Attention,
    /// Grad-ECLIP: values in the last attention, weighted by the gradient of the score.
    Eclip,
    /// Occlusion: the loss of score when a region is blurred.
    Occlusion,
}

/// How a map was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MapMethod {
    /// The late blocks of a transformer, decomposed over their tokens with attention held (after Gandelsman et al. 2024).
    Attention,
    /// Attention pooling over a feature map, decomposed over its cells and those of earlier stages with attention held.
    Pooling,
    /// Regions left out of a pooling head's attention.
    Masking,
    /// Values in the last attention, weighted by the gradient of the score and by likeness to the query (Zhao et al. 2024).
    Eclip,
    /// Regions of the image blurred.
    Occlusion,
}

impl MapMethod {
    /// What it does, for the user.
    pub fn words(self) -> &'static str {
        match self {
            Self::Attention => "decomposition of the late attention",
            Self::Pooling => "decomposition of the attention pooling",
            Self::Masking => "regions left out of the pooling head",
            Self::Eclip => "Grad-ECLIP",
            Self::Occlusion => "occlusion",
        }
    }
}

/// What each cell of a grid over the model's square contributes to a score.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// How it was made.
    pub method: MapMethod,
    /// Cells of a row.
    pub columns: usize,
    /// Rows of cells.
    pub rows: usize,
    /// The share of the square's sides that the grid covers, from the upper left corner: below 1 where the patches of a transformer
    /// do not fill its image.
    pub covered: f64,
    /// Contributions in logits, row by row; above zero what raises the score. By [`MapMethod::Eclip`] they only compare regions.
    pub values: Vec<f32>,
    /// What no cell accounts for: with the contributions it makes up the score. `None` where the method does not add up.
    pub rest: Option<f64>,
    /// The score, in logits.
    pub score: f64,
}

impl HeatMap {
    /// The cells, that of the highest contribution first.
    pub fn ranked(&self) -> Vec<usize> {
        let mut cells: Vec<usize> = (0..self.values.len()).collect();
        cells.sort_by(|a, b| self.values[*b].total_cmp(&self.values[*a]));
        cells
    }

    /// The greatest magnitude of a contribution.
    pub fn peak(&self) -> f32 {
        self.values.iter().fold(0.0, |peak, v| peak.max(v.abs()))
    }

    /// The value at a place of the grid, in shares of its width and height; between the centres of cells it is interpolated.
    pub fn at(&self, x: f64, y: f64) -> f32 {
        if self.values.is_empty() || self.values.len() != self.columns * self.rows {
            return 0.0;
        }
        between_cells(x, self.columns).of(&self.line(y))
    }

    /// The values of the columns at a height of the square.
    fn line(&self, y: f64) -> Vec<f32> {
        let rows = between_cells(y, self.rows);
        let column = |column: usize| {
            let value = |row: usize| self.values[row * self.columns + column];
            value(rows.first) + (value(rows.second) - value(rows.first)) * rows.share
        };
        (0..self.columns).map(column).collect()
    }
}

/// A place between the centres of two cells.
#[derive(Clone, Copy)]
struct BetweenCells {
    first: usize,
    second: usize,
    /// The share of the second.
    share: f32,
}

impl BetweenCells {
    fn of(self, values: &[f32]) -> f32 {
        let (first, second) = (values[self.first], values[self.second]);
        first + (second - first) * self.share
    }
}

/// The cells around a place, in shares of the length of `count` cells; nothing is extrapolated.
fn between_cells(share: f64, count: usize) -> BetweenCells {
    let last = count.saturating_sub(1);
    let place = (share * count as f64 - 0.5).clamp(0.0, last as f64);
    let first = place.floor() as usize;
    BetweenCells {
        first,
        second: (first + 1).min(last),
        share: (place - place.floor()) as f32,
    }
}

/// What a model sees, in pixels of the image: inside it where the preprocessing crops, beyond it where that pads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SeenArea {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl SeenArea {
    /// The part that covers a share of both sides, from the upper left corner.
    #[must_use]
    pub fn covered(self, share: f64) -> Self {
        Self {
            width: self.width * share,
            height: self.height * share,
            ..self
        }
    }
}

/// A map with its place on an image.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacedMap {
    /// The map.
    pub map: HeatMap,
    /// The area of its grid.
    pub seen: SeenArea,
}

impl PlacedMap {
    /// Blends the map over RGB rows of `width` pixels, a part of the image whose first pixel is at `origin`. What the model does not
    /// see stays as it is.
    pub fn blend_onto(&self, bytes: &mut [u8], width: usize, origin: (u32, u32)) {
        let (peak, seen) = (self.map.peak(), &self.seen);
        if width == 0 || peak <= 0.0 {
            return;
        }
        let is_seen = |share: &f64| (0.0..=1.0).contains(share);
        let share = |first: u32, at: usize, from: f64, length: f64| {
            (f64::from(first) + at as f64 + 0.5 - from) / length
        };
        let columns: Vec<Option<BetweenCells>> = (0..width)
            .map(|column| share(origin.0, column, seen.x, seen.width))
            .map(|x| is_seen(&x).then(|| between_cells(x, self.map.columns)))
            .collect();
        for (row, pixels) in bytes.chunks_exact_mut(width * 3).enumerate() {
            let y = share(origin.1, row, seen.y, seen.height);
            if !is_seen(&y) {
                continue;
            }
            let line = self.map.line(y);
            for (pixel, place) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(&columns) {
                if let Some(place) = place {
                    *pixel = tint::blend(*pixel, place.of(&line) / peak);
                }
            }
        }
    }
}

/// Spearman's rank correlation of two lists of the same length; ties have their mean rank. `None` if one of them is constant.
pub fn rank_correlation(a: &[f32], b: &[f32]) -> Option<f64> {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let product = |x: &[f64], y: &[f64]| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum()
    };
    let spread = (product(&a, &a) * product(&b, &b)).sqrt();
    (a.len() == b.len() && spread > 0.0).then(|| product(&a, &b) / spread)
}

fn ranks(values: &[f32]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    for tied in order.chunk_by(|a, b| values[*a].total_cmp(&values[*b]).is_eq()) {
        let lower = values
            .iter()
            .filter(|value| value.total_cmp(&values[tied[0]]).is_lt());
        let rank = lower.count() as f64 + (tied.len() as f64 - 1.0) / 2.0;
        for &at in tied {
            ranks[at] = rank;
        }
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(columns: usize, values: &[f32]) -> HeatMap {
        HeatMap {
            method: MapMethod::Occlusion,
            covered: 1.0,
            columns,
            rows: values.len() / columns,
            values: values.to_vec(),
            rest: None,
            score: 0.0,
        }
    }

    #[test]
    fn values_are_those_of_cells_at_their_centres_and_interpolated_between() {
        let map = map(2, &[0.0, 4.0, 8.0, -4.0]);
        assert!((map.at(0.25, 0.25)).abs() < 1e-6);
        assert!((map.at(0.75, 0.75) + 4.0).abs() < 1e-6);
        assert!((map.at(0.5, 0.25) - 2.0).abs() < 1e-6);
        assert!((map.at(0.5, 0.5) - 2.0).abs() < 1e-6);
        // Beyond the outermost centres nothing is extrapolated.
        assert!((map.at(1.0, 0.0) - 4.0).abs() < 1e-6);
        assert_eq!(map.ranked(), [2, 1, 0, 3]);
        assert!((map.peak() - 8.0).abs() < 1e-6);
    }

    #[test]
    fn a_map_says_nothing_of_what_the_model_does_not_see() {
        let placed = PlacedMap {
            map: map(1, &[-3.0]),
            seen: SeenArea {
                x: 100.0,
                y: -50.0,
                width: 200.0,
                height: 200.0,
            },
        };
        // Columns 98 to 101 of the rows 149 and 150: the area begins at column 100 and ends before row 150.
        let mut bytes = vec![90_u8; 4 * 2 * 3];
        placed.blend_onto(&mut bytes, 4, (98, 149));
        let changed: Vec<bool> = bytes.chunks(3).map(|pixel| pixel != [90; 3]).collect();
        assert_eq!(
            changed,
            [false, false, true, true, false, false, false, false]
        );
        let blue = tint::blend([90; 3], -1.0);
        assert_eq!(bytes[6..9], blue);
    }

    #[test]
    fn rank_correlation_is_spearmans() {
        let close = |a: &[f32], b: &[f32], expected: f64| {
            let found = rank_correlation(a, b).unwrap();
            assert!((found - expected).abs() < 1e-9, "{found}");
        };
        close(&[1.0, 2.0, 9.0], &[-5.0, 0.0, 0.5], 1.0);
        close(&[1.0, 2.0, 9.0], &[3.0, 2.0, 1.0], -1.0);
        // scipy.stats.spearmanr([1, 2, 2, 4], [1, 3, 2, 4]) = 0.9486832980505138
        close(
            &[1.0, 2.0, 2.0, 4.0],
            &[1.0, 3.0, 2.0, 4.0],
            0.948_683_298_050_513_8,
        );
        assert_eq!(rank_correlation(&[1.0, 1.0], &[1.0, 2.0]), None);
    }
}
