//! Decides whether three samples are luma and chroma, and converts those to RGB.

use crate::codecs::jpeg;
use crate::codecs::jpeg::headers::{JpegHeaders, Process};
use crate::error::{MediaError, unsupported};

/// What Photometric Interpretation says about three samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Declared {
    /// RGB, or no usable statement.
    Rgb,
    /// YBR_FULL and YBR_FULL_422.
    Ybr,
    /// YBR_RCT, YBR_ICT and XYB: the coding of a JPEG 2000 or JPEG XL stream, which its decoder undoes.
    Coded,
    /// Luma and chroma of another range (YBR_PARTIAL_422, YBR_PARTIAL_420).
    Partial,
}

impl Declared {
    pub(super) fn by_name(photometric: &str) -> Self {
        match photometric {
            "YBR_RCT" | "YBR_ICT" | "XYB" => Self::Coded,
            name if name.starts_with("YBR_PARTIAL") => Self::Partial,
            name if name.starts_with("YBR") => Self::Ybr,
            _ => Self::Rgb,
        }
    }

    /// Whether samples of a codec without a colour space of its own are full-range luma and chroma.
    pub(super) fn is_ybr(self) -> Result<bool, MediaError> {
        match self {
            Self::Rgb => Ok(false),
            Self::Ybr => Ok(true),
            Self::Coded | Self::Partial => Err(unsupported(
                "this photometric interpretation is not supported under this transfer syntax",
            )),
        }
    }
}

/// Whether a JPEG stream holds luma and chroma, even if the object says otherwise: writers forget the attribute. An
/// Adobe or JFIF segment, components named R G B, or chroma at lower resolution (never used for RGB) are conclusive.
pub(super) fn is_ybr(headers: &JpegHeaders, declared: Declared) -> bool {
    let lossless = headers.process == Process::Lossless;
    match declared {
        Declared::Rgb => {
            !lossless
                && match headers.adobe {
                    Some(0) => false,
                    Some(1) => true,
                    _ => !headers.is_named_rgb() && (headers.jfif || headers.is_subsampled()),
                }
        }
        Declared::Coded if lossless => false,
        _ => headers.adobe != Some(0) && !headers.is_named_rgb(),
    }
}

/// Converts full-range pixels in place. A sample takes `width` bytes, of which `precision` bits are used.
pub(super) fn ycbcr_to_rgb(
    pixels: &mut [u8],
    width: usize,
    precision: u16,
) -> Result<(), MediaError> {
    match (width, precision) {
        (1, 8) => jpeg::ycbcr_to_rgb(pixels),
        (1, 1..=8) => {
            for pixel in pixels.as_chunks_mut().0 {
                *pixel = converted(pixel.map(i32::from), precision).map(|v| v as u8);
            }
        }
        (2, 1..=16) => {
            for pixel in pixels.as_chunks_mut().0 {
                let [y0, y1, b0, b1, r0, r1] = *pixel;
                let ycbcr = [[y0, y1], [b0, b1], [r0, r1]].map(u16::from_le_bytes);
                let rgb = converted(ycbcr.map(i32::from), precision);
                let [[r0, r1], [g0, g1], [b0, b1]] = rgb.map(|v| (v as u16).to_le_bytes());
                *pixel = [r0, r1, g0, g1, b0, b1];
            }
        }
        _ => return Err(unsupported("luma and chroma of more than 16 bits a sample")),
    }
    Ok(())
}

/// Converts a pixel by the formulas of ITU-R T.871, with the centre of chroma in the middle of the range.
fn converted([y, cb, cr]: [i32; 3], precision: u16) -> [i32; 3] {
    let largest = (1 << precision) - 1;
    let half = f64::from(1 << (precision - 1));
    let (y, cb, cr) = (f64::from(y), f64::from(cb) - half, f64::from(cr) - half);
    [
        y + 1.402 * cr,
        y - 0.344_136 * cb - 0.714_136 * cr,
        y + 1.772 * cb,
    ]
    .map(|value| (value.round() as i32).clamp(0, largest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_samples_convert_like_8_bit_ones() {
        let mut shallow = [97, 140, 201];
        ycbcr_to_rgb(&mut shallow, 1, 8).expect("converted");
        let deep = [97_u16, 140, 201].map(|v| (v << 4).to_le_bytes());
        let mut deep = deep.concat();
        ycbcr_to_rgb(&mut deep, 2, 12).expect("converted");
        for (shallow, deep) in shallow.iter().zip(deep.as_chunks().0) {
            let deep = i32::from(u16::from_le_bytes(*deep) >> 4);
            assert!((i32::from(*shallow) - deep).abs() <= 1);
        }
    }

    #[test]
    fn photometric_interpretations_are_distinguished() {
        assert_eq!(Declared::by_name("YBR_FULL_422"), Declared::Ybr);
        assert_eq!(Declared::by_name("YBR_PARTIAL_422"), Declared::Partial);
        assert_eq!(Declared::by_name("YBR_ICT"), Declared::Coded);
        assert_eq!(Declared::by_name("RGB"), Declared::Rgb);
        assert!(Declared::Coded.is_ybr().is_err());
    }
}
