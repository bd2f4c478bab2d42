//! Decodes JPEG-LS, lossless and near-lossless (ITU-T T.87), as used in DICOM.
//!
//! Written from the standard, because the usual decoder is a C++ library whose build needs more than a compiler.

mod bits;
mod scan;
mod transform;

use crate::codecs::shape::FrameShape;
use crate::error::{MediaError, malformed, truncated, unsupported};
use bits::JpegLsBits;
use scan::{Interleave, Parameters, Presets};
use transform::HpTransform;

/// The frame header (C.2.2).
struct JpegLsFrame {
    width: usize,
    height: usize,
    precision: u8,
    /// Component identifiers.
    ids: Vec<u8>,
}

/// The scan header (C.2.3).
struct JpegLsScan {
    /// Index of each of its components within a pixel.
    components: Vec<usize>,
    interleave: Interleave,
    parameters: Parameters,
    /// Point transform: low bits that were removed from the samples.
    point: u8,
}

/// Decodes a stream.
pub(crate) fn decode(
    bytes: &[u8],
    shape: &FrameShape,
    out: &mut Vec<u8>,
) -> Result<(), MediaError> {
    if !bytes.starts_with(b"\xff\xd8") {
        return Err(malformed(
            "JPEG-LS: the stream does not begin with its marker",
        ));
    }
    let begin = out.len();
    let mut decoder = JpegLsDecoder::new(bytes);
    let mut missing_components = usize::MAX;
    while missing_components > 0 {
        let (marker, body) = decoder.segment().ok_or_else(ends_early)?;
        match marker {
            0xd9 => return Err(ends_early()),
            0xf7 => {
                missing_components = decoder.frame(body, shape)?;
                append_zeros(out, shape.bytes());
            }
            0xf8 => decoder.read_presets(body)?,
            0xda => {
                let scanned = decoder.scan(body, shape, &mut out[begin..])?;
                missing_components = missing_components.saturating_sub(scanned);
            }
            0xdd => decoder.restart = body.iter().fold(0, |n, &b| n << 8 | usize::from(b)),
            0xe8 => decoder.transform = HpTransform::read(body)?.or(decoder.transform),
            _ => {}
        }
    }
    match (decoder.transform, decoder.frame) {
        (Some(transform), Some(frame)) => {
            transform.undo(&mut out[begin..], frame.ids.len(), frame.precision)
        }
        _ => Ok(()),
    }
}

/// The largest difference between a sample before coding and after decoding (NEAR, C.2.3), by the header of the first
/// scan; 0 for a lossless stream.
pub(crate) fn max_error(bytes: &[u8]) -> u32 {
    let mut decoder = JpegLsDecoder::new(bytes);
    while let Some((marker, body)) = decoder.segment() {
        if marker == 0xda {
            let at = body.first().map_or(0, |count| 1 + 2 * usize::from(*count));
            return match body.get(at..) {
                Some(&[near, _, point, ..]) => u32::from(near) << (point % 16),
                _ => 0,
            };
        }
    }
    0
}

fn ends_early() -> MediaError {
    truncated("JPEG-LS: the stream ends before its image does")
}

/// Appends zeros. In a new vector they cost no memory until they are overwritten.
fn append_zeros(out: &mut Vec<u8>, size: usize) {
    if out.is_empty() {
        *out = vec![0; size];
    } else {
        out.resize(out.len() + size, 0);
    }
}

/// The state of decoding a stream.
struct JpegLsDecoder<'a> {
    bytes: &'a [u8],
    at: usize,
    frame: Option<JpegLsFrame>,
    presets: Presets,
    /// Lines between restart markers; 0 for none.
    restart: usize,
    transform: Option<HpTransform>,
    /// For each component, whether a scan has coded it.
    coded: Vec<bool>,
}

