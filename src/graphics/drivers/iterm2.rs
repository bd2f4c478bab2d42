//! iTerm2's inline images.
//!
//! ratatui-image's encoder is bypassed: it gives sizes in pixels, which leaves gaps between pieces on high-density screens
//! (whose pixels count double), and it lets the cursor move.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{DynamicImage, ImageFormat};
use ratatui::layout::Size;

use super::{EncodeTarget, Encoded, draw_error, pieces};
use crate::app::EncodedImage;
use crate::graphics::Route;
use crate::media::MediaError;

/// Encodes an image that fills its cells.
pub(super) fn encode(
    image: &DynamicImage,
    target: EncodeTarget,
) -> Result<EncodedImage, MediaError> {
    let pieces = pieces::encode(image, target, |piece, size| {
        inline(&piece, size, target.route)
    })?;
    Ok(Encoded::Pieces(pieces).into_image(target.size))
}

/// The control sequence that draws `image` over `size` cells.
fn inline(image: &DynamicImage, size: Size, route: Route) -> Result<String, MediaError> {
    let mut png = Vec::new();
    image
        .write_to(&mut Cursor::new(&mut png), ImageFormat::Png)
        .map_err(|error| draw_error(&error))?;
    let (bytes, cols, rows) = (png.len(), size.width, size.height);
    let content = STANDARD.encode(png);
    let sequence = format!(
        "\x1b]1337;File=inline=1;size={bytes};width={cols};height={rows};\
         preserveAspectRatio=0;doNotMoveCursor=1:{content}\x07"
    );
    Ok(route.wrap(&sequence).into_owned())
}

#[cfg(test)]
mod tests {
    use ratatui_image::FontSize;

    use super::*;

    #[test]
    fn the_pieces_add_up_to_the_image() {
        let image = image::GrayImage::from_fn(30, 140, |x, y| image::Luma([(x * y) as u8]));
        let image = DynamicImage::ImageLuma8(image);
        let target = EncodeTarget {
            size: Size::new(3, 7),
            cell: FontSize::new(10, 20),
            route: Route::Direct,
        };
        let encoded = encode(&image, target).unwrap();
        assert_eq!(encoded.size(), (3, 7));
        let Some(Encoded::Pieces(pieces)) = encoded.content() else {
            panic!("no pieces");
        };
        let mut rows = Vec::new();
        for (piece, height) in pieces.iter().zip([2, 2, 2, 1]) {
            assert!(piece.data.contains(&format!("width=3;height={height};")));
            let (_, content) = piece.data.split_once(':').unwrap();
            let png = STANDARD.decode(content.trim_end_matches('\x07')).unwrap();
            rows.extend(
                image::load_from_memory(&png)
                    .unwrap()
                    .into_luma8()
                    .into_raw(),
            );
        }
        assert_eq!(rows, image.into_luma8().into_raw());
    }
}
