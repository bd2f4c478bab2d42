//! The shape that a coded frame must have, and how its samples are written.

use crate::error::{MediaError, malformed};

/// What an object says of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameShape {
    /// Pixels of a row.
    pub columns: u32,
    /// Rows.
    pub rows: u32,
    /// Samples of a pixel.
    pub samples: usize,
    /// Bits that a sample takes in native pixels. It is written in whole bytes.
    pub allocated: u16,
}

impl FrameShape {
    /// Pixels of the frame.
    pub(crate) fn pixels(&self) -> usize {
        self.columns as usize * self.rows as usize
    }

    /// Bytes that a sample is written in.
    pub(crate) fn sample_bytes(&self) -> usize {
        usize::from(self.allocated.div_ceil(8))
    }

    /// Bytes that the frame is written in.
    pub(crate) fn bytes(&self) -> usize {
        self.pixels() * self.samples * self.sample_bytes()
    }

    /// Accepts the size and depth that a stream claims, before anything is allocated for it.
    pub(crate) fn check(
        &self,
        codec: &str,
        (columns, rows): (u32, u32),
        samples: usize,
        precision: u16,
    ) -> Result<(), MediaError> {
        if (columns, rows) != (self.columns, self.rows) {
            return Err(malformed(format!(
                "{codec}: the stream is {columns} × {rows}, the object says {} × {}",
                self.columns, self.rows
            )));
        }
        if samples != self.samples {
            return Err(malformed(format!(
                "{codec}: the stream has {samples} samples a pixel, the object says {}",
                self.samples
            )));
        }
        if usize::from(precision) > 8 * self.sample_bytes() {
            return Err(malformed(format!(
                "{codec}: the stream has {precision} bits a sample, the object has room for {}",
                8 * self.sample_bytes()
            )));
        }
        Ok(())
    }

    /// Appends samples, each in as many bytes as the shape says.
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
    fn samples_take_the_bytes_that_the_object_gives_them() {
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