impl<'a> JpegLsDecoder<'a> {
    /// A decoder of a stream, behind its first marker.
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 2,
            frame: None,
            presets: Presets::default(),
            restart: 0,
            transform: None,
            coded: Vec::new(),
        }
    }

    /// Reads the next marker segment.
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

    /// Reads the frame header; returns the number of components.
    fn frame(&mut self, body: &[u8], shape: &FrameShape) -> Result<usize, MediaError> {
        let [precision, h1, h0, w1, w0, count, rest @ ..] = body else {
            return Err(malformed("JPEG-LS: the frame header is too short"));
        };
        let side = |high: u8, low: u8| u32::from(u16::from_be_bytes([high, low]));
        let size = (side(*w1, *w0), side(*h1, *h0));
        let count = usize::from(*count);
        shape.check("JPEG-LS", size, count, u16::from(*precision))?;
        let components: Vec<&[u8]> = rest.chunks_exact(3).take(count).collect();
        if self.frame.is_some() || !(1..=4).contains(&components.len()) || components.len() != count
        {
            return Err(malformed("JPEG-LS: impossible frame header"));
        }
        if !(2..=16).contains(precision) || components.iter().any(|c| c[1] != 0x11) {
            return Err(unsupported(
                "JPEG-LS of this depth, or with components of different resolutions",
            ));
        }
        // Every line takes at least one bit.
        if self.bytes.len().saturating_mul(8) < size.1 as usize {
            return Err(ends_early());
        }
        self.coded = vec![false; count];
        self.frame = Some(JpegLsFrame {
            width: size.0 as usize,
            height: size.1 as usize,
            precision: *precision,
            ids: components.iter().map(|c| c[0]).collect(),
        });
        Ok(count)
    }

    /// Reads preset parameters (C.2.4.1). Mapping tables are not used in medical images.
    fn read_presets(&mut self, body: &[u8]) -> Result<(), MediaError> {
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
            return Err(malformed("JPEG-LS: the preset parameters are too short"));
        };
        self.presets = Presets {
            maxval,
            thresholds: [t1, t2, t3],
            reset,
        };
        Ok(())
    }

    /// Parses a scan header; `None` if it is impossible.
    fn scan_header(&self, frame: &JpegLsFrame, body: &[u8]) -> Option<JpegLsScan> {
        let (&count, rest) = body.split_first()?;
        let (pairs, tail) = rest.split_at_checked(2 * usize::from(count))?;
        let &[near, interleave, point, ..] = tail else {
            return None;
        };
        let components: Option<Vec<usize>> = pairs
            .chunks_exact(2)
            .map(|pair| frame.ids.iter().position(|id| *id == pair[0]))
            .collect();
        let components = components.filter(|components| !components.is_empty())?;
        let interleave = match (components.len(), interleave) {
            (1, _) => Interleave::None,
            (_, 1) => Interleave::Line,
            (_, 2) => Interleave::Sample,
            _ => return None,
        };
        Some(JpegLsScan {
            components,
            interleave,
            parameters: Parameters::new(self.presets, frame.precision, i32::from(near))?,
            point: Some(point).filter(|point| *point < frame.precision)?,
        })
    }

    /// Decodes a scan into `out`; returns its number of components.
    fn scan(
        &mut self,
        body: &[u8],
        shape: &FrameShape,
        out: &mut [u8],
    ) -> Result<usize, MediaError> {
        let wrong = || malformed("JPEG-LS: impossible scan header");
        let frame = self.frame.as_ref().ok_or_else(wrong)?;
        let scan = self.scan_header(frame, body).ok_or_else(wrong)?;
        for &component in &scan.components {
            if std::mem::replace(&mut self.coded[component], true) {
                return Err(malformed("JPEG-LS: a component is coded twice"));
            }
        }
        let (width, height) = (frame.width, frame.height);
        let (step, bytes) = (frame.ids.len(), shape.sample_bytes());
        let mut first = 0;
        // The decoder state is reset at a restart marker (C.2.5).
        for restart in 0.. {
            let rows = match self.restart {
                0 => height,
                interval => interval.min(height - first),
            };
            let mut put = |y: usize, component: usize, line: &[i32]| {
                let length = width * step * bytes;
                let row = &mut out[(first + y) * length..][..length];
                write(
                    line,
                    scan.point,
                    row,
                    scan.components[component],
                    step,
                    bytes,
                );
            };
            let mut bits = JpegLsBits::new(self.bytes, self.at);
            scan::decode(
                &mut bits,
                &scan.parameters,
                (width, rows),
                scan.components.len(),
                scan.interleave,
                &mut put,
            )?;
            self.at = bits.position();
            first += rows;
            if first >= height {
                break;
            }
            match self.segment() {
                Some((marker, _)) if marker == 0xd0 + restart % 8 => {}
                Some((0xd9, _)) | None => return Err(ends_early()),
                Some(_) => return Err(malformed("JPEG-LS: a restart marker is missing")),
            }
        }
        Ok(scan.components.len())
    }
}

/// Writes a line of one of `step` components, in `bytes` bytes a sample.
fn write(line: &[i32], point: u8, row: &mut [u8], component: usize, step: usize, bytes: usize) {
    let values = line.iter().map(|value| value << point);
    match (bytes, step) {
        (1, 1) => row.iter_mut().zip(values).for_each(|(to, v)| *to = v as u8),
        (1, _) => {
            let samples = row.iter_mut().skip(component).step_by(step);
            samples.zip(values).for_each(|(to, v)| *to = v as u8);
        }
        (2, _) => {
            let samples = row
                .as_chunks_mut()
                .0
                .iter_mut()
                .skip(component)
                .step_by(step);
            samples
                .zip(values)
                .for_each(|(to, v)| *to = (v as u16).to_le_bytes());
        }
        _ => {
            let samples = row.chunks_exact_mut(bytes).skip(component).step_by(step);
            samples.zip(values).for_each(|(to, v)| {
                to.copy_from_slice(&v.to_le_bytes()[..bytes]);
            });
        }
    }
}

#[cfg(test)]
mod tests;
