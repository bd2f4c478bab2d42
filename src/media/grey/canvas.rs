//! A grey frame assembled from tiles.

use super::Grey;
use super::samples::Samples;

/// A grey frame being assembled, with the sample type and transform of the first tile.
#[derive(Clone)]
pub(crate) struct GreyCanvas {
    width: u32,
    height: u32,
    samples: Samples,
    first_tile: Grey,
}

impl GreyCanvas {
    /// Creates a canvas of zeros.
    pub(crate) fn new(first_tile: &Grey, width: u32, height: u32) -> Self {
        let samples = first_tile
            .inner
            .samples
            .zeros(width as usize * height as usize);
        Self {
            width,
            height,
            samples,
            first_tile: first_tile.clone(),
        }
    }

    /// Writes rows of `width` stored values, the first one at `at`.
    pub(crate) fn write(&mut self, at: (u32, u32), width: u32, values: &[f64]) {
        for (y, row) in values.chunks_exact((width as usize).max(1)).enumerate() {
            let start = (at.1 as usize + y) * self.width as usize + at.0 as usize;
            self.samples.write(start, row);
        }
    }

    /// Returns the assembled frame.
    pub(crate) fn finish(self) -> Grey {
        let transform = self.first_tile.inner.transform.clone();
        Grey::new(self.width, self.height, self.samples, transform)
    }
}
