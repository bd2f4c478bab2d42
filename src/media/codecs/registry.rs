//! Registers the codecs with dicom-rs as adapters: every program that links this crate decodes with them through
//! `decode_pixel_data`.
//!
//! dicom-rs accepts an adapter only for a syntax that has none, so the features of its own registry that bring one
//! stay off: `jpeg` (lacks 12 bits and the arithmetic of libjpeg, guesses colour), `rle` (panics on cut frames, 8 and
//! 16 bits only), `openjpeg-sys` (fills in missing data, panics on surplus components), `jpegxl` (widens 12 bits to
//! 16) and `charls` (a C++ library, built by CMake).
//!
//! As dicom-rs requires, samples follow the object's attributes, except that colour is RGB, pixel by pixel. Each
//! [`DecodeError::Custom`] has a [`MediaError`] as its `source`.

mod color;

use dicom_encoding::adapters::{DecodeError, DecodeResult, PixelDataObject, PixelDataReader};
use dicom_encoding::transfer_syntax::{Codec, NeverAdapter};
use dicom_encoding::{NeverPixelAdapter, TransferSyntax, submit_transfer_syntax};
use dicom_transfer_syntax_registry::entries;

use crate::codecs::jpeg::headers::{JpegHeaders, Process};
use crate::codecs::jpeg::{self, ComponentSamples};
use crate::codecs::shape::FrameShape;
use crate::codecs::stream::StreamCodec;
use crate::codecs::{jpeg2000, jpegls, jpegxl, rle};
use crate::error::MediaError;
use color::{Declared, ycbcr_to_rgb};

/// Decodes the frames of objects whose transfer syntax names a codec of this crate.
struct Adapter(StreamCodec);

/// A transfer syntax read by an [`Adapter`].
type Readable = TransferSyntax<NeverAdapter, Adapter, NeverPixelAdapter>;

const fn readable(uid: &'static str, name: &'static str, coding: StreamCodec) -> Readable {
    let codec = Codec::EncapsulatedPixelData(Some(Adapter(coding)), None);
    TransferSyntax::new_ele(uid, name, codec)
}

/// Registers syntaxes that dicom-rs knows, under its names.
macro_rules! submit {
    ($($entry:ident: $coding:ident,)*) => {
        $(submit_transfer_syntax!(readable(
            entries::$entry.uid(),
            entries::$entry.name(),
            StreamCodec::$coding,
        ));)*
    };
}

submit! {
    JPEG_BASELINE: Jpeg,
    JPEG_EXTENDED: Jpeg,
    JPEG_LOSSLESS_NON_HIERARCHICAL: Jpeg,
    JPEG_LOSSLESS_NON_HIERARCHICAL_FIRST_ORDER_PREDICTION: Jpeg,
    JPEG_LS_LOSSLESS_IMAGE_COMPRESSION: JpegLs,
    JPEG_LS_LOSSY_IMAGE_COMPRESSION: JpegLs,
    JPEG_2000_IMAGE_COMPRESSION_LOSSLESS_ONLY: Jpeg2000,
    JPEG_2000_IMAGE_COMPRESSION: Jpeg2000,
    JPEG_2000_PART2_MULTI_COMPONENT_IMAGE_COMPRESSION_LOSSLESS_ONLY: Jpeg2000,
    JPEG_2000_PART2_MULTI_COMPONENT_IMAGE_COMPRESSION: Jpeg2000,
    HIGH_THROUGHPUT_JPEG_2000_IMAGE_COMPRESSION_LOSSLESS_ONLY: Jpeg2000,
    HIGH_THROUGHPUT_JPEG_2000_WITH_RPCL_OPTIONS_IMAGE_COMPRESSION_LOSSLESS_ONLY: Jpeg2000,
    HIGH_THROUGHPUT_JPEG_2000_IMAGE_COMPRESSION: Jpeg2000,
    JPEG_XL_LOSSLESS: JpegXl,
    JPEG_XL_RECOMPRESSION: JpegXl,
    JPEG_XL: JpegXl,
    RLE_LOSSLESS: Rle,
}
// Retired with the 2006 edition of the standard, and unknown to dicom-rs.
submit_transfer_syntax!(readable(
    "1.2.840.10008.1.2.4.53",
    "JPEG Spectral Selection, Non-Hierarchical (Processes 6 & 8)",
    StreamCodec::Jpeg,
));
submit_transfer_syntax!(readable(
    "1.2.840.10008.1.2.4.55",
    "JPEG Full Progression, Non-Hierarchical (Processes 10 & 12)",
    StreamCodec::Jpeg,
));

