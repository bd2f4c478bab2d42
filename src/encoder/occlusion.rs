//! Masked images: what a score loses when regions are blurred. Works with every model, at one pass for each region.

use super::{Encoder, EncoderError, PreparedImage, Preprocess};
use crate::scoring::heat_map::{HeatMap, MapMethod};

/// Cells along each side of an occlusion map.
const CELLS: usize = 8;
/// Images in a pass, so that little memory is needed.
const BATCH: usize = 8;
/// Reach of the blur on each side, as a share of the image's: far enough that nothing of a finding is left.
const BLUR_SHARE: usize = 8;

/// Blurs cells of an image.
pub struct Masker {
    width: usize,
    height: usize,
    image: Vec<u8>,
    blurred: Vec<u8>,
}

impl Masker {
    /// Prepares an image that `preprocess` made.
    pub fn new(image: &PreparedImage, preprocess: &Preprocess) -> Self {
        let (width, height) = (preprocess.width(), preprocess.height());
        let once = blurred(image.bytes(), width, height);
        Self {
            width,
            height,
            image: image.bytes().to_vec(),
            blurred: blurred(&once, width, height),
        }
    }

    /// The image with these cells of a grid blurred; cells are numbered row by row. The grid covers a share of both sides, from the
    /// upper left corner.
    pub fn masked(
        &self,
        cells: &[usize],
        (columns, rows): (usize, usize),
        covered: f64,
    ) -> PreparedImage {
        let mut bytes = self.image.clone();
        for &cell in cells {
            let (column, row) = (cell % columns.max(1), cell / columns.max(1));
            let edge = |at: usize, side: usize, count: usize| {
                let side = (side as f64 * covered).round() as usize;
                (at * side / count.max(1)).min(side)
            };
            let left = edge(column, self.width, columns) * 3;
            let right = edge(column + 1, self.width, columns) * 3;
            for y in edge(row, self.height, rows)..edge(row + 1, self.height, rows) {
                let line = y * self.width * 3;
                bytes[line + left..line + right]
                    .copy_from_slice(&self.blurred[line + left..line + right]);
            }
        }
        PreparedImage::new(bytes)
    }
}

/// A box blur of RGB bytes; beyond the edges the outermost pixels go on.
fn blurred(bytes: &[u8], width: usize, height: usize) -> Vec<u8> {
    let across = blurred_lines(bytes, width, height, (3, width * 3));
    blurred_lines(&across, height, width, (width * 3, 3))
}

/// Blurs `count` lines of `length` pixels; `steps` are the bytes from pixel to pixel, and from line to line.
fn blurred_lines(bytes: &[u8], length: usize, count: usize, steps: (usize, usize)) -> Vec<u8> {
    let reach = (length / BLUR_SHARE).max(1);
    let mut out = vec![0; bytes.len()];
    for line in 0..count {
        for channel in 0..3 {
            let at = |pixel: usize| line * steps.1 + pixel * steps.0 + channel;
            let value = |pixel: isize| {
                let pixel = pixel.clamp(0, length as isize - 1) as usize;
                u32::from(bytes[at(pixel)])
            };
            let (reach, window) = (reach as isize, 2 * reach as u32 + 1);
            let mut sum: u32 = (-reach..=reach).map(value).sum();
            for pixel in 0..length {
                out[at(pixel)] = ((sum + window / 2) / window) as u8;
                let middle = pixel as isize;
                sum = sum + value(middle + reach + 1) - value(middle - reach);
            }
        }
    }
    out
}

/// The score of each image along a direction, in logits.
///
/// # Errors
///
/// Those of the model.
pub fn scores_along(
    encoder: &mut dyn Encoder,
    images: &[PreparedImage],
    direction: &[f32],
) -> Result<Vec<f64>, EncoderError> {
    let scale = encoder.card().logit_scale;
    let mut scores = Vec::with_capacity(images.len());
    for part in images.chunks(BATCH) {
        for row in encoder.encode_images(part)? {
            let products = row.iter().zip(direction);
            let along: f64 = products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            scores.push(scale * along);
        }
    }
    Ok(scores)
}

/// The quarter cells that are blurred with a cell: its own four, and those around them, so that what lies on the edge of two cells is
/// hidden as a whole.
fn window(cell: usize) -> Vec<usize> {
    let side = 2 * CELLS;
    let span = |at: usize| (2 * at).saturating_sub(1)..(2 * at + 3).min(side);
    span(cell / CELLS)
        .flat_map(|row| span(cell % CELLS).map(move |column| row * side + column))
        .collect()
}

/// A map by occlusion: what the score along a direction loses when a cell and a margin of half a cell are blurred. Takes 65 passes.
///
/// # Errors
///
/// Those of the model.
pub fn occlusion_map(
    encoder: &mut dyn Encoder,
    image: &PreparedImage,
    direction: &[f32],
) -> Result<HeatMap, EncoderError> {
    let masker = Masker::new(image, &encoder.preprocess());
    let quarters = (2 * CELLS, 2 * CELLS);
    let masked = (0..CELLS * CELLS).map(|cell| masker.masked(&window(cell), quarters, 1.0));
    let images: Vec<PreparedImage> = std::iter::once(image.clone()).chain(masked).collect();
    let scores = scores_along(encoder, &images, direction)?;
    let score = scores.first().copied().unwrap_or_default();
    Ok(HeatMap {
        method: MapMethod::Occlusion,
        columns: CELLS,
        rows: CELLS,
        covered: 1.0,
        values: scores[1..]
            .iter()
            .map(|masked| (score - masked) as f32)
            .collect(),
        rest: None,
        score,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_cells_named_are_blurred() {
        let (width, height) = (16, 8);
        let bytes: Vec<u8> = (0..width * height)
            .flat_map(|at| [if at % 2 == 0 { 0 } else { 240 }; 3])
            .collect();
        let masker = Masker {
            width,
            height,
            blurred: blurred(&bytes, width, height),
            image: bytes.clone(),
        };
        assert!(masker.blurred.iter().all(|b| (40..200).contains(b)));
        let masked = masker.masked(&[1, 7], (4, 2), 1.0);
        for (at, (was, is)) in bytes.iter().zip(masked.bytes()).enumerate() {
            let (column, row) = (at / 3 % width / 4, at / 3 / width / 4);
            let named = (column, row) == (1, 0) || (column, row) == (3, 1);
            assert_eq!(was != is, named, "{column} {row}");
        }
        assert_eq!(masker.masked(&[], (4, 2), 1.0).bytes(), bytes);
        // The last cell of a grid over the upper left 12 by 6 pixels.
        let masked = masker.masked(&[7], (4, 2), 0.75);
        for (at, (was, is)) in bytes.iter().zip(masked.bytes()).enumerate() {
            let (x, y) = (at / 3 % width, at / 3 / width);
            let named = (9..12).contains(&x) && (3..6).contains(&y);
            assert_eq!(was != is, named, "{x} {y}");
        }
    }

    #[test]
    fn a_window_is_a_cell_and_half_a_cell_around_it() {
        let side = 2 * CELLS;
        assert_eq!(
            window(0),
            [
                0,
                1,
                2,
                side,
                side + 1,
                side + 2,
                2 * side,
                2 * side + 1,
                2 * side + 2
            ]
        );
        assert_eq!(window(CELLS + 1).len(), 16);
        assert_eq!(window(CELLS * CELLS - 1).last(), Some(&(side * side - 1)));
    }

    #[test]
    fn a_blur_leaves_even_images_and_keeps_the_mean_within() {
        assert_eq!(blurred(&[77; 5 * 4 * 3], 5, 4), [77; 5 * 4 * 3]);
    }
}
