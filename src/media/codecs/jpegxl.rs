//! JPEG XL, through jxl-oxide, as DICOM holds it.

use jxl_oxide::JxlImage;

use crate::error::{MediaError, malformed, unsupported};

/// A decoded stream: `height × width × channels` samples, interleaved; colour is RGB.
pub(crate) struct Decoded {
    /// Components per pixel.
    pub channels: usize,
    /// Bits per sample.
    pub precision: u8,
    /// The samples.
    pub data: Vec<u16>,
}

/// Decodes a codestream or container of the size `expected` (columns, rows), which is checked before pixels are.
pub(crate) fn decode(bytes: &[u8], expected: (u32, u32)) -> Result<Decoded, MediaError> {
    let fail = |error: &dyn std::fmt::Display| malformed(format!("JPEG XL: {error}"));
    let image = JxlImage::builder().read(bytes).map_err(|e| fail(&e))?;
    if (image.width(), image.height()) != expected {
        return Err(malformed(format!(
            "JPEG XL: the stream is {} × {}, the object says {} × {}",
            image.width(),
            image.height(),
            expected.0,
            expected.1
        )));
    }
    let precision = image.image_header().metadata.bit_depth.bits_per_sample();
    if !(1..=16).contains(&precision) {
        return Err(unsupported(format!("JPEG XL of {precision} bits a sample")));
    }
    let render = image.render_frame(0).map_err(|e| fail(&e))?;
    let mut stream = render.stream_no_alpha();
    let channels = stream.channels() as usize;
    let (width, height) = (stream.width() as usize, stream.height() as usize);
    if (width, height) != (expected.0 as usize, expected.1 as usize) {
        return Err(unsupported("JPEG XL of a turned picture"));
    }
    let mut samples = vec![0_f32; width * height * channels];
    stream.write_to_buffer(&mut samples);
    let largest = ((1_u32 << precision) - 1) as f32;
    let data = samples
        .into_iter()
        .map(|v| (v * largest).round().clamp(0.0, largest) as u16)
        .collect();
    Ok(Decoded {
        channels,
        precision: precision as u8,
        data,
    })
}
