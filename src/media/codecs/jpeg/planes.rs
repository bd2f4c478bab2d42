//! Component planes and their upsampling to full resolution: libjpeg's "fancy" upsampling.

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
    /// Converts a value in range to a sample.
    fn from_value(value: u32) -> Self;

    /// Doubles the columns of a row that is three parts of `here` and one of `near`; each new sample is three parts of
    /// the nearest and one of the next nearest. `bias`, in sixteenths, rounds left and right halves against each
    /// other, as the reference does.
    fn doubled(here: &[Self], near: &[Self], bias: [u32; 2], out: &mut [Self]);
}

impl Sample for u8 {
    #[inline(always)]
    fn from_value(value: u32) -> Self {
        value as u8
    }

    fn doubled(here: &[u8], near: &[u8], bias: [u32; 2], out: &mut [u8]) {
        doubled_u8(here, near, bias, out);
    }
}

impl Sample for u16 {
    #[inline(always)]
    fn from_value(value: u32) -> Self {
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
            T::from_value((3 * here + before + bias[0]) >> 4),
            T::from_value((3 * here + after + bias[1]) >> 4),
        ]
    };
    let last = here.len() - 1;
    // The reference repeats the sample at the edges.
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

/// The samples of one component, at its own resolution.
pub(crate) struct ComponentPlane<T> {
    /// Samples per row: whole MCUs, beyond the edge of the image.
    pub stride: usize,
    /// Samples, row-major.
    pub data: Vec<T>,
    /// Columns that belong to the image.
    pub width: usize,
    /// Rows that belong to the image.
    pub height: usize,
    /// Side of a block in samples: 8, or fewer if the image is scaled.
    pub side: usize,
    /// Ratio of the image's resolution to the plane's, horizontally and vertically; `None` if it is not an integer.
    ratio: (Option<usize>, Option<usize>),
    /// Whether missing samples are interpolated, which libjpeg does not do at one eighth.
    interpolates: bool,
    /// The blocks that are transformed.
    wanted: BlockRange,
}

/// A rectangle of blocks of a plane.
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
    /// Creates the planes of a frame, all black. A component of lower resolution is scaled less, if at all, as in
    /// libjpeg.
    pub(crate) fn of_frame(headers: &JpegHeaders, part: &DecodeRegion) -> Vec<Self> {
        let (most_h, most_v) = max_sampling(headers);
        let least = 8 / part.scale.divisor() as usize;
        let (across, down) = mcu_count(headers);
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
            // Includes the neighbouring samples of a coarser plane, for interpolation.
            let blocks = |wanted: &Range<usize>, own: usize, most: usize| {
                let first = (wanted.start * own * side / (most * least)).saturating_sub(1);
                let end = (wanted.end * own * side).div_ceil(most * least) + 1;
                first / side..end.div_ceil(side)
            };
            let length = |picture: u32, own: usize, most: usize| {
                (picture as usize * own * side).div_ceil(8 * most)
            };
            let ratio = |own: usize, most: usize| {
                let (full, here) = (most * least, own * side);
                full.is_multiple_of(here).then_some(full / here)
            };
            Self {
                stride,
                data: vec![T::default(); stride * down * v * side],
                width: length(headers.width, h, most_h),
                height: length(headers.height, v, most_v),
                side,
                ratio: (ratio(h, most_h), ratio(v, most_v)),
                interpolates: least > 1,
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

    /// Number of blocks, those beyond the image's edge included.
    pub(crate) fn blocks(&self) -> usize {
        self.data.len() / (self.side * self.side)
    }

    /// Number of blocks in a row.
    pub(crate) fn across(&self) -> usize {
        self.stride / self.side
    }

    /// The blocks that are transformed.
    pub(crate) fn wanted(&self) -> BlockRange {
        self.wanted.clone()
    }

    /// Transforms a block's coefficients to samples, if it is within the decoded region.
    pub(crate) fn transform_block(
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
            // A flat block, of which an image has many.
            let value = T::from_value(idct::one(block[0], table, to) as u32);
            self.block(at).for_each(|row| row.fill(value));
            return;
        }
        let mut put = |samples: &[i32]| {
            for (row, samples) in self.block(at).zip(samples.chunks_exact(side)) {
                for (out, &sample) in row.iter_mut().zip(samples) {
                    *out = T::from_value(sample as u32);
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

    /// Whether its resolution divides that of the image evenly; other ratios are not supported, as in libjpeg.
    pub(crate) fn divides_evenly(&self) -> bool {
        self.ratio.0.is_some() && self.ratio.1.is_some()
    }

    /// Returns columns of row `y` at full resolution: from the plane itself if it has that resolution, else upsampled
    /// into `out`.
    pub(crate) fn full_row<'a>(
        &'a self,
        y: usize,
        out: &'a mut Vec<T>,
        columns: &Range<usize>,
    ) -> &'a [T] {
        let (across, down) = (self.ratio.0.unwrap_or(1), self.ratio.1.unwrap_or(1));
        let here = self.row((y / down).min(self.height - 1));
        if (across, down) == (1, 1) {
            return &here[columns.clone()];
        }
        out.resize(columns.len(), T::default());
        match (across, down) {
            (2, 1) if self.interpolates && self.width > 2 => {
                self.interpolated(here, here, [4, 8], out, columns)
            }
            (2, 2) if self.interpolates && self.width > 2 => {
                self.interpolated(here, self.next_nearest(y), [8, 7], out, columns)
            }
            (1, 2) if self.interpolates => {
                let bias = 1 + (y as u32 & 1);
                let near = &self.next_nearest(y)[columns.clone()];
                for ((out, &a), &b) in out.iter_mut().zip(&here[columns.clone()]).zip(near) {
                    *out = T::from_value((3 * a.into() + b.into() + bias) >> 2);
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

    /// Upsamples columns of a plane with half as many. One more sample on either side is included if there is one: the
    /// outermost result is only right at the plane's edge.
    fn interpolated<'a>(
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

    /// In a plane with half the rows: the row next nearest to row `y` of the image.
    fn next_nearest(&self, y: usize) -> &[T] {
        self.row(if y.is_multiple_of(2) {
            (y / 2).saturating_sub(1)
        } else {
            (y / 2 + 1).min(self.height - 1)
        })
    }
}

/// Largest sampling factors of the frame.
pub(crate) fn max_sampling(headers: &JpegHeaders) -> (usize, usize) {
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

/// Number of blocks of a component that belong to the image, across and down, at any scale.
pub(crate) fn image_blocks(headers: &JpegHeaders, index: usize) -> (usize, usize) {
    let ((most_h, most_v), (h, v)) = (max_sampling(headers), headers.components[index].sampling);
    let blocks = |picture: u32, own: u8, most: usize| {
        (picture as usize * usize::from(own)).div_ceil(8 * most)
    };
    (
        blocks(headers.width, h, most_h),
        blocks(headers.height, v, most_v),
    )
}

/// Number of MCUs of the frame, across and down.
pub(crate) fn mcu_count(headers: &JpegHeaders) -> (usize, usize) {
    let (h, v) = max_sampling(headers);
    (
        (headers.width as usize).div_ceil(8 * h),
        (headers.height as usize).div_ceil(8 * v),
    )
}
