//! Pictures of no kind that the model knows, so that it learns to say "none of these": patterns drawn at random, and images taken
//! apart, blended or coloured until they are of no kind any more. A cheap stand-in for the images of the world (Hendrycks et al.
//! 2019, "Deep anomaly detection with outlier exposure").

use rand::Rng;
use rand::seq::IndexedRandom;

use super::augment::STORED;

/// Most colours of a palette.
const MAX_COLOURS: usize = 5;

type Colour = [f32; 3];

/// A pattern of `STORED × STORED` pixels with three interleaved bytes each, or one in grey.
pub fn pattern(rng: &mut impl Rng) -> Vec<u8> {
    let palette = palette(rng);
    let field = field(rng);
    let mut canvas: Vec<Colour> = match rng.random_range(0..4) {
        0 => bands(&field, &palette, rng),
        _ => field.iter().map(|&value| blend(&palette, value)).collect(),
    };
    match rng.random_range(0..4) {
        0 => {}
        1 => spots(&mut canvas, &palette, rng),
        2 => lines(&mut canvas, &palette, rng),
        _ => {
            spots(&mut canvas, &palette, rng);
            lines(&mut canvas, &palette, rng);
        }
    }
    if rng.random_bool(0.25) {
        disc(&mut canvas, rng);
    }
    let is_grey = rng.random_bool(0.35);
    let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
    canvas
        .iter()
        .flat_map(|&[r, g, b]| {
            if is_grey {
                vec![byte(0.3 * r + 0.59 * g + 0.11 * b)]
            } else {
                vec![byte(r), byte(g), byte(b)]
            }
        })
        .collect()
}

/// Cuts a square image of `channels` interleaved bytes into tiles and shuffles them.
pub fn shuffled(stored: &[u8], channels: usize, rng: &mut impl Rng) -> Vec<u8> {
    let count = rng.random_range(3..=6);
    let tile = STORED / count;
    let mut order: Vec<usize> = (0..count * count).collect();
    rand::seq::SliceRandom::shuffle(order.as_mut_slice(), rng);
    let mut out = stored.to_vec();
    for (to, &from) in order.iter().enumerate() {
        for row in 0..tile {
            let at = |index: usize| {
                ((index / count * tile + row) * STORED + index % count * tile) * channels
            };
            out[at(to)..at(to) + tile * channels]
                .copy_from_slice(&stored[at(from)..at(from) + tile * channels]);
        }
    }
    out
}

/// Colours a grey image with a random palette.
pub fn coloured(stored: &[u8], rng: &mut impl Rng) -> Vec<u8> {
    let palette = palette(rng);
    let table: Vec<[u8; 3]> = (0..=255_u8)
        .map(|value| blend(&palette, f32::from(value) / 255.0).map(|c| (c * 255.0) as u8))
        .collect();
    stored
        .iter()
        .flat_map(|&value| table[usize::from(value)])
        .collect()
}

/// Shows two grey images at once.
pub fn blended(one: &[u8], other: &[u8], rng: &mut impl Rng) -> Vec<u8> {
    let share = rng.random_range(0.35_f32..0.65);
    let both = one.iter().zip(other);
    both.map(|(&a, &b)| (f32::from(a) * share + f32::from(b) * (1.0 - share)) as u8)
        .collect()
}

fn palette(rng: &mut impl Rng) -> Vec<Colour> {
    let count = rng.random_range(2..=MAX_COLOURS);
    // Many pictures have colours of one hue.
    let base: Colour = rng.random();
    let spread = rng.random_range(0.2_f32..1.0);
    (0..count)
        .map(|_| {
            let own: Colour = rng.random();
            [0, 1, 2].map(|c| base[c] + (own[c] - base[c]) * spread)
        })
        .collect()
}

/// The colour at `value`, 0 to 1, between those of a palette.
fn blend(palette: &[Colour], value: f32) -> Colour {
    let at = value.clamp(0.0, 1.0) * (palette.len() - 1) as f32;
    let left = (at as usize).min(palette.len().saturating_sub(2));
    let (a, b) = (palette[left], palette[(left + 1).min(palette.len() - 1)]);
    let share = at - left as f32;
    [0, 1, 2].map(|c| a[c] + (b[c] - a[c]) * share)
}

/// Smooth noise of several scales, 0 to 1, row by row.
fn field(rng: &mut impl Rng) -> Vec<f32> {
    let mut sum = vec![0.0_f32; STORED * STORED];
    for _ in 0..rng.random_range(1..=4) {
        let [across, down] = [0, 1].map(|_| rng.random_range(1.5_f32..7.0).exp2() as usize);
        let weight = rng.random_range(0.2_f32..1.0);
        let nodes: Vec<f32> = (0..(across + 2) * (down + 2))
            .map(|_| rng.random::<f32>())
            .collect();
        for (index, value) in sum.iter_mut().enumerate() {
            let x = (index % STORED) as f32 / STORED as f32 * across as f32;
            let y = (index / STORED) as f32 / STORED as f32 * down as f32;
            let (left, top) = (x as usize, y as usize);
            let (fx, fy) = (x - left as f32, y - top as f32);
            let node = |dx: usize, dy: usize| nodes[(top + dy) * (across + 2) + left + dx];
            let upper = node(0, 0) + (node(1, 0) - node(0, 0)) * fx;
            let lower = node(0, 1) + (node(1, 1) - node(0, 1)) * fx;
            *value += weight * (upper + (lower - upper) * fy);
        }
    }
    let low = sum.iter().copied().fold(f32::INFINITY, f32::min);
    let high = sum.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let range = (high - low).max(1e-6);
    sum.iter().map(|value| (value - low) / range).collect()
}

