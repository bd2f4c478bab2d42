//! Converts colour frames to 8-bit RGB (PS3.3 C.7.6.3.1.2; retired interpretations by the edition of 2004).

use crate::codecs::jpeg::ycbcr_to_rgb;
use crate::dicom::parsing::dataset::DataSet;
use crate::dicom::pixels::layout::{Photometric, PixelLayout};
use crate::dicom::pixels::palette::Palette;
use crate::dicom::pixels::samples::Cells;
use crate::error::{MediaError, malformed, unsupported};
use crate::{Warnings, clean};
use dicom_dictionary_std::tags;

/// Converts cells to interleaved RGB of 8 bits a channel; deeper samples keep their high bits.
pub(crate) fn rgb(
    set: &DataSet,
    cells: Cells,
    layout: &PixelLayout,
    warnings: &mut Warnings,
) -> Result<Vec<u8>, MediaError> {
    let stored = u32::from(layout.stored);
    let shift = u32::from(layout.high_bit + 1 - layout.stored);
    let mut data = match cells {
        Cells::U8(data) if stored == 8 => data,
        Cells::U8(data) => to_eight_bits(&data, shift, stored),
        Cells::U16(data) => to_eight_bits(&data, shift, stored),
        Cells::U32(data) => to_eight_bits(&data, shift, stored),
        Cells::F64(_) => return Err(unsupported("DICOM: colour in floats is not supported")),
    };
    match layout.photometric {
        Photometric::Rgb if layout.samples == 4 => {
            return Ok(from_fours(&data, |[r, g, b, _]| [r, g, b]));
        }
        Photometric::Rgb => {}
        Photometric::YbrFull | Photometric::YbrFull422 => ycbcr_to_rgb(&mut data),
        Photometric::YbrPartial422 => {
            for pixel in data.as_chunks_mut::<3>().0 {
                *pixel = studio_range_to_rgb(*pixel);
            }
        }
        Photometric::Cmyk => return Ok(from_fours(&data, cmyk_to_rgb)),
        Photometric::Argb => return argb(set, &data, warnings),
        // Transformed chroma of n-bit samples takes n + 1 bits, so samples that fill their cells cannot have been
        // transformed.
        Photometric::YbrCoded if layout.stored == layout.allocated => {
            warnings.add(format!(
                "The pixels are not compressed as {} says; they are read as RGB.",
                clean(&layout.photometric_name)
            ));
        }
        Photometric::YbrCoded | Photometric::Mono { .. } | Photometric::Palette => {
            return Err(unsupported(format!(
                "DICOM photometric interpretation {} is not supported here",
                layout.photometric_name
            )));
        }
    }
    Ok(data)
}

/// Samples as 8 bits each.
fn to_eight_bits<T: Copy + Into<u32>>(data: &[T], shift: u32, stored: u32) -> Vec<u8> {
    data.iter()
        .map(|&v| eight(v.into() >> shift, stored))
        .collect()
}

/// Scales a sample of `stored` bits to 8 bits.
fn eight(value: u32, stored: u32) -> u8 {
    let value = value & (u32::MAX >> (32 - stored.min(32)));
    if stored >= 8 {
        (value >> (stored - 8)) as u8
    } else {
        let largest = (1 << stored) - 1;
        ((value * 255 + largest / 2) / largest) as u8
    }
}

/// Converts pixels of four samples by `color`.
fn from_fours(data: &[u8], color: impl Fn([u8; 4]) -> [u8; 3]) -> Vec<u8> {
    let pixels = data.as_chunks::<4>().0.iter();
    pixels.flat_map(|pixel| color(*pixel)).collect()
}

/// CMYK to RGB: the light that inks and black leave.
fn cmyk_to_rgb([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    [c, m, y].map(|ink| {
        let left = (255 - u32::from(ink)) * (255 - u32::from(k));
        ((left + 127) / 255) as u8
    })
}

/// YBR_PARTIAL to RGB: luma of 16–235 and chroma of 16–240, by the weights of Rec. 601.
fn studio_range_to_rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let y = (f64::from(y) - 16.0) * 255.0 / 219.0;
    let [cb, cr] = [cb, cr].map(|chroma| (f64::from(chroma) - 128.0) * 255.0 / 224.0);
    let byte = |value: f64| (value + 0.5) as u8;
    [
        byte(y + 1.402 * cr),
        byte(y - 0.344_136 * cb - 0.714_136 * cr),
        byte(y + 1.772 * cb),
    ]
}

/// ARGB to RGB: if alpha is not zero, its colour in the palette replaces that of the pixel.
fn argb(set: &DataSet, data: &[u8], warnings: &mut Warnings) -> Result<Vec<u8>, MediaError> {
    let palette = match set.get(tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR) {
        Some(_) => Some(Palette::read(set, false, warnings)?),
        None => None,
    };
    if palette.is_none() && data.as_chunks::<4>().0.iter().any(|pixel| pixel[0] > 0) {
        warnings.add("The alpha plane of the ARGB pixels has no palette; it is left out.");
    }
    if !data.len().is_multiple_of(4) {
        return Err(malformed("DICOM: ARGB pixels are not of four samples"));
    }
    Ok(from_fours(data, |[alpha, r, g, b]| match &palette {
        Some(palette) if alpha > 0 => palette.at(i32::from(alpha)),
        _ => [r, g, b],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ends of each scale, and a colour by the formulas of PS3.3-2004 C.7.6.3.1.2 (Y = 0.2568 R + 0.5041 G +
    /// 0.0979 B + 16 and so on).
    #[test]
    fn retired_colour_spaces_follow_the_formulas_of_their_edition() {
        assert_eq!(studio_range_to_rgb([16, 128, 128]), [0, 0, 0]);
        assert_eq!(studio_range_to_rgb([235, 128, 128]), [255, 255, 255]);
        assert_eq!(studio_range_to_rgb([81, 90, 240]), [254, 0, 0]);
        assert_eq!(studio_range_to_rgb([0, 255, 0]), [0, 36, 238]);
        assert_eq!(cmyk_to_rgb([255, 204, 51, 0]), [0, 51, 204]);
        assert_eq!(cmyk_to_rgb([0, 0, 255, 127]), [128, 128, 0]);
    }
}
