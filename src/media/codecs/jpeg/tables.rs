//! Quantisation and Huffman tables, restart interval and scan headers, as defined by the segments before a scan.

use crate::codecs::jpeg::bits::Huffman;
use crate::error::{MediaError, malformed};

/// Natural position of each coefficient in stream order (T.81 figure A.6).
pub(crate) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The tables in effect for the next scan.
#[derive(Default)]
pub(crate) struct Tables {
    /// Quantisation, in natural order.
    pub quantisation: [Option<[u16; 64]>; 4],
    /// Huffman tables of DC and of lossless differences.
    pub dc: [Option<Huffman>; 4],
    /// Huffman tables of AC.
    pub ac: [Option<Huffman>; 4],
    /// MCUs between restart markers; 0 for none.
    pub restart: usize,
}

impl Tables {
    /// Reads the definitions of a segment; other segments are ignored.
    pub(crate) fn define(&mut self, marker: u8, body: &[u8]) -> Result<(), MediaError> {
        match marker {
            0xdb => self.read_quantisation(body),
            0xc4 => self.read_huffman(body),
            0xdd => {
                let &[high, low, ..] = body else {
                    return Err(malformed("JPEG: the restart interval is too short"));
                };
                self.restart = usize::from(high) << 8 | usize::from(low);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Reads quantisation tables (B.2.4.1).
    fn read_quantisation(&mut self, mut body: &[u8]) -> Result<(), MediaError> {
        while let [head, rest @ ..] = body {
            let (wide, size) = if head >> 4 == 0 {
                (false, 64)
            } else {
                (true, 128)
            };
            let (Some(values), slot) = (rest.get(..size), usize::from(head & 15)) else {
                return Err(malformed("JPEG: a quantisation table is too short"));
            };
            let mut table = [0; 64];
            for (i, &at) in ZIGZAG.iter().enumerate() {
                table[usize::from(at)] = if wide {
                    u16::from_be_bytes([values[2 * i], values[2 * i + 1]])
                } else {
                    u16::from(values[i])
                };
            }
            *self
                .quantisation
                .get_mut(slot)
                .ok_or_else(|| malformed("JPEG: no such quantisation table"))? = Some(table);
            body = &rest[size..];
        }
        Ok(())
    }

    /// Reads Huffman tables (B.2.4.2).
    fn read_huffman(&mut self, mut body: &[u8]) -> Result<(), MediaError> {
        let short = || malformed("JPEG: a Huffman table is too short");
        while let [head, rest @ ..] = body {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
            let count = counts.iter().map(|&c| usize::from(c)).sum();
            let (symbols, rest) = rest.split_at_checked(count).ok_or_else(short)?;
            let class = if head >> 4 == 0 {
                &mut self.dc
            } else {
                &mut self.ac
            };
            let slot = class
                .get_mut(usize::from(head & 15))
                .ok_or_else(|| malformed("JPEG: no such Huffman table"))?;
            *slot = Some(Huffman::new(counts, symbols)?);
            body = rest;
        }
        Ok(())
    }
}

/// A scan header (B.2.3).
#[derive(Debug)]
pub(crate) struct JpegScan {
    /// For each component in the scan: its index in the frame, its DC table and its AC table.
    pub components: Vec<(usize, usize, usize)>,
    /// First coefficient, or the predictor of a lossless scan.
    pub start: u8,
    /// Last coefficient.
    pub end: u8,
    /// Bit position of the previous pass, 0 for a first one.
    pub high: u8,
    /// Bit position of this pass, or the point transform of a lossless scan.
    pub low: u8,
}

impl JpegScan {
    pub(crate) fn read(
        body: &[u8],
        frame: &[crate::codecs::jpeg::headers::JpegComponent],
    ) -> Result<Self, MediaError> {
        let wrong = || malformed("JPEG: impossible scan header");
        let (&count, rest) = body.split_first().ok_or_else(wrong)?;
        let (pairs, tail) = rest
            .split_at_checked(2 * usize::from(count))
            .ok_or_else(wrong)?;
        let &[start, end, approximation, ..] = tail else {
            return Err(wrong());
        };
        let mut components: Vec<(usize, usize, usize)> = Vec::new();
        for pair in pairs.chunks_exact(2) {
            // Of components with equal identifiers, the next one that is not in the scan yet, as in libjpeg.
            let index = (0..frame.len())
                .find(|&i| frame[i].id == pair[0] && components.iter().all(|c| c.0 != i));
            components.push((
                index.ok_or_else(wrong)?,
                usize::from(pair[1] >> 4),
                usize::from(pair[1] & 15),
            ));
        }
        if components.is_empty() || components.len() > 4 {
            return Err(wrong());
        }
        Ok(Self {
            components,
            start,
            end,
            high: approximation >> 4,
            low: approximation & 15,
        })
    }
}
