//! Colour frames to 8-bit RGB (PS3.3 C.7.6.3.1.2).

use crate::codecs::jpeg::ycbcr_to_rgb;
use crate::dicom::pixels::layout::{Layout, Photometric};
use crate::dicom::pixels::samples::Cells;
use crate::error::{MediaError, unsupported};

/// Interleaved RGB of 8 bits a channel; deeper samples give their high bits.
pub(crate) fn rgb(cells: Cells, layout: &Layout) -> Result<Vec<u8>, MediaError> {
    let stored = u32::from(layout.stored);
    let shift = u32::from(layout.high_bit + 1 - layout.stored);
    let mut data = match cells {
        Cells::U8(data) if stored == 8 => data,
        Cells::U8(data) => narrowed(&data, shift, stored),
        Cells::U16(data) => narrowed(&data, shift, stored),
        Cells::U32(data) => narrowed(&data, shift, stored),
        Cells::F64(_) => return Err(unsupported("DICOM: colour in floats is not supported")),
    };
    match layout.photometric {
        Photometric::Rgb => {}
        Photometric::YbrFull | Photometric::YbrFull422 => ycbcr_to_rgb(&mut data),
        _ => {
            return Err(unsupported(format!(
                "DICOM photometric interpretation {} is not supported here",
                layout.photometric_name
            )));
        }
    }
    Ok(data)
}

fn narrowed<T: Copy + Into<u32>>(data: &[T], shift: u32, stored: u32) -> Vec<u8> {
    data.iter()
        .map(|&v| eight(v.into() >> shift, stored))
        .collect()
}

/// A sample of `stored` bits as eight.
fn eight(value: u32, stored: u32) -> u8 {
    let value = value & (u32::MAX >> (32 - stored.min(32)));
    if stored >= 8 {
        (value >> (stored - 8)) as u8
    } else {
        let largest = (1 << stored) - 1;
        ((value * 255 + largest / 2) / largest) as u8
    }
}
