//! JPEG-LS, lossless and near-lossless (ITU-T T.87), as DICOM holds it.
//!
//! Written from the standard, because the usual decoder is a C++ library whose build asks for more than a compiler.

mod bits;
mod scan;

use crate::codecs::shape::Shape;
use crate::error::{MediaError, malformed, truncated, unsupported};
use bits::Bits;
use scan::{Interleave, Parameters, Presets};

/// The frame header (C.2.2).
struct Frame {
    width: usize,
    height: usize,
    precision: u8,
    /// Component identifiers.
    ids: Vec<u8>,
}

/// Decodes a stream.
pub(crate) fn decode(bytes: &[u8], shape: &Shape, out: &mut Vec<u8>) -> Result<(), MediaError> {
    if !bytes.starts_with(b"\xff\xd8") {
        return Err(malformed(
            "JPEG-LS: the stream does not begin with its marker",
        ));
    }
    let mut decoder = Decoder {
        bytes,
        at: 2,
        frame: None,
        presets: Presets::default(),
        restart: 0,
        data: Vec::new(),
    };
    let mut missing = usize::MAX;
    while missing > 0 {
        let Some((marker, body)) = decoder.segment() else {
            return Err(truncated(
                "JPEG-LS: the stream ends before its picture does",
            ));
        };
        match marker {
            0xd9 => {
                return Err(truncated(
                    "JPEG-LS: the stream ends before its picture does",
                ));
            }
            0xf7 => missing = decoder.frame(body, shape)?,
            0xf8 => decoder.preset(body)?,
            0xda => missing = missing.saturating_sub(decoder.scan(body)?),
            0xdd => decoder.restart = body.iter().fold(0, |n, &b| n << 8 | u32::from(b)),
            0xe8 if body.starts_with(b"mrfx") && body.get(4).is_some_and(|&t| t != 0) => {
                return Err(unsupported("JPEG-LS with a colour transform"));
            }
            _ => {}
        }
    }
    shape.append(&decoder.data, out);
    Ok(())
}

struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    frame: Option<Frame>,
    presets: Presets,
    restart: u32,
    data: Vec<u16>,
}

impl<'a> Decoder<'a> {
    /// The next marker segment.
    fn segment(&mut self) -> Option<(u8, &'a [u8])> {
        let rest = self.bytes.get(self.at..)?;
        let offset = rest
            .windows(2)
            .position(|w| w[0] == 0xff && (0x80..0xff).contains(&w[1]))?;
        let marker = rest[offset + 1];
        self.at += offset + 2;
        if matches!(marker, 0xd0..=0xd9) {
            return Some((marker, &[]));
        }
        let length = self.bytes.get(self.at..self.at + 2)?;
        let length = (usize::from(length[0]) << 8 | usize::from(length[1])).max(2);
        let body = self.bytes.get(self.at + 2..self.at + length)?;
        self.at += length;
        Some((marker, body))
    }

    /// Reads the frame header and makes room; gives the number of components.
    fn frame(&mut self, body: &[u8], shape: &Shape) -> Result<usize, MediaError> {
        let [precision, h1, h0, w1, w0, count, rest @ ..] = body else {
            return Err(malformed("JPEG-LS: the frame header is too short"));
        };
        let side = |high: u8, low: u8| u32::from(u16::from_be_bytes([high, low]));
        let size = (side(*w1, *w0), side(*h1, *h0));
        shape.check("JPEG-LS", size, usize::from(*count), u16::from(*precision))?;
        let (width, height) = (size.0 as usize, size.1 as usize);
        let components: Vec<&[u8]> = rest.chunks_exact(3).take(usize::from(*count)).collect();
        if self.frame.is_some()
            || components.is_empty()
            || components.len() != usize::from(*count)
            || components.len() > 4
        {
            return Err(malformed("JPEG-LS: impossible frame header"));
        }
        if !(2..=16).contains(precision) || components.iter().any(|c| c[1] != 0x11) {
            return Err(unsupported(
                "JPEG-LS of this depth or with components of several resolutions",
            ));
        }
        self.data = vec![0; width * height * components.len()];
        self.frame = Some(Frame {
            width,
            height,
            precision: *precision,
            ids: components.iter().map(|c| c[0]).collect(),
        });
        Ok(components.len())
    }

    /// Preset parameters (C.2.4.1); mapping tables are not for medical pictures.
    fn preset(&mut self, body: &[u8]) -> Result<(), MediaError> {
        let [1, rest @ ..] = body else {
            return Err(unsupported("JPEG-LS with mapping tables"));
        };
        let values: Vec<i32> = rest
            .as_chunks::<2>()
            .0
            .iter()
            .map(|b| i32::from(u16::from_be_bytes(*b)))
            .collect();
        let [maxval, t1, t2, t3, reset] = values[..] else {
            return Err(malformed("JPEG-LS: short preset parameters"));
        };
        self.presets = Presets {
            maxval,
            thresholds: [t1, t2, t3],
            reset,
        };
        Ok(())
    }

    /// Decodes a scan; gives the number of components that it held.
    fn scan(&mut self, body: &[u8]) -> Result<usize, MediaError> {
        let wrong = || malformed("JPEG-LS: impossible scan header");
        let frame = self.frame.as_ref().ok_or_else(wrong)?;
        let (&count, rest) = body.split_first().ok_or_else(wrong)?;
        let (pairs, tail) = rest
            .split_at_checked(2 * usize::from(count))
            .ok_or_else(wrong)?;
        let &[near, interleave, transform, ..] = tail else {
            return Err(wrong());
        };
        let places: Option<Vec<usize>> = pairs
            .chunks_exact(2)
            .map(|pair| frame.ids.iter().position(|id| *id == pair[0]))
            .collect();
        let places = places.filter(|p| !p.is_empty()).ok_or_else(wrong)?;
        let interleave = match (places.len(), interleave) {
            (1, _) => Interleave::None,
            (_, 1) => Interleave::Line,
            (_, 2) => Interleave::Sample,
            _ => return Err(wrong()),
        };
        if self.restart != 0 || transform != 0 {
            return Err(unsupported(
                "JPEG-LS with restart markers or a point transform",
            ));
        }
        let parameters =
            Parameters::new(self.presets, frame.precision, i32::from(near)).ok_or_else(wrong)?;
        let mut bits = Bits::new(self.bytes, self.at);
        let channels = frame.ids.len();
        let mut put = |y: usize, place: usize, line: &[i32]| {
            let row = &mut self.data[y * frame.width * channels..][..frame.width * channels];
            for (pixel, &value) in row.chunks_exact_mut(channels).zip(line) {
                pixel[places[place]] = value as u16;
            }
        };
        scan::decode(
            &mut bits,
            &parameters,
            (frame.width, frame.height),
            places.len(),
            interleave,
            &mut put,
        )?;
        self.at = bits.position();
        Ok(places.len())
    }
}

#[cfg(test)]
mod tests;
