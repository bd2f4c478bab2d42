//! Decodes JPEG XL with jxl-oxide, as used in DICOM.

use jxl_oxide::{AllocTracker, InitializeResult, JxlImage};

use crate::codecs::shape::FrameShape;
use crate::error::{MediaError, malformed, unsupported};

/// Largest number of channels beside grey or RGB; DICOM has none (PS3.5 8.2.15), and an encoder may add alpha.
const MAX_EXTRA_CHANNELS: usize = 4;
/// Memory that jxl-oxide takes for a pixel of an extra channel, in bytes. Measured with 8 bits: 2.2.
const EXTRA_PIXEL_BYTES: u64 = 8;
/// Bytes a sample that jxl-oxide may allocate at most: planes of floats and of coefficients, and copies between filters.
const MAX_SAMPLE_BYTES: usize = 64;
/// Bytes that jxl-oxide may allocate beside samples.
const MAX_SIDE_BYTES: usize = 64 << 20;

/// Reads the header of a stream from as many bytes as it needs; `None` if it is damaged or cut off.
pub(crate) fn open(bytes: &[u8]) -> Option<JxlImage> {
    const STEP: usize = 4096;
    let mut uninitialized = JxlImage::builder().build_uninit();
    for part in bytes.chunks(STEP) {
        uninitialized.feed_bytes(part).ok()?;
        match uninitialized.try_init().ok()? {
            InitializeResult::NeedMoreData(more) => uninitialized = more,
            InitializeResult::Initialized(image) => return Some(image),
        }
    }
    None
}

/// Memory that channels beside grey or RGB take, in bytes. A stream with too many of them is not decoded. `head` is the
/// beginning of the stream.
pub(crate) fn extra_bytes(head: &[u8]) -> u64 {
    open(head).map_or(0, |image| {
        let channels = image.image_header().metadata.ec_info.len();
        if channels > MAX_EXTRA_CHANNELS {
            return 0;
        }
        let pixels = u64::from(image.width()) * u64::from(image.height());
        pixels.saturating_mul(channels as u64 * EXTRA_PIXEL_BYTES)
    })
}

/// Decodes a codestream or container. Colour becomes RGB.
pub(crate) fn decode(
    bytes: &[u8],
    shape: &FrameShape,
    out: &mut Vec<u8>,
) -> Result<(), MediaError> {
    let fail = |error: &dyn std::fmt::Display| malformed(format!("JPEG XL: {error}"));
    let channels = shape.samples + MAX_EXTRA_CHANNELS;
    let limit = shape.pixels() * channels * MAX_SAMPLE_BYTES + MAX_SIDE_BYTES;
    let builder = JxlImage::builder().alloc_tracker(AllocTracker::with_limit(limit));
    let image = builder.read(bytes).map_err(|e| fail(&e))?;
    let metadata = &image.image_header().metadata;
    let precision = metadata.bit_depth.bits_per_sample();
    if !(1..=16).contains(&precision) {
        return Err(unsupported(format!("JPEG XL of {precision} bits a sample")));
    }
    let extra = metadata.ec_info.len();
    if extra > MAX_EXTRA_CHANNELS {
        return Err(unsupported(format!("JPEG XL with {extra} extra channels")));
    }
    let samples = if metadata.grayscale() { 1 } else { 3 };
    let size = (image.width(), image.height());
    shape.check("JPEG XL", size, samples, precision as u16)?;
    let render = image.render_frame(0).map_err(|e| fail(&e))?;
    let mut stream = render.stream_no_alpha();
    if (stream.width(), stream.height()) != size || stream.channels() as usize != samples {
        return Err(unsupported("JPEG XL of a rotated image"));
    }
    let largest = ((1_u32 << precision) - 1) as f32;
    let mut row = vec![0_f32; shape.columns as usize * samples];
    let mut written = vec![0_u16; row.len()];
    out.reserve(shape.bytes());
    for _ in 0..shape.rows {
        stream.write_to_buffer(&mut row);
        for (sample, value) in written.iter_mut().zip(&row) {
            *sample = (value * largest).round().clamp(0.0, largest) as u16;
        }
        shape.append(&written, out);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    /// Grey of 8 × 8 pixels, all 7, with two extra channels, and with eight.
    const WITH_TWO: &[u8] = &[
        0xff, 0x0a, 0x41, 0x40, 0x81, 0x0e, 0xa0, 0x03, 0x50, 0xdc, 0x08, 0x08, 0x40, 0x00, 0x01,
        0x00, 0x5c, 0x00, 0x4b, 0x12, 0xc5, 0x82, 0x05, 0x52, 0xe0, 0xa8, 0xa8, 0x18, 0x2f, 0x06,
        0xe7, 0x1d, 0x00, 0x27, 0xe8, 0x89, 0x8c, 0x60, 0x0d, 0xb8, 0x0f,
    ];
    const WITH_EIGHT: &[u8] = &[
        0x00, 0x00, 0x00, 0x0c, 0x4a, 0x58, 0x4c, 0x20, 0x0d, 0x0a, 0x87, 0x0a, 0x00, 0x00, 0x00,
        0x14, 0x66, 0x74, 0x79, 0x70, 0x6a, 0x78, 0x6c, 0x20, 0x00, 0x00, 0x00, 0x00, 0x6a, 0x78,
        0x6c, 0x20, 0x00, 0x00, 0x00, 0x09, 0x6a, 0x78, 0x6c, 0x6c, 0x0a, 0x00, 0x00, 0x00, 0x44,
        0x6a, 0x78, 0x6c, 0x63, 0xff, 0x0a, 0x41, 0x40, 0x8d, 0x0e, 0xa0, 0x03, 0xe8, 0x00, 0x3a,
        0x80, 0x0e, 0xa0, 0x03, 0xe8, 0x00, 0x3a, 0x00, 0xc5, 0x8d, 0x08, 0x00, 0x00, 0x04, 0x00,
        0x00, 0x01, 0x00, 0x74, 0x00, 0x4b, 0x12, 0x09, 0x12, 0x18, 0x38, 0x04, 0x41, 0x48, 0x81,
        0xe3, 0xc5, 0x8b, 0x31, 0x63, 0x70, 0xe6, 0x01, 0x70, 0x02, 0xcf, 0x00, 0x28, 0xd3, 0x18,
        0x02, 0x81, 0x2c, 0x02,
    ];

    #[test]
    fn extra_channels_are_left_out_and_counted_and_many_refused() {
        let shape = FrameShape {
            columns: 8,
            rows: 8,
            samples: 1,
            allocated: 8,
        };
        let decoded = |bytes: &[u8]| {
            let mut out = Vec::new();
            decode(bytes, &shape, &mut out).map(|()| out)
        };
        assert_eq!(decoded(WITH_TWO), Ok(vec![7; 64]));
        assert_eq!(extra_bytes(WITH_TWO), 64 * 2 * EXTRA_PIXEL_BYTES);
        let error = decoded(WITH_EIGHT).expect_err("refused");
        assert_eq!(error.kind, ErrorKind::Unsupported);
        assert_eq!(extra_bytes(WITH_EIGHT), 0);
    }
}
