//! Decodes encapsulated frames to cells: compressed ones through dicom-pixeldata, others as native pixels.

use std::error::Error;
use std::io::Read;

use dicom_core::value::PixelFragmentSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileDicomObject, FileMetaTableBuilder, InMemDicomObject};
use dicom_pixeldata::PixelDecoder;

use crate::Warnings;
use crate::codecs::jpeg::headers::{JpegHeaders, Process};
use crate::codecs::stream::{StreamCodec, StreamHeader};
use crate::codecs::{jpeg, jpegls};
use crate::dicom::parsing::syntax::Codec;
use crate::dicom::pixels::layout::{Photometric, PixelLayout};
use crate::dicom::pixels::native::{self, read_numbers};
use crate::dicom::pixels::samples::{self, Cells};
use crate::error::{MediaError, malformed, truncated, unsupported};

/// A decoded frame and its layout, because the stream may know depth and colours better than the attributes do.
pub(crate) struct DecodedCells {
    /// Samples, interleaved.
    pub cells: Cells,
    /// The layout of these samples.
    pub layout: PixelLayout,
}

/// Decodes one frame. The stream is believed if it belongs to another codec than the syntax names, or if the syntax
/// names no compression although the pixels are encapsulated.
pub(crate) fn decode(
    codec: Codec,
    bytes: &[u8],
    layout: &PixelLayout,
    warnings: &mut Warnings,
) -> Result<DecodedCells, MediaError> {
    let named = match codec {
        Codec::Deflated => return uncompressed(&inflate(bytes, layout)?, layout),
        Codec::Encapsulated => return uncompressed(bytes, layout),
        Codec::Unsupported | Codec::Unknown => {
            return Err(unsupported("DICOM: the transfer syntax is not supported"));
        }
        Codec::Rle => return decode_stream(StreamCodec::Rle, None, bytes, layout),
        Codec::Jpeg => Some(StreamCodec::Jpeg),
        Codec::JpegLs => Some(StreamCodec::JpegLs),
        Codec::Jpeg2000 => Some(StreamCodec::Jpeg2000),
        Codec::JpegXl => Some(StreamCodec::JpegXl),
        Codec::Native => None,
    };
    let header = StreamHeader::read(bytes);
    let coding = header
        .map(|header| header.coding)
        .or(named)
        .ok_or_else(|| {
            unsupported("DICOM: encapsulated pixels under a transfer syntax without compression")
        })?;
    if named != Some(coding) {
        warnings.add("The pixels are compressed by another codec than the transfer syntax names.");
    }
    warn_of_fewer_bits(header.as_ref(), layout, warnings);
    let decoded = decode_stream(coding, header, bytes, layout)?;
    if samples::exceed(&decoded.cells, &decoded.layout, layout.stored) {
        warnings.add(
            "The stream has more bits than Bits Stored (0028,0101), and its values use them; all are shown.",
        );
    }
    warn_of_size(header.as_ref(), layout, warnings);
    Ok(decoded)
}

/// Warns of a stream whose size is not that of the object.
fn warn_of_size(header: Option<&StreamHeader>, layout: &PixelLayout, warnings: &mut Warnings) {
    let object_size = (layout.columns, layout.rows);
    match header.map(|header| header.size) {
        Some((columns, rows)) if (rows, columns) == object_size && columns != rows => {
            warnings.add(
                "The JPEG stream has rows and columns exchanged; those of the object are used.",
            );
        }
        Some(size) if jpeg::can_pad(size, object_size) => {
            warnings.add("The JPEG stream is smaller than Rows and Columns: its edge is repeated.");
        }
        _ => {}
    }
}

/// Decodes a compressed frame through dicom-pixeldata, wrapped in an object of its own.
fn decode_stream(
    coding: StreamCodec,
    header: Option<StreamHeader>,
    bytes: &[u8],
    layout: &PixelLayout,
) -> Result<DecodedCells, MediaError> {
    let mut layout = layout.clone();
    let allocated = match header {
        Some(header) => {
            adopt_stream_depth(&header, &mut layout);
            header.precision.div_ceil(8).next_power_of_two() * 8
        }
        None => layout.allocated,
    };
    let data = single_frame_object(coding, bytes, &layout, allocated)?
        .decode_pixel_data_frame(0)
        .map_err(|error| cause(&error))?
        .into_data();
    let mut cells = match allocated {
        0..=8 => Cells::U8(data),
        9..=16 => Cells::U16(read_numbers(&data, u16::from_le_bytes)),
        _ => Cells::U32(read_numbers(&data, u32::from_le_bytes)),
    };
    let precision = header.map_or(0, |header| header.precision);
    if precision > layout.stored {
        let error = max_error(coding, bytes, layout.stored);
        samples::saturate(&mut cells, &layout, precision, error);
    }
    if layout.samples == 3 {
        layout.photometric = Photometric::Rgb;
    }
    Ok(DecodedCells { cells, layout })
}

/// By how much a lossy codec may have moved samples beyond the range of `stored` bits; 0 for a lossless one.
fn max_error(coding: StreamCodec, bytes: &[u8], stored: u16) -> u32 {
    match coding {
        StreamCodec::JpegLs => jpegls::max_error(bytes),
        // Not limited. A quarter of the range is more than an edge overshoots; values beyond are something else.
        StreamCodec::Jpeg => match JpegHeaders::read(bytes) {
            Ok(headers) if headers.process != Process::Lossless => (1 << stored.min(16)) / 4,
            _ => 0,
        },
        StreamCodec::Jpeg2000 | StreamCodec::JpegXl | StreamCodec::Rle => 0,
    }
}

