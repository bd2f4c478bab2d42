//! Decodes JPEG XL with jxl-oxide, as used in DICOM.

use jxl_oxide::JxlImage;

use crate::codecs::shape::FrameShape;
use crate::error::{MediaError, malformed, unsupported};

/// Decodes a codestream or container. Colour becomes RGB.
pub(crate) fn decode(
    bytes: &[u8],
    shape: &FrameShape,
    out: &mut Vec<u8>,
) -> Result<(), MediaError> {
    let fail = |error: &dyn std::fmt::Display| malformed(format!("JPEG XL: {error}"));
    let image = JxlImage::builder().read(bytes).map_err(|e| fail(&e))?;
    let metadata = &image.image_header().metadata;
    let precision = metadata.bit_depth.bits_per_sample();
    if !(1..=16).contains(&precision) {
        return Err(unsupported(format!("JPEG XL of {precision} bits a sample")));
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
