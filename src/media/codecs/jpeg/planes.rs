//! Component planes, and their way to full resolution: libjpeg's "fancy" upsampling.

#![allow(
    clippy::inline_always,
    reason = "what is not inlined is not compiled for the wider instructions of its callers"
)]

use std::ops::Range;

use multiversion::multiversion;

use crate::codecs::jpeg::dct::DecodeRegion;
use crate::codecs::jpeg::headers::JpegHeaders;
use crate::codecs::jpeg::idct;

/// A sample of a plane: `u8` up to 8 bits, else `u16`.
pub(crate) trait Sample: Copy + Default + Into<u32> + Send + Sync {
    /// The sample of a value that is in range.
    fn of(value: u32) -> Self;

    /// Twice as many columns of a row that is three parts of `here` and one of `near`; each is three parts of the
    /// nearest and one of the next nearest. `bias`, in sixteenths, rounds left and right halves against each other, as
    /// the reference does.
    fn doubled(here: &[Self], near: &[Self], bias: [u32; 2], out: &mut [Self]);
}

impl Sample for u8 {
    #[inline(always)]
    fn of(value: u32) -> Self {
        value as u8
    }

    fn doubled(here: &[u8], near: &[u8], bias: [u32; 2], out: &mut [u8]) {
        doubled_u8(here, near, bias, out);
    }
}

impl Sample for u16 {
    #[inline(always)]
    fn of(value: u32) -> Self {
        value as u16
    }

