//! Coded frames to cells.

use std::io::Read;

use crate::codecs::jpeg::headers::{Headers, Process};
use crate::codecs::jpeg::{self, Data};
use crate::codecs::jpeg2000;
use crate::codecs::jpegls;
use crate::codecs::jpegxl;
use crate::codecs::rle;
use crate::dicom::parsing::syntax::Codec;
use crate::dicom::pixels::layout::{Layout, Photometric};
use crate::dicom::pixels::native;
use crate::dicom::pixels::samples::Cells;
use crate::error::{MediaError, malformed, truncated, unsupported};

/// A decoded frame, and what its stream knows better than the attributes.
pub(crate) struct Coded {
    /// Samples, interleaved.
    pub cells: Cells,
    /// Bits of a sample, counted from the lowest.
    pub bits: Option<u16>,
    /// What the samples mean.
    pub colors: Option<Photometric>,
}

impl From<Cells> for Coded {
    fn from(cells: Cells) -> Self {
        Self {
            cells,
            bits: None,
            colors: None,
        }
    }
}

/// Decodes one frame.
pub(crate) fn decode(codec: Codec, bytes: &[u8], layout: &Layout) -> Result<Coded, MediaError> {
    match codec {
        Codec::Jpeg => jpeg(bytes, layout),
        Codec::Rle => rle::decode(bytes, layout).map(Coded::from),
        Codec::JpegLs => {
            let size = (layout.columns, layout.rows);
            let decoded = jpegls::decode(bytes, size)?;
            same_samples("JPEG-LS", decoded.channels, layout)?;
            Ok(Coded {
                cells: narrowed(decoded.data, decoded.precision),
                bits: own_bits(decoded.precision, layout),
                colors: None,
            })
        }
        Codec::Jpeg2000 => {
            let decoded = jpeg2000::decode(bytes, (layout.columns, layout.rows))?;
            same_samples("JPEG 2000", decoded.channels, layout)?;
            let bits = u16::from(decoded.precision);
            Ok(Coded {
                cells: narrowest(decoded.data, decoded.precision),
                bits: Some(bits).filter(|b| *b <= layout.allocated.max(8)),
                // A stream without transformation holds what it was given, and nobody gives it what it would make itself.
                colors: (decoded.transformed || layout.photometric == Photometric::YbrCoded)
                    .then_some(Photometric::Rgb),
            })
        }
        Codec::JpegXl => {
            let decoded = jpegxl::decode(bytes, (layout.columns, layout.rows))?;
            same_samples("JPEG XL", decoded.channels, layout)?;
            let is_color = layout.samples == 3;
            Ok(Coded {
                cells: narrowed(decoded.data, decoded.precision),
                bits: Some(u16::from(decoded.precision)),
                colors: is_color.then_some(Photometric::Rgb),
            })
        }
        Codec::Deflated => plain(&inflate(bytes, layout)?, layout),
        Codec::Plain => plain(bytes, layout),
        Codec::Native => Err(unsupported(
            "DICOM: encapsulated pixels under a transfer syntax without compression",
        )),
        Codec::Unsupported | Codec::Unknown => {
            Err(unsupported("DICOM: the transfer syntax is not supported"))
        }
    }
}

/// A single frame that is encapsulated without compression.
fn plain(bytes: &[u8], layout: &Layout) -> Result<Coded, MediaError> {
    let there = bytes.len() as u64;
    let place = native::Place::alone(layout, there).ok_or_else(|| {
        truncated(format!(
            "DICOM: the frame is cut off: {there} bytes are there"
        ))
    })?;
    let range = place.range.start as usize..place.range.end as usize;
    Ok(native::decode(&bytes[range], &place, layout, false).into())
}

/// A deflated frame (PS3.5 annex A.4.13); padding may follow the stream.
fn inflate(bytes: &[u8], layout: &Layout) -> Result<Vec<u8>, MediaError> {
    let most = (layout.cells() * usize::from(layout.allocated)).div_ceil(8) + 16;
    let mut frame = Vec::with_capacity(most);
    flate2::read::DeflateDecoder::new(bytes)
        .take(most as u64)
        .read_to_end(&mut frame)
        .map_err(|error| malformed(format!("DICOM: the frame cannot be inflated: {error}")))?;
    Ok(frame)
}