/// Warns of a stream with fewer bits than the attributes say. The depth of JPEG 2000 and JPEG XL is always their own; it
/// only matters for colour, which has no window.
fn warn_of_fewer_bits(
    header: Option<&StreamHeader>,
    layout: &PixelLayout,
    warnings: &mut Warnings,
) {
    let Some(header) = header.filter(|header| (1..layout.stored).contains(&header.precision))
    else {
        return;
    };
    let (precision, stored) = (header.precision, layout.stored);
    let has_own_depth = matches!(header.coding, StreamCodec::Jpeg2000 | StreamCodec::JpegXl);
    if layout.samples > 1 {
        warnings.add(format!(
            "Bits Stored (0028,0101) says {stored}, but the stream has {precision}: its colours are shown by those."
        ));
    } else if !has_own_depth {
        warnings.add(format!(
            "Bits Stored (0028,0101) says {stored}, but the stream has {precision}."
        ));
    }
}

/// Takes the bit depth from the stream if the attributes cannot be right about it: a JPEG 2000 or JPEG XL stream has a
/// single depth; another stream may have more bits than the attributes allow, or too few for the position they give.
/// Colours of fewer bits than the attributes say would be black.
fn adopt_stream_depth(header: &StreamHeader, layout: &mut PixelLayout) {
    let precision = header.precision;
    let is_own = match header.coding {
        StreamCodec::Jpeg2000 | StreamCodec::JpegXl => true,
        StreamCodec::Jpeg | StreamCodec::JpegLs | StreamCodec::Rle => {
            let shifted = layout.high_bit + 1 > layout.stored;
            let is_dark = layout.samples > 1 && precision < layout.stored;
            precision > layout.allocated || (shifted && precision <= layout.high_bit) || is_dark
        }
    };
    if is_own && precision > 0 {
        (layout.stored, layout.high_bit) = (precision, precision - 1);
    }
}

/// An object that holds only this frame.
fn single_frame_object(
    coding: StreamCodec,
    bytes: &[u8],
    layout: &PixelLayout,
    allocated: u16,
) -> Result<FileDicomObject<InMemDicomObject>, MediaError> {
    let short = |tag: Tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let stored = layout.stored.min(allocated);
    let frame = PixelFragmentSequence::new_fragments(vec![bytes.to_vec()]);
    let attributes = InMemDicomObject::from_element_iter([
        short(tags::SAMPLES_PER_PIXEL, layout.samples),
        DataElement::new(
            tags::PHOTOMETRIC_INTERPRETATION,
            VR::CS,
            // The adapters compare names, which are in capitals (CS, PS3.5 6.2).
            dicom_value!(Str, layout.photometric_name.to_ascii_uppercase()),
        ),
        short(tags::PLANAR_CONFIGURATION, 0),
        short(tags::ROWS, side(layout.rows)?),
        short(tags::COLUMNS, side(layout.columns)?),
        short(tags::BITS_ALLOCATED, allocated),
        short(tags::BITS_STORED, stored),
        short(tags::HIGH_BIT, stored - 1),
        short(tags::PIXEL_REPRESENTATION, u16::from(layout.signed)),
        DataElement::new(tags::PIXEL_DATA, VR::OB, frame),
    ]);
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(coding.syntax())
        .media_storage_sop_class_uid(uids::SECONDARY_CAPTURE_IMAGE_STORAGE)
        .media_storage_sop_instance_uid("2.25.0")
        .build()
        .map_err(|error| malformed(format!("DICOM: {error}")))?;
    Ok(attributes.with_exact_meta(meta))
}

/// Rows and Columns have 16 bits.
fn side(pixels: u32) -> Result<u16, MediaError> {
    u16::try_from(pixels).map_err(|_| malformed("DICOM: the frame has too many rows or columns"))
}

/// The error of this crate's adapter, if dicom-pixeldata passes one on; else the message of dicom-pixeldata.
fn cause(error: &dicom_pixeldata::Error) -> MediaError {
    let mut message = format!("DICOM: {error}");
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<MediaError>() {
            return error.clone();
        }
        message = format!("{message}: {error}");
        source = error.source();
    }
    malformed(message)
}

/// Reads a single frame that is encapsulated without compression.
fn uncompressed(bytes: &[u8], layout: &PixelLayout) -> Result<DecodedCells, MediaError> {
    let available = bytes.len() as u64;
    let span = native::FrameSpan::single(layout, available).ok_or_else(|| {
        truncated(format!(
            "DICOM: the frame is cut off after {available} bytes"
        ))
    })?;
    let range = span.range.start as usize..span.range.end as usize;
    Ok(DecodedCells {
        cells: native::decode(&bytes[range], &span, layout, false),
        layout: layout.clone(),
    })
}

/// Inflates a deflated frame (PS3.5 annex A.4.13). Padding may follow the stream.
fn inflate(bytes: &[u8], layout: &PixelLayout) -> Result<Vec<u8>, MediaError> {
    /// Deflate can repeat 258 bytes by two bits.
    const MAX_RATIO: usize = 1032;
    let max_size = (layout.cells() * usize::from(layout.allocated)).div_ceil(8) + 16;
    let mut frame = Vec::with_capacity(max_size.min(bytes.len().saturating_mul(MAX_RATIO)));
    flate2::read::DeflateDecoder::new(bytes)
        .take(max_size as u64)
        .read_to_end(&mut frame)
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => truncated("DICOM: the deflated frame is cut off"),
            _ => malformed(format!("DICOM: the frame cannot be inflated: {error}")),
        })?;
    Ok(frame)
}
