//! A grey frame put together from those of tiles.

use super::Grey;
use super::samples::Samples;

/// Samples in the making, in the type and with the transform of the first tile.
#[derive(Clone)]
pub(crate) struct GreyCanvas {
    width: u32,
    height: u32,
    samples: Samples,
    like: Grey,
}

impl GreyCanvas {
    /// All zero.
    pub(crate) fn new(like: &Grey, width: u32, height: u32) -> Self {
        let samples = like.inner.samples.zeros(width as usize * height as usize);
        Self {
            width,
            height,
            samples,
            like: like.clone(),
        }
    }

    /// Puts rows of `width` stored values, the first at `at`.
    pub(crate) fn put(&mut self, at: (u32, u32), width: u32, values: &[f64]) {
        for (y, row) in values.chunks_exact((width as usize).max(1)).enumerate() {
            let start = (at.1 as usize + y) * self.width as usize + at.0 as usize;
            self.samples.put(start, row);
        }
    }

    /// The frame.
    pub(crate) fn finish(self) -> Grey {
        let transform = self.like.inner.transform.clone();
        Grey::new(self.width, self.height, self.samples, transform)
    }
}
