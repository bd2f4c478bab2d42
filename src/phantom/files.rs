//! Phantoms as JPEG and PNG files, with the word SYNTHETIC in their metadata.

use image::{ExtendedColorType, codecs::jpeg::JpegEncoder};

use super::Phantom;

/// The text in the metadata of every format; its first word marks phantoms.
pub(super) const MARK: &str = "SYNTHETIC phantom drawn by medivision-tui; not a patient";

/// The quality of a typical export: with artefacts, but invisible ones.
const JPEG_QUALITY: u8 = 90;

/// Encodes a grey baseline JPEG with the mark as a comment.
pub(super) fn jpeg(drawing: &Phantom) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY)
        .encode(
            &drawing.to_luma8(),
            drawing.width,
            drawing.height,
            ExtendedColorType::L8,
        )
        .map_err(|error| error.to_string())?;
    insert_comment(&mut bytes, MARK)?;
    Ok(bytes)
}

/// Inserts a COM segment after the APP0 segment, which has to come first (JFIF 1.02).
fn insert_comment(jpeg: &mut Vec<u8>, text: &str) -> Result<(), String> {
    const HEAD: [u8; 4] = [0xFF, 0xD8, 0xFF, 0xE0];
    let (true, &[high, low, ..]) = (jpeg.starts_with(&HEAD), &jpeg[4..]) else {
        return Err("the encoder wrote no JFIF header".to_owned());
    };
    let place = 4 + usize::from(u16::from_be_bytes([high, low]));
    let length = u16::try_from(text.len() + 2).map_err(|_| "the comment is too long".to_owned())?;
    let segment = [&[0xFF, 0xFE], &length.to_be_bytes()[..], text.as_bytes()].concat();
    jpeg.splice(place..place, segment);
    Ok(())
}

/// Encodes a grey PNG of 8 or 16 (`deep`) bits with the mark as a text chunk.
pub(super) fn png(drawing: &Phantom, deep: bool) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, drawing.width, drawing.height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(if deep {
        png::BitDepth::Sixteen
    } else {
        png::BitDepth::Eight
    });
    encoder
        .add_text_chunk("Description".to_owned(), MARK.to_owned())
        .map_err(|error| error.to_string())?;
    let samples = if deep {
        drawing
            .values
            .iter()
            .flat_map(|v| ((v * 65535.0 + 0.5) as u16).to_be_bytes())
            .collect()
    } else {
        drawing.to_luma8()
    };
    let mut writer = encoder.write_header().map_err(|error| error.to_string())?;
    writer
        .write_image_data(&samples)
        .map_err(|error| error.to_string())?;
    writer.finish().map_err(|error| error.to_string())?;
    Ok(bytes)
}
