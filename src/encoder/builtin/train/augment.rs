//! Random changes of an image each time it is used. They hide what tells the source instead of the finding: encoding, intensity,
//! framing, borders and proportions.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use rand::Rng;

use super::facts::{Facts, Kind};
use super::model::SIDE;

/// Side of a stored image, in pixels: a little more than the model's, so that a crop does not blur.
pub const STORED: usize = 220;
/// Pixels of an augmented image.
pub const PIXELS: usize = (SIDE * SIDE) as usize;

/// Appends the augmented image: `SIDE × SIDE` bytes for each of three channels, channel by channel. `stored`: `STORED × STORED`
/// pixels of `channels` interleaved bytes.
pub fn augment(
    stored: &[u8],
    channels: usize,
    facts: &Facts,
    rng: &mut impl Rng,
    out: &mut Vec<u8>,
) {
    let mut pixels = warp(stored, channels, facts, rng);
    let photograph = matches!(facts.kind, Kind::Skin | Kind::Blood | Kind::Chart);
    if !photograph && rng.random_bool(0.35) {
        equalise(&mut pixels, rng.random_range(0.2..1.0));
    }
    tones(&mut pixels, channels, photograph, rng);
    if rng.random_bool(0.2) {
        blur(&mut pixels, channels);
    }
    mark(&mut pixels, channels, rng);
    noise(&mut pixels, rng);
    if rng.random_bool(0.25) {
        compress(&mut pixels, channels, rng.random_range(25..95));
    }
    let grey = channels == 3 && rng.random_bool(0.15);
    for channel in 0..3 {
        out.extend(pixels.chunks_exact(channels).map(|pixel| match pixel {
            [r, g, b] if grey => {
                ((u32::from(*r) * 77 + u32::from(*g) * 150 + u32::from(*b) * 29) >> 8) as u8
            }
            _ => pixel[channel.min(channels - 1)],
        }));
    }
}

/// Crops, rotates, mirrors and stretches to `SIDE × SIDE` pixels, with a border where the result reaches beyond the image.
fn warp(stored: &[u8], channels: usize, facts: &Facts, rng: &mut impl Rng) -> Vec<u8> {
    let any_way_up = matches!(facts.kind, Kind::Limb | Kind::Skin | Kind::Blood);
    // A mirrored heart would be a finding of its own, and so would be mirrored letters.
    let mirror = !matches!(facts.kind, Kind::Chest | Kind::Chart) && rng.random_bool(0.5);
    let flip = any_way_up && rng.random_bool(0.5);
    let quarter = any_way_up && rng.random_bool(0.3);
    // Some images stay as they are, because rotation blurs them a little.
    let strength = if rng.random_bool(0.2) { 0.0 } else { 1.0_f32 };
    let most: f32 = if any_way_up { 0.30 } else { 0.15 };
    let turn = strength * rng.random_range(-1.0_f32..1.0) * most;
    let turn = if quarter {
        turn + std::f32::consts::FRAC_PI_2
    } else {
        turn
    };
    let zoom = 1.0 + strength * rng.random_range(-0.22_f32..0.12);
    let stretch = 1.0 + strength * rng.random_range(-0.12_f32..0.12);
    let scale = STORED as f32 / SIDE as f32;
    let (sx, sy) = (scale * zoom * stretch, scale * zoom / stretch);
    let (sin, cos) = turn.sin_cos();
    let (mx, my) = (
        if mirror { -1.0 } else { 1.0 },
        if flip { -1.0 } else { 1.0 },
    );
    let reach = strength * STORED as f32 * 0.06;
    let shift = [0, 1].map(|_| {
        if reach > 0.0 {
            rng.random_range(-reach..reach)
        } else {
            0.0
        }
    });
    // `None` repeats the edge.
    let border = rng.random_bool(0.6).then(|| {
        if rng.random_bool(0.6) {
            0
        } else {
            rng.random::<u8>()
        }
    });
    let middle = (SIDE as f32 - 1.0) / 2.0;
    let centre = (STORED as f32 - 1.0) / 2.0;
    let last = STORED as isize - 1;
    let mut out = Vec::with_capacity(PIXELS * channels);
    for y in 0..SIDE {
        let v = (y as f32 - middle) * my * sy;
        for x in 0..SIDE {
            let u = (x as f32 - middle) * mx * sx;
            let (px, py) = (
                cos * u - sin * v + centre + shift[0],
                sin * u + cos * v + centre + shift[1],
            );
            let outside = px < 0.0 || py < 0.0 || px > last as f32 || py > last as f32;
            if let (true, Some(fill)) = (outside, border) {
                out.extend(std::iter::repeat_n(fill, channels));
                continue;
            }
            let (px, py) = (px.clamp(0.0, last as f32), py.clamp(0.0, last as f32));
            let (left, top) = (px as usize, py as usize);
            let (right, below) = ((left + 1).min(last as usize), (top + 1).min(last as usize));
            let (fx, fy) = (px - left as f32, py - top as f32);
            for channel in 0..channels {
                let at = |column: usize, row: usize| {
                    f32::from(stored[(row * STORED + column) * channels + channel])
                };
                let upper = at(left, top) + (at(right, top) - at(left, top)) * fx;
                let lower = at(left, below) + (at(right, below) - at(left, below)) * fx;
                out.push((upper + (lower - upper) * fy + 0.5) as u8);
            }
        }
    }
    out
}

