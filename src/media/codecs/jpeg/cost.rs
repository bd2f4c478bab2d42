//! Estimates the memory that decoding takes from the headers alone.

use crate::Scale;
use crate::codecs::jpeg::headers::{JpegHeaders, Process};
use crate::codecs::jpeg::planes::mcu_count;

/// Bytes of a coefficient, and of a lossless sample.
const WIDE_BYTES: u64 = 2;
/// Samples of a block.
const BLOCK_SAMPLES: u64 = 64;

/// The memory that decoding a stream takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Memory that does not depend on the scale.
    full: u64,
    /// Memory proportional to the pixels of the decoded image, at full scale.
    scaled: u64,
    process: Process,
}

impl Cost {
    /// The cost of decoding a file to a picture.
    pub(crate) fn of_file(headers: &JpegHeaders) -> Self {
        let pixels = pixels(headers);
        let channels = if headers.components.len() == 1 { 1 } else { 3 };
        // Grey is rendered once more; inks and deep samples become 8-bit RGB.
        let shown = match (headers.components.len(), headers.precision) {
            (3, ..=8) => 0,
            (1, 9..) => 2,
            _ => channels,
        };
        let turned = if headers.orientation() > 1 {
            channels
        } else {
            0
        };
        let components = Self::of_components(headers);
        Self {
            scaled: components.scaled + pixels * (shown + turned),
            ..components
        }
    }

    /// The cost of a stream that is refused by its headers.
    pub(crate) fn refused(headers: &JpegHeaders) -> Self {
        Self {
            full: 0,
            scaled: 0,
            process: headers.process,
        }
    }

    /// The cost of decoding to interleaved components.
    pub(crate) fn of_components(headers: &JpegHeaders) -> Self {
        let sample = if headers.precision > 8 { 2 } else { 1 };
        let interleaved = pixels(headers) * headers.components.len() as u64 * sample;
        let (across, down) = mcu_count(headers);
        let blocks = |c: (u8, u8)| u64::from(c.0) * u64::from(c.1);
        let blocks: u64 = headers.components.iter().map(|c| blocks(c.sampling)).sum();
        let planes = across as u64 * down as u64 * blocks * BLOCK_SAMPLES;
        let (full, scaled) = match headers.process {
            Process::Sequential => (0, planes * sample + interleaved),
            Process::Progressive => (planes * WIDE_BYTES, planes * sample + interleaved),
            Process::Lossless => (interleaved / sample * WIDE_BYTES, interleaved),
        };
        Self {
            full,
            scaled,
            process: headers.process,
        }
    }

    /// The cost in bytes at a scale.
    pub(crate) fn bytes(&self, scale: Scale) -> u64 {
        match self.process {
            Process::Lossless => self.full + self.scaled,
            _ => self.full + self.scaled / u64::from(scale.divisor()).pow(2),
        }
    }
}

fn pixels(headers: &JpegHeaders) -> u64 {
    u64::from(headers.width) * u64::from(headers.height)
}
