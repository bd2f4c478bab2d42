//! Pillow's resize, bit for bit: CLIP models were trained with it, and the reference implementations use it.
//!
//! Other resizers run the passes in another order, or have weights of fewer bits. Both change embeddings, because values are
//! rounded to bytes between the passes. Follows Pillow's `src/libImaging/Resample.c`.

#![allow(
    clippy::inline_always,
    reason = "a function that is not inlined is not compiled for the wider instructions of its callers"
)]

use std::f64::consts::PI;
use std::ops::Range;
use std::thread;

use multiversion::multiversion;

/// Fractional bits of a weight: 32, less 8 for the sample and 2 for sums that overshoot.
const WEIGHT_BITS: u32 = 22;

/// Pillow's filters; `preprocessor_config.json` contains their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResampleFilter {
    /// Number 1.
    Lanczos,
    /// Number 2.
    Bilinear,
    /// Number 3, with a = -0.5.
    Bicubic,
    /// Number 4.
    Box,
    /// Number 5.
    Hamming,
}

impl ResampleFilter {
    /// The filter of a number.
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

    /// Half the filter's width, in samples of the coarser side.
    fn support(self) -> f64 {
        match self {
            Self::Box => 0.5,
            Self::Bilinear | Self::Hamming => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    /// The filter's value at distance `x` from its centre.
    fn weight(self, x: f64) -> f64 {
        let sinc = |x: f64| {
            if x == 0.0 {
                1.0
            } else {
                (x * PI).sin() / (x * PI)
            }
        };
        let distance = x.abs();
        match self {
            Self::Box => f64::from(x > -0.5 && x <= 0.5),
            Self::Bilinear => (1.0 - distance).max(0.0),
            Self::Hamming if distance >= 1.0 => 0.0,
            Self::Hamming => sinc(distance) * (0.54 + 0.46 * (distance * PI).cos()),
            Self::Bicubic if distance < 1.0 => (1.5 * distance - 2.5) * distance * distance + 1.0,
            Self::Bicubic if distance < 2.0 => {
                (((distance - 5.0) * distance + 8.0) * distance - 4.0) * -0.5
            }
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Bicubic | Self::Lanczos => 0.0,
        }
    }
}

/// One axis of a resize: `from` samples become `to`, of which only `kept` are computed.
#[derive(Clone, Debug)]
pub(super) struct ResampleAxis {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) kept: Range<usize>,
}

/// The samples that contribute to one result: the index of the first, and the weight of each.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// The samples that contribute to any of the results.
fn used(taps: &[Taps]) -> Range<usize> {
    let first = taps.iter().map(|t| t.first).min().unwrap_or(0);
    let ends = taps.iter().map(|t| t.first + t.weights.len());
    first..ends.max().unwrap_or(first)
}

impl ResampleAxis {
    /// The samples that contribute to the kept results.
    pub(super) fn used(&self, filter: ResampleFilter) -> Range<usize> {
        used(&self.taps(filter))
    }

