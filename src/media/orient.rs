//! The EXIF orientation: cameras and some viewers store a rotated image with a note of how to hold it.

use crate::{Picture, Pixels};

/// The EXIF tag Orientation.
const ORIENTATION_TAG: u16 = 0x0112;

/// Types of a value of two and of four bytes (TIFF 6.0, section 2).
const SHORT: u16 = 3;
const LONG: u16 = 4;

/// Reads the orientation (1–8) from a TIFF block as EXIF holds it; 1 (upright) if it is absent or damaged, as viewers
/// do.
pub(super) fn orientation(tiff: &[u8]) -> u8 {
    find_orientation(tiff)
        .filter(|o| (1..=8).contains(o))
        .map_or(1, |o| o as u8)
}

fn find_orientation(tiff: &[u8]) -> Option<u16> {
    let big = match tiff.get(..4)? {
        b"II*\0" => false,
        b"MM\0*" => true,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let pair = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if big {
            u16::from_be_bytes(pair)
        } else {
            u16::from_le_bytes(pair)
        })
    };
    let high = u16_at(4)?;
    let low = u16_at(6)?;
    let ifd = if big {
        usize::from(high) << 16 | usize::from(low)
    } else {
        usize::from(low) << 16 | usize::from(high)
    };
    let count = usize::from(u16_at(ifd)?);
    let at = (0..count)
        .map(|i| ifd + 2 + 12 * i)
        .find(|&at| u16_at(at) == Some(ORIENTATION_TAG))?;
    match u16_at(at + 2)? {
        // Some writers take four bytes, of which the lower two have the number.
        LONG if big => u16_at(at + 10),
        SHORT | LONG => u16_at(at + 8),
        _ => None,
    }
}

/// Turns a picture upright.
pub(super) fn upright(picture: Picture, orientation: u8) -> Picture {
    let size = (picture.width as usize, picture.height as usize);
    let (pixels, (width, height)) = match picture.pixels {
        Pixels::Luma(data) => {
            let (data, size) = turned(data, size, 1, orientation);
            (Pixels::Luma(data), size)
        }
        Pixels::Rgb(data) => {
            let (data, size) = turned(data, size, 3, orientation);
            (Pixels::Rgb(data), size)
        }
    };
    Picture {
        width: width as u32,
        height: height as u32,
        pixels,
    }
}

/// Turns samples upright; returns them with their columns and rows. Orientations as in EXIF 2.32, 4.6.4 A: where the
/// stored first row and column belong.
pub(super) fn turned<T: Copy>(
    data: Vec<T>,
    (w, h): (usize, usize),
    channels: usize,
    orientation: u8,
) -> (Vec<T>, (usize, usize)) {
    if orientation <= 1 {
        return (data, (w, h));
    }
    let is_transposed = orientation >= 5;
    let (width, height) = if is_transposed { (h, w) } else { (w, h) };
    // Where the pixel shown at (x, y) is stored.
    let source = |x: usize, y: usize| match orientation {
        2 => (w - 1 - x, y),
        3 => (w - 1 - x, h - 1 - y),
        4 => (x, h - 1 - y),
        5 => (y, x),
        6 => (y, h - 1 - x),
        7 => (w - 1 - y, h - 1 - x),
        _ => (w - 1 - y, x),
    };
    let mut out = Vec::with_capacity(data.len());
    for y in 0..height {
        for x in 0..width {
            let (sx, sy) = source(x, y);
            let at = (sy * w + sx) * channels;
            out.extend_from_slice(&data[at..at + channels]);
        }
    }
    (out, (width, height))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stored 2 × 3 (width × height): a b / c d / e f.
    fn shown(orientation: u8) -> (u32, u32, String) {
        let picture = Picture {
            width: 2,
            height: 3,
            pixels: Pixels::Luma(b"abcdef".to_vec()),
        };
        let upright = upright(picture, orientation);
        let Pixels::Luma(data) = upright.pixels else {
            unreachable!("grey stays grey")
        };
        (
            upright.width,
            upright.height,
            String::from_utf8_lossy(&data).into_owned(),
        )
    }

    #[test]
    fn the_eight_orientations_are_those_of_exif() {
        let expected = [
            "abcdef", "badcfe", "fedcba", "efcdab", "acebdf", "ecafdb", "fdbeca", "bdface",
        ];
        for (orientation, text) in (1..).zip(expected) {
            let size = if orientation >= 5 { (3, 2) } else { (2, 3) };
            assert_eq!(
                shown(orientation),
                (size.0, size.1, text.to_owned()),
                "orientation {orientation}"
            );
        }
    }

    #[test]
    fn an_orientation_has_two_or_four_bytes() {
        let little = |kind: u8| {
            let entry = [0x12, 1, kind, 0, 1, 0, 0, 0, 6, 0, 0, 0];
            [&b"II*\0\x08\0\0\0\x01\0"[..], &entry].concat()
        };
        let big = |kind: u8, value: [u8; 4]| {
            let entry = [1, 0x12, 0, kind, 0, 0, 0, 1];
            [&b"MM\0*\0\0\0\x08\0\x01"[..], &entry, &value].concat()
        };
        assert_eq!([1, 3, 4].map(|kind| orientation(&little(kind))), [1, 6, 6]);
        assert_eq!(orientation(&big(3, [0, 6, 0, 0])), 6);
        assert_eq!(orientation(&big(4, [0, 0, 0, 6])), 6);
        assert_eq!(orientation(&big(1, [6, 0, 0, 0])), 1);
    }

    #[test]
    fn damaged_exif_means_upright() {
        assert_eq!(
            orientation(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"),
            6
        );
        assert_eq!(
            orientation(b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0"),
            8
        );
        assert_eq!(orientation(b"II*\0\xff\xff\xff\xff"), 1);
        assert_eq!(orientation(b"II*\0\x08\0\0\0\xff\xff"), 1);
        assert_eq!(orientation(b""), 1);
    }
}
