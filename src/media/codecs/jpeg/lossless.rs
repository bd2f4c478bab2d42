//! Decodes the lossless process, 2 to 16 bits (ITU-T T.81 annex H).

use crate::codecs::jpeg::bits::{Huffman, JpegBits};
use crate::codecs::jpeg::headers::{JpegHeaders, SegmentWalk};
use crate::codecs::jpeg::tables::{JpegScan, Tables};
use crate::codecs::jpeg::{ComponentSamples, Components, ends_early};
use crate::error::{MediaError, malformed, unsupported};

/// Decodes the components.
pub(crate) fn decode(bytes: &[u8], headers: &JpegHeaders) -> Result<Components, MediaError> {
    let channels = headers.components.len();
    if channels > 4
        || headers
            .components
            .iter()
            .any(|c| c.sampling != headers.components[0].sampling)
    {
        return Err(unsupported(format!(
            "JPEG lossless with {channels} components, or with several resolutions"
        )));
    }
    if !(2..=16).contains(&headers.precision) {
        return Err(malformed(format!(
            "JPEG lossless of {} bits a sample",
            headers.precision
        )));
    }
    let mut frame = LosslessFrame::new(headers);
    let mut tables = Tables::default();
    let mut walk = SegmentWalk::new(bytes);
    while let Some((marker, body)) = walk.next() {
        match marker {
            0xd9 => break,
            0xda => frame.scan(
                &JpegScan::read(body, &headers.components)?,
                &tables,
                &mut JpegBits::new(bytes, walk.at),
            )?,
            _ => tables.define(marker, body)?,
        }
    }
    let data = if headers.precision <= 8 {
        ComponentSamples::U8(frame.samples.iter().map(|&v| v as u8).collect())
    } else {
        ComponentSamples::U16(frame.samples)
    };
    Ok(Components {
        channels,
        precision: headers.precision,
        data,
    })
}

/// The image while its scans are read: `height × width × channels` samples.
struct LosslessFrame {
    width: usize,
    height: usize,
    channels: usize,
    precision: u32,
    samples: Vec<u16>,
}

impl LosslessFrame {
    fn new(headers: &JpegHeaders) -> Self {
        let (width, height, channels) = (
            headers.width as usize,
            headers.height as usize,
            headers.components.len(),
        );
        let precision = u32::from(headers.precision);
        Self {
            width,
            height,
            channels,
            precision,
            samples: vec![0; width * height * channels],
        }
    }

    fn scan(
        &mut self,
        scan: &JpegScan,
        tables: &Tables,
        bits: &mut JpegBits,
    ) -> Result<(), MediaError> {
        let shift = u32::from(scan.low);
        if shift >= self.precision || !(1..=7).contains(&scan.start) {
            return Err(malformed("JPEG lossless: impossible scan header"));
        }
        let huffman: Vec<(usize, &Huffman)> = scan
            .components
            .iter()
            .map(|&(component, table, _)| Some((component, tables.dc.get(table)?.as_ref()?)))
            .collect::<Option<_>>()
            .ok_or_else(|| malformed("JPEG lossless: a Huffman table is missing"))?;
        let mut left = tables.restart;
        // The first line after the start or a restart is predicted from the left alone (H.1.2.1).
        let mut is_first_line = true;
        for y in 0..self.height {
            for x in 0..self.width {
                if tables.restart > 0 {
                    if left == 0 {
                        if bits.is_starved() {
                            return Err(ends_early());
                        }
                        bits.restart();
                        (left, is_first_line) = (tables.restart, true);
                    }
                    left -= 1;
                }
                for &(component, table) in &huffman {
                    let difference = difference(table, bits);
                    let prediction =
                        self.predict(component, (x, y), scan.start, shift, is_first_line);
                    let value = (prediction + difference) as u16;
                    self.samples[(y * self.width + x) * self.channels + component] = value << shift;
                }
            }
            if bits.is_starved() {
                return Err(ends_early());
            }
            is_first_line = false;
        }
        Ok(())
    }

    /// The prediction of a sample (table H.1), before the point transform is undone.
    fn predict(
        &self,
        component: usize,
        (x, y): (usize, usize),
        predictor: u8,
        shift: u32,
        is_first_line: bool,
    ) -> i32 {
        let at = |x: usize, y: usize| {
            i32::from(self.samples[(y * self.width + x) * self.channels + component] >> shift)
        };
        match (x, is_first_line || y == 0) {
            (0, true) => 1 << (self.precision - shift - 1),
            (0, false) => at(0, y - 1),
            (_, true) => at(x - 1, y),
            (_, false) => {
                let (a, b, c) = (at(x - 1, y), at(x, y - 1), at(x - 1, y - 1));
                match predictor {
                    1 => a,
                    2 => b,
                    3 => c,
                    4 => a + b - c,
                    5 => a + ((b - c) >> 1),
                    6 => b + ((a - c) >> 1),
                    _ => (a + b) >> 1,
                }
            }
        }
    }
}

/// Reads a difference modulo 2¹⁶ (H.1.2.2); category 16 is 32768, without further bits.
fn difference(table: &Huffman, bits: &mut JpegBits) -> i32 {
    match table.decode(bits) {
        16.. => 32768,
        size => bits.signed(u32::from(size)),
    }
}
