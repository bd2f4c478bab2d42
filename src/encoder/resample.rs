//! Pillow's resize, to the bit: what CLIP models were trained on and what the reference prepares pictures with.
//!
//! Other resizers take the passes in another order or the weights with fewer bits. Both show in embeddings, as bytes are
//! clamped between the passes. Follows `src/libImaging/Resample.c` of Pillow.

#![allow(
    clippy::inline_always,
    reason = "what is not inlined is not compiled for the wider instructions of its callers"
)]

use std::f64::consts::PI;
use std::ops::Range;

use multiversion::multiversion;

/// Fractional bits of a weight: 32 less 8 for the sample and 2 for sums that overshoot.
const BITS: u32 = 22;

/// Pillow's filters, with its numbers in `preprocessor_config.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// 1
    Lanczos,
    /// 2
    Bilinear,
    /// 3, with a = -0.5
    Bicubic,
    /// 4
    Box,
    /// 5
    Hamming,
}

impl Filter {
    /// By Pillow's number.
    pub(super) fn numbered(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Lanczos,
            2 => Self::Bilinear,
            3 => Self::Bicubic,
            4 => Self::Box,
            5 => Self::Hamming,
            _ => return None,
        })
    }

    /// How far the filter reaches, in samples of the coarser side.
    fn support(self) -> f64 {
        match self {
            Self::Box => 0.5,
            Self::Bilinear | Self::Hamming => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let sinc = |x: f64| {
            if x == 0.0 {
                1.0
            } else {
                (x * PI).sin() / (x * PI)
            }
        };
        let away = x.abs();
        match self {
            Self::Box => f64::from(x > -0.5 && x <= 0.5),
            Self::Bilinear => (1.0 - away).max(0.0),
            Self::Hamming if away >= 1.0 => 0.0,
            Self::Hamming => sinc(away) * (0.54 + 0.46 * (away * PI).cos()),
            Self::Bicubic if away < 1.0 => (1.5 * away - 2.5) * away * away + 1.0,
            Self::Bicubic if away < 2.0 => (((away - 5.0) * away + 8.0) * away - 4.0) * -0.5,
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Bicubic | Self::Lanczos => 0.0,
        }
    }
}

/// One side of a resize: `from` samples become `to`, and of these only `kept` are wanted.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) kept: Range<usize>,
}

/// The samples that one result is summed from: the first's index, and a weight each.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

impl Side {
    fn taps(&self, filter: Filter) -> Vec<Taps> {
        if self.from == self.to {
            // Pillow leaves the pass out.
            return self
                .kept
                .clone()
                .map(|first| Taps {
                    first,
                    weights: vec![1 << BITS],
                })
                .collect();
        }
        let scale = self.from as f64 / self.to as f64;
        let stretch = scale.max(1.0);
        let support = filter.support() * stretch;
        self.kept
            .clone()
            .map(|at| {
                taps(
                    self.from,
                    (at as f64 + 0.5) * scale,
                    support,
                    stretch,
                    filter,
                )
            })
            .collect()
    }
}

fn taps(length: usize, centre: f64, support: f64, stretch: f64, filter: Filter) -> Taps {
    // Casts truncate towards zero, and below zero saturate there: both as in C after its clamp.
    let first = (centre - support + 0.5) as usize;
    let end = ((centre + support + 0.5) as usize).min(length);
    let weights: Vec<f64> = (first..end)
        .map(|x| filter.weight((x as f64 - centre + 0.5) * (1.0 / stretch)))
        .collect();
    let sum: f64 = weights.iter().sum();
    let unit = if sum == 0.0 { 1.0 } else { sum };
    let fixed = |w: f64| {
        let w = w / unit * f64::from(1 << BITS);
        (if w < 0.0 { w - 0.5 } else { w + 0.5 }) as i32
    };
    Taps {
        first,
        weights: weights.into_iter().map(fixed).collect(),
    }
}

/// Resizes interleaved bytes of `channels` (1 or 3) and returns the kept part, row by row. Only what the kept part
/// depends on is computed: the size before a crop costs no memory, however long the picture.
pub(super) fn resample(
    bytes: &[u8],
    channels: usize,
    x: &Side,
    y: &Side,
    filter: Filter,
) -> Vec<u8> {
    let (columns, rows) = (x.taps(filter), y.taps(filter));
    let first = rows.iter().map(|t| t.first).min().unwrap_or(0);
    let end = rows
        .iter()
        .map(|t| t.first + t.weights.len())
        .max()
        .unwrap_or(0);
    let mut wide = Vec::with_capacity((end - first) * columns.len() * channels);
    let mut planes = vec![0; x.from * channels];
    for row in bytes.chunks_exact(x.from * channels).take(end).skip(first) {
        across(row, channels, &columns, &mut planes, &mut wide);
    }
    down(&wide, columns.len() * channels, first, &rows)
}