    fn doubled(here: &[u16], near: &[u16], bias: [u32; 2], out: &mut [u16]) {
        doubled(here, near, bias, out);
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn doubled_u8(here: &[u8], near: &[u8], bias: [u32; 2], out: &mut [u8]) {
    doubled(here, near, bias, out);
}

#[inline(always)]
fn doubled<T: Sample>(here: &[T], near: &[T], bias: [u32; 2], out: &mut [T]) {
    let sum = |at: usize| 3 * here[at].into() + near[at].into();
    let pair = |before: u32, here: u32, after: u32| {
        [
            T::of((3 * here + before + bias[0]) >> 4),
            T::of((3 * here + after + bias[1]) >> 4),
        ]
    };
    let last = here.len() - 1;
    // At the edges the reference repeats the sample.
    let edge = |at: usize| pair(sum(at.saturating_sub(1)), sum(at), sum((at + 1).min(last)));
    out[..2].copy_from_slice(&edge(0));
    let inner = here.windows(3).zip(near.windows(3));
    for (out, (here, near)) in out[2..].as_chunks_mut::<2>().0.iter_mut().zip(inner) {
        let sum = |at: usize| 3 * here[at].into() + near[at].into();
        *out = pair(sum(0), sum(1), sum(2));
    }
    for (out, value) in out.iter_mut().skip(2 * last).zip(edge(last)) {
        *out = value;
    }
}

/// One component's samples, at its own resolution.
pub(crate) struct ComponentPlane<T> {
    /// Samples from row to row: whole MCUs, beyond the picture's edge.
    pub stride: usize,
    /// Samples, row-major.
    pub data: Vec<T>,
    /// Columns and rows that belong to the picture.
    pub width: usize,
    /// See `width`.
    pub height: usize,
    /// Columns and rows of samples that a block gives: 8, or fewer where the picture is scaled.
    pub side: usize,
    /// How much coarser than the picture, horizontally and vertically; none where it is no whole number.
    coarser: (Option<usize>, Option<usize>),
    /// Whether missing samples are blended from their neighbours, which libjpeg leaves out at an eighth.
    blends: bool,
    /// The blocks that are transformed.
    wanted: BlockRange,
}

/// Blocks of a plane: those that a part of the picture is made of.
#[derive(Clone, Debug)]
pub(crate) struct BlockRange {
    /// Their columns.
    pub columns: Range<usize>,
    /// Their rows.
    pub rows: Range<usize>,
}

impl BlockRange {
    pub(crate) fn contains(&self, (x, y): (usize, usize)) -> bool {
        self.columns.contains(&x) && self.rows.contains(&y)
    }
}

impl<T: Sample> ComponentPlane<T> {
    /// Planes of a frame, black. What has a lower resolution already is scaled less, if at all, as in libjpeg.
    pub(crate) fn of_frame(headers: &JpegHeaders, part: &DecodeRegion) -> Vec<Self> {
        let (most_h, most_v) = most(headers);
        let least = 8 / part.scale.divisor() as usize;
        let (across, down) = mcus(headers);
        let plane = |(h, v): (u8, u8)| {
            let (h, v) = (usize::from(h), usize::from(v));
            let mut side = least;
            let finer = |own: usize, most: usize, side: usize| {
                (most * least).is_multiple_of(own * side * 2)
            };
            while side < 8 && finer(h, most_h, side) && finer(v, most_v, side) {
                side *= 2;
            }
            let stride = across * h * side;
            // Of a coarser plane also the samples beside, for blending.
            let blocks = |wanted: &Range<usize>, own: usize, most: usize| {
                let first = (wanted.start * own * side / (most * least)).saturating_sub(1);
                let end = (wanted.end * own * side).div_ceil(most * least) + 1;
                first / side..end.div_ceil(side)
            };
            let length = |picture: u32, own: usize, most: usize| {
                (picture as usize * own * side).div_ceil(8 * most)
            };
            let coarser = |own: usize, most: usize| {
                let (full, here) = (most * least, own * side);
                full.is_multiple_of(here).then_some(full / here)
            };
            Self {
                stride,
                data: vec![T::default(); stride * down * v * side],
                width: length(headers.width, h, most_h),
                height: length(headers.height, v, most_v),
                side,
                coarser: (coarser(h, most_h), coarser(v, most_v)),
                blends: least > 1,
                wanted: BlockRange {
                    columns: blocks(&part.columns, h, most_h),
                    rows: blocks(&part.rows, v, most_v),
                },
            }
        };
        headers
            .components
            .iter()
            .map(|c| plane(c.sampling))
            .collect()
    }

    /// Blocks, those beyond the picture's edge included.
    pub(crate) fn blocks(&self) -> usize {
        self.data.len() / (self.side * self.side)
    }

    /// Blocks in a row.
    pub(crate) fn across(&self) -> usize {
        self.stride / self.side
    }

    /// The blocks that are transformed.
    pub(crate) fn wanted(&self) -> BlockRange {
        self.wanted.clone()
    }

    /// A block's coefficients become samples, if they are wanted.
    pub(crate) fn show(
        &mut self,
        at: (usize, usize),
        block: &[i16; 64],
        table: &[u16; 64],
        to: idct::SampleRange,
    ) {
        if !self.wanted.contains(at) {
            return;
        }
        let side = self.side;
        if side == 1 || block[1..].iter().all(|&c| c == 0) {
            // A flat block, of which a picture has many.
            let value = T::of(idct::one(block[0], table, to) as u32);
            self.block(at).for_each(|row| row.fill(value));
            return;
        }
        let mut put = |samples: &[i32]| {
            for (row, samples) in self.block(at).zip(samples.chunks_exact(side)) {
                for (out, &sample) in row.iter_mut().zip(samples) {
                    *out = T::of(sample as u32);
                }
            }
        };
        match side {
            8 => put(&idct::eight(block, table, to)),
            4 => put(&idct::four(block, table, to)),
            _ => put(&idct::two(block, table, to)),
        }
    }

    /// The rows of a block.
    fn block(&mut self, (x, y): (usize, usize)) -> impl Iterator<Item = &mut [T]> {
        let (side, first) = (self.side, x * self.side);
        self.data[y * side * self.stride..]
            .chunks_exact_mut(self.stride)
            .take(side)
            .map(move |row| &mut row[first..first + side])
    }

    fn row(&self, y: usize) -> &[T] {
        &self.data[y * self.stride..y * self.stride + self.width]
    }

    /// Whether its resolution divides the picture's evenly; other ratios are not decoded, as in libjpeg.
    pub(crate) fn divides(&self) -> bool {
        self.coarser.0.is_some() && self.coarser.1.is_some()
    }

    /// Columns of row `y` of the picture at full resolution: of the plane itself where it has that, else in `out`.
    pub(crate) fn full<'a>(
        &'a self,
        y: usize,
        out: &'a mut Vec<T>,
        columns: &Range<usize>,
    ) -> &'a [T] {
        let (across, down) = (self.coarser.0.unwrap_or(1), self.coarser.1.unwrap_or(1));
        let here = self.row((y / down).min(self.height - 1));
        if (across, down) == (1, 1) {
            return &here[columns.clone()];
        }
        out.resize(columns.len(), T::default());
        match (across, down) {
            (2, 1) if self.blends && self.width > 2 => {
                self.blended(here, here, [4, 8], out, columns)
            }
            (2, 2) if self.blends && self.width > 2 => {
                self.blended(here, self.next_nearest(y), [8, 7], out, columns)
            }
            (1, 2) if self.blends => {
                let bias = 1 + (y as u32 & 1);
                let near = &self.next_nearest(y)[columns.clone()];
                for ((out, &a), &b) in out.iter_mut().zip(&here[columns.clone()]).zip(near) {
                    *out = T::of((3 * a.into() + b.into() + bias) >> 2);
                }
                out
            }
            _ => {
                for (x, out) in columns.clone().zip(out.iter_mut()) {
                    *out = here[(x / across).min(self.width - 1)];
                }
                out
            }
        }
    }

