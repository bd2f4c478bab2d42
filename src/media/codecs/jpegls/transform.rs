//! Hewlett-Packard's colour transforms, which are not part of the standard: an APP8 segment "mrfx" names one of three.

use crate::error::{MediaError, malformed, unsupported};

/// The transform applied to red, green and blue before coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HpTransform {
    /// Differences of red and blue from green.
    Hp1,
    /// Red as a difference from green, blue from the mean of both.
    Hp2,
    /// A reversible luma, and differences from green.
    Hp3,
}

impl HpTransform {
    /// Reads the transform that an APP8 segment names, if any.
    pub(super) fn read(body: &[u8]) -> Result<Option<Self>, MediaError> {
        match body {
            [b'm', b'r', b'f', b'x', number, ..] => match number {
                0 => Ok(None),
                1 => Ok(Some(Self::Hp1)),
                2 => Ok(Some(Self::Hp2)),
                3 => Ok(Some(Self::Hp3)),
                _ => Err(unsupported("JPEG-LS with an unknown colour transform")),
            },
            _ => Ok(None),
        }
    }

    /// Reverts pixels to RGB. Arithmetic is modulo the range, as in CharLS, which supports 8 and 16 bits only.
    pub(super) fn undo(
        self,
        pixels: &mut [u8],
        components: usize,
        precision: u8,
    ) -> Result<(), MediaError> {
        if components != 3 {
            return Err(malformed(
                "JPEG-LS: a colour transform without three components",
            ));
        }
        match precision {
            8 => {
                for pixel in pixels.as_chunks_mut().0 {
                    *pixel = self.inverse(pixel.map(i32::from), 1 << 8).map(|v| v as u8);
                }
            }
            16 => {
                for pixel in pixels.as_chunks_mut::<6>().0 {
                    let [a, b, c, d, e, f] = *pixel;
                    let coded = [[a, b], [c, d], [e, f]].map(u16::from_le_bytes);
                    let rgb = self.inverse(coded.map(i32::from), 1 << 16);
                    let rgb = rgb.map(|v| (v as u16).to_le_bytes());
                    pixel.copy_from_slice(rgb.as_flattened());
                }
            }
            _ => return Err(unsupported("JPEG-LS with a colour transform of this depth")),
        }
        Ok(())
    }

    fn inverse(self, [v1, v2, v3]: [i32; 3], range: i32) -> [i32; 3] {
        let wrapped = |value: i32| value.rem_euclid(range);
        let half = range / 2;
        match self {
            Self::Hp1 => [wrapped(v1 + v2 - half), v2, wrapped(v3 + v2 - half)],
            Self::Hp2 => {
                let red = wrapped(v1 + v2 - half);
                [red, v2, wrapped(v3 + ((red + v2) >> 1) - half)]
            }
            Self::Hp3 => {
                let green = wrapped(v1 - ((v3 + v2) >> 2) + range / 4);
                [
                    wrapped(v3 + green - half),
                    green,
                    wrapped(v2 + green - half),
                ]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The forward transform, as in CharLS.
    fn forward(transform: HpTransform, [red, green, blue]: [i32; 3], range: i32) -> [i32; 3] {
        let (wrapped, half) = (|value: i32| value.rem_euclid(range), range / 2);
        match transform {
            HpTransform::Hp1 => [
                wrapped(red - green + half),
                green,
                wrapped(blue - green + half),
            ],
            HpTransform::Hp2 => [
                wrapped(red - green + half),
                green,
                wrapped(blue - ((red + green) >> 1) - half),
            ],
            HpTransform::Hp3 => {
                let (v2, v3) = (wrapped(blue - green + half), wrapped(red - green + half));
                [wrapped(green + ((v2 + v3) >> 2) - range / 4), v2, v3]
            }
        }
    }

    #[test]
    fn undoing_a_transform_restores_the_colours() {
        let colors = [
            [0, 0, 0],
            [255, 0, 17],
            [3, 254, 255],
            [120, 130, 140],
            [255, 255, 0],
        ];
        for transform in [HpTransform::Hp1, HpTransform::Hp2, HpTransform::Hp3] {
            for color in colors {
                let mut pixel = forward(transform, color, 256).map(|v| v as u8);
                transform.undo(&mut pixel, 3, 8).expect("undone");
                assert_eq!(pixel.map(i32::from), color, "{transform:?}");
                let deep = color.map(|v| v * 257);
                let coded = forward(transform, deep, 65_536).map(|v| (v as u16).to_le_bytes());
                let mut pixel = coded.concat();
                transform.undo(&mut pixel, 3, 16).expect("undone");
                assert_eq!(pixel, deep.map(|v| (v as u16).to_le_bytes()).concat());
            }
        }
        assert_eq!(HpTransform::read(b"mrfx\x02"), Ok(Some(HpTransform::Hp2)));
        assert_eq!(HpTransform::read(b"other"), Ok(None));
        assert!(HpTransform::read(b"mrfx\x09").is_err());
        assert!(HpTransform::Hp1.undo(&mut [0; 3], 3, 12).is_err());
    }
}
