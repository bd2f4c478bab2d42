//! Extracts sample values from their cells.

use crate::dicom::pixels::layout::PixelLayout;
use crate::grey::samples::Samples;

/// Pixel cells of one frame, interleaved, with any bits that are not part of the value.
pub(crate) enum Cells {
    /// Up to 8 bits a cell.
    U8(Vec<u8>),
    /// Up to 16 bits a cell.
    U16(Vec<u16>),
    /// Up to 32 bits a cell.
    U32(Vec<u32>),
    /// Floats of either width.
    F64(Vec<f64>),
}

impl Cells {
    /// Number of cells.
    pub(crate) fn len(&self) -> usize {
        match self {
            Cells::U8(data) => data.len(),
            Cells::U16(data) => data.len(),
            Cells::U32(data) => data.len(),
            Cells::F64(data) => data.len(),
        }
    }
}

/// Extracts the Bits Stored bits below High Bit from each cell and extends the sign (PS3.5 8.1.1).
pub(crate) fn from_cells(cells: Cells, layout: &PixelLayout) -> Samples {
    let bits = ValueBits::new(layout);
    match (cells, layout.signed) {
        (Cells::U8(mut data), false) => {
            if !bits.fills(8) {
                for value in &mut data {
                    *value = bits.unsigned(u32::from(*value)) as u8;
                }
            }
            Samples::U8(data)
        }
        (Cells::U8(data), true) => Samples::I16(
            data.into_iter()
                .map(|v| bits.signed(u32::from(v)) as i16)
                .collect(),
        ),
        (Cells::U16(mut data), false) => {
            if !bits.fills(16) {
                for value in &mut data {
                    *value = bits.unsigned(u32::from(*value)) as u16;
                }
            }
            Samples::U16(data)
        }
        (Cells::U16(data), true) => Samples::I16(
            data.into_iter()
                .map(|v| bits.signed(u32::from(v)) as i16)
                .collect(),
        ),
        (Cells::F64(data), _) => Samples::F64(data),
        (Cells::U32(data), false) => {
            Samples::U32(data.into_iter().map(|v| bits.unsigned(v)).collect())
        }
        (Cells::U32(data), true) => {
            Samples::I32(data.into_iter().map(|v| bits.signed(v)).collect())
        }
    }
}

/// Whether cells of this layout have values for which `stored` bits are too few, signed or not.
pub(crate) fn exceed(cells: &Cells, layout: &PixelLayout, stored: u16) -> bool {
    if layout.stored <= stored {
        return false;
    }
    let bits = ValueBits::new(layout);
    let (low, high) = (-1_i64 << (stored - 1), (1_i64 << stored) - 1);
    let exceeds = |cell: u32| {
        let value = if layout.signed {
            i64::from(bits.signed(cell))
        } else {
            i64::from(bits.unsigned(cell))
        };
        !(low..=high).contains(&value)
    };
    match cells {
        Cells::U8(data) => data.iter().any(|&cell| exceeds(cell.into())),
        Cells::U16(data) => data.iter().any(|&cell| exceeds(cell.into())),
        Cells::U32(data) => data.iter().any(|&cell| exceeds(cell)),
        Cells::F64(_) => false,
    }
}

/// Returns cells of a lossy codec to the range of Bits Stored, which a stream of more bits (`precision`) may leave by
/// its largest `error`: white would lose its highest bit and become black. A frame with values further outside
/// holds other bits above the value, such as an overlay, and stays as it is.
pub(crate) fn saturate(cells: &mut Cells, layout: &PixelLayout, precision: u16, error: u32) {
    let is_lowest = layout.high_bit + 1 == layout.stored;
    if error == 0 || precision > 16 || layout.stored >= precision || !is_lowest {
        return;
    }
    match cells {
        Cells::U8(data) => saturate_all(data, layout, precision, error as i32, |v| v as u8),
        Cells::U16(data) => saturate_all(data, layout, precision, error as i32, |v| v as u16),
        Cells::U32(_) | Cells::F64(_) => {}
    }
}

