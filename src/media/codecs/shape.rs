//! The shape that a decoded frame must have, and how its samples are written.

use crate::error::{MediaError, malformed};

/// The shape of a frame by the attributes of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameShape {
    /// Pixels of a row.
    pub columns: u32,
    /// Rows.
    pub rows: u32,
    /// Samples of a pixel.
    pub samples: usize,
    /// Bits Allocated. A sample is written in whole bytes.
    pub allocated: u16,
}

impl FrameShape {
    /// Number of pixels of the frame.
    pub(crate) fn pixels(&self) -> usize {
        self.columns as usize * self.rows as usize
    }

    /// Size of a written sample in bytes.
    pub(crate) fn sample_bytes(&self) -> usize {
        usize::from(self.allocated.div_ceil(8))
    }

    /// Size of the written frame in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.pixels() * self.samples * self.sample_bytes()
    }

    /// Checks the size and depth that a stream claims, before anything is allocated for it.
    pub(crate) fn check(
        &self,
        codec: &str,
        (columns, rows): (u32, u32),
        samples: usize,
        precision: u16,
    ) -> Result<(), MediaError> {
        if (columns, rows) != (self.columns, self.rows) {
            return Err(malformed(format!(
                "{codec}: the stream is {columns} × {rows}, but the object says {} × {}",
                self.columns, self.rows
            )));
        }
        if samples != self.samples {
            return Err(malformed(format!(
                "{codec}: the stream has {samples} samples a pixel, but the object says {}",
                self.samples
            )));
        }
        if usize::from(precision) > 8 * self.sample_bytes() {
            return Err(malformed(format!(
                "{codec}: the stream has {precision} bits a sample, but the object has room for {}",
                8 * self.sample_bytes()
            )));
        }
        Ok(())
    }

    /// Appends samples in little-endian order, each in as many bytes as the shape says.
    pub(crate) fn append<T: Copy + Into<u32>>(&self, samples: &[T], out: &mut Vec<u8>) {
        let at = out.len();
        let width = self.sample_bytes();
        out.resize(at + samples.len() * width, 0);
        let written = &mut out[at..];
        match width {
            1 => written
                .iter_mut()
                .zip(samples)
                .for_each(|(byte, &sample)| *byte = sample.into() as u8),
            2 => written
                .as_chunks_mut()
                .0
                .iter_mut()
                .zip(samples)
                .for_each(|(bytes, &sample)| *bytes = (sample.into() as u16).to_le_bytes()),
            _ => written
                .chunks_exact_mut(width)
                .zip(samples)
                .for_each(|(bytes, &sample)| {
                    bytes.copy_from_slice(&sample.into().to_le_bytes()[..width]);
                }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_written_in_the_bytes_that_the_object_allots() {
        let shape = |allocated| FrameShape {
            columns: 2,
            rows: 1,
            samples: 1,
            allocated,
        };
        let written = |allocated| {
            let mut out = vec![9];
            shape(allocated).append(&[0x12_u16, 0x0345], &mut out);
            out
        };
        assert_eq!(written(8), [9, 0x12, 0x45]);
        assert_eq!(written(16), [9, 0x12, 0, 0x45, 0x03]);
        assert_eq!(written(32), [9, 0x12, 0, 0, 0, 0x45, 0x03, 0, 0]);
        assert!(shape(8).check("TEST", (2, 1), 1, 8).is_ok());
        assert!(shape(8).check("TEST", (2, 1), 1, 9).is_err());
        assert!(shape(8).check("TEST", (1, 2), 1, 8).is_err());
        assert!(shape(8).check("TEST", (2, 1), 3, 8).is_err());
    }
}
