//! Component planes, and their way to full resolution: libjpeg's "fancy" upsampling.

use super::headers::Headers;

/// A sample of a plane: `u8` up to 8 bits, else `u16`.
pub(super) trait Sample: Copy + Default + Into<u32> {
    /// The sample of a value that is in range.
    fn of(value: u32) -> Self;
}

impl Sample for u8 {
    fn of(value: u32) -> Self {
        value as u8
    }
}

impl Sample for u16 {
    fn of(value: u32) -> Self {
        value as u16
    }
}

/// One component's samples, at its own resolution.
pub(super) struct Plane<T> {
    /// Samples from row to row: whole MCUs, beyond the picture's edge.
    pub stride: usize,
    /// Samples, row-major.
    pub data: Vec<T>,
    /// Columns and rows that belong to the picture.
    pub width: usize,
    /// See `width`.
    pub height: usize,
    /// How much coarser than the picture, horizontally and vertically, as (factor of the frame, own factor).
    horizontal: (usize, usize),
    vertical: (usize, usize),
}

impl<T: Sample> Plane<T> {
    /// Planes of a frame, black.
    pub(super) fn of_frame(headers: &Headers) -> Vec<Self> {
        let (most_h, most_v) = most(headers);
        let (across, down) = mcus(headers);
        let plane = |(h, v): (u8, u8)| {
            let (h, v) = (usize::from(h), usize::from(v));
            let stride = across * h * 8;
            Self {
                stride,
                data: vec![T::default(); stride * down * v * 8],
                width: (headers.width as usize * h).div_ceil(most_h),
                height: (headers.height as usize * v).div_ceil(most_v),
                horizontal: (most_h, h),
                vertical: (most_v, v),
            }
        };
        headers
            .components
            .iter()
            .map(|c| plane(c.sampling))
            .collect()
    }

    fn row(&self, y: usize) -> &[T] {
        &self.data[y * self.stride..y * self.stride + self.width]
    }

    /// Whether its resolution divides the picture's evenly; other ratios are not decoded, as in libjpeg.
    pub(super) fn divides(&self) -> bool {
        self.horizontal.0.is_multiple_of(self.horizontal.1)
            && self.vertical.0.is_multiple_of(self.vertical.1)
    }

    /// Row `y` of the picture at full resolution. `sums` is room for a row of the plane.
    pub(super) fn full(&self, y: usize, out: &mut [T], sums: &mut Vec<u32>) {
        let (across, down) = (
            self.horizontal.0 / self.horizontal.1,
            self.vertical.0 / self.vertical.1,
        );
        let here = self.row((y / down).min(self.height - 1));
        match (across, down) {
            (1, 1) => out.copy_from_slice(&here[..out.len()]),
            (2, 1) if self.width > 2 => {
                sums.clear();
                sums.extend(here.iter().map(|&v| v.into()));
                doubled(sums, [1, 2], 2, out);
            }
            (2, 2) if self.width > 2 => {
                self.blended(y, sums);
                doubled(sums, [8, 7], 4, out);
            }
            (1, 2) => {
                self.blended(y, sums);
                let bias = 1 + (y as u32 & 1);
                out.iter_mut()
                    .zip(sums.iter())
                    .for_each(|(out, sum)| *out = T::of((sum + bias) >> 2));
            }
            _ => out
                .iter_mut()
                .enumerate()
                .for_each(|(x, out)| *out = here[(x / across).min(self.width - 1)]),
        }
    }

    /// Three parts of the nearest row and one of the next nearest.
    fn blended(&self, y: usize, sums: &mut Vec<u32>) {
        let here = y / 2;
        let near = if y.is_multiple_of(2) {
            here.saturating_sub(1)
        } else {
            (here + 1).min(self.height - 1)
        };
        let (here, near) = (self.row(here.min(self.height - 1)), self.row(near));
        sums.clear();
        sums.extend(
            here.iter()
                .zip(near)
                .map(|(&a, &b)| 3 * a.into() + b.into()),
        );
    }
}

/// Twice as many columns, each three parts of the nearest and one of the next nearest. `bias` rounds left and right
/// halves against each other, as the reference does; `shift` takes all factors out of the values again.
fn doubled<T: Sample>(values: &[u32], bias: [u32; 2], shift: u32, out: &mut [T]) {
    let last = values.len() - 1;
    // At the edges the reference repeats the sample.
    let left = |at: usize| values[at.saturating_sub(1)];
    let right = |at: usize| values[(at + 1).min(last)];
    for (at, pair) in out.chunks_mut(2).enumerate() {
        let here = 3 * values[at];
        pair[0] = T::of((here + left(at) + bias[0]) >> shift);
        if let Some(second) = pair.get_mut(1) {
            *second = T::of((here + right(at) + bias[1]) >> shift);
        }
    }
}

/// Largest sampling factors of the frame.
pub(super) fn most(headers: &Headers) -> (usize, usize) {
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

/// MCUs of the frame, across and down.
pub(super) fn mcus(headers: &Headers) -> (usize, usize) {
    let (h, v) = most(headers);
    (
        (headers.width as usize).div_ceil(8 * h),
        (headers.height as usize).div_ceil(8 * v),
    )
}