/// Layers across the picture, bent by a field.
fn bands(field: &[f32], palette: &[Colour], rng: &mut impl Rng) -> Vec<Colour> {
    let count = rng.random_range(2.0_f32..12.0);
    let bend = rng.random_range(0.05_f32..0.5);
    let upright = rng.random_bool(0.3);
    let layers: Vec<f32> = (0..16).map(|_| rng.random()).collect();
    field
        .iter()
        .enumerate()
        .map(|(index, value)| {
            let along = if upright {
                index % STORED
            } else {
                index / STORED
            };
            let at = (along as f32 / STORED as f32 + bend * value) * count;
            blend(
                palette,
                layers[at as usize % layers.len()] * 0.8 + 0.2 * value,
            )
        })
        .collect()
}

/// A few large ellipses, or many small ones of nearly one size.
fn spots(canvas: &mut [Colour], palette: &[Colour], rng: &mut impl Rng) {
    let many = rng.random_bool(0.5);
    let count = rng.random_range(if many { 40..200 } else { 1..12 });
    let size = if many {
        rng.random_range(2.0_f32..8.0)
    } else {
        rng.random_range(8.0_f32..60.0)
    };
    for _ in 0..count {
        let colour = palette.choose(rng).copied().unwrap_or([0.5; 3]);
        let colour = colour.map(|c| c + rng.random_range(-0.15_f32..0.15));
        let [x, y] = [0, 1].map(|_| rng.random_range(0.0..STORED as f32));
        let [a, b] = [0, 1].map(|_| size * rng.random_range(0.6_f32..1.5));
        let cover = rng.random_range(0.4_f32..1.0);
        let reach = a.max(b);
        let range = |middle: f32| {
            ((middle - reach).max(0.0) as usize)..((middle + reach) as usize + 1).min(STORED)
        };
        for row in range(y) {
            for column in range(x) {
                let (dx, dy) = ((column as f32 - x) / a, (row as f32 - y) / b);
                if dx * dx + dy * dy <= 1.0 {
                    paint(&mut canvas[row * STORED + column], colour, cover);
                }
            }
        }
    }
}

/// Winding lines.
fn lines(canvas: &mut [Colour], palette: &[Colour], rng: &mut impl Rng) {
    for _ in 0..rng.random_range(2..20) {
        let colour = palette.choose(rng).copied().unwrap_or([0.5; 3]);
        let [mut x, mut y] = [0, 1].map(|_| rng.random_range(0.0..STORED as f32));
        let mut heading = rng.random_range(0.0..std::f32::consts::TAU);
        let width = rng.random_range(0_usize..4);
        let winding = rng.random_range(0.0_f32..0.2);
        for _ in 0..rng.random_range(30..300) {
            let (column, row) = (x as usize, y as usize);
            if x < 0.0 || y < 0.0 || column >= STORED || row >= STORED {
                break;
            }
            for dy in row..(row + width + 1).min(STORED) {
                for dx in column..(column + width + 1).min(STORED) {
                    paint(&mut canvas[dy * STORED + dx], colour, 0.7);
                }
            }
            heading += rng.random_range(-1.0_f32..1.0) * winding;
            x += heading.cos();
            y += heading.sin();
        }
    }
}

/// Leaves a disc and darkens what lies around it, as an instrument's field of view does.
fn disc(canvas: &mut [Colour], rng: &mut impl Rng) {
    let radius = STORED as f32 * rng.random_range(0.35_f32..0.6);
    let middle = STORED as f32 / 2.0;
    let outside = [rng.random_range(0.0_f32..0.15); 3];
    for (index, pixel) in canvas.iter_mut().enumerate() {
        let (x, y) = ((index % STORED) as f32, (index / STORED) as f32);
        if (x - middle).hypot(y - middle) > radius {
            *pixel = outside;
        }
    }
}

fn paint(pixel: &mut Colour, colour: Colour, cover: f32) {
    for (own, new) in pixel.iter_mut().zip(colour) {
        *own += (new - *own) * cover;
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn patterns_differ_and_have_the_stored_size() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let patterns: Vec<_> = (0..20).map(|_| pattern(&mut rng)).collect();
        for one in &patterns {
            assert!([1, 3].contains(&(one.len() / (STORED * STORED))));
            assert!(one.iter().min() < one.iter().max());
        }
        assert!(patterns.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn shuffled_tiles_have_all_their_pixels() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let image: Vec<u8> = (0..STORED * STORED).map(|n| (n % 251) as u8).collect();
        let mut out = shuffled(&image, 1, &mut rng);
        assert_ne!(out, image);
        let mut all = image.clone();
        all.sort_unstable();
        out.sort_unstable();
        assert_eq!(out, all);
    }
}
