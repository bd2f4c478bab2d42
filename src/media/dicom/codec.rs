//! Coded frames to cells.

use super::super::error::{MediaError, malformed, truncated, unsupported};
use super::super::jpeg::headers::{Headers, Process};
use super::super::jpeg::{self, Data};
use super::layout::{Layout, Photometric};
use super::rle;
use super::samples::Cells;
use super::syntax::Codec;

/// Decodes one frame; colours are as the photometric interpretation says.
pub(super) fn decode(codec: Codec, bytes: &[u8], layout: &Layout) -> Result<Cells, MediaError> {
    match codec {
        Codec::Jpeg => jpeg(bytes, layout),
        Codec::Rle => rle::decode(bytes, layout),
        Codec::Native => Err(unsupported(
            "DICOM: encapsulated pixels under a transfer syntax without compression",
        )),
        Codec::Unsupported => Err(unsupported("DICOM: the transfer syntax is not supported")),
    }
}

/// Any process of ITU-T T.81.
fn jpeg(bytes: &[u8], layout: &Layout) -> Result<Cells, MediaError> {
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
    if headers.components.len() != usize::from(layout.samples) {
        return Err(malformed(
            "DICOM: the JPEG stream has another number of samples than the attributes say",
        ));
    }
    let components = jpeg::components(bytes, &headers)?;
    Ok(match components.data {
        Data::U8(mut data) => {
            if components.channels == 3 && !as_declared(&headers, layout) {
                recolor(&mut data, layout);
            }
            Cells::U8(data)
        }
        Data::U16(data) => Cells::U16(data),
    })
}

/// Whether the components of a stream are what the photometric interpretation says; what the stream says about itself
/// wins. Writers forget the attribute: an Adobe or JFIF segment, components named R G B, or chroma at lower
/// resolution (which nobody does to RGB) tell the truth.
fn as_declared(headers: &Headers, layout: &Layout) -> bool {
    let lossless = headers.process == Process::Lossless;
    match layout.photometric {
        Photometric::Rgb => {
            lossless
                || match headers.adobe {
                    Some(0) => true,
                    Some(1) => false,
                    _ => headers.named_rgb() || !(headers.jfif || headers.subsampled()),
                }
        }
        Photometric::YbrFull | Photometric::YbrFull422 => {
            headers.adobe != Some(0) && !headers.named_rgb()
        }
        Photometric::Mono { .. } => true,
    }
}

/// Turns what the stream holds into what the attribute says: the one is RGB, the other YBR.
fn recolor(data: &mut [u8], layout: &Layout) {
    if layout.photometric == Photometric::Rgb {
        jpeg::ycbcr_to_rgb(data);
    } else {
        jpeg::rgb_to_ycbcr(data);
    }
}