    /// Columns of the picture from a plane of half as many. A sample more on either side is doubled with them, unless
    /// there is none: what comes of the outermost is right at the plane's edge only.
    fn blended<'a>(
        &self,
        here: &[T],
        near: &[T],
        bias: [u32; 2],
        out: &'a mut Vec<T>,
        columns: &Range<usize>,
    ) -> &'a [T] {
        let first = (columns.start / 2).saturating_sub(1);
        let end = (columns.end.div_ceil(2) + 1).min(self.width);
        out.resize(2 * (end - first), T::default());
        T::doubled(&here[first..end], &near[first..end], bias, out);
        &out[columns.start - 2 * first..columns.end - 2 * first]
    }

    /// Of a plane of half the rows: the one next to the nearest to row `y` of the picture.
    fn next_nearest(&self, y: usize) -> &[T] {
        self.row(if y.is_multiple_of(2) {
            (y / 2).saturating_sub(1)
        } else {
            (y / 2 + 1).min(self.height - 1)
        })
    }
}

/// Largest sampling factors of the frame.
pub(crate) fn most(headers: &JpegHeaders) -> (usize, usize) {
    let largest = |of: fn(&(u8, u8)) -> u8| {
        headers
            .components
            .iter()
            .map(|c| usize::from(of(&c.sampling)))
            .max()
            .unwrap_or(1)
    };
    (largest(|s| s.0), largest(|s| s.1))
}

/// Blocks of a component that belong to the picture, across and down, at any scale.
pub(crate) fn own_blocks(headers: &JpegHeaders, place: usize) -> (usize, usize) {
    let ((most_h, most_v), (h, v)) = (most(headers), headers.components[place].sampling);
    let blocks = |picture: u32, own: u8, most: usize| {
        (picture as usize * usize::from(own)).div_ceil(8 * most)
    };
    (
        blocks(headers.width, h, most_h),
        blocks(headers.height, v, most_v),
    )
}

/// MCUs of the frame, across and down.
pub(crate) fn mcus(headers: &JpegHeaders) -> (usize, usize) {
    let (h, v) = most(headers);
    (
        (headers.width as usize).div_ceil(8 * h),
        (headers.height as usize).div_ceil(8 * v),
    )
}