/// Moves the histogram towards an even one, by `share` of the way.
fn equalise(pixels: &mut [u8], share: f32) {
    let mut counts = [0_u32; 256];
    for &p in pixels.iter() {
        counts[usize::from(p)] += 1;
    }
    let total = pixels.len().max(1) as f32;
    let mut below = 0;
    let table: Vec<u8> = counts
        .iter()
        .enumerate()
        .map(|(value, &count)| {
            let even = (below as f32 + count as f32 / 2.0) / total * 255.0;
            below += count;
            (value as f32 * (1.0 - share) + even * share) as u8
        })
        .collect();
    for p in pixels.iter_mut() {
        *p = table[usize::from(*p)];
    }
}

/// Gamma, contrast, brightness, inversion and, in colour, the gain of each channel.
fn tones(pixels: &mut [u8], channels: usize, photograph: bool, rng: &mut impl Rng) {
    let gamma = 2.0_f32.powf(rng.random_range(-0.6..0.6));
    let contrast = rng.random_range(0.7_f32..1.3);
    let brightness = rng.random_range(-0.12_f32..0.12);
    let invert = !photograph && rng.random_bool(0.1);
    let gains: Vec<f32> = (0..channels)
        .map(|_| {
            if channels == 3 {
                rng.random_range(0.85..1.15)
            } else {
                1.0
            }
        })
        .collect();
    let tables: Vec<Vec<u8>> = gains
        .iter()
        .map(|gain| {
            let value = |n: u16| {
                let v = ((f32::from(n) / 255.0).powf(gamma) - 0.5) * contrast + 0.5 + brightness;
                let v = (v * gain).clamp(0.0, 1.0);
                ((if invert { 1.0 - v } else { v }) * 255.0 + 0.5) as u8
            };
            (0..256).map(value).collect()
        })
        .collect();
    for pixel in pixels.chunks_exact_mut(channels) {
        for (p, table) in pixel.iter_mut().zip(&tables) {
            *p = table[usize::from(*p)];
        }
    }
}

/// Averages each pixel with its right and lower neighbours.
fn blur(pixels: &mut [u8], channels: usize) {
    let row = SIDE as usize * channels;
    for at in 0..pixels.len() - row - channels {
        let sum = [at, at + channels, at + row, at + row + channels].map(|i| u16::from(pixels[i]));
        pixels[at] = (sum.iter().sum::<u16>() / 4) as u8;
    }
}

/// Small even rectangles: markers and letters of a film, and parts left out.
fn mark(pixels: &mut [u8], channels: usize, rng: &mut impl Rng) {
    let side = SIDE as usize;
    for (chance, most) in [(0.3, 14), (0.15, 44)] {
        if !rng.random_bool(chance) {
            continue;
        }
        let (w, h) = (rng.random_range(4..most), rng.random_range(4..most));
        let (x, y) = (rng.random_range(0..side - w), rng.random_range(0..side - h));
        let value = if rng.random_bool(0.5) {
            255
        } else {
            rng.random::<u8>()
        };
        for row in y..y + h {
            pixels[(row * side + x) * channels..(row * side + x + w) * channels].fill(value);
        }
    }
}

/// Adds noise of a random strength, the same in all channels of a grey image.
fn noise(pixels: &mut [u8], rng: &mut impl Rng) {
    let strength = rng.random_range(0_i32..10);
    let mut grains = vec![0; pixels.len()];
    rng.fill_bytes(&mut grains);
    for (p, grain) in pixels.iter_mut().zip(grains) {
        *p = (i32::from(*p) + (((i32::from(grain) - 128) * strength) >> 7)).clamp(0, 255) as u8;
    }
}

/// Encodes as JPEG and decodes again.
fn compress(pixels: &mut Vec<u8>, channels: usize, quality: u8) {
    let colour = if channels == 3 {
        ExtendedColorType::Rgb8
    } else {
        ExtendedColorType::L8
    };
    let mut file = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut file, quality);
    let done = encoder.write_image(pixels, SIDE as u32, SIDE as u32, colour);
    if let (Ok(()), Ok(image)) = (done, image::load_from_memory(&file)) {
        *pixels = if channels == 3 {
            image.into_rgb8().into_raw()
        } else {
            image.into_luma8().into_raw()
        };
    }
}