fn same_samples(codec: &str, channels: usize, layout: &Layout) -> Result<(), MediaError> {
    if channels == usize::from(layout.samples) {
        return Ok(());
    }
    Err(malformed(format!(
        "DICOM: the {codec} stream has {channels} samples a pixel, the attributes say {}",
        layout.samples
    )))
}

/// The bits of a stream's samples where the attributes cannot be right about them: it has more than they give it, or
/// so few that the value cannot stand where they place it.
fn own_bits(precision: u8, layout: &Layout) -> Option<u16> {
    let precision = u16::from(precision);
    let shifted = layout.high_bit + 1 > layout.stored;
    (precision > layout.allocated || (shifted && precision <= layout.high_bit)).then_some(precision)
}

/// The codec of a stream by its first bytes: some writers name another of the same family.
pub(crate) fn of_stream(bytes: &[u8]) -> Option<Codec> {
    let begins = |mark: &[u8]| bytes.starts_with(mark);
    if begins(b"\xff\x4f\xff\x51") || begins(b"\0\0\0\x0cjP  ") {
        return Some(Codec::Jpeg2000);
    }
    if begins(b"\xff\x0a") || begins(b"\0\0\0\x0cJXL ") {
        return Some(Codec::JpegXl);
    }
    if !begins(b"\xff\xd8") {
        return None;
    }
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        match marker {
            0xff => at += 1,
            0xf7 => return Some(Codec::JpegLs),
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => return Some(Codec::Jpeg),
            _ => at += 2 + (usize::from(high) << 8 | usize::from(low)),
        }
    }
    None
}

fn narrowed(data: Vec<u16>, precision: u8) -> Cells {
    if precision <= 8 {
        Cells::U8(data.into_iter().map(|v| v as u8).collect())
    } else {
        Cells::U16(data)
    }
}

fn narrowest(data: Vec<u32>, precision: u8) -> Cells {
    match precision {
        0..=8 => Cells::U8(data.into_iter().map(|v| v as u8).collect()),
        9..=16 => Cells::U16(data.into_iter().map(|v| v as u16).collect()),
        _ => Cells::U32(data),
    }
}

/// Any process of ITU-T T.81.
fn jpeg(bytes: &[u8], layout: &Layout) -> Result<Coded, MediaError> {
    let headers = Headers::read(bytes)?;
    // A sequential stream without its end marker may still be whole, which its decoder finds out.
    if !headers.complete && headers.process == Process::Progressive {
        return Err(truncated("DICOM: the JPEG stream of the frame is cut off"));
    }
    if (headers.width, headers.height) != (layout.columns, layout.rows) {
        return Err(malformed(
            "DICOM: the JPEG stream has another size than the attributes say",
        ));
    }
    same_samples("JPEG", headers.components.len(), layout)?;
    let components = jpeg::components(bytes, &headers)?;
    Ok(Coded {
        cells: match components.data {
            Data::U8(data) => Cells::U8(data),
            Data::U16(data) => Cells::U16(data),
        },
        bits: own_bits(components.precision, layout),
        colors: colors(&headers, layout),
    })
}

/// What the components of a stream are, where the photometric interpretation says something else: writers forget the
/// attribute. An Adobe or JFIF segment, components named R G B, or chroma at lower resolution (which nobody does to
/// RGB) tell the truth.
fn colors(headers: &Headers, layout: &Layout) -> Option<Photometric> {
    match layout.photometric {
        Photometric::Rgb => {
            let rgb = headers.process == Process::Lossless
                || match headers.adobe {
                    Some(0) => true,
                    Some(1) => false,
                    _ => headers.named_rgb() || !(headers.jfif || headers.subsampled()),
                };
            (!rgb).then_some(Photometric::YbrFull)
        }
        Photometric::Mono { .. } | Photometric::Palette => None,
        Photometric::YbrCoded if headers.process == Process::Lossless => Some(Photometric::Rgb),
        _ if headers.adobe == Some(0) || headers.named_rgb() => Some(Photometric::Rgb),
        Photometric::YbrCoded => Some(Photometric::YbrFull),
        _ => None,
    }
}
