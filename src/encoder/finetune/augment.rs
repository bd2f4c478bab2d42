//! Mild random changes of an image each time it is trained on: framing, contrast and noise. Never mirrored or turned, because
//! laterality may matter, and never in colour.

use rand::{Rng, RngCore};
use rand_chacha::ChaCha8Rng;

use crate::encoder::PreparedImage;

/// The largest shift, as a share of the side.
const MAX_SHIFT: f32 = 0.06;
/// The largest change of scale.
const MAX_ZOOM: f32 = 0.1;
/// The largest change of contrast, and of brightness as a share of the whole range.
const MAX_CONTRAST: f32 = 0.2;
const MAX_BRIGHTNESS: f32 = 0.08;
/// The strongest noise, as an amplitude in grey values.
const MAX_NOISE: i32 = 8;

/// A changed image of the same size; `width` and `height` in pixels.
pub(super) fn augment(
    image: &PreparedImage,
    (width, height): (usize, usize),
    rng: &mut ChaCha8Rng,
) -> PreparedImage {
    let mut bytes = reframe(image.bytes(), (width, height), rng);
    let contrast = 1.0 + rng.random_range(-MAX_CONTRAST..MAX_CONTRAST);
    let brightness = 255.0 * rng.random_range(-MAX_BRIGHTNESS..MAX_BRIGHTNESS);
    let table: Vec<u8> = (0..=u8::MAX)
        .map(|value| ((f32::from(value) - 127.5) * contrast + 127.5 + brightness).round() as u8)
        .collect();
    let strength = rng.random_range(0..=MAX_NOISE);
    let mut grains = vec![0_u8; width * height];
    rng.fill_bytes(&mut grains);
    for (pixel, grain) in bytes.chunks_exact_mut(3).zip(grains) {
        let noise = ((i32::from(grain) - 128) * strength) >> 7;
        for value in pixel {
            *value = (i32::from(table[usize::from(*value)]) + noise).clamp(0, 255) as u8;
        }
    }
    PreparedImage::new(bytes)
}

/// Shifts and scales; what comes from beyond the edge repeats it.
fn reframe(bytes: &[u8], (width, height): (usize, usize), rng: &mut ChaCha8Rng) -> Vec<u8> {
    let zoom = 1.0 + rng.random_range(-MAX_ZOOM..MAX_ZOOM);
    let mut places = |length: usize| {
        let middle = (length as f32 - 1.0) / 2.0;
        let shift = rng.random_range(-MAX_SHIFT..MAX_SHIFT) * length as f32;
        let last = length.saturating_sub(1);
        let place = |at: usize| {
            let from = ((at as f32 - middle) * zoom + middle + shift).clamp(0.0, last as f32);
            let first = from as usize;
            (first, (first + 1).min(last), from - first as f32)
        };
        (0..length).map(place).collect::<Vec<_>>()
    };
    let (columns, rows) = (places(width), places(height));
    let mut out = Vec::with_capacity(bytes.len());
    for (above, below, down) in rows {
        let (above, below) = (above * width * 3, below * width * 3);
        for &(left, right, along) in &columns {
            for channel in 0..3 {
                let at = |row: usize, column: usize| f32::from(bytes[row + column * 3 + channel]);
                let upper = at(above, left) + (at(above, right) - at(above, left)) * along;
                let lower = at(below, left) + (at(below, right) - at(below, left)) * along;
                out.push((upper + (lower - upper) * down + 0.5) as u8);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::finetune::low_rank::generator;

    /// Mean grey values of the quarters: upper left, upper right, lower left, lower right.
    fn quarters(image: &PreparedImage, side: usize) -> [usize; 4] {
        let mut sums = [0; 4];
        for (at, pixel) in image.bytes().chunks_exact(3).enumerate() {
            let quarter =
                usize::from(at % side >= side / 2) + 2 * usize::from(at / side >= side / 2);
            sums[quarter] += usize::from(pixel[0]);
        }
        sums.map(|sum| sum / (side * side / 4))
    }

    #[test]
    fn images_change_mildly_and_are_never_mirrored_or_turned() {
        let side = 32;
        // 40, 90, 140 and 190 in the quarters.
        let grey =
            |at: usize| 40 + 50 * (usize::from(at % side >= 16) + 2 * usize::from(at / side >= 16));
        let bytes = (0..side * side).flat_map(|at| [grey(at) as u8; 3]);
        let image = PreparedImage::new(bytes.collect());
        let mut seen = std::collections::BTreeSet::new();
        for step in 0..40 {
            let changed = augment(&image, (side, side), &mut generator(7, 1, step));
            let found = quarters(&changed, side);
            assert!(found.is_sorted() && found[3] > found[0] + 60, "{found:?}");
            for (value, before) in found.iter().zip([40, 90, 140, 190]) {
                assert!(value.abs_diff(before) < 60, "{found:?}");
            }
            seen.insert(changed.bytes().to_vec());
            let again = augment(&image, (side, side), &mut generator(7, 1, step));
            assert_eq!(again, changed);
        }
        assert_eq!(seen.len(), 40);
    }
}