impl StreamCodec {
    /// A transfer syntax whose adapter decodes frames with this codec.
    pub(crate) fn syntax(self) -> &'static str {
        match self {
            Self::Jpeg => entries::JPEG_EXTENDED.uid(),
            Self::JpegLs => entries::JPEG_LS_LOSSY_IMAGE_COMPRESSION.uid(),
            Self::Jpeg2000 => entries::JPEG_2000_IMAGE_COMPRESSION.uid(),
            Self::JpegXl => entries::JPEG_XL.uid(),
            Self::Rle => entries::RLE_LOSSLESS.uid(),
        }
    }
}

impl PixelDataReader for Adapter {
    fn decode_frame(
        &self,
        src: &dyn PixelDataObject,
        frame: u32,
        dst: &mut Vec<u8>,
    ) -> DecodeResult<()> {
        let shape = shape(src)?;
        let bytes = src
            .frame_pixel_data(frame)
            .ok_or(DecodeError::FrameRangeOutOfBounds)?;
        let declared = Declared::by_name(src.photometric_interpretation().unwrap_or_default());
        // Some writers name another codec of the same family.
        let coding = match self.0 {
            StreamCodec::Rle => StreamCodec::Rle,
            named => StreamCodec::recognise(&bytes).unwrap_or(named),
        };
        let begin = dst.len();
        let stored = src.bits_stored().unwrap_or(shape.allocated);
        decode(coding, &bytes, &shape, declared, stored, dst).map_err(|error| {
            dst.truncate(begin);
            DecodeError::Custom {
                message: error.to_string(),
                source: Some(Box::new(error)),
            }
        })
    }
}

fn shape(src: &dyn PixelDataObject) -> DecodeResult<FrameShape> {
    let missing = |name| DecodeError::MissingAttribute { name };
    Ok(FrameShape {
        columns: u32::from(src.cols().ok_or_else(|| missing("Columns"))?),
        rows: u32::from(src.rows().ok_or_else(|| missing("Rows"))?),
        samples: usize::from(
            src.samples_per_pixel()
                .ok_or_else(|| missing("SamplesPerPixel"))?,
        ),
        allocated: src
            .bits_allocated()
            .ok_or_else(|| missing("BitsAllocated"))?,
    })
}

/// Decodes a frame and appends its samples, colour as RGB.
fn decode(
    coding: StreamCodec,
    bytes: &[u8],
    shape: &FrameShape,
    declared: Declared,
    stored: u16,
    out: &mut Vec<u8>,
) -> Result<(), MediaError> {
    let begin = out.len();
    let (is_ybr, precision) = match coding {
        StreamCodec::Jpeg => jpeg(bytes, shape, declared, out)?,
        StreamCodec::JpegLs => {
            jpegls::decode(bytes, shape, out)?;
            (declared.is_ybr()?, stored)
        }
        StreamCodec::Jpeg2000 => {
            // A stream without transformation holds the colours that it was given. Nobody gives it colours that it
            // would transform itself.
            let transformed = jpeg2000::decode(bytes, shape, out)?;
            (!transformed && declared == Declared::Ybr, stored)
        }
        StreamCodec::JpegXl => {
            jpegxl::decode(bytes, shape, out)?;
            (false, stored)
        }
        StreamCodec::Rle => {
            rle::decode(bytes, shape, out)?;
            (declared.is_ybr()?, stored)
        }
    };
    if is_ybr && shape.samples == 3 {
        ycbcr_to_rgb(&mut out[begin..], shape.sample_bytes(), precision)?;
    }
    if shape.allocated == 1 {
        // dicom-pixeldata represents one-bit samples as 0 and 255.
        out[begin..].iter_mut().for_each(|bit| *bit *= 255);
    }
    Ok(())
}

/// Decodes any process of ITU-T T.81. Returns whether the samples are luma and chroma, and their bits.
fn jpeg(
    bytes: &[u8],
    shape: &FrameShape,
    declared: Declared,
    out: &mut Vec<u8>,
) -> Result<(bool, u16), MediaError> {
    let headers = JpegHeaders::read(bytes)?;
    let precision = u16::from(headers.precision);
    let (stream, object) = ((headers.width, headers.height), (shape.columns, shape.rows));
    // One archive delivers lossless streams with rows and columns exchanged; their samples are in the order of Rows
    // and Columns.
    let exchanged = headers.process == Process::Lossless && (stream.1, stream.0) == object;
    let padded = jpeg::can_pad(stream, object);
    let size = if exchanged || padded { object } else { stream };
    shape.check("JPEG", size, headers.components.len(), precision)?;
    let mut components = jpeg::components(bytes, &headers)?;
    if padded {
        components = jpeg::padded(components, stream, object);
    }
    match components.data {
        ComponentSamples::U8(data) if shape.sample_bytes() == 1 && out.is_empty() => *out = data,
        ComponentSamples::U8(data) => shape.append(&data, out),
        ComponentSamples::U16(data) => shape.append(&data, out),
    }
    Ok((color::is_ybr(&headers, declared), precision))
}