/// One row through the horizontal pass. `planes` is room for the row, which is sorted by channel first: sums over
/// neighbours are then over neighbours in memory.
#[multiversion(targets("x86_64+avx2"))]
fn across(row: &[u8], channels: usize, columns: &[Taps], planes: &mut [i32], out: &mut Vec<u8>) {
    let length = row.len() / channels;
    if channels == 1 {
        for (plane, &sample) in planes.iter_mut().zip(row) {
            *plane = i32::from(sample);
        }
    } else {
        let (red, rest) = planes.split_at_mut(length);
        let (green, blue) = rest.split_at_mut(length);
        for (((r, g), b), pixel) in red
            .iter_mut()
            .zip(green)
            .zip(blue)
            .zip(row.as_chunks::<3>().0)
        {
            (*r, *g, *b) = (
                i32::from(pixel[0]),
                i32::from(pixel[1]),
                i32::from(pixel[2]),
            );
        }
    }
    for taps in columns {
        for plane in planes.chunks_exact(length) {
            let samples = &plane[taps.first..taps.first + taps.weights.len()];
            let products = samples.iter().zip(&taps.weights).map(|(&s, &w)| s * w);
            out.push(byte((1 << (BITS - 1)) + products.sum::<i32>()));
        }
    }
}

/// The vertical pass over rows of `width` bytes, of which the first has the index `offset`.
#[multiversion(targets("x86_64+avx2"))]
fn down(wide: &[u8], width: usize, offset: usize, rows: &[Taps]) -> Vec<u8> {
    let mut out = Vec::with_capacity(rows.len() * width);
    let mut sums = vec![0_i32; width];
    for taps in rows {
        sums.fill(1 << (BITS - 1));
        for (row, &weight) in wide[(taps.first - offset) * width..]
            .chunks_exact(width)
            .zip(&taps.weights)
        {
            for (sum, &sample) in sums.iter_mut().zip(row) {
                *sum += i32::from(sample) * weight;
            }
        }
        out.extend(sums.iter().copied().map(byte));
    }
    out
}

/// From fixed point, clamped.
#[inline(always)]
fn byte(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(from: usize, to: usize) -> Side {
        Side {
            from,
            to,
            kept: 0..to,
        }
    }

    #[test]
    fn an_even_picture_stays_even() {
        for filter in [
            Filter::Lanczos,
            Filter::Bilinear,
            Filter::Bicubic,
            Filter::Box,
            Filter::Hamming,
        ] {
            for (from, to) in [(1, 9), (9, 1), (7, 5), (5, 7), (300, 32)] {
                let out = resample(
                    &[77].repeat(from * from * 3),
                    3,
                    &side(from, to),
                    &side(from, to),
                    filter,
                );
                assert_eq!(out, [77].repeat(to * to * 3), "{filter:?} {from} {to}");
            }
        }
    }

    #[test]
    fn the_kept_part_is_cut_from_the_whole() {
        let bytes: Vec<u8> = (0..40 * 30).map(|i: u32| (i * i / 7 % 256) as u8).collect();
        let (x, y) = (side(40, 25), side(30, 50));
        let whole = resample(&bytes, 1, &x, &y, Filter::Bicubic);
        let (kept_x, kept_y) = (Side { kept: 3..20, ..x }, Side { kept: 11..13, ..y });
        let part = resample(&bytes, 1, &kept_x, &kept_y, Filter::Bicubic);
        let cut: Vec<u8> = (11..13)
            .flat_map(|row| whole[row * 25 + 3..row * 25 + 20].to_vec())
            .collect();
        assert_eq!(part, cut);
    }

    #[test]
    fn a_thread_of_a_picture_costs_no_more_than_its_crop() {
        // Shortest side 1 → 224 makes 14 million rows, of which 224 are kept.
        let to = 224 * 65_535;
        let y = Side {
            from: 65_535,
            to,
            kept: to / 2 - 112..to / 2 + 112,
        };
        let out = resample(&[9].repeat(65_535), 1, &side(1, 224), &y, Filter::Bicubic);
        assert_eq!(out, [9].repeat(224 * 224));
    }
}