fn saturate_all<T: Copy + Into<u32>>(
    data: &mut [T],
    layout: &PixelLayout,
    precision: u16,
    error: i32,
    cast: impl Fn(i32) -> T,
) {
    /// Bits of which no cell has the highest set.
    const UNSIGNED: u32 = 32;
    let range = 1_i32 << layout.stored;
    let unsigned = (UNSIGNED, 0, range - 1);
    // The bits above a negative value are ones or zeros.
    let signed = (u32::from(precision), -range / 2, range / 2 - 1);
    let readings: &[(u32, i32, i32)] = if layout.signed {
        &[signed, unsigned]
    } else {
        &[unsigned]
    };
    let value = |cell: T, bits: u32| {
        let cell: u32 = cell.into();
        (cell << (32 - bits)) as i32 >> (32 - bits)
    };
    let fits = |&&(bits, low, high): &&(u32, i32, i32)| {
        let within = low - error..=high + error;
        data.iter().all(|cell| within.contains(&value(*cell, bits)))
    };
    if let Some(&(bits, low, high)) = readings.iter().find(fits) {
        for cell in data {
            *cell = cast(value(*cell, bits).clamp(low, high));
        }
    }
}

/// Position of the value in a cell.
#[derive(Clone, Copy)]
struct ValueBits {
    stored: u32,
    shift: u32,
}

impl ValueBits {
    fn new(layout: &PixelLayout) -> Self {
        Self {
            stored: u32::from(layout.stored),
            shift: u32::from(layout.high_bit + 1 - layout.stored),
        }
    }

    /// Whether the value fills a cell of `width` bits.
    fn fills(self, width: u32) -> bool {
        self.shift == 0 && self.stored >= width
    }

    fn unsigned(self, cell: u32) -> u32 {
        (cell >> self.shift) & (u32::MAX >> (32 - self.stored.min(32)))
    }

    fn signed(self, cell: u32) -> i32 {
        let up = 32 - self.stored.min(32);
        (self.unsigned(cell) << up) as i32 >> up
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::pixels::layout::{Photometric, SampleType};

    #[test]
    fn values_that_need_more_bits_are_noticed() {
        let layout = |signed| PixelLayout {
            rows: 1,
            columns: 1,
            frames: 1,
            frames_assumed: false,
            samples: 1,
            photometric: Photometric::Mono { inverted: false },
            photometric_name: "MONOCHROME2".to_owned(),
            allocated: 16,
            stored: 16,
            high_bit: 15,
            signed,
            planar: false,
            sample_type: SampleType::Integer,
        };
        let exceed = |signed, cell| exceed(&Cells::U16(vec![0, cell]), &layout(signed), 12);
        assert_eq!([4095, 4096].map(|cell| exceed(false, cell)), [false, true]);
        // -1, -2048 and -2049; and -1 without an extended sign.
        let signed = [0xffff, 0xf800, 0xf7ff, 0x0fff].map(|cell| exceed(true, cell));
        assert_eq!(signed, [false, false, true, false]);
    }

    #[test]
    fn values_are_extracted_from_their_cells() {
        // 12 bits at the top of 16, as PS3.5 annex D draws them.
        let high = ValueBits {
            stored: 12,
            shift: 4,
        };
        assert_eq!(high.unsigned(0xabcd), 0xabc);
        assert_eq!(high.signed(0x8001), -2048);
        // Overlay bits above the value are ignored.
        let low = ValueBits {
            stored: 12,
            shift: 0,
        };
        assert_eq!(low.unsigned(0xf123), 0x123);
        assert_eq!(low.signed(0x0fff), -1);
        assert_eq!(
            ValueBits {
                stored: 32,
                shift: 0
            }
            .signed(u32::MAX),
            -1
        );
        assert_eq!(
            ValueBits {
                stored: 1,
                shift: 0
            }
            .unsigned(3),
            1
        );
    }
}