    fn taps(&self, filter: ResampleFilter) -> Vec<Taps> {
        if self.from == self.to {
            // Pillow skips this pass.
            return self
                .kept
                .clone()
                .map(|first| Taps {
                    first,
                    weights: vec![1 << WEIGHT_BITS],
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

/// The taps of one result, whose `centre` is in samples of the source.
fn taps(length: usize, centre: f64, support: f64, stretch: f64, filter: ResampleFilter) -> Taps {
    // Casts truncate, and saturate at zero: the same as the C code's truncation and clamp.
    let first = (centre - support + 0.5) as usize;
    let end = ((centre + support + 0.5) as usize).min(length);
    let weights: Vec<f64> = (first..end)
        .map(|x| filter.weight((x as f64 - centre + 0.5) * (1.0 / stretch)))
        .collect();
    let sum: f64 = weights.iter().sum();
    let unit = if sum == 0.0 { 1.0 } else { sum };
    let fixed = |w: f64| {
        let w = w / unit * f64::from(1 << WEIGHT_BITS);
        (if w < 0.0 { w - 0.5 } else { w + 0.5 }) as i32
    };
    Taps {
        first,
        weights: weights.into_iter().map(fixed).collect(),
    }
}

/// Resizes interleaved bytes of `channels` (1 or 3) and returns the kept part, row by row. Only what the kept part depends
/// on is computed, so that a very long image costs no more memory than its crop. `threads` share the work.
pub(super) fn resample(
    bytes: &[u8],
    channels: usize,
    x: &ResampleAxis,
    y: &ResampleAxis,
    filter: ResampleFilter,
    threads: usize,
) -> Vec<u8> {
    let (columns, rows) = (x.taps(filter), y.taps(filter));
    let (used_x, used_y) = (used(&columns), used(&rows));
    let width = columns.len() * channels;
    let lines: Vec<&[u8]> = bytes
        .chunks_exact(x.from * channels)
        .take(used_y.end)
        .skip(used_y.start)
        .map(|line| &line[used_x.start * channels..used_x.end * channels])
        .collect();
    let mut wide = vec![0; lines.len() * width];
    let share = lines
        .len()
        .div_ceil(threads.max(1))
        .next_multiple_of(ABREAST);
    thread::scope(|scope| {
        let mut shares = lines.chunks(share).zip(wide.chunks_mut(share * width));
        let own = shares.next();
        let columns = &columns;
        for (lines, out) in shares {
            scope.spawn(move || resize_rows(lines, channels, columns, used_x.start, out));
        }
        if let Some((lines, out)) = own {
            resize_rows(lines, channels, columns, used_x.start, out);
        }
    });
    vertical_pass(&wide, width, used_y.start, &rows)
}

/// The horizontal pass over any number of rows.
fn resize_rows(lines: &[&[u8]], channels: usize, columns: &[Taps], offset: usize, out: &mut [u8]) {
    let width = columns.len() * channels;
    let length = lines.first().map_or(0, |line| line.len());
    let mut samples = vec![[0; ABREAST]; length];
    let mut results = vec![[0; ABREAST]; width];
    for (lines, out) in lines.chunks(ABREAST).zip(out.chunks_mut(ABREAST * width)) {
        // The last group may have fewer rows; its last row is repeated, and the surplus results are discarded.
        let abreast = std::array::from_fn(|i| lines[i.min(lines.len() - 1)]);
        horizontal_pass(
            &abreast,
            channels,
            columns,
            offset,
            &mut samples,
            &mut results,
            out,
        );
    }
}

/// Rows that the horizontal pass resizes together, one per SIMD lane; they share the weights.
const ABREAST: usize = 8;

/// The horizontal pass over [`ABREAST`] rows, into `out`; their first sample is that of column `offset`. `samples` and
/// `results` are scratch memory.
#[multiversion(targets("x86_64+avx2"))]
fn horizontal_pass(
    lines: &[&[u8]; ABREAST],
    channels: usize,
    columns: &[Taps],
    offset: usize,
    samples: &mut [[i32; ABREAST]],
    results: &mut [[u8; ABREAST]],
    out: &mut [u8],
) {
    let lines = lines.map(|line| &line[..samples.len()]);
    for (i, abreast) in samples.iter_mut().enumerate() {
        *abreast = lines.map(|line| i32::from(line[i]));
    }
    for (taps, results) in columns.iter().zip(results.chunks_exact_mut(channels)) {
        let first = (taps.first - offset) * channels;
        for (channel, result) in results.iter_mut().enumerate() {
            let mut sums = [1 << (WEIGHT_BITS - 1); ABREAST];
            let samples = samples[first + channel..].iter().step_by(channels);
            for (abreast, &weight) in samples.zip(&taps.weights) {
                for (sum, &sample) in sums.iter_mut().zip(abreast) {
                    *sum += sample * weight;
                }
            }
            *result = sums.map(byte);
        }
    }
    for (row, out) in out.chunks_exact_mut(results.len()).enumerate() {
        for (byte, result) in out.iter_mut().zip(&*results) {
            *byte = result[row];
        }
    }
}

/// The vertical pass over rows of `width` bytes, the first of which has the index `offset`.
#[multiversion(targets("x86_64+avx2"))]
fn vertical_pass(wide: &[u8], width: usize, offset: usize, rows: &[Taps]) -> Vec<u8> {
    let mut out = Vec::with_capacity(rows.len() * width);
    let mut sums = vec![0_i32; width];
    for taps in rows {
        sums.fill(1 << (WEIGHT_BITS - 1));
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

/// Converts from fixed point, clamped.
#[inline(always)]
fn byte(sum: i32) -> u8 {
    (sum >> WEIGHT_BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(from: usize, to: usize) -> ResampleAxis {
        ResampleAxis {
            from,
            to,
            kept: 0..to,
        }
    }

    #[test]
    fn a_uniform_image_stays_uniform() {
        for filter in [
            ResampleFilter::Lanczos,
            ResampleFilter::Bilinear,
            ResampleFilter::Bicubic,
            ResampleFilter::Box,
            ResampleFilter::Hamming,
        ] {
            for (from, to) in [(1, 9), (9, 1), (7, 5), (5, 7), (300, 32)] {
                let out = resample(
                    &[77].repeat(from * from * 3),
                    3,
                    &side(from, to),
                    &side(from, to),
                    filter,
                    3,
                );
                assert_eq!(out, [77].repeat(to * to * 3), "{filter:?} {from} {to}");
            }
        }
    }

    #[test]
    fn the_kept_part_equals_a_crop_of_the_whole() {
        let bytes: Vec<u8> = (0..40 * 30).map(|i: u32| (i * i / 7 % 256) as u8).collect();
        let (x, y) = (side(40, 25), side(30, 50));
        let whole = resample(&bytes, 1, &x, &y, ResampleFilter::Bicubic, 1);
        let (kept_x, kept_y) = (
            ResampleAxis { kept: 3..20, ..x },
            ResampleAxis { kept: 11..13, ..y },
        );
        let part = resample(&bytes, 1, &kept_x, &kept_y, ResampleFilter::Bicubic, 2);
        let cut: Vec<u8> = (11..13)
            .flat_map(|row| whole[row * 25 + 3..row * 25 + 20].to_vec())
            .collect();
        assert_eq!(part, cut);
    }

    #[test]
    fn a_very_long_thin_image_costs_no_more_than_its_crop() {
        // Scaling the shortest side from 1 to 224 makes 14 million rows, of which 224 are kept.
        let to = 224 * 65_535;
        let y = ResampleAxis {
            from: 65_535,
            to,
            kept: to / 2 - 112..to / 2 + 112,
        };
        let out = resample(
            &[9].repeat(65_535),
            1,
            &side(1, 224),
            &y,
            ResampleFilter::Bicubic,
            2,
        );
        assert_eq!(out, [9].repeat(224 * 224));
    }
}
