//! Decoded pixels of 8 bits a channel.

use serde::Serialize;

/// Decoded pixels, ready to be shown: 8 bits a channel, rows from the top, no padding between rows.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Grey or RGB.
    pub pixels: Pixels,
}

/// The samples of a [`Picture`], row-major.
#[derive(Clone, PartialEq, Eq)]
pub enum Pixels {
    /// One byte a pixel: `height × width`.
    Luma(Vec<u8>),
    /// Three bytes a pixel, interleaved: `height × width × 3`.
    Rgb(Vec<u8>),
}

impl Pixels {
    /// The bytes of either variant.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Pixels::Luma(data) | Pixels::Rgb(data) => data,
        }
    }
}

/// Smallest, largest and mean 8-bit value of a picture; colour counts as its Rec. 601 luma.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// Smallest value, 0–255.
    pub min: u8,
    /// Largest value, 0–255.
    pub max: u8,
    /// Mean of all pixels.
    pub mean: f64,
}

impl Picture {
    /// Computes the smallest, largest and mean value; colour counts as its Rec. 601 luma `0.299 R + 0.587 G + 0.114
    /// B`.
    pub fn stats(&self) -> Stats {
        let mut histogram = [0_u64; 256];
        match &self.pixels {
            Pixels::Luma(data) => {
                for &value in data {
                    histogram[usize::from(value)] += 1;
                }
            }
            Pixels::Rgb(data) => {
                for pixel in data.chunks_exact(3) {
                    histogram[usize::from(luma(pixel))] += 1;
                }
            }
        }
        let count: u64 = histogram.iter().sum();
        let sum: u64 = (0_u64..).zip(&histogram).map(|(value, n)| value * n).sum();
        Stats {
            min: histogram.iter().position(|&n| n > 0).unwrap_or(0) as u8,
            max: histogram.iter().rposition(|&n| n > 0).unwrap_or(0) as u8,
            mean: sum as f64 / count.max(1) as f64,
        }
    }

    /// Returns the negative: each sample becomes 255 minus itself.
    #[must_use]
    pub fn negative(&self) -> Picture {
        let inverted = |data: &[u8]| data.iter().map(|v| 255 - v).collect();
        Picture {
            pixels: match &self.pixels {
                Pixels::Luma(data) => Pixels::Luma(inverted(data)),
                Pixels::Rgb(data) => Pixels::Rgb(inverted(data)),
            },
            ..*self
        }
    }

    /// Returns the picture as interleaved RGB bytes, grey repeated in the three channels: `height × width × 3`.
    pub fn to_rgb(&self) -> Vec<u8> {
        match &self.pixels {
            Pixels::Luma(data) => data.iter().flat_map(|&v| [v, v, v]).collect(),
            Pixels::Rgb(data) => data.clone(),
        }
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mode = match self.pixels {
            Pixels::Luma(_) => "grey",
            Pixels::Rgb(_) => "RGB",
        };
        write!(f, "Picture({} × {}, {mode})", self.width, self.height)
    }
}

/// Rec. 601 luma of an RGB pixel, rounded, in the fixed-point weights that libjpeg and Pillow use.
fn luma(pixel: &[u8]) -> u8 {
    let (r, g, b) = (
        u32::from(pixel[0]),
        u32::from(pixel[1]),
        u32::from(pixel[2]),
    );
    ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8
}
